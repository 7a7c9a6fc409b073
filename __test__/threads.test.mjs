// wasi-threads: guests that start threads, all of which share one table of descriptors.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync, openSync, closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const { runThreads } = require('../threads.js');
const wabt = await require('wabt')();
const root = fileURLToPath(new URL('..', import.meta.url));
/** There a Worker that computes is not ended. */
const otherRuntime = process.versions.bun !== undefined || process.versions.deno !== undefined;

// The common part of the guests below. 100: a descriptor, 200: a word that threads wait for, 300:
// data.
const PRELUDE = `
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 1 4 shared))
  (data (i32.const 16) "data.txt")
  (func $open
    (i32.store (i32.const 0) (i32.const 300)) (i32.store (i32.const 4) (i32.const 4))
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 0)
          (i64.const 0x26) (i64.const 0) (i32.const 0) (i32.const 100)) (then (unreachable))))
  (func $wait (drop (memory.atomic.wait32 (i32.const 200) (i32.const 0) (i64.const -1))))
  (func $wake (i32.atomic.store (i32.const 200) (i32.const 1)) (drop (memory.atomic.notify (i32.const 200) (i32.const 9))))`;

function guest(body) {
  const features = { threads: true, exceptions: true };
  const module = wabt.parseWat('guest.wat', `(module ${PRELUDE} ${body})`, features);
  return module.toBinary({}).buffer;
}

function run(body, options = {}) {
  const { threads, ...rest } = options;
  const wasi = new WASI({ version: 'preview1', ...rest });
  return runThreads(wasi, guest(body), threads).finally(() => wasi.close());
}

let dir;
test.before(() => {
  dir = mkdtempSync(join(tmpdir(), 'wasi-rs-threads-'));
  writeFileSync(join(dir, 'data.txt'), 'abcdefgh');
});
test.after(() => rmSync(dir, { recursive: true }));

test('a file opened in one thread is read in another, where it stands, and args are shared', async () => {
  const exitCode = await run(
    `(func (export "_start")
       (call $open)
       (drop (call $fd_read (i32.load (i32.const 100)) (i32.const 0) (i32.const 1) (i32.const 400)))
       (if (i32.ne (i32.load (i32.const 300)) (i32.const 0x64636261)) (then (unreachable)))
       (if (i32.le_s (call $spawn (i32.const 7)) (i32.const 0)) (then (unreachable)))
       (call $wait)
       (drop (call $fd_tell (i32.load (i32.const 100)) (i32.const 408)))
       (if (i64.ne (i64.load (i32.const 408)) (i64.const 8)) (then (unreachable)))
       (call $proc_exit (i32.add (i32.load (i32.const 500)) (i32.load (i32.const 504)))))
     (func (export "wasi_thread_start") (param $id i32) (param $argument i32)
       (drop (call $fd_read (i32.load (i32.const 100)) (i32.const 0) (i32.const 1) (i32.const 400)))
       (if (i32.ne (i32.load (i32.const 300)) (i32.const 0x68676665)) (then (unreachable)))
       (drop (call $args_sizes_get (i32.const 500) (i32.const 508)))
       (i32.store (i32.const 504) (local.get $argument))
       (call $wake))`,
    { preopens: { '/': dir }, args: ['a', 'b', 'c'] },
  );
  assert.equal(exitCode, 3 + 7);
});

test('_start that returns ends the threads that still run, with code 0', async () => {
  const exitCode = await run(
    `(func (export "_start") (drop (call $spawn (i32.const 0))))
     (func (export "wasi_thread_start") (param i32 i32) (loop $ever (br $ever)))`,
  );
  assert.equal(exitCode, 0);
});

test('proc_exit in one thread ends all, also one that waits and one that loops', async () => {
  const exitCode = await run(
    `(func (export "_start") (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1))) (call $wait))
     (func (export "wasi_thread_start") (param $id i32) (param $argument i32)
       (if (local.get $argument) (then (call $proc_exit (i32.const 5))))
       (loop $ever (br $ever)))`,
  );
  assert.equal(exitCode, 5);
});

test('a trap in one thread ends all and rejects with its error', async () => {
  const running = run(
    `(func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait))
     (func (export "wasi_thread_start") (param i32 i32) (unreachable))`,
  );
  await assert.rejects(
    running,
    (error) => error instanceof WebAssembly.RuntimeError && /unreachable/i.test(error.message),
  );
});

test('there are no more threads at a time than asked for', async () => {
  const exitCode = await run(
    `(func (export "_start")
       (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0)))
       (call $proc_exit (i32.sub (i32.const 0) (call $spawn (i32.const 0)))))
     (func (export "wasi_thread_start") (param i32 i32) (call $wait))`,
    { threads: { maxThreads: 2 } },
  );
  assert.equal(exitCode, 6);
});

test('threads that have ended make room for others', async () => {
  const exitCode = await run(
    `(global $left (mut i32) (i32.const 20))
     (func (export "_start")
       (loop $next
         (i32.atomic.store (i32.const 200) (i32.const 0))
         (block $started
           (loop $again
             (br_if $started (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)))
             (drop (memory.atomic.wait32 (i32.const 600) (i32.const 0) (i64.const 1000000)))
             (br $again)))
         (call $wait)
         (global.set $left (i32.sub (global.get $left) (i32.const 1)))
         (br_if $next (global.get $left)))
       (call $proc_exit (i32.const 9)))
     (func (export "wasi_thread_start") (param i32 i32) (call $wake))`,
    { threads: { maxThreads: 1 } },
  );
  assert.equal(exitCode, 9);
});

test('a thread that waits for its input does not keep the others waiting', async (t) => {
  const fifo = join(dir, 'fifo');
  if (spawnSync('mkfifo', [fifo]).status !== 0) return t.skip('no mkfifo here');
  const stdin = openSync(fifo, 'r+');
  try {
    const exitCode = await run(
      `(func (export "_start")
         (drop (call $spawn (i32.const 0))) (call $wait)
         (call $open)
         (drop (call $fd_read (i32.load (i32.const 100)) (i32.const 0) (i32.const 1) (i32.const 400)))
         (call $proc_exit (i32.load (i32.const 400))))
       (func (export "wasi_thread_start") (param i32 i32)
         (i32.store (i32.const 40) (i32.const 320)) (i32.store (i32.const 44) (i32.const 4))
         (call $wake)
         (drop (call $fd_read (i32.const 0) (i32.const 40) (i32.const 1) (i32.const 48))))`,
      { stdin, preopens: { '/': dir } },
    );
    assert.equal(exitCode, 4);
  } finally {
    closeSync(stdin);
  }
});

test('what was not built for threads is refused', async () => {
  const wasi = new WASI({ version: 'preview1' });
  const plain = wabt
    .parseWat('plain.wat', '(module (memory (export "memory") 1) (func (export "_start")))')
    .toBinary({}).buffer;
  const bytes = guest('(func (export "_start"))');
  const compiled = new WebAssembly.Module(bytes);
  const own = new WASI({ version: 'preview1', stdout: () => {} });
  const unshared = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const value = 'ERR_INVALID_ARG_VALUE';
  const type = 'ERR_INVALID_ARG_TYPE';
  for (const [call, code, message = /./] of [
    [() => runThreads(wasi, plain), value, /imports no shared memory/],
    [() => runThreads(wasi, compiled), value, /needs the option "memory"/],
    [() => runThreads(own, bytes), value, /belong to one thread/],
    [() => runThreads({}, bytes), type, /"wasi" argument/],
    [() => runThreads(new (class WASI {})(), bytes), type, /another package or copy/],
    [() => runThreads(wasi, 'guest.wasm'), type, /"wasm" argument/],
    [() => runThreads(wasi, undefined), type, /"wasm" argument/],
    [() => runThreads(wasi, bytes, { memory: {} }), type, /options.memory/],
    [() => runThreads(wasi, bytes, { memory: null }), type, /options.memory/],
    [() => runThreads(wasi, bytes, { memory: unshared }), value, /options.memory' must be shared/],
    [() => runThreads(wasi, bytes, { maxThreads: '2' }), type, /options.maxThreads/],
  ]) {
    await assert.rejects(call(), { name: 'TypeError', code, message });
  }
  for (const maxThreads of [-1, 1.5, NaN]) {
    const error = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    await assert.rejects(runThreads(wasi, plain, { maxThreads }), error);
  }
});

// As Jest's `resetModules` does before each test: what is loaded then is of another copy.
test('all of it is of the copy that was loaded with it', () => {
  const bytes = Buffer.from(guest('(func (export "_start") (call $proc_exit (i32.const 5)))'));
  const script = `
    const { WASI } = require('./index.js');
    const { runThreads } = require('./threads.js');
    for (const name of Object.keys(require.cache)) delete require.cache[name];
    const wasm = Buffer.from('${bytes.toString('hex')}', 'hex');
    runThreads(new WASI({ version: 'preview1' }), wasm).then(console.log);`;
  const options = { cwd: root, encoding: 'utf8' };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], options);
  assert.deepEqual([stdout, stderr], ['5\n', '']);
});

test('a module and a memory may be of another realm', { skip: otherRuntime }, async () => {
  const bytes = guest('(func (export "_start") (call $proc_exit (i32.const 5)))');
  const module = runInNewContext('new WebAssembly.Module(bytes)', { bytes });
  const memory = runInNewContext(
    'new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true })',
  );
  const wasi = new WASI({ version: 'preview1' });
  assert.equal(await runThreads(wasi, module, { memory }), 5);
  wasi.close();
});

test('an exit in the start section of a thread gives its code, and no thread catches its end', async () => {
  const start = (body) =>
    `(func $s ${body}) (start $s) (func (export "wasi_thread_start") (param i32 i32))`;
  assert.equal(
    await run(`(func (export "_start")) ${start('(call $proc_exit (i32.const 4))')}`),
    4,
  );
  // The flag lies in the memory that the threads share: the second instance exits.
  assert.equal(
    await run(
      `(func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait)) ${start(
        '(if (i32.atomic.rmw.add (i32.const 700) (i32.const 1)) (then (call $proc_exit (i32.const 5))))',
      )}`,
    ),
    5,
  );
  assert.equal(
    await run(
      `(func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait))
       (func (export "wasi_thread_start") (param i32 i32)
         (try (do (call $proc_exit (i32.const 9))) (catch_all))
         (i32.store (i32.const 700) (call $spawn (i32.const 0)))
         (unreachable))`,
    ),
    9,
  );
});

test('a trap in the start section of a thread is a trap', async () => {
  await assert.rejects(
    run(
      `(func $s (if (i32.atomic.rmw.add (i32.const 700) (i32.const 1)) (then (unreachable)))) (start $s)
       (func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait))
       (func (export "wasi_thread_start") (param i32 i32))`,
    ),
    WebAssembly.RuntimeError,
  );
});

/** Runs a guest in a process of its own, where `Worker` is another class. */
function runApart(body, replacement, { env, options = '{}', more = '' } = {}) {
  const script = `
    const threads = require('node:worker_threads');
    const Before = threads.Worker;
    const made = [];
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    let turns = 0;
    ${replacement}
    const { WASI } = require('./index.js');
    const { runThreads } = require('./threads.js');
    (async () => {
      const wasi = new WASI({ version: 'preview1' });
      const wasm = Buffer.from('${Buffer.from(guest(body)).toString('hex')}', 'hex');
      const seen = await runThreads(wasi, wasm, ${options}).catch((error) => 'rejected: ' + error.message);
      ${more}
      console.log(JSON.stringify({ seen, made }));
      process.exit();
    })();`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...env },
  });
  assert.equal(status, 0, stderr);
  return { ...JSON.parse(stdout), stderr };
}

test('a thread that cannot be started is `again` to the guest, and makes room', () => {
  const body = `
    (func (export "_start") (local $n i32) (local $id i32)
      (loop $next
        (local.set $id (call $spawn (i32.const 0)))
        (if (i32.ne (local.get $id) (i32.const -6)) (then (call $proc_exit (i32.sub (i32.const 0) (local.get $id)))))
        ;; A Worker that has failed makes room when it has ended.
        (drop (memory.atomic.wait32 (i32.const 600) (i32.const 0) (i64.const 300000000)))
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))
      (call $proc_exit (i32.const 77)))
    (func (export "wasi_thread_start") (param i32 i32))`;
  for (const fails of [
    "throw Object.assign(new Error('no more threads'), { code: 'ERR_WORKER_INIT_FAILED' })",
    "super('throw new Error(1)', { eval: true })",
    "super('process.exit()', { eval: true })",
  ]) {
    const { seen, made } = runApart(
      body,
      `threads.Worker = class extends Before {
        constructor(...args) {
          made.push(0);
          if (made.length > 1) ${fails}; else super(...args);
        }
      };`,
      { options: '{ maxThreads: 1 }' },
    );
    assert.deepEqual([seen, made.length], [77, 4], fails);
  }
});

/** What becomes of a thread that stands: in its Worker's code, and to its Worker. */
const LOSSES = {
  // Once it stands: one that is ended before is a thread that there could not be.
  'its Worker is ended': [
    `const { notify } = Atomics;
     Atomics.notify = (...all) => {
       new BroadcastChannel('stands').postMessage(0);
       return notify(...all);
     };`,
    "new BroadcastChannel('stands').onmessage = () => this.terminate();",
  ],
  'its Worker calls process.exit': ['Atomics.notify = () => process.exit(0);', ''],
  'it has no more memory': [
    'Atomics.notify = () => { for (const all = []; ;) all.push(new Array(1e5).fill(0.5)); };',
    '',
  ],
};

test(
  'a thread that is lost ends the guest, which would wait for it for ever',
  { skip: otherRuntime },
  () => {
    for (const [how, [code, then]] of Object.entries(LOSSES)) {
      const { seen, made } = runApart(
        `(func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait))
       (func (export "wasi_thread_start") (param i32 i32) (loop (br 0)))`,
        `threads.Worker = class extends Before {
         constructor(source, options) {
           const isSecond = made.push(0) === 2;
           const before = isSecond ? ${JSON.stringify(code)} : '';
           const limits = { maxOldGenerationSizeMb: 32 };
           super(before + source, isSecond ? { ...options, resourceLimits: limits } : options);
           if (isSecond) { ${then} }
         }
       };`,
      );
      const pattern = how.includes('memory')
        ? /memory/
        : /^rejected: The guest's thread 1 ended with code \d$/;
      assert.match(String(seen), pattern, how);
      assert.equal(made.length, 2);
    }
  },
);

test('threads that end as they should are not lost', () => {
  // Each thread returns while the main one goes on; the last one ends the guest.
  const returning = `(drop (call $spawn (i32.const 0)))
    (drop (memory.atomic.wait32 (i32.const 600) (i32.const 0) (i64.const 30000000)))`;
  const { seen, made } = runApart(
    `(func (export "_start") ${returning.repeat(5)} (drop (call $spawn (i32.const 7))) (call $wait))
     (func (export "wasi_thread_start") (param $id i32) (param $code i32)
       (if (local.get $code) (then (call $proc_exit (local.get $code)))))`,
    `threads.Worker = class extends Before {
       constructor(...args) {
         super(...args);
         made.push(0);
       }
     };`,
  );
  assert.deepEqual([seen, made.length], [7, 7]);
});

test('no two Workers are started in one turn of the event loop', () => {
  const { seen, made } = runApart(
    `(func (export "_start") (local $n i32)
       (loop $next
         (drop (call $spawn (i32.const 1)))
         (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 4))))
       (loop $all (br_if $all (i32.lt_u (i32.atomic.load (i32.const 700)) (i32.const 20)))))
     (func (export "wasi_thread_start") (param $id i32) (param $more i32) (local $n i32)
       (if (local.get $more) (then
         (loop $next
           (drop (call $spawn (i32.const 0)))
           (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 4))))))
       (drop (i32.atomic.rmw.add (i32.const 700) (i32.const 1))))`,
    `(function turn() { turns++; setImmediate(turn); })();
     threads.Worker = class extends Before {
       constructor(...args) {
         super(...args);
         made.push(turns);
       }
     };`,
  );
  assert.equal(seen, 0);
  assert.equal(made.length, 21);
  assert.equal(new Set(made).size, 21, `turns: ${made}`);
});

test('no thread outlives runThreads, though the guest asks for one in its last moment', () => {
  for (let round = 0; round < 3; round++) {
    const { seen, made } = runApart(
      `(func (export "_start")
         (drop (call $spawn (i32.const 1))) (drop (call $spawn (i32.const 1))) (drop (call $spawn (i32.const 1)))
         (drop (memory.atomic.wait32 (i32.const 600) (i32.const 0) (i64.const 150000000))))
       (func (export "wasi_thread_start") (param $id i32) (param $more i32)
         (loop $next (drop (call $spawn (i32.const 0))) (br_if $next (local.get $more))))`,
      `threads.Worker = class extends Before {
         constructor(...args) {
           super(...args);
           const state = { isOver: typeof seen !== 'undefined', hasEnded: false };
           made.push(state);
           this.on('exit', () => (state.hasEnded = true));
         }
         // A message that was on its way.
         terminate() {
           const state = new Int32Array(new SharedArrayBuffer(4));
           this.emit('message', { spawn: { id: 99, argument: 1, state } });
           return super.terminate();
         }
       };`,
      {
        options: '{ maxThreads: 8 }',
        more: 'const before = made.length; const ended = made.every(({ hasEnded }) => hasEnded); await pause(200); made.unshift(before === made.length && ended);',
      },
    );
    assert.equal(seen, 0);
    assert.equal(made[0], true, 'a thread was started, or ran, after the end');
  }
});

test('NODE_DEBUG_NATIVE=wasi prints the calls of all threads', () => {
  const { seen, stderr } = runApart(
    `(func (export "_start") (drop (call $spawn (i32.const 0))) (call $wait))
     (func (export "wasi_thread_start") (param i32 i32)
       (drop (call $fd_tell (i32.const 99) (i32.const 408))) (call $wake))`,
    '',
    { env: { NODE_DEBUG_NATIVE: 'wasi' } },
  );
  assert.equal(seen, 0);
  assert.match(stderr, /^wasi: fd_tell\(fd=99, offset=408\) = badf/m);
});
