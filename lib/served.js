'use strict';

// File systems of the embedder: preopens `{ fs }`, an object of the shape of `node:fs`.
//
// A call that needs one leaves a request and ends with the outcome ASK. `serve` does what is asked,
// outside of native code and between two uses of the call frame, and leaves the answer; then the
// call is made again. So a function of the embedder may throw, which ends the guest, and make calls
// of its own, whose frame and requests are kept apart here.
//
// Only the functions that end in `Sync` are called. A guest that can be suspended could wait for
// promises in the same place: between a request and its answer nothing of the call is on the stack.

const { served } = require('../binding.js');
const { invalidReturn, nodeError, wrongType } = require('./errors.js');
const { u32 } = require('./frame.js');
const { ask, refresh } = require('./guest.js');
const { ERRNOS } = require('./names.js');

const { board, ops, answer, answerBytes, answerText, answerNames, fill, text, abandon } = served;
const { closing } = served;
const { isArray } = Array;
const { isSafeInteger, isFinite } = Number;
const { asUintN } = BigInt;
const { round, trunc } = Math;

const numbers = new Float64Array(board);
const longs = new BigInt64Array(board);

/** How many words of the frame a call needs again: its arguments, and what Rust keeps. */
const FRAME_WORDS = 26;
/** The least size of the buffer that a file system's reads and writes share, in bytes. */
const POOLED = 65536;
const BIGINT = Object.freeze({ __proto__: null, bigint: true });
/** The greatest time, in nanoseconds. */
const LAST = 2n ** 64n - 1n;

const NOENT = 44;
const NOTSUP = 58;

// File types of preview1.
const [UNKNOWN, BLOCK, CHARACTER, DIRECTORY, REGULAR, SOCKET, LINK] = [0, 1, 2, 3, 4, 6, 7];

/** Errnos by Node's codes. */
const ERRNO_OF = { __proto__: null, EWOULDBLOCK: 6, EOPNOTSUPP: NOTSUP, EDEADLOCK: 16 };
for (let i = 0; i < ERRNOS.length; i++) ERRNO_OF[`E${ERRNOS[i].toUpperCase()}`] = i + 1;

/** The functions without which there is no file system, and what may stand in for one. */
const NEEDED = ['lstatSync', 'readdirSync', 'openSync', 'closeSync', 'readSync', 'fstatSync'];
const INSTEAD = { __proto__: null, lstatSync: 'statSync' };

/** One file system, as the guest's calls see it. */
class FileSystem {
  /** Shared by reads and writes, so an embedder who keeps it sees what comes later. */
  buffer = undefined;

  constructor(fs, name) {
    this.fs = fs;
    this.name = name;
  }

  /** Room for some bytes. One that was taken away is made anew. */
  room(length) {
    if (this.buffer === undefined || this.buffer.length < length) {
      this.buffer = Buffer.allocUnsafeSlow(length > POOLED ? length : POOLED);
    }
    return this.buffer;
  }
}

/** Checks what is to serve a preopen. */
function checkFileSystem(fs, name) {
  if ((typeof fs !== 'object' && typeof fs !== 'function') || fs === null) {
    throw wrongType(name, "an object with the functions of 'node:fs'", fs);
  }
  for (const needed of NEEDED) {
    if (typeof fs[needed] === 'function' || typeof fs[INSTEAD[needed]] === 'function') continue;
    throw nodeError(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The property '${name}' must have a function '${needed}'`,
    );
  }
}

// --- What is asked -------------------------------------------------------------------------------

// Each function gets the file system and what is asked, calls the embedder, and returns an errno.
// It reads all of an answer before it writes to the board: what reads it may call anything.

/** The part of an answer that is not on the board. */
let delivered;

const HANDLERS = {
  __proto__: null,

  stat(system, { path }) {
    const { fs } = system;
    const name = typeof fs.lstatSync === 'function' ? 'lstatSync' : 'statSync';
    return putStat(fs[name](path, BIGINT), name);
  },

  statFile: ({ fs }, { file }) => putStat(fs.fstatSync(file, BIGINT), 'fstatSync'),

  openToRead: (system, { path }) => open(system, path, 'r'),
  openToWrite: (system, { path }) => open(system, path, 'r+'),
  openToTruncate: (system, { path }) => open(system, path, 'w+'),
  openToCreate: (system, { path }) => open(system, path, 'wx+'),

  read(system, { file, position, length }) {
    const buffer = system.room(length);
    const read = system.fs.readSync(file, buffer, 0, length, position);
    delivered = checkedCount(read, length, 'readSync') && buffer;
    numbers[9] = read;
    return 0;
  },

  write({ fs }, { file, position, length, bytes }) {
    const written = fs.writeSync(file, bytes, 0, length, position);
    checkedCount(written, length, 'writeSync');
    numbers[9] = written;
    return 0;
  },

  setSize({ fs }, { file, position }) {
    fs.ftruncateSync(file, position);
    return 0;
  },

  setFileTimes({ fs }, { file, atim, mtim }) {
    fs.futimesSync(file, atim, mtim);
    return 0;
  },

  sync({ fs }, { file, position }) {
    const name = position === 1 ? 'fdatasyncSync' : 'fsyncSync';
    if (typeof fs[name] === 'function') fs[name](file);
    return 0;
  },

  list({ fs }, { path }) {
    const names = fs.readdirSync(path);
    if (!isArray(names)) throw invalidReturn('an array of names', 'readdirSync', names);
    return putNames(fs, path, names);
  },

  makeDirectory({ fs }, { path }) {
    fs.mkdirSync(path);
    return 0;
  },

  removeDirectory({ fs }, { path }) {
    fs.rmdirSync(path);
    return 0;
  },

  unlink({ fs }, { path }) {
    fs.unlinkSync(path);
    return 0;
  },

  rename({ fs }, { path, other }) {
    fs.renameSync(path, other);
    return 0;
  },

  link({ fs }, { path, other }) {
    fs.linkSync(path, other);
    return 0;
  },

  symlink({ fs }, { path, other }) {
    fs.symlinkSync(other, path);
    return 0;
  },

  readLink({ fs }, { path }) {
    const target = fs.readlinkSync(path, 'utf8');
    if (typeof target !== 'string') throw invalidReturn('a string', 'readlinkSync', target);
    delivered = target;
    return 0;
  },

  setTimes({ fs }, { path, position, atim, mtim }) {
    // A link's own times, or nothing's.
    if (typeof fs.lutimesSync === 'function') fs.lutimesSync(path, atim, mtim);
    else if (position === 1) return NOTSUP;
    else fs.utimesSync(path, atim, mtim);
    return 0;
  },
};

/** The functions that may be missing, by what is asked. Without one, that is not supported. */
const MAY_LACK = {
  __proto__: null,
  write: 'writeSync',
  openToWrite: 'writeSync',
  openToTruncate: 'writeSync',
  openToCreate: 'writeSync',
  setSize: 'ftruncateSync',
  setFileTimes: 'futimesSync',
  makeDirectory: 'mkdirSync',
  removeDirectory: 'rmdirSync',
  unlink: 'unlinkSync',
  rename: 'renameSync',
  link: 'linkSync',
  symlink: 'symlinkSync',
  readLink: 'readlinkSync',
  setTimes: 'utimesSync',
};

const FUNCTIONS = ops.map((name) => HANDLERS[name]);
const LACKING = ops.map((name) => MAY_LACK[name]);
const OP = { __proto__: null };
for (let i = 0; i < ops.length; i++) OP[ops[i]] = i;
const { read: READ, write: WRITE, list: LIST, readLink: READ_LINK } = OP;
const { rename: RENAME, link: HARD_LINK, symlink: SYMLINK } = OP;
const { setTimes: SET_TIMES, setFileTimes: SET_FILE_TIMES } = OP;

function open({ fs }, path, flags) {
  const file = fs.openSync(path, flags, 0o666);
  if (!isSafeInteger(file) || file < 0) {
    throw invalidReturn('the number of a file', 'openSync', file);
  }
  numbers[9] = file;
  return 0;
}

function checkedCount(count, most, name) {
  if (isSafeInteger(count) && count >= 0 && count <= most) return true;
  throw invalidReturn(`a number of bytes up to ${most}`, name, count);
}

/** Attributes for the board. Nothing is an answer of those who throw nothing. */
function putStat(stat, name) {
  if (stat === undefined) return NOENT;
  if (typeof stat !== 'object' || stat === null) {
    throw invalidReturn('attributes of a file', name, stat);
  }
  const type = typeOf(stat);
  const size = whole(stat.size);
  if (type === undefined || size === undefined) {
    throw invalidReturn('attributes with a type and a size', name, stat);
  }
  const dev = whole(stat.dev) ?? 0n;
  const ino = whole(stat.ino) ?? 0n;
  const nlink = whole(stat.nlink) ?? 1n;
  const [atim, mtim, ctim] = [timeOf(stat, 'atime'), timeOf(stat, 'mtime'), timeOf(stat, 'ctime')];
  numbers[9] = type;
  longs[10] = dev;
  longs[11] = ino;
  longs[12] = nlink;
  longs[13] = size;
  longs[14] = atim;
  longs[15] = mtim;
  longs[16] = ctim;
  return 0;
}

function typeOf(stat) {
  if (typeof stat.isFile === 'function') {
    if (stat.isFile()) return REGULAR;
    if (stat.isDirectory?.()) return DIRECTORY;
    if (stat.isSymbolicLink?.()) return LINK;
    if (stat.isCharacterDevice?.()) return CHARACTER;
    if (stat.isBlockDevice?.()) return BLOCK;
    return stat.isFIFO?.() || stat.isSocket?.() ? SOCKET : UNKNOWN;
  }
  const mode = Number(stat.mode);
  if (!isSafeInteger(mode)) return undefined;
  const types = {
    1: SOCKET,
    2: CHARACTER,
    4: DIRECTORY,
    6: BLOCK,
    8: REGULAR,
    10: LINK,
    12: SOCKET,
  };
  return types[(mode >>> 12) & 15] ?? UNKNOWN;
}

/** A whole number as a BigInt of 64 bits. */
function whole(value) {
  if (typeof value === 'bigint') return value >= 0n ? asUintN(64, value) : undefined;
  return isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
}

/** A time in nanoseconds since 1970. */
function timeOf(stat, name) {
  const exact = stat[`${name}Ns`];
  if (typeof exact === 'bigint') return clamped(exact);
  let ms = stat[`${name}Ms`];
  if (typeof ms === 'bigint') return clamped(ms * 1_000_000n);
  if (typeof ms !== 'number') ms = Number(stat[name]);
  if (!isFinite(ms)) return 0n;
  const seconds = trunc(ms / 1000);
  return clamped(BigInt(seconds) * 1_000_000_000n + BigInt(round((ms - seconds * 1000) * 1e6)));
}

function clamped(time) {
  return time < 0n ? 0n : time > LAST ? LAST : time;
}

/** Names with the types and serial numbers that `lstatSync` has for them. */
function putNames(fs, path, names) {
  const stat = typeof fs.lstatSync === 'function' ? 'lstatSync' : 'statSync';
  const base = path === '/' ? path : `${path}/`;
  const found = [];
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (typeof name !== 'string' || !/^[^/\0]+$/.test(name)) {
      throw invalidReturn('names without a slash', 'readdirSync', name);
    }
    if (name === '.' || name === '..') continue;
    let type = UNKNOWN;
    let ino = 0n;
    try {
      const entry = fs[stat](base + name, BIGINT);
      if (typeof entry !== 'object' || entry === null) continue;
      type = typeOf(entry) ?? UNKNOWN;
      ino = whole(entry.ino) ?? 0n;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      // It has gone meanwhile.
      if (errno === NOENT) continue;
    }
    found.push({ name, type, ino });
  }
  delivered = found;
  return 0;
}

// --- Calls ---------------------------------------------------------------------------------------

/** The errno that an error of a file system has. Others are none, nor is a wrong argument. */
function errnoOf(error) {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code } = error;
  return typeof code === 'string' ? ERRNO_OF[code] : undefined;
}

/** Copies of frames by the depth of calls that wait for the embedder, one within another. */
const frames = [];
let depth = 0;

/** Does what the call has asked that has just ended. It is to be made again. */
function serve(guest) {
  const op = numbers[0];
  const system = guest.served?.systems[numbers[1]];
  if (system === undefined || FUNCTIONS[op] === undefined) {
    throw new Error('wasi-rs: a request of nobody');
  }
  const file = numbers[2];
  const position = numbers[3];
  const length = numbers[4];
  const hasClosing = numbers[7] === 1;
  const request = {
    system,
    op,
    path: '',
    other: '',
    file,
    position,
    length,
    bytes: undefined,
    atim: 0,
    mtim: 0,
  };
  if (op === SET_TIMES || op === SET_FILE_TIMES) {
    request.atim = secondsOf(longs[5]);
    request.mtim = secondsOf(longs[6]);
  }
  const { instance } = guest;
  if (op === WRITE) {
    request.bytes = system.room(length);
    fill(request.bytes);
  } else if (op !== READ) {
    request.path = text(instance, false);
    if (op === RENAME || op === HARD_LINK || op === SYMLINK) request.other = text(instance, true);
  }

  const saved = (frames[depth] ??= new Uint32Array(FRAME_WORDS));
  for (let i = 0; i < FRAME_WORDS; i++) saved[i] = u32[i];
  depth++;
  let errno;
  let isAnswered = false;
  try {
    if (hasClosing) ask(guest, closeFiles, guest);
    errno = ask(guest, perform, request);
    // The embedder may have grown the memory, or called what did.
    if (guest.view.length === 0) refresh(guest);
    isAnswered = true;
  } finally {
    depth--;
    for (let i = 0; i < FRAME_WORDS; i++) u32[i] = saved[i];
    if (!isAnswered) abandon();
  }
  const value = delivered;
  delivered = undefined;
  numbers[8] = errno;
  if (errno !== 0) answer();
  else if (op === READ) answerBytes(value);
  else if (op === READ_LINK) answerText(instance, value);
  else if (op === LIST) {
    answerNames(
      instance,
      value.map(({ name }) => `${name}/`).join(''),
      Uint8Array.from(value, ({ type }) => type),
      BigUint64Array.from(value, ({ ino }) => ino),
    );
  } else answer();
}

function perform(request) {
  const { system, op } = request;
  delivered = undefined;
  const lacking = LACKING[op];
  try {
    if (lacking !== undefined && typeof system.fs[lacking] !== 'function') return NOTSUP;
    return FUNCTIONS[op](system, request);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno;
  }
}

/** As Node's functions take a time. */
function secondsOf(ns) {
  return Number(asUintN(64, ns)) / 1e9;
}

/** Closes the files that the guest has closed. Nobody could be told of an error. */
function closeFiles(guest) {
  const { systems } = guest.served;
  const files = closing(guest.instance);
  for (let i = 0; i + 1 < files.length; i += 2) {
    try {
      systems[files[i]]?.fs.closeSync(files[i + 1]);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }
}

/**
 * Lets file systems of the embedder serve an instance.
 *
 * @param {(object | undefined)[]} systems by the preopens' places
 */
function attachServed(wasiImport, guest, systems) {
  guest.served = {
    systems: systems.map((one) => one && new FileSystem(one.fs, one.name)),
    serve: () => serve(guest),
    close: () => closeFiles(guest),
  };
  const { fd_close: closeOne, fd_renumber: renumber } = wasiImport;
  const closeAfter = (errno) => {
    if (guest.end === undefined) ask(guest, closeFiles, guest);
    return errno;
  };
  Object.assign(wasiImport, {
    fd_close(fd) {
      return arguments.length === 1 ? closeAfter(closeOne(fd)) : closeOne();
    },
    fd_renumber(fd, to) {
      return arguments.length === 2 ? closeAfter(renumber(fd, to)) : renumber();
    },
  });
}

module.exports = { attachServed, checkFileSystem };
