// Standard streams that take their time: async functions, async iterables, the web's streams and
// Node's.
import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import test from 'node:test';
import { WASI, command, guest, later, skip, start } from './support/suspending.mjs';

const code = (expected) => (error) => {
  assert.equal(error.code, expected, error);
  return true;
};

const text = (chunk) => Buffer.from(chunk).toString();
const ECHO = '(call $echo)';

/** Each kind of input, of the same chunks; `fail` is thrown after them. */
const INPUTS = {
  'an async function': (chunks, fail) => async () => {
    await later(1);
    if (chunks.length > 0) return chunks.shift();
    if (fail) throw fail.error;
    return null;
  },
  'a function that gives promises at times': (chunks, fail) => () => {
    if (chunks.length === 0) return fail ? Promise.reject(fail.error) : null;
    return chunks.length % 2 === 0 ? chunks.shift() : later(1, chunks.shift());
  },
  'an async iterable': (chunks, fail) =>
    (async function* () {
      yield* chunks;
      if (fail) throw fail.error;
    })(),
  'a ReadableStream': (chunks, fail) =>
    new ReadableStream({
      async pull(controller) {
        await later(1);
        if (chunks.length > 0) controller.enqueue(chunks.shift());
        else if (fail) controller.error(fail.error);
        else controller.close();
      },
    }),
  'a Readable': (chunks, fail) =>
    new Readable({
      async read() {
        await later(1);
        if (chunks.length > 0) this.push(chunks.shift());
        else if (fail) this.destroy(fail.error);
        else this.push(null);
      },
    }),
};

/** Each kind of output, into a list; `slow` is called with each chunk. */
const OUTPUTS = {
  'an async function': (taken, slow, ended) => async (chunk) => {
    await slow(text(chunk));
    taken.push(text(chunk));
  },
  'a WritableStream': (taken, slow, ended) =>
    new WritableStream({
      async write(chunk) {
        await slow(text(chunk));
        taken.push(text(chunk));
      },
      close: () => ended.push('end'),
      abort: (reason) => ended.push(reason),
    }),
  'a Writable': (taken, slow, ended) =>
    new Writable({
      write(chunk, _, done) {
        Promise.resolve(slow(text(chunk))).then(() => {
          taken.push(text(chunk));
          done();
        }, done);
      },
      final(done) {
        ended.push('end');
        done();
      },
      destroy(reason, done) {
        if (reason) ended.push(reason);
        done(reason);
      },
    }),
};

for (const [name, make] of Object.entries(INPUTS)) {
  test(`${name} is read to its end`, { skip }, async () => {
    const taken = [];
    const stdout = (chunk) => void taken.push(text(chunk));
    const bytes = Buffer.from('bytes');
    const stdin = make([bytes, 'text ä', 'x'.repeat(10_000)]);
    assert.equal(await start(command(ECHO), { stdin, stdout }), 0);
    assert.equal(taken.join(''), `bytestext ä${'x'.repeat(10_000)}`);
  });

  test(`${name} that ends at once`, { skip }, async () => {
    assert.equal(await start(command(ECHO), { stdin: make([]) }), 0);
  });

  test(
    `${name} that throws stops the guest, and the error comes out as it is`,
    { skip },
    async () => {
      for (const chunks of [[], ['before']]) {
        const error = Object.assign(new Error('broken'), { own: 1 });
        const taken = [];
        const run = start(command(`(try (do ${ECHO}) (catch_all))`), {
          stdin: make([...chunks], { error }),
          stdout: (chunk) => void taken.push(text(chunk)),
        });
        await assert.rejects(run, (thrown) => thrown === error);
        // A Readable that is destroyed drops what it has.
        if (name !== 'a Readable') assert.deepEqual(taken, chunks);
      }
    },
  );

  test(`${name} that gives what is no bytes`, { skip }, async () => {
    if (name === 'a Readable') return;
    const run = start(command(ECHO), { stdin: make([{ no: 'bytes' }]) });
    await assert.rejects(run, code('ERR_INVALID_RETURN_VALUE'));
  });

  test(`${name}: poll_oneoff knows it`, { skip }, async () => {
    const one = guest({ stdin: make([later(40, 'first')].map(() => 'first')) });
    const [event] = await one.poll({ read: 0 }, 60_000);
    assert.deepEqual(event, { subscription: 0, errno: 0, nbytes: 5, hangup: false });
    assert.equal(await one.read(), 'first');
    assert.deepEqual(await one.poll({ read: 0 }, 60_000), [
      { subscription: 0, errno: 0, nbytes: 0, hangup: true },
    ]);
    assert.equal(await one.read(), '');
  });

  test(`${name} that never ends: a signal ends the guest`, { skip }, async () => {
    const never = name.includes('function')
      ? () => new Promise(() => {})
      : name === 'an async iterable'
        ? { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }
        : name === 'a ReadableStream'
          ? new ReadableStream()
          : new Readable({ read() {} });
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(5), 10);
    const run = start(command(ECHO), { stdin: never }, controller.signal);
    await assert.rejects(
      run.catch((reason) => Promise.reject(new Error(String(reason)))),
      /^Error: 5$/,
    );
    clearTimeout(timer);
  });
}

for (const [name, make] of Object.entries(OUTPUTS)) {
  test(`${name}: a write is done when the stream has taken it`, { skip }, async () => {
    const [taken, ended] = [[], []];
    let under = 0;
    const slow = async () => {
      assert.equal(++under, 1);
      await later(5);
      under--;
    };
    const one = guest({ stdout: make(taken, slow, ended) });
    for (const chunk of ['a', 'bc', 'def']) {
      assert.equal(await one.write(1, chunk), chunk.length);
      assert.equal(taken.at(-1), chunk);
    }
    one.wasi.close();
  });

  test(`${name}: both outputs, and their end`, { skip }, async () => {
    for (const stream of ['stdout', 'stderr']) {
      const [taken, ended] = [[], []];
      const out = make(taken, () => later(1), ended);
      const module = command('(call $sleep (i32.const 1)) (call $echo)');
      const options = { stdin: Buffer.from('text'), [stream]: out };
      assert.equal(await start(module, options), 0);
      assert.deepEqual(taken, stream === 'stdout' ? ['text'] : []);
      assert.deepEqual(ended, name.includes('function') ? [] : ['end']);
    }
  });

  test(
    `${name} that fails stops the guest, and the error comes out as it is`,
    { skip },
    async () => {
      const error = new Error('full');
      const [taken, ended] = [[], []];
      let writes = 0;
      const slow = async () => {
        await later(1);
        if (++writes === 2) throw error;
      };
      const run = start(
        command(`(loop $on (try (do (call $write (i32.const 1))) (catch_all)) (br $on))`),
        {
          stdout: make(taken, slow, ended),
        },
      );
      await assert.rejects(run, (thrown) => thrown === error);
      assert.equal(taken.length, 1);
    },
  );

  test(`${name} learns that the guest has failed`, { skip }, async () => {
    const [taken, ended] = [[], []];
    const stdout = make(taken, () => later(1), ended);
    await assert.rejects(start(command('unreachable'), { stdout }), WebAssembly.RuntimeError);
    await later(5);
    if (name.includes('function')) return;
    assert.equal(ended.length, 1);
    assert.ok(ended[0] instanceof WebAssembly.RuntimeError);
  });
}

test('a function that throws at once', { skip }, async () => {
  const error = new Error('at once');
  const fail = () => {
    throw error;
  };
  const same = (thrown) => thrown === error;
  await assert.rejects(start(command(ECHO), { stdin: fail }), same);
  await assert.rejects(start(command('(call $write (i32.const 1))'), { stdout: fail }), same);
});

test('a chunk that is larger than the read is kept for the next one', { skip }, async () => {
  let asked = 0;
  const one = guest({ stdin: async (size) => (asked++ === 0 ? 'abcdefgh' : String(size)) });
  assert.equal(await one.read(0, 3), 'abc');
  assert.equal(await one.read(0, 3), 'def');
  assert.equal(await one.read(0, 3), 'gh');
  assert.equal(asked, 1);
  assert.equal(await one.read(0, 100), '65536');
});

test('what a poll has fetched is not lost when its clock comes first', { skip }, async () => {
  const one = guest({ stdin: async () => later(300, 'late') });
  assert.deepEqual(
    (await one.poll({ read: 0 }, 5)).map(({ subscription }) => subscription),
    [1],
  );
  assert.equal(await one.read(), 'late');
});

const READ_ONE = `(drop (call $read))`;

test('what the guest has not read goes back to a Readable', { skip }, async () => {
  for (const encoding of [undefined, 'utf8']) {
    const stream = new PassThrough({ encoding });
    stream.write('x'.repeat(5000));
    const run = start(command(READ_ONE), { stdin: stream });
    assert.equal(await run, 0);
    assert.equal(stream.destroyed, false);
    assert.equal(stream.listenerCount('error'), 0);
    stream.end('!');
    let rest = '';
    for await (const chunk of stream) rest += chunk;
    // The guest reads 4,096 bytes.
    assert.equal(rest, `${'x'.repeat(904)}!`);
  }
});

test('what cannot go back is told of, and the stream is cancelled', { skip }, async () => {
  const cases = {
    iterable: (over) =>
      (async function* () {
        try {
          yield 'x'.repeat(5000);
          yield 'more';
        } finally {
          over.push('return');
        }
      })(),
    web: (over) =>
      new ReadableStream({
        pull: (controller) => controller.enqueue(Buffer.from('x'.repeat(5000))),
        cancel: () => void over.push('cancel'),
      }),
    function: () => async () => 'x'.repeat(5000),
  };
  for (const [kind, make] of Object.entries(cases)) {
    const over = [];
    const stdin = make(over);
    const wasi = new WASI({ suspend: true, stdin, stdout: 'ignore' });
    const run = wasi.startAsync(
      new WebAssembly.Instance(command(READ_ONE), wasi.getImportObject()),
    );
    assert.equal(await run, 0);
    await later(1);
    assert.equal(text(wasi.unreadInput), 'x'.repeat(904), kind);
    assert.equal(over.length, kind === 'function' ? 0 : 1, kind);
    assert.ok(!stdin.locked);
  }
});

test('two guests never share one stream', { skip }, async () => {
  const make = (options) => new WASI({ suspend: true, ...options });
  const iterable = (async function* () {})();
  for (const stdin of [new ReadableStream(), new Readable({ read() {} }), iterable]) {
    const first = make({ stdin });
    assert.throws(() => make({ stdin }), code('ERR_INVALID_ARG_VALUE'));
    first.close();
  }
  const [out, pass] = [new WritableStream(), new PassThrough()];
  for (const stdout of [out, pass]) {
    const first = make({ stdout, stderr: stdout });
    assert.throws(() => make({ stderr: stdout }), code('ERR_INVALID_ARG_VALUE'));
    first.close();
  }
  const locked = new ReadableStream();
  locked.getReader();
  assert.throws(() => make({ stdin: locked }), code('ERR_INVALID_ARG_VALUE'));
  const ended = new PassThrough().end();
  assert.throws(() => make({ stdout: ended }), code('ERR_INVALID_ARG_VALUE'));
  const gone = new PassThrough();
  gone.destroy();
  assert.throws(() => make({ stdin: gone }), code('ERR_INVALID_ARG_VALUE'));
  // What has been read to its end gives the end, and not all that is `locked` is a web stream.
  const empty = Readable.from([]);
  for await (const _ of empty) assert.fail();
  assert.ok(empty.destroyed && empty.readableEnded);
  make({ stdin: empty }).close();
  make({ stdin: Object.assign(Readable.from(['x']), { locked: true }) }).close();
  // The error names all that there is.
  for (const [options, message] of [
    [{ stdin: 'text' }, /"fd", or an async iterable or a stream to read\. Received type string/],
    [{ stdin: new Writable() }, /or a stream to read\. Received an instance of Writable/],
    [{ stderr: ['a'] }, /"fd", or a stream to write\. Received an instance of Array/],
  ]) {
    assert.throws(() => make(options), { code: 'ERR_INVALID_ARG_TYPE', message });
  }
});

test('what could not be made leaves the streams as they were', { skip }, () => {
  const stdin = new ReadableStream();
  const out = new WritableStream();
  const make = (options) => new WASI({ suspend: true, stdin, stdout: out, ...options });
  assert.throws(() => make({ preopens: { '/x': '/there/is/none' } }), code('UVWASI_ENOENT'));
  assert.throws(() => make({ returnOnExit: 5 }), code('ERR_INVALID_ARG_TYPE'));
  const locked = new WritableStream();
  locked.getWriter();
  assert.throws(() => make({ stderr: locked }), code('ERR_INVALID_ARG_VALUE'));
  // The second of two listeners fails.
  const taken = new WASI({ sockets: [{ host: '127.0.0.1', port: 0 }] });
  const [{ address: host, port }] = taken.sockets;
  const sockets = [
    { host, port: 0 },
    { host, port },
  ];
  assert.throws(() => make({ sockets }), code('EADDRINUSE'));
  taken.close();
  assert.equal(stdin.locked, false);
  assert.equal(out.locked, false);
  make().close();
});

test('one stream for both outputs keeps their order, and ends once', { skip }, async () => {
  const taken = [];
  const stream = new PassThrough();
  stream.on('data', (chunk) => taken.push(text(chunk)));
  const one = guest({ stdout: stream, stderr: stream });
  await one.write(1, 'one ');
  await one.write(2, 'two ');
  await one.write(1, 'three');
  await later(1);
  assert.equal(taken.join(''), 'one two three');
  one.wasi.close();
});

test('an output that the guest closes ends then', { skip }, async () => {
  const stream = new PassThrough();
  let isOver = false;
  stream.resume().on('end', () => (isOver = true));
  const module = command('(drop (call $fd_close (i32.const 1))) (call $sleep (i32.const 60000))');
  const controller = new AbortController();
  const run = start(module, { stdout: stream }, controller.signal);
  for (let at = 0; at < 200 && !isOver; at++) await later(5);
  assert.ok(isOver);
  controller.abort();
  await assert.rejects(run);
});

test(
  'a second call may not wait for a stream either, and its write is not lost',
  { skip },
  async () => {
    const taken = [];
    const one = guest({
      stdout: async (chunk) => {
        await later(20);
        taken.push(text(chunk));
      },
    });
    const first = one.write(1, 'one');
    await later(1);
    await assert.rejects(one.write(1, 'two'), code('ERR_WASI_BUSY'));
    assert.equal(await first, 3);
    await later(30);
    assert.deepEqual(taken, ['one', 'two']);
  },
);

test('a stream function may call the guest', { skip }, async () => {
  const one = guest({
    stdin: async () => {
      await later(5);
      assert.equal(one.exports.five(), 5);
      return 'fed';
    },
  });
  assert.equal(await one.read(), 'fed');
});

test('a Readable that is closed before its end', { skip }, async () => {
  const stream = new Readable({ read() {} });
  setTimeout(() => stream.destroy(), 10);
  await assert.rejects(start(command(ECHO), { stdin: stream }), code('ERR_STREAM_PREMATURE_CLOSE'));
});

test('a Writable that is closed while a write waits', { skip }, async () => {
  const stream = new Writable({ write() {} });
  setTimeout(() => stream.destroy(), 10);
  const run = start(command('(call $write (i32.const 1))'), { stdout: stream });
  await assert.rejects(run, /Premature close|destroyed/);
});

test('a Writable that has been ended meanwhile, as a socket is by its peer', { skip }, async () => {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  const run = start(command('(call $sleep (i32.const 50))'), { stdout: stream });
  await new Promise((resolve) => stream.end(resolve));
  assert.equal(await run, 0);
  const late = new Writable({ write: (_chunk, _encoding, done) => done() });
  const program = command('(call $sleep (i32.const 50)) (call $write (i32.const 1))');
  const failing = start(program, { stdout: late });
  late.end();
  await assert.rejects(failing, code('ERR_STREAM_WRITE_AFTER_END'));
});

/** What a program is told by `uncaughtException` during some work and shortly after it. */
async function uncaughtIn(work) {
  const told = [];
  const listener = (error) => told.push(error.message);
  process.on('uncaughtException', listener);
  try {
    await work();
    await later(50);
  } finally {
    process.off('uncaughtException', listener);
  }
  return told;
}

test('an error that a stream tells after the guest ends no process', { skip }, async () => {
  const slowly = (error, done) => setTimeout(done, 10, error);
  const WRITE = '(call $write (i32.const 1))';
  for (const destroy of [undefined, slowly]) {
    const told = await uncaughtIn(async () => {
      // The embedder destroys the input in the guest's last call.
      for (const isAsync of [false, true]) {
        const stdin = new Readable({ read() {}, destroy });
        const fail = () => void stdin.destroy(new Error('late'));
        const stdout = isAsync ? async () => fail() : fail;
        assert.equal(await start(command(WRITE), { stdin, stdout }), 0);
      }
      // A guest that fails destroys its output.
      const out = new Writable({ write: (_chunk, _encoding, done) => done(), destroy });
      const run = start(command(`${WRITE} unreachable`), { stdout: out });
      await assert.rejects(run, WebAssembly.RuntimeError);
    });
    assert.deepEqual(told, []);
  }
});

test('close() lets the streams go, also while a call waits or goes on', { skip }, async () => {
  const make = (more) => {
    const stdin = new Readable({ read() {} });
    const ended = [];
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
    stdout.on('finish', () => ended.push('end')).on('error', ({ code }) => ended.push(code));
    return { stdin, stdout, ended, one: guest({ stdin, stdout, ...more }) };
  };
  const waits = make();
  const reading = waits.one.read();
  await later(5);
  waits.one.wasi.close();
  await assert.rejects(reading, code('ERR_WASI_CLOSED'));
  await later(5);
  assert.deepEqual(waits.ended, ['ERR_WASI_CLOSED']);
  assert.deepEqual(waits.stdin.eventNames(), []);

  // The embedder closes it in a call of the guest.
  const goesOn = make({ stderr: () => goesOn.one.wasi.close() });
  assert.equal(await goesOn.one.write(2, 'x'), 1);
  await later(5);
  assert.deepEqual(goesOn.ended, ['end']);
  assert.deepEqual(goesOn.stdin.eventNames(), []);
});

const hangs = { skip, timeout: 20_000 };

test('a signal ends the wait for outputs that take no end', hangs, async () => {
  const outputs = {
    node: () => new Writable({ write: (_chunk, _encoding, done) => done(), final() {} }),
    web: () => new WritableStream({ close: () => new Promise(() => {}) }),
  };
  for (const make of Object.values(outputs)) {
    const controller = new AbortController();
    const stdout = make();
    const run = start(command('(call $write (i32.const 1))'), { stdout }, controller.signal);
    await later(20);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(run, (error) => error === reason);
    if (stdout instanceof Writable) assert.ok(stdout.destroyed);
  }
});

test('programs may replace the global Promise', { skip }, async () => {
  const { Promise: Native } = globalThis;
  // As zone.js does: a class that is neither above nor below the native one.
  class Other {
    #native;
    constructor(executor) {
      this.#native = new Native(executor);
    }
    then(...handlers) {
      return Other.resolve(this.#native.then(...handlers));
    }
    catch(handler) {
      return this.then(undefined, handler);
    }
    finally(handler) {
      return Other.resolve(this.#native.finally(handler));
    }
    static resolve(value) {
      return value instanceof Other ? value : new Other((resolve) => resolve(value));
    }
    static reject(error) {
      return new Other((_, reject) => reject(error));
    }
  }
  for (const name of ['all', 'race', 'allSettled']) {
    Other[name] = (list) => Other.resolve(Native[name](list));
  }
  globalThis.Promise = Other;
  try {
    for (const [name, make] of Object.entries(INPUTS)) {
      const taken = [];
      const stdout = async (chunk) => void taken.push(text(chunk));
      assert.equal(await start(command(ECHO), { stdin: make(['a', 'b', 'c']), stdout }), 0, name);
      assert.equal(taken.join(''), 'abc', name);
    }
  } finally {
    globalThis.Promise = Native;
  }
});

test('a WASI that could not be made for its streams leaves nothing open', { skip }, async () => {
  const stdin = new Readable({ read() {} });
  const first = new WASI({ suspend: true, stdin });
  const taken = new WASI({ sockets: [{ host: '127.0.0.1', port: 0 }] });
  const [{ port }] = taken.sockets;
  taken.close();
  const sockets = [{ host: '127.0.0.1', port }];
  const make = (more) => new WASI({ suspend: true, sockets, ...more });
  assert.throws(() => make({ stdin }), code('ERR_INVALID_ARG_VALUE'));
  make({ stdin: 'ignore' }).close();
  first.close();
});

for (const [kind, join] of Object.entries({
  web: () => {
    const { readable, writable } = new TransformStream();
    return [writable, readable];
  },
  node: () => {
    const stream = new PassThrough();
    return [stream, stream];
  },
})) {
  test(`a pipeline of three guests in one thread, of ${kind} streams`, { skip }, async () => {
    const [toB, fromA] = join();
    const [toC, fromB] = join();
    const taken = [];
    const echo = command(ECHO);
    const slow = command('(call $sleep (i32.const 20)) (call $echo)');
    let left = 20;
    const codes = await Promise.all([
      start(echo, {
        stdin: async () => (left-- > 0 ? later(1, `line ${left}\n`) : null),
        stdout: toB,
      }),
      start(slow, { stdin: fromA, stdout: toC }),
      start(echo, { stdin: fromB, stdout: async (chunk) => void taken.push(text(chunk)) }),
    ]);
    assert.deepEqual(codes, [0, 0, 0]);
    const expected = Array.from({ length: 20 }, (_, at) => `line ${19 - at}\n`).join('');
    assert.equal(taken.join(''), expected);
  });
}
