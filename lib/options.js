'use strict';

// The options of a WASI, checked with Node's errors and shaped for the native side.

const { inspect } = require('node:util');
const { nodeError, outOfRange, shortened, wrongType } = require('./errors.js');

const { apply } = Reflect;
const { entries } = Object;
const { isArray } = Array;
const { isInteger } = Number;
const { indexOf, slice } = String.prototype;
// Loaded with this module: a program under the permission model could later change what the check
// uses.
const permissions = process.permission && require('./permissions.js');

// Objects passed to the addon define every property that is read, or have no prototype, so a
// polluted `Object.prototype` cannot supply an option.

/** How many bytes a collected stream holds by default. */
const DEFAULT_CAP = 64 * 1024 * 1024;
/**
 * As `node:wasi` prints each call with `NODE_DEBUG_NATIVE=wasi`. Every thread reads it: it is no
 * option of one instance.
 */
const TRACED_BY_ENVIRONMENT = (process.env.NODE_DEBUG_NATIVE ?? '')
  .toLowerCase()
  .split(',')
  .includes('wasi');

/** What `extended` of own-options.js reads: options that few programs use. */
const OTHER = ['timeoutMs', 'clock', 'random', 'sockets', 'sortedReaddir', 'trace', 'stats'];

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
  // The object that serves a preopen may answer by promises, if the guest suspends.
  const suspend = ours(options, 'suspend', used);
  if (suspend !== undefined) {
    require('./suspend-options.js').checkSuspend(suspend);
    used.suspends = suspend;
  }
  const preopens = preopenList(options.preopens ?? {}, used);

  const { stdin = 0, stdout = 1, stderr = 2 } = options;
  let limits = ours(options, 'limits', used);
  if (limits !== undefined) limits = own().checkedLimits(limits);
  const cap = limits?.outputBytes ?? DEFAULT_CAP;
  const streams = {
    stdin: inputStream(stdin, 'options.stdin', used),
    stdout: outputStream(stdout, 'options.stdout', 1, cap, used),
    stderr: outputStream(stderr, 'options.stderr', 2, cap, used),
  };

  const native = { args, env, ...streams, preopens, extended: undefined };
  let checked = {
    native,
    functions: undefined,
    observers: undefined,
    isOwnThread: false,
    served: undefined,
    names: preopens.map(({ guest }) => guest),
    sockets: undefined,
    overlays: [],
    isOurs: false,
    lent: undefined,
    suspends: false,
  };
  if (used.isOurs || TRACED_BY_ENVIRONMENT || namesOther(options)) {
    const given = { stdin, stdout, stderr };
    checked = own().extended(checked, { options, used, given, limits, isLenient });
  }
  // The last, as what reads options may call anything.
  permissions?.checkPermissions(native);
  return checked;
}

/** Whether there may be an option that `node:wasi` does not have, beside those that were read. */
function namesOther(options) {
  for (let i = 0; i < OTHER.length; i++) if (OTHER[i] in options) return true;
  return false;
}

/** A stream that is no descriptor's number, for the native side; or the number. */
function inputStream(value, name, used) {
  if (typeof value === 'number') return checkedDescriptor(value, name);
  used.isOurs = true;
  return own().inputStream(value, name, used);
}

function outputStream(value, name, inherited, cap, used) {
  if (typeof value === 'number') return checkedDescriptor(value, name);
  used.isOurs = true;
  return own().outputStream(value, name, { inherited, cap, used });
}

/** The checks of options that `node:wasi` does not have, loaded when the first one is used. */
function own() {
  return require('./own-options.js');
}

/** An option that `node:wasi` does not have. One that is `undefined` is not there. */
function ours(options, name, used) {
  const value = name in options ? options[name] : undefined;
  if (value !== undefined) used.isOurs = true;
  return value;
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
    ? own().specialPreopen(guest, value, used)
    : plainPreopen(guest, String(value));
}

function plainPreopen(guest, path) {
  return { guest, host: path, path, readOnly: false, extended: undefined };
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
  TRACED_BY_ENVIRONMENT,
  beLenient,
  bindingNameOf,
  checkedDescriptor,
  checkedOptions,
  ours,
  plainPreopen,
  validateArray,
  validateBoolean,
  validateFunction,
  validateObject,
  validateUndefined,
};
