// Guests that wait without holding their thread: the option `suspend`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import {
  CAUGHT,
  WASI,
  WASIExitError,
  command,
  compile,
  foreignSignal,
  guest,
  hasJspi,
  later,
  skip,
  start,
} from './support/suspending.mjs';
import { withOtherCopy } from './support/copies.mjs';

const code = (expected) => (error) => {
  assert.equal(error.code, expected, error);
  return true;
};

const folder = (t) => {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-suspend-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
};

/** A named pipe, open for both directions. */
function fifo(t) {
  const name = path.join(folder(t), 'pipe');
  execFileSync('mkfifo', [name]);
  const fd = fs.openSync(name, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  t.after(() => fs.closeSync(fd));
  return { name, fd };
}
const noFifo = skip || (process.platform === 'win32' && 'there are no named pipes');

// --- Where it is there
// ----------------------------------------------------------------------------

test('where JSPI is missing, the constructor says so and names spawn()', { skip: hasJspi }, () => {
  assert.throws(
    () => new WASI({ suspend: true }),
    (error) => {
      assert.ok(error instanceof TypeError);
      assert.equal(error.code, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
      assert.match(error.message, /spawn\(\)/);
      return true;
    },
  );
  // That it is not wanted can be said everywhere.
  new WASI({ suspend: false }).close();
});

test('half of JSPI is none', { skip }, (t) => {
  for (const name of ['Suspending', 'promising']) {
    const property = Object.getOwnPropertyDescriptor(WebAssembly, name);
    t.after(() => Object.defineProperty(WebAssembly, name, property));
    delete WebAssembly[name];
    const error = code('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
    assert.throws(() => new WASI({ suspend: true }), error, name);
    Object.defineProperty(WebAssembly, name, property);
  }
  new WASI({ suspend: true }).close();
});

test('the option is a boolean', () => {
  for (const suspend of [1, 'true', null, {}]) {
    assert.throws(() => new WASI({ suspend }), code('ERR_INVALID_ARG_TYPE'));
  }
});

test('without it, a stream that takes its time is a TypeError at construction', async () => {
  const { Readable, Writable } = await import('node:stream');
  const inputs = [
    async () => null,
    (async function* () {})(),
    new ReadableStream(),
    Readable.from(['x']),
  ];
  const outputs = [async () => {}, new WritableStream(), new Writable()];
  const cases = [
    ...inputs.map((stdin) => ({ stdin })),
    ...outputs.flatMap((stream) => [{ stdout: stream }, { stderr: stream }]),
  ];
  for (const options of cases) {
    for (const more of [{}, { suspend: false }]) {
      assert.throws(
        () => new WASI({ ...options, ...more }),
        (error) => {
          assert.ok(error instanceof TypeError);
          assert.equal(error.code, 'ERR_INVALID_ARG_TYPE');
          assert.match(error.message, /"suspend"/);
          return true;
        },
      );
    }
  }
});

test('a WASI without it has no guests to wait for', async () => {
  const wasi = new WASI({ version: 'preview1' });
  await assert.rejects(wasi.startAsync({}), code('ERR_INVALID_STATE'));
  await assert.rejects(wasi.initializeAsync({}), code('ERR_INVALID_STATE'));
  assert.throws(() => wasi.promising(() => {}), code('ERR_INVALID_STATE'));
  assert.equal(wasi.unreadInput, undefined);
});

// --- Runs
// -----------------------------------------------------------------------------------------

test('two guests sleep and read, and a timer of the host ticks', { skip }, async () => {
  const module = command(
    '(call $sleep (i32.const 300)) (call $echo) (call $proc_exit (i32.const 5))',
  );
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);
  const out = [];
  const run = (name, lines, pause) =>
    start(module, {
      stdin: async () => later(pause, lines.length > 0 ? lines.shift() : null),
      stdout: (chunk) => void out.push(`${name} ${Buffer.from(chunk)}`),
    });
  const began = performance.now();
  const codes = await Promise.all([
    run('one', ['hello', 'world'], 60),
    run('two', ['alpha', 'beta'], 40),
  ]);
  const took = performance.now() - began;
  clearInterval(timer);
  assert.deepEqual(codes, [5, 5]);
  assert.deepEqual(out.sort(), ['one hello', 'one world', 'two alpha', 'two beta']);
  assert.ok(took >= 420, `${took} ms`);
  assert.ok(ticks >= 5, `${ticks} ticks in ${took} ms`);
});

test('a guest that need not wait runs in start(), too', { skip }, () => {
  const written = [];
  const wasi = new WASI({
    suspend: true,
    stdin: (
      (lines) => () =>
        lines.shift() ?? null
    )(['a', 'b']),
    stdout: (chunk) => void written.push(Buffer.from(chunk).toString()),
  });
  const module = command('(call $echo) (call $proc_exit (i32.const 3))');
  assert.equal(wasi.start(new WebAssembly.Instance(module, wasi.getImportObject())), 3);
  assert.deepEqual(written, ['a', 'b']);
});

test(
  'startAsync and initializeAsync look at the instance as their twins do',
  { skip },
  async () => {
    const exports = { memory: new WebAssembly.Memory({ initial: 1 }) };
    const made = () => new WASI({ suspend: true });
    await assert.rejects(made().startAsync({ exports }), code('ERR_INVALID_ARG_TYPE'));
    await assert.rejects(made().startAsync(5), code('ERR_INVALID_ARG_TYPE'));
    await assert.rejects(made().startAsync({ exports }, 5), code('ERR_INVALID_ARG_TYPE'));
    const { signal } = new AbortController();
    await assert.rejects(made().startAsync({ exports }, signal), code('ERR_INVALID_ARG_TYPE'));
    await assert.rejects(
      made().startAsync({ exports }, { signal: 5 }),
      code('ERR_INVALID_ARG_TYPE'),
    );
    await assert.rejects(
      made().startAsync({ exports }, { sginal: 5 }),
      code('ERR_INVALID_ARG_VALUE'),
    );
    assert.equal(await made().initializeAsync({ exports }), undefined);
    const module = command('(call $sleep (i32.const 20))');
    const wasi = made();
    const instance = new WebAssembly.Instance(module, wasi.getImportObject());
    const run = wasi.startAsync(instance);
    await assert.rejects(wasi.startAsync(instance), code('ERR_WASI_ALREADY_STARTED'));
    assert.equal(await run, 0);
  },
);

test('only functions of WebAssembly can be suspended', { skip }, async () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const options = { suspend: true, stdin: 'ignore', stdout: 'ignore' };
  const command = { exports: { memory, _start() {} } };
  const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  await assert.rejects(new WASI(options).startAsync(command), { ...wrong, message: /_start/ });
  const reactor = { exports: { memory, _initialize() {} } };
  const initializing = new WASI(options).initializeAsync(reactor);
  await assert.rejects(initializing, { ...wrong, message: /_initialize/ });
});

test('initializeAsync waits, and gives the code of a guest that exits', { skip }, async () => {
  const reactor = (body) =>
    compile(`(module
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "\\01\\00\\00\\00\\00\\00\\00\\00\\00\\2d\\31\\01")
      (func (export "_initialize")
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))) ${body}))`);
  for (const [body, expected] of [
    ['', undefined],
    ['(call $exit (i32.const 9))', 9],
  ]) {
    const wasi = new WASI({ suspend: true });
    const instance = new WebAssembly.Instance(reactor(body), wasi.getImportObject());
    const began = performance.now();
    assert.equal(await wasi.initializeAsync(instance), expected);
    assert.ok(performance.now() - began >= 20);
  }
});

test(
  'promising() hands arguments and results over, and throws what the export throws',
  { skip },
  async () => {
    const one = guest();
    assert.equal(await one.run('five'), 5);
    assert.equal(await one.nap(5), 0);
    await assert.rejects(one.run('trap'), WebAssembly.RuntimeError);
    await assert.rejects(one.run('exit', 7), (error) => {
      assert.ok(error instanceof WASIExitError);
      assert.equal(error.exitCode, 7);
      return true;
    });
    for (const value of [5, undefined, 'nap', () => {}, Math.max]) {
      assert.throws(() => one.wasi.promising(value), code('ERR_INVALID_ARG_TYPE'));
    }
  },
);

test('snapshot 0 waits as well', { skip }, async () => {
  const one = guest({ version: 'unstable', returnOnExit: true });
  assert.deepEqual(Object.keys(one.wasi.getImportObject()), ['wasi_unstable']);
  assert.equal(await later(0, one.exports.five()), 5);
});

// --- What cannot be suspended
// ---------------------------------------------------------------------

const WOULD_WAIT = code('ERR_WASI_WOULD_WAIT');

test('start() of a guest that has to wait says what to call', { skip }, () => {
  const wasi = new WASI({ suspend: true });
  const module = command('(try (do (call $sleep (i32.const 5000))) (catch_all))');
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  assert.throws(
    () => wasi.start(instance),
    (error) => WOULD_WAIT(error) && assert.match(error.message, /startAsync\(\)/) === undefined,
  );
});

test('no guest catches that it cannot be suspended', { skip }, async () => {
  const direct = guest();
  assert.throws(() => direct.exports.poll_oneoff(...direct.subscribe([5000])), WOULD_WAIT);
  // It can be called again, as it should have been.
  assert.equal(await direct.nap(1), 0);
  const through = ({ exports, subscribe }) => exports.poll_oneoff(...subscribe([5000]));
  await assert.rejects(guest({}, { through }).run('through'), WOULD_WAIT);
  // JavaScript that catches it has not saved the guest.
  const caught = (one) => {
    try {
      return through(one);
    } catch {
      return 0;
    }
  };
  await assert.rejects(guest({}, { through: caught }).run('through'), WOULD_WAIT);
});

test('a second call may return, and may not wait', { skip }, async () => {
  const one = guest();
  const args = one.subscribe([100]);
  const first = one.run('own', 1234, ...args);
  await later(5);
  assert.equal(one.exports.five(), 5);
  assert.equal(await one.run('five'), 5);
  const busy = code('ERR_WASI_BUSY');
  assert.throws(() => one.exports.own(1, ...args), busy);
  assert.throws(() => one.exports.poll_oneoff(...args), busy, 'not even with catch_all');
  await assert.rejects(one.run('own', 2, ...args), busy);
  await assert.rejects(one.run('poll_oneoff', ...args), busy);
  assert.equal(await first, 1234, 'its stack is as it was');
  assert.equal(await one.nap(1), 0);
});

test('a call under another that has not returned cannot wait below it', { skip }, async () => {
  let inner;
  const one = guest(
    {},
    {
      through: ({ run, subscribe }) => {
        inner = run('poll_oneoff', ...subscribe([20])).catch((error) => error.code);
        return 0;
      },
    },
  );
  assert.equal(await one.run('through'), 0);
  assert.equal(await inner, 'ERR_WASI_BUSY');
});

// --- What ends a guest that waits
// -----------------------------------------------------------------

test('what is no object of options, or no signal, is a TypeError', { skip }, async () => {
  const wasi = new WASI({ suspend: true });
  const instance = new WebAssembly.Instance(command(''), wasi.getImportObject());
  for (const [options, expected, name] of [
    [5, 'ERR_INVALID_ARG_TYPE', '"options"'],
    ['text', 'ERR_INVALID_ARG_TYPE', '"options"'],
    [null, 'ERR_INVALID_ARG_TYPE', '"options"'],
    [[], 'ERR_INVALID_ARG_TYPE', '"options"'],
    [() => {}, 'ERR_INVALID_ARG_TYPE', '"options"'],
    [{ signal: 5 }, 'ERR_INVALID_ARG_TYPE', '"options.signal"'],
    [{ signal: null }, 'ERR_INVALID_ARG_TYPE', '"options.signal"'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE', '"options.signal"'],
    [{ signal: new AbortController() }, 'ERR_INVALID_ARG_TYPE', '"options.signal"'],
    [{ sigal: undefined, signals: 5 }, 'ERR_INVALID_ARG_VALUE', "'options.signals'"],
  ]) {
    for (const method of ['startAsync', 'initializeAsync']) {
      await assert.rejects(wasi[method](instance, options), (error) => {
        assert.equal(error.code, expected, String(error));
        assert.ok(error.message.includes(name), error.message);
        return true;
      });
    }
  }
  // None of these was a start.
  assert.equal(await wasi.startAsync(instance, { signal: undefined }), 0);
});

test('a signal ends a guest that waits, and its reason comes out', { skip }, async () => {
  for (const reason of [new Error('enough'), 'text', undefined, null, 0]) {
    const controller = new AbortController();
    const began = performance.now();
    const run = start(
      command('(try (do (call $sleep (i32.const 60000))) (catch_all))'),
      {},
      controller.signal,
    );
    setTimeout(() => controller.abort(reason), 10);
    const expected = () => controller.signal.reason;
    await assert.rejects(
      run.then(
        () => assert.fail('it ended'),
        (error) => {
          assert.equal(error, expected());
          throw new Error('rejected');
        },
      ),
      /rejected/,
    );
    assert.ok(performance.now() - began < 10_000);
  }
});

test('a signal may be another library’s', { skip, timeout: 30_000 }, async () => {
  const { signal, abort, listeners } = foreignSignal();
  assert.equal(await start(command('(call $sleep (i32.const 1))'), {}, signal), 0);
  assert.equal(listeners.size, 0);
  const run = start(command('(call $sleep (i32.const 60000))'), {}, signal);
  const reason = new Error('theirs');
  abort(reason);
  await assert.rejects(run, (error) => error === reason);

  // One that takes no second listener, for the wait until the outputs have taken their end.
  const other = foreignSignal();
  const refusal = new Error('no more listeners');
  let taken = 0;
  other.signal.addEventListener = () => {
    if (++taken > 1) throw refusal;
  };
  const ended = start(command('(call $sleep (i32.const 1))'), {}, other.signal);
  await assert.rejects(ended, (error) => error === refusal);
});

test('a signal that was given before nothing runs', { skip }, async () => {
  const reason = new Error('before');
  let reads = 0;
  const run = start(
    command('(call $echo)'),
    { stdin: () => (reads++, null) },
    AbortSignal.abort(reason),
  );
  await assert.rejects(run, (error) => error === reason);
  assert.equal(reads, 0);
});

test('a signal ends a guest that computes at its next call', { skip }, async () => {
  const controller = new AbortController();
  let writes = 0;
  const run = start(
    command('(loop $on (call $write (i32.const 1)) (br $on))'),
    { stdout: () => void (++writes === 3 && controller.abort('stop')) },
    controller.signal,
  );
  await assert.rejects(
    run.catch((error) => Promise.reject(new Error(error))),
    /stop/,
  );
  assert.equal(writes, 3);
});

test(
  'the loop goes on, though a command never has to wait',
  { skip, timeout: 60_000 },
  async () => {
    const always = {
      'it polls a clock that is due': '(call $sleep (i32.const 0))',
      'it reads': '(drop (call $read))',
      'it writes': '(call $write (i32.const 1))',
    };
    for (const [name, call] of Object.entries(always)) {
      const module = command(`(try (do (loop $on ${call} (br $on))) (catch_all))`);
      const controller = new AbortController();
      let ticks = 0;
      const timer = setInterval(() => ++ticks === 5 && controller.abort(name), 5);
      const run = start(module, { stdin: () => 'x' }, controller.signal);
      await assert.rejects(
        run.catch((reason) => Promise.reject(new Error(String(reason)))),
        new RegExp(name),
      );
      clearInterval(timer);
    }
  },
);

test('a call that never waits is over before another begins, in a reactor', { skip }, async () => {
  const module = compile(`(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\40\\00\\00\\00\\01\\00\\00\\00")
    (func (export "write") (param $times i32)
      (loop $on
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
        (br_if $on (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))))`);
  const wasi = new WASI({ suspend: true, stdout: 'ignore' });
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  await wasi.initializeAsync(instance);
  let isOver = false;
  let isWithin = false;
  const run = wasi
    .promising(instance.exports.write)(300_000)
    .then(() => (isOver = true));
  setImmediate(() => (isWithin = !isOver));
  await run;
  await later(1);
  assert.equal(isWithin, false);
});

test('close() ends a guest that waits', { skip }, async () => {
  const wasi = new WASI({ suspend: true });
  const module = command('(try (do (call $sleep (i32.const 60000))) (catch_all))');
  const run = wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()));
  setTimeout(() => wasi.close(), 10);
  await assert.rejects(run, code('ERR_WASI_CLOSED'));
  wasi.close();
});

test('proc_exit of another call ends the call that waits', { skip }, async () => {
  const one = guest();
  const first = one.nap(60_000);
  await later(5);
  assert.throws(() => one.exports.exit(4), WASIExitError);
  await assert.rejects(first, (error) => error.exitCode === 4);
});

test('a trap of another call, and one after the wait', { skip }, async () => {
  const one = guest();
  const first = one.nap(30);
  await later(5);
  assert.throws(() => one.exports.trap(), WebAssembly.RuntimeError);
  assert.equal(await first, 0, 'it is not the trap of this call');
  await assert.rejects(one.run('poll_and_trap', ...one.subscribe([5])), WebAssembly.RuntimeError);
  assert.equal(await one.nap(1), 0);
});

test('the memory grows while a call waits', { skip }, async (t) => {
  for (const memory of [
    '(memory (export "memory") 2 100)',
    '(memory (export "memory") 2 100 shared)',
  ]) {
    const { fd } = fifo(t);
    const one = guest({ stdin: fd }, { memory });
    const first = one.read();
    await later(5);
    one.exports.memory.grow(20);
    fs.writeSync(fd, 'after');
    assert.equal(await first, 'after');
  }
});

test('a memory of 64 bits', { skip }, async (t) => {
  let module;
  try {
    module = compile(`(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") i64 1)
      (data (i64.const 0) "\\40\\00\\00\\00\\10\\00\\00\\00")
      (func (export "read") (result i32)
        (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))))`);
  } catch (error) {
    t.skip(`this runtime has none: ${error.message}`);
    return;
  }
  const wasi = new WASI({ suspend: true, stdin: async () => later(5, 'wide') });
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  await wasi.initializeAsync(instance);
  assert.equal(await wasi.promising(instance.exports.read)(), 0);
  assert.equal(Buffer.from(instance.exports.memory.buffer, 64, 4).toString(), 'wide');
});

test('threads are refused', { skip }, async () => {
  const { runThreads } = await import('../threads.js');
  const module = compile(
    `(module (import "env" "memory" (memory 1 1 shared)) (func (export "_start")))`,
  );
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  await assert.rejects(
    runThreads(new WASI({ suspend: true }), module, { memory }),
    /Guests that suspend.* belong to one thread/,
  );
});

// --- Clocks and descriptors
// -----------------------------------------------------------------------

test('a sleep is never early', { skip }, async () => {
  const one = guest();
  for (let at = 0; at < 200; at++) {
    const ms = (at % 40) * 0.1;
    const args = one.subscribe([ms]);
    const began = process.hrtime.bigint();
    await one.run('poll_oneoff', ...args);
    const early = BigInt(Math.round(ms * 1e6)) - (process.hrtime.bigint() - began);
    assert.ok(early <= 0n, `${early} ns early`);
  }
});

test('a thousand guests sleep at once', { skip }, async () => {
  // Bun takes 20 ms to make an instance once there are hundreds.
  const module = command('(call $sleep (i32.const 500))');
  const began = performance.now();
  const all = Array.from({ length: process.versions.bun ? 100 : 1000 }, () => start(module));
  assert.deepEqual(new Set(await Promise.all(all)), new Set([0]));
  const took = performance.now() - began;
  // One after another they would take 500 s.
  assert.ok(took >= 500 && took < 100_000, `${took} ms`);
});

test(
  'guests of two copies of the package that share the addon sleep at once',
  { skip },
  async () => {
    const module = command('(call $sleep (i32.const 20))');
    const begin = ({ WASI: Class }) => {
      const wasi = new Class({ suspend: true, stdin: 'ignore', stdout: 'ignore' });
      return wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()));
    };
    const runs = [begin({ WASI }), withOtherCopy(begin), begin({ WASI }), withOtherCopy(begin)];
    assert.deepEqual(await Promise.all(runs), [0, 0, 0, 0]);
  },
);

test(
  'a read of a pipe waits for it, and two guests may wait for one',
  { skip: noFifo },
  async (t) => {
    const { fd } = fifo(t);
    const [one, two] = [guest({ stdin: fd }), guest({ stdin: fd })];
    const reads = [one.read(0, 1), two.read(0, 1)];
    await later(20);
    fs.writeSync(fd, 'ab');
    assert.deepEqual((await Promise.all(reads)).sort(), ['a', 'b']);
  },
);

test('a write to a full pipe waits until all of it has gone', { skip: noFifo }, async (t) => {
  const { fd } = fifo(t);
  const one = guest({ stdout: fd });
  const piece = 'x'.repeat(30_000);
  let written = 0;
  let isDone = false;
  const writes = (async () => {
    for (let at = 0; at < 5; at++) written += await one.write(1, piece);
    isDone = true;
  })();
  await later(30);
  assert.equal(isDone, false, 'a pipe holds 64 KiB');
  let read = 0;
  const room = Buffer.alloc(65536);
  while (read < 150_000) {
    try {
      read += fs.readSync(fd, room);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
    await later(1);
  }
  await writes;
  assert.deepEqual([written, read], [150_000, 150_000]);
});

test('a descriptor that does not block answers at once', { skip: noFifo }, async (t) => {
  const { fd } = fifo(t);
  const one = guest({ stdin: fd });
  const EAGAIN = 6;
  assert.equal(one.exports.fd_fdstat_set_flags(0, 4), 0);
  assert.equal(await one.read(), EAGAIN);
});

test('poll_oneoff: whichever comes first', { skip: noFifo }, async (t) => {
  const { fd } = fifo(t);
  const one = guest({ stdin: fd });
  const began = performance.now();
  assert.deepEqual(
    (await one.poll({ read: 0 }, 30)).map(({ subscription }) => subscription),
    [1],
  );
  assert.ok(performance.now() - began >= 30);
  const polled = one.poll({ read: 0 }, 60_000);
  setTimeout(() => fs.writeSync(fd, 'abc'), 10);
  assert.deepEqual(await polled, [{ subscription: 0, errno: 0, nbytes: 3, hangup: false }]);
  assert.deepEqual(
    (await one.poll({ read: 77 }, 60_000)).map(({ errno }) => errno),
    [8],
  );
});

test('a named pipe without a reader is opened when there is one', { skip: noFifo }, async (t) => {
  const below = folder(t);
  execFileSync('mkfifo', [path.join(below, 'pipe')]);
  const one = guest({ preopens: { '/below': below } });
  // Rights to write only: to open for both directions never waits.
  const opened = one.open('pipe', { rights: 64n });
  await later(30);
  const reader = fs.openSync(
    path.join(below, 'pipe'),
    fs.constants.O_RDONLY | fs.constants.O_NONBLOCK,
  );
  t.after(() => fs.closeSync(reader));
  const fd = await opened;
  assert.ok(fd > 3, `${fd}`);
  assert.equal(await one.write(fd, 'there'), 5);
  const room = Buffer.alloc(16);
  assert.equal(room.toString('utf8', 0, fs.readSync(reader, room)), 'there');
});

test('a descriptor that is closed while a call waits for it', { skip: noFifo }, async (t) => {
  const { fd } = fifo(t);
  const one = guest({ stdin: fd });
  const read = one.read();
  await later(5);
  assert.equal(one.exports.fd_close(0), 0);
  fs.writeSync(fd, 'x');
  assert.equal(await read, 8, 'badf, when the guest looks again');
});

// --- What watches the calls
// -----------------------------------------------------------------------

test('waiting is counted apart from running', { skip }, async () => {
  const events = [];
  const one = guest({ stats: true, trace: (event) => void events.push(event) });
  await one.nap(500);
  one.exports.sched_yield();
  const { poll_oneoff: polled, sched_yield: yielded } = one.wasi.stats();
  assert.equal(polled.calls, 1);
  assert.ok(polled.waitedNs + polled.ns >= 450e6, `${polled.waitedNs} and ${polled.ns}`);
  assert.ok(polled.ns < polled.waitedNs, `${polled.ns}`);
  assert.equal(yielded.waitedNs, 0);
  assert.deepEqual(
    events.map(({ name, errno }) => [name, errno]),
    [
      ['poll_oneoff', 'success'],
      ['sched_yield', 'success'],
    ],
  );
  assert.equal(events[0].waitedNs, polled.waitedNs);
});

test('a trace tells of a call that was ended while it waited', { skip }, async () => {
  const events = [];
  const wasi = new WASI({ suspend: true, trace: (event) => void events.push(event) });
  const module = command('(call $sleep (i32.const 60000))');
  const run = wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()));
  setTimeout(() => wasi.close(), 5);
  await assert.rejects(run, code('ERR_WASI_CLOSED'));
  assert.deepEqual(
    events.map(({ name, errno }) => [name, errno]),
    [['poll_oneoff', undefined]],
  );
});

test('a call that waits is one call', { skip }, async () => {
  const one = guest({ limits: { hostCalls: 2 } });
  await one.nap(10);
  await one.nap(10);
  await assert.rejects(one.nap(10), code('ERR_WASI_LIMIT'));
});

test('a deadline counts wall time', { skip }, async () => {
  const module = command('(try (do (call $sleep (i32.const 60000))) (catch_all))');
  const began = performance.now();
  await assert.rejects(start(module, { timeoutMs: 50 }), (error) => {
    assert.equal(error.limit, 'timeoutMs');
    return code('ERR_WASI_LIMIT')(error);
  });
  const took = performance.now() - began;
  assert.ok(took >= 50 && took < 20_000, `${took} ms`);
});

test('a clock that the embedder sets lets nothing wait', { skip }, async () => {
  const one = guest({ clock: { monotonic: { step: 1n }, realtime: { step: 1n } } });
  const args = one.subscribe([60_000]);
  assert.equal(one.exports.poll_oneoff(...args), 0);
});

test('a quota is drawn on once by a write that waits', { skip }, async () => {
  const taken = [];
  const one = guest({
    limits: { writtenBytes: 8 },
    stdout: async (chunk) => {
      await later(5);
      taken.push(chunk.length);
    },
  });
  assert.equal(await one.write(1, '12345'), 5);
  assert.equal(await one.write(1, '12345'), 3);
  assert.equal(await one.write(1, '12345'), -19, 'dquot');
  assert.deepEqual(taken, [5, 3]);
});

assert.equal(CAUGHT, 9999);

test('run takes no guest that suspends', async () => {
  const { run } = await import('../index.js');
  const module = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  await assert.rejects(run(module, { suspend: true }), code('ERR_INVALID_ARG_VALUE'));
});
