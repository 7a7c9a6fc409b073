'use strict';

// A program whose standard streams are live: pipes of the operating system, which the guest reads
// and writes in its own thread, and this thread without blocking.

const { Socket } = require('node:net');
const { dropPipeEnd, openPipe } = require('../binding.js');
const { nodeError } = require('./errors.js');
const { now } = require('./guest.js');
const { runOnce, timesOf } = require('./run.js');
const { checkedRun } = require('./run-options.js');

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
    let failure;
    try {
      checked = checkedRun('spawn', options);
      ends = openPipes(checked);
    } catch (error) {
      failure = error;
    }
    for (const name of STREAMS) {
      const stream = streamOf(name, ends[name]);
      // What is wrong with a stream is told to who reads or writes it, and ends no process.
      stream.on('error', () => {});
      defineProperty(this, name, { value: stream, enumerable: true });
    }
    if (checked?.tty !== undefined && failure === undefined) this.#attachTerminal(checked);
    const exited =
      failure === undefined ? this.#run(wasm, checked, begun) : Promise.reject(failure);
    const settled = exited.finally(() => {
      this.#isOver = true;
      for (const { guest } of Object.values(ends)) dropPipeEnd(guest);
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

  #attachTerminal(checked) {
    void checked;
  }

  /** Ends the guest, whatever it does. What it has written can still be read. */
  kill() {
    if (!this.#isOver) this.#handle.kill?.();
  }

  /**
   * Tells the guest's terminal its new size.
   *
   * @param {number} columns
   * @param {number} rows
   */
  resize(columns, rows) {
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
 * Opens the pipes that are asked for, and puts the guest's ends into its job.
 *
 * @returns {Record<string, { host: number, guest: number }>}
 */
function openPipes({ pipes, checked: { native }, tty }) {
  const ends = {};
  for (const name of STREAMS) {
    if (!pipes[name]) continue;
    const opened = openPipe(name === 'stdin');
    if (typeof opened === 'string') {
      for (const { host, guest } of Object.values(ends)) {
        require('node:fs').closeSync(host);
        dropPipeEnd(guest);
      }
      throw nodeError(Error, 'ERR_WASI_NO_PIPE', `There is no pipe for the guest: ${opened}`);
    }
    ends[name] = opened;
    native[name] = { kind: 'end', end: opened.guest, terminal: tty !== undefined };
  }
  return ends;
}

/** The end in this thread. A stream that goes elsewhere has ended. */
function streamOf(name, end) {
  const isInput = name === 'stdin';
  if (end === undefined) {
    const { Readable, Writable } = require('node:stream');
    if (!isInput) return Readable.from([]);
    return new Writable({
      write(_chunk, _encoding, done) {
        done(nodeError(Error, 'ERR_STREAM_WRITE_AFTER_END', 'The guest has another input'));
      },
    });
  }
  const socket = new Socket({ fd: end.host, readable: !isInput, writable: isInput });
  return socket;
}

function asError(error) {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}

module.exports = { spawn };
