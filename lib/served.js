'use strict';

// File systems of the embedder: preopens `{ fs }`, an object of the shape of `node:fs`.
//
// A call that needs one leaves a request and ends with the outcome ASK. `serve` does what is asked,
// outside of native code and between two uses of the call frame, and leaves the answer; then the
// call is made again. So a function of the embedder may throw, which ends the guest, and make calls
// of its own, whose frame and requests are kept apart here.
//
// The functions that end in `Sync` are called here. `async-served.js` serves guests that suspend:
// between a request and its answer nothing of the call is on the stack, so it may wait.

// Read here alone, because the first read makes the board.
const { served } = require('../binding.js');
const { invalidReturn, nodeError, wrongType } = require('./errors.js');
const { INSTANCE, u32 } = require('./frame.js');
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
const NEEDED_OF_PROMISES = ['lstat', 'readdir', 'open'];
const INSTEAD = { __proto__: null, lstatSync: 'statSync', lstat: 'stat' };

/** One file system, as the guest's calls see it. */
class FileSystem {
  /**
   * For the next read or write. While one is under way, it has it: a function of the embedder may
   * make another call. Who keeps it sees what comes later.
   */
  #buffer;

  constructor(fs) {
    this.fs = fs;
  }

  /** Room for some bytes. One that was taken away is made anew. */
  room(length) {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    return buffer === undefined || buffer.length < length ? newRoom(length) : buffer;
  }

  giveBack(buffer) {
    if (buffer !== undefined && buffer.length > 0) this.#buffer = buffer;
  }

  close(file) {
    return this.fs.closeSync(file);
  }
}

/** Filled with zeros: who reads less than they say must not give the guest the process's memory. */
function newRoom(length) {
  return Buffer.alloc(length > POOLED ? length : POOLED);
}

const ignore = () => {};

const isObject = (value) =>
  (typeof value === 'object' || typeof value === 'function') && value !== null;

/**
 * Checks what is to serve a preopen.
 *
 * @param {boolean} suspends whether the guest can wait for promises
 * @returns {{ fs: object, givesPromises: boolean }} the object whose functions are called, and
 *   whether these are those of `node:fs/promises`
 */
function checkFileSystem(fs, name, suspends) {
  if (!isObject(fs)) throw wrongType(name, "an object with the functions of 'node:fs'", fs);
  if (suspends) {
    const { promises } = fs;
    if (isObject(promises)) {
      checkFunctions(promises, `${name}.promises`, NEEDED_OF_PROMISES);
      return { fs: promises, givesPromises: true };
    }
    const isSync = NEEDED.some((needed) => typeof fs[needed] === 'function');
    const isAsync = NEEDED_OF_PROMISES.some((needed) => typeof fs[needed] === 'function');
    if (isAsync && !isSync) {
      checkFunctions(fs, name, NEEDED_OF_PROMISES);
      return { fs, givesPromises: true };
    }
  }
  checkFunctions(fs, name, NEEDED);
  return { fs, givesPromises: false };
}

function checkFunctions(fs, name, functions) {
  const needed = functions.find(
    (one) => typeof fs[one] !== 'function' && typeof fs[INSTEAD[one]] !== 'function',
  );
  if (needed === undefined) return;
  // A file system of promises, without what waits for them.
  const hint =
    functions === NEEDED && (isObject(fs.promises) || typeof fs.open === 'function')
      ? ', or the option "suspend" must be true: only a guest that suspends can wait for promises'
      : '';
  throw nodeError(
    TypeError,
    'ERR_INVALID_ARG_VALUE',
    `The property '${name}' must have a function '${needed}'${hint}`,
  );
}

// --- What is asked -------------------------------------------------------------------------------

// Each function gets the file system and what is asked, calls the embedder, and returns an errno.
// It reads all of an answer before it writes to the board: what reads it may call anything. The part
// of an answer that is not on the board is the `value` of the request.

const HANDLERS = {
  __proto__: null,

  stat(system, { path }) {
    const { fs } = system;
    const name = typeof fs.lstatSync === 'function' ? 'lstatSync' : 'statSync';
    return putStat(fs[name](path, BIGINT), name);
  },

  statFile: ({ fs }, { file }) => putStat(fs.fstatSync(file, BIGINT), 'fstatSync'),

  openToRead: (system, request) => open(system, request, 'r'),
  openToWrite: (system, request) => open(system, request, 'r+'),
  openToTruncate: (system, request) => open(system, request, 'w+'),
  openToCreate: (system, request) => open(system, request, 'wx+'),

  read(system, request) {
    const { file, position, length } = request;
    request.bytes = system.room(length);
    const read = system.fs.readSync(file, request.bytes, 0, length, position);
    return putBytes(request, request.bytes, read, 'readSync');
  },

  write: ({ fs }, { file, position, length, bytes }) =>
    putCount(fs.writeSync(file, bytes, 0, length, position), length, 'writeSync'),

  setSize: ({ fs }, { file, position }) => done(fs.ftruncateSync(file, position), 'ftruncateSync'),

  setFileTimes: ({ fs }, { file, atim, mtim }) =>
    done(fs.futimesSync(file, atim, mtim), 'futimesSync'),

  sync({ fs }, { file, position }) {
    const name = position === 1 ? 'fdatasyncSync' : 'fsyncSync';
    return typeof fs[name] === 'function' ? done(fs[name](file), name) : 0;
  },

  list({ fs }, request) {
    const { path } = request;
    const names = checkedNames(fs.readdirSync(path), 'readdirSync');
    const stat = typeof fs.lstatSync === 'function' ? 'lstatSync' : 'statSync';
    request.value = [];
    for (let i = 0; i < names.length; i++) {
      let entry;
      try {
        entry = entryOf(names[i], fs[stat](within(path, names[i]), BIGINT), stat);
      } catch (error) {
        entry = entryWithout(names[i], error);
      }
      if (entry !== undefined) request.value.push(entry);
    }
    return 0;
  },

  makeDirectory: ({ fs }, { path }) => done(fs.mkdirSync(path), 'mkdirSync'),
  removeDirectory: ({ fs }, { path }) => done(fs.rmdirSync(path), 'rmdirSync'),
  unlink: ({ fs }, { path }) => done(fs.unlinkSync(path), 'unlinkSync'),
  rename: ({ fs }, { path, other }) => done(fs.renameSync(path, other), 'renameSync'),
  link: ({ fs }, { path, other }) => done(fs.linkSync(path, other), 'linkSync'),
  symlink: ({ fs }, { path, other }) => done(fs.symlinkSync(other, path), 'symlinkSync'),

  readLink: ({ fs }, request) =>
    putText(request, fs.readlinkSync(request.path, 'utf8'), 'readlinkSync'),

  setTimes({ fs }, { path, position, atim, mtim }) {
    // A link's own times, or nothing's.
    if (typeof fs.lutimesSync === 'function') {
      return done(fs.lutimesSync(path, atim, mtim), 'lutimesSync');
    }
    return position === 1 ? NOTSUP : done(fs.utimesSync(path, atim, mtim), 'utimesSync');
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

function open({ fs }, request, flags) {
  return putFile(request, fs.openSync(request.path, flags, 0o666), 'openSync');
}

// --- What is answered ----------------------------------------------------------------------------

/** Whether a value is a promise, of any realm and library. */
function isPromise(value) {
  return isObject(value) && typeof value.then === 'function';
}

/** The error for what is no answer. A promise is none where nobody can wait for it. */
function noAnswer(expected, name, value) {
  if (!isPromise(value)) return invalidReturn(expected, name, value);
  return invalidReturn(
    `${expected} (a promise is waited for with the option "suspend")`,
    name,
    value,
  );
}

/** For functions that return nothing of interest. */
function done(value, name) {
  if (isPromise(value)) throw noAnswer('no promise', name, value);
  return 0;
}

function putFile(request, file, name) {
  if (!isSafeInteger(file) || file < 0) throw noAnswer('the number of a file', name, file);
  request.opened = file;
  numbers[9] = file;
  return 0;
}

function putCount(count, most, name) {
  if (!isSafeInteger(count) || count < 0 || count > most) {
    throw noAnswer(`a number of bytes up to ${most}`, name, count);
  }
  numbers[9] = count;
  return 0;
}

function putBytes(request, buffer, count, name) {
  putCount(count, request.length, name);
  request.value = buffer;
  return 0;
}

function putText(request, text, name) {
  if (typeof text !== 'string') throw noAnswer('a string', name, text);
  request.value = text;
  return 0;
}

/** Attributes for the board. Nothing is an answer of those who throw nothing. */
function putStat(stat, name) {
  if (stat === undefined) return NOENT;
  if (typeof stat !== 'object' || stat === null) {
    throw noAnswer('attributes of a file', name, stat);
  }
  const type = typeOf(stat);
  const size = whole(stat.size);
  if (type === undefined || size === undefined) {
    throw noAnswer('attributes with a type and a size', name, stat);
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
  if (typeof value === 'bigint') return value === asUintN(64, value) ? value : undefined;
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

/** The names in a directory, without those of itself and of the one above. */
function checkedNames(names, name) {
  if (!isArray(names)) throw noAnswer('an array of names', name, names);
  const checked = [];
  for (let i = 0; i < names.length; i++) {
    const one = names[i];
    // No regular expression: at the end of a guest's stack V8 would end the process.
    if (typeof one !== 'string' || one === '' || one.includes('/') || one.includes('\0')) {
      throw invalidReturn('names without a slash', name, one);
    }
    if (one !== '.' && one !== '..') checked.push(one);
  }
  return checked;
}

function within(path, name) {
  return path === '/' ? `/${name}` : `${path}/${name}`;
}

/** A name with the type and serial number of its attributes, or nothing if it has none. */
function entryOf(name, stat, from) {
  if (!isObject(stat)) return undefined;
  if (isPromise(stat)) throw noAnswer('attributes of a file', from, stat);
  return { name, type: typeOf(stat) ?? UNKNOWN, ino: whole(stat.ino) ?? 0n };
}

/** A name whose attributes are not to be had. Nothing if it has gone meanwhile. */
function entryWithout(name, error) {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return errno === NOENT ? undefined : { name, type: UNKNOWN, ino: 0n };
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

/**
 * Calls the embedder in the middle of a call, whose frame is as it was after that.
 *
 * @param {(guest: object, request: object) => T} act no closure: most calls are short
 */
function aside(act, guest, request) {
  const saved = (frames[depth] ??= new Uint32Array(FRAME_WORDS));
  for (let i = 0; i < FRAME_WORDS; i++) saved[i] = u32[i];
  depth++;
  try {
    return act(guest, request);
  } finally {
    depth--;
    for (let i = 0; i < FRAME_WORDS; i++) u32[i] = saved[i];
  }
}

/** Reads what the call has asked that has just ended. */
function takeRequest(guest) {
  const op = numbers[0];
  const system = guest.served.systems[numbers[1]];
  if (system === undefined || ops[op] === undefined) {
    throw new Error('wasi-rs: internal fault: an unknown request');
  }
  const request = {
    system,
    op,
    ticket: numbers[17],
    path: '',
    other: '',
    file: numbers[2],
    position: numbers[3],
    length: numbers[4],
    bytes: undefined,
    atim: 0,
    mtim: 0,
    hasClosing: numbers[7] === 1,
    value: undefined,
    /** The number of the file that was opened for it. */
    opened: undefined,
    /** Whether the call was given up, and what is waited for until then. */
    isOver: false,
    asked: undefined,
  };
  if (op === SET_TIMES || op === SET_FILE_TIMES) {
    request.atim = secondsOf(longs[5]);
    request.mtim = secondsOf(longs[6]);
  }
  const { instance } = guest;
  if (op === WRITE) {
    request.bytes = system.room(request.length);
    fill(request.bytes);
  } else if (op !== READ) {
    request.path = text(instance, false);
    if (op === RENAME || op === HARD_LINK || op === SYMLINK) request.other = text(instance, true);
  }
  return request;
}

/** Does what the call has asked that has just ended. It is to be made again. */
function serve(guest) {
  const request = takeRequest(guest);
  let errno;
  try {
    errno = aside(answerNow, guest, request);
  } finally {
    if (errno === undefined) giveUp(guest, request);
  }
  leave(guest, request, errno);
  request.system.giveBack(request.bytes);
}

function answerNow(guest, request) {
  if (request.hasClosing) ask(guest, closeFiles, guest);
  const errno = ask(guest, perform, request);
  // The embedder may have grown the memory, or called what did.
  if (guest.view.length === 0) refresh(guest);
  return errno;
}

/** Gives up the call that has asked something, with the file that was opened for it. */
function giveUp({ instance }, { ticket, system, opened }) {
  u32[INSTANCE] = instance;
  numbers[17] = ticket;
  abandon();
  if (opened === undefined) return;
  try {
    const closed = system.close(opened);
    if (isPromise(closed)) Promise.resolve(closed).catch(ignore);
  } catch {
    // What has ended the call is what counts.
  }
}

/**
 * Leaves the answer to a request: an errno, or what is on the board and in `value`. The call is to
 * be made again before any other.
 */
function leave({ instance }, { op, ticket, value }, errno) {
  u32[INSTANCE] = instance;
  numbers[8] = errno;
  numbers[17] = ticket;
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

/** Closes the files that the guest has closed, all of them. Nobody could be told of an errno. */
function closeFiles(guest) {
  const { systems } = guest.served;
  const files = closing(guest.instance);
  let failure;
  for (let i = 0; i + 1 < files.length; i += 2) {
    try {
      const fs = systems[files[i]]?.fs;
      if (fs !== undefined) done(fs.closeSync(files[i + 1]), 'closeSync');
    } catch (error) {
      if (errnoOf(error) === undefined) failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

/**
 * Lets file systems of the embedder serve an instance.
 *
 * @param {({ shape: { fs: object } } | undefined)[]} systems by the preopens' places
 */
function attachServed(wasiImport, guest, systems) {
  if (guest.suspension !== undefined) {
    require('./async-served.js').attachServed(wasiImport, guest, systems);
    return;
  }
  guest.served = {
    systems: systems.map((one) => one && new FileSystem(one.shape.fs)),
    serve: () => serve(guest),
    close: () => closeFiles(guest),
    isClosed: false,
  };
  wrapClosing(wasiImport, (errno) => {
    if (guest.end === undefined) ask(guest, closeFiles, guest);
    return errno;
  });
}

/** @param {(errno: number) => number} closeAfter comes after each call that closes a descriptor */
function wrapClosing(wasiImport, closeAfter) {
  const { fd_close: closeOne, fd_renumber: renumber } = wasiImport;
  Object.assign(wasiImport, {
    fd_close(fd) {
      return arguments.length === 1 ? closeAfter(closeOne(fd)) : closeOne();
    },
    fd_renumber(fd, to) {
      return arguments.length === 2 ? closeAfter(renumber(fd, to)) : renumber();
    },
  });
}

module.exports = {
  BIGINT,
  FileSystem,
  aside,
  attachServed,
  checkFileSystem,
  checkedNames,
  closing,
  entryOf,
  entryWithout,
  errnoOf,
  giveUp,
  isPromise,
  leave,
  ops,
  putBytes,
  putCount,
  putFile,
  putStat,
  putText,
  takeRequest,
  within,
  wrapClosing,
};
