'use strict';

// The guest as the imports see it: its memory, its call frame, and the end of a call that left more than an errno.

const { setMemory, clockResolutions: resolutions, exitProcess } = require('../binding.js');
const { limitReached, nodeError } = require('./errors.js');
const { AGAIN, CONTINUES, CREATED, EXIT, MEMORY, OUTCOME, u32 } = require('./frame.js');

const { apply, getOwnPropertyDescriptor } = Reflect;
// Captured at load: tests and programs replace both on `process`.
const { exit, hrtime } = process;
const getBuffer = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer').get;
const getLength = getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'length',
).get;
const ViewOfBytes = Uint8Array;
const ViewOfWords = Uint32Array;

/** Nanoseconds by clock; 0 where the host does not know them. */
const clockResolutions = new ViewOfWords(resolutions);

const EOVERFLOW = 61;

/** The view of a guest that has no memory yet. */
const NO_MEMORY = new ViewOfBytes(0);
const NO_WORDS = new ViewOfWords(0);

/**
 * The state that the imports of one instance share. Every field is defined here: an assignment would call a setter
 * that someone put on `Object.prototype`.
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
  // V8 can let a buffer grow in place. Its view then follows, so the length that Rust knows is kept apart.
  knownLength = 0;
  /** The time at which a waiting call is to stop, in milliseconds of `now()`. */
  deadline = Infinity;
  /** The value that `createInstance` returned. Collecting it releases the instance. */
  handle = undefined;
  /** Objects whose descriptors the guest uses: collecting one would close its descriptor. */
  lent = undefined;
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
  setView(guest, buffer);
}

function setView(guest, buffer) {
  const bytes = new ViewOfBytes(buffer);
  setMemory(guest.instance, bytes);
  const length = apply(getLength, bytes, []);
  guest.view = bytes;
  guest.knownLength = length;
  // A memory may end within a word.
  guest.words = new ViewOfWords(buffer, 0, (length - (length % 4)) / 4);
}

/** Called when the view is empty: before the start, or because the guest's memory grew. */
function refresh(guest) {
  if (guest.memory === undefined) {
    throw nodeError(Error, 'ERR_WASI_NOT_STARTED', 'wasi.start() has not been called');
  }
  setView(guest, apply(getBuffer, guest.memory, []));
}

/** Completes a call that left more than an errno. */
function finish(guest, call) {
  for (let outcome = u32[OUTCOME]; ; outcome = callAgain(call)) {
    if (outcome < AGAIN) return outcome;
    if (outcome === EXIT) return endProcess(u32[0] | 0);
    if (outcome === MEMORY) {
      const known = guest.knownLength;
      setView(guest, apply(getBuffer, guest.memory, []));
      if (guest.knownLength === known) return EOVERFLOW;
    } else if (outcome !== AGAIN) {
      throw new Error(`wasi-rs: internal fault in ${call.name}`);
    } else if (guest.deadline !== Infinity && now() > guest.deadline) {
      throw limitReached('deadlineMs', 'The guest has run for as long as it may');
    }
  }
}

/**
 * Makes a call again. A function of its own: V8 checks for termination when it enters a function, but at the end of a
 * loop that it has not compiled only now and then.
 */
function callAgain(call) {
  // Set right before the call: if the thread were stopped in between, the next call would see the flag.
  u32[CONTINUES] = 1;
  call();
  return u32[OUTCOME];
}

/** Milliseconds that only go forward. `performance` would take Node a millisecond to load. */
function now() {
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

/** A copy of a range of the guest's memory, for observers; shorter where the memory ends. */
function copyOut(guest, offset, length) {
  if (guest.memory === undefined) return NO_MEMORY;
  return new ViewOfBytes(apply(getBuffer, guest.memory, [])).slice(offset, offset + length);
}

/** Set on first use: loading `worker_threads` takes longer than the rest of this module. */
let isMainThread;

/** Called when an instance is made whose guest may end the process: its exit must not wait for a module. */
function prepareEndOfProcess() {
  isMainThread ??= require('node:worker_threads').isMainThread;
}

/**
 * The end of a guest without `returnOnExit`. On the main thread this is `process.exit`, with its handlers; in a Worker
 * `process.exit` would end the Worker only.
 *
 * @param {number} code a signed 32-bit number
 */
function endProcess(code) {
  if (isMainThread) apply(exit, process, [code]);
  return exitProcess(code & 0xff);
}

/** Writes two u32 to memory. False, with nothing written, unless both pointers are those of words in it. */
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

/** Writes a clock's resolution to memory. False, with nothing written, as above, or if there is no such clock. */
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
  copyOut,
  finish,
  isI32,
  now,
  prepareEndOfProcess,
  putResolution,
  putWords,
  refresh,
  useMemory,
};
