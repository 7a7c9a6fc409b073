'use strict';

// A guest that starts threads (wasi-threads), as guest-thread.js describes a run.

const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { leftBy } = require('./left.js');
const { newProgress, STARTED, STARTED_AT, STATE } = require('./progress.js');
const { noMemory } = require('./supervise.js');
const { startThreads } = require('./thread-group.js');
const { now } = require('./time.js');
const { plainError } = require('./workers.js');

const LOST = new Set(['ERR_WASI_CRASH', 'ERR_WORKER_OUT_OF_MEMORY']);

/**
 * @param {object} program its parts
 * @param {object} checked what `checkedRun` gives
 * @returns {ThreadsRun}
 */
function start(program, checked) {
  const { native, names, observers } = checked.jobFor(program.name);
  const memory = newMemory(program.memory.descriptor);
  const wasi = WASI[keys.kChecked]({ ...checked.checked, native, observers });
  return new ThreadsRun(wasi, memory, { program, names, maxThreads: checked.maxThreads });
}

function newMemory(descriptor) {
  try {
    return new WebAssembly.Memory(descriptor);
  } catch (error) {
    throw noMemory(error);
  }
}

class ThreadsRun {
  #wasi;
  #memory;
  #names;
  #threads;
  #progress = newProgress(0);
  #endedAt;

  constructor(wasi, memory, { program, names, maxThreads }) {
    this.#wasi = wasi;
    this.#memory = memory;
    this.#names = names;
    try {
      this.#threads = startThreads(wasi, {
        module: program.module,
        memory,
        memoryImport: program.memory,
        maxThreads,
        hasStart: program.hasStart,
        progress: this.#progress,
      });
    } catch (error) {
      wasi.close();
      throw error;
    }
    this.done = this.#end();
  }

  async #end() {
    try {
      const exitCode = await this.#threads.done;
      this.#endedAt = now();
      return { exitCode };
    } catch (error) {
      this.#endedAt = now();
      // A thread that is lost is no trap of the guest's.
      if (LOST.has(error?.code)) return { gone: error };
      return { failure: plainError(error), phase: 'run' };
    } finally {
      await this.#threads.stop();
      this.#wasi.close();
    }
  }

  startedAt() {
    if (Atomics.load(new Int32Array(this.#progress), STATE) !== STARTED) return undefined;
    return new Float64Array(this.#progress)[STARTED_AT];
  }

  isOver() {
    return this.#endedAt !== undefined;
  }

  facts() {
    return { thread: 0, before: 0, memoryBytes: this.#memory.buffer.byteLength };
  }

  starved() {
    return 0;
  }

  async stop() {
    await this.#threads.stop();
    this.#wasi.close();
  }

  left() {
    return {
      ...leftBy(this.#wasi[keys.kHandle], this.#names),
      memoryBytes: this.#memory.buffer.byteLength,
      endedAt: this.#endedAt ?? now(),
      stats: undefined,
    };
  }

  release() {}
}

module.exports = { start };
