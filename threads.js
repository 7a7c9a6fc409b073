'use strict';

// wasi-threads: a guest that starts threads (`wasi.thread-spawn`) over one shared memory, each of
// them in a Worker.
//
//   caller's thread            Worker of the main thread         Workers of its threads
//   runThreads --------------> _start
//   starts a Worker <--------- thread-spawn (a message)
//                   -----------------------------------------> wasi_thread_start
//   ends all Workers <-------- _start returned; or proc_exit or a trap in any of them
//
// The caller's thread stays free, so that it can start and end Workers at any time. All threads use
// the descriptors, arguments and environment of one WASI.

const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { [Symbol.for('wasi-rs.keys')]: keys } = require('./index.js');
const { checkKeys, validateObject } = require('./lib/options.js');
const { errorOf } = require('./lib/run-in-worker.js');
const { importedMemory } = require('./lib/wasm-memory.js');

const WORKER = join(__dirname, 'lib', 'threads-worker.js');
const DEFAULT_MAX_THREADS = 64;

/**
 * Runs a command that was built for wasi-threads.
 *
 * @param {import('./index.js').WASI} wasi its descriptors, arguments and environment are the guest's
 * @param {BufferSource | WebAssembly.Module} wasm the module; one that is compiled needs `memory`
 * @param {object} [options]
 * @param {number} [options.maxThreads] how many threads there may be beside the main one at a time;
 *   to start more fails in the guest with errno 6 (again). Default: 64
 * @param {WebAssembly.Memory} [options.memory] the shared memory; by default a new one of the size
 *   that the module asks for
 * @returns {Promise<number>} the exit code: 0 when `_start` returns, or what any thread gave to
 *   `proc_exit`. It rejects with the error of a trap in any thread. Either ends all threads.
 */
async function runThreads(wasi, wasm, options = {}) {
  validateObject(options, 'options');
  checkKeys(options, 'options', ['maxThreads', 'memory']);
  const { maxThreads = DEFAULT_MAX_THREADS } = options;
  let { memory } = options;
  if (!Number.isInteger(maxThreads) || maxThreads < 0) {
    throw new RangeError('The option "maxThreads" must be an integer of at least 0');
  }
  const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
  const memoryImport = WebAssembly.Module.imports(module).find(({ kind }) => kind === 'memory');
  if (memoryImport !== undefined && memory === undefined) {
    if (wasm === module) throw new TypeError('A compiled module needs the option "memory"');
    memory = new WebAssembly.Memory(importedMemory(wasm));
  }
  if (memoryImport === undefined || !(memory.buffer instanceof SharedArrayBuffer)) {
    throw new TypeError('The module imports no shared memory: it was not built for wasi-threads');
  }

  const { number, release } = wasi[keys.kShare]();
  // How many threads run beside the main one, and the last thread's id.
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const workerData = { number, module, memory, memoryImport, counts, maxThreads };
  const workers = new Set();
  try {
    return await new Promise((resolve, reject) => {
      function startWorker(thread) {
        const worker = new Worker(WORKER, { workerData: { ...workerData, thread } });
        workers.add(worker);
        worker.on('message', ({ spawn, exitCode, trap }) => {
          if (spawn !== undefined) startWorker(spawn);
          else if (exitCode !== undefined) resolve(exitCode);
          else reject(errorOf(trap));
        });
        worker.on('error', reject);
        worker.on('exit', () => {
          workers.delete(worker);
          if (thread !== undefined) Atomics.sub(counts, 0, 1);
        });
      }
      startWorker(undefined);
    });
  } finally {
    await Promise.all(Array.from(workers, (worker) => worker.terminate()));
    release();
  }
}

module.exports = { runThreads };
