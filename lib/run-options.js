'use strict';

// The options of run, spawn and Pool: those of a WASI, less what cannot leave the thread, and a few
// of their own.

const {
  Buffer,
  constants: { MAX_STRING_LENGTH },
} = require('node:buffer');
const { isAbsolute, resolve } = require('node:path');
const { isMap } = require('node:util').types;
const { encoded, isBytes, bytesOf } = require('./bytes.js');
const { nodeError, outOfRange, wrongType, wrongValue } = require('./errors.js');
const { checkedOptions, validateObject } = require('./options.js');
const {
  checkedTimeout,
  checkKeys,
  LIMITS,
  MODULE_LIMITS,
  NODES,
  OURS,
  validateOwnObject,
} = require('./own-options.js');
const { moduleLimits } = require('./program.js');
const { validateSignal } = require('./signals.js');

const IS_WINDOWS = process.platform === 'win32';
/** How many bytes the path of a Unix socket may have on every system. */
const MOST_SOCKET_PATH = 103;
const DEFAULT_START_TIMEOUT = 10_000;
const DEFAULT_MAX_THREADS = 64;
const DEFAULT_OUTPUT_BYTES = 64 * 1024 * 1024;

const COMMON = [...NODES, ...OURS, 'startTimeoutMs', 'signal'];
const OWN = {
  __proto__: null,
  run: ['encoding', 'isolation', 'maxThreads'],
  spawn: ['isolation', 'maxThreads', 'tty'],
  pool: ['encoding'],
};
/** Standard streams, and what they are by default. */
const STREAMS = {
  __proto__: null,
  run: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  pool: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  spawn: { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' },
};

const NO_BOUNDS = moduleLimits({ __proto__: null });
const KNOWN = {
  __proto__: null,
  run: [...COMMON, ...OWN.run],
  spawn: [...COMMON, ...OWN.spawn],
  pool: [...COMMON, ...OWN.pool],
};
/** All options, absent: a polluted `Object.prototype` cannot supply one. */
const ABSENT = Object.fromEntries(
  [...new Set(Object.values(KNOWN).flat())].map((name) => [name, undefined]),
);

/** Where guests run: on Bun and Deno a thread that computes cannot be ended. */
const CANNOT_END_THREADS = process.versions.bun
  ? 'Bun'
  : process.versions.deno
    ? 'Deno'
    : undefined;
const DEFAULT_ISOLATION = CANNOT_END_THREADS === undefined ? 'thread' : 'process';

/**
 * Checks all options of a run.
 *
 * @param {'run' | 'spawn' | 'pool'} kind
 * @param {unknown} options
 * @param {string} [isolation] that of the pool
 * @returns {object} `job`: what is sent to the guest's thread, without the module. `pipes`: the
 *   standard streams that are to be pipes, by name. `limits`: those of the module. `encoding`,
 *   `timeoutMs`, `startTimeoutMs`, `signal`, `isolation`, `maxThreads`, `tty`. `args` is a function
 *   that gives the job for a program's name. `lent`: objects that must not be collected before the
 *   end
 */
function checkedRun(kind, options, isolation) {
  validateObject(options, 'options');
  const known = KNOWN[kind];
  checkKeys(options, 'options', known);
  const all = ownOptions(options);
  const { encoding = 'utf8', signal, tty } = all;
  if (encoding !== 'utf8' && encoding !== 'buffer') {
    throw wrongValue('options.encoding', "must be 'utf8' or 'buffer'", encoding);
  }
  if (signal !== undefined) validateSignal(signal);
  const timeoutMs = checkedTimeout(all.timeoutMs, 'options.timeoutMs') ?? Infinity;
  const startTimeoutMs =
    all.startTimeoutMs === undefined
      ? DEFAULT_START_TIMEOUT
      : (checkedTimeout(all.startTimeoutMs, 'options.startTimeoutMs') ?? Infinity);
  const where = checkedIsolation(isolation ?? all.isolation, {
    timeoutMs: timeoutMs !== Infinity,
    signal: signal !== undefined,
    kill: kind === 'spawn',
  });
  const maxThreads = all.maxThreads === undefined ? DEFAULT_MAX_THREADS : threads(all.maxThreads);
  const terminal = tty === undefined ? undefined : checkedTty(tty);
  if (all.version !== undefined && all.version !== 'preview1') {
    throw wrongValue('options.version', "must be 'preview1' here", all.version);
  }
  if (all.returnOnExit !== undefined && all.returnOnExit !== true) {
    throw wrongValue('options.returnOnExit', 'must be true here', all.returnOnExit);
  }
  if (all.suspend !== undefined && all.suspend !== false) {
    const reason = 'must be left out: the guest has a thread or a process of its own';
    throw wrongValue('options.suspend', reason, all.suspend);
  }
  refuseFunctions(kind, all);
  refuseMaps(all);
  const { limits, bounds } = dividedLimits(all.limits);
  // No string is longer, and a byte is at most one unit of it.
  if (encoding === 'utf8' && limits?.outputBytes > MAX_STRING_LENGTH) {
    limits.outputBytes = MAX_STRING_LENGTH;
  }
  let { env } = all;
  if (terminal !== undefined && (env === undefined || isRecord(env))) {
    const { columns, rows } = terminal;
    env = { COLUMNS: String(columns), LINES: String(rows), ...env };
  }
  const byDefault = STREAMS[kind];
  const { stdout = byDefault.stdout, stderr = byDefault.stderr } = all;
  const stdin = streamOf(kind, 'stdin', all.stdin === undefined ? byDefault.stdin : all.stdin);
  // Its pipe is made when all else is right.
  const isPiped = (value) => kind === 'spawn' && value === 'pipe';
  const pipes = { stdin: isPiped(stdin), stdout: isPiped(stdout), stderr: isPiped(stderr) };
  const { args, preopens, clock, random, sockets, sortedReaddir, trace, stats } = all;
  const wasis = {
    version: 'preview1',
    args,
    env,
    preopens,
    returnOnExit: undefined,
    stdin: pipes.stdin ? 'ignore' : stdin,
    stdout: pipes.stdout ? 'ignore' : stdout,
    stderr: pipes.stderr ? 'ignore' : stderr,
    timeoutMs: undefined,
    limits,
    clock,
    random,
    sockets,
    sortedReaddir,
    trace,
    stats,
  };
  const named = wasis.args !== undefined;
  const checked = checkedOptions(wasis);
  const { native, observers, names, lent } = checked;
  const served = checked.served?.find((one) => one);
  if (served !== undefined) {
    const name = `options.preopens['${served.name}'].fs`;
    throw wrongType(name, 'no file system here: the guest runs in another thread', served.fs);
  }
  // A descriptor's number means something else in another process.
  const given = where === 'process' && sockets?.find(({ fd }) => fd !== undefined);
  if (given) {
    throw wrongValue('options.sockets', "must not have 'fd' with isolation 'process'", sockets);
  }
  compact(native);
  collect(native);
  fixPaths(native);
  const job = {
    native,
    observers: observersOf(observers),
    names,
  };
  // Property by property: an object that is spread and then added to takes V8 longer than the rest.
  return {
    encoding,
    signal,
    timeoutMs,
    startTimeoutMs,
    isolation: where,
    maxThreads,
    tty: terminal,
    limits: {
      memoryBytes: bounds.memoryBytes,
      tableElements: bounds.tableElements,
      // A process bounds what V8 keeps on its own heap.
      allowsHeap: where === 'process',
    },
    outputBytes: limits?.outputBytes ?? DEFAULT_OUTPUT_BYTES,
    pipes,
    lent,
    checked,
    jobFor: (name) => (named ? job : called(job, name)),
  };
}

/** The job of a guest whose arguments are its name alone. */
function called({ native, observers, names }, name) {
  const { env, stdin, stdout, stderr, preopens, extended } = native;
  const args = `${name}\0`;
  return {
    native: { args, env, stdin, stdout, stderr, preopens, extended },
    observers,
    names,
  };
}

/** The options, each read once. Those of a class may be its accessors. */
function ownOptions(options) {
  const prototype = Object.getPrototypeOf(options);
  if (prototype === Object.prototype || prototype === null) return { ...ABSENT, ...options };
  const all = { ...ABSENT };
  for (const name of Object.keys(ABSENT)) if (name in options) all[name] = options[name];
  return all;
}

/** The limits that are kept by changing the module apart from those that a WASI keeps. */
function dividedLimits(limits) {
  if (limits === undefined) return { limits: undefined, bounds: NO_BOUNDS };
  validateOwnObject(limits, 'options.limits', [...MODULE_LIMITS, ...LIMITS]);
  const rest = { __proto__: null };
  for (const name of LIMITS) if (limits[name] !== undefined) rest[name] = limits[name];
  return { limits: rest, bounds: moduleLimits(limits) };
}

/**
 * @param {unknown} isolation
 * @param {Record<string, boolean>} needs what would have to end a guest, by its name
 */
function checkedIsolation(isolation = DEFAULT_ISOLATION, needs = {}) {
  if (isolation !== 'thread' && isolation !== 'process') {
    throw wrongValue('options.isolation', "must be 'thread' or 'process'", isolation);
  }
  const asked = Object.keys(needs).find((name) => needs[name]);
  if (isolation === 'thread' && CANNOT_END_THREADS !== undefined && asked !== undefined) {
    throw nodeError(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The property 'options.isolation' must be 'process' for ${asked}: ${CANNOT_END_THREADS} cannot end a thread that computes`,
    );
  }
  return isolation;
}

function threads(value) {
  if (typeof value !== 'number') throw wrongType('options.maxThreads', 'of type number', value);
  if (!Number.isInteger(value) || value < 0) {
    throw outOfRange('options.maxThreads', 'an integer >= 0', value);
  }
  return value;
}

function checkedTty(tty) {
  validateOwnObject(tty, 'options.tty', ['columns', 'rows', 'raw']);
  const { columns, rows, raw = false } = tty;
  checkSize(columns, 'options.tty.columns');
  checkSize(rows, 'options.tty.rows');
  if (typeof raw !== 'boolean') throw wrongType('options.tty.raw', 'of type boolean', raw);
  return { columns, rows, raw };
}

function isRecord(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A terminal's size counts in 16 bits. */
function checkSize(value, name) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isInteger(value) || value < 1 || value > 65535) {
    throw outOfRange(name, 'an integer >= 1 && <= 65535', value);
  }
}

/**
 * Refuses what would have to be called in this thread while the guest runs in another: functions,
 * and streams that are no descriptor.
 */
function refuseFunctions(kind, options) {
  for (const name of ['stdin', 'stdout', 'stderr', 'trace']) {
    const value = options[name];
    if (typeof value === 'function') {
      const reason = 'no function here: the guest runs in another thread';
      throw wrongType(`options.${name}`, reason, value);
    }
    if (name === 'trace' || !isStreamOfThread(value, name === 'stdin')) continue;
    const own = `${name} ${kind === 'spawn' ? 'of what it gives' : 'of spawn()'}`;
    const reason = `no stream of this thread: the guest runs in another. ${own} can be piped`;
    throw wrongType(`options.${name}`, reason, value);
  }
}

/** One that has a descriptor at other times gets the error that it has none now. */
function isStreamOfThread(value, isInput) {
  if (typeof value !== 'object' || value === null || isBytes(value) || 'fd' in value) return false;
  const { inputKind, outputKind } = require('./suspend-options.js');
  return (isInput ? inputKind : outputKind)(value) !== undefined;
}

/** A `Map` has no keys, so the guest would get nothing of it. */
function refuseMaps(options) {
  for (const name of ['env', 'preopens']) {
    const value = options[name];
    if (value !== undefined && isMap(value)) {
      throw wrongType(`options.${name}`, 'a plain object', value);
    }
  }
}

/** Text is input, but for the words that mean a stream. */
function streamOf(kind, name, value) {
  if (name !== 'stdin' || typeof value !== 'string') return value;
  if (value === 'inherit' || value === 'ignore') return value;
  if (value === 'pipe') {
    if (kind === 'spawn') return value;
    throw wrongValue(
      'options.stdin',
      "cannot be 'pipe' here: use spawn(), or bytes for this text",
      value,
    );
  }
  return encoded(value);
}

/**
 * Copies bytes that are part of something larger: to send a view to another thread sends all that
 * it is a view of.
 */
function compact(native) {
  const whole = (bytes) =>
    isBytes(bytes) && bytes.byteLength < bytes.buffer.byteLength ? bytesOf(bytes).slice() : bytes;
  const { stdin, preopens, extended } = native;
  if (typeof stdin === 'object' && stdin.bytes !== undefined) stdin.bytes = whole(stdin.bytes);
  for (const { extended: more } of preopens) {
    for (const entry of more?.entries ?? []) entry.bytes = whole(entry.bytes);
  }
  if (extended?.randomSeed !== undefined) extended.randomSeed = whole(extended.randomSeed);
}

/**
 * Lets relative paths begin at the working directory of the call: the guest may start later, and in
 * a process that was started in another directory. A path is not normalized, as `link/..` need not
 * be the directory that `link` lies in.
 */
function fixPaths({ preopens, extended }) {
  for (const preopen of preopens) {
    if (preopen.path !== '') preopen.path = fixedPath(preopen.path);
  }
  for (const socket of extended?.sockets ?? []) {
    if (socket.path === undefined) continue;
    const path = fixedPath(socket.path);
    // An address has no room for more. What it has room for as it is begins where it is opened: a
    // process of the guest goes to the working directory for it.
    if (Buffer.byteLength(path) <= MOST_SOCKET_PATH) socket.path = path;
  }
}

/** @returns {string} a path that begins at the working directory, if it is a relative one */
function fixedPath(path) {
  if (isAbsolute(path)) return path;
  return IS_WINDOWS ? resolve(path) : `${process.cwd()}/${path}`;
}

/** Output that is kept up to a limit, beyond which the guest is ended. */
function collect({ stdout, stderr }) {
  for (const stream of [stdout, stderr]) {
    if (stream.kind === 'pipe') stream.kind = 'collected';
  }
}

/** The time is kept by who starts the guest. */
function observersOf(observers) {
  if (observers === undefined) return undefined;
  const { hostCalls, trace, stats } = observers;
  return { hostCalls, timeoutMs: undefined, trace, stats };
}

module.exports = {
  CANNOT_END_THREADS,
  checkedIsolation,
  checkedRun,
  checkSize,
  DEFAULT_ISOLATION,
  DEFAULT_MAX_THREADS,
  fixedPath,
};
