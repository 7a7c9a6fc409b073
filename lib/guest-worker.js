'use strict';

// The thread of a guest, which runs one job after another: see guest-thread.js.

const { parentPort, workerData } = require('node:worker_threads');
const { now, runJob } = require('./guest-job.js');
const { unpacked } = require('./job-message.js');
const { threadId, threadTime } = require('../binding.js');
const {
  COUNTS,
  ENDED,
  ENDED_AT,
  EXIT_CODE,
  SIZE,
  STARTED,
  STARTED_AT,
  STATE,
  TAKEN_AT,
  THREAD,
  THREAD_TIME,
  TICKET,
} = require('./progress.js');
const { plainError } = require('./workers.js');

/**
 * How many guests run before the event loop has a turn, in which Node gives up what was collected.
 */
const MOST_IN_A_TURN = 64;

/** Where two runs are seen: the one that goes on, and the next one. */
const places = workerData.progress.map((progress) => {
  const states = new Int32Array(progress);
  const numbers = new Float64Array(progress);
  return {
    states,
    numbers,
    progress: {
      size: numbers.subarray(SIZE, SIZE + 1),
      counts: numbers.subarray(COUNTS),
      started() {
        numbers[THREAD] = threadId();
        numbers[THREAD_TIME] = threadTime();
        numbers[STARTED_AT] = now();
        Atomics.store(states, STATE, STARTED);
      },
    },
  };
});
/** Modules that this thread has been given, with what belongs to them, by their numbers. */
const programs = new Map();
/** Jobs that came while the event loop was to have its turn. */
const backlog = [];
let runsInTurn = 0;
let isTurning = false;

parentPort.on('message', receive);
parentPort.on('messageerror', receive);

/** @param {unknown[] | Error} message a job, or why it cannot be read */
function receive(message) {
  if (isTurning) backlog.push(message);
  else take(message);
}

function take(message) {
  if (Array.isArray(message)) run(message);
  else {
    parentPort.postMessage({ outcome: { failure: plainError(message), phase: 'start' } });
  }
  if (++runsInTurn < MOST_IN_A_TURN) return;
  isTurning = true;
  setImmediate(() => {
    isTurning = false;
    runsInTurn = 0;
    while (!isTurning && backlog.length > 0) take(backlog.shift());
  });
}

function run([run, which, kept, number, forget, made, job]) {
  if (made !== undefined) programs.set(number, made);
  if (forget !== undefined) programs.delete(forget);
  const { states, numbers, progress } = places[which];
  // It was taken back.
  if (Atomics.compareExchange(states, TICKET, run, 0) !== run) return;
  numbers[TAKEN_AT] = now();
  const outcome = runJob(unpacked(job, programs.get(number), kept), progress);
  numbers[ENDED_AT] = now();
  if (outcome.exitCode !== undefined) numbers[EXIT_CODE] = outcome.exitCode;
  Atomics.store(states, STATE, ENDED);
  parentPort.postMessage(outcome.exitCode === undefined ? { run, outcome } : run);
}
