// The command line, as users start it: what it says of each kind of file, what it refuses, and how
// it ends.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { LONG_TO_COMPILE } from './support/programs.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const { FUNCTIONS } = require('../lib/cli-look.js');
const wabt = await require('wabt')();

const CLI = fileURLToPath(new URL('../bin/wasi-rs.js', import.meta.url));
const GUESTS = fileURLToPath(new URL('guests', import.meta.url));
const LIMIT = 60_000;
const onWindows = process.platform === 'win32';

const env = { ...process.env };
delete env.NODE_OPTIONS;
delete env.NODE_TEST_CONTEXT;
delete env.NODE_V8_COVERAGE;

function compiled(wat) {
  const features = { threads: true, exceptions: true };
  return Buffer.from(wabt.parseWat('p.wat', `(module ${wat})`, features).toBinary({}).buffer);
}

function cli(args, { flags = [], ...options } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(
    process.execPath,
    [...flags, CLI, ...args],
    { encoding: 'utf8', cwd: dir, env, input: '', timeout: LIMIT, ...options },
  );
  assert.ifError(error);
  return { status, signal, stdout, stderr };
}

const IMPORTS = `
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`;
const MEMORY = `(memory (export "memory") 1) (data (i32.const 100) "line\\n") (data (i32.const 120) "f")
  (data (i32.const 0) "\\64\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "\\00\\04\\00\\00\\40\\00\\00\\00")`;
const command = (body) => `${IMPORTS} ${MEMORY} (func (export "_start") ${body})`;
const line = '(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))';
const opening = (rights) =>
  `(call $open (i32.const 3) (i32.const 0) (i32.const 120) (i32.const 1) (i32.const 0)
     (i64.const ${rights}) (i64.const 0) (i32.const 0) (i32.const 12))`;

const DATA = MEMORY.slice(MEMORY.indexOf('(data'));
const THREADS = `${IMPORTS} (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 1 2 shared)) (export "memory" (memory 0)) ${DATA}`;

const PROGRAMS = {
  hello: command(line),
  seven: command(`${line} (call $exit (i32.const 7))`),
  code: command('(call $exit (i32.const 255))'),
  open: command(`(call $exit ${opening(64)})`),
  reading: command(`(drop ${opening(2)})
    (drop (call $read (i32.load (i32.const 12)) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $close (i32.load (i32.const 12)))) (drop (call $close (i32.const -1)))`),
  // Cuts `f`, and ends with the errno of that.
  cutting: command(`(call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 120)
    (i32.const 1) (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12)))`),
  cat: command(`(loop $next
    (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))
    (if (i32.load (i32.const 8)) (then
      (i32.store (i32.const 32) (i32.const 1024)) (i32.store (i32.const 36) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 8)))
      (br $next))))`),
  yes: command(`(loop $ever ${line} (br $ever))`),
  loop: command(`${line} (loop $ever (br $ever))`),
  trap: command(`${line} unreachable`),
  recursion: `(func $f (export "_start") (call $f))`,
  thrown: `(tag $t (param i32)) (func (export "_start") (throw $t (i32.const 1)))`,
  'exit-in-start': `${IMPORTS} ${MEMORY} (func (export "_start")) (func $s (call $exit (i32.const 5))) (start $s)`,
  grow: command('(call $exit (i32.sub (i32.const 100) (memory.grow (i32.const 100))))'),
  unstable: `(import "wasi_unstable" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 9)))`,
  both: `(import "wasi_unstable" "proc_exit" (func (param i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start"))`,
  bare: '(func (export "_start"))',
  imported: `(import "env" "memory" (memory 1))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (func (export "_start") (call $exit (i32.add (i32.const 40) (memory.size))))`,
  reactor: `(memory (export "memory") 1) (global $g (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $g (i32.const 40)))
    (func (export "add") (param i32 i64) (result i64)
      (i64.add (local.get 1) (i64.extend_i32_s (i32.add (local.get 0) (global.get $g)))))
    (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
    (func (export "trap") unreachable)`,
  mixed: `(func (export "_start")) (func (export "_initialize"))`,
  unknown: `${IMPORTS} (import "env" "one" (func $one)) (import "env" "t\\1bwo" (func)) ${MEMORY}
    (func (export "_start") ${line} (call $one))`,
  proto: `(import "__proto__" "toString" (func $f)) (import "__proto__" "__proto__" (func))
    (func (export "_start") (call $f))`,
  'unknown-wasi': `(import "wasi_snapshot_preview1" "sock_open" (func)) (func (export "_start"))`,
  'unknown-global': `(import "env" "g" (global i32)) (func (export "_start"))`,
  emscripten: `(import "env" "emscripten_resize_heap" (func (param i32) (result i32))) (func (export "_start"))`,
  bindgen: `(import "./x_bg.js" "__wbg_log_1" (func)) (func (export "f"))`,
  gojs: `(import "gojs" "runtime.wasmExit" (func (param i32))) (func (export "run"))`,
  inside: `(import "wasi:cli/stdout@0.2.0" "get-stdout" (func (result i32))) (func (export "f"))`,
  'no-memory': `(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (func (export "_start"))`,
  'threads-unshared': `(import "wasi" "thread-spawn" (func (param i32) (result i32)))
    (func (export "_start")) (func (export "wasi_thread_start"))`,
  'threads-own': `(import "wasi" "thread-spawn" (func (param i32) (result i32)))
    (import "env" "memory" (memory 1 2)) (func (export "_start"))
    (func (export "wasi_thread_start") (param i32 i32))`,
  'threads-more': `(import "wasi" "thread-spawn" (func (param i32) (result i32))) (import "env" "f" (func))
    (import "env" "memory" (memory 1 2 shared)) (func (export "_start")) (func (export "wasi_thread_start"))`,
  // The thread opens a file and writes to it by a call that nobody gives; the main thread waits.
  'threads-work': `${THREADS} (import "env" "none" (func $none))
    (func (export "wasi_thread_start") (param i32 i32)
      (drop ${opening(2)})
      (drop (call $read (i32.load (i32.const 12)) (i32.const 16) (i32.const 1) (i32.const 8)))
      ${line} (call $none))
    (func (export "_start") ${line} (drop (call $spawn (i32.const 0)))
      (drop (memory.atomic.wait32 (i32.const 60000) (i32.const 0) (i64.const -1))))`,
  'threads-yes': `${THREADS}
    (func (export "wasi_thread_start") (param i32 i32) (loop $ever ${line} (br $ever)))
    (func (export "_start") (drop (call $spawn (i32.const 0)))
      (drop (memory.atomic.wait32 (i32.const 60000) (i32.const 0) (i64.const -1))))`,
  threads: `(import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "env" "memory" (memory 1 2 shared)) (export "memory" (memory 0))
    (func (export "wasi_thread_start") (param i32 i32) (call $exit (local.get 1)))
    (func (export "_start") (drop (call $spawn (i32.const 42)))
      (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))`,
};
const FILES = {
  component: Buffer.from('\0asm\x0d\0\x01\0', 'latin1'),
  'text.wat': '(module)',
  'packed.wasm.gz': gzipSync('x'),
  empty: '',
  script: '#!/bin/sh\n',
  elf: '\x7fELF\x02',
  page: '<!doctype html>',
  cut: Buffer.from('\0asm\x01\0\0\0\x0a\x05', 'latin1'),
  // A trap in a function whose name in the section of names is an order to a terminal.
  'named.wasm': Buffer.concat([
    compiled('(func (export "_start") unreachable)'),
    Buffer.from('\0\x12\x04name\x01\x0b\x01\0\x08\x1b[31mred', 'latin1'),
  ]),
  // Its only function does not end.
  broken: Buffer.concat([compiled(PROGRAMS.bare).subarray(0, -1), Buffer.of(1)]),
};

const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-cli-'));
test.after(() => rmSync(dir, { recursive: true, force: true }));
mkdirSync(join(dir, 'data'));
mkdirSync(join(dir, 'other'));
writeFileSync(join(dir, 'data', 'f'), 'of the host');
for (const [name, wat] of Object.entries(PROGRAMS)) {
  writeFileSync(join(dir, `${name}.wasm`), compiled(wat));
}
for (const [name, bytes] of Object.entries(FILES)) writeFileSync(join(dir, name), bytes);

/** It must say one line that matches, with this code, and print nothing else. */
function says(args, status, message, options) {
  const result = cli(args, options);
  assert.deepEqual(
    { ...result, stderr: result.stderr.split('\n').length },
    { status, signal: null, stdout: '', stderr: 2 },
    `${args.join(' ')}: ${result.stderr}`,
  );
  assert.match(result.stderr, /^wasi-rs: /);
  assert.match(result.stderr, message, args.join(' '));
}

test('a program runs, with or without the word run, and gets its arguments', (t) => {
  for (const args of [['seven.wasm'], ['run', 'seven.wasm']]) {
    assert.deepEqual(cli(args), { status: 7, signal: null, stdout: 'line\n', stderr: '' });
  }
  assert.equal(cli(['code.wasm']).status, 255);
  assert.deepEqual(cli(['bare.wasm']), { status: 0, signal: null, stdout: '', stderr: '' });
  assert.equal(cli(['unstable.wasm']).status, 9);
  assert.equal(cli(['imported.wasm']).status, 41);
  assert.equal(cli(['threads.wasm']).status, 42);
  const args = join(GUESTS, 'args.wasm');
  if (!existsSync(args)) return t.skip('no guests here');
  assert.equal(cli([args, '--dir', 'x']).stdout, '3\n[args.wasm]\n[--dir]\n[x]\nok\n');
  assert.equal(cli(['--argv0', 'me', '--', args, '-h']).stdout, '2\n[me]\n[-h]\nok\n');
  const environ = join(GUESTS, 'environ.wasm');
  const variables = { ...env, KEPT: 'from here', OTHER: 'x' };
  assert.equal(
    cli(['--env', 'KEPT', '--env', 'A=b=c', environ], { env: variables }).stdout,
    '[KEPT=from here]\n[A=b=c]\nok\n',
  );
  const inherited = cli(['--inherit-env', '--env', 'OTHER=y', environ], { env: variables }).stdout;
  assert.match(inherited, /^\[KEPT=from here\]$/m);
  assert.match(inherited, /^\[OTHER=y\]$/m);
  assert.doesNotMatch(inherited, /OTHER=x/);
});

test('a program comes from stdin, and stdin from where it shall', () => {
  const wasm = readFileSync(join(dir, 'hello.wasm'));
  assert.equal(cli(['-'], { input: wasm }).stdout, 'line\n');
  assert.equal(cli(['cat.wasm'], { input: 'a pipe' }).stdout, 'a pipe');
  assert.equal(cli(['--stdin', 'data/f', 'cat.wasm'], { input: 'a pipe' }).stdout, 'of the host');
  assert.equal(cli(['-'], { input: readFileSync(join(dir, 'cat.wasm')) }).stdout, '');
  if (onWindows) return;
  // Files, the null device, and what has no end.
  const fd = openSync(join(dir, 'data', 'f'), 'r');
  assert.equal(
    cli(['cat.wasm'], { stdio: [fd, 'pipe', 'pipe'], input: undefined }).stdout,
    'of the host',
  );
  closeSync(fd);
  for (const stdin of ['ignore', openSync('/dev/null', 'r')]) {
    const result = cli(['cat.wasm'], { stdio: [stdin, 'pipe', 'pipe'], input: undefined });
    assert.deepEqual([result.status, result.stdout], [0, '']);
  }
  says(['/dev/zero'], 2, /no WebAssembly: it begins with/);
  says(['/dev/null'], 2, /no WebAssembly: it is empty/);
  const closed = spawnSync(
    '/bin/sh',
    ['-c', '"$@" <&-', 'sh', process.execPath, CLI, 'hello.wasm'],
    {
      cwd: dir,
      env,
      encoding: 'utf8',
    },
  );
  assert.equal(closed.stdout, 'line\n');
});

test('directories have names, and can be read-only or in memory', () => {
  assert.equal(cli(['--dir', 'data::/data', 'open.wasm']).status, 0);
  assert.equal(cli(['--dir', 'data', 'open.wasm']).status, 0);
  assert.ok([69, 76].includes(cli(['--dir', 'data::/data:ro', 'open.wasm']).status));
  assert.equal(cli(['--mem-dir', '/data', 'open.wasm']).status, 44);
  assert.equal(cli(['--max-fds', '4', '--dir', 'data', 'open.wasm']).status, 33);
});

test('an overlay is not changed, and says what would have been', () => {
  const file = join(dir, 'data', 'f');
  const before = readFileSync(file, 'utf8');
  assert.ok(before.length > 0);
  const overlay = (...args) => cli([...args, 'cutting.wasm']);
  assert.deepEqual(overlay('--overlay', 'data::/data', '--changes'), {
    status: 0,
    signal: null,
    stdout: '',
    stderr: 'M /data/f\n',
  });
  assert.equal(overlay('--overlay', 'data').stderr, '');
  assert.equal(overlay('--mem-dir', '/m', '--changes').stderr, 'A /m/f\n');
  assert.equal(readFileSync(file, 'utf8'), before);
  assert.equal(cli(['--overlay', 'data::/data', '--changes', 'open.wasm']).stderr, '');
  says(
    ['--overlay', 'none::/data', 'open.wasm'],
    2,
    /--overlay none::\/data: none: no such directory/,
  );
  says(['--overlay', 'data::/data:ro', 'open.wasm'], 2, /ends in :ro.*--overlay HOST/);
  says(['--overlay', 'data::', 'open.wasm'], 2, /names no directory/);
  says(['--overlay', 'data::/x', '--dir', 'data::/x', 'open.wasm'], 2, /two directories/);
});

test('what is no core module, or one for something else, is named in one line', () => {
  says(['component'], 2, /component.*npm install @bytecodealliance\/jco/);
  says(['text.wat'], 2, /text.*wat2wasm/);
  says(['packed.wasm.gz'], 2, /compressed: gunzip/);
  says(['empty'], 2, /empty/);
  says(['script'], 2, /script/);
  says(['elf'], 2, /operating system/);
  says(['page'], 2, /no WebAssembly: it begins with "<!do"/);
  says(['broken'], 2, /broken is not valid: /);
  says(['cut'], 2, /cut is not valid: /);
  says(['emscripten.wasm'], 2, /made by Emscripten.*STANDALONE_WASM/);
  says(['bindgen.wasm'], 2, /made by wasm-bindgen.*wasm32-wasip1/);
  says(['gojs.wasm'], 2, /made by Go.*GOOS=wasip1/);
  says(['inside.wasm'], 2, /inside of a component/);
  says(['both.wasm'], 2, /preview1 and wasi_unstable/);
  says(['reactor.wasm'], 2, /a reactor: .*--invoke NAME: add, half, trap$/m);
  says(['mixed.wasm'], 2, /_start and _initialize/);
  says(['--invoke', 'wasi_thread_start', 'threads.wasm'], 2, /starts threads/);
});

test('what cannot run as it is made says so before it runs', () => {
  says(['no-memory.wasm'], 2, /exports no memory.*export it as "memory"/);
  for (const name of ['threads-unshared', 'threads-own']) {
    says([`${name}.wasm`], 2, /starts threads, for which it must import .* shared memory/);
  }
  says(['threads-more.wasm'], 2, /threads-more.wasm imports what is not there: env\.f/);
});

test('a name that the program chose cannot speak to the terminal', () => {
  const { status, stderr } = cli(['named.wasm']);
  assert.equal(status, 134);
  assert.match(stderr, /at .*\?\[31m/);
  assert.doesNotMatch(stderr, /\x1b/);
});

test(
  'the name of a file is one line for a terminal, too',
  { skip: process.platform === 'win32' },
  (t) => {
    const make = (name, content) => {
      const file = `\x1b[31m\n${name}`;
      writeFileSync(join(dir, file), content);
      t.after(() => rmSync(join(dir, file)));
      return file;
    };
    const endless = make('endless', compiled('(func (export "_start") (loop (br 0)))'));
    for (const timeout of ['0', '50ms']) {
      const { stderr } = cli(['--timeout', timeout, endless]);
      assert.match(stderr, /^wasi-rs: \?\[31m\?endless has run for its \d+ ms\n$/);
    }
    const trap = make('trap', compiled('(func (export "_start") unreachable)'));
    assert.match(cli([trap]).stderr, /^wasi-rs: \?\[31m\?trap trapped: /);
    const text = make('text', 'text');
    assert.match(cli(['inspect', text]).stdout, /^kind: other\n\?\[31m\?text is no WebAssembly/);
  },
);

test('imports that are not there are all named, or trap', () => {
  says(
    ['unknown.wasm'],
    2,
    /not there: env\.one, env\.t\?wo \(.*instantiate.*; --unknown-imports trap/,
  );
  says(['unknown-wasi.wasm'], 2, /sock_open \(they are not of WASI preview1\)/);
  says(['unknown-global.wasm'], 2, /env\.g \(.*API/);
  says(['--unknown-imports', 'trap', 'unknown-global.wasm'], 2, /env\.g/);
  const { status, stdout, stderr } = cli(['--unknown-imports', 'trap', 'unknown.wasm']);
  assert.deepEqual([status, stdout], [134, 'line\n']);
  assert.match(stderr, /trapped: RuntimeError: env\.one is not there/);
  const proto = cli(['--unknown-imports', 'trap', 'proto.wasm']);
  assert.equal(proto.status, 134);
  assert.match(proto.stderr, /trapped: RuntimeError: __proto__\.toString is not there/);
});

test('a function is called by its name, with arguments of its types', () => {
  assert.deepEqual(cli(['--invoke', 'add', 'reactor.wasm', '2', '0x100']).stdout, '298\n');
  assert.deepEqual(
    cli(['--invoke', 'add', 'reactor.wasm', '-1', '-9000000000']).stdout,
    '-8999999961\n',
  );
  assert.deepEqual(cli(['--invoke', 'half', 'reactor.wasm', '1e1']).stdout, '5\n');
  assert.equal(cli(['--invoke', 'trap', 'reactor.wasm']).status, 134);
  says(['--invoke', 'none', 'reactor.wasm'], 2, /no function 'none': add, half, trap/);
  says(
    ['--invoke', 'add', 'reactor.wasm', '1'],
    2,
    /takes 2 arguments, not 1: --invoke add reactor.wasm i32 i64/,
  );
  for (const wrong of ['x', '1.5', '4294967296', '']) {
    says(['--invoke', 'add', 'reactor.wasm', wrong, '1'], 2, /is no i32: --invoke add/);
  }
  says(['--invoke', 'half', 'reactor.wasm', '1,5'], 2, /is no f64/);
});

test('each wrong usage is one line with the right form and code 2, and nothing is run', () => {
  const cases = [
    [[], /no program: wasi-rs \[options\] PROGRAM/],
    [['run'], /no program/],
    [['inspect'], /inspect FILE/],
    [['inspect', 'hello.wasm', 'more'], /inspect FILE/],
    [['inspect', '--stats', 'hello.wasm'], /inspect FILE/],
    [['nope.wasm'], /nope.wasm: no such file/],
    [['data'], /data: is a directory/],
    [['--bogus', 'hello.wasm'], /no option --bogus: --help/],
    [['--dri', 'data', 'hello.wasm'], /no option --dri: --dir HOST\[::GUEST\]\[:ro\]\?/],
    [['-x', 'hello.wasm'], /no option -x: --help/],
    [['-v'], /no option -v: --version\?/],
    [['--max', 'hello.wasm'], /no option --max: --help/],
    [['--volume', 'data:/d', 'hello.wasm'], /no option --volume: --dir HOST/],
    [['--forward-host-env', 'hello.wasm'], /no option --forward-host-env: --inherit-env\?/],
    [['--__proto__', 'hello.wasm'], /no option/],
    [['--dir'], /--dir takes a value: --dir HOST/],
    [['--dir=', 'hello.wasm'], /--dir takes a value/],
    [['--dir', '::', 'hello.wasm'], /names no directory/],
    [['--dir', 'data:other', 'hello.wasm'], /one colon, and HOST::GUEST two/],
    [['--dir', 'data::/d:rw', 'hello.wasm'], /only :ro may stand/],
    [['--dir', 'data::/a::/b', 'hello.wasm'], /HOST\[::GUEST\]/],
    [['--dir', 'none', 'hello.wasm'], /none: no such directory/],
    [['--dir', 'hello.wasm', 'hello.wasm'], /not a directory/],
    [['--dir', 'hello.wasm/x', 'hello.wasm'], /no such directory/],
    [['--dir', 'data::/x', '--dir', 'other::/x', 'hello.wasm'], /two directories are called \/x/],
    [['--dir', 'data::/x/', '--mem-dir', '/x', 'hello.wasm'], /two directories/],
    [['--env', '=', 'hello.wasm'], /no name: --env NAME/],
    [['--env', 'WASI_RS_NO_SUCH', 'hello.wasm'], /--env WASI_RS_NO_SUCH=VALUE/],
    [['--env', 'toString', 'hello.wasm'], /--env toString=VALUE/],
    [['--env', '__proto__', 'hello.wasm'], /--env __proto__=VALUE/],
    [['--env', 'A=1', '--env', 'A=2', 'hello.wasm'], /twice/],
    [['--stdin', 'none', 'hello.wasm'], /--stdin none: no such file/],
    [['--stdin', '-', '-'], /--stdin FILE/],
    [['--stdin', 'data', 'hello.wasm'], /--stdin data: is a directory: --stdin FILE/],
    [['a\nb'], /wasi-rs: a\?b: no such file$/m],
    [['--dir', 'a\x1b[31m', 'hello.wasm'], /a\?\[31m: no such directory$/m],
    [['--timeout', 'soon', 'hello.wasm'], /--timeout 500ms, 5s or 2m/],
    [['--timeout', '5h', 'hello.wasm'], /--timeout 500ms/],
    [['--timeout', '-5', 'hello.wasm'], /--timeout 500ms/],
    [['--timeout', '5', '--timeout', '6', 'hello.wasm'], /--timeout is there twice/],
    [['--max-memory', '64mb', 'hello.wasm'], /--max-memory 512k, 64m or 1g/],
    [['--max-memory', '-1', 'hello.wasm'], /512k/],
    [['--max-memory', '9999999999999999g', 'hello.wasm'], /512k/],
    [['--max-fds', 'many', 'hello.wasm'], /--max-fds 64/],
    [['--unknown-imports', 'ignore', 'hello.wasm'], /--unknown-imports trap/],
    [['--trace=', 'hello.wasm'], /--trace\[=NAME/],
    [['--trace=paths', 'hello.wasm'], /no function 'paths': --trace=path,fd_read/],
    [['--trace-file', 'x', 'hello.wasm'], /--trace\[=NAME,...\] --trace-file/],
    [['--trace', '--trace-file', 'none/x', 'hello.wasm'], /--trace-file none\/x: no such file/],
    [['--stats=1', 'hello.wasm'], /--stats takes no value/],
    [['--stats', '--stats', 'hello.wasm'], /--stats is there twice/],
    [['--argv0', 'hello.wasm'], /no program/],
    [
      ['--argv0', '--stats', 'hello.wasm'],
      /--stats is an option: --argv0 NAME, or --argv0=--stats/,
    ],
    [
      ['--trace', '--trace-file', '--stats', 'hello.wasm'],
      /--stats is an option: --trace-file FILE/,
    ],
    [['--dir', '--', 'hello.wasm'], /-- is an option: --dir HOST/],
    [['--env', '-h', 'hello.wasm'], /-h is an option: --env NAME/],
    [['--stdin', '--dir=data', 'hello.wasm'], /--dir=data is an option: --stdin FILE/],
    [['--tar', 'none.tar::/t', 'hello.wasm'], /--tar none.tar::\/t: none.tar: no such file/],
    [['--tar', 'data::/t', 'hello.wasm'], /data: is a directory: --tar FILE::GUEST/],
    [['--tar', 'hello.wasm::/t', 'hello.wasm'], /--tar FILE::\/t: it is no tar archive/],
    [['--listen', 'data/none/x', 'hello.wasm'], /is no address: --listen 127.0.0.1:8080/],
    [
      ['--listen', './none/x', 'hello.wasm'],
      /listen ENOENT: no such file or directory \.\/none\/x$/m,
    ],
    [['--changes', 'hello.wasm'], /--overlay HOST\[::GUEST\] --changes/],
    [['--dir', 'data', '--changes', 'hello.wasm'], /--overlay HOST\[::GUEST\] --changes/],
    [['--dir', 'data::/x', '--mem-dir', '//x', 'hello.wasm'], /two directories/],
    [['--dir', 'data::/x', '--dir', 'data::/./x/.', 'hello.wasm'], /two directories/],
    [['--mem-dir', '.', '--dir', 'data::./', 'hello.wasm'], /two directories/],
    [
      ['--trace', '--trace-file', 'hello.wasm', 'hello.wasm'],
      /is the program itself: --trace-file/,
    ],
    [['--trace', '--trace-file', './hello.wasm', 'hello.wasm'], /is the program itself/],
    [
      ['--stdin', 'data/f', '--trace', '--trace-file', 'data/../data/f', 'hello.wasm'],
      /is its standard input: --trace-file FILE/,
    ],
    [
      ['--tar', 'a.tar::/t', '--trace', '--trace-file', './a.tar', 'hello.wasm'],
      /is an archive of --tar: --trace-file FILE/,
    ],
  ];
  writeFileSync(join(dir, 'a.tar'), Buffer.alloc(1024));
  const before = readFileSync(join(dir, 'hello.wasm'));
  for (const [args, message] of cases) says(args, 2, message);
  assert.deepEqual(readFileSync(join(dir, 'hello.wasm')), before);
  assert.equal(cli(['--argv0=--stats', 'hello.wasm']).status, 0);
});

test('a time of 0 runs nothing', () => {
  for (const time of ['0', '0s', '0.0']) {
    const { status, stdout, stderr } = cli(['--timeout', time, '--stats', 'hello.wasm']);
    assert.deepEqual([status, stdout], [124, '']);
    assert.match(stderr, /^wasi-rs: hello.wasm has run for its 0 ms\n/);
  }
});

test('help and version need no addon, and help fits a screen', () => {
  const flags = ['--no-addons'];
  for (const args of [['--help'], ['-h'], ['help'], ['run', '--help']]) {
    const { status, stdout } = cli(args, { flags });
    assert.equal(status, 0);
    const lines = stdout.trimEnd().split('\n');
    assert.ok(lines.length <= 24 && lines.every((line) => line.length <= 80), stdout);
  }
  const { version } = require('../package.json');
  for (const option of ['-V', '--version']) {
    const { status, stdout } = cli([option], { flags });
    assert.equal(status, 0);
    assert.ok(
      stdout.startsWith(`wasi-rs ${version} (`) && stdout.includes(process.platform),
      stdout,
    );
  }
  assert.equal(cli(['inspect', 'hello.wasm'], { flags }).status, 0);
  says(['component'], 2, /component/, { flags });
});

test('inspect says what a file is, and what it would need', () => {
  const text = (name) => cli(['inspect', name]).stdout;
  assert.match(text('hello.wasm'), /^kind: a command \(WASI preview1\)$/m);
  assert.match(text('hello.wasm'), /^memory: 65536 bytes, no maximum$/m);
  assert.match(
    text('hello.wasm'),
    /^ {2}wasi_snapshot_preview1\.fd_write: function \(i32, i32, i32, i32\) -> i32$/m,
  );
  assert.match(text('hello.wasm'), /^runs: yes$/m);
  assert.match(
    text('threads.wasm'),
    /threads[^]*memory: 65536 bytes, at most 131072 bytes, shared, imported/,
  );
  assert.match(
    text('reactor.wasm'),
    /a reactor[^]* {2}add: function \(i32, i64\) -> i64[^]*--invoke NAME: add/,
  );
  assert.match(text('unknown.wasm'), /runs: no, .*env\.one, env\.t\?wo/);
  assert.match(text('unstable.wasm'), /wasi_unstable/);
  assert.match(text('component'), /^kind: component\n.*jco/);
  assert.match(text('page'), /^kind: other/);
});

test('a trap is 134 with its stack, whatever traps; an exit in the start section its code', () => {
  const trapped = cli(['trap.wasm']);
  assert.deepEqual([trapped.status, trapped.stdout], [134, 'line\n']);
  assert.match(
    trapped.stderr,
    /^wasi-rs: trap\.wasm trapped: RuntimeError: .*unreachable.*\n\s+at /i,
  );
  for (const options of [[], ['--timeout', '20s']]) {
    says([...options, 'recursion.wasm'], 134, /stack is exhausted/);
    says([...options, 'thrown.wasm'], 134, /exception that nothing caught/);
    assert.equal(cli([...options, 'exit-in-start.wasm']).status, 5);
  }
});

test('a timeout ends a program that computes or waits, with code 124 and its statistics', async () => {
  const start = performance.now();
  const { status, stdout, stderr } = cli(['--timeout', '300ms', '--stats', 'loop.wasm']);
  assert.deepEqual([status, stdout], [124, 'line\n']);
  assert.match(stderr, /^wasi-rs: loop\.wasm has run for its 300 ms\nfd_write +1 calls +\d+ ns\n$/);
  assert.ok(performance.now() - start >= 300);
  assert.equal(cli(['--timeout', '20s', 'seven.wasm']).status, 7);
  assert.equal(cli(['--timeout', '0.5m', 'threads.wasm']).status, 42);
  // One that waits for its input, which stays open.
  const child = spawn(process.execPath, [CLI, '--timeout', '300', 'cat.wasm'], { cwd: dir, env });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
  const ended = await new Promise((resolve) => {
    child.once('close', (...how) => resolve(how));
  });
  clearTimeout(timer);
  assert.deepEqual(ended, [124, null]);
});

test('memory cannot grow beyond its limit, and a program that starts with more is 137', () => {
  assert.equal(cli(['grow.wasm']).status, 99);
  assert.equal(cli(['--max-memory', '1m', 'grow.wasm']).status, 101);
  assert.equal(cli(['--max-memory', '1g', 'grow.wasm']).status, 99);
  says(
    ['--max-memory', '10k', 'grow.wasm'],
    137,
    /65536 bytes of memory to start and may have 10240/,
  );
});

const isNode = !process.versions.bun && !process.versions.deno;
const isOld = Number.parseInt(process.versions.node, 10) < 20;
const noBound =
  (process.platform !== 'linux' && 'only Linux counts it') ||
  ((!isNode || isOld) && 'this compiler takes little, or does not say why it ends the process');

test('what the compiler takes is bounded with the memory', { skip: noBound }, () => {
  writeFileSync(join(dir, 'long.wasm'), LONG_TO_COMPILE);
  const { status, signal, stderr } = cli(['--max-memory', '1m', 'long.wasm']);
  assert.deepEqual([status, signal], [null, 'SIGABRT']);
  assert.match(stderr, /out of memory/);
});

test('statistics are printed at each end', () => {
  for (const name of ['hello', 'seven', 'trap']) {
    assert.match(cli(['--stats', `${name}.wasm`]).stderr, /^fd_write +1 calls +\d+ ns$/m);
  }
});

test('traces read like those of strace', () => {
  const file = join(dir, 'trace.txt');
  const traced = (...args) => {
    const { status, stderr } = cli([...args, '--dir', 'data::/d', 'reading.wasm']);
    assert.equal(status, 0);
    return stderr;
  };
  const all = [
    'path_open(3</d>, 0, "f", 0, fd_read, 0, 0) = 4',
    'fd_read(4</d/f>, "of the host", 11) = 11',
    'fd_close(4</d/f>) = 0',
    'fd_close(-1) = -1 badf (8)',
    '',
  ];
  assert.deepEqual(traced('--trace').split('\n'), all);
  assert.deepEqual(traced('--trace=fd_close').split('\n'), all.slice(2));
  assert.deepEqual(traced('--trace=path,fd_read').split('\n'), [...all.slice(0, 2), '']);
  assert.equal(traced('--trace', '--trace-file', file), '');
  assert.deepEqual(readFileSync(file, 'utf8').split('\n'), all);
  assert.equal(cli(['--trace', 'hello.wasm']).stderr, 'fd_write(1<stdout>, "line\\n", 5) = 5\n');
  // Data is cut, and shown only as far as it came.
  const { stdout, stderr } = cli(['--trace=fd_write', 'cat.wasm'], {
    input: '0123456789'.repeat(5),
  });
  assert.equal(stdout, '0123456789'.repeat(5));
  assert.equal(stderr, 'fd_write(1<stdout>, "01234567890123456789012345678901"..., 50) = 50\n');
  assert.deepEqual(cli(['--trace', 'seven.wasm']).stderr.split('\n'), [
    'fd_write(1<stdout>, "line\\n", 5) = 5',
    'proc_exit(7) = ?',
    '',
  ]);
});

test('threads are watched as the main one is', { skip: onWindows }, () => {
  const options = ['--unknown-imports', 'trap', '--dir', 'data::/d'];
  const traced = cli([...options, '--trace', 'threads-work.wasm']);
  assert.deepEqual([traced.status, traced.stdout], [134, 'line\nline\n']);
  assert.deepEqual(traced.stderr.split('\n').slice(0, 4), [
    'fd_write(1<stdout>, "line\\n", 5) = 5',
    '[thread 1] path_open(3</d>, 0, "f", 0, fd_read, 0, 0) = 4',
    '[thread 1] fd_read(4</d/f>, "of the host", 11) = 11',
    '[thread 1] fd_write(1<stdout>, "line\\n", 5) = 5',
  ]);
  assert.match(traced.stderr, /trapped: RuntimeError: env\.none is not there/);
  const counted = cli([...options, '--stats', 'threads-work.wasm']);
  assert.match(counted.stderr, /^fd_write +2 calls +\d+ ns$/m);
  // A busy machine takes longer to start a thread.
  let late;
  for (const time of ['2s', '10s', '40s']) {
    late = cli(['--stats', '--timeout', time, 'threads-yes.wasm'], { maxBuffer: 1 << 30 });
    assert.equal(late.status, 124);
    if (late.stderr.includes('fd_write')) break;
  }
  assert.match(late.stderr, /^fd_write +\d+ calls +\d+ ns$/m);
});

test('what --trace knows is what there is', () => {
  assert.deepEqual(FUNCTIONS, Object.keys(new WASI({ version: 'preview1' }).wasiImport));
});

test('the process ends with exit handlers of what was loaded before, and what they print', () => {
  const handler = join(dir, 'handler.cjs');
  writeFileSync(
    handler,
    `process.on('exit', (code) => require('fs').writeSync(2, 'code ' + code));
     process.stdout.write('before\\n');`,
  );
  assert.deepEqual(cli(['seven.wasm'], { flags: ['--require', handler] }), {
    status: 7,
    signal: null,
    stdout: 'before\nline\n',
    stderr: 'code 7',
  });
  const coverage = join(dir, 'coverage');
  assert.equal(cli(['seven.wasm'], { env: { ...env, NODE_V8_COVERAGE: coverage } }).status, 7);
  if (!process.versions.bun && !process.versions.deno) assert.ok(existsSync(coverage));
  const inspected = cli(['seven.wasm'], { flags: ['--inspect=127.0.0.1:0'] });
  assert.deepEqual([inspected.status, inspected.stdout], [7, 'line\n']);
});

const shell = (script, ...args) =>
  spawnSync('/bin/bash', ['-c', script, 'bash', process.execPath, CLI, ...args], {
    cwd: dir,
    env,
    encoding: 'utf8',
    timeout: LIMIT,
    maxBuffer: 1 << 20,
  });

test('a program whose reader has gone ends with 141', { skip: onWindows }, () => {
  for (const name of ['yes', 'threads-yes']) {
    const { stdout, stderr } = shell('"$@" | head -n 2; echo ${PIPESTATUS[0]}', `${name}.wasm`);
    assert.deepEqual([stdout, stderr], ['line\nline\n141\n', ''], name);
  }
  // A trace shows the call that found it out.
  const { stdout, stderr } = shell(
    '"$@" 2>trace-of-yes.txt | head -n 1; echo ${PIPESTATUS[0]}; tail -n 1 trace-of-yes.txt',
    '--trace',
    'yes.wasm',
  );
  assert.match(stdout, /^line\n141\nfd_write\(1<stdout>, "line\\n", 5\) = -1 pipe \(64\)\n$/);
  assert.equal(stderr, '');
});

test(
  'what the command prints and cannot write is an error, and not if its reader has gone',
  { skip: process.platform !== 'linux' },
  () => {
    const asked = [
      ['--invoke', 'add', 'reactor.wasm', '1', '2'],
      ['inspect', 'cat.wasm'],
      ['--help'],
    ];
    for (const args of asked) {
      const { stdout, stderr } = shell('"$@" >/dev/full; echo $?', ...args);
      assert.equal(stdout, '1\n');
      assert.equal(stderr, 'wasi-rs: the standard output cannot be written: no space is left\n');
      const gone = shell('{ sleep 0.1; "$@"; echo $? >&2; } | true', ...args);
      assert.equal(gone.stderr, '0\n');
    }
  },
);

test('200 MB go through a pipe whole, to a reader that is slow', { skip: onWindows }, () => {
  const { stdout } = shell(
    'head -c 200000000 /dev/zero | "$@" | (sleep 0.3; wc -c); echo ${PIPESTATUS[1]}',
    'cat.wasm',
  );
  assert.deepEqual(stdout.trim().split(/\s+/), ['200000000', '0']);
});

// A terminal: it types a line, Ctrl-D, Ctrl-Z and Ctrl-C.
const TERMINAL = `
import os, pty, select, signal, sys, time
def until(fd, text, seen=b''):
    end = time.time() + 50
    while text not in seen and time.time() < end:
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 4096)
    if text not in seen: sys.exit('no %r in %r' % (text, seen))
def run(program):
    pid, fd = pty.fork()
    if pid == 0: os.execv(sys.argv[1], sys.argv[1:-2] + [program])
    return pid, fd
pid, fd = run(sys.argv[-2])
os.write(fd, b'typed\\n')
until(fd, b'typed\\r\\ntyped\\r\\n')
os.write(fd, b'\\x04')
print('exit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
pid, fd = run(sys.argv[-1])
until(fd, b'line')
os.kill(pid, signal.SIGSTOP)
print('stopped', os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]))
os.kill(pid, signal.SIGCONT)
os.write(fd, b'\\x03')
print('signal', -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
const noTerminal =
  (onWindows ||
    spawnSync('python3', ['-c', 'import os, pty; os.waitstatus_to_exitcode']).status !== 0) &&
  'no Python with pseudo-terminals here';

test('a terminal is its input, and Ctrl-C there ends it', { skip: noTerminal }, () => {
  const args = ['-c', TERMINAL, process.execPath, CLI, 'cat.wasm', 'loop.wasm'];
  const { stdout, stderr } = spawnSync('python3', args, {
    cwd: dir,
    env,
    encoding: 'utf8',
    timeout: LIMIT,
  });
  assert.deepEqual([stdout, stderr], ['exit 0\nstopped True\nsignal 2\n', '']);
});

// A user in a shell: Ctrl-Z, fg, Ctrl-C; and the exit code that the shell then reports.
const SHELL = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['PS1'] = 'ready$ '
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
seen = b''
def until(text):
    global seen
    end = time.time() + 50
    while text not in seen:
        if time.time() > end: sys.exit('no %r in %r' % (text, seen))
        if select.select([fd], [], [], 1)[0]: seen += os.read(fd, 4096)
    seen = seen[seen.index(text) + len(text):]
until(b'ready$ ')
os.write(fd, ("'" + "' '".join(sys.argv[1:]) + "'\\n").encode())
until(b'line\\r\\n')
for _ in range(2):
    os.write(fd, b'\\x1a')
    until(b'Stopped')
    until(b'ready$ ')
    os.write(fd, b'fg\\n')
    until(b'loop.wasm')
    time.sleep(0.2)
os.write(fd, b'\\x03')
until(b'ready$ ')
os.write(fd, b'echo code $?\\n')
until(b'code 130')
os.write(fd, b'exit\\n')
os.waitpid(pid, 0)
print('done')
`;

test(
  'a shell stops it by Ctrl-Z, goes on by fg and ends it by Ctrl-C',
  { skip: noTerminal },
  () => {
    for (const options of [[], ['--timeout', '5m']]) {
      const args = ['-c', SHELL, process.execPath, CLI, ...options, 'loop.wasm'];
      const { stdout, stderr } = spawnSync('python3', args, {
        cwd: dir,
        env,
        encoding: 'utf8',
        timeout: 2 * LIMIT,
      });
      assert.deepEqual([stdout, stderr], ['done\n', '']);
    }
  },
);

test('signals end it as they end any program', { skip: onWindows }, async () => {
  for (const name of ['SIGINT', 'SIGTERM']) {
    for (const options of [[], ['--timeout', '1m']]) {
      const child = spawn(process.execPath, [CLI, ...options, 'loop.wasm'], { cwd: dir, env });
      const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
      child.stdout.once('data', () => child.kill(name));
      const [, signal] = await new Promise((resolve) => {
        child.once('close', (...how) => resolve(how));
      });
      clearTimeout(timer);
      assert.equal(signal, name);
    }
  }
});
