'use strict';

// One thread of a guest that was built for wasi-threads: see threads.js.

const { parentPort, workerData } = require('node:worker_threads');
const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');

const { number, module: wasm, memory, memoryImport, counts, maxThreads, thread } = workerData;

// Places in `counts`.
const RUNNING = 0;
const LAST_ID = 1;
/** The largest id that wasi-threads has for a thread. */
const MAX_ID = 0x1fffffff;
/** What `thread-spawn` answers when there can be no more threads: minus errno again. */
const AGAIN = -6;

const wasi = WASI[keys.kAttach](number, { version: 'preview1' });
const { wasiImport } = wasi;
let exited = false;
const { proc_exit } = wasiImport;
wasiImport.proc_exit = (code) => {
  exited = true;
  proc_exit(code);
};

const instance = new WebAssembly.Instance(wasm, {
  wasi_snapshot_preview1: wasiImport,
  wasi: { 'thread-spawn': spawn },
  [memoryImport.module]: { [memoryImport.name]: memory },
});

try {
  const { _start, wasi_thread_start } = instance.exports;
  const run = thread === undefined ? _start : () => wasi_thread_start(thread.id, thread.argument);
  const exitCode = wasi.start({ exports: { memory, _start: run } });
  // A thread that returns ends alone.
  if (thread === undefined || exited) parentPort.postMessage({ exitCode });
} catch (error) {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  parentPort.postMessage({ trap: { name, message, stack } });
}

/** @returns {number} the id of the new thread, or a negative errno */
function spawn(argument) {
  if (Atomics.add(counts, RUNNING, 1) >= maxThreads) {
    Atomics.sub(counts, RUNNING, 1);
    return AGAIN;
  }
  const id = (Atomics.add(counts, LAST_ID, 1) % MAX_ID) + 1;
  parentPort.postMessage({ spawn: { id, argument } });
  return id;
}
