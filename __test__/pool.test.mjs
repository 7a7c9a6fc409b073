// Warm Workers for any number of programs: Pool.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  bytesOf,
  CAT,
  command,
  ENDLESS,
  HELLO,
  rejection,
  THREADS,
  TRAP,
} from './support/programs.mjs';

const require = createRequire(import.meta.url);
const { compile, Pool, WASILimitError } = require('../index.js');

const guest = (name) => fileURLToPath(new URL(`guests/${name}.wasm`, import.meta.url));
const cannotEnd = process.versions.bun || process.versions.deno;
/** Only Node can end a thread that computes. */
const skip = cannotEnd && 'a thread that computes cannot be ended';
/** All of the runs take minutes on a busy machine. */
const RUNS = Number(process.env.WASI_RS_POOL_RUNS ?? 2000);
const MIB = 2 ** 20;

const poolOf = (t, options) => {
  const pool = new Pool(options);
  t.after(() => pool.close());
  return pool;
};
const descriptors = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);

test('its methods can be wrapped before there is a pool', () => {
  const code = `const { Pool } = require(${JSON.stringify(require.resolve('../index.js'))});
    const { run } = Pool.prototype;
    let runs = 0;
    Pool.prototype.run = function (...args) {
      runs++;
      return run.apply(this, args);
    };
    class Own extends Pool {}
    const pool = new Own({ size: 1 });
    const dispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
    pool.run(new Uint8Array(0)).catch(({ code }) => {
      console.log(runs, code, pool.queued, pool instanceof Own);
      return pool[dispose]();
    });`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['1 ERR_WASI_MODULE 0 true\n', '']);
});

test('a pool runs any program from anywhere, and gives what run gives', async (t) => {
  // A compiled module cannot be sent to another process.
  const pool = poolOf(t, { size: 2, isolation: 'thread' });
  const program = await compile(HELLO);
  const module = new WebAssembly.Module(HELLO);
  for (const wasm of [HELLO, program, module, program, module, guest('args'), compile(CAT)]) {
    const { durationMs, startMs, stdout, ...rest } = await pool.run(wasm, {
      args: ['a'],
      stdin: 'in',
    });
    const expected =
      wasm === guest('args') ? '1\n[a]\nok\n' : wasm instanceof Promise ? 'in' : 'hello world';
    assert.equal(stdout, expected);
    assert.ok(durationMs >= 0 && startMs >= 0);
    assert.deepEqual([rest.reason, rest.exitCode, rest.stderr], ['exit', 0, '']);
    assert.deepEqual(rest.truncated, { stdout: false, stderr: false });
  }
  const { stdout } = await pool.run(HELLO, { encoding: 'buffer' });
  assert.ok(stdout instanceof Uint8Array && stdout.length === 11);
  assert.equal(pool.queued, 0);
});

test('a run leaks nothing into the next', async (t) => {
  const pool = poolOf(t, { size: 1 });
  // Exits with what it finds of an earlier run, and leaves something in its memory, its global, its
  // file and its descriptors.
  const wasm = bytesOf(`(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1 100) (global $g (mut i32) (i32.const 0))
    (data (i32.const 100) "file")
    (func (export "_start") (local $seen i32)
      (if (i32.or (global.get $g) (i32.load (i32.const 2000))) (then (local.set $seen (i32.const 1))))
      (if (i32.ne (memory.size) (i32.const 1)) (then (local.set $seen (i32.const 2))))
      (global.set $g (i32.const 5)) (i32.store (i32.const 2000) (i32.const 5))
      (drop (memory.grow (i32.const 1)))
      (drop (call $args (i32.const 0) (i32.const 4))) (drop (call $env (i32.const 8) (i32.const 4)))
      (if (i32.ne (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))) (i32.const 2))
        (then (local.set $seen (i32.const 3))))
      ;; A new file, or it is there already.
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 5)
            (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12))
        (then (local.set $seen (i32.const 4))))
      (if (i32.ne (i32.load (i32.const 12)) (i32.const 4)) (then (local.set $seen (i32.const 5))))
      (if (call $close (i32.const 3)) (then (local.set $seen (i32.const 6))))
      (call $exit (local.get $seen))))`);
  const program = await compile(wasm);
  for (let i = 0; i < 20; i++) {
    const { exitCode, files } = await pool.run(program, {
      args: [`run ${i}`],
      env: { [`RUN${i}`]: '1' },
      preopens: { '/m': { memory: {} } },
    });
    assert.deepEqual([exitCode, [...files.keys()]], [0, ['/m/file']]);
  }
});

test(
  'runs that time out or trap cost no other: none is lost, all are right',
  { skip },
  async (t) => {
    const pool = poolOf(t, { size: 4 });
    const programs = {
      exit: await compile(HELLO),
      trap: await compile(TRAP),
      timeout: await compile(ENDLESS),
    };
    const seen = { exit: 0, trap: 0, timeout: 0 };
    const samples = [];
    let next = 0;
    const worker = async () => {
      while (next < RUNS) {
        const run = next++;
        const kind = run % 50 === 7 ? 'timeout' : run % 50 === 31 ? 'trap' : 'exit';
        const timeoutMs = kind === 'timeout' ? 20 : 60_000;
        const { reason, stdout, error } = await pool.run(programs[kind], { timeoutMs });
        assert.equal(reason, kind);
        assert.equal(stdout, kind === 'exit' ? 'hello world' : '');
        if (kind === 'trap') assert.ok(error instanceof WebAssembly.RuntimeError);
        if (kind === 'timeout') assert.ok(error instanceof WASILimitError);
        seen[kind]++;
        if (run % Math.ceil(RUNS / 20) === 0)
          samples.push([process.memoryUsage.rss(), descriptors()]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.deepEqual(seen, { exit: (RUNS / 50) * 48, trap: RUNS / 50, timeout: RUNS / 50 });
    // The first quarter warms up.
    const late = samples.slice(5);
    const rss = late.map(([bytes]) => bytes);
    assert.ok(rss.at(-1) - rss[0] < 60 * MIB, `${(rss.at(-1) - rss[0]) / MIB} MiB more`);
    // A Worker that ends has its descriptors a moment longer.
    const open = late.map(([, count]) => count);
    t.diagnostic(`RSS in MiB: ${rss.map((bytes) => Math.round(bytes / MIB)).join(' ')}`);
    t.diagnostic(`descriptors: ${open.join(' ')}`);
    assert.ok(Math.max(...open) - Math.min(...open) < 40, String(open));
  },
);

test('descriptors are those of before when the pool is closed', { skip }, async () => {
  const before = descriptors();
  const pool = new Pool({ size: 3 });
  await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      i % 3 === 0 ? pool.run(ENDLESS, { timeoutMs: 20 }) : pool.run(HELLO),
    ),
  );
  await pool.close();
  for (let i = 0; i < 100 && descriptors() > before; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(descriptors() <= before, `${descriptors()} and ${before}`);
});

test('a full queue rejects, and an aborted run leaves it', { skip }, async (t) => {
  const pool = poolOf(t, { size: 1, maxQueue: 2 });
  const mine = new Error('mine');
  const controller = new AbortController();
  const first = pool.run(ENDLESS, { timeoutMs: 300 });
  const second = pool.run(HELLO);
  const third = pool.run(HELLO, { signal: controller.signal });
  assert.equal(pool.queued, 2);
  const error = await rejection(pool.run(HELLO));
  assert.deepEqual([error.code, error instanceof Error], ['ERR_WASI_POOL_FULL', true]);
  controller.abort(mine);
  assert.equal(await rejection(third), mine);
  assert.equal(pool.queued, 1);
  const fourth = pool.run(HELLO);
  assert.deepEqual(
    (await Promise.all([first, second, fourth])).map(({ reason }) => reason),
    ['timeout', 'exit', 'exit'],
  );
  assert.equal(await rejection(pool.run(HELLO, { signal: controller.signal })), mine);
});

test('a queue does not count as time', { skip }, async (t) => {
  const pool = poolOf(t, { size: 1 });
  const slow = pool.run(ENDLESS, { timeoutMs: 400 });
  const results = await Promise.all(
    Array.from({ length: 5 }, () => pool.run(HELLO, { timeoutMs: 200 })),
  );
  assert.deepEqual(
    results.map(({ reason }) => reason),
    Array(5).fill('exit'),
  );
  assert.equal((await slow).reason, 'timeout');
});

test('a signal ends what computes', { skip }, async (t) => {
  const pool = poolOf(t, { size: 1 });
  await assert.rejects(pool.run(ENDLESS, { signal: AbortSignal.timeout(100) }), {
    name: 'TimeoutError',
  });
  assert.equal((await pool.run(HELLO)).reason, 'exit');
});

test('close lets runs come to their end, and refuses others', async () => {
  const pool = new Pool({ size: 1 });
  const runs = Array.from({ length: 5 }, () => pool.run(HELLO));
  const closed = pool.close();
  assert.equal(pool.close(), closed);
  const error = await rejection(pool.run(HELLO));
  assert.equal(error.code, 'ERR_WASI_POOL_CLOSED');
  assert.deepEqual(
    (await Promise.all(runs)).map(({ reason }) => reason),
    Array(5).fill('exit'),
  );
  await closed;
  const dispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
  await new Pool()[dispose]();
});

test('a Worker is replaced after so many runs', async (t) => {
  const { Worker } = require('node:worker_threads');
  const program = await compile(HELLO);
  let ended = 0;
  const { terminate } = Worker.prototype;
  t.mock.method(Worker.prototype, 'terminate', function () {
    ended++;
    return terminate.call(this);
  });
  const pool = poolOf(t, { size: 1, maxRunsPerWorker: 3, isolation: 'thread' });
  for (let i = 0; i < 9; i++) await pool.run(program);
  assert.equal(ended, 3);
});

test('what is wrong rejects at once, and costs no Worker', async (t) => {
  const pool = poolOf(t, { size: 1, maxQueue: 0 });
  for (const [wasm, options, Class, code] of [
    [THREADS, {}, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [guest('reactor'), {}, TypeError, 'ERR_INVALID_ARG_VALUE'],
    ['/nowhere/at/all', {}, Error, 'ENOENT'],
    [Buffer.from('none'), {}, WebAssembly.CompileError, 'ERR_WASI_MODULE'],
    [HELLO, { isolation: 'thread' }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [HELLO, { maxThreads: 1 }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [HELLO, { stdin: () => null }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { preopens: { '/': '/nowhere/at/all' } }, Error, 'UVWASI_ENOENT'],
    [
      new WebAssembly.Module(HELLO),
      { limits: { memoryBytes: 5 } },
      TypeError,
      'ERR_INVALID_ARG_VALUE',
    ],
  ]) {
    const error = await rejection(pool.run(wasm, options));
    assert.equal(Object.getPrototypeOf(error), Class.prototype, String(error));
    assert.equal(error.code, code, String(error));
    assert.equal((await pool.run(HELLO)).reason, 'exit');
  }
  assert.equal((await pool.run(HELLO, { limits: { memoryBytes: 5 } })).reason, 'memory');
  for (const [options, code] of [
    [{ size: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ size: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ size: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxQueue: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ maxRunsPerWorker: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ isolation: 'none' }, 'ERR_INVALID_ARG_VALUE'],
    [{ threads: 1 }, 'ERR_INVALID_ARG_VALUE'],
    [5, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    assert.throws(() => new Pool(options), { code });
  }
});

test('a Worker keeps a bounded number of modules, and knows them again', async (t) => {
  const pool = poolOf(t, { size: 1 });
  const exits = (code) => command(`(call $exit (i32.const ${code}))`);
  const programs = await Promise.all(Array.from({ length: 40 }, (_, code) => compile(exits(code))));
  for (const round of [0, 1, 2]) {
    for (const [code, program] of programs.entries()) {
      const { exitCode } = await pool.run(program);
      assert.equal(exitCode, code, `round ${round}`);
    }
    for (let i = 0; i < 20; i++) assert.equal((await pool.run(programs[i % 3])).exitCode, i % 3);
  }
});

test('a pool that is forgotten keeps no process from ending; a run does', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-pool-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'program.cjs');
  writeFileSync(
    program,
    `const { Pool } = require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))});
    const pool = new Pool({ size: 2 });
    (async () => {
      for (let i = 0; i < 3; i++) console.log((await pool.run(${JSON.stringify(guest('args'))})).reason);
    })();`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual([status, stdout, stderr], [0, 'exit\nexit\nexit\n', '']);
});

// Runs that Workers are given ahead, while runs are short.

/** A pool whose runs have been short, and the program that they ran. */
async function quickPool(t, options) {
  const pool = poolOf(t, { isolation: 'thread', ...options });
  const hello = await compile(HELLO);
  for (let i = 0; i < 20; i++) {
    const results = await Promise.all(Array.from({ length: 6 }, () => pool.run(hello)));
    assert.ok(results.every(({ stdout }) => stdout === 'hello world'));
  }
  return { pool, hello };
}
/** Computes for a few milliseconds, or a few of their parts. */
const spinning = (count) =>
  command(`(local $i i32) (loop $l (br_if $l
    (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`);
const exits = (results) => results.map(({ reason }) => reason);

test('a long run holds up none that came later', { skip }, async (t) => {
  const { pool, hello } = await quickPool(t, { size: 2 });
  const start = performance.now();
  const long = [];
  const others = [];
  for (let i = 0; i < 40; i++) {
    if (i === 5) long.push(pool.run(ENDLESS, { timeoutMs: 3000 }));
    others.push(pool.run(hello, { args: [`${i}`] }));
  }
  assert.deepEqual(exits(await Promise.all(others)), Array(40).fill('exit'));
  const took = performance.now() - start;
  const [{ reason, durationMs }] = await Promise.all(long);
  assert.equal(reason, 'timeout');
  assert.ok(took < durationMs, `${took} and ${durationMs}`);
});

test('runs of one Worker begin in their order', async (t) => {
  const { pool } = await quickPool(t, { size: 1 });
  const program = await compile(CAT);
  const order = [];
  const runs = Array.from({ length: 50 }, async (_, i) => {
    const { stdout, startMs, durationMs } = await pool.run(program, { stdin: `${i}` });
    assert.ok(startMs >= 0 && durationMs >= 0);
    order.push(Number(stdout));
  });
  await Promise.all(runs);
  assert.deepEqual(order, [...Array(50).keys()]);
});

test('a Worker that is ended costs no run that it was given ahead', { skip }, async (t) => {
  const { pool, hello } = await quickPool(t, { size: 1 });
  for (let i = 0; i < 5; i++) {
    const controller = new AbortController();
    const aborted = pool.run(ENDLESS, { signal: controller.signal });
    const runs = [
      pool.run(ENDLESS, { timeoutMs: 20 }),
      pool.run(hello),
      pool.run(TRAP),
      pool.run(hello, { args: ['a', 'b'] }),
    ];
    setTimeout(() => controller.abort(new Error('mine')), 10);
    await assert.rejects(aborted, { message: 'mine' });
    assert.deepEqual(exits(await Promise.all(runs)), ['timeout', 'exit', 'trap', 'exit']);
    assert.deepEqual(
      exits(await Promise.all(Array.from({ length: 10 }, () => pool.run(hello)))),
      Array(10).fill('exit'),
    );
  }
});

test('a signal that takes no listener holds nothing up', { skip }, async (t) => {
  const pool = poolOf(t, { size: 1 });
  const program = await compile(ENDLESS);
  const hello = await compile(HELLO);
  const wrong = [{ aborted: false }, { aborted: false, addEventListener() {} }, null, 'signal'];
  for (const signal of wrong) {
    await assert.rejects(pool.run(hello, { signal }), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const mine = new Error('mine');
  const throwing = () => {
    throw mine;
  };
  const signal = { aborted: false, addEventListener: throwing, removeEventListener() {} };
  // A guest that goes on would keep its Worker.
  for (const wasm of [program, ENDLESS]) {
    assert.equal(await rejection(pool.run(wasm, { signal })), mine);
    const running = pool.run(program, { timeoutMs: 100 });
    assert.equal(await rejection(pool.run(hello, { signal })), mine);
    assert.equal(pool.queued, 0);
    assert.equal((await running).reason, 'timeout');
    assert.equal((await pool.run(hello)).stdout, 'hello world');
  }
});

test('a run that a Worker was given ahead is aborted without it', { skip }, async (t) => {
  const { Worker } = require('node:worker_threads');
  let ended = 0;
  const { terminate } = Worker.prototype;
  t.mock.method(Worker.prototype, 'terminate', function () {
    ended++;
    return terminate.call(this);
  });
  const { pool, hello } = await quickPool(t, { size: 1 });
  const first = pool.run(spinning(100_000_000));
  const controller = new AbortController();
  const second = pool.run(hello, { signal: controller.signal });
  const third = pool.run(hello);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const mine = new Error('mine');
  controller.abort(mine);
  assert.equal(await rejection(second), mine);
  assert.deepEqual(exits(await Promise.all([first, third])), ['exit', 'exit']);
  assert.deepEqual([pool.queued, ended], [0, 0]);
});

test('a time that is over as the guest ends costs no other run', { skip }, async (t) => {
  const { pool, hello } = await quickPool(t, { size: 2 });
  const program = await compile(spinning(1_500_000));
  const seen = { exit: 0, timeout: 0 };
  await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const { reason } = await pool.run(program, { timeoutMs: 1 + (i % 3) });
      seen[reason]++;
      const { reason: other, stdout } = await pool.run(hello, { timeoutMs: 60_000 });
      assert.deepEqual([other, stdout], ['exit', 'hello world']);
    }),
  );
  assert.equal(seen.exit + seen.timeout, 300, JSON.stringify(seen));
});

test('a Worker has no more runs than it may, whatever waits', async (t) => {
  const { Worker } = require('node:worker_threads');
  const program = await compile(HELLO);
  let ended = 0;
  const { terminate } = Worker.prototype;
  t.mock.method(Worker.prototype, 'terminate', function () {
    ended++;
    return terminate.call(this);
  });
  const pool = poolOf(t, { size: 2, maxRunsPerWorker: 5, isolation: 'thread' });
  const results = await Promise.all(Array.from({ length: 50 }, () => pool.run(program)));
  assert.deepEqual(exits(results), Array(50).fill('exit'));
  assert.ok(ended >= 9 && ended <= 10, String(ended));
});

test('what is wrong keeps its place among runs that are given ahead', async (t) => {
  const { pool, hello } = await quickPool(t, { size: 1 });
  const runs = [
    pool.run(hello),
    pool.run(guest('reactor')),
    pool.run(hello),
    pool.run(new WebAssembly.Module(HELLO), { limits: { memoryBytes: 5 } }),
    pool.run(guest('args'), { args: ['a'] }),
    pool.run(hello),
  ];
  const settled = await Promise.allSettled(runs);
  assert.deepEqual(
    settled.map(({ value, reason }) => value?.reason ?? reason.code),
    ['exit', 'ERR_INVALID_ARG_VALUE', 'exit', 'ERR_INVALID_ARG_VALUE', 'exit', 'exit'],
  );
});

test('a class may extend it', async () => {
  class Mine extends Pool {
    count = 0;
    run(...args) {
      this.count++;
      return super.run(...args);
    }
  }
  const pool = new Mine({ size: 1 });
  assert.ok(pool instanceof Pool && pool instanceof Mine);
  await pool.run(HELLO);
  assert.equal(pool.count, 1);
  await pool.close();
});

for (const isolation of ['thread', 'process']) {
  test(`a run whose input was transferred meanwhile leaves the pool as it was: ${isolation}`, async (t) => {
    const pool = poolOf(t, { size: 1, isolation });
    const program = await compile(CAT);
    const stdin = new Uint8Array([104, 105]);
    const first = pool.run(HELLO);
    const second = pool.run(program, { stdin });
    structuredClone(stdin.buffer, { transfer: [stdin.buffer] });
    const error = await rejection(second);
    assert.match(error.message, /detached/);
    assert.equal((await first).reason, 'exit');
    assert.equal((await pool.run(program, { stdin: 'hi' })).stdout, 'hi');
  });
}

test('a run keeps its result where the system has no other Worker to give', { skip }, () => {
  const code = `
    const threads = require('node:worker_threads');
    let left = 1;
    threads.Worker = class extends threads.Worker {
      constructor(...args) {
        if (left-- === 0) throw new Error('no thread');
        super(...args);
      }
    };
    const { Pool } = require(${JSON.stringify(require.resolve('../index.js'))});
    const pool = new Pool({ size: 1 });
    pool
      .run(Buffer.from('${Buffer.from(ENDLESS).toString('base64')}', 'base64'), { timeoutMs: 50 })
      .then(({ reason }) => console.log(reason), (error) => console.log(error.message))
      .then(() => pool.close());`;
  const { stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  assert.equal(stdout, 'timeout\n');
});
