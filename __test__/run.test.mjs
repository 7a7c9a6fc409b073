// A program in one call: compile() and run().
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { withOtherCopy } from './support/copies.mjs';
import {
  bytesOf,
  CAT,
  command,
  ENDLESS,
  growing,
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
const { compile, Pool, run, spawn, WASI, WASILimitError } = require('../index.js');

const PAGE = 65536;
const guest = (name) => fileURLToPath(new URL(`guests/${name}.wasm`, import.meta.url));
const cannotEnd = process.versions.bun || process.versions.deno;
/** Only Node can end a thread that computes. */
const skip = cannotEnd && 'a thread that computes cannot be ended';

const noProc = process.platform !== 'linux' && 'descriptors are counted as Linux shows them';

/** There such a module is not known. */
const noRealms = cannotEnd;
const otherModule = (bytes) => runInNewContext('new WebAssembly.Module(bytes)', { bytes });

const folder = (t) => {
  const path = mkdtempSync(join(tmpdir(), 'wasi-rs-run-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

test('a program in one call', async () => {
  const result = await run(printing(2, 'to stderr', '(call $exit (i32.const 7))'));
  const { durationMs, startMs, memoryBytes, ...rest } = result;
  assert.deepEqual(rest, {
    reason: 'exit',
    exitCode: 7,
    stdout: '',
    stderr: 'to stderr',
    truncated: { stdout: false, stderr: false },
    files: new Map(),
    changes: [],
  });
  assert.ok(durationMs >= 0 && startMs > 0 && durationMs + startMs < 60_000);
  assert.equal(memoryBytes, PAGE);
});

test('a program comes from anywhere', async (t) => {
  const path = join(folder(t), 'näme with spaces.wasm');
  writeFileSync(path, new Uint8Array(HELLO));
  const bytes = new Uint8Array(HELLO);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const inside = new Uint8Array(bytes.length + 20);
  inside.set(bytes, 10);
  const base64 = Buffer.from(bytes).toString('base64');
  const sources = {
    path,
    'a file URL': pathToFileURL(path),
    'a data URL': new URL(`data:application/wasm;base64,${base64}`),
    'an ArrayBuffer': bytes.slice().buffer,
    'a Buffer': Buffer.from(bytes),
    'a view in the middle': inside.subarray(10, 10 + bytes.length),
    'a DataView': new DataView(bytes.buffer),
    'shared memory': shared,
    'a Response': new Response(bytes),
    'a Blob': new Blob([bytes]),
    'a Module': new WebAssembly.Module(bytes),
    ...(noRealms ? {} : { 'a Module of another realm': otherModule(bytes) }),
    'a Program': await compile(bytes),
    'a promise': Promise.resolve(path),
    'a promise of a Program': compile(path),
  };
  for (const [name, source] of Object.entries(sources)) {
    // A compiled module cannot be sent to another process.
    const options = name.startsWith('a Module') ? { isolation: 'thread' } : {};
    const { stdout, reason } = await run(source, options);
    assert.deepEqual([reason, stdout], ['exit', 'hello world'], name);
  }
});

test('what is no program is a typed error that says what to do', async () => {
  const { LinkError, CompileError } = WebAssembly;
  const component = Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0);
  for (const [wasm, Class, code, text] of [
    ['/nowhere/at/all.wasm', Error, 'ENOENT', /nowhere/],
    [new URL('file:///nowhere/at/all.wasm'), Error, 'ENOENT', /nowhere/],
    ['https://host.invalid/a.wasm', TypeError, 'ERR_INVALID_ARG_VALUE', /new URL\(\.\.\.\)/],
    [Buffer.from(HELLO).toString('latin1'), TypeError, 'ERR_INVALID_ARG_VALUE', /give its bytes/],
    [new URL('ftp://example.com/a.wasm'), TypeError, 'ERR_INVALID_ARG_VALUE', /URL/],
    [new Response('', { status: 404 }), Error, 'ERR_WASI_FETCH', /there: the response answers 404/],
    [Buffer.from('none'), CompileError, 'ERR_WASI_MODULE', /no WebAssembly/],
    [new Uint8Array(), CompileError, 'ERR_WASI_MODULE', /empty/],
    [component, CompileError, 'ERR_WASI_MODULE', /component.*jco/],
    [Buffer.from('(module)'), CompileError, 'ERR_WASI_MODULE', /text.*wat2wasm/],
    [command('drop'), CompileError, undefined, /./],
    [undefined, TypeError, 'ERR_INVALID_ARG_TYPE', /a path, a URL/],
    [{}, TypeError, 'ERR_INVALID_ARG_TYPE', /a path, a URL/],
    [5, TypeError, 'ERR_INVALID_ARG_TYPE', /a path, a URL/],
    [Promise.resolve(5), TypeError, 'ERR_INVALID_ARG_TYPE', /a path, a URL/],
    [
      await withOtherCopy(({ compile: other }) => other(HELLO)),
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      /another copy, such as/,
    ],
    [guest('reactor'), TypeError, 'ERR_INVALID_ARG_VALUE', /reactor.*initialize\(\).*work/],
    [bytesOf('(module)'), TypeError, 'ERR_INVALID_ARG_VALUE', /_start/],
    [guest('unstable'), LinkError, 'ERR_WASI_MISSING_IMPORT', /version: 'unstable'/],
    [
      bytesOf(`(module (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
        (func (export "_start")))`),
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      /memory/,
    ],
  ]) {
    const error = await rejection(run(wasm));
    assert.equal(Object.getPrototypeOf(error), Class.prototype, String(error));
    assert.equal(error.code, code, String(error));
    assert.match(error.message, text);
  }
});

test('an error of linking names all imports that nobody gives', async () => {
  const wasm = bytesOf(`(module
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (import "wasi_snapshot_preview1" "fd_magic" (func))
    (import "mine" "f" (func)) (import "mine" "g" (global i32))
    (func (export "_start")))`);
  const error = await rejection(run(wasm));
  assert.ok(error instanceof WebAssembly.LinkError);
  assert.match(error.message, /wasi_snapshot_preview1\.fd_magic \(function\)/);
  assert.match(error.message, /mine\.f \(function\), mine\.g \(global\)/);
  assert.doesNotMatch(error.message, /sched_yield/);
});

test('options that are wrong reject as the constructor throws, and know all names', async () => {
  for (const [options, Class, code] of [
    [{ args: 'x' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ stdin: -1 }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ stdin: 'pipe' }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ stdout: 'text' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ stdin: () => null }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ stdout: () => {} }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ trace: () => {} }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ version: 'unstable' }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ returnOnExit: false }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ encoding: 'latin1' }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ isolation: 'worker' }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ isolation: null }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ signal: {} }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: null }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: 'text' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: new AbortController() }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ timeoutMs: '5' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ timeoutMs: -1 }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ startTimeoutMs: NaN }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ startTimeoutMs: '5' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ startTimeoutMs: -1 }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ maxThreads: 1.5 }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ maxThreads: -1 }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ maxThreads: '5' }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ maxThreads: null }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ version: null }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ returnOnExit: null }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ suspend: null }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ stderr: () => {} }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ env: 5 }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ preopens: [] }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ stats: 1 }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ limits: null }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ limits: { tableElements: 1.5 } }, RangeError, 'ERR_OUT_OF_RANGE'],
    [[], TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ limits: { memory: 5 } }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ limits: { memoryBytes: -1 } }, RangeError, 'ERR_OUT_OF_RANGE'],
    [{ limits: { outputBytes: '5' } }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ limits: new Map() }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ preopens: new Map([['/d', '.']]) }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ env: new Map([['A', '1']]) }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ timeout: 5 }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ outputCap: 5 }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ suspend: true }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ preopens: { '/': { fs: require('node:fs') } } }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ sockets: [{ port: 1 }] }, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [{ limits: { deadlineMs: 5 } }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [{ tty: {} }, TypeError, 'ERR_INVALID_ARG_VALUE'],
    [5, TypeError, 'ERR_INVALID_ARG_TYPE'],
    [null, TypeError, 'ERR_INVALID_ARG_TYPE'],
  ]) {
    const error = await rejection(run(HELLO, options));
    assert.equal(
      Object.getPrototypeOf(error),
      Class.prototype,
      `${JSON.stringify(options)}: ${error}`,
    );
    assert.equal(error.code, code, String(error));
  }
  // Neither a function nor `suspend` would help, as either is refused.
  for (const options of [{ stdin: new PassThrough() }, { stderr: new PassThrough() }]) {
    const error = await rejection(run(HELLO, options));
    assert.equal(error.code, 'ERR_INVALID_ARG_TYPE');
    assert.match(error.message, /no stream of this thread: .* of spawn\(\) can be piped/);
  }
  // What says nothing else than the default.
  const { reason } = await run(HELLO, { version: 'preview1', returnOnExit: true, suspend: false });
  assert.equal(reason, 'exit');
  const missing = await rejection(run(HELLO, { preopens: { '/': '/nowhere/at/all' } }));
  assert.deepEqual(
    [missing.code, missing.guestPath, missing.hostPath],
    ['UVWASI_ENOENT', '/', '/nowhere/at/all'],
  );
  for (const wrong of [{ limit: {} }, { limits: { openFiles: 1 } }, 5]) {
    await assert.rejects(compile(HELLO, wrong), { name: 'TypeError' });
  }
});

test('a polluted prototype supplies no option', async (t) => {
  const names = ['timeoutMs', 'limits', 'isolation', 'stats', 'memoryBytes', 'outputBytes'];
  t.after(() => names.forEach((name) => delete Object.prototype[name]));
  for (const name of names) {
    Object.defineProperty(Object.prototype, name, { value: 5, configurable: true, writable: true });
  }
  const { reason, stdout } = await run(HELLO, Object.create(null));
  names.forEach((name) => delete Object.prototype[name]);
  assert.deepEqual([reason, stdout], ['exit', 'hello world']);
});

test('the standard input is text, bytes or what WASI takes, and empty by default', async (t) => {
  const large = Buffer.alloc(300_000, 'ab');
  const path = join(folder(t), 'input');
  writeFileSync(path, 'from a file');
  const { openSync, closeSync } = require('node:fs');
  const fd = openSync(path);
  t.after(() => closeSync(fd));
  for (const [stdin, expected] of [
    [undefined, ''],
    ['', ''],
    ['täxt', 'täxt'],
    [Buffer.from('bytes'), 'bytes'],
    [large, large.toString()],
    [large.subarray(10, 13), 'aba'],
    [large.buffer.slice(0, 0), ''],
    ['ignore', ''],
    [fd, 'from a file'],
  ]) {
    const { stdout, reason } = await run(CAT, stdin === undefined ? {} : { stdin });
    assert.ok(reason === 'exit' && stdout === expected, String(stdin).slice(0, 20));
  }
});

const noEval = process.versions.deno && 'there is no -e';
test('the standard input may be that of the process', { skip: noEval }, () => {
  const index = JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)));
  const inherits = `
    const cat = Buffer.from('${Buffer.from(CAT).toString('base64')}', 'base64');
    require(${index}).run(cat, { stdin: 'inherit' })
      .then(({ stdout }) => process.stdout.write(stdout), ({ code }) => console.error(code));`;
  const child = spawnSync(process.execPath, ['-e', inherits], {
    input: 'its own',
    timeout: 60_000,
  });
  assert.deepEqual([String(child.stdout), String(child.stderr)], ['its own', '']);
});

test('output is text or bytes', async () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0x41);
  const { stdout, stderr } = await run(CAT, { stdin: bytes, encoding: 'buffer' });
  assert.ok(stdout instanceof Uint8Array && stderr instanceof Uint8Array);
  assert.deepEqual([...stdout], [...bytes]);
  assert.equal((await run(CAT, { stdin: bytes })).stdout, '\ufffd\0A');
});

test('text is what the same bytes are as text, whatever they are and however many', async () => {
  const outputs = ['', '\0', 'a\0b', '\x7f', '\x80', 'äöü €', '\ufeffmark', 'x'.repeat(65_536)];
  outputs.push('x'.repeat(65_537), `${'x'.repeat(65_535)}é`, `${'x'.repeat(200_000)}é`);
  const all = outputs.map((text) => Buffer.from(text));
  // A character that the end cuts, and bytes that begin none.
  all.push(Buffer.from('x€').subarray(0, 3), Buffer.of(0x61, 0xc3), Buffer.of(0xff, 0xfe));
  for (const isolation of ['thread', 'process']) {
    for (const stdin of all) {
      const { stdout, stderr } = await run(CAT, { stdin, isolation });
      assert.ok(stdout === stdin.toString('utf8'), `${isolation}: ${stdin.length} bytes`);
      assert.equal(stderr, '');
    }
  }
});

test('args begin with the name of the program, which is that of the file', async (t) => {
  const path = join(folder(t), 'named.wasm');
  writeFileSync(path, readFileSync(guest('args')));
  assert.equal((await run(path)).stdout, '1\n[named.wasm]\nok\n');
  assert.equal((await run(await compile(path))).stdout, '1\n[named.wasm]\nok\n');
  assert.equal((await run(readFileSync(path))).stdout, '1\n[program.wasm]\nok\n');
  assert.equal((await run(path, { args: ['a', 'b'] })).stdout, '2\n[a]\n[b]\nok\n');
  assert.equal((await run(path, { args: [] })).stdout.split('\n')[0], '0');
});

test('files of preopens in memory come back by the paths of the guest', async () => {
  const { files, reason } = await run(
    fileURLToPath(new URL('../demo/report.wasm', import.meta.url)),
    {
      preopens: {
        '/input': {
          memory: { 'a.txt': 'one\n', 'deep/b.bin': Uint8Array.of(1, 2) },
          readOnly: true,
        },
        '/output': { memory: {} },
        work: { memory: { c: 'c' } },
        '/output/inner': { memory: { d: 'd' } },
      },
    },
  );
  assert.equal(reason, 'exit');
  assert.deepEqual(
    [...files.keys()],
    ['/input/a.txt', '/input/deep/b.bin', '/output/inner/d', '/output/report.txt', '/work/c'],
  );
  assert.deepEqual([...files.get('/input/deep/b.bin')], [1, 2]);
  assert.equal(Buffer.from(files.get('/work/c')).toString(), 'c');
});

test('links are what they lead to', async () => {
  const wasm = bytesOf(`(module
    (import "wasi_snapshot_preview1" "path_symlink" (func $link (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "filelinkmissing.dangle/etc/passwdout")
    (func $make (param i32 i32 i32 i32)
      (drop (call $link (local.get 0) (local.get 1) (i32.const 3) (local.get 2) (local.get 3))))
    (func (export "_start")
      (call $make (i32.const 0) (i32.const 4) (i32.const 4) (i32.const 4))
      (call $make (i32.const 8) (i32.const 7) (i32.const 16) (i32.const 6))
      (call $make (i32.const 15) (i32.const 1) (i32.const 15) (i32.const 2))
      (call $make (i32.const 22) (i32.const 11) (i32.const 33) (i32.const 3))))`);
  const preopens = { '/': { memory: { file: 'text' } } };
  const { files, changes } = await run(wasm, { preopens });
  const texts = [...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]);
  assert.deepEqual(texts, [
    ['/file', 'text'],
    ['/link', 'text'],
  ]);
  const made = ['/.d', '/dangle', '/link'];
  assert.deepEqual(
    changes,
    made.map((path) => ({ type: 'added', path, kind: 'symlink' })),
  );
});

test('links that take long to follow do not hold the caller up', async () => {
  const up = 'd/../'.repeat(800);
  const put = (at, text) =>
    [...text]
      .map((char, i) => `(i32.store8 (i32.const ${at + i}) (i32.const ${char.charCodeAt(0)}))`)
      .join('');
  // Each of 38 links leads to the one before, by 1,600 names; the first to the file.
  const names = Array.from({ length: 38 }, (_, i) => `c${10 + i}`);
  const chain = names.map(
    (name, i) => `${put(8, name)} ${put(1024 + up.length, names[i - 1] ?? 'z  ')}
      (call $link (i32.const ${up.length + (i === 0 ? 1 : 3)}) (i32.const 1024)
        (i32.const 8) (i32.const 3))`,
  );
  const wasm = bytesOf(`(module
    (import "wasi_snapshot_preview1" "path_symlink"
      (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory"
      (func $mkdir (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 1024) "${up}") (data (i32.const 32) "d")
    (func $link (param $length i32) (param $target i32) (param $name i32) (param $size i32)
      (if (call $symlink (local.get $target) (local.get $length) (i32.const 3)
        (local.get $name) (local.get $size)) (then unreachable)))
    (func (export "_start") (local $i i32)
      (if (call $mkdir (i32.const 3) (i32.const 32) (i32.const 1)) (then unreachable))
      ${chain.join('\n')}
      ${put(1024, 'c47')} ${put(8, 'lxxx')}
      (loop $l
        (i32.store8 (i32.const 9) (i32.add (i32.const 48) (i32.and (local.get $i) (i32.const 31))))
        (i32.store8 (i32.const 10) (i32.add (i32.const 48)
          (i32.and (i32.shr_u (local.get $i) (i32.const 5)) (i32.const 31))))
        (i32.store8 (i32.const 11) (i32.add (i32.const 48)
          (i32.shr_u (local.get $i) (i32.const 10))))
        (call $link (i32.const 3) (i32.const 1024) (i32.const 8) (i32.const 4))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 6000))))))`);
  const { reason, error, files, truncated } = await run(wasm, {
    preopens: { '/': { memory: { z: 'file' } } },
  });
  assert.deepEqual([reason, error, truncated.files], ['exit', undefined, true]);
  assert.ok(files.size < 6000, String(files.size));
  assert.deepEqual([files.has('/c10'), files.has('/z')], [true, true]);
});

test('the time to copy what links lead to is not that of following them', { skip }, () => {
  const wasm = bytesOf(`(module
    (import "wasi_snapshot_preview1" "path_symlink"
      (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "large") (data (i32.const 8) "l")
    (func (export "_start") (local $i i32)
      (loop $l
        (i32.store8 (i32.const 9) (i32.add (i32.const 65) (local.get $i)))
        (if (call $symlink (i32.const 0) (i32.const 5) (i32.const 3) (i32.const 8) (i32.const 2))
          (then unreachable))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 20))))))`);
  const file = (name) => JSON.stringify(fileURLToPath(new URL(`../${name}`, import.meta.url)));
  // As on a machine on which each link takes 30 ms, and most of that goes to 8 MiB.
  const script = `
    let time = 0;
    require(${file('binding.js')}).threadTime = () => (time += 30);
    const memory = { large: new Uint8Array(8 << 20) };
    const wasm = Buffer.from('${Buffer.from(wasm).toString('base64')}', 'base64');
    require(${file('index.js')})
      .run(wasm, { preopens: { '/': { memory } } })
      .then(({ files, truncated }) => console.log(time > 0, files.size, truncated.files));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['true 21 undefined\n', '']);
});

test('partial output, files and statistics are there whatever the reason', { skip }, async () => {
  const preopens = { '/m': { memory: { a: 'x' } } };
  const more = '(data (i32.const 1024) "partial")';
  const expected = { unreachable: 'trap', '(loop (br 0))': 'timeout' };
  for (const [body, reason] of Object.entries(expected)) {
    const wasm = command(`${writing(1, 7)} ${body}`, { more });
    const result = await run(wasm, { timeoutMs: 150, stats: true, preopens });
    assert.deepEqual([result.reason, result.exitCode, result.stdout], [reason, null, 'partial']);
    assert.deepEqual([...result.files.keys()], ['/m/a']);
    assert.equal(result.stats.fd_write.calls, 1);
    assert.ok(result.stats.fd_write.ns > 0);
    assert.equal(result.memoryBytes, PAGE);
    assert.ok(result.durationMs >= (reason === 'timeout' ? 150 : 0));
  }
});

test('a guest that has run for its time is ended, whatever it does', { skip }, async () => {
  const starting = bytesOf('(module (func $f (loop (br 0))) (start $f) (func (export "_start")))');
  const atomic = bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
    (func (export "_start") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))`);
  for (const wasm of [ENDLESS, SLEEPING, starting, atomic, YES]) {
    const start = performance.now();
    const { reason, exitCode, error } = await run(wasm, { timeoutMs: 50, stdout: 'ignore' });
    assert.deepEqual([reason, exitCode], ['timeout', null]);
    assert.ok(error instanceof WASILimitError);
    assert.deepEqual([error.code, error.limit], ['ERR_WASI_LIMIT', 'timeoutMs']);
    assert.ok(performance.now() - start < 10_000);
  }
});

test(
  'time in which the process stands still is none to start in',
  { timeout: 30_000 },
  async () => {
    const { supervise } = require('../lib/supervise.js');
    const { now } = require('../lib/time.js');
    let startedAt, settle;
    const left = { stdout: '', stderr: '', endedAt: 0, memoryBytes: 0 };
    const guest = {
      done: new Promise((resolve) => (settle = resolve)),
      startedAt: () => startedAt,
      isOver: () => false,
      left: () => left,
      stop: async () => undefined,
      release() {},
    };
    const bounds = { timeoutMs: Infinity, startTimeoutMs: 300 };
    const ended = supervise(guest, bounds);
    // The process stands still for longer than that.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    setTimeout(() => {
      startedAt = now();
      settle({ exitCode: 3 });
    }, 100);
    assert.equal((await ended).exitCode, 3);
    // One that does not start all the same has no more time than that.
    const never = { ...guest, done: new Promise(() => {}), startedAt: () => undefined };
    await assert.rejects(supervise(never, bounds), { code: 'ERR_WASI_START_TIMEOUT' });
  },
);

test('time is not that of a test’s timers', { skip, timeout: 60_000 }, async () => {
  const names = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval'];
  const own = Object.fromEntries(names.map((name) => [name, globalThis[name]]));
  for (const name of names) globalThis[name] = () => ({ ref() {}, unref() {} });
  try {
    const { reason } = await run(ENDLESS, { timeoutMs: 50 });
    assert.equal(reason, 'timeout');
    const { exitCode } = await run(THREADS);
    assert.equal(exitCode, 42);
  } finally {
    Object.assign(globalThis, own);
  }
});

test('time is not that of timers in whose time the first guest ran', { skip }, (t) => {
  const module = join(folder(t), 'endless.wasm');
  writeFileSync(module, ENDLESS);
  // In a process of its own: here the modules are loaded already. Node's own mocks and those of
  // others replace what `node:timers` exports, too.
  const program = `
    const { run, Pool } = require(${JSON.stringify(require.resolve('../index.js'))});
    const timers = require('node:timers');
    const names = Object.keys(timers).filter((name) => /^(set|clear)/.test(name));
    const own = names.map((name) => timers[name]);
    const { hrtime } = process;
    const mock = () => ({ ref() {}, unref() {} });
    for (const name of names) timers[name] = mock;
    process.hrtime = Object.assign(() => [0, 0], { bigint: () => 0n });
    async function reasons() {
      const pool = new Pool({ size: 1 });
      const options = { timeoutMs: 50 };
      const program = ${JSON.stringify(module)};
      const ends = await Promise.all([
        run(program, options),
        run(program, { ...options, isolation: 'process' }),
        pool.run(program, options),
      ]);
      await pool.close();
      return ends.map(({ reason }) => reason).join(' ');
    }
    reasons().then(async (first) => {
      names.forEach((name, index) => (timers[name] = own[index]));
      process.hrtime = hrtime;
      console.log(first, await reasons());
    });`;
  const options = { encoding: 'utf8', timeout: 30_000 };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], options);
  assert.equal(stdout + stderr, 'timeout timeout timeout timeout timeout timeout\n');
});

test('the start does not count: hello world fits 50 ms, a hundred times', { skip }, async () => {
  const program = await compile(HELLO);
  let ended = 0;
  // Eight at a time, on a machine that may be busy: to start a Worker takes longer than that.
  const next = async () => {
    while (ended < 100) {
      ended++;
      const { reason, stdout } = await run(program, { timeoutMs: 50 });
      assert.deepEqual([reason, stdout], ['exit', 'hello world']);
    }
  };
  await Promise.all(Array.from({ length: 8 }, next));
});

test('a start that takes too long is an error of its own', { skip }, async () => {
  const error = await rejection(run(HELLO, { startTimeoutMs: 0 }));
  assert.equal(error.code, 'ERR_WASI_START_TIMEOUT');
});

test('a signal ends the guest, and rejects with its reason', { skip }, async () => {
  const mine = { my: 'reason' };
  const program = await compile(ENDLESS);
  for (const delay of ['before', 0, 10, 200]) {
    for (const wasm of [program, SLEEPING, guest('args')]) {
      const controller = new AbortController();
      if (delay === 'before') controller.abort(mine);
      else setTimeout(() => controller.abort(mine), delay);
      const outcome = await run(wasm, { signal: controller.signal }).catch((error) => error);
      // The last has ended by then, if it was not aborted before.
      if (wasm === guest('args')) assert.ok(outcome === mine || outcome.reason === 'exit');
      else assert.equal(outcome, mine);
    }
  }
  const after = new AbortController();
  const result = await run(HELLO, { signal: after.signal });
  after.abort(mine);
  assert.equal(result.reason, 'exit');
  await assert.rejects(run(ENDLESS, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
});

test('the listeners of a signal are taken off', { skip }, async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener: add, removeEventListener: remove } = signal;
  signal.addEventListener = (...args) => (listeners++, add.apply(signal, args));
  signal.removeEventListener = (...args) => (listeners--, remove.apply(signal, args));
  await run(HELLO, { signal });
  await rejection(run('/nowhere/at/all', { signal }));
  assert.equal(listeners, 0);
});

test('runs that share a signal add one listener to it', { skip }, async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const warnings = [];
  const onWarning = (warning) => warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const program = await compile(ENDLESS);
  const pool = new Pool({ size: 1 });
  const all = Array.from({ length: 12 }, () => [
    run(HELLO, { signal }),
    rejection(pool.run(program, { signal })),
    spawn(program, { signal }).exited,
  ]).flat();
  const hello = all.filter((_, index) => index % 3 === 0);
  assert.ok((await Promise.all(hello)).every(({ reason }) => reason === 'exit'));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  controller.abort('enough');
  const ends = await Promise.all(all);
  assert.ok(ends.every((end) => end === 'enough' || /^(exit|aborted)$/.test(end.reason)));
  assert.equal(ends.filter((end) => end === 'enough').length, 12);
  await pool.close();
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([warnings, getEventListeners(signal, 'abort')], [[], []]);
});

test('memory is bounded: growing gives -1, and the guest lives', async () => {
  const limits = { memoryBytes: 50 * PAGE };
  assert.equal((await run(growing(100))).exitCode, 101);
  const bounded = await run(growing(100), { limits });
  assert.deepEqual([bounded.exitCode, bounded.memoryBytes], [99, PAGE]);
  const most = await run(growing(49), { limits });
  assert.deepEqual([most.exitCode, most.memoryBytes], [101, 50 * PAGE]);
  const two = growing(49, '(memory (export "memory") 1) (memory (export "more") 10)');
  if (!WebAssembly.validate(two)) return;
  const second = await run(two, { limits });
  assert.deepEqual([second.exitCode, second.memoryBytes], [99, 11 * PAGE]);
});

test('a guest that needs more to start has no memory, and says so', async () => {
  const { reason, exitCode, error, stdout } = await run(HELLO, { limits: { memoryBytes: 1000 } });
  assert.deepEqual([reason, exitCode, stdout], ['memory', null, '']);
  assert.ok(error instanceof WASILimitError);
  assert.deepEqual([error.code, error.limit], ['ERR_WASI_LIMIT', 'memoryBytes']);
  assert.match(error.message, /65536 bytes.*1000/);
  await assert.rejects(compile(HELLO, { limits: { memoryBytes: 1000 } }), {
    code: 'ERR_WASI_LIMIT',
    limit: 'memoryBytes',
  });
});

test('a program keeps the limits that it was compiled with', async () => {
  const program = await compile(growing(100), { limits: { memoryBytes: 50 * PAGE } });
  assert.equal(program.kind, 'command');
  assert.deepEqual(program.imports, [
    { module: 'wasi_snapshot_preview1', name: 'proc_exit', kind: 'function' },
  ]);
  assert.deepEqual(program.exports.map(({ name }) => name).sort(), ['_start', 'memory']);
  assert.equal((await run(program)).exitCode, 99);
  assert.equal((await run(program, { limits: { memoryBytes: 60 * PAGE } })).exitCode, 99);
  for (const [wasm, limits] of [
    [program, { memoryBytes: 40 * PAGE }],
    [program, { tableElements: 5 }],
    [await compile(HELLO), { memoryBytes: PAGE }],
    [new WebAssembly.Module(HELLO), { memoryBytes: PAGE }],
    [new WebAssembly.Module(HELLO), { tableElements: PAGE }],
  ]) {
    await assert.rejects(run(wasm, { limits }), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /compile\(bytes, \{ limits \}\)/,
    });
  }
});

test('what a guest grew that was ended is told as of its last call, or at once if it is shared', async (t) => {
  if (process.versions.bun || process.versions.deno) return t.skip('its threads cannot be ended');
  const grows = '(drop (memory.grow (i32.const 3)))';
  const { reason, memoryBytes } = await run(command(`${grows} (loop (br 0))`), { timeoutMs: 300 });
  assert.equal(reason, 'timeout');
  assert.ok(memoryBytes === PAGE || memoryBytes === 4 * PAGE, String(memoryBytes));
  const called = await run(command(`${grows} (drop (call $yield)) (loop (br 0))`), {
    timeoutMs: 300,
  });
  assert.deepEqual([called.reason, called.memoryBytes], ['timeout', 4 * PAGE]);
  const shared = bytesOf(`(module
    (import "env" "memory" (memory 1 10 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (func (export "wasi_thread_start") (param i32 i32))
    (func (export "_start") ${grows} (loop (br 0))))`);
  const result = await run(shared, { timeoutMs: 300 });
  assert.deepEqual([result.reason, result.memoryBytes], ['timeout', 4 * PAGE]);
});

test('what memoryBytes cannot bound is refused', async () => {
  const structs = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x5f, 0, 0]);
  structs[9] = 3;
  await assert.rejects(compile(structs.subarray(0, 13), { limits: { memoryBytes: PAGE } }), {
    code: 'ERR_WASI_UNBOUNDED_MEMORY',
    message: /isolation: 'process'|process of its own/,
  });
  assert.throws(() => new WASI({ version: 'preview1', limits: { memoryBytes: 1 } }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('output beyond outputBytes ends the guest', async () => {
  const result = await run(YES, { limits: { outputBytes: 10_000 } });
  assert.deepEqual(
    [result.reason, result.exitCode, result.stdout.length, result.truncated],
    ['output', null, 10_000, { stdout: true, stderr: false }],
  );
  assert.ok(result.error instanceof WASILimitError);
  assert.equal(result.error.limit, 'outputBytes');
  const exact = await run(HELLO, { limits: { outputBytes: 11 } });
  assert.deepEqual([exact.reason, exact.truncated.stdout], ['exit', false]);
});

test('text has no more bytes than a string may have', () => {
  const { constants } = require('node:buffer');
  const { checkedRun } = require('../lib/run-options.js');
  const limits = { outputBytes: 2 ** 40 };
  for (const kind of ['run', 'pool']) {
    const { outputBytes, checked } = checkedRun(kind, { limits });
    assert.equal(outputBytes, constants.MAX_STRING_LENGTH);
    assert.equal(checked.native.stdout.cap, constants.MAX_STRING_LENGTH);
    assert.equal(checkedRun(kind, { limits, encoding: 'buffer' }).outputBytes, 2 ** 40);
  }
  assert.deepEqual(limits, { outputBytes: 2 ** 40 });
});

test('one write beyond outputBytes ends the guest, wherever it runs', async () => {
  const expected = ['output', null, 'outputBytes', 'hello', { stdout: true, stderr: false }];
  for (const isolation of ['thread', 'process']) {
    const limited = { isolation, limits: { outputBytes: 5 } };
    const { reason, exitCode, error, stdout, truncated } = await run(HELLO, limited);
    assert.deepEqual([reason, exitCode, error?.limit, stdout, truncated], expected, isolation);
  }
});

test('output beyond outputBytes ends a guest that starts threads', { skip }, async () => {
  const wasm = bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
      (func $write (param i32 i32 i32 i32) (result i32)))
    (func (export "wasi_thread_start") (param i32 i32) (loop ${writing(1, 300)} (br 0)))
    (func (export "_start") (drop (call $spawn (i32.const 0))) (loop (br 0))))`);
  const { reason, error, stdout } = await run(wasm, {
    limits: { outputBytes: 1000 },
    timeoutMs: 10_000,
  });
  assert.deepEqual([reason, error?.limit, stdout.length], ['output', 'outputBytes', 1000]);
});

test('calls beyond hostCalls end the guest', async () => {
  const wasm = command('(loop (drop (call $yield)) (br 0))');
  const { reason, error } = await run(wasm, { limits: { hostCalls: 1000 } });
  assert.deepEqual([reason, error.code, error.limit], ['limit', 'ERR_WASI_LIMIT', 'hostCalls']);
});

test('guests that start threads', async () => {
  const { reason, exitCode, memoryBytes } = await run(THREADS, {
    limits: { memoryBytes: 20 * PAGE },
  });
  assert.deepEqual([reason, exitCode, memoryBytes], ['exit', 42, PAGE]);
  assert.equal((await compile(THREADS)).kind, 'threads');
  assert.equal((await run(THREADS, { maxThreads: 0 })).exitCode, 1);
  assert.equal((await run(THREADS, { limits: { memoryBytes: 1000 } })).reason, 'memory');
  await assert.rejects(run(new WebAssembly.Module(THREADS)), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(run(THREADS, { stats: true }), TypeError);
});

test('shared memory is bounded', async () => {
  const wasm = bytesOf(`(module (import "env" "memory" (memory 1 65536 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (func (export "wasi_thread_start") (param i32 i32))
    (func (export "_start")
      (call $exit (i32.add (memory.grow (i32.const 100)) (i32.const 100)))))`);
  assert.equal((await run(wasm)).exitCode, 101);
  assert.equal((await run(wasm, { limits: { memoryBytes: 50 * PAGE } })).exitCode, 99);
});

/** Two threads that compute. */
const THREADS_ENDLESS = bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (func (export "wasi_thread_start") (param i32 i32) (loop (br 0)))
  (func (export "_start") (drop (call $spawn (i32.const 0))) (loop (br 0))))`);

test('threads that compute are ended', { skip }, async () => {
  const { reason, startMs } = await run(THREADS_ENDLESS, { timeoutMs: 200 });
  assert.equal(reason, 'timeout');
  assert.ok(startMs > 0);
});

test('the start section of a guest with threads takes of its time', { skip }, async () => {
  const starting = (body) =>
    bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
      (import "wasi" "thread-spawn" (func (param i32) (result i32)))
      (func $start ${body}) (start $start)
      (func (export "wasi_thread_start") (param i32 i32))
      (func (export "_start")))`);
  const bounds = { timeoutMs: 100, startTimeoutMs: Infinity, signal: AbortSignal.timeout(20_000) };
  for (const isolation of ['thread', 'process']) {
    const { reason, durationMs } = await run(starting('(loop (br 0))'), { ...bounds, isolation });
    assert.deepEqual([reason, durationMs >= 100], ['timeout', true], isolation);
    const { exitCode } = await run(starting(''), { ...bounds, timeoutMs: 10_000, isolation });
    assert.equal(exitCode, 0, isolation);
  }
});

test('a thread that is lost is a crash', { skip }, () => {
  const script = `
    const workers = require('node:worker_threads');
    let made = 0, ends, delay;
    workers.Worker = class extends workers.Worker {
      constructor(...args) {
        super(...args);
        if (made++ !== ends) return;
        this.once('online', () => setTimeout(() => this.terminate(), delay));
      }
    };
    const { run } = require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))});
    const [one, two] = ${JSON.stringify([ENDLESS, THREADS_ENDLESS].map((wasm) => Buffer.from(wasm).toString('base64')))};
    (async () => {
      for (const [wasm, which] of [[one, 0], [two, 0], [two, 1]]) {
        let outcome;
        // A guest that has not begun by then is an error of run(): try again, and wait longer.
        for (delay = 500; outcome === undefined && delay < 10_000; delay *= 2) {
          [made, ends] = [0, which];
          outcome = await run(Buffer.from(wasm, 'base64')).catch((error) => {
            if (error.code !== 'ERR_WASI_CRASH') throw error;
          });
        }
        const { reason, exitCode, error } = outcome;
        console.log(reason, exitCode, error.code);
      }
    })();`;
  const limited = { encoding: 'utf8', timeout: 60_000 };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], limited);
  assert.deepEqual([stdout, stderr], ['crash null ERR_WASI_CRASH\n'.repeat(3), '']);
});

test('nothing is left behind: no Worker, no descriptor', { skip }, () => {
  const script = `
    const { run } = require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))});
    const fs = require('node:fs');
    const hello = Buffer.from('${Buffer.from(HELLO).toString('base64')}', 'base64');
    const endless = Buffer.from('${Buffer.from(ENDLESS).toString('base64')}', 'base64');
    const trap = Buffer.from('${Buffer.from(TRAP).toString('base64')}', 'base64');
    const open = () => (fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0);
    const all = () => Promise.all([
      run(hello), run(trap), run(endless, { timeoutMs: 30 }),
      run(endless, { signal: AbortSignal.timeout(30) }).catch(() => {}),
      run('/nowhere').catch(() => {}), run(hello, { stdin: -1 }).catch(() => {}),
      run(hello, { preopens: { '/': '/nowhere' } }).catch(() => {}),
      run(hello, { startTimeoutMs: 0 }).catch(() => {}),
    ]);
    (async () => {
      await all();
      await new Promise((next) => setTimeout(next, 500));
      const before = open();
      await all();
      await all();
      await new Promise((next) => setTimeout(next, 500));
      console.log(open() - before);
    })();`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([status, stderr], [0, '']);
  assert.ok(Number(stdout) <= 0, stdout);
});

test(
  'a Worker of the user’s that ends leaves nothing of its guests',
  { skip: skip || noProc },
  () => {
    const endless = printing(1, 'text', '(loop (br 0))');
    const threads = bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
    (import "wasi" "thread-spawn" (func (param i32) (result i32)))
    (func (export "wasi_thread_start") (param i32 i32))
    (func (export "_start") (loop (br 0))))`);
    const file = (name) => JSON.stringify(fileURLToPath(new URL(`../${name}`, import.meta.url)));
    const bytes = (wasm) => `Buffer.from('${Buffer.from(wasm).toString('base64')}', 'base64')`;
    const script = `
    const { readdirSync } = require('node:fs');
    const { isMainThread, Worker, workerData } = require('node:worker_threads');
    const { run, spawn } = require(${file('index.js')});
    const { runFacts } = require(${file('binding.js')});
    const open = () => readdirSync('/proc/self/fd').length;
    const kept = () => Array.from({ length: 100 }, (_, place) => runFacts(place)).filter(Boolean);
    const until = (there) => setInterval(() => there() && process.exit(), 5);
    const kinds = {
      output() {
        run(${bytes(endless)});
        until(() => kept().length > 0);
      },
      pipes() {
        spawn(${bytes(endless)});
        process.exit();
      },
      threads() {
        const before = open();
        run(${bytes(threads)}, { preopens: { '/': '.' } });
        until(() => open() > before);
      },
    };
    if (isMainThread) main();
    else kinds[workerData]();
    async function main() {
      for (const kind of Object.keys(kinds)) {
        const counts = [];
        for (let i = 0; i < 3; i++) {
          const worker = new Worker(process.env.SCRIPT, { eval: true, workerData: kind });
          await new Promise((ended) => worker.on('exit', ended));
          counts.push(open());
        }
        console.log(kind, counts[2] - counts[0], kept().length);
      }
    }`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      env: { ...process.env, SCRIPT: script },
      timeout: 60_000,
    });
    assert.deepEqual([stdout, stderr], ['output 0 0\npipes 0 0\nthreads 0 0\n', '']);
  },
);

test('a Worker does not get what the user gave Node for his own code', { skip }, (t) => {
  const path = join(folder(t), 'preload.cjs');
  writeFileSync(path, `if (!require('node:worker_threads').isMainThread) console.log('loaded');`);
  const script = `
    const { run } = require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))});
    run(${JSON.stringify(guest('args'))}).then(({ stdout }) => console.log(stdout));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--require', path, '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: `--require=${path.replaceAll('\\', '/')}` },
    timeout: 60_000,
  });
  assert.deepEqual([stdout, stderr], ['1\n[args.wasm]\nok\n\n', '']);
});

test('require loads nothing of it', () => {
  const script = `
    require(${JSON.stringify(fileURLToPath(new URL('../index.js', import.meta.url)))});
    const loaded = Object.keys(require.cache).map((path) => require('node:path').basename(path));
    console.log(loaded.filter((name) => /run|spawn|pool|program|worker|module|look/.test(name)));`;
  const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(stdout, '[]\n');
});

for (const isolation of ['thread', 'process']) {
  test(`a run whose input was transferred meanwhile leaves no ${isolation} behind`, () => {
    const script = `
      const { run } = require(${JSON.stringify(require.resolve('../index.js'))});
      const stdin = new Uint8Array([1]);
      const module = Buffer.from('${Buffer.from(HELLO).toString('base64')}', 'base64');
      run(module, { stdin, isolation: '${isolation}' }).catch((error) => console.log(error.message));
      structuredClone(stdin.buffer, { transfer: [stdin.buffer] });`;
    const options = { encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' };
    const { stdout, signal } = spawnSync(process.execPath, ['-e', script], options);
    assert.match(stdout, /detached/);
    assert.equal(signal, null);
  });
}
