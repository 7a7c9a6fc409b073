'use strict';

// The thread of a command: see run-in-worker.js.

const { parentPort, workerData } = require('node:worker_threads');
const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { plainError } = require('./workers.js');

const { wasm, options } = workerData;

try {
  const wasi = new WASI({
    version: 'preview1',
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    ...options,
    returnOnExit: true,
  });
  const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm);
  let instance;
  // A guest may end in its start section already.
  const ended = wasi[keys.kRun](() => {
    instance = new WebAssembly.Instance(module, wasi.getImportObject());
  });
  const exitCode = ended === undefined ? wasi.start(instance) : ended.exitCode;
  const { stdout, stderr, stdoutTruncated, stderrTruncated } = wasi;
  const stats = wasi.stats();
  wasi.close();
  parentPort.postMessage({
    result: { exitCode, stdout, stderr, stdoutTruncated, stderrTruncated, stats },
  });
} catch (error) {
  parentPort.postMessage({ failure: plainError(error) });
}
