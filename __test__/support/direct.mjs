// The functions of a WASI called from a test, as a guest calls them.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { WASI } = createRequire(import.meta.url)('../../index.js');

const OK = 0;
const PATH = 1024;

export const READ = { rights: 1n << 1n };
export const WRITE = { rights: (1n << 1n) | (1n << 6n) };

/**
 * Calls on a WASI that has no guest. What fails returns the errno as a negative number. What calls
 * read and write in the memory lies from `base` on.
 */
export function direct(wasi, memory = new WebAssembly.Memory({ initial: 4 }), base = 0) {
  wasi.start({ exports: { memory, _start() {} } });
  const run = (steps) => {
    for (let given; ;) {
      const { done, value } = steps.next(given);
      if (done) return value;
      given = value();
    }
  };
  return guest(wasi, memory, base, wasi.wasiImport, run);
}

/** The same on a WASI with `suspend: true`: each call gives a promise, and may wait. */
export function directLater(wasi, memory = new WebAssembly.Memory({ initial: 4 }), base = 0) {
  wasi.finalizeBindings({ exports: { memory } });
  const call = new Proxy(wasi.wasiImport, {
    get: (imports, name) => wasi.promising(imports[name]),
  });
  const run = async (steps) => {
    for (let given; ;) {
      const { done, value } = steps.next(given);
      if (done) return value;
      given = await value();
    }
  };
  return guest(wasi, memory, base, call, run);
}

/**
 * @param {object} call the imports
 * @param {(steps: Generator<() => unknown>) => unknown} run makes the calls that are given to it
 */
function guest(wasi, memory, base, call, run) {
  const [RESULT, IOVECS] = [base + 64, base + 8];
  const [PATH, OTHER, DATA] = [base + 1024, base + 8192, base + 65536];
  const view = () => new DataView(memory.buffer);
  const put = (text, at) => {
    const bytes = Buffer.from(text);
    new Uint8Array(memory.buffer).set(bytes, at);
    return [at, bytes.length];
  };
  const text = (at, length) =>
    Buffer.from(memory.buffer)
      .subarray(at, at + length)
      .toString();
  const iovec = (length) => {
    view().setUint32(IOVECS, DATA, true);
    view().setUint32(IOVECS + 4, length, true);
    return [IOVECS, 1];
  };
  const all = (1n << 28n) - 1n;
  const number = (errno) => (errno === 0 ? view().getUint32(RESULT, true) : -errno);
  const read = (errno) => (errno === 0 ? text(DATA, view().getUint32(RESULT, true)) : -errno);
  const steps = {
    *stat(path, { fd = 3, follow = true } = {}) {
      const args = [fd, follow ? 1 : 0, ...put(path, PATH), RESULT];
      const errno = yield () => call.path_filestat_get(...args);
      if (errno !== 0) return -errno;
      const [dev, ino, , nlink, size, atim, mtim] = new BigUint64Array(memory.buffer, RESULT, 8);
      return { dev, ino, type: view().getUint8(RESULT + 16), nlink, size, atim, mtim };
    },
    *open(path, { fd = 3, follow = true, oflags = 0, rights = 1n << 1n, flags = 0 } = {}) {
      const args = [fd, follow ? 1 : 0, ...put(path, PATH), oflags, rights, all, flags, RESULT];
      return number(yield () => call.path_open(...args));
    },
    *close(fd) {
      return 0 - (yield () => call.fd_close(fd));
    },
    *readFd(fd, length = 1000) {
      const iovecs = iovec(length);
      return read(yield () => call.fd_read(fd, ...iovecs, RESULT));
    },
    *writeFd(fd, bytes) {
      const [, length] = put(bytes, DATA);
      const iovecs = iovec(length);
      return number(yield () => call.fd_write(fd, ...iovecs, RESULT));
    },
    *read(path, options) {
      const fd = yield* steps.open(path, options);
      if (fd < 0) return fd;
      const found = yield* steps.readFd(fd, 4000);
      yield* steps.close(fd);
      return found;
    },
    *write(path, bytes, { oflags = 1 | 8, ...options } = {}) {
      const rights = (1n << 6n) | (1n << 2n);
      const fd = yield* steps.open(path, { oflags, rights, ...options });
      if (fd < 0) return fd;
      const done = yield* steps.writeFd(fd, bytes);
      yield* steps.close(fd);
      return done;
    },
    *entries(fd, { room = 4096, from = 0n } = {}) {
      const found = [];
      for (let cookie = from, rounds = 0; rounds < 10_000; rounds++) {
        const args = [fd, DATA, room, cookie, RESULT];
        const errno = yield () => call.fd_readdir(...args);
        if (errno !== 0) return -errno;
        const used = view().getUint32(RESULT, true);
        let at = DATA;
        while (at + 24 <= DATA + used) {
          const length = view().getUint32(at + 16, true);
          if (at + 24 + length > DATA + used) break;
          cookie = view().getBigUint64(at, true);
          found.push({
            name: text(at + 24, length),
            next: cookie,
            ino: view().getBigUint64(at + 8, true),
            type: view().getUint8(at + 20),
          });
          at += 24 + length;
        }
        if (used < room) return found;
      }
      throw new Error('the listing has no end');
    },
    *list(path, { fd = 3 } = {}) {
      const dir = yield* steps.open(path, { fd, oflags: 2, rights: 1n << 14n });
      if (dir < 0) return dir;
      const found = yield* steps.entries(dir);
      yield* steps.close(dir);
      if (typeof found === 'number') return found;
      const names = found.map(({ name }) => name);
      return names
        .filter((name) => name !== '.' && name !== '..')
        .sort()
        .join(' ');
    },
    *mkdir(path, fd = 3) {
      const args = [fd, ...put(path, PATH)];
      return 0 - (yield () => call.path_create_directory(...args));
    },
    *rmdir(path, fd = 3) {
      const args = [fd, ...put(path, PATH)];
      return 0 - (yield () => call.path_remove_directory(...args));
    },
    *unlink(path, fd = 3) {
      const args = [fd, ...put(path, PATH)];
      return 0 - (yield () => call.path_unlink_file(...args));
    },
    *rename(old, to, from = 3, into = 3) {
      const args = [from, ...put(old, PATH), into, ...put(to, OTHER)];
      return 0 - (yield () => call.path_rename(...args));
    },
    *link(old, to, { from = 3, into = 3, follow = false } = {}) {
      const args = [from, follow ? 1 : 0, ...put(old, PATH), into, ...put(to, OTHER)];
      return 0 - (yield () => call.path_link(...args));
    },
    *symlink(target, path, fd = 3) {
      const args = [...put(target, OTHER), fd, ...put(path, PATH)];
      return 0 - (yield () => call.path_symlink(...args));
    },
    *readlink(path, fd = 3) {
      const args = [fd, ...put(path, PATH), DATA, 4000, RESULT];
      return read(yield () => call.path_readlink(...args));
    },
    *setTimes(path, { fd = 3, follow = true, atim = 1n, mtim = 1n, flags = 5 } = {}) {
      const args = [fd, follow ? 1 : 0, ...put(path, PATH), atim, mtim, flags];
      return 0 - (yield () => call.path_filestat_set_times(...args));
    },
  };
  const self = { wasi, memory, call };
  for (const [name, begin] of Object.entries(steps)) self[name] = (...args) => run(begin(...args));
  return self;
}

/** A WASI of these options, whose functions are called from a test. Failed calls give -errno. */
export function started(options) {
  const wasi = new WASI({ version: 'preview1', ...options });
  const memory = new WebAssembly.Memory({ initial: 2 });
  wasi.start({ exports: { memory, _start() {} } });
  const view = new DataView(memory.buffer);
  const put = (text, at = PATH) => {
    const bytes = Buffer.from(text);
    new Uint8Array(memory.buffer).set(bytes, at);
    return [at, bytes.length];
  };
  const iovec = (at, length) => {
    view.setUint32(8, at, true);
    view.setUint32(12, length, true);
    return [8, 1];
  };
  const call = wasi.wasiImport;
  return {
    wasi,
    call,
    view,
    memory,
    put,
    open(path, { dir = 3, oflags = 0, rights = 2n, inheriting = 0n, follow = 1 } = {}) {
      const errno = call.path_open(dir, follow, ...put(path), oflags, rights, inheriting, 0, 0);
      return errno === OK ? view.getUint32(0, true) : -errno;
    },
    write(fd, text) {
      const errno = call.fd_write(fd, ...iovec(...put(text, 8192)), 0);
      return errno === OK ? view.getUint32(0, true) : -errno;
    },
    read(fd, length = 100) {
      const errno = call.fd_read(fd, ...iovec(16384, length), 0);
      return errno === OK
        ? Buffer.from(memory.buffer, 16384, view.getUint32(0, true)).toString()
        : -errno;
    },
    filetype(fd) {
      assert.equal(call.fd_fdstat_get(fd, 512), OK);
      return { type: view.getUint8(512), rights: view.getBigUint64(520, true) };
    },
    poll(fd, tag) {
      new Uint8Array(memory.buffer, 4096, 48).fill(0);
      view.setUint8(4096 + 8, tag);
      view.setUint32(4096 + 16, fd, true);
      const errno = call.poll_oneoff(4096, 4200, 1, 0);
      return [errno, view.getUint32(0, true), view.getUint16(4208, true)];
    },
  };
}
