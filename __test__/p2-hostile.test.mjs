// Attacks by the functions of 0.2 that preview1 does not have: handles that are
// no handles, lists that no memory holds, numbers that lead nowhere. Each is the interface's error
// or a trap. Paths and races are attacked in sandbox.test.mjs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { lowered } from './p2/lowered.mjs';

const require = createRequire(import.meta.url);
const { WASI, WASIExitError } = require('../lib/p2/index.js');
const api = require('../index.js');
const { preview2 } = require('../binding.js');
const FUNCTIONS = require('../lib/p2/functions.js');
const loadWabt = require('wabt');

const LOWER = Symbol.for('cabiLower');
const dispose = Symbol.dispose ?? Symbol.for('dispose');
const OWN = 1 << 30;
const NOTHING = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' };
const SECRET = 'SECRET of another guest';
const AREA = 512;
const PAGE = 65536;
const { RuntimeError } = WebAssembly;
const isLinux = process.platform === 'linux';

let folder;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-p2-'));
  for (const name of ['box', 'outside']) fs.mkdirSync(path.join(folder, name));
  fs.writeFileSync(path.join(folder, 'outside/secret'), SECRET);
  fs.writeFileSync(path.join(folder, 'box/seven'), '1234567');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const box = (...names) => path.join(folder, 'box', ...names);
const outside = (...names) => path.join(folder, 'outside', ...names);
const bytes = (string) => new TextEncoder().encode(string);

/** All functions of a WASI as a component's core module has them, over one memory. */
function core(wasi) {
  const imports = wasi.getImportObject();
  const memory = new WebAssembly.Memory({ initial: 4 });
  /** By the kind of a resource, the table of its handles. */
  const tables = {};
  const tableOf = (kind) => (tables[kind] ??= [OWN, 0]);
  const asked = [];
  const realloc = (pointer, oldSize, align, size) => {
    asked.push(size);
    return 2 * PAGE;
  };
  const calls = {};
  for (const row of preview2.functions) {
    const [, name, , Class, method] = FUNCTIONS.find(([native]) => native === row.native);
    const kinds = row.parameters.filter(([, types]) => types === 'h').map(([, , kind]) => kind);
    if (row.native === 'poll_list') kinds.push('pollable');
    if (typeof row.error === 'number') kinds.push('error');
    if (typeof row.own === 'number') kinds.push(`own of ${row.native}`);
    const place = Class === '' ? imports[name] : imports[name][Class].prototype;
    const resourceTables = [...new Set(kinds)].map(tableOf);
    calls[row.native] = place[method][LOWER]({ memory, realloc, resourceTables });
  }
  return { asked, calls, imports, memory, tableOf };
}

/** Puts a rep into a table and gives its handle. */
function plant(table, rep) {
  table.push(0, (rep | OWN) >>> 0);
  return (table.length >> 1) - 1;
}

/** Arguments for a row, by what a parameter is. */
function argumentsFor(row, values) {
  const args = row.parameters.flatMap(([, types, kind]) => {
    if (types === 'h') return [values.handle(kind)];
    if (types === 'ii') return values.list ?? [1024, 5];
    if (types === 'T') return [2, values.long ?? 1n, 1];
    return [types === 'I' ? (values.long ?? 1n) : (values.word ?? 0)];
  });
  if (row.area > 0) args.push(values.area ?? AREA);
  return args;
}

/** The end of a call: a result, or a trap. Anything else is a fault. */
function ends(call, args, what) {
  try {
    return { value: call(...args) };
  } catch (error) {
    assert.ok(
      error instanceof RuntimeError || error instanceof WASIExitError,
      `${what}: ${error?.stack ?? error}`,
    );
    assert.ok(!/internal fault/.test(error.message), `${what}: ${error.message}`);
    return { trap: error };
  }
}

/** Functions that end the guest, or may be left waiting for what never comes. */
const APART = ['exit', 'exit_with_code', 'block', 'poll_list'];

describe('handles', () => {
  /** The reps that a guest has, of all kinds. */
  function owned(wasi) {
    const imports = wasi.getImportObject();
    const REP = Symbol.for('cabiRep');
    const [[root]] = imports['wasi:filesystem/preopens'].getDirectories();
    const file = root.openAt({}, 'secret', {}, { read: true, write: true });
    const input = file.readViaStream(0n);
    const output = file.writeViaStream(0n);
    const failing = file.readViaStream((1n << 64n) - 1n);
    let error;
    try {
      failing.blockingRead(1n);
    } catch ({ val }) {
      error = val;
    }
    const all = [root, file, input, output, input.subscribe(), root.readDirectory(), error];
    return all.map((one) => one[REP]);
  }

  it('of another instance, forged and stale ones stand for nothing', () => {
    const victim = new WASI({ ...NOTHING, preopens: { '/': outside() } });
    const reps = owned(victim);
    const before = victim.resources;
    // It has nothing of its own.
    const attacker = new WASI(NOTHING);
    const { calls, memory, tableOf, imports } = core(attacker);
    const [input] = [imports['wasi:cli/stdin'].getStdin()];
    const stale = input[Symbol.for('cabiRep')];
    input[dispose]();
    const forged = [0, 1, 2, 3, 0x7fff_ffff, 0x3fff_ffff, stale, ...reps];
    for (let kind = 0; kind < 8; kind++) forged.push(kind << 27, (kind << 27) | (1 << 18));
    let count = 0;
    for (const row of preview2.functions) {
      const kinds = row.parameters.filter(([, types]) => types === 'h').map(([, , kind]) => kind);
      if (kinds.length === 0) continue;
      const handles = [0, -1, 7000, 1 << 30, -0x8000_0000];
      for (const rep of forged) handles.push({ rep });
      for (const one of handles) {
        new Uint8Array(memory.buffer).fill(0);
        new Uint8Array(memory.buffer).set(bytes('secret'), 1024);
        const handle = (kind) => (typeof one === 'number' ? one : plant(tableOf(kind), one.rep));
        const what = `${row.native} of ${JSON.stringify(one)}`;
        const { trap, value } = ends(calls[row.native], argumentsFor(row, { handle }), what);
        if (trap === undefined && row.area > 0) {
          assert.equal(new Uint8Array(memory.buffer)[AREA], 1, `${what} succeeded`);
        } else if (trap === undefined) {
          assert.equal(value, undefined, `${what} gave ${value}`);
        }
        assert.ok(!Buffer.from(memory.buffer).includes('SECRET'), what);
        count++;
      }
    }
    assert.ok(count > 1000, `${count} tries`);
    assert.equal(victim.resources, before);
    assert.equal(fs.readFileSync(outside('secret'), 'utf8'), SECRET);
    // Dropping them drops nothing.
    const { Descriptor } = imports['wasi:filesystem/types'];
    for (const rep of forged) Descriptor[Symbol.for('cabiDispose')](rep);
    assert.equal(victim.resources, before);
    assert.deepEqual(owned(victim).length, reps.length);
  });

  it('that are dropped twice are a trap of the component, and drop nothing', () => {
    const wasi = new WASI({ ...NOTHING, preopens: { '/': box() } });
    const { imports } = lowered(wasi.getImportObject());
    const [[root]] = imports['wasi:filesystem/preopens'].getDirectories();
    const one = root.openAt({}, 'seven', {}, { read: true });
    one[dispose]();
    const other = root.openAt({}, 'seven', {}, { read: true });
    const live = wasi.resources;
    // The rep of the first, after its place was given to the second.
    const raw = wasi.getImportObject()['wasi:filesystem/types'].Descriptor;
    const REP = Symbol.for('cabiRep');
    const [[values]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    const rep = values.openAt({}, 'seven', {}, { read: true });
    const number = rep[REP];
    rep[dispose]();
    rep[dispose]();
    const again = values.openAt({}, 'seven', {}, { read: true });
    assert.notEqual(again[REP], number);
    for (let round = 0; round < 3; round++) raw[Symbol.for('cabiDispose')](number);
    assert.equal(again.stat().size, 7n);
    assert.equal(other.stat().size, 7n);
    assert.equal(wasi.resources, live + 2);
  });
});

describe('lists and pointers', () => {
  const open = () => {
    const wasi = new WASI({ ...NOTHING, preopens: { '/': box() } });
    const made = core(wasi);
    const [[root]] = made.imports['wasi:filesystem/preopens'].getDirectories();
    const REP = Symbol.for('cabiRep');
    const file = root.openAt({}, 'seven', {}, { read: true, write: true });
    const input = file.readViaStream(0n);
    const output = file.writeViaStream(0n);
    let error;
    try {
      file.readViaStream((1n << 64n) - 1n).blockingRead(1n);
    } catch ({ val }) {
      error = val;
    }
    const listing = root.readDirectory();
    const reps = {
      descriptor: root[REP],
      'input-stream': input[REP],
      'output-stream': output[REP],
      pollable: input.subscribe()[REP],
      error: error[REP],
      'directory-entry-stream': listing[REP],
    };
    const ofFile = { ...reps, descriptor: file[REP] };
    return { ...made, wasi, reps, ofFile };
  };

  it('of 2^31 elements, and outside the memory, are traps and take no memory', () => {
    const { calls, memory, reps, tableOf } = open();
    const handles = Object.fromEntries(
      Object.entries(reps).map(([kind, rep]) => [kind, plant(tableOf(kind), rep)]),
    );
    const handle = (kind) => handles[kind];
    const size = memory.buffer.byteLength;
    const lists = [
      [0, 0x8000_0000 | 0],
      [0, -1],
      [0, 0x7fff_ffff],
      [-1, 1],
      [size - 1, 2],
      [size, 1],
      [4, size],
    ];
    const before = process.memoryUsage().rss;
    let count = 0;
    for (const row of preview2.functions) {
      const takesList = row.parameters.some(([, types]) => types === 'ii');
      for (const list of takesList ? lists : []) {
        const { trap } = ends(
          calls[row.native],
          argumentsFor(row, { handle, list }),
          `${row.native}(${list})`,
        );
        assert.ok(trap, `${row.native} took a list ${list}`);
        count++;
      }
      if (row.area === 0 || APART.includes(row.native)) continue;
      for (const area of [-1, size, size - 1, -4, -8, size - row.area + 8]) {
        const { trap } = ends(
          calls[row.native],
          argumentsFor(row, { handle, area, list: [1024, 0] }),
          `${row.native} at ${area}`,
        );
        assert.ok(trap, `${row.native} wrote at ${area}`);
        count++;
      }
    }
    assert.ok(count > 300, `${count} tries`);
    assert.ok(process.memoryUsage().rss - before < 256 << 20);
    assert.deepEqual(fs.readdirSync(box()), ['seven']);
    assert.equal(fs.readFileSync(box('seven'), 'utf8'), '1234567');
  });

  it('numbers beyond 2^63 are errors, and reads ask for what there is', () => {
    const { asked, calls, memory, ofFile, tableOf } = open();
    const handles = Object.fromEntries(
      Object.entries(ofFile).map(([kind, rep]) => [kind, plant(tableOf(kind), rep)]),
    );
    const handle = (kind) => handles[kind];
    const before = process.memoryUsage().rss;
    for (const row of preview2.functions) {
      if (!row.parameters.some(([, types]) => types === 'I')) continue;
      // Zeros are written as long as there is room for them.
      if (/zeroes/.test(row.native)) continue;
      for (const long of [1n << 63n, (1n << 63n) - 1n, (1n << 64n) - 1n, 1n << 40n, -1n]) {
        asked.length = 0;
        new Uint8Array(memory.buffer).fill(0);
        const what = `${row.native} of ${long}`;
        ends(calls[row.native], argumentsFor(row, { handle, long: BigInt.asIntN(64, long) }), what);
        const most = /random/.test(row.native) ? 0 : 7;
        assert.ok(
          asked.every((size) => size <= most),
          `${what} asked for ${asked}`,
        );
      }
      const { size } = fs.statSync(box('seven'));
      if (size !== 7) fs.writeFileSync(box('seven'), '1234567');
      assert.ok(size === 7 || row.native === 'set_size' || /write/.test(row.native), row.native);
    }
    assert.ok(process.memoryUsage().rss - before < 256 << 20);
  });

  it('have the word of the interface for offsets', () => {
    const wasi = new WASI({ ...NOTHING, preopens: { '/': box() } });
    const [[root]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    const file = root.openAt({}, 'seven', {}, { read: true, write: true });
    for (const offset of [1n << 63n, (1n << 64n) - 1n]) {
      assert.throws(
        () => file.read(1n, offset),
        (word) => word === 'invalid',
      );
      assert.throws(
        () => file.write(bytes('x'), offset),
        (word) => word === 'invalid',
      );
      assert.throws(
        () => file.setSize(offset),
        (word) => ['invalid', 'file-too-large'].includes(word),
      );
      const failed = ({ tag, val }) =>
        tag === 'last-operation-failed' && /invalid/.test(val.toDebugString());
      assert.throws(() => file.readViaStream(offset).blockingRead(1n), failed);
      assert.throws(() => file.writeViaStream(offset).blockingWriteAndFlush(bytes('x')), failed);
    }
    assert.deepEqual(file.read(1n << 63n, 0n), [bytes('1234567'), false]);
    assert.equal(fs.readFileSync(box('seven'), 'utf8'), '1234567');
  });

  it('that are no UTF-8 are no names', { skip: !isLinux && 'names are bytes on Linux' }, () => {
    const { calls, memory, reps, tableOf } = open();
    const directory = plant(tableOf('descriptor'), reps.descriptor);
    // One of the host's.
    fs.writeFileSync(Buffer.concat([Buffer.from(box('/')), Buffer.from([0xff, 0xfe])]), 'x');
    const names = [
      [0xff, 0xfe],
      [0xc0, 0xae],
      [0xed, 0xa0, 0x80],
      [0x61, 0x80],
      [0xf8, 0x88, 0x80, 0x80, 0x80],
    ];
    for (const row of preview2.functions.filter(({ parameters }) =>
      parameters.some(([, , kind]) => kind === 'path'),
    )) {
      for (const name of names) {
        new Uint8Array(memory.buffer).set(name, 1024);
        const args = argumentsFor(row, { handle: () => directory, list: [1024, name.length] });
        const { trap } = ends(calls[row.native], args, row.native);
        const failed = trap !== undefined || new Uint8Array(memory.buffer)[AREA] === 1;
        assert.ok(failed, `${row.native} took ${name}`);
      }
    }
    assert.equal(fs.readdirSync(box()).length, 2);
    // A listing says so, and goes on.
    const wasi = new WASI({ ...NOTHING, preopens: { '/': box() } });
    const [[root]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    const listing = root.readDirectory();
    const found = [];
    for (let entry; entry !== null;) {
      try {
        entry = listing.readDirectoryEntry()?.name ?? null;
      } catch (word) {
        entry = word;
      }
      found.push(entry);
    }
    assert.deepEqual(found.sort(), ['illegal-byte-sequence', null, 'seven'].sort());
  });
});

describe('files that are none', { skip: process.platform === 'win32' && 'there are none' }, () => {
  it('FIFOs hold nobody up', () => {
    execFileSync('mkfifo', [box('fifo')]);
    const wasi = new WASI({ ...NOTHING, preopens: { '/': box() } });
    const [[root]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    const reader = root.openAt({}, 'fifo', {}, { read: true });
    assert.throws(
      () => reader.read(1n << 40n, 0n),
      (word) => typeof word === 'string',
    );
    const stream = reader.readViaStream(0n);
    // Nobody has ever written: that is the end of a pipe.
    const word = (act) => {
      try {
        return act().length;
      } catch (error) {
        return error.tag;
      }
    };
    assert.ok([0, 'closed'].includes(word(() => stream.read(10n))));
    const writing = new WASI({ ...NOTHING, preopens: { '/': box() }, timeoutMs: 100 });
    execFileSync('mkfifo', [box('unread')]);
    const [[other]] = writing.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    assert.throws(() => other.openAt({}, 'unread', {}, { write: true }), {
      code: 'ERR_WASI_LIMIT',
    });
  });

  it('a reader that does not read permits little, and takes no memory', () => {
    execFileSync('mkfifo', [box('fifo')]);
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
    const reader = fs.openSync(box('fifo'), O_RDONLY | O_NONBLOCK);
    const stdout = fs.openSync(box('fifo'), O_WRONLY | O_NONBLOCK);
    try {
      const wasi = new WASI({ ...NOTHING, stdout, timeoutMs: 300 });
      const stream = wasi.getImportObject()['wasi:cli/stdout'].getStdout();
      let written = 0;
      for (let room; (room = Number(stream.checkWrite())) > 0;) {
        stream.write(new Uint8Array(room));
        written += room;
        assert.ok(written < 1 << 20, 'a pipe that nobody reads takes everything');
      }
      assert.throws(() => stream.write(bytes('x')), /permitted/);
      const before = process.memoryUsage().rss;
      assert.throws(
        () => stream.blockingWriteAndFlush(new Uint8Array(1 << 20)),
        ({ code, limit }) => code === 'ERR_WASI_LIMIT' && limit === 'timeoutMs',
      );
      assert.ok(process.memoryUsage().rss - before < 64 << 20);
      wasi.close();
    } finally {
      fs.closeSync(reader);
      fs.closeSync(stdout);
    }
  });

  it('a directory that was renamed and replaced is the one that is held', () => {
    fs.mkdirSync(box('held'));
    fs.writeFileSync(box('held/file'), 'inside');
    fs.writeFileSync(outside('file'), SECRET);
    const wasi = new WASI({ ...NOTHING, preopens: { '/box': box() } });
    const [[root]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
    const held = root.openAt(
      {},
      'held',
      { directory: true },
      { read: true, mutateDirectory: true },
    );
    fs.renameSync(box('held'), path.join(folder, 'moved'));
    fs.symlinkSync(outside(), box('held'));
    const read = (directory, name, flags = {}) => {
      try {
        return Buffer.from(
          directory.openAt(flags, name, {}, { read: true }).read(99n, 0n)[0],
        ).toString();
      } catch (word) {
        return `(${word})`;
      }
    };
    assert.equal(read(held, 'file'), 'inside');
    const follow = { symlinkFollow: true };
    for (const [directory, name] of [
      [root, 'held/file'],
      [held, '../outside/file'],
      [held, '../box/seven'],
    ]) {
      assert.equal(read(directory, name, follow), '(not-permitted)', name);
    }
    held.createDirectoryAt('made');
    assert.ok(fs.existsSync(path.join(folder, 'moved/made')));
    assert.deepEqual(fs.readdirSync(outside()).sort(), ['file', 'secret']);
  });
});

describe('headers and requests', () => {
  const MOST = 16 << 20;
  const types = () => new WASI(NOTHING).getImportObject()['wasi:http/types'];
  /** How often a guest can do something before it is a trap. */
  const times = (act) => {
    for (let count = 0; ; count++) {
      assert.ok(count < 100_000, 'there is no end to it');
      const { trap } = ends(act, [count], 'a header');
      if (trap === undefined) continue;
      assert.match(trap.message, /too much memory/);
      return count;
    }
  };

  it('take no more memory than they may, and give it back', () => {
    const MIB = new Uint8Array(1 << 20);
    MIB.fill(120);
    const { Fields, OutgoingRequest, RequestOptions } = types();
    const fields = new Fields();
    assert.equal(
      times((count) => fields.append(`name-${count}`, MIB)),
      15,
    );
    fields.delete('name-3');
    fields.append('again', MIB);
    assert.throws(() => fields.clone(), /too much memory/);
    fields.set('again', [bytes('x')]);
    fields[dispose]();
    const kept = [];
    const most = times(() => kept.push(new Fields()));
    assert.ok(most > 1000 && most < MOST / 100, `${most} objects`);
    for (const one of kept) one[dispose]();
    assert.equal(
      times(() => kept.push(new RequestOptions())),
      most,
    );
    for (const one of kept) one[dispose]();
    const request = new OutgoingRequest(Fields.fromList([['a', bytes('b')]]));
    assert.throws(() => request.setAuthority('x'.repeat(MOST)), /too much memory/);
    for (let round = 0; round < 100; round++) request.setAuthority('x'.repeat(1 << 20));
    request.headers()[dispose]();
    assert.equal(request.headers().entries().length, 1);
    request[dispose]();
    const { instanceNetwork } = new WASI(NOTHING).getImportObject()[
      'wasi:sockets/instance-network'
    ];
    for (const one of kept.splice(0)) one[dispose]();
    const networks = times(() => kept.push(instanceNetwork()));
    assert.ok(networks > 1000 && networks < MOST / 100, `${networks} networks`);
    for (const one of kept) one[dispose]();
    for (let round = 0; round < 2 * networks; round++) instanceNetwork()[dispose]();
    // Another guest's are its own.
    assert.equal(
      types()
        .Fields.fromList([['a', MIB]])
        .entries().length,
      1,
    );
  });
});

describe('ends', () => {
  it('cannot be caught', async () => {
    const { parseWat } = await loadWabt();
    const source = `(module
      (import "host" "act" (func $act)) (import "host" "caught" (func $caught))
      (func (export "run") (try (do (call $act)) (catch_all (call $caught)))))`;
    const parsed = parseWat('x.wat', source, { exceptions: true }).toBinary({});
    const module = new WebAssembly.Module(parsed.buffer);
    const wasi = new WASI({ ...NOTHING, limits: { hostCalls: 3 } });
    const imports = wasi.getImportObject();
    const { exit, exitWithCode } = imports['wasi:cli/exit'];
    const { Pollable } = imports['wasi:io/poll'];
    let caught = 0;
    const run = (act) =>
      new WebAssembly.Instance(module, { host: { act, caught: () => caught++ } }).exports.run();
    assert.equal(wasi.start({ run: { run: () => run(() => exit({ tag: 'err' })) } }), 1);
    assert.throws(
      () => run(() => exitWithCode(7)),
      ({ exitCode }) => exitCode === 7,
    );
    const forged = Object.create(Pollable.prototype);
    assert.throws(() => run(() => forged.block()), RuntimeError);
    assert.throws(() => run(() => forged.block()), { code: 'ERR_WASI_LIMIT' });
    assert.equal(caught, 0);
  });
});

describe('what is not of 0.2', () => {
  it('is no version that is served', () => {
    const wasi = new WASI(NOTHING);
    for (const asVersion of [
      '0.3.0',
      '0.1.0',
      '0.2',
      '1.2.3',
      'x',
      '',
      5,
      null,
      '0.2.x',
      '0.2.1-rc',
    ]) {
      assert.throws(
        () => wasi.getImportObject({ asVersion }),
        (error) => /^ERR_INVALID_ARG_(TYPE|VALUE)$/.test(error.code),
      );
    }
    assert.ok('wasi:io/poll@0.2.12' in wasi.getImportObject({ asVersion: '0.2.12' }));
    const given = (name) => new WASI({ ...NOTHING, interfaces: { [name]: {} } });
    for (const name of [
      'wasi:http/types@0.3.0',
      'wasi:http/types@',
      'wasi:http/types@0.2.0@0.2.0',
    ]) {
      assert.throws(() => given(name), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    for (const name of ['wasi:http/types@0.2.99', 'my:own/thing@1.0.0', 'my:own/thing'])
      given(name);
  });

  it('a component without jco is refused in words that name it', async () => {
    const component = new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
    for (const act of [() => api.compile(component), () => api.run(component)]) {
      await assert.rejects(
        async () => act(),
        (error) =>
          /component/.test(error.message) &&
          /jco/.test(error.message) &&
          !(error instanceof RuntimeError),
      );
    }
    for (const nothing of [{}, { run: 5 }, { 'wasi:cli/run@0.3.0': { run() {} } }, component]) {
      assert.throws(() => new WASI(NOTHING).start(nothing), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  });
});
