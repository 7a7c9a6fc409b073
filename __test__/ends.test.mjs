// How a guest ends: by proc_exit, by a limit, or by what a function of the embedder throws. No code
// of the guest runs after it, and start() says how it ended.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { types } from 'node:util';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const { WASI, WASIExitError, run } = require('../index.js');
const native = require('../binding.js');
const wabt = await require('wabt')();
const root = fileURLToPath(new URL('..', import.meta.url));

function bytesOf(wat) {
  return wabt.parseWat('guest.wat', wat, { exceptions: true }).toBinary({}).buffer;
}

/** Both generations of WebAssembly's exceptions, and what a C++ destructor is compiled to. */
const CATCHES = {
  'try and catch_all': (body) => `(try (do ${body}) (catch_all))`,
  'try, catch_all and rethrow within catch_all': (body) =>
    `(try (do (try $t (do ${body}) (catch_all (call $ran) (rethrow $t)))) (catch_all))`,
  'try_table and catch_all': (body) => `(block $l (try_table (catch_all $l) ${body}))`,
  'try_table and catch_all_ref': (body) =>
    `(drop (block $l (result exnref) (try_table (catch_all_ref $l) ${body}) (unreachable)))`,
};

const IMPORTS = `
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "env" "f" (func $f))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\10\\00\\00\\00\\01\\00\\00\\00x")
  (global $after (mut i32) (i32.const 0))
  (func (export "after") (result i32) (global.get $after))
  (func $ran (global.set $after (i32.add (global.get $after) (i32.const 1))))`;

/** Ends, as a guest meets them: its options, its call, and what start() then gives or throws. */
const mine = new RangeError('mine');
const fail = () => {
  throw mine;
};
const STDIN = '(drop (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0)))';
const STDOUT = '(drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))';
const YIELD = '(drop (call $yield))';
const ENDS = {
  proc_exit: [{}, '(call $exit (i32.const 7))', 7],
  'proc_exit, watched': [{ stats: true }, '(call $exit (i32.const 7))', 7],
  'limits.hostCalls': [{ limits: { hostCalls: 0 } }, YIELD, 'ERR_WASI_LIMIT'],
  timeoutMs: [{ timeoutMs: 0 }, `(loop $l ${YIELD} (br $l))`, 'ERR_WASI_LIMIT'],
  'a stdin that throws': [{ stdin: fail }, STDIN, mine],
  'a stdout that throws': [{ stdout: fail }, STDOUT, mine],
};

function guestOf(wat, options = {}, f = () => {}) {
  const wasi = new WASI({ version: 'preview1', ...options });
  const module = new WebAssembly.Module(bytesOf(wat));
  const instance = new WebAssembly.Instance(module, { ...wasi.getImportObject(), env: { f } });
  return { wasi, instance, ...instance.exports };
}

const command = (body) => `(module ${IMPORTS} (func (export "_start") ${body} (call $ran)))`;

/** The result of start(), or the error that it threw. */
function outcome(run) {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

function assertEnded(seen, expected) {
  if (expected === 'ERR_WASI_LIMIT') assert.equal(seen.code, expected);
  else assert.equal(seen, expected);
}

for (const [form, caught] of Object.entries(CATCHES)) {
  test(`no guest catches its own end: ${form}`, (t) => {
    let probe;
    try {
      probe = bytesOf(command(caught('(call $f)')));
    } catch {
      return t.skip('the assembler does not know this form');
    }
    if (!WebAssembly.validate(probe)) return t.skip('the engine does not know this form');

    // The form itself works: what the embedder's own function throws is caught.
    const own = guestOf(command(caught('(call $f)')), {}, fail);
    assert.equal(own.wasi.start(own.instance), 0);
    assert.ok(own.after() > 0);

    for (const [name, [options, call, expected]] of Object.entries(ENDS)) {
      const guest = guestOf(command(caught(call)), options);
      assertEnded(
        outcome(() => guest.wasi.start(guest.instance)),
        expected,
      );
      assert.equal(guest.after(), 0, `${name}: it went on`);

      // With JavaScript between the catch and the call, which lets the end pass.
      const order = [];
      const wat = `(module ${IMPORTS}
        (func (export "_start") ${caught('(call $f)')} (call $ran))
        (func (export "inner") ${caught(call)} (call $ran)))`;
      const through = guestOf(wat, options, () => {
        try {
          order.push('in');
          through.inner();
          order.push('back');
        } finally {
          order.push('finally');
        }
      });
      assertEnded(
        outcome(() => through.wasi.start(through.instance)),
        expected,
      );
      assert.deepEqual(order, ['in', 'finally']);
      assert.equal(through.after(), 0, `${name}: it went on, through JavaScript`);

      // The end of a guest that runs within another guest, and comes out of an export there.
      const inner = guestOf(
        `(module ${IMPORTS} (func (export "go") ${caught(call)} (call $ran)))`,
        options,
      );
      inner.wasi.finalizeBindings(inner.instance);
      const outer = guestOf(command(caught('(call $f)')), {}, () => inner.go());
      const thrown = outcome(() => outer.wasi.start(outer.instance));
      assert.match(thrown.code, /^ERR_WASI_(EXIT|LIMIT|STOPPED)$/, name);
      assert.deepEqual([inner.after(), outer.after()], [0, 0], `${name}: one of two went on`);
    }
  });
}

test('a guest that waits is ended by its deadline, and cannot catch it', (t) => {
  const wat = `(module ${IMPORTS.replace(
    '(memory',
    '(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory',
  )}
    (func (export "_start")
      (i32.store (i32.const 1040) (i32.const 1)) (i64.store (i32.const 1048) (i64.const 20000000000))
      (try (do (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3000)))) (catch_all))
      (call $ran)))`;
  const guest = guestOf(wat, { timeoutMs: 60 });
  const start = Date.now();
  assert.throws(() => guest.wasi.start(guest.instance), {
    code: 'ERR_WASI_LIMIT',
    limit: 'timeoutMs',
  });
  assert.ok(Date.now() - start < 10_000);
  assert.equal(guest.after(), 0);
});

const LATER = `(module ${IMPORTS}
  (func (export "_start"))
  (func (export "exit") (param i32) (call $exit (local.get 0)) (call $ran))
  (func (export "print") (result i32) (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
  (func (export "call") (call $f) (call $ran)))`;

test('out of an export that the embedder calls himself comes a WASIExitError', () => {
  const guest = guestOf(LATER, { stdout: 'pipe' });
  assert.equal(guest.wasi.start(guest.instance), 0);
  const errors = [3, -1, 300].map((code) => outcome(() => guest.exit(code)));
  // Each end is an object of its own, and stays as it was.
  assert.deepEqual(
    errors.map(({ code, exitCode, message }) => [code, exitCode, message]),
    [3, -1, 300].map((code) => ['ERR_WASI_EXIT', code, `The guest exited with code ${code}`]),
  );
  assert.equal(new Set(errors).size, 3);
  const [error] = errors;
  assert.ok(error instanceof WASIExitError && error instanceof Error && types.isNativeError(error));
  assert.ok(!(error instanceof WebAssembly.RuntimeError));
  assert.equal(error.name, 'WASIExitError');
  assert.match(error.stack, /^WASIExitError: The guest exited with code 3\n/);
  assert.match(error.stack, /ends\.test\.mjs/);
  assert.deepEqual(Object.keys(error).sort(), ['code', 'exitCode']);
  // An export that is called later starts afresh.
  assert.equal(guest.print(), 0);
  assert.equal(Buffer.from(guest.wasi.stdout).toString(), 'x');
  assert.equal(guest.after(), 0);
});

test('a WASIExitError of the embedder is caught by no guest either', () => {
  class Own extends WASIExitError {}
  const error = new Own(4);
  assert.ok(error instanceof Own && error.exitCode === 4 && error.code === 'ERR_WASI_EXIT');
  const guest = guestOf(command(CATCHES['try and catch_all']('(call $f)')), {}, () => {
    throw error;
  });
  // It is not this guest's end, so it is thrown on as it is.
  assert.equal(
    outcome(() => guest.wasi.start(guest.instance)),
    error,
  );
  assert.equal(guest.after(), 0);
});

test('out of such an export come limits as they are, and errors of the embedder as a cause', () => {
  const stopped = guestOf(LATER, { stdout: fail });
  stopped.wasi.start(stopped.instance);
  const error = outcome(() => stopped.print());
  assert.equal(error.code, 'ERR_WASI_STOPPED');
  assert.equal(error.cause, mine);
  assert.deepEqual(Object.keys(error), ['code']);
  assert.match(
    error.stack,
    /^Error \[ERR_WASI_STOPPED\]: A function of the embedder stopped the guest\n/,
  );
  assert.throws(() => stopped.print(), { code: 'ERR_WASI_STOPPED' });
  assert.throws(() => stopped.exit(1), { exitCode: 1 });

  const limited = guestOf(LATER, { stdout: 'ignore', limits: { hostCalls: 1 } });
  limited.wasi.start(limited.instance);
  assert.equal(limited.print(), 0);
  for (let count = 0; count < 2; count++) {
    assert.throws(() => limited.print(), { code: 'ERR_WASI_LIMIT', limit: 'hostCalls' });
  }
});

test('while start has not returned, each import of a guest that has ended throws its end again', () => {
  for (const options of [{}, { stats: true }, { stdin: () => null, stdout: () => {} }]) {
    let seen = 0;
    let first;
    const guest = guestOf(
      `(module ${IMPORTS}
         (func (export "_start") (call $f) ${YIELD} (call $ran))
         (func (export "exit") (param i32) (call $exit (local.get 0)) (call $ran)))`,
      options,
      () => {
        const call = guest.wasi.wasiImport;
        first = outcome(() => guest.exit(7));
        assert.ok(first instanceof WASIExitError);
        const again = (name, args) => {
          assert.equal(
            outcome(() => call[name](...args)),
            first,
            `${name}(${args})`,
          );
          seen++;
        };
        for (const [name, { signature }] of Object.entries(native.table.functions)) {
          again(
            name,
            [...signature].map((lane) => (lane === 'I' ? 0n : 0)),
          );
          if (signature.length === 0 || name === 'proc_exit') continue;
          // As a module may import it.
          again(
            name,
            [...signature, ''].map(() => 0),
          );
          again(
            name,
            [...signature].map(() => 'x'),
          );
        }
        // Nor does a memory that it is given now let it go on.
        const kSetMemory = Object.getOwnPropertySymbols(guest.wasi).find(
          ({ description }) => description === 'kSetMemory',
        );
        guest.wasi[kSetMemory](new WebAssembly.Memory({ initial: 1 }));
        again('sched_yield', []);
        // Its first end counts.
        again('proc_exit', [8]);
      },
    );
    assert.equal(guest.wasi.start(guest.instance), 7);
    assert.ok(seen > 120, `${seen} calls`);
    assert.equal(guest.after(), 0);
    assert.equal(guest.wasi.wasiImport.sched_yield(), 0);
  }
});

test('JavaScript that catches a limit or an error of the embedder does not make it good', () => {
  for (const [name, [options, call, expected]] of Object.entries(ENDS)) {
    const wat = `(module ${IMPORTS}
      (func (export "_start") (call $f))
      (func (export "inner") ${call}))`;
    const guest = guestOf(wat, options, () => outcome(() => guest.inner()));
    assertEnded(
      outcome(() => guest.wasi.start(guest.instance)),
      expected,
    );
    assert.ok(guest.wasi !== undefined, name);
  }
});

test('what JavaScript throws in the place of an end is thrown on', () => {
  const guest = guestOf(
    LATER.replace('(func (export "_start"))', '(func (export "_start") (call $f))'),
    {},
    () => {
      outcome(() => guest.exit(5));
      throw mine;
    },
  );
  assert.equal(
    outcome(() => guest.wasi.start(guest.instance)),
    mine,
  );
  for (const nothing of [undefined, null, 0]) {
    const other = guestOf(command('(call $f)'), {}, () => {
      throw nothing;
    });
    let thrown = 'nothing';
    try {
      other.wasi.start(other.instance);
    } catch (error) {
      thrown = error;
    }
    assert.equal(thrown, nothing);
  }
});

test('ends of guests within one another are kept apart', () => {
  const caught = CATCHES['try and catch_all'];
  const inner = () => guestOf(command(caught('(call $exit (i32.const 2))')));
  // The inner guest's start gives its code, and the outer guest goes on.
  const codes = [];
  const outer = guestOf(
    `(module ${IMPORTS} (func (export "_start") (call $f) (call $ran) ${caught('(call $exit (i32.const 1))')} (call $ran)))`,
    {},
    () => {
      const { wasi, instance, after } = inner();
      codes.push(wasi.start(instance), after());
    },
  );
  assert.equal(outer.wasi.start(outer.instance), 1);
  assert.deepEqual([...codes, outer.after()], [2, 0, 1]);

  // Two ends at a time: the outer guest has ended, and JavaScript runs another one before it lets
  // the end pass.
  const both = guestOf(
    LATER.replace('(func (export "_start"))', '(func (export "_start") (call $f))'),
    {},
    () => {
      try {
        both.exit(6);
      } finally {
        const { wasi, instance, after } = inner();
        codes.push(wasi.start(instance), after());
      }
    },
  );
  assert.equal(both.wasi.start(both.instance), 6);
  assert.deepEqual(codes, [2, 0, 2, 0]);
});

test('a stream function that ends its own guest, or another, ends the guest that called it', () => {
  // By an export of the same guest: it is the guest's own exit.
  for (const isCaught of [false, true]) {
    const guest = guestOf(
      LATER.replace('(func (export "_start"))', `(func (export "_start") ${STDOUT} (call $ran))`),
      {
        stdout() {
          if (isCaught) outcome(() => guest.exit(9));
          else guest.exit(9);
        },
      },
    );
    assert.equal(guest.wasi.start(guest.instance), 9);
    assert.equal(guest.after(), 0);
    if (!isCaught) assert.throws(() => guest.print(), { code: 'ERR_WASI_EXIT', exitCode: 9 });
  }
  const other = guestOf(LATER);
  other.wasi.start(other.instance);
  const guest = guestOf(command(CATCHES['try and catch_all'](STDOUT)), {
    stdout: () => other.exit(3),
  });
  assert.throws(() => guest.wasi.start(guest.instance), { code: 'ERR_WASI_EXIT', exitCode: 3 });
  assert.equal(guest.after(), 0);
});

test('initialize gives the exit code, or throws what stopped the guest', () => {
  const reactor = (body) =>
    `(module ${IMPORTS} (func (export "_initialize") ${CATCHES['try and catch_all'](body)} (call $ran)))`;
  for (const [options, call, expected] of Object.values(ENDS)) {
    const guest = guestOf(reactor(call), options);
    assertEnded(
      outcome(() => guest.wasi.initialize(guest.instance)),
      expected,
    );
    assert.equal(guest.after(), 0);
  }
  const guest = guestOf(reactor(''));
  assert.equal(guest.wasi.initialize(guest.instance), undefined);
  assert.equal(guest.after(), 1);
});

test('a guest may be run several times, as emnapi runs it, and each run is a new one', () => {
  const guest = guestOf(command('(call $exit (i32.const 5))'));
  const kStarted = Object.getOwnPropertySymbols(guest.wasi).find(
    ({ description }) => description === 'kStarted',
  );
  const memory = guest.memory;
  for (const [_start, code] of [
    [guest._start, 5],
    [() => {}, 0],
    [guest._start, 5],
  ]) {
    assert.equal(guest.wasi.start({ exports: { memory, _start } }), code);
    guest.wasi[kStarted] = false;
  }
  // One within another: all have ended when the outermost returns.
  let inner;
  const code = guest.wasi.start({
    exports: {
      memory,
      _start() {
        guest.wasi[kStarted] = false;
        inner = guest.wasi.start(guest.instance);
        assert.throws(() => guest.wasi.wasiImport.sched_yield(), WASIExitError);
      },
    },
  });
  assert.deepEqual([inner, code], [5, 5]);
  assert.equal(guest.wasi.wasiImport.sched_yield(), 0);
});

const IN_START_SECTION = `(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $s (try (do (call $exit (i32.const 5))) (catch_all)) (unreachable))
  (start $s)
  (func (export "_start")))`;

test('an exit in the start section gives its code', async (t) => {
  const wasi = new WASI({ version: 'preview1' });
  const module = new WebAssembly.Module(bytesOf(IN_START_SECTION));
  assert.throws(() => new WebAssembly.Instance(module, wasi.getImportObject()), {
    code: 'ERR_WASI_EXIT',
    exitCode: 5,
  });
  await assert.rejects(WebAssembly.instantiate(module, wasi.getImportObject()), { exitCode: 5 });
  const { exitCode } = await run(bytesOf(IN_START_SECTION));
  assert.equal(exitCode, 5);

  const dir = mkdtempSync(join(tmpdir(), 'wasi-rs-ends-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'guest.wasm');
  writeFileSync(file, bytesOf(IN_START_SECTION));
  const cli = join(root, 'bin', 'wasi-rs.js');
  for (const options of [[], ['--timeout', '20000']]) {
    const args = [cli, 'run', ...options, file];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [5, '']);
  }
  // Without returnOnExit it ends the process.
  const script = `const { WASI } = require('./index.js');
    const module = new WebAssembly.Module(require('node:fs').readFileSync(${JSON.stringify(file)}));
    new WebAssembly.Instance(module, new WASI({ version: 'preview1', returnOnExit: false }).getImportObject());
    console.log('went on');`;
  const { status, stdout } = spawnSync(process.execPath, ['-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout], [5, '']);
});

test('a guest has ended where the embedder put something in the place of process.exit', () => {
  const exiting = bytesOf(command(CATCHES['try and catch_all']('(call $exit (i32.const 6))')));
  const run = (exit) => {
    const script = `process.exit = ${exit};
      const { WASI } = require('./index.js');
      const wasi = new WASI({ version: 'preview1', returnOnExit: false });
      const module = new WebAssembly.Module(Buffer.from('${Buffer.from(exiting).toString('hex')}', 'hex'));
      const instance = new WebAssembly.Instance(module, { ...wasi.getImportObject(), env: { f() {} } });
      let seen;
      try { seen = wasi.start(instance); } catch (error) { seen = error.message; }
      console.log(seen, instance.exports.after());`;
    return spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' }).stdout;
  };
  assert.equal(run('() => {}'), '6 0\n');
  assert.equal(run("(code) => { throw new Error('exit ' + code); }"), 'exit 6 0\n');
});

test('ends leave Error.stackTraceLimit as it is, whatever the embedder made of it', () => {
  const guest = guestOf(LATER);
  guest.wasi.start(guest.instance);
  const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  try {
    for (const descriptor of [
      { value: 3, writable: true, configurable: true, enumerable: true },
      { value: 4, writable: false, configurable: true, enumerable: true },
      { get: () => 5, configurable: true, enumerable: true },
    ]) {
      Object.defineProperty(Error, 'stackTraceLimit', descriptor);
      assert.equal(outcome(() => guest.exit(1)).exitCode, 1);
      const { value, writable, get } = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
      assert.deepEqual(
        [value, writable, get],
        [descriptor.value, descriptor.writable, descriptor.get],
      );
    }
  } finally {
    Object.defineProperty(Error, 'stackTraceLimit', before);
  }
});

test('changes to globals and prototypes let no guest catch its end', () => {
  const exiting = command(CATCHES['try and catch_all']('(call $exit (i32.const 7))'));
  const guest = guestOf(exiting);
  const { Instance, Module, RuntimeError } = WebAssembly;
  const { get, set } = WeakMap.prototype;
  const { setPrototypeOf, defineProperty } = Object;
  try {
    Object.assign(WebAssembly, { Instance: null, Module: null, RuntimeError: null });
    Object.assign(WeakMap.prototype, { get: null, set: null });
    Object.assign(Object, { setPrototypeOf: null, defineProperty: null });
    assert.equal(guest.wasi.start(guest.instance), 7);
    assert.throws(() => guest._start(), { exitCode: 7 });
  } finally {
    Object.assign(WebAssembly, { Instance, Module, RuntimeError });
    Object.assign(WeakMap.prototype, { get, set });
    Object.assign(Object, { setPrototypeOf, defineProperty });
  }
  assert.equal(guest.after(), 0);
});
