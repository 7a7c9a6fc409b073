// Functions of WASI 0.2 by the canonical ABI that answer at once and do nothing: what a call of a
// component costs before a host does anything. `components.mjs` measures the rows of `rows.c` with
// them. Only what those rows call is here; what they measure by, and print by, stays the host's.

const LOWER = Symbol.for('cabiLower');
const DISPOSE = Symbol.for('cabiDispose');
/** A flag of jco's in its tables of handles: beside a rep, that the handle owns it. */
const OWN = 1 << 30;
/** The rep of all that is opened here. */
const REP = 9;
const REGULAR_FILE = 6;
const DIRECTORY = 3;
const FAILED = 1;
const NO_ENTRY = 20;
/** `read`, `write` and `mutate-directory` */
const FLAGS = 35;
const N = 'n'.charCodeAt(0);

const STAT = new Uint32Array(26);
STAT[2] = REGULAR_FILE;
const HASH = new Uint32Array(6);
const MISSING = new Uint32Array(26);
MISSING[0] = FAILED;
MISSING[2] = NO_ENTRY;

/** Makes a handle in one of jco's tables. */
function own(table) {
  const free = table[0] & ~OWN;
  if (free === 0) {
    table.push(0, REP | OWN);
    return (table.length >> 1) - 1;
  }
  table[0] = table[free << 1];
  table[free << 1] = 0;
  table[(free << 1) + 1] = REP | OWN;
  return free;
}

const repOf = (table, handle) => table[(handle << 1) + 1] & ~OWN;

/** The memory as bytes. */
function bytesOf(look) {
  let bytes = new Uint8Array(0);
  return () => (bytes.length > 0 ? bytes : (bytes = new Uint8Array(look().buffer)));
}

/** Gives a byte behind the discriminant of a result. */
function give(bytes, ret, byte) {
  bytes[ret] = 0;
  bytes[ret + 1] = byte;
}

/** Makes hooks from functions that are given a memory as words. */
const hook =
  (make) =>
  ({ memory, realloc, resourceTables }) => {
    let words = new Uint32Array(0);
    const look = () => (words.length > 0 ? words : (words = new Uint32Array(memory.buffer)));
    return make(look, resourceTables, realloc);
  };

/** Gives a handle of something new. */
function open(all, ret, table) {
  all[ret >>> 2] = 0;
  all[(ret >>> 2) + 1] = own(table);
}

/** Gives a list of bytes that nobody has written. */
function list(look, realloc, ret, length) {
  const size = Number(length);
  const pointer = realloc(0, 0, 1, size);
  const all = look();
  all[ret >>> 2] = pointer;
  all[(ret >>> 2) + 1] = size;
  return all;
}

const DESCRIPTOR = {
  stat: (look) => (fd, ret) => look().set(STAT, ret >>> 2),
  metadataHash: (look) => (fd, ret) => look().set(HASH, ret >>> 2),
  statAt: (look) => (fd, follow, path, size, ret) => {
    const all = look();
    const isMissing = ((all[path >>> 2] >>> (8 * (path & 3))) & 0xff) === N;
    all.set(isMissing ? MISSING : STAT, ret >>> 2);
  },
  metadataHashAt: (look) => (fd, follow, path, size, ret) => look().set(HASH, ret >>> 2),
  getFlags: (look) => {
    const bytes = bytesOf(look);
    return (fd, ret) => give(bytes(), ret, FLAGS);
  },
  getType: (look, [table]) => {
    const bytes = bytesOf(look);
    return (fd, ret) => give(bytes(), ret, repOf(table, fd) === REP ? REGULAR_FILE : DIRECTORY);
  },
  openAt:
    (look, [table]) =>
    (fd, follow, path, size, how, flags, ret) =>
      open(look(), ret, table),
  unlinkFileAt: (look) => {
    const bytes = bytesOf(look);
    return (fd, path, size, ret) => give(bytes(), ret, 0);
  },
  readViaStream:
    (look, [table]) =>
    (fd, offset, ret) =>
      open(look(), ret, table),
  writeViaStream:
    (look, [table]) =>
    (fd, offset, ret) =>
      open(look(), ret, table),
  read: (look, _, realloc) => (fd, length, offset, ret) => {
    const all = list(look, realloc, ret + 4, length);
    all[ret >>> 2] = 0;
    all[(ret >>> 2) + 3] = 0;
  },
};

const INPUT = {
  blockingRead: (look, _, realloc) => (stream, length, ret) => {
    list(look, realloc, ret + 4, length)[ret >>> 2] = 0;
  },
};

/**
 * @param {Record<string, object>} imports what `getImportObject` gave
 * @returns {Record<string, object>} the same with these functions
 */
export function withoutHost(imports) {
  const types = imports['wasi:filesystem/types'];
  const streams = imports['wasi:io/streams'];
  const set = (fn, value) => Object.defineProperty(fn, LOWER, { value });
  for (const [name, make] of Object.entries(DESCRIPTOR)) {
    set(types.Descriptor.prototype[name], hook(make));
  }
  for (const [name, make] of Object.entries(INPUT)) {
    set(streams.InputStream.prototype[name], hook(make));
  }
  set(
    imports['wasi:clocks/wall-clock'].now,
    hook((look) => (ret) => void look().fill(0, ret >>> 2, (ret >>> 2) + 4)),
  );
  set(
    imports['wasi:random/random'].getRandomBytes,
    hook((look, _, realloc) => (length, ret) => void list(look, realloc, ret, length)),
  );
  // The results of the measurement are printed.
  let printed;
  const { getStderr } = imports['wasi:cli/stderr'];
  const stderr = getStderr[LOWER];
  set(getStderr, (options) => {
    const get = stderr(options);
    return () => (printed = get());
  });
  const { blockingWriteAndFlush } = streams.OutputStream.prototype;
  const print = blockingWriteAndFlush[LOWER];
  set(blockingWriteAndFlush, (options) => {
    const write = print(options);
    const silent = hook((look) => (ret) => void (look()[ret >>> 2] = 0))(options);
    return (stream, pointer, size, ret) =>
      stream === printed ? write(stream, pointer, size, ret) : silent(ret);
  });
  /** Dropping what is opened here is nothing. */
  const dropping = (Class) => {
    const drop = Class[DISPOSE];
    const Dropping = class extends Class {};
    const value = (rep) => (rep === REP ? undefined : Reflect.apply(drop, Class, [rep]));
    return Object.defineProperty(Dropping, DISPOSE, { value });
  };
  const { Descriptor } = types;
  const { InputStream, OutputStream } = streams;
  return {
    ...imports,
    'wasi:filesystem/types': { ...types, Descriptor: dropping(Descriptor) },
    'wasi:io/streams': {
      ...streams,
      InputStream: dropping(InputStream),
      OutputStream: dropping(OutputStream),
    },
  };
}
