'use strict';

// The part of a run that the guest's thread shares with the thread that started it: a
// `SharedArrayBuffer`, as an `Int32Array` (STATE, TICKET) and as a `Float64Array` (the others).

/** How far the guest is. */
const STATE = 0;
/** Its states. */
const ASKED_FOR = 0;
const STARTED = 1;
const ENDED = 2;
/**
 * The number of the run as long as its thread has not taken it. Whoever exchanges it for 0 has it:
 * the thread runs it then, or the thread that asked for it has taken it back.
 */
const TICKET = 1;

/** When it started and when it ended, in milliseconds of the clock of `guest.js`. */
const STARTED_AT = 1;
const ENDED_AT = 2;
/** How large its memories are, in bytes. */
const SIZE = 3;
/** The system's number of its thread, and how much of a processor that had had at the start. */
const THREAD = 4;
const THREAD_TIME = 5;
/** When its thread took it, by the same clock, and the exit code, where it has one. */
const TAKEN_AT = 6;
const EXIT_CODE = 7;
/** From here on: the calls and the nanoseconds of each function. */
const COUNTS = 8;

/** @param {number} functions how many there are */
function newProgress(functions) {
  return new SharedArrayBuffer(8 * (COUNTS + 2 * functions));
}

module.exports = {
  ASKED_FOR,
  COUNTS,
  ENDED,
  ENDED_AT,
  EXIT_CODE,
  newProgress,
  SIZE,
  STARTED,
  STARTED_AT,
  STATE,
  TAKEN_AT,
  THREAD,
  THREAD_TIME,
  TICKET,
};
