// WASI 0.2 without jco: one table of behaviour, over values and by the canonical ABI.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { lowered } from './p2/lowered.mjs';

const require = createRequire(import.meta.url);
const { WASI, WASIExitError } = require('../lib/p2/index.js');
const { WASIShim } = require('../lib/p2/instantiation.js');
const { WASI: Preview1 } = require('../index.js');
const dispose = Symbol.dispose ?? Symbol.for('dispose');

let folder;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-p2-'));
  fs.mkdirSync(path.join(folder, 'box'));
  fs.mkdirSync(path.join(folder, 'outside'));
  fs.writeFileSync(path.join(folder, 'outside/secret'), 'secret');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const box = (...names) => path.join(folder, 'box', ...names);
const text = (bytes) => Buffer.from(bytes).toString();
const bytes = (string) => new TextEncoder().encode(string);
const inside = () => ({ preopens: { '/box': box() } });
const NOTHING = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' };

/** The word of an interface that a call throws, as text. */
function word(act) {
  try {
    act();
  } catch (error) {
    return typeof error === 'string' ? error : (error?.tag ?? error);
  }
  return 'no error';
}

const FORMS = {
  values: (wasi) => wasi.getImportObject(),
  'the canonical ABI': (wasi) => lowered(wasi.getImportObject()).imports,
  'the canonical ABI, with other tables': (wasi) =>
    lowered(wasi.getImportObject(), { isReversed: true }).imports,
};

for (const [name, form] of Object.entries(FORMS)) {
  describe(name, () => {
    const open = (options) => {
      const wasi = new WASI({ ...NOTHING, ...options });
      const imports = form(wasi);
      const directories = () => imports['wasi:filesystem/preopens'].getDirectories();
      return { wasi, imports, directories };
    };
    const opened = (options = inside()) => {
      const made = open(options);
      return { ...made, root: made.directories()[0][0] };
    };
    const READ = { read: true };
    const WRITE = { write: true };
    const BOTH = { read: true, write: true };
    const CREATE = { create: true };

    it('gives nothing by default', () => {
      const { imports, directories } = open({});
      const { getArguments, getEnvironment, initialCwd } = imports['wasi:cli/environment'];
      assert.deepEqual([getArguments(), getEnvironment(), initialCwd()], [[], [], undefined]);
      assert.deepEqual(directories(), []);
    });

    it('gives arguments, environment and directories', () => {
      const { imports, directories } = open({
        args: ['one', '', 'zwölf'],
        env: { A: '1', EMPTY: '', B: 'x=y' },
        preopens: { '/box': box(), '/other': { memory: {} } },
      });
      const { getArguments, getEnvironment } = imports['wasi:cli/environment'];
      assert.deepEqual(getArguments(), ['one', '', 'zwölf']);
      assert.deepEqual(getEnvironment(), [
        ['A', '1'],
        ['EMPTY', ''],
        ['B', 'x=y'],
      ]);
      assert.deepEqual(
        directories().map(([, guest]) => guest),
        ['/box', '/other'],
      );
    });

    const onLinux = { skip: process.platform !== 'linux' && 'the words are those of Linux' };
    it('says that a directory is gone that was removed while it was listed', onLinux, () => {
      const { root } = opened();
      root.createDirectoryAt('gone');
      for (const name of ['a', 'b', 'c']) root.openAt({}, `gone/${name}`, CREATE, WRITE);
      const listing = root.openAt({}, 'gone', { directory: true }, READ).readDirectory();
      const names = [listing.readDirectoryEntry().name];
      for (const name of ['a', 'b', 'c']) root.unlinkFileAt(`gone/${name}`);
      root.removeDirectoryAt('gone');
      const rest = word(() => {
        for (let entry; (entry = listing.readDirectoryEntry());) names.push(entry.name);
      });
      assert.equal(rest, 'no-entry');
      assert.deepEqual(names.sort(), ['a', 'b', 'c']);
    });

    it('keeps a mark of the byte order where a text begins with one', () => {
      const bom = (string) => `\uFEFF${string}`;
      fs.writeFileSync(box(bom('file')), 'x');
      const { imports, directories } = open({
        args: [bom('one')],
        env: { [bom('A')]: bom('1') },
        preopens: { [bom('box')]: box() },
      });
      const { getArguments, getEnvironment } = imports['wasi:cli/environment'];
      assert.deepEqual(getArguments(), [bom('one')]);
      assert.deepEqual(getEnvironment(), [[bom('A'), bom('1')]]);
      const [[root, guest]] = directories();
      assert.equal(guest, bom('box'));
      assert.equal(root.readDirectory().readDirectoryEntry().name, bom('file'));
      root.symlinkAt(bom('text'), 'link');
      assert.equal(root.readlinkAt('link'), bom('text'));
    });

    it('reads and writes files', () => {
      const { root } = opened();
      const file = root.openAt({}, 'file', CREATE, BOTH);
      assert.equal(file.write(bytes('hello world'), 0n), 11n);
      assert.equal(file.write(bytes('W'), 6n), 1n);
      assert.deepEqual(file.read(100n, 0n), [bytes('hello World'), false]);
      assert.deepEqual(file.read(5n, 11n), [new Uint8Array(), true]);
      file.setSize(5n);
      file.sync();
      file.syncData();
      file.advise(0n, 0n, 'will-need');
      assert.equal(fs.readFileSync(box('file'), 'utf8'), 'hello');
      const stat = file.stat();
      assert.deepEqual([stat.type, stat.linkCount, stat.size], ['regular-file', 1n, 5n]);
      assert.ok(stat.dataModificationTimestamp.seconds > 1_500_000_000n);
      assert.deepEqual(root.statAt({}, 'file'), stat);
      assert.equal(file.getType(), 'regular-file');
      const flags = { ...file.getFlags() };
      assert.deepEqual(
        Object.keys(flags).filter((flag) => flags[flag]),
        ['read', 'write'],
      );
      assert.equal(root.getFlags().mutateDirectory, true);
      file.setTimes(
        { tag: 'timestamp', val: { seconds: 5n, nanoseconds: 6 } },
        { tag: 'no-change' },
      );
      assert.deepEqual(file.stat().dataAccessTimestamp, { seconds: 5n, nanoseconds: 6 });
      root.setTimesAt({ symlinkFollow: true }, 'file', { tag: 'no-change' }, { tag: 'now' });
      assert.ok(file.stat().dataModificationTimestamp.seconds > 1_500_000_000n);
    });

    it('has streams with positions', () => {
      const { root, imports } = opened();
      const { poll } = imports['wasi:io/poll'];
      const file = root.openAt({}, 'file', CREATE, BOTH);
      const out = file.writeViaStream(2n);
      assert.equal(out.checkWrite(), 1n << 20n);
      out.write(bytes('abc'));
      out.blockingWriteAndFlush(bytes('def'));
      out.writeZeroes(2n);
      out.blockingWriteZeroesAndFlush(1n);
      out.flush();
      out.blockingFlush();
      const end = file.appendViaStream();
      end.write(bytes('end'));
      assert.equal(file.write(bytes('AB'), 0n), 2n);
      assert.equal(fs.readFileSync(box('file'), 'latin1'), 'ABabcdef\0\0\0end');
      const one = file.readViaStream(0n);
      const other = file.readViaStream(2n);
      assert.equal(text(one.read(2n)), 'AB');
      assert.equal(text(other.blockingRead(3n)), 'abc');
      assert.equal(other.skip(3n), 3n);
      assert.equal(other.blockingSkip(3n), 3n);
      assert.equal(text(other.blockingRead(1n << 40n)), 'end');
      assert.equal(other.read(0n).length, 0);
      assert.equal(
        word(() => other.read(1n)),
        'closed',
      );
      const into = root.openAt({}, 'other', CREATE, WRITE).writeViaStream(0n);
      assert.equal(into.splice(one, 3n), 3n);
      assert.equal(into.blockingSplice(one, 100n), 9n);
      assert.equal(fs.readFileSync(box('other'), 'latin1'), 'abcdef\0\0\0end');
      const pollable = one.subscribe();
      assert.equal(pollable.ready(), true);
      pollable.block();
      assert.deepEqual([...poll([out.subscribe(), pollable])], [0, 1]);
    });

    it('lists, links, renames and removes', () => {
      const { root } = opened();
      root.createDirectoryAt('sub');
      fs.writeFileSync(box('one'), 'text');
      const sub = root.openAt({}, 'sub', { directory: true }, READ);
      root.linkAt({}, 'one', sub, 'two');
      assert.equal(fs.readFileSync(box('sub/two'), 'utf8'), 'text');
      const [one, two] = [root.openAt({}, 'one', {}, READ), sub.openAt({}, 'two', {}, READ)];
      assert.equal(one.isSameObject(two), true);
      assert.equal(one.isSameObject(root), false);
      assert.deepEqual(one.metadataHash(), root.metadataHashAt({}, 'sub/two'));
      root.renameAt('one', sub, 'three');
      root.symlinkAt('sub/three', 'link');
      assert.equal(root.readlinkAt('link'), 'sub/three');
      const list = (directory) => {
        const stream = directory.readDirectory();
        const found = [];
        for (let entry; (entry = stream.readDirectoryEntry()) !== undefined;) {
          found.push(`${entry.type} ${entry.name}`);
        }
        return found.sort();
      };
      assert.deepEqual(list(root), ['directory sub', 'symbolic-link link']);
      assert.deepEqual(list(sub), ['regular-file three', 'regular-file two']);
      root.unlinkFileAt('link');
      assert.equal(
        word(() => root.removeDirectoryAt('sub')),
        'not-empty',
      );
      sub.unlinkFileAt('two');
      sub.unlinkFileAt('three');
      root.removeDirectoryAt('sub');
      assert.deepEqual(list(root), []);
    });

    it('has the words of the interface for errors', () => {
      const { root } = opened();
      fs.writeFileSync(box('file'), 'text');
      fs.symlinkSync('../outside', box('out'));
      const follow = { symlinkFollow: true };
      const reader = root.openAt({}, 'file', {}, READ);
      for (const [expected, act] of [
        ['no-entry', () => root.openAt({}, 'none', {}, READ)],
        ['no-entry', () => root.statAt({}, '')],
        ['exist', () => root.openAt({}, 'file', { create: true, exclusive: true }, WRITE)],
        ['not-directory', () => root.openAt({}, 'file', { directory: true }, READ)],
        ['is-directory', () => root.openAt({}, '.', {}, WRITE)],
        ['not-permitted', () => root.openAt({}, '../outside/secret', {}, READ)],
        ['not-permitted', () => root.openAt(follow, 'out/secret', {}, READ)],
        ['not-permitted', () => root.statAt(follow, '/etc/passwd')],
        ['loop', () => root.openAt({}, 'out', {}, READ)],
        ['name-too-long', () => root.statAt({}, 'a/'.repeat(3000))],
        ['invalid', () => root.statAt({}, 'a\0b')],
        ['bad-descriptor', () => reader.write(bytes('x'), 0n)],
        ['bad-descriptor', () => reader.appendViaStream()],
        ['not-directory', () => reader.createDirectoryAt('x')],
        ['invalid', () => reader.read(1n, 1n << 63n)],
        ['is-directory', () => root.read(1n, 0n)],
        ['invalid', () => root.readlinkAt('file')],
      ]) {
        assert.equal(word(act), expected, String(act));
      }
      assert.equal(fs.readFileSync(path.join(folder, 'outside/secret'), 'utf8'), 'secret');
    });

    it('tells the errors of streams', () => {
      const { root, imports } = opened();
      fs.writeFileSync(box('file'), 'text');
      const stream = root.openAt({}, 'file', {}, READ).readViaStream((1n << 64n) - 1n);
      let failure;
      try {
        stream.blockingRead(1n);
      } catch (error) {
        failure = error;
      }
      assert.equal(failure.tag, 'last-operation-failed');
      assert.match(failure.val.toDebugString(), /invalid/);
      assert.equal(imports['wasi:filesystem/types'].filesystemErrorCode(failure.val), 'invalid');
      assert.equal(
        word(() => stream.blockingRead(1n)),
        'closed',
      );
    });

    it('keeps a directory read-only', () => {
      fs.mkdirSync(box('sub'));
      fs.writeFileSync(box('file'), 'text');
      const { root } = opened({ preopens: { '/box': { path: box(), readOnly: true } } });
      assert.equal(root.getFlags().mutateDirectory, false);
      const sub = root.openAt({}, 'sub', { directory: true }, READ);
      for (const act of [
        () => root.openAt({}, 'new', CREATE, WRITE),
        () => root.openAt({}, 'file', {}, WRITE),
        () => root.openAt({}, 'file', { truncate: true }, READ),
        () => root.openAt({}, 'sub', { directory: true }, { read: true, mutateDirectory: true }),
        () => root.createDirectoryAt('new'),
        () => root.unlinkFileAt('file'),
        () => root.removeDirectoryAt('sub'),
        () => root.renameAt('file', sub, 'moved'),
        () => root.linkAt({}, 'file', sub, 'linked'),
        () => root.symlinkAt('file', 'link'),
        () => root.setTimesAt({}, 'file', { tag: 'now' }, { tag: 'now' }),
        () => sub.createDirectoryAt('new'),
      ]) {
        assert.equal(word(act), 'read-only', String(act));
      }
      const file = root.openAt({}, 'file', {}, READ);
      assert.equal(text(file.read(10n, 0n)[0]), 'text');
      assert.equal(
        word(() => file.setTimes({ tag: 'now' }, { tag: 'now' })),
        'read-only',
      );
    });

    it('has trees in memory and single files', () => {
      fs.writeFileSync(path.join(folder, 'single'), 'alone');
      const { wasi, directories } = open({
        preopens: {
          '/tree': { memory: { 'a/b': 'in memory' } },
          '/single': { file: path.join(folder, 'single') },
        },
      });
      const [[tree], [single]] = directories();
      assert.equal(text(tree.openAt({}, 'a/b', {}, READ).read(100n, 0n)[0]), 'in memory');
      const made = tree.openAt({}, 'made', CREATE, BOTH);
      made.write(bytes('x'), 0n);
      const end = made.appendViaStream();
      end.blockingWriteAndFlush(bytes('y'));
      made.write(bytes('z'), 0n);
      assert.equal(text(wasi.readFile('/tree/made')), 'zy');
      assert.deepEqual(wasi.listFiles(), ['/tree/a/b', '/tree/made']);
      assert.equal(text(single.openAt({}, '.', {}, READ).read(100n, 0n)[0]), 'alone');
      assert.equal(
        word(() => single.openAt({}, 'other', {}, READ)),
        'no-entry',
      );
    });

    it('lays overlays over directories, tells their changes and commits them', () => {
      for (const name of ['kept', 'changed', 'gone']) fs.writeFileSync(box(name), 'below');
      const preopens = { '/box': { path: box(), overlay: true } };
      const { wasi, root } = opened({ preopens });
      const file = root.openAt({}, 'changed', {}, BOTH);
      const before = file.metadataHash();
      file.write(bytes('above'), 0n);
      assert.deepEqual(file.metadataHash(), before);
      root.unlinkFileAt('gone');
      root.openAt({}, 'made', CREATE, WRITE).write(bytes('new'), 0n);
      assert.deepEqual(
        wasi.changes().map(({ type, path }) => `${type} ${path}`),
        ['modified /box/changed', 'removed /box/gone', 'added /box/made'],
      );
      assert.equal(text(wasi.readFile('/box/changed')), 'above');
      assert.deepEqual(fs.readdirSync(box()).sort(), ['changed', 'gone', 'kept']);
      assert.equal(fs.readFileSync(box('changed'), 'utf8'), 'below');
      assert.throws(() => wasi.commit('/other'), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.equal(wasi.commit('/box/made').length, 1);
      assert.equal(wasi.commit().length, 2);
      assert.deepEqual(fs.readdirSync(box()).sort(), ['changed', 'kept', 'made']);
      assert.equal(fs.readFileSync(box('changed'), 'utf8'), 'above');
      assert.deepEqual(wasi.changes(), []);
      // Both ways to ask for what is committed tell the same file.
      assert.deepEqual(file.metadataHash(), root.metadataHashAt({}, 'changed'));
    });

    it('tells what a file is, however it is asked', () => {
      fs.writeFileSync(box('file'), 'text');
      const { root } = opened();
      const file = root.openAt({}, 'file', {}, BOTH);
      const hash = root.metadataHashAt({}, 'file');
      assert.deepEqual(file.metadataHash(), hash);
      fs.renameSync(box('file'), box('moved'));
      fs.writeFileSync(box('file'), 'other');
      for (let time = 0; time < 2; time++) {
        assert.deepEqual(file.metadataHash(), hash);
        assert.equal(file.stat().size, 4n);
        assert.notDeepEqual(root.metadataHashAt({}, 'file'), hash);
      }
      fs.appendFileSync(box('moved'), 'more');
      assert.equal(file.stat().size, 8n);
      assert.deepEqual(root.metadataHashAt({}, 'moved'), hash);
    });

    it('keeps limits', () => {
      for (const name of ['one', 'two', 'three']) fs.writeFileSync(box(name), '');
      const { root } = opened({
        ...inside(),
        limits: { openFiles: 6, writtenBytes: 300, readdirEntries: 2 },
      });
      const one = root.openAt({}, 'one', {}, BOTH);
      const two = root.openAt({}, 'two', {}, BOTH);
      assert.equal(
        word(() => root.openAt({}, 'three', {}, READ)),
        'insufficient-memory',
      );
      two[dispose]();
      root.openAt({}, 'three', {}, READ);
      assert.equal(one.write(new Uint8Array(200), 0n), 200n);
      assert.equal(one.write(new Uint8Array(200), 200n), 100n);
      assert.equal(
        word(() => one.write(new Uint8Array(1), 300n)),
        'quota',
      );
      const stream = root.readDirectory();
      stream.readDirectoryEntry();
      stream.readDirectoryEntry();
      assert.equal(
        word(() => stream.readDirectoryEntry()),
        'quota',
      );
    });

    it('has standard streams in every form', () => {
      const { imports, wasi } = open({ stdin: bytes('input'), stdout: 'pipe', stderr: 'pipe' });
      const stdin = imports['wasi:cli/stdin'].getStdin();
      const stdout = imports['wasi:cli/stdout'].getStdout();
      const stderr = imports['wasi:cli/stderr'].getStderr();
      assert.equal(text(stdin.blockingRead(3n)), 'inp');
      assert.equal(text(stdin.read(100n)), 'ut');
      assert.equal(
        word(() => stdin.blockingRead(1n)),
        'closed',
      );
      stdout.blockingWriteAndFlush(bytes('out'));
      assert.equal(stdout.checkWrite(), 1n << 20n);
      stdout.write(bytes('put'));
      stderr.write(bytes('err'));
      assert.deepEqual([text(wasi.stdout), text(wasi.stderr)], ['output', 'err']);
      for (const end of ['Stdin', 'Stdout', 'Stderr']) {
        const { [`getTerminal${end}`]: get } = imports[`wasi:cli/terminal-${end.toLowerCase()}`];
        assert.equal(get(), undefined);
      }
    });

    it('has descriptors of the host as streams', () => {
      fs.writeFileSync(box('in'), 'from a file');
      const stdin = fs.openSync(box('in'), 'r');
      const stdout = fs.openSync(box('out'), 'w');
      const { imports } = open({ stdin, stdout });
      const input = imports['wasi:cli/stdin'].getStdin();
      const output = imports['wasi:cli/stdout'].getStdout();
      assert.equal(text(input.blockingRead(100n)), 'from a file');
      output.blockingWriteAndFlush(bytes('x'.repeat(100_000)));
      assert.equal(fs.readFileSync(box('out'), 'utf8').length, 100_000);
      fs.closeSync(stdin);
      fs.closeSync(stdout);
    });

    it('caps what it collects', () => {
      const { imports, wasi } = open({ stdout: 'pipe', limits: { outputBytes: 10 } });
      const stdout = imports['wasi:cli/stdout'].getStdout();
      stdout.write(bytes('12345'));
      assert.equal(
        word(() => stdout.blockingWriteAndFlush(bytes('6789012'))),
        'last-operation-failed',
      );
      assert.equal(text(wasi.stdout), '1234567890');
      assert.equal(wasi.stdoutTruncated, true);
    });

    it('has clocks, real and set', () => {
      const real = open({}).imports;
      const { now } = real['wasi:clocks/monotonic-clock'];
      const first = now();
      assert.ok(now() >= first && first > 0n);
      const seconds = BigInt(Math.floor(Date.now() / 1000));
      const wall = real['wasi:clocks/wall-clock'].now();
      assert.ok(wall.seconds >= seconds && wall.seconds < seconds + 100n);
      assert.ok(real['wasi:clocks/monotonic-clock'].resolution() > 0n);
      const { imports } = open({
        clock: { realtime: 5_000_000_007n, monotonic: { start: 100n, step: 1n } },
      });
      assert.deepEqual(imports['wasi:clocks/wall-clock'].now(), { seconds: 5n, nanoseconds: 7 });
      const clock = imports['wasi:clocks/monotonic-clock'];
      assert.equal(clock.now(), 100n);
      const day = 86_400_000_000_000n;
      clock.subscribeDuration(day).block();
      assert.equal(clock.now(), 101n + day);
      clock.subscribeInstant(3n * day).block();
      assert.equal(clock.now(), 3n * day);
    });

    it('sleeps and polls', () => {
      const { imports } = open({});
      const { now, subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
      const { poll } = imports['wasi:io/poll'];
      const start = now();
      const never = subscribeDuration((1n << 64n) - 1n);
      const soon = subscribeDuration(70_000_000n);
      assert.equal(soon.ready(), false);
      assert.deepEqual([...poll([never, soon])], [1]);
      assert.ok(now() - start >= 70_000_000n);
      assert.equal(soon.ready(), true);
      assert.match(word(() => poll([])).message, /poll/);
    });

    it('has randomness, also from a seed', () => {
      const { imports } = open({});
      const { getRandomBytes, getRandomU64 } = imports['wasi:random/random'];
      assert.equal(getRandomBytes(100n).length, 100);
      assert.notDeepEqual(getRandomBytes(16n), getRandomBytes(16n));
      assert.notEqual(getRandomU64(), getRandomU64());
      assert.equal(getRandomBytes(0n).length, 0);
      assert.equal(imports['wasi:random/insecure'].getInsecureRandomBytes(7n).length, 7);
      assert.equal(typeof imports['wasi:random/insecure'].getInsecureRandomU64(), 'bigint');
      assert.equal(imports['wasi:random/insecure-seed'].insecureSeed().length, 2);
      const seeded = () =>
        open({ random: 'seed' }).imports['wasi:random/random'].getRandomBytes(32n);
      assert.deepEqual(seeded(), seeded());
    });

    it('exits by an error with a code', () => {
      const { imports } = open({});
      const { exit, exitWithCode } = imports['wasi:cli/exit'];
      for (const [code, act] of [
        [0, () => exit({ tag: 'ok' })],
        [1, () => exit({ tag: 'err' })],
        [7, () => exitWithCode(7)],
      ]) {
        assert.throws(act, (error) => error instanceof WASIExitError && error.exitCode === code);
      }
    });

    it('opens and drops thousands of handles and keeps none', () => {
      const { wasi, root } = opened();
      fs.writeFileSync(box('file'), 'text');
      const before = wasi.resources;
      const descriptors = () => fs.readdirSync('/proc/self/fd').length;
      const isLinux = process.platform === 'linux';
      const open = isLinux ? descriptors() : 0;
      for (let round = 0; round < 2000; round++) {
        const file = root.openAt({}, 'file', {}, BOTH);
        const input = file.readViaStream(0n);
        const pollable = input.subscribe();
        const output = file.writeViaStream(0n);
        for (const one of [file, input, output, pollable]) one[dispose]();
      }
      assert.equal(wasi.resources, before);
      if (isLinux) assert.equal(descriptors(), open);
    });

    it('has nothing left when it is closed', () => {
      const { wasi, root } = opened();
      const file = root.openAt({}, 'file', CREATE, BOTH);
      const stream = file.writeViaStream(0n);
      wasi.close();
      assert.equal(wasi.resources, 0);
      assert.equal(
        word(() => file.read(1n, 0n)),
        'bad-descriptor',
      );
      assert.equal(
        word(() => root.openAt({}, 'file', {}, READ)),
        'bad-descriptor',
      );
      assert.equal(
        word(() => stream.write(bytes('x'))),
        'closed',
      );
      wasi.close();
    });

    it('moves large parts', () => {
      const { root } = opened();
      const large = new Uint8Array(3 << 20).map((_, index) => (index * 31) >> 4);
      const file = root.openAt({}, 'large', CREATE, BOTH);
      const out = file.writeViaStream(0n);
      for (let at = 0; at < large.length; at += 1 << 20) {
        assert.equal(out.checkWrite(), 1n << 20n);
        out.write(large.subarray(at, at + (1 << 20)));
      }
      assert.deepEqual(new Uint8Array(fs.readFileSync(box('large'))), large);
      const input = file.readViaStream(0n);
      const parts = [];
      try {
        for (;;) parts.push(input.blockingRead(1n << 20n));
      } catch (error) {
        assert.equal(error.tag, 'closed');
      }
      assert.deepEqual(new Uint8Array(Buffer.concat(parts)), large);
      out.blockingWriteAndFlush(large);
      assert.equal(fs.statSync(box('large')).size, 2 * large.length);
      assert.match(word(() => out.write(new Uint8Array((1 << 20) + 1))).message, /permitted/);
    });
  });
}

describe('the canonical ABI', () => {
  const made = (options = inside()) => {
    const wasi = new WASI({ ...NOTHING, ...options });
    const { imports, component } = lowered(wasi.getImportObject());
    const [root] = imports['wasi:filesystem/preopens'].getDirectories()[0];
    return { wasi, imports, component, root };
  };

  it('asks for just as many bytes as there are', () => {
    fs.writeFileSync(box('seven'), '1234567');
    const { root, component, imports } = made();
    const file = root.openAt({}, 'seven', {}, { read: true });
    const stream = file.readViaStream(0n);
    for (const length of [100n, 1n << 20n, 1n << 40n]) {
      file.read(length, 0n);
      assert.deepEqual(component.asked, [7]);
    }
    const pages = component.memory.buffer.byteLength;
    for (let round = 0; round < 4000; round++) file.read(1n << 30n, 0n);
    assert.ok(component.memory.buffer.byteLength - pages <= 65536);
    stream.blockingRead(1n << 40n);
    assert.deepEqual(component.asked, [7]);
    imports['wasi:random/random'].getRandomBytes(33n);
    assert.deepEqual(component.asked, [33]);
  });

  it('goes on when the memory grows in realloc', () => {
    fs.writeFileSync(box('file'), 'text');
    const { root, component } = made();
    const file = root.openAt({}, 'file', {}, { read: true });
    component.within = () => component.memory.grow(1);
    for (let round = 0; round < 5; round++) {
      assert.equal(text(file.read(10n, 0n)[0]), 'text');
      assert.equal(file.stat().size, 4n);
    }
  });

  it('refuses what realloc gives or calls', () => {
    fs.writeFileSync(box('file'), 'text');
    const { root, component } = made();
    const file = root.openAt({}, 'file', {}, { read: true });
    component.lie = 0xffff_fff0;
    assert.throws(() => file.read(10n, 0n), /outside the memory/);
    component.lie = undefined;
    component.within = () => file.stat();
    assert.throws(() => file.read(10n, 0n), /from realloc/);
    component.within = () => {
      throw new Error('realloc fails');
    };
    assert.throws(() => file.read(10n, 0n), /realloc fails/);
    component.within = undefined;
    assert.equal(text(file.read(10n, 0n)[0]), 'text');
  });

  it('refuses forged and stale handles', () => {
    fs.writeFileSync(box('file'), 'text');
    const { root, imports, component, wasi } = made();
    const file = root.openAt({}, 'file', {}, { read: true });
    const { Descriptor } = imports['wasi:filesystem/types'];
    const { InputStream } = imports['wasi:io/streams'];
    const { Pollable } = imports['wasi:io/poll'];
    const forged = (Class, handle) => Object.assign(new Class(), { handle });
    const before = wasi.resources;
    for (const handle of [0, -1, 3, 4, 1 << 20, 0x7fff_ffff, -0x8000_0000]) {
      assert.equal(
        word(() => forged(Descriptor, handle).stat()),
        'bad-descriptor',
        String(handle),
      );
      assert.equal(
        word(() => forged(InputStream, handle).read(1n)),
        'closed',
      );
      assert.throws(() => forged(Pollable, handle).block(), WebAssembly.RuntimeError);
    }
    file[dispose]();
    assert.equal(
      word(() => file.stat()),
      'bad-descriptor',
    );
    assert.throws(() => file[dispose](), WebAssembly.RuntimeError);
    // A handle in a table of another kind.
    const [out] = [imports['wasi:cli/stdout'].getStdout()];
    component.tables.Descriptor.push(0, component.tables.OutputStream[(out.handle << 1) + 1]);
    const wrong = (component.tables.Descriptor.length >> 1) - 1;
    assert.equal(
      word(() => forged(Descriptor, wrong).stat()),
      'bad-descriptor',
    );
    assert.equal(wasi.resources, before);
  });

  it('refuses texts of another encoding, which it would read wrongly', () => {
    const LOWER = Symbol.for('cabiLower');
    const imports = new WASI({ ...NOTHING, ...inside() }).getImportObject();
    const { Descriptor } = imports['wasi:filesystem/types'];
    const { memory, realloc } = made().component;
    const takesTexts = [
      imports['wasi:cli/environment'].getArguments,
      imports['wasi:filesystem/preopens'].getDirectories,
      Descriptor.prototype.openAt,
      Descriptor.prototype.readlinkAt,
      Descriptor.prototype.linkAt,
    ];
    for (const one of takesTexts) {
      const of = (stringEncoding) =>
        one[LOWER]({ memory, realloc, resourceTables: [[1 << 30, 0]], stringEncoding });
      assert.equal(typeof of('utf8'), 'function');
      assert.equal(typeof of(undefined), 'function');
      for (const other of ['utf16', 'compact-utf16']) {
        const code = 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM';
        assert.throws(() => of(other), { name: 'TypeError', code });
      }
    }
  });

  it('refuses lists that no memory holds', () => {
    const { root, component, imports } = made();
    const LOWER = Symbol.for('cabiLower');
    const wasi = new WASI({ ...NOTHING, ...inside() });
    const raw = wasi.getImportObject();
    const table = component.tables.Descriptor;
    void root;
    void imports;
    const { Descriptor } = raw['wasi:filesystem/types'];
    const { OutputStream } = raw['wasi:io/streams'];
    const { memory, realloc } = component;
    const descriptors = [1 << 30, 0];
    raw['wasi:filesystem/preopens'].getDirectories[LOWER]({
      memory,
      realloc,
      resourceTables: [descriptors],
    })(256);
    const streams = [1 << 30, 0];
    const stream = raw['wasi:cli/stdout'].getStdout[LOWER]({ resourceTables: [streams] })();
    const context = { memory, realloc, resourceTables: [descriptors] };
    const create = Descriptor.prototype.createDirectoryAt[LOWER](context);
    const write = OutputStream.prototype.blockingWriteAndFlush[LOWER]({
      memory,
      realloc,
      resourceTables: [[1 << 30, 0], streams],
    });
    const poll = raw['wasi:io/poll'].poll[LOWER]({
      memory,
      realloc,
      resourceTables: [[1 << 30, 0]],
    });
    for (const [pointer, length] of [
      [0, 0x8000_0000 | 0],
      [0, -1],
      [-1, 1],
      [memory.buffer.byteLength - 1, 2],
    ]) {
      assert.throws(() => create(1, pointer, length, 256), WebAssembly.RuntimeError);
      assert.throws(() => write(stream, pointer, length, 256), WebAssembly.RuntimeError);
      assert.throws(() => poll(pointer & ~3, length, 256), WebAssembly.RuntimeError);
    }
    for (const area of [-1, memory.buffer.byteLength - 1, memory.buffer.byteLength]) {
      assert.throws(() => create(1, 0, 1, area), WebAssembly.RuntimeError);
    }
    assert.deepEqual(fs.readdirSync(box()), []);
    assert.ok(table.length >= 2);
  });

  it('serves several components, each with its memory', () => {
    fs.writeFileSync(box('file'), 'text');
    const wasi = new WASI({ ...NOTHING, ...inside() });
    const components = Array.from({ length: 5 }, () => lowered(wasi.getImportObject()));
    const files = components.map(({ imports }) => {
      const [[root]] = imports['wasi:filesystem/preopens'].getDirectories();
      return root.openAt({}, 'file', {}, { read: true });
    });
    for (let round = 0; round < 20; round++) {
      files.forEach((file, index) => {
        components[index].component.memory.grow(round % 2);
        assert.equal(text(file.read(100n, 0n)[0]), 'text');
      });
    }
  });
});

describe('values', () => {
  it('belong to one WASI', () => {
    const one = new WASI({ ...NOTHING, ...inside() }).getImportObject();
    const other = new WASI({ ...NOTHING, preopens: { '/box': path.join(folder, 'outside') } });
    const imports = other.getImportObject();
    const [[mine]] = one['wasi:filesystem/preopens'].getDirectories();
    const [[theirs]] = imports['wasi:filesystem/preopens'].getDirectories();
    assert.throws(() => mine.renameAt('a', theirs, 'b'), TypeError);
    assert.throws(() => mine.isSameObject(theirs), TypeError);
    const { Descriptor } = one['wasi:filesystem/types'];
    assert.throws(() => Descriptor.prototype.stat.call(theirs), TypeError);
    assert.throws(() => new Descriptor(), TypeError);
    mine[dispose]();
    assert.equal(
      word(() => mine.stat()),
      'bad-descriptor',
    );
    mine[dispose]();
  });

  it('take streams that are functions', () => {
    const chunks = ['one', 'two', null];
    const written = [];
    const wasi = new WASI({
      stdin: () => chunks.shift(),
      stdout: (chunk) => void written.push(text(chunk)),
      stderr: 'ignore',
    });
    const imports = wasi.getImportObject();
    const stdin = imports['wasi:cli/stdin'].getStdin();
    assert.equal(text(stdin.blockingRead(2n)), 'on');
    assert.equal(text(stdin.read(100n)), 'e');
    assert.equal(text(stdin.blockingRead(100n)), 'two');
    assert.equal(
      word(() => stdin.blockingRead(1n)),
      'closed',
    );
    const stdout = imports['wasi:cli/stdout'].getStdout();
    stdout.write(bytes('a'));
    stdout.blockingWriteAndFlush(bytes('b'));
    assert.deepEqual(written, ['a', 'b']);
    const failing = new WASI({
      ...NOTHING,
      stdout: () => {
        throw new Error('full');
      },
    }).getImportObject();
    assert.throws(
      () => failing['wasi:cli/stdout'].getStdout().blockingWriteAndFlush(bytes('x')),
      ({ code, cause }) => code === 'ERR_WASI_STOPPED' && cause.message === 'full',
    );
  });

  it('are traced and counted by the names of the interface', () => {
    const events = [];
    const wasi = new WASI({
      ...NOTHING,
      ...inside(),
      trace: (event) => events.push(event),
      stats: true,
    });
    const imports = wasi.getImportObject();
    const [[root]] = imports['wasi:filesystem/preopens'].getDirectories();
    root.openAt({}, 'file', { create: true }, { write: true });
    word(() => root.openAt({ symlinkFollow: true }, 'none', {}, { read: true }));
    const [, created, failed] = events;
    assert.match(created.name, /open-at$/);
    assert.equal(created.name, 'wasi:filesystem/types#[method]descriptor.open-at');
    assert.deepEqual(created.args.openFlags, ['create']);
    assert.deepEqual([created.args.path, created.errno], ['file', 'success']);
    assert.deepEqual([failed.args.path, failed.errno], ['none', 'no-entry']);
    assert.equal(typeof failed.ns, 'number');
    assert.equal(wasi.stats()[created.name].calls, 2);
    assert.equal(new WASI(NOTHING).stats(), undefined);
    const counted = new WASI({ ...NOTHING, stats: true });
    const own = counted.getImportObject();
    assert.equal(typeof own['wasi:clocks/monotonic-clock'].now(), 'bigint');
    word(() => own['wasi:sockets/tcp-create-socket'].createTcpSocket('ipv4'));
    assert.deepEqual(
      Object.entries(counted.stats()).map(([name, { calls }]) => `${name} ${calls}`),
      ['wasi:clocks/monotonic-clock#now 1', 'wasi:sockets/tcp-create-socket#create-tcp-socket 1'],
    );
  });

  it('keep the limits of calls and time', () => {
    const calls = new WASI({ ...NOTHING, limits: { hostCalls: 2 } }).getImportObject();
    const { now } = calls['wasi:clocks/monotonic-clock'];
    now();
    now();
    const isLimit = (limit) => (error) => error.code === 'ERR_WASI_LIMIT' && error.limit === limit;
    assert.throws(now, isLimit('hostCalls'));
    assert.throws(now, isLimit('hostCalls'));
    const timed = new WASI({ ...NOTHING, timeoutMs: 60 }).getImportObject();
    const pollable = timed['wasi:clocks/monotonic-clock'].subscribeDuration(1n << 62n);
    assert.throws(() => pollable.block(), isLimit('timeoutMs'));
  });

  it('ask for no more memory than is bounded', () => {
    const { getRandomBytes } = new WASI(NOTHING).getImportObject()['wasi:random/random'];
    assert.equal(getRandomBytes(1n << 20n).length, 1 << 20);
    assert.throws(() => getRandomBytes(1n << 40n), WebAssembly.RuntimeError);
    assert.throws(() => getRandomBytes((1n << 64n) - 1n), WebAssembly.RuntimeError);
  });
});

describe('the network', () => {
  it('is refused in the words of the interfaces', () => {
    const imports = new WASI(NOTHING).getImportObject();
    const network = imports['wasi:sockets/instance-network'].instanceNetwork();
    for (const act of [
      () => imports['wasi:sockets/tcp-create-socket'].createTcpSocket('ipv4'),
      () => imports['wasi:sockets/udp-create-socket'].createUdpSocket('ipv6'),
      () => imports['wasi:sockets/ip-name-lookup'].resolveAddresses(network, 'localhost'),
    ]) {
      assert.equal(word(act), 'access-denied');
    }
    const { Fields, OutgoingRequest } = imports['wasi:http/types'];
    const headers = Fields.fromList([['Accept', bytes('*/*')]]);
    assert.equal(text(headers.get('accept')[0]), '*/*');
    headers.set('x-y', [bytes('1'), bytes('2')]);
    assert.equal(headers.entries().length, 3);
    assert.equal(
      word(() => headers.append('bad name', bytes('x'))),
      'invalid-syntax',
    );
    for (const value of ['a\0', 'a\nb', 'a\rb', '\x01', '\x1f', '\x7f']) {
      assert.equal(
        word(() => headers.append('a', bytes(value))),
        'invalid-syntax',
        JSON.stringify(value),
      );
    }
    headers.append('a', bytes('\t é'));
    const request = new OutgoingRequest(headers);
    request.setAuthority('localhost:1');
    assert.equal(request.authority(), 'localhost:1');
    assert.equal(
      word(() => request.headers().append('a', bytes('b'))),
      'immutable',
    );
    assert.equal(
      word(() => imports['wasi:http/outgoing-handler'].handle(request, undefined)),
      'HTTP-request-denied',
    );
  });

  it('has no headers that say how a message travels, or to whom', () => {
    const { Fields } = new WASI(NOTHING).getImportObject()['wasi:http/types'];
    const { _forbiddenHeaders } = require('../lib/p2/http.js');
    const headers = Fields.fromList([['Hosts', bytes('a')]]);
    const isForbidden = (name) => {
      for (const act of [
        () => headers.append(name, bytes('b')),
        () => headers.set(name, [bytes('b')]),
        () => headers.set(name, []),
        () => headers.delete(name),
        () => Fields.fromList([[name, bytes('b')]]),
      ]) {
        assert.equal(word(act), 'forbidden', name);
      }
      assert.equal(headers.has(name), false);
    };
    for (const name of ['Host', 'host', 'Transfer-Encoding', 'connection', 'UPGRADE']) {
      isForbidden(name);
    }
    assert.equal(
      word(() => headers.append('host', bytes('a\nb'))),
      'invalid-syntax',
    );
    headers.append('x-own', bytes('b'));
    headers.delete('x-own');
    _forbiddenHeaders.add('x-own');
    try {
      isForbidden('X-Own');
    } finally {
      _forbiddenHeaders.delete('x-own');
    }
    assert.deepEqual(
      headers.entries().map(([name]) => name),
      ['Hosts'],
    );
  });

  it('is refused to a request with a body, which is forgotten', () => {
    const wasi = new WASI({ ...NOTHING, ...inside() });
    const imports = wasi.getImportObject();
    const { Fields, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions } =
      imports['wasi:http/types'];
    const { OutputStream } = imports['wasi:io/streams'];
    const { handle } = imports['wasi:http/outgoing-handler'];
    const request = new OutgoingRequest(new Fields());
    request.setMethod({ tag: 'post' });
    const body = request.body();
    assert.throws(
      () => request.body(),
      (error) => error === undefined,
    );
    const stream = body.write();
    assert.throws(
      () => body.write(),
      (error) => error === undefined,
    );
    assert.ok(stream instanceof OutputStream);
    const ready = stream.subscribe();
    assert.ok(ready.ready());
    ready.block();
    assert.ok(stream.checkWrite() > 0n);
    for (let i = 0; i < 3; i++) {
      stream.blockingWriteAndFlush(bytes('x'.repeat(100_000)));
      stream.write(bytes('x'));
      stream.flush();
      stream.blockingFlush();
      stream.writeZeroes(1n);
      stream.blockingWriteZeroesAndFlush(1n);
    }
    const [[root]] = imports['wasi:filesystem/preopens'].getDirectories();
    root.openAt({}, 'file', { create: true }, { write: true }).write(bytes('text'), 0n);
    const file = root.openAt({}, 'file', {}, { read: true }).readViaStream(0n);
    assert.equal(stream.splice(file, 3n), 3n);
    assert.equal(stream.blockingSplice(file, 3n), 1n);
    assert.equal(
      word(() => stream.splice(file, 4n)),
      'closed',
    );
    ready[dispose]();
    stream[dispose]();
    assert.equal(OutgoingBody.finish(body, new Fields()), undefined);
    assert.equal(
      word(() => handle(request, new RequestOptions())),
      'HTTP-request-denied',
    );
    new OutgoingResponse(new Fields()).body().write();
    wasi.close();
    assert.equal(wasi.resources, 0);
    // What is refused gives back what it held: the event loop has no turn here.
    for (let i = 0; i < 40_000; i++) {
      const request = new OutgoingRequest(Fields.fromList([['name', bytes('value')]]));
      request.body()[dispose]();
      assert.equal(
        word(() => handle(request, new RequestOptions())),
        'HTTP-request-denied',
      );
    }
    const bodies = () => {
      for (let i = 0; i < 80_000; i++) {
        const request = new OutgoingRequest(new Fields());
        request.body();
        request[dispose]();
      }
    };
    assert.throws(bodies, /headers, requests and networks take too much memory/);
  });

  it('takes what the parts of a request and a response may be', () => {
    const { Fields, OutgoingRequest, OutgoingResponse } = new WASI({
      ...NOTHING,
      interfaces: { 'wasi:http/outgoing-handler': { handle: () => 'sent' } },
    }).getImportObject()['wasi:http/types'];
    const takes = (Class, name, value) => {
      const made = new Class(new Fields());
      const before = made[name]();
      try {
        made[`set${name[0].toUpperCase()}${name.slice(1)}`](value);
      } catch (error) {
        assert.equal(error, undefined);
        assert.equal(made[name](), before);
        return false;
      }
      assert.equal(made[name](), value);
      return true;
    };
    const other = (texts) => texts.map((val) => ({ tag: 'other', val }));
    for (const [name, good, bad] of [
      [
        'pathWithQuery',
        [undefined, '', '*', '/', '/a/b;c=1?d[]=%20&e={"f"}&g=`|^\\', '?a'],
        // Behind an authority, `@` makes a user's name of what stands before it.
        [
          'a',
          '@other.example/',
          '.other.example/',
          '/ HTTP/1.1',
          '/\r\nHost: x',
          '/ä',
          '/#a',
          '/\x7f',
        ],
      ],
      [
        'authority',
        [undefined, 'localhost', 'a.example:80', 'a:', '[::1]', '[::1]:65535', 'u:p@h:1', 'a%20b'],
        [
          '',
          'a b',
          'a\r\nb',
          'a/b',
          'a?b',
          'a#b',
          'a:65536',
          'a:b',
          'a:-1',
          '::1',
          '[::1',
          '[]',
          '[::1]a',
          'a@b@c',
          '[a]@b',
          'ä',
        ],
      ],
      [
        'scheme',
        [undefined, { tag: 'HTTP' }, { tag: 'HTTPS' }, ...other(['ftp', 'svn+ssh'])],
        other(['', '1a', 'a b', 'a:', 'ä']),
      ],
      ['method', [{ tag: 'get' }, ...other(['PURGE'])], other(['', 'A B', 'A\r\n'])],
    ]) {
      for (const value of good) assert.ok(takes(OutgoingRequest, name, value), `${name} ${value}`);
      for (const value of bad) assert.ok(!takes(OutgoingRequest, name, value), `${name} ${value}`);
    }
    for (const status of [100, 200, 999]) assert.ok(takes(OutgoingResponse, 'statusCode', status));
    for (const status of [0, 99, 1000]) assert.ok(!takes(OutgoingResponse, 'statusCode', status));
  });

  it('counts as calls, takes time, and shows in a trace', () => {
    const denied = ({ createTcpSocket }) =>
      assert.throws(
        () => createTcpSocket('ipv4'),
        (error) => error === 'access-denied',
      );
    const own = (options) => new WASI({ ...NOTHING, ...options }).getImportObject();
    for (const options of [{ limits: { hostCalls: 3 } }, { timeoutMs: 20 }]) {
      const imports = own(options);
      const { Fields } = imports['wasi:http/types'];
      const end = Date.now() + 10_000;
      const tries = () => {
        while (Date.now() < end) denied(imports['wasi:sockets/tcp-create-socket']);
      };
      assert.throws(tries, ({ actual, code }) => (actual?.code ?? code) === 'ERR_WASI_LIMIT');
      assert.throws(() => new Fields(), { code: 'ERR_WASI_LIMIT' });
      assert.throws(() => Fields.fromList([]), { code: 'ERR_WASI_LIMIT' });
    }
    const names = [];
    const wasi = new WASI({
      ...NOTHING,
      stats: true,
      trace: ({ name, errno }) => names.push(`${name.replace(/^wasi:/, '')} ${errno}`),
    });
    const imports = wasi.getImportObject();
    const { Fields, OutgoingRequest, RequestOptions } = imports['wasi:http/types'];
    denied(imports['wasi:sockets/tcp-create-socket']);
    const fields = Fields.fromList([['a', bytes('b')]]);
    assert.ok(fields.clone() instanceof Fields);
    const request = new OutgoingRequest(fields);
    request.headers();
    assert.throws(
      () => request.setAuthority(''),
      (error) => error === undefined,
    );
    assert.equal(
      word(() => imports['wasi:http/outgoing-handler'].handle(request, new RequestOptions())),
      'HTTP-request-denied',
    );
    assert.deepEqual(names, [
      'sockets/tcp-create-socket#create-tcp-socket access-denied',
      'http/types#[static]fields.from-list success',
      'http/types#[method]fields.clone success',
      'http/types#[constructor]outgoing-request success',
      'http/types#[method]outgoing-request.headers success',
      'http/types#[method]outgoing-request.set-authority error',
      'http/types#[constructor]request-options success',
      'http/outgoing-handler#handle HTTP-request-denied',
    ]);
    assert.equal(Object.keys(wasi.stats()).length, names.length);
  });

  it('goes to functions of the embedder', () => {
    const handle = () => 'answered';
    const wasi = new WASI({
      ...NOTHING,
      interfaces: { 'wasi:http/outgoing-handler@0.2.3': { handle } },
    });
    const imports = wasi.getImportObject();
    assert.equal(imports['wasi:http/outgoing-handler'].handle(), 'answered');
    // It would miss what is forgotten.
    const { Fields, OutgoingRequest } = imports['wasi:http/types'];
    assert.throws(
      () => new OutgoingRequest(new Fields()).body(),
      (error) => error === undefined,
    );
    assert.throws(() => new WASI({ interfaces: { 'wasi:http/types': 5 } }), {
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });
});

describe('the class', () => {
  it('checks its options as preview1 does', () => {
    for (const options of [
      null,
      5,
      { args: 5 },
      { env: 5 },
      { preopens: 5 },
      { preopens: { '/x': { path: '.', readOnly: 1 } } },
      { stdin: 'nothing' },
      { stdout: true },
      { limits: { openFiles: -1 } },
      { clock: { realtime: 5 } },
      { trace: 1 },
      { returnOnExit: 5 },
      { preopens: { '/x': '/there/is/nothing' } },
    ]) {
      const codeOf = (Class) => {
        try {
          new Class(
            options?.args || options === null ? options : { version: 'preview1', ...options },
          );
        } catch (error) {
          return error.code;
        }
        return 'no error';
      };
      const [one, other] = [codeOf(WASI), codeOf(Preview1)];
      assert.equal(one, other, JSON.stringify(options));
      if (options !== 5) assert.match(one, /^(ERR|UVWASI)_/, JSON.stringify(options));
    }
    assert.throws(() => new WASI({ version: 'preview3' }), { code: 'ERR_INVALID_ARG_VALUE' });
    for (const [name, meant] of [
      ['preopen', 'preopens'],
      ['limit', 'limits'],
      ['interface', 'interfaces'],
    ]) {
      const message = new RegExp(`'options\\.${name}' is not known: did you mean '${meant}'`);
      assert.throws(() => new WASI({ [name]: {} }), { code: 'ERR_INVALID_ARG_VALUE', message });
    }
    new WASI({ bogus: 1 }).close();
  });

  it('checks what only it has, and refuses what it lacks', () => {
    const [TYPE, VALUE] = ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE'];
    const wasi = new WASI(NOTHING);
    const made = (options) => () => new WASI(options);
    const shim = (config) => () => new WASIShim(config);
    const interfaces = (value) => made({ interfaces: value });
    for (const [act, code, name] of [
      [made(null), TYPE, '"options"'],
      [made(5), TYPE, '"options"'],
      [made([]), TYPE, '"options"'],
      [made({ version: null }), VALUE, "'options.version'"],
      [made({ version: 5 }), VALUE, "'options.version'"],
      [made({ version: 'preview3' }), VALUE, "'options.version'"],
      [interfaces(null), TYPE, '"options.interfaces"'],
      [interfaces(5), TYPE, '"options.interfaces"'],
      [interfaces([]), TYPE, '"options.interfaces"'],
      [interfaces({ 'my:own/x': null }), TYPE, '"options.interfaces["my:own/x"]"'],
      [interfaces({ 'my:own/x': () => {} }), TYPE, '"options.interfaces["my:own/x"]"'],
      [interfaces({ 'wasi:io/poll@0.3.0': {} }), VALUE, "'options.interfaces'"],
      [made({ sockets: [] }), VALUE, "'options.sockets'"],
      [made({ sockets: [{ host: '127.0.0.1', port: 0 }] }), VALUE, "'options.sockets'"],
      [made({ preopens: { '/d': { fs } } }), VALUE, "'options.preopens['/d'].fs'"],
      [made({ preopens: { '/c': '.', '/d': { fs } } }), VALUE, "'options.preopens['/d'].fs'"],
      [made({ returnOnExit: null }), TYPE, '"options.returnOnExit"'],
      [made({ returnOnExit: 1 }), TYPE, '"options.returnOnExit"'],
      [() => wasi.getImportObject(null), TYPE, '"options"'],
      [() => wasi.getImportObject('0.2.3'), TYPE, '"options"'],
      [() => wasi.getImportObject({ asVersion: null }), VALUE, "'options.asVersion'"],
      [() => wasi.getImportObject({ asVersion: '0.3.0' }), VALUE, "'options.asVersion'"],
      [() => wasi.getImportObject({ asVersion: ['0.2.3'] }), VALUE, "'options.asVersion'"],
      [() => wasi.getImportObject({ version: '0.2.3' }), VALUE, "'options.version' is not known"],
      [() => wasi.start(), TYPE, '"component"'],
      [() => wasi.start(null), TYPE, '"component"'],
      [() => wasi.start(5), TYPE, '"component"'],
      [shim(null), TYPE, '"config"'],
      [shim({ sandbox: null }), TYPE, '"config.sandbox"'],
      [shim({ sandbox: 5 }), TYPE, '"config.sandbox"'],
      [shim({ sandbox: { preopen: {} } }), VALUE, "'config.sandbox.preopen' is not known"],
      [shim({ cli: null }), TYPE, '"config.cli"'],
      [shim({ cli: 5 }), TYPE, '"config.cli"'],
      [shim({ toString: {} }), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'config.toString'],
    ]) {
      assert.throws(act, (error) => {
        assert.deepEqual([error.name, error.code], ['TypeError', code], String(error));
        assert.ok(error.message.includes(name), error.message);
        return true;
      });
    }
    // What says nothing.
    for (const options of [
      undefined,
      { version: 'preview2', interfaces: undefined, returnOnExit: undefined },
      { interfaces: { 'my:own/x': undefined, 'wasi:io/poll@0.3.0': undefined } },
    ]) {
      new WASI(options).close();
    }
    new WASIShim({ cli: undefined, sandbox: undefined });
  });

  it('is made by configure() with just the options that it was given', () => {
    const { execFileSync } = require('node:child_process');
    const script = `
      const { configure } = require(${JSON.stringify(require.resolve('../lib/p2/index.js'))});
      const { setArgs } = require(${JSON.stringify(require.resolve('../lib/p2/default.js'))});
      const codes = [];
      const code = (act) => {
        try {
          act();
          codes.push('none');
        } catch (error) {
          codes.push(error.code);
        }
      };
      for (const options of [5, undefined, null, [], { args: 5 }]) {
        code(() => configure(options));
        // No component gets a WASI with other options.
        code(() => setArgs([]));
      }
      code(() => configure({ args: ['a'], stdout: 'ignore' }));
      code(() => setArgs(['b']));
      code(() => configure({}));
      process.stdout.write(JSON.stringify(codes));`;
    const codes = JSON.parse(
      execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000 }),
    );
    const wrong = Array.from({ length: 10 }, () => 'ERR_INVALID_ARG_TYPE');
    assert.deepEqual(codes, [...wrong, 'none', 'none', 'ERR_WASI_ALREADY_STARTED']);
  });

  it('gives the modules more than configure() has said', () => {
    const { execFileSync } = require('node:child_process');
    const script = `
      const at = (name) => require(${JSON.stringify(path.resolve('lib/p2'))} + '/' + name);
      const env = { A: '1', B: '2', C: undefined };
      const preopens = { '/box': ${JSON.stringify(box())} };
      at('index.js').configure({ env, preopens, stdin: 'ignore' });
      const cli = at('cli.js');
      const filesystem = at('filesystem.js');
      const told = [];
      const tell = () => told.push(Object.fromEntries(cli.environment.getEnvironment()));
      cli._appendEnv({ B: '3', D: '4' });
      tell();
      try {
        cli._setEnv(null);
        cli._setEnv({ get E() { throw 'wrong'; } });
      } catch (error) {
        told.push(error);
      }
      cli._appendEnv({});
      tell();
      try {
        filesystem._addPreopen('/fs', { fs: require('node:fs') });
      } catch (error) {
        told.push(error.code);
      }
      told.push(filesystem.preopens.getDirectories().map(([, name]) => name));
      process.stdout.write(JSON.stringify(told));`;
    const told = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    assert.deepEqual(JSON.parse(told), [
      { A: '1', B: '3', D: '4' },
      'wrong',
      {},
      'ERR_INVALID_ARG_VALUE',
      ['/box'],
    ]);
  });

  it('gives interfaces by name, with a version if that is asked for', () => {
    const wasi = new WASI(NOTHING);
    const names = Object.keys(wasi.getImportObject());
    assert.ok(names.includes('wasi:cli/environment') && names.includes('wasi:sockets/tcp'));
    const versioned = wasi.getImportObject({ asVersion: '0.2.3' });
    assert.ok('wasi:cli/environment@0.2.3' in versioned);
    assert.ok(!('wasi:cli/environment@0.2.4' in versioned));
    const imports = wasi.getImportObject();
    for (const version of ['0.2.0', '0.2.12', '0.2.99']) {
      const name = `wasi:cli/environment@${version}`;
      assert.ok(name in imports);
      assert.equal(imports[name], imports['wasi:cli/environment']);
      assert.equal({ ...imports }[name], undefined);
    }
    for (const other of ['0.3.0', '0.1.0', '0.2', '0.2.0-rc', '0.2.0@0.2.0', '']) {
      assert.ok(!(`wasi:cli/environment@${other}` in imports), other);
    }
    assert.ok(!('wasi:cli/other@0.2.0' in imports));
    imports['my:own/thing'] = names;
    assert.equal(imports['my:own/thing'], names);
    assert.ok(imports instanceof Object && `${imports}` === '[object Object]');
  });

  it('starts a component and gives its exit code', async () => {
    const wasi = new WASI(NOTHING);
    const { exitWithCode } = wasi.getImportObject()['wasi:cli/exit'];
    assert.equal(wasi.start({ run: { run() {} } }), 0);
    assert.equal(wasi.start({ 'wasi:cli/run@0.2.3': { run: () => exitWithCode(3) } }), 3);
    assert.equal(await wasi.start({ run: { run: async () => exitWithCode(4) } }), 4);
    assert.throws(() => wasi.start({ run: { run: () => assert.fail('inside') } }), /inside/);
    assert.throws(() => wasi.start({}), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('begins the time of a component when it starts', async () => {
    const timeoutMs = 200;
    const wasi = new WASI({ ...NOTHING, timeoutMs });
    const imports = wasi.getImportObject();
    const { now } = imports['wasi:clocks/monotonic-clock'];
    const run = (act) => wasi.start({ run: { run: act } });
    // As code does that runs when a component is instantiated.
    imports['wasi:cli/environment'].getEnvironment();
    for (let round = 0; round < 2; round++) {
      await new Promise((resolve) => setTimeout(resolve, timeoutMs + 50));
      assert.equal(
        run(() => void now()),
        0,
      );
    }
    const end = Date.now() + 10_000;
    const tooLong = () => {
      while (Date.now() < end) now();
    };
    assert.throws(() => run(tooLong), { code: 'ERR_WASI_LIMIT' });
    assert.throws(() => run(now), { code: 'ERR_WASI_LIMIT' });
  });

  it('gives a component no time by starting others while it runs', async () => {
    const component = (act) => ({ run: { run: act } });
    const made = () => {
      const wasi = new WASI({ ...NOTHING, timeoutMs: 100 });
      const { now } = wasi.getImportObject()['wasi:clocks/monotonic-clock'];
      return [now, (act) => wasi.start(component(act))];
    };
    const end = Date.now() + 10_000;
    const [now, run] = made();
    const nested = () => {
      while (Date.now() < end) run(() => void now());
    };
    assert.throws(() => run(nested), { code: 'ERR_WASI_LIMIT' });
    const [later, runLater] = made();
    const waiting = async () => {
      while (Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        later();
      }
    };
    const waits = runLater(waiting);
    const others = setInterval(() => runLater(() => {}), 5);
    await assert.rejects(waits, { code: 'ERR_WASI_LIMIT' });
    clearInterval(others);
    // One that has ended or thrown does not run.
    const [again, runAgain] = made();
    assert.throws(
      () =>
        runAgain(() => {
          throw new Error('thrown');
        }),
      /thrown/,
    );
    await assert.rejects(
      runAgain(() => Promise.reject(new Error('rejected'))),
      /rejected/,
    );
    await runAgain(async () => {});
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(
      runAgain(() => void again()),
      0,
    );
  });

  it('is loaded only when it is asked for', () => {
    const { execFileSync } = require('node:child_process');
    const script = `
      require(${JSON.stringify(path.resolve('index.js'))});
      const loaded = Object.keys(require.cache).filter((file) => /lib.p2/.test(file));
      process.stdout.write(JSON.stringify(loaded));`;
    assert.equal(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }), '[]');
  });
});
