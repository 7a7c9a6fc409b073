'use strict';

// The thread of a guest, which runs one job after another: see guest-thread.js.

const { parentPort, workerData } = require('node:worker_threads');
const { now, runJob } = require('./guest-job.js');
const { threadId, threadTime } = require('../binding.js');
const {
  COUNTS,
  ENDED,
  ENDED_AT,
  SIZE,
  STARTED,
  STARTED_AT,
  STATE,
  THREAD,
  THREAD_TIME,
} = require('./progress.js');
const { plainError } = require('./workers.js');

const states = new Int32Array(workerData.progress);
const numbers = new Float64Array(workerData.progress);
const size = numbers.subarray(SIZE, SIZE + 1);
const counts = numbers.subarray(COUNTS);
/** Modules that this thread has been given, by their numbers. */
const modules = new Map();

const progress = {
  size,
  counts,
  started() {
    numbers[THREAD] = threadId();
    numbers[THREAD_TIME] = threadTime();
    numbers[STARTED_AT] = now();
    Atomics.store(states, STATE, STARTED);
  },
};

parentPort.on('message', ({ job, run, program, forget }) => {
  if (job.module !== undefined) modules.set(program, job.module);
  for (const one of forget) modules.delete(one);
  const outcome = runJob({ ...job, module: modules.get(program) }, progress);
  numbers[ENDED_AT] = now();
  Atomics.store(states, STATE, ENDED);
  parentPort.postMessage({ run, outcome });
});

parentPort.on('messageerror', (error) => {
  parentPort.postMessage({ outcome: { failure: plainError(error), phase: 'start' } });
});
