'use strict';

// A program whose standard streams are live: pipes of the operating system, which the guest reads
// and writes in its own thread, and this thread without blocking.

const { Socket } = require('node:net');
const { Readable, Writable } = require('node:stream');
const { dropPipeEnd, openPipe, sharePipeEnd } = require('../binding.js');
const { nodeError } = require('./errors.js');
const { runOnce, statusOf } = require('./run.js');
const { checkedRun, checkSize } = require('./run-options.js');
const { now } = require('./time.js');

const { defineProperty } = Object;
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
const STREAMS = ['stdin', 'stdout', 'stderr'];
/** For how many bytes of output there is one slot of {@link Ballast}: 64 KiB of it weigh 8 KiB. */
const BYTES_IN_SLOT = 64;

/**
 * As described in index.d.ts.
 *
 * @param {unknown} wasm
 * @param {object} [options]
 * @returns {Guest}
 */
function spawn(wasm, options = {}) {
  return new Guest(wasm, options);
}

class Guest {
  #handle = {};
  #isOver = false;
  #tty;

  constructor(wasm, options) {
    const begun = now();
    let checked;
    let ends = {};
    let own = {};
    const finishes = [];
    let failure;
    try {
      checked = checkedRun('spawn', options);
      if (checked.isolation === 'process') {
        checked.prepared = require('./guest-process.js').prepare(checked);
        own = processStreams(checked);
      } else {
        ends = openPipes(checked);
        for (const [name, { host }] of Object.entries(ends)) {
          const { stream, finish } = pipeStream(name, host, this.#handle);
          own[name] = stream;
          finishes.push(finish);
        }
      }
      if (checked.tty !== undefined) own = this.#attachTerminal(checked.tty, own);
    } catch (error) {
      failure = error;
    }
    for (const name of STREAMS) {
      const stream = own[name] ?? absent(name, failure === undefined);
      // Errors of a stream are for its reader or writer, and end no process.
      stream.on('error', () => {});
      defineProperty(this, name, { value: stream, enumerable: true });
    }
    const exited =
      failure === undefined ? this.#run(wasm, checked, begun) : Promise.reject(failure);
    const finish = () => {
      this.#isOver = true;
      for (const { guest } of Object.values(ends)) dropPipeEnd(guest);
      for (const one of finishes) one();
      checked?.prepared?.process.stop();
    };
    // Who uses only the streams learns of it there, before they end.
    exited.catch((error) => {
      for (const name of STREAMS) this[name].destroy(asError(error));
    });
    const settled = exited.finally(finish);
    settled.catch(() => {});
    defineProperty(this, 'exited', { value: settled, enumerable: true });
  }

  async #run(wasm, checked, begun) {
    return statusOf(await runOnce(wasm, checked, this.#handle), begun);
  }

  #attachTerminal(tty, { stdin, stdout, stderr }) {
    const { attachTerminal } = require('./terminal.js');
    // Where only one of the two outputs is the terminal, that one is the screen.
    const isScreen = stdout !== undefined;
    const own = attachTerminal(tty, stdin, stdout ?? stderr, () => this.kill());
    this.#tty = own;
    return isScreen
      ? { stdin: own.stdin, stdout: own.stdout }
      : { stdin: own.stdin, stderr: own.stdout };
  }

  /** Ends the guest, whatever it does. What it has written can still be read. */
  kill() {
    if (!this.#isOver) this.#handle.kill?.();
  }

  /**
   * Tells the guest's terminal its new size. The guest itself is not told: it has no signals.
   *
   * @param {number} columns
   * @param {number} rows
   */
  resize(columns, rows) {
    checkSize(columns, 'columns');
    checkSize(rows, 'rows');
    if (this.#tty === undefined) {
      throw nodeError(
        Error,
        'ERR_WASI_NO_TERMINAL',
        'The guest has no terminal: use the option "tty"',
      );
    }
    this.#tty.resize(columns, rows);
  }

  async [ASYNC_DISPOSE]() {
    this.kill();
    await this.exited.catch(() => {});
    for (const name of STREAMS) this[name].destroy();
  }
}

/**
 * Opens the pipes that are asked for, and puts the guest's ends into its job. On a terminal both
 * outputs are one pipe, so that what is written comes out in its order.
 *
 * @returns {Record<string, { host: number, guest: number }>}
 */
function openPipes({ pipes, checked: { native }, tty }) {
  const ends = {};
  const isTerminal = tty !== undefined;
  const give = (name, guest) => {
    native[name] = { kind: 'end', end: guest, terminal: isTerminal };
  };
  const fail = (reason) => {
    for (const { host, guest } of Object.values(ends)) {
      require('node:fs').closeSync(host);
      dropPipeEnd(guest);
    }
    throw nodeError(Error, 'ERR_WASI_NO_PIPE', `There is no pipe for the guest: ${reason}`);
  };
  for (const name of STREAMS) {
    if (!pipes[name]) continue;
    if (isTerminal && name === 'stderr' && ends.stdout !== undefined) {
      const shared = sharePipeEnd(ends.stdout.guest);
      if (typeof shared === 'string') fail(shared);
      give(name, shared);
      continue;
    }
    const opened = openPipe(name === 'stdin');
    if (typeof opened === 'string') fail(opened);
    ends[name] = opened;
    give(name, opened.guest);
  }
  return ends;
}

/**
 * Lets V8 collect the output that its reader is done with. The bytes of a buffer lie outside of V8's
 * heap, where V8 does not count them for its young generation until they are 32 MiB, from Node.js 24
 * on 64 MiB. What it counts is objects on its heap: so each chunk leaves one behind.
 */
class Ballast {
  #last;

  add({ length }) {
    this.#last = new Array(Math.floor(length / BYTES_IN_SLOT));
  }
}

/**
 * This thread's end of a pipe.
 *
 * @returns {{ stream: Readable | Writable, finish: () => void }} `finish`: the guest has ended
 */
function pipeStream(name, fd, handle) {
  return name === 'stdin' ? inputOf(fd) : outputOf(fd, handle);
}

function inputOf(fd) {
  const stream = new Socket({ fd, readable: false, writable: true });
  function finish() {
    // Who waits for room would wait for ever.
    if (stream.writableLength > 0) stream.destroy(brokenPipe());
    else stream.destroy();
  }
  return { stream, finish };
}

/**
 * The guest's output as a stream. When the guest has ended, the stream takes the rest out of the
 * pipe (64 KiB at most), so that a stream that nobody reads keeps no descriptor open.
 */
function outputOf(fd, handle) {
  const socket = new Socket({ fd, readable: true, writable: false });
  const ballast = new Ballast();
  let isOver = false;
  let hasEnded = false;
  const stream = new Readable({
    read() {
      socket.resume();
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => {
    ballast.add(chunk);
    if (!stream.push(chunk) && !isOver) socket.pause();
  });
  socket.on('end', () => {
    // Of a guest that could not be made, the end is an error, which is on the way.
    if (isOver || handle.hasStarted?.()) stream.push(null);
    else hasEnded = true;
  });
  socket.on('error', (error) => stream.destroy(error));
  // Nothing is read before it is asked for.
  socket.pause();
  function finish() {
    isOver = true;
    if (hasEnded) stream.push(null);
    else socket.resume();
  }
  return { stream, finish };
}

function brokenPipe() {
  const error = new Error('write EPIPE: the guest has ended');
  return Object.assign(error, { code: 'EPIPE', syscall: 'write' });
}

/** The streams of a process that was started for a guest. */
function processStreams({ prepared: { process, native } }) {
  const own = {};
  for (const name of STREAMS) {
    if (native[name] === undefined) continue;
    // Node empties the outputs of a process that has ended, so they are read into another stream.
    own[name] = name === 'stdin' ? process.stdin : throughout(process[name]);
  }
  return own;
}

function throughout(source) {
  const { Transform } = require('node:stream');
  const ballast = new Ballast();
  const own = new Transform({
    transform(chunk, _encoding, done) {
      ballast.add(chunk);
      done(null, chunk);
    },
  });
  source.on('error', () => own.end());
  source.on('close', () => own.end());
  own.on('close', () => source.destroy());
  return source.pipe(own);
}

/** A stream that goes elsewhere: it has ended, unless there is no guest at all. */
function absent(name, isOver) {
  if (name === 'stdin') {
    return new Writable({
      write(_chunk, _encoding, done) {
        done(nodeError(Error, 'ERR_WASI_NO_PIPE', 'The guest has another standard input'));
      },
    });
  }
  return isOver ? Readable.from([]) : new Readable({ read() {} });
}

function asError(error) {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}

module.exports = { spawn };
