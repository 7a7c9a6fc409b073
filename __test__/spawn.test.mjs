// Programs with live streams: spawn().
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, promises, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import test from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  bytesOf,
  CAT,
  command,
  ENDLESS,
  HELLO,
  printing,
  rejection,
  SLEEPING,
  THREADS,
  TRAP,
  writing,
  YES,
} from './support/programs.mjs';

const require = createRequire(import.meta.url);
const { spawn, WASILimitError } = require('../index.js');

const MIB = 2 ** 20;
/** All of the bytes take a while on a busy machine. */
const BYTES = Number(process.env.WASI_RS_SPAWN_MIB ?? 256) * MIB;
const cannotEnd = process.versions.bun || process.versions.deno;
const skip =
  (cannotEnd && 'a thread that computes cannot be ended') ||
  (process.platform === 'win32' && 'there are no pipes to a thread');
const options = { skip, timeout: 300_000 };
const descriptors = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);

const textOf = async (stream) => {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
};

test('streams are live', options, async () => {
  const guest = spawn(CAT);
  guest.stdout.setEncoding('utf8');
  for (const line of ['one', 'two', 'three']) {
    guest.stdin.write(line);
    const [echoed] = await once(guest.stdout, 'data');
    assert.equal(echoed, line);
  }
  guest.stdin.end();
  const { durationMs, startMs, ...rest } = await guest.exited;
  assert.deepEqual(rest, {
    reason: 'exit',
    exitCode: 0,
    truncated: { stdout: false, stderr: false },
    files: new Map(),
    changes: [],
    memoryBytes: 2 * 65536,
  });
  assert.ok(durationMs > 0 && startMs > 0);
});

test('what the guest wrote can be read after its end', options, async () => {
  const guest = spawn(printing(2, 'late', '(call $exit (i32.const 3))'), { stdin: 'ignore' });
  const { exitCode } = await guest.exited;
  await after(50);
  assert.equal(exitCode, 3);
  assert.deepEqual(await Promise.all([textOf(guest.stdout), textOf(guest.stderr)]), ['', 'late']);
});

test('a stream may go elsewhere', options, async () => {
  const guest = spawn(CAT, { stdin: 'täxt', stderr: 'ignore' });
  assert.deepEqual(await Promise.all([textOf(guest.stdout), textOf(guest.stderr)]), ['täxt', '']);
  guest.stdin.write('x');
  assert.equal((await guest.exited).reason, 'exit');
});

test('much goes in and out at once, byte for byte, in little memory', options, async () => {
  const guest = spawn(CAT);
  // It stands, and has been read from and written to.
  guest.stdin.write('x');
  await once(guest.stdout, 'data');
  const idle = process.memoryUsage.rss();
  const block = Buffer.allocUnsafe(3 * 65536 + 11);
  for (let i = 0; i < block.length; i++) block[i] = (i * 7919) >> 3;
  const [sent, received] = [createHash('sha1'), createHash('sha1')];
  let most = 0;
  let count = 0;
  const input = Readable.from(
    (function* () {
      for (let left = BYTES; left > 0; left -= block.length) {
        const piece = block.subarray(0, Math.min(left, block.length));
        sent.update(piece);
        yield piece;
      }
    })(),
  );
  const output = new Writable({
    write(chunk, _encoding, done) {
      received.update(chunk);
      if (count++ % 64 === 0) most = Math.max(most, process.memoryUsage.rss());
      done();
    },
  });
  await Promise.all([pipeline(input, guest.stdin), pipeline(guest.stdout, output)]);
  assert.equal((await guest.exited).reason, 'exit');
  assert.equal(received.digest('hex'), sent.digest('hex'));
  assert.ok(most - idle < 64 * MIB, `${(most - idle) / MIB} MiB more`);
});

test('while nobody reads, the guest waits and nobody computes', options, async () => {
  const guest = spawn(YES);
  await once(guest.stdout, 'readable');
  await after(300);
  const { user, system } = process.cpuUsage();
  const idle = process.memoryUsage.rss();
  await after(1000);
  const used = process.cpuUsage();
  const ms = (used.user + used.system - user - system) / 1000;
  assert.ok(ms < 200, `${ms} ms of a second`);
  assert.ok(process.memoryUsage.rss() - idle < 16 * MIB);
  // It goes on when somebody does.
  let bytes = 0;
  for await (const chunk of guest.stdout) {
    bytes += chunk.length;
    if (bytes > 4 * MIB) break;
  }
  // Who reads no more has closed the pipe: errno 64.
  assert.deepEqual((await guest.exited).exitCode, 64);
});

test('a guest that closes its input early, or ends, ends no process', options, async () => {
  const closing = command(
    `(if (call $close (i32.const 0)) (then unreachable)) ${writing(1, 4)}
    (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 200000000))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))`,
    { more: '(data (i32.const 1024) "done")' },
  );
  for (const [wasm, text] of [
    [closing, 'done'],
    [HELLO, 'hello world'],
  ]) {
    const guest = spawn(wasm);
    const failed = once(guest.stdin, 'error');
    const feed = setInterval(() => guest.stdin.write(Buffer.alloc(MIB)), 5);
    const [error] = await failed;
    clearInterval(feed);
    assert.equal(error.code, 'EPIPE');
    assert.equal(await textOf(guest.stdout), text);
    assert.equal((await guest.exited).exitCode, 0);
  }
});

test('kill ends a guest, whatever it does', options, async () => {
  for (const wasm of [ENDLESS, SLEEPING, CAT, YES]) {
    const guest = spawn(wasm);
    if (wasm === CAT) {
      // Both are full.
      while (guest.stdin.write(Buffer.alloc(MIB)));
      await after(300);
    } else {
      await after(wasm === ENDLESS ? 0 : 200);
    }
    guest.kill();
    const { reason, exitCode, error } = await guest.exited;
    assert.deepEqual([reason, exitCode], ['killed', null]);
    assert.ok(error instanceof WASILimitError);
    guest.kill();
    for await (const chunk of guest.stdout) void chunk;
  }
  const ended = spawn(HELLO);
  assert.equal((await ended.exited).reason, 'exit');
  ended.kill();
});

test('time and signals end a guest', options, async () => {
  const late = await spawn(SLEEPING, { timeoutMs: 50 }).exited;
  assert.deepEqual([late.reason, late.error.limit], ['timeout', 'timeoutMs']);
  const mine = { my: 'reason' };
  for (const delay of ['before', 0, 200]) {
    const controller = new AbortController();
    if (delay === 'before') controller.abort(mine);
    else setTimeout(() => controller.abort(mine), delay);
    const { reason, exitCode, error } = await spawn(ENDLESS, { signal: controller.signal }).exited;
    assert.deepEqual([reason, exitCode, error], ['aborted', null, mine]);
  }
});

test('a trap, and what a guest leaves', options, async () => {
  const { reason, error, files } = await spawn(TRAP, { preopens: { '/m': { memory: { a: 'b' } } } })
    .exited;
  assert.equal(reason, 'trap');
  assert.ok(error instanceof WebAssembly.RuntimeError);
  assert.deepEqual([...files.keys()], ['/m/a']);
  assert.equal((await spawn(THREADS).exited).exitCode, 42);
});

test('what is wrong rejects, and the streams learn of it', options, async () => {
  for (const [wasm, wrong, code] of [
    ['/nowhere/at/all', {}, 'ENOENT'],
    [Buffer.from('none'), {}, 'ERR_WASI_MODULE'],
    [HELLO, { args: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { encoding: 'utf8' }, 'ERR_INVALID_ARG_VALUE'],
    [HELLO, { stdout: () => {} }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: { columns: 0, rows: 5 } }, 'ERR_OUT_OF_RANGE'],
    [HELLO, { tty: { columns: 5, rows: 0 } }, 'ERR_OUT_OF_RANGE'],
    [HELLO, { tty: { columns: 65536, rows: 5 } }, 'ERR_OUT_OF_RANGE'],
    [HELLO, { tty: { columns: 5, rows: 1.5 } }, 'ERR_OUT_OF_RANGE'],
    [HELLO, { tty: { columns: '5', rows: 5 } }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: { columns: 5 } }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: { columns: 5, rows: 5, raw: 1 } }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: { columns: 5, rows: 5, row: 5 } }, 'ERR_INVALID_ARG_VALUE'],
    [HELLO, { tty: null }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: true }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { tty: new Map() }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { signal: null }, 'ERR_INVALID_ARG_TYPE'],
    [HELLO, { isolation: 'none' }, 'ERR_INVALID_ARG_VALUE'],
    [HELLO, { preopens: { '/': '/nowhere/at/all' } }, 'UVWASI_ENOENT'],
    [bytesOf('(module)'), {}, 'ERR_INVALID_ARG_VALUE'],
  ]) {
    const guest = spawn(wasm, wrong);
    const seen = await rejection(textOf(guest.stdout));
    assert.equal(seen.code, code);
    assert.equal((await rejection(guest.exited)).code, code);
    assert.ok(guest.stdin.destroyed && guest.stderr.destroyed);
  }
  assert.throws(() => spawn(HELLO).resize(1, 1), { code: 'ERR_WASI_NO_TERMINAL' });
  const terminal = spawn(HELLO, { tty: { columns: 65535, rows: 1, raw: false } });
  for (const [columns, rows, code] of [
    [0, 1, 'ERR_OUT_OF_RANGE'],
    [1, 65536, 'ERR_OUT_OF_RANGE'],
    [1, undefined, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    assert.throws(() => terminal.resize(columns, rows), { code });
  }
  assert.equal((await terminal.exited).reason, 'exit');
});

test('who uses only the streams, or only the end, gets no uncaught error', options, () => {
  const index = JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)));
  for (const use of [
    `(async () => { for await (const chunk of guest.stdout); })().catch(({ code }) => console.log(code))`,
    `guest.exited.catch(({ code }) => console.log(code))`,
    `console.log('ENOENT')`,
  ]) {
    const script = `const guest = require(${index}).spawn('/nowhere/at/all'); ${use}`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.deepEqual([status, stdout, stderr], [0, 'ENOENT\n', '']);
  }
});

test('many guests that wait take none of the threads that read files', options, async (t) => {
  const guests = Array.from({ length: 64 }, () => spawn(CAT));
  t.after(() => Promise.all(guests.map((guest) => (guest.kill(), guest.exited))));
  for (const guest of guests) guest.stdin.write('x');
  await Promise.all(guests.map((guest) => once(guest.stdout, 'data')));
  const start = performance.now();
  for (let i = 0; i < 20; i++) await promises.readFile(fileURLToPath(import.meta.url));
  assert.ok(performance.now() - start < 5000);
});

test('nothing is left open', options, async () => {
  const use = () =>
    Promise.all([
      spawn(HELLO).exited,
      spawn(ENDLESS, { timeoutMs: 20 }).exited,
      spawn('/nowhere/at/all').exited.catch(() => {}),
      spawn(HELLO, { args: 5 }).exited.catch(() => {}),
      spawn(HELLO, { preopens: { '/': '/nowhere' } }).exited.catch(() => {}),
      spawn(ENDLESS, { signal: AbortSignal.abort(1) }).exited,
      spawn(HELLO, { startTimeoutMs: 0 }).exited.catch(() => {}),
      disposed(),
    ]);
  async function disposed() {
    const guest = spawn(SLEEPING);
    await guest[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]();
    assert.ok(guest.stdin.destroyed && guest.stdout.destroyed && guest.stderr.destroyed);
  }
  await use();
  await settled();
  const before = descriptors();
  for (let i = 0; i < 3; i++) await use();
  await settled(before);
  assert.ok(descriptors() <= before, `${descriptors()} and ${before}`);
});

/** Waits for the ends of Workers, which have descriptors of their own. */
async function settled(most = 0) {
  for (let i = 0; i < 40 && (most === 0 || descriptors() > most); i++) {
    await after(25);
  }
}

test(
  'no child inherits a pipe',
  { ...options, skip: skip || process.platform !== 'linux' },
  async (t) => {
    const inherited = () =>
      spawnSync('/bin/sh', ['-c', 'ls /proc/self/fd'], { encoding: 'utf8' }).stdout;
    const before = inherited();
    const guests = Array.from({ length: 4 }, () => spawn(CAT));
    t.after(() => Promise.all(guests.map((guest) => (guest.kill(), guest.exited))));
    for (const guest of guests) guest.stdin.write('x');
    await Promise.all(guests.map((guest) => once(guest.stdout, 'data')));
    assert.equal(inherited(), before);
  },
);
