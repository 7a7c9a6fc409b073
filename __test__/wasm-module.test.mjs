// The reader of modules, and the rewriter that gives memories and tables maxima. What it reads is
// held against V8; what it does not know, it must refuse.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';

const require = createRequire(import.meta.url);
const { WASI, run } = require('../index.js');
const { runThreads } = require('../threads.js');
const {
  hasStart,
  kindOf,
  limited,
  memoryDescriptor,
  readModule,
} = require('../lib/wasm-module.js');
const wabt = await require('wabt')();

const PAGE = 65536;
const MIB = 2 ** 20;
const GUESTS = new URL('guests/', import.meta.url);

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const text = (string) => [string.length, ...Buffer.from(string, 'latin1')];
/** A section whose size takes two bytes, which is longer than needed for a small one. */
const section = (id, ...content) => {
  const bytes = content.flat();
  return [id, (bytes.length & 127) | 128, bytes.length >> 7, ...bytes];
};
const binary = (...sections) => Uint8Array.from([...HEADER, ...sections.flat()]);
const TYPES = section(1, [1, 0x60, 0, 0]);

const FEATURES = { threads: true, memory64: true, multi_memory: true, reference_types: true };
const compiled = (wat) => wabt.parseWat('m.wat', wat, FEATURES).toBinary({}).buffer;

const plain = ({ minimum, maximum, address, shared, pageSize }) => [
  Number(minimum),
  maximum === undefined ? undefined : Number(maximum),
  address,
  shared,
  pageSize,
];
const memoriesOf = (bytes) => readModule(bytes).memories.map(plain);
const tablesOf = (bytes) =>
  readModule(bytes).tables.map(({ minimum, maximum }) => [Number(minimum), Number(maximum)]);
const refused = { name: 'CompileError', code: 'ERR_WASI_MODULE' };

/** The memory section with one memory of these bytes. */
const memory = (...bytes) => binary(section(5, [1, ...bytes]));

test('a module tells what it is by its first bytes', () => {
  assert.equal(kindOf(binary()), 'module');
  assert.equal(kindOf(binary().buffer), 'module');
  assert.equal(kindOf(new DataView(Uint8Array.from([9, ...HEADER]).buffer, 1)), 'module');
  assert.equal(kindOf(Buffer.from('\0asm\x0d\0\x01\0', 'latin1')), 'component');
  assert.equal(kindOf(Buffer.from('\0asm\x02\0\0\0', 'latin1')), 'other');
  for (const wat of [
    '(module)',
    '\n ;; a comment\n(module)',
    '(; ;)(component)',
    '\ufeff( module',
  ]) {
    assert.equal(kindOf(Buffer.from(wat)), 'text', wat);
  }
  assert.equal(kindOf(Uint8Array.from([0x1f, 0x8b, 8])), 'gzip');
  for (const other of ['', '\0as', '#!/bin/sh', '\x7fELF', '(modules)']) {
    assert.equal(kindOf(Buffer.from(other)), 'other', other);
  }
  for (const wrong of [undefined, 'text', [0], {}, new WebAssembly.Module(binary())]) {
    assert.throws(() => kindOf(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('what the guests import and export is what V8 says', () => {
  let count = 0;
  for (const file of readdirSync(GUESTS).filter((name) => name.endsWith('.wasm'))) {
    const bytes = readFileSync(new URL(file, GUESTS));
    const module = new WebAssembly.Module(bytes);
    const read = readModule(bytes);
    assert.equal(hasStart(bytes), read.hasStart);
    assert.deepEqual(
      read.imports.map(({ module, name, kind }) => ({ module, name, kind })),
      WebAssembly.Module.imports(module).map(({ module, name, kind }) => ({ module, name, kind })),
    );
    assert.deepEqual(
      read.exports.map(({ name, kind }) => ({ name, kind })),
      WebAssembly.Module.exports(module).map(({ name, kind }) => ({ name, kind })),
    );
    count++;
  }
  assert.ok(count > 100);
});

test('types of more than one byte are passed over: a module that has them does not hang threads', async () => {
  const wasm = binary(
    TYPES,
    section(2, [
      7,
      ...[...text('a'), ...text('g'), 3, 0x63, 0x70, 0], // (ref null func)
      ...[...text('a'), ...text('h'), 3, 0x64, 0x80, 0x00, 1], // (mut (ref 0)), of two bytes
      ...[...text('a'), ...text('e'), 3, 0x64, 0x62, 0x00, 0], // (ref (exact 0))
      ...[...text('a'), ...text('l'), 3, 0x63, 0xf0, 0x7f, 0], // (ref null func), of two bytes
      ...[...text('a'), ...text('t'), 1, 0x63, 0x6f, 1, 2, 3],
      ...[...text('env'), ...text('mm\x7f\x7f\x7f\x7f'), 2, 3, 1, 1],
      ...[...text('x'), ...text('y'), 0, 0],
    ]),
  );
  const { imports } = readModule(wasm);
  assert.deepEqual(
    imports.map(({ type }) => type?.value),
    [
      '(ref null func)',
      '(ref 0)',
      '(ref (exact 0))',
      '(ref null func)',
      undefined,
      undefined,
      undefined,
    ],
  );
  assert.deepEqual(plain(imports[5].type), [1, 1, 'i32', true, PAGE]);
  assert.deepEqual(memoryDescriptor(imports[5].type), { initial: 1, maximum: 1, shared: true });
  assert.equal(imports[4].type.element, '(ref null extern)');

  // That of the fault, without the types that V8 may not know yet. No Node 18 or 20 knows any.
  const known = binary(
    TYPES,
    section(2, [
      3,
      ...[...text('a'), ...text('g'), 3, 0x63, 0x70, 0],
      ...[...text('env'), ...text('mm\x7f\x7f\x7f\x7f'), 2, 3, 1, 1],
      ...[...text('x'), ...text('y'), 0, 0],
    ]),
  );
  const wasi = new WASI({ version: 'preview1', stdout: 'ignore' });
  await assert.rejects(runThreads(wasi, known), /Import #0|import a:g|Invalid|invalid|type/);
  wasi.close();
});

test('limits are read in every form', () => {
  assert.deepEqual(memoriesOf(memory(0, 1)), [[1, undefined, 'i32', false, PAGE]]);
  assert.deepEqual(memoriesOf(memory(1, 1, 2)), [[1, 2, 'i32', false, PAGE]]);
  assert.deepEqual(memoriesOf(memory(3, 1, 2)), [[1, 2, 'i32', true, PAGE]]);
  assert.deepEqual(memoriesOf(memory(4, 1)), [[1, undefined, 'i64', false, PAGE]]);
  assert.deepEqual(memoriesOf(memory(7, 1, 2)), [[1, 2, 'i64', true, PAGE]]);
  assert.deepEqual(memoriesOf(memory(8, 1, 0)), [[1, undefined, 'i32', false, 1]]);
  assert.deepEqual(memoriesOf(memory(9, 1, 2, 16)), [[1, 2, 'i32', false, PAGE]]);
  // Numbers longer than needed: 5 bytes of 32 bits, 10 bytes of 64.
  const long = [0x81, 0x80, 0x80, 0x80];
  assert.deepEqual(memoriesOf(memory(0, ...long, 0)), [[1, undefined, 'i32', false, PAGE]]);
  assert.deepEqual(memoriesOf(memory(4, ...long, 0x80, 0x80, 0x80, 0x80, 0x80, 0)), [
    [1, undefined, 'i64', false, PAGE],
  ]);
  assert.deepEqual(memoriesOf(memory(8, 0xff, 0xff, 0xff, 0xff, 15, 0)), [
    [2 ** 32 - 1, undefined, 'i32', false, 1],
  ]);
});

test('what is not known or not whole is refused', () => {
  const wrong = {
    'flags of a memory': memory(16, 1),
    'flags of two bytes': memory(0x80, 0, 1),
    'a shared memory without maximum': memory(2, 1),
    'a page size': memory(8, 1, 12),
    'a minimum above the maximum': memory(1, 2, 1),
    'a minimum above 4 GiB': memory(0, 0x81, 0x80, 4),
    'a number of 6 bytes': memory(0, 0x81, 0x80, 0x80, 0x80, 0x80, 0),
    'a number of 33 bits': memory(0, 0x81, 0x80, 0x80, 0x80, 0x10),
    'a number of 11 bytes': memory(4, ...Array(10).fill(0x80), 0),
    'a number of 65 bits': memory(4, ...Array(9).fill(0x80), 2),
    'a section that is too long': binary([5, 4, 1, 0, 1, 0]),
    'a section that is too short': binary([5, 2, 1, 0, 1]),
    'a section beyond the end': binary([5, 9, 1, 0, 1]),
    'two sections of memories': binary([5, 3, 1, 0, 1], [5, 3, 1, 0, 1]),
    'sections out of order': binary([5, 3, 1, 0, 1], [4, 4, 1, 0x70, 0, 1]),
    'an unknown section': binary([14, 1, 0]),
    'a kind of import': binary(section(2, [1, 0, 0, 5, 0])),
    'compact imports': binary(section(2, [1, 1, 97, 0, 0x7f, 1, 1, 98, 0, 0])),
    'flags of a table': binary(section(4, [1, 0x70, 2, 1, 1])),
    'a type of elements': binary(section(4, [1, 0x7f, 0, 1])),
    'a heap type': binary(section(4, [1, 0x63, 0x40, 0, 1])),
    'a kind of type': binary(section(1, [1, 0x5d, 0])),
    'an instruction of a table': binary(section(4, [1, 0x40, 0, 0x70, 0, 1, 0x20, 0, 0x0b])),
    'more imports than an engine takes': binary(section(2, [0x80, 0x89, 0x7a])),
    text: Buffer.from('(module)'),
    nothing: new Uint8Array(),
  };
  for (const [what, bytes] of Object.entries(wrong)) {
    assert.throws(() => readModule(bytes), refused, what);
    assert.throws(() => limited(bytes, { memoryBytes: MIB }), refused, what);
  }
  const whole = readFileSync(new URL('args.wasm', GUESTS));
  const { exports } = readModule(whole);
  assert.ok(exports.some(({ name }) => name === '_start'));
  // Cut anywhere, it is refused, or cut between two sections.
  for (let end = 8; end < whole.length; end += 7) {
    try {
      readModule(whole.subarray(0, end));
    } catch (error) {
      assert.equal(error.code, 'ERR_WASI_MODULE');
    }
  }
});

test('each refusal says what is wrong', () => {
  const five = (last) => [0x80, 0x80, 0x80, 0x80, last];
  const global = (...type) => binary(section(2, [1, 0, 0, 3, ...type]));
  const table = (...expression) => binary(section(4, [1, 0x40, 0, 0x6c, 0, 1, ...expression]));
  // A million types in one group that may refer to each other, and one more in another.
  const manyTypes = () => {
    const groups = Buffer.concat([
      Buffer.from([2, 0x4e, 0xc0, 0x84, 0x3d]),
      Buffer.alloc(3e6, Buffer.from([0x60, 0, 0])),
      Buffer.from([0x4e, 1, 0x60, 0, 0]),
    ]);
    const size = [0, 7, 14, 21].map((shift) => ((groups.length >> shift) & 127) | 128);
    return Buffer.concat([Buffer.from([...HEADER, 1, ...size, 0]), groups]);
  };
  for (const [bytes, reason] of [
    [binary(section(3, [1, ...five(0x10)])), 'a number of more than 32 bits'],
    [binary(section(3, [1, ...five(0x80), 0])), 'a number of more than 32 bits'],
    [memory(5, 0, ...Array(9).fill(0x80), 2), 'a number of more than 64 bits'],
    [memory(5, 0, ...Array(10).fill(0x80), 0), 'a number of more than 64 bits'],
    [global(0x63, ...five(0x10), 0), 'a number of more than 33 bits'],
    [global(0x63, ...five(0x80), 0, 0), 'a number of more than 33 bits'],
    [global(0x7f, 2), 'an unknown mutability 0x2'],
    [binary(section(2, [0x80, 0x89, 0x7a])), '2000000 imports'],
    [binary(section(5, [0xa1, 0x8d, 0x06])), '100001 memories'],
    [binary(section(3, [0xc1, 0x84, 0x3d])), '1000001 functions'],
    [binary(section(4, [1, 0x70, 2, 1, 1])), 'unknown flags 0x2 of a table'],
    [binary(section(4, [1, 0x70, 8, 1, 0])), 'unknown flags 0x8 of a table'],
    [table(0x41, ...five(0x80), 0, 0x0b), 'a number that is too long'],
    [table(0x42, ...Array(10).fill(0x80), 0, 0x0b), 'a number that is too long'],
    [table(0xfd, 13, ...Array(16).fill(0), 0x0b), 'an unknown instruction'],
    [table(0xfb, 29, 0, 0x0b), 'an unknown instruction'],
    [table(0x20, 0, 0x0b), 'an unknown instruction 0x20'],
    [binary(section(4, [1, 0x40, 1, 0x70, 0, 1, 0x0b])), 'an unknown kind of table'],
    [binary(section(2, [1, 0, 0, 5, 0])), 'an unknown kind of import 0x5'],
    [binary(section(7, [1, 0, 9, 0])), 'an unknown kind of export 0x9'],
    [binary(TYPES, section(13, [1, 1, 0])), 'an unknown kind of tag 0x1'],
    [binary([5, 4, 1, 0, 1, 0]), 'a section 5 that is longer than what is in it'],
    [binary([5, 2, 1, 0, 1]), 'it ends too early'],
    [binary([5, 9, 1, 0, 1]), 'it ends too early'],
    [binary([5, 3, 1, 0, 1], [5, 3, 1, 0, 1]), 'a section 5 out of order'],
    [binary([14, 1, 0]), 'an unknown section 14'],
    [memory(16, 1), 'unknown flags 0x10 of a memory'],
    [memory(2, 1), 'a shared memory without maximum'],
    [memory(8, 1, 12), 'an unknown page size'],
    [memory(1, 2, 1), 'wrong limits of a memory'],
    [memory(0, 0x81, 0x80, 4), 'wrong limits of a memory'],
    [binary(section(4, [1, 0x7f, 0, 1])), 'an unknown type 0x7f'],
    [binary(section(4, [1, 0x63, 0x40, 0, 1])), 'an unknown type of references'],
    [binary(section(1, [1, 0x5d, 0])), 'an unknown kind of type 0x5d'],
    [manyTypes(), 'too many types'],
  ]) {
    assert.throws(
      () => readModule(bytes),
      (error) => {
        assert.equal(error.code, 'ERR_WASI_MODULE');
        assert.ok(error.message.includes(reason), `${error.message}, not: ${reason}`);
        return true;
      },
    );
  }
  // What is just not too long, and not too many.
  assert.equal(
    readModule(binary(TYPES, section(2, [1, 0, 0, 0x20, 0]))).imports[0].kind,
    'function',
  );
  assert.equal(readModule(global(0x63, ...five(0), 0)).imports[0].type.value, '(ref null 0)');
  for (const expression of [
    [0x41, ...five(0), 0xfb, 28],
    [0x42, ...Array(9).fill(0x80), 0],
    [0x41, 1, 0x41, 2, 0x6a, 0xfb, 28],
    [0xfd, 12, ...Array(16).fill(0)],
    [0x43, 0, 0, 0, 0],
    [0x44, ...Array(8).fill(0)],
    [0x23, 0],
    [0xfb, 0, 0],
    [0xfb, 8, 0, 0],
  ]) {
    assert.equal(readModule(table(...expression, 0x0b)).tables.length, 1, `${expression}`);
  }
});

test('with addresses of 64 bits there may be more than 32 bits count', () => {
  const many = [0x80, 0x80, 0x80, 0x80, 0x20];
  assert.deepEqual(memoriesOf(memory(5, 1, ...many)), [[1, 2 ** 33, 'i64', false, PAGE]]);
  assert.deepEqual(tablesOf(binary(section(4, [1, 0x70, 5, 1, ...many]))), [[1, 2 ** 33]]);
});

test('a table may begin with an expression', () => {
  const table = [0x40, 0, 0x63, 0x70, 0, 3, 0xd0, 0x70, 0x0b];
  const bytes = binary(section(4, [2, ...table, 0x70, 0, 1]));
  assert.deepEqual(tablesOf(limited(bytes, { tableElements: 10 })), [
    [3, 6],
    [1, 4],
  ]);
});

test('a memory has its maximum lowered, or gets one, and nothing else changes', () => {
  const wat = (limits) => `(module (memory (export "memory") ${limits}) (func (export "f")))`;
  const bound = { memoryBytes: 4 * PAGE + 1 };
  for (const [before, after] of [
    ['1', '1 4'],
    ['1 3', '1 3'],
    ['1 4', '1 4'],
    ['1 65536', '1 4'],
    ['4', '4 4'],
    ['i64 1', 'i64 1 4'],
    ['1 9 shared', '1 4 shared'],
  ]) {
    const result = limited(compiled(wat(before)), bound);
    assert.deepEqual(Buffer.from(result), Buffer.from(compiled(wat(after))), before);
  }
  const custom = limited(memory(8, 100, 0), { memoryBytes: 1000 });
  assert.deepEqual(memoriesOf(custom), [[100, 1000, 'i32', false, 1]]);
  // The minimum is left as it was written.
  const long = limited(memory(0, 0x81, 0x80, 0x80, 0x80, 0), bound);
  assert.deepEqual([...long], [...HEADER, 5, 8, 1, 1, 0x81, 0x80, 0x80, 0x80, 0, 4]);
  // The largest memory of 32 bits stays below the limit.
  assert.deepEqual(memoriesOf(limited(memory(0, 1), { memoryBytes: 2 ** 40 })), [
    [1, 65536, 'i32', false, PAGE],
  ]);
  // No limit, no change; and what was given is left alone.
  const given = memory(0, 1);
  const copy = limited(given, {});
  assert.notEqual(copy.buffer, given.buffer);
  assert.deepEqual(copy, given);
  limited(given, bound);
  assert.deepEqual(given, memory(0, 1));
});

test('several memories and tables share a limit', () => {
  const wat = `(module
    (import "e" "m" (memory 1))
    (import "e" "t" (table 5 funcref))
    (memory 2 3) (memory (export "m") 1)
    (table 7 externref) (table 3 3 funcref))`;
  const bytes = compiled(wat);
  const result = limited(bytes, { memoryBytes: 11 * PAGE, tableElements: 35 });
  // 4 of 11 pages to start; the one with room for 1 takes 1, the others 3 each.
  assert.deepEqual(
    memoriesOf(result).map(([minimum, maximum]) => [minimum, maximum]),
    [
      [1, 4],
      [2, 3],
      [1, 4],
    ],
  );
  assert.deepEqual(tablesOf(result), [
    [5, 15],
    [7, 17],
    [3, 3],
  ]);
  assert.throws(() => limited(bytes, { memoryBytes: 4 * PAGE - 1 }), {
    code: 'ERR_WASI_LIMIT',
    limit: 'memoryBytes',
    message: 'The module asks for 262144 bytes of memory to start and may have 262143',
  });
  assert.throws(() => limited(bytes, { tableElements: 14 }), {
    code: 'ERR_WASI_LIMIT',
    limit: 'tableElements',
  });
  assert.deepEqual(tablesOf(limited(bytes, { memoryBytes: MIB })).at(-1), [3, 3]);
  const byDefault = tablesOf(limited(bytes, { memoryBytes: MIB }));
  assert.equal(
    byDefault.reduce((sum, [, maximum]) => sum + maximum, 0),
    100_000,
    'a limit of the memory limits tables too',
  );
});

test('growing beyond the limit gives -1, and V8 links no larger memory', () => {
  const wat = `(module
    (memory (export "memory") 1) (table (export "table") 1 funcref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "growTable") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))`;
  const bytes = limited(compiled(wat), { memoryBytes: 10 * PAGE, tableElements: 20 });
  const { grow, growTable, memory, table } = new WebAssembly.Instance(new WebAssembly.Module(bytes))
    .exports;
  assert.deepEqual([grow(10), grow(9), grow(1), memory.buffer.byteLength], [-1, 1, -1, 10 * PAGE]);
  assert.deepEqual([growTable(20), growTable(19), growTable(1), table.length], [-1, 1, -1, 20]);

  const importing = limited(compiled('(module (import "e" "m" (memory 1)))'), {
    memoryBytes: 10 * PAGE,
  });
  const link = (descriptor) =>
    new WebAssembly.Instance(new WebAssembly.Module(importing), {
      e: { m: new WebAssembly.Memory(descriptor) },
    });
  assert.throws(() => link({ initial: 1 }), WebAssembly.LinkError);
  assert.throws(() => link({ initial: 1, maximum: 11 }), WebAssembly.LinkError);
  const [{ type }] = readModule(importing).imports;
  assert.deepEqual(memoryDescriptor(type), { initial: 1, maximum: 10, shared: false });
  link(memoryDescriptor(type));
});

test('what takes memory beside memories and tables is refused beside memoryBytes', () => {
  const structure = binary(section(1, [1, 0x5f, 1, 0x78, 1]));
  const array = binary(section(1, [1, 0x4e, 2, 0x50, 0, 0x5e, 0x7f, 1, 0x60, 0, 0]));
  const tag = (...parameters) =>
    binary(section(1, [1, 0x60, parameters.length, ...parameters, 0]), section(13, [1, 0, 0]));
  const refuses = { code: 'ERR_WASI_UNBOUNDED_MEMORY' };
  for (const bytes of [structure, array, tag(0x69), tag(0x7b), tag(...Array(5).fill(0x7f))]) {
    assert.throws(() => limited(bytes, { memoryBytes: MIB }), refuses);
    assert.ok(limited(bytes, { tableElements: 1 }).length > 0);
  }
  // Those that C++ throws carry an i32.
  assert.ok(limited(tag(0x7f), { memoryBytes: MIB }).length > 0);
});

// --- Hostile bytes -------------------------------------------------------------------------------

/** Numbers that only look random: a failure can be had again. */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Bytes that mean something to a reader of modules. */
const TELLING = [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 0x40, 0x63, 0x64, 0x6f, 0x70, 0x7f, 0x80, 0xff];

function mutated(bytes, random) {
  const result = [...bytes];
  for (let left = 1 + random(3); left > 0; left--) {
    const at = 8 + random(result.length - 8);
    switch (random(4)) {
      case 0:
        result[at] = random(256);
        break;
      case 1:
        result[at] = TELLING[random(TELLING.length)];
        break;
      case 2:
        result.splice(at, 1 + random(3));
        break;
      default:
        result.splice(at, 0, TELLING[random(TELLING.length)]);
    }
    if (result.length < 9) return Uint8Array.from(bytes);
  }
  return Uint8Array.from(result);
}

test('hostile bytes never hang the reader, and what V8 takes after rewriting cannot grow', () => {
  const seeds = [
    compiled(
      `(module (import "e" "m" (memory 1)) (export "m" (memory 0)) (table (export "t") 1 funcref))`,
    ),
    compiled(
      `(module (memory (export "m") 1 900) (table (export "t") 2 externref) (table (export "u") 2 90 funcref))`,
    ),
    compiled(`(module (type (func (param i32))) (import "e" "t" (table 1 funcref)) (import "e" "g" (global i32))
      (import "e" "f" (func (type 0))) (memory (export "m") 0) (export "t" (table 0)) (data (i32.const 0) "x"))`),
    compiled(`(module (memory (export "m") i64 1) (table (export "t") 1 funcref))`),
    compiled(`(module (memory (export "m") 1) (memory (export "n") 1 5) (export "o" (memory 0)))`),
    compiled(`(module (memory (export "m") 1 200 shared))`),
    compiled(`(module (memory (export "m") 1) (func $f) (start $f))`),
  ].map((buffer) => new Uint8Array(buffer));
  const random = generator(20);
  const codes = new Set(['ERR_WASI_MODULE', 'ERR_WASI_LIMIT', 'ERR_WASI_UNBOUNDED_MEMORY']);
  const limits = { memoryBytes: 20 * PAGE, tableElements: 50 };
  const counts = { refused: 0, invalid: 0, valid: 0, grown: 0 };
  for (let round = 0; round < 20_000; round++) {
    const bytes = mutated(seeds[round % seeds.length], random);
    const message = () => `round ${round}: ${Buffer.from(bytes).toString('hex')}`;
    let result;
    const start = performance.now();
    try {
      result = limited(bytes, limits);
    } catch (error) {
      if (!codes.has(error.code)) assert.fail(`${message()}: ${error.stack}`);
      counts.refused++;
    }
    const took = performance.now() - start;
    assert.ok(took < 2000, message());
    if (result === undefined) continue;
    let module;
    try {
      module = new WebAssembly.Module(result);
    } catch {
      counts.invalid++;
      assert.equal(WebAssembly.validate(bytes), false, `rewriting made it invalid: ${message()}`);
      continue;
    }
    counts.valid++;
    assert.ok(WebAssembly.validate(bytes), `rewriting made it valid: ${message()}`);
    const read = readModule(result);
    assert.equal(hasStart(result), read.hasStart, message());
    assert.deepEqual(
      read.imports.map(({ module, name, kind }) => [module, name, kind]),
      WebAssembly.Module.imports(module).map(({ module, name, kind }) => [module, name, kind]),
      message(),
    );
    let pages = 0;
    let elements = 0;
    for (const { maximum } of read.memories) pages += Number(maximum);
    for (const { maximum } of read.tables) elements += Number(maximum);
    assert.ok(pages <= 20 && elements <= 50, message());
    // V8 says the same when the instance is asked to grow.
    const instance = instanceOf(module, read);
    for (const one of Object.values(instance?.exports ?? {})) {
      const most = one instanceof WebAssembly.Memory ? 20 : 50;
      if (!(one instanceof WebAssembly.Memory) && !(one instanceof WebAssembly.Table)) continue;
      const now = one instanceof WebAssembly.Memory ? one.buffer.byteLength / PAGE : one.length;
      if (typeof now !== 'number') continue;
      assert.throws(() => growBy(one, most - now + 1), message());
      counts.grown++;
    }
  }
  for (const [what, count] of Object.entries(counts)) assert.ok(count > 200, `${what}: ${count}`);
});

function growBy(one, delta) {
  try {
    return one.grow(delta);
  } catch (error) {
    // One with addresses of 64 bits takes a BigInt.
    if (error instanceof TypeError) return one.grow(BigInt(delta));
    throw error;
  }
}

/**
 * Nothing that is linked here runs code: a start function may be missing something, which is no
 * matter.
 */
function instanceOf(module, { imports }) {
  try {
    const given = {};
    for (const { module, name, kind, type } of imports) {
      given[module] ??= {};
      given[module][name] =
        kind === 'memory'
          ? new WebAssembly.Memory(memoryDescriptor(type))
          : kind === 'table'
            ? new WebAssembly.Table({
                initial: Number(type.minimum),
                maximum: Number(type.maximum),
                element: 'anyfunc',
              })
            : kind === 'global'
              ? 0
              : () => {};
    }
    return new WebAssembly.Instance(module, given);
  } catch {
    return undefined;
  }
}

// --- Where it is used ----------------------------------------------------------------------------

const GROWING = `(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $exit (i32.add (memory.grow (i32.const 100)) (i32.const 2)))))`;

test('run keeps memoryBytes and tableElements', async () => {
  const wasm = compiled(GROWING);
  assert.equal((await run(wasm)).exitCode, 3);
  assert.equal((await run(wasm, { limits: { memoryBytes: 50 * PAGE } })).exitCode, 1);
  assert.equal((await run(wasm, { limits: { memoryBytes: 101 * PAGE } })).exitCode, 3);
  const both = { memoryBytes: 50 * PAGE, openFiles: 10 };
  assert.equal((await run(wasm, { limits: both })).exitCode, 1);
  const { reason, error } = await run(wasm, { limits: { memoryBytes: 100 } });
  assert.deepEqual([reason, error.code, error.limit], ['memory', 'ERR_WASI_LIMIT', 'memoryBytes']);
  const module = new WebAssembly.Module(wasm);
  for (const limit of ['memoryBytes', 'tableElements']) {
    await assert.rejects(run(module, { limits: { [limit]: MIB } }), {
      name: 'TypeError',
      message: /is compiled/,
    });
    for (const wrong of ['1', null, 1n]) {
      await assert.rejects(run(wasm, { limits: { [limit]: wrong } }), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    for (const wrong of [-1, 0.5, Infinity, NaN, 2 ** 53]) {
      await assert.rejects(run(wasm, { limits: { [limit]: wrong } }), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
    assert.throws(() => new WASI({ version: 'preview1', limits: { [limit]: MIB } }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /run\(\)/,
    });
  }
});
