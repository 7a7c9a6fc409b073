'use strict';

// Warm Workers for any number of programs.

const { availableParallelism, cpus } = require('node:os');
const { nodeError, outOfRange, wrongType, wrongValue } = require('./errors.js');
const { validateOwnObject } = require('./own-options.js');
const { jobOf, programFor, readyParts, resultOf, unlessEnded } = require('./run.js');
const { checkedIsolation, checkedRun } = require('./run-options.js');
const { whenAborted } = require('./signals.js');
const { enterGate, leaveWhenStarted } = require('./start-gate.js');
const { supervise } = require('./supervise.js');
const { now } = require('./time.js');

/**
 * Runs are given to Workers ahead, so that no Worker waits for this thread between two runs, while
 * runs take less than so many milliseconds: a longer one would hold up what another Worker could
 * begin.
 */
const QUICK = 5;
/** How often Workers may be given later runs ahead before one that another Worker was given. */
const MOST_PASSED = 2;

/** A run that waits for its turn, between its neighbours in the queue. */
class Waiting {
  previous;
  next;
  /** Where it was given ahead: the Worker, and the run there. */
  ahead;
  /** How often a later one was given ahead. */
  passed = 0;
  /** @param {(ahead?: object) => void} begin its turn has come: there, if it was given ahead */
  constructor(wasm, checked, begin) {
    this.wasm = wasm;
    this.checked = checked;
    this.begin = begin;
  }

  /** Whether a Worker was given it ahead, and has not given it up. */
  isAheadAt(worker) {
    return this.ahead?.worker === worker && !this.ahead.run.isGivenUp;
  }

  /** @returns {boolean} false: the Worker has begun it */
  takeBack() {
    const { ahead } = this;
    if (ahead !== undefined && !ahead.run.isGivenUp && !ahead.worker.takeBack(ahead.run)) {
      return false;
    }
    this.ahead = undefined;
    return true;
  }
}

/**
 * The runs that wait, in their order. A `Set` would leave tables behind that hold its members until
 * all of the heap is collected.
 */
class Queue {
  first;
  #last;
  size = 0;

  add(waiting) {
    waiting.previous = this.#last;
    if (this.#last === undefined) this.first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
    this.size++;
  }

  delete(waiting) {
    const { previous, next } = waiting;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    waiting.previous = undefined;
    waiting.next = undefined;
    this.size--;
  }
}

/** As described in index.d.ts. */
class Pool {
  #size;
  #maxQueue;
  #maxRunsPerWorker;
  #isolation;
  /**
   * All Workers that have not ended: how many `runs` they have had, and as `ahead` what each was
   * given to run next, as {@link Waiting}.
   */
  #workers = new Map();
  /** Those of them that have nothing to do, the one that had last at the end. */
  #idle = [];
  #queue = new Queue();
  /** Runs that Workers have begun ahead of their turn: they get the next turns. */
  #begun = [];
  /** Whether the run that ended last was a short one. */
  #isQuick = false;
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
    if (checked.signal?.aborted) throw checked.signal.reason;
    let ahead;
    if (this.#active >= this.#size) ahead = await this.#turn(wasm, checked);
    else this.#active++;
    try {
      return await (ahead === undefined ? this.#run(wasm, checked) : this.#follow(ahead, checked));
    } finally {
      this.#next();
    }
  }

  /**
   * Waits for a turn, or for the signal.
   *
   * @returns {Promise<object | undefined>} where the run goes on already, if a Worker was given it
   */
  #turn(wasm, checked) {
    if (this.#queue.size >= this.#maxQueue) {
      throw nodeError(
        Error,
        'ERR_WASI_POOL_FULL',
        `The pool has ${this.#active} runs, and ${this.#queue.size} wait: its "maxQueue"`,
      );
    }
    const { signal } = checked;
    return new Promise((resolve, reject) => {
      let ignore;
      const waiting = new Waiting(wasm, checked, (ahead) => {
        ignore?.();
        resolve(ahead);
      });
      const onAbort = () => {
        // A run that a Worker has begun gets its turn in a moment, and is ended then.
        if (!waiting.takeBack()) return;
        this.#queue.delete(waiting);
        reject(signal.reason);
      };
      // First: a signal that takes no listener throws, and leaves nothing in the queue.
      if (signal !== undefined) ignore = whenAborted(signal, onAbort);
      this.#queue.add(waiting);
      if (this.#isQuick) for (const worker of this.#workers.keys()) this.#lookAhead(worker);
    });
  }

  /** Gives the turn of a run that has ended to one that waits. */
  #next() {
    const waiting = this.#begun.shift() ?? this.#first();
    if (waiting !== undefined) {
      this.#queue.delete(waiting);
      waiting.begin(waiting.ahead);
    } else if (--this.#active === 0) {
      this.#onEmpty();
    }
  }

  /** The first that waits and that no Worker has begun. */
  #first() {
    let waiting = this.#queue.first;
    while (waiting !== undefined && !waiting.takeBack()) waiting = waiting.next;
    return waiting;
  }

  /** Gives a Worker that runs something what it is to run then. */
  #lookAhead(worker) {
    if (!this.#isQuick || !worker.takesAhead) return;
    const facts = this.#workers.get(worker);
    if (facts.runs + 2 > this.#maxRunsPerWorker) return;
    const { first } = this.#queue;
    for (let waiting = first; waiting !== undefined; waiting = waiting.next) {
      const isAhead = waiting.ahead !== undefined && !waiting.ahead.run.isGivenUp;
      // A run that was given to another Worker is late if that Worker's present run takes long.
      const isLate = waiting === first && isAhead && ++waiting.passed > MOST_PASSED;
      if (isAhead && !(isLate && waiting.takeBack())) continue;
      const run = this.#runAhead(worker, waiting);
      if (run !== undefined) {
        waiting.ahead = { worker, run, facts };
        facts.ahead = waiting;
      }
      // A run that must be compiled first, or is wrong, keeps its place.
      return;
    }
  }

  #runAhead(worker, { wasm, checked }) {
    try {
      const program = readyParts(wasm, checked);
      if (program === undefined || program.what.kind === 'threads') return undefined;
      return worker.runAhead(jobOf(program, checked));
    } catch {
      // It is told when its turn comes.
      return undefined;
    }
  }

  async #run(wasm, checked) {
    const begun = now();
    const program = readyParts(wasm, checked) ?? (await programFor(wasm, checked));
    if (program.reason !== undefined) return resultOf(program, begun, checked);
    if (program.what.kind === 'threads') {
      throw wrongValue('wasm', 'starts threads, which a Pool does not run: use run()', wasm);
    }
    // One that stands already. If it has gone before it took the run, another one takes it.
    for (let tries = this.#idle.length; tries > 0 && this.#idle.length > 0; tries--) {
      try {
        return await this.#runOn(this.#take(), program, checked, begun);
      } catch (error) {
        // The signal's reason may be another run's error.
        const { signal } = checked;
        if (error?.code !== 'ERR_WASI_NO_PROCESS' || signal?.aborted) throw error;
      }
    }
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
    // Of a Worker that has ended, the pool knows nothing any more.
    const facts = this.#workers.get(worker);
    let end;
    try {
      const run = worker.run(jobOf(program, checked));
      if (turn !== undefined) leaveWhenStarted(turn, run);
      this.#lookAhead(worker);
      end = await supervise(run, checked);
    } finally {
      this.#release(worker, facts);
    }
    return this.#resultOf(end, begun, checked);
  }

  /** Goes on with a run that was given to a Worker ahead. */
  async #follow({ worker, run, facts }, checked) {
    let end;
    try {
      this.#lookAhead(worker);
      end = await supervise(run, checked);
    } finally {
      this.#release(worker, facts);
    }
    return this.#resultOf(end, run.takenAt() ?? end.endedAt, checked);
  }

  #resultOf(end, begun, checked) {
    this.#isQuick = end.startedAt !== undefined && end.endedAt - end.startedAt < QUICK;
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
    this.#workers.set(worker, { runs: 0, ahead: undefined });
    return worker;
  }

  #release(worker, facts) {
    const waiting = facts.ahead;
    facts.ahead = undefined;
    facts.runs++;
    if (waiting?.isAheadAt(worker)) {
      this.#begun.push(waiting);
      return;
    }
    if (worker.isFree) {
      if (facts.runs < this.#maxRunsPerWorker) return void this.#rest(worker);
      worker.stop();
    }
    // The next run finds another one that stands already.
    if (this.#closing !== undefined || this.#workers.size >= this.#size) return;
    try {
      this.#rest(this.#add());
    } catch {
      // Where the system has none to give, a run that needs one is told.
    }
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
