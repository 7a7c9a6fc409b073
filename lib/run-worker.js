'use strict';

// The thread of a command: see run-in-worker.js.

const { parentPort, workerData } = require('node:worker_threads');
const { WASI } = require('../index.js');

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
  const exitCode = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
  const { stdout, stderr, stdoutTruncated, stderrTruncated } = wasi;
  const stats = wasi.stats();
  wasi.close();
  parentPort.postMessage({
    result: { exitCode, stdout, stderr, stdoutTruncated, stderrTruncated, stats },
  });
} catch (error) {
  parentPort.postMessage({ failure: plain(error) });
}

/** What can be sent of an error. */
function plain(error) {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, code, errno, syscall, limit } = error;
  return { name, message, stack, code, errno, syscall, limit };
}
