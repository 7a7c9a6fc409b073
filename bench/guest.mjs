// The guest of the benchmark: one exported loop for each row, `(param $n i32) (result i32)`, which
// makes the row's calls `n` times. All that the calls need lies in memory before the loop begins,
// so a loop holds nothing but the calls. A loop gives back all errnos that it saw, or-ed.

import SIGNATURES from '../__test__/contract/signatures.cjs';

/** Where results go: 256 bytes. */
export const OUT = 64;
/** Where a call leaves a descriptor that the next ones use. */
export const OPENED = 24;
/** Where a walk through a directory leaves how many entries it saw. */
export const ENTRIES = 16;
/** Descriptors that the host opens before the loops run, 4 bytes each. */
const DESCRIPTORS = 512;
/** Strings, lists of buffers and other constants. */
const CONSTANTS = 1024;
/**
 * Names `n0000000`, `n0000001` and so on. Each ends with a NUL, as the paths of C programs do:
 * without it `node:wasi` looks at all that follows.
 */
const NAMES = 65536;
const NAME_COUNT = 512;
const NAME_LENGTH = 8;
const NAME_PITCH = 16;
/** The buffer for data. */
export const BUFFER = 1 << 20;
/** The guest's memory, in pages of 64 KiB: the buffer takes the most that a row moves, 16 MiB. */
export const PAGES = (BUFFER + (16 << 20)) / 65536;

/** @returns {string} name number `index` */
export function nameAt(index) {
  return `n${String(index).padStart(NAME_LENGTH - 1, '0')}`;
}

// --- Arguments of calls --------------------------------------------------------------------------
// A number is an i32, a bigint an i64; the rest is one of these.

/** Two arguments: the pointer and the length of a string. */
export const text = (string) => ({ kind: 'constant', bytes: Buffer.from(string), two: true });
/**
 * Two arguments: the pointer and the count of a list of buffers of these lengths, one after
 * another.
 */
export function buffers(...lengths) {
  const bytes = Buffer.alloc(lengths.length * 8);
  let at = BUFFER;
  lengths.forEach((length, i) => {
    bytes.writeUInt32LE(at, i * 8);
    bytes.writeUInt32LE(length, i * 8 + 4);
    at += length;
  });
  return { kind: 'constant', bytes, two: true, count: lengths.length };
}
/** One argument: the pointer to a record. */
export const record = (bytes) => ({ kind: 'constant', bytes, two: false });
/** One argument: the number of a descriptor that the host opens before the loops run. */
export const opened = (name) => ({ kind: 'opened', name });
/** One argument: the i32 that an earlier call of the same turn left at an address. */
export const loaded = (address) => ({ kind: 'wat', wat: `(i32.load (i32.const ${address}))` });
/** Two arguments: the name whose number is that of the turn. */
export const nextName = {
  kind: 'wat',
  wat:
    `(i32.add (i32.const ${NAMES}) (i32.mul (local.get $i) (i32.const ${NAME_PITCH}))) ` +
    `(i32.const ${NAME_LENGTH})`,
};

/**
 * @typedef {object} Loop
 * @property {string} name the name of the export
 * @property {any[][]} [calls] the import and its arguments, for each call of a turn
 * @property {{ fd: object, length: number }} [walk] instead of calls: reads a whole directory
 * @property {number} [moves] how many bytes each call must move; one that moves less is a failure
 * @property {number} [until] instead of one call, a turn makes as many as it takes to move these
 *   bytes
 */

/** Writes the module for some loops. */
export class Guest {
  #data = [];
  #end = CONSTANTS;
  #descriptors = new Map();
  #functions = [];

  /** @returns {number} the address of a descriptor that the host is to open */
  descriptor(name) {
    if (!this.#descriptors.has(name)) {
      this.#descriptors.set(name, DESCRIPTORS + 4 * this.#descriptors.size);
    }
    return this.#descriptors.get(name);
  }

  /** The addresses at which the host stores the descriptors, by name. */
  get descriptors() {
    return Object.fromEntries(this.#descriptors);
  }

  #constant(bytes) {
    const at = this.#end;
    this.#data.push(`(data (i32.const ${at}) "${hex(bytes)}")`);
    this.#end = (at + bytes.length + 16) & ~15;
    if (this.#end > NAMES) throw new RangeError('too many constants');
    return at;
  }

  #argument(value) {
    if (typeof value === 'number') return `(i32.const ${value})`;
    if (typeof value === 'bigint') return `(i64.const ${value})`;
    if (value.kind === 'wat') return value.wat;
    if (value.kind === 'opened') return `(i32.load (i32.const ${this.descriptor(value.name)}))`;
    const at = this.#constant(value.bytes);
    const second = value.two ? ` (i32.const ${value.count ?? value.bytes.length})` : '';
    return `(i32.const ${at})${second}`;
  }

  #call([name, ...args]) {
    return `(call $${name} ${args.map((arg) => this.#argument(arg)).join(' ')})`;
  }

  /** @param {Loop} loop */
  add(loop) {
    const body = loop.walk ? this.#walk(loop.walk) : this.#turn(loop);
    this.#functions.push(`
  (func (export "${loop.name}") (param $n i32) (result i32)
    (local $i i32) (local $errno i32) (local $moved i32)
    (local $cookie i64) (local $used i32) (local $at i32) (local $next i32) (local $entries i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (loop $turn
      ${body}
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $turn (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $errno))`);
  }

  #turn({ calls, moves, until }) {
    if (until) {
      // A failure ends it, so that it cannot go round for ever.
      return `(local.set $moved (i32.const 0))
      (loop $more
        ${orErrno(this.#call(calls[0]))}
        (local.set $moved (i32.add (local.get $moved) (i32.load (i32.const ${OUT}))))
        (br_if $more (i32.and
          (i32.eqz (local.get $errno))
          (i32.lt_u (local.get $moved) (i32.const ${until})))))`;
    }
    const done = moves ? `(i32.ne (i32.load (i32.const ${OUT})) (i32.const ${moves}))` : '';
    return calls
      .map((call) => orErrno(this.#call(call)) + (done && orErrno(done)))
      .join('\n      ');
  }

  /** Reads a directory from its start to its end, and finds the cookies as a libc does. */
  #walk({ fd, length }) {
    const used = `(i32.load (i32.const ${OUT}))`;
    const call = this.#call([
      'fd_readdir',
      fd,
      BUFFER,
      length,
      { kind: 'wat', wat: '(local.get $cookie)' },
      OUT,
    ]);
    return `(local.set $cookie (i64.const 0))
      (local.set $entries (i32.const 0))
      (loop $more
        ${orErrno(call)}
        (local.set $used ${used})
        (local.set $at (i32.const 0))
        (block $cut
          (loop $entry
            (br_if $cut (i32.gt_u (i32.add (local.get $at) (i32.const 24)) (local.get $used)))
            (local.set $next (i32.add (i32.add (local.get $at) (i32.const 24))
              (i32.load offset=16 (i32.add (i32.const ${BUFFER}) (local.get $at)))))
            (br_if $cut (i32.gt_u (local.get $next) (local.get $used)))
            (local.set $cookie (i64.load (i32.add (i32.const ${BUFFER}) (local.get $at))))
            (local.set $entries (i32.add (local.get $entries) (i32.const 1)))
            (local.set $at (local.get $next))
            (br $entry)))
        (br_if $more (i32.and
          (i32.eqz (local.get $errno))
          (i32.and
            (i32.ne (local.get $at) (i32.const 0))
            (i32.eq (local.get $used) (i32.const ${length}))))))
      (i32.store (i32.const ${ENTRIES}) (local.get $entries))`;
  }

  /** @returns {string} the module as text */
  text() {
    let names = '';
    for (let i = 0; i < NAME_COUNT; i++) {
      names += hex(Buffer.from(nameAt(i).padEnd(NAME_PITCH, '\0')));
    }
    const functions = this.#functions.join('\n');
    const called = Object.entries(SIGNATURES).filter(([name]) => functions.includes(`$${name}`));
    const imports = called.map(([name, types]) => {
      const params = [...types].map((type) => (type === 'i' ? 'i32' : 'i64')).join(' ');
      return `  (import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${params}) (result i32)))`;
    });
    return `(module
${imports.join('\n')}
  (memory (import "bench" "memory") ${PAGES} ${PAGES})
  ${this.#data.join('\n  ')}
  (data (i32.const ${NAMES}) "${names}")
${functions})`;
  }
}

function orErrno(expression) {
  return `(local.set $errno (i32.or (local.get $errno) ${expression}))`;
}

function hex(bytes) {
  return [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
}
