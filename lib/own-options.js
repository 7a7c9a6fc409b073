'use strict';

// The options that `node:wasi` does not have, checked with Node's errors and shaped for the native
// side. Loaded when the first of them is used.

const {
  inspect,
  types: { isAsyncFunction, isDate },
} = require('node:util');
const { bytesOf, encoded, isBytes } = require('./bytes.js');
const { nodeError, outOfRange, wrongType, wrongValue } = require('./errors.js');
const {
  TRACED_BY_ENVIRONMENT,
  checkedDescriptor,
  ours,
  plainPreopen,
  validateBoolean,
  validateObject,
} = require('./options.js');

const { apply, getPrototypeOf } = Reflect;
const { entries, keys } = Object;
const { isInteger, MAX_SAFE_INTEGER } = Number;
const { hasOwnProperty: hasOwn } = Object.prototype;

// Objects passed to the addon define every property that is read, or have no prototype, so a
// polluted `Object.prototype` cannot supply an option.

/** How many bytes a tree in memory holds by default. */
const DEFAULT_TREE_BYTES = 256 * 1024 * 1024;

const INPUTS = `of type number or function, 'inherit', 'ignore', bytes, or an open object with a number "fd"`;
const OUTPUTS = `of type number or function, 'inherit', 'ignore', 'pipe', or an open object with a number "fd"`;

/** What only a guest that suspends can have besides. */
const SUSPENDING_INPUTS = `${INPUTS}, or an async iterable or a stream to read`;
const SUSPENDING_OUTPUTS = `${OUTPUTS}, or a stream to write`;

const TIMES = `'real' or of type bigint or object with "start" and "step"`;

// Keys of our own objects, and of the options.
const LIMITS = ['outputBytes', 'openFiles', 'writtenBytes', 'readdirEntries', 'hostCalls'];
/** Limits that are kept by the module: see program.js. */
const MODULE_LIMITS = ['memoryBytes', 'tableElements'];
const CLOCKS = ['realtime', 'monotonic'];
const CLOCK = ['start', 'step'];
const PREOPENS = {
  __proto__: null,
  path: ['path', 'readOnly', 'create', 'symlinks', 'lazy', 'overlay'],
  file: ['file', 'readOnly', 'lazy'],
  memory: ['memory', 'readOnly', 'maxBytes'],
  tar: ['tar', 'maxBytes', 'readOnly', 'overlay'],
  fs: ['fs', 'readOnly'],
};
const NODES = ['version', 'args', 'env', 'preopens', 'returnOnExit', 'stdin', 'stdout', 'stderr'];
const OURS = [
  'timeoutMs',
  'limits',
  'clock',
  'random',
  'sockets',
  'sortedReaddir',
  'trace',
  'stats',
  'suspend',
];

const KNOWN = [...NODES, ...OURS];

/**
 * `node:wasi` passes over what it does not know. Where an option of ours is used, a name that comes
 * near to that of an option was meant to be it.
 *
 * @param {object} options
 * @param {string[]} [more] names that are options, too
 */
function checkNearMisses(options, more = []) {
  const known = [...KNOWN, ...more];
  for (const key of keys(options)) {
    if (known.includes(key) || options[key] === undefined) continue;
    const preopen = ['readOnly', 'create', 'symlinks', 'lazy', 'maxBytes', 'overlay'];
    const guess = require('./guess.js').nearest(key, [
      ...known,
      ...LIMITS.map((name) => `limits.${name}`),
      ...CLOCKS.map((name) => `clock.${name}`),
      ...preopen.map((name) => `preopens[...].${name}`),
    ]);
    if (guess !== undefined) throw unknownKey('options', key, options[key], guess, known);
  }
}

/**
 * A key that an object of ours does not have.
 *
 * @param {string} owner the object's name
 * @param {string} key that is not known
 * @param {string | undefined} guess what may have been meant
 * @param {string[]} known all keys of such an object
 */
function unknownKey(owner, key, value, guess, known) {
  const meant = guess === undefined ? '' : `: did you mean '${guess}'?`;
  const list = known.map((name) => `'${name}'`).join(', ');
  return wrongValue(
    `${owner}.${key}`,
    `is not known${meant}${meant ? ' K' : '; k'}nown are ${list}`,
    value,
  );
}

/** Refuses keys that an object of ours does not have. One that is `undefined` is not there. */
function checkKeys(value, name, known) {
  for (const key of keys(value)) {
    if (known.includes(key) || value[key] === undefined) continue;
    const guess = require('./guess.js').nearest(key, known);
    throw unknownKey(name, key, value[key], guess, known);
  }
}

/** An object of ours. A `Map` has no keys, so it would be passed over in silence. */
function validateOwnObject(value, name, known) {
  validateObject(value, name);
  if (Symbol.iterator in value) throw wrongType(name, 'a plain object', value);
  checkKeys(value, name, known);
}

/** Whether a value was written as `{}`, in whichever realm. */
function isPlain(value) {
  const prototype = getPrototypeOf(value);
  return prototype === null || getPrototypeOf(prototype) === null;
}

/**
 * Checks the options that few programs use.
 *
 * @param {object} plain what `checkedOptions` gives without them; its `native` is added to
 * @param {object} read what was read before: the streams as they were given, and checked limits
 * @returns {object} what `checkedOptions` gives
 */
function extended(plain, { options, used, given, limits, isLenient }) {
  const { native, names } = plain;
  const { preopens } = native;
  let functions;
  for (const name of ['stdin', 'stdout', 'stderr']) {
    if (!isOfJs(native[name])) continue;
    functions ??= { __proto__: null };
    functions[name] = given[name];
  }
  const observers = {
    hostCalls: limits?.hostCalls,
    timeoutMs: ours(options, 'timeoutMs', used),
    trace: undefined,
    stats: undefined,
  };
  if (observers.timeoutMs !== undefined) {
    observers.timeoutMs = checkedTimeout(observers.timeoutMs, 'options.timeoutMs');
  }
  // Rare options, in an object of their own: each property that the native side reads takes time.
  const clock = ours(options, 'clock', used);
  const random = ours(options, 'random', used);
  const asked = ours(options, 'sockets', used);
  const sorted = ours(options, 'sortedReaddir', used);
  if (
    limits !== undefined ||
    clock !== undefined ||
    random !== undefined ||
    asked !== undefined ||
    sorted !== undefined
  ) {
    native.extended = extendedOptions({ limits, clock, random, sockets: asked, sorted });
  }
  const sockets = native.extended?.sockets;
  if (sockets !== undefined && preopens.length === 0) {
    native.env = require('./sockets.js').withListenFds(native.env, sockets.length);
  }
  observers.trace = observing(options, 'trace', used);
  if (observers.trace !== undefined) checkTrace(observers.trace);
  else if (TRACED_BY_ENVIRONMENT) observers.trace = true;
  observers.stats = observing(options, 'stats', used);
  if (observers.stats !== undefined) validateBoolean(observers.stats, 'options.stats');
  const { isOurs, lent, suspends } = used;
  if (suspends) native.extended = { __proto__: null, ...native.extended, suspends };
  if ((isOurs || used.isWatched) && !isLenient) checkNearMisses(options);
  const { hostCalls, timeoutMs, trace, stats } = observers;
  const isWatched = hostCalls !== undefined || timeoutMs !== undefined || trace || stats;
  const overlays = [];
  for (let index = 0; index < preopens.length; index++) {
    const { path, extended } = preopens[index];
    if (extended?.overlay === undefined) continue;
    overlays.push({ index, path: extended.kind === 'tar' ? undefined : path });
  }
  // A trace that only the environment asks for is no reason to refuse threads: each has its own.
  const isByOptions =
    hostCalls !== undefined ||
    timeoutMs !== undefined ||
    stats ||
    (trace && options.trace !== undefined);
  return {
    native,
    functions,
    observers: isWatched ? observers : undefined,
    isOwnThread: functions !== undefined || suspends || used.isServed || Boolean(isByOptions),
    served: used.isServed
      ? preopens.map(({ fs, guest, shape }) => fs && { fs, name: guest, shape })
      : undefined,
    names,
    sockets,
    overlays,
    isOurs,
    lent,
    suspends,
  };
}

/** Whether a standard stream, as the native side takes it, is one of JavaScript. */
function isOfJs(stream) {
  return typeof stream === 'object' && stream.kind === 'function';
}

/** An option that only observes. One that is `undefined` is not there. */
function observing(options, name, used) {
  const value = name in options ? options[name] : undefined;
  if (value !== undefined) used.isWatched = true;
  return value;
}

/** These options in the form that the native side takes. */
function extendedOptions({ limits, clock, random, sockets, sorted }) {
  const native = { __proto__: null };
  if (limits !== undefined) {
    const { openFiles, writtenBytes, readdirEntries } = limits;
    native.limits = { openFiles, writtenBytes, readdirEntries };
  }
  if (clock !== undefined) addClocks(native, clock);
  if (random !== undefined) native.randomSeed = seedOf(random);
  if (sockets !== undefined) native.sockets = require('./sockets.js').socketList(sockets);
  if (sorted !== undefined) {
    validateBoolean(sorted, 'options.sortedReaddir');
    native.sortedReaddir = sorted;
  }
  return native;
}

/** All that the native side reads of one. */
function nativeStream(kind, bytes, cap) {
  return { kind, bytes, cap, end: undefined, terminal: undefined };
}

/** A standard input that is no descriptor's number, for the native side; or the number. */
function inputStream(value, name, used) {
  if (value === 'inherit') return 0;
  if (value === 'ignore') return nativeStream('ignore');
  if (isBytes(value)) return nativeStream('bytes', attached(value, name));
  if (isJsStream(value, name, true, used)) return nativeStream('function');
  return descriptorOf(value, name, used.suspends ? SUSPENDING_INPUTS : INPUTS, used);
}

/** The same for an output. `inherited` is the host's. */
function outputStream(value, name, { inherited, cap, used }) {
  if (value === 'inherit') return inherited;
  if (value === 'ignore') return nativeStream('ignore');
  if (value === 'pipe') return nativeStream('pipe', undefined, cap);
  if (isJsStream(value, name, false, used)) return nativeStream('function');
  return descriptorOf(value, name, used.suspends ? SUSPENDING_OUTPUTS : OUTPUTS, used);
}

/** Whether a stream is a function, or what only a guest that suspends can wait for. */
function isJsStream(value, name, isInput, { suspends }) {
  if (typeof value === 'function' && !isAsyncFunction(value)) return true;
  return require('./suspend-options.js').isStream(value, name, isInput, suspends);
}

/** The number of an open object of the host: a stream of a file or a terminal, a `FileHandle`. */
function descriptorOf(value, name, expected, used) {
  if (typeof value !== 'object' || value === null || !('fd' in value)) {
    throw wrongType(name, expected, value);
  }
  const { fd } = value;
  // A stream that is closed, or not open yet, has no descriptor.
  if (fd === -1 || fd === null || fd === undefined) {
    throw wrongValue(name, `must be open: its "fd" is ${fd}`, value);
  }
  used.lent = [value, used.lent];
  return checkedDescriptor(fd, `${name}.fd`);
}

function attached(value, name) {
  const bytes = bytesOf(value);
  if (bytes === undefined) throw wrongValue(name, 'must not be detached', value);
  return bytes;
}

/** Some limits are kept in Rust; the others by what watches each call. */
function checkedLimits(limits) {
  validateObject(limits, 'options.limits');
  refuseModuleLimits(limits);
  validateOwnObject(limits, 'options.limits', LIMITS);
  const checked = { __proto__: null };
  for (const name of LIMITS) {
    const value = limits[name];
    checked[name] = value === undefined ? value : checkedCount(value, `options.limits.${name}`);
  }
  return checked;
}

/**
 * The imports of an instance cannot keep what is a matter of the module, so they do not seem to.
 */
function refuseModuleLimits(limits) {
  for (const name of MODULE_LIMITS) {
    if (limits[name] === undefined) continue;
    throw nodeError(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The property 'options.limits.${name}' cannot be kept by a WASI, which gets a module that is compiled: give it to run() or compile(), with the bytes of the module`,
    );
  }
}

/** @returns {number | undefined} milliseconds; without end is without a limit */
function checkedTimeout(value, name) {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!(value >= 0)) throw outOfRange(name, '>= 0', value);
  return value === Infinity ? undefined : value;
}

function addClocks(native, clock) {
  validateOwnObject(clock, 'options.clock', CLOCKS);
  const one = (name) => {
    const value = clock[name];
    if (value === undefined || value === 'real') return undefined;
    if (typeof value === 'bigint')
      return { start: checkedTime(value, `options.clock.${name}`), step: 0n };
    // A `Date` has no keys, so its time would be passed over in silence.
    if (typeof value !== 'object' || value === null || isDate(value)) {
      throw wrongType(`options.clock.${name}`, TIMES, value);
    }
    validateOwnObject(value, `options.clock.${name}`, CLOCK);
    const { start = 0n, step = 0n } = value;
    return {
      start: checkedTime(start, `options.clock.${name}.start`),
      step: checkedTime(step, `options.clock.${name}.step`),
    };
  };
  native.realtime = one('realtime');
  native.monotonic = one('monotonic');
}

function checkedTime(value, name) {
  if (typeof value !== 'bigint') throw wrongType(name, 'of type bigint', value);
  if (value < 0n || value >= 2n ** 64n) throw outOfRange(name, '>= 0n && < 2n ** 64n', value);
  return value;
}

function checkedCount(value, name) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 0 || value > MAX_SAFE_INTEGER) {
    throw outOfRange(name, `>= 0 && <= ${MAX_SAFE_INTEGER}`, value);
  }
  return value;
}

/** @returns {Uint8Array} 32 bytes that any seed decides */
function seedOf(seed) {
  if (!isBytes(seed) && !['string', 'number', 'bigint'].includes(typeof seed)) {
    throw wrongType('options.random', 'of type string, number or bigint, or bytes', seed);
  }
  const { createHash } = require('node:crypto');
  const bytes = isBytes(seed) ? attached(seed, 'options.random') : `${typeof seed} ${seed}`;
  return createHash('sha256').update(bytes).digest();
}

function checkTrace(trace) {
  if (typeof trace !== 'boolean' && typeof trace !== 'function') {
    throw wrongType('options.trace', 'of type boolean or function', trace);
  }
}

function specialPreopen(guest, value, used) {
  const name = `options.preopens[${inspect(guest)}]`;
  const kinds = keys(PREOPENS).filter(
    (key) => apply(hasOwn, value, [key]) && value[key] !== undefined,
  );
  const [kind] = kinds;
  if (kinds.length > 1) {
    const both = kinds.map((key) => `'${key}'`).join(' and ');
    throw wrongValue(name, `must not have both ${both}`, value);
  }
  if (kind === undefined) {
    if (!isUrl(value)) return plainPreopen(guest, textOf(value, name));
    used.isOurs = true;
    return plainPreopen(guest, pathOf(value, name));
  }
  used.isOurs = true;
  checkKeys(value, name, PREOPENS[kind]);
  const flag = (key) => {
    if (value[key] !== undefined) validateBoolean(value[key], `${name}.${key}`);
    return value[key] === true;
  };
  if (kind === 'path') {
    const { symlinks = 'inside' } = value;
    const path = pathOf(value.path, `${name}.path`);
    if (symlinks !== 'inside' && symlinks !== 'deny') {
      throw wrongType(`${name}.symlinks`, "'inside' or 'deny'", symlinks);
    }
    const [readOnly, create, lazy] = [flag('readOnly'), flag('create'), flag('lazy')];
    const extended = { __proto__: null, create, noSymlinks: symlinks === 'deny', lazy };
    if (value.overlay !== undefined) {
      const { overlayBytes } = require('./overlay.js');
      extended.overlay = overlayBytes(value.overlay, `${name}.overlay`);
    }
    return { guest, host: path, path, readOnly, extended };
  }
  if (kind === 'file') {
    const path = pathOf(value.file, `${name}.file`);
    const [readOnly, lazy] = [flag('readOnly'), flag('lazy')];
    const extended = { __proto__: null, kind: 'file', lazy };
    return { guest, host: path, path, readOnly, extended };
  }
  if (kind === 'tar') return require('./preopens.js').tarPreopen(guest, name, value);
  if (kind === 'fs') return require('./preopens.js').fsPreopen(guest, name, value, used);
  validateObject(value.memory, `${name}.memory`);
  if (!isPlain(value.memory)) throw wrongType(`${name}.memory`, 'a plain object', value.memory);
  const maxBytes =
    value.maxBytes === undefined
      ? DEFAULT_TREE_BYTES
      : checkedCount(value.maxBytes, `${name}.maxBytes`);
  const files = entries(value.memory).map(([file, content]) => ({
    name: file,
    bytes: contentOf(content, `${name}.memory[${inspect(file)}]`),
  }));
  const extended = { __proto__: null, kind: 'memory', entries: files, maxBytes };
  return { guest, host: '', path: '', readOnly: flag('readOnly'), extended };
}

/** A host path, as text or as a URL. */
function pathOf(value, name) {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || !isUrl(value)) {
    throw wrongType(name, "of type string or a 'file:' URL", value);
  }
  return require('node:url').fileURLToPath(value.href);
}

/** Whether an object is a URL, of any realm and library, as Node tells. */
function isUrl(value) {
  const { href, protocol } = value;
  return typeof href === 'string' && typeof protocol === 'string' && value.path === undefined;
}

/** The text that an object stands for. Where it does not say, it was meant to be one of ours. */
function textOf(value, name) {
  let text;
  if (typeof value.toString === 'function') text = String(value);
  if (text !== undefined && !/^\[object .*\]$/s.test(text)) return text;
  throw wrongValue(
    name,
    "must be a path or have one of 'path', 'file', 'memory', 'tar' and 'fs'",
    value,
  );
}

function contentOf(content, name) {
  if (typeof content === 'string') return encoded(content);
  if (isBytes(content)) return attached(content, name);
  throw wrongType(name, 'of type string, or bytes', content);
}

module.exports = {
  DEFAULT_TREE_BYTES,
  LIMITS,
  MODULE_LIMITS,
  NODES,
  OURS,
  attached,
  checkKeys,
  checkNearMisses,
  checkedCount,
  checkedLimits,
  checkedTimeout,
  extended,
  inputStream,
  isUrl,
  outputStream,
  pathOf,
  specialPreopen,
  validateOwnObject,
};
