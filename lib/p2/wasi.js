'use strict';

// The class `WASI` of `wasi-rs/p2`.

const {
  closeInstance,
  collectedOutput,
  instanceId,
  outputTruncated,
  preview2,
} = require('../../binding.js');
const { inThisRealm } = require('../realm.js');
const { WASIExitError } = require('../ends.js');
const { wrongValue } = require('../errors.js');
const { checkKeys, checkNearMisses } = require('../own-options.js');
const { checkSuspends, checkedSignal } = require('../suspend-options.js');
const {
  checkedOptions,
  validateBoolean,
  validateFunction,
  validateObject,
} = require('../options.js');
const preview1 = require('../../index.js');
const { createHooks } = require('./lowered.js');
const FUNCTIONS = require('./functions.js');
const { Host, exceed } = require('./host.js');
const { refuse } = require('./options.js');
const { sinkOf, createValues } = require('./values.js');

const { assign, create, defineProperty, entries, keys } = Object;
const { readFile, listFiles, changes, commit } = preview1.WASI.prototype;

/** The member of a function that jco looks for: it makes the function of the canonical ABI. */
const CABI_LOWER = Symbol.for('cabiLower');
const DISPOSE = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/** Versions that preview1's class takes: the same options make a WASI of 0.2. */
const VERSIONS = ['preview1', 'unstable', 'preview2'];

/** Versions of the interfaces: any patch. */
const OURS = /^0\.2\.\d+$/;

/** Preview1's methods find an instance and its preopens under these of its symbols. */
const { kHandle, kOverlays, kPreopens, newInstance } = preview1[Symbol.for('wasi-rs.keys')];

/** A sandboxed environment for components: the host of their imports of WASI 0.2. */
class WASI {
  #host;
  #interfaces;
  #observation;
  /** How many components run, of a WASI that does not suspend. */
  #running = 0;

  /**
   * @param {import('../../p2.d.ts').WASIOptions} [options] those of preview1's class, and
   *   `interfaces`
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: an option is wrong.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`
   * @throws {Error} as preview1's class
   */
  constructor(options = {}) {
    validateObject(options, 'options');
    const { version, interfaces } = options;
    if (version !== undefined && !VERSIONS.includes(version)) {
      throw wrongValue('options.version', `must be one of ${VERSIONS.join(', ')}`, version);
    }
    if (interfaces !== undefined) validateObject(interfaces, 'options.interfaces');
    const given = entries(interfaces ?? {});
    for (const [name, functions] of given) {
      if (functions !== undefined) {
        validateObject(functions, `options.interfaces[${JSON.stringify(name)}]`);
        unversioned(name);
      }
    }
    const checked = checkedOptions(options);
    refuse(checked, options);
    // No program was written for `node:wasi` and this class.
    checkNearMisses(options, ['interfaces']);
    let endsProcess = false;
    if (options.returnOnExit !== undefined) {
      validateBoolean(options.returnOnExit, 'options.returnOnExit');
      endsProcess = !options.returnOnExit;
    }
    const handle = newInstance(checked.native);
    const host = new Host(handle, instanceId(handle));
    host.endsProcess = endsProcess;
    host.lent = checked.lent;
    this.#host = host;
    this[kHandle] = handle;
    this[kPreopens] = checked.names;
    this[kOverlays] = checked.overlays;
    const { functions, observers, suspends } = checked;
    if (functions !== undefined) {
      if (!suspends) {
        host.functions = { stdin: undefined, stdout: undefined, stderr: undefined, ...functions };
      }
      host.inputs = new Set();
    }
    if (suspends) {
      const { Suspension } = require('./suspend.js');
      try {
        host.suspension = new Suspension(host, functions);
      } catch (error) {
        closeInstance(host.instance);
        throw error;
      }
    }
    const watch =
      observers === undefined
        ? (_, __, call) => call
        : (this.#observation = require('./observe.js').observer(host, observers, { exceed })).watch;
    const own = createValues(host, watch);
    // A WASI that calls the embedder in the middle of a call takes the way of values.
    if (functions === undefined && observers === undefined) {
      lower(own, createHooks(host));
      if (suspends) {
        const { createSuspendingHooks } = require('./suspending.js');
        lower(own, createSuspendingHooks(host, host.suspension));
      }
    }
    const { refused } = require('./refused.js');
    const { OutputStream } = own['wasi:io/streams'];
    const replaced = { __proto__: null };
    for (const [name, functions] of given) {
      if (functions !== undefined) replaced[unversioned(name)] = functions;
    }
    // An embedder that sends requests would miss their bodies.
    const isSent = replaced['wasi:http/outgoing-handler'] !== undefined;
    const newSink = isSent ? undefined : () => sinkOf(host, OutputStream);
    const refusing = refused(newSink);
    const watched = this.#observation?.watchAll(refusing) ?? refusing;
    this.#interfaces = assign({ __proto__: null }, watched, own, replaced);
  }

  /**
   * @param {{ asVersion?: string }} [options] what stands behind the names, as `'0.2.3'`
   * @returns {Record<string, object>} a new object with the interfaces by their names, as the
   *   `instantiate` of `jco transpile --instantiation` takes it. Without `asVersion` the names have
   *   no version, and with any version of 0.2 they are found as well.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
   */
  getImportObject(options = {}) {
    validateObject(options, 'options');
    checkKeys(options, 'options', ['asVersion']);
    const { asVersion } = options;
    if (asVersion !== undefined && !(typeof asVersion === 'string' && OURS.test(asVersion))) {
      throw wrongValue('options.asVersion', "must be a version of WASI 0.2, as '0.2.3'", asVersion);
    }
    const suffix = asVersion === undefined ? '' : `@${asVersion}`;
    const imports = asVersion === undefined ? create(anyVersion(this.#interfaces)) : {};
    for (const name of keys(this.#interfaces)) imports[name + suffix] = this.#interfaces[name];
    return imports;
  }

  /**
   * Calls a component's `wasi:cli/run`.
   *
   * @param {object} component what `instantiate` gave
   * @returns {number | Promise<number>} the exit code: what the guest gave to `exit`, or 0 or 1 for
   *   ok or an error; a promise where `run` is asynchronous
   * @throws {unknown} what else comes out of `run`
   */
  start(component) {
    validateObject(component, 'component');
    const run = runOf(component);
    const { suspension } = this.#host;
    this.#beginTime();
    if (suspension !== undefined) return suspension.start(component, run, codeOf);
    const ended = () => {
      this.#running--;
      return 0;
    };
    const failed = (error) => {
      this.#running--;
      return codeOf(error);
    };
    this.#running++;
    let result;
    try {
      result = run();
    } catch (error) {
      return failed(error);
    }
    return typeof result?.then === 'function' ? result.then(ended, failed) : ended();
  }

  /**
   * A component's time begins, unless others run, which have the same time: a function of the
   * embedder's that a component calls may start another.
   */
  #beginTime() {
    const isRunning = this.#running > 0 || this.#host.suspension?.isRunning;
    if (!isRunning) this.#observation?.begin();
  }

  /**
   * The same for a WASI with the option `suspend`: the component may wait.
   *
   * @param {object} component
   * @param {{ signal?: AbortSignal }} [options] `signal` ends it
   * @returns {Promise<number>} the exit code
   * @throws {unknown} the signal's reason; what a stream of the embedder threw
   */
  async startAsync(component, options = {}) {
    const { suspension } = this.#host;
    checkSuspends(suspension, 'startAsync');
    const signal = checkedSignal(options);
    validateObject(component, 'component');
    const run = runOf(component);
    if (signal?.aborted) throw signal.reason;
    this.#beginTime();
    return suspension.start(component, run, codeOf, signal);
  }

  /**
   * @param {Function} fn an asynchronous export of a component
   * @returns {(...args: unknown[]) => Promise<unknown>} the same, which may wait
   */
  promising(fn) {
    const { suspension } = this.#host;
    checkSuspends(suspension, 'promising');
    validateFunction(fn, 'fn');
    return suspension.promising(fn);
  }

  /**
   * Closes all descriptors and drops all resources of the guest, but for the host's standard
   * streams, which are borrowed. Can be called again.
   */
  close() {
    closeInstance(this.#host.instance);
    this.#host.suspension?.close();
  }

  [DISPOSE]() {
    this.close();
  }

  /** @returns {Uint8Array | undefined} as preview1's class */
  get stdout() {
    return inThisRealm(collectedOutput(this.#host.instance, 1));
  }

  /** @returns {Uint8Array | undefined} as preview1's class */
  get stderr() {
    return inThisRealm(collectedOutput(this.#host.instance, 2));
  }

  /** @returns {boolean | undefined} as preview1's class */
  get stdoutTruncated() {
    return outputTruncated(this.#host.instance, 1) ?? undefined;
  }

  /** @returns {boolean | undefined} as preview1's class */
  get stderrTruncated() {
    return outputTruncated(this.#host.instance, 2) ?? undefined;
  }

  /** @returns {Record<string, { calls: number, ns: number }> | undefined} as preview1's class */
  stats() {
    return this.#observation?.stats();
  }

  /** @returns {number} how many resources the guest's components have now */
  get resources() {
    return preview2.live(this.#host.instance);
  }

  /** @returns {Uint8Array | undefined} as preview1's class */
  get unreadInput() {
    return this.#host.suspension?.unread;
  }

  /** The host, for the modules beside this one. */
  static hostOf(wasi) {
    return wasi.#host;
  }
}

// The same functions as preview1's: they find the instance under its symbols.
for (const method of [readFile, listFiles, changes, commit]) {
  defineProperty(WASI.prototype, method.name, {
    value: method,
    writable: true,
    configurable: true,
  });
}

/** Puts the functions of the canonical ABI beside those for values. */
function lower(interfaces, hooks) {
  for (const [native, name, , Class, method] of FUNCTIONS) {
    if (hooks[native] === undefined) continue;
    const place = Class === '' ? interfaces[name] : interfaces[name][Class].prototype;
    defineProperty(place[method], CABI_LOWER, { value: hooks[native], configurable: true });
  }
}

/** The function `run` of a component, whichever of jco's names it has. */
function runOf(component) {
  const name = keys(component).find((key) => /^wasi:cli\/run(@0\.2\.\d+)?$/.test(key));
  const run = component[name]?.run ?? component.run?.run;
  if (typeof run !== 'function') {
    throw wrongValue('component', 'must export wasi:cli/run', component);
  }
  return run;
}

/** A prototype in which interfaces are found by their names with any version that is served. */
function anyVersion(interfaces) {
  const named = (name) => {
    if (typeof name !== 'string') return undefined;
    const [plain, version, ...more] = name.split('@');
    return more.length === 0 && OURS.test(version) ? interfaces[plain] : undefined;
  };
  return new Proxy(
    {},
    {
      get: (target, name, receiver) => named(name) ?? Reflect.get(target, name, receiver),
      has: (target, name) => named(name) !== undefined || Reflect.has(target, name),
    },
  );
}

/** The name of an interface without its version, which must be ours if the interface is WASI's. */
function unversioned(name) {
  const [plain, version, ...more] = name.split('@');
  const isWrong = version !== undefined && (more.length > 0 || !OURS.test(version));
  if (isWrong && name.startsWith('wasi:')) {
    throw wrongValue('options.interfaces', 'must name interfaces of WASI 0.2', name);
  }
  return plain;
}

/** The exit code of a component that ended by an error, if it is one that has a code. */
function codeOf(error) {
  if (error instanceof WASIExitError) return error.exitCode;
  // A result that is an error: jco throws what stands in it.
  if (isRunError(error)) return 1;
  throw error;
}

/** Whether an error is a result of `run`, which has nothing in it. */
function isRunError(error) {
  return error?.constructor?.name === 'ComponentError' && error.payload === undefined;
}

module.exports = { WASI, WASIExitError };
