// One run: in this thread, in a Worker of one's own (programs.mjs), or in one of piscina's.
'use strict';

const { isMainThread, parentPort, workerData } = require('node:worker_threads');
const { WASI } = require('../index.js');

const OPTIONS = {
  version: 'preview1',
  args: ['demo'],
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'pipe',
};

function runHere(module) {
  const wasi = new WASI(OPTIONS);
  const exitCode = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
  const result = { exitCode, stdout: Buffer.from(wasi.stdout).toString() };
  wasi.close();
  return result;
}

if (!isMainThread && workerData?.module !== undefined) {
  const { isEcho, module } = workerData;
  parentPort.on('message', (id) => {
    parentPort.postMessage({ id, result: isEcho ? id : runHere(module) });
  });
}

/** A task of piscina's. */
module.exports = () => runHere(require('piscina').workerData.module);
module.exports.OPTIONS = OPTIONS;
module.exports.runHere = runHere;
