// The JavaScript side: a guest's embedder hands over what it got from somewhere, and a guest may be
// JavaScript itself. Nothing that it can pass, change or drop makes a call do harm.

import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';
import { collect, descriptorsLeft, openDescriptors } from '../descriptors.mjs';
import { BADF, Guest, INVAL, NOTCAPABLE, OVERFLOW, SUCCESS, check, fail } from '../guest.mjs';
import { Bench, IMPORTS } from '../imports.mjs';
import { openSockets } from '../sockets.mjs';
import { World } from '../world.mjs';
import { nodeFlags } from '../../support/implementation.mjs';

const { assemble, op } = createRequire(import.meta.url)('../../contract/wasm.cjs');
const WORKER = fileURLToPath(new URL('../worker.mjs', import.meta.url));
const ENDS = fileURLToPath(new URL('../ends.mjs', import.meta.url));
const PREOPEN = 3;
const PAGE = 65536;

// --- Arguments -----------------------------------------------------------------------------------

/**
 * Values that are no i32 and no i64. `touched` counts how often one of them was asked for its
 * value.
 */
function garbage(bench) {
  const touched = { count: 0 };
  const reenter = () => {
    touched.count += 1;
    bench.guest.imports.fd_close(PREOPEN);
    return 1;
  };
  const refuse = () => {
    touched.count += 1;
    throw new Error('asked for a value');
  };
  const trap = new Proxy({}, { get: refuse, has: refuse, getPrototypeOf: refuse });
  const values = {
    undefined,
    null: null,
    true: true,
    'a string': '1',
    'an empty string': '',
    NaN,
    Infinity,
    'a fraction': 1.5,
    '2 ** 32': 2 ** 32,
    '-(2 ** 31) - 1': -(2 ** 31) - 1,
    'a symbol': Symbol('1'),
    'an object': {},
    'an array': [1],
    'a function': () => 1,
    'a boxed number': Object(1),
    'a boxed bigint': Object(1n),
    'a date': new Date(1),
    'valueOf that throws': { valueOf: refuse },
    'valueOf that calls': { valueOf: reenter },
    'toString that calls': { toString: reenter },
    'toPrimitive that calls': { [Symbol.toPrimitive]: reenter },
    'a proxy': trap,
  };
  return { values, touched };
}

async function* argumentsOf(context) {
  const bench = await Bench.make(context);
  const { values, touched } = garbage(bench);
  for (const name of Object.keys(IMPORTS)) {
    const { args } = bench.argumentsOf(name);
    const call = (wrong) => {
      touched.count = 0;
      const errno = bench.guest.imports[name](...wrong);
      check(errno === INVAL, `the result is ${errno}`);
      check(touched.count === 0, 'an argument was asked for its value');
      check(bench.guest.fdstat(PREOPEN).errno === SUCCESS, 'the preopen was closed');
    };
    for (let i = 0; i < args.length; i += 1) {
      const other = typeof args[i] === 'bigint' ? { 'a number': 1 } : { 'a bigint': 1n };
      for (const [label, value] of Object.entries({ ...values, ...other })) {
        yield [
          `${name}: argument ${i} is ${label}`,
          () => call(args.map((arg, k) => (k === i ? value : arg))),
        ];
      }
      yield [`${name}: ${i} arguments`, () => call(args.slice(0, i))];
    }
    for (const more of [0, undefined, {}]) {
      yield [`${name}: one argument more: ${more}`, () => call([...args, more])];
    }
  }
}

async function* receivers(context) {
  const bench = await Bench.make(context);
  const other = new Guest(context.WASI);
  const foreign = {
    undefined,
    null: null,
    'a number': 1,
    'an object': {},
    'the imports of another': other.imports,
    'another instance': other.wasi,
    'a proxy': new Proxy(bench.guest.imports, {}),
    'an array': [0, 1, 2],
  };
  for (const name of Object.keys(IMPORTS)) {
    for (const [label, receiver] of Object.entries(foreign)) {
      yield [
        `${name}: the receiver is ${label}`,
        () => {
          const { args } = bench.argumentsOf(name);
          const errno = Reflect.apply(bench.guest.imports[name], receiver, args);
          check(Number.isInteger(errno) && errno <= 76, `the result is ${errno}`);
          bench.restore();
        },
      ];
    }
    yield [
      `${name}: as a constructor`,
      () => {
        try {
          Reflect.construct(bench.guest.imports[name], [0, 0, 0, 0]);
        } catch {
          return;
        }
      },
    ];
    yield [
      `${name}: before the start`,
      () => {
        const wasi = new context.WASI({ version: 'preview1' });
        const { args } = bench.argumentsOf(name);
        try {
          wasi.wasiImport[name](...args);
        } catch (error) {
          check(error.code === 'ERR_WASI_NOT_STARTED', `it threw ${error.message}`);
          return;
        } finally {
          wasi.close?.();
        }
        fail('it was called');
      },
    ];
  }
}

// --- Options and instances -----------------------------------------------------------------------

/** An object whose getter answers differently each time, the last answer for ever. */
function changing(name, answers) {
  let i = 0;
  return {
    get [name]() {
      i += 1;
      return answers[Math.min(i, answers.length) - 1]();
    },
  };
}

async function* objects(context) {
  const { WASI } = context;
  const world = new World(context.folder);
  const memory = () => new WebAssembly.Memory({ initial: 1 });
  const start = () => {};
  /** The outcome is a value or an error of JavaScript's, whichever. */
  const survives = (run) => () => {
    try {
      run();
    } catch (error) {
      check(error instanceof Error || typeof error === 'symbol', `it threw ${String(error)}`);
    }
    const guest = new Guest(WASI, { preopens: { '/sandbox': world.sandbox } });
    check(
      guest.open(PREOPEN, 'file.txt').errno === SUCCESS,
      'other instances do not work any more',
    );
    const outside = guest.open(PREOPEN, '../outside/secret.txt');
    check(outside.errno === NOTCAPABLE, `errno ${outside.errno}`);
    guest.wasi.close?.();
  };

  yield [
    'a path that changes when it is read again',
    () => {
      let reads = 0;
      const host = {
        toString() {
          reads += 1;
          return reads === 1 ? world.sandbox : world.outside;
        },
      };
      const guest = new Guest(WASI, { preopens: { '/sandbox': host } });
      const stat = guest.filestat(PREOPEN);
      world.checkGot({ bytes: [guest.list(PREOPEN).bytes], stats: [stat] });
      check(reads === 1, `it was read ${reads} times`);
    },
  ];
  const evil = {
    'preopens that change': changing('preopens', [() => ({ '/': world.sandbox }), () => 7]),
    'a version that changes': changing('version', [() => 'preview1', () => 'unstable', () => 1]),
    'a stdin that changes': changing('stdin', [() => 0, () => -1, () => 2 ** 40]),
    'args that change': changing('args', [() => ['a'], () => 'x']),
    'an env that changes': changing('env', [() => ({ a: 'b' }), () => null]),
    'args that are a proxy': {
      args: new Proxy([], { get: (_, key) => (key === 'length' ? 3 : {}) }),
    },
    'args with a length that is none': {
      args: new Proxy([], { get: (_, key) => (key === 'length' ? NaN : 'x') }),
    },
    'args that make an instance': {
      args: [{ toString: () => String(new WASI({ version: 'preview1' })) }],
    },
    'args that throw': {
      args: [
        {
          toString() {
            throw new TypeError('no');
          },
        },
      ],
    },
    'args of a megabyte': { args: ['x'.repeat(1 << 20)] },
    'ten thousand args': { args: Array(10_000).fill('x') },
    'args with NUL': { args: ['a\0b', '\0', ''] },
    'args with surrogates': { args: ['\ud800', '\udc00\ud800'] },
    'an env that is a proxy': { env: new Proxy({}, { ownKeys: () => ['a', 'b'] }) },
    'an env with a getter that calls': {
      env: {
        get a() {
          return new Guest(WASI).write(1, '');
        },
      },
    },
    'a preopen whose path has NUL': { preopens: { '/': `${world.sandbox}\0/../outside` } },
    'a preopen whose name has NUL': { preopens: { 'a\0b': world.sandbox } },
    'a preopen whose name is long': { preopens: { ['a'.repeat(100_000)]: world.sandbox } },
    'a thousand preopens': {
      preopens: Object.fromEntries(
        Array.from({ length: 1000 }, (_, i) => [`/${i}`, world.sandbox]),
      ),
    },
    'a preopen of a file': { preopens: { '/': path.join(world.sandbox, 'file.txt') } },
    'a returnOnExit that throws': {
      get returnOnExit() {
        throw new Error('no');
      },
    },
  };
  for (const [label, options] of Object.entries(evil)) {
    yield [
      `options: ${label}`,
      survives(() => {
        const before = openDescriptors();
        let wasi;
        try {
          wasi = new WASI(
            'version' in options
              ? options
              : Object.create(options, { version: { value: 'preview1' } }),
          );
          const own = memory();
          wasi.start({ exports: { memory: own, _start: start } });
          for (const name of ['args_get', 'environ_get']) wasi.wasiImport[name](0, 1000);
          for (const name of ['args_sizes_get', 'environ_sizes_get']) wasi.wasiImport[name](0, 8);
        } finally {
          wasi?.close?.();
        }
        check(openDescriptors() <= before, 'descriptors are left');
      }),
    ];
  }

  const fakes = {
    'an object': () => ({}),
    'an object with a buffer': () => ({ buffer: new ArrayBuffer(PAGE) }),
    'an object of the class': () => Object.create(WebAssembly.Memory.prototype),
    'a proxy of a memory': () => new Proxy(memory(), {}),
    'an ArrayBuffer': () => new ArrayBuffer(PAGE),
    'a SharedArrayBuffer': () => new SharedArrayBuffer(PAGE),
    'a table': () => new WebAssembly.Table({ initial: 1, element: 'anyfunc' }),
    'a global': () => new WebAssembly.Global({ value: 'i32' }),
    null: () => null,
    undefined: () => undefined,
    'a function': () => memory,
    'the prototype': () => WebAssembly.Memory.prototype,
  };
  for (const [label, make] of Object.entries(fakes)) {
    for (const given of ['start', 'initialize', 'setMemory']) {
      yield [
        `${given}: the memory is ${label}`,
        () => {
          const wasi = new WASI({ version: 'preview1' });
          const exports = { memory: make() };
          if (given === 'start') exports._start = start;
          try {
            if (given === 'setMemory') wasi[symbolOf(wasi, 'kSetMemory')](make());
            else wasi[given]({ exports });
          } catch (error) {
            check(error instanceof TypeError, `it threw ${error.message}`);
            return;
          }
          fail('it was accepted');
        },
      ];
    }
  }

  const instances = {
    'exports that change': (wasi) =>
      wasi.start(
        changing('exports', [
          () => ({ memory: memory(), _start: start }),
          () => ({ memory: 7, _start: start }),
          () => null,
        ]),
      ),
    'a memory that changes': (wasi) =>
      wasi.start({
        exports: Object.defineProperty(changing('memory', [memory, () => ({})]), '_start', {
          value: start,
        }),
      }),
    'a memory getter that starts': (wasi) =>
      wasi.start({
        exports: {
          get memory() {
            wasi.start({ exports: { memory: memory(), _start: start } });
            return memory();
          },
          _start: start,
        },
      }),
    'a memory getter that calls': (wasi) =>
      wasi.start({
        exports: {
          get memory() {
            wasi.wasiImport.fd_write(1, 0, 0, 0);
            return memory();
          },
          _start: start,
        },
      }),
    'a memory getter that closes': (wasi) =>
      wasi.start({
        exports: {
          get memory() {
            wasi.close();
            return memory();
          },
          _start: () => wasi.wasiImport.fd_close(3),
        },
      }),
    'exports that throw': (wasi) =>
      wasi.start(
        new Proxy(
          {},
          {
            get() {
              throw new Error('no');
            },
          },
        ),
      ),
    'a start that starts': (wasi) =>
      wasi.start({
        exports: {
          memory: memory(),
          _start: () => wasi.start({ exports: { memory: memory(), _start: start } }),
        },
      }),
    'a start that closes': (wasi) =>
      wasi.start({
        exports: {
          memory: memory(),
          _start() {
            wasi.close();
            check(wasi.wasiImport.fd_close(0) === BADF, 'it is still open');
          },
        },
      }),
    'a start that throws an end which is not its own': (wasi) => {
      const end = endOf(() => wasi.wasiImport.proc_exit(3));
      const throwing = {
        exports: {
          memory: memory(),
          _start() {
            throw end;
          },
        },
      };
      check(endOf(() => wasi.start(throwing)) === end, 'it counts as the end of this start');
    },
    'a start that goes on after its end': (wasi) => {
      const code = wasi.start({
        exports: {
          memory: memory(),
          _start() {
            const end = endOf(() => wasi.wasiImport.proc_exit(3));
            for (const call of Object.values(wasi.wasiImport)) {
              check(endOf(() => call(0, 0, 0, 0)) === end, 'a function works after the end');
            }
          },
        },
      });
      check(code === 3, 'the end is lost');
    },
    'state that the embedder overwrites': (wasi) => {
      wasi.start({ exports: { memory: memory(), _start: start } });
      for (const key of Object.getOwnPropertySymbols(wasi)) {
        const kept = wasi[key];
        for (const value of [undefined, null, 7, {}, () => {}]) {
          wasi[key] = value;
          survives(() => wasi.start({ exports: { memory: memory(), _start: start } }))();
          wasi.wasiImport.fd_write(1, 0, 0, 0);
        }
        wasi[key] = kept;
      }
    },
    'imports that the embedder replaces': (wasi) => {
      wasi.wasiImport.fd_write = () => {
        throw new Error('no');
      };
      wasi.start({
        exports: { memory: memory(), _start: () => wasi.wasiImport.fd_write(1, 0, 0, 0) },
      });
    },
  };
  for (const [label, run] of Object.entries(instances)) {
    yield [`instance: ${label}`, survives(() => run(new WASI({ version: 'preview1' })))];
  }
  yield [
    'a memory of another realm',
    () => {
      const foreign = vm.runInNewContext('new WebAssembly.Memory({ initial: 1 })');
      const guest = new Guest(WASI, { memory: foreign });
      check(guest.imports.clock_time_get(1, 0n, PAGE - 8) === SUCCESS, 'it does not work');
      check(guest.imports.clock_time_get(1, 0n, PAGE) === OVERFLOW, 'it has no end');
    },
  ];
}

/** The error that a call throws. */
function endOf(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

function symbolOf(wasi, description) {
  const symbol = Object.getOwnPropertySymbols(wasi).find((key) => key.description === description);
  check(symbol !== undefined, `there is no ${description}`);
  return symbol;
}

// --- Memories that change ------------------------------------------------------------------------

async function* memories(context) {
  const { WASI } = context;
  const time = (guest, at) => guest.imports.clock_time_get(1, 0n, at);
  const make = (descriptor = { initial: 1, maximum: 100 }) =>
    new Guest(WASI, { memory: new WebAssembly.Memory(descriptor) });
  const has = (guest, pages) => {
    check(time(guest, pages * PAGE - 8) === SUCCESS, `page ${pages} is not there`);
    check(time(guest, pages * PAGE - 7) === OVERFLOW, `page ${pages + 1} is there`);
    const buffer = new DataView(guest.memory.buffer);
    check(buffer.getBigUint64(pages * PAGE - 8, true) > 0n, 'nothing was written');
  };
  yield [
    'it grows, again and again',
    () => {
      const guest = make();
      for (let pages = 1; pages <= 100; pages += 1) {
        has(guest, pages);
        if (pages < 100) guest.memory.grow(1);
      }
    },
  ];
  yield [
    'its buffer is detached and its size stays',
    () => {
      const guest = make();
      for (let i = 0; i < 10; i += 1) {
        guest.memory.grow(0);
        has(guest, 1);
      }
    },
  ];
  yield [
    'it grows from no page',
    () => {
      const memory = new WebAssembly.Memory({ initial: 0, maximum: 2 });
      const wasi = new WASI({ version: 'preview1' });
      wasi.start({ exports: { memory, _start() {} } });
      const guest = { imports: wasi.wasiImport, memory };
      check(time(guest, 0) === OVERFLOW, 'there is a page');
      memory.grow(1);
      has(guest, 1);
    },
  ];
  yield [
    'it grows in the guest, between two calls',
    () => {
      const module = 'wasi_snapshot_preview1';
      // The last two bytes of a body are memory.grow and its index.
      const grow = [op.i32(1), [0x40, 0x00], op.drop];
      const at = (pages) => [op.i32(1), op.i64(0n), op.i32(pages * PAGE - 8), op.call(0), op.drop];
      const bytes = assemble({
        imports: [{ module, name: 'clock_time_get', form: 'iIi:i' }],
        functions: [
          { export: '_start', form: ':', body: [at(1), grow, at(2), grow, at(3)].flat() },
        ],
      });
      const wasi = new WASI({ version: 'preview1' });
      const imports = { [module]: wasi.wasiImport };
      const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
      wasi.start(instance);
      const view = new DataView(instance.exports.memory.buffer);
      for (const pages of [1, 2, 3]) {
        check(view.getBigUint64(pages * PAGE - 8, true) > 0n, `page ${pages} has no time`);
      }
    },
  ];
  if (WebAssembly.Memory.prototype.toResizableBuffer) {
    yield [
      'it has a buffer that resizes in place',
      () => {
        const guest = make();
        guest.memory.toResizableBuffer();
        for (let pages = 1; pages < 10; pages += 1) {
          has(guest, pages);
          guest.memory.grow(1);
        }
        guest.memory.toFixedLengthBuffer();
        has(guest, 10);
      },
    ];
  }
  yield [
    'it is exchanged for a smaller one',
    () => {
      const guest = make({ initial: 10 });
      has(guest, 10);
      guest.memory = new WebAssembly.Memory({ initial: 1 });
      guest.wasi[symbolOf(guest.wasi, 'kSetMemory')](guest.memory);
      has(guest, 1);
    },
  ];
  const properties = {
    buffer: (memory, restore) => {
      const get = () => new ArrayBuffer(1 << 24);
      Object.defineProperty(memory, 'buffer', { get, configurable: true });
      restore(() => delete memory.buffer);
    },
    "the prototype's buffer": (_, restore) => {
      const { prototype } = WebAssembly.Memory;
      const kept = Object.getOwnPropertyDescriptor(prototype, 'buffer');
      Object.defineProperty(prototype, 'buffer', { ...kept, get: () => new ArrayBuffer(1 << 24) });
      restore(() => Object.defineProperty(prototype, 'buffer', kept));
    },
    'the length of arrays': (_, restore) => {
      const prototype = Object.getPrototypeOf(Uint8Array.prototype);
      for (const name of ['length', 'byteLength', 'byteOffset', 'buffer']) {
        const kept = Object.getOwnPropertyDescriptor(prototype, name);
        Object.defineProperty(prototype, name, { ...kept, get: () => 1 << 24 });
        restore(() => Object.defineProperty(prototype, name, kept));
      }
    },
    'the class of arrays': (_, restore) => {
      const { Uint8Array: kept } = globalThis;
      globalThis.Uint8Array = class extends kept {
        constructor() {
          super(1 << 24);
        }
      };
      restore(() => (globalThis.Uint8Array = kept));
    },
    'what calls functions': (_, restore) => {
      const { apply, call } = Function.prototype;
      const reflected = Reflect.apply;
      const lie = () => new ArrayBuffer(1 << 24);
      Function.prototype.apply = lie;
      Function.prototype.call = lie;
      Reflect.apply = lie;
      restore(() => Object.assign(Function.prototype, { apply, call }));
      restore(() => (Reflect.apply = reflected));
    },
    'the elements of objects': (_, restore) => {
      const keys = ['0', '1', '20', '22'];
      restore(() => keys.forEach((key) => delete Object.prototype[key]));
      const setter = { configurable: true, get: () => 1, set() {} };
      keys.forEach((key) => Object.defineProperty(Object.prototype, key, setter));
    },
  };
  for (const [label, poison] of Object.entries(properties)) {
    yield [
      `another memory is pretended by ${label}`,
      () => {
        const guest = make();
        const { memory } = guest;
        const restores = [];
        // Nothing in here may need what has been poisoned.
        const results = [-1, -1, -1, -1, -1, -1];
        try {
          poison(memory, (restore) => restores.push(restore));
          results[0] = time(guest, PAGE - 8);
          results[1] = time(guest, PAGE);
          results[2] = time(guest, 2 ** 23);
          memory.grow(1);
          results[3] = time(guest, 2 * PAGE - 8);
          results[4] = time(guest, 2 * PAGE);
          results[5] = time(guest, 2 ** 23);
        } finally {
          for (let i = restores.length - 1; i >= 0; i -= 1) restores[i]();
        }
        const wanted = [SUCCESS, OVERFLOW, OVERFLOW, SUCCESS, OVERFLOW, OVERFLOW];
        check(`${results}` === `${wanted}`, `the results are ${results}`);
        has(guest, 2);
      },
    ];
  }
}

// --- Life and death ------------------------------------------------------------------------------

async function* lives(context) {
  const { WASI } = context;
  const world = new World(context.folder);
  const make = () => new Guest(WASI, { preopens: { '/sandbox': world.sandbox } });

  const bench = await Bench.make(context);
  for (const name of Object.keys(IMPORTS)) {
    yield [
      `${name}: after close()`,
      () => {
        const { args } = bench.argumentsOf(name);
        bench.guest.wasi.close();
        const errno = bench.call(name, args);
        check(Number.isInteger(errno) && errno <= 76, `the result is ${errno}`);
        const hasDescriptor = IMPORTS[name].some(({ kind }) => kind === 'fd');
        if (hasDescriptor) check(errno === BADF, `errno ${errno}`);
      },
    ];
  }
  yield [
    'close() twice, and start() after it',
    () => {
      const wasi = new WASI({ version: 'preview1', preopens: { '/': world.sandbox } });
      wasi.close();
      wasi.close();
      wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() {} } });
      check(wasi.wasiImport.fd_prestat_get(PREOPEN, 0) === BADF, 'the preopen is open');
      const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
      wasi[dispose]();
      fs.fstatSync(0);
    },
  ];
  yield [
    'one that is closed between two instances of the same number',
    () => {
      for (let i = 0; i < 100; i += 1) {
        const [first, second] = [make(), make()];
        first.wasi.close();
        check(second.open(PREOPEN, 'file.txt').errno === SUCCESS, 'another one was closed');
        check(first.open(PREOPEN, 'file.txt').errno === BADF, 'it was not closed');
        second.wasi.close();
      }
    },
  ];
  yield [
    'one WASI for two instances',
    () => {
      const module = 'wasi_snapshot_preview1';
      const compile = (initial) =>
        new WebAssembly.Module(
          assemble({
            imports: [{ module, name: 'clock_time_get', form: 'iIi:i' }],
            functions: [
              { export: '_start', form: ':', body: [] },
              {
                export: 'time',
                form: 'i:i',
                body: [op.i32(1), op.i64(0n), op.get(0), op.call(0)],
              },
            ],
            memory: { initial, exported: 'memory' },
          }),
        );
      const wasi = new WASI({ version: 'preview1' });
      const imports = { [module]: wasi.wasiImport };
      const small = new WebAssembly.Instance(compile(1), imports);
      const large = new WebAssembly.Instance(compile(10), imports);
      wasi.start(small);
      for (const start of ['start', 'initialize']) {
        try {
          wasi[start](large);
        } catch (error) {
          check(error.code === 'ERR_WASI_ALREADY_STARTED', error.message);
          continue;
        }
        fail('it started twice');
      }
      const at = (instance) =>
        new DataView(instance.exports.memory.buffer).getBigUint64(1024, true);
      check(large.exports.time(1024) === SUCCESS, 'the call failed');
      check(at(small) > 0n && at(large) === 0n, "it wrote to the other's memory");
      check(large.exports.time(5 * PAGE) === OVERFLOW, 'it wrote past the memory');
      small.exports.memory.grow(1);
      check(large.exports.time(5 * PAGE) === OVERFLOW, 'it wrote past the memory');
    },
  ];
  yield [
    'many instances take turns',
    () => {
      const guests = Array.from({ length: 50 }, make);
      const files = guests.map((guest, i) => {
        const { fd } = guest.open(PREOPEN, i % 2 ? 'file.txt' : 'dir/file.txt');
        check(fd === PREOPEN + 1, `the descriptor is ${fd}`);
        return guest.filestat(fd).ino;
      });
      for (let i = 0; i < 5000; i += 1) {
        const k = (i * 7919) % guests.length;
        check(guests[k].filestat(PREOPEN + 1).ino === files[k], 'it is the file of another');
      }
      for (const guest of guests) guest.wasi.close?.();
    },
  ];
  yield [
    'the WASI is collected while its imports live',
    async () => {
      const before = openDescriptors();
      let kept = (() => {
        const { imports, memory } = make();
        const { path_filestat_get, fd_close } = imports;
        return { memory, path_filestat_get, fd_close };
      })();
      await collect();
      // Others take the place of what has been collected.
      for (let i = 0; i < 100; i += 1) new Guest(WASI, { preopens: { '/': world.second } });
      Buffer.from(kept.memory.buffer).write('file.txt', 1024);
      check(kept.path_filestat_get(PREOPEN, 0, 1024, 8, 2048) === SUCCESS, 'it does not work');
      const ino = new DataView(kept.memory.buffer).getBigUint64(2048 + 8, true);
      const file = fs.statSync(path.join(world.sandbox, 'file.txt'), { bigint: true });
      check(ino === file.ino, 'it is the file of another');
      kept = undefined;
      await collect(() => openDescriptors() <= before);
      // Bun's collector is conservative: what may still be on the stack is kept.
      check(process.versions.bun || openDescriptors() <= before, 'descriptors are left');
    },
  ];
  yield [
    'a module keeps the imports of a WASI that is collected',
    async () => {
      const module = 'wasi_snapshot_preview1';
      const instance = (() => {
        const wasi = new WASI({ version: 'preview1', preopens: { '/': world.sandbox } });
        const bytes = assemble({
          imports: [{ module, name: 'fd_prestat_get', form: 'ii:i' }],
          functions: [
            { export: '_start', form: ':', body: [] },
            { export: 'prestat', form: ':i', body: [op.i32(3), op.i32(64), op.call(0)] },
          ],
        });
        const made = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
          [module]: wasi.wasiImport,
        });
        wasi.start(made);
        return made;
      })();
      await collect();
      for (let i = 0; i < 100; i += 1) {
        check(instance.exports.prestat() === SUCCESS, 'the preopen is gone');
        if (i % 10 === 0) globalThis.gc();
      }
    },
  ];
}

// --- The end of the stack ------------------------------------------------------------------------

/** Calls every import at every depth, until there is no more stack. */
function exhaust(bench) {
  const calls = Object.keys(IMPORTS).map((name) => [name, bench.argumentsOf(name).args]);
  let depth = 0;
  let refused = 0;
  const descend = () => {
    depth += 1;
    try {
      descend();
    } finally {
      // On the way back there is a little more stack each time.
      if (refused < 300) {
        for (const [name, args] of calls) {
          try {
            bench.guest.imports[name](...args);
          } catch {
            refused += 1;
          }
        }
      }
    }
  };
  try {
    descend();
  } catch (error) {
    check(error instanceof RangeError, `it threw ${error}`);
  }
  check(depth > 100 && refused > 0, 'the stack has no end');
}

async function* stacks(context) {
  const { WASI } = context;
  yield [
    'every import at the end of the stack',
    async () => {
      const bench = await Bench.make(context);
      exhaust(bench);
      check(bench.guest.open(PREOPEN, 'link', { follow: true }).errno <= 76, 'it does not work');
    },
  ];
  yield [
    'a module that calls itself and lists a directory each time',
    () => {
      const module = 'wasi_snapshot_preview1';
      const list = [op.i32(3), op.i32(1024), op.i32(60_000), op.i64(0n), op.i32(64)];
      const bytes = assemble({
        imports: [{ module, name: 'fd_readdir', form: 'iiiIi:i' }],
        functions: [
          { export: '_start', form: ':', body: [...list, op.call(0), op.drop, op.call(1)] },
        ],
      });
      const wasi = new WASI({ version: 'preview1', preopens: { '/': context.folder } });
      const imports = { [module]: wasi.wasiImport };
      const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
      try {
        wasi.start(instance);
      } catch (error) {
        check(error instanceof RangeError, `it threw ${error}`);
        return;
      }
      fail('the stack has no end');
    },
  ];
  // The end of a Worker's stack can end Deno, see docs/platforms.md.
  for (const stackSizeMb of process.versions.deno ? [] : [1, 4]) {
    yield [
      `every import at the end of the stack of a Worker of ${stackSizeMb} MiB`,
      async () => {
        const folder = path.join(context.folder, `worker-${stackSizeMb}`);
        fs.mkdirSync(folder);
        const source = `
          const { workerData, parentPort } = require('node:worker_threads');
          import(workerData.module).then(({ exhaustInWorker }) => exhaustInWorker(workerData))
            .then(() => parentPort.postMessage('done'), (error) => parentPort.postMessage(String(error)));`;
        const { implementation } = context;
        const workerData = { module: import.meta.url, implementation, folder };
        const worker = new Worker(source, {
          eval: true,
          workerData,
          resourceLimits: { stackSizeMb },
        });
        const message = await new Promise((resolve) => {
          worker.once('message', resolve);
          worker.once('error', (error) => resolve(String(error)));
          worker.once('exit', (code) => resolve(`the Worker ended with ${code}`));
        });
        await worker.terminate();
        check(message === 'done', message);
      },
    ];
  }
}

export async function exhaustInWorker({ implementation, folder }) {
  const { loadWASI } = await import('../../support/implementation.mjs');
  exhaust(await Bench.make({ WASI: await loadWASI(implementation), folder }));
}

// --- Workers that are ended ----------------------------------------------------------------------

/**
 * How many milliseconds the end of a Worker may take. Its call waits for an hour or for ever, and on
 * a busy machine the end of any Worker may take a second.
 */
const AT_ONCE = 5000;
const WAITS = [
  'poll_oneoff of a clock',
  'poll_oneoff of a pipe',
  'fd_read of a pipe',
  'fd_read of a fifo that the guest opened',
  'fd_write to a full pipe',
  'fd_write to a fifo that the guest opened',
  'sock_accept',
  'sock_recv',
  'poll_oneoff of a clock, in WebAssembly',
  'fd_read of a pipe, in WebAssembly',
  'a loop of calls',
];

async function* workers(context) {
  const { folder, implementation } = context;
  const sandbox = path.join(folder, 'sandbox');
  fs.mkdirSync(sandbox);
  const pipes = ['empty', 'full'].map((name) => {
    const place = path.join(folder, name);
    execFileSync('mkfifo', [place]);
    return [name, fs.openSync(place, 'r+')];
  });
  execFileSync('mkfifo', [path.join(sandbox, 'fifo')]);
  const fds = { ...Object.fromEntries(pipes), ...(await openSockets(folder)) };
  const start = async (kind) => {
    const worker = new Worker(WORKER, { workerData: { implementation, kind, sandbox, fds } });
    let said;
    await new Promise((resolve, reject) => {
      worker.on('message', (message) => {
        said = message;
        resolve();
      });
      worker.once('error', reject);
    });
    worker.on('error', (error) => {
      said = error.message;
    });
    return { worker, said: () => said };
  };
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const terminate = async (worker) => {
    const from = process.hrtime.bigint();
    await worker.terminate();
    const took = Number(process.hrtime.bigint() - from) / 1e6;
    check(took < AT_ONCE, `it took ${Math.round(took)} ms`);
  };
  for (const kind of WAITS) {
    yield [
      `${kind}: ends at once`,
      async () => {
        const { worker, said } = await start(kind);
        await wait(200);
        check(said() === 'waiting', said());
        await terminate(worker);
      },
    ];
  }
  // Deno ends no Worker that waits or computes, see docs/platforms.md.
  if (!process.versions.deno)
    yield [
      'Workers that are ended at any time leave nothing behind',
      async () => {
        const turn = async (i) => {
          const { worker } = await start(WAITS[i % WAITS.length]);
          await wait(i % 7);
          await terminate(worker);
        };
        // Node keeps some descriptors for Workers to come.
        for (let i = 0; i < 3; i += 1) await turn(i);
        const before = openDescriptors();
        for (let i = 0; i < 2 * WAITS.length; i += 1) {
          await turn(i);
          context.alive();
        }
        await collect(() => openDescriptors() <= before);
        const left = await descriptorsLeft(before);
        check(left <= 0, `${left} descriptors are left`);
      },
    ];
  for (const kind of ['poll_oneoff of a clock', 'fd_read of a fifo that the guest opened']) {
    yield [
      `${kind}: the process can end meanwhile`,
      async () => {
        const workerData = { implementation, kind, sandbox, fds: {} };
        const args = [ENDS, WORKER, JSON.stringify(workerData)];
        const run = promisify(execFile);
        const error = await run(process.execPath, [...nodeFlags(implementation), ...args], {
          timeout: 5000,
          killSignal: 'SIGKILL',
        }).catch((thrown) => thrown);
        check(error.code === 7, `the process ended with ${error.signal ?? error.code}`);
      },
    ];
  }
}

export const GROUPS = [
  { name: 'arguments', cases: argumentsOf },
  { name: 'receivers', cases: receivers },
  { name: 'objects', cases: objects },
  { name: 'memories', cases: memories },
  { name: 'life', cases: lives, collects: true },
  { name: 'stack', cases: stacks, patience: 30_000 },
  { name: 'Workers', cases: workers, collects: true },
];
