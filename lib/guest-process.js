'use strict';

// A guest in a process of its own, in the form that guest-thread.js describes.

const { nodeError } = require('./errors.js');

function refused() {
  return nodeError(
    Error,
    'ERR_WASI_NO_PROCESS',
    "There is no process for the guest here: use isolation: 'thread'",
  );
}

/** What starts a run for `run` and `spawn`, from the parts of a program and the checked options. */
function start() {
  throw refused();
}

/** What takes one job after another, for a Pool. */
class GuestProcess {
  constructor() {
    throw refused();
  }
}

module.exports = { GuestProcess, start };
