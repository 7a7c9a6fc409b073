// Random command lines: each is taken, or refused in one line that has the right form, and then
// nothing is run.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { functionsOfComponents, parse, UsageError } = require('../lib/cli-options.js');
const { FUNCTIONS } = require('../lib/cli-look.js');

const CLI = fileURLToPath(new URL('../bin/wasi-rs.js', import.meta.url));
const ENVIRONMENT = { HOME: '/home', EMPTY: '' };
const LINES = 30_000;
const RUNS = 25;

/** A generator of numbers that is the same each time: mulberry32. */
function random(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const OPTIONS = [
  'dir', 'mem-dir', 'env', 'inherit-env', 'argv0', 'stdin', 'invoke', 'timeout', 'max-memory',
  'max-fds', 'unknown-imports', 'trace', 'trace-file', 'stats', 'help', 'version',
]; // prettier-ignore
const VALUES = [
  'trap', 'data', 'data::/d', 'data::/d:ro', 'data:/d', '::', '::/d', 'a::b::c', 'd:rw', ':ro', '/', '.',
  '5', '500ms', '5s', '2m', '1h', '-1', '0', '1e3', '1.5s', '.5', 'ms', 'NaN', 'Infinity', '9'.repeat(400),
  '64m', '1G', '64mb', '0x10', '512k', ' 5', '5 ', '', 'A=1', 'A', '=x', 'HOME', 'EMPTY', 'NOSUCH',
  '__proto__', '__proto__=1', 'constructor', 'fd_read', 'path,fd', 'path,,fd', 'poll', 'thread-spawn',
  '-', '--', '---', '-h', '-V', '-x', 'a\nb', '\u001b[31m', '\ud800', '\u202e', 'ä'.repeat(300), 'hello.wasm',
]; // prettier-ignore

function commandLine(next) {
  const one = (list) => list[next(list.length)];
  const words = [];
  if (next(4) === 0) words.push(one(['run', 'inspect', 'help', 'rnu']));
  for (let count = next(5); count > 0; count--) {
    let name = one(OPTIONS);
    // A letter too many, one too few, or two in the wrong order.
    if (next(6) === 0)
      name = name.slice(0, next(name.length)) + one(['', 'x', '-', '=']) + name.slice(1 + next(3));
    const option = one(['--', '--', '--', '--', '-', '', '---']) + name;
    const form = next(4);
    if (form === 0) words.push(option);
    else if (form === 1) words.push(`${option}=${one(VALUES)}`);
    else words.push(option, one(VALUES));
  }
  if (next(3) > 0) words.push('hello.wasm');
  if (next(4) === 0) words.push(one(VALUES));
  return words;
}

/** The error of a wrong command line. */
function parsed(words) {
  try {
    return { asked: parse(words, FUNCTIONS, ENVIRONMENT) };
  } catch (error) {
    if (!(error instanceof UsageError)) {
      throw new Error(`${JSON.stringify(words)} is answered by ${error?.stack}`);
    }
    return { refused: error.message };
  }
}

test('whatever the command line, it is taken or refused in one line with the right form', () => {
  const next = random(18);
  let taken = 0;
  for (let i = 0; i < LINES; i++) {
    const words = commandLine(next);
    const shown = JSON.stringify(words);
    const { asked, refused } = parsed(words);
    if (refused !== undefined) {
      assert.doesNotMatch(refused, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/, shown);
      assert.match(refused, /--[a-z]|wasi-rs |inspect FILE/, shown);
      continue;
    }
    assert.match(asked.command, /^(run|inspect|help|version)$/);
    if (asked.command !== 'run') continue;
    taken++;
    // A line that is accepted has a meaning.
    const { timeout = 0, maxMemory = 0, maxFds = 0, directories, memoryDirectories } = asked;
    assert.ok(timeout >= 0 && timeout <= Number.MAX_SAFE_INTEGER, shown);
    for (const count of [maxMemory, maxFds])
      assert.ok(Number.isSafeInteger(count) && count >= 0, shown);
    const guests = [...directories, ...memoryDirectories].map(({ guest }) => guest);
    assert.ok(
      guests.every((guest) => guest !== ''),
      shown,
    );
    assert.equal(new Set(guests).size, guests.length, shown);
    assert.ok(
      Object.values(asked.env).every((value) => typeof value === 'string'),
      shown,
    );
    assert.equal(Object.getPrototypeOf(asked.env), Object.prototype, shown);
    assert.ok(asked.trace === undefined || asked.trace.size > 0, shown);
    assert.ok(asked.args.length >= 1 && asked.program !== '', shown);
  }
  assert.ok(taken > LINES / 20, `${taken} of ${LINES} were taken`);
});

test('what is refused runs nothing, and leaves nothing behind', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-options-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'data'));
  // A module without code: it would end with 0.
  writeFileSync(
    join(dir, 'hello.wasm'),
    Buffer.from(
      '\0asm\x01\0\0\0\x01\x04\x01`\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b',
      'latin1',
    ),
  );
  const env = { ...process.env, ...ENVIRONMENT };
  delete env.NOSUCH;
  for (const name of ['NODE_OPTIONS', 'NODE_TEST_CONTEXT', 'NODE_V8_COVERAGE']) delete env[name];
  const cli = (words) =>
    spawnSync(process.execPath, [CLI, ...words], {
      cwd: dir,
      env,
      encoding: 'utf8',
      input: '',
      timeout: 60_000,
    });
  assert.equal(cli(['hello.wasm']).status, 0);
  const next = random(19);
  const before = readdirSync(dir);
  for (let runs = 0; runs < RUNS;) {
    const words = commandLine(next);
    if (parsed(words).refused === undefined) continue;
    runs++;
    const { status, stdout, stderr } = cli(words);
    const shown = `${JSON.stringify(words)}: ${stderr}`;
    assert.deepEqual([status, stdout], [2, ''], shown);
    assert.match(stderr, /^wasi-rs: [^\n]+\n$/, shown);
  }
  for (const [trace, program] of [
    ['out.txt', 'none.wasm'],
    ['out.txt', 'data'],
    ['data', 'hello.wasm'],
  ]) {
    assert.equal(cli(['--trace', '--trace-file', trace, program]).status, 2);
  }
  assert.deepEqual(readdirSync(dir), before);
});

test('--trace knows the functions of components that are refused, as traces name them', () => {
  for (const [name, ...functions] of [
    ['create-tcp-socket', 'wasi:sockets/tcp-create-socket#create-tcp-socket'],
    ['http/outgoing-handler', 'wasi:http/outgoing-handler#handle'],
    ['outgoing-request.set-scheme', 'wasi:http/types#[method]outgoing-request.set-scheme'],
    ['from-list', 'wasi:http/types#[static]fields.from-list'],
    ['request-options', /^wasi:http\/types#\[(constructor|method)\]request-options\b/],
    ['now', 'wasi:clocks/monotonic-clock#now', 'wasi:clocks/wall-clock#now'],
    ['socket'],
  ]) {
    const found = functionsOfComponents(name);
    if (functions[0] instanceof RegExp) {
      assert.ok(found.length > 1 && found.every((one) => functions[0].test(one)), found.join());
    } else {
      assert.deepEqual(found.sort(), functions.sort());
    }
    const parsed = () => parse([`--trace=${name}`, 'program.wasm'], FUNCTIONS, {});
    if (functions.length > 0) assert.deepEqual(parsed().traceNames, [name]);
    else assert.throws(parsed, UsageError);
  }
});
