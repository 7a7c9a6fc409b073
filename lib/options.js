'use strict';

// The options of a WASI, checked with Node's errors and shaped for the native side.

const {
  existsSync,
  mkdirSync,
  realpathSync: { native: realpath },
} = require('node:fs');
const { basename, dirname, isAbsolute, join, resolve, sep } = require('node:path');
const {
  inspect,
  types: { isAsyncFunction },
} = require('node:util');
const { bytesOf, encoded, isBytes } = require('./bytes.js');
const {
  accessDenied,
  nodeError,
  outOfRange,
  shortened,
  unknownKey,
  wrongType,
  wrongValue,
} = require('./errors.js');

const { apply, getPrototypeOf } = Reflect;
const { entries, keys } = Object;
const { isArray } = Array;
const { isInteger, MAX_SAFE_INTEGER } = Number;
const { hasOwnProperty: hasOwn } = Object.prototype;
const { indexOf, slice } = String.prototype;
const { cwd, permission } = process;
const isAllowed = permission?.has;
/** Node 20.16 and 22.3 are the first that can allow it, and with which node:wasi asks for it. */
const asksForWasi = permission && process.allowedNodeEnvironmentFlags.has('--allow-wasi');

// Objects that are made here and read by name have all that is read of them, or no prototype: what
// someone gave to all objects is no option.

/** How many bytes a collected stream holds by default. */
const DEFAULT_CAP = 64 * 1024 * 1024;
/** How many bytes a tree in memory holds by default. */
const DEFAULT_TREE_BYTES = 256 * 1024 * 1024;
/**
 * As `node:wasi` prints each call with `NODE_DEBUG_NATIVE=wasi`. Every thread reads it: it is no
 * option of one instance.
 */
const TRACED_BY_ENVIRONMENT = (process.env.NODE_DEBUG_NATIVE ?? '')
  .toLowerCase()
  .split(',')
  .includes('wasi');

const INPUTS = `of type number or function, 'inherit', 'ignore', bytes, or an open object with a number "fd"`;
const OUTPUTS = `of type number or function, 'inherit', 'ignore', 'pipe', or an open object with a number "fd"`;

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
 * Whether names that are no options may come near to those of options: in programs that were not
 * written for us.
 */
let isLenient = false;

function beLenient() {
  isLenient = true;
}

/**
 * Checks all options but `version` and `returnOnExit`, in Node's order, for the native side.
 * Options that `node:wasi` does not have are only read where they are there: what watches the reads
 * sees Node's.
 *
 * @returns {{ native: object, functions?: object, observers?: object, served?: object[],
 *   isOwnThread: boolean, names: string[], overlays: object[], sockets?: object[], isOurs: boolean,
 *   lent: unknown, suspends: boolean }} what `createInstance` takes; the streams that are
 *   functions; what watches calls; the file systems of the embedder; whether one of these works in
 *   this thread only; the guest's names of all preopens; which of them are overlays, and over what;
 *   its sockets; whether an option does what `node:wasi` has not, other than to observe; what must
 *   not be collected before the WASI, as it would close a descriptor; and whether the guest may be
 *   suspended
 */
function checkedOptions(options) {
  if (options.args !== undefined) validateArray(options.args, 'options.args');
  const args = terminatedArgs(options.args ?? []);

  if (options.env !== undefined) validateObject(options.env, 'options.env');
  const env = terminatedEnv(options.env ?? {});

  if (options.preopens !== undefined) validateObject(options.preopens, 'options.preopens');
  const used = {
    isOurs: false,
    isWatched: false,
    isServed: false,
    lent: undefined,
    suspends: false,
  };
  // What serves a preopen may depend on it.
  const suspend = ours(options, 'suspend', used);
  if (suspend !== undefined) {
    require('./suspend-options.js').checkSuspend(suspend);
    used.suspends = suspend;
  }
  const preopens = preopenList(options.preopens ?? {}, used);

  const { stdin = 0, stdout = 1, stderr = 2 } = options;
  const limits = checkedLimits(ours(options, 'limits', used));
  const cap = limits?.outputBytes ?? DEFAULT_CAP;
  const streams = {
    stdin: inputStream(stdin, 'options.stdin', used),
    stdout: outputStream(stdout, 'options.stdout', 1, cap, used),
    stderr: outputStream(stderr, 'options.stderr', 2, cap, used),
  };

  let functions;
  if (isOfJs(streams.stdin)) functions = { __proto__: null, stdin };
  if (isOfJs(streams.stdout)) functions = { __proto__: null, ...functions, stdout };
  if (isOfJs(streams.stderr)) functions = { __proto__: null, ...functions, stderr };

  const observers = {
    hostCalls: limits?.hostCalls,
    timeoutMs: checkedTimeout(ours(options, 'timeoutMs', used), 'options.timeoutMs'),
    trace: undefined,
    stats: undefined,
  };
  const native = { args, env, ...streams, preopens, extended: undefined };
  native.extended = extendedOptions(options, limits, used);
  const sockets = native.extended?.sockets;
  if (sockets !== undefined && preopens.length === 0) {
    native.env = require('./sockets.js').withListenFds(env, sockets.length);
  }
  observers.trace = observing(options, 'trace', used);
  if (observers.trace !== undefined) checkTrace(observers.trace);
  else if (TRACED_BY_ENVIRONMENT) observers.trace = true;
  observers.stats = observing(options, 'stats', used);
  if (observers.stats !== undefined) validateBoolean(observers.stats, 'options.stats');
  const { isOurs, lent, suspends } = used;
  if (suspends) native.extended = { __proto__: null, ...native.extended, suspends };
  if (isOurs || used.isWatched) checkNearMisses(options);
  // The last, as what reads options may call anything.
  if (permission) checkPermissions(native);
  const { hostCalls, timeoutMs, trace, stats } = observers;
  const isWatched = hostCalls !== undefined || timeoutMs !== undefined || trace || stats;
  const names = preopens.map(({ guest }) => guest);
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

/** An option that `node:wasi` does not have. One that is `undefined` is not there. */
function ours(options, name, used) {
  const value = name in options ? options[name] : undefined;
  if (value !== undefined) used.isOurs = true;
  return value;
}

/** The same for an option that only observes. */
function observing(options, name, used) {
  const value = name in options ? options[name] : undefined;
  if (value !== undefined) used.isWatched = true;
  return value;
}

/**
 * `node:wasi` passes over what it does not know. Where an option of ours is used, a name that comes
 * near to that of an option was meant to be it.
 */
function checkNearMisses(options) {
  if (isLenient) return;
  const known = KNOWN;
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

/** What few ask for, apart: each property that the native side looks for takes its time. */
function extendedOptions(options, limits, used) {
  const clock = ours(options, 'clock', used);
  const random = ours(options, 'random', used);
  const sockets = ours(options, 'sockets', used);
  const sorted = ours(options, 'sortedReaddir', used);
  if ((limits ?? clock ?? random ?? sockets ?? sorted) === undefined) return undefined;
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

/** A stream that is no descriptor's number, for the native side; or the number. */
function inputStream(value, name, used) {
  if (typeof value === 'number') return checkedDescriptor(value, name);
  used.isOurs = true;
  if (value === 'inherit') return 0;
  if (value === 'ignore') return nativeStream('ignore');
  if (isBytes(value)) return nativeStream('bytes', attached(value, name));
  if (isJsStream(value, name, true, used)) return nativeStream('function');
  return descriptorOf(value, name, INPUTS, used);
}

function outputStream(value, name, inherited, cap, used) {
  if (typeof value === 'number') return checkedDescriptor(value, name);
  used.isOurs = true;
  if (value === 'inherit') return inherited;
  if (value === 'ignore') return nativeStream('ignore');
  if (value === 'pipe') return nativeStream('pipe', undefined, cap);
  if (isJsStream(value, name, false, used)) return nativeStream('function');
  return descriptorOf(value, name, OUTPUTS, used);
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
  // What is closed, or not open yet.
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
  if (limits === undefined) return undefined;
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
    if (typeof value !== 'object' || value === null) {
      throw wrongType(`options.clock.${name}`, "'real' or of type bigint or object", value);
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

/** @returns {string} the strings, each ended by NUL, as `args_get` gives them */
function terminatedArgs(args) {
  let text = '';
  for (let i = 0; i < args.length; i++) text += terminated(String(args[i]));
  return text;
}

/** @returns {string} `name=value`, each ended by NUL, as `environ_get` gives them */
function terminatedEnv(env) {
  const pairs = entries(env);
  let text = '';
  for (let i = 0; i < pairs.length; i++) {
    const value = pairs[i][1];
    if (value !== undefined) text += terminated(`${pairs[i][0]}=${value}`);
  }
  return text;
}

/** A string for a guest ends at its first NUL, as in C. */
function terminated(string) {
  const end = apply(indexOf, string, ['\0']);
  return `${end < 0 ? string : apply(slice, string, [0, end])}\0`;
}

/**
 * A value is a host path, as text or as a `file:` URL, or an object with one of `path`, `file`,
 * `memory`, `tar` and `fs`. Whatever else there is stands for its text, as in Node.
 *
 * @returns {object[]} what the native side takes, in descriptors' order, from 3 on
 */
function preopenList(preopens, used) {
  const list = entries(preopens);
  // In the place of what is there: to add to a list would call a setter that all arrays inherit.
  for (let i = 0; i < list.length; i++) list[i] = preopen(list[i][0], list[i][1], used);
  return list;
}

function preopen(guest, value, used) {
  return typeof value === 'object' && value !== null
    ? specialPreopen(guest, value, used)
    : plainPreopen(guest, String(value));
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

function plainPreopen(guest, path) {
  return { guest, host: path, path, readOnly: false, extended: undefined };
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

/**
 * Holds an instance against Node's permission model (`--permission`). A guest may read a preopen's
 * file, or what is below its folder, so the process must be allowed to, and may change it if the
 * process may. It counts what is allowed for the path given and for the path that it leads to. The
 * latter is what is opened: the native side follows no link on the way.
 */
function checkPermissions(native) {
  if (asksForWasi && !allows('wasi')) throw accessDenied('--allow-wasi', 'WASI', '');
  const { preopens } = native;
  for (let i = 0; i < preopens.length; i++) {
    const preopen = preopens[i];
    const extended = preopen.extended ?? { __proto__: null };
    // There is nothing of that name, now or later.
    if (preopen.path === '') continue;
    const isFile = extended.kind === 'file' || extended.kind === 'tar';
    const allowsThere = isFile ? allowsFile : allowsBelow;
    const path = resolve(preopen.path);
    checkReadable(allowsThere, path);
    const target = targetOf(preopen.path, isFile);
    checkReadable(allowsThere, target);
    if (extended.create) makeFolder(target);
    preopen.path = target;
    // What a guest changes in an overlay is not written there.
    if (extended.overlay === undefined) {
      preopen.readOnly ||= !allowsThere('fs.write', path) || !allowsThere('fs.write', target);
    }
    preopen.extended = { ...extended, __proto__: null, create: false, exact: true };
  }
  const sockets = native.extended?.sockets;
  if (sockets !== undefined) {
    const isAllowedThere = (...asked) => apply(isAllowed, permission, asked);
    require('./sockets.js').checkSocketPermissions(sockets, isAllowedThere);
  }
  // A folder that is lent by its number has no path that could be asked for.
  if (!allows('fs.read') || !allows('fs.write')) {
    native.extended = { ...native.extended, __proto__: null, noDirectories: true };
  }
}

/** Whether all of a scope is allowed. */
function allows(scope) {
  return apply(isAllowed, permission, [scope]);
}

function checkReadable(allowsThere, path) {
  if (!allowsThere('fs.read', path)) {
    throw accessDenied('--allow-fs-read', 'FileSystemRead', path);
  }
}

/** Whether all below a host's directory may be changed. */
function checkWritable(path) {
  if (permission && !allowsBelow('fs.write', resolve(path))) {
    throw accessDenied('--allow-fs-write', 'FileSystemWrite', resolve(path));
  }
}

function allowsFile(scope, path) {
  return apply(isAllowed, permission, [scope, path]);
}

/**
 * Whether the process may use all files below a folder. Node is asked for one with a name that
 * nobody grants: a folder alone may be allowed without what is in it, and the other way round.
 */
function allowsBelow(scope, path) {
  return apply(isAllowed, permission, [scope, join(path, '\u0001')]);
}

/** Node makes it, if the process may. What else is in the way is reported when it is opened. */
function makeFolder(path) {
  if (existsSync(path)) return;
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
  }
}

/**
 * Where a path leads as the system follows it, which takes `link/..` for the folder above what the
 * link leads to. What does not exist yet would be made where its folder leads. A path that cannot
 * be followed is reported when it is opened.
 */
function targetOf(given, isFile) {
  const path = isAbsolute(given) ? given : `${cwd()}${sep}${given}`;
  try {
    // With the separator, the allowed folder itself counts as below what is allowed.
    return realpath(isFile ? path : `${path}${sep}`);
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
  }
  const missing = [];
  for (let folder = path; ; folder = dirname(folder)) {
    const name = basename(folder);
    if (name === '' || name === '.' || name === '..') return resolve(given);
    missing.unshift(name);
    try {
      return join(realpath(`${dirname(folder)}${sep}`), ...missing);
    } catch (error) {
      // The native side follows no link, so what is allowed by name can be nothing else.
      if (error.code === 'ERR_ACCESS_DENIED') return resolve(given);
    }
  }
}

function bindingNameOf(version) {
  if (typeof version !== 'string') throw wrongType('options.version', 'of type string', version);
  if (version === 'preview1') return 'wasi_snapshot_preview1';
  if (version === 'unstable') return 'wasi_unstable';
  const received = inspect(version);
  throw nodeError(
    TypeError,
    'ERR_INVALID_ARG_VALUE',
    `The property 'options.version' unsupported WASI version. Received ${shortened(received, 128, 128)}`,
  );
}

function validateObject(value, name) {
  if (value === null || typeof value !== 'object' || isArray(value)) {
    throw wrongType(name, 'of type object', value);
  }
}

function validateArray(value, name) {
  if (!isArray(value)) throw wrongType(name, 'an instance of Array', value);
}

function validateBoolean(value, name) {
  if (typeof value !== 'boolean') throw wrongType(name, 'of type boolean', value);
}

function validateFunction(value, name) {
  if (typeof value !== 'function') throw wrongType(name, 'of type function', value);
}

function validateUndefined(value, name) {
  if (value !== undefined) throw wrongType(name, 'undefined', value);
}

function checkedDescriptor(value, name) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 0 || value > 0x7fffffff) throw outOfRange(name, '>= 0 && <= 2147483647', value);
  return value;
}

module.exports = {
  DEFAULT_TREE_BYTES,
  beLenient,
  LIMITS,
  MODULE_LIMITS,
  NODES,
  OURS,
  TRACED_BY_ENVIRONMENT,
  attached,
  bindingNameOf,
  checkKeys,
  checkWritable,
  checkedCount,
  checkedOptions,
  checkedTimeout,
  validateArray,
  isUrl,
  pathOf,
  validateBoolean,
  validateFunction,
  validateObject,
  validateOwnObject,
  validateUndefined,
};
