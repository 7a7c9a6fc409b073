'use strict';

// The clock and the timers of the system. Loaded with index.js: a program under test may put others
// in their place later, which stand still, and a module that is loaded at the first run would get
// those. A limit of time is one of the system's time.

const {
  clearImmediate,
  clearInterval,
  clearTimeout,
  setImmediate,
  setInterval,
  setTimeout,
} = require('node:timers');

const { apply } = Reflect;
const { hrtime } = process;

/** Bun and Deno let `hrtime` begin anew in each thread. A context of `vm` has no `performance`. */
const timer =
  process.versions.bun || process.versions.deno
    ? require('node:perf_hooks').performance
    : undefined;
const ownClock = timer && { timer, read: timer.now, origin: timer.timeOrigin };

/**
 * Milliseconds that only go forward, and are those of all threads and processes. `performance`
 * would take Node a millisecond to load.
 */
function now() {
  if (ownClock !== undefined) {
    return ownClock.origin + apply(ownClock.read, ownClock.timer, []);
  }
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

module.exports = {
  clearImmediate,
  clearInterval,
  clearTimeout,
  hrtime,
  now,
  setImmediate,
  setInterval,
  setTimeout,
};
