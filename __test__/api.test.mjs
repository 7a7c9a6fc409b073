// The class WASI as a program meets it. Options, errors and return values are compared with
// node:wasi case by case in contract/; here stands what node:wasi does not have, or does otherwise.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import * as imported from '../index.js';

const require = createRequire(import.meta.url);
const entry = require.resolve('../index.js');
const { WASI } = require('../index.js');

const BADF = 8;
const memoryOf = () => new WebAssembly.Memory({ initial: 1 });
const command = (_start = () => {}) => ({ exports: { memory: memoryOf(), _start } });

const temp = mkdtempSync(join(tmpdir(), 'wasi-rs-api-'));
process.on('exit', () => rmSync(temp, { recursive: true, force: true }));
const folder = join(temp, 'folder');
mkdirSync(folder);
writeFileSync(join(temp, 'file'), '');
symlinkSync(folder, join(temp, 'link'));

/** Runs code that has `WASI`, `memory` and `command` in a process of its own. */
function runProgram(code) {
  const prelude = `
    const { WASI } = require(${JSON.stringify(entry)});
    const memory = new WebAssembly.Memory({ initial: 1 });
    const command = (_start) => ({ exports: { memory, _start } });
  `;
  const program = join(temp, `program-${serial++}.cjs`);
  writeFileSync(program, prelude + code);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status: status ?? signal, stdout, stderr };
}
let serial = 0;

/** How many descriptors this process has open. */
const openDescriptors = () => readdirSync('/proc/self/fd').length;
const linux = { skip: process.platform !== 'linux' && 'counts descriptors in /proc' };

const gc = globalThis.Bun ? () => globalThis.Bun.gc(true) : exposedGc();

function exposedGc() {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}

/** Collects garbage until `done` says so, and lets finalizers run. */
async function collectUntil(done) {
  for (let round = 0; round < 100 && !done(); round++) {
    gc();
    await new Promise((next) => setTimeout(next, 5));
  }
}

const symbolOf = (wasi, description) =>
  Object.getOwnPropertySymbols(wasi).find((symbol) => symbol.description === description);

test('require and import give the same class', () => {
  const exported = require('../index.js');
  assert.deepEqual(Object.keys(exported), [
    'Pool',
    'WASI',
    'WASIExitError',
    'WASILimitError',
    'compile',
    'run',
    'spawn',
  ]);
  // A bundler may have given a class another name, which errors and `inspect` would show.
  for (const [name, { name: own }] of Object.entries(exported)) assert.equal(own, name);
  assert.equal(imported.WASI, WASI);
  assert.equal(imported.default.WASI, WASI);
  assert.equal(require('wasi-rs').WASI, WASI);
});

test('the prototype has the methods of all versions of Node.js, and our own', () => {
  const nodes = ['finalizeBindings', 'start', 'initialize', 'getImportObject'];
  const collected = ['stdout', 'stderr', 'stdoutTruncated', 'stderrTruncated'];
  const files = ['readFile', 'listFiles', 'changes', 'commit'];
  const suspending = ['startAsync', 'initializeAsync', 'promising', 'unreadInput'];
  const ours = ['close', 'sockets', ...collected, ...files, 'stats', ...suspending];
  const names = [...nodes, ...ours];
  assert.deepEqual(Object.getOwnPropertyNames(WASI.prototype), ['constructor', ...names]);
  const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
  for (const key of [...names, dispose]) {
    assert.equal(Object.getOwnPropertyDescriptor(WASI.prototype, key).enumerable, false);
  }
});

test('errors look like those of Node.js', () => {
  const errorOf = (options) => {
    try {
      new WASI(options);
    } catch (error) {
      return error;
    }
  };
  const typeError = errorOf({ args: 5 });
  const message =
    'The "options.args" property must be an instance of Array. Received type number (5)';
  assert.ok(typeError instanceof TypeError);
  assert.equal(typeError.name, 'TypeError');
  assert.equal(typeError.code, 'ERR_INVALID_ARG_TYPE');
  assert.equal(typeError.message, message);
  assert.equal(String(typeError), `TypeError [ERR_INVALID_ARG_TYPE]: ${message}`);
  const [first, second] = typeError.stack.split('\n');
  assert.equal(first, `TypeError [ERR_INVALID_ARG_TYPE]: ${message}`);
  assert.match(second, /^ {4}at /);
  assert.deepEqual(Object.keys(typeError), ['code']);

  const messages = [
    [{ stdin: -(2 ** 40) }, /Received -1_099_511_627_776$/],
    [{ stdin: 2 ** 32 + 1 }, /Received 4_294_967_297$/],
    [{ version: "it's" }, /^The property 'options.version' unsupported .* Received "it's"$/],
    [{ version: 'x'.repeat(200) }, /Received 'x{127}\.\.\.$/],
    [{ env: 'y'.repeat(40) }, /Received type string \('y{25}\.\.\.'\)$/],
    [{ env: "it's" }, /Received type string \("it's"\)$/],
    [{ env: function named() {} }, /Received function named$/],
    [{ preopens: -0 }, /Received type number \(-0\)$/],
    [{ args: Object.create(null) }, /Received \[Object: null prototype\] \{\}$/],
  ];
  for (const [options, text] of messages) assert.match(errorOf(options).message, text);
});

test('without version the contract of Node 18 holds, with it that of Node 20', () => {
  const exiting = (options) => `
    const wasi = new WASI(${options});
    const code = wasi.start(command(() => wasi.wasiImport.proc_exit(7)));
    console.log('start returned', code);
  `;
  const ends = { status: 7, stdout: '', stderr: '' };
  const returns = { status: 0, stdout: 'start returned 7\n', stderr: '' };
  assert.deepEqual(runProgram(exiting('')), ends);
  assert.deepEqual(runProgram(exiting('{ returnOnExit: true }')), returns);
  assert.deepEqual(runProgram(exiting('{ version: undefined }')), ends);
  for (const version of ['preview1', 'unstable']) {
    assert.deepEqual(runProgram(exiting(`{ version: '${version}' }`)), returns);
    assert.deepEqual(runProgram(exiting(`{ version: '${version}', returnOnExit: false }`)), ends);
  }
  assert.deepEqual(Object.keys(new WASI().getImportObject()), ['wasi_snapshot_preview1']);
});

test('proc_exit on the main thread is process.exit, with its handlers', () => {
  const { status, stdout } = runProgram(`
    process.on('exit', (code) => console.log('exit', code));
    const wasi = new WASI();
    wasi.start(command(() => wasi.wasiImport.proc_exit(258)));
  `);
  assert.deepEqual([status, stdout], [2, 'exit 258\n']);
});

test('proc_exit in a Worker ends the whole process', () => {
  const { status, stdout } = runProgram(`
    const { isMainThread, Worker } = require('node:worker_threads');
    if (isMainThread) {
      new Worker(__filename).on('exit', () => console.log('the main thread goes on'));
    } else {
      const wasi = new WASI();
      wasi.start(command(() => wasi.wasiImport.proc_exit(-3)));
    }
  `);
  assert.deepEqual([status, stdout], [253, '']);
});

test('a preopen that cannot be opened is named in the error, with the cause', linux, () => {
  const before = openDescriptors();
  const missing = join(temp, 'missing');
  for (const [path, code, errno, cause] of [
    [missing, 'UVWASI_ENOENT', 44, /no such file/i],
    [join(temp, 'file'), 'UVWASI_ENOTDIR', 54, /not a directory/i],
  ]) {
    const construct = () => new WASI({ preopens: { '/good': folder, '/guest-name': path } });
    assert.throws(construct, (error) => {
      assert.equal(error.name, 'Error');
      assert.equal(error.code, code);
      assert.equal(error.errno, errno);
      assert.equal(error.syscall, 'uvwasi_init');
      assert.ok(error.message.startsWith(`${code}, uvwasi_init`), error.message);
      assert.ok(error.message.includes('/guest-name'), error.message);
      assert.ok(error.message.includes(path), error.message);
      assert.match(error.message, cause);
      return true;
    });
  }
  assert.equal(openDescriptors(), before);
});

test('what is open when a later option is wrong is closed', linux, () => {
  const before = openDescriptors();
  const options = { preopens: { '/a': folder, '/b': folder } };
  assert.throws(() => new WASI({ ...options, returnOnExit: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
  const throwing = Object.defineProperty({ ...options }, 'returnOnExit', {
    get() {
      throw new Error('mine');
    },
  });
  assert.throws(() => new WASI(throwing), /mine/);
  assert.equal(openDescriptors(), before);
});

test('close and Symbol.dispose close what a guest has open, and nothing of the host', linux, () => {
  const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
  for (const method of ['close', dispose]) {
    const before = openDescriptors();
    const stdin = openSync(join(temp, 'file'), 'r');
    const wasi = new WASI({ version: 'preview1', preopens: { '/': folder }, stdin });
    assert.equal(wasi.start(command()), 0);
    const { fd_fdstat_get, fd_prestat_get, clock_time_get } = wasi.wasiImport;
    assert.equal(openDescriptors(), before + 2);
    assert.equal(fd_prestat_get(3, 0), 0);

    wasi[method]();
    assert.equal(openDescriptors(), before + 1, 'the standard input is borrowed');
    for (const fd of [0, 1, 2, 3]) assert.equal(fd_fdstat_get(fd, 0), BADF);
    assert.equal(fd_prestat_get(3, 0), BADF);
    assert.equal(clock_time_get(1, 0n, 0), 0);
    wasi[method]();
    assert.equal(fd_fdstat_get(0, 0), BADF);
  }
});

test(
  "the process's own output is no guest's to shut down, though it may be a socket",
  linux,
  () => {
    const { stdout, stderr } = runProgram(`
    const { fstatSync, writeSync } = require('node:fs');
    if (process.argv[2] === undefined) {
      // Its input is the same socket.
      require('node:child_process').spawnSync(process.execPath, [__filename, 'again'], { stdio: [1, 1, 2] });
      process.exit();
    }
    const wasi = new WASI({ version: 'preview1' });
    wasi.finalizeBindings(command(() => {}));
    const { sock_shutdown } = wasi.wasiImport;
    const kinds = [0, 1, 2].map((fd) => fstatSync(fd).isSocket());
    const errnos = [0, 1, 2].map((fd) => sock_shutdown(fd, 3));
    writeSync(1, JSON.stringify({ kinds, errnos }));
    writeSync(2, 'still there');
  `);
    const { kinds, errnos } = JSON.parse(stdout);
    // Other runtimes read what a process prints from pipes.
    if (!process.versions.bun && !process.versions.deno)
      assert.deepEqual(kinds, [true, true, true]);
    // Standard output and standard error are not even sockets to shut down.
    assert.deepEqual(
      errnos,
      process.versions.bun || process.versions.deno ? [57, 57, 57] : [57, 76, 76],
    );
    assert.equal(stderr, 'still there');
  },
);

test('instances that are dropped leave no descriptor', linux, async () => {
  const before = openDescriptors();
  for (let count = 0; count < 200; count++) new WASI({ preopens: { '/': folder } });
  await collectUntil(() => openDescriptors() <= before);
  assert.equal(openDescriptors(), before);
});

test('an import keeps the instance that it belongs to', linux, async () => {
  const before = openDescriptors();
  let fd_prestat_get = (() => {
    const wasi = new WASI({ version: 'preview1', preopens: { '/': folder } });
    wasi.finalizeBindings(command());
    return wasi.wasiImport.fd_prestat_get;
  })();
  for (let round = 0; round < 5; round++) {
    gc();
    await new Promise((next) => setTimeout(next, 5));
    assert.equal(fd_prestat_get(3, 0), 0);
  }
  assert.equal(openDescriptors(), before + 1);
  fd_prestat_get = undefined;
  await collectUntil(() => openDescriptors() <= before);
  assert.equal(openDescriptors(), before);
});

test('emnapi finds its symbols, and they work', () => {
  const wasi = new WASI({ version: 'preview1' });
  for (const name of ['kBindingName', 'kSetMemory', 'kStarted', 'kInstance']) {
    const { writable } = Object.getOwnPropertyDescriptor(wasi, symbolOf(wasi, name));
    assert.ok(writable, name);
  }
  assert.equal(wasi[symbolOf(wasi, 'kBindingName')], 'wasi_snapshot_preview1');
  assert.equal(wasi[symbolOf(wasi, 'kStarted')], false);

  // As emnapi sets an instance up on the main thread: without start().
  const memory = memoryOf();
  const instance = { exports: { memory } };
  wasi[symbolOf(wasi, 'kInstance')] = instance;
  wasi[symbolOf(wasi, 'kSetMemory')](memory);
  assert.equal(wasi.wasiImport.random_get(0, 64), 0);
  assert.ok(new Uint8Array(memory.buffer, 0, 64).some(Boolean));
  assert.throws(() => wasi[symbolOf(wasi, 'kSetMemory')]({}), { code: 'ERR_INVALID_ARG_TYPE' });

  // And in a thread: start() once for each call.
  for (let count = 0; count < 3; count++) {
    assert.equal(wasi.start(command()), 0);
    assert.equal(wasi[symbolOf(wasi, 'kStarted')], true);
    assert.throws(() => wasi.start(command()), { code: 'ERR_WASI_ALREADY_STARTED' });
    wasi[symbolOf(wasi, 'kStarted')] = false;
  }
  wasi[symbolOf(wasi, 'kBindingName')] = 'other';
  assert.deepEqual(wasi.getImportObject(), { other: wasi.wasiImport });
});

test('a subclass and a Proxy of an instance work', () => {
  class Counting extends WASI {
    started = 0;
    finalizeBindings(...args) {
      this.started++;
      super.finalizeBindings(...args);
    }
  }
  const wasi = new Proxy(new Counting({ version: 'preview1' }), {});
  assert.equal(wasi.start(command(() => wasi.wasiImport.proc_exit(4))), 4);
  assert.equal(wasi.started, 1);
  wasi.close();
  assert.equal(wasi.wasiImport.fd_fdstat_get(1, 0), BADF);
});

test('arguments and environment of many sizes reach the guest', () => {
  for (const [args, env] of [
    [[], {}],
    [[''], { '': '' }],
    [['a', 'é😀', '\ud800', 'cut\0off'], { A: '1', Z: undefined, cut: 'a\0b' }],
    [['x'.repeat(30_000)], { LONG: 'y'.repeat(10_000) }],
  ]) {
    const wasi = new WASI({ version: 'preview1', args, env });
    const { exports } = command();
    wasi.start({ exports });
    const encode = (text) => Buffer.from(`${text.split('\0')[0]}\0`);
    const pairs = Object.entries(env).filter(([, value]) => value !== undefined);
    check('args', args.map(encode));
    check(
      'environ',
      pairs.map(([name, value]) => encode(`${name}=${value}`)),
    );
    function check(kind, strings) {
      const bytes = Buffer.concat(strings);
      const view = new DataView(exports.memory.buffer);
      assert.equal(wasi.wasiImport[`${kind}_sizes_get`](0, 4), 0);
      assert.equal(view.getUint32(0, true), strings.length);
      assert.equal(view.getUint32(4, true), bytes.length);
      assert.equal(wasi.wasiImport[`${kind}_get`](8, 1024), 0);
      assert.deepEqual(Buffer.from(exports.memory.buffer, 1024, bytes.length), bytes);
    }
  }
});

test('changes to globals and prototypes do not reach the imports', () => {
  const { status, stdout, stderr } = runProgram(`
    const { writeSync } = require('node:fs');
    const wasi = new WASI({ returnOnExit: false });
    const { random_get, proc_exit } = wasi.wasiImport;
    const bytes = new Uint8Array(memory.buffer);
    const grow = memory.grow.bind(memory);
    wasi.finalizeBindings({ exports: { memory } });
    const broken = (name) => () => { throw new Error(name + ' was used'); };
    const owners = [Object.getPrototypeOf(Uint8Array), Array, String, Function, ArrayBuffer,
      WebAssembly.Memory, Object].map((owner) => owner.prototype);
    const changes = [...owners, Reflect].flatMap((owner) => Reflect.ownKeys(owner)
      .filter((key) => key !== 'constructor' && key !== '__proto__')
      .map((key) => ({ owner, key, now: Object.getOwnPropertyDescriptor(owner, key) }))
      .filter(({ now }) => now.configurable && typeof (now.get ?? now.value) === 'function')
      .map(({ owner, key, now }) => ({ owner, key, broken: now.get
        ? { __proto__: null, get: broken(String(key)) }
        : { __proto__: null, value: broken(String(key)) } })));
    const { defineProperty } = Object;
    // Only syntax from here on: what is broken cannot help to break the rest.
    for (let i = 0; i < changes.length; i++) {
      defineProperty(changes[i].owner, changes[i].key, changes[i].broken);
    }
    process.exit = broken('process.exit');
    delete globalThis.Uint8Array;
    delete globalThis.WebAssembly;
    writeSync(1, 'random_get: ' + random_get(0, 8) + ', ' + (bytes[0] !== undefined));
    grow(1);
    writeSync(1, '; grown: ' + random_get(65536, 64));
    writeSync(1, '; outside: ' + random_get(4294967295, 64) + '\\n');
    proc_exit(9);
  `);
  assert.equal(stderr, '');
  assert.deepEqual([status, stdout], [9, 'random_get: 0, true; grown: 0; outside: 61\n']);
});

test('setters that all objects have run at no moment at which another instance could be taken for this one', () => {
  const { status, stdout, stderr } = runProgram(`
    const { kHandle } = Object.fromEntries(Object.getOwnPropertySymbols(new WASI())
      .map((key) => [key.description, key]));
    const seen = [];
    let depth = 0;
    for (const key of ['handle', 'instance', 'memory', 'view', 'words', 'deadline', 'knownLength', kHandle]) {
      Object.defineProperty(Object.prototype, key, { configurable: true, set(value) {
        seen.push(String(key));
        if (depth++ === 0) new WASI({ preopens: { '/': '.' } });
        depth--;
        Object.defineProperty(this, key, { value, writable: true, configurable: true });
      } });
    }
    const wasi = new WASI();
    wasi.finalizeBindings({ exports: { memory } });
    const errno = wasi.wasiImport.fd_prestat_get(3, 0);
    wasi.wasiImport.proc_exit(errno + (seen.includes('Symbol(kHandle)') ? 0 : 100));
  `);
  assert.equal(stderr, '');
  // 8: the instance has no preopen. The setters do run, where they can do no harm.
  assert.deepEqual([status, stdout], [8, '']);
});

test(
  'to load the package loads no part of Node that takes its time',
  // Deno's list is empty, and it runs no text of its arguments.
  { skip: !process.moduleLoadList?.length },
  () => {
    const source = `
    const before = new Set(process.moduleLoadList);
    require(process.argv[1]);
    require('node:fs').writeSync(1, process.moduleLoadList.filter((name) => !before.has(name)).join());
  `;
    const { stdout, status } = spawnSync(process.execPath, ['-e', source, entry], {
      encoding: 'utf8',
    });
    assert.equal(status, 0);
    assert.doesNotMatch(stdout, /perf|worker|crypto|child_process|inspector/);
  },
);

test('the package can be loaded twice, and by several threads at once', async () => {
  const cached = Object.keys(require.cache).filter((path) => path.startsWith(join(entry, '..')));
  for (const path of cached) delete require.cache[path];
  const again = require('../index.js');
  assert.notEqual(again.WASI, WASI);
  // Each addon knows the instances that it made: the threads of one copy must not attach to
  // another's.
  const { kShare } = again[Symbol.for('wasi-rs.keys')];
  assert.equal(typeof new again.WASI()[kShare], 'function');
  assert.equal(new WASI()[kShare], undefined);

  /**
   * Numbers that only a frame of its own keeps right: sizes of arguments, asked for in turn, where
   * no word begins.
   */
  const sizes = (Class, count) => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const wasi = new Class({ version: 'preview1', args: Array(count).fill('x') });
    wasi.finalizeBindings({ exports: { memory } });
    return () => {
      if (wasi.wasiImport.args_sizes_get(count * 8 + 1, count * 8 + 5) !== 0) return false;
      const view = new DataView(memory.buffer, count * 8 + 1);
      return view.getUint32(0, true) === count && view.getUint32(4, true) === 2 * count;
    };
  };
  const checks = [sizes(WASI, 3), sizes(again.WASI, 5), sizes(WASI, 7)];
  for (let round = 0; round < 100; round++) assert.ok(checks.every((check) => check()));

  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    const check = (${sizes})(require(workerData.entry).WASI, workerData.count);
    let right = 0;
    for (let round = 0; round < 20_000; round++) right += check();
    parentPort.postMessage(right);
  `;
  const counts = [2, 4, 6, 8];
  const results = counts.map((count) => {
    const worker = new Worker(source, { eval: true, workerData: { entry, count } });
    return new Promise((done, failed) => worker.once('message', done).once('error', failed));
  });
  assert.deepEqual(await Promise.all(results), Array(counts.length).fill(20_000));
});
