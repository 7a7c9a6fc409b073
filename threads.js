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

const { isSharedArrayBuffer } = require('node:util').types;
const { WASI } = require('./index.js');
const { isBytes, isModule } = require('./lib/bytes.js');
const { nodeError, outOfRange, wrongType, wrongValue } = require('./lib/errors.js');
const { validateObject } = require('./lib/options.js');
const { checkKeys } = require('./lib/own-options.js');
const { startThreads } = require('./lib/thread-group.js');

const DEFAULT_MAX_THREADS = 64;
const getBuffer = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer').get;

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
 * @param {object} [watched] what the command line does in each thread: see lib/cli-imports.js
 * @returns {Promise<number>} the exit code: 0 when `_start` returns, or what any thread gave to
 *   `proc_exit`. It rejects with the error of a trap in any thread, or of a thread that is lost.
 *   Each ends all threads.
 */
async function runThreads(wasi, wasm, options = {}, watched = undefined) {
  if (!(wasi instanceof WASI)) throw wrongType('wasi', expectedWasi(wasi), wasi);
  validateObject(options, 'options');
  checkKeys(options, 'options', ['maxThreads', 'memory']);
  const { maxThreads = DEFAULT_MAX_THREADS } = options;
  let { memory } = options;
  if (typeof maxThreads !== 'number') {
    throw wrongType('options.maxThreads', 'of type number', maxThreads);
  }
  if (!Number.isInteger(maxThreads) || maxThreads < 0) {
    throw outOfRange('options.maxThreads', 'an integer >= 0', maxThreads);
  }
  if (memory !== undefined) {
    const buffer = bufferOf(memory);
    if (buffer === undefined) {
      throw wrongType('options.memory', 'an instance of WebAssembly.Memory', memory);
    }
    if (!isSharedArrayBuffer(buffer)) throw wrongValue('options.memory', 'must be shared', memory);
  }
  const isCompiled = isModule(wasm);
  if (!isCompiled && !isBytes(wasm)) {
    throw wrongType('wasm', 'the bytes of a module, or an instance of WebAssembly.Module', wasm);
  }
  const module = isCompiled ? wasm : await WebAssembly.compile(wasm);
  const memoryImport = WebAssembly.Module.imports(module).find(({ kind }) => kind === 'memory');
  if (memoryImport !== undefined && memory === undefined) {
    if (isCompiled) throw notThreads('A compiled module needs the option "memory"');
    // Loaded when it is first asked for. JavaScript does not tell the limits of a memory.
    const { memoryDescriptor, readModule } = require('./lib/wasm-module.js');
    const { type } = readModule(wasm).imports.find(({ kind }) => kind === 'memory');
    memory = new WebAssembly.Memory(memoryDescriptor(type));
  }
  if (memoryImport === undefined || !isSharedArrayBuffer(bufferOf(memory))) {
    throw notThreads('The module imports no shared memory: it was not built for wasi-threads');
  }

  const threads = startThreads(wasi, { module, memory, memoryImport, maxThreads, watched });
  try {
    return await threads.done;
  } finally {
    await threads.stop();
  }
}

/** `node:wasi` and other copies of this package have a class of that name, too. */
function expectedWasi(value) {
  const isNamesake = typeof value === 'object' && value?.constructor?.name === 'WASI';
  return isNamesake
    ? 'an instance of the WASI of this copy of wasi-rs: this one is of another package or copy'
    : 'an instance of WASI';
}

/** @returns {ArrayBufferLike | undefined} of a memory of any realm; `undefined` of all else */
function bufferOf(memory) {
  try {
    return getBuffer.call(memory);
  } catch {
    return undefined;
  }
}

function notThreads(message) {
  return nodeError(TypeError, 'ERR_INVALID_ARG_VALUE', message);
}

module.exports = { runThreads };
