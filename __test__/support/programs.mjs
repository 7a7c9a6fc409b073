// Programs for run, spawn and Pool, made of WebAssembly text.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const wabt = await require('wabt')();

const FEATURES = { exceptions: true, threads: true, memory64: true, multi_memory: true };

/** @returns {Uint8Array} a module's bytes */
export const bytesOf = (wat) => wabt.parseWat('program.wat', wat, FEATURES).toBinary({}).buffer;

const IMPORTS = {
  read: 'fd_read (param i32 i32 i32 i32) (result i32)',
  write: 'fd_write (param i32 i32 i32 i32) (result i32)',
  close: 'fd_close (param i32) (result i32)',
  exit: 'proc_exit (param i32)',
  poll: 'poll_oneoff (param i32 i32 i32 i32) (result i32)',
  yield: 'sched_yield (result i32)',
};

/** A command: `body` is that of `_start`, with the functions above, whose names begin with `$`. */
export function command(body, { more = '', memory = '(memory (export "memory") 1)' } = {}) {
  const used = Object.entries(IMPORTS)
    .filter(
      ([name]) => `${body}${more}`.includes(`$${name} `) || `${body}${more}`.includes(`$${name})`),
    )
    .map(([name, text]) => {
      const [field, ...type] = text.split(' ');
      return `(import "wasi_snapshot_preview1" "${field}" (func $${name} ${type.join(' ')}))`;
    });
  return bytesOf(`(module ${used.join('\n')} ${memory} ${more} (func (export "_start") ${body}))`);
}

/** Writes what lies from 1024 on: as many bytes, to a descriptor. */
export const writing = (fd, length) => `
  (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const ${length}))
  (drop (call $write (i32.const ${fd}) (i32.const 0) (i32.const 1) (i32.const 8)))`;

export const printing = (fd, text, after = '') =>
  command(`${writing(fd, Buffer.byteLength(text))} ${after}`, {
    more: `(data (i32.const 1024) ${JSON.stringify(text)})`,
  });

export const HELLO = printing(1, 'hello world');
export const TRAP = command('unreachable');
export const ENDLESS = command('(loop (br 0))');
/** V8's compiler takes 5 GB for these 40 kilobytes: it keeps all locals for each loop. */
export const LONG_TO_COMPILE = command(
  `(local ${'i32 '.repeat(50_000)}) ${'(loop (br_if 0 (local.get 0)))'.repeat(8000)}`,
);
/** Grows its memory by pages, and exits with what that gave plus 100. */
export const growing = (pages, memory) =>
  command(`(call $exit (i32.add (memory.grow (i32.const ${pages})) (i32.const 100)))`, { memory });

/** Waits for ten minutes in one call. */
export const SLEEPING = command(`
  (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 600000000000))
  (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))`);

/** Writes to its standard output what it reads, until its input ends. */
export const CAT = command(
  `(local $n i32)
  (loop $l
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 65536))
    (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (local.set $n (i32.load (i32.const 8)))
    (if (i32.eqz (local.get $n)) (then return))
    (i32.store (i32.const 4) (local.get $n))
    (loop $w
      (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))))
      (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 8))))
      (br_if $w (i32.load (i32.const 4))))
    (br $l))`,
  { memory: '(memory (export "memory") 2)' },
);

/** Writes without end, 4096 bytes at a time, and exits with the errno of a write that fails. */
export const YES = command(`(local $e i32)
  (loop $l
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 4096))
    (local.set $e (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (local.get $e) (then (call $exit (local.get $e))))
    (br $l))`);

/** Starts a thread that adds 1, waits for it, and exits with 42; with 1 if there is none. */
export const THREADS = bytesOf(`(module
  (import "env" "memory" (memory 1 65536 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start")
    (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)) (then (call $exit (i32.const 1))))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 20000000000)))
    (call $exit (i32.const 42))))`);

export const rejection = (promise) =>
  promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error) => error,
  );
