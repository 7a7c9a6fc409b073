// Node's permission model, in real processes: a preopen is what the process may read, and without
// the right to write it is read-only.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { link, makeTree, readTree, withFolder } from './support/tree.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const GUEST = fileURLToPath(new URL('guests/fd-access.wasm', import.meta.url));

// Node 18 has no such model. --permission is stable since Node 22.13, experimental since 20.
const FLAG = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);
const allowed = (name) => process.allowedNodeEnvironmentFlags.has(name);

// Errno and rights of preview1.
const BADF = 8;
const ROFS = 69;
const LOOP = 32;
const NOTCAPABLE = 76;
const FD_READ = 1 << 1;
const FD_SEEK = 1 << 2;
const FD_TELL = 1 << 5;
const FD_WRITE = 1 << 6;
const FD_ALLOCATE = 1 << 8;
const FD_FILESTAT_SET_SIZE = 1 << 22;
const CREAT = 1;
const DIRECTORY = 2;
const TRUNC = 8;

/** The contents of a folder of the tests. */
const files = () => ({ 'f.txt': 'hello', d: { 'g.txt': 'inner' }, 'to-f': link('f.txt') });

/**
 * Runs code in a process with the permission model.
 *
 * @returns what the code gave to `tell`
 */
function run(folder, flags, code, options = {}) {
  const program = path.join(folder, 'program.cjs');
  fs.writeFileSync(
    program,
    `'use strict';
    const tell = (value) => require('node:fs').writeSync(1, JSON.stringify(value));
    const { WASI } = require(${JSON.stringify(PACKAGE)});
    const folder = ${JSON.stringify(folder)};
    ${code}`,
  );
  const always = [
    FLAG,
    '--no-warnings',
    `--allow-fs-read=${PACKAGE}`,
    `--allow-fs-read=${program}`,
  ];
  const { wasi = true, ...spawnOptions } = options;
  const addons = ['--allow-addons', ...(wasi ? ['--allow-wasi'] : [])].filter(allowed);
  const env = { ...process.env };
  delete env.NODE_OPTIONS;
  delete env.NODE_TEST_CONTEXT;
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...always, ...addons, ...flags, program],
    { cwd: folder, env, encoding: 'utf8', timeout: 60_000, ...spawnOptions },
  );
  assert.deepEqual([status, signal, stderr], [0, null, ''], stdout);
  return JSON.parse(stdout);
}

const read = (folder) => `--allow-fs-read=${folder}`;
const write = (folder) => `--allow-fs-write=${folder}`;

/** Constructs with one preopen; what was thrown, or null. */
const construct = (preopen) => `
  try {
    new WASI({ version: 'preview1', preopens: { '/': ${preopen} } });
    tell(null);
  } catch (error) {
    const first = error.stack.split('\\n')[0];
    tell({ ...error, name: error.name, message: error.message, text: String(error), first });
  }`;

/** The same for an operation of Node's own. */
const nodesOwn = (call) => `
  try {
    ${call};
    tell(null);
  } catch (error) {
    const first = error.stack.split('\\n')[0];
    tell({ ...error, name: error.name, message: error.message, text: String(error), first });
  }`;

/** Functions for the imports over a memory of our own; each gives an errno. */
const driver = `
  const memory = new WebAssembly.Memory({ initial: 1 });
  const wasi = new WASI({ version: 'preview1', preopens: { '/a': folder + '/a', '/b': folder + '/b' } });
  wasi.finalizeBindings({ exports: { memory } });
  const w = wasi.wasiImport;
  const view = new DataView(memory.buffer);
  let top = 1024;
  const text = (string) => {
    const bytes = Buffer.from(string);
    new Uint8Array(memory.buffer).set(bytes, top);
    top += bytes.length;
    return [top - bytes.length, bytes.length];
  };
  // Opens; the new descriptor, or minus the errno.
  const open = (fd, name, oflags, base, inheriting = 0, follow = 0) => {
    const errno = w.path_open(fd, follow, ...text(name), oflags, BigInt(base), BigInt(inheriting), 0, 0);
    return errno === 0 ? view.getUint32(0, true) : -errno;
  };
  const write = (fd, string) => {
    const [at, length] = text(string);
    view.setUint32(8, at, true);
    view.setUint32(12, length, true);
    return w.fd_write(fd, 8, 1, 16);
  };
  const content = (fd) => {
    view.setUint32(8, 512, true);
    view.setUint32(12, 100, true);
    const errno = w.fd_read(fd, 8, 1, 16);
    return errno || Buffer.from(memory.buffer, 512, view.getUint32(16, true)).toString();
  };
  const rights = (fd) => {
    w.fd_fdstat_get(fd, 32);
    return [view.getBigUint64(40, true), view.getBigUint64(48, true)];
  };`;

/** All that could change something through descriptor `fd`, by name; each is an errno. */
const attempts = (fd) => `Object.fromEntries(Object.entries({
    create: () => -open(${fd}, 'new', ${CREAT}, ${FD_READ}),
    'create to write': () => -open(${fd}, 'new', ${CREAT}, ${FD_WRITE}),
    truncate: () => -open(${fd}, 'f.txt', ${TRUNC}, ${FD_READ}),
    'open to write': () => -open(${fd}, 'f.txt', 0, ${FD_READ | FD_WRITE}),
    'open to write through a link': () => -open(${fd}, 'to-f', 0, ${FD_WRITE}, 0, 1),
    allocate: () => w.fd_allocate(open(${fd}, 'f.txt', 0, ${FD_ALLOCATE}), 0n, 100n),
    'set the size': () => w.fd_filestat_set_size(open(${fd}, 'f.txt', 0, ${FD_FILESTAT_SET_SIZE}), 0n),
    mkdir: () => w.path_create_directory(${fd}, ...text('new')),
    rmdir: () => w.path_remove_directory(${fd}, ...text('d')),
    unlink: () => w.path_unlink_file(${fd}, ...text('f.txt')),
    symlink: () => w.path_symlink(...text('x'), ${fd}, ...text('new')),
    'link within': () => w.path_link(${fd}, 0, ...text('f.txt'), ${fd}, ...text('new')),
    'rename within': () => w.path_rename(${fd}, ...text('f.txt'), ${fd}, ...text('new')),
    times: () => w.path_filestat_set_times(${fd}, 0, ...text('f.txt'), 0n, 0n, 5),
    'times of the directory': () => w.fd_filestat_set_times(${fd}, 0n, 0n, 5),
  }).map(([name, attempt]) => [name, attempt()]))`;

const skip = FLAG === undefined && 'this Node has no permission model';

describe('under the permission model', { skip }, () => {
  const inFolders = (use) =>
    withFolder((folder) => {
      makeTree(folder, { a: files(), b: files(), outside: files(), 'to-a': link('a') });
      return use(folder, (name) => path.join(folder, name));
    });

  it('a preopen that may not be read is refused as Node refuses it', () =>
    inFolders((folder, at) => {
      const error = run(folder, [read(at('b'))], construct('folder + "/a"'));
      const own = run(
        folder,
        [read(at('b'))],
        nodesOwn('require("node:fs").readdirSync(folder + "/a")'),
      );
      assert.deepEqual(error, own);
      assert.equal(error.code, 'ERR_ACCESS_DENIED');
      assert.equal(error.permission, 'FileSystemRead');
      assert.equal(error.resource, at('a'));
    }));

  it('a relative path is reported as the one it stands for', () =>
    inFolders((folder, at) => {
      const { code, resource } = run(folder, [], construct('"./a"'));
      assert.deepEqual([code, resource], ['ERR_ACCESS_DENIED', at('a')]);
      assert.equal(run(folder, [read(at('a'))], construct('"./a"')), null);
    }));

  it('neither a folder without its files will do, nor a file of it, nor a folder with a longer name', () =>
    inFolders((folder, at) => {
      for (const flags of [
        [read(at('a/f.txt'))],
        [read(at('a/f.txt')), read(at('a/to-f'))],
        [read(at('a/d'))],
        [read(at('a/f*'))],
        [read(at('ab'))],
        [write(at('a'))],
      ]) {
        assert.equal(
          run(folder, flags, construct('folder + "/a"'))?.permission,
          'FileSystemRead',
          flags,
        );
      }
      for (const grant of [at('a'), at('a/'), at('a/*'), at('a*'), '*']) {
        assert.equal(run(folder, [read(grant)], construct('folder + "/a"')), null, grant);
      }
    }));

  it('a folder that is allowed without what is below it is refused', () =>
    inFolders((folder, at) => {
      // A path that is no folder when the process starts is allowed without its contents, by Node
      // as well.
      const made = `const fs = require('node:fs');
        fs.mkdirSync(folder + '/later');`;
      const [reads, writes] = [read(at('later')), write(at('later'))];
      const asked = `${made}
        const has = (scope, path) => process.permission.has(scope, folder + path);
        tell([has('fs.read', '/later'), has('fs.read', '/later/f'), has('fs.write', '/later'), has('fs.write', '/later/f')]);`;
      assert.deepEqual(run(folder, [reads, writes], asked), [true, false, true, false]);
      for (const preopen of ['folder + "/later"', '{ path: folder + "/later", create: true }']) {
        fs.rmdirSync(at('later'));
        const error = run(folder, [reads, writes], `${made} ${construct(preopen)}`);
        assert.equal(error?.permission, 'FileSystemRead', preopen);
      }
      // The same for writing: all may be read, and the folder alone may be written.
      fs.rmdirSync(at('later'));
      const code = `${made} ${driver.replace("folder + '/a'", "folder + '/later'")}
        tell(w.path_create_directory(3, ...text('new')));`;
      assert.equal(run(folder, [read(folder), writes], code), ROFS);
      assert.deepEqual(readTree(at('later')), {});
    }));

  it('it counts where a link leads, too', () =>
    inFolders((folder, at) => {
      const error = run(folder, [read(at('to-a*'))], construct('folder + "/to-a"'));
      assert.deepEqual([error?.permission, error?.resource], ['FileSystemRead', at('a')]);
      assert.equal(
        run(folder, [read(at('to-a*')), read(at('a'))], construct('folder + "/to-a"')),
        null,
      );
      // To write, both must be allowed as well.
      const code = `const wasi = new WASI({ version: 'preview1', preopens: { '/a': folder + '/to-a' } });
        const memory = new WebAssembly.Memory({ initial: 1 });
        wasi.finalizeBindings({ exports: { memory } });
        Buffer.from(memory.buffer).write('new', 1024);
        tell(wasi.wasiImport.path_create_directory(3, 1024, 3));`;
      const reads = [read(at('to-a*')), read(at('a'))];
      assert.equal(run(folder, [...reads, write(at('to-a*'))], code), ROFS);
      assert.equal(run(folder, [...reads, write(at('a'))], code), ROFS);
      assert.equal(run(folder, [...reads, write(at('a')), write(at('to-a*'))], code), 0);
    }));

  it('of a file, that file counts, and the one that a link leads to', () =>
    inFolders((folder, at) => {
      const [file, toFile] = ['{ file: folder + "/a/f.txt" }', '{ file: folder + "/a/to-f" }'];
      const refused = (flags, preopen) => run(folder, flags, construct(preopen))?.resource;
      assert.equal(refused([read(at('a/f.txt'))], file), undefined);
      assert.equal(refused([read(at('a/'))], file), undefined);
      assert.equal(refused([read(at('a/d'))], file), at('a/f.txt'));
      assert.equal(refused([read(at('a/to-f'))], toFile), at('a/f.txt'));
      assert.equal(refused([read(at('a/to-f')), read(at('a/f.txt'))], toFile), undefined);
      const code = `const wasi = new WASI({ version: 'preview1', preopens: { '/f': ${toFile} } });
        const memory = new WebAssembly.Memory({ initial: 1 });
        wasi.finalizeBindings({ exports: { memory } });
        Buffer.from(memory.buffer).write('.', 1024);
        tell(wasi.wasiImport.path_open(3, 0, 1024, 1, 0, ${FD_WRITE}n, 0n, 0, 0));`;
      const reads = [read(at('a/'))];
      assert.equal(run(folder, [...reads, write(at('a/to-f'))], code), ROFS);
      assert.equal(run(folder, [...reads, write(at('a/f.txt'))], code), ROFS);
      assert.equal(run(folder, [...reads, write(at('a/'))], code), 0);
    }));

  it('a preopen that may not be made is refused as Node refuses it', () =>
    inFolders((folder, at) => {
      const making = (name) => construct(`{ path: folder + '/a/${name}', create: true }`);
      const error = run(folder, [read(at('a/'))], making('new/deep'));
      const own = run(
        folder,
        [read(at('a/'))],
        nodesOwn('require("node:fs").mkdirSync(folder + "/a/new/deep", { recursive: true })'),
      );
      assert.deepEqual(error, own);
      assert.equal(error.permission, 'FileSystemWrite');
      assert.deepEqual(readTree(at('a')), files());
      assert.equal(run(folder, [read(at('a/'))], making('d')), null, 'it is there');
      assert.equal(run(folder, [read(at('a/')), write(at('a/'))], making('new/deep')), null);
      assert.deepEqual(readTree(at('a')), { ...files(), new: { deep: {} } });
    }));

  it('what all objects were made to inherit changes nothing', () =>
    inFolders((folder, at) => {
      for (const inherited of ['{ kind: "memory" }', '{ kind: "file" }', '{ create: true }']) {
        const polluted = (preopen) =>
          `Object.assign(Object.prototype, ${inherited}); ${construct(preopen)}`;
        const denied = (preopen) => run(folder, [read(at('b'))], polluted(preopen))?.code;
        assert.equal(denied('folder + "/a"'), 'ERR_ACCESS_DENIED', inherited);
        assert.equal(denied('{ path: folder + "/a" }'), 'ERR_ACCESS_DENIED', inherited);
        const missing = run(
          folder,
          [read(at('a/')), write(at('a/'))],
          polluted('folder + "/a/none"'),
        );
        assert.equal(missing?.code, 'UVWASI_ENOENT', inherited);
      }
      for (const changed of [
        'process.permission.has = () => true;',
        'require("node:fs").realpathSync.native = () => folder + "/b";',
        `Object.defineProperty(Array.prototype, 0, {
          set(value) {
            const first = { ...value, path: folder + '/b' };
            let reads = 0;
            const own = { value, writable: true, enumerable: true, configurable: true };
            const other = { get: () => (reads++ ? value : first), configurable: true };
            Object.defineProperty(this, 0, value?.guest === '/' ? other : own);
          },
        });`,
      ]) {
        const grants = [read(at('b')), read(at('to-a*'))];
        const error = run(folder, grants, `${changed} ${construct('folder + "/to-a"')}`);
        assert.equal(error?.code, 'ERR_ACCESS_DENIED', changed);
      }
      assert.deepEqual(readTree(at('a')), files());
    }));

  it('the permission for WASI is asked for as node:wasi does', () =>
    inFolders((folder) => {
      const made = (WASI) => `const seen = {};
        for (const [name, options] of Object.entries({
          plain: {}, 'wrong args': { args: 1 }, 'wrong stdin': { stdin: -1 }, 'no folder': { preopens: { '/': folder + '/none' } },
          'wrong returnOnExit': { returnOnExit: 1 },
        })) {
          try {
            new ${WASI}({ version: 'preview1', ...options });
            seen[name] = 'made';
          } catch (error) {
            seen[name] = [error.name, error.message, { ...error }];
          }
        }
        tell(seen);`;
      for (const wasi of [false, true]) {
        const ours = run(folder, [read(folder)], made('WASI'), { wasi });
        const own = run(folder, [read(folder)], made("(require('node:wasi').WASI)"), { wasi });
        // Ours says which.
        for (const seen of [ours, own]) {
          if (wasi) seen['no folder'] = seen['no folder'][2].code;
        }
        assert.deepEqual(ours, own);
        assert.equal(ours.plain === 'made', wasi);
      }
      const attached = `const { Worker, isMainThread, parentPort } = require('node:worker_threads');`;
      assert.equal(run(folder, [], `${attached} tell(process.permission.has('wasi'));`), true);
    }));

  it('what is checked is what is opened, with links and dots as the system follows them', () =>
    inFolders((folder, at) => {
      makeTree(folder, { secret: { 'f.txt': 'secret', d: { 'f.txt': 'deep' } } });
      fs.symlinkSync(at('secret/d'), at('a/out'));
      const grants = [read(at('a/')), write(at('a/'))];
      for (const preopen of [
        "folder + '/a/out'",
        "folder + '/a/out/..'",
        "folder + '/a/out/../'",
        "folder + '/a/./out/.././'",
        "{ path: folder + '/a/out/..', lazy: true }",
        "{ path: folder + '/a/out/new', create: true }",
        "{ path: folder + '/a/out/../new', create: true }",
        "{ path: folder + '/a/out/../new', lazy: true }",
        "{ file: folder + '/a/out/../f.txt' }",
        "{ file: folder + '/a/out/../f.txt', lazy: true }",
        "new URL('file://' + folder + '/a/out')",
      ]) {
        assert.equal(run(folder, grants, construct(preopen))?.code, 'ERR_ACCESS_DENIED', preopen);
      }
      assert.deepEqual(readTree(at('secret')), { 'f.txt': 'secret', d: { 'f.txt': 'deep' } });
      // Within what is allowed, they lead where they lead without the model.
      fs.symlinkSync(at('b/d'), at('a/over'));
      const code = `${driver.replace("folder + '/b'", "folder + '/a/over/..'")}
        tell([content(open(4, 'f.txt', 0, ${FD_READ})), content(open(4, 'd/g.txt', 0, ${FD_READ}))]);`;
      assert.deepEqual(run(folder, [read(folder)], code), ['hello', 'inner']);
    }));

  it('what changes after the check changes nothing', () =>
    inFolders((folder, at) => {
      makeTree(folder, { secret: { 'f.txt': 'secret' } });
      const lookup = (options) => `process.chdir(folder + '/a');
        const fs = require('node:fs');
        const memory = new WebAssembly.Memory({ initial: 1 });
        let errno;
        try {
          const wasi = new WASI({ version: 'preview1', ${options} });
          wasi.finalizeBindings({ exports: { memory } });
          if (globalThis.before) before();
          Buffer.from(memory.buffer).write('new', 1024);
          errno = wasi.wasiImport.path_create_directory(3, 1024, 3);
        } catch (error) {
          errno = error.code;
        }
        tell(errno);`;
      const flags = [read(folder), write(at('a/'))];
      const chdir = 'get limits() { process.chdir(folder + "/b"); return {}; }';
      // Whichever of the two it is, it is checked: below b nothing may be made.
      assert.equal(run(folder, flags, lookup(`preopens: { '/': 'd' }, ${chdir}`)), ROFS);
      assert.deepEqual(readTree(at('b')), files());
      // A folder that is opened later, where something else stands by then.
      const swap = `globalThis.before = () => {
        fs.rmSync('d', { recursive: true });
        fs.renameSync('to-b', 'd');
      };`;
      fs.symlinkSync(at('b/d'), at('a/to-b'));
      const late = run(
        folder,
        flags,
        swap + lookup(`preopens: { '/': { path: 'd', lazy: true } }`),
      );
      assert.equal(late, LOOP);
      assert.deepEqual(readTree(at('b')), files());
    }));

  it('a folder that is lent by its number is refused, unless all may be read and written', () =>
    inFolders((folder, at) => {
      for (const stream of ['stdin', 'stdout', 'stderr']) {
        const code = `const fd = require('node:fs').openSync(folder + '/a', 'r');
          const file = require('node:fs').openSync(folder + '/a/f.txt', 'r');
          const tried = (fd) => {
            try {
              new WASI({ version: 'preview1', ${stream}: fd });
              return null;
            } catch (error) {
              return [error.code, error.permission];
            }
          };
          tell([tried(fd), tried(file)]);`;
        const refused = [['ERR_ACCESS_DENIED', 'FileSystemRead'], null];
        assert.deepEqual(run(folder, [read(at('a/'))], code), refused);
        assert.deepEqual(run(folder, [read('*')], code), refused);
        assert.deepEqual(run(folder, [read('*'), write('*')], code), [null, null]);
      }
    }));

  it('what may be written is', () =>
    inFolders((folder, at) => {
      const flags = [read(folder), write(at('a')), write(at('b'))];
      const code = `${driver}
        const file = open(3, 'new.txt', ${CREAT}, ${FD_READ | FD_WRITE | FD_SEEK});
        tell([write(file, 'text'), w.path_unlink_file(3, ...text('f.txt')), w.path_rename(3, ...text('d'), 4, ...text('moved'))]);`;
      assert.deepEqual(run(folder, flags, code), [0, 0, 0]);
      assert.deepEqual(readTree(at('a')), { 'new.txt': 'text', 'to-f': link('f.txt') });
      assert.deepEqual(readTree(at('b')), { ...files(), moved: { 'g.txt': 'inner' } });
    }));

  it('what may not be written is read-only, and so is all below it', () =>
    inFolders((folder, at) => {
      const code = `${driver}
        const all = (1n << 28n) - 1n;
        const changing = BigInt(${FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE});
        const file = open(3, 'f.txt', 0, ${FD_READ | FD_SEEK | FD_TELL});
        // Guests ask for all rights of a directory that they open, whatever they use (28 and 29 are
        // for sockets).
        const d = open(3, '.', ${DIRECTORY}, all & ~changing & ~1n, all);
        const [base, inheriting] = rights(d);
        tell({
          content: content(file),
          fileWrites: [write(file, 'x'), w.fd_filestat_set_size(file, 0n), w.fd_allocate(file, 0n, 100n), w.fd_filestat_set_times(file, 0n, 0n, 5)],
          read: content(open(d, 'to-f', 0, ${FD_READ}, 0, 1)),
          // Those that are passed on say that writing may be asked for.
          writable: [String(base & (changing | 1n << 26n)), (inheriting & changing) === changing, w.fd_fdstat_set_rights(d, base | 1n << 26n, inheriting)],
          preopen: ${attempts(3)},
          opened: ${attempts('d')},
          out: [w.path_link(3, 0, ...text('f.txt'), 4, ...text('new')), w.path_rename(3, ...text('f.txt'), 4, ...text('new')), w.path_rename(d, ...text('f.txt'), 4, ...text('new'))],
          into: [w.path_link(4, 0, ...text('f.txt'), 3, ...text('new')), w.path_rename(4, ...text('f.txt'), d, ...text('new'))],
          other: w.path_create_directory(4, ...text('new')),
          closed: write(99, 'x'),
        });`;
      const told = run(folder, [read(folder), write(at('b'))], code);
      assert.equal(told.content, 'hello');
      // To write to what was opened for reading is the same mistake everywhere.
      assert.deepEqual(told.fileWrites, [NOTCAPABLE, ROFS, ROFS, ROFS]);
      assert.equal(told.read, 'hello');
      assert.deepEqual(told.writable, ['0', true, NOTCAPABLE]);
      for (const through of ['preopen', 'opened']) {
        const errnos = Object.entries(told[through]);
        assert.equal(errnos.length, 15);
        assert.deepEqual(
          errnos.filter(([, errno]) => errno !== ROFS),
          [],
          through,
        );
      }
      assert.deepEqual(told.out, Array(3).fill(ROFS));
      assert.deepEqual(told.into, Array(2).fill(ROFS));
      assert.deepEqual([told.other, told.closed], [0, BADF]);
      assert.deepEqual(readTree(at('a')), files());
      assert.deepEqual(readTree(at('b')), { ...files(), new: {} });
    }));

  it('a guest reads there, and is refused to write', () =>
    inFolders((folder, at) => {
      const code = `
        const guest = require('node:fs').readFileSync(${JSON.stringify(GUEST)});
        const options = { args: ['guest'], preopens: { '/sandbox': folder + '/a' }, stdout: 3, stderr: 3 };
        const wasi = new WASI({ version: 'preview1', ...options });
        const compiled = new WebAssembly.Module(guest);
        tell(wasi.start(new WebAssembly.Instance(compiled, wasi.getImportObject())));`;
      const said = fs.openSync(at('said'), 'w');
      try {
        const stdio = ['ignore', 'pipe', 'pipe', said];
        const flags = [read(folder), write(at('a'))];
        assert.equal(run(folder, flags, code, { stdio }), 0);
        assert.deepEqual(readTree(at('a')), { ...files(), 'f.txt': 'Jello' });
        assert.equal(run(folder, flags.slice(0, 1), code, { stdio }), 2);
      } finally {
        fs.closeSync(said);
      }
      assert.match(fs.readFileSync(at('said'), 'utf8'), /^ok\n[^\n]*1 << 6[^\n]*errno 69/);
      assert.deepEqual(readTree(at('a')), { ...files(), 'f.txt': 'Jello' });
    }));

  it('holds in a Worker', { skip: !allowed('--allow-worker') && 'no such flag' }, () =>
    inFolders((folder, at) => {
      const code = `
        const { Worker, isMainThread, parentPort } = require('node:worker_threads');
        if (isMainThread) {
          new Worker(__filename).once('message', tell);
        } else {
          let code = null;
          try {
            new WASI({ preopens: { '/': folder + '/a' } });
          } catch (error) {
            code = error.code;
          }
          parentPort.postMessage(code);
        }`;
      // A Worker may always read its working folder, as Node has it.
      const options = { cwd: PACKAGE };
      assert.equal(run(folder, ['--allow-worker'], code, options), 'ERR_ACCESS_DENIED');
      assert.equal(run(folder, ['--allow-worker', read(at('a'))], code, options), null);
    }),
  );
});
