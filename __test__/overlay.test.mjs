// Overlays: a directory of the host that a guest changes without changing it, what came out, and
// how that is written.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const [OK, ACCES, EXIST, ISDIR, LOOP, NOENT, NOSPC, NOTEMPTY, PERM, ROFS, XDEV, NOTCAPABLE] = [
  0, 2, 20, 31, 32, 44, 51, 55, 63, 69, 75, 76,
];
const [CREAT, DIRECTORY, EXCL, TRUNC] = [1, 2, 4, 8];
const APPEND = 1;
const ALL = 0xfffffffn;
const onWindows = process.platform === 'win32';

/** A WASI whose functions are called from here. An errno that is none of these throws. */
function started(options) {
  const wasi = new WASI({ version: 'preview1', ...options });
  const memory = new WebAssembly.Memory({ initial: 4 });
  wasi.start({ exports: { memory, _start() {} } });
  const view = new DataView(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  const put = (text, at) => {
    const encoded = Buffer.from(text);
    bytes.set(encoded, at);
    return [at, encoded.length];
  };
  const call = wasi.wasiImport;
  const iovec = (at, length) => {
    view.setUint32(8, at, true);
    view.setUint32(12, length, true);
    return [8, 1];
  };
  const path = (text) => put(text, 1024);
  const other = (text) => put(text, 8192);
  const guest = {
    wasi,
    call,
    open(name, { dir = 3, oflags = 0, rights = ALL, flags = 0, follow = 1 } = {}) {
      const errno = call.path_open(dir, follow, ...path(name), oflags, rights, ALL, flags, 0);
      return errno === OK ? view.getUint32(0, true) : -errno;
    },
    write(fd, text) {
      const errno = call.fd_write(fd, ...iovec(...put(text, 65536)), 0);
      return errno === OK ? view.getUint32(0, true) : -errno;
    },
    read(fd, length = 1000) {
      const errno = call.fd_read(fd, ...iovec(65536, length), 0);
      return errno === OK
        ? Buffer.from(memory.buffer, 65536, view.getUint32(0, true)).toString()
        : -errno;
    },
    /** Writes a file, as an editor would, and says how that went. */
    save(name, text, options = {}) {
      const fd = guest.open(name, { oflags: CREAT | TRUNC, ...options });
      if (fd < 0) return fd;
      const written = guest.write(fd, text);
      call.fd_close(fd);
      return written < 0 ? written : OK;
    },
    load(name) {
      const fd = guest.open(name, { rights: 2n });
      if (fd < 0) return fd;
      const text = guest.read(fd);
      call.fd_close(fd);
      return text;
    },
    stat(name, dir = 3) {
      const errno = call.path_filestat_get(dir, 0, ...path(name), 2048);
      if (errno !== OK) return -errno;
      const number = (at) => view.getBigUint64(2048 + at, true);
      return {
        dev: number(0),
        ino: number(8),
        filetype: view.getUint8(2064),
        nlink: number(24),
        size: number(32),
        mtim: number(48),
      };
    },
    mkdir: (name) => call.path_create_directory(3, ...path(name)),
    rmdir: (name) => call.path_remove_directory(3, ...path(name)),
    unlink: (name) => call.path_unlink_file(3, ...path(name)),
    symlink: (text, name) => call.path_symlink(...other(text), 3, ...path(name)),
    rename: (old, name, to = 3) => call.path_rename(3, ...path(old), to, ...other(name)),
    link: (old, name) => call.path_link(3, 0, ...path(old), 3, ...other(name)),
    /** The names in a directory, as they come. */
    list(name = '.', room = 4096) {
      const fd = guest.open(name, { oflags: DIRECTORY, rights: 1n << 14n });
      if (fd < 0) return fd;
      const names = [];
      for (let cookie = 0n; ;) {
        const errno = call.fd_readdir(fd, 65536, room, cookie, 0);
        if (errno !== OK) return -errno;
        const used = view.getUint32(0, true);
        let at = 65536;
        for (; at + 24 <= 65536 + used;) {
          const length = view.getUint32(at + 16, true);
          if (at + 24 + length > 65536 + used) break;
          names.push(Buffer.from(memory.buffer, at + 24, length).toString());
          cookie = view.getBigUint64(at, true);
          at += 24 + length;
        }
        if (used < room) break;
      }
      call.fd_close(fd);
      return names;
    },
  };
  return guest;
}

function folder(t) {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'wasi-rs-overlay-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A folder like a small repository. */
function repository(t) {
  const dir = join(folder(t), 'repository');
  mkdirSync(join(dir, 'src/deep'), { recursive: true });
  writeFileSync(join(dir, 'README'), 'read me\n');
  writeFileSync(join(dir, 'src/a.txt'), 'one\n');
  writeFileSync(join(dir, 'src/b.txt'), 'two\n');
  writeFileSync(join(dir, 'src/deep/c.txt'), 'three\n');
  if (!onWindows) {
    symlinkSync('src/a.txt', join(dir, 'link'));
    chmodSync(join(dir, 'src/b.txt'), 0o755);
  }
  return dir;
}

/** All that is below, with attributes, or with types and bytes alone. */
function look(dir, attributes = true) {
  const found = {};
  const visit = (place, name) => {
    const stat = lstatSync(place, { bigint: true });
    const { mode, ino, nlink, size, mtimeNs, ctimeNs, atimeNs } = stat;
    // Linux notes when a symbolic link is read, whoever reads it.
    const times = [mtimeNs, ctimeNs, stat.isSymbolicLink() ? 0n : atimeNs];
    const all = attributes ? [mode, ino, nlink, size, ...times].join(' ') : '';
    if (stat.isSymbolicLink()) found[name] = `link ${readlinkSync(place)} ${all}`;
    else if (stat.isFile()) found[name] = `file ${readFileSync(place, 'latin1')} ${all}`;
    else found[name] = `directory ${all}`;
    if (!stat.isDirectory()) return;
    for (const below of readdirSync(place)) visit(join(place, below), `${name}/${below}`);
  };
  visit(dir, '');
  return found;
}

const overlaid = (dir, more = {}) => ({ preopens: { '/': { path: dir, overlay: true, ...more } } });
const brief = (changes) => changes.map(({ type, path, kind }) => `${type} ${path} ${kind}`);

/** Changes of all kinds. */
function edit(guest) {
  assert.equal(guest.save('new.txt', 'new\n'), OK);
  const fd = guest.open('src/a.txt', { flags: APPEND });
  assert.equal(guest.write(fd, 'more\n'), 5);
  assert.equal(guest.call.fd_close(fd), OK);
  assert.equal(guest.unlink('README'), OK);
  assert.equal(guest.rename('src/deep', 'moved'), OK);
  assert.equal(guest.mkdir('src/deep'), OK);
  assert.equal(guest.save('src/deep/d.txt', 'four\n'), OK);
}

const EDITED = [
  'removed /README file',
  'added /moved directory',
  'added /moved/c.txt file',
  'added /new.txt file',
  'modified /src/a.txt file',
  'removed /src/deep/c.txt file',
  'added /src/deep/d.txt file',
];

test('a guest changes an overlay, and the directory below stays as it is', (t) => {
  const dir = repository(t);
  // The first look notes times of access.
  look(dir);
  const before = look(dir);
  const guest = started(overlaid(dir));
  assert.deepEqual(guest.wasi.changes(), []);
  edit(guest);
  assert.equal(guest.load('src/a.txt'), 'one\nmore\n');
  assert.equal(guest.load('moved/c.txt'), 'three\n');
  assert.equal(guest.load('README'), -NOENT);
  assert.equal(guest.load('src/b.txt'), 'two\n');
  assert.deepEqual(guest.list('src/deep').sort(), ['.', '..', 'd.txt']);
  assert.deepEqual(guest.list('.').sort(), [
    '.',
    '..',
    ...(onWindows ? [] : ['link']),
    'moved',
    'new.txt',
    'src',
  ]);
  assert.deepEqual(brief(guest.wasi.changes()), EDITED);
  const text = (path) => {
    const bytes = guest.wasi.readFile(path);
    return bytes && Buffer.from(bytes).toString();
  };
  assert.equal(text('/src/a.txt'), 'one\nmore\n');
  assert.equal(text('/src/b.txt'), 'two\n');
  assert.equal(text('/README'), undefined);
  assert.equal(text('/moved/c.txt'), 'three\n');
  if (!onWindows) assert.equal(text('/link'), 'one\nmore\n');
  assert.deepEqual(look(dir), before);
  guest.wasi.close();
  assert.deepEqual(brief(guest.wasi.changes()), EDITED, 'after the end, too');
});

test('after close() there are still the output, the files, the changes and the way to write them', (t) => {
  const dir = repository(t);
  const { preopens } = overlaid(dir);
  const guest = started({
    preopens: { ...preopens, '/m': { memory: { a: '1' } } },
    stdout: 'pipe',
  });
  assert.equal(guest.save('README', 'changed'), OK);
  guest.write(1, 'said');
  guest.wasi.close();
  assert.equal(String(Buffer.from(guest.wasi.stdout)), 'said');
  assert.deepEqual(guest.wasi.listFiles(), ['/m/a']);
  assert.equal(String(Buffer.from(guest.wasi.readFile('/README'))), 'changed');
  assert.equal(String(Buffer.from(guest.wasi.readFile('/src/a.txt'))), 'one\n');
  const changes = guest.wasi.changes();
  assert.deepEqual(brief(changes), ['modified /README file']);
  assert.deepEqual(guest.wasi.commit(), changes);
  assert.equal(readFileSync(join(dir, 'README'), 'utf8'), 'changed');
  assert.deepEqual(guest.wasi.changes(), []);
});

test('changes are written below, and are changes no more', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  edit(guest);
  assert.equal(guest.save('src/b.txt', 'exec\n'), OK);
  assert.equal(guest.rename('src/b.txt', 'src/run.txt'), OK);
  assert.equal(guest.symlink('new.txt', 'to-new'), OK);
  const time = guest.stat('new.txt').mtim;
  const changes = guest.wasi.changes();
  assert.deepEqual(guest.wasi.commit(), changes);
  assert.deepEqual(guest.wasi.changes(), []);
  assert.deepEqual(guest.wasi.commit(), []);
  const now = look(dir, false);
  assert.deepEqual(Object.keys(now).sort(), [
    '',
    ...(onWindows ? [] : ['/link']),
    '/moved',
    '/moved/c.txt',
    '/new.txt',
    '/src',
    '/src/a.txt',
    '/src/deep',
    '/src/deep/d.txt',
    '/src/run.txt',
    '/to-new',
  ]);
  assert.equal(readFileSync(join(dir, 'src/a.txt'), 'utf8'), 'one\nmore\n');
  assert.equal(readFileSync(join(dir, 'to-new'), 'utf8'), 'new\n');
  assert.equal(readFileSync(join(dir, 'src/run.txt'), 'utf8'), 'exec\n');
  if (!onWindows) {
    assert.equal(lstatSync(join(dir, 'src/run.txt')).mode & 0o777, 0o755, 'permissions stay');
    const written = lstatSync(join(dir, 'new.txt'), { bigint: true });
    assert.equal(written.mtimeNs, time, 'times stay');
  }
  // The guest goes on, and so do its numbers.
  assert.equal(guest.save('new.txt', 'newer\n'), OK);
  assert.equal(guest.load('moved/c.txt'), 'three\n');
  assert.deepEqual(brief(guest.wasi.changes()), ['modified /new.txt file']);
  assert.deepEqual(brief(guest.wasi.commit('/new.txt')), ['modified /new.txt file']);
  assert.equal(readFileSync(join(dir, 'new.txt'), 'utf8'), 'newer\n');
});

test('what is committed can be one path', (t) => {
  const dir = repository(t);
  const guest = started({
    preopens: { '/work': { path: dir, overlay: true }, '/m': { memory: {} } },
  });
  edit(guest);
  const { wasi } = guest;
  // The directory that was there is still read as `moved`.
  assert.throws(() => wasi.commit('/work/src/deep/d.txt'), {
    code: 'ERR_WASI_COMMIT',
    path: '/work/src/deep',
    reason: 'busy',
    done: [],
  });
  assert.deepEqual(brief(wasi.commit('/work/moved/')), [
    'added /work/moved directory',
    'added /work/moved/c.txt file',
  ]);
  assert.deepEqual(brief(wasi.commit('/work/src/deep/d.txt')), ['added /work/src/deep/d.txt file']);
  assert.deepEqual(brief(wasi.commit('/work/none')), []);
  assert.equal(existsSync(join(dir, 'README')), true);
  assert.equal(existsSync(join(dir, 'new.txt')), false);
  assert.equal(readFileSync(join(dir, 'moved/c.txt'), 'utf8'), 'three\n');
  assert.equal(existsSync(join(dir, 'src/deep/c.txt')), true, 'that is another path');
  assert.deepEqual(
    brief(wasi.changes()),
    EDITED.filter((line) => !/\/moved|d\.txt/.test(line)).map((line) =>
      line.replace(' /', ' /work/'),
    ),
  );
  for (const path of ['/m', '/elsewhere', '/m/x', 7, null]) {
    assert.throws(() => wasi.commit(path), {
      code: typeof path === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE',
    });
  }
  assert.throws(() => wasi.commit('/work/../work'), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.equal(wasi.commit().length, 4);
  assert.deepEqual(wasi.changes(), []);
});

test('what was open before a file was copied up reads the copy', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  const reader = guest.open('src/a.txt', { rights: 2n | 4n });
  const { ino, dev } = guest.stat('src/a.txt');
  assert.equal(guest.read(reader, 2), 'on');
  assert.equal(guest.save('src/a.txt', 'ONE AND MORE'), OK);
  assert.equal(guest.read(reader), 'E AND MORE');
  const after = guest.stat('src/a.txt');
  assert.deepEqual([after.ino, after.dev, after.size], [ino, dev, 12n]);
  assert.equal(guest.stat('.').dev, dev);
  assert.equal(guest.rename('src/a.txt', 'z'), OK);
  assert.equal(guest.stat('z').ino, ino);
  assert.equal(guest.save('y', ''), OK);
  assert.deepEqual([guest.stat('y').dev, guest.stat('y').ino >= 2n ** 63n], [dev, true]);
});

test('hard links stay links', { skip: onWindows }, (t) => {
  const dir = repository(t);
  linkSync(join(dir, 'src/a.txt'), join(dir, 'second'));
  const guest = started(overlaid(dir));
  assert.equal(guest.save('second', 'both'), OK);
  assert.equal(guest.load('src/a.txt'), 'both');
  assert.equal(guest.link('src/b.txt', 'third'), OK);
  assert.equal(guest.stat('src/b.txt').nlink, 2n);
  const fd = guest.open('third', { flags: APPEND });
  assert.equal(guest.write(fd, 'x'), 1);
  assert.equal(guest.load('src/b.txt'), 'two\nx');
  guest.wasi.commit();
  assert.equal(readFileSync(join(dir, 'src/a.txt'), 'utf8'), 'both');
  const [one, other] = ['src/a.txt', 'second'].map((name) => lstatSync(join(dir, name)).ino);
  assert.equal(one, other);
  const [third, fourth] = ['src/b.txt', 'third'].map((name) => lstatSync(join(dir, name)).ino);
  assert.equal(third, fourth);
});

test('names of one file stay that when it is written and gets others', { skip: onWindows }, (t) => {
  // What the guest does, which names are one file's at the end, and what the file holds.
  const cases = [
    [
      (guest) => guest.save('a/two', 'new') || guest.link('one', 'other'),
      ['a/two', 'one', 'other'],
    ],
    [(guest) => guest.link('one', 'other') || guest.save('one', 'new'), ['a/two', 'one', 'other']],
    [(guest) => guest.save('one', 'new') || guest.rename('a/two', 'other'), ['one', 'other']],
    [(guest) => guest.save('a/two', 'new') || guest.rename('a', 'b'), ['b/two', 'one']],
    [(guest) => guest.save('a/two', 'new') || guest.unlink('a/two'), ['one']],
    [
      (guest) =>
        guest.save('a/two', 'new') || guest.save('x', 'x') || guest.rename('x', 'a/two', 3),
      ['one'],
    ],
    // The name by which the file was found is another's after the commit.
    [
      (guest) => {
        assert.equal(guest.unlink('a/two'), OK);
        assert.equal(guest.mkdir('a/two'), OK);
        guest.wasi.commit();
        return guest.save('one', 'new');
      },
      ['one'],
    ],
  ];
  for (const [act, names] of cases) {
    const dir = join(folder(t), 'dir');
    mkdirSync(join(dir, 'a'), { recursive: true });
    writeFileSync(join(dir, 'one'), 'old');
    linkSync(join(dir, 'one'), join(dir, 'a/two'));
    const guest = started(overlaid(dir));
    assert.equal(act(guest), OK);
    const kept = guest.wasi.changes();
    assert.deepEqual(guest.wasi.commit(), kept);
    assert.deepEqual(guest.wasi.changes(), []);
    const { ino, nlink } = lstatSync(join(dir, 'one'));
    assert.equal(nlink, names.length, names.join());
    for (const name of names) {
      assert.equal(readFileSync(join(dir, name), 'utf8'), 'new');
      assert.equal(lstatSync(join(dir, name)).ino, ino);
      assert.equal(guest.load(name), 'new');
    }
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('.')),
      [],
    );
    guest.wasi.close();
  }
});

test('a listing gives each name once, however it is cut', (t) => {
  const dir = folder(t);
  const expected = ['.', '..'];
  for (let i = 0; i < 200; i++) {
    const name = `below-${i}`;
    writeFileSync(join(dir, name), '');
    if (i % 3 !== 0) expected.push(name);
  }
  const guest = started(overlaid(dir));
  for (let i = 0; i < 200; i += 3) assert.equal(guest.unlink(`below-${i}`), OK);
  for (let i = 0; i < 200; i += 6) {
    assert.equal(guest.save(`below-${i}`, 'again'), OK);
    expected.push(`below-${i}`);
  }
  for (let i = 1; i < 200; i += 30) assert.equal(guest.save(`below-${i}`, 'copied up'), OK);
  for (let i = 0; i < 50; i++) {
    assert.equal(guest.save(`above-${i}`, ''), OK);
    expected.push(`above-${i}`);
  }
  for (const room of [40, 100, 1000, 65536]) {
    assert.deepEqual(guest.list('.', room).sort(), expected.sort(), String(room));
  }
  const sorted = started({ ...overlaid(dir), sortedReaddir: true });
  assert.equal(sorted.save('aaa', ''), OK);
  assert.deepEqual(sorted.list('.').slice(0, 3), ['.', '..', 'aaa']);
});

test('maxBytes counts what lies above', (t) => {
  const dir = repository(t);
  writeFileSync(join(dir, 'large'), 'x'.repeat(100_000));
  const guest = started({ preopens: { '/': { path: dir, overlay: { maxBytes: 20_000 } } } });
  assert.equal(guest.open('large'), -NOSPC, 'it would be copied');
  assert.equal(guest.load('large').length, 1000, 'to read takes nothing');
  assert.equal(guest.save('large', 'cut first'), OK, 'what is cut first is not copied');
  assert.equal(guest.save('full', 'x'.repeat(60_000)), OK);
  assert.ok(guest.stat('full').size < 20_000n);
  assert.equal(guest.save('more', 'x'), -NOSPC);
  assert.equal(guest.mkdir('directory'), NOSPC);
  assert.equal(guest.unlink('full'), OK);
  assert.equal(guest.mkdir('directory'), OK);
  assert.equal(readFileSync(join(dir, 'large'), 'utf8').length, 100_000);
  const none = started({ preopens: { '/': { path: dir, overlay: { maxBytes: 0 } } } });
  assert.equal(none.save('x', ''), -NOSPC);
  assert.equal(none.unlink('README'), NOSPC);
  assert.equal(none.load('README'), 'read me\n');
  assert.deepEqual(none.list('src').sort(), ['.', '..', 'a.txt', 'b.txt', 'deep']);
  assert.deepEqual(none.wasi.changes(), []);
});

test('a file that there is no room to copy up takes none', (t) => {
  const dir = folder(t);
  for (let i = 0; i < 40; i++) writeFileSync(join(dir, `f${i}`), 'x'.repeat(20_000));
  const guest = started(overlaid(dir, { overlay: { maxBytes: 10_000 } }));
  for (let i = 0; i < 40; i++) assert.equal(guest.open(`f${i}`), -NOSPC);
  assert.equal(guest.save('small', 'y'.repeat(9000)), OK);
  assert.equal(guest.stat('small').size, 9000n);
  assert.deepEqual(brief(guest.wasi.changes()), ['added /small file']);
});

test('other options of preopens hold for overlays', { skip: onWindows }, (t) => {
  const dir = repository(t);
  symlinkSync('/etc/passwd', join(dir, 'out'));
  symlinkSync('../outside', join(dir, 'up'));
  writeFileSync(join(dir, '../outside'), 'SECRET');
  const plain = started(overlaid(dir));
  assert.equal(plain.load('up'), -NOENT, 'the root ends at itself');
  const named = started({ preopens: { '/w': { path: dir, overlay: true } } });
  for (const name of ['out', 'up', '../outside', 'src/../../outside']) {
    assert.equal(named.load(name), -NOTCAPABLE, name);
  }
  assert.equal(named.rename('link', 'src/link'), OK);
  assert.equal(named.load('src/link'), -NOENT, 'it says something else there');
  const denied = started(overlaid(dir, { symlinks: 'deny' }));
  assert.equal(denied.load('link'), -LOOP);
  assert.equal(denied.symlink('x', 'y'), PERM);
  assert.equal(denied.wasi.readFile('/link'), undefined);
  const fixed = started(overlaid(dir, { readOnly: true }));
  assert.equal(fixed.save('x', ''), -ROFS);
  assert.equal(fixed.load('README'), 'read me\n');
  const two = started({
    preopens: { '/1': { path: dir, overlay: true }, '/2': { path: dir, overlay: true } },
  });
  assert.equal(two.rename('README', 'x', 4), XDEV);
  const later = join(dir, 'later');
  const lazy = started(overlaid(later, { lazy: true }));
  assert.deepEqual(lazy.wasi.changes(), []);
  assert.equal(lazy.save('x', ''), -NOENT);
  mkdirSync(later);
  assert.equal(lazy.save('x', 'y'), OK);
  assert.deepEqual(brief(lazy.wasi.changes()), ['added /x file']);
  const made = started(overlaid(join(dir, 'made/here'), { create: true }));
  assert.equal(made.save('x', 'y'), OK);
  const url = started(overlaid(pathToFileURL(dir)));
  assert.equal(url.load('README'), 'read me\n');
  const limited = started({ ...overlaid(dir), limits: { writtenBytes: 3 } });
  assert.equal(limited.write(limited.open('src/a.txt'), 'abcdef'), 3);
  const clocked = started({ ...overlaid(dir), clock: { realtime: 5_000_000_000n } });
  assert.equal(clocked.save('x', 'y'), OK);
  assert.equal(clocked.stat('x').mtim, 5_000_000_000n);
});

test('what is neither file nor directory is not opened', { skip: onWindows }, (t) => {
  const dir = folder(t);
  if (spawnSync('mkfifo', [join(dir, 'pipe')]).status !== 0) return t.skip('there is no mkfifo');
  const guest = started(overlaid(dir));
  assert.equal(guest.open('pipe', { rights: 2n }), -ACCES);
  assert.equal(guest.open('pipe'), -ACCES);
  assert.ok(guest.stat('pipe').ino > 0n);
  assert.equal(guest.unlink('pipe'), OK);
  assert.equal(guest.stat('pipe'), -NOENT);
  assert.ok(lstatSync(join(dir, 'pipe')).isFIFO());
});

test('directories that are made again are empty', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  assert.equal(guest.rmdir('src'), NOTEMPTY);
  for (const name of ['a.txt', 'b.txt', 'deep/c.txt'])
    assert.equal(guest.unlink(`src/${name}`), OK);
  assert.equal(guest.rmdir('src/deep'), OK);
  assert.equal(guest.rmdir('src'), OK);
  assert.equal(guest.mkdir('src'), OK);
  assert.equal(guest.mkdir('src'), EXIST);
  assert.equal(guest.open('src', { rights: 64n, oflags: TRUNC }), -ISDIR);
  assert.deepEqual(guest.list('src').sort(), ['.', '..']);
  assert.equal(guest.stat('src/a.txt'), -NOENT);
  assert.equal(guest.open('src/a.txt', { oflags: CREAT | EXCL }) > 0, true);
  assert.deepEqual(brief(guest.wasi.changes()), [
    'modified /src/a.txt file',
    'removed /src/b.txt file',
    'removed /src/deep directory',
    'removed /src/deep/c.txt file',
  ]);
});

test('what the host changes meanwhile shows where the guest has changed nothing', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  assert.equal(guest.save('src/a.txt', 'mine'), OK);
  writeFileSync(join(dir, 'src/a.txt'), 'theirs');
  writeFileSync(join(dir, 'src/b.txt'), 'theirs');
  writeFileSync(join(dir, 'src/new'), 'theirs');
  assert.deepEqual(
    ['src/a.txt', 'src/b.txt', 'src/new'].map((name) => guest.load(name)),
    ['mine', 'theirs', 'theirs'],
  );
  renameSync(join(dir, 'src'), join(dir, 'away'));
  assert.equal(guest.load('src/a.txt'), 'mine', 'the directory is held');
  rmSync(dir, { recursive: true });
  assert.equal(guest.load('README'), -NOENT);
  assert.equal(guest.load('src/a.txt'), 'mine');
  assert.equal(guest.save('new', 'mine'), OK, 'above is all there is');
});

/** A new file that has the serial number of one that the host has removed, if it can be had. */
function takeOver(dir, ino) {
  for (let at = 0; at < 100; at++) {
    const place = join(dir, `theirs-${at}`);
    writeFileSync(place, 'theirs');
    if (lstatSync(place).ino === ino) return place;
  }
  return undefined;
}

const waitForAnotherTime = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);

test('a new file with the serial number of a removed one is another', { skip: onWindows }, (t) => {
  const uses = {
    written: (guest) => guest.save('a', 'mine'),
    removed: (guest) => guest.save('a', 'mine') || guest.unlink('a'),
    renamed: (guest) => guest.save('a', 'mine') || guest.rename('a', 'z'),
    linked: (guest) => guest.save('a', 'mine') || guest.link('a', 'z'),
  };
  let tested = 0;
  for (const [name, use] of Object.entries(uses)) {
    for (const links of [1, 2]) {
      const dir = folder(t);
      writeFileSync(join(dir, 'a'), 'old');
      linkSync(join(dir, 'a'), join(dir, 'b'));
      const guest = started(overlaid(dir));
      assert.equal(use(guest), OK);
      const { ino } = lstatSync(join(dir, 'a'));
      waitForAnotherTime();
      rmSync(join(dir, 'a'));
      rmSync(join(dir, 'b'));
      const place = takeOver(dir, ino);
      if (!place) continue;
      tested++;
      const found = place.slice(dir.length + 1);
      if (links > 1) linkSync(place, `${place}-too`);
      assert.equal(guest.load(found), 'theirs', name);
      assert.equal(guest.stat(found).size, 6n, name);
      guest.wasi.commit();
      assert.equal(readFileSync(place, 'utf8'), 'theirs', name);
      // And one that is used, too, shows the same under its names.
      assert.equal(guest.save(found, 'yours'), OK);
      if (links > 1) assert.equal(guest.load(`${found}-too`), 'yours', name);
      guest.wasi.commit();
      assert.equal(readFileSync(place, 'utf8'), 'yours', name);
      if (links > 1) assert.equal(readFileSync(`${place}-too`, 'utf8'), 'yours', name);
      assert.deepEqual(guest.wasi.changes(), []);
    }
  }
  if (tested === 0) t.skip('the file system gives no serial number twice');
});

test('a name that has another file with the same serial number is replaced', (t) => {
  if (onWindows) return t.skip('links are those of POSIX');
  for (const make of [mkdirSync, (place) => writeFileSync(place, 'theirs')]) {
    const dir = folder(t);
    const place = join(dir, 'a');
    writeFileSync(place, 'old');
    const guest = started(overlaid(dir));
    assert.equal(guest.save('a', 'mine'), OK);
    waitForAnotherTime();
    rmSync(place);
    make(place);
    if (lstatSync(place).isFile()) linkSync(place, join(dir, 'theirs'));
    guest.wasi.commit();
    assert.equal(readFileSync(place, 'utf8'), 'mine');
    if (existsSync(join(dir, 'theirs'))) {
      assert.equal(readFileSync(join(dir, 'theirs'), 'utf8'), 'theirs');
    }
  }
});

test('what the guest has changed is there though the host has removed it', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  assert.equal(guest.save('src/a.txt', 'mine'), OK);
  assert.equal(guest.save('src/deep/c.txt', 'mine'), OK);
  assert.equal(guest.save('src/deep/new', 'mine'), OK);
  rmSync(join(dir, 'src/a.txt'));
  assert.deepEqual(guest.list('src').sort(), ['.', '..', 'a.txt', 'b.txt', 'deep']);
  rmSync(join(dir, 'src'), { recursive: true });
  for (const room of [4096, 40]) {
    assert.deepEqual(guest.list('src', room).sort(), ['.', '..', 'a.txt', 'deep']);
    assert.deepEqual(guest.list('src/deep', room).sort(), ['.', '..', 'c.txt', 'new']);
  }
  assert.deepEqual(brief(guest.wasi.changes()), [
    'added /src directory',
    'added /src/a.txt file',
    'added /src/deep directory',
    'added /src/deep/c.txt file',
    'added /src/deep/new file',
  ]);
  assert.equal(guest.unlink('src/deep/new'), OK);
  guest.wasi.commit();
  assert.deepEqual(guest.wasi.changes(), []);
  assert.equal(readFileSync(join(dir, 'src/a.txt'), 'utf8'), 'mine');
  assert.deepEqual(readdirSync(join(dir, 'src/deep')), ['c.txt']);
  // Each listed file can be removed.
  assert.equal(guest.unlink('src/deep/c.txt'), OK);
  assert.equal(guest.rmdir('src/deep'), OK);
  assert.deepEqual(guest.list('src').sort(), ['.', '..', 'a.txt']);
});

test('what is in a directory that the host has put in the place of another stays', (t) => {
  const replacing = {
    removed: (place) => rmSync(place, { recursive: true }),
    moved: (place) => renameSync(place, `${place}-away`),
  };
  for (const [how, replace] of Object.entries(replacing)) {
    const dir = folder(t);
    const place = (name) => join(dir, name);
    mkdirSync(place('src/deep'), { recursive: true });
    for (const name of ['src/a', 'src/open', 'src/gone', 'src/deep/a']) {
      writeFileSync(place(name), 'old');
    }
    const guest = started(overlaid(dir));
    const fd = guest.open('src/open');
    for (const name of ['src/a', 'src/new', 'src/deep/new']) {
      assert.equal(guest.save(name, 'mine'), OK);
    }
    assert.equal(guest.unlink('src/gone'), OK);
    replace(place('src'));
    mkdirSync(place('src/deep'), { recursive: true });
    const names = ['src/a', 'src/open', 'src/theirs', 'src/deep/a', 'src/deep/theirs'];
    for (const name of names) writeFileSync(place(name), 'theirs');
    const changes = ['modified /src/a file', 'added /src/deep/new file', 'added /src/new file'];
    assert.deepEqual(brief(guest.wasi.changes()), changes, how);
    for (const name of ['src/theirs', 'src/deep/a']) assert.equal(guest.load(name), 'theirs');
    writeFileSync(place('src/gone'), 'theirs');
    assert.deepEqual(
      brief(guest.wasi.commit()).sort(),
      [...changes, 'removed /src/gone file'].sort(),
    );
    const file = (text) => `file ${text} `;
    assert.deepEqual(look(place('src'), false), {
      '': 'directory ',
      '/a': file('mine'),
      '/deep': 'directory ',
      '/deep/a': file('theirs'),
      '/deep/new': file('mine'),
      '/deep/theirs': file('theirs'),
      '/new': file('mine'),
      '/open': file('theirs'),
      '/theirs': file('theirs'),
    });
    assert.equal(guest.call.fd_close(fd), OK);
    assert.deepEqual(guest.wasi.changes(), []);
    assert.equal(guest.load('src/open'), 'theirs');
    // The directory is one with the host's again.
    rmSync(place('src'), { recursive: true });
    assert.deepEqual(guest.wasi.changes(), []);
    assert.equal(guest.load('src/new'), -NOENT);
  }
});

test("what was committed is the host's, who may change it", (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'a'), 'old');
  mkdirSync(join(dir, 'sub'));
  const place = (name) => join(dir, name);
  const guest = started(overlaid(dir));
  const names = ['a', 'new', 'sub/new', 'made/new'];
  const save = () => {
    guest.mkdir('made');
    for (const name of names) assert.equal(guest.save(name, 'mine'), OK);
    if (!onWindows) assert.equal(guest.symlink('mine', 'link'), OK);
    guest.wasi.commit();
  };
  // Written in place, as by another program.
  save();
  for (const name of names) writeFileSync(place(name), 'theirs');
  if (!onWindows) {
    rmSync(place('link'));
    symlinkSync('theirs', place('link'));
  }
  for (const name of names) assert.equal(guest.load(name), 'theirs', name);
  assert.deepEqual(guest.wasi.changes(), []);
  // Replaced, as by an editor.
  for (const name of names) {
    writeFileSync(place(`${name}~`), 'edited');
    renameSync(place(`${name}~`), place(name));
  }
  for (const name of names) assert.equal(guest.load(name), 'edited', name);
  assert.deepEqual(guest.wasi.commit(), []);
  for (const name of names) assert.equal(readFileSync(place(name), 'utf8'), 'edited', name);
  if (!onWindows) assert.equal(readlinkSync(place('link')), 'theirs');
  // Removed.
  for (const name of ['a', 'new', 'sub', 'made', 'link']) {
    rmSync(place(name), { recursive: true, force: true });
  }
  assert.deepEqual(guest.list().sort(), ['.', '..']);
  assert.deepEqual(guest.wasi.commit(), []);
  assert.deepEqual(readdirSync(dir), []);
});

test('what was opened to be written, and was not, is no change', (t) => {
  const dir = folder(t);
  const place = (name) => join(dir, name);
  for (const name of ['a', 'b', 'c']) writeFileSync(place(name), 'old');
  const guest = started(overlaid(dir));
  const [a, b, c] = ['a', 'b', 'c'].map((name) => guest.open(name));
  assert.ok(a > 3 && b > 3 && c > 3);
  guest.call.fd_close(b);
  for (const name of ['a', 'b']) {
    writeFileSync(place(`${name}~`), 'edited');
    renameSync(place(`${name}~`), place(name));
  }
  rmSync(place('c'));
  assert.deepEqual(guest.wasi.changes(), []);
  assert.deepEqual(guest.wasi.commit(), []);
  assert.equal(guest.read(a), 'old', 'who has it open reads what it was');
  assert.equal(guest.load('b'), 'edited');
  assert.equal(readFileSync(place('a'), 'utf8'), 'edited');
  assert.ok(!existsSync(place('c')));
  guest.call.fd_close(a);
  guest.call.fd_close(c);
  assert.deepEqual(guest.wasi.changes(), []);
  assert.equal(guest.load('a'), 'edited');
  assert.equal(guest.load('c'), -NOENT);
  // A write after the commit is a change.
  assert.equal(guest.save('a', 'mine'), OK);
  assert.deepEqual(brief(guest.wasi.commit()), ['modified /a file']);
});

test('a commit gives the room back', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'below'), 'below');
  if (!onWindows) linkSync(join(dir, 'below'), join(dir, 'too'));
  const guest = started(overlaid(dir, { overlay: { maxBytes: 50_000 } }));
  for (let round = 0; round < 50; round++) {
    const text = `${round} ${'x'.repeat(15_000)}`;
    assert.equal(guest.mkdir(`d${round}`), OK);
    for (const name of ['below', 'new', `d${round}/${'n'.repeat(200)}`]) {
      assert.equal(guest.save(name, text), OK, `${round} ${name}`);
    }
    if (!onWindows) assert.equal(guest.symlink('x'.repeat(200), `d${round}/link`), OK);
    guest.wasi.commit();
    assert.deepEqual(guest.wasi.changes(), []);
    if (!onWindows) assert.equal(readFileSync(join(dir, 'too'), 'utf8'), text);
  }
});

test('what is open during a commit gives its room back later', (t) => {
  const guest = started(overlaid(folder(t), { overlay: { maxBytes: 20_000 } }));
  for (let round = 0; round < 50; round++) {
    const name = `d${round}`;
    assert.equal(guest.mkdir(name), OK, name);
    // Every other one has a file that is open.
    const fd =
      round % 2 === 0
        ? guest.open(name, { oflags: DIRECTORY, rights: 1n << 14n })
        : guest.open(`${name}/file`, { oflags: CREAT });
    assert.ok(fd > 3, `${name} ${fd}`);
    guest.wasi.commit();
    assert.equal(guest.call.fd_close(fd), OK);
  }
  assert.deepEqual(guest.wasi.changes(), []);
  assert.equal(guest.save('room', 'x'.repeat(18_000)), OK);
});

test('the one name that the guest has left of a file is one', { skip: onWindows }, (t) => {
  for (const opened of ['a', 'b']) {
    const dir = folder(t);
    const a = join(dir, 'a');
    writeFileSync(a, 'old');
    linkSync(a, join(dir, 'b'));
    const guest = started(overlaid(dir, { overlay: { maxBytes: 20_000 } }));
    guest.call.fd_close(guest.open(opened, { flags: APPEND }));
    assert.equal(guest.unlink('b'), OK);
    assert.deepEqual(brief(guest.wasi.changes()), ['removed /b file']);
    assert.equal(guest.stat('a').nlink, 1n);
    assert.equal(guest.save('a', 'x'.repeat(15_000)), OK);
    guest.wasi.commit();
    assert.equal(guest.stat('a').nlink, 1n);
    assert.equal(guest.save('room', 'x'.repeat(15_000)), OK);
    writeFileSync(a, 'theirs');
    assert.equal(guest.load('a'), 'theirs', opened);
  }
});

test('a name that is left is read though the host has removed the other', (t) => {
  if (onWindows) return t.skip('links are those of POSIX');
  const dir = folder(t);
  writeFileSync(join(dir, 'a'), 'bytes');
  linkSync(join(dir, 'a'), join(dir, 'b'));
  const guest = started(overlaid(dir));
  assert.equal(guest.unlink('a'), OK);
  rmSync(join(dir, 'a'));
  assert.equal(guest.load('b'), 'bytes');
  const fd = guest.open('b', { flags: APPEND });
  assert.equal(guest.write(fd, ' more'), 5);
  guest.call.fd_close(fd);
  guest.wasi.commit();
  assert.equal(readFileSync(join(dir, 'b'), 'utf8'), 'bytes more');
});

test('a commit that cannot be says what was done, which is nothing', (t) => {
  const dir = repository(t);
  const guest = started(overlaid(dir));
  edit(guest);
  rmSync(dir, { recursive: true });
  assert.throws(
    () => guest.wasi.commit(),
    (error) => error.code === 'ERR_WASI_COMMIT' && error.done.length === 0 && error.path !== '',
  );
});

test('memory tells what came out, too', () => {
  const guest = started({
    preopens: { '/m': { memory: { a: '1', b: '2', 'd/c': '3', 'd/e': '4' } } },
  });
  const { wasi } = guest;
  assert.deepEqual(wasi.changes(), []);
  assert.equal(guest.load('a'), '1');
  assert.deepEqual(wasi.changes(), []);
  assert.equal(guest.save('a', '11'), OK);
  assert.equal(guest.unlink('b'), OK);
  assert.equal(guest.rename('d', 'dd'), OK);
  assert.equal(guest.symlink('a', 'l'), OK);
  assert.deepEqual(brief(wasi.changes()), [
    'modified /m/a file',
    'removed /m/b file',
    'removed /m/d directory',
    'removed /m/d/c file',
    'removed /m/d/e file',
    'added /m/dd directory',
    'added /m/dd/c file',
    'added /m/dd/e file',
    'added /m/l symlink',
  ]);
  assert.equal(guest.mkdir('b'), OK);
  const lines = brief(wasi.changes());
  assert.deepEqual(lines.slice(1, 3), ['removed /m/b file', 'added /m/b directory']);
  assert.deepEqual(wasi.commit(), []);
});

test('a list of changes is bounded', (t) => {
  const dir = folder(t);
  const guest = started({ preopens: { '/': { path: dir, overlay: true } } });
  let name = '';
  for (let depth = 0; depth < 15; depth++) {
    name += `${name === '' ? '' : '/'}${'d'.repeat(250)}`;
    assert.equal(guest.mkdir(name), OK);
  }
  assert.equal(guest.save(`${name}/f`, ''), OK);
  for (let i = 0; i < 10_000; i++) assert.equal(guest.link(`${name}/f`, `${name}/${i}`), OK);
  assert.throws(() => guest.wasi.changes(), { code: 'ERR_WASI_LIST_TOO_LONG' });
  assert.throws(() => guest.wasi.commit(), { code: 'ERR_WASI_COMMIT', done: [] });
});

test(
  'a name that the guest chose makes no line of its own in a message',
  { skip: onWindows },
  (t) => {
    const dir = folder(t);
    const guest = started({ preopens: { '/': { path: dir, overlay: true } } });
    const name = '\x1b[31m\nwasi-rs: all is well';
    assert.equal(guest.save(name, 'x'), OK);
    rmSync(dir, { recursive: true });
    assert.throws(
      () => guest.wasi.commit(),
      ({ message, path }) =>
        message.startsWith('/?[31m?wasi-rs: all is well cannot be written: ') &&
        path === `/${name}`,
    );
  },
);

test('an archive can lie below', async () => {
  const { archive, entry } = await import('./support/tar.mjs');
  const tar = archive(entry('a', { data: 'one' }), entry('d/', { type: '5' }));
  const guest = started({ preopens: { '/': { tar, overlay: true } } });
  assert.equal(guest.load('a'), 'one');
  assert.equal(guest.save('a', 'two'), OK);
  assert.equal(guest.save('d/new', 'x'), OK);
  assert.deepEqual(brief(guest.wasi.changes()), ['modified /a file', 'added /d/new file']);
  assert.deepEqual(guest.wasi.commit(), []);
  assert.throws(() => guest.wasi.commit('/'), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('what is wrong is an error of its own', (t) => {
  const dir = folder(t);
  for (const [preopen, code] of [
    [{ path: dir, overlay: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: dir, overlay: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: dir, overlay: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: dir, overlay: new Map() }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: dir, overlay: { maxbytes: 1 } }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: dir, overlay: { maxBytes: '1' } }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: dir, overlay: { maxBytes: -1 } }, 'ERR_OUT_OF_RANGE'],
    [{ path: dir, overlay: { maxBytes: 1.5 } }, 'ERR_OUT_OF_RANGE'],
    [{ memory: {}, overlay: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: dir, memory: {}, overlay: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ file: join(dir, 'x'), overlay: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: join(dir, 'none'), overlay: true }, 'UVWASI_ENOENT'],
  ]) {
    const make = () => new WASI({ version: 'preview1', preopens: { '/': preopen } });
    assert.throws(make, { code }, JSON.stringify(preopen));
  }
  const off = started(overlaid(dir, { overlay: false }));
  assert.equal(off.save('x', 'y'), OK);
  assert.equal(readFileSync(join(dir, 'x'), 'utf8'), 'y');
});

const FLAG = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

test('an overlay needs the permission to read alone', { skip: !FLAG }, (t) => {
  const dir = repository(t);
  const program = join(dir, '..', 'program.cjs');
  writeFileSync(
    program,
    `const { WASI } = require(${JSON.stringify(PACKAGE)});
    const wasi = new WASI({ version: 'preview1', preopens: {
      '/': { path: ${JSON.stringify(dir)}, overlay: true } } });
    const memory = new WebAssembly.Memory({ initial: 1 });
    wasi.start({ exports: { memory, _start() {} } });
    new Uint8Array(memory.buffer).set([0x78], 100);
    const errno = wasi.wasiImport.path_open(3, 0, 100, 1, 1, 64n, 0n, 0, 0);
    let code = 'written';
    try { wasi.commit(); } catch (error) { code = error.code; }
    console.log(JSON.stringify([errno, wasi.changes(), code]));`,
  );
  const run = (...more) => {
    const flags = [FLAG, '--no-warnings', '--allow-addons', '--allow-wasi'].filter(
      (flag) => flag === FLAG || process.allowedNodeEnvironmentFlags.has(flag),
    );
    const reads = [PACKAGE, program, dir].map((path) => `--allow-fs-read=${path}`);
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, ...reads, ...more, program], {
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  };
  const added = [{ type: 'added', path: '/x', kind: 'file' }];
  assert.deepEqual(run(), [OK, added, 'ERR_ACCESS_DENIED']);
  assert.equal(existsSync(join(dir, 'x')), false);
  assert.deepEqual(run(`--allow-fs-write=${dir}`), [OK, [], 'written']);
  assert.equal(existsSync(join(dir, 'x')), true);
});

test('no time of what lies below changes by reading', { skip: onWindows }, (t) => {
  const dir = repository(t);
  // Before the last change, so that a read would be noted.
  for (const name of ['README', 'src/a.txt', 'src/b.txt', 'src', '.']) {
    utimesSync(join(dir, name), 1000, 2000);
  }
  const times = () =>
    ['README', 'src/a.txt', 'src/b.txt', 'src', '.'].map((name) => {
      const { atimeNs, mtimeNs, ctimeNs } = lstatSync(join(dir, name), { bigint: true });
      return [atimeNs, mtimeNs, ctimeNs];
    });
  const before = times();
  const guest = started(overlaid(dir));
  assert.equal(guest.load('README'), 'read me\n');
  assert.equal(guest.load('src/a.txt'), 'one\n');
  assert.deepEqual(guest.list('src').sort(), ['.', '..', 'a.txt', 'b.txt', 'deep']);
  guest.list('.');
  const fd = guest.open('src/b.txt', { flags: APPEND });
  assert.equal(guest.write(fd, 'x'), 1);
  guest.wasi.readFile('/src/a.txt');
  guest.wasi.changes();
  assert.deepEqual(times(), before);
});
