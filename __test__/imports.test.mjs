// The functions in wasiImport: their shape, what they take, and how their arguments, the instance
// and the memory reach Rust. What each of them does is tested with guests and in Rust.
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { WASI } from '../index.js';

const { calls, frame, table } = createRequire(import.meta.url)('../binding.js');
const signatures = Object.fromEntries(
  Object.entries(table.functions).map(([name, { signature }]) => [name, signature]),
);
const u32 = new Uint32Array(frame);
const i64 = new BigInt64Array(frame);
const INSTANCE = 20;
const OUTCOME = 22;
const MADE = 26;
/** No outcome of a call. */
const MARK = 1000;

const [BADF, INVAL, OVERFLOW] = [8, 28, 61];
const LAST_ERRNO = 76;
const PAGE = 65536;

const memoryOf = (pages = 1) => new WebAssembly.Memory({ initial: pages });
const nullDevice = openSync(devNull, 'r+');

/** A WASI whose imports work on `memory`, and whose standard streams are nobody's. */
function started(memory = memoryOf()) {
  const stdio = { stdin: nullDevice, stdout: nullDevice, stderr: nullDevice };
  const wasi = new WASI({ version: 'preview1', ...stdio });
  wasi.finalizeBindings({ exports: { memory } });
  return wasi;
}

const symbolOf = (wasi, description) =>
  Object.getOwnPropertySymbols(wasi).find((symbol) => symbol.description === description);

/** Arguments of the right types: 0 or 0n for each. */
const zeros = (types) => [...types].map((type) => (type === 'I' ? 0n : 0));

/** All functions that answer, whatever they are given: proc_exit does not return. */
const answering = Object.entries(signatures).filter(([name]) => name !== 'proc_exit');

test('wasiImport has the 46 functions of preview1, by the signatures of the native side', () => {
  const { wasiImport } = started();
  assert.equal(Object.keys(signatures).length, 46);
  assert.deepEqual(Object.keys(calls).sort(), Object.keys(signatures).sort());
  assert.deepEqual(Object.keys(wasiImport).sort(), Object.keys(signatures).sort());
  for (const [name, types] of Object.entries(signatures)) {
    const fn = wasiImport[name];
    assert.equal(fn.name, name);
    assert.equal(fn.length, types.length, name);
    assert.equal('prototype' in fn, false, name);
    assert.throws(() => new fn(), TypeError, name);
  }
});

test('wasiImport is an ordinary object, and each instance has its own', () => {
  const [a, b] = [started(), started()];
  assert.equal(Object.getPrototypeOf(a.wasiImport), Object.prototype);
  assert.notEqual(a.wasiImport.fd_read, b.wasiImport.fd_read);
  a.wasiImport.fd_read = () => 5;
  assert.equal(a.getImportObject().wasi_snapshot_preview1.fd_read(), 5);
  assert.notEqual(b.wasiImport.fd_read(), 5);
});

test('a wrong number of arguments is EINVAL', () => {
  const { wasiImport } = started();
  for (const [name, types] of answering) {
    for (let count = 0; count <= types.length + 3; count++) {
      if (count === types.length) continue;
      const args = [...zeros(types), 0, 0n, undefined].slice(0, count);
      assert.equal(wasiImport[name](...args), INVAL, `${name} with ${count} arguments`);
    }
  }
});

test('an argument of a wrong type is EINVAL at every position, and no code of its own runs', () => {
  const { wasiImport } = started();
  const ran = [];
  const object = {
    valueOf: () => ran.push('valueOf'),
    toString: () => ran.push('toString'),
    [Symbol.toPrimitive]: () => ran.push('toPrimitive'),
  };
  const trap = new Proxy(function () {}, {
    get: (_, key) => ran.push(key),
    apply: () => ran.push('apply'),
  });
  const never = [undefined, null, true, '0', '', Symbol('s'), [], {}, object, trap, () => 0];
  const wrong = {
    i: [
      ...never,
      0n,
      1n,
      new Number(1),
      1.5,
      NaN,
      Infinity,
      -Infinity,
      2 ** 32,
      -(2 ** 31) - 1,
      1e300,
    ],
    I: [...never, 0, 1, NaN, Object(1n)],
  };
  for (const [name, types] of answering) {
    for (let at = 0; at < types.length; at++) {
      for (const value of wrong[types[at]]) {
        const args = zeros(types);
        args[at] = value;
        assert.equal(wasiImport[name](...args), INVAL, `${name}, argument ${at}`);
      }
    }
  }
  assert.deepEqual(ran, []);
});

test('each argument arrives in its own slot of the frame, with the number of the instance', () => {
  const [a, b] = [started(), started()];
  const seen = new Set();
  for (const wasi of [a, b]) {
    for (const [name, types] of answering) {
      const args = [...types].map((type, at) =>
        // Descriptors that are not open, and pointers past the end of memory.
        type === 'I' ? -1000n - BigInt(at) : 0xf000_0000 + at,
      );
      frameOf(0xffff_ffff);
      wasi.wasiImport[name](...args);
      const arrived = [...types].map((type, at) => (type === 'I' ? i64[at] : u32[2 * at]));
      assert.deepEqual(arrived, args, name);
    }
    seen.add(u32[INSTANCE]);
  }
  assert.equal(seen.size, 2);
});

function frameOf(value) {
  u32.fill(value, 0, 18);
}

test('what is answered without a call is answered as Rust answers it, wherever it goes', () => {
  const args = ['program', 'zwölf', ''];
  const env = { A: '1', LANG: 'C.UTF-8' };
  const stdio = { stdin: nullDevice, stdout: nullDevice, stderr: nullDevice };
  for (const memory of [memoryOf(), memoryOf(2), memoryOf(0)]) {
    const wasi = new WASI({ version: 'preview1', args, env, ...stdio });
    const instance = u32[MADE];
    wasi.finalizeBindings({ exports: { memory } });
    // The guest's memory grows in the course of it: each round has another size.
    for (let round = 0; round < 3; round++, memory.grow(1)) {
      const size = memory.buffer.byteLength;
      // The first call after it grew is the one that finds out.
      wasi.wasiImport.sched_yield();
      const ends = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((back) => size - back);
      const pointers = [0, 1, 2, 3, 4, 8, 1001, ...ends, 2 ** 31, 2 ** 32 - 4, -4, -1, -(2 ** 31)];
      for (const first of pointers.filter((pointer) => pointer >= -(2 ** 31))) {
        for (const second of [16, 18, first, first + 1, size - 4, size - 2, size]) {
          for (const [name, one, other] of [
            ['args_sizes_get', 3, 'program_zwoelf__'.length],
            ['environ_sizes_get', 2, 'A=1_LANG=C.UTF-8_'.length],
          ]) {
            compare(wasi, memory, instance, name, [first, second], (view) => {
              view.setUint32(first >>> 0, one, true);
              view.setUint32(second >>> 0, other, true);
            });
          }
        }
        for (const clock of [0, 1, 2, 3, 4, -1, 2 ** 32 - 1]) {
          compare(wasi, memory, instance, 'clock_res_get', [clock, first]);
        }
      }
    }
  }
});

/**
 * Makes a call, and the same call in Rust alone; and, if it says what that is, compares with what
 * should be there.
 */
function compare({ wasiImport }, memory, instance, name, args, expected) {
  const what = `${name}(${args.join(', ')}) in ${memory.buffer.byteLength} bytes`;
  const bytes = new Uint8Array(memory.buffer);
  const filled = () => bytes.fill(0xa5);
  filled();
  u32[OUTCOME] = MARK;
  const errno = wasiImport[name](...args);
  const left = bytes.slice();
  const words = name === 'clock_res_get' ? args.slice(1) : args;
  const isAnswered = errno === 0 && words.every((pointer) => pointer % 4 === 0);
  assert.equal(u32[OUTCOME] === MARK, isAnswered, `${what}: without a call`);
  filled();
  u32[INSTANCE] = instance;
  args.forEach((arg, at) => (u32[2 * at] = arg));
  calls[name]();
  // 257: a pointer past the end of what Rust knows of.
  assert.equal(errno, u32[OUTCOME] === 257 ? OVERFLOW : u32[OUTCOME], what);
  assert.ok(Buffer.compare(left, bytes) === 0, what);
  if (errno !== 0 || !expected) return;
  filled();
  expected(new DataView(memory.buffer));
  assert.ok(Buffer.compare(left, bytes) === 0, what);
}

test('an i32 is any integer from -2**31 to 2**32 - 1, an i64 any BigInt modulo 2**64', () => {
  const { wasiImport } = started();
  for (const [value, bits] of [
    [-0, 0],
    [-1, 2 ** 32 - 1],
    [-(2 ** 31), 2 ** 31],
    [2 ** 31, 2 ** 31],
    [2 ** 32 - 1, 2 ** 32 - 1],
  ]) {
    frameOf(7);
    // 0 is the guest's standard input; the others are not open.
    assert.equal(wasiImport.fd_close(value), value === 0 ? 0 : BADF);
    assert.equal(u32[0], bits);
  }
  for (const value of [-1n, 2n ** 63n, 2n ** 64n, 2n ** 64n + 5n, -(2n ** 100n)]) {
    frameOf(7);
    assert.equal(wasiImport.fd_allocate(99, value, 0n), BADF);
    assert.equal(i64[1], BigInt.asIntN(64, value));
  }
});

test('before there is a memory, a call with the right arguments throws ERR_WASI_NOT_STARTED', () => {
  const { wasiImport } = new WASI({ version: 'preview1' });
  for (const [name, types] of answering) {
    const notStarted = { name: 'Error', code: 'ERR_WASI_NOT_STARTED' };
    assert.throws(() => wasiImport[name](...zeros(types)), notStarted, name);
    if (types) assert.equal(wasiImport[name](...zeros(types).map(() => 'x')), INVAL, name);
  }
});

test('functions work detached and with any receiver', () => {
  const { random_get } = started().wasiImport;
  assert.equal(random_get(0, 8), 0);
  assert.equal(random_get.call(null, 0, 8), 0);
  assert.equal(random_get.apply({ wasiImport: 1 }, [0, 8]), 0);
});

test('random arguments of the right types give an errno', () => {
  const memory = memoryOf();
  const { wasiImport } = started(memory);
  const interesting = [0, 1, 2, 3, 4, 8, 64, 1000, PAGE - 1, PAGE, 2 ** 31, 2 ** 32 - 1, -1];
  // A fixed sequence, so that a failure can be seen again.
  let state = 1;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 300; round++) {
    for (const [name, types] of answering) {
      const args = [...types].map((type) => {
        const value = interesting[random(interesting.length)];
        return type === 'I' ? BigInt(value) << BigInt(random(3) * 16) : value;
      });
      // Empty iovecs and timers that are over at once: nothing here waits.
      new Uint8Array(memory.buffer).fill(0);
      const errno = wasiImport[name](...args);
      const right = Number.isInteger(errno) && errno >= 0 && errno <= LAST_ERRNO;
      assert.ok(right, `${name}(${args}) gave ${String(errno)}`);
    }
  }
});

/** Whether random_get fills 64 bytes at `at`. */
function fills(wasi, memory, at) {
  const errno = wasi.wasiImport.random_get(at, 64);
  return errno === 0 && new Uint8Array(memory.buffer, at, 64).some(Boolean);
}

test('a memory that grew is used in its new size', () => {
  const memory = memoryOf();
  const wasi = started(memory);
  assert.equal(wasi.wasiImport.random_get(PAGE, 64), OVERFLOW);
  for (let pages = 1; pages < 20; pages++) {
    const before = memory.buffer;
    memory.grow(1);
    assert.equal(before.byteLength, 0, 'the old buffer is detached');
    assert.ok(fills(wasi, memory, pages * PAGE));
    assert.ok(fills(wasi, memory, 0));
    assert.equal(wasi.wasiImport.random_get((pages + 1) * PAGE - 8, 64), OVERFLOW);
  }
});

test('a guest that grows its memory is served in its new size', async () => {
  // (module (import random_get) (memory (export "memory") 1) (func (export "run") (result i32)
  //   (drop (memory.grow (i32.const 1))) (call $random_get (i32.const 65536) (i32.const 64))))
  const { assemble, op } = createRequire(import.meta.url)('./contract/wasm.cjs');
  const grow = [op.i32(1), 0x40, 0, op.drop];
  const fill = [op.i32(PAGE), op.i32(64), op.call(0)];
  const bytes = assemble({
    imports: [{ module: 'wasi_snapshot_preview1', name: 'random_get', form: 'ii:i' }],
    functions: [
      { export: 'run', form: ':i', body: [grow, fill] },
      { export: '_start', form: ':', body: [] },
    ],
  });
  const wasi = new WASI({ version: 'preview1' });
  const { instance } = await WebAssembly.instantiate(bytes, wasi.getImportObject());
  wasi.start(instance);
  assert.equal(instance.exports.run(), 0);
  assert.ok(new Uint8Array(instance.exports.memory.buffer, PAGE, 64).some(Boolean));
});

test('a shared memory works, and is used in its new size after it grew', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
  const wasi = started(memory);
  assert.ok(fills(wasi, memory, 0));
  memory.grow(2);
  assert.ok(fills(wasi, memory, 2 * PAGE));
  assert.equal(wasi.wasiImport.random_get(3 * PAGE, 1), OVERFLOW);
});

test(
  'a memory whose buffer grows in place is used in its new size',
  { skip: !WebAssembly.Memory.prototype.toResizableBuffer && 'V8 has no such buffers yet' },
  () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    memory.toResizableBuffer();
    const wasi = started(memory);
    assert.ok(fills(wasi, memory, 0));
    memory.grow(2);
    assert.ok(fills(wasi, memory, 2 * PAGE));
    assert.equal(wasi.wasiImport.random_get(3 * PAGE, 1), OVERFLOW);
  },
);

test('a memory without pages has no room for anything', () => {
  const memory = new WebAssembly.Memory({ initial: 0, maximum: 1 });
  const wasi = started(memory);
  assert.equal(wasi.wasiImport.random_get(0, 1), OVERFLOW);
  assert.equal(wasi.wasiImport.sched_yield(), 0);
  memory.grow(1);
  assert.ok(fills(wasi, memory, 0));
});

test('pointers above 2 GiB are unsigned, from JavaScript and from a guest', () => {
  const memory = memoryOf(2 ** 15 + 1);
  const wasi = started(memory);
  assert.ok(fills(wasi, memory, 2 ** 31));
  // A guest's i32 arrives in JavaScript as a signed number.
  new Uint8Array(memory.buffer, 2 ** 31, 64).fill(0);
  assert.equal(wasi.wasiImport.random_get((2 ** 31) | 0, 64), 0);
  assert.ok(new Uint8Array(memory.buffer, 2 ** 31, 64).some(Boolean));
  assert.equal(wasi.wasiImport.random_get(2 ** 31 + PAGE - 8, 64), OVERFLOW);
});

test('the memory itself decides where bytes go, not its property "buffer"', () => {
  const [memory, decoy] = [memoryOf(), memoryOf()];
  const { get } = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer');
  Object.defineProperty(memory, 'buffer', { get: () => decoy.buffer });
  const { wasiImport } = started(memory);
  assert.equal(wasiImport.random_get(0, 64), 0);
  assert.ok(new Uint8Array(get.call(memory), 0, 64).some(Boolean));
  assert.ok(!new Uint8Array(decoy.buffer, 0, 64).some(Boolean));
});

test('instances keep their own memories, also when one calls within a call of another', () => {
  const [a, b] = [memoryOf(), memoryOf(2)];
  const [first, second] = [started(a), started(b)];
  const { random_get } = first.wasiImport;
  first.wasiImport.random_get = (...args) => {
    assert.equal(second.wasiImport.random_get(PAGE, 64), 0);
    return random_get(...args);
  };
  assert.equal(first.wasiImport.random_get(0, 64), 0);
  assert.ok(new Uint8Array(a.buffer, 0, 64).some(Boolean));
  assert.ok(new Uint8Array(b.buffer, PAGE, 64).some(Boolean));
  assert.ok(!new Uint8Array(b.buffer, 0, 64).some(Boolean));
  assert.equal(random_get(PAGE, 64), OVERFLOW);
});

test('an instance that is given another memory works on that one', () => {
  const [first, second] = [memoryOf(), memoryOf(2)];
  const wasi = started(first);
  wasi[symbolOf(wasi, 'kSetMemory')](second);
  assert.ok(fills(wasi, second, PAGE));
  assert.ok(!new Uint8Array(first.buffer).some(Boolean));
});

/** Puts one subscription of a timer at 0: relative, on the monotonic clock, in milliseconds. */
function timer(memory, milliseconds) {
  const view = new DataView(memory.buffer);
  view.setUint8(8, 0);
  view.setUint32(16, 1, true);
  view.setBigUint64(24, BigInt(milliseconds) * 1_000_000n, true);
}

test('a call that waits longer than a slice comes back when it is due', () => {
  const memory = memoryOf();
  const { wasiImport } = started(memory);
  timer(memory, 180);
  const before = process.hrtime.bigint();
  assert.equal(wasiImport.poll_oneoff(0, 1024, 1, 2048), 0);
  const took = Number((process.hrtime.bigint() - before) / 1_000_000n);
  assert.ok(took >= 179 && took < 5000, `it took ${took} ms`);
  assert.equal(new DataView(memory.buffer).getUint32(2048, true), 1);
});

test('a Worker that waits in a call can be terminated', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { WASI } = require(workerData);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const wasi = new WASI({ version: 'preview1' });
    wasi.finalizeBindings({ exports: { memory } });
    (${timer})(memory, 60_000);
    parentPort.postMessage('waiting');
    wasi.wasiImport.poll_oneoff(0, 1024, 1, 2048);
  `;
  const workerData = createRequire(import.meta.url).resolve('../index.js');
  const worker = new Worker(source, { eval: true, workerData });
  await new Promise((done, failed) => worker.once('message', done).once('error', failed));
  await new Promise((done) => setTimeout(done, 100));
  const before = Date.now();
  await worker.terminate();
  assert.ok(Date.now() - before < 10_000, 'it did not wait for the minute');
});

/**
 * Calls that would work for seconds, with what stands in a memory of zeros. Each is made over and
 * over.
 */
const LONG_CALLS = {
  // Zeros are timers that are due, and so are the events, which come to lie where the subscriptions
  // were.
  poll_oneoff: { pages: 16_200, args: [0, 0, 22_000_000, 1_060_000_000] },
  fd_pwrite: { pages: 16_385, args: [4, 0, 32, 0n, 512], fills: true },
  fd_pread: { pages: 16_385, args: [4, 0, 32, 0n, 512], fills: true },
};

for (const [name, { pages, args, fills }] of Object.entries(LONG_CALLS)) {
  test(`a Worker that works in ${name} can be terminated`, async () => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { WASI } = require(workerData.package);
      const memory = new WebAssembly.Memory({ initial: ${pages} });
      const preopens = { '/': { memory: {}, maxBytes: 2 ** 31 } };
      const wasi = new WASI({ version: 'preview1', preopens });
      wasi.finalizeBindings({ exports: { memory } });
      const call = wasi.wasiImport;
      const view = new DataView(memory.buffer);
      if (${fills === true}) {
        view.setUint8(64, 102);
        const errno = call.path_open(3, 0, 64, 1, 1, 2n | 4n | 64n, 0n, 0, 128);
        if (errno !== 0 || view.getUint32(128, true) !== 4) throw new Error('path_open: ' + errno);
        for (let at = 0; at < 32; at++) {
          view.setUint32(8 * at, 65_536, true);
          view.setUint32(8 * at + 4, 2 ** 30, true);
        }
        if ('${name}' === 'fd_pread') call.fd_pwrite(4, 0, 1, 0n, 512);
      }
      parentPort.postMessage('working');
      let errno = 0;
      while (errno === 0) errno = call.${name}(...workerData.args);
      throw new Error('${name}: ' + errno);
    `;
    const workerData = { package: createRequire(import.meta.url).resolve('../index.js'), args };
    const worker = new Worker(source, { eval: true, workerData });
    await new Promise((done, failed) => worker.once('message', done).once('error', failed));
    let error;
    worker.on('error', (thrown) => (error = thrown));
    await new Promise((done) => setTimeout(done, 50));
    const before = Date.now();
    await worker.terminate();
    assert.equal(error, undefined);
    const took = Date.now() - before;
    assert.ok(took < 1000, `it ended after ${took} ms`);
  });
}
