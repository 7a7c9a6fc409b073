'use strict';

// The options of a WASI, checked with Node's errors and shaped for the native side.

const {
  existsSync,
  mkdirSync,
  realpathSync: { native: realpath },
} = require('node:fs');
const { join, resolve, sep } = require('node:path');
const { inspect } = require('node:util');
const { accessDenied, nodeError, outOfRange, shortened, wrongType } = require('./errors.js');

const { apply } = Reflect;
const { entries } = Object;
const { isArray } = Array;
const { isInteger, MAX_SAFE_INTEGER } = Number;
const { hasOwnProperty: hasOwn } = Object.prototype;
const { indexOf, slice } = String.prototype;
const { permission } = process;
const isAllowed = permission?.has;
const encoder = new TextEncoder();
const { encode } = encoder;

// Objects that are made here and read by name have all that is read of them, or no prototype: what someone gave to
// all objects is no option.

/** How many bytes a collected stream holds by default. */
const DEFAULT_CAP = 64 * 1024 * 1024;
/** How many bytes a tree in memory holds by default. */
const DEFAULT_TREE_BYTES = 256 * 1024 * 1024;
/** As `node:wasi` prints each call with `NODE_DEBUG_NATIVE=wasi`. */
const TRACED_BY_ENVIRONMENT = (process.env.NODE_DEBUG_NATIVE ?? '')
  .toLowerCase()
  .split(',')
  .includes('wasi');

/**
 * Checks all options but `version` and `returnOnExit`, in Node's order, for the native side. Options that
 * `node:wasi` does not have are only read where they are there: what watches the reads sees Node's.
 *
 * @returns {{ native: object, functions?: object, observers?: object, names: string[] }} what
 *   `createInstance` takes; the streams that are functions; what watches calls; and the guest's names
 *   of all preopens
 */
function checkedOptions(options) {
  if (options.args !== undefined) validateArray(options.args, 'options.args');
  const args = terminatedArgs(options.args ?? []);

  if (options.env !== undefined) validateObject(options.env, 'options.env');
  const env = terminatedEnv(options.env ?? {});

  if (options.preopens !== undefined) validateObject(options.preopens, 'options.preopens');
  const preopens = preopenList(options.preopens ?? {});

  const { stdin = 0, stdout = 1, stderr = 2 } = options;
  const cap =
    'outputCap' in options ? checkedCount(options.outputCap, 'options.outputCap') : DEFAULT_CAP;
  let functions;
  if (typeof stdin === 'function') functions = { __proto__: null, stdin };
  if (typeof stdout === 'function') functions = { __proto__: null, ...functions, stdout };
  if (typeof stderr === 'function') functions = { __proto__: null, ...functions, stderr };
  const streams = {
    stdin: inputStream(stdin, 'options.stdin'),
    stdout: outputStream(stdout, 'options.stdout', 1, cap),
    stderr: outputStream(stderr, 'options.stderr', 2, cap),
  };

  if (permission) checkPermissions(preopens);
  const observers = {
    hostCalls: undefined,
    deadlineMs: undefined,
    trace: undefined,
    stats: undefined,
  };
  const native = { args, env, ...streams, preopens, special: specialOptions(options, observers) };
  if ('trace' in options) observers.trace = checkedTrace(options.trace);
  else if (TRACED_BY_ENVIRONMENT) observers.trace = true;
  if ('stats' in options) {
    validateBoolean(options.stats, 'options.stats');
    observers.stats = options.stats;
  }
  const { hostCalls, deadlineMs, trace, stats } = observers;
  const isWatched = hostCalls !== undefined || deadlineMs !== undefined || trace || stats;
  const names = preopens.map(({ guest }) => guest);
  return { native, functions, observers: isWatched ? observers : undefined, names };
}

/** What few ask for, apart: each property that the native side looks for takes its time. */
function specialOptions(options, observers) {
  const isAny =
    'limits' in options || 'clock' in options || 'random' in options || 'sortedReaddir' in options;
  if (!isAny) return undefined;
  const native = { __proto__: null };
  if ('limits' in options) addLimits(native, observers, options.limits);
  if ('clock' in options) addClocks(native, options.clock);
  if ('random' in options) native.randomSeed = seedOf(options.random);
  if ('sortedReaddir' in options) {
    validateBoolean(options.sortedReaddir, 'options.sortedReaddir');
    native.sortedReaddir = options.sortedReaddir;
  }
  return native;
}

/** A stream that is no descriptor's number, for the native side; or the number. */
function inputStream(value, name) {
  if (value === 'inherit') return 0;
  if (value === 'ignore') return { __proto__: null, kind: 'ignore' };
  if (value instanceof Uint8Array) return { __proto__: null, kind: 'bytes', bytes: value };
  if (typeof value === 'function') return { __proto__: null, kind: 'function' };
  validateDescriptor(value, name);
  return value;
}

function outputStream(value, name, inherited, cap) {
  if (value === 'inherit') return inherited;
  if (value === 'ignore') return { __proto__: null, kind: 'ignore' };
  if (value === 'pipe') return { __proto__: null, kind: 'pipe', cap };
  if (typeof value === 'function') return { __proto__: null, kind: 'function' };
  validateDescriptor(value, name);
  return value;
}

/** Some limits are kept in Rust; the others by what watches each call. */
function addLimits(native, observers, limits) {
  validateObject(limits, 'options.limits');
  const limit = (name) =>
    limits[name] === undefined ? undefined : checkedCount(limits[name], `options.limits.${name}`);
  native.limits = {
    openFiles: limit('openFiles'),
    writtenBytes: limit('writtenBytes'),
    readdirEntries: limit('readdirEntries'),
  };
  observers.hostCalls = limit('hostCalls');
  observers.deadlineMs = limit('deadlineMs');
}

function addClocks(native, clock) {
  validateObject(clock, 'options.clock');
  const one = (name) => {
    const value = clock[name];
    if (value === undefined || value === 'real') return undefined;
    if (typeof value === 'bigint')
      return { start: checkedTime(value, `options.clock.${name}`), step: 0n };
    validateObject(value, `options.clock.${name}`);
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
  if (!(seed instanceof Uint8Array) && !['string', 'number', 'bigint'].includes(typeof seed)) {
    throw wrongType(
      'options.random',
      'of type string, number or bigint or an instance of Uint8Array',
      seed,
    );
  }
  const { createHash } = require('node:crypto');
  const bytes = seed instanceof Uint8Array ? seed : `${typeof seed} ${seed}`;
  return createHash('sha256').update(bytes).digest();
}

function checkedTrace(trace) {
  if (typeof trace !== 'boolean' && typeof trace !== 'function') {
    throw wrongType('options.trace', 'of type boolean or function', trace);
  }
  return trace;
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
 * A value is a host path, or an object with one of `path`, `file` and `memory`. Whatever else there is
 * stands for its text, as in Node.
 *
 * @returns {object[]} what the native side takes, in descriptors' order, from 3 on
 */
function preopenList(preopens) {
  const list = entries(preopens);
  // In the place of what is there: to add to a list would call a setter that all arrays inherit.
  for (let i = 0; i < list.length; i++) list[i] = preopen(list[i][0], list[i][1]);
  return list;
}

function preopen(guest, value) {
  return typeof value === 'object' && value !== null
    ? specialPreopen(guest, value)
    : plainPreopen(guest, value);
}

function specialPreopen(guest, value) {
  const name = `options.preopens[${inspect(guest)}]`;
  const has = (key) => apply(hasOwn, value, [key]);
  const flag = (key) => {
    if (value[key] !== undefined) validateBoolean(value[key], `${name}.${key}`);
    return value[key] === true;
  };
  if (has('path')) {
    const { path, symlinks = 'inside' } = value;
    if (typeof path !== 'string') throw wrongType(`${name}.path`, 'of type string', path);
    if (symlinks !== 'inside' && symlinks !== 'deny') {
      throw wrongType(`${name}.symlinks`, "'inside' or 'deny'", symlinks);
    }
    const [readOnly, create] = [flag('readOnly'), flag('create')];
    const special = { __proto__: null, create, noSymlinks: symlinks === 'deny' };
    return { guest, path, readOnly, special };
  }
  if (has('file')) {
    const { file } = value;
    if (typeof file !== 'string') throw wrongType(`${name}.file`, 'of type string', file);
    const special = { __proto__: null, kind: 'file' };
    return { guest, path: file, readOnly: flag('readOnly'), special };
  }
  if (has('memory')) {
    validateObject(value.memory, `${name}.memory`);
    const maxBytes =
      value.maxBytes === undefined
        ? DEFAULT_TREE_BYTES
        : checkedCount(value.maxBytes, `${name}.maxBytes`);
    const files = entries(value.memory).map(([file, content]) => ({
      name: file,
      bytes: contentOf(content, `${name}.memory[${inspect(file)}]`),
    }));
    const special = { __proto__: null, kind: 'memory', entries: files, maxBytes };
    return { guest, path: '', readOnly: flag('readOnly'), special };
  }
  return plainPreopen(guest, value);
}

function plainPreopen(guest, value) {
  return { guest, path: String(value), readOnly: false, special: undefined };
}

function contentOf(content, name) {
  if (typeof content === 'string') return apply(encode, encoder, [content]);
  if (content instanceof Uint8Array) return content;
  throw wrongType(name, 'of type string or an instance of Uint8Array', content);
}

/**
 * Holds preopens against Node's permission model (`--permission`). A guest may read a preopen's file, or what
 * is below its folder, so the process must be allowed to, and may change it if the process may. It counts
 * what is allowed for the path given and for the path that it leads to.
 */
function checkPermissions(preopens) {
  for (let i = 0; i < preopens.length; i++) {
    const preopen = preopens[i];
    const { kind, create } = preopen.special ?? { __proto__: null };
    if (kind === 'memory') continue;
    const allows = kind === 'file' ? allowsFile : allowsBelow;
    const path = resolve(preopen.path);
    checkReadable(allows, path);
    if (create) makeFolder(path);
    const target = realPath(path, kind);
    checkReadable(allows, target);
    preopen.readOnly ||= !allows('fs.write', path) || !allows('fs.write', target);
  }
}

function checkReadable(allows, path) {
  if (!allows('fs.read', path)) {
    throw accessDenied('--allow-fs-read', 'FileSystemRead', path);
  }
}

function allowsFile(scope, path) {
  return apply(isAllowed, permission, [scope, path]);
}

/**
 * Whether the process may use all files below a folder. Node is asked for one with a name that nobody
 * grants: a folder alone may be allowed without what is in it, and the other way round.
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

/** Where symbolic links lead; a path that cannot be followed is reported when it is opened. */
function realPath(path, kind) {
  try {
    // With the separator, the allowed folder itself counts as below what is allowed.
    return realpath(kind === 'file' ? path : join(path, sep));
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
    return path;
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

function validateDescriptor(value, name) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 0 || value > 0x7fffffff) throw outOfRange(name, '>= 0 && <= 2147483647', value);
}

module.exports = {
  bindingNameOf,
  checkedOptions,
  validateBoolean,
  validateFunction,
  validateObject,
  validateUndefined,
};
