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
// - `stop()`: ends the guest, whatever it does; settles when no code of the guest runs any more;
// - `left()`: the results so far: `stdout`, `stderr`, `truncated`, `files`, `memoryBytes`, `endedAt`,
//   `stats`;
// - `release()`: gives up the results.

const { forgetRun, isRunHeld, reserveRun } = require('../binding.js');
const { now } = require('./guest.js');
const { leftIn } = require('./left.js');
const { FUNCTIONS } = require('./look.js');
const { ASKED_FOR, COUNTS, ENDED, ENDED_AT, newProgress } = require('./progress.js');
const { SIZE, STARTED, STARTED_AT, STATE, THREAD, THREAD_TIME } = require('./progress.js');
const { starvedFor } = require('./starved.js');
const { numberOf } = require('./program-numbers.js');
const { startWorker } = require('./start-worker.js');
const { after, endWorker } = require('./workers.js');

/** How many modules a thread keeps for later runs. */
const MOST_MODULES = 16;
/** How many milliseconds pass before it is asked again whether a thread has let its guest go. */
const PAUSES = [1, 2, 4, 8, 16, 32];

/** A thread that runs one guest at a time. */
class GuestThread {
  #worker;
  #progress = newProgress(FUNCTIONS.length);
  #states = new Int32Array(this.#progress);
  #numbers = new Float64Array(this.#progress);
  /** The numbers of the modules that it has, the one that was used last at the end. */
  #modules = new Set();
  #run;
  #lastRun = 0;
  #ended;
  #isStopped = false;
  #onExit;

  /**
   * @param {() => void} [onExit] called when the thread has ended, or is being ended
   */
  constructor(onExit = () => {}) {
    this.#onExit = onExit;
    const worker = startWorker({ progress: this.#progress });
    this.#worker = worker;
    worker.on('message', ({ run, outcome }) => {
      if (run === undefined || run === this.#lastRun) this.#finish(outcome);
    });
    let failure;
    worker.on('error', (error) => {
      failure = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#isStopped = true;
        this.#finish({ gone: failure ?? new Error(`The guest's thread ended with code ${code}`) });
        this.#onExit();
        resolve();
      });
    });
  }

  #finish(outcome) {
    const run = this.#run;
    this.#run = undefined;
    run?.settle(outcome);
  }

  /** Whether it can take another job. */
  get isFree() {
    return this.#run === undefined && !this.#isStopped;
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
    const place = reserveRun();
    const program = numberOf(job.module);
    const forget = [];
    const isKnown = this.#modules.delete(program);
    this.#modules.add(program);
    if (this.#modules.size > MOST_MODULES) {
      const [oldest] = this.#modules;
      this.#modules.delete(oldest);
      forget.push(oldest);
    }
    this.#numbers.fill(0);
    Atomics.store(this.#states, STATE, ASKED_FOR);
    const run = ++this.#lastRun;
    const { module, ...rest } = job;
    const sent = { ...rest, place, module: isKnown ? undefined : module };
    try {
      this.#worker.postMessage({ job: sent, run, program, forget });
    } catch (error) {
      forgetRun(place);
      if (!isKnown) this.#modules.delete(program);
      throw error;
    }
    this.#run = new ThreadRun(this, place, job, {
      states: this.#states,
      numbers: this.#numbers,
    });
    return this.#run;
  }

  /**
   * Ends the thread, and waits until its guest can do nothing more: V8 may still compile what
   * nobody will run, and the thread ends behind that.
   *
   * @param {number} [place] of the run
   */
  async stop(place) {
    this.#isStopped = true;
    this.#onExit();
    const ending = endWorker(this.#worker);
    if (place === undefined) return ending;
    await Promise.race([ending, this.#ended, letGo(place)]);
  }
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
  #place;
  #job;
  #states;
  #numbers;
  #left;
  /** The last report of the thread on the run that is over: another run may use its numbers now. */
  #last;

  constructor(thread, place, job, { states, numbers }) {
    this.#thread = thread;
    this.#place = place;
    this.#job = job;
    this.#states = states;
    this.#numbers = numbers;
    this.done = new Promise((resolve) => {
      this.settle = (outcome) => {
        this.#last = this.#numbers.slice();
        resolve(outcome);
      };
    });
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
    if (this.#last !== undefined) return;
    await this.#thread.stop(this.#place);
  }

  left() {
    this.#left ??= this.#take();
    return this.#left;
  }

  #take() {
    const numbers = this.#last ?? this.#numbers;
    return {
      ...leftIn(this.#place, this.#job.names),
      memoryBytes: numbers[SIZE],
      endedAt: numbers[ENDED_AT] || now(),
      stats: this.#job.observers?.stats === true ? statsOf(numbers) : undefined,
    };
  }

  release() {
    forgetRun(this.#place);
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
