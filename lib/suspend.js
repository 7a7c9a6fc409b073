'use strict';

// Guests that wait without holding their thread.
//
//   guest -> trampoline -> plain import -> native: "would wait"
//                          park: keeps the call
//            $wait ------> begins the wait; V8 puts the guest's stack aside
//                          ... the event loop runs ... the wait ends
//            $resumed ---> makes the call again, or throws what has ended the guest
//         <- errno
//
// The call frame belongs to whoever calls next, so a call that waits keeps its arguments and what
// Rust knows of it, and puts them back. While a guest is suspended, nothing of it is on the stack:
// whatever ends it meanwhile is thrown by `$resumed`, on the guest's side, where no guest catches
// it.

const { dropWait } = require('../binding.js').suspension;
const { WASIExitError, endedBy, stoppedBy } = require('./ends.js');
const { wrongType } = require('./errors.js');
const {
  AGAIN,
  CONTINUES,
  INSTANCE,
  OUTCOME,
  RESUME,
  WAITS_FOR,
  WOULD_WAIT,
  u32,
} = require('./frame.js');
const {
  ask,
  checkRunning,
  exceed,
  finish,
  halt,
  invalid,
  leave,
  refresh,
  stop,
  stopFor,
} = require('./guest.js');
const { unlessAborted, whenAborted } = require('./signals.js');
const { StandardStreams } = require('./standard-streams.js');
const { checkSuspends, checkedSignal } = require('./suspend-options.js');
const { now, setImmediate } = require('./time.js');
const { WAITS, wrap } = require('./trampolines.js');
const { Wait, begin, cancel } = require('./waits.js');

const { Suspending, promising } = WebAssembly;
const { assign } = Object;

/** How many words the arguments of a call take. */
const WORDS = 20;
/** The conditions that a call waits for, as bits in the frame's `WAITS_FOR`. */
const HOST = 1;
const INPUT = 2;
/**
 * For how many milliseconds a guest that never has to wait keeps the event loop, as far as it makes
 * calls that could wait.
 */
const TURN = 5;
/** How many calls such a guest makes at most between two looks at the time, each of which costs. */
const MOST_CALLS = 128;
/** After more calls than any guest makes. */
const NEVER = 0x7fff_ffff;
/** Milliseconds as a whole number of nanoseconds. */
const nanoseconds = (ms) => Math.round(ms * 1e6);

const ignore = () => {};

/** A call that waits, or is about to. */
class Call extends Wait {
  /** The native function, if it is to be called again, with its arguments and `resume` in words. */
  native;
  words;
  /** The conditions that it waits for, as bits. */
  kinds = 0;
  /** The promise of a stream that it has written to and waits for; then it returns `errno`. */
  promise;
  errno;
  /** Whether it waits for nothing but a turn of the event loop. */
  isTurn = false;
  /** The answer that it waits for, of a file system of the embedder. */
  asked;
  /** The error that has ended the guest meanwhile. */
  failure;
  /**
   * Milliseconds, if someone wants to know: when the wait began, how long all of its waits took.
   */
  since = 0;
  waited = 0;
  worked = 0;
  /** Who wants to know of its end. */
  tell;
}

class Suspension {
  #guest;
  #streams;
  /** A call that has said that it waits, before the guest is suspended. */
  #parked;
  /** The call that suspends the guest. */
  #waiting;
  /** How many promising calls have not ended. */
  #live = 0;
  /** Whether the instance is closed. */
  #isClosed = false;
  /** Room for the words of a call: one waits at a time. */
  #room = [];
  /**
   * When the guest was last seen to have gone on after a turn of the event loop, and whether it has
   * since.
   */
  #turnBegan = 0;
  #hasTurned = true;
  /**
   * Whether the event loop has turns: of a command, and of a guest that serves. Another call of any
   * other guest may rely on it that one that never waits is over.
   */
  #takesTurns;
  /** When the guest last looked at the time, and after how many calls it looks again. */
  #looked = 0;
  #calls = 1;

  /**
   * @param {object} guest
   * @param {object | undefined} streams of JavaScript, as `takeStreams` takes them
   * @param {boolean} hasSockets whether the guest was given sockets
   */
  constructor(guest, streams, hasSockets) {
    this.#guest = guest;
    this.#takesTurns = hasSockets;
    this.#streams = new StandardStreams(guest.instance, streams, {
      ask: (embedders, argument) => ask(guest, embedders, argument),
      stop: (error) => stopFor(guest, error),
      fail: (error) => this.#endBy(stoppedBy(error), error),
      isReading: () => this.#waiting !== undefined && (this.#waiting.kinds & INPUT) !== 0,
      wake: () => {
        if (this.#waiting !== undefined && (this.#waiting.kinds & INPUT) !== 0)
          this.#waiting.wake();
      },
    });
  }

  // --- Imports -----------------------------------------------------------------------------------

  /** Streams, before what watches the calls. */
  attachStreams(wasiImport) {
    const guest = this.#guest;
    const streams = this.#streams;
    if (streams.hasSinks) {
      const { fd_write: write } = wasiImport;
      assign(wasiImport, {
        fd_write: (...args) => {
          if (args.length !== 4) return invalid(guest);
          const errno = write(...args);
          return errno === WAITS ? errno : this.#handOut(errno);
        },
      });
    }
    if (!streams.hasSource && !streams.hasSinks) return;
    // Whoever reads what the guest writes learns of its end when the guest closes it.
    const { fd_close: close, fd_renumber: renumber } = wasiImport;
    assign(wasiImport, {
      fd_close: (...args) => {
        const errno = close(...args);
        if (errno === 0) streams.endClosed();
        return errno;
      },
      fd_renumber: (...args) => {
        const errno = renumber(...args);
        if (errno === 0) streams.endClosed();
        return errno;
      },
    });
  }

  /** Puts the trampolines in the place of all imports that can wait. */
  attachTrampolines(wasiImport) {
    const host = {
      wait: new Suspending(() => this.#wait()),
      failed: () => this.#failed(),
      resumed: () => this.#resumed(),
      turn: () => this.#turn(),
      kept: () => this.#keep(),
      returned: () => void (this.#waiting !== undefined && this.#resumed()),
    };
    wrap(wasiImport, host, this.#guest.served !== undefined);
  }

  /**
   * Keeps a call that would have to wait.
   *
   * @param {() => void} native has just been called, and the frame is as it was
   * @returns {number} `WAITS`; or what the call returns, if it need not wait after all
   */
  park(native) {
    const guest = this.#guest;
    const isBusy = this.#isBusy();
    const call = new Call();
    call.native = native;
    call.words = isBusy ? [] : this.#room;
    for (;;) {
      const { words } = call;
      for (let at = 0; at < WORDS; at++) words[at] = u32[at];
      words[WORDS] = u32[RESUME];
      words[WORDS + 1] = u32[RESUME + 1];
      call.kinds = u32[WAITS_FOR];
      if ((call.kinds & INPUT) !== 0 && this.#streams.pull()) {
        this.#makeAgain(call);
        if (u32[OUTCOME] === WOULD_WAIT) continue;
        return u32[OUTCOME] < AGAIN ? u32[OUTCOME] : finish(guest, native);
      }
      if (isBusy || this.#isBusy()) {
        dropWait(guest.instance);
        throw busy();
      }
      this.#parked = call;
      return WAITS;
    }
  }

  /** Keeps a call that waits for the answer of a file system. */
  parkFor(native, asked) {
    if (this.#isBusy()) {
      asked.giveUp();
      throw busy();
    }
    const call = new Call();
    call.native = native;
    call.words = this.#room;
    call.asked = asked;
    for (let at = 0; at < WORDS; at++) call.words[at] = u32[at];
    call.words[WORDS] = u32[RESUME];
    call.words[WORDS + 1] = u32[RESUME + 1];
    this.#parked = call;
    return WAITS;
  }

  /**
   * Lets a call that was made return its errno when a promise is fulfilled. What the promise
   * rejects with ends the guest. Where another call waits, nobody waits for the promise.
   */
  after(promise, errno) {
    const isBusy = this.#isBusy();
    const call = new Call();
    call.errno = errno;
    call.promise = promise.catch((error) => {
      if (isBusy || this.#waiting === call) this.#endBy(stoppedBy(error), error);
    });
    if (isBusy) return errno;
    this.#parked = call;
    return WAITS;
  }

  /** @throws {Error} `ERR_WASI_BUSY`: the guest could not wait now */
  checkWaits() {
    if (this.#isBusy()) throw busy();
  }

  /** Whether another call of the guest waits, or may be about to go on. */
  #isBusy() {
    return this.#waiting !== undefined || this.#parked !== undefined || this.#live > 1;
  }

  /** Tells of the end of the call that has just said that it waits. */
  later(tell) {
    this.#parked.tell = tell;
  }

  #makeAgain({ native, words }) {
    const guest = this.#guest;
    if (guest.view[0] === undefined) refresh(guest);
    for (let at = 0; at < WORDS; at++) u32[at] = words[at];
    u32[RESUME] = words[WORDS];
    u32[RESUME + 1] = words[WORDS + 1];
    u32[INSTANCE] = guest.instance;
    u32[CONTINUES] = 1;
    native();
  }

  /** The promise for which V8 suspends the guest. */
  #wait() {
    const call = this.#parked;
    this.#parked = undefined;
    this.#waiting = call;
    const { deadline } = this.#guest;
    if (call.tell !== undefined || deadline !== Infinity) call.since = now();
    return new Promise((resolve) => {
      call.wake = resolve;
      if (call.promise !== undefined) call.promise.then(resolve, resolve);
      if (call.asked !== undefined) {
        call.asked.wake = resolve;
        if (call.asked.isSettled) resolve();
      }
      if (call.isTurn || ((call.kinds & HOST) === 0 && deadline === Infinity)) return;
      const most = deadline === Infinity ? Infinity : Math.max(deadline - call.since, 0) + 1;
      begin(call, this.#guest.instance, most);
    });
  }

  /**
   * Whether the event loop is to have a turn, although the call that the guest has made need not
   * wait. The guest may have another call that waits, or not be able to be suspended at all: then
   * it goes on.
   *
   * @returns {number} after how many calls to ask again; negative if the loop is to have a turn
   */
  #turn() {
    if (!this.#takesTurns) return NEVER;
    const time = now();
    const took = (time - this.#looked) / this.#calls;
    this.#looked = time;
    // There is a look at least four times in a turn, whatever the guest does between two calls.
    this.#calls = Math.max(1, Math.min(MOST_CALLS, Math.floor(TURN / 4 / took)));
    if (this.#hasTurned) {
      this.#hasTurned = false;
      this.#turnBegan = time;
    }
    if (time - this.#turnBegan < TURN) return this.#calls;
    this.#turnBegan = time;
    if (this.#live !== 1 || this.#isBusy()) return this.#calls;
    const call = new Call();
    call.isTurn = true;
    call.promise = new Promise((resolve) => setImmediate(resolve));
    this.#parked = call;
    return -this.#calls;
  }

  /** Of a command, which begins now: the event loop has turns. */
  takeTurns() {
    this.#takesTurns = true;
  }

  /** The guest cannot be suspended where it is, and need not be. */
  #keep() {
    this.#parked = undefined;
    this.#waiting = undefined;
  }

  /** The guest cannot be suspended where it is. */
  #failed() {
    const guest = this.#guest;
    const call = this.#waiting ?? this.#parked;
    this.#waiting = undefined;
    this.#parked = undefined;
    if (call !== undefined) {
      cancel(call);
      call.asked?.giveUp();
      dropWait(guest.instance);
      call.tell?.(undefined, nanoseconds(call.worked), nanoseconds(call.waited));
    }
    const error = endedBy(
      'ERR_WASI_WOULD_WAIT',
      'The guest has to wait, and cannot be suspended here: call it by startAsync(), initializeAsync() or a function that promising() has made, without a function of JavaScript between that and the call that waits',
    );
    stop(guest, error, { failed: true, error });
  }

  /** The guest goes on. */
  #resumed() {
    const guest = this.#guest;
    const call = this.#waiting;
    this.#waiting = undefined;
    // A stream may give its bytes without a turn of the event loop.
    if (call.isTurn || call.kinds === HOST) this.#hasTurned = true;
    cancel(call);
    if (call.tell === undefined && guest.deadline === Infinity) return this.#goOn(call);
    const start = now();
    call.waited += start - call.since;
    let errno;
    try {
      if (start > guest.deadline) {
        checkRunning(guest);
        exceed(guest, 'timeoutMs', 'The guest has run for as long as it may');
      }
      errno = this.#goOn(call);
      return errno;
    } finally {
      if (errno === undefined) call.asked?.giveUp();
      call.worked += now() - start;
      if (errno === WAITS) {
        const { waited, worked, tell } = call;
        assign(this.#parked, { waited, worked, tell });
      } else {
        call.tell?.(errno, nanoseconds(call.worked), nanoseconds(call.waited));
      }
    }
  }

  #goOn(call) {
    const { asked } = call;
    if (asked !== undefined) return this.#goOnWith(call, asked);
    if (call.failure !== undefined) throw call.failure;
    checkRunning(this.#guest);
    if (call.promise !== undefined) return call.errno;
    return this.#again(call);
  }

  #goOnWith(call, asked) {
    let isRunning = false;
    try {
      if (call.failure !== undefined) throw call.failure;
      checkRunning(this.#guest);
      if (asked.isSettled) asked.leave();
      isRunning = true;
    } finally {
      if (!isRunning) asked.giveUp();
    }
    if (asked.isSettled) return this.#again(call);
    // Something else has woken it.
    this.#parked = call;
    return WAITS;
  }

  #again(call) {
    this.#makeAgain(call);
    return finish(this.#guest, call.native);
  }

  /** Lets the call that waits throw what has ended the guest. */
  interrupt(end) {
    const call = this.#waiting;
    if (call === undefined) return;
    call.failure ??= end;
    // At once: what it waits for is held open until then.
    cancel(call);
    call.wake();
  }

  /** Ends the guest from outside of its calls. Its first end counts. */
  #endBy(end, error) {
    const guest = this.#guest;
    if (guest.end !== undefined) return;
    halt(guest, end, { failed: true, error });
    this.interrupt(end);
  }

  // --- Streams -----------------------------------------------------------------------------------

  /** Hands out what a write has left. */
  #handOut(errno) {
    const promises = [];
    for (const stream of [1, 2]) {
      const promise = this.#streams.handOut(stream);
      if (promise !== undefined) promises.push(promise);
    }
    if (promises.length === 0) return errno;
    const call = new Call();
    const isBusy = this.#isBusy();
    call.errno = errno;
    call.promise = Promise.all(promises).catch((error) => {
      if (isBusy) this.#streams.noteFailure(error);
      else if (this.#waiting === call) this.#endBy(stoppedBy(error), error);
    });
    if (isBusy) throw busy();
    this.#parked = call;
    return WAITS;
  }

  /** @returns {Uint8Array | undefined} what the guest has not read and the stream has not taken */
  get unread() {
    return this.#streams.unread;
  }

  /**
   * Ends the guest's streams.
   *
   * @param {{ error: unknown } | undefined} failure why the guest has ended, if it failed
   * @returns {Promise<void>} that they have taken it
   */
  endStreams(failure) {
    return this.#streams.end(failure);
  }

  /** Likewise of a guest that has not failed. A signal that is aborted before lets them go. */
  endStreamsUnless(signal) {
    return unlessAborted(this.endStreams(), signal, () => this.#streams.abort(signal.reason));
  }

  /** Lets the streams go as they were: there is no guest. */
  letGo() {
    this.#streams.letGo();
  }

  // --- Runs --------------------------------------------------------------------------------------

  /**
   * Calls what runs code of the guest, which may be suspended.
   *
   * @param {Function} entry an export, made promising
   * @param {unknown[]} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ ended: { exitCode: number } | undefined, value: unknown }>}
   */
  async run(entry, args, signal) {
    const guest = this.#guest;
    if (signal?.aborted) throw signal.reason;
    if (guest.end !== undefined) {
      throw guest.ended.failed ? guest.ended.error : new WASIExitError(guest.ended.exitCode);
    }
    const onAbort = () => this.#endBy(stoppedBy(signal.reason), signal.reason);
    const ignoreSignal = signal === undefined ? ignore : whenAborted(signal, onAbort);
    guest.running++;
    this.#live++;
    let ended, value;
    let hasReturned = false;
    const waiting = this.#waiting;
    try {
      const promise = entry(...args);
      // A call that was not suspended has returned, and its stack is gone.
      hasReturned = this.#waiting === waiting;
      if (hasReturned) this.#live--;
      value = await promise;
      ended = guest.ended;
    } catch (error) {
      ended = guest.ended;
      if (ended === undefined || error !== guest.end) throw error;
    } finally {
      if (!hasReturned) this.#live--;
      leave(guest);
      ignoreSignal();
    }
    if (ended !== undefined && ended.failed) throw ended.error;
    return { ended, value };
  }

  /** Runs a command that does not suspend. */
  runNow(run) {
    let ended;
    try {
      ended = run();
    } catch (error) {
      this.endStreams({ error });
      throw error;
    }
    this.endStreams().catch(ignore);
    return ended;
  }

  /** The instance is closed: a guest that waits ends. */
  close() {
    this.#isClosed = true;
    const error = endedBy('ERR_WASI_CLOSED', 'The instance was closed while the guest waited');
    if (this.#waiting !== undefined) this.#endBy(error, error);
    else this.endIfClosed();
  }

  /**
   * Ends the streams of an instance that is closed, once no call of the guest goes on.
   *
   * @param {{ error: unknown } | undefined} failure of the call that has ended last, if it failed
   */
  endIfClosed(failure) {
    if (this.#isClosed && this.#live === 0) this.endStreams(failure).catch(ignore);
  }
}

/** One call of a guest waits already, and a second one would have to. */
function busy() {
  return endedBy(
    'ERR_WASI_BUSY',
    'Another call of this guest waits: until it has returned, no second one can wait, as both would use one stack in the memory',
  );
}

/**
 * Runs a command or prepares a reactor.
 *
 * @param {Suspension | undefined} suspension
 * @param {'startAsync' | 'initializeAsync'} name
 * @param {unknown} options as the embedder gave them
 * @param {() => Function | undefined} begin checks the instance and gives the export to call
 * @returns {Promise<number | undefined>} the exit code, if the guest called `proc_exit`
 */
async function runAsync(suspension, name, options, begin) {
  checkSuspends(suspension, name);
  const signal = checkedSignal(options);
  if (signal?.aborted) throw signal.reason;
  const fn = begin();
  if (fn === undefined) return undefined;
  const isCommand = name === 'startAsync';
  const entry = promisingOf(fn, `instance.exports.${isCommand ? '_start' : '_initialize'}`);
  if (isCommand) suspension.takeTurns();
  let ended;
  try {
    ({ ended } = await suspension.run(entry, [], signal));
  } catch (error) {
    await suspension.endStreams({ error });
    throw error;
  }
  // A reactor goes on to use its streams.
  if (isCommand || ended !== undefined) await suspension.endStreamsUnless(signal);
  else suspension.endIfClosed();
  return ended?.exitCode;
}

/**
 * @param {Suspension | undefined} suspension
 * @param {Function} fn an export
 * @returns {(...args: unknown[]) => Promise<unknown>}
 */
function makePromising(suspension, fn) {
  checkSuspends(suspension, 'promising');
  if (typeof fn !== 'function') throw wrongType('fn', 'of type function', fn);
  const entry = promisingOf(fn, 'fn');
  return async (...args) => {
    let ended, value;
    try {
      ({ ended, value } = await suspension.run(entry, args));
    } catch (error) {
      suspension.endIfClosed({ error });
      throw error;
    }
    suspension.endIfClosed();
    if (ended !== undefined) throw new WASIExitError(ended.exitCode);
    return value;
  };
}

/** Only a function of WebAssembly can be suspended. */
function promisingOf(fn, name) {
  try {
    return promising(fn);
  } catch {
    throw wrongType(name, 'a function that an instance of WebAssembly exports', fn);
  }
}

module.exports = { Suspension, makePromising, runAsync };
