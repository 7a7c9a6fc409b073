'use strict';

// The command line. It looks at a file before it runs it (cli-look.js), runs it in this thread, and
// ends when the guest ends. The addon is loaded when there is something to run.

const {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} = require('node:fs');
const { resolve } = require('node:path');
const { addTraps, endWithReader } = require('./cli-imports.js');
const { HELP, UsageError, checkTraceOfModule, parse } = require('./cli-options.js');
const { printable, printableLines } = require('./printable.js');

const TIMED_OUT = 124;
const TRAPPED = 134;
const NO_MEMORY = 137;
const USAGE = 2;
const LOST = 1;
const CHUNK = 65_536;
/** How many bytes say what a file is. */
const HEADER = 8;
/** V8 takes no module that is larger. */
const MOST_OF_PROGRAM = 2 ** 30;

/** The operating system's errors in a user's words. */
const REASONS = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'no such file',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  ENOSPC: 'no space is left',
  EDQUOT: 'no space is left',
};

async function main(argv) {
  try {
    const { FUNCTIONS } = require('./cli-look.js');
    const asked = parse(argv, FUNCTIONS, process.env);
    if (asked.command === 'help') return answer(`${HELP}\n`);
    if (asked.command === 'version') return answer(`${versions()}\n`);
    const bytes = program(asked.program);
    if (asked.command === 'inspect') {
      const { inspect } = require('./cli-look.js');
      return answer(`${inspect(bytes, asked.program)}\n`);
    }
    await run(bytes, asked);
  } catch (error) {
    if (error instanceof UsageError) say(2, `wasi-rs: ${error.message}\n`);
    else if (isNotLoaded(error)) say(2, `${error.message}\n`);
    else say(2, `wasi-rs: ${printableLines(error?.stack ?? error)}\n`);
    process.exitCode = error instanceof UsageError ? USAGE : 1;
  }
}

/** Whether the package cannot run here, as its message says. */
function isNotLoaded(error) {
  return (
    error?.code === 'ERR_WASI_ADDON_NOT_LOADED' || error?.code === 'ERR_WEBASSEMBLY_NOT_SUPPORTED'
  );
}

function versions() {
  const { version } = require('../package.json');
  const { node, v8, bun, deno } = process.versions;
  const runtime = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`;
  return `wasi-rs ${version} (${runtime}, v8 ${v8 ?? 'none'}, ${process.platform}-${process.arch})`;
}

/**
 * Prints what the user asked for. Where it is lost, as on a full disk, a line says so and the exit
 * code is not 0.
 *
 * @returns {number} the exit code
 */
function answer(text) {
  const error = say(1, text);
  if (error === undefined || error.code === 'EPIPE') return 0;
  say(2, `wasi-rs: the standard output cannot be written: ${reason(error)}\n`);
  return (process.exitCode = LOST);
}

/**
 * Writes a text. A reader that has closed the other end loses the rest of it.
 *
 * @returns {Error | undefined} why not all of it was written
 */
function say(descriptor, text) {
  let last;
  for (let bytes = Buffer.from(text), tries = 0; bytes.length > 0 && tries < 1000;) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
      last = undefined;
    } catch (error) {
      last = error;
      if (error.code !== 'EAGAIN') break;
      tries++;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return last;
}

/** @returns {Uint8Array} the file, or as much of it as says that it is no program */
function program(path) {
  let descriptor = 0;
  try {
    if (path !== '-') descriptor = openSync(path);
    if (fstatSync(descriptor).isFile()) return readFileSync(descriptor);
    // A stream may have no end, so its beginning is looked at first.
    return stream(descriptor);
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`);
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

function stream(descriptor) {
  const { kindOf } = require('./wasm-module.js');
  const pieces = [];
  let size = 0;
  for (;;) {
    const piece = Buffer.allocUnsafe(CHUNK);
    const length = readSome(descriptor, piece);
    pieces.push(piece.subarray(0, length));
    size += length;
    const isOver = length === 0 || size > MOST_OF_PROGRAM;
    if (isOver) return Buffer.concat(pieces);
    if (size < 2 * CHUNK && size >= HEADER && kindOf(Buffer.concat(pieces)) === 'other') {
      return Buffer.concat(pieces);
    }
  }
}

function readSome(descriptor, bytes) {
  for (;;) {
    try {
      return readSync(descriptor, bytes);
    } catch (error) {
      // Someone else made it non-blocking.
      if (error.code !== 'EAGAIN') {
        if (error.code === 'EOF') return 0;
        throw error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function reason(error) {
  return REASONS[error.code] ?? error.message.split('\n')[0];
}

async function run(bytes, asked) {
  const name = asked.program === '-' ? 'the program' : printable(asked.program);
  const { check, classify, FUNCTIONS, look } = require('./cli-look.js');
  if (require('./wasm-module.js').kindOf(bytes) === 'component') {
    const tools = { ending, openedTrace, refusal, say, trapped, wasiOptions, watchdog };
    return require('./cli-component.js').runComponent(bytes, asked, name, tools);
  }
  checkTraceOfModule(asked, FUNCTIONS);
  const module = look(bytes, name);
  const what = classify(module);
  check(what, module, asked, name);
  const call = asked.invoke === undefined ? undefined : callOf(module, asked, name);
  if (asked.maxMemory !== undefined) bytes = bounded(bytes, asked, what, name);
  const options = wasiOptions(asked, what);
  const counts = asked.stats
    ? new BigInt64Array(new SharedArrayBuffer(16 * FUNCTIONS.length))
    : undefined;

  const compiled = compile(bytes, name);
  // Loaded while V8's threads compile.
  const { WASI, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
  // The serial number of a Unix socket's file is written there when the file is made.
  const files = asked.sockets
    .filter(({ path }) => path !== undefined)
    .map(({ path }) => ({
      path: resolve(path),
      identity: new BigUint64Array(new SharedArrayBuffer(16)),
    }));
  const start = await watchdog(asked, name, FUNCTIONS, counts, files);
  const wasm = await compiled;
  const end = ending(asked, FUNCTIONS, counts);

  let wasi;
  try {
    wasi = new WASI(options);
  } catch (error) {
    throw refusal(error);
  }
  end.wasi = wasi;
  if (asked.sockets.length > 0) {
    tellPorts(asked.sockets, wasi.sockets);
    for (const { path, identity } of files) {
      const { dev, ino } = lstatSync(path, { bigint: true });
      identity.set([dev, ino]);
    }
    // The file of a socket is removed, as nothing else does when the process ends.
    process.once('exit', () => wasi.close());
  }

  // Last, so that what is refused leaves no file behind.
  const file = openedTrace(asked);
  const watched = { trace: asked.trace, file, counts, functions: FUNCTIONS };
  const preopens = Object.keys(options.preopens);
  if (what.kind === 'threads') {
    watched.unknown = what.unknown;
    watched.code = require.resolve('./cli-imports.js');
    if (asked.trace !== undefined || counts !== undefined) {
      watched.pathsBuffer = sharedPaths(preopens, wasi.sockets);
    }
    return runThreads(wasi, bytes, watched, name, end, start);
  }

  let memory;
  const { wasiImport } = wasi;
  const exit = { code: undefined };
  exitsAtOnce(wasiImport, exit, end);
  if (asked.trace !== undefined || counts !== undefined) {
    const { firstPaths, watch } = require('./cli-trace.js');
    const paths = new Map(firstPaths(preopens, wasi.sockets));
    const peerName = wasi[keys.kPeerName];
    watch(wasiImport, { ...watched, paths, peerName, memory: () => memory });
  }
  endWithReader(wasiImport, end.now ?? process.exit);
  const imports = importsOf(what, wasi, wasiImport, module);
  let code = 0;
  try {
    start();
    const instance = new WebAssembly.Instance(wasm, imports.object);
    memory = imports.memory ?? instance.exports.memory;
    if (call === undefined) code = command(wasi, instance, memory);
    else code = invoke(wasi, instance, memory, call, what);
  } catch (error) {
    if (exit.code === undefined) code = trapped(error, name);
  }
  await end(exit.code ?? code);
}

function compile(bytes, name) {
  if (typeof WebAssembly === 'undefined') throw require('./not-loaded.js').noWebAssembly();
  const compiling = WebAssembly.compile(bytes).catch((error) => {
    throw new UsageError(
      `${name} is not valid: ${require('./cli-look.js').oneLine(error.message)}`,
    );
  });
  // It is waited for later.
  compiling.catch(() => {});
  return compiling;
}

/** How many threads a guest may have beside its first. */
function mostThreads() {
  return require('./run-options.js').DEFAULT_MAX_THREADS;
}

function bounded(bytes, { maxMemory }, { kind }, name) {
  const { limited } = require('./wasm-module.js');
  const { boundProcess } = require('./own-memory.js');
  try {
    const changed = limited(bytes, { memoryBytes: maxMemory });
    boundProcess(maxMemory, bytes.length, kind === 'threads' ? mostThreads() : 0);
    return changed;
  } catch (error) {
    const { oneLine } = require('./cli-look.js');
    if (error.code === 'ERR_WASI_LIMIT') {
      say(2, `wasi-rs: ${name}: ${oneLine(error.message)}\n`);
      process.exit(NO_MEMORY);
    }
    throw new UsageError(`${name} cannot be given --max-memory: ${oneLine(error.message)}`);
  }
}

function wasiOptions(asked, what) {
  const preopens = {};
  for (const { host, guest, readOnly, overlay = false, text } of asked.directories) {
    checkDirectory(host, `--${overlay ? 'overlay' : 'dir'} ${text}`);
    preopens[guest] = { path: host, readOnly, overlay };
  }
  for (const { guest } of asked.memoryDirectories) preopens[guest] = { memory: {} };
  for (const { file, guest } of asked.archives) {
    checkArchive(file, `--tar ${file}::${guest}`);
    preopens[guest] = { tar: file };
  }
  let stdin = 'inherit';
  if (asked.program === '-') stdin = 'ignore';
  if (asked.stdin !== undefined && asked.stdin !== '-') {
    stdin = opened(asked.stdin, 'r', '--stdin');
    if (fstatSync(stdin).isDirectory()) {
      throw new UsageError(`--stdin ${asked.stdin}: is a directory: --stdin FILE`);
    }
  }
  return {
    version: what.version,
    returnOnExit: true,
    args: asked.args,
    env: asked.env,
    preopens,
    ...(asked.sockets.length > 0 ? { sockets: asked.sockets } : {}),
    stdin,
    stdout: 'inherit',
    stderr: 'inherit',
    ...(asked.maxFds === undefined ? {} : { limits: { openFiles: asked.maxFds } }),
  };
}

/** Nobody else knows the port that the system has chosen. */
function tellPorts(asked, sockets) {
  const { endName } = require('./sockets.js');
  asked.forEach(({ port }, i) => {
    if (port === 0)
      say(2, `wasi-rs: descriptor ${sockets[i].fd} listens on ${endName(sockets[i])}\n`);
  });
}

function checkDirectory(host, option) {
  let isDirectory;
  try {
    isDirectory = statSync(host).isDirectory();
  } catch (error) {
    const why = /^(ENOENT|ENOTDIR)$/.test(error.code) ? 'no such directory' : reason(error);
    throw new UsageError(`${option}: ${host}: ${why}`);
  }
  if (!isDirectory) throw new UsageError(`${option}: ${host}: not a directory`);
}

function checkArchive(file, option) {
  let isDirectory;
  try {
    isDirectory = statSync(file).isDirectory();
  } catch (error) {
    throw new UsageError(`${option}: ${file}: ${reason(error)}`);
  }
  if (isDirectory) throw new UsageError(`${option}: ${file}: is a directory: --tar FILE::GUEST`);
}

/** The error of a WASI that cannot be made, in the words of the command line. */
function refusal({ message }) {
  const archive = /preopen "(.*)" cannot hold the archive: (.*)$/s.exec(message);
  if (archive !== null) {
    const [, guest, why] = archive;
    return new UsageError(`--tar FILE::${guest}: ${why}`);
  }
  const preopen = /^UVWASI_\w+, uvwasi_init: preopen (.*)$/s.exec(message);
  return new UsageError(preopen === null ? message : `--dir HOST::GUEST: ${preopen[1]}`);
}

function opened(path, flags, option) {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new UsageError(`${option} ${path}: ${reason(error)}`);
  }
}

/** @returns {number} where the trace goes, as a descriptor */
function openedTrace({ traceFile, program, stdin, archives }) {
  if (traceFile === undefined) return 2;
  // It would be emptied.
  for (const [path, what] of [
    [program, 'the program itself'],
    [stdin, 'its standard input'],
    ...archives.map(({ file }) => [file, 'an archive of --tar']),
  ]) {
    if (path === undefined || path === '-' || !isSameFile(path, traceFile)) continue;
    throw new UsageError(`--trace-file ${traceFile}: is ${what}: --trace-file FILE`);
  }
  return opened(traceFile, 'w', '--trace-file');
}

function isSameFile(one, other) {
  try {
    const [first, second] = [one, other].map((path) => statSync(path, { bigint: true }));
    return second.isFile() && first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

// --- The guest's imports -------------------------------------------------------------------------

/**
 * Records the guest's exit, and ends the process with it where nothing else has to be done first.
 */
function exitsAtOnce(wasiImport, exit, end) {
  const { proc_exit: unwind } = wasiImport;
  wasiImport.proc_exit = (code) => {
    exit.code = code & 0xff;
    end.now?.(exit.code);
    return unwind(code);
  };
}

function importsOf(what, wasi, wasiImport, { imports }) {
  const { PREVIEW1, UNSTABLE } = require('./cli-look.js');
  // Names that the program chose, `__proto__` among them: these objects inherit nothing.
  const own = (values) => Object.assign(Object.create(null), values);
  const object = own({ [what.version === 'unstable' ? UNSTABLE : PREVIEW1]: own(wasiImport) });
  addTraps(object, what.unknown);
  let memory;
  if (what.memory !== undefined) {
    const { memoryDescriptor } = require('./wasm-module.js');
    const { module, name, type } = imports.find(({ kind }) => kind === 'memory');
    if (type === undefined) throw new UsageError('the memory that it imports cannot be read');
    memory = new WebAssembly.Memory(memoryDescriptor(type));
    object[module] ??= own();
    object[module][name] = memory;
  }
  return { object, memory };
}

/** A program that calls no function of WASI need not have a memory. */
function withMemory(memory) {
  return memory instanceof WebAssembly.Memory ? memory : new WebAssembly.Memory({ initial: 0 });
}

function command(wasi, { exports }, memory) {
  return wasi.start({ exports: { memory: withMemory(memory), _start: exports._start } });
}

// --- One function of it --------------------------------------------------------------------------

/** @returns {{ name: string, values: unknown[] }} the arguments as its type has them */
function callOf(module, { invoke, args: [, ...texts] }, name) {
  const { index } = module.exports.find((one) => one.name === invoke && one.kind === 'function');
  const type = module.types?.[module.functions[index]];
  if (type?.parameters === undefined) {
    throw new UsageError(`the type of ${invoke} cannot be read, so --invoke cannot be used`);
  }
  const { parameters } = type;
  const form = `${name}${parameters.map((one) => ` ${one}`).join('')}`;
  if (parameters.length !== texts.length) {
    throw new UsageError(
      `${invoke} takes ${parameters.length} arguments, not ${texts.length}: --invoke ${invoke} ${form}`,
    );
  }
  if (type.results.some((one) => !/^[if](32|64)$/.test(one))) {
    throw new UsageError(`${invoke} gives ${type.results.join(', ')}, and --invoke prints numbers`);
  }
  return {
    name: invoke,
    values: texts.map((text, i) => valueOf(text, parameters[i], invoke, form)),
  };
}

function valueOf(text, type, invoke, form) {
  const isInteger = /^-?(\d+|0x[0-9a-f]+)$/i.test(text);
  if (/^i(32|64)$/.test(type) && isInteger) {
    const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
    const bits = BigInt(type.slice(1));
    if (value >= -(2n ** (bits - 1n)) && value < 2n ** bits) {
      return type === 'i32' ? Number(value) : value;
    }
  }
  const isNumber = /^[-+]?(\d+\.?\d*(e[-+]?\d+)?|\.\d+(e[-+]?\d+)?|inf(inity)?|nan)$/i.test(text);
  if (/^f(32|64)$/.test(type) && isNumber) {
    const sign = text.startsWith('-') ? -1 : 1;
    if (/inf/i.test(text)) return sign * Infinity;
    return /nan/i.test(text) ? NaN : Number(text);
  }
  throw new UsageError(`'${text}' is no ${type}: --invoke ${invoke} ${form}`);
}

/** @returns {number} the exit code */
function invoke(wasi, { exports }, memory, { name, values }, { kind }) {
  const wrapped = { memory: withMemory(memory) };
  if (kind === 'reactor' && typeof exports._initialize === 'function') {
    wasi.initialize({ exports: { ...wrapped, _initialize: exports._initialize } });
  } else {
    wasi.finalizeBindings({ exports: wrapped });
  }
  const result = exports[name](...values);
  const results = result === undefined ? [] : Array.isArray(result) ? result : [result];
  return answer(results.map((one) => `${one}\n`).join(''));
}

// --- Threads -------------------------------------------------------------------------------------

async function runThreads(wasi, bytes, watched, name, end, start) {
  const threads = require('../threads.js');
  let code;
  try {
    start();
    code = (await threads.runThreads(wasi, bytes, { maxThreads: mostThreads() }, watched)) & 0xff;
  } catch (error) {
    code = trapped(error, name);
  }
  await end(code);
}

/** @returns {SharedArrayBuffer} of the paths that the threads begin with */
function sharedPaths(preopens, sockets) {
  const { firstPaths, SharedPaths } = require('./cli-trace.js');
  const buffer = new SharedArrayBuffer(SharedPaths.SIZE);
  const paths = new SharedPaths(buffer);
  for (const [fd, path] of firstPaths(preopens, sockets)) paths.set(fd, path);
  return buffer;
}

// --- The end -------------------------------------------------------------------------------------

/** @returns {number} the exit code, when it has said what happened */
function trapped(error, name) {
  // Code of an exit that was caught on its way, which `proc_exit` gave.
  if (error?.code === 'ERR_WASI_EXIT') return error.exitCode & 0xff;
  const { oneLine } = require('./cli-look.js');
  const { Exception, LinkError, RuntimeError } = WebAssembly;
  if (error instanceof LinkError) {
    say(2, `wasi-rs: ${name} cannot be linked: ${oneLine(error.message)}\n`);
    return USAGE;
  }
  let what;
  if (error instanceof RuntimeError || error?.name === 'RuntimeError') {
    what = `trapped: ${printableLines(error.stack)}`;
  } else if (error instanceof RangeError && /stack/i.test(error.message)) {
    what = 'trapped: its stack is exhausted';
  } else if (Exception !== undefined && error instanceof Exception) {
    what = 'trapped: it threw an exception that nothing caught';
  } else if (error instanceof RangeError) {
    say(2, `wasi-rs: ${name}: there is not enough memory: ${oneLine(error.message)}\n`);
    return NO_MEMORY;
  } else {
    what = `cannot go on: ${printableLines(error?.stack ?? error)}`;
  }
  say(2, `wasi-rs: ${name} ${what}\n`);
  return TRAPPED;
}

/**
 * Whether modules that were loaded before may hold output, and whether a tool wants to see the
 * process end.
 */
function conditions() {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  return {
    isWatched:
      /--[\w-]*(inspect|prof|trace-event|coverage|snapshot|report|watch)/.test(flags) ||
      process.env.NODE_V8_COVERAGE !== undefined,
    hasOthers: /(^|\s)-r\b|--(require|import|[\w-]*loader)\b/.test(flags),
  };
}

/**
 * Ends the process when the guest has ended. Node would wait for V8, which compiles in the
 * background what will not be run any more; so `exit` handlers run, and then the process ends by
 * `_exit`. A debugger or a profiler gets the ordinary end.
 *
 * @returns {((code: number) => Promise<void>) & { now?: (code: number) => never, wasi?: object }}
 *   `now` where nothing has to be waited for; `wasi` is to be set to the guest's, whose changes are
 *   reported
 */
function ending(asked, functions, counts) {
  const { exitProcess } = require('../binding.js');
  const { isWatched, hasOthers } = conditions();
  const report = () => {
    if (asked.changes && end.wasi !== undefined) say(2, changed(end.wasi));
    if (counts !== undefined) say(2, require('./cli-trace.js').statistics(functions, counts));
  };
  const now = (code) => {
    report();
    process.exitCode = code;
    process.emit('exit', code);
    return exitProcess(process.exitCode & 0xff);
  };
  const end = async (code) => {
    if (isWatched || isInspected()) {
      report();
      process.exitCode = code;
      return;
    }
    if (hasOthers) await Promise.all([process.stdout, process.stderr].map(flushed));
    now(code);
  };
  // A debugger that is attached while the guest runs waits for its end all the same.
  if (!isWatched && !hasOthers) {
    end.now = (code) => {
      if (isInspected()) process.exit(code);
      now(code);
    };
  }
  return end;
}

/** A line for each path: A, M or D, as Git has it. */
function changed(wasi) {
  const { printable } = require('./cli-look.js');
  const LETTERS = { added: 'A', modified: 'M', removed: 'D' };
  try {
    return wasi
      .changes()
      .map(({ type, path, kind }) => {
        const slash = kind === 'directory' ? '/' : '';
        return `${LETTERS[type]} ${printable(path)}${slash}\n`;
      })
      .join('');
  } catch (error) {
    return `wasi-rs: --changes: ${error.message}\n`;
  }
}

function isInspected() {
  try {
    return require('node:inspector').url() !== undefined;
  } catch {
    return false;
  }
}

function flushed(stream) {
  if (stream.writableLength === 0) return undefined;
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('error', resolve);
    stream.once('close', resolve);
  });
}

/** @returns {Promise<() => void>} what begins the guest's time */
async function watchdog({ timeout }, name, functions, counts, sockets = []) {
  if (timeout === undefined) return () => {};
  const message = `wasi-rs: ${name} has run for its ${timeout} ms\n`;
  if (timeout === 0) {
    // Nothing runs: a thread that keeps the time would let some of it.
    return () => {
      say(2, message);
      if (counts !== undefined) say(2, require('./cli-trace.js').statistics(functions, counts));
      process.exit(TIMED_OUT);
    };
  }
  const { Worker } = require('node:worker_threads');
  const started = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(require.resolve('./cli-watchdog.js'), {
    workerData: {
      started,
      milliseconds: timeout,
      message,
      code: TIMED_OUT,
      functions,
      counts,
      sockets,
    },
    execArgv: [],
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the thread that keeps the time has ended')));
  });
  worker.unref();
  return () => {
    Atomics.store(started, 0, 1);
    Atomics.notify(started, 0);
  };
}

module.exports = { main };
