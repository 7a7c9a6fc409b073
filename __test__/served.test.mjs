// Preopens `{ fs }`: file systems of the embedder, of the shape of `node:fs`.
import assert from 'node:assert/strict';
import nodeFs, { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { withOtherCopy } from './support/copies.mjs';
import { direct } from './support/direct.mjs';
import { directoryTests, isOtherInMemfs } from './support/served-suite.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const { Volume, createFsFromVolume } = require('memfs');
const { Union } = require('unionfs');

const [BADF, EXIST, IO, ISDIR, LOOP, NOENT, NOTDIR, NOTEMPTY] = [
  -8, -20, -29, -31, -32, -44, -54, -55,
];
const [NOTSUP, NXIO, PERM, ROFS, XDEV, NOTCAPABLE, DQUOT, INVAL] = [
  -58, -60, -63, -69, -75, -76, -19, -28,
];

function volume(files = {}) {
  return createFsFromVolume(Volume.fromJSON(files));
}

function started(t, fs, { name = '/x', options = {}, preopens, ...more } = {}) {
  const wasi = new WASI({
    version: 'preview1',
    preopens: { [name]: { fs, ...more }, ...preopens },
    ...options,
  });
  t.after(() => wasi.close());
  return direct(wasi);
}

/** A file system with some functions replaced. `this` is the other's. */
function changed(fs, functions) {
  return Object.assign(Object.create(fs), functions);
}

/** The error of a run that calls `act`. */
function thrown(t, fs, act, more) {
  const wasi = new WASI({ version: 'preview1', preopens: { '/x': { fs, ...more } } });
  t.after(() => wasi.close());
  const memory = new WebAssembly.Memory({ initial: 4 });
  let guest;
  try {
    wasi.start({
      exports: {
        memory,
        _start() {
          guest = direct({ start() {}, wasiImport: wasi.wasiImport }, memory);
          act(guest);
        },
      },
    });
  } catch (error) {
    return error;
  }
  return undefined;
}

test('files are closed', (t) => {
  let open = 0;
  const base = volume({ '/a': '1', '/b': '2' });
  const fs = changed(base, {
    openSync: (...args) => (open++, base.openSync(...args)),
    closeSync: (fd) => (open--, base.closeSync(fd)),
  });
  const guest = started(t, fs);
  const [one, two] = [guest.open('a'), guest.open('b')];
  assert.equal(open, 2);
  guest.close(one);
  assert.equal(open, 1);
  assert.equal(guest.close(one), BADF);
  const three = guest.open('a');
  guest.call.fd_renumber(three, two);
  assert.equal(open, 1);
  guest.open('b');
  guest.wasi.close();
  assert.equal(open, 0);
});

test('all files are closed, also if closing one fails', () => {
  const closed = [];
  const fs = changed(volume({ '/a': '', '/b': '', '/c': '' }), {
    closeSync(fd) {
      closed.push(fd);
      throw new Error(`number ${closed.length}`);
    },
  });
  const wasi = new WASI({ version: 'preview1', preopens: { '/x': { fs } } });
  const guest = direct(wasi);
  for (const name of ['a', 'b', 'c']) assert.ok(guest.open(name) > 3);
  assert.throws(() => wasi.close(), { message: 'number 1' });
  assert.equal(new Set(closed).size, 3);
  wasi.close();
});

test('errors with a code are errnos; others stop the guest as they are', (t) => {
  const fs = volume({ '/file': 'x' });
  for (const [code, errno] of [
    ['EACCES', -2],
    ['EROFS', ROFS],
    ['ENOSPC', -51],
    ['EMFILE', -33],
    ['EOPNOTSUPP', NOTSUP],
  ]) {
    const fails = () => {
      throw Object.assign(new Error('no'), { code });
    };
    const guest = started(t, changed(fs, { openSync: fails, lstatSync: fs.lstatSync.bind(fs) }));
    assert.equal(guest.open('file'), errno);
  }
  const reasons = [
    new Error('mine'),
    'a string',
    undefined,
    null,
    Object.assign(new Error('coded'), { code: 'ERR_MINE' }),
    Object.assign(new Error('numbered'), { code: 2 }),
  ];
  for (const reason of reasons) {
    let calls = 0;
    const stops = changed(fs, {
      lstatSync() {
        calls++;
        throw reason;
      },
    });
    let wentOn = false;
    const error = thrown(t, stops, (guest) => {
      guest.stat('file');
      wentOn = true;
    });
    assert.equal(error, reason);
    assert.equal(wentOn, false);
    assert.equal(calls, 1);
  }
});

test('rubbish is a typed error that stops the guest', (t) => {
  const fs = volume({ '/file': 'x', '/d/e': '' });
  fs.symlinkSync('file', '/link');
  const RUBBISH = [
    null,
    0,
    -1,
    1.5,
    NaN,
    '',
    'x',
    true,
    [],
    {},
    () => {},
    Symbol('x'),
    10n,
    Promise.resolve(1),
  ];
  const stat = (change) => ({ isFile: () => true, size: 1, ...change });
  for (const [name, values, act] of [
    [
      'lstatSync',
      [...RUBBISH, ...[-1, 'x', -1n, 2n ** 64n].map((size) => stat({ size })), { size: 1 }],
      (guest) => guest.stat('file'),
    ],
    [
      'readdirSync',
      [...RUBBISH, undefined, [1], [''], ['a/b'], ['a\0'], [{}], [null]].filter(
        (value) => !Array.isArray(value) || value.length > 0,
      ),
      (guest) => guest.list('d'),
    ],
    [
      'openSync',
      [...RUBBISH.filter((value) => value !== 0), undefined],
      (guest) => guest.open('file'),
    ],
    [
      'readSync',
      [...RUBBISH.filter((value) => value !== 0), undefined, 5000],
      (guest) => guest.read('file'),
    ],
    [
      'writeSync',
      [...RUBBISH.filter((value) => value !== 0), undefined, 5000],
      (guest) => guest.write('new', 'text'),
    ],
    [
      'readlinkSync',
      [...RUBBISH.filter((value) => typeof value !== 'string'), undefined],
      (guest) => guest.readlink('link'),
    ],
  ]) {
    for (const value of values) {
      const error = thrown(t, changed(fs, { [name]: () => value }), act);
      assert.equal(error?.code, 'ERR_INVALID_RETURN_VALUE', `${name}: ${String(value)}`);
      assert.ok(error instanceof TypeError);
      assert.match(error.message, new RegExp(name));
    }
  }
  // A value that can be read as an answer is one.
  for (const value of [
    undefined,
    { mode: 0o100644, size: 3 },
    { isFile: () => true, size: 3n, mtime: new Date(5) },
  ]) {
    const guest = started(t, changed(fs, { lstatSync: () => value }));
    const found = guest.stat('file');
    if (value === undefined) assert.equal(found, NOENT);
    else assert.deepEqual([found.type, found.size], [4, 3n]);
  }
  const odd = started(t, changed(fs, { readlinkSync: () => '' }));
  assert.equal(odd.readlink('link'), IO);
});

test('a promise is no answer to a guest that cannot wait', (t) => {
  const fs = volume({ '/file': 'x', '/d/e': '', '/empty/x': '' });
  fs.symlinkSync('file', '/link');
  fs.unlinkSync('/empty/x');
  const all = { rights: (1n << 28n) - 1n };
  for (const [name, act] of [
    ['lstatSync', (guest) => guest.stat('file')],
    ['readdirSync', (guest) => guest.list('d')],
    ['openSync', (guest) => guest.open('file')],
    ['readSync', (guest) => guest.read('file')],
    ['writeSync', (guest) => guest.write('new', 'x')],
    ['closeSync', (guest) => guest.close(guest.open('file'))],
    ['fstatSync', (guest) => guest.call.fd_filestat_get(guest.open('file', all), 64)],
    ['ftruncateSync', (guest) => guest.call.fd_filestat_set_size(guest.open('file', all), 1n)],
    [
      'futimesSync',
      (guest) => guest.call.fd_filestat_set_times(guest.open('file', all), 1n, 1n, 5),
    ],
    ['fsyncSync', (guest) => guest.call.fd_sync(guest.open('file', all))],
    ['fdatasyncSync', (guest) => guest.call.fd_datasync(guest.open('file', all))],
    ['mkdirSync', (guest) => guest.mkdir('made')],
    ['rmdirSync', (guest) => guest.rmdir('empty')],
    ['unlinkSync', (guest) => guest.unlink('file')],
    ['renameSync', (guest) => guest.rename('file', 'renamed')],
    ['linkSync', (guest) => guest.link('file', 'linked')],
    ['symlinkSync', (guest) => guest.symlink('file', 'symbolic')],
    ['readlinkSync', (guest) => guest.readlink('link')],
    ['lutimesSync', (guest) => guest.setTimes('file')],
  ]) {
    // Its failure later is not the process's.
    const gives = () => Promise.reject(new Error('later'));
    const error = thrown(t, changed(fs, { [name]: gives }), act);
    assert.equal(error?.code, 'ERR_INVALID_RETURN_VALUE', name);
    assert.match(error.message, new RegExp(name));
    assert.match(error.message, /"suspend"/, name);
  }
});

test('lies lead nowhere', (t) => {
  const base = volume({ '/file': 'x' });
  // Everything is a link to itself, a directory without end, or another thing each time.
  const links = started(
    t,
    changed(base, {
      lstatSync: () => ({ isFile: () => false, isSymbolicLink: () => true, size: 1 }),
      readlinkSync: () => 'self',
    }),
  );
  assert.equal(links.stat('self'), LOOP);
  assert.equal(links.open('self'), LOOP);
  const out = started(
    t,
    changed(base, {
      lstatSync: () => ({ isFile: () => false, isSymbolicLink: () => true, size: 1 }),
      readlinkSync: () => '../../etc',
    }),
  );
  assert.equal(out.stat('x/y'), NOTCAPABLE);
  let count = 0;
  const flips = started(
    t,
    changed(base, {
      lstatSync: () => ({
        isFile: () => count++ % 3 === 0,
        isDirectory: () => count++ % 2 === 0,
        isSymbolicLink: () => true,
        size: 0,
      }),
      readlinkSync: () => `a${count}/b`,
    }),
  );
  for (let i = 0; i < 200; i++) {
    flips.stat('a/b/c');
    flips.rename('a/b', 'c/d');
    flips.link('a', 'b/c', { follow: true });
  }
  // It takes more than it was given, or gives more than was asked: that is not believed.
  const memory = started(
    t,
    changed(base, {
      readSync(fd, buffer, offset, length) {
        buffer.fill(0x41);
        return length;
      },
    }),
  );
  const fd = memory.open('file');
  const before = Buffer.from(memory.memory.buffer)
    .subarray(65536 + 5, 65536 + 100)
    .toString('hex');
  assert.equal(memory.readFd(fd, 5), 'AAAAA');
  assert.equal(
    Buffer.from(memory.memory.buffer)
      .subarray(65536 + 5, 65536 + 100)
      .toString('hex'),
    before,
  );
  // A view that was taken away.
  if (typeof structuredClone === 'function') {
    const detaching = started(
      t,
      changed(base, {
        readSync(_, buffer, __, length) {
          structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
          return length;
        },
      }),
    );
    assert.equal(detaching.read('file'), IO);
    assert.equal(detaching.read('file'), IO);
  }
  const many = changed(base, {
    readdirSync: () => Array.from({ length: 20_000 }, (_, i) => `${i}`),
    lstatSync: (path) => ({ isFile: () => path !== '/', isDirectory: () => true, size: 0, ino: 1 }),
  });
  const listed = started(t, many);
  assert.equal(listed.list('.').split(' ').length, 20_000);
});

test('a file system that reads less than it says gives nothing of the process', (t) => {
  const lying = changed(volume({ '/file': 'x' }), { readSync: (_, buffer, at, length) => length });
  assert.equal(started(t, lying).read('file'), '\0'.repeat(4000));
});

test('functions that are missing are not supported, and the rest works', (t) => {
  const full = volume({ '/file': 'x', '/d/e': '' });
  const bare = {};
  for (const name of [
    'statSync',
    'readdirSync',
    'openSync',
    'closeSync',
    'readSync',
    'fstatSync',
  ]) {
    bare[name] = full[name].bind(full);
  }
  const guest = started(t, bare);
  assert.equal(guest.read('file'), 'x');
  assert.equal(guest.list('.'), 'd file');
  assert.equal(guest.mkdir('new'), NOTSUP);
  assert.equal(guest.rmdir('d/e'), NOTDIR);
  assert.equal(guest.unlink('file'), NOTSUP);
  assert.equal(guest.rename('file', 'new'), NOTSUP);
  assert.equal(guest.link('file', 'new'), NOTSUP);
  assert.equal(guest.symlink('file', 'new'), NOTSUP);
  assert.equal(guest.setTimes('file'), NOTSUP);
  assert.equal(guest.write('new', 'x'), NOTSUP);
  assert.equal(guest.write('file', 'x', { oflags: 0 }), NOTSUP);
  for (const name of Object.keys(bare)) {
    const { [name]: _, ...rest } = bare;
    assert.throws(
      () => new WASI({ version: 'preview1', preopens: { '/x': { fs: rest } } }),
      { name: /TypeError/, code: 'ERR_INVALID_ARG_VALUE' },
      name,
    );
  }
  for (const fs of [null, 5, 'node:fs', true, {}, []]) {
    assert.throws(() => new WASI({ version: 'preview1', preopens: { '/x': { fs } } }), {
      name: /TypeError/,
    });
  }
  assert.throws(
    () => new WASI({ version: 'preview1', preopens: { '/x': { fs: bare, maxBytes: 1 } } }),
    {
      code: 'ERR_INVALID_ARG_VALUE',
    },
  );
  assert.throws(
    () => new WASI({ version: 'preview1', preopens: { '/x': { fs: bare, path: '.' } } }),
    {
      code: 'ERR_INVALID_ARG_VALUE',
    },
  );
});

test('the functions may make calls of the same and of other guests', (t) => {
  const base = volume({ '/file': 'outer', '/inner': 'inner', '/d/e/f': 'deep' });
  let guest;
  let inner;
  let other;
  let depth = 0;
  const seen = [];
  const nesting = (name) =>
    function (...args) {
      if (depth < 1) {
        depth++;
        // Its arguments lie elsewhere: those of the call in whose middle this is are read again.
        seen.push(inner.stat('inner').size, inner.list('d'), other.read('x'));
        depth--;
      }
      return base[name](...args);
    };
  const fs = changed(base, {
    lstatSync: nesting('lstatSync'),
    openSync: nesting('openSync'),
    readSync: nesting('readSync'),
  });
  other = started(t, volume({ '/x': 'of another' }));
  guest = started(t, fs);
  inner = direct({ start() {}, wasiImport: guest.call }, guest.memory, 131072);
  assert.equal(guest.stat('d/e/f').size, 4n);
  assert.ok(seen.length > 0);
  for (let i = 0; i < seen.length; i += 3) {
    assert.deepEqual(seen.slice(i, i + 3), [5n, 'e', 'of another']);
  }
  // The descriptor is gone when the answer comes.
  let fd;
  const closing = started(
    t,
    changed(base, {
      readSync(...args) {
        closing.close(fd);
        return base.readSync(...args);
      },
    }),
  );
  fd = closing.open('file');
  assert.equal(closing.readFd(fd), BADF);
  assert.equal(closing.read('inner'), BADF);
  // The memory grows meanwhile.
  const growing = started(
    t,
    changed(base, {
      readSync(...args) {
        growing.memory.grow(1);
        return base.readSync(...args);
      },
    }),
  );
  assert.equal(growing.read('file'), 'outer');
  // All is closed meanwhile.
  const gone = started(
    t,
    changed(base, {
      openSync(...args) {
        gone.wasi.close();
        return base.openSync(...args);
      },
    }),
  );
  assert.equal(gone.open('file'), BADF);
});

test('the bytes of a call are its own while the functions make others', (t) => {
  const base = volume({ '/file': 'outer', '/other': 'inner', '/new': '' });
  let inner;
  let depth = 0;
  const nested = () => {
    if (depth > 0) return;
    depth++;
    assert.equal(inner.read('other'), 'inner');
    assert.equal(inner.write('new', 'of another'), 10);
    depth--;
  };
  const guest = started(
    t,
    changed(base, {
      readSync(...args) {
        const read = base.readSync(...args);
        nested();
        return read;
      },
      writeSync(...args) {
        nested();
        return base.writeSync(...args);
      },
    }),
  );
  inner = direct({ start() {}, wasiImport: guest.call }, guest.memory, 131072);
  assert.equal(guest.read('file'), 'outer');
  assert.equal(guest.write('file', 'mine'), 4);
  assert.equal(base.readFileSync('/file', 'utf8'), 'mine');
  assert.equal(base.readFileSync('/new', 'utf8'), 'of another');
});

test('what is opened for a guest that is closed or ends meanwhile is closed', () => {
  const base = volume({ '/file': 'text' });
  for (const [how, exitCode] of [
    ['close', 0],
    ['exit', 3],
  ]) {
    const log = [];
    let wasi;
    const fs = changed(base, {
      openSync(...args) {
        if (how === 'close') wasi.close();
        // It goes on although the guest has ended.
        else assert.throws(() => wasi.wasiImport.proc_exit(exitCode));
        const file = base.openSync(...args);
        log.push(`open ${file}`);
        return file;
      },
      closeSync(file) {
        base.closeSync(file);
        log.push(`close ${file}`);
      },
    });
    wasi = new WASI({ version: 'preview1', returnOnExit: true, preopens: { '/x': { fs } } });
    const memory = new WebAssembly.Memory({ initial: 4 });
    const guest = direct({ start() {}, wasiImport: wasi.wasiImport }, memory);
    const _start = () => assert.equal(guest.open('file'), BADF);
    assert.equal(wasi.start({ exports: { memory, _start } }), exitCode);
    assert.equal(log.length, 2, log);
    assert.equal(log[1], log[0].replace('open', 'close'));
    wasi.close();
    assert.equal(log.length, 2, log);
  }
});

test('another copy of the package that shares the addon leaves this one its guests', (t) => {
  const guest = started(t, volume({ '/file': 'of this copy' }));
  assert.equal(guest.read('file'), 'of this copy');
  withOtherCopy(({ WASI: OtherWASI }) => {
    const wasi = new OtherWASI({
      version: 'preview1',
      preopens: { '/x': { fs: volume({ '/other': 'of the other' }) } },
    });
    t.after(() => wasi.close());
    assert.notEqual(OtherWASI, WASI);
    assert.equal(direct(wasi).read('other'), 'of the other');
  });
  assert.equal(guest.read('file'), 'of this copy');
});

test('an error in the middle of a call leaves nothing half-made', (t) => {
  const base = volume({ '/a/b/file': 'x' });
  let left = 2;
  const fs = changed(base, {
    lstatSync(...args) {
      if (left-- === 0) throw new Error('in the middle');
      return base.lstatSync(...args);
    },
  });
  const guest = started(t, fs);
  assert.throws(() => guest.write('a/b/new', 'x'), /in the middle|stopped/);
  assert.equal(base.existsSync('/a/b/new'), false);
  // The next call begins anew.
  assert.equal(guest.read('a/b/file'), 'x');
  assert.equal(guest.list('a/b'), 'file');
});

test('node:fs serves the host itself', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-served-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'sub'));
  writeFileSync(join(dir, 'sub', 'file'), 'host');
  const at = (path) => join(dir, path);
  // Below one folder, as an embedder would do it.
  const fs = {};
  for (const name of [
    'lstatSync',
    'readdirSync',
    'openSync',
    'mkdirSync',
    'rmdirSync',
    'unlinkSync',
    'readlinkSync',
    'lutimesSync',
    'utimesSync',
  ]) {
    fs[name] = (path, ...args) => nodeFs[name](at(path), ...args);
  }
  for (const name of ['renameSync', 'linkSync'])
    fs[name] = (old, to) => nodeFs[name](at(old), at(to));
  fs.symlinkSync = (target, path) => nodeFs.symlinkSync(target, at(path));
  for (const name of [
    'closeSync',
    'readSync',
    'writeSync',
    'fstatSync',
    'ftruncateSync',
    'futimesSync',
    'fsyncSync',
    'fdatasyncSync',
  ]) {
    fs[name] = nodeFs[name];
  }
  const guest = started(t, fs);
  assert.equal(guest.read('sub/file'), 'host');
  assert.equal(guest.write('sub/new', 'made'), 4);
  assert.equal(readFileSync(at('sub/new'), 'utf8'), 'made');
  const real = nodeFs.statSync(at('sub/new'), { bigint: true });
  assert.deepEqual(
    [guest.stat('sub/new').ino, guest.stat('sub/new').mtim],
    [real.ino, real.mtimeNs],
  );
  assert.equal(guest.link('sub', 'other'), PERM);
  if (process.platform === 'linux')
    assert.equal(
      direct(new WASI({ version: 'preview1', preopens: { '/x': { fs: nodeFs } } })).open(
        'dev/null',
      ),
      NXIO,
    );
});

// --- As a directory ------------------------------------------------------------------------------

const begin = (preopens, options) =>
  direct(new WASI({ version: 'preview1', preopens, ...options }));
directoryTests(test, { volume, begin, isOther: isOtherInMemfs });

// A union of one file system is that one, with what it does otherwise.
const union = (...systems) => systems.reduce((made, fs) => made.use(fs), new Union());
directoryTests((title, body) => test(`unionfs: ${title}`, body), {
  volume: (files) => union(volume(files)),
  begin,
  isOther: isOtherInMemfs,
});

test('a union of two file systems shows both, as far as unionfs goes', (t) => {
  const lower = volume({ '/both': 'lower', '/low/file': 'low', '/dir/one': '1' });
  const upper = volume({ '/both': 'upper', '/up/file': 'up', '/dir/two': '2' });
  // Numbers of files are passed to the one asked first that takes them: no two files may have one.
  const numbers = {};
  for (const name of ['openSync', 'closeSync', 'fstatSync', 'readSync', 'writeSync']) {
    numbers[name] = (first, ...rest) => {
      if (name === 'openSync') return upper[name](first, ...rest) + 1_000_000;
      if (first >= 1_000_000) return upper[name](first - 1_000_000, ...rest);
      throw Object.assign(new Error('no file of this one'), { code: 'EBADF' });
    };
  }
  const guest = started(t, union(lower, changed(upper, numbers)));
  assert.equal(guest.read('both'), 'upper');
  assert.equal(guest.read('low/file'), 'low');
  assert.equal(guest.read('up/file'), 'up');
  assert.equal(guest.list('.'), 'both dir low up');
  assert.equal(guest.list('dir'), 'one two');
  assert.equal(guest.write('dir/new', 'new'), 3);
  assert.equal(upper.readFileSync('/dir/new', 'utf8'), 'new');
  assert.equal(lower.existsSync('/dir/new'), false);
  // It has no whiteouts: what is removed above shows what lies below, and is removed there next.
  assert.equal(guest.unlink('both'), 0);
  assert.equal(guest.read('both'), 'lower');
  assert.equal(guest.unlink('both'), 0);
  assert.equal(guest.read('both'), NOENT);
  // Nor does it copy up: what lies below is written there.
  assert.equal(guest.rename('low/file', 'low/moved'), 0);
  assert.equal(lower.readFileSync('/low/moved', 'utf8'), 'low');
});
