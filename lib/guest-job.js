'use strict';

// A guest's run from its job, which is plain data, to its outcome, which is plain data too. It
// stands between what starts guests (guest-thread.js in this process; a process of their own) and
// the guest: whoever has a job and something that reports progress can run it, in any thread and
// process.

const { exposeRun, instanceId } = require('../binding.js');
const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { now } = require('./time.js');
const { plainError } = require('./workers.js');

/**
 * @typedef {object} Job
 * @property {WebAssembly.Module} module
 * @property {object} native what `createInstance` takes, as `checkedOptions` gives it
 * @property {object} [observers] `hostCalls`, `trace`, `stats`
 * @property {string[]} names the guest's names of all preopens
 * @property {{ module: string, name: string, descriptor: object }} [memory] what it imports
 * @property {number} [memoryBytes] how much its memories may have together. V8 keeps to it; a
 *   process bounds what it takes beside them
 * @property {boolean} hasStart whether instantiating it may run code of the guest
 * @property {boolean} [asText] whether its output may be handed over as strings
 * @property {number} [place] where its output and trees are kept: `reserveRun` gave it
 */

/**
 * The view that others have of a run while it runs. Its numbers lie in memory that threads may
 * share.
 *
 * @typedef {object} Progress
 * @property {() => void} started the guest's time begins
 * @property {Float64Array} size how large the memories are, in bytes: one number
 * @property {Float64Array} [counts] calls and nanoseconds of each function
 */

/**
 * @typedef {{ exitCode: number } | { failure: object, phase: 'start' | 'link' | 'run' }} Outcome
 *   `failure` is of `plainError`. `'start'`: there is no guest, as an option cannot be kept.
 *   `'link'`: instantiating failed.
 */

/**
 * Runs a guest to its end.
 *
 * @param {Job} job
 * @param {Progress} progress
 * @returns {Outcome}
 */
function runJob(job, progress) {
  const { module, native, observers, names, hasStart, place } = job;
  let wasi;
  let phase = 'start';
  try {
    wasi = WASI[keys.kChecked]({
      native,
      functions: undefined,
      observers: observers && { ...observers, counts: progress.counts },
      isOwnThread: false,
      names,
      isOurs: true,
      lent: undefined,
    });
    wasi[keys.kGuest].size = progress.size;
    const id = instanceId(wasi[keys.kHandle]);
    if (place !== undefined && !exposeRun(id, place)) throw new Error('The run was given up');

    phase = 'link';
    const imports = own(wasi.getImportObject());
    let memory;
    if (job.memory !== undefined) {
      memory = new WebAssembly.Memory(job.memory.descriptor);
      imports[job.memory.module] = own(imports[job.memory.module]);
      imports[job.memory.module][job.memory.name] = memory;
    }
    let instance;
    if (hasStart) progress.started();
    // A guest may end in its start section already.
    const ended = keys.runGuest(wasi[keys.kGuest], () => {
      instance = new WebAssembly.Instance(module, imports);
    });
    if (ended !== undefined) return { exitCode: ended.exitCode };
    phase = 'run';
    const { exports } = instance;
    const { _start } = exports;
    memory ??= exports.memory instanceof WebAssembly.Memory ? exports.memory : noMemory();
    const memories = new Set(
      [memory, ...Object.values(exports)].filter((one) => one instanceof WebAssembly.Memory),
    );
    measure(memories, progress.size);
    if (!hasStart) progress.started();
    try {
      return { exitCode: wasi.start({ exports: { memory, _start } }) };
    } finally {
      measure(memories, progress.size);
    }
  } catch (error) {
    return { failure: plainError(error), phase };
  } finally {
    wasi?.close();
  }
}

/** Names that the module chose, `__proto__` among them: such an object inherits nothing. */
function own(values) {
  return Object.assign(Object.create(null), values);
}

/** A program that calls no function of WASI need not have a memory. */
function noMemory() {
  return new WebAssembly.Memory({ initial: 0 });
}

function measure(memories, size) {
  let bytes = 0;
  for (const { buffer } of memories) bytes += buffer.byteLength;
  size[0] = bytes;
}

module.exports = { now, runJob };
