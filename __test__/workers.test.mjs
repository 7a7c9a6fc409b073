// Guests in Workers share this: errors that cross threads, times, and a Worker's end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import test from 'node:test';
import vm from 'node:vm';

const require = createRequire(import.meta.url);
const { WASI, WASIExitError, WASILimitError, run } = require('../index.js');
const { endWorker, errorOf, plainError } = require('../lib/workers.js');
const { runThreads } = require('../threads.js');
const wabt = await require('wabt')();

const bytesOf = (wat, features = { exceptions: true, threads: true }) =>
  wabt.parseWat('guest.wat', wat, features).toBinary({}).buffer;

const command = (body, more = '', imports = '') =>
  bytesOf(
    `(module ${imports} (memory (export "memory") 1) ${more} (func (export "_start") ${body}))`,
  );
const YIELD = '(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))';
const DEEP = '(func $deep (result i32) (i32.add (i32.const 1) (call $deep)))';

const rejection = (promise) =>
  promise.then(
    () => assert.fail('it did not reject'),
    (error) => error,
  );

function sent(error) {
  return errorOf(structuredClone(plainError(error)));
}

function assertSays(error, name) {
  assert.ok(error.message.length > 0 && !/undefined|\[object/.test(error.message), name);
  assert.ok(error.stack.includes(error.message), name);
}

/** Exactly of this class, and of this realm. */
function assertClass(error, Class) {
  assert.equal(Object.getPrototypeOf(error), Class.prototype, String(error));
}

test('what the embedder did wrong rejects with the class of the error', async () => {
  const cases = {
    'wrong option': [{ args: 'x' }, command(''), TypeError, 'ERR_INVALID_ARG_TYPE'],
    'wrong range': [{ stdin: -1 }, command(''), RangeError, 'ERR_OUT_OF_RANGE'],
    'no such folder': [
      { preopens: { '/': '/nowhere/at/all' } },
      command(''),
      Error,
      'UVWASI_ENOENT',
    ],
    'no module': [{}, Buffer.from('none'), WebAssembly.CompileError, 'ERR_WASI_MODULE'],
    'an invalid module': [{}, command('drop'), WebAssembly.CompileError],
    'missing import': [
      {},
      bytesOf('(module (import "wasi_snapshot_preview1" "no" (func)))'),
      WebAssembly.LinkError,
      'ERR_WASI_MISSING_IMPORT',
    ],
  };
  for (const [name, [options, wasm, Class, code]] of Object.entries(cases)) {
    const error = await rejection(run(wasm, options));
    assertClass(error, Class);
    assert.equal(error.code, code, name);
    assertSays(error, name);
  }
});

test('what the guest did resolves with the class of the error', async () => {
  const cases = {
    trap: [command('unreachable'), 'trap', WebAssembly.RuntimeError],
    'stack exhausted': [command('(drop (call $deep))', DEEP), 'trap', RangeError],
    'an exception': [command('(throw $e)', '(tag $e)'), 'trap', Error, 'ERR_WASI_EXCEPTION'],
    limit: [
      command('(drop (call $yield))', '', YIELD),
      'limit',
      WASILimitError,
      'ERR_WASI_LIMIT',
      { limits: { hostCalls: 0 } },
    ],
    time: [command(''), 'timeout', WASILimitError, 'ERR_WASI_LIMIT', { timeoutMs: 0 }],
  };
  for (const [name, [wasm, expected, Class, code, options]] of Object.entries(cases)) {
    const { reason, exitCode, error } = await run(wasm, options);
    assert.deepEqual([reason, exitCode], [expected, null], name);
    assertClass(error, Class);
    assert.equal(error.code, code, name);
    assertSays(error, name);
  }
});

test('runThreads rejects with the class of the error, from the first thread and from others', async () => {
  const shared = (start, thread) =>
    bytesOf(`(module (import "env" "memory" (memory 1 1 shared))
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (tag $e) ${DEEP}
      (func $wait (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
      (func (export "_start") ${start})
      (func (export "wasi_thread_start") (param i32 i32) ${thread}))`);
  for (const [body, Class, code] of [
    ['unreachable', WebAssembly.RuntimeError],
    ['(drop (call $deep))', RangeError],
    ['(throw $e)', Error, 'ERR_WASI_EXCEPTION'],
  ]) {
    for (const wasm of [
      shared(body, ''),
      shared('(drop (call $spawn (i32.const 0))) (call $wait)', body),
    ]) {
      const error = await rejection(runThreads(new WASI({ version: 'preview1' }), wasm));
      assertClass(error, Class);
      assert.equal(error.code, code);
    }
  }
});

test('an error is the same on the other side: class, name, message, code, stack and cause', () => {
  class Own extends TypeError {
    name = 'Own';
  }
  for (const [error, Class] of [
    [new Error('a'), Error],
    [new SyntaxError('b'), SyntaxError],
    [new Own('c'), TypeError],
    [
      Object.assign(new RangeError('d'), { code: 'E', limit: 'x', errno: 3, syscall: 'open' }),
      RangeError,
    ],
    [new Error('e', { cause: new WebAssembly.LinkError('f') }), Error],
    [new WASILimitError('i', 'hostCalls'), WASILimitError],
    [new WASIExitError(3), WASIExitError],
    [vm.runInNewContext('new TypeError("g")'), TypeError],
    [vm.runInNewContext('new WebAssembly.RuntimeError("h")'), WebAssembly.RuntimeError],
  ]) {
    const copy = sent(error);
    assertClass(copy, Class);
    for (const key of [
      'name',
      'message',
      'stack',
      'code',
      'limit',
      'exitCode',
      'errno',
      'syscall',
    ]) {
      assert.equal(copy[key], error[key], key);
    }
    assert.equal(String(copy), String(error));
    assert.equal(copy.cause instanceof WebAssembly.LinkError, error.cause !== undefined);
  }
  const wrong = new Error('wrong');
  try {
    new WASI({ args: 5 });
  } catch (error) {
    wrong.cause = error;
  }
  assert.equal(String(sent(wrong.cause)), String(wrong.cause));
  assert.match(String(sent(wrong.cause)), /^TypeError \[ERR_INVALID_ARG_TYPE\]: /);
});

test('whatever is thrown becomes an error that says something', () => {
  const circular = new Error('circular');
  circular.cause = circular;
  assert.equal(sent(circular).cause.message, 'circular');
  for (const [value, message] of [
    ['text', 'text'],
    [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'],
    [{ __proto__: null }, 'What was thrown has no text'],
  ]) {
    const error = sent(value);
    assertClass(error, Error);
    assert.equal(error.message, message);
  }
});

test('timeoutMs is any time from 0 to Infinity', async () => {
  const wasm = command('');
  // A timer of Node's takes 31 bits, and ends at once where it is given more.
  for (const timeoutMs of [2 ** 31 - 1, 2 ** 31, 2 ** 40, Number.MAX_VALUE, Infinity, undefined]) {
    assert.equal((await run(wasm, { timeoutMs })).exitCode, 0, String(timeoutMs));
  }
  assert.equal((await run(wasm, { timeoutMs: 0 })).reason, 'timeout');
  for (const timeoutMs of [-1, NaN, -Infinity]) {
    await assert.rejects(run(wasm, { timeoutMs }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
    });
  }
  for (const timeoutMs of ['100', null, 5n]) {
    await assert.rejects(run(wasm, { timeoutMs }), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

// Another process: the package takes the timers when it is loaded.
const TIMES = `
  const waits = [];
  require('node:timers').setTimeout = (call, ms, ...args) => {
    waits.push(ms);
    if (waits.length < 10) call(...args);
  };
  const { after } = require(process.env.WORKERS);
  let calls = 0;
  after(2 ** 32 + 5, () => calls++);
  after(Infinity, () => calls++);
  console.log(JSON.stringify({ waits, calls }));
`;
const skip = process.versions.deno && 'modules have a setTimeout of their own';
test('a time longer than a timer is waited for in parts', { skip }, () => {
  const env = { ...process.env, WORKERS: require.resolve('../lib/workers.js') };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', TIMES], { encoding: 'utf8', env });
  assert.ok(stdout, stderr);
  assert.deepEqual(JSON.parse(stdout), { waits: [2 ** 31 - 1, 2 ** 31 - 1, 7], calls: 1 });
});

test('a Worker that does not end is not waited for for ever', { timeout: 20_000 }, async () => {
  let isLet = false;
  const worker = { terminate: () => new Promise(() => {}), unref: () => (isLet = true) };
  await endWorker(worker, 50);
  assert.ok(isLet);
});

test(
  'the result settles the promise, not the end of the Worker',
  { timeout: 20_000 },
  async (t) => {
    const { Worker } = require('node:worker_threads');
    let isAsked = false;
    t.mock.method(Worker.prototype, 'terminate', function () {
      isAsked = true;
      this.unref();
      return new Promise(() => {});
    });
    const start = performance.now();
    const thread = { isolation: 'thread' };
    const ended = await run(command(''), thread);
    const trapped = await run(command('unreachable'), thread);
    const took = performance.now() - start;
    assert.ok(isAsked && ended.exitCode === 0);
    // To end a Worker is given up after a second, and there are two. Their starts take what they do.
    const own = [ended, trapped].map(({ startMs, durationMs }) => startMs + durationMs);
    assert.ok(took - own[0] - own[1] < 1900, `${took} ms, of which ${own}`);
  },
);
