'use strict';

// Warm Workers for any number of programs.

const { availableParallelism, cpus } = require('node:os');
const { nodeError, outOfRange, wrongType, wrongValue } = require('./errors.js');
const { now } = require('./guest.js');
const { validateOwnObject } = require('./own-options.js');
const { jobOf, programFor, readyParts, resultOf, unlessEnded } = require('./run.js');
const { checkedIsolation, checkedRun } = require('./run-options.js');
const { enterGate, leaveWhenStarted } = require('./start-gate.js');
const { supervise } = require('./supervise.js');

const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

/** As described in index.d.ts. */
class Pool {
  #size;
  #maxQueue;
  #maxRunsPerWorker;
  #isolation;
  /** All Workers that have not ended, by how many runs they have had. */
  #workers = new Map();
  /** Those of them that have nothing to do, the one that had last at the end. */
  #idle = [];
  /** The runs that wait for their turn. */
  #queue = new Set();
  /** How many runs have their turn. */
  #active = 0;
  #closing;
  #onEmpty = () => {};

  constructor(options = {}) {
    validateOwnObject(options, 'options', ['size', 'maxQueue', 'maxRunsPerWorker', 'isolation']);
    const { size, maxQueue, maxRunsPerWorker, isolation } = options;
    this.#size =
      size === undefined ? (availableParallelism?.() ?? cpus().length) : count(size, 'size', 1);
    this.#maxQueue = endless(maxQueue, 'maxQueue', 0);
    this.#maxRunsPerWorker = endless(maxRunsPerWorker, 'maxRunsPerWorker', 1);
    this.#isolation = checkedIsolation(isolation);
  }

  /** How many runs wait for a Worker. */
  get queued() {
    return this.#queue.size;
  }

  /**
   * As described in index.d.ts.
   *
   * @param {unknown} wasm
   * @param {object} [options]
   * @returns {Promise<object>}
   */
  async run(wasm, options = {}) {
    const checked = checkedRun('pool', options, this.#isolation);
    if (this.#closing !== undefined) {
      throw nodeError(Error, 'ERR_WASI_POOL_CLOSED', 'The pool is closed');
    }
    const { signal } = checked;
    if (signal?.aborted) throw signal.reason;
    if (this.#active >= this.#size) await this.#turn(signal);
    else this.#active++;
    try {
      return await this.#run(wasm, checked);
    } finally {
      this.#next();
    }
  }

  /** Waits for a turn, or for the signal. */
  #turn(signal) {
    if (this.#queue.size >= this.#maxQueue) {
      throw nodeError(
        Error,
        'ERR_WASI_POOL_FULL',
        `The pool has ${this.#active} runs, and ${this.#queue.size} wait: its "maxQueue"`,
      );
    }
    return new Promise((resolve, reject) => {
      const begin = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#queue.delete(begin);
        reject(signal.reason);
      };
      this.#queue.add(begin);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Gives the turn of a run that has ended to one that waits. */
  #next() {
    const [begin] = this.#queue;
    if (begin !== undefined) {
      this.#queue.delete(begin);
      begin();
    } else if (--this.#active === 0) {
      this.#onEmpty();
    }
  }

  async #run(wasm, checked) {
    const begun = now();
    const program = readyParts(wasm, checked) ?? (await programFor(wasm, checked));
    if (program.reason !== undefined) return resultOf(program, begun, checked);
    if (program.what.kind === 'threads') {
      throw wrongValue('wasm', 'starts threads, which a Pool does not run: use run()', wasm);
    }
    // One that stands already.
    if (this.#idle.length > 0) return this.#runOn(this.#take(), program, checked, begun);
    const turn = enterGate();
    try {
      const given = await unlessEnded(turn.entered, checked, {});
      if (given !== undefined) return resultOf(given, begun, checked);
      return await this.#runOn(this.#take(), program, checked, begun, turn);
    } finally {
      turn.leave();
    }
  }

  async #runOn(worker, program, checked, begun, turn) {
    let end;
    try {
      const run = worker.run(jobOf(program, checked));
      if (turn !== undefined) leaveWhenStarted(turn, run);
      end = await supervise(run, checked);
    } finally {
      this.#release(worker);
    }
    return resultOf(end, begun, checked);
  }

  #take() {
    const worker = this.#idle.pop() ?? this.#add();
    worker.hold(true);
    return worker;
  }

  #add() {
    const worker = newWorker(this.#isolation, () => {
      this.#workers.delete(worker);
      const place = this.#idle.indexOf(worker);
      if (place >= 0) this.#idle.splice(place, 1);
    });
    this.#workers.set(worker, 0);
    return worker;
  }

  #release(worker) {
    if (worker.isFree) {
      const runs = this.#workers.get(worker) + 1;
      if (runs < this.#maxRunsPerWorker) {
        this.#workers.set(worker, runs);
        this.#rest(worker);
        return;
      }
      worker.stop();
    }
    // The next run finds another one that stands already.
    if (this.#closing === undefined && this.#workers.size < this.#size) this.#rest(this.#add());
  }

  #rest(worker) {
    worker.hold(false);
    this.#idle.push(worker);
  }

  /**
   * Lets all runs that were asked for come to their end, and ends all Workers.
   *
   * @returns {Promise<void>}
   */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    if (this.#active > 0) {
      await new Promise((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    await Promise.all(Array.from(this.#workers.keys(), (worker) => worker.stop()));
  }

  [ASYNC_DISPOSE]() {
    return this.close();
  }
}

function newWorker(isolation, onExit) {
  if (isolation === 'process') {
    const { GuestProcess } = require('./guest-process.js');
    return new GuestProcess(onExit);
  }
  const { GuestThread } = require('./guest-thread.js');
  return new GuestThread(onExit);
}

function count(value, name, least) {
  if (typeof value !== 'number') throw wrongType(`options.${name}`, 'of type number', value);
  if (!Number.isSafeInteger(value) || value < least) {
    throw outOfRange(`options.${name}`, `an integer >= ${least}`, value);
  }
  return value;
}

function endless(value, name, least) {
  return value === undefined || value === Infinity ? Infinity : count(value, name, least);
}

module.exports = { Pool };
