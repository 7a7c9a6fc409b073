// `node bench/whole.mjs [SERIES...] [OPTIONS]`: what calls in a warm process do not show. Each
// figure is the median of rounds, in each of which every implementation has its turn in a process of
// its own.
//
//   start      a process from its start to its end: `require`, `new WASI()`, instantiate, 20 calls
//   instances  `new WASI()`, instantiate, `start()` and `close()` of hello world, again and again;
//              bare is an instance whose import does nothing
//   threads    two threads of one guest that read and write a descriptor each, against one thread
//   programs   published programs from `new WASI()` to their end, without their compilation;
//              wasmtime (PyPI) compiles ahead
//
// OPTIONS are those of `npm run bench`: --node, --rounds, --filter (for programs), --json, --plot,
// --check, --update. What is kept lies in whole-ratios.json. Of the threads it is the time of two
// that each do what one does, as a part of the time of one.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, parsedArguments, python, say } from '../scripts/process.mjs';
import { prepareFolder } from './folder.mjs';
import { assemble } from './measurement.mjs';
import { buildNative, machine, measureThreads, nodeFlags } from './processes.mjs';
import { ENV, publishedPackage, requireAddon, versionOf } from './processes.mjs';
import { publishedPrograms, WASMTIME } from './published.mjs';
import { checkedOptions, compareOrKeep } from './ratios.mjs';
import { rows } from './rows.mjs';

const CHILD = fileURLToPath(new URL('whole-child.cjs', import.meta.url));
const EXTISM_PLUGIN = fileURLToPath(
  new URL('../__test__/compat/extism-plugin.wasm', import.meta.url),
);
const HELP =
  'usage: node bench/whole.mjs [start] [instances] [threads] [programs] [OPTIONS of npm run bench]';

const HELLO = `(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\08\\00\\00\\00\\0c\\00\\00\\00hello world\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;

/** So many that the start of the threads is no part of the time. */
const TURNS = 1_000_000;

/** A guest of wasi-threads whose threads write and read 4 KiB of a file each, again and again. */
const threaded = (count) => `(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread"
    (func $read (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite"
    (func $write (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 4 4 shared))
  (export "memory" (memory 0))
  (data (i32.const 64) "thread-0thread-1")
  (func (export "wasi_thread_start") (param $id i32) (param $which i32)
    (local $at i32) (local $fd i32) (local $turns i32)
    (local.set $at (i32.add (i32.const 4096) (i32.mul (local.get $which) (i32.const 32768))))
    (if (call $open (i32.const 3) (i32.const 0)
          (i32.add (i32.const 64) (i32.mul (local.get $which) (i32.const 8))) (i32.const 8)
          (i32.const 1) (i64.const 70) (i64.const 0) (i32.const 0) (local.get $at))
      (then unreachable))
    (local.set $fd (i32.load (local.get $at)))
    (i32.store (local.get $at) (i32.add (local.get $at) (i32.const 64)))
    (i32.store offset=4 (local.get $at) (i32.const 4096))
    (local.set $turns (i32.const ${TURNS}))
    (loop $again
      (if (call $write (local.get $fd) (local.get $at) (i32.const 1) (i64.const 0)
            (i32.add (local.get $at) (i32.const 8)))
        (then unreachable))
      (if (call $read (local.get $fd) (local.get $at) (i32.const 1) (i64.const 0)
            (i32.add (local.get $at) (i32.const 8)))
        (then unreachable))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start")
    ${Array.from({ length: count }, (_, i) => `(drop (call $spawn (i32.const ${i})))`).join(' ')}
    (loop $again
      (drop (memory.atomic.wait32 (i32.const 0)
        (i32.atomic.load (i32.const 0)) (i64.const 10000000)))
      (br_if $again (i32.lt_u (i32.atomic.load (i32.const 0)) (i32.const ${count}))))))`;

const series = { start, instances, threads, programs };
const { values, positionals } = options();
const wanted = positionals.length > 0 ? positionals : Object.keys(series);
const { rounds, filter } = checkedOptions(values);
requireAddon();
const { version, major } = versionOf(values.node);
const folder = prepareFolder([]);
const published = await publishedPackage();
say(`Node.js ${version}, ${machine()}, medians of ${rounds} rounds`);
const results = [];
/** How the last process ended that could not do its work. */
let lastFailure;
for (const name of wanted) await series[name]();
const about = { node: version, machine: machine() };
if (values.json) {
  writeFileSync(values.json, `${JSON.stringify({ ...about, rows: results }, null, 2)}\n`);
}
if (values.plot) {
  const { plot } = await import('./plot.mjs');
  const heading = 'Time of whole programs: wasi-rs as a part of node:wasi';
  const compared = results.filter(({ isAgainstNode }) => isAgainstNode);
  if (compared.length === 0) fail('--plot: nothing of this was measured against node:wasi');
  writeFileSync(values.plot, await plot(compared, { ...about, heading }));
}
compareOrKeep('whole-ratios.json', major, results, values);

function options() {
  const known = {
    node: { type: 'string', default: process.execPath },
    rounds: { type: 'string', default: '12' },
    filter: { type: 'string', default: '' },
    json: { type: 'string' },
    plot: { type: 'string' },
    check: { type: 'boolean' },
    update: { type: 'boolean' },
  };
  const parsed = parsedArguments({ allowPositionals: true, options: known }, HELP);
  const unknown = parsed.positionals.find((name) => !Object.hasOwn(series, name));
  if (unknown !== undefined) fail(`${unknown}: no such series\n${HELP}`);
  return parsed;
}

async function start() {
  const row = rows.find(({ fixture }) => fixture === 'start');
  const { wasm } = await assemble(folder, [row], 'start.wasm');
  const kinds = ['nothing', 'floor', 'wasi-rs', 'node:wasi'];
  const times = turns(kinds, (kind) => {
    const before = performance.now();
    child('start', kind, wasm, row.name);
    return performance.now() - before;
  });
  print('a process with 20 calls', 'ms', times, kinds, 1);
}

async function instances() {
  const wasm = await module('hello.wasm', HELLO);
  const kinds = ['bare', 'wasi-rs', 'node:wasi'];
  print(
    'an instance of hello world',
    'us',
    turns(kinds, (kind) => child('instances', kind, wasm)),
    kinds,
  );
}

async function threads() {
  const modules = {};
  for (const count of [1, 2]) {
    modules[count] = await module(`threads-${count}.wasm`, threaded(count), { threads: true });
  }
  const native = buildNative();
  const kinds = native === undefined ? ['wasi-rs'] : ['wasi-rs', 'bare'];
  const series = kinds.flatMap((kind) => [`${kind} 1`, `${kind} 2`]);
  const times = turns(series, (one) => {
    const [kind, count] = one.split(' ');
    return kind === 'bare'
      ? measureThreads(native, folder, count, TURNS)
      : child('threads', kind, modules[count]);
  });
  const figures = Object.fromEntries(series.map((one) => [one, median(times[one])]));
  // Of twice the work in the same time each has done as much as one alone.
  const of = (kind) => (2 * figures[`${kind} 1`]) / figures[`${kind} 2`];
  const texts = kinds.map((kind) => `${kind} ${of(kind).toFixed(2)}`);
  console.log(`two threads, times the work of one: ${texts.join(', ')}`);
  const ratio = figures['wasi-rs 2'] / figures['wasi-rs 1'];
  results.push({ name: 'two threads', unit: 'ms', figures, ratio, isAgainstNode: false });
}

async function programs() {
  const { files: fetched, ...published } = await publishedPrograms();
  // In memory, as all that is measured: a disk's journal has times of its own.
  const files = join(folder, 'files');
  cpSync(fetched, files, { recursive: true });
  const extism = 'Extism makes plugins and calls them';
  if (filter.test(extism)) {
    const kinds = ['wasi-rs', 'node:wasi'];
    const work = join(files, 'work');
    const times = turns(kinds, (kind) =>
      child('extism', kind, EXTISM_PLUGIN, published.extism, work),
    );
    print(extism, 'ms', times, kinds);
  }
  const wasmtime = join(python('wasmtime', [WASMTIME]), 'python');
  for (const { name, wasm, args } of published.programs.filter((one) => filter.test(one.name))) {
    const kinds = ['wasi-rs', 'node:wasi', 'wasmtime'];
    let printed;
    const times = turns(kinds, (kind) => {
      const work = join(files, 'work');
      rmSync(work, { recursive: true, force: true });
      mkdirSync(work);
      const output = join(folder, 'output');
      const preopens = { '/': files };
      const time =
        kind === 'wasmtime'
          ? underWasmtime(wasmtime, [wasm, output, JSON.stringify(preopens), JSON.stringify(args)])
          : child('program', kind, wasm, JSON.stringify({ output, preopens, args }));
      const text = readFileSync(output, 'utf8');
      printed ??= text;
      if (time !== undefined && text !== printed) fail(`${name}: ${kind} printed something else`);
      return time;
    });
    print(name, 'ms', times, kinds);
  }
}

function underWasmtime(python, args) {
  const script = fileURLToPath(new URL('wasmtime-run.py', import.meta.url));
  const { status, signal, stdout } = spawnSync(python, [script, ...args], { encoding: 'utf8' });
  if (status === 0) return Number(stdout);
  lastFailure = signal ?? `exit code ${status}`;
  return undefined;
}

async function module(name, text, features = {}) {
  const wabt = await createRequire(import.meta.url)('wabt')();
  const parsed = wabt.parseWat(name, text, features);
  const path = join(folder, name);
  writeFileSync(path, parsed.toBinary({}).buffer);
  parsed.destroy();
  return path;
}

function turns(kinds, turn) {
  const times = Object.fromEntries(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    // In six rounds three kinds have all their orders: what one leaves behind falls on the one after
    // it, and a process is faster after one of the same program.
    const first = round % kinds.length;
    const order = [...kinds.slice(first), ...kinds.slice(0, first)];
    if (Math.floor(round / kinds.length) % 2 === 1) order.reverse();
    for (const kind of order) {
      const time = turn(kind);
      if (time !== undefined) times[kind].push(time);
    }
  }
  return times;
}

/** @returns {number | undefined} what the child printed; nothing, where it could not do its work */
function child(mode, kind, ...args) {
  const command = [...nodeFlags(major), CHILD, mode, kind, published, folder, ...args];
  const { status, signal, stdout, stderr } = spawnSync(values.node, command, {
    encoding: 'utf8',
    env: ENV,
  });
  if (status === 0) return Number(stdout);
  if (kind !== 'node:wasi') fail(`${mode}, ${kind}: ${signal ?? status}: ${stderr}`);
  lastFailure = signal ?? `exit code ${status}`;
  return undefined;
}

function median(list) {
  return [...list].sort((one, other) => one - other)[list.length >> 1];
}

function print(name, unit, times, kinds) {
  const figures = Object.fromEntries(kinds.map((kind) => [kind, median(times[kind])]));
  const texts = kinds.map(
    (kind) => `${kind} ${figures[kind]?.toFixed(1) ?? `failed (${lastFailure})`}`,
  );
  const { 'wasi-rs': here, 'node:wasi': there } = figures;
  const ratio = there === undefined ? undefined : here / there;
  const tail = ratio === undefined ? '' : `; wasi-rs / node:wasi ${ratio.toFixed(2)}`;
  console.log(`${name} (${unit}): ${texts.join(', ')}${tail}`);
  results.push({ name, unit, figures, ratio, isAgainstNode: true });
}
