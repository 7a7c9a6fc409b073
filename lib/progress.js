'use strict';

// The part of a run that the guest's thread shares with the thread that started it: a
// `SharedArrayBuffer`, as an `Int32Array` (STATE) and as a `Float64Array` (the others).

/** How far the guest is. */
const STATE = 0;
/** Its states. */
const ASKED_FOR = 0;
const STARTED = 1;
const ENDED = 2;

/** When it started and when it ended, in milliseconds of the clock of `guest.js`. */
const STARTED_AT = 1;
const ENDED_AT = 2;
/** How large its memories are, in bytes. */
const SIZE = 3;
/** The system's number of its thread, and how much of a processor that had had at the start. */
const THREAD = 4;
const THREAD_TIME = 5;
/** From here on: the calls and the nanoseconds of each function. */
const COUNTS = 6;

/** @param {number} functions how many there are */
function newProgress(functions) {
  return new SharedArrayBuffer(8 * (COUNTS + 2 * functions));
}

module.exports = {
  ASKED_FOR,
  COUNTS,
  ENDED,
  ENDED_AT,
  newProgress,
  SIZE,
  STARTED,
  STARTED_AT,
  STATE,
  THREAD,
  THREAD_TIME,
};
