// Modules with everything that the reader of modules meets, as bytes, and what makes others of
// them.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const wabt = await createRequire(import.meta.url)('wabt')();

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const FEATURES = {
  bulk_memory: true,
  exceptions: true,
  memory64: true,
  multi_memory: true,
  reference_types: true,
  threads: true,
};

/** An unsigned number as LEB128, in at least so many bytes. */
export function leb(value, least = 1) {
  const bytes = [];
  do {
    bytes.push(Number(BigInt(value) & 127n) | 128);
    value = BigInt(value) >> 7n;
  } while (value > 0n);
  while (bytes.length < least) bytes.push(128);
  bytes[bytes.length - 1] &= 127;
  return bytes;
}

export const name = (text) => [...leb(Buffer.byteLength(text)), ...Buffer.from(text)];
export function section(id, content, least) {
  const bytes = content.flat(Infinity);
  return [id, ...leb(bytes.length, least), ...bytes];
}
export const binary = (...sections) => Uint8Array.from([...HEADER, ...sections.flat(Infinity)]);

const wat = (text) => new Uint8Array(wabt.parseWat('m.wat', text, FEATURES).toBinary({}).buffer);

/** One function without parameters, as the type of this number. */
const code = (type) => [section(3, [1, type]), section(10, [1, 2, 0, 0x0b])];
const FUNCTION = [0x60, 0, 0];
/** A recursive group of two structures, the second below the first; an array; a function: 0 to 3. */
const GC_TYPES = section(1, [
  3,
  [0x4e, 2, [0x50, 0, 0x5f, 1, 0x7f, 1], [0x50, 1, 0, 0x5f, 2, 0x7f, 1, 0x64, 0, 0]],
  [0x5e, 0x78, 1],
  FUNCTION,
]);

/** By what they have. Not every V8 knows all of it. */
export const MODULES = {
  'one memory': binary(section(5, [1, 0, 1]), section(7, [1, name('memory'), 2, 0])),
  'numbers longer than needed': binary(
    section(1, [[0x81, 0x80, 0], FUNCTION], 5),
    section(4, [leb(1, 3), 0x70, 1, leb(2, 5), leb(9, 4)], 4),
    section(5, [leb(1, 5), 1, leb(1, 5), leb(300, 5)], 3),
  ),
  'imported memory and table': wat(`(module
    (import "e" "m" (memory 1)) (import "e" "t" (table 1 funcref)) (import "e" "g" (global i64))
    (export "m" (memory 0)) (export "t" (table 0)))`),
  'bounded ones': wat(`(module
    (memory (export "m") 1 900) (table (export "t") 2 externref) (table (export "u") 2 90 funcref))`),
  memory64: wat('(module (memory (export "m") i64 1) (table (export "t") 1 funcref))'),
  'memory64, bounded': wat('(module (memory (export "m") i64 1 100000))'),
  'several memories': wat(
    '(module (memory (export "m") 1) (memory (export "n") 1 5) (memory 0) (export "o" (memory 0)))',
  ),
  'shared memory': wat('(module (memory (export "m") 1 200 shared))'),
  'imported shared memory': wat('(module (import "e" "m" (memory 1 200 shared)))'),
  'start, data, element':
    wat(`(module (memory (export "m") 1) (table 4 funcref) (elem (i32.const 0) $f)
    (func $f (drop (i32.load (i32.const 8)))) (start $f) (data (i32.const 8) "some data"))`),
  'data count': wat(`(module (memory 1) (data "passive")
    (func (export "f") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 7)) (data.drop 0)))`),
  tags: wat('(module (tag (export "t") (param i32)) (memory 1))'),
  'table with an expression': binary(
    section(4, [2, [0x40, 0, 0x63, 0x70, 0, 3, 0xd0, 0x70, 0x0b], [0x70, 0, 1]]),
    section(5, [1, 0, 1]),
  ),
  'table with a function': binary(
    section(1, [1, FUNCTION]),
    section(3, [1, 0]),
    section(4, [1, [0x40, 0, 0x64, 0, 1, 2, 40, 0xd2, 0, 0x0b]]),
    section(9, [1, 3, 0, 1, 0]),
    section(10, [1, 2, 0, 0x0b]),
  ),
  table64: binary(section(4, [2, [0x70, 4, 1], [0x6f, 5, leb(1, 9), leb(2 ** 40)]])),
  'recursive types': binary(GC_TYPES, code(3), []),
  'recursive types, memory and table': binary(
    GC_TYPES,
    section(3, [1, 3]),
    section(4, [2, [0x63, 1, 0, 1], [0x40, 0, 0x63, 2, 0, 1, 0xd0, 2, 0x0b]]),
    section(5, [1, 0, 1]),
    section(10, [1, 2, 0, 0x0b]),
  ),
  'imported references': binary(
    section(1, [1, FUNCTION]),
    section(2, [
      4,
      [name('a'), name('g'), 3, 0x63, 0x70, 0],
      [name('a'), name('h'), 3, 0x64, 0x80, 0, 1],
      [name('a'), name('t'), 1, 0x63, 0x6f, 1, 2, 3],
      [name('a'), name('e'), 4, 0, 0],
    ]),
    section(5, [1, 1, 1, 9]),
  ),
  'pages of one byte': binary(section(5, [1, 8, leb(100), 0])),
  'pages of 65536 bytes, by name': binary(section(5, [1, 9, 1, 5, 16])),
  'custom sections': binary(
    section(0, [name('first'), 1, 2, 3]),
    section(5, [1, 0, 1]),
    section(0, [name('name'), 0xff, 0xff]),
    section(0, [name('last')]),
  ),
};

const NONE = name('a');
const imported = (...type) => binary(section(2, [1, NONE, NONE, ...type]));
/** Forms that the reader does not know and must refuse, whether or not V8 knows them. */
export const UNKNOWN = {
  'a string': imported(3, 0x67, 0),
  'a view of a string': imported(3, 0x66, 0),
  'a reference to a string': imported(3, 0x63, 0x67, 0),
  'a table of strings': binary(section(4, [1, 0x67, 0, 1])),
  'a parameter that is a string': binary(section(1, [1, 0x60, 1, 0x67, 0])),
  'a shared reference': imported(3, 0x63, 0x65, 0x70, 0),
  'a shared type': binary(section(1, [1, 0x65, 0x60, 0, 0])),
  'a continuation': binary(section(1, [2, FUNCTION, 0x5d, 0])),
  'a reference to continuations': imported(3, 0x63, 0x68, 0),
  'a type with a descriptor': binary(section(1, [1, 0x4d, 0, 0x5f, 0])),
  'a type that describes': binary(section(1, [1, 0x4c, 0, 0x5f, 0])),
  'a shared table': binary(section(4, [1, 0x70, 3, 1, 2])),
  'a shared global': imported(3, 0x7f, 2),
  'a mutability': imported(3, 0x7f, 0x80, 0),
  'pages of two bytes': binary(section(5, [1, 8, 1, 1])),
  'pages of 4096 bytes': binary(section(5, [1, 8, 1, 12])),
  'pages of 64 bits': binary(section(5, [1, 8, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0])),
  'flags of a memory': binary(section(5, [1, 16, 1])),
  'flags of a memory, longer than needed': binary(section(5, [1, 0x80, 0, 1])),
  'a kind of import': imported(5, 0, 0),
  'a kind of tag': binary(section(1, [1, FUNCTION]), section(13, [1, 1, 0])),
  'a kind of export': binary(section(7, [1, NONE, 5, 0])),
  'a kind of table': binary(section(4, [1, 0x40, 1, 0x70, 0, 1, 0xd0, 0x70, 0x0b])),
  'an instruction of a table': binary(section(4, [1, 0x40, 0, 0x70, 0, 1, 0xfb, 30, 0, 0x0b])),
  'a section': binary([14, 1, 0]),
  'a section of strings': binary(section(14, [0, 1, name('a')])),
  'the layer of components': Uint8Array.from([0, 0x61, 0x73, 0x6d, 13, 0, 1, 0, 0]),
  'another version': Uint8Array.from([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0]),
};

/** The test's guests that are small enough to be mutated often. */
export function guests(most = 20_000) {
  const folder = new URL('../guests/', import.meta.url);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.wasm'))
    .map((file) => new Uint8Array(readFileSync(new URL(file, folder))))
    .filter(({ length }) => length <= most);
}

/** Numbers that only look random: a failure can be had again. */
export function generator(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

// --- Mutations -----------------------------------------------------------------------------------

/** Bytes that mean something to a reader of modules. */
const TELLING = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 0x20, 0x40, 0x4e, 0x4f, 0x50, 0x5d, 0x5e, 0x5f, 0x60, 0x62, 0x63, 0x64, 0x65, 0x67,
  0x69, 0x6f, 0x70, 0x7b, 0x7f, 0x80, 0xd0, 0xfb, 0xff,
]; // prettier-ignore

/**
 * The sections of a module, by sizes alone; what is behind the last whole one is dropped.
 *
 * @returns {{ id: number, content: Uint8Array }[]}
 */
export function sectionsOf(bytes) {
  const sections = [];
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) return sections;
      size += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    if (at + size > bytes.length) return sections;
    sections.push({ id, content: bytes.subarray(at, at + size) });
    at += size;
  }
  return sections;
}

/** Changes bytes anywhere: most of what comes out is not whole. */
function scattered(bytes, random, others) {
  const result = [...bytes];
  const most = result.length - 8;
  for (let left = 1 + random(3); left > 0 && result.length > 9; left--) {
    const at = 8 + random(Math.min(most, result.length - 8));
    const kind = random(5);
    if (kind === 0) result[at] = random(256);
    else if (kind === 1) result[at] = TELLING[random(TELLING.length)];
    else if (kind === 2) result.splice(at, 1 + random(3));
    else if (kind === 3) result.splice(at, 0, TELLING[random(TELLING.length)]);
    else {
      const other = others[random(others.length)];
      const from = 8 + random(Math.max(1, other.length - 8));
      result.splice(at, random(4), ...other.subarray(from, from + random(12)));
    }
  }
  return result;
}

/** Changes what sections hold, and keeps their sizes right. */
function inSections(bytes, random, others) {
  const sections = sectionsOf(bytes).map(({ id, content }) => ({ id, content: [...content] }));
  if (sections.length === 0) return [...bytes];
  // Those that the reader reads come more often.
  const read = sections.filter(({ id }) => id !== 0 && id !== 10 && id !== 11);
  const chosen = read.length > 0 && random(4) > 0 ? read : sections;
  for (let left = 1 + random(2); left > 0; left--) {
    const place = sections.indexOf(chosen[random(chosen.length)]);
    const one = sections[place];
    if (one === undefined) break;
    const { content } = one;
    const at = random(content.length + 1);
    const kind = random(8);
    if (kind < 2 && content.length > 0)
      content[at % content.length] = TELLING[random(TELLING.length)];
    else if (kind === 2 && content.length > 0) {
      const where = at % content.length;
      content[where] = (content[where] + (random(2) || 255)) & 255;
    } else if (kind === 3 && content[at] < 128) {
      // The same number, longer than needed.
      content.splice(at, 1, content[at] | 128, ...Array(random(5)).fill(128), 0);
    } else if (kind === 4) content.splice(at, 1 + random(2));
    else if (kind === 5) sections.splice(place, 1);
    else if (kind === 6) {
      const other = sectionsOf(others[random(others.length)]);
      if (other.length > 0) {
        const { id, content } = other[random(other.length)];
        sections.splice(place + random(2), 0, { id, content: [...content] });
      }
    } else {
      // An entry more than there are, or one that is there twice.
      content[0] = (content[0] + 1) & 127;
      content.push(...content.slice(1 + random(content.length)));
    }
  }
  return [...HEADER, ...sections.flatMap(({ id, content }) => section(id, content, 1 + random(5)))];
}

/** @returns {Uint8Array} a module that differs from a given one in a few places */
export function mutated(bytes, random, others) {
  const make = random(3) === 0 ? scattered : inSections;
  return Uint8Array.from(make(bytes, random, others));
}
