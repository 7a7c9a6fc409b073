'use strict';

// A command in a thread of its own, which can be ended at any time.

const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { limitReached, wrongType } = require('./errors.js');
const { checkKeys, validateObject } = require('./options.js');

const WORKER = join(__dirname, 'run-worker.js');
/** How many milliseconds a thread has to end. */
const TERMINATION_LIMIT = 1000;

/**
 * Runs a command in a Worker.
 *
 * @param {BufferSource | WebAssembly.Module} wasm
 * @param {import('./index.js').WASIOptions} [options] what can be sent to a Worker: no functions. The
 *   standard output and error are collected unless they are said to go elsewhere.
 * @param {{ timeoutMs?: number }} [limits] after so many milliseconds the guest is ended, whatever it does
 * @returns {Promise<{ exitCode: number, stdout?: Uint8Array, stderr?: Uint8Array }>} It rejects with the
 *   error of a trap, and with `ERR_WASI_LIMIT` when the time is over.
 */
async function runInWorker(wasm, options = {}, limits = {}) {
  validateObject(limits, 'limits');
  checkKeys(limits, 'limits', ['timeoutMs']);
  const { timeoutMs } = limits;
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw wrongType('timeoutMs', 'of type number', timeoutMs);
  }
  const worker = new Worker(WORKER, { workerData: { wasm, options } });
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', ({ result, failure }) =>
        result ? resolve(result) : reject(errorOf(failure)),
      );
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`The guest's thread ended with code ${code}`)));
      if (timeoutMs !== undefined) {
        const message = `The guest has run for its ${timeoutMs} ms`;
        timer = setTimeout(() => reject(limitReached('timeoutMs', message)), timeoutMs);
      }
    });
  } finally {
    clearTimeout(timer);
    await end(worker);
  }
}

/** Ends a thread. Bun cannot while it computes: it is then left behind, and keeps no process from ending. */
async function end(worker) {
  let timer;
  const givenUp = new Promise((resolve) => {
    timer = setTimeout(resolve, TERMINATION_LIMIT);
  });
  await Promise.race([worker.terminate(), givenUp]);
  clearTimeout(timer);
  worker.unref();
}

/** An error of another thread as one of this thread. */
function errorOf({ name, message, stack, ...own }) {
  const Kind = name === 'RuntimeError' ? WebAssembly.RuntimeError : Error;
  const error = Object.assign(new Kind(message), own);
  error.stack = stack;
  return error;
}

module.exports = { errorOf, runInWorker };
