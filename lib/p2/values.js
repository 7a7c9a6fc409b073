'use strict';

// WASI 0.2 over JavaScript's values: the classes and functions that jco's default output imports.
//
// They make the same native calls as the functions of the canonical ABI (lowered.js). In the place
// of a guest's memory stands a scratch memory: arguments are written there, and results read. So
// there is one behaviour, and this is the form of it that promises to stay.

const { Buffer } = require('node:buffer');
const { TextDecoder } = require('node:util');
const { invalidReturn } = require('../errors.js');
const { checkTaken, inputOf } = require('../bytes.js');
const { inThisRealm } = require('../realm.js');
const { INSTANCE, NAMED_MEMORY, OUTCOME, WOULD_WAIT } = require('../frame.js');
const { feedInput, inputWanted, preview2, takeOutput } = require('../../binding.js');
const FUNCTIONS = require('./functions.js');
const {
  ALIGN,
  FAILED,
  LEFT,
  LEFT_I64,
  SCRATCH,
  allocate,
  ask,
  beginScratch,
  calls,
  drop,
  i64,
  scratchAlloc,
  settle,
  trap,
  u32,
} = require('./host.js');
const { goOn, pollReps } = require('./lowering.js');

const { codes: CODES } = preview2;
const { apply } = Reflect;
const { defineProperty, fromEntries } = Object;

/** jco keeps a resource's rep under this symbol, and makes objects with nothing else. */
const REP = Symbol.for('cabiRep');
/** The function that jco calls with the rep of a resource that has no object. */
const CABI_DISPOSE = Symbol.for('cabiDispose');
/** The method that jco calls on an object, in every runtime. */
const DISPOSE = Symbol.dispose ?? Symbol.for('dispose');

/** How many bytes one call of a guest moves through the scratch memory. */
const PIECE = 1 << 20;
/** How many random bytes one call gives: JavaScript's memory is not the guest's. */
const RANDOM_MOST = 64 << 20;
/** The number of bytes that a function in the place of the standard input is asked for. */
const INPUT_SIZE = 65536;

const TYPES = [
  'unknown',
  'block-device',
  'character-device',
  'directory',
  'fifo',
  'symbolic-link',
  'regular-file',
  'socket',
];
const ADVICE = ['normal', 'sequential', 'random', 'will-need', 'dont-need', 'no-reuse'];
const PATH_FLAGS = ['symlinkFollow'];
const OPEN_FLAGS = ['create', 'directory', 'exclusive', 'truncate'];
const DESCRIPTOR_FLAGS = [
  'read',
  'write',
  'fileIntegritySync',
  'dataIntegritySync',
  'requestedWriteSync',
  'mutateDirectory',
];

// A mark of the byte order at the start belongs to the text.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The types of parameters, and of the result. `result` and `stream` say which errors there are:
 * an `error-code`, which is thrown, or a `stream-error`.
 */
const TYPE = {
  __proto__: null,
  get_environment: ['', 'pairs'],
  get_arguments: ['', 'strings'],
  initial_cwd: ['', 'option string'],
  exit: ['result', ''],
  exit_with_code: ['u32', ''],
  get_stdin: ['', 'own InputStream'],
  get_stdout: ['', 'own OutputStream'],
  get_stderr: ['', 'own OutputStream'],
  get_terminal_stdin: ['', 'terminal TerminalInput'],
  get_terminal_stdout: ['', 'terminal TerminalOutput'],
  get_terminal_stderr: ['', 'terminal TerminalOutput'],
  monotonic_now: ['', 'u64'],
  monotonic_resolution: ['', 'u64'],
  subscribe_instant: ['u64', 'own Pollable'],
  subscribe_duration: ['u64', 'own Pollable'],
  wall_now: ['', 'datetime'],
  wall_resolution: ['', 'datetime'],
  get_directories: ['', 'directories'],
  read_via_stream: ['self u64', 'result own InputStream'],
  write_via_stream: ['self u64', 'result own OutputStream'],
  append_via_stream: ['self', 'result own OutputStream'],
  advise: ['self u64 u64 advice', 'result'],
  sync_data: ['self', 'result'],
  get_flags: ['self', 'result flags'],
  get_type: ['self', 'result type'],
  set_size: ['self u64', 'result'],
  set_times: ['self time time', 'result'],
  descriptor_read: ['self length u64', 'result read'],
  descriptor_write: ['self bytes u64', 'result u64'],
  read_directory: ['self', 'result own DirectoryEntryStream'],
  sync: ['self', 'result'],
  create_directory_at: ['self string', 'result'],
  stat: ['self', 'result stat'],
  stat_at: ['self pathFlags string', 'result stat'],
  set_times_at: ['self pathFlags string time time', 'result'],
  link_at: ['self pathFlags string Descriptor string', 'result'],
  open_at: ['self pathFlags string openFlags descriptorFlags', 'result own Descriptor'],
  readlink_at: ['self string', 'result string'],
  remove_directory_at: ['self string', 'result'],
  rename_at: ['self string Descriptor string', 'result'],
  symlink_at: ['self string string', 'result'],
  unlink_file_at: ['self string', 'result'],
  is_same_object: ['self Descriptor', 'bool'],
  metadata_hash: ['self', 'result hash'],
  metadata_hash_at: ['self pathFlags string', 'result hash'],
  read_directory_entry: ['self', 'result entry'],
  filesystem_error_code: ['Error', 'option code'],
  to_debug_string: ['self', 'string'],
  ready: ['self', 'bool'],
  block: ['self', ''],
  input_read: ['self length', 'stream list'],
  blocking_read: ['self length', 'stream list'],
  skip: ['self u64', 'stream u64'],
  blocking_skip: ['self u64', 'stream u64'],
  input_subscribe: ['self', 'own Pollable'],
  check_write: ['self', 'stream u64'],
  output_write: ['self bytes', 'stream'],
  blocking_write_and_flush: ['self bytes', 'stream'],
  flush: ['self', 'stream'],
  blocking_flush: ['self', 'stream'],
  output_subscribe: ['self', 'own Pollable'],
  write_zeroes: ['self u64', 'stream'],
  blocking_write_zeroes_and_flush: ['self u64', 'stream'],
  splice: ['self InputStream u64', 'stream u64'],
  blocking_splice: ['self InputStream u64', 'stream u64'],
  get_insecure_random_bytes: ['random', 'list'],
  get_insecure_random_u64: ['', 'u64'],
  insecure_seed: ['', 'seed'],
  get_random_bytes: ['random', 'list'],
  get_random_u64: ['', 'u64'],
};

/** Where the payload of a result area lies, by the payload's alignment. */
const AT = { __proto__: null, u64: 8, stat: 8, hash: 8, flags: 1, type: 1, '': 1 };

// --- Parameters ----------------------------------------------------------------------------------
// Each takes a value and the first slot, and says how many slots it has filled.

const PUT = {
  __proto__: null,
  u32(_, value, slot) {
    u32[2 * slot] = value;
    return 1;
  },
  u64(_, value, slot) {
    i64[slot] = bigint(value);
    return 1;
  },
  /** How much is to be read: what JavaScript holds of it is bounded. */
  length(_, value, slot) {
    const asked = BigInt.asUintN(64, bigint(value));
    i64[slot] = asked > PIECE_BIG ? PIECE_BIG : asked;
    return 1;
  },
  random(_, value, slot) {
    if (BigInt.asUintN(64, bigint(value)) > RANDOM_MOST) trap('too many random bytes at once');
    i64[slot] = bigint(value);
    return 1;
  },
  string(host, value, slot) {
    if (typeof value !== 'string') throw new TypeError('a string is expected');
    return putBytes(host, Buffer.from(value, 'utf8'), slot);
  },
  bytes: putBytes,
  result(_, { tag }, slot) {
    u32[2 * slot] = oneOf(['ok', 'err'], tag);
    return 1;
  },
  advice(_, value, slot) {
    u32[2 * slot] = oneOf(ADVICE, value);
    return 1;
  },
  pathFlags: (_, value, slot) => putFlags(PATH_FLAGS, value, slot),
  openFlags: (_, value, slot) => putFlags(OPEN_FLAGS, value, slot),
  descriptorFlags: (_, value, slot) => putFlags(DESCRIPTOR_FLAGS, value, slot),
  /** A `new-timestamp`: the case and the nanoseconds share a slot. */
  time(_, { tag, val }, slot) {
    u32[2 * slot] = oneOf(['no-change', 'now', 'timestamp'], tag);
    u32[2 * slot + 1] = tag === 'timestamp' ? val.nanoseconds : 0;
    i64[slot + 1] = tag === 'timestamp' ? bigint(val.seconds) : 0n;
    return 2;
  },
};

const PIECE_BIG = BigInt(PIECE);

function bigint(value) {
  return typeof value === 'bigint' ? value : BigInt(value);
}

function oneOf(names, value) {
  const index = names.indexOf(value);
  if (index < 0) throw new TypeError(`${String(value)} is none of ${names.join(', ')}`);
  return index;
}

function putFlags(names, value, slot) {
  let flags = 0;
  for (let bit = 0; bit < names.length; bit++) if (value?.[names[bit]]) flags |= 1 << bit;
  u32[2 * slot] = flags;
  return 1;
}

function putBytes(host, bytes, slot) {
  const { length } = bytes;
  const at = scratchAlloc(host, 1, length);
  host.scratch.view.set(bytes, at);
  u32[2 * slot] = at;
  u32[2 * slot + 2] = length;
  return 2;
}

// --- Results -------------------------------------------------------------------------------------
// Each reads what stands at an offset of the scratch memory.

function viewOf({ scratch }) {
  const { view } = scratch;
  return new DataView(view.buffer, view.byteOffset, view.byteLength);
}

function bytesAt(host, at) {
  const { words } = host.scratch;
  const [pointer, length] = [words[at >>> 2], words[(at >>> 2) + 1]];
  return host.scratch.view.slice(pointer, pointer + length);
}

function stringAt(host, at) {
  return decoder.decode(bytesAt(host, at));
}

function listAt(host, at, size, read) {
  const { words } = host.scratch;
  const [pointer, count] = [words[at >>> 2], words[(at >>> 2) + 1]];
  return Array.from({ length: count }, (_, index) => read(pointer + size * index));
}

function datetimeAt(view, at) {
  return { seconds: view.getBigUint64(at, true), nanoseconds: view.getUint32(at + 8, true) };
}

const GET = {
  __proto__: null,
  '': () => undefined,
  u64: (host, at) => viewOf(host).getBigUint64(at, true),
  type: ({ scratch }, at) => TYPES[scratch.view[at]],
  flags({ scratch }, at) {
    const flags = scratch.view[at];
    return fromEntries(DESCRIPTOR_FLAGS.map((name, bit) => [name, (flags & (1 << bit)) !== 0]));
  },
  stat(host, at) {
    const view = viewOf(host);
    const time = (offset) =>
      view.getUint8(at + offset) === 1 ? datetimeAt(view, at + offset + 8) : undefined;
    return {
      type: TYPES[view.getUint8(at)],
      linkCount: view.getBigUint64(at + 8, true),
      size: view.getBigUint64(at + 16, true),
      dataAccessTimestamp: time(24),
      dataModificationTimestamp: time(48),
      statusChangeTimestamp: time(72),
    };
  },
  hash(host, at) {
    const view = viewOf(host);
    return { lower: view.getBigUint64(at, true), upper: view.getBigUint64(at + 8, true) };
  },
  seed(host, at) {
    const view = viewOf(host);
    return [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)];
  },
  datetime: (host, at) => datetimeAt(viewOf(host), at),
  list: bytesAt,
  string: stringAt,
  read: (host, at) => [bytesAt(host, at), host.scratch.view[at + 8] === 1],
  entry({ scratch }, at) {
    if (scratch.view[at] === 0) return undefined;
    return { type: TYPES[scratch.view[at + 4]], name: stringAt(scratch.host, at + 8) };
  },
  'option string': (host, at) => (host.scratch.view[at] === 0 ? undefined : stringAt(host, at + 4)),
  'option code': ({ scratch }, at) =>
    scratch.view[at] === 0 ? undefined : CODES[scratch.view[at + 1]],
  strings: (host, at) => listAt(host, at, 8, (one) => stringAt(host, one)),
  pairs: (host, at) =>
    listAt(host, at, 16, (one) => [stringAt(host, one), stringAt(host, one + 8)]),
};

// --- The functions of one WASI -------------------------------------------------------------------

/**
 * @param {import('./host.js').Host} host
 * @param {(name: string, call: Function) => Function} watch wraps what is observed
 * @returns {Record<string, object>} what each interface exports, by its name
 */
function createValues(host, watch) {
  const classes = createClasses(host);
  const make = (Class, rep) => {
    const object = Object.create(classes[Class].prototype);
    defineProperty(object, REP, { value: rep, writable: true, configurable: true });
    return object;
  };
  const interfaces = { __proto__: null };
  for (const [native, name, , Class, method] of FUNCTIONS) {
    interfaces[name] ??= {};
    const call =
      native === 'poll_list'
        ? pollOf(host, classes)
        : functionOf(host, native, method, classes, make);
    const isMethod = Class !== '';
    const watched = watch(name, FUNCTIONS.find(([one]) => one === native)[2], call, isMethod);
    if (isMethod) {
      defineProperty(classes[Class].prototype, method, {
        value: watched,
        writable: true,
        configurable: true,
      });
    } else {
      interfaces[name][method] = watched;
    }
  }
  for (const [name, Classes] of Object.entries(CLASSES)) {
    interfaces[name] ??= {};
    for (const Class of Classes) interfaces[name][Class] = classes[Class];
  }
  return interfaces;
}

/** The resources of each interface. */
const CLASSES = {
  __proto__: null,
  'wasi:io/error': ['Error'],
  'wasi:io/poll': ['Pollable'],
  'wasi:io/streams': ['InputStream', 'OutputStream'],
  'wasi:filesystem/types': ['Descriptor', 'DirectoryEntryStream'],
  'wasi:cli/terminal-input': ['TerminalInput'],
  'wasi:cli/terminal-output': ['TerminalOutput'],
};

/** Classes of one WASI: an object of another one's is no instance of them. */
function createClasses(host) {
  const classes = { __proto__: null };
  for (const name of Object.values(CLASSES).flat()) {
    const Class = {
      [name]: class {
        constructor() {
          throw new TypeError(`${name} cannot be constructed: functions give it`);
        }
      },
    }[name];
    defineProperty(Class.prototype, DISPOSE, {
      value() {
        const rep = this[REP];
        if (rep === undefined) return;
        this[REP] = undefined;
        drop(host, rep);
      },
      writable: true,
      configurable: true,
    });
    defineProperty(Class, CABI_DISPOSE, { value: (rep) => drop(host, rep) });
    classes[name] = Class;
  }
  return classes;
}

/** The rep of an object. One of another WASI, or that has been disposed of, has none here. */
function repOf(object, Class, name) {
  if (!(object instanceof Class)) {
    throw new TypeError(`an object of this WASI's class ${name} is expected`);
  }
  return object[REP] ?? 0;
}

/** A stream that forgets what it takes, as an object of a WASI's class. */
function sinkOf(host, OutputStream) {
  const rep = preview2.sink(host.instance);
  if (rep === 0) trap('there are too many handles');
  const stream = Object.create(OutputStream.prototype);
  return defineProperty(stream, REP, { value: rep, writable: true, configurable: true });
}

function pollOf(host, classes) {
  const { suspension } = host;
  const repsOf = (list) => Array.from(list, (one) => repOf(one, classes.Pollable, 'Pollable'));
  if (suspension === undefined) {
    return function poll(list) {
      return pollReps(host, repsOf(list));
    };
  }
  const wait = suspension.around('poll_list', (self, [list]) => {
    const reps = repsOf(list);
    const once = (call) => pollReps(host, reps, call?.resume) ?? suspension.wait(once, call);
    return once();
  });
  return function poll(list) {
    return wait(undefined, [list]);
  };
}

/** The function of JavaScript for a row of the table. */
function functionOf(host, native, method, classes, make) {
  const [parameters, result] = TYPE[native];
  const call = calls[native];
  const takes = parameters === '' ? [] : parameters.split(' ');
  const [, Class] = /^\[method\](.*)\./.exec(FUNCTIONS.find(([one]) => one === native)[2]) ?? [];
  const own = Class && Class.replace(/(?:^|-)(\w)/g, (_, letter) => letter.toUpperCase());
  const [errors, ...rest] = /^(?:result|stream)\b/.test(result)
    ? result.split(' ')
    : ['', ...result.split(' ')];
  const [kind, given] = rest;
  const isOwn = kind === 'own';
  const payload = rest.join(' ');
  const at = errors === '' ? 0 : isOwn ? 4 : (AT[payload] ?? 4);
  const streamAt = payload === 'u64' ? 8 : 4;
  const get = isOwn || kind === 'terminal' || kind === 'directories' ? undefined : GET[payload];
  const hasArea =
    errors !== '' || (!['', 'u64', 'bool'].includes(payload) && !(isOwn && errors === ''));

  /** `waiting` is the call, if it goes on after it has waited. */
  function once(self, args, waiting) {
    const scratch = beginScratch(host);
    let slot = 0;
    let index = 0;
    for (const type of takes) {
      if (type === 'self') u32[2 * slot++] = repOf(self, classes[own], own);
      else if (type in classes) u32[2 * slot++] = repOf(args[index++], classes[type], type);
      else slot += PUT[type](host, args[index++], slot);
    }
    if (hasArea) u32[2 * slot] = 0;
    u32[INSTANCE] = host.instance;
    u32[NAMED_MEMORY] = SCRATCH;
    if (waiting !== undefined) goOn(waiting.resume);
    call();
    const outcome = u32[OUTCOME] === 0 ? 0 : settle(scratch, call);
    if (outcome === WOULD_WAIT) {
      return host.suspension.wait((waiting) => once(self, args, waiting), waiting);
    }
    let failed = outcome === FAILED;
    // The rep that a call left: placing lists leaves something else.
    const rep = u32[LEFT];
    if (!failed && u32[ALIGN] !== 0) {
      failed =
        allocate(scratch, (pointer, oldSize, align, size) =>
          // A list that became shorter stays where it is.
          pointer === 0 ? scratchAlloc(host, align, size) : pointer,
        ) === FAILED;
    }
    const { view } = host.scratch;
    if (errors === 'stream' && view[0] === 1) {
      if (view[streamAt] === 1) throw { tag: 'closed' };
      throw { tag: 'last-operation-failed', val: make('Error', u32[LEFT]) };
    }
    if (errors === 'result' && view[0] === 1) throw CODES[view[at]];
    if (isOwn) return make(given, errors === '' ? rep : rep);
    if (kind === 'terminal') return view[0] === 1 ? make(given, rep) : undefined;
    if (kind === 'directories') {
      const { words } = host.scratch;
      return listAt(host, 0, 12, (one) => [
        make('Descriptor', words[one >>> 2]),
        stringAt(host, one + 4),
      ]);
    }
    if (errors === '' && payload === 'u64') return BigInt.asUintN(64, i64[LEFT_I64]);
    if (payload === 'bool') return rep !== 0;
    return get(host, at);
  }

  const { suspension } = host;
  const run =
    suspension === undefined ? around(host, native, once) : suspension.around(native, once);
  return {
    [method](...args) {
      return run(this, args);
    },
  }[method];
}

/** Calls that take more than one native call, or ask the embedder's functions. */
function around(host, native, once) {
  switch (native) {
    case 'descriptor_write':
      // A piece may be all that is written: the result says how much.
      return (self, [buffer, offset]) => once(self, [buffer.subarray(0, PIECE), offset]);
    case 'output_write':
      return (self, [contents]) => {
        if (contents.length > PIECE) trap('a write is longer than what was permitted');
        try {
          return once(self, [contents]);
        } finally {
          handOut(host);
        }
      };
    case 'blocking_write_and_flush':
      return (self, [contents]) => {
        let at = 0;
        do {
          try {
            once(self, [contents.subarray(at, at + PIECE)]);
          } finally {
            handOut(host);
          }
          at += PIECE;
        } while (at < contents.length);
      };
    case 'write_zeroes':
    case 'blocking_write_zeroes_and_flush':
    case 'flush':
    case 'blocking_flush':
      return (self, args) => {
        try {
          return once(self, args);
        } finally {
          handOut(host);
        }
      };
    case 'splice':
    case 'blocking_splice':
      return (self, args) => {
        feed(host, args[0], args[1]);
        try {
          return once(self, args);
        } finally {
          handOut(host);
        }
      };
    case 'input_read':
    case 'blocking_read':
    case 'skip':
    case 'blocking_skip':
      return (self, args) => {
        feed(host, self, args[0]);
        return once(self, args);
      };
    case 'get_stdin':
      return (self, args) => {
        const stream = once(self, args);
        host.inputs?.add(stream[REP]);
        return stream;
      };
    default:
      return once;
  }
}

// --- Streams that are functions of the embedder --------------------------------------------------

/** Asks the function in the place of the standard input for more, if a read would find nothing. */
function feed(host, stream, length) {
  const { functions } = host;
  if (functions?.stdin === undefined || !host.inputs.has(stream?.[REP]) || bigint(length) === 0n)
    return;
  if (!inputWanted(host.instance, 0)) return;
  feedInput(
    host.instance,
    0,
    ask(host, (size) => inputOf(functions.stdin(size)), INPUT_SIZE),
  );
}

/** Gives what was written to the functions. */
function handOut(host) {
  const { functions } = host;
  if (functions === undefined) return;
  for (const [stream, name] of [
    [1, 'stdout'],
    [2, 'stderr'],
  ]) {
    const take = functions[name];
    const bytes = take === undefined ? null : takeOutput(host.instance, stream);
    if (bytes === null) continue;
    ask(host, (chunk) => checkTaken(take(chunk), `options.${name}`), inThisRealm(bytes));
  }
}

module.exports = { CODES, REP, sinkOf, createValues };
