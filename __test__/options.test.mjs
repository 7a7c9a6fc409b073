// The checks of an embedder's options: keys, values, and the results of functions. Also the errors,
// which say what was meant, and which name files as the guest does.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { started } from './support/direct.mjs';

const require = createRequire(import.meta.url);
const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const { WASI, run } = require('../index.js');
const { runThreads } = require('../threads.js');
const { bytesOf } = require('../lib/bytes.js');
const { nearest } = require('../lib/guess.js');

const OK = 0;
const NOSPC = 51;
const [ACCES, BADF, LOOP, NOENT, NOTDIR, ROFS] = [2, 8, 32, 44, 54, 69];
const PATH = 1024;

function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-options-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const make = (options) => () => new WASI({ version: 'preview1', ...options });
const foreign = (code) => vm.runInNewContext(code);

test('a key that an object of ours does not have is an error with a guess', async () => {
  const dir = { path: '.' };
  for (const [options, property, guess] of [
    [{ preopens: { '/d': { ...dir, readonly: true } } }, "preopens['/d'].readonly", 'readOnly'],
    [{ preopens: { '/d': { ...dir, read_only: true } } }, "preopens['/d'].read_only", 'readOnly'],
    [{ preopens: { '/d': { ...dir, maxBytes: 1 } } }, "preopens['/d'].maxBytes"],
    [{ preopens: { '/d': { ...dir, symlink: 'deny' } } }, "preopens['/d'].symlink", 'symlinks'],
    [{ preopens: { '/d': { file: 'x', create: true } } }, "preopens['/d'].create"],
    [{ preopens: { '/d': { memory: {}, maxbytes: 1 } } }, "preopens['/d'].maxbytes", 'maxBytes'],
    [{ limits: { maxOpenFiles: 3 } }, 'limits.maxOpenFiles', 'openFiles'],
    [{ limits: { openfiles: 3 } }, 'limits.openfiles', 'openFiles'],
    [{ limits: { timeout: 3 } }, 'limits.timeout'],
    [{ clock: { real: 1n } }, 'clock.real'],
    [{ clock: { monotonic: { begin: 1n } } }, 'clock.monotonic.begin'],
  ]) {
    const text = `The property 'options.${property}' is not known`;
    assert.throws(make(options), (error) => {
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_VALUE']);
      assert.ok(error.message.startsWith(text), error.message);
      assert.equal(/did you mean '(\w+)'\?/.exec(error.message)?.[1], guess, error.message);
      assert.match(error.message, /nown are '\w+', /);
      return true;
    });
  }
  const both = { code: 'ERR_INVALID_ARG_VALUE', message: /must not have both 'path' and 'memory'/ };
  assert.throws(make({ preopens: { '/d': { ...dir, memory: {} } } }), both);
  const unknown = { code: 'ERR_INVALID_ARG_VALUE', message: /did you mean 'timeoutMs'\?/ };
  await assert.rejects(run(new Uint8Array(), { timeout: 5 }), unknown);
  const other = { code: 'ERR_INVALID_ARG_VALUE' };
  await assert.rejects(run(new Uint8Array(), { bogus: 1 }), other);
  await assert.rejects(runThreads(new WASI(), new Uint8Array(), { threads: 1 }), other);
  assert.throws(() => new WASI().listFiles({ types: true }), other);
  // A Map has no keys.
  for (const options of [{ limits: new Map([['openFiles', 1]]) }, { clock: new Map() }]) {
    assert.throws(make(options), { code: 'ERR_INVALID_ARG_TYPE', message: /plain object/ });
  }
});

test('null is of the wrong type for each option of ours, alone', () => {
  const names = ['limits', 'clock', 'random', 'sockets', 'sortedReaddir', 'timeoutMs', 'trace'];
  for (const name of [...names, 'stats', 'suspend']) {
    assert.throws(make({ [name]: null }), { code: 'ERR_INVALID_ARG_TYPE' }, name);
  }
});

test('values beside those that an option of ours may have are errors', () => {
  const [TYPE, VALUE, RANGE] = ['TYPE', 'VALUE', 'RANGE'];
  const codes = {
    [TYPE]: { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' },
    [VALUE]: { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' },
    [RANGE]: { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' },
  };
  const real = (realtime) => ({ clock: { realtime } });
  const fake = (monotonic) => ({ clock: { monotonic } });
  const files = (openFiles) => ({ limits: { openFiles } });
  const time = (timeoutMs) => ({ timeoutMs });
  const preopen = (value) => ({ preopens: { '/d': value } });
  const END = 2n ** 64n;
  for (const [options, code, name] of [
    [real(5), TYPE, 'clock.realtime'],
    [real('fake'), TYPE, 'clock.realtime'],
    [real(null), TYPE, 'clock.realtime'],
    [real(new Date()), TYPE, 'clock.realtime'],
    [real(-1n), RANGE, 'clock.realtime'],
    [fake(END), RANGE, 'clock.monotonic'],
    [fake({ start: 5 }), TYPE, 'clock.monotonic.start'],
    [fake({ start: -1n }), RANGE, 'clock.monotonic.start'],
    [real({ step: END }), RANGE, 'clock.realtime.step'],
    [real({ step: 1 }), TYPE, 'clock.realtime.step'],
    [files('3'), TYPE, 'limits.openFiles'],
    [files(1.5), RANGE, 'limits.openFiles'],
    [files(NaN), RANGE, 'limits.openFiles'],
    [files(-1), RANGE, 'limits.openFiles'],
    [files(2 ** 53), RANGE, 'limits.openFiles'],
    [{ limits: { memoryBytes: 1 } }, VALUE, "limits.memoryBytes' cannot be kept by a WASI"],
    [{ limits: { tableElements: 1 } }, VALUE, "limits.tableElements' cannot be kept by a WASI"],
    [time('5'), TYPE, 'timeoutMs'],
    [time(-1), RANGE, 'timeoutMs'],
    [time(NaN), RANGE, 'timeoutMs'],
    [preopen({ path: '.', symlinks: 'follow' }), TYPE, "preopens['/d'].symlinks"],
    [preopen({ path: 5 }), TYPE, "preopens['/d'].path"],
    [preopen({ path: null }), TYPE, "preopens['/d'].path"],
    [preopen({ path: {} }), TYPE, "preopens['/d'].path"],
    [preopen({ path: { href: 'file:///' } }), TYPE, "preopens['/d'].path"],
    [preopen({ path: { protocol: 'file:' } }), TYPE, "preopens['/d'].path"],
    // What `url.parse` gives is no URL.
    [preopen({ path: { href: 'file:///', protocol: 'file:', path: '/' } }), TYPE, "['/d'].path"],
    [preopen({ file: null }), TYPE, "preopens['/d'].file"],
    [{ version: 5 }, TYPE, 'version'],
    [{ version: null }, TYPE, 'version'],
    [{ version: ['preview1'] }, TYPE, 'version'],
    [{ args: { length: 0 } }, TYPE, 'args'],
    [{ env: [] }, TYPE, 'env'],
    [{ env: null }, TYPE, 'env'],
    [{ preopens: [] }, TYPE, 'preopens'],
    [{ limits: [] }, TYPE, 'limits'],
    [{ clock: [] }, TYPE, 'clock'],
    [{ returnOnExit: null }, TYPE, 'returnOnExit'],
    [{ stats: 'yes' }, TYPE, 'stats'],
    [{ sortedReaddir: 1 }, TYPE, 'sortedReaddir'],
    [{ stdout: -1 }, RANGE, 'stdout'],
    [{ stderr: 2 ** 31 }, RANGE, 'stderr'],
    [{ stdin: 0.5 }, RANGE, 'stdin'],
    [{ stdin: NaN }, RANGE, 'stdin'],
    [{ stdin: { fd: null } }, VALUE, 'stdin'],
    [{ stdin: { fd: undefined } }, VALUE, 'stdin'],
  ]) {
    assert.throws(make(options), (error) => {
      assert.deepEqual({ name: error.name, code: error.code }, codes[code], `options.${name}`);
      assert.ok(error.message.includes(name), error.message);
      return true;
    });
  }
  // The first and the last that there are.
  const most = { openFiles: Number.MAX_SAFE_INTEGER };
  for (const options of [
    real(0n),
    real(END - 1n),
    real('real'),
    real(undefined),
    fake({ start: 0n, step: END - 1n }),
    files(0),
    { limits: most },
    time(0),
    time(Infinity),
  ]) {
    make(options)();
  }
});

test('near misses among the options are errors where one of ours is used, and only there', () => {
  for (const [options, guess] of [
    [{ preopen: {} }, 'preopens'],
    [{ preOpens: {} }, 'preopens'],
    [{ readonly: true }, 'preopens[...].readOnly'],
    [{ timeout: 5 }, 'timeoutMs'],
    [{ deadlineMs: 5 }, 'timeoutMs'],
    [{ outputCap: 5 }, 'limits.outputBytes'],
    [{ openFiles: 5 }, 'limits.openFiles'],
    [{ std_out: 5 }, 'stdout'],
    [{ sortReaddir: true }, 'sortedReaddir'],
    [{ return_on_exit: true }, 'returnOnExit'],
  ]) {
    for (const ours of [{ stdout: 'pipe' }, { limits: {} }, { stats: true }, { trace: false }]) {
      assert.throws(make({ ...options, ...ours }), (error) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
        assert.ok(error.message.includes(`did you mean '${guess}'?`), error.message);
        return true;
      });
    }
    make(options)();
    make({ ...options, stdout: undefined, limits: undefined, stats: undefined })();
  }
  // Unknown keys that resemble no option are ignored, as Node does, and so are undefined ones.
  make({ stdout: 'pipe', name: 1, bindings: {}, preopen: undefined })();
});

test('a guess is near, and nothing is near to everything', () => {
  const known = ['path', 'readOnly', 'create', 'symlinks', 'lazy'];
  for (const [key, guess] of [
    ['readonly', 'readOnly'],
    ['raedOnly', 'readOnly'],
    ['Path', 'path'],
    ['paths', 'path'],
    ['symlnks', 'symlinks'],
    ['file', undefined],
    ['x', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
    ['y'.repeat(1e6), undefined],
  ]) {
    assert.equal(nearest(key, known), guess, key.slice(0, 20));
  }
});

test('a NUL in the name or the path of a preopen makes no preopens of its parts', (t) => {
  const dir = folder(t);
  for (const path of [`${dir}\0`, `${dir}\0/other\0${dir}`]) {
    assert.throws(make({ preopens: { '/d': path } }), { code: 'UVWASI_EINVAL' });
  }
  const wasi = make({ preopens: { [`/d\0${dir}\0/e`]: dir } })();
  wasi.initialize({ exports: { memory: new WebAssembly.Memory({ initial: 1 }) } });
  assert.equal(wasi.wasiImport.fd_prestat_get(3, 0), OK);
  assert.equal(wasi.wasiImport.fd_prestat_get(4, 0), BADF);
  wasi.close();
});

test('undefined is absent, for every option and every key', () => {
  const nothing = undefined;
  const wasi = make({
    args: nothing,
    env: nothing,
    stdin: nothing,
    stdout: nothing,
    stderr: nothing,
    returnOnExit: nothing,
    timeoutMs: nothing,
    limits: nothing,
    clock: nothing,
    random: nothing,
    sortedReaddir: nothing,
    trace: nothing,
    stats: nothing,
  })();
  assert.match(wasi.wasiImport.fd_read.toString(), /^\s+fd_read\(\);/m, 'nothing watches');
  assert.equal(wasi.stats(), undefined);
  const limits = { openFiles: nothing, hostCalls: nothing, bogus: nothing };
  make({ limits, clock: { realtime: nothing, monotonic: { start: nothing, step: nothing } } })();
  const { wasi: other } = started({
    preopens: {
      '/a': { path: nothing, file: nothing, memory: { f: 'x' }, maxBytes: nothing },
      '/b': { path: '.', readOnly: nothing, create: nothing, symlinks: nothing, lazy: nothing },
    },
  });
  assert.deepEqual(other.listFiles({ withTypes: nothing }), ['/a/f']);
});

test('who watches the reads sees those of Node, if only its options are used', () => {
  const seen = [];
  const target = { version: 'preview1', args: [], preopens: {}, preopen: 1, stdin: 0 };
  const watching = new Proxy(target, {
    get: (object, key) => (seen.push(['get', key]), object[key]),
    ownKeys: (object) => (seen.push(['ownKeys']), Reflect.ownKeys(object)),
  });
  new WASI(watching);
  const names = ['version', 'args', 'env', 'preopens', 'stdin', 'stdout', 'stderr', 'returnOnExit'];
  assert.deepEqual([...new Set(seen.map(([, key]) => key))], names);
});

test('the guest returns on exit where an option of ours is used that does more than observe', () => {
  const ends = (options) => {
    const wasi = new WASI(options);
    // Without `returnOnExit` it is one of the imports' closures, which ends the process.
    return /proc_exit\(\)/.test(wasi.wasiImport.proc_exit.toString());
  };
  const open = { fd: 1 };
  for (const options of [
    { timeoutMs: Infinity },
    { limits: {} },
    { clock: {} },
    { random: 1 },
    { sortedReaddir: false },
    { stdin: 'ignore' },
    { stdin: new Uint8Array() },
    { stdin: () => null },
    { stdout: 'pipe' },
    { stderr: 'inherit' },
    { stdout: open },
    { preopens: { '/': { memory: {} } } },
    { preopens: { '/': { path: '.' } } },
    { preopens: { '/': pathToFileURL('.') } },
  ]) {
    assert.equal(ends(options), false, Object.keys(options)[0]);
    assert.equal(ends({ ...options, returnOnExit: false }), true);
  }
  for (const options of [
    {},
    { stdin: 0, args: ['x'], preopens: { '/': '.' } },
    { limits: undefined },
  ]) {
    assert.equal(ends(options), true);
  }
  for (const options of [{ stats: true }, { trace: () => {} }]) {
    const wasi = new WASI(options);
    const code = `const { WASI } = require(${JSON.stringify(PACKAGE)});
      const wasi = new WASI({ ${'stats' in options ? 'stats: true' : 'trace: () => {}'} });
      wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() { wasi.wasiImport.proc_exit(7); } } });`;
    assert.equal(spawnSync(process.execPath, ['-e', code]).status, 7);
    wasi.close();
  }
});

// Bytes in every form. Each is `hi`.
const FORMS = {
  Uint8Array: () => new Uint8Array([104, 105]),
  Buffer: () => Buffer.from('hi'),
  'part of a buffer': () => new Uint8Array([0, 104, 105, 0]).subarray(1, 3),
  Uint16Array: () => new Uint16Array(new Uint8Array([104, 105]).buffer),
  DataView: () => new DataView(new Uint8Array([0, 104, 105]).buffer, 1),
  ArrayBuffer: () => new Uint8Array([104, 105]).buffer,
  SharedArrayBuffer: () => {
    const buffer = new SharedArrayBuffer(2);
    new Uint8Array(buffer).set([104, 105]);
    return buffer;
  },
  'another realm': () => foreign('new Uint8Array([104, 105])'),
  'a DataView of another realm': () => foreign('new DataView(new Uint8Array([104, 105]).buffer)'),
  'an ArrayBuffer of another realm': () => foreign('new Uint8Array([104, 105]).buffer'),
  'an array with a length of its own': () =>
    Object.defineProperty(new Uint8Array([104, 105]), 'byteLength', { value: 0 }),
};
/** The end of a guest whose export the embedder called himself: the error is its cause. */
const stoppedBy = (expected) => (error) => {
  assert.equal(error.code, 'ERR_WASI_STOPPED');
  assert.ok(error.cause instanceof TypeError);
  assert.throws(() => {
    throw error.cause;
  }, expected);
  return true;
};

const once = (value) => {
  let isGiven = false;
  return () => (isGiven ? null : ((isGiven = true), value));
};

test('bytes of any realm and any view count everywhere', () => {
  const seedOf = (random) => {
    const guest = started({ random });
    guest.call.random_get(100, 16);
    return guest.view.getBigUint64(100, true);
  };
  const seed = seedOf(FORMS.Uint8Array());
  for (const [name, form] of Object.entries(FORMS)) {
    assert.equal(started({ stdin: form() }).read(0), 'hi', `stdin: ${name}`);
    const fed = started({ stdin: once(form()) });
    assert.deepEqual([fed.read(0), fed.read(0)], ['hi', ''], `stdin function: ${name}`);
    const { wasi } = started({ preopens: { '/m': { memory: { a: form() } } } });
    assert.equal(Buffer.from(wasi.readFile('/m/a')).toString(), 'hi', `memory: ${name}`);
    assert.equal(seedOf(form()), seed, `seed: ${name}`);
  }
  assert.equal(started({ stdin: once('hé') }).read(0), 'hé', 'text is encoded');
});

test('bytes that other threads may write are copied before the addon sees them', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(2));
  for (const form of [shared, shared.buffer, new DataView(shared.buffer)]) {
    assert.ok(bytesOf(form).buffer instanceof ArrayBuffer);
  }
  const own = new Uint8Array(2);
  assert.equal(bytesOf(own).buffer, own.buffer, 'and no others');
});

test('bytes whose buffer is detached are refused', () => {
  for (const form of [
    (bytes) => bytes,
    (bytes) => bytes.buffer,
    (bytes) => new DataView(bytes.buffer),
    (bytes) => new Uint16Array(bytes.buffer),
  ]) {
    const gone = () => {
      const bytes = new Uint8Array(2);
      const made = form(bytes);
      const { buffer } = bytes;
      structuredClone(buffer, { transfer: [buffer] });
      return made;
    };
    const detached = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /detached/ };
    assert.throws(make({ stdin: gone() }), detached);
    assert.throws(make({ random: gone() }), detached);
    assert.throws(make({ preopens: { '/': { memory: { a: gone() } } } }), detached);
    const fed = started({ stdin: once(gone()) });
    assert.throws(() => fed.read(0), stoppedBy({ code: 'ERR_INVALID_RETURN_VALUE' }));
  }
});

test('the rejection of a promise that is given by mistake is nobody’s', async () => {
  const told = [];
  const listen = (reason) => told.push(reason.message);
  process.on('unhandledRejection', listen);
  const expected = stoppedBy({ code: 'ERR_INVALID_RETURN_VALUE' });
  const fail = () => Promise.reject(new Error('unhandled'));
  assert.throws(() => started({ stdin: fail }).read(0), expected);
  assert.throws(() => started({ stdout: fail }).write(1, 'x'), expected);
  await new Promise((next) => setTimeout(next, 20));
  process.off('unhandledRejection', listen);
  assert.deepEqual(told, []);
});

test('what a stream function gives by mistake is an error out of start()', () => {
  for (const value of [
    undefined,
    65,
    true,
    {},
    [],
    [104, 105],
    Promise.resolve(null),
    1n,
    () => {},
  ]) {
    const wasi = make({ stdin: () => value, stdout: 'pipe' })();
    const memory = new WebAssembly.Memory({ initial: 1 });
    const _start = () => wasi.wasiImport.fd_read(0, 0, 0, 0);
    assert.throws(
      () => wasi.start({ exports: { memory, _start } }),
      (error) => {
        assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_RETURN_VALUE']);
        assert.match(
          error.message,
          /^Expected bytes, a string or null .* "options.stdin" function/,
        );
        return true;
      },
    );
  }
  for (const stream of ['stdout', 'stderr']) {
    const taken = started({ [stream]: () => Promise.resolve() });
    const expected = {
      code: 'ERR_INVALID_RETURN_VALUE',
      message: new RegExp(`"options.${stream}"`),
    };
    assert.throws(() => taken.write(stream === 'stdout' ? 1 : 2, 'x'), stoppedBy(expected));
    const thenable = started({ [stream]: () => ({ then() {} }) });
    assert.throws(() => thenable.write(stream === 'stdout' ? 1 : 2, 'x'), stoppedBy(expected));
    for (const value of [undefined, null, true, 5, 'x', {}]) {
      assert.equal(started({ [stream]: () => value }).write(stream === 'stdout' ? 1 : 2, 'x'), 1);
    }
  }
});

test('files in memory come in a plain object', () => {
  class Files {
    a = 'x';
  }
  for (const memory of [
    new Map([['a', 'x']]),
    new Set(),
    new Files(),
    [],
    'a',
    null,
    foreign('new Map()'),
  ]) {
    assert.throws(make({ preopens: { '/': { memory } } }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /must be (a plain object|of type object)\./,
    });
  }
  assert.throws(make({ preopens: { '/': { memory: new Map() } } }), /a plain object/);
  for (const memory of [
    { a: 'x' },
    Object.assign(Object.create(null), { a: 'x' }),
    foreign('({ a: "x" })'),
  ]) {
    assert.deepEqual(started({ preopens: { '/': { memory } } }).wasi.listFiles(), ['/a']);
  }
});

test('output that the limit cut says so', async () => {
  const whole = started({ stdout: 'pipe', stderr: 'pipe', limits: { outputBytes: 5 } });
  assert.equal(whole.write(1, 'abcde'), 5);
  assert.deepEqual([whole.wasi.stdoutTruncated, whole.wasi.stderrTruncated], [false, false]);
  assert.equal(whole.write(1, ''), 0);
  assert.equal(whole.wasi.stdoutTruncated, false, 'nothing more was to be written');
  assert.equal(whole.write(2, 'abcdef'), 5);
  assert.deepEqual([whole.wasi.stdoutTruncated, whole.wasi.stderrTruncated], [false, true]);
  whole.write(1, 'f');
  assert.equal(whole.wasi.stdoutTruncated, true);
  const plain = started({ stdout: 'ignore' });
  assert.deepEqual(
    [plain.wasi.stdoutTruncated, plain.wasi.stderrTruncated],
    [undefined, undefined],
  );
  const echo = readFileSync(new URL('guests/open-paths.wasm', import.meta.url));
  const bounded = (outputBytes) => run(echo, { args: ['x', '/none'], limits: { outputBytes } });
  const [cut, all] = [await bounded(4), await bounded(4000)];
  assert.deepEqual([cut.stdout.length, cut.truncated], [4, { stdout: true, stderr: false }]);
  assert.deepEqual(all.truncated, { stdout: false, stderr: false });
});

test('each limit of output keeps as many bytes as it says', async () => {
  const echo = readFileSync(new URL('guests/open-paths.wasm', import.meta.url));
  for (const outputBytes of [0, 1, 2, 3, 4]) {
    const { write } = started({ stdout: 'pipe', limits: { outputBytes } });
    assert.equal(write(1, 'abcde'), outputBytes || -NOSPC, `new WASI: ${outputBytes}`);
    const { stdout, reason } = await run(echo, { args: ['x', '/none'], limits: { outputBytes } });
    assert.deepEqual([stdout.length, reason], [outputBytes, 'output'], `run: ${outputBytes}`);
  }
  for (const outputBytes of [2 ** 51, 2 ** 51 + 2, Number.MAX_SAFE_INTEGER]) {
    const { wasi, write } = started({ stdout: 'pipe', limits: { outputBytes } });
    assert.equal(write(1, 'abcde'), 5);
    assert.deepEqual([`${Buffer.from(wasi.stdout)}`, wasi.stdoutTruncated], ['abcde', false]);
    const { reason } = await run(echo, { args: ['x', '/none'], limits: { outputBytes } });
    assert.equal(reason, 'exit', `run: ${outputBytes}`);
  }
});

test('messages name the values that a stream may have', () => {
  const streams = [
    ['stdin', "of type number or function, 'inherit', 'ignore', bytes, or an open object"],
    ['stdout', "of type number or function, 'inherit', 'ignore', 'pipe', or an open object"],
  ];
  for (const [stream, text] of streams) {
    for (const value of ['bogus', null, true, {}]) {
      assert.throws(make({ [stream]: value }), (error) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_TYPE');
        assert.ok(error.message.startsWith(`The "options.${stream}" property must be ${text}`));
        return true;
      });
    }
  }
  assert.throws(make({ clock: { realtime: 5 } }), /must be 'real' or of type bigint or object/);
  assert.throws(make({ clock: { realtime: null } }), /must be 'real' or of type bigint or object/);
});

test('an open object with a descriptor is a stream, and a closed one an error', async (t) => {
  const file = join(folder(t), 'file');
  writeFileSync(file, 'content');
  const handle = await open(file, 'r+');
  assert.equal(started({ stdin: handle }).read(0), 'content');
  await handle.close();
  const stream = createWriteStream(file, { flags: 'a' });
  const early = make({ stdout: stream });
  const notOpen = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /must be open/ };
  if (stream.fd === null) assert.throws(early, notOpen);
  await new Promise((ready) => stream.on('open', ready));
  assert.equal(started({ stdout: stream }).write(1, ' more'), 5);
  await new Promise((closed) => stream.close(closed));
  assert.equal(readFileSync(file, 'utf8'), 'content more');
  for (const closed of [handle, stream, { fd: -1 }, { fd: null }]) {
    for (const name of ['stdin', 'stdout', 'stderr']) {
      assert.throws(make({ [name]: closed }), {
        ...notOpen,
        message: new RegExp(`'options.${name}' must be open`),
      });
    }
  }
  make({ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr })();
  assert.throws(make({ stdin: { fd: 'x' } }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(make({ stdin: { fd: 1.5 } }), { code: 'ERR_OUT_OF_RANGE' });
});

test('a file: URL is a path, of whatever realm and library', (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'a b'));
  writeFileSync(join(dir, 'a b', 'f'), 'text');
  const url = pathToFileURL(join(dir, 'a b'));
  const file = pathToFileURL(join(dir, 'a b', 'f'));
  const alike = { href: url.href, protocol: 'file:' };
  for (const preopen of [url, alike, { path: url }, { path: alike, readOnly: true }]) {
    const guest = started({ preopens: { '/': preopen } });
    assert.equal(guest.read(guest.open('f')), 'text');
  }
  const guest = started({ preopens: { '/': { file } } });
  assert.equal(guest.read(guest.open('.')), 'text');
  const scheme = { code: 'ERR_INVALID_URL_SCHEME' };
  assert.throws(make({ preopens: { '/': new URL('http://example.org/') } }), scheme);
  assert.throws(make({ preopens: { '/': { path: new URL('data:,') } } }), scheme);
  assert.throws(make({ preopens: { '/': { path: 5 } } }), /of type string or a 'file:' URL/);
});

test('an object that is no preopen says which there are', () => {
  for (const preopen of [
    {},
    { readOnly: true },
    Object.create(null),
    new Map(),
    Promise.resolve(),
    foreign('({})'),
  ]) {
    assert.throws(make({ preopens: { '/d': preopen } }), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message:
        /^The property 'options.preopens\['\/d'\]' must be a path or have one of 'path', 'file', 'memory', 'tar' and 'fs'\./,
    });
  }
  // As Node has it, what says which text it stands for is that.
  make({ preopens: { '/': { toString: () => '.' }, '/b': Buffer.from('.') } })();
});

test('an error of construction says what failed, in the realm of its caller', (t) => {
  const missing = join(folder(t), 'missing');
  const error = (() => {
    try {
      make({ preopens: { '/a': '.', '/b': { path: missing } } })();
    } catch (thrown) {
      return thrown;
    }
  })();
  assert.deepEqual([error.guestPath, error.hostPath], ['/b', missing]);
  assert.deepEqual({ ...error }, { errno: NOENT, code: 'UVWASI_ENOENT', syscall: 'uvwasi_init' });
  assert.equal(error.name, 'Error');
  assert.match(error.stack, /^Error: UVWASI_ENOENT, uvwasi_init: preopen "\/b" .*\n +at /);
  assert.throws(make({ stdin: 999_999 }), { code: 'UVWASI_EBADF', errno: BADF });
});

/** Loads the package in a context of its own, as jest does. */
function loadIn(context) {
  const modules = new Map();
  const load = (file) => {
    if (file.endsWith('.node')) return require(file);
    if (!modules.has(file)) {
      const module = { exports: {} };
      modules.set(file, module);
      const native = createRequire(file);
      const own = (name) => (name.startsWith('.') ? load(native.resolve(name)) : native(name));
      own.resolve = native.resolve;
      const parameters = ['require', 'module', 'exports', '__dirname', '__filename'];
      const code = readFileSync(file, 'utf8');
      const compiled = vm.compileFunction(code, parameters, {
        parsingContext: context,
        filename: file,
      });
      compiled(own, module, module.exports, dirname(file), file);
    }
    return modules.get(file).exports;
  };
  return load;
}

test('the package works in a context of its own, which has nothing but the language', (t) => {
  const context = vm.createContext({ process });
  const load = loadIn(context);
  const theirs = load(join(PACKAGE, 'index.js')).WASI;
  for (const file of ['observe', 'trace', 'pool', 'spawn', 'guess', 'bytes']) {
    load(join(PACKAGE, 'lib', `${file}.js`));
  }
  load(join(PACKAGE, 'threads.js'));
  const run = vm.runInContext(
    `(function (WASI, missing) {
      const seen = [];
      const memory = new WebAssembly.Memory({ initial: 1 });
      let given = false;
      const wasi = new WASI({
        version: 'preview1',
        stdin: () => (given ? null : ((given = true), new Uint8Array([104, 105]))),
        stdout: (chunk) => seen.push(chunk instanceof Uint8Array, chunk.length),
        stderr: 'pipe',
        preopens: { '/m': { memory: { a: new Uint8Array(3), b: 'text' } } },
        random: new Uint8Array(1),
        trace: ({ name }) => seen.push(name),
      });
      const view = new DataView(memory.buffer);
      view.setUint32(0, 16, true);
      view.setUint32(4, 2, true);
      wasi.start({ exports: { memory, _start() {
        wasi.wasiImport.fd_read(0, 0, 1, 8);
        wasi.wasiImport.fd_write(1, 0, 1, 8);
        wasi.wasiImport.fd_write(2, 0, 1, 8);
      } } });
      seen.push(wasi.stderr instanceof Uint8Array, wasi.readFile('/m/a') instanceof Uint8Array);
      for (const make of [
        () => new WASI({ preopens: { '/': missing } }),
        () => new WASI({ stdin: 999999 }),
        () => new WASI({ limits: { bogus: 1 } }),
        () => new WASI({ args: 1 }),
      ]) {
        try {
          make();
        } catch (error) {
          seen.push(error instanceof Error);
        }
      }
      return JSON.stringify(seen);
    })`,
    context,
  );
  assert.deepEqual(JSON.parse(run(theirs, join(folder(t), 'missing'))), [
    ...['fd_read', true, 2, 'fd_write', 'fd_write', true, true],
    ...[true, true, true, true],
  ]);
});

test('readFile finds what the guest would open', () => {
  const wasm = new WebAssembly.Module(
    readFileSync(new URL('guests/open-paths.wasm', import.meta.url)),
  );
  const preopens = {
    '/mem': { memory: { a: '1', 'sub/b': '2' } },
    '/': {
      memory: {
        top: '3',
        'memory/a': '4',
        'mem/a': '5',
        'mem/deep/a': '6',
        '.mem': '7',
        slash: '8',
      },
    },
    '/mem/deep': { memory: { a: '9' } },
    '/slash/': { memory: { a: 'a' } },
    './dot': { memory: { a: 'b' } },
    '/gap/in': { memory: { a: 'e' } },
    '/twice': { memory: { a: 'c' } },
    twice: { memory: { a: 'd' } },
    '/host': PACKAGE,
  };
  const paths = [
    ...[
      '/mem/a',
      'mem/a',
      './mem/a',
      '//mem/a',
      '/./mem/a',
      '/mem//a',
      '/mem/./a',
      '/mem/sub/../a',
    ],
    ...[
      '/mem/../mem/a',
      '/mem/../top',
      '/mem/a/',
      '/mem',
      '/mem/.',
      '/top',
      'top',
      './top',
      '.',
      '..',
    ],
    ...[
      '../top',
      '/../top',
      '/../mem/a',
      '/mem/deep/a',
      '/mem/deep',
      '/mem/deep//a',
      '/memory/a',
      '/slash/a',
      '/slash',
    ],
    ...[
      '/dot/a',
      './dot/a',
      '',
      '/twice/a',
      '/mem/sub/b',
      '/mem/none',
      './/mem/a',
      '/.mem',
      'mem/../top',
    ],
    ...[
      './/./top',
      '/mem/sub/../../top',
      '/host',
      '/to-a',
      '/mem/to-sub/b',
      '/mem/out',
      '/mem/loop',
      '/mem/b',
    ],
    // By links into other preopens, and by what is not there.
    ...['/to-mem', '/to-covered', '/mem/to-deep', '/mem/round', '/mem/deep/back'],
    ...['/dir/a', '/dir/deep/a', '/dir/../top', '/many', '/mem/deep/../a'],
    ...['/gap/in/a', '/gap/../top', '/gap', '/to-gap/in/a', '/gap/none'],
  ];
  const wasi = make({ args: ['x', ...paths], preopens, stdout: 'pipe' })();
  const instance = new WebAssembly.Instance(wasm, wasi.getImportObject());
  // Links that a guest makes, through the same descriptors.
  const link = (fd, target, name) => {
    const bytes = new Uint8Array(instance.exports.memory.buffer);
    bytes.set(Buffer.from(target), 1024);
    bytes.set(Buffer.from(name), 2048);
    assert.equal(wasi.wasiImport.path_symlink(1024, target.length, fd, 2048, name.length), OK);
  };
  const { _start, memory } = instance.exports;
  const before = () => {
    link(4, 'memory/a', 'to-a');
    link(3, 'sub', 'to-sub');
    link(3, '../top', 'out');
    link(3, 'loop', 'loop');
    link(3, './sub/b', 'b');
    link(4, 'mem/a', 'to-mem');
    link(4, 'mem/deep/a', 'to-covered');
    link(4, 'mem', 'dir');
    link(4, 'host', 'to-host');
    link(4, 'mem/../dir/../to-mem', 'many');
    link(4, 'gap', 'to-gap');
    link(3, 'deep/a', 'to-deep');
    link(3, 'deep/../deep/../a', 'round');
    link(5, '../a', 'back');
    _start();
  };
  wasi.start({ exports: { memory, _start: before } });
  const said = Buffer.from(wasi.stdout).toString().split('\n');
  const found = paths.filter((path, at) => {
    const bytes = wasi.readFile(path);
    const theirs = said[at].length === 1 ? said[at] : undefined;
    assert.equal(bytes && Buffer.from(bytes).toString(), theirs, `${path}: ${said[at]}`);
    return bytes !== undefined;
  });
  assert.equal(found.length, 38, 'the comparison has both');
  const listed = wasi.listFiles();
  assert.equal(new Set(listed).size, listed.length, 'what is covered is not listed');
  for (const path of ['/mem/a', '/mem/deep/a', '/top']) assert.ok(listed.includes(path), path);
  for (const { path, type } of wasi.listFiles({ withTypes: true })) {
    if (type === 'file')
      assert.ok(wasi.readFile(path) !== undefined || path.startsWith('./'), path);
  }
  wasi.close();
  assert.equal(Buffer.from(wasi.readFile('/many')).toString(), '1', 'after the end, too');
  assert.equal(wasi.readFile('/to-host/package.json'), undefined, 'only of memory and overlays');
  assert.equal(Buffer.from(wasi.readFile('/twice/a')).toString(), 'd', 'the later of two');
});

test('listFiles says what a name is, if asked', () => {
  const guest = started({
    preopens: { '/m': { memory: { 'd/f': 'x' } }, '/n/': { memory: { g: '' } } },
  });
  const [target, length] = guest.put('d/f');
  assert.equal(guest.call.path_symlink(target, length, 3, ...guest.put('link', 2048)), OK);
  assert.equal(
    guest.call.path_symlink(...guest.put('nowhere'), 3, ...guest.put('dangling', 2048)),
    OK,
  );
  const files = [
    { path: '/m/d/f', type: 'file' },
    { path: '/m/dangling', type: 'symlink' },
    { path: '/m/link', type: 'symlink' },
    { path: '/n/g', type: 'file' },
  ];
  assert.deepEqual(guest.wasi.listFiles({ withTypes: true }), files);
  assert.deepEqual(
    guest.wasi.listFiles({ withTypes: false }),
    files.map(({ path }) => path),
  );
  assert.deepEqual(
    guest.wasi.listFiles(),
    files.map(({ path }) => path),
  );
  assert.throws(() => guest.wasi.listFiles({ withTypes: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a trace cuts a path that is longer than any', () => {
  const paths = [];
  const guest = started({ trace: ({ args }) => paths.push(args.path) });
  for (const length of [4095, 4096, 5000]) {
    guest.put('x'.repeat(length), PATH);
    guest.call.path_create_directory(3, PATH, length);
  }
  assert.deepEqual(paths, ['x'.repeat(4095), `${'x'.repeat(4095)}…`, `${'x'.repeat(4095)}…`]);
});

test('a trace changes nothing that a call gives, whatever it throws and whatever it is given', async () => {
  const warned = [];
  const listen = (warning) => warning.code === 'WASI_TRACE' && warned.push(warning.message);
  process.on('warning', listen);
  const mine = new Error('mine');
  for (const trace of [
    () => {
      throw mine;
    },
    () => {
      throw null;
    },
    async () => {
      throw mine;
    },
    () => {},
  ]) {
    const [plain, watched] = [started(), started({ trace })];
    const odd = [1.5, NaN, 'x', 5n, {}, Symbol('s'), undefined, Object.create(null)];
    for (const value of odd) {
      for (const [name, args] of [
        ['path_open', [3, value, value, 4, value, 0n, 0n, 0, 0]],
        ['path_open', [3, 0, 0, value, 0, value, 0n, 0, 0]],
        ['fd_seek', [value, 0n, value, 0]],
        ['fd_close', [99]],
      ]) {
        const errnoOf = ({ call }) => call[name](...args);
        assert.equal(errnoOf(watched), errnoOf(plain), `${name} ${String(typeof value)}`);
      }
    }
    assert.throws(
      () => watched.wasi.wasiImport.proc_exit(1),
      (thrown) => thrown !== mine,
    );
  }
  await new Promise((next) => setImmediate(next));
  process.off('warning', listen);
  assert.equal(warned.length, 3, 'one for each function');
  for (const at of [0, 2]) {
    assert.match(warned[at], /^The function options.trace threw: Error: mine\n/);
  }
});

test('what a guest chose does not reach a terminal by what a trace prints', async () => {
  // As a guest would be on the stack whose name in the section of names is an order to a terminal.
  const mine = Object.assign(new Error('mine'), { stack: 'Error: mine\n    at \x1b[31mred' });
  const warned = [];
  const listen = (warning) => warning.code === 'WASI_TRACE' && warned.push(warning.message);
  process.on('warning', listen);
  const { call } = started({
    trace() {
      throw mine;
    },
  });
  call.fd_close(99);
  await new Promise((next) => setImmediate(next));
  process.off('warning', listen);
  assert.deepEqual(warned, ['The function options.trace threw: Error: mine\n    at ?[31mred']);

  const script = `const { WASI } = require(${JSON.stringify(PACKAGE)});
    const memory = new WebAssembly.Memory({ initial: 1 });
    const wasi = new WASI({ version: 'preview1', trace: true, preopens: { '/m': { memory: {} } } });
    Buffer.from(memory.buffer).write('\u009b31m\u202e\\n');
    wasi.start({ exports: { memory, _start() { wasi.wasiImport.path_unlink_file(3, 0, 9); } } });`;
  const { stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.match(stderr, /^wasi: path_unlink_file\(fd=3, path="\?31m\?\\n"\) = noent \[\d+ ns\]\n$/);
});

/** A program in which a guest makes many calls whose trace is printed. */
const tracing = (calls) => [
  '-e',
  `const { WASI } = require(${JSON.stringify(PACKAGE)});
    const memory = new WebAssembly.Memory({ initial: 1 });
    const wasi = new WASI({ version: 'preview1', trace: true });
    const errnos = new Set();
    wasi.start({ exports: { memory, _start() {
      for (let i = 0; i < ${calls}; i++) errnos.add(wasi.wasiImport.fd_close(99));
    } } });
    require('node:fs').writeSync(1, JSON.stringify([...errnos]));
    process.exit(5);`,
];

/**
 * Starts a process whose standard error is a socket that does not block, and prints what was read
 * there after `late` seconds.
 */
const NON_BLOCKING = `import socket, subprocess, sys, threading, time
late, command = float(sys.argv[1]), sys.argv[2:]
one, other = socket.socketpair()
other.setblocking(False)
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=other)
other.close()
if late < 0: child.wait(60)
else: time.sleep(late)
while True:
    more = one.recv(1 << 20)
    if not more: break
    sys.stderr.buffer.write(more)
sys.exit(child.wait(60))`;
const noPython = spawnSync('python3', ['-c', '0']).status !== 0 && 'no python3 for such a socket';
const LINE = /^wasi: fd_close\(fd=99\) = badf \[\d+ ns\]$/;

function traced(calls, late) {
  const args = ['-c', NON_BLOCKING, String(late), process.execPath, ...tracing(calls)];
  const { status, stdout, stderr } = spawnSync('python3', args, {
    encoding: 'utf8',
    timeout: 90_000,
    maxBuffer: 1 << 28,
  });
  assert.deepEqual([status, stdout], [5, '[8]']);
  return stderr.split('\n');
}

test('a trace waits for a reader that is late, and no line gets lost', { skip: noPython }, () => {
  const lines = traced(20_000, 0.4);
  assert.equal(lines.pop(), '');
  assert.equal(lines.length, 20_000);
  assert.ok(lines.every((line) => LINE.test(line)));
});

test('a trace that nobody reads does not stop the guest', { skip: noPython }, () => {
  const lines = traced(20_000, -1);
  assert.ok(lines.length > 10 && lines.length < 20_000, `${lines.length} lines`);
  // The last one may have been begun only.
  assert.ok(lines.slice(0, -1).every((line) => LINE.test(line)));
});

test('a trace whose reader has gone does not stop the guest', async () => {
  const child = spawn(process.execPath, tracing(3000), { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.destroy();
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  const [status] = await new Promise((done) => child.on('close', (...ended) => done(ended)));
  assert.deepEqual([status, out], [5, '[8]']);
});

test('the clocks of the examples do for programs that end where one shows 0, as those of Go', () => {
  for (const file of ['docs/embedding.md', 'examples/determinism.mjs']) {
    const [, text] = /clock: (\{[^]*?\}),\n *random/.exec(
      readFileSync(join(PACKAGE, file), 'utf8'),
    );
    const guest = started({ clock: vm.runInThisContext(`(${text})`) });
    for (const clock of [0, 1]) {
      assert.equal(guest.call.clock_time_get(clock, 0n, 0), OK);
      assert.ok(guest.view.getBigUint64(0, true) > 0n, `${file}: clock ${clock}`);
    }
  }
});

test('a preopen can be opened when it is first used', (t) => {
  const dir = folder(t);
  const path = join(dir, 'later');
  const preopens = {
    '/l': { path, lazy: true },
    '/f': { file: join(path, 'f'), lazy: true },
    '/ro': { path, lazy: true, readOnly: true },
    '/deny': { path, lazy: true, symlinks: 'deny' },
    '/made': { path: join(dir, 'made', 'deep'), lazy: true, create: true },
    '/now': dir,
  };
  assert.throws(make({ preopens: { '/l': { path } } }), { code: 'UVWASI_ENOENT' });
  const guest = started({ preopens });
  const names = [3, 4, 5, 6, 7, 8].map((fd) => {
    assert.equal(guest.call.fd_prestat_get(fd, 0), OK);
    const length = guest.view.getUint32(4, true);
    assert.equal(guest.call.fd_prestat_dir_name(fd, 512, length), OK);
    return Buffer.from(guest.view.buffer, 512, length).toString();
  });
  assert.deepEqual(names, Object.keys(preopens));
  assert.equal(guest.call.fd_fdstat_get(3, 512), OK);
  assert.equal(guest.open('f'), -NOENT);
  assert.equal(guest.open('.', { dir: 4 }), -NOENT);
  assert.equal(guest.call.fd_filestat_get(3, 512), NOENT);
  writeFileSync(path, '');
  assert.equal(guest.open('f'), -NOTDIR);
  rmSync(path);
  mkdirSync(path);
  writeFileSync(join(path, 'f'), 'text');
  symlinkSync('f', join(path, 'link'));
  assert.equal(guest.read(guest.open('f')), 'text');
  assert.equal(guest.read(guest.open('.', { dir: 4 })), 'text');
  assert.equal(guest.open('f', { dir: 5, rights: 0x42n }), -ROFS);
  assert.equal(guest.read(guest.open('f', { dir: 5 })), 'text');
  assert.equal(guest.open('link', { dir: 6 }), -LOOP);
  assert.equal(guest.open('new', { dir: 7, oflags: 1, rights: 0x42n }) > 0, true);
  assert.equal(readFileSync(join(dir, 'made', 'deep', 'new'), 'utf8'), '');
  // From then on it is that folder, and operations on two work.
  renameSync(path, join(dir, 'moved'));
  assert.equal(guest.call.path_rename(8, ...guest.put('moved/f'), 3, ...guest.put('g', 2048)), OK);
  assert.equal(guest.call.path_rename(3, ...guest.put('g'), 8, ...guest.put('h', 2048)), OK);
  assert.equal(readFileSync(join(dir, 'h'), 'utf8'), 'text');
  assert.throws(make({ preopens: { '/': { path, lazy: 1 } } }), { code: 'ERR_INVALID_ARG_TYPE' });
});

const isRoot = process.getuid?.() === 0 && 'the system refuses nothing to root';

test(
  'of a lazy preopen that may not be opened, the guest gets the errno',
  { skip: isRoot },
  (t) => {
    const path = join(folder(t), 'closed');
    mkdirSync(join(path, 'in'), { recursive: true });
    chmodSync(dirname(path), 0);
    try {
      assert.equal(started({ preopens: { '/': { path, lazy: true } } }).open('f'), -ACCES);
    } finally {
      chmodSync(dirname(path), 0o700);
    }
    void PERM;
    void closeSync;
    void openSync;
  },
);
