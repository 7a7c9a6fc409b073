'use strict';

// The threads of one guest that was built for wasi-threads: see ../threads.js, which says how it
// works.

const { [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { nodeError } = require('./errors.js');
const { startWorker } = require('./start-worker.js');
const { clearImmediate, setImmediate } = require('./time.js');
const { endWorker, errorOf } = require('./workers.js');

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
 * Starts the main thread of a guest.
 *
 * @param {import('../index.js').WASI} wasi its descriptors, arguments and environment are the
 *   guest's
 * @param {object} guest `module`, `memory`, `memoryImport` (its `module` and `name`), `maxThreads`;
 *   and, if others want to see when the guest starts, `progress`, where they see it (progress.js),
 *   and `hasStart`, whether instantiating the module may run code of the guest
 * @returns {{ done: Promise<number>, stop: () => Promise<void> }} `done`: the exit code, or the
 *   error of a trap in any thread, or of a thread that was lost (`ERR_WASI_CRASH`, or Node's of a
 *   Worker without memory). `stop` ends all threads, and must be called in the end.
 */
function startThreads(wasi, guest) {
  const { number, release } = wasi[keys.kShare]();
  // How many threads run beside the main one; the last thread's id; whether all is over.
  const counts = new Int32Array(new SharedArrayBuffer(12));
  const workerData = { ...guest, thread: true, number, counts };
  const workers = new Set();
  // Threads that were asked for, in their order. To start a Worker takes milliseconds: one is
  // started in each turn of the event loop, so that the caller's own affairs have theirs.
  const askedFor = [];
  let turn;
  let isOver = false;
  let stopping;

  const done = new Promise((resolve, reject) => {
    function ask(thread) {
      // From a Worker that is being ended.
      if (isOver) return;
      askedFor.push(thread);
      turn ??= setImmediate(startNext);
    }

    function startNext() {
      const thread = askedFor.shift();
      try {
        start(thread);
      } catch {
        // Where the system has no more threads.
        fail(thread);
        Atomics.sub(counts, RUNNING, 1);
      }
      turn = askedFor.length > 0 ? setImmediate(startNext) : undefined;
    }

    function start(asked) {
      const worker = startWorker({ ...workerData, asked });
      workers.add(worker);
      worker.on('message', ({ spawn, exitCode, trap }) => {
        if (spawn !== undefined) ask(spawn);
        else if (exitCode !== undefined) resolve(exitCode);
        else reject(errorOf(trap));
      });
      worker.on('error', (error) => {
        if (asked === undefined || !fail(asked)) reject(error);
      });
      worker.on('exit', (code) => {
        workers.delete(worker);
        if (asked === undefined) {
          reject(lost('main thread', code));
        } else {
          // Others of the guest may wait for what only this thread would have done.
          if (!fail(asked) && Atomics.load(asked.state, 0) === STANDS) {
            reject(lost(`thread ${asked.id}`, code));
          }
          Atomics.sub(counts, RUNNING, 1);
        }
      });
    }

    start(undefined);
  });

  async function stop() {
    isOver = true;
    Atomics.store(counts, OVER, 1);
    clearImmediate(turn);
    await Promise.all(Array.from(workers, (worker) => endWorker(worker, TERMINATION_LIMIT)));
    release();
  }

  return { done, stop: () => (stopping ??= stop()) };
}

/**
 * @returns {boolean} whether the thread never stood: who asked for it is told, and nobody else need
 * know
 */
function fail({ state }) {
  const before = Atomics.compareExchange(state, 0, ASKED_FOR, FAILED);
  if (before === ASKED_FOR) Atomics.notify(state, 0);
  return before === ASKED_FOR || before === FAILED;
}

/** The error of a guest whose thread has gone without a word. */
function lost(thread, code) {
  return nodeError(Error, 'ERR_WASI_CRASH', `The guest's ${thread} ended with code ${code}`);
}

module.exports = { startThreads };
