'use strict';

// The common part of the two forms of WASI 0.2, values (values.js) and the canonical ABI
// (lowered.js): the instance, the memories that calls name, and calls that leave more than a
// result.

const { preview2, exitProcess } = require('../../binding.js');
const { exitOf, limitReached, stoppedBy, uncatchable, WASIExitError } = require('../ends.js');
const { nodeError } = require('../errors.js');
const {
  AGAIN,
  CONTINUES,
  CREATED,
  EXIT,
  FAILED,
  INSTANCE,
  MEMORY,
  NAMED_MEMORY,
  OUTCOME,
  TRAPS,
  WOULD_WAIT,
  i64,
  u32,
} = require('../frame.js');
const { now } = require('../time.js');

const { calls, kinds, place, release, setMemory, traps } = preview2;
const { apply, getOwnPropertyDescriptor } = Reflect;
const { defineProperty, getPrototypeOf } = Object;
// Captured at load: tests and programs replace it on `process`.
const { exit } = process;
const getBuffer = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer').get;
const getLength = getOwnPropertyDescriptor(getPrototypeOf(Uint8Array.prototype), 'length').get;
const ViewOfBytes = Uint8Array;
const ViewOfWords = Uint32Array;

/**
 * The result of a call: a value, or the arguments of `realloc`, whose alignment is 0 if there are
 * none.
 */
const LEFT = CREATED;
const ALIGN = CREATED + 2;
const LEFT_I64 = CREATED >>> 1;
/** A kind stands in a rep from this bit on. */
const KIND_SHIFT = 27;
/** A flag of jco's in its tables of handles: beside a rep, that the handle owns it. */
const FLAG = 1 << 30;
/** The encoding of texts that jco does not name. */
const UTF8 = 'utf8';
const NO_MEMORY = new ViewOfBytes(0);
const NO_WORDS = new ViewOfWords(0);
/** The place of the scratch memory among an instance's memories. */
const SCRATCH = 0;
/** How large the scratch memory is as long as nothing needs more, in bytes. */
const SCRATCH_SIZE = 65536;
/** The start of the scratch memory is for result areas. */
const SCRATCH_FIRST = 256;

/** The state of one WASI of 0.2 that its functions share. */
class Host {
  /**
   * @param {unknown} handle what `createInstance` returned: collecting it releases the instance
   * @param {number} instance its number
   */
  constructor(handle, instance) {
    this.handle = handle;
    this.instance = instance;
    /** Memory of the host that stands for a guest's, for values. */
    this.scratch = new Binding(this, undefined, SCRATCH);
    this.bindings = new WeakMap();
    this.freePlaces = [];
    this.places = 1;
    /** Whether a guest's `realloc` runs. */
    this.isAllocating = false;
    /** The time at which a waiting call is to stop, in milliseconds of `now()`. */
    this.deadline = Infinity;
    /** Whether the guest's exit ends the process. */
    this.endsProcess = false;
    /** The guest's end, which each later call meets again. */
    this.end = undefined;
    /** Streams that are functions of the embedder, and the reps of the standard input then. */
    this.functions = undefined;
    this.inputs = undefined;
    /** Objects that must not be collected before the WASI. */
    this.lent = undefined;
    /** The suspension of the components, if they may be suspended: see `suspend.js`. */
    this.suspension = undefined;
    /** Calls of a component that wait and have not let the event loop have its turn yet. */
    this.unclaimed = undefined;
    /** How many functions of the embedder run that a call asked. */
    this.asking = 0;
  }
}

/** A memory as an instance's calls see it. */
class Binding {
  constructor(host, memory, index) {
    this.host = host;
    this.memory = memory;
    this.index = index;
    this.view = NO_MEMORY;
    this.words = NO_WORDS;
    /** The length that Rust knows: V8 can let a buffer grow in place. */
    this.knownLength = 0;
  }
}

/** Gives the place of a memory back that was collected: nothing names it any more. */
const collected = new FinalizationRegistry(({ freePlaces, index }) => freePlaces.push(index));

/**
 * @param {WebAssembly.Memory | undefined} memory of a component; undefined for functions that have
 *   none
 * @param {string} [stringEncoding] of the texts in it, unless it is UTF-8
 * @returns {Binding} that of the memory
 * @throws {TypeError} `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`: texts of UTF-16 would be read wrongly
 */
function bind(host, memory, stringEncoding = UTF8) {
  if (stringEncoding !== UTF8) throw otherEncoding(stringEncoding);
  if (memory === undefined) return host.scratch;
  let binding = host.bindings.get(memory);
  if (binding === undefined) {
    apply(getBuffer, memory, []);
    const index = host.freePlaces.pop() ?? host.places++;
    binding = new Binding(host, memory, index);
    host.bindings.set(memory, binding);
    host.suspension?.note(binding);
    collected.register(memory, { freePlaces: host.freePlaces, index });
  }
  return binding;
}

function otherEncoding(stringEncoding) {
  return nodeError(
    TypeError,
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    `The texts of this component are ${stringEncoding}, which takes imports over values: jco transpile without --import-bindings hybrid`,
  );
}

function setView(binding, bytes) {
  setMemory(binding.host.instance, binding.index, bytes);
  const length = apply(getLength, bytes, []);
  binding.view = bytes;
  binding.knownLength = length;
  binding.words = new ViewOfWords(bytes.buffer, bytes.byteOffset, length >>> 2);
}

/** Called where a view is empty: at the first call, because the memory grew, or in `realloc`. */
function refresh(binding) {
  const { host } = binding;
  if (host.end !== undefined) throw host.end;
  if (host.isAllocating) trap('a function was called from realloc');
  setView(binding, new ViewOfBytes(apply(getBuffer, binding.memory, [])));
}

// --- The scratch memory: one for all WASIs of a thread, because no call runs within another
// -------

let scratchBytes = NO_MEMORY;
let scratchEnd = SCRATCH_FIRST;

/** Begins a call that travels by the scratch memory. */
function beginScratch(host) {
  if (host.end !== undefined) throw host.end;
  if (host.unclaimed !== undefined) host.suspension.cannotWait();
  if (host.isAllocating) trap('a function was called from realloc');
  if (scratchBytes.length !== SCRATCH_SIZE) scratchBytes = new ViewOfBytes(SCRATCH_SIZE);
  scratchEnd = SCRATCH_FIRST;
  if (host.scratch.view !== scratchBytes) setView(host.scratch, scratchBytes);
  return host.scratch;
}

/** Room in the scratch memory: a realloc that only allocates. */
function scratchAlloc(host, align, size) {
  const at = Math.ceil(scratchEnd / align) * align;
  const end = at + size;
  if (end > scratchBytes.length) {
    const larger = new ViewOfBytes(Math.max(end, 2 * scratchBytes.length));
    larger.set(scratchBytes.subarray(0, scratchEnd));
    scratchBytes = larger;
    setView(host.scratch, larger);
  }
  scratchEnd = end;
  return at;
}

// --- The ends of calls ---------------------------------------------------------------------------

/** Ends the guest because it broke the contract. No guest can catch it. */
function trap(what) {
  const error = uncatchable();
  defineProperty(error, 'message', {
    value: `wasm trap: ${what}`,
    configurable: true,
    writable: true,
  });
  throw error;
}

/**
 * Completes a call whose outcome is not 0.
 *
 * @returns {number} 0, `FAILED`, or `WOULD_WAIT` of a component that suspends
 */
function settle(binding, call) {
  for (let outcome = u32[OUTCOME]; ; outcome = u32[OUTCOME]) {
    if (outcome === 0 || outcome === FAILED || outcome === WOULD_WAIT) return outcome;
    if (outcome === AGAIN) {
      const { host } = binding;
      if (host.deadline !== Infinity && now() > host.deadline) {
        exceed(host, 'timeoutMs', 'The guest has run for as long as it may');
      }
      callAgain(call);
    } else if (outcome === MEMORY) {
      const known = binding.knownLength;
      if (binding.memory === undefined) trap('a pointer lies outside the memory');
      setView(binding, new ViewOfBytes(apply(getBuffer, binding.memory, [])));
      if (binding.knownLength === known) trap('a pointer lies outside the memory');
      callAgain(call);
    } else if (outcome === EXIT) {
      exitGuest(binding.host, u32[LEFT]);
    } else if (outcome >= TRAPS) {
      trap(traps[outcome - TRAPS]);
    } else {
      throw stoppedBy(new Error(`wasi-rs: internal fault in ${call.name}`));
    }
  }
}

/** As in lib/guest.js: V8 checks for termination where a function is entered. */
function callAgain(call) {
  u32[CONTINUES] = 1;
  call();
}

let isMainThread;

/** Ends the guest with its exit code; the process, if the embedder asked for that. */
function exitGuest(host, code) {
  if (host.endsProcess) {
    isMainThread ??= require('node:worker_threads').isMainThread;
    if (isMainThread) apply(exit, process, [code]);
    else exitProcess(code & 0xff);
  }
  const error = new WASIExitError(code);
  throw error;
}

function exceed(host, limit, message) {
  host.end = limitReached(limit, message);
  throw host.end;
}

/** Calls a function of the embedder: what it throws ends the guest. */
function ask(host, embedders, argument) {
  host.asking++;
  try {
    return embedders(argument);
  } catch (error) {
    if (host.suspension !== undefined) host.suspension.stop(error);
    throw stoppedBy(error);
  } finally {
    host.asking--;
  }
}

// --- Handles -------------------------------------------------------------------------------------

/** The rep of a handle; 0, which stands for nothing, where there is no such handle. */
function repOf(table, handle) {
  const at = handle << 1;
  return (table[at] & FLAG) !== 0 ? 0 : table[at + 1] & ~FLAG;
}

/** Makes a handle that owns a rep, in jco's table for its resource. */
function own(table, rep) {
  const free = table[0] & ~FLAG;
  if (free === 0) {
    table.push(0, rep | FLAG);
    return (table.length >> 1) - 1;
  }
  table[0] = table[free << 1];
  table[free << 1] = 0;
  table[(free << 1) + 1] = rep | FLAG;
  return free;
}

/**
 * The table with resources of a kind. Which of a function's tables that is depends on the
 * component, so it is told by what stands at a handle.
 */
function tableOf(tables, handle, kind) {
  if (tables.length === 1) return tables[0];
  return tables.find((table) => repOf(table, handle) >>> KIND_SHIFT === kind) ?? NONE;
}

/** No table is known. */
const NONE = Object.freeze([]);

/** The table that is none of these. */
function otherThan(tables, one, other) {
  return (
    tables.find((table) => table !== one && table !== other) ??
    trap('a table of handles is missing')
  );
}

/** Asks the guest for memory until all of a result's lists have it. */
function allocate(binding, realloc) {
  const { host } = binding;
  while (u32[ALIGN] !== 0) {
    const [pointer, oldSize, align, size] = [u32[LEFT], u32[LEFT + 1], u32[ALIGN], u32[LEFT + 3]];
    const given =
      binding.memory === undefined
        ? realloc(pointer, oldSize, align, size)
        : reallocOf(binding, realloc, pointer, oldSize, align, size);
    if (binding.view[0] === undefined) refresh(binding);
    u32[INSTANCE] = host.instance;
    u32[NAMED_MEMORY] = binding.index;
    u32[0] = given;
    place();
    if (u32[OUTCOME] !== 0 && settle(binding, place) === FAILED) return FAILED;
  }
  return 0;
}

/** Calls a guest's realloc. Meanwhile every import of this memory meets `refresh`. */
function reallocOf(binding, realloc, pointer, oldSize, align, size) {
  const { host, view, words } = binding;
  hide(binding);
  host.isAllocating = true;
  try {
    return realloc(pointer, oldSize, align, size);
  } finally {
    host.isAllocating = false;
    binding.view = view;
    binding.words = words;
  }
}

/** Takes a view away, so that the next call with it meets `refresh`. */
function hide(binding) {
  binding.view = NO_MEMORY;
  binding.words = NO_WORDS;
}

/** Drops what a rep stands for. */
function drop(host, rep) {
  host.inputs?.delete(rep);
  u32[INSTANCE] = host.instance;
  u32[0] = rep;
  release();
}

module.exports = {
  ALIGN,
  FAILED,
  Host,
  LEFT,
  LEFT_I64,
  NONE,
  SCRATCH,
  allocate,
  ask,
  beginScratch,
  bind,
  calls,
  drop,
  exceed,
  exitOf,
  hide,
  i64,
  kinds,
  otherThan,
  own,
  refresh,
  repOf,
  scratchAlloc,
  settle,
  tableOf,
  trap,
  u32,
};
