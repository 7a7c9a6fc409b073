'use strict';

// The one reader of WebAssembly modules, for what JavaScript does not tell: limits of memories and
// tables, and types of functions. And a rewriter that gives every memory and table a maximum.
//
// The bytes may be hostile. Each step of the reader goes forward by at least one byte and checks for
// the end first, so the reader terminates. It refuses what it does not know. V8 finds the same
// sections: both go by the sizes, and the reader refuses a section whose size is not that of its
// content.

const { Buffer } = require('node:buffer');
const { isAnyArrayBuffer } = require('node:util').types;
const { nodeError, wrongType } = require('./errors.js');

/**
 * How many types, imports, exports or functions a module may have: the limit that engines agreed
 * on.
 */
const MAX_ENTRIES = 1_000_000;
/** How many memories or tables. */
const MAX_SPACES = 100_000;
/** How many elements the tables may have together, where only the memory was limited. */
const DEFAULT_TABLE_ELEMENTS = 100_000;
/** How many values an exception may carry where the memory is limited. */
const MAX_TAG_PARAMETERS = 4;

const CUSTOM = 0;
const TYPES = 1;
const IMPORTS = 2;
const FUNCTIONS = 3;
const TABLES = 4;
const MEMORIES = 5;
const EXPORTS = 7;
const START = 8;
const TAGS = 13;
/** Sections in the order in which a module has them, each at most once. */
const ORDER = [TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, TAGS, 6, EXPORTS, START, 9, 12, 10, 11];

const KINDS = ['function', 'table', 'memory', 'global', 'tag'];
/** An import of a function whose type is meant exactly. */
const EXACT_FUNCTION = 0x20;

const NUMBERS = { 0x7f: 'i32', 0x7e: 'i64', 0x7d: 'f32', 0x7c: 'f64' };
const VECTOR = 0x7b;
const HEAP_TYPES = {
  0x74: 'noexn', 0x73: 'nofunc', 0x72: 'noextern', 0x71: 'none', 0x70: 'func', 0x6f: 'extern',
  0x6e: 'any', 0x6d: 'eq', 0x6c: 'i31', 0x6b: 'struct', 0x6a: 'array', 0x69: 'exn',
}; // prettier-ignore
const REF_NULL = 0x63;
const REF = 0x64;
const EXACT = 0x62;
/** The types that a structure's field may have beside those of values. */
const PACKED = { 0x78: 'i8', 0x77: 'i16' };

const SUB = 0x50;
const SUB_FINAL = 0x4f;
const RECURSIVE = 0x4e;
const FUNCTION = 0x60;
const STRUCT = 0x5f;
const ARRAY = 0x5e;

// Bits of the flags of limits.
const HAS_MAXIMUM = 1;
const SHARED = 2;
const IS_64 = 4;
const HAS_PAGE_SIZE = 8;

/**
 * @typedef {object} Limits of a memory, in pages, or of a table, in elements
 * @property {bigint} minimum
 * @property {bigint | undefined} maximum
 * @property {'i32' | 'i64'} address
 * @property {boolean} shared
 * @property {number} pageSize in bytes: 1 or 65536; 1 for a table
 * @property {string} [element] the type of a table's elements
 */

/** Reads bytes one after the other, and nothing behind the end. */
class Reader {
  constructor(bytes, at, end) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  fail(what, at = this.at) {
    throw notReadable(`${what} at byte ${at}`);
  }

  byte() {
    if (this.at >= this.end) this.fail('it ends too early');
    return this.bytes[this.at++];
  }

  skip(length) {
    if (length > this.end - this.at) this.fail('it ends too early');
    this.at += length;
  }

  u32() {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    const last = this.byte();
    if (last > 15) this.fail('a number of more than 32 bits', start);
    return value + last * 2 ** 28;
  }

  u64() {
    const start = this.at;
    let value = 0n;
    for (let shift = 0n; shift < 63n; shift += 7n) {
      const byte = this.byte();
      value += BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    const last = this.byte();
    if (last > 1) this.fail('a number of more than 64 bits', start);
    return value + (BigInt(last) << 63n);
  }

  /** Passes over a signed number of at most so many bytes, where its value does not matter. */
  signed(bytes) {
    const start = this.at;
    for (let i = 0; i < bytes; i++) if (this.byte() < 128) return;
    this.fail('a number that is too long', start);
  }

  s33() {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte >= 128) continue;
      if (shift === 28 && (byte & 0x70) !== 0 && (byte & 0x70) !== 0x70) break;
      return byte & 64 ? value - 2 ** (shift + 7) : value;
    }
    return this.fail('a number of more than 33 bits', start);
  }

  count(most, what) {
    const start = this.at;
    const count = this.u32();
    if (count > most) this.fail(`${count} ${what}`, start);
    return count;
  }

  name() {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString();
  }

  /** @returns {string} as the text format has it */
  valueType() {
    const start = this.at;
    const code = this.byte();
    if (NUMBERS[code] !== undefined) return NUMBERS[code];
    if (code === VECTOR) return 'v128';
    this.at = start;
    return this.referenceType();
  }

  referenceType() {
    const start = this.at;
    const code = this.byte();
    if (HEAP_TYPES[code] !== undefined) return `${HEAP_TYPES[code]}ref`;
    if (code === REF_NULL) return `(ref null ${this.heapType()})`;
    if (code === REF) return `(ref ${this.heapType()})`;
    return this.fail(`an unknown type ${hex(code)}`, start);
  }

  heapType() {
    const start = this.at;
    if (this.bytes[this.at] === EXACT) {
      this.byte();
      return `(exact ${this.u32()})`;
    }
    const value = this.s33();
    if (value >= 0) return String(value);
    // A negative number of 7 bits is a code; an encoding of more bytes means the same.
    return (
      (value >= -64 ? HEAP_TYPES[value + 128] : undefined) ??
      this.fail('an unknown type of references', start)
    );
  }

  mutability() {
    const flag = this.byte();
    if (flag > 1) this.fail(`an unknown mutability ${hex(flag)}`, this.at - 1);
    return flag === 1;
  }

  valueTypes() {
    const types = [];
    for (let left = this.count(MAX_ENTRIES, 'types'); left > 0; left--) {
      types.push(this.valueType());
    }
    return types;
  }

  /** A type, with those that it is said to extend before it. */
  subType() {
    let code = this.byte();
    if (code === SUB || code === SUB_FINAL) {
      for (let left = this.count(MAX_ENTRIES, 'supertypes'); left > 0; left--) this.u32();
      code = this.byte();
    }
    switch (code) {
      case FUNCTION:
        return { kind: 'function', parameters: this.valueTypes(), results: this.valueTypes() };
      case STRUCT:
        for (let left = this.count(MAX_ENTRIES, 'fields'); left > 0; left--) this.field();
        return { kind: 'struct' };
      case ARRAY:
        this.field();
        return { kind: 'array' };
      default:
        return this.fail(`an unknown kind of type ${hex(code)}`, this.at - 1);
    }
  }

  field() {
    if (PACKED[this.bytes[this.at]] !== undefined) this.byte();
    else this.valueType();
    this.mutability();
  }

  /** @returns {{ type: Limits, place: object }} and where its bytes are */
  memory() {
    const flagsAt = this.at;
    const flags = this.byte();
    if (flags > 15) this.fail(`unknown flags ${hex(flags)} of a memory`, flagsAt);
    const limits = this.limits(flags, flagsAt);
    const shift = flags & HAS_PAGE_SIZE ? this.u32() : 16;
    if (shift !== 0 && shift !== 16) this.fail('an unknown page size', flagsAt);
    const pageSize = 2 ** shift;
    const most = flags & IS_64 ? 2n ** 64n - 1n : 2n ** 32n / BigInt(pageSize);
    return this.checked('memory', flagsAt, limits, { ...limits.type, pageSize }, most);
  }

  table() {
    const element = this.referenceType();
    const flagsAt = this.at;
    const flags = this.byte();
    if (flags & ~(HAS_MAXIMUM | IS_64))
      this.fail(`unknown flags ${hex(flags)} of a table`, flagsAt);
    const limits = this.limits(flags, flagsAt);
    const most = flags & IS_64 ? 2n ** 64n - 1n : 2n ** 32n - 1n;
    return this.checked('table', flagsAt, limits, { ...limits.type, pageSize: 1, element }, most);
  }

  limits(flags) {
    // Numbers of 32 bits may not be longer than 5 bytes, however small.
    const number = () => (flags & IS_64 ? this.u64() : BigInt(this.u32()));
    const minimum = number();
    const maximumAt = this.at;
    const maximum = flags & HAS_MAXIMUM ? number() : undefined;
    const type = {
      minimum,
      maximum,
      address: flags & IS_64 ? 'i64' : 'i32',
      shared: (flags & SHARED) !== 0,
    };
    return { type, maximumAt, maximumEnd: this.at };
  }

  checked(kind, flagsAt, { maximumAt, maximumEnd }, type, most) {
    const { minimum, maximum = most, shared } = type;
    if (shared && type.maximum === undefined) this.fail('a shared memory without maximum', flagsAt);
    if (minimum > maximum || maximum > most) this.fail(`wrong limits of a ${kind}`, flagsAt);
    return { type, place: { kind, type, most, flagsAt, maximumAt, maximumEnd } };
  }

  /** Passes over the expression that a table's elements begin with. */
  constantExpression() {
    for (;;) {
      const start = this.at;
      const code = this.byte();
      switch (code) {
        case 0x0b: // end
          return;
        case 0x41: // i32.const
          this.signed(5);
          break;
        case 0x42: // i64.const
          this.signed(10);
          break;
        case 0x43: // f32.const
          this.skip(4);
          break;
        case 0x44: // f64.const
          this.skip(8);
          break;
        case 0x23: // global.get
        case 0xd2: // ref.func
          this.u32();
          break;
        case 0xd0: // ref.null
          this.heapType();
          break;
        case 0x6a: // i32.add, sub, mul; i64.add, sub, mul
        case 0x6b:
        case 0x6c:
        case 0x7c:
        case 0x7d:
        case 0x7e:
          break;
        case 0xfb:
          this.constantOfReferences(start);
          break;
        case 0xfd: // v128.const
          if (this.u32() !== 12) this.fail('an unknown instruction', start);
          this.skip(16);
          break;
        default:
          this.fail(`an unknown instruction ${hex(code)}`, start);
      }
    }
  }

  constantOfReferences(start) {
    switch (this.u32()) {
      case 0: // struct.new, struct.new_default, array.new, array.new_default
      case 1:
      case 6:
      case 7:
        this.u32();
        break;
      case 8: // array.new_fixed
        this.u32();
        this.u32();
        break;
      case 26: // any.convert_extern, extern.convert_any, ref.i31
      case 27:
      case 28:
        break;
      default:
        this.fail('an unknown instruction', start);
    }
  }
}

/** Reads all sections that say what a module is made of; passes over code and data. */
function scan(bytes) {
  if (kindOf(bytes) !== 'module') throw notReadable(`it is ${WHAT[kindOf(bytes)]}`);
  const module = {
    types: [],
    imports: [],
    exports: [],
    functions: [],
    memories: [],
    tables: [],
    tags: [],
    customSections: [],
    hasStart: false,
  };
  const sections = [];
  const places = [];

  const add = {
    memory(list, { type, place }, imported) {
      list.push({ ...type, imported });
      places.push({ ...place, imported, section: sections.length - 1 });
      return type;
    },
    tag(reader) {
      const attribute = reader.byte();
      if (attribute !== 0) reader.fail(`an unknown kind of tag ${hex(attribute)}`, reader.at - 1);
      const index = reader.u32();
      module.tags.push(index);
      return index;
    },
  };
  const spaces = (reader, what, one) => {
    for (let left = reader.count(MAX_SPACES, what); left > 0; left--) one();
  };
  const entries = (reader, what, one) => {
    for (let left = reader.count(MAX_ENTRIES, what); left > 0; left--) one();
  };

  const readers = {
    [CUSTOM](reader) {
      module.customSections.push(reader.name());
      reader.at = reader.end;
    },
    [TYPES](reader) {
      entries(reader, 'types', () => {
        if (reader.bytes[reader.at] !== RECURSIVE) return void module.types.push(reader.subType());
        reader.byte();
        entries(reader, 'types', () => {
          if (module.types.length >= MAX_ENTRIES) reader.fail('too many types');
          module.types.push(reader.subType());
        });
      });
    },
    [IMPORTS](reader) {
      entries(reader, 'imports', () => {
        const from = { module: reader.name(), name: reader.name() };
        const start = reader.at;
        const code = reader.byte();
        const kind = code === EXACT_FUNCTION ? 'function' : KINDS[code];
        let type;
        switch (kind) {
          case 'function':
            type = reader.u32();
            module.functions.push(type);
            break;
          case 'table':
            type = add.memory(module.tables, reader.table(), true);
            break;
          case 'memory':
            type = add.memory(module.memories, reader.memory(), true);
            break;
          case 'global':
            type = { value: reader.valueType(), mutable: reader.mutability() };
            break;
          case 'tag':
            type = add.tag(reader);
            break;
          default:
            reader.fail(`an unknown kind of import ${hex(code)}`, start);
        }
        module.imports.push({ ...from, kind, type });
      });
    },
    [FUNCTIONS](reader) {
      const { functions } = module;
      for (let left = reader.count(MAX_ENTRIES, 'functions'); left > 0; left--) {
        functions.push(reader.u32());
      }
    },
    [TABLES](reader) {
      spaces(reader, 'tables', () => {
        // A table that says what its elements begin with.
        const initialised = reader.bytes[reader.at] === 0x40;
        if (initialised) {
          reader.byte();
          if (reader.byte() !== 0) reader.fail('an unknown kind of table', reader.at - 1);
        }
        add.memory(module.tables, reader.table(), false);
        if (initialised) reader.constantExpression();
      });
    },
    [MEMORIES](reader) {
      spaces(reader, 'memories', () => add.memory(module.memories, reader.memory(), false));
    },
    [TAGS](reader) {
      entries(reader, 'tags', () => add.tag(reader));
    },
    [EXPORTS](reader) {
      entries(reader, 'exports', () => {
        const name = reader.name();
        const code = reader.byte();
        const kind = KINDS[code];
        if (kind === undefined)
          reader.fail(`an unknown kind of export ${hex(code)}`, reader.at - 1);
        module.exports.push({ name, kind, index: reader.u32() });
      });
    },
    [START](reader) {
      reader.u32();
      module.hasStart = true;
    },
  };

  const whole = new Reader(bytes, 8, bytes.length);
  let last = -1;
  while (whole.at < whole.end) {
    const start = whole.at;
    const id = whole.byte();
    const size = whole.u32();
    const payload = whole.at;
    whole.skip(size);
    if (id !== CUSTOM) {
      const place = ORDER.indexOf(id);
      if (place < 0) whole.fail(`an unknown section ${id}`, start);
      if (place <= last) whole.fail(`a section ${id} out of order`, start);
      last = place;
    }
    sections.push({ id, start, payload, end: whole.at });
    const read = readers[id];
    if (read === undefined) continue;
    const reader = new Reader(bytes, payload, whole.at);
    read(reader);
    if (reader.at !== reader.end) reader.fail(`a section ${id} that is longer than what is in it`);
  }
  return { module, sections, places };
}

// --- What it is ----------------------------------------------------------------------------------

const WHAT = {
  module: 'a core module',
  component: 'a component of WASI 0.2 or later',
  text: 'WebAssembly text',
  gzip: 'compressed by gzip',
  other: 'no WebAssembly',
};

/**
 * @param {BufferSource} wasm
 * @returns {'module' | 'component' | 'text' | 'gzip' | 'other'} by the first bytes
 */
function kindOf(wasm) {
  const bytes = bytesOf(wasm);
  const begins = (...prefix) => prefix.every((byte, i) => bytes[i] === byte);
  if (begins(0x00, 0x61, 0x73, 0x6d)) {
    if (begins(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) return 'module';
    // Behind a version of 16 bits stands the layer: 0 for modules, 1 for components.
    return bytes[6] === 1 && bytes[7] === 0 ? 'component' : 'other';
  }
  if (begins(0x1f, 0x8b)) return 'gzip';
  const text = Buffer.from(bytes.subarray(0, 4096)).toString('latin1');
  return /^(\xef\xbb\xbf)?\s*(;;|\(;|\(\s*(module|component)\b)/.test(text) ? 'text' : 'other';
}

/**
 * The parts of a module.
 *
 * @param {BufferSource} wasm
 * @returns {object} `imports`: each with `module`, `name`, `kind` and `type`, which is a number of
 *   `types` for a function or a tag, {@link Limits} for a memory or a table. `exports`: each with
 *   `name`, `kind` and `index`. `types`: each with `kind`, and for a function `parameters` and
 *   `results`. `functions`, `tags`: the numbers of their types, the imported ones first.
 *   `memories`, `tables`: {@link Limits}, with `imported`. `customSections`: names. `hasStart`
 * @throws {WebAssembly.CompileError} `ERR_WASI_MODULE`: it is no module, or has something that this
 *   reader does not know. Code and data are not looked at: a module that this reads may still be
 *   invalid.
 */
function readModule(wasm) {
  return scan(bytesOf(wasm)).module;
}

/**
 * @param {BufferSource} wasm bytes that V8 has compiled
 * @returns {boolean} whether it has a function that runs when it is instantiated
 */
function hasStart(wasm) {
  const bytes = bytesOf(wasm);
  const reader = new Reader(bytes, 8, bytes.length);
  while (reader.at < reader.end) {
    if (reader.byte() === START) return true;
    reader.skip(reader.u32());
  }
  return false;
}

/**
 * @param {Limits} type of a memory
 * @returns {object} what `new WebAssembly.Memory` takes
 */
function memoryDescriptor({ minimum, maximum, shared, address, pageSize }) {
  if (pageSize !== 65536) throw notReadable('a memory of other pages cannot be made by JavaScript');
  const number = address === 'i64' ? (value) => value : Number;
  return {
    initial: number(minimum),
    ...(maximum === undefined ? {} : { maximum: number(maximum) }),
    ...(address === 'i64' ? { address } : {}),
    shared,
  };
}

// --- Limits --------------------------------------------------------------------------------------

/**
 * The same module with memories and tables that cannot grow beyond a limit: growing then gives the
 * guest -1.
 *
 * All memories together, own and imported ones, have maxima whose sum is at most `memoryBytes`, and
 * so have all tables with `tableElements`. Each gets what it asks for at the start; the rest is
 * divided evenly among those that may grow, where what one may not take, as its own maximum is
 * lower, goes to the others. So the one memory that most modules have gets it all. An imported
 * memory must be made by who gives it: with the maximum that `readModule` tells of the result. V8
 * refuses to link one with a larger one or none.
 *
 * Nothing but maxima changes, but for the places of what follows them: bytes in stack traces count
 * from there.
 *
 * @param {BufferSource} wasm
 * @param {object} limits
 * @param {number} [limits.memoryBytes]
 * @param {number} [limits.tableElements] 100,000 by default if there is `memoryBytes`
 * @param {boolean} [limits.allowsHeap] whether the module may have what V8 keeps on its own heap
 * @returns {Uint8Array} new bytes
 * @throws {WebAssembly.CompileError} `ERR_WASI_MODULE`, as by {@link readModule}
 * @throws {Error} `ERR_WASI_LIMIT`: the module asks for more to start
 * @throws {Error} `ERR_WASI_UNBOUNDED_MEMORY`: there is `memoryBytes`, and the module can take
 *   memory beside its memories and tables: it declares structures or arrays, or exceptions that
 *   carry references or more than 4 values
 */
function limited(wasm, limits) {
  const one = copied(wasm);
  boundAll([one.module], one.places, limits);
  return rewritten(one);
}

/**
 * The modules of a component, limited together: the sum of all maxima is at most the limit if each
 * is instantiated once. A memory or table that one of them imports is bounded in the module that
 * makes it.
 *
 * @param {BufferSource[]} modules
 * @param {object} limits as of {@link limited}, with its errors
 * @returns {Uint8Array[]} new bytes
 */
function limitedParts(modules, limits) {
  const all = modules.map(copied);
  const places = all.flatMap((one) => one.places.filter(({ imported }) => !imported));
  boundAll(
    all.map(({ module }) => module),
    places,
    limits,
  );
  return all.map(rewritten);
}

/** A copy, read: what is checked is what is compiled, whatever another thread does to the bytes. */
function copied(wasm) {
  const bytes = bytesOf(wasm).slice();
  return { bytes, ...scan(bytes) };
}

function boundAll(modules, places, { memoryBytes, tableElements, allowsHeap = false }) {
  if (memoryBytes !== undefined) {
    if (!allowsHeap) modules.forEach(refuseOtherMemory);
    tableElements ??= DEFAULT_TABLE_ELEMENTS;
    bound(places, 'memory', memoryBytes, 'memoryBytes', 'bytes of memory');
  }
  if (tableElements !== undefined) {
    bound(places, 'table', tableElements, 'tableElements', 'elements of tables');
  }
}

/**
 * Refuses modules that can fill V8's own heap, because V8 ends the process when that is full.
 * Functions are as many as the module has, and numbers need no heap. That leaves structures,
 * arrays, and exceptions, which could be chained.
 */
function refuseOtherMemory({ types, tags }) {
  const refuse = (what) => {
    throw nodeError(
      Error,
      'ERR_WASI_UNBOUNDED_MEMORY',
      `The module ${what}, whose memory "memoryBytes" cannot bound: run it with isolation: 'process'`,
    );
  };
  if (types.some(({ kind }) => kind !== 'function')) {
    refuse('has structures or arrays that are collected as garbage');
  }
  const numbers = Object.values(NUMBERS);
  for (const index of tags) {
    const { parameters = [] } = types[index] ?? {};
    if (
      parameters.length > MAX_TAG_PARAMETERS ||
      parameters.some((type) => !numbers.includes(type))
    ) {
      refuse(`has exceptions that carry more than ${MAX_TAG_PARAMETERS} numbers`);
    }
  }
}

/** Notes a maximum at each place of a kind, in units of the place. */
function bound(places, kind, limit, name, unit) {
  const ours = places.filter((place) => place.kind === kind);
  const sizeOf = ({ type }) => BigInt(type.pageSize);
  const needed = ours.reduce((sum, place) => sum + place.type.minimum * sizeOf(place), 0n);
  if (needed > BigInt(limit)) {
    // Loaded late, because what reads modules works without the addon.
    throw require('./ends.js').limitReached(
      name,
      `The module asks for ${needed} ${unit} to start and may have ${limit}`,
    );
  }
  const roomOf = ({ type, most }) => (type.maximum ?? most) - type.minimum;
  const bytes = (place) => roomOf(place) * sizeOf(place);
  ours.sort((one, other) => (bytes(one) < bytes(other) ? -1 : bytes(one) > bytes(other) ? 1 : 0));
  let spare = BigInt(limit) - needed;
  ours.forEach((place, i) => {
    const part = spare / BigInt(ours.length - i) / sizeOf(place);
    const more = part < roomOf(place) ? part : roomOf(place);
    place.bound = place.type.minimum + more;
    spare -= more * sizeOf(place);
  });
}

function rewritten({ bytes, sections, places }) {
  const changed = places
    .filter(({ bound, type }) => bound !== undefined && bound !== type.maximum)
    .sort((one, other) => one.flagsAt - other.flagsAt);
  const pieces = [];
  let at = 0;
  for (let i = 0; i < changed.length;) {
    const { section } = changed[i];
    const { start, payload, end } = sections[section];
    pieces.push(bytes.subarray(at, start + 1));
    at = payload;
    const inside = [];
    for (; i < changed.length && changed[i].section === section; i++) {
      const { flagsAt, maximumAt, maximumEnd, bound } = changed[i];
      inside.push(
        bytes.subarray(at, flagsAt),
        [bytes[flagsAt] | HAS_MAXIMUM],
        bytes.subarray(flagsAt + 1, maximumAt),
        encoded(bound),
      );
      at = maximumEnd;
    }
    inside.push(bytes.subarray(at, end));
    at = end;
    const size = inside.reduce((sum, { length }) => sum + length, 0);
    // One by one: a section may have more pieces than a call can have arguments.
    pieces.push(encoded(BigInt(size)));
    for (const piece of inside) pieces.push(piece);
  }
  pieces.push(bytes.subarray(at));
  const result = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const piece of pieces) {
    result.set(piece, to);
    to += piece.length;
  }
  return result;
}

/** An unsigned number as LEB128. */
function encoded(value) {
  const bytes = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  bytes.push(Number(value));
  return bytes;
}

// -------------------------------------------------------------------------------------------------

function bytesOf(wasm) {
  if (ArrayBuffer.isView(wasm)) {
    return new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength);
  }
  if (isAnyArrayBuffer(wasm)) return new Uint8Array(wasm);
  throw wrongType('wasm', 'an instance of ArrayBuffer, TypedArray or DataView', wasm);
}

function notReadable(what) {
  return nodeError(WebAssembly.CompileError, 'ERR_WASI_MODULE', `Not a module to be read: ${what}`);
}

function hex(code) {
  return `0x${code.toString(16)}`;
}

module.exports = {
  hasStart,
  kindOf,
  limited,
  limitedParts,
  memoryDescriptor,
  Reader,
  readModule,
  WHAT,
};
