'use strict';

// A program whose standard streams are live: pipes of the operating system, which the guest reads
// and writes in its own thread, and this thread without blocking.

const { Socket } = require('node:net');
const { dropPipeEnd, openPipe, sharePipeEnd } = require('../binding.js');
const { nodeError } = require('./errors.js');
const { now } = require('./guest.js');
const { runOnce, timesOf } = require('./run.js');
const { checkedRun, checkSize } = require('./run-options.js');

const { defineProperty } = Object;
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
const STREAMS = ['stdin', 'stdout', 'stderr'];

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
    let failure;
    try {
      checked = checkedRun('spawn', options);
      if (checked.isolation === 'process') {
        checked.prepared = require('./guest-process.js').prepare(checked);
        own = processStreams(checked);
      } else {
        ends = openPipes(checked);
        for (const [name, { host }] of Object.entries(ends)) own[name] = socketOf(name, host);
      }
      if (checked.tty !== undefined) own = this.#attachTerminal(checked.tty, own);
    } catch (error) {
      failure = error;
    }
    for (const name of STREAMS) {
      const stream = own[name] ?? absent(name);
      // What is wrong with a stream is told to who reads or writes it, and ends no process.
      stream.on('error', () => {});
      defineProperty(this, name, { value: stream, enumerable: true });
    }
    const exited =
      failure === undefined ? this.#run(wasm, checked, begun) : Promise.reject(failure);
    const settled = exited.finally(() => {
      this.#isOver = true;
      for (const { guest } of Object.values(ends)) dropPipeEnd(guest);
      checked?.prepared?.process.stop();
    });
    // Who uses only the streams learns of it there.
    settled.catch((error) => {
      for (const name of STREAMS) this[name].destroy(asError(error));
    });
    defineProperty(this, 'exited', { value: settled, enumerable: true });
  }

  async #run(wasm, checked, begun) {
    const end = await runOnce(wasm, checked, this.#handle);
    const { reason, exitCode, error, truncated, files, memoryBytes, stats } = end;
    return {
      reason,
      exitCode,
      ...(error === undefined ? {} : { error }),
      truncated,
      files,
      memoryBytes,
      ...(stats === undefined ? {} : { stats }),
      ...timesOf(end, begun),
    };
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

/** This thread's end of a pipe. */
function socketOf(name, fd) {
  const isInput = name === 'stdin';
  return new Socket({ fd, readable: !isInput, writable: isInput });
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
  const { PassThrough } = require('node:stream');
  const own = new PassThrough();
  source.on('error', () => own.end());
  source.on('close', () => own.end());
  own.on('close', () => source.destroy());
  return source.pipe(own);
}

/** A stream that goes elsewhere: it has ended. */
function absent(name) {
  const { Readable, Writable } = require('node:stream');
  if (name !== 'stdin') return Readable.from([]);
  return new Writable({
    write(_chunk, _encoding, done) {
      done(nodeError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'The guest has another input'));
    },
  });
}

function asError(error) {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}

module.exports = { spawn };
