// Components that wait without holding their thread, without jco: over values, as code that awaits
// its imports, and by the canonical ABI, as a core module whose exports are promising.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { foreignSignal } from './support/suspending.mjs';

const require = createRequire(import.meta.url);
const { WASI } = require('../lib/p2/index.js');
const { WASI: Preview1 } = require('../index.js');
const loadWabt = require('wabt');

const hasJspi = typeof WebAssembly.Suspending === 'function';
const skip = !hasJspi && 'JSPI is there from Node.js 24.20 on';
const LOWER = Symbol.for('cabiLower');
const OWN = 1 << 30;
const NOTHING = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' };
const ms = (number) => BigInt(number) * 1_000_000n;
const text = (bytes) => Buffer.from(bytes).toString();
const bytes = (string) => new TextEncoder().encode(string);
const code = (code) => (error) => {
  assert.equal(error?.code, code, error?.stack ?? String(error));
  return true;
};
/** A time limit for tests: the runner ends one that waits for ever. */
const timeout = 30_000;

test('what suspends is refused where that is not possible, as in preview1', () => {
  const failure = (Class) => {
    try {
      new Class({ ...NOTHING, suspend: true });
    } catch (error) {
      return [error.name, error.code, error.message];
    }
    return undefined;
  };
  assert.deepEqual(failure(WASI), failure(Preview1));
  assert.equal(failure(WASI)?.[1], hasJspi ? undefined : 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
  assert.throws(() => new WASI({ ...NOTHING, suspend: 1 }), code('ERR_INVALID_ARG_TYPE'));
  assert.throws(
    () => new WASI({ ...NOTHING, stdin: async () => null }),
    code('ERR_INVALID_ARG_TYPE'),
  );
});

test('a WASI without it has no components to wait for', async () => {
  const wasi = new WASI(NOTHING);
  await assert.rejects(wasi.startAsync({ run: { run() {} } }), code('ERR_INVALID_STATE'));
  assert.throws(() => wasi.promising(() => {}), code('ERR_INVALID_STATE'));
  assert.equal(wasi.unreadInput, undefined);
});

// --- Two forms of one component ------------------------------------------------------------------

const SOURCE = `(module
  (import "host" "memory" (memory 1))
  (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
  (import "host" "block" (func $block (param i32)))
  (import "host" "poll" (func $poll (param i32 i32 i32)))
  (import "host" "stdin" (func $stdin (result i32)))
  (import "host" "stdout" (func $stdout (result i32)))
  (import "host" "read" (func $read (param i32 i64 i32)))
  (import "host" "write" (func $write (param i32 i32 i32 i32)))
  (import "host" "exit" (func $exit (param i32)))
  (import "host" "other" (func $other))
  (func $sleep (export "sleep") (param i64)
    (call $block (call $subscribe (local.get 0))))
  (func (export "poll") (param i64 i64)
    (i32.store (i32.const 256) (call $subscribe (local.get 0)))
    (i32.store (i32.const 260) (call $subscribe (local.get 1)))
    (call $poll (i32.const 256) (i32.const 2) (i32.const 32)))
  (func $echo (export "echo") (local $in i32) (local $out i32)
    (local.set $in (call $stdin))
    (local.set $out (call $stdout))
    (loop $more
      (call $read (local.get $in) (i64.const 4096) (i32.const 64))
      (if (i32.eqz (i32.load8_u (i32.const 64))) (then
        (call $write (local.get $out) (i32.load (i32.const 68)) (i32.load (i32.const 72))
          (i32.const 96))
        (br_if $more (i32.eqz (i32.load8_u (i32.const 96))))))))
  (func (export "catching") (param i64)
    (try (do (call $sleep (local.get 0))) (catch_all (call $other))))
  (func (export "run") (param i64)
    (call $sleep (local.get 0))
    (call $echo)
    (call $exit (i32.const 1))))`;

let compiled;
async function core() {
  if (compiled === undefined) {
    const features = { exceptions: true };
    const { parseWat } = await loadWabt();
    compiled = new WebAssembly.Module(parseWat('x.wat', SOURCE, features).toBinary({}).buffer);
  }
  return compiled;
}

/** A core module as jco links it in its mode `hybrid`. */
async function lowered(wasi, { within = () => {}, promising = WebAssembly.promising } = {}) {
  const imports = wasi.getImportObject();
  const memory = new WebAssembly.Memory({ initial: 1 });
  const [pollables, inputs, outputs, errors] = [0, 0, 0, 0].map(() => [OWN, 0]);
  let heap = 4096;
  const realloc = (pointer, oldSize, align, size) => {
    within(memory);
    const at = Math.ceil(heap / align) * align;
    heap = (at + size) % 32768;
    return at;
  };
  const lower = (method, ...resourceTables) => method[LOWER]({ memory, realloc, resourceTables });
  const { Pollable, poll } = imports['wasi:io/poll'];
  const { InputStream, OutputStream } = imports['wasi:io/streams'];
  const { exports } = await WebAssembly.instantiate(await core(), {
    host: {
      memory,
      subscribe: lower(imports['wasi:clocks/monotonic-clock'].subscribeDuration, pollables),
      // jco gives no memory to what needs none.
      block: Pollable.prototype.block[LOWER]({ resourceTables: [pollables] }),
      poll: lower(poll, pollables),
      stdin: lower(imports['wasi:cli/stdin'].getStdin, inputs),
      stdout: lower(imports['wasi:cli/stdout'].getStdout, outputs),
      read: lower(InputStream.prototype.blockingRead, inputs, errors),
      write: lower(OutputStream.prototype.blockingWriteAndFlush, outputs, errors),
      exit: lower(imports['wasi:cli/exit'].exit),
      other: () => within(memory),
    },
  });
  const made = Object.entries(exports).map(([name, fn]) => [name, promising(fn)]);
  return { memory, ...Object.fromEntries(made) };
}

/** The same as code that awaits what its imports give. */
function valued(wasi) {
  const imports = wasi.getImportObject();
  const { subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
  const sleep = async (time) => void (await subscribeDuration(time).block());
  const echo = async () => {
    const input = imports['wasi:cli/stdin'].getStdin();
    const output = imports['wasi:cli/stdout'].getStdout();
    try {
      for (;;) await output.blockingWriteAndFlush(await input.blockingRead(4096n));
    } catch (error) {
      if (error?.tag !== 'closed') throw error;
    }
  };
  const run = async (time) => {
    await sleep(time);
    await echo();
    imports['wasi:cli/exit'].exit({ tag: 'err' });
  };
  return { sleep, echo, run };
}

const FORMS = { values: valued, 'the canonical ABI': lowered };
const component = (run) => ({ run: { run } });

for (const [name, form] of Object.entries(FORMS)) {
  describe(name, { skip }, () => {
    test('two components sleep at once, and a timer of the host ticks', { timeout }, async () => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 10);
      const began = performance.now();
      await Promise.all(
        [300, 250].map(async (time) => {
          const wasi = new WASI({ ...NOTHING, suspend: true });
          const { sleep } = await form(wasi);
          assert.equal(await wasi.startAsync(component(() => sleep(ms(time)))), 0);
        }),
      );
      const took = performance.now() - began;
      clearInterval(timer);
      assert.ok(took >= 299, `${took} ms`);
      assert.ok(ticks >= 5, `${ticks} ticks in ${took} ms`);
    });

    test('so do two of one WASI, and many', { timeout }, async () => {
      const wasi = new WASI({ ...NOTHING, suspend: true });
      const components = await Promise.all(Array.from({ length: 100 }, () => form(wasi)));
      const began = performance.now();
      await Promise.all(
        components.map(({ sleep }) => wasi.startAsync(component(() => sleep(ms(200))))),
      );
      const took = performance.now() - began;
      assert.ok(took >= 199 && took < 10_000, `${took} ms`);
    });

    test('a signal, and close(), end one that waits', { timeout }, async () => {
      const wasi = new WASI({ ...NOTHING, suspend: true });
      const { sleep } = await form(wasi);
      const long = component(() => sleep(ms(3_600_000)));
      const controller = new AbortController();
      const running = wasi.startAsync(long, { signal: controller.signal });
      await later(30);
      const reason = new Error('enough');
      controller.abort(reason);
      await assert.rejects(running, (error) => error === reason);
      await assert.rejects(wasi.startAsync(long, { signal: AbortSignal.abort(reason) }), reason);
      // A signal of another library.
      const other = foreignSignal();
      const stopped = wasi.startAsync(long, { signal: other.signal });
      await later(30);
      other.abort(reason);
      await assert.rejects(stopped, (error) => error === reason);
      assert.equal(other.listeners.size, 0);
      // It can be used again.
      assert.equal(await wasi.startAsync(component(() => sleep(ms(1)))), 0);
      // Also when the signal takes no listener.
      await assert.rejects(wasi.startAsync(long, { signal: { aborted: false } }), TypeError);
      const closed = wasi.startAsync(long);
      await assert.rejects(wasi.startAsync(long), code('ERR_WASI_BUSY'));
      await later(30);
      wasi.close();
      await assert.rejects(closed, code('ERR_WASI_CLOSED'));
      assert.equal(wasi.resources, 0);
    });

    test('a pipe is read as it comes, and exit gives its code', { timeout }, async () => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-p2-'));
      const fifo = path.join(folder, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
      const stdin = fs.openSync(fifo, O_RDONLY | O_NONBLOCK);
      const writer = fs.openSync(fifo, O_WRONLY | O_NONBLOCK);
      try {
        const wasi = new WASI({ ...NOTHING, stdin, stdout: 'pipe', suspend: true });
        const { run } = await form(wasi);
        const running = wasi.startAsync(component(() => run(ms(20))));
        for (const part of ['first ', 'second']) {
          await later(40);
          fs.writeSync(writer, part);
        }
        await later(40);
        assert.equal(text(wasi.stdout), 'first second');
        fs.closeSync(writer);
        assert.equal(await running, 1);
      } finally {
        fs.closeSync(stdin);
        fs.rmSync(folder, { recursive: true });
      }
    });

    test('what a wait leaves behind is nothing', { timeout }, async () => {
      const wasi = new WASI({ ...NOTHING, suspend: true });
      const { sleep } = await form(wasi);
      const before = wasi.resources;
      for (let round = 0; round < 50; round++) {
        assert.equal(await wasi.startAsync(component(() => sleep(ms(1)))), 0);
      }
      assert.ok(wasi.resources - before <= 50, 'but for the pollables, which are the guest’s');
      wasi.close();
      assert.equal(wasi.resources, 0);
    });
  });
}

describe('the canonical ABI alone', { skip }, () => {
  test('a component that is not called by a promising function ends', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    let caught = 0;
    const { sleep, poll, catching } = await lowered(wasi, {
      promising: (fn) => fn,
      within: () => caught++,
    });
    sleep(0n);
    for (const act of [
      () => sleep(ms(5000)),
      () => poll(ms(5000), ms(6000)),
      () => catching(ms(5000)),
    ]) {
      assert.throws(act, code('ERR_WASI_WOULD_WAIT'));
      assert.throws(() => wasi.start(component(act)), code('ERR_WASI_WOULD_WAIT'));
    }
    assert.equal(caught, 0, 'the component has caught its end');
    assert.equal(wasi.start(component(() => sleep(0n))), 0);
  });

  test('an end cannot be caught', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    let caught = 0;
    const { catching } = await lowered(wasi, { within: () => caught++ });
    const reason = new Error('enough');
    const controller = new AbortController();
    const running = wasi.startAsync(
      component(() => catching(ms(60_000))),
      controller,
    );
    await later(20);
    controller.abort(reason);
    await assert.rejects(running, (error) => error === reason);
    assert.equal(caught, 0);
  });

  test('one call of a component waits at a time', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    const { sleep, poll } = await lowered(wasi);
    const first = sleep(ms(500));
    await sleep(0n);
    await assert.rejects(sleep(ms(60_000)), code('ERR_WASI_BUSY'));
    await assert.rejects(poll(ms(60_000), ms(70_000)), code('ERR_WASI_BUSY'));
    await first;
    await sleep(ms(1));
    // Another component of the same WASI has a stack of its own.
    const other = await lowered(wasi);
    await Promise.all([sleep(ms(30)), other.sleep(ms(10)), other.sleep(0n)]);
  });

  test('a poll gives what is ready, and memory may grow meanwhile', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    const made = await lowered(wasi, { within: (memory) => memory.grow(1) });
    const running = made.poll(ms(3_600_000), ms(60));
    await later(10);
    made.memory.grow(1);
    await running;
    const view = new DataView(made.memory.buffer);
    assert.equal(view.getUint32(36, true), 1, 'one is ready');
    assert.equal(view.getUint32(view.getUint32(32, true), true), 1, 'the second');
  });
});

describe('streams', { skip }, () => {
  /** Lines with pauses before them. */
  async function* lines(all, pause) {
    for (const line of all) {
      await later(pause);
      yield line;
    }
  }

  test(
    'two components read what comes, and write to what takes its time',
    { timeout },
    async () => {
      const written = [];
      let ticks = 0;
      const timer = setInterval(() => ticks++, 10);
      const codes = await Promise.all(
        [
          ['one', ['hello', 'world'], 60],
          ['two', ['alpha', 'beta'], 40],
        ].map(([name, all, pause]) => {
          let taking = 0;
          const wasi = new WASI({
            suspend: true,
            stdin: lines(all, pause),
            stdout: async (chunk) => {
              assert.equal(taking++, 0, 'one chunk at a time');
              await later(20);
              taking--;
              written.push(`${name} ${text(chunk)}`);
            },
            stderr: 'ignore',
          });
          return wasi.startAsync(component(() => valued(wasi).run(ms(20))));
        }),
      );
      clearInterval(timer);
      assert.deepEqual(codes, [1, 1]);
      assert.deepEqual(written.sort(), ['one hello', 'one world', 'two alpha', 'two beta']);
      assert.ok(ticks >= 5, `${ticks} ticks`);
    },
  );

  test('every kind of stream is taken', { timeout }, async () => {
    const kinds = {
      'an async function': (all) => async () => later(5, all.shift() ?? null),
      'a function': (all) => () => all.shift() ?? null,
      'an async iterable': (all) => lines(all, 5),
      'a Readable': (all) => Readable.from(all.map((one) => Buffer.from(one))),
      'a ReadableStream': (all) => ReadableStream.from(all.map(bytes)),
    };
    for (const [name, kind] of Object.entries(kinds)) {
      const chunks = [];
      const stdout = new WritableStream({
        write: async (chunk) => {
          await later(1);
          chunks.push(text(chunk));
        },
        close: () => void chunks.push('(end)'),
      });
      const wasi = new WASI({ suspend: true, stdin: kind(['a', 'b']), stdout, stderr: 'ignore' });
      assert.equal(await wasi.startAsync(component(() => valued(wasi).echo())), 0, name);
      assert.deepEqual(chunks, ['a', 'b', '(end)'], name);
      assert.equal(stdout.locked, false, name);
    }
  });

  test('a write is permitted when the stream has taken the last', { timeout }, async () => {
    let release;
    const chunks = [];
    const wasi = new WASI({
      ...NOTHING,
      suspend: true,
      stdout: (chunk) => {
        chunks.push(text(chunk));
        return new Promise((resolve) => (release = resolve));
      },
    });
    const imports = wasi.getImportObject();
    const stdout = imports['wasi:cli/stdout'].getStdout();
    const pollable = stdout.subscribe();
    assert.ok(stdout.checkWrite() > 0n);
    stdout.write(bytes('one'));
    assert.deepEqual(chunks, ['one']);
    assert.equal(stdout.checkWrite(), 0n);
    assert.equal(pollable.ready(), false);
    assert.throws(() => stdout.write(bytes('x')), /permitted/);
    let done = false;
    const flushed = stdout.blockingFlush().then(() => (done = true));
    const polled = imports['wasi:io/poll'].poll([pollable]);
    await later(20);
    assert.equal(done, false);
    release();
    await flushed;
    assert.deepEqual([...(await polled)], [0]);
    assert.equal(pollable.ready(), true);
    assert.ok(stdout.checkWrite() > 0n);
    const second = stdout.blockingWriteAndFlush(bytes('two'));
    await later(5);
    assert.deepEqual(chunks, ['one', 'two']);
    release();
    await second;
    // More than goes through at once, in its order.
    const large = Buffer.alloc(5 << 19, 'abcdefg');
    const third = stdout.blockingWriteAndFlush(large);
    while (chunks.slice(2).join('').length < large.length) {
      await later(1);
      release();
    }
    await third;
    assert.ok(chunks.slice(2).join('') === large.toString());
  });

  test('a poll knows of input, and of clocks beside it', { timeout }, async () => {
    let give;
    const stdin = () => new Promise((resolve) => (give = resolve));
    const wasi = new WASI({ ...NOTHING, suspend: true, stdin });
    const imports = wasi.getImportObject();
    const input = imports['wasi:cli/stdin'].getStdin();
    const { subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
    const { poll } = imports['wasi:io/poll'];
    assert.equal(input.read(10n).length, 0);
    const readable = input.subscribe();
    assert.equal(readable.ready(), false);
    assert.deepEqual([...(await poll([readable, subscribeDuration(ms(20))]))], [1]);
    const waiting = poll([readable, subscribeDuration(ms(60_000))]);
    await later(10);
    give('text');
    assert.deepEqual([...(await waiting)], [0]);
    assert.equal(readable.ready(), true);
    assert.equal(text(input.read(2n)), 'te');
    assert.equal(text(await input.blockingRead(10n)), 'xt');
    const skipped = input.blockingSkip(3n);
    give('abcd');
    assert.equal(await skipped, 3n);
    const output = imports['wasi:cli/stdout'].getStdout();
    assert.equal(await output.blockingSplice(input, 10n), 1n);
    const end = input.blockingRead(1n);
    give(null);
    await assert.rejects(end, ({ tag }) => tag === 'closed');
    assert.equal(readable.ready(), true, 'the end is no wait');
  });

  test('what a stream throws comes out unchanged', { timeout }, async () => {
    const failure = new Error('broken');
    const fail = async () => {
      await later(10);
      throw failure;
    };
    for (const streams of [
      { stdin: fail },
      {
        stdin: () => {
          throw failure;
        },
      },
      { stdin: Buffer.from('x'), stdout: fail },
      {
        stdin: Buffer.from('x'),
        stdout: () => {
          throw failure;
        },
      },
    ]) {
      const wasi = new WASI({ ...NOTHING, ...streams, suspend: true });
      // The component catches what it can.
      const run = () =>
        valued(wasi)
          .echo()
          .catch(() => {});
      await assert.rejects(wasi.startAsync(component(run)), (error) => error === failure);
    }
    const { echo } = valued(new WASI({ ...NOTHING, stdin: fail, suspend: true }));
    await assert.rejects(
      echo(),
      ({ code, cause }) => code === 'ERR_WASI_STOPPED' && cause === failure,
    );
  });

  test('close() lets the streams go, also while a call waits', { timeout }, async () => {
    for (const isWaiting of [true, false]) {
      const stdin = new Readable({ read() {} });
      const ended = [];
      const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
      stdout.on('finish', () => ended.push('end')).on('error', ({ code }) => ended.push(code));
      const wasi = new WASI({ suspend: true, stdin, stdout, stderr: 'ignore' });
      const { echo, sleep } = valued(wasi);
      const run = wasi.promising(isWaiting ? echo : () => sleep(ms(1)))();
      if (isWaiting) {
        await later(5);
        wasi.close();
        await assert.rejects(run, code('ERR_WASI_CLOSED'));
      } else {
        await run;
        wasi.close();
      }
      await later(5);
      assert.deepEqual(ended, [isWaiting ? 'ERR_WASI_CLOSED' : 'end']);
      assert.deepEqual(stdin.eventNames(), []);
    }
  });

  test('a signal ends the wait for outputs that take no end', { timeout }, async () => {
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(), final() {} });
    const wasi = new WASI({ ...NOTHING, stdin: Buffer.from('x'), stdout, suspend: true });
    const controller = new AbortController();
    const { signal } = controller;
    const run = wasi.startAsync(
      component(() => valued(wasi).echo()),
      { signal },
    );
    await later(30);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(run, (error) => error === reason);
    assert.ok(stdout.destroyed);
  });

  test(
    'a WASI that could not be made for its streams leaves nothing open',
    {
      skip: process.platform !== 'linux' && 'counts descriptors by /proc',
    },
    () => {
      const count = () => fs.readdirSync('/proc/self/fd').length;
      const stdin = new Readable({ read() {} });
      const first = new WASI({ ...NOTHING, stdin, suspend: true });
      const before = count();
      const options = { stdin, suspend: true, preopens: { '/': os.tmpdir() } };
      for (let at = 0; at < 3; at++) {
        assert.throws(() => new WASI(options), code('ERR_INVALID_ARG_VALUE'));
      }
      assert.equal(count(), before);
      first.close();
    },
  );

  test('what is not read is given back', { timeout }, async () => {
    const stdin = Readable.from([Buffer.from('abcdef')]);
    const wasi = new WASI({ ...NOTHING, stdin, suspend: true });
    const run = async () => {
      const input = wasi.getImportObject()['wasi:cli/stdin'].getStdin();
      assert.equal(text(await input.blockingRead(2n)), 'ab');
    };
    assert.equal(await wasi.startAsync(component(run)), 0);
    assert.equal(text(stdin.read()), 'cdef');
    const told = new WASI({ ...NOTHING, stdin: async () => 'ghi', suspend: true });
    const other = async () => {
      const input = told.getImportObject()['wasi:cli/stdin'].getStdin();
      assert.equal(text(await input.blockingRead(1n)), 'g');
    };
    assert.equal(await told.startAsync(component(other)), 0);
    assert.equal(text(told.unreadInput), 'hi');
  });
});

describe('values alone', { skip }, () => {
  /** A guest that calls what it is given, one after the other. */
  async function caller(...calls) {
    const { parseWat } = await loadWabt();
    const imports = calls.map((_, at) => `(import "host" "${at}" (func))`).join(' ');
    const body = calls.map((_, at) => `(call ${at})`).join(' ');
    const source = `(module ${imports} (func (export "run") ${body}))`;
    const module = new WebAssembly.Module(parseWat('x.wat', source).toBinary({}).buffer);
    const host = Object.fromEntries(calls.map((call, at) => [at, call]));
    return new WebAssembly.Instance(module, { host }).exports.run;
  }

  test('a component that does not await what it is given ends', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    const imports = wasi.getImportObject();
    const { now, subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
    const block = (time) => () => void subscribeDuration(ms(time)).block();
    let reached = false;
    const goesOn = await caller(block(5000), now, () => void (reached = true));
    assert.throws(() => wasi.start(component(goesOn)), code('ERR_WASI_WOULD_WAIT'));
    assert.equal(reached, false);
    const returns = await caller(block(5000));
    assert.throws(() => wasi.start(component(returns)), code('ERR_WASI_WOULD_WAIT'));
    const asks = await caller(block(0), now);
    assert.equal(wasi.start(component(asks)), 0);
    // jco waits for a promise in a function of its own. JavaScript may wait later.
    const waits = new WebAssembly.Suspending(async () => {
      await Promise.resolve(subscribeDuration(ms(10)).block()).finally(() => {});
    });
    const run = async () => component(WebAssembly.promising(await caller(waits, now, waits)));
    const runs = [await run(), await run()];
    assert.deepEqual(await Promise.all(runs.map((one) => wasi.startAsync(one))), [0, 0]);
    const both = [subscribeDuration(ms(10)).block(), subscribeDuration(ms(20)).block()];
    now();
    await Promise.all(both);
  });

  test(
    'what ends a component ends its run, whatever its code makes of it',
    { timeout },
    async () => {
      // Code of jco waits for ever where a promise is rejected with what is no result.
      const forgetful = (act) => async () => {
        await act().catch(() => {});
        await new Promise(() => {});
      };
      const run = (options, act, more) => {
        const wasi = new WASI({ ...NOTHING, suspend: true, ...options });
        const imports = wasi.getImportObject();
        const { subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
        const body = forgetful(async () => act(imports, subscribeDuration(ms(3_600_000))));
        return wasi.startAsync(component(body), more);
      };
      const block = (_, pollable) => pollable.block();
      const signal = AbortSignal.timeout(20);
      await assert.rejects(run({}, block, { signal }), ({ name }) => name === 'TimeoutError');
      await assert.rejects(
        run({ timeoutMs: 30 }, block),
        ({ code, limit }) => code === 'ERR_WASI_LIMIT' && limit === 'timeoutMs',
      );
      const poll = (imports) => imports['wasi:io/poll'].poll([]);
      await assert.rejects(run({}, poll), /wasm trap: a list of pollables is empty/);
      const failure = new Error('broken');
      const stdin = async () => {
        throw failure;
      };
      const read = (imports) => imports['wasi:cli/stdin'].getStdin().blockingRead(1n);
      await assert.rejects(run({ stdin }, read), (error) => error === failure);
    },
  );

  test('time and traces tell waiting from running', { timeout }, async () => {
    const events = [];
    const wasi = new WASI({
      ...NOTHING,
      suspend: true,
      stats: true,
      trace: (event) => events.push(event),
      timeoutMs: 150,
    });
    const { sleep } = valued(wasi);
    await sleep(ms(40));
    const [, block] = events;
    assert.equal(block.name, 'wasi:io/poll#[method]pollable.block');
    assert.equal(block.errno, 'success');
    assert.ok(block.waitedNs > 30e6 && block.ns < block.waitedNs, JSON.stringify(block));
    assert.equal(wasi.stats()[block.name].waitedNs, block.waitedNs);
    const began = performance.now();
    await assert.rejects(
      wasi.startAsync(component(() => sleep(ms(60_000)))),
      ({ code, limit }) => code === 'ERR_WASI_LIMIT' && limit === 'timeoutMs',
    );
    assert.ok(performance.now() - began < 5000);
  });

  test('an export that promising() has made may wait', { timeout }, async () => {
    const wasi = new WASI({ ...NOTHING, suspend: true });
    const { sleep } = valued(wasi);
    const nap = wasi.promising(async (time) => {
      await sleep(ms(time));
      return time + 1;
    });
    assert.deepEqual(await Promise.all([nap(20), nap(10)]), [21, 11]);
    const { exit } = wasi.getImportObject()['wasi:cli/exit'];
    await assert.rejects(wasi.promising(() => exit({ tag: 'ok' }))(), code('ERR_WASI_EXIT'));
    assert.throws(() => wasi.promising(5), code('ERR_INVALID_ARG_TYPE'));
    await assert.rejects(wasi.startAsync({}), code('ERR_INVALID_ARG_VALUE'));
    for (const nothing of [undefined, null, 5, []]) {
      await assert.rejects(wasi.startAsync(nothing), code('ERR_INVALID_ARG_TYPE'));
      await assert.rejects(
        wasi.startAsync(
          component(() => {}),
          nothing ?? null,
        ),
        code('ERR_INVALID_ARG_TYPE'),
      );
    }
    await assert.rejects(
      wasi.startAsync(
        component(() => {}),
        { signal: 5 },
      ),
      code('ERR_INVALID_ARG_TYPE'),
    );
    await assert.rejects(
      wasi.startAsync(
        component(() => {}),
        { other: 5 },
      ),
      code('ERR_INVALID_ARG_VALUE'),
    );
  });

  test('a named pipe without a reader is waited for', { timeout }, async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-p2-'));
    execFileSync('mkfifo', [path.join(folder, 'fifo')]);
    const wasi = new WASI({ ...NOTHING, suspend: true, preopens: { '/': folder } });
    let reader;
    try {
      const [[root]] = wasi.getImportObject()['wasi:filesystem/preopens'].getDirectories();
      const opening = root.openAt({}, 'fifo', {}, { write: true });
      assert.ok(opening instanceof Promise);
      opening.catch(() => {});
      await later(30);
      const { O_RDONLY, O_NONBLOCK } = fs.constants;
      reader = fs.openSync(path.join(folder, 'fifo'), O_RDONLY | O_NONBLOCK);
      const stream = (await opening).writeViaStream(0n);
      await stream.blockingWriteAndFlush(bytes('text'));
      const given = Buffer.alloc(10);
      assert.equal(fs.readSync(reader, given), 4);
    } finally {
      wasi.close();
      if (reader !== undefined) fs.closeSync(reader);
      fs.rmSync(folder, { recursive: true });
    }
  });
});
