'use strict';

// Watches one run of a guest to its end, wherever it runs: its time, its start, and the embedder's
// signal.

const { limitReached } = require('./ends.js');
const { nodeError } = require('./errors.js');
const { nothingLeft } = require('./left.js');
const { whenAborted } = require('./signals.js');
const { now } = require('./time.js');
const { after, errorOf } = require('./workers.js');

/** How many milliseconds pass at most before it is asked again whether a guest has started. */
const LEAST_WAIT = 5;

/**
 * How many milliseconds more a guest has at most whose thread was ready to run and had no
 * processor: that time does not count.
 */
const MOST_GRACE = 250;

/**
 * By how many milliseconds a look is late if this thread could not look: it was busy, or its
 * process was stopped. Then a guest may not have been able to start either, so that time does not
 * count.
 */
const LATE = 50;

/** How often at least it is looked whether a guest has started, in its time for that. */
const LOOKS = 10;

/** Why a guest ends before its own end, by who ends it. */
class Ending {
  /** @param {'timeout' | 'start' | 'aborted' | 'killed'} why */
  constructor(why, reason) {
    this.why = why;
    this.reason = reason;
  }
}

/**
 * @param {object} run as guest-thread.js describes it
 * @param {object} bounds `timeoutMs`, `startTimeoutMs`, `signal`
 * @param {{ kill?: (reason: string) => void }} [handle] gets a function that ends the guest:
 *   `'killed'` by default
 * @returns {Promise<object>} how the guest ended: `reason`, `exitCode`, `error`, what it has left,
 *   `startedAt`, and for `'aborted'` the signal's reason as `error`
 * @throws {unknown} there was no guest
 */
async function supervise(run, { timeoutMs, startTimeoutMs, signal }, handle = {}) {
  let begun = now();
  let due = begun;
  // A look that is late costs no more of the time for the start than one pause.
  const pause = Math.max(Math.min(timeoutMs, startTimeoutMs / LOOKS), LEAST_WAIT);
  let giveUp = () => {};
  let ignore = () => {};
  // The first of two: what the run comes to, and an `Ending`.
  const first = new Promise((resolve, reject) => {
    run.done.then(resolve, reject);
    const end = (why, reason) => resolve(new Ending(why, reason));
    handle.kill = () => end('killed');
    if (handle.isKilled) end('killed');
    handle.hasStarted = () => run.startedAt() !== undefined;
    if (signal !== undefined) {
      const onAbort = () => end('aborted', signal.reason);
      ignore = whenAborted(signal, onAbort);
      if (signal.aborted) onAbort();
    }
    function look() {
      // Its message is on the way.
      if (run.isOver()) return;
      const startedAt = run.startedAt();
      let left;
      if (startedAt === undefined) {
        const late = now() - due;
        if (late > LATE) begun += late;
        left = startTimeoutMs - (now() - begun);
        if (left <= 0) return end('start');
        left = Math.min(left, pause);
      } else {
        const passed = now() - startedAt;
        left = timeoutMs - passed;
        if (left <= 0 && passed < timeoutMs + MOST_GRACE) {
          left = timeoutMs - (passed - run.starved(passed));
        }
        if (left <= 0) return end('timeout');
      }
      wait(left);
    }
    function wait(ms) {
      // Upwards: a timer that is early would find nothing to do.
      const whole = Math.ceil(ms);
      due = now() + whole;
      giveUp = after(whole, look);
    }
    wait(Math.min(timeoutMs, startTimeoutMs, pause));
  });
  try {
    let end;
    try {
      end = await first;
    } catch (error) {
      // A signal that takes no listener, while the guest runs already.
      await run.stop();
      throw error;
    }
    if (!(end instanceof Ending)) return result(run, end);
    giveUp();
    const late = await run.stop();
    if (late !== undefined && hadEnded(run, end, timeoutMs)) return result(run, late);
    return endedOutside(run, end, { timeoutMs, startTimeoutMs });
  } finally {
    giveUp();
    ignore();
    run.release();
  }
}

/** Whether a guest ended in time, which was not known when its time was over. */
function hadEnded(run, { why }, timeoutMs) {
  const startedAt = run.startedAt();
  if (why === 'start') return true;
  return why === 'timeout' && run.left().endedAt - startedAt <= timeoutMs;
}

/** The end that the embedder made. */
function endedOutside(run, { why, reason }, { timeoutMs, startTimeoutMs }) {
  if (why === 'start') {
    throw nodeError(
      Error,
      'ERR_WASI_START_TIMEOUT',
      `The guest has not started within the ${startTimeoutMs} ms of "startTimeoutMs"`,
    );
  }
  if (why === 'timeout') return endedBy(run, why, timedOut(timeoutMs));
  if (why === 'killed') return endedBy(run, why, killed());
  return endedBy(run, why, reason);
}

function timedOut(timeoutMs) {
  return limitReached('timeoutMs', `The guest has run for its ${timeoutMs} ms`);
}

function killed() {
  return limitReached('kill', 'The guest was killed');
}

/** The end that the guest made, or what ran it. */
function result(run, outcome) {
  const { exitCode, failure, phase, gone } = outcome;
  if (exitCode !== undefined) return ended('exit', exitCode, undefined, run);
  if (gone !== undefined) {
    if (outcome.reason !== undefined) return endedBy(run, outcome.reason, gone);
    if (run.startedAt() === undefined) throw gone;
    if (gone.code === 'ERR_WORKER_OUT_OF_MEMORY') return endedBy(run, 'memory', noMemory(gone));
    return endedBy(run, 'crash', gone);
  }
  const error = errorOf(failure);
  if (phase === 'start') throw error;
  if (error.code === 'ERR_WASI_LIMIT') {
    return endedBy(run, error.limit === 'outputBytes' ? 'output' : 'limit', error);
  }
  if (phase === 'link' && error instanceof RangeError && !/stack/i.test(error.message)) {
    return endedBy(run, 'memory', noMemory(error));
  }
  if (phase === 'link' && (error instanceof TypeError || error instanceof WebAssembly.LinkError)) {
    throw error;
  }
  return endedBy(run, 'trap', error);
}

/** The error of a guest that the system has no memory for. */
function noMemory(cause) {
  const error = limitReached('memory', `There is no memory for the guest: ${cause.message}`);
  Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
  return error;
}

function endedBy(run, reason, error) {
  return ended(reason, null, error, run);
}

function ended(reason, exitCode, error, run) {
  const { stdout, stderr, truncated, files, changes, memoryBytes, endedAt, stats } = run.left();
  return {
    reason,
    exitCode,
    error,
    startedAt: run.startedAt(),
    stdout,
    stderr,
    truncated,
    files,
    changes,
    memoryBytes,
    endedAt,
    stats,
  };
}

/** A guest that asked for more than it may have, so that it was never started. */
function neverStarted(reason, error) {
  return {
    reason,
    exitCode: null,
    error,
    ...nothingLeft(),
    memoryBytes: 0,
    startedAt: undefined,
    endedAt: now(),
    stats: undefined,
  };
}

module.exports = { killed, neverStarted, noMemory, supervise, timedOut };
