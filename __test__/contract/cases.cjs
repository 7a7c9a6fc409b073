'use strict';
// The observable contract of node:wasi, as cases: each returns a value, or throws. Run by
// probe.cjs.
const {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} = require('node:fs');
const { join } = require('node:path');
const vm = require('node:vm');
const { Worker } = require('node:worker_threads');
const { assemble, op } = require('./wasm.cjs');
const SIGNATURES = require('./signatures.cjs');

const P1 = 'wasi_snapshot_preview1';
const temp = () => process.env.WASI_CONF_TMP;
const load = () => require('node:wasi').WASI;
const make = (options) => new (load())({ version: 'preview1', ...options });
const memoryOf = (pages = 1) => new WebAssembly.Memory({ initial: pages });
// An object with `exports` is enough for start(): it need not be an instance.
const fake = (exports) => ({ exports });
const command = (exports = {}) => fake({ memory: memoryOf(), _start() {}, ...exports });

function instantiate(wasi, spec) {
  const module = new WebAssembly.Module(assemble(spec));
  return new WebAssembly.Instance(module, { [P1]: wasi.wasiImport, ...spec.objects });
}

const EXIT = { module: P1, name: 'proc_exit', form: 'i:' };
const exiting = (code, entry = '_start') => ({
  imports: [EXIT],
  functions: [{ export: entry, form: ':', body: [op.i32(code), op.call(0)] }],
});

// Descriptors of its own as stdio: a call may close or renumber them, and the process's are then
// gone too.
let serial = 0;
function ownStdio() {
  const [stdin, stdout, stderr] = [0, 1, 2].map((n) =>
    openSync(join(temp(), `own-${process.pid}-${serial++}-${n}`), 'w+'),
  );
  return { stdin, stdout, stderr };
}

// A started WASI with a memory of its own, to call wasiImport functions directly.
function started(options, pages = 1) {
  const wasi = make(options);
  const memory = memoryOf(pages);
  wasi.start(fake({ memory, _start() {} }));
  const view = () => new DataView(memory.buffer);
  const bytes = () => new Uint8Array(memory.buffer);
  return { wasi, memory, view, bytes, call: wasi.wasiImport };
}

function put(context, at, string) {
  const data = Buffer.from(string);
  context.bytes().set(data, at);
  return [at, data.length];
}

// Reads back an args_get / environ_get table.
function strings(options, kind) {
  const context = started(options);
  const sizes = context.call[`${kind === 'args' ? 'args' : 'environ'}_sizes_get`](0, 4);
  const [count, size] = [context.view().getUint32(0, true), context.view().getUint32(4, true)];
  const got = context.call[`${kind === 'args' ? 'args' : 'environ'}_get`](16, 1024);
  const pointers = Array.from(
    { length: count },
    (_, i) => context.view().getUint32(16 + 4 * i, true) - 1024,
  );
  return {
    errno: [sizes, got],
    count,
    size,
    pointers,
    data: Buffer.from(context.bytes().slice(1024, 1024 + size)).toString('latin1'),
  };
}

const VALUES = {
  undefined: () => undefined,
  null: () => null,
  string: () => 'fhqwhgads',
  'empty string': () => '',
  zero: () => 0,
  one: () => 1,
  'minus one': () => -1,
  fraction: () => 1.5,
  NaN: () => NaN,
  Infinity: () => Infinity,
  '2**31': () => 2 ** 31,
  '2**32': () => 2 ** 32,
  true: () => true,
  false: () => false,
  bigint: () => 1n,
  symbol: () => Symbol('s'),
  array: () => [],
  object: () => ({}),
  function: () => function named() {},
  date: () => new Date(0),
  map: () => new Map(),
  'null-prototype object': () => Object.create(null),
  'class instance': () => new (class Foo {})(),
  'numeric string': () => '0',
  'boxed string': () => new String('preview1'),
  'boxed boolean': () => new Boolean(true),
  'boxed number': () => new Number(0),
};
const each = (values, fn) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, () => fn(value())]));
const shape = (wasi) => `constructed ${Object.prototype.toString.call(wasi)}`;

const groups = {};

groups.module = {
  'keys of the module': () => Object.keys(require('node:wasi')),
  'require("wasi") is require("node:wasi")': () => require('wasi') === require('node:wasi'),
  'WASI.name': () => load().name,
  'WASI.length': () => load().length,
  'WASI own keys': () => Reflect.ownKeys(load()).map(String),
  'WASI.prototype own keys': () => Reflect.ownKeys(load().prototype).map(String),
  'prototype methods: name/length/enumerable': () =>
    Object.fromEntries(
      Object.entries(Object.getOwnPropertyDescriptors(load().prototype)).map(([key, d]) => [
        key,
        `${d.value?.name}/${d.value?.length}/${d.enumerable}`,
      ]),
    ),
  'WASI() without new': () => load()({ version: 'preview1' }),
  'a subclass can be constructed': () =>
    new (class Mine extends load() {})({ version: 'preview1' }).constructor.name,
  'own string keys of an instance': () => Object.keys(make()),
  'descriptor of wasiImport': () => {
    const { value, ...rest } = Object.getOwnPropertyDescriptor(make(), 'wasiImport');
    return rest;
  },
  'toString tag': () => Object.prototype.toString.call(make()),
  'wasi is extensible': () => Object.isExtensible(make()),
  'JSON of an instance': () => JSON.stringify(make()),
};

groups.warning = {
  'warnings on first require': async () =>
    warningsOf(() => {
      load();
    }),
  'warnings on construction after the require': async () => {
    load();
    await tick();
    return warningsOf(() => {
      make();
      make();
    });
  },
  'warnings in a worker': async () =>
    (
      await inWorker(
        `process.on('warning', (w) => parentPort.postMessage({ name: w.name, message: w.message, code: w.code })); require('node:wasi'); setTimeout(() => parentPort.postMessage('end'), 50);`,
      )
    ).messages,
};

async function tick() {
  await new Promise((done) => setTimeout(done, 20));
}
async function warningsOf(fn) {
  const seen = [];
  const on = (w) => seen.push({ name: w.name, message: w.message, code: w.code, detail: w.detail });
  process.on('warning', on);
  fn();
  await tick();
  process.off('warning', on);
  return seen;
}

function inWorker(code, options = {}) {
  return new Promise((done, fail) => {
    const messages = [];
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');\n${code}`,
      { eval: true, ...options },
    );
    worker.on('message', (m) => {
      if (m === 'end') worker.terminate();
      else messages.push(m);
    });
    worker.on('error', (e) =>
      messages.push(`worker error: ${e?.code ?? ''} ${e?.message ?? String(e)}`),
    );
    worker.on('exit', (code) => done({ messages, exit: code }));
    setTimeout(() => fail(new Error('worker still running')), 5000).unref();
  });
}

groups['options argument'] = {
  ...each(VALUES, (value) => shape(new (load())(value))),
  'no argument': () => shape(new (load())()),
  'no argument, message on Node 18 too': () => shape(new (load())({})),
};
groups['options.version'] = {
  ...each(VALUES, (version) => shape(new (load())({ version }))),
  missing: () => shape(new (load())({})),
  preview1: () => shape(new (load())({ version: 'preview1' })),
  unstable: () => shape(new (load())({ version: 'unstable' })),
  preview2: () => shape(new (load())({ version: 'preview2' })),
  snapshot: () => shape(new (load())({ version: P1 })),
  'getImportObject keys, preview1': () => Object.keys(make().getImportObject()),
  'getImportObject keys, unstable': () =>
    Object.keys(new (load())({ version: 'unstable' }).getImportObject()),
};
groups['options.args'] = {
  ...each(VALUES, (args) => shape(make({ args }))),
  'typed array': () => shape(make({ args: new Uint8Array(1) })),
  'array-like': () => shape(make({ args: { length: 1, 0: 'a' } })),
  'array of another realm': () => shape(make({ args: vm.runInNewContext('["a"]') })),
  'proxy of an array': () => strings({ args: new Proxy(['a'], {}) }, 'args'),
  'non-string elements': () =>
    strings(
      { args: [1, true, null, undefined, { toString: () => 'obj' }, 1n, Symbol('s'), [1, 2]] },
      'args',
    ),
  'element whose toString throws': () =>
    strings(
      {
        args: [
          {
            toString() {
              throw new Error('mine');
            },
          },
        ],
      },
      'args',
    ),
  'null-prototype element': () => strings({ args: [Object.create(null)] }, 'args'),
  'array with a hole': () => strings({ args: [, 'a'] }, 'args'), // eslint-disable-line no-sparse-arrays
  'empty and unicode elements': () => strings({ args: ['', 'é', '😀', '\ud800'] }, 'args'),
  'element with NUL': () => strings({ args: ['a\0b', 'c'] }, 'args'),
  'no args': () => strings({}, 'args'),
};
groups['options.env'] = {
  ...each(VALUES, (env) => shape(make({ env }))),
  'non-string values': () =>
    strings(
      {
        env: {
          a: 1,
          b: true,
          c: null,
          d: undefined,
          e: { toString: () => 'obj' },
          f: 1n,
          g: [1, 2],
          h: '',
        },
      },
      'env',
    ),
  'symbol value': () => strings({ env: { a: Symbol('s') } }, 'env'),
  'symbol key': () => strings({ env: { [Symbol('s')]: 'x', a: 'b' } }, 'env'),
  'inherited keys': () =>
    strings(
      {
        env: Object.create(
          { inherited: '1' },
          { own: { value: '2', enumerable: true }, hidden: { value: '3' } },
        ),
      },
      'env',
    ),
  'key order': () => strings({ env: { b: '1', a: '2', 2: '3', 1: '4' } }, 'env'),
  'key with =': () => strings({ env: { 'a=b': 'c', '': 'empty' } }, 'env'),
  'value with NUL': () => strings({ env: { a: 'x\0y', b: 'z' } }, 'env'),
  unicode: () => strings({ env: { é: '😀', s: '\ud800' } }, 'env'),
  'value whose toString throws': () =>
    strings(
      {
        env: {
          a: {
            toString() {
              throw new Error('mine');
            },
          },
        },
      },
      'env',
    ),
  'process.env is accepted': () =>
    strings({ env: process.env }, 'env').count === Object.keys(process.env).length,
  'no env': () => strings({}, 'env'),
  'changed after construction': () => {
    const env = { a: '1' };
    const wasi = make({ env });
    env.a = '2';
    const memory = memoryOf();
    wasi.start(fake({ memory, _start() {} }));
    wasi.wasiImport.environ_get(0, 64);
    return Buffer.from(memory.buffer, 64, 3).toString();
  },
};
groups['options.returnOnExit'] = each(VALUES, (returnOnExit) => shape(make({ returnOnExit })));
for (const name of ['stdin', 'stdout', 'stderr']) {
  groups[`options.${name}`] = {
    ...each(VALUES, (value) => shape(make({ [name]: value }))),
    '2**31 - 1': () => shape(make({ [name]: 2 ** 31 - 1 })),
    'minus zero': () => shape(make({ [name]: -0 })),
    'not an open descriptor': () => shape(make({ [name]: 900 })),
    'a directory': () => shape(make({ [name]: openSync(temp(), 'r') })),
    'fd_fdstat_get of a closed descriptor': () => {
      const fd = openSync(join(temp(), `gone-${name}`), 'w');
      const context = started({ [name]: fd });
      closeSync(fd);
      return context.call.fd_fdstat_get(['stdin', 'stdout', 'stderr'].indexOf(name), 0);
    },
  };
}
groups['options, together'] = {
  'order in which options are read': () => {
    const reads = [];
    new (load())(
      new Proxy(
        {
          version: 'preview1',
          args: [],
          env: {},
          preopens: {},
          stdin: 0,
          stdout: 1,
          stderr: 2,
          returnOnExit: true,
        },
        {
          get(target, key) {
            reads.push(String(key));
            return target[key];
          },
        },
      ),
    );
    return reads;
  },
  'all wrong': () =>
    new (load())({
      version: 1,
      args: 1,
      env: 1,
      preopens: 1,
      stdin: 'a',
      stdout: 'a',
      stderr: 'a',
      returnOnExit: 'a',
    }),
  'all wrong but version': () =>
    make({ args: 1, env: 1, preopens: 1, stdin: 'a', stdout: 'a', stderr: 'a', returnOnExit: 'a' }),
  'preopens and stdio wrong': () => make({ preopens: 1, stdin: 'a', returnOnExit: 'a' }),
  'stdin and returnOnExit wrong': () => make({ stdin: 'a', returnOnExit: 'a' }),
  'missing preopen and returnOnExit wrong': () =>
    make({ preopens: { '/': join(temp(), 'missing') }, returnOnExit: 'a' }),
  'missing preopen and stdin wrong': () =>
    make({ preopens: { '/': join(temp(), 'missing') }, stdin: 'a' }),
  'options inherited from a prototype': () =>
    new (load())(Object.create({ version: 'preview1', args: 1 })),
  'a getter that throws': () =>
    new (load())({
      version: 'preview1',
      get args() {
        throw new Error('mine');
      },
    }),
  'unknown option': () => shape(make({ nonsense: 1 })),
};

const preopened = (preopens) => {
  const context = started({ preopens });
  const list = [];
  for (let fd = 3; ; fd++) {
    const errno = context.call.fd_prestat_get(fd, 0);
    if (errno) return { list, end: errno };
    const length = context.view().getUint32(4, true);
    const name = context.call.fd_prestat_dir_name(fd, 64, length);
    list.push([
      fd,
      context.view().getUint8(0),
      length,
      name,
      Buffer.from(context.bytes().slice(64, 64 + length)).toString(),
    ]);
  }
};
const existing = (name) => {
  const dir = join(temp(), name);
  mkdirSync(dir, { recursive: true });
  return dir;
};
groups['options.preopens'] = {
  ...each(VALUES, (preopens) => shape(make({ preopens }))),
  'nonexistent path': () => make({ preopens: { '/': join(temp(), 'missing') } }),
  'a file': () => {
    const file = join(temp(), 'afile');
    writeFileSync(file, '');
    return shape(make({ preopens: { '/': file } }));
  },
  'empty host path': () => shape(make({ preopens: { '/': '' } })),
  'empty guest path': () => preopened({ '': temp() }),
  'symlink to a directory': () => {
    const link = join(temp(), `link-${process.pid}`);
    symlinkSync(existing('dir'), link);
    return preopened({ '/': link });
  },
  'dangling symlink': () => {
    const link = join(temp(), 'dangling');
    symlinkSync('nowhere', link);
    return preopened({ '/': link });
  },
  'relative host path': () => {
    process.chdir(temp());
    existing('dir');
    return preopened({ '/d': 'dir', '/dot': '.' });
  },
  'trailing slashes in guest and host': () => preopened({ '/d/': `${existing('dir')}//` }),
  'dots in guest': () =>
    preopened({ '/a/../b': existing('dir'), '.': existing('dir'), './x/.': existing('dir') }),
  'order of several': () => preopened({ '/b': temp(), '/a': temp(), 2: temp(), 1: temp() }),
  'same host directory twice': () => preopened({ '/a': temp(), '/b': temp() }),
  'non-string host (number)': () => shape(make({ preopens: { '/': 12345 } })),
  'non-string host (URL)': () => shape(make({ preopens: { '/': new URL(`file://${temp()}`) } })),
  'non-string host (Buffer)': () => preopened({ '/': Buffer.from(temp()) }),
  'non-string host (object with toString)': () => preopened({ '/': { toString: () => temp() } }),
  'host undefined': () => shape(make({ preopens: { '/': undefined } })),
  'host null': () => shape(make({ preopens: { '/': null } })),
  'host symbol': () => shape(make({ preopens: { '/': Symbol('s') } })),
  'host with NUL': () => shape(make({ preopens: { '/': `${temp()}\0x` } })),
  'inherited keys': () => preopened(Object.create({ '/': temp() })),
  'unicode guest': () => preopened({ '/é😀': temp() }),
  'directory removed after construction': () => {
    const { rmdirSync } = require('node:fs');
    const dir = existing('removed');
    const context = started({ preopens: { '/': dir } });
    rmdirSync(dir);
    put(context, 64, 'x');
    return context.call.path_create_directory(3, 64, 1);
  },
  'directory moved after construction': () => {
    const { renameSync, existsSync } = require('node:fs');
    const dir = existing('moved-from');
    const context = started({ preopens: { '/': dir } });
    renameSync(dir, join(temp(), 'moved-to'));
    put(context, 64, 'x');
    return [
      context.call.path_create_directory(3, 64, 1),
      existsSync(join(temp(), 'moved-to', 'x')),
    ];
  },
};

const BAD_INSTANCES = {
  undefined: () => undefined,
  null: () => null,
  number: () => 5,
  string: () => 'x',
  function: () => () => {},
  array: () => [],
  'empty object': () => ({}),
  'exports undefined': () => fake(undefined),
  'exports null': () => fake(null),
  'exports number': () => fake(5),
  'exports array': () => fake([]),
  'exports function': () => fake(() => {}),
  'exports empty': () => fake({}),
  'memory undefined': () => fake({ _start() {} }),
  'memory null': () => fake({ _start() {}, memory: null }),
  'memory number': () => fake({ _start() {}, memory: 5 }),
  'memory {}': () => fake({ _start() {}, memory: {} }),
  'memory duck-typed': () => fake({ _start() {}, memory: { buffer: new ArrayBuffer(65536) } }),
  'memory an ArrayBuffer': () => fake({ _start() {}, memory: new ArrayBuffer(65536) }),
  'memory a Proxy of a Memory': () => fake({ _start() {}, memory: new Proxy(memoryOf(), {}) }),
  'memory Object.create(Memory.prototype)': () =>
    fake({ _start() {}, memory: Object.create(WebAssembly.Memory.prototype) }),
  'memory a subclass': () =>
    fake({ _start() {}, memory: new (class Mine extends WebAssembly.Memory {})({ initial: 1 }) }),
  'memory of another realm': () =>
    fake({ _start() {}, memory: vm.runInNewContext('new WebAssembly.Memory({ initial: 1 })') }),
  'memory shared': () =>
    fake({ _start() {}, memory: new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }) }),
  'memory with its buffer property shadowed': () => {
    const memory = memoryOf();
    Object.defineProperty(memory, 'buffer', { value: null });
    return fake({ _start() {}, memory });
  },
  '_start missing': () => fake({ memory: memoryOf() }),
  '_start null': () => fake({ memory: memoryOf(), _start: null }),
  '_start number': () => fake({ memory: memoryOf(), _start: 5 }),
  '_start class': () => fake({ memory: memoryOf(), _start: class A {} }),
  '_initialize too': () => command({ _initialize() {} }),
  '_initialize null': () => command({ _initialize: null }),
  '_initialize undefined': () => command({ _initialize: undefined }),
  '_initialize zero': () => command({ _initialize: 0 }),
  'a good fake': () => command(),
  'Proxy of an object': () => new Proxy(command(), {}),
  'exports a Proxy': () => fake(new Proxy({ memory: memoryOf(), _start() {} }, {})),
  'null-prototype exports': () =>
    fake(Object.assign(Object.create(null), { memory: memoryOf(), _start() {} })),
  'class with exports': () => Object.assign(new (class Foo {})(), command()),
};
const reactor = (make_) => () => {
  const instance = make_();
  const exports = instance?.exports;
  if (
    exports &&
    typeof exports === 'object' &&
    !Array.isArray(exports) &&
    typeof exports._start === 'function' &&
    Object.getPrototypeOf(exports) === Object.prototype
  ) {
    const { _start, ...rest } = exports;
    return fake({ ...rest, _initialize: 'bad' in rest ? rest._initialize : _start });
  }
  return instance;
};
groups.start = each(BAD_INSTANCES, (instance) => make().start(instance));
groups['initialize'] = {
  ...each(
    Object.fromEntries(
      Object.entries(BAD_INSTANCES)
        .filter(([name]) => !/^_/.test(name))
        .map(([name, value]) => [name, reactor(value)]),
    ),
    (instance) => make().initialize(instance),
  ),
  'without _initialize': () => make().initialize(fake({ memory: memoryOf() })),
  '_initialize null': () => make().initialize(fake({ memory: memoryOf(), _initialize: null })),
  '_initialize number': () => make().initialize(fake({ memory: memoryOf(), _initialize: 5 })),
  '_start too': () =>
    make().initialize(fake({ memory: memoryOf(), _initialize() {}, _start() {} })),
  '_start null': () =>
    make().initialize(fake({ memory: memoryOf(), _initialize() {}, _start: null })),
  'value returned by _initialize': () =>
    make().initialize(fake({ memory: memoryOf(), _initialize: () => 7 })),
};
groups['finalizeBindings'] = {
  'no arguments': () => make().finalizeBindings(),
  'null instance': () => make().finalizeBindings(null),
  'empty object': () => make().finalizeBindings({}),
  'exports without memory': () => make().finalizeBindings(fake({})),
  'a good fake': () => make().finalizeBindings(fake({ memory: memoryOf() })),
  'memory given': () => make().finalizeBindings(fake({}), { memory: memoryOf() }),
  'memory given wins over exports.memory': () => {
    const wasi = make();
    const [a, b] = [memoryOf(), memoryOf()];
    wasi.finalizeBindings(fake({ memory: a }), { memory: b });
    wasi.wasiImport.random_get(0, 64);
    return [
      new Uint8Array(a.buffer, 0, 64).some(Boolean),
      new Uint8Array(b.buffer, 0, 64).some(Boolean),
    ];
  },
  'memory undefined': () =>
    make().finalizeBindings(fake({ memory: memoryOf() }), { memory: undefined }),
  'memory null': () => make().finalizeBindings(fake({ memory: memoryOf() }), { memory: null }),
  'memory number': () => make().finalizeBindings(fake({}), { memory: 5 }),
  'memory shared': () =>
    make().finalizeBindings(fake({}), {
      memory: new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }),
    }),
  'options null': () => make().finalizeBindings(fake({ memory: memoryOf() }), null),
  'options number': () => make().finalizeBindings(fake({ memory: memoryOf() }), 5),
  twice: () => {
    const wasi = make();
    wasi.finalizeBindings(fake({ memory: memoryOf() }));
    wasi.finalizeBindings(fake({ memory: memoryOf() }));
  },
  'twice, second without arguments': () => {
    const wasi = make();
    wasi.finalizeBindings(fake({ memory: memoryOf() }));
    wasi.finalizeBindings();
  },
  'then start': () => {
    const wasi = make();
    wasi.finalizeBindings(fake({ memory: memoryOf() }));
    wasi.start(command());
  },
  'then initialize': () => {
    const wasi = make();
    wasi.finalizeBindings(fake({ memory: memoryOf() }));
    wasi.initialize(fake({ memory: memoryOf() }));
  },
  'after start': () => {
    const wasi = make();
    wasi.start(command());
    wasi.finalizeBindings(command());
  },
  'exports._start is not needed nor called': () => {
    let called = false;
    make().finalizeBindings(
      command({
        _start() {
          called = true;
        },
      }),
    );
    return called;
  },
};

const again = (first, second) => () => {
  const wasi = make();
  let thrown = 'first call passed';
  try {
    first(wasi);
  } catch (error) {
    thrown = error?.code ?? String(error);
  }
  const then = second(wasi);
  return { first: thrown, second: then };
};
groups['started once'] = {
  'start twice': () => {
    const wasi = make();
    wasi.start(command());
    wasi.start(command());
  },
  'initialize twice': () => {
    const wasi = make();
    wasi.initialize(fake({ memory: memoryOf() }));
    wasi.initialize(fake({ memory: memoryOf() }));
  },
  'start, then initialize': () => {
    const wasi = make();
    wasi.start(command());
    wasi.initialize(fake({ memory: memoryOf() }));
  },
  'start(undefined) after start': () => {
    const wasi = make();
    wasi.start(command());
    wasi.start();
  },
  'start after start(undefined)': again(
    (wasi) => wasi.start(),
    (wasi) => wasi.start(command()),
  ),
  'start after start without exports': again(
    (wasi) => wasi.start({}),
    (wasi) => wasi.start(command()),
  ),
  'start after start without memory': again(
    (wasi) => wasi.start(fake({ _start() {} })),
    (wasi) => wasi.start(command()),
  ),
  'start after start without _start': again(
    (wasi) => wasi.start(fake({ memory: memoryOf() })),
    (wasi) => wasi.start(command()),
  ),
  'start after start with _initialize': again(
    (wasi) => wasi.start(command({ _initialize() {} })),
    (wasi) => wasi.start(command()),
  ),
  'initialize after initialize with _start': again(
    (wasi) => wasi.initialize(command()),
    (wasi) => wasi.initialize(fake({ memory: memoryOf() })),
  ),
  'start after a _start that throws': again(
    (wasi) =>
      wasi.start(
        command({
          _start() {
            throw new Error('x');
          },
        }),
      ),
    (wasi) => wasi.start(command()),
  ),
  'calls work after a failed start': again(
    (wasi) => wasi.start(fake({ memory: memoryOf() })),
    (wasi) => wasi.wasiImport.sched_yield(),
  ),
};

groups['what start returns'] = {
  '_start that returns': () => make().start(command()),
  '_start that returns 7 (JS)': () => make().start(command({ _start: () => 7 })),
  '_start with the receiver': () => {
    let receiver = 'none';
    make().start(
      command({
        _start: function () {
          'use strict';
          receiver = this;
        },
      }),
    );
    return receiver;
  },
  '_start with arguments': () => {
    let count;
    make().start(
      command({
        _start: (...args) => {
          count = args.length;
        },
      }),
    );
    return count;
  },
  'exports getter is read': () => {
    let reads = 0;
    const exports = { memory: memoryOf(), _start() {} };
    make().start({
      get exports() {
        reads++;
        return exports;
      },
    });
    return reads;
  },
  'exports members are read': () => {
    const reads = [];
    make().start(
      fake(
        new Proxy(
          { memory: memoryOf(), _start() {} },
          {
            get(t, k) {
              reads.push(String(k));
              return t[k];
            },
          },
        ),
      ),
    );
    return reads;
  },
  ...Object.fromEntries(
    [0, 1, 42, 120, 255, 256, -1, 2 ** 31 - 1, -(2 ** 31)].map((code) => [
      `proc_exit(${code}), returnOnExit true`,
      () => {
        const wasi = make({ returnOnExit: true });
        return wasi.start(instantiate(wasi, exiting(code)));
      },
    ]),
  ),
  'proc_exit(9), returnOnExit default': () => {
    const wasi = make();
    return wasi.start(instantiate(wasi, exiting(9)));
  },
  'a trap': () => {
    const wasi = make();
    return wasi.start(
      instantiate(wasi, { functions: [{ export: '_start', form: ':', body: [op.unreachable] }] }),
    );
  },
  'an error thrown in _start is passed on as it is': () => {
    const mine = { mine: true };
    try {
      make().start(
        command({
          _start() {
            throw mine;
          },
        }),
      );
    } catch (e) {
      return e === mine;
    }
  },
  'proc_exit overridden in wasiImport': () => {
    const wasi = make({ returnOnExit: true });
    wasi.wasiImport.proc_exit = (code) => {
      throw new Error(`mine ${code}`);
    };
    return wasi.start(instantiate(wasi, exiting(3)));
  },
  'proc_exit called from JS outside start': () => {
    const wasi = make({ returnOnExit: true });
    wasi.wasiImport.proc_exit(5);
  },
  'proc_exit with no argument inside start': () => {
    const wasi = make({ returnOnExit: true });
    return wasi.start(
      command({
        _start() {
          wasi.wasiImport.proc_exit();
        },
      }),
    );
  },
  'proc_exit("x") inside start': () => {
    const wasi = make({ returnOnExit: true });
    return wasi.start(
      command({
        _start() {
          wasi.wasiImport.proc_exit('x');
        },
      }),
    );
  },
  'proc_exit caught by JS in between, then return': () => {
    const wasi = make({ returnOnExit: true });
    return wasi.start(
      command({
        _start() {
          try {
            wasi.wasiImport.proc_exit(5);
          } catch {
            /* goes on */
          }
        },
      }),
    );
  },
  'what proc_exit throws': () => {
    const wasi = make({ returnOnExit: true });
    try {
      wasi.wasiImport.proc_exit(5);
    } catch (e) {
      return `${typeof e} ${String(e)}`;
    }
  },
  'proc_exit of another WASI inside start': () => {
    const [a, b] = [make({ returnOnExit: true }), make({ returnOnExit: true })];
    return a.start(
      command({
        _start() {
          b.wasiImport.proc_exit(5);
        },
      }),
    );
  },
  'proc_exit in _initialize': () => {
    const wasi = make({ returnOnExit: true });
    return wasi.initialize(instantiate(wasi, exiting(4, '_initialize')));
  },
  'proc_exit after start, from an export': () => {
    const wasi = make({ returnOnExit: true });
    const instance = instantiate(wasi, {
      imports: [EXIT],
      functions: [
        { export: '_start', form: ':', body: [] },
        { export: 'later', form: ':', body: [op.i32(6), op.call(0)] },
      ],
    });
    const first = wasi.start(instance);
    try {
      instance.exports.later();
    } catch (e) {
      return [first, `${typeof e} ${String(e)}`];
    }
    return [first, 'nothing thrown'];
  },
  'start is usable detached?': () => {
    const { start } = make();
    return start(command());
  },
};

// Each of these ends the process or the worker: their exit codes are looked at from outside.
groups['process ends'] = {
  ...Object.fromEntries(
    [0, 1, 120, 256, 257, -1].map((code) => [
      `proc_exit(${code}), returnOnExit false`,
      () => {
        const wasi = make({ returnOnExit: false });
        process.on('exit', (c) => process.stdout.write(`exit event ${c}\n`));
        wasi.start(instantiate(wasi, exiting(code)));
        return 'went on';
      },
    ]),
  ),
  'proc_exit before start, returnOnExit false': () => {
    make({ returnOnExit: false }).wasiImport.proc_exit(7);
    return 'went on';
  },
  'proc_exit without argument, returnOnExit false': () =>
    make({ returnOnExit: false }).wasiImport.proc_exit(),
  'proc_exit(3) in a worker, returnOnExit false': () =>
    inWorker(
      `const { WASI } = require('node:wasi'); const wasi = new WASI({ version: 'preview1', returnOnExit: false }); wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() { wasi.wasiImport.proc_exit(3); } } }); parentPort.postMessage('went on');`,
    ),
  'proc_exit(3) in a worker, returnOnExit true': () =>
    inWorker(
      `const { WASI } = require('node:wasi'); const wasi = new WASI({ version: 'preview1', returnOnExit: true }); parentPort.postMessage(wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() { wasi.wasiImport.proc_exit(3); } } }));`,
    ),
  'proc_raise(SIGABRT)': () => started().call.proc_raise(6),
  'proc_raise(SIGTERM)': () => started().call.proc_raise(15),
  'proc_raise(0)': () => started().call.proc_raise(0),
  'proc_raise(255)': () => started().call.proc_raise(255),
  'uncaught proc_exit, from an export after start': () => {
    const wasi = make({ returnOnExit: true });
    wasi.start(command());
    wasi.wasiImport.proc_exit(9);
  },
};

groups.wasiImport = {
  keys: () => Object.keys(make().wasiImport),
  'keys with for-in': () => {
    const keys = [];
    for (const key in make().wasiImport) keys.push(key);
    return keys.length;
  },
  'own keys': () => Reflect.ownKeys(make().wasiImport).length,
  'descriptor of fd_read': () => {
    const { value, ...rest } = Object.getOwnPropertyDescriptor(make().wasiImport, 'fd_read');
    return rest;
  },
  'descriptor of proc_exit': () => {
    const { value, ...rest } = Object.getOwnPropertyDescriptor(make().wasiImport, 'proc_exit');
    return rest;
  },
  names: () =>
    Object.entries(make().wasiImport)
      .filter(([key, fn]) => fn.name !== `bound ${key}`)
      .map(([key, fn]) => `${key}: ${fn.name}`),
  'name of proc_exit, returnOnExit false': () =>
    make({ returnOnExit: false }).wasiImport.proc_exit.name,
  lengths: () =>
    Object.fromEntries(Object.entries(make().wasiImport).map(([key, fn]) => [key, fn.length])),
  'functions have a prototype property': () =>
    Object.values(make().wasiImport).filter((fn) => 'prototype' in fn).length,
  'functions are constructors': () => new (make().wasiImport.sched_yield)() && 'constructed',
  tag: () => Object.prototype.toString.call(make().wasiImport),
  'constructor name': () => make().wasiImport.constructor?.name,
  'prototype has the functions too': () => {
    const proto = Object.getPrototypeOf(make().wasiImport);
    return Object.keys(proto).length;
  },
  'extensible, writable': () => {
    const w = make().wasiImport;
    w.fd_read = 1;
    w.extra = 2;
    delete w.fd_write;
    return [w.fd_read, w.extra, 'own fd_write' in w, Object.isFrozen(w)];
  },
  '_setMemory is hidden': () => [
    '_setMemory' in make().wasiImport,
    Object.hasOwn(make().wasiImport, '_setMemory'),
  ],
  'functions work detached': () => {
    const context = started();
    const { random_get } = context.call;
    return random_get(0, 8);
  },
  'functions ignore another receiver': () => {
    const context = started();
    return context.call.sched_yield.call({});
  },
  'same functions for two instances': () => make().wasiImport.fd_read === make().wasiImport.fd_read,
  'getImportObject().x is wasiImport': () => {
    const wasi = make();
    return wasi.getImportObject()[P1] === wasi.wasiImport;
  },
  'getImportObject is a new object each time': () => {
    const wasi = make();
    return wasi.getImportObject() === wasi.getImportObject();
  },
  'getImportObject prototype': () =>
    Object.getPrototypeOf(make().getImportObject()) === Object.prototype,
};

const BIG = (form) => [...form].map((c) => (c === 'I' ? 0n : 0));
const swapped = (form) => [...form].map((c) => (c === 'I' ? 0 : 0n));
const perFunction = (label, args, options = {}) => {
  groups[label] = Object.fromEntries(
    Object.entries(SIGNATURES)
      .filter(([name]) => !['proc_exit', 'proc_raise', 'poll_oneoff'].includes(name) || options.all)
      .map(([name, form]) => [
        name,
        () => {
          const context = options.unstarted
            ? { call: make(ownStdio()).wasiImport }
            : started(ownStdio());
          return context.call[name](...args(form, name));
        },
      ]),
  );
};
perFunction('before start, right arguments', BIG, { unstarted: true });
perFunction('before start, no arguments', () => [], { unstarted: true });
perFunction('no arguments', () => []);
perFunction('one argument too few', (form) => BIG(form).slice(0, -1));
perFunction('one argument too many', (form) => [...BIG(form), 0]);
perFunction('all zero', BIG);
perFunction('strings', (form) => [...form].map(() => '0'));
perFunction('undefined', (form) => [...form].map(() => undefined));
perFunction('i64 as number', (form) => [...form].map(() => 0));
perFunction('i32 as BigInt', (form) => [...form].map(() => 0n));
perFunction('i32 and i64 swapped', swapped);
perFunction('i32 = 1.5', (form) => [...form].map((c) => (c === 'I' ? 0n : 1.5)));
perFunction('i32 = -1', (form) => [...form].map((c) => (c === 'I' ? 0n : -1)));
perFunction('i32 = 2**32', (form) => [...form].map((c) => (c === 'I' ? 0n : 2 ** 32)));
perFunction('i32 = 2**32 - 1', (form) => [...form].map((c) => (c === 'I' ? 0n : 2 ** 32 - 1)));
perFunction('i64 = -1n', (form) => [...form].map((c) => (c === 'I' ? -1n : 0)));
perFunction('i64 = 2n**64n', (form) => [...form].map((c) => (c === 'I' ? 2n ** 64n : 0)));
perFunction('pointers past the end', (form) =>
  [...form].map((c, i) => (c === 'I' ? 0n : i === 0 ? 0 : 65536)),
);
perFunction('pointers past the end, descriptor 99', (form) =>
  [...form].map((c, i) => (c === 'I' ? 0n : i === 0 ? 99 : 65536)),
);
perFunction('descriptor 99, otherwise zero', (form) =>
  [...form].map((c, i) => (c === 'I' ? 0n : i === 0 ? 99 : 0)),
);

// The same through wasm: V8 may take another way into the binding than a call from JS.
const throughWasm = (label, args, spec = {}) => {
  groups[label] = Object.fromEntries(
    Object.entries(SIGNATURES)
      .filter(([name]) => !['proc_exit', 'proc_raise', 'poll_oneoff'].includes(name))
      .map(([name, form]) => [
        name,
        () => {
          const wasi = make(ownStdio());
          const body = [
            ...args(form).map((value, i) => (form[i] === 'I' ? op.i64(value) : op.i32(value))),
            op.call(0),
          ];
          const instance = instantiate(wasi, {
            imports: [{ module: P1, name, form: `${form}:i` }],
            functions: [
              { export: 'run', form: ':i', body },
              { export: '_start', form: ':', body: [] },
            ],
          });
          if (!spec.unstarted) wasi.start(instance);
          return instance.exports.run();
        },
      ]),
  );
};
throughWasm('wasm: before start', BIG, { unstarted: true });
throughWasm('wasm: all zero', BIG);
throughWasm('wasm: i32 = -1', (form) => [...form].map((c) => (c === 'I' ? 0 : -1)));
throughWasm('wasm: i64 = -1', (form) => [...form].map((c) => (c === 'I' ? -1 : 0)));
throughWasm('wasm: descriptor 99', (form) =>
  [...form].map((c, i) => (c === 'I' ? 0 : i === 0 ? 99 : 0)),
);
throughWasm('wasm: pointers past the end', (form) =>
  [...form].map((c, i) => (c === 'I' ? 0 : i === 0 ? 0 : 65536)),
);

groups['memory'] = {
  'grown after start': () => {
    const context = started();
    context.memory.grow(1);
    return [context.call.random_get(65536, 64), context.bytes().slice(65536, 65600).some(Boolean)];
  },
  shared: () => {
    const wasi = make();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    wasi.start(fake({ memory, _start() {} }));
    return [
      wasi.wasiImport.random_get(0, 64),
      new Uint8Array(memory.buffer).slice(0, 64).some(Boolean),
    ];
  },
  'shared and grown': () => {
    const wasi = make();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    wasi.start(fake({ memory, _start() {} }));
    memory.grow(1);
    return wasi.wasiImport.random_get(65536, 64);
  },
  'zero pages': () => {
    const wasi = make();
    wasi.start(fake({ memory: memoryOf(0), _start() {} }));
    return [
      wasi.wasiImport.random_get(0, 0),
      wasi.wasiImport.random_get(0, 1),
      wasi.wasiImport.sched_yield(),
    ];
  },
  'exports.memory is not the memory the module uses': () => {
    const context = started();
    return context.call.args_sizes_get(0, 4);
  },
  'random_get up to the end': () => {
    const { call } = started();
    return [
      call.random_get(65535, 1),
      call.random_get(65535, 2),
      call.random_get(65536, 0),
      call.random_get(65537, 0),
    ];
  },
  'offset + length past 2**32': () => {
    const { call } = started();
    return [
      call.random_get(2 ** 32 - 1, 1),
      call.random_get(2 ** 32 - 16, 32),
      call.fd_write(1, 2 ** 32 - 8, 1, 0),
    ];
  },
  'iovec pointing outside': () => {
    const context = started();
    context.view().setUint32(0, 65530, true);
    context.view().setUint32(4, 100, true);
    return [context.call.fd_write(1, 0, 1, 16), context.call.fd_read(0, 0, 1, 16)];
  },
  'iovec array past the end': () => {
    const { call } = started();
    return [call.fd_write(1, 65532, 1, 0), call.fd_write(1, 0, 2 ** 32 - 1, 0)];
  },
  'unaligned pointers': () => {
    const { call } = started();
    return [call.args_sizes_get(1, 7), call.clock_time_get(0, 0n, 3)];
  },
  'write with no iovecs': () => {
    const { call } = started();
    return call.fd_write(1, 0, 0, 0);
  },
  'read with no iovecs': () => {
    const { call } = started();
    return call.fd_read(0, 0, 0, 0);
  },
  'nwritten pointer past the end (is the data written?)': () => {
    const file = join(temp(), `np-${process.pid}`);
    const fd = openSync(file, 'w');
    const context = started({ stdout: fd });
    const [at, length] = put(context, 64, 'hello');
    context.view().setUint32(0, at, true);
    context.view().setUint32(4, length, true);
    return [context.call.fd_write(1, 0, 1, 65536), readFileSync(file, 'utf8')];
  },
  'two instances share one WASI (wasiImport bound to first)': () => {
    const wasi = make();
    const [a, b] = [memoryOf(), memoryOf()];
    wasi.start(fake({ memory: a, _start() {} }));
    wasi.wasiImport.random_get(0, 16);
    return [new Uint8Array(a.buffer).some(Boolean), new Uint8Array(b.buffer).some(Boolean)];
  },
};

const OPEN = { CREAT: 1, DIRECTORY: 2, EXCL: 4, TRUNC: 8 };
function openIn(
  context,
  name,
  { oflags = 0, base = 0xfffffffn, inheriting = 0n, fdflags = 0, dirflags = 0, dir = 3 } = {},
) {
  const [at, length] = put(context, 1024, name);
  const errno = context.call.path_open(
    dir,
    dirflags,
    at,
    length,
    oflags,
    base,
    inheriting,
    fdflags,
    0,
  );
  return errno ? -errno : context.view().getUint32(0, true);
}
function stat(context, fd) {
  const errno = context.call.fd_fdstat_get(fd, 0);
  const view = context.view();
  return (
    errno || {
      type: view.getUint8(0),
      flags: view.getUint16(2, true),
      base: `0x${view.getBigUint64(8, true).toString(16)}`,
      inheriting: `0x${view.getBigUint64(16, true).toString(16)}`,
    }
  );
}
const boxed = () => {
  const dir = join(temp(), `box-${process.pid}-${Math.random().toString(36).slice(2)}`);
  mkdirSync(dir);
  return dir;
};
groups['descriptors'] = {
  'fdstat of 0, 1, 2 (pipes)': () => {
    const context = started();
    return [0, 1, 2].map((fd) => stat(context, fd));
  },
  'fdstat of stdio on files': () => {
    const [r, w, a] = ['w+', 'w', 'a'].map((flags, i) =>
      openSync(join(temp(), `stdio${i}-${process.pid}`), flags),
    );
    const context = started({ stdin: r, stdout: w, stderr: a });
    return [0, 1, 2].map((fd) => stat(context, fd));
  },
  'fdstat of stdio on /dev/null': () => {
    const fd = openSync('/dev/null', 'r+');
    const context = started({ stdin: fd, stdout: fd, stderr: fd });
    return [0, 1, 2].map((n) => stat(context, n));
  },
  'fdstat of a preopen': () => stat(started({ preopens: { '/': boxed() } }), 3),
  'fdstat of a file, all rights asked': () => {
    const context = started({ preopens: { '/': boxed() } });
    const fd = openIn(context, 'f', { oflags: OPEN.CREAT, inheriting: 0xfffffffn });
    return [fd, stat(context, fd)];
  },
  'fdstat of a file, no rights asked': () => {
    const context = started({ preopens: { '/': boxed() } });
    const fd = openIn(context, 'f', { oflags: OPEN.CREAT, base: 0n });
    return [fd, stat(context, fd)];
  },
  'fdstat of a directory, all rights asked': () => {
    const context = started({ preopens: { '/': boxed() } });
    const fd = openIn(context, '.', { oflags: OPEN.DIRECTORY, inheriting: 0xfffffffn });
    return [fd, stat(context, fd)];
  },
  'read without the right': () => {
    const context = started({ preopens: { '/': boxed() } });
    const fd = openIn(context, 'f', { oflags: OPEN.CREAT, base: 0x40n });
    context.view().setUint32(0, 64, true);
    context.view().setUint32(4, 4, true);
    return context.call.fd_read(fd, 0, 1, 8);
  },
  'filestat without the right': () => {
    const context = started({ preopens: { '/': boxed() } });
    const fd = openIn(context, 'f', { oflags: OPEN.CREAT, base: 0n });
    return context.call.fd_filestat_get(fd, 0);
  },
  "rights wider than the directory's": () => {
    const context = started({ preopens: { '/': boxed() } });
    const dir = openIn(context, '.', { oflags: OPEN.DIRECTORY, base: 0x2000n, inheriting: 0x2n });
    return [
      openIn(context, 'f', { oflags: OPEN.CREAT, base: 0x40n, dir }),
      openIn(context, 'f', { base: 0x40n, dir }),
    ];
  },
  'new descriptors are numbered': () => {
    const context = started({ preopens: { '/': boxed() } });
    const a = openIn(context, 'a', { oflags: OPEN.CREAT });
    const b = openIn(context, 'b', { oflags: OPEN.CREAT });
    context.call.fd_close(a);
    const c = openIn(context, 'c', { oflags: OPEN.CREAT });
    return [a, b, c];
  },
  'fd_close of 0, 1, 2 and then again': () => {
    const fds = ['a', 'b', 'c'].map((n) =>
      openSync(join(temp(), `close-${n}-${process.pid}`), 'w'),
    );
    const context = started({ stdin: fds[0], stdout: fds[1], stderr: fds[2] });
    const first = [0, 1, 2].map((fd) => context.call.fd_close(fd));
    const second = [0, 1, 2].map((fd) => context.call.fd_close(fd));
    const open = fds.map((fd) => {
      try {
        fstatSync(fd);
        return true;
      } catch {
        return false;
      }
    });
    return { first, second, 'host descriptors still open': open };
  },
  'fd_renumber onto stdout': () => {
    const context = started({
      preopens: { '/': boxed() },
      stdout: openSync(join(temp(), `ren-${process.pid}`), 'w'),
    });
    const fd = openIn(context, 'f', { oflags: OPEN.CREAT });
    return [context.call.fd_renumber(fd, 1), stat(context, 1), stat(context, fd)];
  },
  'fd_renumber onto itself': () => {
    const context = started({ preopens: { '/': boxed() } });
    return [context.call.fd_renumber(3, 3), context.call.fd_renumber(3, 50)];
  },
  'fd_close of a preopen': () => {
    const context = started({ preopens: { '/': boxed() } });
    return [context.call.fd_close(3), context.call.fd_prestat_get(3, 0)];
  },
  'fd_prestat_get of stdin': () => started().call.fd_prestat_get(0, 0),
  'fd_prestat_dir_name, short and long buffers': () => {
    const context = started({ preopens: { '/abc': boxed() } });
    return [0, 3, 4, 5].map((n) => context.call.fd_prestat_dir_name(3, 64, n));
  },
  'sock_shutdown of 1, of 99': () => {
    const { call } = started();
    return [
      call.sock_shutdown(1, 1),
      call.sock_shutdown(99, 1),
      call.sock_shutdown(1, 0),
      call.sock_shutdown(1, 9),
    ];
  },
  'sock_recv and sock_send of 1': () => {
    const { call } = started();
    return [call.sock_recv(1, 0, 0, 0, 64, 68), call.sock_send(1, 0, 0, 0, 64)];
  },
  ...Object.fromEntries(
    [0, 1, 2, 3, 4].map((fd) => [
      `sock_accept of ${['stdin', 'stdout', 'stderr', 'a preopen', 'a file'][fd]}`,
      () => {
        const context = started({ preopens: { '/': boxed() } });
        openIn(context, 'f', { oflags: OPEN.CREAT });
        return context.call.sock_accept(fd, 0, 64);
      },
    ]),
  ),
};
groups['paths'] = {
  ...Object.fromEntries(
    [
      '..',
      '../x',
      '/etc/passwd',
      '/',
      '',
      '.',
      './',
      'a/..',
      'f/',
      'f/.',
      'f\0',
      'f\0x',
      '\0',
      'missing',
      'missing/x',
      'f/x',
      'x'.repeat(255),
      'x'.repeat(256),
      `${'d/'.repeat(2500)}f`,
      'out',
      'out/x',
      'outabs',
      'loop',
      'dangling',
      'tofile',
      'todir',
      'todir/g',
      'ünï',
    ].map((path) => [
      `path_open ${JSON.stringify(path.length > 40 ? `${path.slice(0, 8)}… (${path.length})` : path)} [nofollow, follow]`,
      () =>
        [0, 1].map((dirflags) => {
          const context = scene();
          const fd = openIn(context, path, { dirflags, base: 2n });
          return fd < 0 ? fd : 'opened';
        }),
    ]),
  ),
  ...Object.fromEntries(
    ['/', '/bar', '.'].flatMap((guest) =>
      ['../bar/f', 'd/../../f', 'd/../../bar/f', 'to-f', 'to-bar-f', 'd/up', 'd/upup'].map(
        (path) => [
          `path_open below a preopen called ${JSON.stringify(guest)}: ${path} [nofollow, follow]`,
          () =>
            [0, 1].map((dirflags) => {
              const context = scene(guest);
              for (const [target, name] of [
                ['/f', 'to-f'],
                ['/bar/f', 'to-bar-f'],
                ['../f', 'd/up'],
                ['../../f', 'd/upup'],
              ])
                symlinkSync(target, join(context.dir, name));
              const fd = openIn(context, path, { dirflags, base: 2n });
              return fd < 0 ? fd : 'opened';
            }),
        ],
      ),
    ),
  ),
  'path_create_directory "d/", "n/", "n//", "..", "."': () =>
    ['d/', 'n/', 'm//', '..', '.'].map((path) => {
      const context = scene();
      const [at, length] = put(context, 64, path);
      return context.call.path_create_directory(3, at, length);
    }),
  'path_filestat_get of links [nofollow, follow]': () =>
    ['tofile', 'dangling', 'loop', 'out'].map((path) =>
      [0, 1].map((flags) => {
        const context = scene();
        const [at, length] = put(context, 512, path);
        const errno = context.call.path_filestat_get(3, flags, at, length, 0);
        return errno || context.view().getUint8(16);
      }),
    ),
  'path_readlink buffers 0, 3, 4, 64': () =>
    [0, 3, 4, 64].map((size) => {
      const context = scene();
      const [at, length] = put(context, 512, 'todir');
      const errno = context.call.path_readlink(3, at, length, 64, size, 0);
      return [errno, context.view().getUint32(0, true)];
    }),
  'path_symlink to absolute, to outside': () =>
    ['/etc', '../..', 'd'].map((target) => {
      const context = scene();
      const [a, n] = put(context, 512, target);
      const [b, m] = put(context, 700, 'newlink');
      return context.call.path_symlink(a, n, 3, b, m);
    }),
  'fd_readdir of a directory with 2 files': () => {
    const dir = boxed();
    writeFileSync(join(dir, 'a'), '');
    writeFileSync(join(dir, 'b'), '');
    const context = started({ preopens: { '/': dir } });
    const errno = context.call.fd_readdir(3, 64, 4096, 0n, 0);
    const used = context.view().getUint32(0, true);
    const names = [];
    for (let at = 64; at < 64 + used;) {
      const length = context.view().getUint32(at + 16, true);
      names.push(Buffer.from(context.bytes().slice(at + 24, at + 24 + length)).toString());
      at += 24 + length;
    }
    return { errno, names: names.sort() };
  },
  'fd_readdir into 0, 10, 24, 30 bytes': () =>
    [0, 10, 24, 30].map((size) => {
      const dir = boxed();
      writeFileSync(join(dir, 'abcdefgh'), '');
      const context = started({ preopens: { '/': dir } });
      return [context.call.fd_readdir(3, 64, size, 0n, 0), context.view().getUint32(0, true)];
    }),
  'host directory mode after path_create_directory': () => {
    const context = scene();
    const [at, length] = put(context, 64, 'made');
    const errno = context.call.path_create_directory(3, at, length);
    return [
      errno,
      (require('node:fs').statSync(join(context.dir, 'made')).mode & 0o7777).toString(8),
    ];
  },
  'host file mode after path_open(CREAT)': () => {
    const context = scene();
    const fd = openIn(context, 'madef', { oflags: OPEN.CREAT });
    return [
      fd > 0,
      (require('node:fs').statSync(join(context.dir, 'madef')).mode & 0o7777).toString(8),
    ];
  },
};
function scene(guest = '/') {
  const dir = boxed();
  writeFileSync(join(dir, 'f'), 'file');
  mkdirSync(join(dir, 'd'));
  writeFileSync(join(dir, 'd', 'g'), 'file');
  symlinkSync('..', join(dir, 'out'));
  symlinkSync('/etc', join(dir, 'outabs'));
  symlinkSync('loop', join(dir, 'loop'));
  symlinkSync('nowhere', join(dir, 'dangling'));
  symlinkSync('f', join(dir, 'tofile'));
  symlinkSync('d', join(dir, 'todir'));
  return { ...started({ preopens: { [guest]: realpathSync(dir) } }), dir };
}

const CLOCKS = {
  realtime: 0,
  monotonic: 1,
  'process cputime': 2,
  'thread cputime': 3,
  unknown: 4,
  'far off': 99,
};
const CLOCK = 0;
const FD_READ = 1;
const FD_WRITE = 2;
const SUBSCRIPTION = 48;
const EVENT = 32;

// Subscriptions: { tag, clock, timeout, flags } or { tag, fd }. Answers the errno and the events.
function poll(context, subscriptions) {
  const [at, out] = [1024, 8192];
  subscriptions.forEach(({ tag, fd = 0, clock = 0, timeout = 0n, flags = 0 }, index) => {
    const base = at + index * SUBSCRIPTION;
    const view = context.view();
    view.setBigUint64(base, BigInt(100 + index), true);
    view.setUint8(base + 8, tag);
    view.setUint32(base + 16, tag === CLOCK ? clock : fd, true);
    view.setBigUint64(base + 24, timeout, true);
    view.setUint16(base + 40, flags, true);
  });
  const errno = context.call.poll_oneoff(at, out, subscriptions.length, 0);
  if (errno) return errno;
  const view = context.view();
  return Array.from({ length: view.getUint32(0, true) }, (_, index) => {
    const base = out + index * EVENT;
    return {
      userdata: Number(view.getBigUint64(base, true)),
      error: view.getUint16(base + 8, true),
      type: view.getUint8(base + 10),
      nbytes: Number(view.getBigUint64(base + 16, true)),
      flags: view.getUint16(base + 24, true),
    };
  });
}
const withFile = (rights) => {
  const context = started({ ...ownStdio(), preopens: { '/': boxed() } });
  const fd = openIn(context, 'f', { oflags: OPEN.CREAT, base: rights });
  put(context, 2048, 'data');
  context.view().setUint32(16, 2048, true);
  context.view().setUint32(20, 4, true);
  context.call.fd_pwrite(fd, 16, 1, 0n, 32);
  return { context, fd };
};
const MS = 1_000_000n;
groups['clocks and poll'] = {
  ...Object.fromEntries(
    Object.entries(CLOCKS).map(([name, id]) => [
      `clock_res_get and clock_time_get, ${name}`,
      () => {
        const { call, view } = started();
        const errnos = [call.clock_res_get(id, 8), call.clock_time_get(id, 0n, 16)];
        return [...errnos, view().getBigUint64(8, true) > 0n, view().getBigUint64(16, true) > 0n];
      },
    ]),
  ),
  'realtime is nanoseconds since 1970': () => {
    const { call, view } = started();
    call.clock_time_get(0, 0n, 16);
    return Math.abs(Number(view().getBigUint64(16, true) / MS) - Date.now()) < 5000;
  },
  'poll: nothing subscribed': () => poll(started(), []),
  ...Object.fromEntries(
    Object.entries(CLOCKS).map(([name, clock]) => [
      `poll: 1 ms, ${name}`,
      () => poll(started(), [{ tag: CLOCK, clock, timeout: MS }]),
    ]),
  ),
  'poll: absolute time in the past': () =>
    poll(started(), [{ tag: CLOCK, clock: 0, timeout: 1n, flags: 1 }]),
  'poll: absolute time in the past, monotonic': () =>
    poll(started(), [{ tag: CLOCK, clock: 1, timeout: 1n, flags: 1 }]),
  'poll: zero timeout': () => poll(started(), [{ tag: CLOCK, clock: 1 }]),
  'poll: a short and a long timer': () =>
    poll(started(), [
      { tag: CLOCK, clock: 1, timeout: 5000n * MS },
      { tag: CLOCK, clock: 1, timeout: MS },
    ]),
  'poll: two equal timers': () =>
    poll(started(), [
      { tag: CLOCK, clock: 1, timeout: MS },
      { tag: CLOCK, clock: 1, timeout: MS },
    ]),
  'poll waits as long as asked (20 ms)': () => {
    const context = started();
    const start = process.hrtime.bigint();
    poll(context, [{ tag: CLOCK, clock: 1, timeout: 20n * MS }]);
    const took = Number((process.hrtime.bigint() - start) / MS);
    return took >= 19 && took < 1000;
  },
  'poll: read of a file': () => {
    const { context, fd } = withFile(0xfffffffn);
    return poll(context, [{ tag: FD_READ, fd }]);
  },
  'poll: write of a file': () => {
    const { context, fd } = withFile(0xfffffffn);
    return poll(context, [{ tag: FD_WRITE, fd }]);
  },
  'poll: read and write of a file and a timer': () => {
    const { context, fd } = withFile(0xfffffffn);
    return poll(context, [
      { tag: FD_READ, fd },
      { tag: FD_WRITE, fd },
      { tag: CLOCK, clock: 1, timeout: 1000n * MS },
    ]);
  },
  'poll: descriptor without the poll right': () => {
    const { context, fd } = withFile(0x42n);
    return poll(context, [{ tag: FD_READ, fd }]);
  },
  'poll: descriptor 99': () => poll(started(), [{ tag: FD_READ, fd: 99 }]),
  'poll: descriptor 99 and a timer': () =>
    poll(started(), [
      { tag: FD_READ, fd: 99 },
      { tag: CLOCK, clock: 1, timeout: MS },
    ]),
  'poll: a preopen': () => poll(started({ preopens: { '/': boxed() } }), [{ tag: FD_READ, fd: 3 }]),
  'poll: unknown kind': () => poll(started(), [{ tag: 9 }]),
  'poll: stdout for writing': () => poll(started(), [{ tag: FD_WRITE, fd: 1 }]),
  'poll: stdin at its end': () => poll(started(), [{ tag: FD_READ, fd: 0 }]),
  'poll: events past the end of memory': () => started().call.poll_oneoff(0, 65536, 1, 0),
  'poll: subscriptions past the end of memory': () => started().call.poll_oneoff(65536, 0, 1, 0),
};

// A count whose size in bytes wraps past 2**32: run only when asked for (--hostile), as the answer
// may be gigabytes of memory taken or a crash.
groups.hostile = {
  'fd_write, 2**29 iovecs': () => started().call.fd_write(1, 0, 2 ** 29, 0),
  'fd_read, 2**29 iovecs': () => started().call.fd_read(0, 0, 2 ** 29, 0),
  'fd_pwrite, 2**29 iovecs': () => started().call.fd_pwrite(1, 0, 2 ** 29, 0n, 0),
  'fd_pread, 2**29 iovecs': () => started().call.fd_pread(0, 0, 2 ** 29, 0n, 0),
  'poll_oneoff, 2**28 subscriptions': () => started().call.poll_oneoff(0, 0, 2 ** 28, 0),
};

groups['realms and threads'] = {
  'instance of another realm, start': async () =>
    make().start(
      await vm.runInNewContext(
        '(async () => { const m = new WebAssembly.Module(bytes); return new WebAssembly.Instance(m); })()',
        { bytes: assemble({ functions: [{ export: '_start', form: ':', body: [] }] }) },
      ),
    ),
  'options object of another realm': () =>
    shape(
      new (load())(
        vm.runInNewContext('({ version: "preview1", args: ["a"], env: { a: 1 }, preopens: {} })'),
      ),
    ),
  'WASI in a worker': () =>
    inWorker(
      `const { WASI } = require('node:wasi'); const wasi = new WASI({ version: 'preview1' }); parentPort.postMessage(wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() {} } }));`,
    ),
  'a wasi cannot be cloned': () => structuredClone(make()),
  'worker terminated in a loop of _start': () =>
    inWorker(
      `const { WASI } = require('node:wasi'); const wasi = new WASI({ version: 'preview1' }); parentPort.postMessage('end'); wasi.start({ exports: { memory: new WebAssembly.Memory({ initial: 1 }), _start() { for (;;); } } });`,
    ),
};

module.exports = groups;
