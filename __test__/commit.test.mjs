// Commits of overlays that fail: for lack of room or rights, and because another process changes
// the directory. Then nothing is written, or the error lists the written changes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';

import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { direct } from './support/direct.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../index.js');

const CHILD = fileURLToPath(new URL('support/commit-child.mjs', import.meta.url));
const skip = process.platform === 'win32' && 'links and limits are those of POSIX';
const isRoot = process.getuid?.() === 0;
const canMount =
  process.platform === 'linux' &&
  spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0;

/**
 * The start of a process with a limit on the size of files. Node.js ignores the signal for
 * exceeding it, and Deno would end by it.
 */
const LIMITED = `trap '' XFSZ; ulimit -f 1000; exec "$@"`;

function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-commit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A text that a failed test can show. */
function brief(text) {
  if (text.length < 20) return text;
  return `${text.length} bytes, ${createHash('sha256').update(text).digest('hex')}`;
}

/** All files with what they hold. */
function look(dir, prefix = '') {
  const found = {};
  for (const name of readdirSync(dir).sort()) {
    const place = join(dir, name);
    const stat = lstatSync(place);
    if (stat.isDirectory()) Object.assign(found, look(place, `${prefix}${name}/`));
    else found[prefix + name] = stat.isFile() ? brief(readFileSync(place, 'latin1')) : 'link';
  }
  return found;
}

/** Commits in another process, which `shell` prepares. */
function commit(dir, edits, shell = 'exec "$@"') {
  const args = ['-c', shell, 'sh', process.execPath, CHILD, dir, JSON.stringify(edits)];
  const { stdout, stderr, status } = spawnSync('sh', args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

/** A directory with two files of two names each, and what is edited in it. */
function pairs(t) {
  const dir = folder(t);
  for (const [name, size] of [
    ['a', 3000],
    ['b', 5000],
  ]) {
    writeFileSync(join(dir, name), name.repeat(size));
    linkSync(join(dir, name), join(dir, `${name}-too`));
  }
  writeFileSync(join(dir, 'gone'), 'gone');
  return dir;
}

test('files of several names are written where they lie', { skip }, (t) => {
  const dir = pairs(t);
  const inode = lstatSync(join(dir, 'a')).ino;
  const { done } = commit(dir, { write: { a: 'short', b: 100_000, c: 'new' }, remove: ['gone'] });
  assert.deepEqual(done, ['modified /w/a', 'modified /w/b', 'added /w/c', 'removed /w/gone']);
  const b = brief('n'.repeat(100_000));
  assert.deepEqual(look(dir), { a: 'short', 'a-too': 'short', b, 'b-too': b, c: 'new' });
  assert.equal(lstatSync(join(dir, 'a')).ino, inode);
});

test('what exceeds a limit of the host is refused as a whole', { skip }, (t) => {
  for (const [write, path] of [
    [{ a: 'short', c: 2_000_000 }, '/w/c'],
    // The first is written when the second fails, and gets its bytes back.
    [{ a: 'short', b: 2_000_000, c: 'new' }, '/w/b'],
    [{ a: 4000, b: 2_000_000 }, '/w/b'],
    [{ 'b-too': 2_000_000, a: 2 }, '/w/b-too'],
  ]) {
    const dir = pairs(t);
    const before = look(dir);
    const inode = lstatSync(join(dir, 'a')).ino;
    const result = commit(dir, { write, remove: ['gone'] }, LIMITED);
    assert.equal(result.reason, 'fbig');
    assert.deepEqual([result.done, result.kept], [[], []]);
    assert.match(result.path, new RegExp(`^${path}`));
    assert.match(result.message, /nothing was written$/);
    assert.deepEqual(look(dir), before);
    assert.equal(lstatSync(join(dir, 'a')).ino, inode);
  }
});

/** Commits on a small device, on which `prepare` is run before, and returns the sums after it. */
function onSmallDevice(t, prepare, edits) {
  const dir = folder(t);
  const script = `exec 3>"$0.sums"
    mount -t tmpfs -o size=1m none "$MOUNT" || exit 77
    cd "$MOUNT" && ${prepare}
    cksum * | sort >&3; echo - >&3
    "$@" || exit 1
    cksum * | sort >&3; ls -a >&3`;
  // By a variable: Deno puts words of its own into the arguments of what runs it.
  const mount = join(dir, 'mnt');
  mkdirSync(mount);
  const child = [process.execPath, CHILD, mount, JSON.stringify(edits)];
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    ['-m', 'sh', '-c', script, join(dir, 'out'), ...child],
    { encoding: 'utf8', env: { ...process.env, MOUNT: mount } },
  );
  assert.equal(status, 0, stderr);
  const [before, after] = readFileSync(join(dir, 'out.sums'), 'utf8').split('-\n');
  return { result: JSON.parse(stdout), before, after };
}

test('a device that is full is left as it was', { skip: skip || !canMount }, (t) => {
  for (const [prepare, write, path] of [
    // The new file does not fit.
    ['echo old > a; ln a b', { a: 'short', c: 2_000_000 }, '/w/c'],
    // The copy of what a file of two names holds does not fit.
    ['head -c 700000 /dev/urandom > a; ln a b', { a: 10 }, '/w/a'],
    // The new bytes do not fit.
    ['head -c 1000 /dev/urandom > a; ln a b', { a: 2_000_000 }, '/w/a'],
    // It is found lacking in the middle of its holes.
    ['head -c 9000 /dev/urandom > a; truncate -s 600000 a; ln a b', { a: 600_000 }, '/w/a'],
  ]) {
    const { result, before, after } = onSmallDevice(t, prepare, { write });
    assert.deepEqual(
      [result.reason, result.path, result.done, result.kept],
      ['nospc', path, [], []],
      prepare,
    );
    assert.ok(after.startsWith(before), `${prepare}: ${before} and ${after}`);
    assert.doesNotMatch(after, /wasi-rs/);
  }
});

test('what the process may not write is refused as a whole', { skip: skip || !isRoot }, (t) => {
  const user = 65534;
  const dir = pairs(t);
  chmodSync(dir, 0o777);
  for (const name of ['a', 'b', 'gone']) chownSync(join(dir, name), user, user);
  mkdirSync(join(dir, 'closed'));
  writeFileSync(join(dir, 'closed', 'f'), 'f');
  for (const [prepare, write, path] of [
    [() => chmodSync(join(dir, 'b'), 0o444), { a: 'short', b: 'x', c: 'c' }, '/w/b'],
    [() => chownSync(join(dir, 'b'), 0, 0), { a: 'short', b: 'x', c: 'c' }, '/w/b'],
    [() => {}, { a: 'short', c: 'c', 'closed/g': 'g' }, '/w/closed/g'],
  ]) {
    prepare();
    const before = look(dir);
    const result = commit(dir, { write, remove: ['gone'], user });
    assert.deepEqual([result.reason, result.path, result.done], ['acces', path, []]);
    assert.deepEqual(look(dir), before);
    chmodSync(join(dir, 'b'), 0o644);
    chownSync(join(dir, 'b'), user, user);
  }
  // Who may write a file, and is not its owner, cannot set its times.
  chownSync(join(dir, 'b'), 0, 0);
  chmodSync(join(dir, 'b'), 0o666);
  const before = look(dir);
  const result = commit(dir, { write: { a: 'short', b: 'x' }, user });
  assert.deepEqual([result.reason, result.path, result.done], ['perm', '/w/b', []]);
  assert.deepEqual(result.kept, []);
  assert.deepEqual(look(dir), before);
});

test('what the process may not read keeps its permissions', { skip: skip || !isRoot }, (t) => {
  const user = 65534;
  const dir = folder(t);
  chmodSync(dir, 0o777);
  for (const [name, mode] of [
    ['drop', 0o200],
    ['shut', 0],
  ]) {
    writeFileSync(join(dir, name), 'old');
    chmodSync(join(dir, name), mode);
    chownSync(join(dir, name), user, user);
  }
  const mode = (name) => lstatSync(join(dir, name)).mode & 0o777;
  const { done } = commit(dir, { write: { drop: 'new' }, user });
  assert.deepEqual(done, ['modified /w/drop']);
  assert.deepEqual([look(dir), mode('drop')], [{ drop: 'new', shut: 'old' }, 0o200]);
  // Nobody can tell which it has.
  const result = commit(dir, { write: { drop: 'again', shut: 'new' }, user });
  assert.deepEqual([result.reason, result.path, result.done], ['acces', '/w/shut', []]);
  assert.deepEqual([look(dir), mode('shut')], [{ drop: 'new', shut: 'old' }, 0]);
});

test('what another process has put there leads nowhere else', { skip }, (t) => {
  for (const swap of [
    // The file, by a link out.
    (dir, out) => {
      rmSync(join(dir, 'd', 'f'));
      symlinkSync(join(out, 'd', 'f'), join(dir, 'd', 'f'));
    },
    // Its directory.
    (dir, out) => {
      renameSync(join(dir, 'd'), join(dir, 'moved'));
      symlinkSync(join(out, 'd'), join(dir, 'd'));
    },
    // One of its names, by one of another file.
    (dir, out) => {
      rmSync(join(dir, 'd', 'f'));
      linkSync(join(out, 'd', 'f'), join(dir, 'd', 'f'));
    },
    (dir) => {
      rmSync(join(dir, 'd', 'f'));
      mkdirSync(join(dir, 'd', 'f'));
    },
    (dir) => {
      rmSync(join(dir, 'd'), { recursive: true });
      writeFileSync(join(dir, 'd'), 'a file');
    },
  ]) {
    for (const names of [1, 2]) {
      const top = folder(t);
      const [dir, out] = [join(top, 'in'), join(top, 'out')];
      for (const one of [dir, out]) {
        mkdirSync(join(one, 'd'), { recursive: true });
        writeFileSync(join(one, 'd', 'f'), 'old');
      }
      if (names > 1) linkSync(join(dir, 'd', 'f'), join(dir, 'other'));
      const wasi = new WASI({
        version: 'preview1',
        preopens: { '/w': { path: dir, overlay: true } },
      });
      const guest = direct(wasi);
      assert.equal(guest.write('d/f', 'by the guest'), 12);
      assert.equal(guest.write('new', 'new'), 3);
      swap(dir, out);
      try {
        wasi.commit();
      } catch (error) {
        assert.equal(error.code, 'ERR_WASI_COMMIT');
        const done = error.done.map(({ path }) => path);
        assert.equal(existsSync(join(dir, 'new')), done.includes('/w/new'), String(swap));
      }
      wasi.close();
      assert.deepEqual(look(out), { 'd/f': 'old' }, String(swap));
      assert.ok(!Object.keys(look(dir)).some((name) => name.includes('.wasi-rs')), String(swap));
      // The old bytes stay whole, in the file or in its copy.
      if (names > 1) assert.match(readFileSync(join(dir, 'other'), 'utf8'), /^(old|by the guest)$/);
    }
  }
});

test('a race for a name leads nowhere else', { skip }, async (t) => {
  const top = folder(t);
  const dir = join(top, 'in');
  mkdirSync(dir);
  writeFileSync(join(top, 'secret'), 'secret');
  writeFileSync(join(dir, 'f'), 'old');
  linkSync(join(dir, 'f'), join(dir, 'g'));
  const racing = spawn(
    process.execPath,
    [
      '-e',
      `const fs = require('node:fs'); process.chdir(${JSON.stringify(dir)});
      const end = Date.now() + 20_000;
      for (let i = 0; Date.now() < end; i++) try {
        if (i % 3 === 0) fs.symlinkSync('../secret', 'link');
        else if (i % 3 === 1) fs.linkSync('g', 'link');
        else fs.writeFileSync('link', 'other');
        fs.renameSync('link', 'f');
      } catch (error) { try { fs.unlinkSync('link'); } catch {} }`,
    ],
    { stdio: 'ignore' },
  );
  t.after(() => racing.kill('SIGKILL'));
  const results = commit(dir, { write: { f: 'by the guest' }, times: 150 });
  racing.kill('SIGKILL');
  await new Promise((resolve) => racing.once('close', resolve));
  assert.equal(readFileSync(join(top, 'secret'), 'utf8'), 'secret');
  assert.match(readFileSync(join(dir, 'g'), 'utf8'), /^(old|by the guest)$/);
  assert.equal(results.length, 150);
  for (const { reason, kept = [] } of results) {
    if (reason !== undefined) assert.match(reason, /^(stale|noent|busy)$/);
    assert.deepEqual(kept, []);
  }
});

test('a file of holes is given back whole', { skip }, (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'a'), 'x'.repeat(10));
  truncateSync(join(dir, 'a'), 300_000);
  linkSync(join(dir, 'a'), join(dir, 'b'));
  writeFileSync(join(dir, 'z'), 'z');
  linkSync(join(dir, 'z'), join(dir, 'z-too'));
  const before = look(dir);
  const edits = { write: { a: 300_000, z: 2_000_000 } };
  const result = commit(dir, edits, LIMITED);
  assert.deepEqual([result.reason, result.path], ['fbig', '/w/z']);
  assert.deepEqual(look(dir), before);
});
