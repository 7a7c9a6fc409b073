// Preopens `{ fs }` of guests that suspend: file systems whose functions give promises.
import assert from 'node:assert/strict';
import nodeFs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { directLater } from './support/direct.mjs';
import { directoryTests, isOtherInMemfs } from './support/served-suite.mjs';
import { CAUGHT, WASI, compile, guest, later, skip, start } from './support/suspending.mjs';

const require = createRequire(import.meta.url);
const { Volume, createFsFromVolume } = require('memfs');
const { Union } = require('unionfs');

const [BADF, IO, NOENT, NOTSUP] = [-8, -29, -44, -58];

const volume = (files = {}) => createFsFromVolume(Volume.fromJSON(files));

const code = (expected) => (error) => {
  assert.equal(error?.code, expected, error);
  return true;
};

function begin(preopens, options) {
  return directLater(new WASI({ suspend: true, preopens, ...options }));
}

function started(t, fs, options) {
  const made = begin({ '/x': { fs } }, options);
  t.after(() => made.wasi.close());
  return made;
}

/** The promises of memfs, with some of them replaced. */
function promised(files, functions = {}) {
  const { promises } = volume(files);
  return { promises: Object.assign(Object.create(promises), functions) };
}

/** A promise that is settled from outside. */
function pending() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

// --- As a directory ------------------------------------------------------------------------------

const without = (fs, name) => Object.create(fs, { [name]: { value: undefined } });

/** The functions that end in `Sync`, each with a promise of what it gives. */
function late(fs) {
  const made = without(fs, 'promises');
  for (const name of Object.keys(fs).filter((one) => one.endsWith('Sync'))) {
    made[name] = async (...args) => {
      if (name !== 'readSync' && name !== 'writeSync') await null;
      return fs[name](...args);
    };
  }
  return made;
}

const TWO_PATHS = new Set(['rename', 'link']);

/** A folder of the host with files, below which all paths lie. */
function folder(files) {
  const top = nodeFs.mkdtempSync(path.join(tmpdir(), 'wasi-rs-served-'));
  folders.push(top);
  const at = (name) => path.join(top, name);
  const below =
    (name, functions) =>
    (...args) => {
      const plain = name.replace(/Sync$/, '');
      if (plain === 'symlink') return functions[name](args[0], at(args[1]));
      const paths = typeof args[0] === 'number' ? 0 : TWO_PATHS.has(plain) ? 2 : 1;
      return functions[name](...args.map((arg, place) => (place < paths ? at(arg) : arg)));
    };
  const all = (functions) =>
    Object.fromEntries(
      Object.keys(functions)
        .filter((name) => typeof functions[name] === 'function')
        .map((name) => [name, below(name, functions)]),
    );
  for (const [name, text] of Object.entries(files ?? {})) {
    nodeFs.mkdirSync(path.dirname(at(name)), { recursive: true });
    nodeFs.writeFileSync(at(name), text);
  }
  return { ...all(nodeFs), promises: all(nodeFs.promises) };
}
const folders = [];
test.after(() => folders.forEach((top) => nodeFs.rmSync(top, { recursive: true, force: true })));

const lateOf = new WeakMap();
for (const [title, kind] of [
  ['the promises of memfs', { volume, isOther: isOtherInMemfs }],
  ["node's own promises", { volume: folder, isOther: () => false }],
  [
    'the promises of unionfs',
    {
      volume: (files) => new Union().use(volume(files)),
      isOther: isOtherInMemfs,
    },
  ],
  [
    'functions that answer at once',
    { volume: (files) => without(volume(files), 'promises'), isOther: isOtherInMemfs },
  ],
  [
    'functions in Sync that give promises',
    {
      volume: (files) => {
        const fs = volume(files);
        lateOf.set(fs, late(fs));
        return fs;
      },
      isOther: isOtherInMemfs,
    },
  ],
]) {
  const check = (name, body) => test(`${title}: ${name}`, { skip }, body);
  directoryTests(check, {
    ...kind,
    begin: (preopens, options) => {
      const replaced = Object.entries(preopens).map(([name, preopen]) => [
        name,
        lateOf.has(preopen.fs) ? { ...preopen, fs: lateOf.get(preopen.fs) } : preopen,
      ]);
      return begin(Object.fromEntries(replaced), options);
    },
  });
}
// --- Which functions -----------------------------------------------------------------------------

test('promises are used where there are some, also as the object itself', { skip }, async (t) => {
  const fs = volume({ '/file': 'text' });
  const { promises } = fs;
  const sync = () => assert.fail('a function in Sync was called');
  const both = Object.fromEntries(
    Object.keys(fs).map((name) => [name, name.endsWith('Sync') ? sync : fs[name]]),
  );
  for (const one of [{ ...both, promises }, { promises }, promises]) {
    const made = started(t, one);
    assert.equal(await made.read('file'), 'text');
    assert.equal(await made.list('.'), 'file');
  }
});

test('what is needed is asked for by its name', () => {
  const { promises } = volume();
  const functions = ['lstat', 'stat', 'readdir', 'open'];
  const part = (names) => Object.fromEntries(names.map((name) => [name, promises[name]]));
  for (const fs of [{ promises }, promises, part(functions)]) {
    assert.throws(
      () => new WASI({ preopens: { '/x': { fs } } }),
      (error) => {
        assert.ok(error instanceof TypeError);
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
        assert.match(error.message, /"suspend"/);
        return true;
      },
    );
  }
  if (skip) return;
  const make = (fs) => new WASI({ suspend: true, preopens: { '/x': { fs } } }).close();
  make(part(['stat', 'readdir', 'open']));
  for (const names of [
    ['lstat', 'readdir'],
    ['lstat', 'open'],
    ['readdir', 'open'],
  ]) {
    assert.throws(() => make(part(names)), code('ERR_INVALID_ARG_VALUE'));
    assert.throws(() => make({ promises: part(names) }), /fs\.promises' must have a function/);
  }
  for (const fs of [null, 5, 'x', {}, []]) assert.throws(() => make(fs), { name: /TypeError/ });
});

test('functions and files that lack something are not supported', { skip }, async (t) => {
  const { promises } = volume({ '/file': 'x', '/d/e': '' });
  const bare = {
    stat: (...args) => promises.stat(...args),
    readdir: (name) => promises.readdir(name),
    async open(...args) {
      const file = await promises.open(...args);
      return {
        read: (...given) => file.read(...given),
        stat: (...given) => file.stat(...given),
        close: () => file.close(),
      };
    },
  };
  const made = started(t, bare);
  assert.equal(await made.read('file'), 'x');
  assert.equal(await made.list('.'), 'd file');
  for (const call of ['mkdir', 'unlink', 'setTimes']) {
    assert.equal(await made[call](call === 'mkdir' ? 'new' : 'file'), NOTSUP, call);
  }
  assert.equal(await made.rename('file', 'new'), NOTSUP);
  assert.equal(await made.link('file', 'new'), NOTSUP);
  assert.equal(await made.symlink('file', 'new'), NOTSUP);
  const fd = await made.open('file', { rights: (1n << 28n) - 1n });
  assert.equal(await made.writeFd(fd, 'y'), NOTSUP);
  assert.equal(await made.call.fd_filestat_set_size(fd, 1n), -NOTSUP);
  assert.equal(await made.call.fd_filestat_set_times(fd, 1n, 1n, 5), -NOTSUP);
  assert.equal(await made.call.fd_sync(fd), 0);
});

// --- Errors and lies -----------------------------------------------------------------------------

/** A command that opens `/x/file` and reads it, and exits with how much that was. */
const READS = compile(`(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func (export "_start")
  (i32.store (i32.const 512) (i32.const 0x656c6966))
  (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 4) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 128))
    (then (call $proc_exit (i32.const 50))))
  (i32.store (i32.const 256) (i32.const 1024))
  (i32.store (i32.const 260) (i32.const 4096))
  (if (call $fd_read (i32.load (i32.const 128)) (i32.const 256) (i32.const 1) (i32.const 132))
    (then (call $proc_exit (i32.const 51))))
  (call $proc_exit (i32.load (i32.const 132)))))`);

const run = (fs, signal, options) =>
  start(READS, { preopens: { '/x': { fs } }, ...options }, signal);

/** A file system whose open files have some functions replaced. */
const opening = (functions) => ({
  async open(...args) {
    const file = await volume({ '/file': 'text' }).promises.open(...args);
    const bound = {};
    for (const name of ['read', 'write', 'stat', 'close']) bound[name] = file[name].bind(file);
    return Object.assign(bound, functions);
  },
});

test('a command reads what it waits for, and the thread is free meanwhile', { skip }, async () => {
  const fs = promised({ '/file': 'text' });
  const { lstat } = fs.promises;
  let ticks = 0;
  fs.promises.lstat = async (...args) => {
    // The answer is there when timers of this thread have run.
    await later(1)
      .then(() => later(1))
      .then(() => ticks++);
    return lstat.apply(fs.promises, args);
  };
  assert.equal(await run(fs), 4);
  assert.ok(ticks > 0);
});

test('errors with a code are errnos; others come out as they are', { skip }, async (t) => {
  for (const [given, errno] of [
    ['EACCES', -2],
    ['ENOSPC', -51],
    ['EOPNOTSUPP', NOTSUP],
  ]) {
    const open = async () => Promise.reject(Object.assign(new Error('no'), { code: given }));
    assert.equal(await started(t, promised({ '/file': '' }, { open })).open('file'), errno);
  }
  const reasons = [
    new Error('mine'),
    'a string',
    undefined,
    null,
    Object.assign(new Error('coded'), { code: 'ERR_MINE' }),
  ];
  for (const reason of reasons) {
    const rejects = async () => Promise.reject(reason);
    const throws = () => {
      throw reason;
    };
    for (const fails of [rejects, throws]) {
      for (const functions of [{ lstat: fails }, { open: fails }, opening({ read: fails })]) {
        const fs = promised({ '/file': 'text' }, functions);
        const failed = await run(fs).then(
          () => assert.fail('it went on'),
          (error) => ({ error }),
        );
        assert.equal(failed.error, reason);
      }
    }
  }
});

test('a guest catches no end that a file system is to it', { skip }, async () => {
  const made = guest({
    preopens: { '/x': { fs: promised({}, { lstat: async () => Promise.reject('mine') }) } },
  });
  const result = await made.open('file', { rights: 2n }).catch((error) => error);
  assert.notEqual(result, -CAUGHT);
  assert.equal(result, 'mine');
  made.wasi.close();
});

test('rubbish is a typed error, whenever it comes', { skip }, async () => {
  const RUBBISH = [null, undefined, 0, -1, 1.5, NaN, 'x', true, [], {}, () => {}, Symbol('x'), 10n];
  const name = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  for (const value of RUBBISH) {
    for (const give of [async () => value, () => value]) {
      const cases = [[{ open: give }, /"open"/]];
      // No bytes are an answer.
      if (value !== 0) cases.push([opening({ read: give }), /"read"/]);
      if (value !== undefined) cases.push([{ lstat: give }, /"lstat"/]);
      for (const [functions, expected] of cases) {
        await assert.rejects(
          run(promised({ '/file': 'text' }, functions)),
          (error) => {
            assert.ok(error instanceof TypeError, error);
            assert.equal(error.code, 'ERR_INVALID_RETURN_VALUE');
            assert.match(error.message, expected);
            return true;
          },
          name(value),
        );
      }
    }
  }
  for (const bytesRead of [-1, 4097, 1.5, NaN, '1', 1n, undefined, null, Infinity]) {
    const fs = promised({ '/file': 'text' }, opening({ read: async () => ({ bytesRead }) }));
    await assert.rejects(run(fs), code('ERR_INVALID_RETURN_VALUE'));
  }
});

test('answers that can be read are answers, of promises of any kind', { skip }, async (t) => {
  const { promises } = volume({ '/file': 'text' });
  const thenable = {
    lstat: (...args) => ({ then: (...both) => promises.lstat(...args).then(...both) }),
  };
  assert.equal(await started(t, promised({ '/file': 'text' }, thenable)).read('file'), 'text');
  // One that is fulfilled again and again.
  const again = opening({});
  const { open } = again;
  again.open = (...args) => ({
    then: (fulfil) =>
      void open(...args).then((file) => (fulfil(file), setTimeout(fulfil, 1, file))),
  });
  const often = started(t, promised({ '/file': 'text' }, again));
  const fd = await often.open('file');
  await later(5);
  assert.equal(await often.readFd(fd), 'text');
  const broken = promised(
    {},
    {
      lstat: () => ({
        then: () => {
          throw new Error('broken');
        },
      }),
    },
  );
  await assert.rejects(run(broken), /broken/);
  const getter = promised(
    {},
    {
      lstat: () =>
        Object.defineProperty({}, 'then', {
          get: () => {
            throw new Error('got');
          },
        }),
    },
  );
  await assert.rejects(run(getter), /got/);
  const nothing = started(t, promised({}, { lstat: async () => undefined }));
  assert.equal(await nothing.stat('file'), NOENT);
  for (const names of [['a/b'], [''], [1], 'ab', null]) {
    const fs = promised({ '/d/e': '' }, { readdir: async () => names });
    const made = begin({ '/x': { fs } });
    await assert.rejects(made.list('d'), code('ERR_INVALID_RETURN_VALUE'));
    made.wasi.close();
  }
  // A view that was taken away while it was waited for.
  const read = async (buffer, _, length) => {
    structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
    return { bytesRead: length };
  };
  const detaching = started(t, promised({ '/file': 'text' }, opening({ read })));
  assert.equal(await detaching.read('file'), IO);
  assert.equal(await detaching.read('file'), IO);
});

// --- Ends ----------------------------------------------------------------------------------------

const FOREVER = { lstat: () => new Promise(() => {}) };

test('a promise that is never settled is given up', { skip }, async () => {
  for (const functions of [FOREVER, { open: FOREVER.lstat }, opening({ read: FOREVER.lstat })]) {
    const fs = promised({ '/file': 'text' }, functions);
    const reason = new Error('enough');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 5);
    await assert.rejects(run(fs, controller.signal), (error) => error === reason);
    await assert.rejects(run(fs, undefined, { timeoutMs: 20 }), code('ERR_WASI_LIMIT'));
    const wasi = new WASI({ suspend: true, preopens: { '/x': { fs } } });
    const instance = new WebAssembly.Instance(READS, wasi.getImportObject());
    const ended = assert.rejects(wasi.startAsync(instance), code('ERR_WASI_CLOSED'));
    setTimeout(() => wasi.close(), 5);
    await ended;
  }
});

test('what is opened by a function that closes the WASI is closed', { skip }, async () => {
  for (const isLate of [false, true]) {
    let [wasi, opened, closed] = [undefined, 0, 0];
    const { promises } = volume({ '/file': 'text' });
    const open = async () => {
      if (isLate) await later(1);
      return { read() {}, stat() {}, close: async () => void closed++ };
    };
    const fs = Object.assign(Object.create(promises), {
      open() {
        wasi.close();
        opened++;
        return open();
      },
    });
    const made = begin({ '/x': { fs } });
    ({ wasi } = made);
    assert.equal(await made.open('file'), BADF);
    await later(5);
    assert.deepEqual([opened, closed], [1, 1], isLate);
  }
});

test('what is opened for nobody is closed', { skip }, async () => {
  let open = 0;
  const { promises } = volume({ '/file': 'text' });
  const opened = pending();
  const fs = promised(
    { '/file': 'text' },
    {
      async open(...args) {
        const file = await promises.open(...args);
        open++;
        await opened.promise;
        return {
          read: () => assert.fail(),
          stat: () => assert.fail(),
          close: async () => void open--,
        };
      },
    },
  );
  const controller = new AbortController();
  const ended = assert.rejects(run(fs, controller.signal));
  await later(5);
  assert.equal(open, 1);
  controller.abort();
  await ended;
  assert.equal(open, 1);
  opened.resolve();
  await later(5);
  assert.equal(open, 0);
});

test('what nobody waits for any more may fail', { skip }, async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on('unhandledRejection', note);
  try {
    // One name of a directory fails at once, and others later.
    const fs = promised({ '/a': '', '/b': '', '/c': '' });
    const { lstat } = fs.promises;
    Object.assign(fs.promises, {
      lstat(path, ...rest) {
        if (path === '/b') throw new Error('at once');
        return /[ac]$/.test(path) ? Promise.reject(new Error('later')) : lstat(path, ...rest);
      },
    });
    const made = begin({ '/x': { fs } });
    await assert.rejects(made.list('.'), { message: 'at once' });
    made.wasi.close();

    // One file fails to close at once, and others later.
    let closed = 0;
    const { promises } = volume({ '/file': 'text' });
    const failing = promised(
      { '/file': 'text' },
      {
        async open(...args) {
          const file = await promises.open(...args);
          const close = () => {
            if (++closed === 2) throw new Error('at once');
            return Promise.reject(new Error('later'));
          };
          return { read: file.read, stat: () => file.stat(), close };
        },
      },
    );
    const other = begin({ '/x': { fs: failing } });
    for (let i = 0; i < 3; i++) assert.ok((await other.open('file')) > 3);
    assert.throws(() => other.wasi.close(), { message: 'at once' });
    assert.equal(closed, 3);
    await later(20);
    assert.deepEqual(unhandled, []);
  } finally {
    process.off('unhandledRejection', note);
  }
});

test('files are closed before the call that closes them returns', { skip }, async () => {
  const log = [];
  const close = async () => {
    log.push('close');
    await later(5);
    log.push('closed');
  };
  const made = begin({ '/x': { fs: promised({ '/file': 'text' }, opening({ close })) } });
  const fd = await made.open('file', { rights: 2n });
  assert.equal(await made.close(fd), 0);
  assert.deepEqual(log, ['close', 'closed']);
  assert.equal(await made.close(fd), BADF);
  const [one, two] = [
    await made.open('file', { rights: 2n }),
    await made.open('file', { rights: 2n }),
  ];
  assert.equal(await made.call.fd_renumber(one, two), 0);
  assert.equal(log.length, 4);
  made.wasi.close();
  await later(10);
  assert.equal(log.length, 6);
  // A failure that has an errno is nobody's; another ends the guest.
  for (const [reason, isEnd] of [
    [Object.assign(new Error('full'), { code: 'ENOSPC' }), false],
    [new Error('mine'), true],
  ]) {
    const fails = begin({
      '/x': {
        fs: promised({ '/file': '' }, opening({ close: async () => Promise.reject(reason) })),
      },
    });
    const other = await fails.open('file');
    if (isEnd) await assert.rejects(fails.close(other), (error) => error === reason);
    else assert.equal(await fails.close(other), 0);
    fails.wasi.close();
  }
});

test('a guest that is started without waiting cannot wait', { skip }, () => {
  const wasi = new WASI({
    version: 'preview1',
    suspend: true,
    preopens: { '/x': { fs: promised({ '/file': 'text' }) } },
  });
  const instance = new WebAssembly.Instance(READS, wasi.getImportObject());
  assert.throws(() => wasi.start(instance), code('ERR_WASI_WOULD_WAIT'));
  wasi.close();
  // It can where the answers are there at once.
  const fs = without(volume({ '/file': 'text' }), 'promises');
  const other = new WASI({ version: 'preview1', suspend: true, preopens: { '/x': { fs } } });
  assert.equal(other.start(new WebAssembly.Instance(READS, other.getImportObject())), 4);
  other.close();
});

// --- One at a time -------------------------------------------------------------------------------

test('the requests of a call are made one after another', { skip }, async (t) => {
  const log = [];
  let running = 0;
  const { promises } = volume({ '/a/b/file': 'x', '/c/d/e': '' });
  const fs = {};
  for (const name of ['lstat', 'readdir', 'open', 'rename', 'readlink']) {
    fs[name] = async (...args) => {
      running++;
      if (name !== 'lstat' || !args[0].startsWith('/a/b/')) assert.equal(running, 1);
      log.push(
        `${name} ${args.filter((arg) => typeof arg === 'string' && arg.startsWith('/')).join(' ')}`,
      );
      await later(1);
      const value = await promises[name](...args).finally(() => running--);
      return value;
    };
  }
  const made = started(t, fs);
  assert.equal(await made.rename('a/b/file', 'c/d/new'), 0);
  assert.deepEqual(log, [
    'lstat /a',
    'lstat /a/b',
    'lstat /c',
    'lstat /c/d',
    'lstat /a/b/file',
    'lstat /c/d/new',
    'rename /a/b/file /c/d/new',
  ]);
  log.length = 0;
  assert.equal(await made.list('c'), 'd');
  assert.equal(log.filter((line) => line === 'readdir /c').length, 1);
  assert.equal(log.at(-1), 'lstat /c/d');
});

test('while a call waits, another may return and none may wait', { skip }, async () => {
  const answer = pending();
  let asked = 0;
  const fs = promised({ '/file': 'text', '/other': '' });
  const { lstat } = fs.promises;
  fs.promises.lstat = async (...args) => {
    asked++;
    if (args[0] === '/file') await answer.promise;
    return lstat.apply(fs.promises, args);
  };
  const made = guest({ preopens: { '/x': { fs } } });
  const one = made.open('file', { rights: 2n });
  await later(1);
  assert.equal(asked, 1);
  // Only the memory's end that the first does not use.
  assert.equal(made.exports.five(), 5);
  assert.equal(await made.run('fd_close', 77), 8);
  const args = [3, 0, 40000, 5, 0, 2n, 0n, 0, 41000];
  Buffer.from(made.exports.memory.buffer).set(Buffer.from('other'), 40000);
  await assert.rejects(made.run('path_open', ...args), code('ERR_WASI_BUSY'));
  // The file system was not even asked.
  assert.equal(asked, 1);
  answer.resolve();
  const fd = await one;
  assert.ok(fd > 3);
  assert.equal(await made.read(fd), 'text');
  made.wasi.close();
});

test(
  'a descriptor that is closed meanwhile is gone for the call that waits',
  { skip },
  async () => {
    let open = 0;
    const answer = pending();
    const file = {
      read: async () => {
        await answer.promise;
        return { bytesRead: 1 };
      },
      stat: async () => ({ isFile: () => true, size: 4 }),
      close: async () => void open--,
    };
    const fs = promised({ '/file': 'text' }, { open: async () => (open++, file) });
    const made = guest({ preopens: { '/x': { fs } } });
    const fd = await made.open('file', { rights: 2n });
    const reading = made.read(fd);
    await later(1);
    assert.equal(await made.run('fd_close', fd), 0);
    answer.resolve();
    assert.equal(await reading, 8);
    await later(1);
    assert.equal(open, 0);
    made.wasi.close();
  },
);

test('the memory may grow while a call waits', { skip }, async () => {
  let grow = () => {};
  const fs = promised({ '/file': 'text' });
  for (const name of ['lstat', 'open']) {
    const plain = fs.promises[name];
    fs.promises[name] = async (...args) => {
      await later(1);
      grow();
      return plain.apply(fs.promises, args);
    };
  }
  const made = guest({ preopens: { '/x': { fs } } });
  grow = () => made.exports.memory.grow(1);
  const fd = await made.open('file', { rights: 2n });
  assert.equal(await made.read(fd), 'text');
  made.wasi.close();
});

test('two reads of two guests have buffers of their own', { skip }, async () => {
  const fs = volume({ '/a': 'a'.repeat(1000), '/b': 'b'.repeat(1000) });
  const { promises } = fs;
  const slow = {
    promises: Object.assign(Object.create(promises), {
      async open(...args) {
        const file = await promises.open(...args);
        return {
          stat: (...given) => file.stat(...given),
          close: () => file.close(),
          async read(...given) {
            const done = await file.read(...given);
            await later(2);
            return done;
          },
        };
      },
    }),
  };
  const guests = Array.from({ length: 8 }, () => guest({ preopens: { '/x': { fs: slow } } }));
  await Promise.all(
    guests.map(async (made, at) => {
      const letter = 'ab'[at % 2];
      const fd = await made.open(letter, { rights: 2n });
      for (let i = 0; i < 5; i++) {
        assert.equal(await made.read(fd), i === 0 ? letter.repeat(1000) : '');
      }
      made.wasi.close();
    }),
  );
});

test(
  'waiting is counted apart, and what a large directory is asked is bounded',
  { skip },
  async () => {
    let running = 0;
    let most = 0;
    const names = Array.from({ length: 500 }, (_, at) => `${at}`);
    const fs = {
      async lstat(name) {
        most = Math.max(most, ++running);
        await later(1);
        running--;
        return { isFile: () => name !== '/', isDirectory: () => true, size: 0 };
      },
      readdir: async () => names,
      open: async () => assert.fail(),
    };
    const made = begin({ '/x': { fs } }, { stats: true });
    assert.equal((await made.list('.')).split(' ').length, 500);
    assert.ok(most > 1 && most <= 32, `${most} at once`);
    const { fd_readdir } = made.wasi.stats();
    assert.ok(fd_readdir.waitedNs > 1e6, JSON.stringify(fd_readdir));
    assert.ok(fd_readdir.waitedNs > fd_readdir.ns);
    made.wasi.close();
  },
);

test('a WASI without file systems has the trampolines that it had', { skip }, () => {
  const plain = new WASI({ suspend: true });
  const served = new WASI({ suspend: true, preopens: { '/x': { fs: volume() } } });
  const isWasm = (fn) => {
    try {
      return typeof WebAssembly.promising(fn) === 'function';
    } catch {
      return false;
    }
  };
  const waiting = ({ wasiImport }) =>
    Object.keys(wasiImport).filter((name) => isWasm(wasiImport[name]));
  assert.equal(waiting(plain).length, 7);
  const files = Object.keys(served.wasiImport).filter((name) => /^(fd|path)_/.test(name));
  const missing = files.filter((name) => !waiting(served).includes(name));
  assert.deepEqual(missing, ['fd_prestat_get', 'fd_prestat_dir_name']);
  plain.close();
  served.close();
});
