// The costs of waiting without a thread, side by side with the plain way: the aims of `suspend`.
//
//   node bench/suspend.mjs [--rounds N] [--guests N]
//
// Needs Node.js 24.20 or later; runs under Deno and Bun, too. Run it with --expose-gc for the memory.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { countOf, fail, parsedArguments } from '../scripts/process.mjs';
import { buildWake } from './processes.mjs';
import { SERVERS, clientsOf, served } from '../__test__/support/http-servers.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const wabt = await require('wabt')();

const { values } = parsedArguments({
  options: {
    rounds: { type: 'string', default: '15' },
    guests: { type: 'string', default: '1000' },
  },
});
const rounds = countOf('--rounds', values.rounds);
const guests = countOf('--guests', values.guests);
if (WebAssembly.Suspending === undefined) fail('this takes Node.js 24.20 or later, Deno or Bun');

/** A loop of `$n` turns around a call. */
const loop = (name, call) => `
  (func (export "${name}") (param $n i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i32.store (i32.const 300) (i32.const 1024))
    (loop $on
      (i32.store (i32.const 304) (i32.const 64))
      (drop ${call})
      (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))`;
const four = '(param i32 i32 i32 i32) (result i32)';
const source = `(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read ${four}))
  (import "wasi_snapshot_preview1" "fd_write" (func $write ${four}))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll ${four}))
  (import "host" "resolved" (func $resolved (result i32)))
  (memory (export "memory") 1)
  ${loop('clock_time_get', '(call $clock (i32.const 1) (i64.const 0) (i32.const 200))')}
  ${loop('fd_read', '(call $read (i32.const 0) (i32.const 300) (i32.const 1) (i32.const 200))')}
  ${loop('fd_write', '(call $write (i32.const 1) (i32.const 300) (i32.const 1) (i32.const 200))')}
  ${loop('poll_oneoff', '(call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))')}
  ${loop('resolved', '(call $resolved)')}
  (func (export "sleep") (param $ns i64)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (local.get $ns))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))`;
const module = new WebAssembly.Module(wabt.parseWat('suspend.wat', source).toBinary({}).buffer);

function make(options) {
  const streams = { stdin: 'ignore', stdout: 'ignore' };
  const wasi = new WASI({ version: 'preview1', ...streams, ...options });
  const resolved = new WebAssembly.Suspending(() => Promise.resolve(0));
  const imports = { ...wasi.getImportObject(), host: { resolved } };
  const instance = new WebAssembly.Instance(module, imports);
  wasi.finalizeBindings(instance);
  return { wasi, exports: instance.exports };
}

/**
 * The least time of a turn in nanoseconds, of functions that take turns: of the processor, because
 * other work of the machine would hide a few nanoseconds.
 */
async function least(functions, turns) {
  const best = functions.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (const [at, run] of functions.entries()) {
      const start = process.cpuUsage();
      await run(turns);
      const { user, system } = process.cpuUsage(start);
      best[at] = Math.min(best[at], ((user + system) * 1000) / turns);
    }
  }
  return best;
}

const print = (row, ...columns) =>
  console.log([row.padEnd(44), ...columns.map((text) => String(text).padStart(14))].join(''));
const ns = (number) => `${number.toFixed(1)} ns`;
const major = Number(process.versions.node.split('.')[0]);

console.log(`calls that do not wait, both ways under a promising function`);
print('', 'plain', 'suspend', 'above', 'aim');
const [plain, suspended] = [make({}), make({ suspend: true })];
for (const name of ['clock_time_get', 'fd_read', 'fd_write', 'poll_oneoff']) {
  const entries = [plain, suspended].map(({ exports }) => WebAssembly.promising(exports[name]));
  const [without, with_] = await least(entries, 100_000);
  const aim = name === 'clock_time_get' ? 3 : major >= 26 ? 5 : 10;
  print(name, ns(without), ns(with_), ns(with_ - without), `${aim} ns`);
}

console.log('\na call that waits for a promise that is resolved');
print('', 'the promise', 'the call', 'above', 'aim');
{
  const chunk = new Uint8Array(64);
  const { exports } = make({ suspend: true, stdin: () => Promise.resolve(chunk) });
  const entries = ['resolved', 'fd_read'].map((name) => WebAssembly.promising(exports[name]));
  const [promise, read] = await least(entries, 10_000);
  print('fd_read of an async function', ns(promise), ns(read), ns(read - promise), '2000 ns');
}

console.log('\na sleep of 1 ms and more: how late it ends');
{
  const sleep = WebAssembly.promising(suspended.exports.sleep);
  // The same by a thread that sleeps by a timer of the kernel and then calls a threadsafe function:
  // the least that a thread beside the event loop takes.
  const wake = buildWake();
  const bare = wake && require(wake);
  let awake;
  bare?.start(() => awake());
  const bareSleep = (ns) => new Promise((resolve) => ((awake = resolve), bare.sleep(Number(ns))));
  const ways = bare === undefined ? { sleep } : { sleep, 'bare thread': bareSleep };
  const now = () => Number(process.hrtime.bigint()) / 1000;
  /**
   * How many microseconds each sleep ended after its time, and after the loop was free then: each
   * way in turn.
   */
  const sleeps = async (freeAt) => {
    const late = Object.keys(ways).map(() => []);
    for (let at = 0; at < 300; at++) {
      const time = 1_000_000n + BigInt(at) * 7919n;
      for (const [index, way] of Object.values(ways).entries()) {
        const due = now() + Number(time) / 1000;
        await way(time);
        late[index].push(now() - Math.max(due, freeAt(due)));
      }
    }
    return late.map((list) => list.sort((one, other) => one - other));
  };
  const rows = (name, all) => {
    for (const [index, late] of all.entries()) {
      const us = (part) => `${late[Math.floor(late.length * part)].toFixed(0)} us`;
      const isOurs = index === 0;
      print(
        isOurs ? name : `  ${Object.keys(ways)[index]}`,
        us(0),
        us(0.5),
        us(0.95),
        isOurs ? '0 to 100 us' : 'the least',
      );
    }
  };
  print('', 'least', 'median', '95 of 100', 'aim');
  await sleeps(() => 0);
  rows('the loop idles', await sleeps(() => 0));

  // The host works for two milliseconds in each turn of the loop. The loop is free again at the end
  // of the piece of work in which the sleep was over.
  let pieces = [];
  let isOver = false;
  const work = () => {
    const begin = now();
    while (now() < begin + 2000);
    pieces = [...pieces.slice(-9), [begin, now()]];
    if (!isOver) setImmediate(work);
  };
  setImmediate(work);
  const freeAt = (due) => pieces.find(([begin, end]) => begin <= due && due < end)?.[1] ?? 0;
  rows('above the delay of a loop that works', await sleeps(freeAt));
  isOver = true;
  bare?.stop();
}

console.log(`\n${guests} guests that sleep for a second at once`);
print('', 'measured', 'aim');
{
  // Apart from the times, because to collect garbage takes a good part of a second; and before
  // them, because what they leave would be used again.
  if (globalThis.gc === undefined) console.log('without --expose-gc, garbage counts as memory');
  const rss = async () => {
    for (let at = 0; at < 3 && globalThis.gc; at++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return process.memoryUsage().rss;
  };
  const all = Array.from({ length: guests }, () => make({ suspend: true }));
  for (const { exports } of all) new Uint8Array(exports.memory.buffer)[200] = 1;
  const before = await rss();
  const slept = all.map(({ wasi, exports }) => wasi.promising(exports.sleep)(60_000_000_000n));
  const each = ((await rss()) - before) / guests / 1024;
  for (const { wasi } of all) wasi.close();
  await Promise.allSettled(slept);
  print('memory of each above one not suspended', `${each.toFixed(1)} KiB`, '10 KiB');
}
{
  const all = Array.from({ length: guests }, () => make({ suspend: true }));
  // By how much a timer of the host comes later than it was asked for, which is 1 ms.
  // `monitorEventLoopDelay` would count that time in.
  const delays = [];
  let asked;
  let isOver = false;
  const look = () => {
    const time = performance.now();
    if (asked !== undefined) delays.push(time - asked - 1);
    asked = time;
    if (!isOver) setTimeout(look, 1);
  };
  const late = [];
  const start = performance.now();
  const slept = all.map(async ({ wasi, exports }) => {
    const begin = performance.now();
    await wasi.promising(exports.sleep)(1_000_000_000n);
    late.push(performance.now() - begin - 1000);
  });
  const begun = performance.now() - start;
  look();
  await Promise.all(slept);
  const took = performance.now() - start;
  isOver = true;
  const part = (list, part) =>
    list.sort((one, other) => one - other)[Math.floor(list.length * part)];
  const ms = (number) => `${number.toFixed(2)} ms`;
  print('all begun within', ms(begun));
  print('all done within', ms(took), '1300 ms');
  print('the earliest is late by', ms(part(late, 0)), '>= 0');
  print('the median is late by', ms(part(late, 0.5)));
  print('the latest is late by', ms(late.at(-1)));
  if (delays.length === 0) throw new Error('the loop has not gone on meanwhile');
  print(`delay of the event loop, 99 of 100`, ms(part(delays, 0.99)), '5 ms');
  print('delay of the event loop, the longest', ms(delays.at(-1)), `of ${delays.length}`);
}

const job = { requests: 10_000, connections: 64 };
console.log(`\nan HTTP server, ${job.requests} requests over ${job.connections} connections`);
print('', 'blocking', 'suspended', 'ratio', 'lost', 'aim');
for (const { name, file, socket, keepAlive, skip } of SERVERS) {
  if (skip) {
    print(name, skip);
    continue;
  }
  const best = { blocking: 0, suspended: 0 };
  let lost = 0;
  const ask = async (where, kind) => {
    const { milliseconds, ...told } = await clientsOf(undefined, {
      host: where.address,
      port: where.port,
      isClosing: !keepAlive,
      ...job,
    });
    lost += told.lost;
    best[kind] = Math.max(best[kind], (told.answers / milliseconds) * 1000);
  };
  const quit = ({ address, port }) => fetch(`http://${address}:${port}/quit`).catch(() => {});
  for (let round = 0; round < 3; round++) {
    // In a process of its own.
    const apart = await served(undefined, file, [socket], ['#0']);
    await ask(apart.sockets[0], 'blocking');
    quit(apart.sockets[0]);
    await apart.end;
    // In this thread.
    const streams = { stdin: 'ignore', stdout: 'ignore' };
    const args = ['server', '3'];
    const wasi = new WASI({ suspend: true, args, env: {}, ...streams, sockets: [socket] });
    const server = await WebAssembly.compile(readFileSync(file));
    const ended = wasi.startAsync(new WebAssembly.Instance(server, wasi.getImportObject()));
    await ask(wasi.sockets[0], 'suspended');
    quit(wasi.sockets[0]);
    await ended;
    wasi.close();
  }
  const rate = (number) => `${Math.round(number)} /s`;
  const ratio = (best.suspended / best.blocking).toFixed(2);
  print(name, rate(best.blocking), rate(best.suspended), ratio, lost, '0.50, 0 lost');
}
