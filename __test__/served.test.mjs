// Preopens `{ fs }`: file systems of the embedder, of the shape of `node:fs`.
import assert from 'node:assert/strict';
import nodeFs, { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { direct } from './support/direct.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');
const { Volume, createFsFromVolume } = require('memfs');

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

test('a file system of JavaScript is a directory', (t) => {
  const fs = volume({ '/dir/sub/file': 'deep', '/file': 'top' });
  fs.symlinkSync('dir/sub', '/link');
  fs.symlinkSync('/file', '/absolute');
  fs.symlinkSync('../../..', '/dir/up');
  const guest = started(t, fs);
  assert.equal(guest.read('file'), 'top');
  assert.equal(guest.read('dir/sub/file'), 'deep');
  assert.equal(guest.read('link/file'), 'deep');
  assert.equal(guest.read('link/../sub/file'), 'deep');
  assert.equal(guest.read('dir/../file'), 'top');
  assert.equal(guest.read('absolute'), NOTCAPABLE);
  assert.equal(guest.read('dir/up/file'), NOTCAPABLE);
  assert.equal(guest.read('../file'), NOTCAPABLE);
  assert.equal(guest.read('missing'), NOENT);
  assert.equal(guest.read('file/x'), NOTDIR);
  assert.equal(guest.open('link', { follow: false }), LOOP);
  assert.equal(guest.list('.'), 'absolute dir file link');
  assert.equal(guest.list('link'), 'file');
  assert.equal(guest.write('new', 'made'), 4);
  assert.equal(fs.readFileSync('/new', 'utf8'), 'made');
  assert.equal(guest.write('new', 'more', { oflags: 0, flags: 1 }), 4);
  assert.equal(fs.readFileSync('/new', 'utf8'), 'mademore');
  assert.equal(guest.mkdir('made'), 0);
  assert.equal(guest.mkdir('made'), EXIST);
  assert.equal(guest.rename('new', 'made/new'), 0);
  assert.equal(guest.rmdir('made'), NOTEMPTY);
  assert.equal(guest.rmdir('file'), NOTDIR);
  assert.equal(guest.unlink('made'), ISDIR);
  assert.equal(guest.unlink('made/new'), 0);
  assert.equal(guest.rmdir('made'), 0);
  assert.equal(guest.symlink('file', 'made'), 0);
  assert.equal(guest.readlink('made'), 'file');
  assert.equal(guest.readlink('file'), INVAL);
  assert.equal(guest.link('file', 'hard'), 0);
  assert.equal(guest.stat('hard').nlink, 2n);
  assert.equal(guest.setTimes('file', { atim: 3_000_000_000n, mtim: 5_000_000_000n }), 0);
  assert.equal(guest.stat('file').mtim, 5_000_000_000n);
  assert.equal(fs.statSync('/file').mtimeMs, 5000);
  const root = started(t, fs, { name: '/' });
  assert.equal(root.read('absolute'), 'top');
  assert.equal(root.read('dir/up/file'), 'top');
});

test('files are read, written and cut at any offset', (t) => {
  const fs = volume({ '/file': '0123456789' });
  const guest = started(t, fs);
  const { call, memory } = guest;
  const fd = guest.open('file', { rights: (1n << 28n) - 1n });
  const view = new DataView(memory.buffer);
  const number = () => view.getBigUint64(64, true);
  assert.equal(guest.readFd(fd, 4), '0123');
  assert.equal(call.fd_tell(fd, 64), 0);
  assert.equal(number(), 4n);
  assert.equal(call.fd_seek(fd, -2n, 2, 64), 0);
  assert.equal(number(), 8n);
  assert.equal(guest.readFd(fd, 10), '89');
  assert.equal(guest.readFd(fd, 10), '');
  assert.equal(guest.writeFd(fd, 'abc'), 3);
  assert.equal(fs.readFileSync('/file', 'utf8'), '0123456789abc');
  assert.equal(call.fd_filestat_set_size(fd, 5n), 0);
  assert.equal(fs.readFileSync('/file', 'utf8'), '01234');
  assert.equal(call.fd_filestat_get(fd, 64), 0);
  assert.equal(view.getBigUint64(96, true), 5n);
  assert.equal(call.fd_allocate(fd, 0n, 8n), 0);
  assert.equal(fs.statSync('/file').size, 8);
  assert.equal(call.fd_sync(fd), 0);
  assert.equal(call.fd_datasync(fd), 0);
  assert.equal(call.fd_filestat_set_times(fd, 0n, 7_000_000_000n, 4), 0);
  assert.equal(fs.statSync('/file').mtimeMs, 7000);
  // Several buffers at once.
  view.setUint32(8, 65536, true);
  view.setUint32(12, 3, true);
  view.setUint32(16, 70000, true);
  view.setUint32(20, 10, true);
  assert.equal(call.fd_pread(fd, 8, 2, 1n, 64), 0);
  assert.equal(view.getUint32(64, true), 7);
  assert.equal(Buffer.from(memory.buffer, 65536, 3).toString(), '123');
  assert.equal(Buffer.from(memory.buffer, 70000, 4).toString(), '4\0\0\0');
  assert.equal(call.fd_pwrite(fd, 8, 2, 1n, 64), 0);
  assert.equal(fs.readFileSync('/file').subarray(0, 5).toString(), '01234');
  assert.equal(call.fd_pread(fd, 8, 2, 2n ** 60n, 64), 0);
  assert.equal(view.getUint32(64, true), 0);
  assert.equal(call.fd_pwrite(fd, 8, 2, 2n ** 60n, 64), 22);
  assert.equal(guest.close(fd), 0);
});

test('large reads and writes arrive whole', (t) => {
  const fs = volume();
  const guest = started(t, fs);
  const { call } = guest;
  guest.memory.grow(100);
  const size = 3_000_000;
  const bytes = new Uint8Array(guest.memory.buffer, 131072, size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7) % 251;
  const fd = guest.open('big', { oflags: 1, rights: (1n << 28n) - 1n });
  const view = new DataView(guest.memory.buffer);
  const move = (name) => {
    for (let at = 0, rounds = 0; at < size && rounds < 100; rounds++) {
      view.setUint32(8, 131072 + at, true);
      view.setUint32(12, size - at, true);
      assert.equal(call[name](fd, 8, 1, 64), 0);
      at += view.getUint32(64, true);
    }
  };
  move('fd_write');
  assert.deepEqual(new Uint8Array(fs.readFileSync('/big')), new Uint8Array(bytes));
  const copy = bytes.slice();
  bytes.fill(0);
  call.fd_seek(fd, 0n, 0, 64);
  move('fd_read');
  assert.deepEqual(bytes.slice(), copy);
});

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

test('it is read-only, held to limits, and joined with other preopens', (t) => {
  const fs = volume({ '/file': 'x', '/proj/covered': '' });
  const readOnly = started(t, fs, { readOnly: true });
  assert.equal(readOnly.read('file'), 'x');
  assert.equal(readOnly.write('new', 'x'), ROFS);
  assert.equal(readOnly.unlink('file'), ROFS);
  assert.equal(readOnly.mkdir('file'), EXIST);
  assert.equal(readOnly.setTimes('file'), ROFS);
  const guest = started(t, fs, {
    name: '/',
    preopens: {
      '/proj': { memory: { inner: 'memory' } },
      '/proj/deep': { fs: volume({ '/f': 'deep' }) },
    },
  });
  assert.equal(guest.read('proj/inner'), 'memory');
  assert.equal(guest.read('proj/deep/f'), 'deep');
  assert.equal(guest.read('proj/deep/../../file'), 'x');
  assert.equal(guest.list('.'), 'file proj');
  assert.equal(guest.list('proj'), 'deep inner');
  assert.equal(guest.rename('file', 'proj/file'), XDEV);
  assert.equal(guest.rename('proj/deep/f', 'file'), XDEV);
  assert.equal(guest.read('proj/covered'), NOENT);
  const limited = started(t, volume({ '/file': 'x' }), {
    options: { limits: { writtenBytes: 1000 } },
  });
  assert.equal(limited.write('new', 'x'), 1);
  assert.equal(limited.mkdir('dir'), DQUOT);
  assert.equal(limited.mkdir('file'), EXIST);
  assert.equal(limited.open('new', { oflags: 1 | 4 }), EXIST);
  assert.equal(limited.open('newer', { oflags: 1 | 4 }), DQUOT);
});

test('a listing stays while names come and go', (t) => {
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`/d/${i}`, '']));
  const fs = volume(files);
  const guest = started(t, fs);
  const dir = guest.open('d', { oflags: 2, rights: 1n << 14n });
  const all = guest.entries(dir, { room: 100 }).map(({ name }) => name);
  assert.equal(all.length, 52);
  const again = guest.entries(dir);
  fs.unlinkSync('/d/7');
  for (const [at, { next }] of again.entries()) {
    const { length } = guest.entries(dir, { from: next });
    assert.ok(length >= again.length - at - 2 && length <= again.length - at - 1);
  }
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
      [...RUBBISH, stat({ size: -1 }), stat({ size: 'x' }), { size: 1 }],
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

// --- Beside the tree in memory -------------------------------------------------------------------

/**
 * The cases in which memfs differs from POSIX, so that a guest sees another outcome than in a tree.
 */
const EXCEPTIONS = {
  // Its `renameSync` follows a symbolic link at the end of the old path, and moves what that leads
  // to.
  rename: (guest, path) => guest.stat(path.replace(/\/+$/, ''), { follow: false }).type === 7,
  // It counts names where a directory's subdirectories count, and goes on counting a name that
  // `renameSync` has replaced.
  nlink: () => true,
};

test('memfs and the tree in memory have the same outcomes', (t) => {
  let state = 12345n;
  const roll = (sides) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & (2n ** 64n - 1n);
    return Number((state >> 33n) % BigInt(sides));
  };
  const PARTS = ['a', 'a', 'b', 'b', 'c', 'd', 'l', 'm', '.', '..'];
  const pick = (list) => list[roll(list.length)];
  const name = () => {
    const parts = Array.from({ length: pick([1, 1, 1, 2, 2, 3]) }, () => pick(PARTS));
    return parts.join(roll(10) === 0 ? '//' : '/') + (roll(8) === 0 ? '/' : '');
  };
  let compared = 0;
  let worked = 0;
  for (let round = 0; round < 6; round++) {
    const fs = volume();
    const [served, tree] = [{ fs }, { memory: {} }].map((preopen) =>
      direct(new WASI({ version: 'preview1', preopens: { [round % 2 ? '/' : '/x']: preopen } })),
    );
    const files = [];
    for (let step = 0; step < 1200; step++) {
      const [path, other] = [name(), name()];
      const what = roll(15);
      const follow = roll(2) === 0;
      const oflags = pick([0, 1, 1, 1 | 4, 2, 8, 1 | 8]);
      const flags = roll(3) === 0 ? 1 : 0;
      const text = 'x'.repeat(pick([0, 1, 10, 300]));
      const offset = BigInt(pick([0, 1, 5, 100]));
      const at = files.length ? roll(files.length) : -1;
      const isException = what === 3 && EXCEPTIONS.rename(tree, path);
      const act = (guest, side) => {
        const fd = at < 0 ? -1 : files[at][side];
        const { call, memory } = guest;
        switch (what) {
          case 0:
            return guest.mkdir(path);
          case 1:
            return guest.rmdir(path);
          case 2:
            return guest.unlink(path);
          case 3:
            return isException ? 0 : guest.rename(path, other);
          case 4:
            return guest.symlink(other.replace(/^\//, ''), path);
          case 5:
            return guest.readlink(path);
          case 6: {
            const stat = guest.stat(path, { follow });
            if (typeof stat === 'number') return stat;
            const { type, nlink, size } = stat;
            return [type, type === 4 ? size : 0, EXCEPTIONS.nlink() ? 0 : nlink].join();
          }
          case 7:
            return guest.list(path);
          case 8:
          case 9:
            return guest.open(path, { follow, oflags, flags, rights: (1n << 28n) - 1n });
          case 10:
            return fd < 0 ? 0 : guest.readFd(fd, 400);
          case 11:
            return fd < 0 ? 0 : guest.writeFd(fd, text);
          case 12:
            if (fd < 0) return 0;
            return [
              call.fd_seek(fd, offset, pick([0]), 64),
              new BigUint64Array(memory.buffer, 64, 1)[0],
            ].join();
          case 13:
            return fd < 0 ? 0 : call.fd_filestat_set_size(fd, offset);
          default:
            return guest.link(path, other, { follow });
        }
      };
      const [got, expected] = [act(served, 0), act(tree, 1)];
      const isOpen = what === 8 || what === 9;
      if (isOpen && got >= 0 && expected >= 0) {
        files.push([got, expected]);
        if (files.length > 8) {
          const [[one, two]] = files.splice(roll(files.length), 1);
          served.close(one);
          tree.close(two);
        }
      } else {
        assert.deepEqual(
          got,
          expected,
          `round ${round}, step ${step}: ${what} ${path} ${other} ${oflags} ${follow}`,
        );
      }
      compared++;
      if (typeof got !== 'number' || got >= 0) worked++;
    }
    served.wasi.close();
    tree.wasi.close();
  }
  assert.ok(compared === 7200 && worked > 1500, `${worked} of ${compared}`);
});
