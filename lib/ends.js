'use strict';

// How a guest ends before its export returns. A guest must not catch its own end, but `catch_all`
// catches whatever JavaScript throws, `new WebAssembly.RuntimeError()` included. What it does not
// catch is the error of a trap: engines mark the object itself, so the mark stays when the object
// gets another prototype and other properties, and when JavaScript throws it again. So every end is
// born in a trap. Each end is an object of its own, because several guests, one within another, can
// end at a time.

const { nodeErrorFrom } = require('./errors.js');

const { Instance, Module } = WebAssembly;
const { defineProperty, getOwnPropertyDescriptor, setPrototypeOf } = Object;
const { captureStackTrace } = Error;

/** `(module (func (export "trap") unreachable))` */
const TRAPPING = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4, 116, 114, 97, 112, 0, 0,
  10, 5, 1, 3, 0, 0, 11,
]);
let trap;

/**
 * A new error that no guest can catch. It has no stack, which would take half of the time: most
 * ends become what `start` returns. Who needs one captures it.
 */
function uncatchable() {
  trap ??= new Instance(new Module(TRAPPING)).exports.trap;
  const limit = getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  // An embedder may have frozen it, or made it an accessor.
  const isOurs = limit !== undefined && limit.writable === true;
  if (isOurs) Error.stackTraceLimit = 0;
  try {
    trap();
  } catch (error) {
    return error;
  } finally {
    if (isOurs) Error.stackTraceLimit = limit.value;
  }
}

/**
 * The result of an export of a guest that called `proc_exit`, where the embedder called the export
 * itself.
 */
class WASIExitError extends Error {
  /** @param {number} exitCode what the guest gave to `proc_exit` */
  constructor(exitCode) {
    // `super()` would make an object that a guest can catch.
    const error = exitOf(exitCode, new.target.prototype);
    captureStackTrace?.(error, new.target);
    return error;
  }
}
defineProperty(WASIExitError.prototype, 'name', {
  value: 'WASIExitError',
  configurable: true,
  writable: true,
});

/** The end of a guest that called `proc_exit`, without a stack. */
function exitOf(exitCode, prototype = WASIExitError.prototype) {
  const error = setPrototypeOf(uncatchable(), prototype);
  error.message = `The guest exited with code ${String(exitCode)}`;
  error.code = 'ERR_WASI_EXIT';
  error.exitCode = exitCode;
  return error;
}

/**
 * The end of a guest that something of the embedder's stopped by an error, which is the cause.
 */
function stoppedBy(cause) {
  const error = setPrototypeOf(uncatchable(), Error.prototype);
  nodeErrorFrom(
    error,
    'ERR_WASI_STOPPED',
    'A function of the embedder stopped the guest',
    stoppedBy,
  );
  defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
  return error;
}

/** The end of a guest that reached a limit of the embedder's. */
class WASILimitError extends Error {
  /**
   * @param {string} message
   * @param {string} limit the name of the option
   */
  constructor(message, limit) {
    const error = setPrototypeOf(uncatchable(), new.target.prototype);
    nodeErrorFrom(error, 'ERR_WASI_LIMIT', String(message), new.target);
    error.limit = limit;
    return error;
  }
}
defineProperty(WASILimitError.prototype, 'name', {
  value: 'WASILimitError',
  configurable: true,
  writable: true,
});

/** The end of a guest that reached a limit of the embedder's: `limit` names it. */
function limitReached(limit, message) {
  return new WASILimitError(message, limit);
}

/** The end of a guest that has written more than is kept of its output. */
function outputFull() {
  return limitReached('outputBytes', 'The guest has written more than its "outputBytes"');
}

/** An end of a guest by an error with Node's `code`. */
function endedBy(code, message) {
  const error = setPrototypeOf(uncatchable(), Error.prototype);
  return nodeErrorFrom(error, code, message, endedBy);
}

/** A trap of the host's making: an import that is not there. */
function trapOf(message) {
  const error = uncatchable();
  error.message = message;
  captureStackTrace?.(error, trapOf);
  return error;
}

module.exports = {
  WASIExitError,
  WASILimitError,
  endedBy,
  exitOf,
  limitReached,
  outputFull,
  stoppedBy,
  trapOf,
  uncatchable,
};
