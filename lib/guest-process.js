'use strict';

// A guest in a process of its own, as the process that started it sees it; guest-thread.js
// describes the two classes. The process is the runtime's own executable. Where V8 ends that
// process, this one survives.
//
//   descriptor of the process
//   0, 1, 4  the guest's standard streams, where they are pipes
//   2        what V8 says when it ends the process
//   3        messages, both ways
//   5...     descriptors of this process that the guest is lent

const { Buffer } = require('node:buffer');
const { spawn } = require('node:child_process');
const { delimiter, isAbsolute } = require('node:path');
const { addonPath, closeDuplicate, duplicateDescriptor } = require('../binding.js');
const { limitReached, outputFull } = require('./ends.js');
const { nothingLeft } = require('./left.js');
const { nodeError, wrongValue } = require('./errors.js');
const { encoded, Inbox } = require('./messages.js');
const { numberOf } = require('./program-numbers.js');
const { jobOf } = require('./run.js');
const { fixedPath } = require('./run-options.js');
const { starvedFor } = require('./starved.js');
const { now, setImmediate } = require('./time.js');
const SOURCE = require('./worker-source.js');
const { after, errorOf, plainError } = require('./workers.js');

/** Whether the addon finds what a process was started with. */
const HAS_PIPES = process.platform !== 'win32';
const STREAMS = { __proto__: null, stdin: 0, stdout: 1, stderr: 4 };
const FIRST_LENT = 5;
/** How many modules a process keeps for later runs. */
const MOST_MODULES = 16;
/**
 * How many milliseconds a process that is to say what its guest has left may be silent: until it
 * says that it ends the guest, and then. The guest's threads may leave it no processor for seconds,
 * and what there is may be gigabytes, which a busy machine takes long to put together.
 */
const STOP_LIMIT = 10_000;
const SILENCE_LIMIT = 60_000;
/** How many milliseconds pass at most between the end of a process and that of what it wrote. */
const DRAIN_LIMIT = 1000;
/** How much of what V8 says is kept. */
const MOST_WORDS = 16_384;
/** How long a line of these is at most that was written for people. */
const LONGEST_LINE = 1000;
const MEBIBYTE = 2 ** 20;
/** The size of V8's heap beside the guest's memory, for the guest's code and our own. */
const OWN_HEAP = 128 * MEBIBYTE;
const OUT_OF_MEMORY =
  /out of memory|\bOOM\b|heap limit|allocation fail|MemoryExhausted|failed to allocate/i;
/** Says to the package in such a process that it is one: there is no process within a process. */
const MARK = 'WASI_RS_GUEST_PROCESS';
/**
 * The variables of the environment that a runtime needs to start: paths, and lists of paths. The
 * guest sees none of them.
 */
const KEPT_PATHS = [
  'SystemRoot', 'windir', 'TEMP', 'TMP', 'TMPDIR', 'HOME', 'USERPROFILE', 'LOCALAPPDATA',
  'DENO_DIR', 'NODE_ICU_DATA',
]; // prettier-ignore
const KEPT_LISTS = ['LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'];

const { bun: isBun, deno: isDeno, electron: isElectron } = process.versions;
/**
 * The working directory in which a process starts. A runtime may load code and settings from there,
 * as Bun does by a `bunfig.toml`, and a guest that was given this process's own could have written
 * them.
 */
const START = process.platform === 'win32' ? process.env.SystemRoot : '/';

/** The first code of the process: it reads the addon's path and the package's text. */
const BOOT = `
const fs = require('node:fs'), { Buffer } = require('node:buffer');
function read(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    let count = 0;
    try { count = fs.readSync(3, bytes, at, length - at, null); }
    catch (error) { if (error.code === 'EAGAIN') continue; throw error; }
    if (count === 0) process.exit(0);
    at += count;
  }
  return bytes;
}
const own = JSON.parse(read(read(4).readUInt32LE()).toString());
globalThis[Symbol.for('wasi-rs.process')] = own;
new Function('require', 'module', 'exports', own.source)(require, { exports: {} }, {});
`;
const DENO_BOOT = `
import { createRequire } from 'node:module';
import process from 'node:process';
const require = createRequire('file:///wasi-rs.js');
${BOOT}`;

/** @throws {Error} `ERR_WASI_NO_PROCESS`: this program's executable starts nothing but itself. */
function checkProcesses() {
  let why;
  if (process.env[MARK] !== undefined) why = 'this is the process of a guest already';
  else if (globalThis.Deno?.build?.standalone) why = 'this program was made by `deno compile`';
  else if (process.pkg !== undefined) why = 'this program was made by pkg';
  else if (isSingleExecutable()) why = 'this program is a single executable application';
  if (why === undefined) return;
  const own = why.includes('already') ? '' : ', whose executable runs only itself';
  const instead = isBun || isDeno ? '' : ": use isolation: 'thread'";
  throw nodeError(
    Error,
    'ERR_WASI_NO_PROCESS',
    `There can be no process for a guest: ${why}${own}${instead}`,
  );
}

function isSingleExecutable() {
  if (isBun || isDeno) return false;
  if (process.getBuiltinModule !== undefined) {
    return process.getBuiltinModule('node:sea')?.isSea() === true;
  }
  // Node before 20.16 does not tell. There the executable's name stands in the place of the script.
  return process.execArgv.length === 0 && process.argv[1] === process.argv0;
}

/** A stream that has ended, and takes nothing. */
function noStream() {
  const { PassThrough } = require('node:stream');
  return new PassThrough().end();
}

function argumentsFor(heapBytes) {
  const size = heapBytes && `--max-old-space-size=${Math.ceil((heapBytes + OWN_HEAP) / MEBIBYTE)}`;
  if (isDeno) {
    const flags = size ? [`--v8-flags=${size}`] : [];
    return ['eval', '--quiet', '--no-config', '--no-lock', ...flags, DENO_BOOT];
  }
  return [...(size && !isBun ? [size] : []), '-e', BOOT];
}

function environment() {
  const env = { [MARK]: '1' };
  const keep = (names, absolute) => {
    for (const name of names) {
      const value = process.env[name];
      if (value !== undefined) env[name] = absolute(value);
    }
  };
  // Relative paths begin at this process's working directory.
  const absolutePath = (value) => (value === '' ? value : fixedPath(value));
  keep(KEPT_PATHS, absolutePath);
  keep(KEPT_LISTS, (value) => value.split(delimiter).map(absolutePath).join(delimiter));
  if (process.env.NODE_DEBUG_NATIVE !== undefined) {
    env.NODE_DEBUG_NATIVE = process.env.NODE_DEBUG_NATIVE;
  }
  // Executables that are a program, which become the runtime by these.
  if (isBun) env.BUN_BE_BUN = '1';
  if (isElectron) env.ELECTRON_RUN_AS_NODE = '1';
  return env;
}

/**
 * What a process has said, without the line of the package's text that Node shows above an error: it
 * is tens of thousands of characters long.
 */
function withoutOwnText(words) {
  return words
    .split('\n')
    .filter((line) => line.length <= LONGEST_LINE && !/^ *\^+$/.test(line))
    .join('\n');
}

/** A process that runs one guest at a time. */
class GuestProcess {
  #child;
  #channel;
  #inbox = new Inbox();
  #words = Buffer.alloc(0);
  /** The numbers of the modules that it has, the one that was used last at the end. */
  #modules = new Set();
  #run;
  #lastRun = 0;
  /** How often something came from it. */
  #heard = 0;
  #failure;
  #ended;
  #isStopped = false;
  #hasGone = false;
  #onExit;
  /** Which descriptors of this process it was lent. */
  #lent;

  /**
   * @param {() => void} [onExit] called when the process has ended, or is being ended
   * @param {object} [needs]
   * @param {Record<string, boolean>} [needs.pipes] the standard streams that are pipes, by name
   * @param {number[]} [needs.lent] descriptors of this process
   * @param {number} [needs.heapBytes] how much the guest may have on V8's heap, about
   */
  constructor(onExit = () => {}, needs = {}) {
    const { pipes = {}, lent = [0, 1, 2], heapBytes } = needs;
    checkProcesses();
    this.#onExit = onExit;
    this.#lent = lent.filter(isOpen);
    const pipe = (name) => (pipes[name] ? 'pipe' : 'ignore');
    const own = [pipe('stdin'), pipe('stdout'), 'pipe', 'pipe', pipe('stderr')];
    const copies = isBun || isDeno ? copiesOf(this.#lent) : [];
    let child;
    try {
      child = spawn(process.execPath, argumentsFor(heapBytes), {
        stdio: [...own, ...(copies.length > 0 ? copies : this.#lent)],
        cwd: START,
        env: environment(),
        windowsHide: true,
      });
    } finally {
      for (const copy of copies) closeDuplicate(copy);
    }
    this.#child = child;
    // A process that could not be started has no streams, or fewer, on Deno and where Node finds no
    // more descriptors. Why is on its way.
    const streamAt = (index) => {
      return child.stdio?.[index] ?? (own[index] === 'pipe' ? noStream() : undefined);
    };
    this.#channel = child.stdio?.[3];
    this.stdin = streamAt(0);
    this.stdout = streamAt(1);
    this.stderr = streamAt(4);
    this.#ended = this.#watch();
    const text = Buffer.from(JSON.stringify({ addon: addonPath(), source: SOURCE }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(text.length);
    this.#channel?.write(Buffer.concat([head, text]));
  }

  async #watch() {
    const child = this.#child;
    const closed = [this.#channel, child.stderr].map(
      (stream) => stream && new Promise((resolve) => stream.once('close', resolve)),
    );
    // The end of the process tells that a message could not be written.
    this.#channel?.on('error', () => {});
    this.#channel?.on('data', (chunk) => {
      this.#heard++;
      for (const message of this.#inbox.add(Buffer.from(chunk))) this.#take(message);
    });
    child.stderr?.on('error', () => {});
    // For good: Bun does not let go again what was held twice.
    child.stderr?.unref?.();
    child.stderr?.on('data', (chunk) => {
      this.#words = Buffer.concat([this.#words, chunk]).subarray(-MOST_WORDS);
    });
    const end = await new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', (error) => {
        this.#failure = error;
        if (child.pid === undefined) resolve({});
      });
    });
    this.#hasGone = true;
    // The output from before is on its way.
    let giveUp;
    const late = new Promise((resolve) => {
      giveUp = after(DRAIN_LIMIT, resolve);
    });
    await Promise.race([Promise.all(closed), late]);
    giveUp();
    this.#channel?.destroy();
    child.stderr?.destroy();
    this.#markStopped();
    this.#finish(this.#gone(end));
  }

  #markStopped() {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#onExit();
  }

  /** The outcome of a run whose process has ended. */
  #gone({ code, signal }) {
    const words = withoutOwnText(this.#words.toString('utf8')).trim();
    if (!this.#run?.isTaken) {
      const why = this.#failure?.message ?? `it ended with ${signal ?? code}. ${words}`.trim();
      const cause = this.#failure ?? new Error(words);
      const error = nodeError(Error, 'ERR_WASI_NO_PROCESS', `The guest has no process: ${why}`);
      Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
      return { gone: error };
    }
    if (OUT_OF_MEMORY.test(words)) {
      const gone = limitReached('memory', "The guest's process had no more memory");
      const value = new Error(words);
      Object.defineProperty(gone, 'cause', { value, configurable: true, writable: true });
      return { gone, reason: 'memory' };
    }
    const how = signal === null ? `code ${code}` : `the signal ${signal}`;
    const tail = words === '' ? '' : `: ${words.slice(-1000)}`;
    const gone = nodeError(Error, 'ERR_WASI_CRASH', `The guest's process ended with ${how}${tail}`);
    return { gone, reason: 'crash' };
  }

  #take({ run, taken, startedAt, facts, outcome, isEnding, stopped, left }) {
    if (run !== this.#lastRun || this.#run === undefined) return;
    if (isEnding) this.#run.isEnding = true;
    if (taken) this.#run.isTaken = true;
    if (startedAt !== undefined) this.#run.started = startedAt;
    if (facts !== undefined) this.#run.facts = facts;
    if (left !== undefined) this.#run.keep(left);
    if (stopped) this.#finish({ gone: new Error('The guest was stopped') });
    if (outcome !== undefined) {
      const { gone } = outcome;
      this.#finish(gone === undefined ? outcome : { gone: errorOf(gone) }, true);
    }
  }

  #finish(outcome, isOwn = false) {
    const run = this.#run;
    this.#run = undefined;
    run?.settle(outcome, isOwn);
  }

  /** The system's number of the process. */
  get id() {
    return this.#child.pid;
  }

  /** Whether it can take another job. */
  get isFree() {
    return this.#run === undefined && !this.#isStopped;
  }

  /** @param {boolean} keeps whether the process keeps this one from ending */
  hold(keeps) {
    const method = keeps ? 'ref' : 'unref';
    for (const one of [this.#child, this.#channel]) {
      try {
        one?.[method]?.();
      } catch {
        // Deno throws for a process that has closed its output, before it says that it has ended.
        // The process takes no run then, and its end comes as that of any other.
      }
    }
  }

  /**
   * Runs a guest. The process must be free.
   *
   * @param {import('./guest-job.js').Job} job
   * @param {object} [more] `name` and `maxThreads` of a program with threads
   * @returns {ProcessRun}
   */
  run(job, more = {}) {
    const { bytesOfModule } = require('./program.js');
    const { module, asText, ...rest } = job;
    const native = this.#nativeOf(job.native);
    const program = numberOf(module);
    const isKnown = this.#modules.has(program);
    const bytes = isKnown ? undefined : bytesOfModule(module);
    const forget = [];
    if (!isKnown && this.#modules.size >= MOST_MODULES) {
      const [oldest] = this.#modules;
      forget.push(oldest);
    }
    const hasRelative = native.extended?.sockets?.some(({ path }) => path && !isAbsolute(path));
    const directory = hasRelative ? process.cwd() : undefined;
    const sent = { ...rest, ...more, native, directory };
    const number = this.#lastRun + 1;
    // It throws where the embedder has transferred bytes meanwhile: nothing has changed then.
    const message = encoded({ job: sent, run: number, program, bytes, forget });
    for (const one of [...forget, program]) this.#modules.delete(one);
    this.#modules.add(program);
    this.#lastRun = number;
    const run = new ProcessRun(this, job.observers?.stats === true);
    this.#channel?.write(message);
    this.#run = run;
    // It has ended already, before it was of use.
    if (this.#hasGone && this.#isStopped) this.#finish(this.#gone({ code: 0, signal: null }));
    return run;
  }

  /** The descriptors by the numbers that they have there. */
  #nativeOf(native) {
    const own = { ...native };
    for (const name of Object.keys(STREAMS)) {
      const value = own[name];
      if (typeof value !== 'number') continue;
      const place = this.#lent.indexOf(value);
      if (place >= 0) own[name] = FIRST_LENT + place;
      else if (!isOpen(value)) own[name] = -1;
      else {
        throw wrongValue(
          `options.${name}`,
          "cannot be lent to a process that runs already, as those of a Pool do: use run(), or 'inherit'",
          value,
        );
      }
      if (own[name] === -1) {
        throw nodeError(Error, 'UVWASI_EBADF', `The option "${name}" is no open descriptor`);
      }
    }
    return own;
  }

  /**
   * Ends the process, and waits until it has ended.
   *
   * @param {boolean} [asks] whether its guest's last words are waited for
   */
  async stop(asks = false) {
    this.#markStopped();
    // Who waits for the end sees it.
    if (!this.#hasGone) this.hold(true);
    let giveUp = () => {};
    if (asks && this.#run?.isTaken) {
      this.#channel?.write(encoded({ stop: this.#lastRun }));
      giveUp = this.#killWhenSilent();
    } else {
      this.#child.kill('SIGKILL');
    }
    await this.#ended;
    giveUp();
  }

  /** @returns {() => void} gives it up */
  #killWhenSilent() {
    let giveUp;
    let isOver = false;
    const wait = () => {
      const heard = this.#heard;
      const look = () => {
        if (isOver) return;
        if (heard === this.#heard) this.#child.kill('SIGKILL');
        else wait();
      };
      // A turn later: what came while this thread was busy has not been read yet.
      giveUp = after(this.#run?.isEnding ? SILENCE_LIMIT : STOP_LIMIT, () => setImmediate(look));
    };
    wait();
    return () => {
      isOver = true;
      giveUp();
    };
  }
}

/**
 * Copies of descriptors that are not in the way. Bun and Deno put one descriptor after the other to
 * its place in the new process, over what has that number, so one with a low number would be gone
 * before its turn comes.
 */
function copiesOf(descriptors) {
  const least = FIRST_LENT + descriptors.length;
  const copies = [];
  for (const descriptor of descriptors) {
    const copy = duplicateDescriptor(descriptor, least);
    if (typeof copy === 'string') {
      for (const one of copies) closeDuplicate(one);
      const why = `the descriptor ${descriptor} cannot be lent: ${copy}`;
      throw nodeError(Error, 'ERR_WASI_NO_PROCESS', `The guest has no process: ${why}`);
    }
    copies.push(copy);
  }
  return copies;
}

function isOpen(descriptor) {
  try {
    require('node:fs').fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/** One run of a guest in a process. */
class ProcessRun {
  /** Whether the process has the job, and whether it is ending its guest. */
  isTaken = false;
  isEnding = false;
  /** When the guest started, in milliseconds of `now()`. */
  started;
  /** The last report of the process: see `facts` in guest-thread.js. */
  facts = { thread: 0, before: 0, memoryBytes: 0 };
  #process;
  #hasStats;
  #left;
  #own;
  #isOver = false;
  #endedAt;

  constructor(process, hasStats) {
    this.#process = process;
    this.#hasStats = hasStats;
    this.done = new Promise((resolve) => {
      this.settle = (outcome, isOwn) => {
        this.#isOver = true;
        this.#endedAt = now();
        if (isOwn) this.#own = outcome;
        resolve(outcome);
      };
    });
  }

  keep(left) {
    this.#left = left;
  }

  startedAt() {
    return this.started;
  }

  isOver() {
    return this.#isOver;
  }

  starved(since) {
    const { thread, before } = this.facts;
    return starvedFor(thread, before, since, this.#process.id);
  }

  /** @returns {Promise<object | undefined>} the outcome of a guest that had ended already */
  async stop() {
    await this.#process.stop(true);
    return this.#own;
  }

  left() {
    return (
      this.#left ?? {
        ...nothingLeft(),
        memoryBytes: this.facts.memoryBytes,
        endedAt: this.#endedAt ?? now(),
        stats: this.#hasStats ? {} : undefined,
      }
    );
  }

  release() {}
}

// --- One run in a process of its own -------------------------------------------------------------

/** Collects what a guest writes: it is there also when the process has ended before the guest. */
class Collector {
  #pieces = [];
  #size = 0;
  isCut = false;

  constructor(stream, cap, onFull) {
    stream.on('data', (chunk) => {
      const room = cap - this.#size;
      if (chunk.length > room) {
        if (this.isCut) return;
        this.isCut = true;
        onFull();
      }
      const piece = chunk.subarray(0, room);
      this.#size += piece.length;
      if (piece.length > 0) this.#pieces.push(piece);
    });
    stream.on('error', () => {});
    this.ended = new Promise((resolve) => {
      stream.once('close', resolve);
    });
  }

  bytes() {
    const all = Buffer.concat(this.#pieces);
    return new Uint8Array(all.buffer, all.byteOffset, all.byteLength);
  }
}

/**
 * Starts a process for one run, before there is a program.
 *
 * @param {object} checked what `checkedRun` gives
 * @returns {{ process: GuestProcess, native: object, caps: Record<string, number> }} what `start`
 *   takes as `checked.prepared`
 */
function prepare({ checked: { native }, pipes, tty, limits, outputBytes }) {
  const own = {};
  const piped = {};
  const caps = {};
  const lent = [];
  for (const [name, descriptor] of Object.entries(STREAMS)) {
    const value = native[name];
    const isShared = tty !== undefined && name === 'stderr' && pipes.stdout && pipes.stderr;
    if (isShared) continue;
    if (pipes[name] && !HAS_PIPES) {
      const why = 'on Windows none is inherited under its number';
      throw nodeError(Error, 'ERR_WASI_NO_PIPE', `There is no pipe for the guest: ${why}`);
    }
    if (pipes[name] || (value?.kind === 'collected' && HAS_PIPES)) {
      piped[name] = true;
      if (!pipes[name]) caps[name] = outputBytes;
      own[name] = { kind: 'inherited', descriptor, terminal: tty !== undefined };
      if (name === 'stdout') own[name].isShared = tty !== undefined && pipes.stderr;
    } else if (typeof value === 'number' && !lent.includes(value)) {
      lent.push(value);
    }
  }
  const needs = { pipes: piped, lent, heapBytes: limits.memoryBytes };
  return { process: new GuestProcess(undefined, needs), native: own, caps };
}

/**
 * @param {object} program its parts
 * @param {object} checked what `checkedRun` gives, and `prepared`, if there is a process already
 * @returns {object} a run
 */
function start(program, checked) {
  const { process: own, native, caps } = checked.prepared ?? prepare(checked);
  const { name, what } = program;
  const { maxThreads } = checked;
  const { isOwnThread } = checked.checked;
  const more = what.kind === 'threads' ? { name, maxThreads, isOwnThread } : {};
  let run;
  try {
    const job = jobOf(program, checked);
    run = own.run({ ...job, native: { ...job.native, ...native } }, more);
  } catch (error) {
    own.stop();
    throw error;
  }
  return new SingleRun(own, run, caps);
}

class SingleRun {
  #process;
  #run;
  #collectors = {};
  #full;
  #isFull;

  constructor(process, run, caps) {
    this.#process = process;
    this.#run = run;
    this.#isFull = new Promise((resolve) => {
      this.#full = resolve;
    });
    for (const [name, cap] of Object.entries(caps)) {
      this.#collectors[name] = new Collector(process[name], cap, () => {
        this.#full({ failure: plainError(outputFull()), phase: 'run' });
      });
    }
    this.done = this.#end();
  }

  async #end() {
    let outcome = await Promise.race([this.#run.done, this.#isFull]);
    if (!this.#run.isOver()) await this.#run.stop();
    else this.#process.stop();
    // The guest ended as it may, but what it wrote last was too much.
    await this.#drained();
    const cut = Object.values(this.#collectors).some(({ isCut }) => isCut);
    if (cut && outcome.gone === undefined) outcome = await this.#isFull;
    return outcome;
  }

  async #drained() {
    await Promise.all(Object.values(this.#collectors).map(({ ended }) => ended));
  }

  startedAt() {
    return this.#run.startedAt();
  }

  isOver() {
    return this.#run.isOver();
  }

  starved(since) {
    return this.#run.starved(since);
  }

  async stop() {
    const late = await this.#run.stop();
    await this.#drained();
    return late;
  }

  left() {
    const left = { ...this.#run.left() };
    left.truncated = { ...left.truncated };
    for (const [name, collector] of Object.entries(this.#collectors)) {
      left[name] = collector.bytes();
      left.truncated[name] = collector.isCut;
    }
    return left;
  }

  release() {
    this.#process.stop();
  }
}

module.exports = { GuestProcess, prepare, start };
