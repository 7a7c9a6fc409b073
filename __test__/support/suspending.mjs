// Guests that wait, for tests: each export makes one call, and catches all that a guest can catch.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
export const { WASI, WASIExitError } = require('../../index.js');

/** Whether this runtime can suspend a guest. */
export const hasJspi = typeof WebAssembly.Suspending === 'function';
/** The `skip` of tests that need JSPI. */
export const skip = hasJspi ? false : 'JSPI is there from Node.js 24.20 on';

/** The result of a guest's export that has caught something. */
export const CAUGHT = 9999;

/** A signal that is no `EventTarget`, as polyfills have it. */
export function foreignSignal() {
  const listeners = new Set();
  const signal = {
    aborted: false,
    reason: undefined,
    addEventListener: (_, listener) => void listeners.add(listener),
    removeEventListener: (_, listener) => void listeners.delete(listener),
  };
  const abort = (reason) => {
    Object.assign(signal, { aborted: true, reason });
    const told = [...listeners];
    listeners.clear();
    for (const listener of told) listener({ type: 'abort' });
  };
  return { signal, abort, listeners };
}

const wabt = await require('wabt')();

/** @returns {WebAssembly.Module} */
export function compile(text, features = {}) {
  const all = { exceptions: true, threads: true, bulk_memory: true, memory64: true, ...features };
  const parsed = wabt.parseWat('guest.wat', text, all);
  parsed.validate(all);
  return new WebAssembly.Module(parsed.toBinary({}).buffer);
}

const caught = (name, params) => `
  (func (export "${name}") ${params.map((type) => `(param ${type})`).join(' ')} (result i32)
    (try (result i32)
      (do (call $${name} ${params.map((_, at) => `(local.get ${at})`).join(' ')}))
      (catch_all (i32.const ${CAUGHT}))))`;

const I = 'i32';
const L = 'i64';
const CALLS = {
  fd_read: [I, I, I, I],
  fd_write: [I, I, I, I],
  fd_close: [I],
  fd_fdstat_set_flags: [I, I],
  fd_fdstat_set_rights: [I, L, L],
  fd_renumber: [I, I],
  poll_oneoff: [I, I, I, I],
  path_open: [I, I, I, I, I, L, L, I, I],
  sock_accept: [I, I, I],
  sock_recv: [I, I, I, I, I, I],
  sock_send: [I, I, I, I, I],
  sock_shutdown: [I, I],
  sched_yield: [],
};

const text = (memory, module = 'wasi_snapshot_preview1') => `(module
  ${Object.entries(CALLS)
    .map(
      ([name, params]) =>
        `(import "${module}" "${name}" (func $${name} (param ${params.join(' ')}) (result i32)))`,
    )
    .join('\n')}
  (import "${module}" "proc_exit" (func $proc_exit (param i32)))
  (import "host" "through" (func $through (result i32)))
  ${memory}
  ${Object.entries(CALLS)
    .map(([name, params]) => caught(name, params))
    .join('\n')}
  ${caught('through', [])}
  (func (export "exit") (param i32) (call $proc_exit (local.get 0)))
  (func (export "trap") unreachable)
  (func (export "five") (result i32) (i32.const 5))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  ;; Sleeps, then traps.
  (func (export "poll_and_trap") (param i32 i32 i32 i32)
    (drop (call $poll_oneoff (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    unreachable)
  ;; Waits with a word of its own in its stack, which grows down in the memory, as in C.
  (global $sp (mut i32) (i32.const 60000))
  (func (export "own") (param $tag i32) (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
    (local.set $at (global.get $sp))
    (i32.store (local.get $at) (local.get $tag))
    (drop (call $poll_oneoff (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
    (global.set $sp (i32.add (local.get $at) (i32.const 16)))
    (i32.load (local.get $at))))`;

const modules = new Map();
const moduleOf = (memory, module) => {
  const key = `${memory} ${module}`;
  if (!modules.has(key)) modules.set(key, compile(text(memory, module)));
  return modules.get(key);
};

export const IOVS = 1024;
export const RESULT = 1040;
const SUBSCRIPTIONS = 2048;
const EVENTS = 8192;
const BUFFER = 16384;
const ROOM = 32768;

/** Where a subscription has its parts, by the name of the module that the guest imports. */
const SUBSCRIPTION = {
  wasi_snapshot_preview1: { size: 48, clock: 16, timeout: 24 },
  // A clock has an identifier of 64 bits before the rest.
  wasi_unstable: { size: 56, clock: 24, timeout: 32 },
};

/**
 * A reactor with the calls of the imports.
 *
 * @param {object} [options] of its WASI
 * @param {object} [given] `through` is called by the export of that name
 */
export function guest(options = {}, given = {}) {
  const { through = () => 0, memory = '(memory (export "memory") 2 100)', imports = {} } = given;
  const wasi = new WASI({ suspend: true, stdin: 'ignore', stdout: 'ignore', ...options });
  const object = wasi.getImportObject();
  const [module] = Object.keys(object);
  const instance = new WebAssembly.Instance(moduleOf(memory, module), {
    ...object,
    host: { through: () => through(made), ...imports },
  });
  wasi.finalizeBindings({ exports: { memory: instance.exports.memory } });
  const view = () => new DataView(instance.exports.memory.buffer);
  const run = (name, ...args) => wasi.promising(instance.exports[name])(...args);
  /** Writes subscriptions: a number of milliseconds, or `{ read }` or `{ write }`. */
  const subscribe = (list) => {
    const { size, clock, timeout } = SUBSCRIPTION[module];
    list.forEach((one, at) => {
      const to = SUBSCRIPTIONS + size * at;
      for (let byte = 0; byte < size; byte += 8) view().setBigUint64(to + byte, 0n, true);
      view().setBigUint64(to, BigInt(at), true);
      if (typeof one === 'number') {
        view().setUint32(to + clock, 1, true);
        view().setBigUint64(to + timeout, BigInt(Math.round(one * 1e6)), true);
      } else {
        view().setUint8(to + 8, one.read === undefined ? 2 : 1);
        view().setUint32(to + 16, one.read ?? one.write, true);
      }
    });
    return [SUBSCRIPTIONS, EVENTS, list.length, RESULT];
  };
  const iovs = (length) => {
    view().setUint32(IOVS, BUFFER, true);
    view().setUint32(IOVS + 4, length, true);
  };
  const put = (bytes) => {
    iovs(bytes.length);
    Buffer.from(instance.exports.memory.buffer).set(Buffer.from(bytes), BUFFER);
  };
  const made = {
    wasi,
    instance,
    exports: instance.exports,
    run,
    subscribe,
    /** @returns {Promise<object[]>} the events */
    async poll(...list) {
      const errno = await run('poll_oneoff', ...subscribe(list));
      if (errno !== 0) throw new Error(`errno ${errno}`);
      return Array.from({ length: view().getUint32(RESULT, true) }, (_, at) => {
        const from = EVENTS + 32 * at;
        return {
          subscription: Number(view().getBigUint64(from, true)),
          errno: view().getUint16(from + 8, true),
          nbytes: Number(view().getBigUint64(from + 16, true)),
          hangup: (view().getUint16(from + 24, true) & 1) !== 0,
        };
      });
    },
    /** @returns {Promise<number>} the errno of a sleep */
    nap: async (ms) => run('poll_oneoff', ...subscribe([ms])),
    /** @returns {Promise<string | number>} what was read, or the errno */
    async read(fd = 0, length = ROOM) {
      iovs(length);
      const errno = await run('fd_read', fd, IOVS, 1, RESULT);
      if (errno !== 0) return errno;
      const size = view().getUint32(RESULT, true);
      return Buffer.from(instance.exports.memory.buffer, BUFFER, size).toString();
    },
    /** @returns {Promise<number>} how much was written, or minus the errno */
    async write(fd, bytes) {
      put(bytes);
      const errno = await run('fd_write', fd, IOVS, 1, RESULT);
      return errno === 0 ? view().getUint32(RESULT, true) : -errno;
    },
    /** @returns {Promise<number>} the descriptor of a connection, or minus the errno */
    async accept(fd, flags = 0) {
      const errno = await run('sock_accept', fd, flags, RESULT);
      return errno === 0 ? view().getUint32(RESULT, true) : -errno;
    },
    /** @returns {Promise<string | number>} what was received, or the errno */
    async recv(fd, length = ROOM, flags = 0) {
      iovs(length);
      const errno = await run('sock_recv', fd, IOVS, 1, flags, RESULT, RESULT + 4);
      if (errno !== 0) return errno;
      const size = view().getUint32(RESULT, true);
      return Buffer.from(instance.exports.memory.buffer, BUFFER, size).toString();
    },
    /** @returns {Promise<number>} how much was sent, or minus the errno */
    async send(fd, bytes) {
      put(bytes);
      const errno = await run('sock_send', fd, IOVS, 1, 0, RESULT);
      return errno === 0 ? view().getUint32(RESULT, true) : -errno;
    },
    /** @returns {Promise<number>} the descriptor, or minus the errno */
    async open(path, { rights = 0x1ffffffn, flags = 0, oflags = 0 } = {}) {
      Buffer.from(instance.exports.memory.buffer).set(Buffer.from(path), BUFFER);
      const args = [3, 0, BUFFER, path.length, oflags, rights, rights, flags, RESULT];
      const errno = await run('path_open', ...args);
      return errno === 0 ? view().getUint32(RESULT, true) : -errno;
    },
  };
  return made;
}

/**
 * A command.
 *
 * @param {string} body of its `_start`, with `$echo`, which copies the standard input to the output
 *   until its end, `$sleep`, which sleeps for so many milliseconds, and `$accept`, which takes a
 *   connection from descriptor 3
 */
export function command(body) {
  return compile(`(module
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func $accept
      (if (call $sock_accept (i32.const 3) (i32.const 0) (i32.const 128))
        (then (call $proc_exit (i32.const 103)))))
    (func $sleep (param $ms i32)
      (i32.store8 (i32.const 8) (i32.const 0))
      (i32.store (i32.const 16) (i32.const 1))
      (i64.store (i32.const 24) (i64.mul (i64.extend_i32_u (local.get $ms)) (i64.const 1000000)))
      (i64.store (i32.const 40) (i64.const 0))
      (if (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
        (then (call $proc_exit (i32.const 100)))))
    (func $read (result i32)
      (i32.store (i32.const 256) (i32.const 1024))
      (i32.store (i32.const 260) (i32.const 4096))
      (if (call $fd_read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 128))
        (then (call $proc_exit (i32.const 101))))
      (i32.load (i32.const 128)))
    (func $write (param $size i32)
      (i32.store (i32.const 256) (i32.const 1024))
      (i32.store (i32.const 260) (local.get $size))
      (if (call $fd_write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 128))
        (then (call $proc_exit (i32.const 102)))))
    (func $echo
      (local $size i32)
      (loop $more
        (if (local.tee $size (call $read))
          (then (call $write (local.get $size)) (br $more)))))
    (func (export "_start") ${body}))`);
}

/** @returns {Promise<number>} the exit code */
export function start(module, options, signal) {
  const wasi = new WASI({ suspend: true, stdin: 'ignore', stdout: 'ignore', ...options });
  return wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()), { signal });
}

export const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
