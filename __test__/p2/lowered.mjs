// A component's side of the canonical ABI in JavaScript: it makes the functions that `lowered.js`
// gives for a component look like the classes over values, so that the same tests run on both. It
// stands for what jco writes with `--import-bindings optimized`, with a memory whose `realloc` notes
// what it is asked for.

const LOWER = Symbol.for('cabiLower');
const DISPOSE = Symbol.for('cabiDispose');
const OWN = 1 << 30;
const CODES = `access would-block already bad-descriptor busy deadlock quota exist file-too-large
illegal-byte-sequence in-progress interrupted invalid io is-directory loop too-many-links message-size
name-too-long no-device no-entry no-lock insufficient-memory insufficient-space not-directory not-empty
not-recoverable unsupported no-tty no-such-device overflow not-permitted pipe read-only invalid-seek
text-file-busy cross-device`.split(/\s+/);
const TYPES =
  'unknown block-device character-device directory fifo symbolic-link regular-file socket'.split(
    ' ',
  );
const FLAGS = {
  pathFlags: ['symlinkFollow'],
  openFlags: ['create', 'directory', 'exclusive', 'truncate'],
  descriptorFlags:
    'read write fileIntegritySync dataIntegritySync requestedWriteSync mutateDirectory'.split(' '),
};
const ADVICE = 'normal sequential random will-need dont-need no-reuse'.split(' ');

/** Of each class, its methods: parameters and result. `self` is left out. */
const METHODS = {
  Descriptor: {
    readViaStream: ['u64', 'code own InputStream'],
    writeViaStream: ['u64', 'code own OutputStream'],
    appendViaStream: ['', 'code own OutputStream'],
    advise: ['u64 u64 advice', 'code'],
    syncData: ['', 'code'],
    getFlags: ['', 'code flags'],
    getType: ['', 'code type'],
    setSize: ['u64', 'code'],
    setTimes: ['time time', 'code'],
    read: ['u64 u64', 'code read'],
    write: ['bytes u64', 'code u64'],
    readDirectory: ['', 'code own DirectoryEntryStream'],
    sync: ['', 'code'],
    createDirectoryAt: ['string', 'code'],
    stat: ['', 'code stat'],
    statAt: ['pathFlags string', 'code stat'],
    setTimesAt: ['pathFlags string time time', 'code'],
    linkAt: ['pathFlags string Descriptor string', 'code'],
    openAt: ['pathFlags string openFlags descriptorFlags', 'code own Descriptor'],
    readlinkAt: ['string', 'code string'],
    removeDirectoryAt: ['string', 'code'],
    renameAt: ['string Descriptor string', 'code'],
    symlinkAt: ['string string', 'code'],
    unlinkFileAt: ['string', 'code'],
    isSameObject: ['Descriptor', 'bool'],
    metadataHash: ['', 'code hash'],
    metadataHashAt: ['pathFlags string', 'code hash'],
  },
  DirectoryEntryStream: { readDirectoryEntry: ['', 'code entry'] },
  Error: { toDebugString: ['', 'string'] },
  Pollable: { ready: ['', 'bool'], block: ['', ''] },
  InputStream: {
    read: ['u64', 'stream list'],
    blockingRead: ['u64', 'stream list'],
    skip: ['u64', 'stream u64'],
    blockingSkip: ['u64', 'stream u64'],
    subscribe: ['', 'own Pollable'],
  },
  OutputStream: {
    checkWrite: ['', 'stream u64'],
    write: ['bytes', 'stream'],
    blockingWriteAndFlush: ['bytes', 'stream'],
    flush: ['', 'stream'],
    blockingFlush: ['', 'stream'],
    subscribe: ['', 'own Pollable'],
    writeZeroes: ['u64', 'stream'],
    blockingWriteZeroesAndFlush: ['u64', 'stream'],
    splice: ['InputStream u64', 'stream u64'],
    blockingSplice: ['InputStream u64', 'stream u64'],
  },
  TerminalInput: {},
  TerminalOutput: {},
};

const FUNCTIONS = {
  'wasi:cli/environment': {
    getEnvironment: ['', 'pairs'],
    getArguments: ['', 'strings'],
    initialCwd: ['', 'option'],
  },
  'wasi:cli/exit': { exit: ['result', ''], exitWithCode: ['u32', ''] },
  'wasi:cli/stdin': { getStdin: ['', 'own InputStream'] },
  'wasi:cli/stdout': { getStdout: ['', 'own OutputStream'] },
  'wasi:cli/stderr': { getStderr: ['', 'own OutputStream'] },
  'wasi:cli/terminal-stdin': { getTerminalStdin: ['', 'terminal TerminalInput'] },
  'wasi:cli/terminal-stdout': { getTerminalStdout: ['', 'terminal TerminalOutput'] },
  'wasi:cli/terminal-stderr': { getTerminalStderr: ['', 'terminal TerminalOutput'] },
  'wasi:clocks/monotonic-clock': {
    now: ['', 'u64'],
    resolution: ['', 'u64'],
    subscribeInstant: ['u64', 'own Pollable'],
    subscribeDuration: ['u64', 'own Pollable'],
  },
  'wasi:clocks/wall-clock': { now: ['', 'datetime'], resolution: ['', 'datetime'] },
  'wasi:filesystem/preopens': { getDirectories: ['', 'directories'] },
  'wasi:filesystem/types': { filesystemErrorCode: ['Error', 'code?'] },
  'wasi:io/poll': { poll: ['pollables', 'words'] },
  'wasi:random/random': { getRandomBytes: ['u64', 'list'], getRandomU64: ['', 'u64'] },
  'wasi:random/insecure': {
    getInsecureRandomBytes: ['u64', 'list'],
    getInsecureRandomU64: ['', 'u64'],
  },
  'wasi:random/insecure-seed': { insecureSeed: ['', 'seed'] },
};

/** The order of jco's tables: by the order in which a component imports the resources. */
const ORDER = Object.keys(METHODS);

/**
 * @param {Record<string, object>} imports of `getImportObject()`
 * @param {{ isReversed?: boolean, pages?: number }} [options] `isReversed`: the tables in the other
 *   order, as a component may have them
 * @returns {{ imports: Record<string, object>, component: object }} the same interfaces over a
 *   component's memory
 */
export function lowered(imports, { isReversed = false, pages = 2 } = {}) {
  const memory = new WebAssembly.Memory({ initial: pages });
  const tables = Object.fromEntries(ORDER.map((name) => [name, [OWN, 0]]));
  const component = { memory, tables, asked: [], heap: 65536, realloc, failing: undefined };
  const order = isReversed ? [...ORDER].reverse() : ORDER;

  function realloc(pointer, oldSize, align, size) {
    component.asked.push(size);
    component.within?.();
    if (pointer !== 0) return pointer;
    const at = Math.ceil(component.heap / align) * align;
    component.heap = at + size;
    const missing = component.heap - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return component.lie ?? at;
  }

  const view = () => new DataView(memory.buffer);
  const bytesAt = (at) => {
    const [pointer, length] = [view().getUint32(at, true), view().getUint32(at + 4, true)];
    return new Uint8Array(memory.buffer, pointer, length).slice();
  };
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const stringAt = (at) => utf8.decode(bytesAt(at));
  const listAt = (at, size, read) => {
    const [pointer, count] = [view().getUint32(at, true), view().getUint32(at + 4, true)];
    return Array.from({ length: count }, (_, index) => read(pointer + size * index));
  };
  const datetimeAt = (at) => ({
    seconds: view().getBigUint64(at, true),
    nanoseconds: view().getUint32(at + 8, true),
  });

  const classes = Object.fromEntries(ORDER.map((name) => [name, class {}]));
  function make(Class, handle) {
    const object = new classes[Class]();
    object.handle = handle;
    return object;
  }

  const READ = {
    '': () => undefined,
    u64: (at) => view().getBigUint64(at, true),
    type: (at) => TYPES[view().getUint8(at)],
    flags: (at) =>
      Object.fromEntries(
        FLAGS.descriptorFlags.map((name, bit) => [name, (view().getUint8(at) & (1 << bit)) !== 0]),
      ),
    hash: (at) => ({
      lower: view().getBigUint64(at, true),
      upper: view().getBigUint64(at + 8, true),
    }),
    seed: (at) => [view().getBigUint64(at, true), view().getBigUint64(at + 8, true)],
    stat: (at) => ({
      type: TYPES[view().getUint8(at)],
      linkCount: view().getBigUint64(at + 8, true),
      size: view().getBigUint64(at + 16, true),
      dataAccessTimestamp: datetimeAt(at + 32),
      dataModificationTimestamp: datetimeAt(at + 56),
      statusChangeTimestamp: datetimeAt(at + 80),
    }),
    datetime: datetimeAt,
    list: bytesAt,
    string: stringAt,
    read: (at) => [bytesAt(at), view().getUint8(at + 8) === 1],
    entry: (at) =>
      view().getUint8(at) === 0
        ? undefined
        : { type: TYPES[view().getUint8(at + 4)], name: stringAt(at + 8) },
    option: (at) => (view().getUint8(at) === 0 ? undefined : stringAt(at + 4)),
    'code?': (at) => (view().getUint8(at) === 0 ? undefined : CODES[view().getUint8(at + 1)]),
    strings: (at) => listAt(at, 8, stringAt),
    pairs: (at) => listAt(at, 16, (one) => [stringAt(one), stringAt(one + 8)]),
    words: (at) => Uint32Array.from(listAt(at, 4, (one) => view().getUint32(one, true))),
    directories: (at) =>
      listAt(at, 12, (one) => [make('Descriptor', view().getUint32(one, true)), stringAt(one + 4)]),
  };
  const ALIGN = { u64: 8, stat: 8, hash: 8, list: 4, string: 4, read: 4, entry: 4, own: 4 };

  const resourcesOf = (takes, gives, self) => {
    const named = [...takes, ...gives].filter((name) => ORDER.includes(name));
    if (self) named.push(self);
    if (gives[0] === 'stream') named.push('Error');
    if (gives[0] === 'directories') named.push('Descriptor');
    if (takes[0] === 'pollables') named.push('Pollable');
    return order.filter((name) => named.includes(name)).map((name) => tables[name]);
  };

  function wrap(method, [parameters, result], self) {
    const takes = parameters === '' ? [] : parameters.split(' ');
    const gives = result.split(' ');
    const [errors, kind, given] =
      gives[0] === 'code' || gives[0] === 'stream'
        ? [gives[0], gives[1] ?? '', gives[2]]
        : ['', ...gives];
    const hook = method[LOWER];
    if (hook === undefined) throw new Error(`${method.name} is not lowered`);
    const lower = hook({ memory, realloc, resourceTables: resourcesOf(takes, gives, self) });
    const isDirect = errors === '' && ['', 'u64', 'bool', 'own'].includes(kind);
    return function (...args) {
      // Arguments from the bottom up, as a C stack has them.
      let top = 1024;
      const put = (bytes) => {
        const at = top;
        if (at + bytes.length > 65536) {
          const large = realloc(0, 0, 1, bytes.length);
          new Uint8Array(memory.buffer).set(bytes, large);
          return [large, bytes.length];
        }
        new Uint8Array(memory.buffer).set(bytes, at);
        top += bytes.length;
        return [at, bytes.length];
      };
      const flat = self ? [this.handle] : [];
      takes.forEach((type, index) => {
        const value = args[index];
        if (type in FLAGS) {
          flat.push(
            FLAGS[type].reduce((bits, name, bit) => bits | (value?.[name] ? 1 << bit : 0), 0),
          );
        } else if (type === 'string') flat.push(...put(new TextEncoder().encode(value)));
        else if (type === 'bytes') flat.push(...put(value));
        else if (type === 'time') {
          const case_ = ['no-change', 'now', 'timestamp'].indexOf(value.tag);
          flat.push(case_, value.val?.seconds ?? 0n, value.val?.nanoseconds ?? 0);
        } else if (type === 'advice') flat.push(ADVICE.indexOf(value));
        else if (type === 'result') flat.push(value.tag === 'ok' ? 0 : 1);
        else if (type === 'pollables') {
          top = Math.ceil(top / 4) * 4;
          const handles = Uint32Array.from(value, ({ handle }) => handle);
          const [at] = put(new Uint8Array(handles.buffer));
          flat.push(at, value.length);
        } else if (ORDER.includes(type)) flat.push(value.handle);
        else flat.push(value);
      });
      const area = 256;
      component.asked.length = 0;
      if (isDirect) {
        const value = lower(...flat);
        if (kind === 'own') return make(given, value);
        if (kind === 'u64') return BigInt.asUintN(64, value);
        return kind === 'bool' ? value !== 0 : undefined;
      }
      lower(...flat, area);
      const at = errors === '' ? 0 : Math.max(ALIGN[kind] ?? 1, errors === 'stream' ? 4 : 1);
      if (errors !== '' && view().getUint8(area) === 1) {
        if (errors === 'code') throw CODES[view().getUint8(area + at)];
        if (view().getUint8(area + at) === 1) throw { tag: 'closed' };
        throw {
          tag: 'last-operation-failed',
          val: make('Error', view().getUint32(area + at + 4, true)),
        };
      }
      if (kind === 'own') return make(given, view().getUint32(area + at, true));
      if (kind === 'terminal') {
        return view().getUint8(area) === 0
          ? undefined
          : make(given, view().getUint32(area + 4, true));
      }
      return READ[kind](area + at);
    };
  }

  const result = {};
  for (const [name, functions] of Object.entries(FUNCTIONS)) {
    result[name] = {};
    for (const [method, types] of Object.entries(functions)) {
      result[name][method] = wrap(imports[name][method], types);
    }
  }
  for (const [name, exported] of Object.entries(imports)) {
    for (const Class of ORDER.filter((one) => typeof exported[one] === 'function')) {
      if (Class === 'Error' && name !== 'wasi:io/error') continue;
      const from = exported[Class];
      for (const [method, types] of Object.entries(METHODS[Class])) {
        classes[Class].prototype[method] = wrap(from.prototype[method], types, Class);
      }
      classes[Class].prototype[Symbol.dispose ?? Symbol.for('dispose')] = function () {
        const table = tables[Class];
        const at = this.handle << 1;
        if ((table[at] & OWN) !== 0) throw new WebAssembly.RuntimeError('unknown handle');
        const rep = table[at + 1] & ~OWN;
        table[at] = table[0] | OWN;
        table[0] = this.handle | OWN;
        from[DISPOSE](rep);
      };
      result[name] ??= {};
      result[name][Class] = classes[Class];
    }
  }
  return { imports: result, component };
}
