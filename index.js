'use strict';

// The public face of wasi-rs: the class `WASI` with the interface of `node:wasi`.
//
// Rust does all host work. JavaScript does what only JavaScript can: it checks options with Node's
// errors, hands the guest's memory over, and gives each preview1 function a closure that a
// WebAssembly module can import. Such a call takes this way:
//
//   guest -> closure in `lib/imports.js` -> call frame -> native function without arguments
//         <- errno                        <- outcome    <-
//
// The call frame is one small ArrayBuffer that Rust and JavaScript share: an argument written there
// costs a store, where an argument passed through Node-API costs a call. Everything that an import
// needs is captured at load, so that later changes to globals and prototypes cannot alter it. See
// ARCHITECTURE.md for the frame's layout.

const {
  attachInstance,
  closeInstance,
  collectedOutput,
  instanceId,
  outputTruncated,
  shareInstance,
  unshareInstance,
} = require('./binding.js');
const { WASIExitError, WASILimitError } = require('./lib/ends.js');
const { nodeError } = require('./lib/errors.js');
const { Pool, compile, run, spawn } = require('./lib/exports.js');
const {
  Guest,
  checkRunning,
  prepareEndOfProcess,
  returningExit,
  runGuest,
  useMemory,
} = require('./lib/guest.js');
const { createImports, createSnapshot0Imports } = require('./lib/imports.js');
const { ATTACHED, commandOf, newInstance, reactorOf } = require('./lib/instance.js');
const {
  kBindingName,
  kSetMemory,
  kStarted,
  kInstance,
  kHandle,
  kPreopens,
  kSockets,
  kOverlays,
  kOwnThread,
  kObservation,
  kPeerName,
  kShare,
  kAttach,
  kChecked,
  kGuest,
} = require('./lib/keys.js');
const {
  bindingNameOf,
  checkedOptions,
  validateBoolean,
  validateObject,
} = require('./lib/options.js');
const { inThisRealm } = require('./lib/realm.js');

const { assign, defineProperty } = Object;

const NO_SOCKETS = Object.freeze([]);

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
   *   standard stream cannot be used. `EADDRINUSE` and so on: a socket cannot be listened on.
   *   `ERR_ACCESS_DENIED`: the permission model forbids it.
   */
  constructor(options = {}) {
    const { attached, prepared } = inner;
    inner = NOTHING;
    validateObject(options, 'options');
    // Two contracts meet in this class. Without `version` the documentation of Node 18 holds: the
    // guest's exit ends the process. With it that of Node 20 and later holds: `start` returns. So
    // it does where an option is used that `node:wasi` does not have: then the program was written
    // for this class.
    const versioned = options.version !== undefined;
    const bindingName = versioned ? bindingNameOf(options.version) : 'wasi_snapshot_preview1';
    const checked = prepared ?? checkedOptions(options);
    const handle = attached === undefined ? newInstance(checked.native) : attachInstance(attached);
    const guest = new Guest();
    guest.handle = handle;
    const wasiImport = createImports(guest);
    guest.lent = checked.lent;
    // The guest was compiled against snapshot 0, where some records are laid out differently.
    if (bindingName === 'wasi_unstable') assign(wasiImport, createSnapshot0Imports(guest));

    this[kBindingName] = bindingName;
    this[kSetMemory] = (memory) => useMemory(guest, memory);
    this[kHandle] = handle;
    this[kGuest] = guest;
    this[kPreopens] = checked.names;
    this[kSockets] = NO_SOCKETS;
    this[kOverlays] = checked.overlays;
    this[kOwnThread] = checked.isOwnThread;
    this.wasiImport = wasiImport;
    this[kStarted] = false;
    this[kInstance] = undefined;
    this[kObservation] = undefined;

    try {
      let returnOnExit = versioned || checked.isOurs;
      if (options.returnOnExit !== undefined) {
        validateBoolean(options.returnOnExit, 'options.returnOnExit');
        returnOnExit = options.returnOnExit;
      }
      if (returnOnExit) wasiImport.proc_exit = returningExit(guest);
      else prepareEndOfProcess();
      const { functions, observers, served, sockets, suspends } = checked;
      if (functions || observers || served || sockets || suspends) {
        require('./lib/extend.js').extend(this, guest, checked);
      }
    } catch (error) {
      guest.suspension?.letGo();
      closeInstance(instanceId(handle));
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
   * @throws {unknown} what a function of the embedder threw to stop the guest; `ERR_WASI_LIMIT`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: an export is missing or there is one too many
   */
  start(instance) {
    const entry = commandOf(this, instance);
    const guest = this[kGuest];
    const { suspension } = guest;
    const run = () => runGuest(guest, entry);
    this[kObservation]?.begin();
    const ended = suspension === undefined ? run() : suspension.runNow(run);
    return ended === undefined ? 0 : ended.exitCode;
  }

  /**
   * Prepares a reactor: gives it its memory and calls its export `_initialize`, if there is one.
   *
   * @param {object} instance a `WebAssembly.Instance` or an object with `exports`
   * @returns {number | undefined} the exit code, if the guest called `proc_exit`: then it is not
   *   ready for use
   * @throws {unknown} what a function of the embedder threw to stop the guest; `ERR_WASI_LIMIT`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`
   */
  initialize(instance) {
    const entry = reactorOf(this, instance);
    if (entry === undefined) return undefined;
    this[kObservation]?.begin();
    return runGuest(this[kGuest], entry)?.exitCode;
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
    closeInstance(instanceId(this[kHandle]));
    const { served, suspension } = this[kGuest];
    suspension?.close();
    if (served === undefined) return;
    // A call that is in the middle may still open a file.
    served.isClosed = true;
    served.close();
  }

  [DISPOSE]() {
    this.close();
  }

  // Members that `node:wasi` does not have, as described in index.d.ts.

  get sockets() {
    return this[kSockets];
  }

  get stdout() {
    return inThisRealm(collectedOutput(instanceId(this[kHandle]), 1));
  }

  get stderr() {
    return inThisRealm(collectedOutput(instanceId(this[kHandle]), 2));
  }

  get stdoutTruncated() {
    return outputTruncated(instanceId(this[kHandle]), 1) ?? undefined;
  }

  get stderrTruncated() {
    return outputTruncated(instanceId(this[kHandle]), 2) ?? undefined;
  }

  readFile(guestPath) {
    return trees().readFile(instanceId(this[kHandle]), this[kPreopens], String(guestPath));
  }

  listFiles(options = {}) {
    validateObject(options, 'options');
    require('./lib/own-options.js').checkKeys(options, 'options', ['withTypes']);
    const { withTypes = false } = options;
    validateBoolean(withTypes, 'options.withTypes');
    return trees().listFiles(instanceId(this[kHandle]), this[kPreopens], withTypes);
  }

  changes() {
    return trees().changes(instanceId(this[kHandle]), this[kPreopens]);
  }

  commit(guestPath) {
    const id = instanceId(this[kHandle]);
    return trees().commit(id, this[kPreopens], this[kOverlays], guestPath);
  }

  stats() {
    return this[kObservation]?.stats();
  }

  async startAsync(instance, options = {}) {
    const { runAsync } = require('./lib/suspend.js');
    const begin = () => {
      const entry = commandOf(this, instance);
      this[kObservation]?.begin();
      return entry;
    };
    return (await runAsync(this[kGuest].suspension, 'startAsync', options, begin)) ?? 0;
  }

  async initializeAsync(instance, options = {}) {
    const { runAsync } = require('./lib/suspend.js');
    const begin = () => {
      const entry = reactorOf(this, instance);
      this[kObservation]?.begin();
      return entry;
    };
    return runAsync(this[kGuest].suspension, 'initializeAsync', options, begin);
  }

  promising(fn) {
    const { makePromising } = require('./lib/suspend.js');
    return makePromising(this[kGuest].suspension, fn);
  }

  get unreadInput() {
    return this[kGuest].suspension?.unread;
  }

  /**
   * @returns {{ number: number, release: () => void }} what other threads attach with, until the
   * release
   */
  [kShare]() {
    if (this[kOwnThread]) {
      throw nodeError(
        TypeError,
        'ERR_INVALID_ARG_VALUE',
        'Guests that suspend, streams that are functions, file systems that are objects, call limits, timeouts, traces and statistics belong to one thread',
      );
    }
    const number = shareInstance(instanceId(this[kHandle]));
    return { number, release: () => unshareInstance(number) };
  }
}

/** Loaded when it is first used. */
function trees() {
  return require('./lib/trees.js');
}

/**
 * How the next WASI is made; no option, because users' options are read as Node reads them.
 */
const NOTHING = { attached: undefined, prepared: undefined };
let inner = NOTHING;

/** A WASI with the descriptors, arguments and environment of another thread's. */
defineProperty(WASI, kAttach, {
  value(attached) {
    inner = { attached, prepared: ATTACHED };
    return new WASI({ version: 'preview1' });
  },
});
defineProperty(WASI, kChecked, {
  value(prepared) {
    inner = { attached: undefined, prepared };
    return new WASI({ version: 'preview1' });
  },
});

module.exports = { Pool, WASI, WASIExitError, WASILimitError, compile, run, spawn };
// For what runs guests in other threads, and for lib/p2. Each copy of the package has keys of its
// own: an addon knows its own instances only.
defineProperty(module.exports, Symbol.for('wasi-rs.keys'), {
  value: {
    kAttach,
    kChecked,
    kGuest,
    kHandle,
    kOverlays,
    kOwnThread,
    kPeerName,
    kPreopens,
    kShare,
    checkRunning,
    newInstance,
    runGuest,
  },
});
