'use strict';

// The public face of wasi-rs: the class `WASI` with the interface of `node:wasi`.
//
// Rust does all host work. JavaScript does what only JavaScript can: it checks options with Node's
// errors, hands the guest's memory over, and gives each preview1 function a closure that a
// WebAssembly module can import. Such a call takes this way:
//
//   guest -> closure in `createImports` -> call frame -> native function without arguments
//         <- errno                      <- outcome    <-
//
// The call frame is one small ArrayBuffer that Rust and JavaScript share: an argument written there
// costs a store, where an argument passed through Node-API costs a call. Everything that an import
// needs is captured when this module loads, so that later changes to globals and prototypes cannot
// alter it. See ARCHITECTURE.md for the frame's layout.

const {
  attachInstance,
  calls,
  clockResolutions: resolutions,
  closeInstance,
  collectedOutput,
  createInstance,
  exitProcess,
  feedInput,
  frame,
  inputWanted,
  instanceId,
  listTreeFiles,
  readTreeFile,
  setMemory,
  shareInstance,
  snapshot0Calls,
  takeOutput,
  unshareInstance,
} = require('./binding.js');
const { limitReached, nodeError } = require('./errors.js');
const {
  bindingNameOf,
  checkedOptions,
  validateBoolean,
  validateFunction,
  validateObject,
  validateUndefined,
} = require('./options.js');

// One native function for each import, shared by all instances: a call site in `createImports` then
// always calls the same function, which V8 needs to call it fast.
const {
  args_get,
  args_sizes_get,
  clock_res_get,
  clock_time_get,
  environ_get,
  environ_sizes_get,
  fd_advise,
  fd_allocate,
  fd_close,
  fd_datasync,
  fd_fdstat_get,
  fd_fdstat_set_flags,
  fd_fdstat_set_rights,
  fd_filestat_get,
  fd_filestat_set_size,
  fd_filestat_set_times,
  fd_pread,
  fd_prestat_get,
  fd_prestat_dir_name,
  fd_pwrite,
  fd_read,
  fd_readdir,
  fd_renumber,
  fd_seek,
  fd_sync,
  fd_tell,
  fd_write,
  path_create_directory,
  path_filestat_get,
  path_filestat_set_times,
  path_link,
  path_open,
  path_readlink,
  path_remove_directory,
  path_rename,
  path_symlink,
  path_unlink_file,
  poll_oneoff,
  proc_exit,
  proc_raise,
  random_get,
  sched_yield,
  sock_accept,
  sock_recv,
  sock_send,
  sock_shutdown,
} = calls;

const { apply, getOwnPropertyDescriptor } = Reflect;
const { assign, defineProperty } = Object;
// As they are now: a call that waits must not meet what tests put in their place.
const { exit, hrtime } = process;
const getBuffer = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer').get;
const getLength = getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  'length',
).get;
const ViewOfBytes = Uint8Array;
const ViewOfWords = Uint32Array;

// State lies under symbols with the descriptions that `node:wasi` uses. emnapi, the runtime under
// every WebAssembly package built with napi-rs, looks them up by description, and writes them.
const kBindingName = Symbol('kBindingName');
const kSetMemory = Symbol('kSetMemory');
const kStarted = Symbol('kStarted');
/** Key of the exit code, and what `proc_exit` throws to unwind the guest. */
const kExitCode = Symbol('kExitCode');
const kInstance = Symbol('kInstance');
const kClose = Symbol('kClose');
const kHandle = Symbol('kHandle');
const kPreopens = Symbol('kPreopens');
/** Whether something of the options works in this thread only: functions, and what watches calls. */
const kOwnThread = Symbol('kOwnThread');
const kObservation = Symbol('kObservation');
/** `wasi[kShare]()` gives the number under which other threads can attach to the instance. */
const kShare = Symbol('kShare');
/** `WASI[kAttach](number, options)` makes a WASI that shares the descriptors of another thread's. */
const kAttach = Symbol('kAttach');

/** What a WASI has of options that attaches to another's: all else is there. */
const ATTACHED = { functions: undefined, observers: undefined, names: [] };

const DISPOSE = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/**
 * One sandboxed WASI preview1 environment: arguments, environment, preopened directories, standard
 * streams, and the functions through which a guest uses them.
 */
class WASI {
  /**
   * @param {import('./index.js').WASIOptions} [options]
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: an option is wrong.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`: a standard stream is no descriptor's number.
   * @throws {Error} `UVWASI_ENOENT`, `UVWASI_ENOTDIR`, `UVWASI_EBADF` and so on: a preopen or a
   *   standard stream cannot be used. `ERR_ACCESS_DENIED`: the permission model forbids it.
   */
  constructor(options = {}) {
    const attached = attaching;
    attaching = undefined;
    validateObject(options, 'options');
    // Two contracts meet in this class. Without `version` the documentation of Node 18 holds: the
    // guest's exit ends the process. With it that of Node 20 and later holds: `start` returns.
    const versioned = options.version !== undefined;
    const bindingName = versioned ? bindingNameOf(options.version) : 'wasi_snapshot_preview1';
    const checked = attached === undefined ? checkedOptions(options) : ATTACHED;
    const handle = attached === undefined ? newInstance(checked.native) : attachInstance(attached);
    const imports = createImports(handle);
    const { wasiImport, useMemory, close } = imports;
    // The guest was compiled against snapshot 0, where some records are laid out differently.
    if (bindingName === 'wasi_unstable') assign(wasiImport, imports.snapshot0Import());
    const { functions, observers } = checked;
    if (functions !== undefined) imports.connect(functions);

    this[kBindingName] = bindingName;
    this[kSetMemory] = useMemory;
    this[kClose] = close;
    this[kHandle] = handle;
    this[kPreopens] = checked.names;
    this[kOwnThread] = functions !== undefined || observers !== undefined;
    this.wasiImport = wasiImport;
    this[kStarted] = false;
    this[kExitCode] = 0;
    this[kInstance] = undefined;
    this[kObservation] = undefined;

    try {
      let returnOnExit = versioned;
      if (options.returnOnExit !== undefined) {
        validateBoolean(options.returnOnExit, 'options.returnOnExit');
        returnOnExit = options.returnOnExit;
      }
      if (returnOnExit) wasiImport.proc_exit = returningExit(this);
      else isMainThread ??= require('node:worker_threads').isMainThread;
      // Loaded when it is first asked for, as loading takes its time.
      if (observers !== undefined) {
        this[kObservation] = require('./observe.js').observe(wasiImport, observers, imports);
      }
    } catch (error) {
      close();
      throw error;
    }
  }

  /**
   * Gives the guest's memory to the imports, without calling any of the guest's functions.
   *
   * @param {object} instance a `WebAssembly.Instance` or an object with `exports`
   * @param {object} [options]
   * @param {WebAssembly.Memory} [options.memory] by default `instance.exports.memory`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`
   */
  finalizeBindings(instance, { memory = instance?.exports?.memory } = {}) {
    if (this[kStarted]) {
      throw nodeError(Error, 'ERR_WASI_ALREADY_STARTED', 'WASI instance has already started');
    }
    validateObject(instance, 'instance');
    validateObject(instance.exports, 'instance.exports');
    this[kSetMemory](memory);
    this[kInstance] = instance;
    this[kStarted] = true;
  }

  /**
   * Runs a command: gives it its memory and calls its export `_start`.
   *
   * @param {object} instance a `WebAssembly.Instance` or an object with `exports`
   * @returns {number} the exit code: 0, or what the guest gave to `proc_exit` as a signed 32-bit
   *   number, if `returnOnExit` is on
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: an export is missing or there is one too many
   */
  start(instance) {
    this.finalizeBindings(instance);
    const { _start, _initialize } = this[kInstance].exports;
    validateFunction(_start, 'instance.exports._start');
    validateUndefined(_initialize, 'instance.exports._initialize');
    try {
      _start();
    } catch (error) {
      if (error !== kExitCode) throw error;
    }
    return this[kExitCode];
  }

  /**
   * Prepares a reactor: gives it its memory and calls its export `_initialize`, if there is one.
   *
   * @param {object} instance a `WebAssembly.Instance` or an object with `exports`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`
   */
  initialize(instance) {
    this.finalizeBindings(instance);
    const { _start, _initialize } = this[kInstance].exports;
    validateUndefined(_start, 'instance.exports._start');
    if (_initialize !== undefined) {
      validateFunction(_initialize, 'instance.exports._initialize');
      _initialize();
    }
  }

  /**
   * @returns {object} a new object with `wasiImport` under the name of this version's module, as
   *   `WebAssembly.instantiate` takes it
   */
  getImportObject() {
    return { [this[kBindingName]]: this.wasiImport };
  }

  /**
   * Closes all descriptors of the guest, but for the host's standard streams, which are borrowed.
   * Later calls of the guest get errno 8 (badf) for every descriptor. Can be called again.
   */
  close() {
    this[kClose]();
  }

  [DISPOSE]() {
    this.close();
  }

  /** @returns {Uint8Array | undefined} what the guest wrote to its standard output, if that is a `'pipe'` */
  get stdout() {
    return collectedOutput(instanceId(this[kHandle]), 1) ?? undefined;
  }

  /** @returns {Uint8Array | undefined} what the guest wrote to its standard error, if that is a `'pipe'` */
  get stderr() {
    return collectedOutput(instanceId(this[kHandle]), 2) ?? undefined;
  }

  /**
   * Reads a file of a preopen in memory.
   *
   * @param {string} guestPath as the guest would open it: `/work/config.json` below a preopen `/work`
   * @returns {Uint8Array | undefined} a copy of its bytes, if there is such a file
   */
  readFile(guestPath) {
    const id = instanceId(this[kHandle]);
    for (const { index, path } of placesOf(this[kPreopens], String(guestPath))) {
      const bytes = path === '' ? null : readTreeFile(id, index, path);
      if (bytes !== null) return bytes;
    }
    return undefined;
  }

  /** @returns {string[]} the guest's paths of all files in preopens in memory, sorted */
  listFiles() {
    const id = instanceId(this[kHandle]);
    const names = this[kPreopens];
    return names
      .flatMap((name, index) =>
        listTreeFiles(id, index).map((path) =>
          name.endsWith('/') ? name + path : `${name}/${path}`,
        ),
      )
      .sort();
  }

  /**
   * @returns {Record<string, { calls: number, ns: number }> | undefined} how often the guest called each
   *   function and how many nanoseconds that took together, with the option `stats`
   */
  stats() {
    return this[kObservation]?.stats();
  }

  /** @returns {{ number: number, release: () => void }} what other threads attach with, until the release */
  [kShare]() {
    if (this[kOwnThread]) {
      throw new TypeError(
        'Streams that are functions, call limits, traces and statistics belong to one thread',
      );
    }
    const number = shareInstance(instanceId(this[kHandle]));
    return { number, release: () => unshareInstance(number) };
  }
}

function newInstance({ args, env, stdin, stdout, stderr, preopens, special }) {
  return createInstance(args, env, stdin, stdout, stderr, preopens, special);
}

/** As described in index.d.ts; loaded when it is first called. */
function runInWorker(wasm, options, limits) {
  return require('./run-in-worker.js').runInWorker(wasm, options, limits);
}

/** Where a guest's path may lie: below each preopen whose name it begins with, the longest first. */
function placesOf(names, guestPath) {
  const places = [];
  names.forEach((name, index) => {
    const folder = name.endsWith('/') ? name : `${name}/`;
    if (guestPath.startsWith(folder))
      places.push({ index, folder, path: guestPath.slice(folder.length) });
  });
  return places.sort((one, other) => other.folder.length - one.folder.length);
}

/** Known once a guest may end the process: to ask takes longer than all else that this module loads. */
let isMainThread;

/** What the next WASI attaches to; not an option, because users' options are read as Node reads them. */
let attaching;

/** A WASI with the descriptors, arguments and environment of another thread's. */
defineProperty(WASI, kAttach, {
  value(number, options) {
    attaching = number;
    return new WASI(options);
  },
});

// --- Imports -------------------------------------------------------------------------------------

// The call frame: argument k lies in the k-th slot of 8 bytes, an i32 in its first half.
const u32 = new Uint32Array(frame);
const i64 = new BigInt64Array(frame);
/** Index in `u32` of the number of the instance that calls. */
const INSTANCE = 20;
/** Index in `u32` of whether the call goes on with what Rust left in the frame, instead of beginning. */
const CONTINUES = 21;
/** Index in `u32` of what a call leaves: below 256 an errno, else one of those below. */
const OUTCOME = 22;
/**
 * Index in `u32` of what `createInstance` and `attachInstance` leave: the instance's number, the count of its
 * arguments and their size, and the same of its environment.
 */
const MADE = 26;
/** The call waits: it is to be made again, after V8 had the chance to end this thread. */
const AGAIN = 256;
/** A pointer lies past the memory that Rust knows of: the memory may have grown. */
const MEMORY = 257;
/** `proc_exit` was called; its argument is still in slot 0. */
const EXIT = 258;

/** Nanoseconds by clock; 0 where they are not known. */
const clockResolutions = new ViewOfWords(resolutions);

const EINVAL = 28;
const EOVERFLOW = 61;

/** How many bytes a function that is the standard input is asked for. */
const INPUT_SIZE = 65536;

/** What imports see before there is a memory. */
const NO_MEMORY = new ViewOfBytes(0);
const NO_WORDS = new ViewOfWords(0);

/**
 * What the imports of one instance share. Fields, as they are defined: an assignment would find a setter that
 * someone gave to all objects.
 */
class Guest {
  instance = u32[MADE];
  argCount = u32[MADE + 1];
  argSize = u32[MADE + 2];
  environCount = u32[MADE + 3];
  environSize = u32[MADE + 4];
  memory = undefined;
  view = NO_MEMORY;
  /** The same memory by words, for what is answered without a call. */
  words = NO_WORDS;
  // A buffer that V8 lets grow in place keeps its view, whose length then follows it: what Rust
  // knows of must be remembered apart.
  knownLength = 0;
  /** When a call that waits is to stop, in milliseconds of `now()`. */
  deadline = Infinity;
  /** What `createInstance` gave. Its collection releases the instance. */
  handle = undefined;
}

/** Lets the imports work on another memory. Its brand is checked, so no look-alike will do. */
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
  handOver(guest, buffer);
}

function handOver(guest, buffer) {
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
  handOver(guest, apply(getBuffer, guest.memory, []));
}

/** What a call left. */
function left(guest, call) {
  const outcome = u32[OUTCOME];
  return outcome < AGAIN ? outcome : finish(guest, call);
}

/** Brings a call to its end that left more than an errno. */
function finish(guest, call) {
  for (let outcome = u32[OUTCOME]; ; outcome = callAgain(call)) {
    if (outcome < AGAIN) return outcome;
    if (outcome === EXIT) return endProcess(u32[0] | 0);
    if (outcome === MEMORY) {
      const known = guest.knownLength;
      handOver(guest, apply(getBuffer, guest.memory, []));
      if (guest.knownLength === known) return EOVERFLOW;
    } else if (outcome !== AGAIN) {
      throw new Error(`wasi-rs: internal fault in ${call.name}`);
    } else if (guest.deadline !== Infinity && now() > guest.deadline) {
      throw limitReached('deadlineMs', 'The guest has run for as long as it may');
    }
  }
}

// What needs no host is answered here, if the memory is as it should be. Rust answers the rest.

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

/** Writes a clock's resolution to memory. False, with nothing written, as above; or if there is no such clock. */
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

// Writers of arguments: i stands for i32, I for i64. What has fewer arguments than its writer passes zeros, so
// that few writers do: V8 takes longer to compile one than to make hundreds of calls. False, with nothing
// written, if a value has another type. `typeof` comes first, so that no conversion can call user code; what a
// guest passes needs no call of `isI32`, as the calls of most programs are over before V8 compiles them, and until
// then those were a quarter of a short one. They are no closures: that V8 knows what they work on keeps a call as
// short with a thousand instances as with one.

function put_iIIi(guest, a, b, c, d) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if (typeof b !== 'bigint') return false;
  if (typeof c !== 'bigint') return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  i64[1] = b;
  i64[2] = c;
  u32[6] = d;
  return true;
}

function put_iiii(guest, a, b, c, d) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if ((typeof b !== 'number' || (b | 0) !== b) && !isI32(b)) return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  u32[2] = b;
  u32[4] = c;
  u32[6] = d;
  return true;
}

function put_iIii(guest, a, b, c, d) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if (typeof b !== 'bigint') return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  i64[1] = b;
  u32[4] = c;
  u32[6] = d;
  return true;
}

function put_iiiIi(guest, a, b, c, d, e) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if ((typeof b !== 'number' || (b | 0) !== b) && !isI32(b)) return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if (typeof d !== 'bigint') return false;
  if ((typeof e !== 'number' || (e | 0) !== e) && !isI32(e)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  u32[2] = b;
  u32[4] = c;
  i64[3] = d;
  u32[8] = e;
  return true;
}

function put_iiiiIIi(guest, a, b, c, d, e, f, g) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if ((typeof b !== 'number' || (b | 0) !== b) && !isI32(b)) return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if (typeof e !== 'bigint') return false;
  if (typeof f !== 'bigint') return false;
  if ((typeof g !== 'number' || (g | 0) !== g) && !isI32(g)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  u32[2] = b;
  u32[4] = c;
  u32[6] = d;
  i64[4] = e;
  i64[5] = f;
  u32[12] = g;
  return true;
}

function put_iiiiiii(guest, a, b, c, d, e, f, g) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if ((typeof b !== 'number' || (b | 0) !== b) && !isI32(b)) return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if ((typeof e !== 'number' || (e | 0) !== e) && !isI32(e)) return false;
  if ((typeof f !== 'number' || (f | 0) !== f) && !isI32(f)) return false;
  if ((typeof g !== 'number' || (g | 0) !== g) && !isI32(g)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  u32[2] = b;
  u32[4] = c;
  u32[6] = d;
  u32[8] = e;
  u32[10] = f;
  u32[12] = g;
  return true;
}

function put_iiiiiIIii(guest, a, b, c, d, e, f, g, h, j) {
  if ((typeof a !== 'number' || (a | 0) !== a) && !isI32(a)) return false;
  if ((typeof b !== 'number' || (b | 0) !== b) && !isI32(b)) return false;
  if ((typeof c !== 'number' || (c | 0) !== c) && !isI32(c)) return false;
  if ((typeof d !== 'number' || (d | 0) !== d) && !isI32(d)) return false;
  if ((typeof e !== 'number' || (e | 0) !== e) && !isI32(e)) return false;
  if (typeof f !== 'bigint') return false;
  if (typeof g !== 'bigint') return false;
  if ((typeof h !== 'number' || (h | 0) !== h) && !isI32(h)) return false;
  if ((typeof j !== 'number' || (j | 0) !== j) && !isI32(j)) return false;
  if (guest.view[0] === undefined) refresh(guest);
  u32[INSTANCE] = guest.instance;
  u32[0] = a;
  u32[2] = b;
  u32[4] = c;
  u32[6] = d;
  u32[8] = e;
  i64[5] = f;
  i64[6] = g;
  u32[14] = h;
  u32[16] = j;
  return true;
}

/**
 * Makes the 46 functions of preview1 for one instance, in the order in which `node:wasi` lists them.
 *
 * Each function looks at the count of its arguments and at their types first (errno 28, inval),
 * then at whether there is a memory (`ERR_WASI_NOT_STARTED`). An i32 is any integer from -2**31 to
 * 2**32 - 1; an i64 is any BigInt, modulo 2**64. From the first store into the frame to the native
 * call nothing runs that could make another call and so overwrite the frame.
 *
 * @param {object} handle what `createInstance` or `attachInstance` gave just now
 */
function createImports(handle) {
  const guest = new Guest();
  guest.handle = handle;

  const wasiImport = {
    args_get(argv, argv_buf) {
      if (arguments.length !== 2 || !put_iiii(guest, argv, argv_buf, 0, 0)) return EINVAL;
      args_get();
      return left(guest, args_get);
    },
    args_sizes_get(argc, argv_buf_size) {
      if (arguments.length !== 2) return EINVAL;
      if (putWords(guest, argc, guest.argCount, argv_buf_size, guest.argSize)) return 0;
      if (!put_iiii(guest, argc, argv_buf_size, 0, 0)) return EINVAL;
      args_sizes_get();
      return left(guest, args_sizes_get);
    },
    clock_res_get(clock, resolution) {
      if (arguments.length !== 2) return EINVAL;
      if (putResolution(guest, clock, resolution)) return 0;
      if (!put_iiii(guest, clock, resolution, 0, 0)) return EINVAL;
      clock_res_get();
      return left(guest, clock_res_get);
    },
    clock_time_get(clock, precision, time) {
      if (arguments.length !== 3 || !put_iIii(guest, clock, precision, time, 0)) return EINVAL;
      clock_time_get();
      return left(guest, clock_time_get);
    },
    environ_get(environ, environ_buf) {
      if (arguments.length !== 2 || !put_iiii(guest, environ, environ_buf, 0, 0)) return EINVAL;
      environ_get();
      return left(guest, environ_get);
    },
    environ_sizes_get(environ_count, environ_buf_size) {
      if (arguments.length !== 2) return EINVAL;
      const { environCount, environSize } = guest;
      if (putWords(guest, environ_count, environCount, environ_buf_size, environSize)) return 0;
      if (!put_iiii(guest, environ_count, environ_buf_size, 0, 0)) return EINVAL;
      environ_sizes_get();
      return left(guest, environ_sizes_get);
    },
    fd_advise(fd, offset, len, advice) {
      if (arguments.length !== 4 || !put_iIIi(guest, fd, offset, len, advice)) return EINVAL;
      fd_advise();
      return left(guest, fd_advise);
    },
    fd_allocate(fd, offset, len) {
      if (arguments.length !== 3 || !put_iIIi(guest, fd, offset, len, 0)) return EINVAL;
      fd_allocate();
      return left(guest, fd_allocate);
    },
    fd_close(fd) {
      if (arguments.length !== 1 || !put_iiii(guest, fd, 0, 0, 0)) return EINVAL;
      fd_close();
      return left(guest, fd_close);
    },
    fd_datasync(fd) {
      if (arguments.length !== 1 || !put_iiii(guest, fd, 0, 0, 0)) return EINVAL;
      fd_datasync();
      return left(guest, fd_datasync);
    },
    fd_fdstat_get(fd, stat) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, stat, 0, 0)) return EINVAL;
      fd_fdstat_get();
      return left(guest, fd_fdstat_get);
    },
    fd_fdstat_set_flags(fd, flags) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, flags, 0, 0)) return EINVAL;
      fd_fdstat_set_flags();
      return left(guest, fd_fdstat_set_flags);
    },
    fd_fdstat_set_rights(fd, fs_rights_base, fs_rights_inheriting) {
      if (arguments.length !== 3 || !put_iIIi(guest, fd, fs_rights_base, fs_rights_inheriting, 0))
        return EINVAL;
      fd_fdstat_set_rights();
      return left(guest, fd_fdstat_set_rights);
    },
    fd_filestat_get(fd, stat) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, stat, 0, 0)) return EINVAL;
      fd_filestat_get();
      return left(guest, fd_filestat_get);
    },
    fd_filestat_set_size(fd, size) {
      if (arguments.length !== 2 || !put_iIii(guest, fd, size, 0, 0)) return EINVAL;
      fd_filestat_set_size();
      return left(guest, fd_filestat_set_size);
    },
    fd_filestat_set_times(fd, atim, mtim, fst_flags) {
      if (arguments.length !== 4 || !put_iIIi(guest, fd, atim, mtim, fst_flags)) return EINVAL;
      fd_filestat_set_times();
      return left(guest, fd_filestat_set_times);
    },
    fd_pread(fd, iovs, iovs_len, offset, nread) {
      if (arguments.length !== 5 || !put_iiiIi(guest, fd, iovs, iovs_len, offset, nread))
        return EINVAL;
      fd_pread();
      return left(guest, fd_pread);
    },
    fd_prestat_get(fd, prestat) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, prestat, 0, 0)) return EINVAL;
      fd_prestat_get();
      return left(guest, fd_prestat_get);
    },
    fd_prestat_dir_name(fd, path, path_len) {
      if (arguments.length !== 3 || !put_iiii(guest, fd, path, path_len, 0)) return EINVAL;
      fd_prestat_dir_name();
      return left(guest, fd_prestat_dir_name);
    },
    fd_pwrite(fd, iovs, iovs_len, offset, nwritten) {
      if (arguments.length !== 5 || !put_iiiIi(guest, fd, iovs, iovs_len, offset, nwritten))
        return EINVAL;
      fd_pwrite();
      return left(guest, fd_pwrite);
    },
    fd_read(fd, iovs, iovs_len, nread) {
      if (arguments.length !== 4 || !put_iiii(guest, fd, iovs, iovs_len, nread)) return EINVAL;
      fd_read();
      return left(guest, fd_read);
    },
    fd_readdir(fd, buf, buf_len, cookie, bufused) {
      if (arguments.length !== 5 || !put_iiiIi(guest, fd, buf, buf_len, cookie, bufused))
        return EINVAL;
      fd_readdir();
      return left(guest, fd_readdir);
    },
    fd_renumber(fd, to) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, to, 0, 0)) return EINVAL;
      fd_renumber();
      return left(guest, fd_renumber);
    },
    fd_seek(fd, offset, whence, newoffset) {
      if (arguments.length !== 4 || !put_iIii(guest, fd, offset, whence, newoffset)) return EINVAL;
      fd_seek();
      return left(guest, fd_seek);
    },
    fd_sync(fd) {
      if (arguments.length !== 1 || !put_iiii(guest, fd, 0, 0, 0)) return EINVAL;
      fd_sync();
      return left(guest, fd_sync);
    },
    fd_tell(fd, offset) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, offset, 0, 0)) return EINVAL;
      fd_tell();
      return left(guest, fd_tell);
    },
    fd_write(fd, iovs, iovs_len, nwritten) {
      if (arguments.length !== 4 || !put_iiii(guest, fd, iovs, iovs_len, nwritten)) return EINVAL;
      fd_write();
      return left(guest, fd_write);
    },
    path_create_directory(fd, path, path_len) {
      if (arguments.length !== 3 || !put_iiii(guest, fd, path, path_len, 0)) return EINVAL;
      path_create_directory();
      return left(guest, path_create_directory);
    },
    path_filestat_get(fd, flags, path, path_len, stat) {
      if (arguments.length !== 5 || !put_iiiiiii(guest, fd, flags, path, path_len, stat, 0, 0))
        return EINVAL;
      path_filestat_get();
      return left(guest, path_filestat_get);
    },
    path_filestat_set_times(fd, flags, path, path_len, atim, mtim, fst_flags) {
      if (
        arguments.length !== 7 ||
        !put_iiiiIIi(guest, fd, flags, path, path_len, atim, mtim, fst_flags)
      )
        return EINVAL;
      path_filestat_set_times();
      return left(guest, path_filestat_set_times);
    },
    path_link(old_fd, old_flags, old_path, old_path_len, new_fd, new_path, new_path_len) {
      if (
        arguments.length !== 7 ||
        !put_iiiiiii(
          guest,
          old_fd,
          old_flags,
          old_path,
          old_path_len,
          new_fd,
          new_path,
          new_path_len,
        )
      )
        return EINVAL;
      path_link();
      return left(guest, path_link);
    },
    path_open(
      fd,
      dirflags,
      path,
      path_len,
      oflags,
      fs_rights_base,
      fs_rights_inheriting,
      fdflags,
      opened_fd,
    ) {
      if (
        arguments.length !== 9 ||
        !put_iiiiiIIii(
          guest,
          fd,
          dirflags,
          path,
          path_len,
          oflags,
          fs_rights_base,
          fs_rights_inheriting,
          fdflags,
          opened_fd,
        )
      )
        return EINVAL;
      path_open();
      return left(guest, path_open);
    },
    path_readlink(fd, path, path_len, buf, buf_len, bufused) {
      if (
        arguments.length !== 6 ||
        !put_iiiiiii(guest, fd, path, path_len, buf, buf_len, bufused, 0)
      )
        return EINVAL;
      path_readlink();
      return left(guest, path_readlink);
    },
    path_remove_directory(fd, path, path_len) {
      if (arguments.length !== 3 || !put_iiii(guest, fd, path, path_len, 0)) return EINVAL;
      path_remove_directory();
      return left(guest, path_remove_directory);
    },
    path_rename(fd, old_path, old_path_len, new_fd, new_path, new_path_len) {
      if (
        arguments.length !== 6 ||
        !put_iiiiiii(guest, fd, old_path, old_path_len, new_fd, new_path, new_path_len, 0)
      )
        return EINVAL;
      path_rename();
      return left(guest, path_rename);
    },
    path_symlink(old_path, old_path_len, fd, new_path, new_path_len) {
      if (
        arguments.length !== 5 ||
        !put_iiiiiii(guest, old_path, old_path_len, fd, new_path, new_path_len, 0, 0)
      )
        return EINVAL;
      path_symlink();
      return left(guest, path_symlink);
    },
    path_unlink_file(fd, path, path_len) {
      if (arguments.length !== 3 || !put_iiii(guest, fd, path, path_len, 0)) return EINVAL;
      path_unlink_file();
      return left(guest, path_unlink_file);
    },
    poll_oneoff(subscriptions, events, nsubscriptions, nevents) {
      if (
        arguments.length !== 4 ||
        !put_iiii(guest, subscriptions, events, nsubscriptions, nevents)
      )
        return EINVAL;
      poll_oneoff();
      return left(guest, poll_oneoff);
    },
    proc_exit(code) {
      if (arguments.length !== 1 || !put_iiii(guest, code, 0, 0, 0)) return EINVAL;
      proc_exit();
      return left(guest, proc_exit);
    },
    proc_raise(sig) {
      if (arguments.length !== 1 || !put_iiii(guest, sig, 0, 0, 0)) return EINVAL;
      proc_raise();
      return left(guest, proc_raise);
    },
    random_get(buf, buf_len) {
      if (arguments.length !== 2 || !put_iiii(guest, buf, buf_len, 0, 0)) return EINVAL;
      random_get();
      return left(guest, random_get);
    },
    sched_yield() {
      if (arguments.length !== 0 || !put_iiii(guest, 0, 0, 0, 0)) return EINVAL;
      sched_yield();
      return left(guest, sched_yield);
    },
    sock_accept(fd, flags, fd_out) {
      if (arguments.length !== 3 || !put_iiii(guest, fd, flags, fd_out, 0)) return EINVAL;
      sock_accept();
      return left(guest, sock_accept);
    },
    sock_recv(fd, ri_data, ri_data_len, ri_flags, ro_datalen, ro_flags) {
      if (
        arguments.length !== 6 ||
        !put_iiiiiii(guest, fd, ri_data, ri_data_len, ri_flags, ro_datalen, ro_flags, 0)
      )
        return EINVAL;
      sock_recv();
      return left(guest, sock_recv);
    },
    sock_send(fd, si_data, si_data_len, si_flags, so_datalen) {
      if (
        arguments.length !== 5 ||
        !put_iiiiiii(guest, fd, si_data, si_data_len, si_flags, so_datalen, 0, 0)
      )
        return EINVAL;
      sock_send();
      return left(guest, sock_send);
    },
    sock_shutdown(fd, how) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, how, 0, 0)) return EINVAL;
      sock_shutdown();
      return left(guest, sock_shutdown);
    },
  };

  /** What snapshot 0 has otherwise, in the place of the functions above. */
  const snapshot0Import = () => ({
    fd_filestat_get(fd, stat) {
      if (arguments.length !== 2 || !put_iiii(guest, fd, stat, 0, 0)) return EINVAL;
      snapshot0Calls.fd_filestat_get();
      return left(guest, snapshot0Calls.fd_filestat_get);
    },
    fd_seek(fd, offset, whence, newoffset) {
      if (arguments.length !== 4 || !put_iIii(guest, fd, offset, whence, newoffset)) return EINVAL;
      snapshot0Calls.fd_seek();
      return left(guest, snapshot0Calls.fd_seek);
    },
    path_filestat_get(fd, flags, path, path_len, stat) {
      if (arguments.length !== 5 || !put_iiiiiii(guest, fd, flags, path, path_len, stat, 0, 0))
        return EINVAL;
      snapshot0Calls.path_filestat_get();
      return left(guest, snapshot0Calls.path_filestat_get);
    },
    poll_oneoff(subscriptions, events, nsubscriptions, nevents) {
      if (
        arguments.length !== 4 ||
        !put_iiii(guest, subscriptions, events, nsubscriptions, nevents)
      )
        return EINVAL;
      snapshot0Calls.poll_oneoff();
      return left(guest, snapshot0Calls.poll_oneoff);
    },
  });

  /**
   * Puts functions in the place of standard streams. They are called outside of native code and between
   * two uses of the frame: they may throw, which stops the guest, and make calls of their own.
   */
  function connect({ stdin, stdout, stderr }) {
    if (stdin !== undefined) {
      const { fd_read: read } = wasiImport;
      assign(wasiImport, {
        fd_read(fd, iovs, iovs_len, nread) {
          if (arguments.length !== 4) return EINVAL;
          if (isI32(fd) && guest.memory !== undefined && inputWanted(guest.instance, fd)) {
            const bytes = stdin(INPUT_SIZE);
            feedInput(
              guest.instance,
              fd,
              bytes instanceof ViewOfBytes && bytes.length > 0 ? bytes : null,
            );
          }
          return read(fd, iovs, iovs_len, nread);
        },
      });
    }
    if (stdout !== undefined || stderr !== undefined) {
      const { fd_write: write } = wasiImport;
      assign(wasiImport, {
        fd_write(fd, iovs, iovs_len, nwritten) {
          if (arguments.length !== 4) return EINVAL;
          const errno = write(fd, iovs, iovs_len, nwritten);
          handOut(1, stdout);
          handOut(2, stderr);
          return errno;
        },
      });
    }
  }

  function handOut(stream, take) {
    const bytes = take === undefined ? null : takeOutput(guest.instance, stream);
    if (bytes !== null) take(bytes);
  }

  function stopAt(time) {
    guest.deadline = time;
  }

  function close() {
    closeInstance(guest.instance);
  }

  /** A copy of a range of the guest's memory, for those who watch calls; shorter where it ends. */
  function copyOut(offset, length) {
    if (guest.memory === undefined) return NO_MEMORY;
    return new ViewOfBytes(apply(getBuffer, guest.memory, [])).slice(offset, offset + length);
  }

  return {
    wasiImport,
    snapshot0Import,
    useMemory: (memory) => useMemory(guest, memory),
    close,
    connect,
    now,
    stopAt,
    copyOut,
  };
}

/** Milliseconds that only go forward. Not by `performance`, which takes Node a millisecond to load. */
function now() {
  const time = hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

/**
 * A function of its own: V8 looks whether this thread is to end when it enters one, but at the end of
 * a loop that it has not compiled yet only now and then.
 */
function callAgain(call) {
  // Here, as between the two lines nothing can end the call: the flag of one that was given up would be that of the next.
  u32[CONTINUES] = 1;
  call();
  return u32[OUTCOME];
}

/** The `proc_exit` of an instance with `returnOnExit`: records the code and unwinds the guest. */
function returningExit(wasi) {
  return {
    proc_exit(code) {
      wasi[kExitCode] = code;
      throw kExitCode;
    },
  }.proc_exit;
}

/**
 * The `proc_exit` of an instance without `returnOnExit`. On the main thread this is
 * `process.exit`, with its handlers; in a Worker that would end the Worker only.
 *
 * @param {number} code a signed 32-bit number
 */
function endProcess(code) {
  if (isMainThread) apply(exit, process, [code]);
  return exitProcess(code & 0xff);
}

function isI32(value) {
  return typeof value === 'number' && ((value | 0) === value || value >>> 0 === value);
}

module.exports = { WASI, runInWorker };
// For threads.js and its Workers. Each copy of the package has keys of its own: an addon knows its own instances only.
defineProperty(module.exports, Symbol.for('wasi-rs.keys'), { value: { kAttach, kShare } });
