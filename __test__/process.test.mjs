// Guests in processes of their own: the same results as in threads, and what a thread does not
// survive.

import assert from 'node:assert/strict';
import { ChildProcess, spawn as spawnProcess, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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
  growing,
  HELLO,
  LONG_TO_COMPILE,
  printing,
  rejection,
  SLEEPING,
  THREADS,
  TRAP,
  writing,
  YES,
} from './support/programs.mjs';

const { compile, Pool, run, spawn } = createRequire(import.meta.url)('../index.js');

const INDEX = fileURLToPath(new URL('../index.js', import.meta.url));
const { bun: isBun, deno: isDeno } = process.versions;
const isNode = !isBun && !isDeno;
const onLinux = process.platform === 'linux';
const notHere = process.platform === 'win32' && 'there are no inherited pipes for guests here';
const LIMIT = 60_000;
const process_ = { isolation: 'process' };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The processes that this one has started, without those that have ended. */
function children(parent = process.pid) {
  const found = [];
  for (const thread of readdirSync(`/proc/${parent}/task`)) {
    try {
      const list = readFileSync(`/proc/${parent}/task/${thread}/children`, 'latin1');
      found.push(...list.split(' ').filter(Boolean).map(Number));
    } catch {
      // The thread has ended meanwhile.
    }
  }
  return found.filter((pid) => isAlive(pid));
}

function isAlive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/[ZX]/.test(stat[stat.lastIndexOf(')') + 2]);
  } catch {
    return false;
  }
}

async function until(what, limit = LIMIT) {
  const end = Date.now() + limit;
  while (!what()) {
    assert.ok(Date.now() < end, `it did not come to be: ${what}`);
    await sleep(20);
  }
}

const collected = async (stream) => {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
};

test('a process gives what a thread gives', { skip: notHere }, async () => {
  const preopens = { '/w': { memory: { 'in.txt': 'from here' } } };
  const cases = [
    [HELLO, {}],
    [HELLO, { stats: true, args: ['a', 'b'], env: { A: '1' } }],
    [printing(2, 'to stderr', '(call $exit (i32.const 7))'), { encoding: 'buffer' }],
    [CAT, { stdin: 'text', preopens }],
    [CAT, { stdin: 'ignore', stdout: 'ignore' }],
    [growing(2, '(memory (export "memory") 1)'), { limits: { memoryBytes: 2 * 65536 } }],
    [TRAP, {}],
    [command('(call $exit (i32.const -1))'), {}],
    [
      printing(1, 'x'.repeat(100), `(loop ${writing(1, 5)} (br 0))`),
      { limits: { outputBytes: 10 } },
    ],
    [command('(loop (drop (call $yield)) (br 0))'), { limits: { hostCalls: 5 } }],
    [growing(0, '(memory (export "memory") 10)'), { limits: { memoryBytes: 65536 } }],
  ];
  for (const [wasm, options] of cases) {
    const [thread, own] = await Promise.all(
      ['thread', 'process'].map(async (isolation) => {
        const result = await run(wasm, { ...options, isolation });
        const { durationMs, startMs, stats, error, ...rest } = result;
        assert.ok(durationMs >= 0 && startMs >= 0, `${durationMs} ${startMs}`);
        assert.equal(stats !== undefined, options.stats === true);
        const { name, code, limit, message } = error ?? {};
        return { ...rest, calls: stats?.fd_write?.calls, name, code, limit, message };
      }),
    );
    // Whether bytes lie in a Buffer's memory is no matter.
    assert.deepEqual(own, thread);
  }
  const { stats } = await run(HELLO, { ...process_, stats: true });
  assert.equal(stats.fd_write.calls, 1);
});

test(
  'wrong options and programs reject at once, and leave no process',
  { skip: notHere },
  async () => {
    const module = await WebAssembly.compile(HELLO);
    const cases = [
      ['/no/such.wasm', {}, { code: 'ENOENT' }],
      [new Uint8Array(8), {}, { name: 'CompileError' }],
      [module, {}, { code: 'ERR_INVALID_ARG_VALUE', message: /give the bytes/ }],
      [
        bytesOf('(module (import "a" "b" (func)) (func (export "_start")))'),
        {},
        { code: 'ERR_WASI_MISSING_IMPORT' },
      ],
      [HELLO, { preopens: { '/': '/no/such/folder' } }, { code: 'UVWASI_ENOENT' }],
      [HELLO, { stdout: 987_654 }, { code: 'UVWASI_EBADF' }],
      [HELLO, { sockets: [{ fd: 3 }] }, { code: 'ERR_INVALID_ARG_VALUE', message: /isolation/ }],
      [HELLO, { isolation: 'prison' }, { code: 'ERR_INVALID_ARG_VALUE' }],
      [HELLO, { stdout: () => {} }, { code: 'ERR_INVALID_ARG_TYPE' }],
    ];
    for (const [wasm, options, expected] of cases) {
      await assert.rejects(run(wasm, { ...process_, ...options }), expected);
      const guest = spawn(wasm, { ...process_, ...options });
      await assert.rejects(guest.exited, expected);
      guest.stdout.resume();
    }
    if (onLinux) await until(() => children().length === 0);
  },
);

test('a Program runs in any place', { skip: notHere }, async () => {
  const program = await compile(HELLO);
  const [one, other] = await Promise.all([run(program, process_), run(program, process_)]);
  assert.deepEqual([one.stdout, other.stdout], ['hello world', 'hello world']);
});

// Guests for which V8 ends the process.

const TABLES = 60;
const FULL_TABLES = command(
  `${writing(1, 5)} ${Array.from(
    { length: TABLES },
    (_, i) => `(drop (table.grow $t${i} (ref.null extern) (i32.const 9999998)))`,
  ).join('')} (loop (br 0))`,
  {
    more: `(data (i32.const 1024) "first")
      ${Array.from({ length: TABLES }, (_, i) => `(table $t${i} 1 externref)`).join('')}`,
  },
);
/** A list of structures without end. */
const FULL_OF_OBJECTS = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 9, 2, 0x5f, 1, 0x63, 0, 0, 0x60, 0, 0, 3, 2, 1, 1, 7, 10, 1, 6,
  0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0, 0, 10, 19, 1, 17, 1, 1, 0x63, 0, 3, 0x40, 0x20, 0, 0xfb, 0,
  0, 0x21, 0, 0x0c, 0, 0x0b, 0x0b,
]); // prettier-ignore

const limits = { memoryBytes: 2 ** 20, tableElements: 1e10 };

test(
  'a heap that is full ends the guest, and nobody else',
  { skip: notHere || isBun },
  async () => {
    const { reason, exitCode, error, stdout, memoryBytes } = await run(FULL_TABLES, {
      ...process_,
      limits,
      timeoutMs: LIMIT,
    });
    assert.deepEqual([reason, exitCode, stdout], ['memory', null, 'first']);
    assert.deepEqual([error.code, error.limit], ['ERR_WASI_LIMIT', 'memory']);
    assert.ok(memoryBytes === 65536 || memoryBytes === 0);
  },
);

const hasObjects = WebAssembly.validate(FULL_OF_OBJECTS);

test(
  "objects on V8's heap do the same",
  { skip: notHere || isBun || (!hasObjects && 'V8 has no such objects here') },
  async () => {
    await assert.rejects(run(FULL_OF_OBJECTS, { isolation: 'thread', limits }), {
      code: 'ERR_WASI_UNBOUNDED_MEMORY',
      message: /isolation: 'process'/,
    });
    const { reason, error } = await run(FULL_OF_OBJECTS, { ...process_, limits, timeoutMs: LIMIT });
    assert.equal(reason, 'memory', error.stack);
  },
);

const isOld = isNode && Number.parseInt(process.versions.node, 10) < 20;

test(
  'what the compiler takes is bounded with the memory',
  { skip: (!onLinux && 'only Linux counts it') || (isOld && "this V8's compiler takes little") },
  async (t) => {
    const bounded = { limits: { memoryBytes: 2 ** 20 }, timeoutMs: LIMIT };
    const check = ({ reason, error }) => {
      // JavaScriptCore does not say why it ends the process.
      if (isBun) assert.equal(reason, 'crash', error?.stack);
      else assert.deepEqual([reason, error?.limit], ['memory', 'memory']);
    };
    check(await run(LONG_TO_COMPILE, { ...process_, ...bounded }));
    const pool = new Pool({ ...process_, size: 1 });
    t.after(() => pool.close());
    check(await pool.run(LONG_TO_COMPILE, bounded));
    // The bound of a run is that of no other, and the memory of the one before takes nothing of it.
    const large = { limits: { memoryBytes: 2 ** 31 } };
    const pages = 2 ** 15 - 1;
    for (let count = 0; count < 3; count++) {
      const wasm = growing(pages, '(memory (export "memory") 1)');
      assert.equal((await pool.run(wasm, large)).exitCode, 101);
      assert.equal((await pool.run(HELLO, bounded)).exitCode, 0);
    }
  },
);

test('a process that crashes is the end of its guest', { skip: !onLinux }, async () => {
  const wasm = command(`${writing(1, 5)} (loop (br 0))`, {
    more: '(data (i32.const 1024) "first")',
  });
  // A busy machine may take longer to start it, which nobody is told.
  for (const ms of [2000, 8000, 30_000]) {
    const before = new Set(children());
    const running = run(wasm, { ...process_, startTimeoutMs: LIMIT });
    await until(() => children().some((pid) => !before.has(pid)));
    const [pid] = children().filter((one) => !before.has(one));
    await sleep(ms);
    process.kill(pid, 'SIGABRT');
    let result;
    try {
      result = await running;
    } catch (error) {
      // The process had not even been given the guest.
      assert.equal(error.code, 'ERR_WASI_NO_PROCESS');
      continue;
    }
    const { reason, exitCode, error, stdout, memoryBytes } = result;
    assert.deepEqual([reason, exitCode], ['crash', null]);
    assert.deepEqual(
      [error.code, /SIGABRT|134|signal/.test(error.message)],
      ['ERR_WASI_CRASH', true],
    );
    if (stdout === '' || memoryBytes === 0) continue;
    assert.deepEqual([stdout, memoryBytes], ['first', 65536]);
    return;
  }
  assert.fail('the guest has never started');
});

// Ends from outside.

test(
  'a process of a Pool that was ended between two runs costs no run',
  { skip: !onLinux },
  async () => {
    const pool = new Pool({ size: 2, ...process_ });
    for (let round = 0; round < 3; round++) {
      await Promise.all([pool.run(HELLO), pool.run(HELLO)]);
      // Nobody has seen it yet when the next runs begin.
      for (const pid of children()) process.kill(pid, 'SIGKILL');
      const runs = Array.from({ length: 4 }, () => pool.run(HELLO));
      for (const { stdout } of await Promise.all(runs)) assert.equal(stdout, 'hello world');
    }
    await pool.close();
  },
);

test('a process whose ref() throws still takes a run', { skip: notHere }, async (t) => {
  // As Deno's does where the process has ended and nobody has said so.
  const prototype = ChildProcess.prototype;
  const { ref } = prototype;
  // A process that was not held does not keep this one from ending.
  const timer = setInterval(() => {}, 1000);
  t.after(() => {
    prototype.ref = ref;
    clearInterval(timer);
  });
  const pool = new Pool({ size: 1, ...process_ });
  try {
    await pool.run(HELLO);
    prototype.ref = () => {
      throw new Error('Bad resource ID');
    };
    assert.equal((await pool.run(HELLO)).stdout, 'hello world');
  } finally {
    await pool.close();
  }
});

test('paths begin at the working directory of the call', { skip: notHere }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-folders-'));
  const before = process.cwd();
  const pool = new Pool({ size: 1, ...process_ });
  t.after(async () => {
    process.chdir(before);
    await pool.close();
    rmSync(folder, { recursive: true });
  });
  const making = bytesOf(`(module
    (import "wasi_snapshot_preview1" "path_create_directory"
      (func $make (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "made")
    (func (export "_start") (call $exit (call $make (i32.const 3) (i32.const 0) (i32.const 4)))))`);
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name, 'inner'), { recursive: true });
    process.chdir(join(folder, name));
    const { exitCode } = await pool.run(making, { preopens: { '/': 'inner' } });
    assert.deepEqual([exitCode, readdirSync('inner')], [0, ['made']]);
  }
  // Guests that start later, in threads too.
  const threads = new Pool({ size: 1, isolation: 'thread' });
  t.after(() => threads.close());
  const calls = [
    () => run(making, { ...process_, preopens: { '/': 'inner' } }),
    () => spawn(making, { ...process_, preopens: { '/': 'inner' } }).exited,
    () => pool.run(making, { preopens: { '/': 'inner' } }),
    () => threads.run(making, { preopens: { '/': 'inner' } }),
    () => run(making, { isolation: 'thread', preopens: { '/': { path: 'inner' } } }),
  ];
  const running = calls.map((call, index) => {
    mkdirSync(join(folder, `${index}`, 'inner'), { recursive: true });
    process.chdir(join(folder, `${index}`));
    return [call(), call()];
  });
  // There is a file of that name where the call is made.
  writeFileSync('taken', '');
  const listening = onLinux && rejection(pool.run(HELLO, { sockets: [{ path: 'taken' }] }));
  process.chdir(folder);
  if (listening) assert.equal((await listening).code, 'EADDRINUSE');
  assert.equal(existsSync(join(folder, 'taken')), false);
  for (const [index, both] of running.entries()) {
    const codes = (await Promise.all(both)).map(({ exitCode }) => exitCode);
    // The second finds what the first has made.
    assert.deepEqual(codes.sort(), [0, 20], `${calls[index]}`);
    assert.deepEqual(readdirSync(join(folder, `${index}`, 'inner')), ['made']);
  }
});

test('a process loads nothing from the working directory', { skip: notHere }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-folders-'));
  const before = process.cwd();
  t.after(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });
  process.chdir(folder);
  // What a guest with this folder could have written.
  writeFileSync(
    'evil.js',
    `require('node:fs').writeFileSync(${JSON.stringify(folder)} + '/loaded', '')`,
  );
  writeFileSync('bunfig.toml', 'preload = ["./evil.js"]');
  writeFileSync(
    'deno.json',
    '{ "imports": { "node:fs": "./evil.js", "node:module": "./evil.js" } }',
  );
  writeFileSync('package.json', '{ "type": "module", "imports": { "#a": "./evil.js" } }');
  assert.equal((await run(HELLO, process_)).stdout, 'hello world');
  const guest = spawn(SLEEPING, process_);
  t.after(() => guest.kill());
  if (onLinux) {
    await until(() => children().some((pid) => readlinkSync(`/proc/${pid}/cwd`) === '/'));
  }
  guest.kill();
  await guest.exited;
  assert.equal(existsSync('loaded'), false);
});

test('a socket has a path beyond what an address has room for', { skip: !onLinux }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-folders-'));
  const before = process.cwd();
  t.after(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });
  const long = join(folder, 'x'.repeat(120));
  mkdirSync(long);
  process.chdir(long);
  const guest = spawn(SLEEPING, { ...process_, sockets: [{ path: 'listener' }] });
  t.after(() => guest.kill());
  await until(() => existsSync('listener'));
  guest.kill();
  await guest.exited;
});

test(
  'a guest starts where the working directory may not be entered',
  { skip: notHere || !onLinux || process.getuid() !== 0 || isBun || isDeno },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-closed-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const drop = 'process.setgid(65534); process.setuid(65534);';
    const readable = `${drop} require('fs').accessSync(${JSON.stringify(INDEX)});`;
    const tried = spawnSync(process.execPath, ['-e', readable], { encoding: 'utf8' });
    if (tried.status !== 0) return t.skip('another user may not read this package');
    const code = `
      const { run } = require(${JSON.stringify(INDEX)});
      process.chdir(${JSON.stringify(folder)});
      ${drop}
      const wasm = new Uint8Array(${JSON.stringify([
        ...bytesOf(`(module
        (memory (export "memory") 1) (func (export "_start")))`),
      ])});
      run(wasm, { isolation: 'process' }).then(({ reason }) => console.log(reason));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
    assert.equal(stdout, 'exit\n', stderr);
  },
);

test('time, signal and kill end a guest that computes or waits', { skip: notHere }, async () => {
  for (const wasm of [ENDLESS, SLEEPING]) {
    const { reason, error, durationMs } = await run(wasm, { ...process_, timeoutMs: 200 });
    assert.deepEqual([reason, error.code, error.limit], ['timeout', 'ERR_WASI_LIMIT', 'timeoutMs']);
    assert.ok(durationMs >= 150, `${durationMs}`);
    for (const ms of [0, 300]) {
      const reasonOfMine = new Error('mine');
      const controller = new AbortController();
      const running = run(wasm, { ...process_, signal: controller.signal });
      setTimeout(() => controller.abort(reasonOfMine), ms);
      assert.equal(await rejection(running), reasonOfMine);
    }
    const guest = spawn(wasm, process_);
    setTimeout(() => guest.kill(), 300);
    assert.equal((await guest.exited).reason, 'killed');
    assert.equal(await collected(guest.stdout), '');
  }
  if (onLinux) await until(() => children().length === 0);
});

test('what a guest has left is there when its time is over', { skip: notHere }, async () => {
  const path = fileURLToPath(new URL('guests/read-forever.wasm', import.meta.url));
  if (!existsSync(path)) return;
  const { files, reason } = await run(ENDLESS, {
    ...process_,
    timeoutMs: 200,
    preopens: { '/w': { memory: { 'a/b': 'kept' } } },
    stats: true,
  });
  assert.equal(reason, 'timeout');
  assert.equal(Buffer.from(files.get('/w/a/b')).toString(), 'kept');
});

test(
  'what a guest has left is there, also if this thread is busy meanwhile',
  { skip: notHere },
  async () => {
    const much = Buffer.alloc(4 * 2 ** 20, 'k');
    const guest = spawn(command(`${writing(1, 1)} (loop (br 0))`), {
      ...process_,
      preopens: { '/w': { memory: { much } } },
    });
    await once(guest.stdout, 'data');
    guest.kill();
    // The process is asked before, and answers while nothing here can read it.
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000));
    const { reason, files } = await guest.exited;
    assert.equal(reason, 'killed');
    assert.equal(files.get('/w/much')?.byteLength, much.length);
  },
);

test(
  'what a guest has left is there, also if its process has no processor for a while',
  { skip: !onLinux },
  async () => {
    const guest = spawn(command(`${writing(1, 1)} (loop (br 0))`), {
      ...process_,
      preopens: { '/w': { memory: { kept: 'kept' } } },
    });
    await once(guest.stdout, 'data');
    const [pid] = children();
    process.kill(pid, 'SIGSTOP');
    guest.kill();
    await sleep(6000);
    process.kill(pid, 'SIGCONT');
    const { reason, files } = await guest.exited;
    assert.equal(reason, 'killed');
    assert.deepEqual([...files.keys()], ['/w/kept']);
  },
);

/**
 * Writes 1,000 bytes again and again, and keeps in the file /w/n how many it was told that it
 * wrote.
 */
const COUNTING = bytesOf(`(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite"
    (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "n")
  (func (export "_start") (local $n i64)
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 1)
      (i64.const 68) (i64.const 0) (i32.const 0) (i32.const 200)) (then unreachable))
    (loop $l
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 1000))
      (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $n (i64.add (local.get $n) (i64.load32_u (i32.const 8))))
      (i64.store (i32.const 40) (local.get $n))
      (i32.store (i32.const 0) (i32.const 40)) (i32.store (i32.const 4) (i32.const 8))
      (if (call $pwrite (i32.load (i32.const 200)) (i32.const 0) (i32.const 1) (i64.const 0)
        (i32.const 8)) (then unreachable))
      (br $l))))`);

test(
  'what a guest leaves in a Pool is of one moment, however much it is',
  { skip: notHere || !isNode },
  async () => {
    const pool = new Pool({ size: 1, ...process_ });
    for (const timeoutMs of [100, 300, 600]) {
      const { reason, stdout, files } = await pool.run(COUNTING, {
        timeoutMs,
        encoding: 'buffer',
        preopens: { '/w': { memory: {} } },
        limits: { outputBytes: 2 ** 32 },
      });
      assert.equal(reason, 'timeout');
      const told = Number(Buffer.from(files.get('/w/n')).readBigUInt64LE());
      // It may have been ended between the two calls.
      const more = stdout.length - told;
      assert.ok(more === 0 || more === 1000, `${stdout.length} for ${told}`);
    }
    await pool.close();
  },
);

test('signals to a whole terminal or service end no guest', { skip: !onLinux }, async () => {
  const guest = spawn(command(`${writing(1, 1)} (loop (br 0))`), process_);
  await once(guest.stdout, 'data');
  const [pid] = children();
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM']) process.kill(pid, signal);
  await sleep(300);
  guest.kill();
  assert.equal((await guest.exited).reason, 'killed');
});

test('no process is left when the one that started it has ended', { skip: !onLinux }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-process-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'endless.wasm'), new Uint8Array(ENDLESS));
  const script = join(dir, 'start.cjs');
  writeFileSync(
    script,
    `const { run, spawn, Pool } = require(${JSON.stringify(INDEX)});
     const options = { isolation: 'process' };
     run(${JSON.stringify(join(dir, 'endless.wasm'))}, options);
     spawn(${JSON.stringify(join(dir, 'endless.wasm'))}, options);
     new Pool({ size: 1, isolation: 'process' }).run(${JSON.stringify(join(dir, 'endless.wasm'))});
     setInterval(() => {}, 1000);`,
  );
  const args = isDeno ? ['run', '-A', script] : [script];
  const parent = spawnProcess(process.execPath, args, { stdio: 'ignore' });
  t.after(() => parent.kill('SIGKILL'));
  await until(() => children(parent.pid).length === 3);
  const guests = children(parent.pid);
  await sleep(1500);
  assert.deepEqual(guests.map(isAlive), [true, true, true]);
  parent.kill('SIGKILL');
  await until(() => !guests.some(isAlive));
});

test('a pool that was forgotten keeps nobody from ending', { skip: notHere }, () => {
  const script = `const { Pool } = require(${JSON.stringify(INDEX)});
    const { readFileSync } = require('node:fs');
    new Pool({ size: 2, isolation: 'process' })
      .run(Uint8Array.from(${JSON.stringify(Array.from(new Uint8Array(HELLO)))}))
      .then(({ stdout }) => console.log(stdout));`;
  const args = isDeno
    ? [
        'eval',
        `import { createRequire } from 'node:module'; const require = createRequire('file:///'); ${script}`,
      ]
    : ['-e', script];
  const { stdout, status } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: LIMIT,
  });
  assert.deepEqual([stdout, status], ['hello world\n', 0]);
});

// The guest's view of the host.

test('the guest gets nothing of this process', { skip: notHere }, async (t) => {
  process.env.WASI_RS_SECRET = 'secret';
  process.env.NODE_OPTIONS = '--no-such-option';
  t.after(() => {
    delete process.env.WASI_RS_SECRET;
    delete process.env.NODE_OPTIONS;
  });
  const guest = (name) => fileURLToPath(new URL(`guests/${name}.wasm`, import.meta.url));
  if (!existsSync(guest('environ'))) return t.skip('no guests here');
  const environ = await run(guest('environ'), { ...process_, env: { A: '1' } });
  assert.equal(environ.stdout, '[A=1]\nok\n');
  const args = await run(guest('args'), process_);
  assert.equal(args.stdout, '1\n[args.wasm]\nok\n');
});

test('a guest is lent the descriptors that it shall have', { skip: notHere }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-process-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { closeSync, openSync } = await import('node:fs');
  const fd = openSync(join(dir, 'out'), 'w');
  assert.equal((await run(HELLO, { ...process_, stdout: fd, stderr: fd })).stdout, '');
  await using_(new Pool({ size: 1, isolation: 'process' }), async (pool) => {
    await assert.rejects(pool.run(HELLO, { stdout: fd }), { message: /use run\(\)/ });
    assert.equal((await pool.run(HELLO)).stdout, 'hello world');
  });
  closeSync(fd);
  assert.equal(readFileSync(join(dir, 'out'), 'utf8'), 'hello world');
});

test('the streams of this process are lent', { skip: notHere }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-process-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const text = (wasm) => JSON.stringify(Buffer.from(wasm).toString('base64'));
  const file = join(dir, 'app.cjs');
  const code = `
    const { Pool, run } = require(${JSON.stringify(INDEX)});
    const decoded = (text) => Buffer.from(text, 'base64');
    const [cat, hello, error] = [${text(CAT)}, ${text(HELLO)}, ${text(printing(2, 'wrong'))}].map(decoded);
    const options = { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' };
    (async () => {
      const results = [];
      for (const wasm of [cat, error]) results.push(await run(wasm, { ...options, isolation: 'process' }));
      const pool = new Pool({ size: 1, isolation: 'process' });
      for (const wasm of [hello, error]) results.push(await pool.run(wasm, options));
      await pool.close();
      process.exitCode = results.every(({ exitCode }) => exitCode === 0) ? 7 : 1;
    })();`;
  writeFileSync(file, code);
  const args = isDeno ? ['run', '-A', file] : [file];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    input: 'from outside\n',
    timeout: LIMIT,
  });
  assert.deepEqual([status, stdout, stderr], [7, 'from outside\nhello world', 'wrongwrong']);
});

async function using_(pool, use) {
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
}

test('programs with threads run in a process', { skip: notHere }, async () => {
  const { exitCode } = await run(THREADS, { ...process_, limits: { memoryBytes: 2 ** 20 } });
  assert.equal(exitCode, 42);
  assert.equal((await run(THREADS, { ...process_, maxThreads: 0 })).exitCode, 1);
});

test('streams carry all bytes both ways', { skip: notHere }, async () => {
  const size = 32 * 2 ** 20;
  const block = randomBytes(2 ** 20);
  const guest = spawn(CAT, process_);
  const sent = createHash('sha256');
  const got = createHash('sha256');
  let length = 0;
  guest.stdout.on('data', (chunk) => {
    got.update(chunk);
    length += chunk.length;
  });
  for (let at = 0; at < size; at += block.length) {
    sent.update(block);
    if (!guest.stdin.write(block)) await once(guest.stdin, 'drain');
  }
  guest.stdin.end();
  const { reason } = await guest.exited;
  if (!guest.stdout.readableEnded) await once(guest.stdout, 'end');
  assert.deepEqual([reason, length, got.digest('hex')], ['exit', size, sent.digest('hex')]);
});

test(
  'while nobody reads, the guest waits; what it wrote can be read after its end',
  { skip: notHere },
  async () => {
    const endless = spawn(YES, process_);
    await sleep(1000);
    assert.ok(endless.stdout.readableLength < 2 ** 21);
    endless.kill();
    const { reason } = await endless.exited;
    assert.equal(reason, 'killed');
    endless.stdout.destroy();
    const hello = spawn(HELLO, process_);
    await hello.exited;
    await sleep(100);
    assert.equal(await collected(hello.stdout), 'hello world');
  },
);

test(
  'a pool of processes: all results right, and those that were ended are replaced',
  { skip: notHere },
  async () => {
    await using_(
      new Pool({ size: 2, isolation: 'process', maxRunsPerWorker: 10 }),
      async (pool) => {
        const results = await Promise.all(
          Array.from({ length: 40 }, (_, i) => {
            if (i % 20 === 7) return pool.run(ENDLESS, { timeoutMs: 100 });
            if (i % 10 === 3) return pool.run(TRAP);
            return pool.run(CAT, { stdin: `input ${i}` });
          }),
        );
        results.forEach(({ reason, stdout }, i) => {
          if (i % 20 === 7) assert.equal(reason, 'timeout');
          else if (i % 10 === 3) assert.equal(reason, 'trap');
          else assert.deepEqual([reason, stdout], ['exit', `input ${i}`]);
        });
      },
    );
    if (onLinux) await until(() => children().length === 0);
  },
);

test('where there can be no process, words say so', { skip: notHere }, () => {
  const script = `require(${JSON.stringify(INDEX)})
    .run(Uint8Array.from(${JSON.stringify(Array.from(new Uint8Array(HELLO)))}), { isolation: 'process' })
    .catch(({ code, message }) => console.log(code, message));`;
  const args = isDeno
    ? [
        'eval',
        `import { createRequire } from 'node:module'; const require = createRequire('file:///'); ${script}`,
      ]
    : ['-e', script];
  const env = { ...process.env, WASI_RS_GUEST_PROCESS: '1' };
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: LIMIT });
  assert.match(stdout, /^ERR_WASI_NO_PROCESS There can be no process for a guest: /);
});

const noMock = !isNode && 'spawn() of this runtime cannot be replaced';

test('where no process can be started, the error says why', { skip: notHere || noMock }, () => {
  // As Node does where no descriptors are left, and Deno without --allow-run.
  const code = `
    const processes = require('node:child_process');
    const { EventEmitter } = require('node:events');
    processes.spawn = () => {
      const child = Object.assign(new EventEmitter(), { kill: () => false });
      process.nextTick(() => child.emit('error', new Error('there are no descriptors')));
      return child;
    };
    const { Pool, run, spawn } = require(${JSON.stringify(INDEX)});
    const guest = Buffer.from(${JSON.stringify(Buffer.from(HELLO).toString('base64'))}, 'base64');
    const options = { isolation: 'process' };
    const pool = new Pool({ size: 1, ...options });
    const tries = [
      () => run(guest, options),
      () => spawn(guest, options).exited,
      () => pool.run(guest),
    ];
    (async () => {
      for (const attempt of tries) await attempt().catch((e) => console.log(e.code, e.message));
      await pool.close();
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    encoding: 'utf8',
    timeout: LIMIT,
  });
  const line = 'ERR_WASI_NO_PROCESS The guest has no process: there are no descriptors\n';
  assert.deepEqual({ stdout, stderr }, { stdout: line.repeat(3), stderr: '' });
});

test(
  'threads that cannot be ended are refused',
  { skip: isNode && 'Node ends all threads' },
  async () => {
    const { signal } = new AbortController();
    for (const options of [{ timeoutMs: 1000 }, { signal }]) {
      await assert.rejects(run(HELLO, { isolation: 'thread', ...options }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /isolation.*process/,
      });
    }
    await assert.rejects(spawn(HELLO, { isolation: 'thread' }).exited, /isolation.*process/);
    assert.equal((await run(HELLO, { timeoutMs: LIMIT })).stdout, 'hello world');
  },
);
