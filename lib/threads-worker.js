'use strict';

// One thread of a guest that was built for wasi-threads: see threads.js.

const { parentPort, workerData } = require('node:worker_threads');
const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { STARTED, STARTED_AT, STATE } = require('./progress.js');
const { now } = require('./time.js');
const { plainError } = require('./workers.js');

const { number, module: wasm, memory, memoryImport, counts, maxThreads, watched } = workerData;
/** The thread that was asked for; `undefined` is the main one. */
const thread = workerData.asked;

// Places in `counts`.
const RUNNING = 0;
const LAST_ID = 1;
const OVER = 2;

// The states of a thread that was asked for.
const ASKED_FOR = 0;
const STANDS = 1;
const FAILED = 2;
const ENDED = 3;

/** The largest id that wasi-threads has for a thread. */
const MAX_ID = 0x1fffffff;
/** The answer of `thread-spawn` when there can be no more threads: minus errno again. */
const AGAIN = -6;
/**
 * How many milliseconds `thread-spawn` waits at a time: a runtime may end a Worker only in between.
 */
const SLICE = 50;

let wasi;
let exited = false;

try {
  const instance = stand();
  if (instance !== undefined) run(instance);
} catch (error) {
  parentPort.postMessage({ trap: plainError(error) });
}
// A thread that has gone and has not said so is lost.
if (thread !== undefined) Atomics.compareExchange(thread.state, 0, STANDS, ENDED);

/**
 * @returns {WebAssembly.Instance | undefined} none if this thread cannot be, or has ended already
 */
function stand() {
  let instance;
  let ended;
  try {
    wasi = WASI[keys.kAttach](number);
    const { wasiImport } = wasi;
    const { proc_exit } = wasiImport;
    wasiImport.proc_exit = (code) => {
      exited = true;
      proc_exit(code);
    };
    const own = {
      wasi_snapshot_preview1: wasiImport,
      wasi: { 'thread-spawn': spawn },
      [memoryImport.module]: { [memoryImport.name]: memory },
    };
    const imports =
      watched === undefined
        ? own
        : require(watched.code).watchThread(own, watched, memory, thread?.id);
    if (workerData.hasStart === true) reportStart();
    // A guest may end in its start section already.
    ended = keys.runGuest(wasi[keys.kGuest], () => {
      instance = new WebAssembly.Instance(wasm, imports);
    });
  } catch (error) {
    // Where there is no more memory. A trap in the start section is a trap like any other.
    if (thread !== undefined && error instanceof RangeError && arrive(FAILED)) return undefined;
    throw error;
  }
  arrive(STANDS);
  if (ended !== undefined) parentPort.postMessage({ exitCode: ended.exitCode });
  return ended === undefined ? instance : undefined;
}

function run({ exports: { _start, wasi_thread_start } }) {
  if (workerData.hasStart !== true) reportStart();
  const entry = thread === undefined ? _start : () => wasi_thread_start(thread.id, thread.argument);
  const exitCode = wasi.start({ exports: { memory, _start: entry } });
  // A thread that returns ends alone.
  if (thread === undefined || exited) parentPort.postMessage({ exitCode });
}

/** The guest's time begins, with its main thread. */
function reportStart() {
  const { progress } = workerData;
  if (progress === undefined || thread !== undefined) return;
  new Float64Array(progress)[STARTED_AT] = now();
  Atomics.store(new Int32Array(progress), STATE, STARTED);
}

/** Tells who asked for this thread what became of it. */
function arrive(state) {
  if (thread === undefined) return true;
  const before = Atomics.compareExchange(thread.state, 0, ASKED_FOR, state);
  Atomics.notify(thread.state, 0);
  return before === ASKED_FOR;
}

/** @returns {number} the id of the new thread, or a negative errno */
function spawn(argument) {
  keys.checkRunning(wasi[keys.kGuest]);
  if (Atomics.add(counts, RUNNING, 1) >= maxThreads) {
    Atomics.sub(counts, RUNNING, 1);
    return AGAIN;
  }
  const id = (Atomics.add(counts, LAST_ID, 1) % MAX_ID) + 1;
  const state = new Int32Array(new SharedArrayBuffer(4));
  parentPort.postMessage({ spawn: { id, argument, state } });
  while (waited(state) === ASKED_FOR) {
    // Nobody will start it any more, and this thread is being ended.
    if (Atomics.load(counts, OVER) === 1) wasi.wasiImport.proc_exit(0);
  }
  return Atomics.load(state, 0) === FAILED ? AGAIN : id;
}

/** Waits for a slice of time. @returns {number} the state after it */
function waited(state) {
  Atomics.wait(state, 0, ASKED_FOR, SLICE);
  return Atomics.load(state, 0);
}
