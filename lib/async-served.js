'use strict';

// File systems of the embedder for guests that suspend: their functions may return promises.
//
//   call -> request, outcome ASK -> the embedder's function -> a value: the answer is left at once
//                                                           -> a promise: the call is parked
//           made again with the answer <- its value is checked when the guest goes on
//
// A request is parked as a whole: what was opened for a call that is given up is closed, and a
// buffer that a promise may still write to serves nobody else. The functions are those of
// `node:fs/promises`, or those of `node:fs` that end in `Sync`.

const { invalidReturn } = require('./errors.js');
const { ask, refresh } = require('./guest.js');
const {
  BIGINT,
  FileSystem,
  aside,
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
} = require('./served.js');

const BADF = 8;
const NOTSUP = 58;
/** How many names of a directory are looked at at once. */
const LOOKS = 32;

const ignore = () => {};

/** The functions of `node:fs` for open files, by those of `node:fs/promises`. */
const SYNC_FILE = {
  __proto__: null,
  read: 'readSync',
  write: 'writeSync',
  stat: 'fstatSync',
  truncate: 'ftruncateSync',
  utimes: 'futimesSync',
  sync: 'fsyncSync',
  datasync: 'fdatasyncSync',
};
const FILE_NEEDED = ['read', 'stat', 'close'];

/** One with the functions of `node:fs` that end in `Sync`. */
class SyncShape extends FileSystem {
  givesPromises = false;

  nameOf(name) {
    return `${name}Sync`;
  }

  nameOfFiles(name) {
    return SYNC_FILE[name];
  }

  has(name) {
    return typeof this.fs[`${name}Sync`] === 'function';
  }

  call(name, ...args) {
    return this.fs[`${name}Sync`](...args);
  }

  isOpen() {
    return true;
  }

  hasOf(_, name) {
    return typeof this.fs[SYNC_FILE[name]] === 'function';
  }

  callOf(file, name, ...args) {
    return this.fs[SYNC_FILE[name]](file, ...args);
  }

  /** Puts an open file on the board. */
  putFile(request, file) {
    return putFile(request, file, 'openSync');
  }

  countOf(result) {
    return result;
  }

  canWrite() {
    return this.has('write');
  }

  /** Closes what was opened for nobody. */
  closeUnused(file) {
    return typeof file === 'number' ? this.fs.closeSync(file) : undefined;
  }
}

/** One with the functions of `node:fs/promises`, where an open file is an object. */
class PromiseShape extends FileSystem {
  givesPromises = true;
  #files = new Map();
  #last = 0;

  nameOf(name) {
    return name;
  }

  nameOfFiles(name) {
    return name;
  }

  has(name) {
    return typeof this.fs[name] === 'function';
  }

  call(name, ...args) {
    return this.fs[name](...args);
  }

  isOpen(file) {
    return this.#files.has(file);
  }

  hasOf(file, name) {
    return typeof this.#files.get(file)?.[name] === 'function';
  }

  callOf(file, name, ...args) {
    return this.#files.get(file)[name](...args);
  }

  putFile(request, file) {
    const isObject = typeof file === 'object' && file !== null;
    if (!isObject || FILE_NEEDED.some((name) => typeof file[name] !== 'function')) {
      throw invalidReturn("an open file with 'read', 'stat' and 'close'", 'open', file);
    }
    this.#files.set(++this.#last, file);
    return putFile(request, this.#last, 'open');
  }

  countOf(result, key) {
    return typeof result === 'object' && result !== null ? result[key] : result;
  }

  canWrite() {
    return true;
  }

  close(file) {
    const open = this.#files.get(file);
    this.#files.delete(file);
    return open?.close();
  }

  closeUnused(file) {
    return file?.close();
  }
}

// --- What is asked -------------------------------------------------------------------------------

const named = (name, ...args) => ({
  needs: name,
  ask: (system, request) => system.call(name, ...args.map((arg) => request[arg])),
});
const ofFile = (name, ...args) => ({
  needsOfFile: name,
  ask: (system, request) => system.callOf(request.file, name, ...args.map((arg) => request[arg])),
});
const opening = (flags) => ({
  isOpening: true,
  isWriting: flags !== 'r',
  ask: (system, { path }) => system.call('open', path, flags, 0o666),
  put: (system, request, file) => system.putFile(request, file),
});

/**
 * `needs` and `needsOfFile` are functions without which it is not supported. `ask` calls the
 * embedder, and `put` checks the answer, puts it on the board and returns an errno.
 */
const OPERATIONS = {
  __proto__: null,

  stat: {
    ask: (system, { path }) => system.call(looker(system), path, BIGINT),
    put: (system, _, stat) => putStat(stat, system.nameOf(looker(system))),
  },
  statFile: {
    needsOfFile: 'stat',
    ask: (system, { file }) => system.callOf(file, 'stat', BIGINT),
    put: (system, _, stat) => putStat(stat, system.nameOfFiles('stat')),
  },
  openToRead: opening('r'),
  openToWrite: opening('r+'),
  openToTruncate: opening('w+'),
  openToCreate: opening('wx+'),
  read: {
    needsOfFile: 'read',
    ask(system, request) {
      const { file, position, length } = request;
      request.bytes = system.room(length);
      return system.callOf(file, 'read', request.bytes, 0, length, position);
    },
    put: (system, request, result) =>
      putBytes(
        request,
        request.bytes,
        system.countOf(result, 'bytesRead'),
        system.nameOfFiles('read'),
      ),
  },
  write: {
    needsOfFile: 'write',
    ask: (system, { file, position, length, bytes }) =>
      system.callOf(file, 'write', bytes, 0, length, position),
    put: (system, { length }, result) =>
      putCount(system.countOf(result, 'bytesWritten'), length, system.nameOfFiles('write')),
  },
  setSize: ofFile('truncate', 'position'),
  setFileTimes: ofFile('utimes', 'atim', 'mtim'),
  sync: {
    ask(system, { file, position }) {
      const name = position === 1 ? 'datasync' : 'sync';
      return system.hasOf(file, name) ? system.callOf(file, name) : undefined;
    },
  },
  list: {
    ask: list,
    put(_, request, entries) {
      request.value = entries;
      return 0;
    },
  },
  makeDirectory: named('mkdir', 'path'),
  removeDirectory: named('rmdir', 'path'),
  unlink: named('unlink', 'path'),
  rename: named('rename', 'path', 'other'),
  link: named('link', 'path', 'other'),
  symlink: named('symlink', 'other', 'path'),
  readLink: {
    needs: 'readlink',
    ask: (system, { path }) => system.call('readlink', path, 'utf8'),
    put: (system, request, target) => putText(request, target, system.nameOf('readlink')),
  },
  setTimes: {
    needs: 'utimes',
    ask(system, { path, position, atim, mtim }) {
      // A link's own times, or nothing's.
      if (system.has('lutimes')) return system.call('lutimes', path, atim, mtim);
      if (position !== 1) return system.call('utimes', path, atim, mtim);
      throw Object.assign(new Error('no times of links'), { code: 'ENOTSUP' });
    },
  },
};

const BY_NUMBER = ops.map((name) => OPERATIONS[name]);

const looker = (system) => (system.has('lstat') ? 'lstat' : 'stat');

/** Goes on with a value, now or when its promise is fulfilled. */
function then(value, next) {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value);
}

function list(system, request) {
  return then(system.call('readdir', request.path), (names) =>
    look(system, request, checkedNames(names, system.nameOf('readdir')), []),
  );
}

function lookAt(system, from, path, name) {
  const failed = (error) => entryWithout(name, error);
  const entry = (stat) => entryOf(name, stat, system.nameOf(from));
  try {
    const stat = system.call(from, path, BIGINT);
    return isPromise(stat) ? Promise.resolve(stat).then(entry).catch(failed) : entry(stat);
  } catch (error) {
    return failed(error);
  }
}

/** Looks at the names of a directory that have not been looked at, some at once. */
function look(system, request, names, found) {
  const from = looker(system);
  while (found.length < names.length) {
    // Whoever waits for them has gone.
    if (request.isOver) return [];
    const entries = [];
    try {
      for (const name of names.slice(found.length, found.length + LOOKS)) {
        entries.push(lookAt(system, from, within(request.path, name), name));
      }
    } catch (error) {
      // Nobody waits for the others.
      entries.filter(isPromise).forEach((entry) => entry.catch(ignore));
      throw error;
    }
    if (entries.some(isPromise)) {
      return Promise.all(entries).then((some) => {
        found.push(...some);
        return look(system, request, names, found);
      });
    }
    found.push(...entries);
  }
  return found.filter((entry) => entry !== undefined);
}

// --- Calls ---------------------------------------------------------------------------------------

/** An answer that is waited for. */
class Asked {
  #guest;
  #request;
  #isSettled = false;
  #value;
  #failure;
  /** Neither left nor given up. */
  #isPending = true;
  /** Ends the wait. */
  wake = ignore;

  constructor(guest, request, promise) {
    this.#guest = guest;
    this.#request = request;
    Promise.resolve(promise).then(
      (value) => this.#settle(value),
      (error) => this.#settle(undefined, { error }),
    );
  }

  get isSettled() {
    return this.#isSettled;
  }

  #settle(value, failure) {
    // Once, whatever is said to be a promise.
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#value = value;
    this.#failure = failure;
    if (this.#isPending) this.wake();
    else this.#closeUnused();
  }

  /** Checks the answer, and leaves it for the call. It ends the guest if it is none. */
  leave() {
    const guest = this.#guest;
    const errno = ask(guest, () => {
      const failure = this.#failure;
      return failure === undefined ? put(this.#request, this.#value) : errnoOrThrow(failure.error);
    });
    if (guest.view.length === 0) refresh(guest);
    this.#isPending = false;
    leaveAnswer(guest, this.#request, errno);
  }

  /** The call does not go on. */
  giveUp() {
    if (!this.#isPending) return;
    this.#isPending = false;
    const guest = this.#guest;
    this.#request.isOver = true;
    giveUp(guest, this.#request);
    if (this.#isSettled) this.#closeUnused();
    // Those of requests before this one. What has ended the call is what counts.
    try {
      startClosing(guest)?.catch(ignore);
    } catch {
      // As below.
    }
  }

  #closeUnused() {
    const { op, system, opened } = this.#request;
    // What was put on the board was closed by that.
    if (opened !== undefined) return;
    if (BY_NUMBER[op].isOpening !== true || this.#failure !== undefined) return;
    try {
      const closed = system.closeUnused(this.#value);
      if (isPromise(closed)) Promise.resolve(closed).catch(ignore);
    } catch {
      // There is no guest to tell.
    }
  }
}

function errnoOrThrow(error) {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return errno;
}

/** Checks an answer and puts it on the board. */
function put(request, value) {
  const { system, op } = request;
  return BY_NUMBER[op].put?.(system, request, value) ?? 0;
}

function leaveAnswer(guest, request, errno) {
  leave(guest, request, errno);
  request.system.giveBack(request.bytes);
}

/** The errno of what cannot be asked. */
function refusal({ system, op, file }) {
  const { needs, needsOfFile, isWriting } = BY_NUMBER[op];
  if (needs !== undefined && !system.has(needs)) return NOTSUP;
  if (isWriting && !system.canWrite()) return NOTSUP;
  if (needsOfFile === undefined) return undefined;
  if (!system.isOpen(file)) return BADF;
  return system.hasOf(file, needsOfFile) ? undefined : NOTSUP;
}

/** Asks the embedder. @returns {number | Asked} an errno, with the answer on the board */
function begin(guest, request) {
  const { system, op } = request;
  try {
    const refused = refusal(request);
    if (refused !== undefined) return refused;
    const closed = request.hasClosing ? startClosing(guest) : undefined;
    const value =
      closed === undefined
        ? BY_NUMBER[op].ask(system, request)
        : closed.then(() => (request.isOver ? undefined : BY_NUMBER[op].ask(system, request)));
    if (!isPromise(value)) return put(request, value);
    request.asked = new Asked(guest, request, value);
    return request.asked;
  } catch (error) {
    return errnoOrThrow(error);
  }
}

function answerOrAsk(guest, request) {
  const answered = ask(guest, (one) => begin(guest, one), request);
  if (guest.view.length === 0) refresh(guest);
  return answered;
}

/** Does what the call has asked that has just ended. @returns {number | undefined} if it waits */
function serve(guest, native) {
  const { suspension } = guest;
  const request = takeRequest(guest);
  let answered;
  try {
    if (request.system.givesPromises) suspension.checkWaits();
    answered = aside(answerOrAsk, guest, request);
  } finally {
    // The embedder may have ended the guest, and begun to open a file all the same.
    if (answered === undefined && request.asked !== undefined) request.asked.giveUp();
    else if (answered === undefined) giveUp(guest, request);
  }
  if (answered instanceof Asked) return suspension.parkFor(native, answered);
  leaveAnswer(guest, request, answered);
  return undefined;
}

/**
 * Closes the files that the guest has closed, all of them. Of errors with the code of an errno,
 * nobody could be told.
 *
 * @returns {Promise<void> | undefined} until they are closed, if that takes time
 */
function startClosing(guest) {
  const { systems } = guest.served;
  const files = closing(guest.instance);
  const promises = [];
  let failure;
  for (let i = 0; i + 1 < files.length; i += 2) {
    try {
      const closed = systems[files[i]]?.close(files[i + 1]);
      if (isPromise(closed)) promises.push(Promise.resolve(closed).catch(errnoOrThrow));
    } catch (error) {
      if (errnoOf(error) === undefined) failure ??= { error };
    }
  }
  const all = promises.length === 0 ? undefined : Promise.all(promises).then(ignore);
  if (failure === undefined) return all;
  all?.catch(ignore);
  throw failure.error;
}

/** @param {({ shape: object } | undefined)[]} systems by the preopens' places */
function attachServed(wasiImport, guest, systems) {
  const { suspension } = guest;
  guest.served = {
    systems: systems.map((one) => {
      if (one === undefined) return undefined;
      const { fs, givesPromises } = one.shape;
      return givesPromises ? new PromiseShape(fs) : new SyncShape(fs);
    }),
    serve: (native) => serve(guest, native),
    close() {
      startClosing(guest)?.catch(ignore);
    },
    isClosed: false,
  };
  wrapClosing(wasiImport, (errno) => {
    const closed = guest.end === undefined ? ask(guest, () => startClosing(guest)) : undefined;
    return closed === undefined ? errno : suspension.after(closed, errno);
  });
}

module.exports = { attachServed };
