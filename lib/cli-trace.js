'use strict';

// Calls as strace prints them, and how often each function was called. What it prints never changes
// what the guest sees: it reads the guest's memory and writes nowhere but to its file.

const { writeSync } = require('node:fs');
const { hrtime } = require('./time.js');
const { errnoName, traced } = require('./trace.js');

/** How many bytes of data are printed. */
const DATA_LIMIT = 32;
/** How many descriptors of threads have paths that are shown, and how many bytes of a path. */
const SHARED_SLOTS = 1024;
const SHARED_BYTES = 240;
const SLOT = 256;
/** How often, and for how many milliseconds each, it waits for a file that takes nothing now. */
const RETRIES = 200;
const NAP = 5;

/**
 * The result of a call in memory, by the place of the argument that points there: a number of 4 or
 * 8 bytes.
 */
const RESULTS = {
  clock_time_get: [2, 8],
  fd_pread: [4, 4],
  fd_pwrite: [4, 4],
  fd_read: [3, 4],
  fd_readdir: [4, 4],
  fd_seek: [3, 8],
  fd_tell: [1, 8],
  fd_write: [3, 4],
  path_open: [8, 4],
  path_readlink: [5, 4],
  poll_oneoff: [3, 4],
  sock_accept: [2, 4],
  sock_recv: [4, 4],
  sock_send: [4, 4],
};
/** Data that goes out, and data that came in. */
const SENT = new Set(['fd_write', 'fd_pwrite', 'sock_send']);
const RECEIVED = new Set(['fd_read', 'fd_pread', 'sock_recv']);
/** Arguments that are where a result goes. */
const PLACES = new Set([
  'nread', 'nwritten', 'newoffset', 'opened_fd', 'bufused', 'nevents', 'ro_datalen', 'ro_flags', 'so_datalen', 'fd_out',
  'stat', 'prestat', 'time', 'resolution', 'buf', 'path_out', 'argc', 'argv', 'argv_buf', 'argv_buf_size', 'environ',
  'environ_buf', 'environc', 'environ_buf_size', 'subscriptions', 'events',
]); // prettier-ignore
const DESCRIPTORS = new Set(['fd', 'old_fd', 'new_fd', 'to']);
/** A descriptor's offset that is asked for. */
const SIGNED = new Set(['offset', 'cookie']);

/**
 * Wraps the imports of a guest.
 *
 * @param {object} wasiImport is changed
 * @param {object} options
 * @param {Set<string>} [options.trace] the functions to print
 * @param {number} options.file a descriptor to print to
 * @param {Map<number, string> | SharedPaths} options.paths of the guest's descriptors
 * @param {(fd: number) => string | undefined} [options.peerName] where there are sockets
 * @param {BigInt64Array} [options.counts] two numbers for each function: calls and nanoseconds
 * @param {string[]} options.functions in the order of `counts`
 * @param {() => WebAssembly.Memory | undefined} options.memory
 * @param {string} [options.prefix] of each line
 */
function watch(wasiImport, options) {
  const { trace, file, paths, counts, functions, memory, prefix = '' } = options;
  const { peerName = () => undefined } = options;
  const bytes = () => {
    const buffer = memory()?.buffer;
    return buffer === undefined ? new Uint8Array() : new Uint8Array(buffer);
  };
  const copyOut = (offset, length) => bytes().slice(offset, offset + length);

  functions.forEach((name, index) => {
    const call = wasiImport[name];
    if (call === undefined) return;
    const prints = trace?.has(name) ?? false;
    // Descriptors are followed also where the functions that open and close them are not printed.
    const follows =
      trace !== undefined && /^(path_open|fd_close|fd_renumber|sock_accept)$/.test(name);
    if (!prints && !follows && counts === undefined) return;
    wasiImport[name] = (...args) => {
      // The arguments before the call, because it may change them in memory.
      const before =
        prints || follows ? guarded(() => argumentsOf(name, args, copyOut, paths)) : '';
      // It does not come back.
      const exits = name === 'proc_exit';
      const show = () => {
        const line = guarded(() => lineOf(name, args, errno, before, copyOut));
        print(file, `${prefix}${line ?? `${name}(...) = ${errno}`}\n`);
      };
      let errno;
      if (prints && exits) show();
      if (counts !== undefined) Atomics.add(counts, 2 * index, 1n);
      const start = counts === undefined ? 0n : hrtime.bigint();
      try {
        errno = call(...args);
        return errno;
      } finally {
        if (counts !== undefined) {
          Atomics.add(counts, 2 * index + 1, hrtime.bigint() - start);
        }
        if (prints && !exits) show();
        if (follows && errno === 0) guarded(() => follow(name, args, copyOut, paths, peerName));
      }
    };
  });
}

/** @returns {[number, string][]} the descriptors that a guest begins with */
function firstPaths(preopens, sockets) {
  return [
    [0, 'stdin'],
    [1, 'stdout'],
    [2, 'stderr'],
    ...preopens.map((name, i) => [i + 3, name]),
    ...sockets.map((socket) => [socket.fd, require('./sockets.js').endName(socket)]),
  ];
}

/**
 * Paths of descriptors that all threads of a guest see. A slot for each: a version, which is odd
 * while the slot is written, the length of the path and the path, cut where it is too long. Two
 * threads that write one slot at a time may leave a wrong path: that is what a trace then shows.
 */
class SharedPaths {
  #words;
  #bytes;

  /** @param {SharedArrayBuffer} buffer of `SharedPaths.SIZE` bytes */
  constructor(buffer) {
    this.#words = new Int32Array(buffer);
    this.#bytes = Buffer.from(buffer);
  }

  get(fd) {
    const at = this.#slot(fd);
    if (at === undefined) return undefined;
    for (let tries = 0; tries < 3; tries++) {
      const version = Atomics.load(this.#words, at / 4);
      const length = Atomics.load(this.#words, at / 4 + 1);
      const text = Buffer.from(this.#bytes.subarray(at + 8, at + 8 + length)).toString();
      if (version % 2 === 0 && Atomics.load(this.#words, at / 4) === version) {
        return length === 0 ? undefined : text;
      }
    }
    return undefined;
  }

  set(fd, path) {
    const at = this.#slot(fd);
    if (at === undefined) return;
    let bytes = Buffer.from(path);
    if (bytes.length > SHARED_BYTES) {
      bytes = Buffer.concat([bytes.subarray(0, SHARED_BYTES - 3), Buffer.from('...')]);
    }
    Atomics.or(this.#words, at / 4, 1);
    this.#bytes.set(bytes, at + 8);
    Atomics.store(this.#words, at / 4 + 1, bytes.length);
    Atomics.add(this.#words, at / 4, 1);
  }

  delete(fd) {
    this.set(fd, '');
  }

  #slot(fd) {
    return fd >= 0 && fd < SHARED_SLOTS ? fd * SLOT : undefined;
  }

  static SIZE = SHARED_SLOTS * SLOT;
}

/** Runs work of the trace, whose failure must not be the guest's. */
function guarded(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function argumentsOf(name, args, copyOut, paths) {
  const decoded = traced(name, args, copyOut);
  const parts = [];
  for (const [key, value] of Object.entries(decoded)) {
    if (PLACES.has(key)) continue;
    if (DESCRIPTORS.has(key)) parts.push(descriptor(value, paths));
    else if (SIGNED.has(key) && typeof value === 'bigint') parts.push(BigInt.asIntN(64, value));
    else if (key === 'code') parts.push(value);
    else if (key === 'iovs' || key === 'si_data' || key === 'ri_data') parts.push({ data: true });
    else if (/^(iovs|si_data|ri_data)_len$/.test(key)) continue;
    else if (Array.isArray(value)) parts.push(value.join('|') || '0');
    else
      parts.push(
        typeof value === 'string' && /path/.test(key) ? quoted(Buffer.from(value)) : value,
      );
  }
  return { parts, sent: SENT.has(name) ? gathered(args, copyOut, Infinity) : undefined };
}

function descriptor(number, paths) {
  const fd = number | 0;
  const path = paths.get(fd);
  return path === undefined ? String(fd) : `${fd}<${quoted(Buffer.from(path)).slice(1, -1)}>`;
}

function lineOf(name, args, errno, before, copyOut) {
  const { parts, sent } = before;
  const result = errno === 0 ? resultOf(name, args, copyOut) : undefined;
  const data =
    sent ?? (RECEIVED.has(name) ? gathered(args, copyOut, Number(result ?? 0)) : undefined);
  const texts = parts.flatMap((part) =>
    part?.data ? [data.text, String(data.length)] : [String(part)],
  );
  if (name === 'path_readlink' && errno === 0) {
    texts.push(quoted(copyOut(args[3] >>> 0, Number(result))));
  }
  const value =
    errno === undefined ? '?' : errno === 0 ? (result ?? 0) : `-1 ${errnoName(errno)} (${errno})`;
  return `${name}(${texts.join(', ')}) = ${value}`;
}

function resultOf(name, args, copyOut) {
  const place = RESULTS[name];
  if (place === undefined) return undefined;
  const [index, size] = place;
  const bytes = Buffer.from(copyOut(args[index] >>> 0, size));
  return size === 4 ? bytes.readUInt32LE() : bytes.readBigUInt64LE();
}

/** The first bytes of a list of buffers, and how many there are in all. */
function gathered(args, copyOut, most) {
  const [list, count] = [args[1] >>> 0, args[2] >>> 0];
  const pieces = [];
  let length = 0;
  let shown = 0;
  // As many as a call takes.
  for (let i = 0; i < Math.min(count, 1024); i++) {
    const entry = Buffer.from(copyOut(list + 8 * i, 8));
    if (entry.length < 8) break;
    const size = Math.min(entry.readUInt32LE(4), most - length);
    if (shown <= DATA_LIMIT) {
      const piece = copyOut(entry.readUInt32LE(0), Math.min(size, DATA_LIMIT + 1 - shown));
      pieces.push(piece);
      shown += piece.length;
    }
    length += size;
  }
  return { text: quoted(Buffer.concat(pieces), DATA_LIMIT), length };
}

const ESCAPES = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };

/** Bytes as a string of C. Data is cut where it is more than `most` bytes; a path is not. */
function quoted(bytes, most = Infinity) {
  const cut = bytes.length > most;
  let text = '';
  for (const byte of cut ? bytes.subarray(0, most) : bytes) {
    text +=
      ESCAPES[byte] ??
      (byte >= 32 && byte < 127
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`);
  }
  return `"${text}"${cut ? '...' : ''}`;
}

function follow(name, args, copyOut, paths, peerName) {
  switch (name) {
    case 'path_open': {
      const { path } = traced(name, args, copyOut);
      const base = paths.get(args[0] | 0) ?? '?';
      const full = path.startsWith('/') ? path : `${base.replace(/\/$/, '')}/${path}`;
      paths.set(resultOf(name, args, copyOut), full);
      break;
    }
    case 'sock_accept': {
      const fd = resultOf(name, args, copyOut);
      paths.set(fd, peerName(fd) ?? 'socket');
      break;
    }
    case 'fd_close':
      paths.delete(args[0] | 0);
      break;
    case 'fd_renumber':
      paths.set(args[1] | 0, paths.get(args[0] | 0) ?? '?');
      paths.delete(args[0] | 0);
  }
}

/** Writes all of it, waits a while for who reads slowly, and gives up where nobody does. */
function print(file, text) {
  let bytes = Buffer.from(text);
  for (let left = RETRIES; left > 0 && bytes.length > 0;) {
    try {
      bytes = bytes.subarray(writeSync(file, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      left--;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP);
    }
  }
}

/** @returns {string} a line for each function that was called, those that took longest first */
function statistics(functions, counts) {
  return functions
    .map((name, i) => ({ name, calls: counts[2 * i], ns: counts[2 * i + 1] }))
    .filter(({ calls }) => calls > 0n)
    .sort((one, other) => Number(other.ns - one.ns))
    .map(
      ({ name, calls, ns }) =>
        `${name.padEnd(24)} ${String(calls).padStart(10)} calls ${String(ns).padStart(14)} ns\n`,
    )
    .join('');
}

module.exports = { firstPaths, SharedPaths, statistics, watch };
