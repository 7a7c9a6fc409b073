// The options beyond Node's: streams in any form, preopens with a policy or in memory, limits,
// tracing, set clocks and seeds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { started } from './support/direct.mjs';

const require = createRequire(import.meta.url);
const { WASI, run } = require('../index.js');
const native = require('../binding.js');
const wabt = await require('wabt')();

const OK = 0;
const BADF = 8;
const DQUOT = 19;
const EXIST = 20;
const LOOP = 32;
const MFILE = 33;
const NOENT = 44;
const NOSPC = 51;
const PERM = 63;
const ROFS = 69;
const SPIPE = 70;
const XDEV = 75;
const NOTCAPABLE = 76;
const CREAT = 1;
const TRUNC = 8;
const ALL = 0xfffffffn;
const PATH_TOO = 2048;

function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-embedding-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function bytesOf(wat) {
  return wabt.parseWat('guest.wat', wat).toBinary({}).buffer;
}

function moduleOf(wat) {
  return new WebAssembly.Module(bytesOf(wat));
}

const printing = (end) => `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "outerr")
  (func $print (param $fd i32) (param $at i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (i32.const 3))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (call $print (i32.const 1) (i32.const 100)) (call $print (i32.const 2) (i32.const 103))
    (call $print (i32.const 1) (i32.const 103)) ${end}))`;

test('a pipe collects all bytes in order, also when the guest exits or traps', () => {
  for (const [end, ended] of [
    ['', 0],
    ['(call $exit (i32.const 3))', 3],
    ['unreachable', 'trap'],
  ]) {
    const wasi = new WASI({ version: 'preview1', stdout: 'pipe', stderr: 'pipe' });
    const instance = new WebAssembly.Instance(moduleOf(printing(end)), wasi.getImportObject());
    if (ended === 'trap') assert.throws(() => wasi.start(instance), WebAssembly.RuntimeError);
    else assert.equal(wasi.start(instance), ended);
    assert.deepEqual(
      [wasi.stdout, wasi.stderr].map((bytes) => Buffer.from(bytes).toString()),
      ['outerr', 'err'],
    );
  }
});

test('functions get what is written, at once and in order', () => {
  const seen = [];
  const wasi = new WASI({
    version: 'preview1',
    stdout: (chunk) => seen.push(['out', Buffer.from(chunk).toString()]),
    stderr: (chunk) => seen.push(['err', Buffer.from(chunk).toString()]),
  });
  wasi.start(new WebAssembly.Instance(moduleOf(printing('')), wasi.getImportObject()));
  assert.deepEqual(seen, [
    ['out', 'out'],
    ['err', 'err'],
    ['out', 'err'],
  ]);
});

test('a function that throws stops the guest with that very error', () => {
  const mine = { mine: true };
  const wasi = new WASI({
    version: 'preview1',
    stdout: () => {
      throw mine;
    },
  });
  const instance = new WebAssembly.Instance(moduleOf(printing('')), wasi.getImportObject());
  assert.throws(
    () => wasi.start(instance),
    (error) => error === mine,
  );
});

test('a function may call imports and close the WASI', () => {
  let guest;
  const errnos = [];
  guest = started({
    stdout: () => {
      errnos.push(guest.call.sched_yield());
      guest.wasi.close();
    },
  });
  assert.equal(guest.write(1, 'x'), 1);
  assert.deepEqual(errnos, [OK]);
  assert.equal(guest.write(1, 'x'), -BADF);
});

test('a function follows the stream that the guest renumbers', () => {
  const seen = [];
  const guest = started({
    stdout: (chunk) => seen.push(Buffer.from(chunk).toString()),
    stderr: 'ignore',
  });
  assert.equal(guest.call.fd_renumber(1, 2), OK);
  assert.equal(guest.write(2, 'moved'), 5);
  assert.deepEqual(seen, ['moved']);
});

test('a pipe that is full gives an errno and loses nothing', () => {
  const guest = started({ stdout: 'pipe', limits: { outputBytes: 5 } });
  assert.equal(guest.write(1, 'abc'), 3);
  assert.equal(guest.write(1, 'defg'), 2);
  assert.equal(guest.write(1, 'h'), -NOSPC);
  assert.equal(Buffer.from(guest.wasi.stdout).toString(), 'abcde');
  assert.equal(guest.wasi.stderr, undefined);
});

test('stdin is bytes, a function or nothing', () => {
  const bytes = started({ stdin: Buffer.from('some bytes') });
  assert.equal(bytes.read(0, 4), 'some');
  assert.equal(bytes.call.fd_tell(0, 32), OK);
  assert.equal(bytes.view.getBigUint64(32, true), 4n);
  assert.equal(bytes.call.fd_seek(0, 0n, 0, 32), NOTCAPABLE, 'as of any standard input');
  assert.equal(bytes.read(0), ' bytes');
  assert.equal(bytes.read(0), '');
  assert.equal(bytes.write(0, 'x'), -NOTCAPABLE);

  const chunks = [Buffer.from('first '), Buffer.from('second'), null];
  const asked = [];
  const fed = started({
    stdin: (max) => {
      asked.push(max);
      return chunks.shift();
    },
  });
  assert.deepEqual(
    [fed.read(0, 3), fed.read(0), fed.read(0), fed.read(0), fed.read(0)],
    ['fir', 'st ', 'second', '', ''],
  );
  assert.equal(asked.length, 3, 'asked only when there is nothing left, and not after the end');
  assert.ok(asked.every((max) => Number.isInteger(max) && max > 0));

  const empty = started({ stdin: 'ignore', stdout: 'ignore' });
  assert.equal(empty.read(0), '');
  assert.equal(empty.write(1, 'gone'), 4);
});

test('a function is asked for input also after the memory has grown', () => {
  const { call, view, memory } = started({ stdin: () => Buffer.from('input') });
  view.setUint32(8, 16384, true);
  view.setUint32(12, 100, true);
  memory.grow(1);
  assert.equal(call.fd_read(0, 8, 1, 0), OK);
  assert.equal(new DataView(memory.buffer).getUint32(0, true), 5);
});

test('each form answers for its type, seeking and readiness', () => {
  const CHARACTER_DEVICE = 2;
  const REGULAR_FILE = 4;
  const SOCKET_STREAM = 6;
  const SEEK_OR_TELL = 0x24n;
  const forms = started({ stdin: new Uint8Array(3), stdout: 'pipe', stderr: 'ignore' });
  assert.deepEqual(
    [0, 1, 2].map((fd) => forms.filetype(fd).type),
    [REGULAR_FILE, SOCKET_STREAM, CHARACTER_DEVICE],
  );
  for (const fd of [0, 1, 2]) {
    const { type, rights } = forms.filetype(fd);
    assert.ok(
      type !== CHARACTER_DEVICE || (rights & SEEK_OR_TELL) !== 0n,
      `descriptor ${fd} is no terminal`,
    );
    assert.equal(forms.call.fd_filestat_get(fd, 512), OK);
  }
  assert.ok([SPIPE, NOTCAPABLE].includes(forms.call.fd_seek(1, 0n, 1, 32)));
  assert.deepEqual(forms.poll(0, 1), [OK, 1, 0]);
  assert.deepEqual(forms.poll(1, 2), [OK, 1, 0]);
});

test("any other value keeps Node's error", () => {
  for (const value of ['nonsense', 'pipe']) {
    assert.throws(() => new WASI({ version: 'preview1', stdin: value }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"options.stdin" property must be of type number/,
    });
  }
  for (const value of ['fd', {}, null, true, new Uint8Array(1)]) {
    assert.throws(() => new WASI({ version: 'preview1', stdout: value }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
  assert.throws(() => new WASI({ version: 'preview1', stdout: -1 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('below a read-only preopen nothing changes, whatever rights are asked for', (t) => {
  const [dir, other] = [folder(t), folder(t)];
  writeFileSync(join(dir, 'file'), 'content');
  mkdirSync(join(dir, 'sub'));
  writeFileSync(join(other, 'theirs'), 'x');
  const before = statSync(join(dir, 'file'), { bigint: true }).mtimeNs;
  const guest = started({ preopens: { '/ro': { path: dir, readOnly: true }, '/rw': other } });
  const { call, put } = guest;
  const [file, theirs] = [() => put('file'), () => put('theirs', PATH_TOO)];
  const attempts = {
    'open to write': () => -guest.open('file', { rights: 0x42n }),
    'open to create': () => -guest.open('new', { oflags: CREAT, rights: 2n }),
    'open to truncate': () => -guest.open('file', { oflags: TRUNC, rights: 2n }),
    'open to truncate with the right to': () =>
      -guest.open('file', { oflags: TRUNC, rights: 0x400002n }),
    unlink: () => call.path_unlink_file(3, ...file()),
    rmdir: () => call.path_remove_directory(3, ...put('sub')),
    mkdir: () => call.path_create_directory(3, ...put('new')),
    symlink: () => call.path_symlink(...put('file'), 3, ...put('new', PATH_TOO)),
    'set times': () => call.path_filestat_set_times(3, 0, ...file(), 1n, 1n, 5),
    'set times of the directory': () => call.fd_filestat_set_times(3, 1n, 1n, 5),
    'rename within': () => call.path_rename(3, ...file(), 3, ...put('new', PATH_TOO)),
    'rename out': () => call.path_rename(3, ...file(), 4, ...put('new', PATH_TOO)),
    'rename in': () => call.path_rename(4, ...theirs(), 3, ...put('new')),
    'link out': () => call.path_link(3, 0, ...file(), 4, ...put('new', PATH_TOO)),
    'link in': () => call.path_link(4, 0, ...theirs(), 3, ...put('new')),
  };
  for (const [name, attempt] of Object.entries(attempts)) {
    assert.equal(attempt(), ROFS, name);
  }
  const sub = guest.open('sub', { oflags: 2, rights: 0x2000n, inheriting: 2n });
  assert.ok(sub > 0);
  assert.equal(guest.open('new', { dir: sub, oflags: CREAT, rights: 2n }), -ROFS);
  const most = guest.open('sub', { oflags: 2, rights: 0x43fe00n, inheriting: ALL });
  assert.equal(guest.open('new', { dir: most, oflags: CREAT, rights: 2n }), -ROFS);
  assert.equal(call.path_create_directory(most, ...put('new')), ROFS);
  const open = guest.open('file', { rights: 2n });
  assert.equal(guest.read(open), 'content');
  assert.equal(guest.write(open, 'x'), -NOTCAPABLE, 'as of any file opened for reading');
  assert.equal(call.fd_filestat_set_size(open, 0n), ROFS);
  assert.equal(call.fd_allocate(open, 0n, 100n), ROFS);
  assert.equal(call.fd_filestat_set_times(open, 1n, 1n, 5), ROFS);
  assert.equal(readFileSync(join(dir, 'file'), 'utf8'), 'content');
  assert.equal(statSync(join(dir, 'file'), { bigint: true }).mtimeNs, before);
  assert.deepEqual(
    [
      existsSync(join(dir, 'new')),
      existsSync(join(other, 'new')),
      existsSync(join(other, 'theirs')),
    ],
    [false, false, true],
  );
});

/**
 * The output of guests/read-only.c below a read-only preopen: the same as that of a C program on a
 * file system that Linux has mounted read-only.
 */
const SAID_BELOW_READ_ONLY = `fopen r file: ok
  content
fopen r missing: No such file or directory
fopen r+ file: Read-only file system
fopen w file: Read-only file system
fopen a file: Read-only file system
fopen w new: Read-only file system
fopen wx file: File exists
open O_CREAT of what is there: ok
write: Bad file descriptor
ftruncate: Read-only file system
futimens: Read-only file system
posix_fallocate: Read-only file system
fdatasync: Bad file descriptor
open O_TRUNC: Read-only file system
open O_RDWR of a directory: Is a directory
mkdir: Read-only file system
mkdir of what is there: File exists
rmdir: Read-only file system
unlink: Read-only file system
rename: Read-only file system
link: Read-only file system
symlink: Read-only file system
utimensat: Read-only file system
truncate: Read-only file system
open of a directory: ok
openat O_RDONLY: ok
openat O_RDWR: Read-only file system
openat O_CREAT: Read-only file system
unlinkat: Read-only file system
access R_OK: ok
access W_OK: ok
`;

const READ_ONLY_GUEST = fileURLToPath(new URL('guests/read-only.wasm', import.meta.url));

const CLI = fileURLToPath(new URL('../bin/wasi-rs.js', import.meta.url));
const cli = (args) => spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });

test('a C program is told that what lies below a read-only preopen cannot be written', (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'dir'));
  const files = { file: 'content\n', 'dir/inner': 'inner\n' };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const module = new WebAssembly.Module(readFileSync(READ_ONLY_GUEST));
  for (const [kind, preopen, options] of [
    ['directory', { path: dir, readOnly: true }],
    ['sorted directory', { path: dir, readOnly: true }, { sortedReaddir: true }],
    ['memory', { memory: files, readOnly: true }],
  ]) {
    const wasi = new WASI({
      version: 'preview1',
      args: ['guest', '/ro'],
      stdout: 'pipe',
      preopens: { '/ro': preopen },
      ...options,
    });
    assert.equal(wasi.start(new WebAssembly.Instance(module, wasi.getImportObject())), 0, kind);
    assert.equal(Buffer.from(wasi.stdout).toString(), SAID_BELOW_READ_ONLY, kind);
    if (preopen.memory) {
      assert.deepEqual(wasi.listFiles(), ['/ro/dir/inner', '/ro/file']);
      assert.equal(Buffer.from(wasi.readFile('/ro/file')).toString(), files.file);
    }
    wasi.close();
  }
  const { status, stdout } = cli(['run', '--dir', `${dir}::/ro:ro`, READ_ONLY_GUEST, '/ro']);
  assert.deepEqual([status, stdout], [0, SAID_BELOW_READ_ONLY]);
  const left = readdirSync(dir, { recursive: true }).sort();
  assert.deepEqual(left, ['dir', join('dir', 'inner'), 'file']);
  for (const [name, text] of Object.entries(files)) {
    assert.equal(readFileSync(join(dir, name), 'utf8'), text);
  }
});

test('a Go program reads below a read-only preopen, with the rights that its runtime asks for', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), 'content');
  // With O_RDONLY: all but datasync, write, allocate, path_filestat_set_size and those of sockets.
  const rights = ALL & ~(1n | (1n << 6n) | (1n << 8n) | (1n << 19n));
  for (const [kind, preopen, name] of [
    ['directory', { path: dir, readOnly: true }, 'file'],
    ['memory', { memory: { file: 'content' }, readOnly: true }, 'file'],
    ['file', { file: join(dir, 'file'), readOnly: true }, '.'],
  ]) {
    const guest = started({ preopens: { '/ro': preopen } });
    const fd = guest.open(name, { rights, inheriting: rights });
    assert.equal(guest.read(fd), 'content', kind);
    assert.equal(guest.write(fd, 'x'), -NOTCAPABLE, kind);
    assert.equal(guest.call.fd_filestat_set_size(fd, 0n), ROFS, kind);
    assert.equal(guest.call.fd_filestat_set_times(fd, 1n, 1n, 5), ROFS, kind);
    assert.equal(guest.open(name, { rights: rights | 64n }), -ROFS, kind);
    assert.equal(guest.open(name, { rights, oflags: TRUNC }), -ROFS, kind);
  }
  assert.equal(readFileSync(join(dir, 'file'), 'utf8'), 'content');
});

test('an open that is refused for the number of open files has created and cut nothing', (t) => {
  const dir = folder(t);
  for (const preopen of [dir, { memory: { file: 'content' } }]) {
    writeFileSync(join(dir, 'file'), 'content');
    const guest = started({ preopens: { '/d': preopen }, limits: { openFiles: 4 } });
    assert.equal(guest.open('file', { oflags: TRUNC, rights: 64n }), -MFILE);
    assert.equal(guest.open('file', { oflags: CREAT | TRUNC, rights: 64n }), -MFILE);
    assert.equal(guest.open('new', { oflags: CREAT, rights: 64n }), -MFILE);
    assert.equal(guest.call.fd_close(0), OK);
    assert.equal(guest.open('new', { rights: 2n }), -NOENT);
    assert.equal(guest.read(guest.open('file', { rights: 2n })), 'content');
  }
});

test('a preopen is made where it is missing, if that is asked for', (t) => {
  const path = join(folder(t), 'a', 'b');
  assert.throws(() => new WASI({ version: 'preview1', preopens: { '/': { path } } }), {
    code: 'UVWASI_ENOENT',
  });
  started({ preopens: { '/': { path, create: true } } });
  assert.ok(statSync(path).isDirectory());
});

test('links can be denied altogether', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), 'content');
  symlinkSync('file', join(dir, 'link'));
  symlinkSync('.', join(dir, 'here'));
  const allowed = started({ preopens: { '/': { path: dir, symlinks: 'inside' } } });
  assert.ok(allowed.open('link', { rights: 2n }) > 0);
  const denied = started({ preopens: { '/': { path: dir, symlinks: 'deny' } } });
  assert.ok(denied.open('file', { rights: 2n }) > 0);
  assert.equal(denied.open('link', { rights: 2n }), -LOOP);
  assert.equal(denied.open('here/file', { rights: 2n }), -LOOP);
  assert.equal(
    denied.call.path_symlink(...denied.put('file'), 3, ...denied.put('new', PATH_TOO)),
    PERM,
  );
  assert.throws(() => new WASI({ preopens: { '/': { path: dir, symlinks: 'maybe' } } }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
});

test('no link comes to where links are denied, from another preopen', (t) => {
  const [out, scratch] = [folder(t), folder(t)];
  mkdirSync(join(scratch, 'sub'));
  writeFileSync(join(out, 'file'), 'content');
  const guest = started({
    preopens: { '/out': { path: out, symlinks: 'deny' }, '/scratch': scratch },
  });
  const { call, put } = guest;
  const [old, made] = [(text) => put(text), () => put('new', PATH_TOO)];
  assert.equal(call.path_symlink(...old('../secret'), 4, ...put('link', PATH_TOO)), OK);
  assert.equal(call.path_link(4, 0, ...old('link'), 3, ...made()), XDEV);
  assert.equal(call.path_rename(4, ...old('link'), 3, ...made()), XDEV);
  assert.equal(call.path_rename(4, ...old('sub'), 3, ...made()), XDEV);
  assert.equal(call.path_rename(3, ...old('file'), 4, ...made()), XDEV);
  assert.deepEqual(readdirSync(out), ['file']);
  // Nor does one that the host has made get another name.
  symlinkSync('file', join(out, 'link'));
  assert.equal(call.path_rename(3, ...old('link'), 3, ...made()), PERM);
  assert.equal(call.path_link(3, 0, ...old('link'), 3, ...made()), PERM);
  assert.equal(call.path_rename(3, ...old('file'), 3, ...made()), OK);
  assert.deepEqual(readdirSync(out).sort(), ['link', 'new']);
});

test('a preopen may be one file', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), 'content');
  writeFileSync(join(dir, 'other'), 'secret');
  const guest = started({
    preopens: {
      '/etc/file': { file: join(dir, 'file') },
      '/ro': { file: join(dir, 'file'), readOnly: true },
    },
  });
  const open = guest.open('.', { rights: 0x42n });
  assert.equal(guest.read(open), 'content');
  assert.equal(guest.write(open, ' more'), 5);
  assert.equal(readFileSync(join(dir, 'file'), 'utf8'), 'content more');
  assert.equal(guest.open('other', { rights: 2n }), -NOENT);
  assert.equal(guest.open('../other', { rights: 2n }), -NOTCAPABLE);
  assert.equal(guest.open('.', { oflags: CREAT | 4 | TRUNC, rights: 0x42n }), -EXIST);
  assert.equal(readFileSync(join(dir, 'file'), 'utf8'), 'content more');
  assert.equal(guest.open('.', { dir: 4, rights: 0x42n }), -ROFS);
  assert.ok(guest.open('.', { dir: 4, rights: 2n }) > 0);
  assert.throws(() => new WASI({ version: 'preview1', preopens: { '/': { file: dir } } }), {
    syscall: 'uvwasi_init',
  });
});

test('a preopen may be in memory, seeded before and read back after', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'host'), 'host');
  const guest = started({
    preopens: {
      '/mem': { memory: { 'config.json': '{}', 'a/b': new Uint8Array([104, 105]) } },
      '/host': dir,
    },
  });
  assert.deepEqual(guest.wasi.listFiles(), ['/mem/a/b', '/mem/config.json']);
  const made = guest.open('made', { oflags: CREAT, rights: 0x46n });
  assert.equal(guest.write(made, 'by the guest'), 12);
  assert.equal(
    guest.call.path_rename(3, ...guest.put('a/b'), 3, ...guest.put('moved', PATH_TOO)),
    OK,
  );
  assert.equal(
    guest.call.path_rename(3, ...guest.put('moved'), 4, ...guest.put('moved', PATH_TOO)),
    XDEV,
  );
  assert.equal(
    guest.call.path_link(4, 0, ...guest.put('host'), 3, ...guest.put('host', PATH_TOO)),
    XDEV,
  );
  assert.deepEqual(guest.wasi.listFiles(), ['/mem/config.json', '/mem/made', '/mem/moved']);
  assert.equal(Buffer.from(guest.wasi.readFile('/mem/made')).toString(), 'by the guest');
  assert.equal(guest.wasi.readFile('/mem/none'), undefined);
  assert.equal(guest.wasi.readFile('/host/host'), undefined, 'only of trees in memory');
});

test('a tree in memory holds no more than it may', () => {
  const guest = started({ preopens: { '/': { memory: {}, maxBytes: 4096 } } });
  const file = guest.open('file', { oflags: CREAT, rights: ALL & 0x8e001ffn });
  assert.ok(file > 0);
  assert.equal(guest.write(file, 'x'.repeat(1000)), 1000);
  assert.ok([22, NOSPC].includes(guest.call.fd_filestat_set_size(file, 2n ** 40n)));
  let made = 0;
  while (made < 1000 && guest.call.path_create_directory(3, ...guest.put(`d${made}`)) === OK)
    made++;
  assert.ok(made < 10, 'names and directories count');
  assert.throws(
    () =>
      new WASI({
        version: 'preview1',
        preopens: { '/': { memory: { a: 'x'.repeat(5000) }, maxBytes: 4096 } },
      }),
    { code: 'UVWASI_ENOSPC', message: /cannot hold "a": nospc \(.*'maxBytes'\)$/ },
  );
  for (const [memory, code, message] of [
    [{ '../a': '' }, 'UVWASI_EINVAL', /"\.\.\/a": inval \(a path here is relative/],
    [{ '/a': '' }, 'UVWASI_EINVAL', /"\/a": inval \(a path here is relative/],
    [{ a: '', 'a/b': '' }, 'UVWASI_ENOTDIR', /"a\/b": notdir \(a file stands/],
    [{ 'a/b': '', a: '' }, 'UVWASI_EISDIR', /"a": isdir \(a directory/],
  ]) {
    const preopens = { '/': { memory } };
    assert.throws(() => new WASI({ version: 'preview1', preopens }), { code, message });
  }
  assert.throws(() => new WASI({ version: 'preview1', preopens: { '/': { memory: { a: 1 } } } }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
});

test('limits give the guest the errnos of POSIX', (t) => {
  const dir = folder(t);
  for (let i = 0; i < 10; i++) writeFileSync(join(dir, `f${i}`), '');
  const guest = started({
    preopens: { '/': dir },
    limits: { openFiles: 6, writtenBytes: 10, readdirEntries: 5 },
  });
  const file = guest.open('f0', { rights: 0x8e001ffn });
  assert.ok(file > 0 && guest.open('f1', { rights: 2n }) > 0);
  assert.equal(guest.open('f2', { rights: 2n }), -MFILE);
  assert.equal(guest.call.fd_close(5), OK);
  assert.ok(guest.open('f2', { rights: 2n }) > 0);
  assert.equal(guest.write(file, 'x'.repeat(7)), 7);
  assert.equal(guest.write(file, 'x'.repeat(7)), 3);
  assert.equal(guest.write(file, 'x'), -DQUOT);
  assert.equal(guest.call.fd_filestat_set_size(file, 1000n), DQUOT);
  // Not an answer that looks like the end: with room for fewer entries there are five.
  assert.equal(guest.call.fd_readdir(3, 16384, 4096, 0n, 0), DQUOT);
  assert.equal(guest.call.fd_readdir(3, 16384, 60, 0n, 0), OK);
  assert.equal(statSync(join(dir, 'f0')).size, 10);
});

test('a call budget and a deadline end the guest, also while it waits', () => {
  const calls = started({ limits: { hostCalls: 3 } });
  for (let i = 0; i < 3; i++) assert.equal(calls.call.sched_yield(), OK);
  assert.throws(() => calls.call.sched_yield(), { code: 'ERR_WASI_LIMIT', limit: 'hostCalls' });

  const wasi = new WASI({ version: 'preview1', timeoutMs: 100 });
  const sleeping = moduleOf(`(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 60000000000))
      (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))`);
  const start = performance.now();
  assert.throws(() => wasi.start(new WebAssembly.Instance(sleeping, wasi.getImportObject())), {
    code: 'ERR_WASI_LIMIT',
    limit: 'timeoutMs',
  });
  assert.ok(performance.now() - start < 5000);
  for (const limits of [{ openFiles: -1 }, { hostCalls: 1.5 }, { outputBytes: '1' }, 5]) {
    assert.throws(() => new WASI({ version: 'preview1', limits }), {
      code: /ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)/,
    });
  }
});

test('a call that was given up while it waited leaves nothing to the next', () => {
  const MS = 1_000_000n;
  const sleep = ({ call, view }, time) => {
    view.setBigUint64(4096, 0n, true);
    view.setUint8(4096 + 8, 0);
    view.setUint32(4096 + 16, 1, true);
    view.setBigUint64(4096 + 24, time, true);
    return call.poll_oneoff(4096, 4200, 1, 0);
  };
  const late = started({ timeoutMs: 200 });
  const waiting = started();
  const { runInNewContext } = require('node:vm');
  const givenUp = {
    ERR_WASI_LIMIT: () => sleep(late, 60_000n * MS),
    ERR_SCRIPT_EXECUTION_TIMEOUT: () =>
      runInNewContext('wait()', { wait: () => sleep(waiting, 60_000n * MS) }, { timeout: 200 }),
  };
  for (const [code, wait] of Object.entries(givenUp)) {
    assert.throws(wait, { code });
    // It would count the time that the other has waited.
    const start = performance.now();
    assert.equal(sleep(started(), 150n * MS), OK);
    const passed = performance.now() - start;
    assert.ok(passed >= 140, `${code}: ${passed} ms`);
  }
});

test('a command runs in a Worker and is ended when its time is over', async () => {
  // The bytes: a process compiles them anew, on Bun and Deno.
  const result = await run(bytesOf(printing('(call $exit (i32.const 3))')));
  assert.equal(result.exitCode, 3);
  assert.deepEqual([result.stdout, result.stderr], ['outerr', 'err']);
  const looping = bytesOf(
    '(module (memory (export "memory") 1) (func (export "_start") (loop $ever (br $ever))))',
  );
  const late = await run(looping, { timeoutMs: 100 });
  assert.deepEqual(
    [late.reason, late.exitCode, late.error.code, late.error.limit],
    ['timeout', null, 'ERR_WASI_LIMIT', 'timeoutMs'],
  );
  const trap = await run(bytesOf(printing('unreachable')));
  assert.equal(trap.reason, 'trap');
  assert.ok(trap.error instanceof WebAssembly.RuntimeError);
  await assert.rejects(run(looping, { preopens: { '/': '/nowhere/at/all' } }), {
    code: 'UVWASI_ENOENT',
  });
});

test('a trace has each call with its arguments, its errno and its time', (t) => {
  const events = [];
  const guest = started({ preopens: { '/': folder(t) }, trace: (event) => events.push(event) });
  guest.open('näme', { oflags: CREAT, rights: 0x42n });
  guest.call.fd_seek(99, 5n, 2, 0);
  assert.equal(events.length, 2);
  const [{ name, args, errno, ns }, seek] = events;
  assert.deepEqual(
    [name, errno, args.fd, args.path, args.dirflags, args.oflags, args.fs_rights_base],
    ['path_open', 'success', 3, 'näme', ['symlink_follow'], ['creat'], ['fd_read', 'fd_write']],
  );
  assert.ok(Number.isInteger(ns) && ns > 0);
  assert.deepEqual([seek.errno, seek.args.whence, seek.args.offset], ['badf', 'end', 5n]);
});

test('every function can be traced with all its parameters', () => {
  const events = [];
  const { call } = started({ returnOnExit: true, trace: (event) => events.push(event) });
  for (const [name, { signature }] of Object.entries(native.table.functions)) {
    if (name === 'poll_oneoff') continue;
    events.length = 0;
    const args = [...signature].map((lane) => (lane === 'I' ? 0n : 99));
    try {
      call[name](...args);
    } catch (error) {
      assert.equal(name, 'proc_exit', String(error));
    }
    const [event] = events;
    const lanes = Object.entries(event.args).reduce(
      (sum, [, value]) =>
        sum + (typeof value === 'string' && !/^[a-z_]*$/.test(value) ? 2 : value === '' ? 2 : 1),
      0,
    );
    assert.ok(
      lanes <= signature.length && Object.keys(event.args).length > 0 === signature.length > 0,
      name,
    );
    assert.ok(!Object.values(event.args).includes(undefined), name);
    assert.equal(call[name].length, signature.length);
  }
});

test('NODE_DEBUG_NATIVE=wasi and trace: true print to the standard error', () => {
  const script =
    "const { WASI } = require('./index.js'); const memory = new WebAssembly.Memory({ initial: 1 }); const wasi = new WASI({ version: 'preview1', ...JSON.parse(process.argv.at(-1)) }); wasi.start({ exports: { memory, _start() { wasi.wasiImport.fd_close(99); } } });";
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const run = (options, env) =>
    spawnSync(process.execPath, ['-e', script, JSON.stringify(options)], {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
  for (const printed of [run({ trace: true }), run({}, { NODE_DEBUG_NATIVE: 'wasi' })]) {
    assert.match(printed.stderr, /^wasi: fd_close\(fd=99\) = badf \[\d+ ns\]$/m);
  }
  assert.equal(run({}).stderr, '');
});

test('statistics count calls and time, and only on demand', () => {
  const guest = started({ stats: true });
  guest.call.sched_yield();
  guest.call.sched_yield();
  guest.call.fd_close(99);
  const stats = guest.wasi.stats();
  assert.deepEqual(
    Object.fromEntries(Object.entries(stats).map(([name, { calls }]) => [name, calls])),
    { sched_yield: 2, fd_close: 1 },
  );
  assert.ok(stats.sched_yield.ns > 0);
  assert.equal(started({}).wasi.stats(), undefined);
});

test('with the same clocks and seed, two runs give the same', (t) => {
  const dir = folder(t);
  for (const name of ['c', 'a', 'b']) writeFileSync(join(dir, name), '');
  const observed = () => {
    const guest = started({
      preopens: { '/': dir, '/mem': { memory: { x: '1' } } },
      clock: { realtime: { start: 1_000n, step: 5n }, monotonic: 77n },
      random: 'seed',
      sortedReaddir: true,
    });
    const { call, view, memory } = guest;
    const times = [0, 0, 1, 1].map((clock) => {
      call.clock_time_get(clock, 0n, 0);
      return view.getBigUint64(0, true);
    });
    call.random_get(100, 64);
    const random = Buffer.from(memory.buffer.slice(100, 164)).toString('hex');
    const names = [];
    for (let cookie = 0n; ;) {
      assert.equal(call.fd_readdir(3, 4096, 40, cookie, 0), OK);
      if (view.getUint32(0, true) < 24) break;
      names.push(Buffer.from(memory.buffer, 4096 + 24, view.getUint32(4096 + 16, true)).toString());
      cookie = view.getBigUint64(4096, true);
    }
    assert.equal(call.fd_filestat_get(4, 512), OK);
    return {
      times,
      random,
      names,
      stat: Buffer.from(memory.buffer.slice(512, 576)).toString('hex'),
    };
  };
  const first = observed();
  assert.deepEqual(observed(), first);
  assert.deepEqual(first.times, [first.times[0], first.times[0] + 5n, 77n, 77n]);
  assert.deepEqual(first.names, ['.', '..', 'a', 'b', 'c', 'mem']);
  const other = started({ random: 'other seed' });
  other.call.random_get(100, 64);
  assert.notEqual(Buffer.from(other.memory.buffer.slice(100, 164)).toString('hex'), first.random);
});

test('a clock that the embedder sets is not waited for', () => {
  const guest = started({ clock: { monotonic: { start: 0n, step: 1n } } });
  new Uint8Array(guest.memory.buffer, 4096, 48).fill(0);
  guest.view.setUint32(4096 + 16, 1, true);
  guest.view.setBigUint64(4096 + 24, 3_600_000_000_000n, true);
  const start = performance.now();
  assert.equal(guest.call.poll_oneoff(4096, 4200, 1, 0), OK);
  assert.ok(performance.now() - start < 60_000, 'it did not wait for the hour');
  guest.call.clock_time_get(1, 0n, 0);
  assert.ok(guest.view.getBigUint64(0, true) >= 3_600_000_000_000n, 'its time has passed');
});

test('who asks for nothing pays nothing: the imports are not wrapped', () => {
  const plain = new WASI({ version: 'preview1' }).wasiImport;
  const watched = new WASI({ version: 'preview1', stats: true }).wasiImport;
  assert.match(plain.fd_write.toString(), /^\s+fd_write\(\);/m);
  assert.doesNotMatch(watched.fd_write.toString(), /^\s+fd_write\(\);/m);
});

test('what all objects were made to inherit is no option', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'f'), 'of the host');
  const inherited = {
    anything: 1,
    kind: 'memory',
    create: true,
    noSymlinks: true,
    entries: 1,
    bytes: 1,
    cap: 0,
    randomSeed: new Uint8Array(32),
    sortedReaddir: 1,
    hostCalls: 0,
  };
  let asked = false;
  const stdin = () => {
    asked = true;
    return null;
  };
  Object.assign(Object.prototype, inherited);
  let guest;
  let other;
  try {
    Object.prototype.stdin = 0;
    const preopens = { '/': { path: dir }, '/g': { file: join(dir, 'f') } };
    guest = started({ preopens, stdout: () => {}, stdin: new Uint8Array(), sortedReaddir: false });
    Object.prototype.stdin = stdin;
    other = started({ stdin: 'ignore', stdout: () => {}, stderr: 'pipe', sortedReaddir: false });
  } finally {
    for (const name of ['stdin', ...Object.keys(inherited)]) delete Object.prototype[name];
  }
  for (const { call } of [guest, other]) {
    assert.match(call.fd_close.toString(), /^\s+fd_close\(\);/m, 'nothing watches the calls');
    assert.match(call.fd_read.toString(), /^\s+fd_read\(\);/m, 'no function is the input');
  }
  assert.equal(guest.read(guest.open('f', { rights: 2n })), 'of the host');
  assert.equal(guest.filetype(4).type, 3, 'a folder with one file');
  assert.equal(other.read(0), '');
  assert.equal(asked, false);
  assert.equal(other.write(2, 'text'), 4, 'the pipe has its own cap');
  assert.throws(() => new WASI({ version: 'preview1', preopens: { '/': join(dir, 'none') } }), {
    code: 'UVWASI_ENOENT',
  });
});

test('listFiles ends with an error where a guest has made more paths than can be listed', () => {
  const wasi = new WASI({
    version: 'preview1',
    preopens: { '/m': { memory: { f: 'x' }, maxBytes: 8 << 20 } },
  });
  const memory = new WebAssembly.Memory({ initial: 1 });
  wasi.finalizeBindings({ exports: { memory } });
  const bytes = new Uint8Array(memory.buffer);
  const { path_create_directory, path_link } = wasi.wasiImport;
  const put = (text, at) => bytes.set(Buffer.from(text), at) ?? text.length;
  let folder = '';
  for (let depth = 0; depth < 14; depth++) {
    folder += `${folder && '/'}${'d'.repeat(250)}`;
    assert.equal(path_create_directory(3, 1000, put(folder, 1000)), 0);
  }
  // Each link takes some 140 bytes of the tree, and 3.5 kB of a list of paths.
  put('f', 0);
  let links = 0;
  const link = () => path_link(3, 0, 0, 1, 3, 1000, put(`${folder}/${links}`, 1000));
  while (links < 12_000) {
    assert.equal(link(), 0);
    links++;
  }
  assert.throws(() => wasi.listFiles(), { code: 'ERR_WASI_LIST_TOO_LONG' });
  assert.throws(() => wasi.listFiles({ withTypes: true }), { code: 'ERR_WASI_LIST_TOO_LONG' });
  assert.equal(Buffer.from(wasi.readFile('/m/f')).toString(), 'x');
  wasi.close();
});
