'use strict';

// A command in a thread of its own, which can be ended at any time.

const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { limitReached } = require('./ends.js');
const { outOfRange, wrongType, wrongValue } = require('./errors.js');
const { checkKeys, validateObject } = require('./options.js');
const { after, endWorker, errorOf } = require('./workers.js');

const WORKER = join(__dirname, 'run-worker.js');

/**
 * Runs a command in a Worker.
 *
 * @param {BufferSource | WebAssembly.Module} wasm
 * @param {import('../index.js').WASIOptions} [options] no functions: they cannot be sent to a
 *   Worker. The standard output and error are collected unless they are said to go elsewhere.
 * @param {{ timeoutMs?: number }} [limits] after so many milliseconds, 0 to Infinity, the guest is
 *   ended, whatever it does
 * @returns {Promise<{ exitCode: number, stdout?: Uint8Array, stderr?: Uint8Array }>} It rejects
 *   with the error of a trap, with that of an option, and with `ERR_WASI_LIMIT` when the time is
 *   over.
 */
async function runInWorker(wasm, options = {}, limits = {}) {
  validateObject(limits, 'limits');
  checkKeys(limits, 'limits', ['timeoutMs']);
  const { timeoutMs = Infinity } = limits;
  if (typeof timeoutMs !== 'number') throw wrongType('timeoutMs', 'of type number', timeoutMs);
  if (!(timeoutMs >= 0)) throw outOfRange('timeoutMs', '>= 0', timeoutMs);
  if (options?.suspend === true) {
    const reason = 'must be left out: the thread of the Worker waits for this guest alone';
    throw wrongValue('options.suspend', reason, true);
  }
  const worker = new Worker(WORKER, { workerData: bounded(wasm, options) });
  let giveUp;
  let isDone = false;
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', ({ result, failure }) => {
        isDone = true;
        if (result) resolve(result);
        else reject(errorOf(failure));
      });
      worker.on('error', reject);
      worker.on('exit', (code) => reject(new Error(`The guest's thread ended with code ${code}`)));
      giveUp = after(timeoutMs, () => {
        reject(limitReached('timeoutMs', `The guest has run for its ${timeoutMs} ms`));
      });
    });
  } finally {
    giveUp();
    const ending = endWorker(worker);
    // A guest that has left its result has ended, though V8 may still compile it in its thread. One
    // that has not is ended first, so that it does nothing after this function has told its caller.
    if (!isDone) await ending;
  }
}

/**
 * Keeps the limits that are kept by changing the module, and takes them out of the options: a WASI
 * cannot keep them.
 *
 * @returns {{ wasm: BufferSource | WebAssembly.Module, options: object }}
 */
function bounded(wasm, options) {
  const { memoryBytes, tableElements, ...limits } = options?.limits ?? {};
  if (memoryBytes === undefined && tableElements === undefined) return { wasm, options };
  checkCount(memoryBytes, 'options.limits.memoryBytes');
  checkCount(tableElements, 'options.limits.tableElements');
  if (wasm instanceof WebAssembly.Module) {
    throw wrongType(
      'wasm',
      'the bytes of a module beside the limits memoryBytes and tableElements, which a compiled module cannot be given',
      wasm,
    );
  }
  const { limited } = require('./wasm-module.js');
  return {
    wasm: limited(wasm, { memoryBytes, tableElements }),
    options: { ...options, limits },
  };
}

function checkCount(value, name) {
  if (value === undefined) return;
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange(name, `an integer >= 0 && <= ${Number.MAX_SAFE_INTEGER}`, value);
  }
}

module.exports = { runInWorker };
