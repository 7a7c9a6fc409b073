'use strict';

// Ends the process when the guest's time is over, from a thread of its own, so that it does so
// whatever the guest does: also on Bun and Deno, where a thread that computes cannot be ended.

const { lstatSync, unlinkSync, writeSync } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const { exitProcess } = require('../binding.js');
const { statistics } = require('./cli-trace.js');

const { started, milliseconds, message, code, functions, counts, sockets } = workerData;

parentPort.postMessage('ready');
// The guest's time begins when it does.
Atomics.wait(started, 0, 0);
// In parts: a wait takes what fits in a number of 32 bits.
const begin = process.hrtime.bigint();
for (;;) {
  const left = milliseconds - Number(process.hrtime.bigint() - begin) / 1e6;
  if (left <= 0) break;
  Atomics.wait(started, 1, 0, Math.min(left, 2 ** 31 - 1));
}
try {
  writeSync(2, message + (counts === undefined ? '' : statistics(functions, counts)));
} catch {
  // Nobody reads it.
}
for (const { path, identity } of sockets) {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    if (dev === identity[0] && ino === identity[1]) unlinkSync(path);
  } catch {
    // It is gone.
  }
}
exitProcess(code);
