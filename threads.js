'use strict';

// wasi-threads: a guest that starts threads (`wasi.thread-spawn`) over one shared memory, each of
// them in a Worker.
//
//   caller's thread            Worker of the main thread         Workers of its threads
//   runThreads --------------> _start
//   starts a Worker <--------- thread-spawn (a message)
//                   -----------------------------------------> stands, and says so by `state`
//                              thread-spawn returns            wasi_thread_start
//   ends all Workers <-------- _start returned; or proc_exit or a trap in any of them
//
// The caller's thread stays free, so that it can start and end Workers at any time. All threads use
// the descriptors, arguments and environment of one WASI.
//
// `thread-spawn` waits for the Worker, because a guest that was given the id of a thread waits for
// what the thread does. So each thread asks for one Worker at a time, and knows when there can be
// none.

const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const { [Symbol.for('wasi-rs.keys')]: keys } = require('./index.js');
const { checkKeys, validateObject } = require('./lib/options.js');
const { endWorker, errorOf } = require('./lib/workers.js');

const WORKER = join(__dirname, 'lib', 'threads-worker.js');
const DEFAULT_MAX_THREADS = 64;

/**
 * How many milliseconds all Workers have to end. Node ends every one, if not before a long call of
 * the host's has returned; Bun and Deno never end one that computes.
 */
const TERMINATION_LIMIT = process.versions.bun || process.versions.deno ? 1000 : 10_000;

// Places in `counts`, as in threads-worker.js.
const RUNNING = 0;
const OVER = 2;

// The states of a thread that was asked for, likewise.
const ASKED_FOR = 0;
const STANDS = 1;
const FAILED = 2;

/**
 * Runs a command that was built for wasi-threads.
 *
 * @param {import('./index.js').WASI} wasi its descriptors, arguments and environment are the
 *   guest's
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
    // Loaded when it is first asked for. JavaScript does not tell the limits of a memory.
    const { memoryDescriptor, readModule } = require('./lib/wasm-module.js');
    const { type } = readModule(wasm).imports.find(({ kind }) => kind === 'memory');
    memory = new WebAssembly.Memory(memoryDescriptor(type));
  }
  if (memoryImport === undefined || !(memory.buffer instanceof SharedArrayBuffer)) {
    throw new TypeError('The module imports no shared memory: it was not built for wasi-threads');
  }

  const { number, release } = wasi[keys.kShare]();
  // How many threads run beside the main one; the last thread's id; whether all is over.
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const workerData = { number, module, memory, memoryImport, counts, maxThreads };
  const workers = new Set();
  // Threads that were asked for, in their order. To start a Worker takes milliseconds: one is
  // started in each turn of the event loop, so that the caller's own affairs have theirs.
  const askedFor = [];
  let turn;
  let isOver = false;
  try {
    return await new Promise((resolve, reject) => {
      function ask(thread) {
        // From a Worker that is being ended.
        if (isOver) return;
        askedFor.push(thread);
        turn ??= setImmediate(startNext);
      }

      function startNext() {
        const thread = askedFor.shift();
        try {
          startWorker(thread);
        } catch {
          // Where the system has no more threads.
          fail(thread);
          Atomics.sub(counts, RUNNING, 1);
        }
        turn = askedFor.length > 0 ? setImmediate(startNext) : undefined;
      }

      function startWorker(thread) {
        const worker = new Worker(WORKER, { workerData: { ...workerData, thread } });
        workers.add(worker);
        worker.on('message', ({ spawn, exitCode, trap }) => {
          if (spawn !== undefined) ask(spawn);
          else if (exitCode !== undefined) resolve(exitCode);
          else reject(errorOf(trap));
        });
        worker.on('error', (error) => {
          if (thread === undefined || !fail(thread)) reject(error);
        });
        worker.on('exit', (code) => {
          workers.delete(worker);
          if (thread === undefined) {
            reject(new Error(`The guest's main thread ended with code ${code}`));
          } else {
            fail(thread);
            Atomics.sub(counts, RUNNING, 1);
          }
        });
      }

      startWorker(undefined);
    });
  } finally {
    isOver = true;
    Atomics.store(counts, OVER, 1);
    clearImmediate(turn);
    await Promise.all(Array.from(workers, (worker) => endWorker(worker, TERMINATION_LIMIT)));
    release();
  }
}

/**
 * @returns {boolean} whether the thread never stood: who asked for it is told, and nobody else need
 * know
 */
function fail({ state }) {
  const before = Atomics.compareExchange(state, 0, ASKED_FOR, FAILED);
  if (before === ASKED_FOR) Atomics.notify(state, 0);
  return before !== STANDS;
}

module.exports = { runThreads };
