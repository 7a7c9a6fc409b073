// File systems that embedders bring: preopens inside preopens, archives.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { direct } from './support/direct.mjs';
import { archive, entry } from './support/tar.mjs';

const require = createRequire(import.meta.url);
const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const { WASI } = require('../index.js');

const [BUSY, EXIST, NOENT, NOTDIR, ROFS, XDEV, NOTCAPABLE] = [-10, -20, -44, -54, -69, -75, -76];

function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-filesystems-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function started(t, preopens, options = {}) {
  const wasi = new WASI({ version: 'preview1', preopens, ...options });
  t.after(() => wasi.close());
  return direct(wasi);
}

// --- Preopens inside preopens --------------------------------------------------------------------

test('a guest that asks for / alone finds what is mounted below', (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'proj'));
  writeFileSync(join(dir, 'proj', 'covered'), 'x');
  writeFileSync(join(dir, 'file'), 'outer');
  symlinkSync('proj/file', join(dir, 'link'));
  const guest = started(t, {
    '/': dir,
    '/proj': { memory: { file: 'inner', 'sub/x': '' } },
    '/proj/cache': { memory: { entry: 'cached' } },
    '/etc/app.json': { file: join(dir, 'file') },
  });
  assert.equal(guest.read('proj/file'), 'inner');
  assert.equal(guest.read('link'), 'inner');
  assert.equal(guest.read('proj/cache/entry'), 'cached');
  assert.equal(guest.read('proj/cache/../../file'), 'outer');
  assert.equal(guest.read('etc/app.json'), 'outer');
  assert.equal(guest.read('proj/covered'), NOENT);
  assert.equal(guest.list('.'), 'etc file link proj');
  assert.equal(guest.list('proj'), 'cache file sub');
  assert.equal(guest.list('etc'), 'app.json');
  assert.equal(guest.rename('file', 'proj/new'), XDEV);
  assert.equal(guest.link('file', 'proj/new'), XDEV);
  assert.equal(guest.rename('file', 'new', 3, 4), XDEV);
  assert.equal(guest.rmdir('proj'), BUSY);
  assert.equal(guest.rename('proj', 'other'), BUSY);
  assert.equal(guest.mkdir('proj'), EXIST);
  assert.equal(guest.read('../file', { fd: 4 }), NOTCAPABLE);
  assert.equal(guest.write('proj/new', 'made'), 4);
  assert.equal(Buffer.from(guest.wasi.readFile('/proj/new')).toString(), 'made');
  assert.deepEqual(readFileSync(join(dir, 'proj', 'covered'), 'utf8'), 'x');
});

test('mounts are read-only, sorted, lazy and held to limits each for itself', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'b'), '');
  const guest = started(
    t,
    {
      '/': { path: dir, readOnly: true },
      '/a': { memory: {} },
      '/later': { path: join(dir, 'later'), lazy: true },
      '/c/d': { memory: { x: '' }, readOnly: true },
    },
    { sortedReaddir: true, limits: { writtenBytes: 2000 } },
  );
  const names = (path) => guest.entries(guest.open(path, { oflags: 2, rights: 1n << 14n }));
  assert.deepEqual(
    names('.').map(({ name }) => name),
    ['.', '..', 'a', 'b', 'c', 'later'],
  );
  assert.equal(guest.write('new', 'x'), ROFS);
  assert.equal(guest.write('a/new', 'x'), 1);
  assert.equal(guest.write('c/d/new', 'x'), ROFS);
  assert.equal(guest.write('c/new', 'x'), ROFS);
  assert.equal(guest.open('later', { oflags: 2 }), NOENT);
  mkdirSync(join(dir, 'later'));
  assert.equal(guest.write('later/new', 'x'), 1);
  for (let i = 0; i < 10; i++) guest.mkdir(`a/${i}`);
  assert.equal(guest.mkdir('a/last'), -19);
});

test('preopens that do not nest are what they were', (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'one'));
  mkdirSync(join(dir, 'two'));
  writeFileSync(join(dir, 'one', 'file'), 'x');
  const guest = started(t, { '/one': join(dir, 'one'), '/onetwo': join(dir, 'two') });
  assert.equal(guest.list('.'), 'file');
  assert.equal(guest.rename('file', 'file', 3, 4), 0);
});

// --- Archives ------------------------------------------------------------------------------------

const SIMPLE = archive(
  entry('./dir/', { type: '5' }),
  entry('./dir/file', { data: 'in the archive' }),
  entry('link', { type: '2', link: 'dir/file' }),
  entry('hard', { type: '1', link: 'dir/file' }),
  entry('out', { type: '2', link: '../../../etc/passwd' }),
);

test('an archive is a directory that is read', (t) => {
  const dir = folder(t);
  const path = join(dir, 'base.tar.gz');
  writeFileSync(path, gzipSync(SIMPLE));
  symlinkSync(path, join(dir, 'link'));
  for (const tar of [
    SIMPLE,
    gzipSync(SIMPLE),
    SIMPLE.buffer.slice(SIMPLE.byteOffset, SIMPLE.byteOffset + SIMPLE.length),
    path,
    pathToFileURL(path),
    join(dir, 'link'),
  ]) {
    const guest = started(t, { '/base': { tar } });
    assert.equal(guest.read('dir/file'), 'in the archive');
    assert.equal(guest.read('link'), 'in the archive');
    assert.equal(guest.read('out'), NOTCAPABLE);
    assert.equal(guest.list('.'), 'dir hard link out');
    assert.equal(guest.stat('dir/file').mtim, 1_000_000_000n * 1_000_000_000n);
    assert.equal(guest.stat('hard').nlink, 2n);
    assert.equal(guest.write('new', 'x'), ROFS);
    assert.equal(guest.write('dir/file', 'x'), ROFS);
    assert.equal(guest.unlink('hard'), ROFS);
    assert.equal(guest.setTimes('hard'), ROFS);
    guest.wasi.close();
  }
  const nested = started(t, { '/': { tar: SIMPLE }, '/work': { memory: {} } });
  assert.equal(nested.write('work/new', 'x'), 1);
  assert.equal(nested.write('new', 'x'), ROFS);
  assert.equal(nested.list('.'), 'dir hard link out work');
});

test('an archive that tar has made is read', (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'in', 'sub'), { recursive: true });
  const long = `${'n'.repeat(150)}.txt`;
  writeFileSync(join(dir, 'in', 'sub', long), 'long');
  writeFileSync(join(dir, 'in', 'file'), Buffer.alloc(300_000, 'x'));
  symlinkSync('sub', join(dir, 'in', 'link'));
  for (const format of ['gnu', 'pax', 'ustar']) {
    const made = spawnSync('tar', [`--format=${format}`, '-C', join(dir, 'in'), '-cf', '-', '.'], {
      maxBuffer: 1e8,
    });
    if (made.error) return t.skip('there is no tar here');
    if (made.status !== 0) continue;
    const guest = started(t, { '/base': { tar: made.stdout } });
    assert.equal(guest.read(`link/${long}`), 'long', format);
    assert.equal(guest.stat('file').size, 300_000n);
  }
  return undefined;
});

test('an archive that is none, or a hostile one, is a typed error', (t) => {
  const dir = folder(t);
  const code = (tar, options = {}) => {
    try {
      new WASI({ version: 'preview1', preopens: { '/base': { tar, ...options } } }).close();
    } catch (error) {
      assert.ok(error instanceof Error);
      assert.equal(
        typeof error.errno === 'number' ||
          error instanceof TypeError ||
          error instanceof RangeError,
        true,
      );
      return error.code;
    }
    return undefined;
  };
  for (const bytes of [
    Buffer.from('no archive'),
    Buffer.alloc(0),
    Buffer.alloc(2000, 'x'),
    gzipSync('no archive'),
    SIMPLE.subarray(0, 1400),
    gzipSync(SIMPLE).subarray(0, 60),
    Buffer.from('PK\x03\x04'.padEnd(1024, '\0')),
    archive(entry('f', { sum: 1 })),
  ]) {
    assert.equal(code(bytes), 'UVWASI_EINVAL');
  }
  assert.equal(code(archive(entry('../f', { data: 'x' }))), 'UVWASI_ENOTCAPABLE');
  assert.equal(code(archive(entry('a/../../f', { data: 'x' }))), 'UVWASI_ENOTCAPABLE');
  assert.equal(code(archive(entry('f', { type: '1', link: 'missing' }))), 'UVWASI_ENOENT');
  assert.equal(code(archive(entry('f', { type: '1', link: '../f' }))), 'UVWASI_ENOTCAPABLE');
  assert.equal(
    code(archive(entry('l', { type: '2', link: '/etc' }), entry('l/f'))),
    'UVWASI_ENOTDIR',
  );
  assert.equal(code(SIMPLE, { maxBytes: 1000 }), 'UVWASI_ENOSPC');
  assert.equal(code(archive(entry('f', { size: 8 ** 11 - 1 }))), 'UVWASI_ENOSPC');
  const bomb = gzipSync(archive(entry('f', { data: Buffer.alloc(64 << 20) })));
  assert.equal(code(bomb, { maxBytes: 1 << 20 }), 'UVWASI_ENOSPC');
  assert.equal(
    code(archive(entry('f', { type: 'L', data: 'n'.repeat(1e6) }), entry('f'))),
    'UVWASI_ENAMETOOLONG',
  );
  assert.equal(
    code(archive(entry('f', { type: 'L', data: 'n'.repeat(3e6) }), entry('f'))),
    'UVWASI_E2BIG',
  );
  assert.equal(code(join(dir, 'missing.tar')), 'UVWASI_ENOENT');
  assert.equal(code(dir), 'UVWASI_EISDIR');
  if (process.platform === 'linux') {
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    assert.equal(code(join(dir, 'pipe')), 'UVWASI_EINVAL');
    assert.equal(code('/dev/zero'), 'UVWASI_EINVAL');
  }
  for (const tar of [null, 5, true, {}, [], () => {}, Symbol('x')]) {
    assert.equal(code(tar), 'ERR_INVALID_ARG_TYPE');
  }
  assert.equal(code(SIMPLE, { maxBytes: -1 }), 'ERR_OUT_OF_RANGE');
  assert.equal(code(SIMPLE, { maxBytes: '1' }), 'ERR_INVALID_ARG_TYPE');
  assert.equal(code(SIMPLE, { readOnly: false }), 'ERR_INVALID_ARG_VALUE');
  assert.equal(code(SIMPLE, { create: true }), 'ERR_INVALID_ARG_VALUE');
  const detached = new Uint8Array(SIMPLE);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  assert.equal(code(detached), 'ERR_INVALID_ARG_VALUE');
  for (const other of [{ path: dir }, { memory: {} }, { file: dir }]) {
    assert.equal(code(SIMPLE, other), 'ERR_INVALID_ARG_VALUE');
  }
});

test('a preopen is one thing', () => {
  const make = (value) => () => new WASI({ version: 'preview1', preopens: { '/x': value } });
  for (const value of [
    { path: '.', memory: {} },
    { path: '.', file: 'x' },
    { memory: {}, tar: SIMPLE },
  ]) {
    assert.throws(make(value), {
      name: /TypeError/,
      code: 'ERR_INVALID_ARG_VALUE',
      message: /both/,
    });
  }
});

test('--tar gives an archive to a program', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'base.tar'), SIMPLE);
  const cli = (...args) =>
    spawnSync(process.execPath, [join(PACKAGE, 'bin', 'wasi-rs.js'), ...args], {
      encoding: 'utf8',
      cwd: dir,
    });
  writeFileSync(
    join(dir, 'exit.wasm'),
    Buffer.from('AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKBAECAAs=', 'base64'),
  );
  assert.equal(cli('--tar', 'base.tar::/base', 'exit.wasm').stderr, '');
  assert.match(cli('--tar', 'base.tar', 'exit.wasm').stderr, /--tar FILE::GUEST/);
  assert.match(cli('--tar', 'none.tar::/x', 'exit.wasm').stderr, /none\.tar/);
  assert.match(cli('--tar', 'exit.wasm::/x', 'exit.wasm').stderr, /no tar archive/);
  assert.match(
    cli('--tar', 'base.tar::/x', '--mem-dir', '/x', 'exit.wasm').stderr,
    /two directories/,
  );
});

// --- What all kinds have in common ---------------------------------------------------------------

test('what would end behind the last offset is inval in all of them', async (t) => {
  const { memfs } = require('memfs');
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), 'below');
  const INVAL = 28;
  const LAST = 2n ** 63n - 1n;
  const kinds = {
    memory: { memory: { file: 'below' } },
    'overlay, not copied': { path: dir, overlay: true },
    'overlay, copied up': { path: dir, overlay: true },
    archive: { tar: archive(entry('file', { data: 'below' })) },
    '{ fs }': { fs: memfs({ '/file': 'below' }).fs },
    // The kernel's own answer. Others have their own.
    ...(process.platform === 'linux' ? { 'the host': dir } : {}),
  };
  for (const [kind, preopen] of Object.entries(kinds)) {
    await t.test(kind, (t) => {
      const guest = started(t, { '/': preopen });
      const writes = !['archive', 'overlay, not copied'].includes(kind);
      const rights = (1n << 1n) | (1n << 2n) | (writes ? 1n << 6n : 0n);
      const fd = guest.open('file', { rights });
      assert.ok(fd > 0);
      const { call, memory } = guest;
      const view = new DataView(memory.buffer);
      const list = (length) => {
        view.setUint32(8, 65536, true);
        view.setUint32(12, length, true);
        return [8, 1];
      };
      const read = (length, offset) => call.fd_pread(fd, ...list(length), offset, 64);
      const write = (length, offset) => call.fd_pwrite(fd, ...list(length), offset, 64);
      const seek = (offset) => call.fd_seek(fd, offset, 0, 64);
      assert.equal(read(2, LAST - 2n), 0);
      assert.equal(view.getUint32(64, true), 0);
      assert.equal(read(3, LAST - 2n), INVAL);
      assert.equal(read(1, LAST), INVAL);
      assert.equal(read(0, LAST), 0);
      assert.equal(read(1, LAST + 1n), INVAL);
      assert.equal(seek(LAST - 2n), 0);
      assert.equal(call.fd_read(fd, ...list(3), 64), INVAL);
      assert.equal(call.fd_read(fd, ...list(2), 64), 0);
      if (!writes) return;
      assert.equal(write(3, LAST - 2n), INVAL);
      assert.equal(write(0, LAST), 0);
      assert.equal(call.fd_write(fd, ...list(3), 64), INVAL);
      assert.equal(guest.read('file'), 'below');
    });
  }
});
