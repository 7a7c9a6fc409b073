'use strict';

// The common part of the functions of lowered.js.

const { CONTINUES, INSTANCE, NAMED_MEMORY, OUTCOME, RESUME, WOULD_WAIT } = require('../frame.js');
const {
  LEFT,
  NONE,
  SCRATCH,
  beginScratch,
  bind,
  calls,
  own,
  refresh,
  repOf,
  scratchAlloc,
  settle,
  trap,
  allocate,
  u32,
} = require('./host.js');

const { poll_list } = calls;

/** How many pollables there can be. */
const MOST = 1 << 18;
/** How far one of `get-directories`' entries is from the next, in words: a handle and a string. */
const DIRECTORY_WORDS = 3;

/** Writes a word to the guest's memory, which Rust has just written to. */
function put(binding, at, word) {
  binding.words[at >>> 2] = word;
}

/** Makes a handle of the error that a call left, in the result area. */
function fail(binding, errors, at) {
  put(binding, at, own(errors, u32[LEFT]));
}

/** Makes handles of the reps in the list of directories. */
function ownAll(binding, table, ret) {
  const { words } = binding;
  const [list, count] = [words[ret >>> 2], words[(ret >>> 2) + 1]];
  for (let index = 0; index < count; index++) {
    const at = (list >>> 2) + DIRECTORY_WORDS * index;
    words[at] = own(table, words[at]);
  }
}

/**
 * `poll`: the handles are looked up here, so Rust gets the reps in the scratch memory and leaves
 * the indices there.
 */
function pollWith(host, { memory, realloc, resourceTables: [table] }) {
  const binding = bind(host, memory);
  return (list, count, ret) => {
    const reps = repsIn(binding, table, list, count, ret);
    giveIndices(binding, realloc, pollReps(host, reps), ret);
  };
}

/** The same for a component that suspends. */
function pollSuspending(host, suspension, { memory, realloc, resourceTables: tables }) {
  const binding = bind(host, memory);
  const lane = suspension.lane(memory, tables);
  return suspension.trampoline('iii', lane, (list, count, ret) => {
    const reps = repsIn(binding, tables[0], list, count, ret);
    const poll = (resume) => {
      const indices = pollReps(host, reps, resume);
      if (indices === undefined) return suspension.park(lane, poll);
      giveIndices(binding, realloc, indices, ret);
      return 0;
    };
    return poll();
  });
}

/** The reps of the handles in a guest's list. */
function repsIn(binding, table, list, count, ret) {
  if (binding.view[0] === undefined) refresh(binding);
  if ((list & 3) !== 0 || (ret & 3) !== 0) trap('a pointer is not aligned');
  const first = list >>> 2;
  const length = count >>> 0;
  if (length > MOST) trap('a list of pollables is too long');
  if (first + length > binding.words.length) refreshed(binding, first + length);
  return Array.from({ length }, (_, index) => repOf(table, binding.words[first + index]));
}

/** Gives the guest a list of what is ready. */
function giveIndices(binding, realloc, indices, ret) {
  const size = 4 * indices.length;
  const pointer = size === 0 ? 4 : realloc(0, 0, 4, size);
  if (binding.view[0] === undefined) refresh(binding);
  const at = pointer >>> 2;
  if ((pointer & 3) !== 0 || at + indices.length > binding.words.length) {
    trap('realloc gave a pointer that is not aligned, or outside the memory');
  }
  binding.words.set(indices, at);
  put(binding, ret, pointer);
  put(binding, ret + 4, indices.length);
}

function refreshed(binding, end) {
  refresh(binding);
  if (end > binding.words.length) trap('a pointer lies outside the memory');
}

/**
 * @param {number[]} reps
 * @param {[number, number]} [resume] what Rust knows of the call, if it goes on
 * @returns {Uint32Array | undefined} the indices of the pollables that are ready, when one of them
 *   is; `undefined` if a component that suspends would have to wait
 */
function pollReps(host, reps, resume) {
  const count = reps.length;
  const scratch = beginScratch(host);
  const list = scratchAlloc(host, 4, 4 * count);
  scratch.words.set(reps, list >>> 2);
  u32[INSTANCE] = host.instance;
  u32[NAMED_MEMORY] = SCRATCH;
  u32[0] = list;
  u32[2] = 4 * count;
  u32[4] = 0;
  if (resume !== undefined) goOn(resume);
  poll_list();
  if (u32[OUTCOME] !== 0 && settle(scratch, poll_list) === WOULD_WAIT) return undefined;
  allocate(scratch, (_, __, align, size) => scratchAlloc(host, align, size));
  const { words } = scratch;
  return words.slice(words[0] >>> 2, (words[0] >>> 2) + words[1]);
}

/** Says that the next call goes on, and what Rust knows of it. */
function goOn([low, high]) {
  u32[RESUME] = low;
  u32[RESUME + 1] = high;
  u32[CONTINUES] = 1;
}

module.exports = { NONE, fail, goOn, ownAll, pollReps, pollSuspending, pollWith, put };
