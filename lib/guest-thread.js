'use strict';

// A guest in a thread of its own, as the thread that started it sees it.
//
// Each module that runs guests elsewhere has two classes of the same form: one takes a job after
// another, and one is the run of a job. A run has
//
// - `done`: a promise of the run's `Outcome` (guest-job.js), or of `{ gone: Error }` if the thread or
//   process of the guest has ended before the guest;
// - `startedAt()`: the time at which the guest started, in milliseconds of `now()`, or `undefined`;
// - `isOver()`: whether the guest has ended; `done` may settle later;
// - `starved(ms)`: of the last `ms` milliseconds, how many the guest was ready to run and had no
//   processor, as far as the system tells;
// - `stop()`: ends the guest, whatever it does; settles when no code of the guest runs any more, with
//   an outcome if the guest had one before;
// - `left()`: the results so far: `stdout`, `stderr`, `truncated`, `files`, `changes`, `memoryBytes`,
//   `endedAt`, `stats`. The output is bytes; short output of a job with `asText` is a string;
// - `release()`: gives up the results.

const { forgetRun, isRunHeld, reserveRun } = require('../binding.js');
const { nodeError } = require('./errors.js');
const { packed } = require('./job-message.js');
const { leftIn } = require('./left.js');
const { FUNCTIONS } = require('./look.js');
const { COUNTS, ENDED, ENDED_AT, EXIT_CODE, newProgress, SIZE } = require('./progress.js');
const { STARTED, STARTED_AT, STATE, TAKEN_AT, THREAD } = require('./progress.js');
const { THREAD_TIME, TICKET } = require('./progress.js');
const { starvedFor } = require('./starved.js');
const { numberOf } = require('./program-numbers.js');
const { startWorker } = require('./start-worker.js');
const { now } = require('./time.js');
const { after, endWorker } = require('./workers.js');

/** How many modules a thread keeps for later runs. */
const MOST_MODULES = 16;
/** How many runs are numbered before the numbers begin anew. */
const MOST_RUNS = 2 ** 30;
const KNOWN = { isKnown: true, forget: undefined };
/** How many milliseconds pass before it is asked again whether a thread has let its guest go. */
const PAUSES = [1, 2, 4, 8, 16, 32];

/**
 * A thread that runs one guest at a time. One more job can be given to it ahead, which the thread
 * begins without asking when it has ended the one before; until then it can be taken back.
 */
class GuestThread {
  #worker;
  /** Of two runs: the one that goes on, and the one ahead of it. */
  #places = [newPlace(), newPlace()];
  /** The numbers of the modules that it has, the one that was used last at the end. */
  #modules = new Set();
  #lastModule;
  #run;
  #ahead;
  #lastRun = 0;
  #ended;
  #isStopped = false;
  #onExit;

  /**
   * @param {() => void} [onExit] called when the thread has ended, or is being ended
   */
  constructor(onExit = () => {}) {
    this.#onExit = onExit;
    const worker = startWorker({ progress: this.#places.map(({ progress }) => progress) });
    this.#worker = worker;
    // The number of a run whose exit code lies in its progress; or an object.
    worker.on('message', (message) => {
      if (typeof message === 'number') this.#finish(message, undefined);
      else this.#finish(message.run, message.outcome);
    });
    let failure;
    worker.on('error', (error) => {
      failure = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#isStopped = true;
        this.#takeBackAhead();
        const gone = failure ?? crashed(`The guest's thread ended with code ${code}`);
        this.#finish(undefined, { gone });
        this.#finish(undefined, { gone });
        this.#onExit();
        resolve();
      });
    });
  }

  /** @param {number} [number] of the run; by default the one that goes on */
  #finish(number, outcome) {
    const run = this.#run;
    if (run === undefined || (number ?? run.number) !== run.number) return;
    this.#run = this.#ahead;
    this.#ahead = undefined;
    run.settle(outcome ?? { exitCode: run.exitCode() });
  }

  /** Whether it can take another job. */
  get isFree() {
    return this.#run === undefined && !this.#isStopped;
  }

  /** Whether it can be given a job ahead. */
  get takesAhead() {
    return this.#run !== undefined && this.#ahead === undefined && !this.#isStopped;
  }

  /** Whether it has ended, or is being ended. */
  get isStopped() {
    return this.#isStopped;
  }

  /** @param {boolean} keeps whether the thread keeps the process from ending */
  hold(keeps) {
    if (keeps) this.#worker.ref();
    else this.#worker.unref();
  }

  /**
   * Runs a guest. The thread must be free.
   *
   * @param {import('./guest-job.js').Job} job
   * @returns {ThreadRun}
   */
  run(job) {
    this.#run = this.#ask(job, this.#places[0]);
    return this.#run;
  }

  /**
   * Runs a guest as soon as the one that goes on has ended. `takesAhead` must be true.
   *
   * @param {import('./guest-job.js').Job} job
   * @returns {ThreadRun}
   */
  runAhead(job) {
    const free = this.#places.find((place) => place !== this.#run.place);
    this.#ahead = this.#ask(job, free);
    return this.#ahead;
  }

  #ask(job, place) {
    const kept = reserveRun();
    const program = numberOf(job.module);
    const { isKnown, forget } = this.#keep(program);
    // A number that the thread has not seen for long: what it skips may still be on its way.
    this.#lastRun = (this.#lastRun % MOST_RUNS) + 1;
    const run = this.#lastRun;
    const { states, numbers } = place;
    numbers.fill(0);
    Atomics.store(states, TICKET, run);
    const which = this.#places.indexOf(place);
    this.#lastModule = program;
    const { module, memory, hasStart } = job;
    const made = isKnown ? undefined : { module, memory, hasStart };
    try {
      this.#worker.postMessage([run, which, kept, program, forget, made, packed(job)]);
    } catch (error) {
      forgetRun(kept);
      if (!isKnown) {
        this.#modules.delete(program);
        this.#lastModule = undefined;
      }
      throw error;
    }
    return new ThreadRun(this, { number: run, kept, job, place });
  }

  /** Whether the thread has a module, and which one it is to forget for it. */
  #keep(program) {
    if (program === this.#lastModule) return KNOWN;
    const modules = this.#modules;
    const isKnown = modules.delete(program);
    modules.add(program);
    let forget;
    if (modules.size > MOST_MODULES) {
      [forget] = modules;
      modules.delete(forget);
    }
    return { isKnown, forget };
  }

  /**
   * Takes a job back that was given ahead.
   *
   * @param {ThreadRun} run
   * @returns {boolean} false: the thread has begun it, as the one before has ended
   */
  takeBack(run) {
    if (run !== this.#ahead) return false;
    const { states } = run.place;
    if (Atomics.compareExchange(states, TICKET, run.number, 0) !== run.number) return false;
    this.#ahead = undefined;
    run.giveUp();
    return true;
  }

  #takeBackAhead() {
    return this.#ahead === undefined || this.takeBack(this.#ahead);
  }

  /**
   * Ends the thread, and waits until its guest can do nothing more: V8 may still compile what
   * nobody will run, and the thread ends behind that.
   *
   * @param {ThreadRun} [run] that is to be ended
   * @returns {Promise<object | undefined>} the run's outcome, where it had ended already and the
   *   thread has begun the next one
   */
  async stop(run) {
    if (!this.#takeBackAhead()) {
      if (run !== undefined) return run.done;
      // Who ends the whole thread wants the end of both.
      this.#ahead = undefined;
    }
    this.#isStopped = true;
    this.#onExit();
    const ending = endWorker(this.#worker);
    if (run === undefined) return ending;
    await Promise.race([ending, this.#ended, letGo(run.kept)]);
    return undefined;
  }
}

function crashed(message) {
  return nodeError(Error, 'ERR_WASI_CRASH', message);
}

/** Where one run and the thread that asked for it see each other. */
function newPlace() {
  const progress = newProgress(FUNCTIONS.length);
  return { progress, states: new Int32Array(progress), numbers: new Float64Array(progress) };
}

/** Waits until a thread that is being ended has let the instance of its guest go. */
function letGo(place) {
  return new Promise((resolve) => {
    let turn = 0;
    function look() {
      if (turn > 0 && !isRunHeld(place)) return resolve();
      after(PAUSES[Math.min(turn++, PAUSES.length - 1)], look);
    }
    look();
  });
}

/** One run of a guest in a thread. */
class ThreadRun {
  #thread;
  #job;
  #states;
  #numbers;
  #left;
  /** The last report of the thread on the run that is over: another run may use its numbers now. */
  #last;
  /** Its number in its thread; where it keeps what it leaves; where its progress is. */
  number;
  kept;
  place;
  /** Whether it was taken back before it was begun. */
  isGivenUp = false;

  constructor(thread, { number, kept, job, place }) {
    this.#thread = thread;
    this.#job = job;
    this.#states = place.states;
    this.#numbers = place.numbers;
    this.number = number;
    this.kept = kept;
    this.place = place;
    this.done = new Promise((resolve) => {
      this.settle = (outcome) => {
        const isCounted = job.observers?.stats === true;
        this.#last = this.#numbers.slice(0, isCounted ? undefined : COUNTS);
        resolve(outcome);
      };
    });
  }

  /** It will not run. */
  giveUp() {
    this.isGivenUp = true;
    this.release();
  }

  exitCode() {
    return this.#numbers[EXIT_CODE];
  }

  /** When its thread took it up; undefined before. */
  takenAt() {
    return (this.#last ?? this.#numbers)[TAKEN_AT] || undefined;
  }

  startedAt() {
    if (this.#last !== undefined) return this.#last[STARTED_AT] || undefined;
    const state = Atomics.load(this.#states, STATE);
    return state === STARTED || state === ENDED
      ? this.#numbers[STARTED_AT] || undefined
      : undefined;
  }

  isOver() {
    return this.#last !== undefined || Atomics.load(this.#states, STATE) === ENDED;
  }

  /** Facts while the guest runs: its thread as `starvedFor` takes it, and its size in bytes. */
  facts() {
    const numbers = this.#last ?? this.#numbers;
    return { thread: numbers[THREAD], before: numbers[THREAD_TIME], memoryBytes: numbers[SIZE] };
  }

  starved(since) {
    return starvedFor(this.#numbers[THREAD], this.#numbers[THREAD_TIME], since);
  }

  async stop() {
    if (this.#last !== undefined) return undefined;
    return this.#thread.stop(this);
  }

  left() {
    this.#left ??= this.#take();
    return this.#left;
  }

  #take() {
    const numbers = this.#last ?? this.#numbers;
    // First: much output takes its time.
    const endedAt = numbers[ENDED_AT] || now();
    const left = leftIn(this.kept, this.#job.names, this.#job.asText);
    left.memoryBytes = numbers[SIZE];
    left.endedAt = endedAt;
    left.stats = this.#job.observers?.stats === true ? statsOf(numbers) : undefined;
    return left;
  }

  release() {
    forgetRun(this.kept);
  }
}

function statsOf(numbers) {
  const stats = {};
  FUNCTIONS.forEach((name, index) => {
    const [calls, ns] = numbers.subarray(COUNTS + 2 * index, COUNTS + 2 * index + 2);
    if (calls > 0) stats[name] = { calls, ns };
  });
  return stats;
}

module.exports = { GuestThread, MOST_MODULES };
