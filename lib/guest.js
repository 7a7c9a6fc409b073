'use strict';

// The guest as the imports see it: its memory, its call frame, and the end of a call that left more
// than an errno.

const { setMemory, clockResolutions: resolutions, exitProcess } = require('../binding.js');
const { WASIExitError, exitOf, limitReached, outputFull, stoppedBy } = require('./ends.js');
const { nodeError } = require('./errors.js');
const {
  AGAIN,
  ASK,
  CONTINUES,
  CREATED,
  EXIT,
  MEMORY,
  OUTCOME,
  WOULD_WAIT,
  FULL,
  u32,
} = require('./frame.js');
const { now } = require('./time.js');

const { apply, getOwnPropertyDescriptor } = Reflect;
// Captured at load: tests and programs replace it on `process`.
const { exit } = process;
const getBuffer = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer').get;
const getLength = getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'length',
).get;
const ViewOfBytes = Uint8Array;
const ViewOfWords = Uint32Array;

/** Nanoseconds by clock; 0 where the host does not know them. */
const clockResolutions = new ViewOfWords(resolutions);

const EINVAL = 28;
const EOVERFLOW = 61;

/** The view of a guest that has no memory yet. */
const NO_MEMORY = new ViewOfBytes(0);
const NO_WORDS = new ViewOfWords(0);

/**
 * The state that the imports of one instance share. Every field is defined here: an assignment
 * would call a setter that someone put on `Object.prototype`.
 */
class Guest {
  instance = u32[CREATED];
  argCount = u32[CREATED + 1];
  argSize = u32[CREATED + 2];
  environCount = u32[CREATED + 3];
  environSize = u32[CREATED + 4];
  memory = undefined;
  view = NO_MEMORY;
  /** The same memory by words, for the functions that JavaScript answers. */
  words = NO_WORDS;
  // V8 can let a buffer grow in place. Its view then follows, so the length that Rust knows is kept
  // apart.
  knownLength = 0;
  /** The time at which a waiting call is to stop, in milliseconds of `now()`. */
  deadline = Infinity;
  /** The number of calls of `runGuest`, one within another, that have not returned. */
  running = 0;
  /**
   * The error that stopped the guest, until the outermost of these calls returns: every import
   * throws it again.
   */
  end = undefined;
  /** The same for the caller of the guest: an exit code, or an error if the guest failed. */
  ended = undefined;
  /** The value that `createInstance` returned. Collecting it releases the instance. */
  handle = undefined;
  /**
   * Where other threads see how large the memory is, in bytes: a `Float64Array` with one number.
   */
  size = undefined;
  /** Objects whose descriptors the guest uses: collecting one would close its descriptor. */
  lent = undefined;
  /** The file systems of the embedder, if there are any: see `served.js`. */
  served = undefined;
  /** Suspends the guest, if it may be suspended: see `suspend.js`. */
  suspension = undefined;
}

/** Lets the imports work on another memory. The brand is checked, so no look-alike will do. */
function useMemory(guest, memory) {
  let buffer;
  try {
    buffer = apply(getBuffer, memory, []);
  } catch {
    throw nodeError(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      '"instance.exports.memory" property must be a WebAssembly.Memory object',
    );
  }
  guest.memory = memory;
  // Without a view, the imports of a guest that has ended keep throwing. The next run takes one.
  if (guest.end === undefined) setView(guest, buffer);
}

function setView(guest, buffer) {
  const bytes = new ViewOfBytes(buffer);
  setMemory(guest.instance, bytes);
  const length = apply(getLength, bytes, []);
  guest.view = bytes;
  guest.knownLength = length;
  if (guest.size !== undefined) guest.size[0] = length;
  // A memory may end within a word.
  guest.words = new ViewOfWords(buffer, 0, (length - (length % 4)) / 4);
}

/**
 * Called when the view is empty: before the start, after the guest's end, or because its memory
 * grew.
 */
function refresh(guest) {
  checkRunning(guest);
  if (guest.memory === undefined) {
    throw nodeError(Error, 'ERR_WASI_NOT_STARTED', 'wasi.start() has not been called');
  }
  setView(guest, apply(getBuffer, guest.memory, []));
}

// --- The guest's end -----------------------------------------------------------------------------

/** By error: the guest that it ended, where the embedder had called an export itself. */
const owners = new WeakMap();
const { get: getOwner, set: setOwner } = WeakMap.prototype;

/**
 * Calls what runs code of the guest.
 *
 * @param {() => void} entry
 * @returns {{ exitCode: number } | undefined} the exit code, if the guest called `proc_exit`
 * @throws {unknown} what stopped the guest as it was thrown; what else comes out of `entry`
 */
function runGuest(guest, entry) {
  guest.running++;
  let ended;
  try {
    entry();
    // JavaScript between the import and here may have caught the end.
    ended = guest.ended;
  } catch (error) {
    ended = guest.ended;
    if (ended === undefined || error !== guest.end) throw error;
  } finally {
    leave(guest);
  }
  if (ended !== undefined && ended.failed) throw ended.error;
  return ended;
}

/** A call that runs the guest has returned. */
function leave(guest) {
  if (--guest.running > 0) return;
  guest.end = undefined;
  guest.ended = undefined;
}

function checkRunning(guest) {
  if (guest.end !== undefined) throw guest.end;
}

/**
 * Ends the guest. What it throws, no guest can catch. JavaScript can: while a call of `runGuest`
 * has not returned, each further import throws it again.
 */
function stop(guest, end, ended) {
  halt(guest, end, ended);
  throw end;
}

/** The same from outside of the guest's calls. */
function halt(guest, end, ended) {
  if (guest.running === 0) {
    apply(setOwner, owners, [end, guest]);
    return;
  }
  guest.end = end;
  guest.ended = ended;
  // Calls look for an end only where they find no view of the memory, so the hot path pays nothing.
  guest.view = NO_MEMORY;
  guest.words = NO_WORDS;
  if (guest.suspension !== undefined) guest.suspension.interrupt(end);
}

/** Ends the guest with its exit code. Its first end counts. */
function exitGuest(guest, exitCode) {
  checkRunning(guest);
  const end = guest.running === 0 ? new WASIExitError(exitCode) : exitOf(exitCode);
  stop(guest, end, { failed: false, exitCode });
}

/** Ends the guest because it reached a limit. */
function exceed(guest, limit, message) {
  const error = limitReached(limit, message);
  stop(guest, error, { failed: true, error });
}

/** Ends the guest by an error that is not its own: what a function of the embedder threw. */
function stopFor(guest, error) {
  // The function called an export of this guest, which ended.
  const isEnd =
    guest.running > 0 ? guest.end === error : apply(getOwner, owners, [error]) === guest;
  if (isEnd && error !== undefined) throw error;
  stop(guest, stoppedBy(error), { failed: true, error });
}

/**
 * Calls a function of the embedder. The guest goes on after it, unless the function ended the
 * guest.
 */
function ask(guest, embedders, argument) {
  let value;
  try {
    value = embedders(argument);
  } catch (error) {
    stopFor(guest, error);
  }
  checkRunning(guest);
  return value;
}

/** The answer to a wrong count or type of arguments. */
function invalid(guest) {
  checkRunning(guest);
  return EINVAL;
}

/** The `proc_exit` of an instance with `returnOnExit`. */
function returningExit(guest) {
  return {
    proc_exit(code) {
      exitGuest(guest, code);
    },
  }.proc_exit;
}

// --- What calls leave ----------------------------------------------------------------------------

/** Completes a call that left more than an errno. */
function finish(guest, call) {
  for (let outcome = u32[OUTCOME]; ; outcome = callAgain(call)) {
    if (outcome < AGAIN) {
      if (guest.served !== undefined && guest.served.isClosed) ask(guest, guest.served.close);
      return outcome;
    }
    if (outcome === EXIT) return endProcess(guest, u32[0] | 0);
    if (outcome === MEMORY) {
      const known = guest.knownLength;
      setView(guest, apply(getBuffer, guest.memory, []));
      if (guest.knownLength === known) return EOVERFLOW;
    } else if (outcome === ASK && guest.served !== undefined) {
      const waits = guest.served.serve(call);
      if (waits !== undefined) return waits;
    } else if (outcome === WOULD_WAIT) {
      return guest.suspension.park(call);
    } else if (outcome === FULL) {
      const error = outputFull();
      stop(guest, error, { failed: true, error });
    } else if (outcome !== AGAIN) {
      stopFor(guest, new Error(`wasi-rs: internal fault in ${call.name}`));
    } else if (guest.deadline !== Infinity && now() > guest.deadline) {
      exceed(guest, 'timeoutMs', 'The guest has run for as long as it may');
    }
  }
}

/**
 * Makes a call again. A function of its own: V8 checks for termination when it enters a function,
 * but at the end of a loop that it has not compiled only now and then.
 */
function callAgain(call) {
  // Set right before the call: if the thread were stopped in between, the next call would see the
  // flag.
  u32[CONTINUES] = 1;
  call();
  return u32[OUTCOME];
}

/** A copy of a range of the guest's memory, for observers; shorter where the memory ends. */
function copyOut(guest, offset, length) {
  if (guest.memory === undefined) return NO_MEMORY;
  return new ViewOfBytes(apply(getBuffer, guest.memory, [])).slice(offset, offset + length);
}

/** Set on first use: loading `worker_threads` takes longer than the rest of this module. */
let isMainThread;

/**
 * Called when an instance is made whose guest may end the process: its exit must not wait for a
 * module.
 */
function prepareEndOfProcess() {
  isMainThread ??= require('node:worker_threads').isMainThread;
}

/**
 * The `proc_exit` of an instance without `returnOnExit`. On the main thread this is
 * `process.exit`, with its handlers; in a Worker that would end the Worker only.
 *
 * @param {number} code a signed 32-bit number
 */
function endProcess(guest, code) {
  checkRunning(guest);
  try {
    if (isMainThread) apply(exit, process, [code]);
    else exitProcess(code & 0xff);
  } catch (error) {
    stopFor(guest, error);
  }
  // A test may have replaced `process.exit` by what returns: the guest has ended all the same.
  return exitGuest(guest, code);
}

/**
 * Writes two u32 to memory. False, with nothing written, unless both pointers are those of words in
 * it.
 */
function putWords({ words }, first, one, second, other) {
  if (typeof first !== 'number' || (first | 0) !== first) return false;
  if (typeof second !== 'number' || (second | 0) !== second) return false;
  if (((first | second) & 3) !== 0) return false;
  const at = first >>> 2;
  const then = second >>> 2;
  if (words[at] === undefined || words[then] === undefined) return false;
  words[at] = one;
  words[then] = other;
  return true;
}

/**
 * Writes a clock's resolution to memory. False, with nothing written, as above, or if there is no
 * such clock.
 */
function putResolution({ words }, clock, pointer) {
  if (typeof clock !== 'number' || (clock | 0) !== clock) return false;
  if (typeof pointer !== 'number' || (pointer | 0) !== pointer) return false;
  const ns = clockResolutions[clock];
  const at = pointer >>> 2;
  if ((pointer & 3) !== 0 || !(ns > 0) || words[at + 1] === undefined) return false;
  words[at] = ns;
  words[at + 1] = 0;
  return true;
}

function isI32(value) {
  return typeof value === 'number' && ((value | 0) === value || value >>> 0 === value);
}

module.exports = {
  Guest,
  ask,
  checkRunning,
  copyOut,
  endProcess,
  exceed,
  finish,
  halt,
  invalid,
  isI32,
  leave,
  prepareEndOfProcess,
  putResolution,
  putWords,
  refresh,
  returningExit,
  runGuest,
  stop,
  stopFor,
  useMemory,
};
