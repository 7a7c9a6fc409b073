// Sockets of guests that suspend: what waits, what may end it, and servers beside their clients.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { describe, it } from 'node:test';
import { LOCAL, POLLING, SERVERS, ask, clientsOf } from './support/http-servers.mjs';
import { describeServers } from './support/servers-apart.mjs';
import {
  WASI,
  WASIExitError,
  command,
  compile,
  guest,
  hasJspi,
  later,
  skip,
} from './support/suspending.mjs';
import { withFolder } from './support/tree.mjs';

const onWindows = process.platform === 'win32';
const onNode = !process.versions.bun && !process.versions.deno;
const BLOCKING_SOCKET = { ...LOCAL, nonblock: false };
const ERRNO = { again: 6, badf: 8, connreset: 15, dquot: 19, mfile: 33, pipe: 64 };
const WAITALL = 2;
/** More than the kernel keeps for a connection that nobody reads. */
const MUCH = 8 << 20;

const code = (expected) => (error) => {
  assert.equal(error.code, expected, error);
  return true;
};

/** A guest with a listener at descriptor 3, closed after the test. */
function listening(t, options, given) {
  const one = guest({ sockets: [BLOCKING_SOCKET], ...options }, given);
  t.after(() => one.wasi.close());
  return one;
}

/** A program of the host that connects to a guest's listener. */
async function connect(t, one, index = 0) {
  const { address, port, family } = one.wasi.sockets[index];
  const socket = net.connect(family === 'Unix' ? { path: address } : { host: address, port });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** A guest with a connection, whose peer reads nothing until it is told to. */
async function connected(t, options, given) {
  const one = listening(t, options, given);
  const peer = await connect(t, one);
  const fd = await one.accept(3);
  assert.ok(fd > 3, `${fd}`);
  return { one, peer, fd };
}

/** That a promise is still pending after some turns of the loop. */
async function isPending(promise) {
  const mark = {};
  const first = await Promise.race([promise.catch((error) => error), later(20, mark)]);
  assert.equal(first, mark, 'it waits');
}

/** All that a socket gives until its end. */
async function textOf(socket) {
  let size = 0;
  for await (const chunk of socket) size += chunk.length;
  return size;
}

/** `once` would fail where the connection was reset. */
async function closed(socket) {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

// --- What waits
// -----------------------------------------------------------------------------------

for (const version of ['preview1', 'unstable']) {
  test(`sock_accept, sock_recv and sock_send wait: ${version}`, { skip }, async (t) => {
    const one = listening(t, { version });
    const accepted = one.accept(3);
    await isPending(accepted);
    const peer = await connect(t, one);
    const fd = await accepted;
    assert.ok(fd > 3, `${fd}`);
    for (const [read, write] of [
      ['recv', 'send'],
      ['read', 'write'],
    ]) {
      const received = one[read](fd);
      await isPending(received);
      peer.write('to the guest');
      assert.equal(await received, 'to the guest');
      assert.equal(await one[write](fd, 'to the host'), 11);
      assert.equal(String((await once(peer, 'data'))[0]), 'to the host');
    }
    const received = one.recv(fd);
    await isPending(received);
    peer.end();
    assert.equal(await received, '', 'its end');
  });

  test(`poll_oneoff waits for sockets: ${version}`, { skip }, async (t) => {
    const one = listening(t, { version });
    const timed = await one.poll({ read: 3 }, 30);
    assert.deepEqual(
      timed.map(({ subscription }) => subscription),
      [1],
      'the clock',
    );
    const connects = one.poll(60_000, { read: 3 });
    await isPending(connects);
    const peer = await connect(t, one);
    assert.deepEqual(
      (await connects).map(({ subscription, errno }) => [subscription, errno]),
      [[1, 0]],
    );
    const fd = await one.accept(3);
    const [writable] = await one.poll({ read: fd }, { write: fd });
    assert.deepEqual([writable.subscription, writable.errno], [1, 0]);
    const readable = one.poll({ read: fd }, 60_000);
    await isPending(readable);
    peer.write('abc');
    assert.deepEqual(await readable, [{ subscription: 0, errno: 0, nbytes: 3, hangup: false }]);
    assert.equal(await one.recv(fd), 'abc');
    const ends = one.poll({ read: fd }, 60_000);
    await isPending(ends);
    peer.end();
    const [end] = await ends;
    assert.deepEqual([end.subscription, end.errno, end.nbytes], [0, 0, 0]);
    assert.equal(await one.recv(fd), '');
  });
}

test('RECV_WAITALL waits until the buffer is full', { skip: skip || onWindows }, async (t) => {
  const { one, peer, fd } = await connected(t);
  const received = one.recv(fd, 9, WAITALL);
  for (const piece of ['abc', 'def']) {
    peer.write(piece);
    await isPending(received);
  }
  peer.write('ghi');
  assert.equal(await received, 'abcdefghi');
});

test('what is larger than the room waits until all of it has gone', { skip }, async (t) => {
  for (const write of ['send', 'write']) {
    const memory = '(memory (export "memory") 200)';
    const { one, peer, fd } = await connected(t, {}, { memory });
    const sent = one[write](fd, Buffer.alloc(MUCH, 'x'));
    await isPending(sent);
    const size = textOf(peer);
    assert.equal(await sent, MUCH);
    assert.equal(one.exports.sock_shutdown(fd, 2), 0);
    assert.equal(await size, MUCH);
  }
});

test('a socket with NONBLOCK answers at once', { skip }, async (t) => {
  const one = listening(t, { sockets: [LOCAL] });
  assert.equal(one.exports.sock_accept(3, 0, 64), ERRNO.again);
  const peer = await connect(t, one);
  const NONBLOCK = 4;
  await one.poll({ read: 3 });
  const fd = await one.accept(3, NONBLOCK);
  assert.ok(fd > 3, `${fd}`);
  assert.equal(await one.recv(fd), ERRNO.again);
  peer.write('x');
  await one.poll({ read: fd });
  assert.equal(await one.recv(fd), 'x');
});

test('Unix sockets, and sockets of the host', { skip: skip || onWindows || !onNode }, async (t) => {
  await withFolder(async (folder) => {
    const server = net.createServer().listen({ ...LOCAL, exclusive: true });
    await once(server, 'listening');
    const path_ = path.join(folder, 'socket');
    const sockets = [
      { path: path_, nonblock: false },
      { fd: server._handle.fd, nonblock: false },
    ];
    const one = listening(t, { sockets });
    server.close();
    for (const index of [0, 1]) {
      const accepted = one.accept(3 + index);
      await isPending(accepted);
      const peer = await connect(t, one, index);
      const fd = await accepted;
      const received = one.recv(fd);
      await isPending(received);
      peer.write('x');
      assert.equal(await received, 'x');
    }
    const accepted = one.accept(3);
    await isPending(accepted);
    one.wasi.close();
    assert.equal(fs.existsSync(path_), false, 'the file has gone with the instance');
    await assert.rejects(accepted, code('ERR_WASI_CLOSED'));
  });
});

test('two guests wait for the connections of one socket', { skip: skip || !onNode }, async (t) => {
  const first = listening(t);
  // Both have a socket of the host.
  const server = net.createServer().listen({ ...LOCAL, exclusive: true });
  await once(server, 'listening');
  const sockets = [{ fd: server._handle.fd, nonblock: false }];
  const both = [listening(t, { sockets }), listening(t, { sockets })];
  server.close();
  const accepted = both.map((one) => one.accept(3));
  await Promise.all(accepted.map(isPending));
  await Promise.all([connect(t, both[0]), connect(t, both[1])]);
  assert.ok((await Promise.all(accepted)).every((fd) => fd > 3));
  await isPending(first.accept(3));
});

// --- What may go wrong while a call waits
// ---------------------------------------------------------

test('a peer that resets', { skip: skip || !onNode || onWindows }, async (t) => {
  for (const kind of ['recv', 'read']) {
    const { one, peer, fd } = await connected(t);
    const received = one[kind](fd);
    await isPending(received);
    peer.resetAndDestroy();
    assert.equal(await received, ERRNO.connreset, kind);
    assert.equal(await one[kind](fd), '', 'once, and then the end');
    assert.equal(await one.send(fd, 'x'), -ERRNO.pipe);
  }
  {
    const { one, peer, fd } = await connected(t);
    const polled = one.poll({ read: fd }, 60_000);
    await isPending(polled);
    peer.resetAndDestroy();
    const [{ subscription, errno, hangup }] = await polled;
    assert.deepEqual([subscription, errno, hangup], [0, 0, true]);
    assert.equal(await one.recv(fd), ERRNO.connreset);
  }
  for (const kind of ['send', 'write']) {
    const memory = '(memory (export "memory") 200)';
    const { one, peer, fd } = await connected(t, {}, { memory });
    const sent = one[kind](fd, Buffer.alloc(MUCH));
    await isPending(sent);
    peer.resetAndDestroy();
    const some = await sent;
    assert.ok(some > 0 && some < MUCH, `${kind}: ${some}`);
    const next = await one[kind](fd, 'x');
    assert.ok([-ERRNO.connreset, -ERRNO.pipe].includes(next), `${kind}: ${next}`);
    assert.equal(await one[kind](fd, 'x'), -ERRNO.pipe);
  }
  // One that has gone before it was taken.
  const one = listening(t);
  const accepted = one.accept(3);
  await isPending(accepted);
  (await connect(t, one)).resetAndDestroy();
  const fd = await accepted;
  assert.equal(await one.recv(fd), ERRNO.connreset);
});

/** Each call that can wait for a socket, as it begins. */
const WAITS = {
  sock_accept: ({ one }) => one.accept(3),
  sock_recv: ({ one, fd }) => one.recv(fd),
  fd_read: ({ one, fd }) => one.read(fd),
  sock_send: ({ one, fd }) => one.send(fd, Buffer.alloc(MUCH)),
  fd_write: ({ one, fd }) => one.write(fd, Buffer.alloc(MUCH)),
  poll_oneoff: ({ one, fd }) => one.poll({ read: fd }, { read: 3 }),
};
const ROOMY = { memory: '(memory (export "memory") 200)' };

const openDescriptors = () => fs.readdirSync('/proc/self/fd').length;

/** The thread that waits, and its descriptors, stay for a moment when nobody waits. */
async function descriptorsLeft(before) {
  for (let at = 0; at < 100 && openDescriptors() > before; at++) await later(10);
  return openDescriptors() - before;
}

for (const [name, begin] of Object.entries(WAITS)) {
  test(`${name} waits, and the guest is ended`, { skip }, async (t) => {
    const counts = process.platform === 'linux' && onNode;
    for (const [end, options, act, expected] of [
      ['close()', {}, ({ wasi }) => wasi.close(), code('ERR_WASI_CLOSED')],
      [
        'proc_exit',
        {},
        ({ exports }) => assert.throws(() => exports.exit(4), WASIExitError),
        ({ exitCode }) => exitCode === 4,
      ],
      ['timeoutMs', { timeoutMs: 100 }, () => {}, code('ERR_WASI_LIMIT')],
      [
        'hostCalls',
        { limits: { hostCalls: 3 } },
        async (one) => {
          for (let at = 0; at < 3; at++) {
            try {
              one.exports.sched_yield();
            } catch (error) {
              return code('ERR_WASI_LIMIT')(error);
            }
          }
          return assert.fail('it made all of its calls');
        },
        code('ERR_WASI_LIMIT'),
      ],
    ]) {
      const before = counts ? openDescriptors() : 0;
      const made = await connected(t, options, ROOMY);
      const waiting = begin(made);
      const ended = assert.rejects(waiting, expected, end);
      if (end !== 'timeoutMs') await isPending(waiting);
      await act(made.one);
      await ended;
      const { port } = made.one.wasi.sockets[0];
      made.one.wasi.close();
      made.peer.destroy();
      await closed(made.peer);
      if (counts) assert.ok((await descriptorsLeft(before)) <= 0, `${end} leaves nothing open`);
      new WASI({ sockets: [{ ...LOCAL, port }] }).close();
    }
  });

  test(`${name} waits, and another call of the guest traps`, { skip }, async (t) => {
    const made = await connected(t, {}, ROOMY);
    const waiting = begin(made);
    await isPending(waiting);
    assert.throws(() => made.one.exports.trap(), WebAssembly.RuntimeError);
    await isPending(waiting);
    made.peer.resume().write('x');
    await connect(t, made.one);
    const result = await waiting;
    assert.ok(typeof result !== 'number' || result >= 0, `${result}`);
  });
}

test('close() closes what a call waits for at once', { skip }, async (t) => {
  for (const wait of ['accept', 'poll']) {
    const one = listening(t);
    const waiting = wait === 'accept' ? one.accept(3) : one.poll({ read: 3 });
    const ended = assert.rejects(waiting, code('ERR_WASI_CLOSED'));
    await isPending(waiting);
    const { port } = one.wasi.sockets[0];
    one.wasi.close();
    // In the same turn: nothing has told the guest yet.
    new WASI({ sockets: [{ ...LOCAL, port }] }).close();
    await ended;
  }
});

test('a signal ends a command that waits for a connection', { skip }, async () => {
  const wasi = new WASI({ suspend: true, sockets: [BLOCKING_SOCKET] });
  const module = command('(try (do (call $accept)) (catch_all))');
  const controller = new AbortController();
  const reason = new Error('enough');
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  const run = wasi.startAsync(instance, { signal: controller.signal });
  await isPending(run);
  controller.abort(reason);
  await assert.rejects(run, (error) => error === reason);
  wasi.close();
});

test('start() of a guest that has to wait for a connection', { skip }, () => {
  const wasi = new WASI({ suspend: true, sockets: [BLOCKING_SOCKET] });
  const module = command('(try (do (call $accept)) (catch_all))');
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  assert.throws(() => wasi.start(instance), code('ERR_WASI_WOULD_WAIT'));
  wasi.close();
});

test('a second call may not wait for a socket either', { skip }, async (t) => {
  const { one, peer, fd } = await connected(t);
  const first = one.recv(fd);
  await isPending(first);
  await assert.rejects(one.accept(3), code('ERR_WASI_BUSY'));
  assert.throws(() => one.exports.sock_accept(3, 0, 64), code('ERR_WASI_BUSY'));
  peer.write('first');
  assert.equal(await first, 'first');
  // The refused options have taken no connection.
  await connect(t, one);
  assert.ok((await one.accept(3)) > fd);
});

test('a socket that is closed while a call waits for it', { skip }, async (t) => {
  const { one, peer, fd } = await connected(t);
  const received = one.recv(fd);
  await isPending(received);
  assert.equal(one.exports.fd_close(fd), 0);
  peer.write('x');
  assert.equal(await received, ERRNO.badf, 'when the guest looks again');
  await closed(peer);
});

test('the memory grows while a call waits for a socket', { skip }, async (t) => {
  for (const memory of [
    '(memory (export "memory") 2 200)',
    '(memory (export "memory") 2 200 shared)',
  ]) {
    const { one, peer, fd } = await connected(t, {}, { memory });
    for (const kind of ['recv', 'read']) {
      for (const grow of [() => one.exports.grow(20), () => one.exports.memory.grow(20)]) {
        const received = one[kind](fd);
        await isPending(received);
        grow();
        peer.write('after');
        assert.equal(await received, 'after');
      }
    }
    const polled = one.poll({ read: fd });
    await isPending(polled);
    one.exports.grow(1);
    peer.write('x');
    assert.equal((await polled)[0].nbytes, 1);
    const accepted = one.accept(3);
    await isPending(accepted);
    one.exports.grow(1);
    await connect(t, one);
    assert.ok((await accepted) > fd);
  }
});

test('a memory of 64 bits', { skip }, async (t) => {
  let module;
  try {
    module = compile(`(module
      (import "wasi_snapshot_preview1" "sock_accept"
        (func $accept (param i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "sock_recv"
        (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") i64 1)
      (data (i64.const 0) "\\40\\00\\00\\00\\10\\00\\00\\00")
      (func (export "grow") (result i64) (memory.grow (i64.const 1)))
      (func (export "serve") (result i32)
        (if (call $accept (i32.const 3) (i32.const 0) (i32.const 16)) (then unreachable))
        (call $recv (i32.load (i64.const 16)) (i32.const 0) (i32.const 1) (i32.const 0)
          (i32.const 24) (i32.const 28))))`);
  } catch (error) {
    t.skip(`this runtime has none: ${error.message}`);
    return;
  }
  const wasi = new WASI({ suspend: true, sockets: [BLOCKING_SOCKET] });
  t.after(() => wasi.close());
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  await wasi.initializeAsync(instance);
  const served = wasi.promising(instance.exports.serve)();
  await isPending(served);
  const peer = await connect(t, { wasi });
  await isPending(served);
  instance.exports.grow();
  peer.write('wide');
  assert.equal(await served, 0);
  assert.equal(Buffer.from(instance.exports.memory.buffer, 64, 4).toString(), 'wide');
});

// --- What watches and limits the calls
// ------------------------------------------------------------

test('traces and statistics name peers, and count waiting apart', { skip }, async (t) => {
  const events = [];
  const trace = (event) => events.push(event);
  const one = listening(t, { trace, stats: true, timeoutMs: 60_000 });
  const accepted = one.accept(3);
  await later(100);
  const peer = await connect(t, one);
  const fd = await accepted;
  const received = one.recv(fd);
  await later(100);
  peer.write('x');
  await received;
  const { sock_accept: accepts, sock_recv: receives } = one.wasi.stats();
  const { address, port } = peer.address();
  assert.deepEqual(
    events.map(({ name, errno, peer }) => [name, errno, peer]),
    [
      ['sock_accept', 'success', `${address}:${port}`],
      ['sock_recv', 'success', `${address}:${port}`],
    ],
  );
  assert.deepEqual([accepts.calls, accepts.peers], [1, { [address]: 1 }]);
  for (const [at, { waitedNs, ns, calls }] of [accepts, receives].entries()) {
    assert.equal(calls, 1);
    assert.ok(waitedNs > 0 && ns + waitedNs >= 90e6, `${ns} and ${waitedNs} ns`);
    assert.equal(events[at].waitedNs, waitedNs);
  }
});

test('a quota of bytes is drawn on once by a call that waits', { skip }, async (t) => {
  const limits = { writtenBytes: MUCH - 1 };
  const { one, peer, fd } = await connected(t, { limits }, ROOMY);
  const sent = one.send(fd, Buffer.alloc(MUCH));
  await isPending(sent);
  const size = textOf(peer);
  assert.equal(await sent, MUCH - 1);
  assert.equal(await one.send(fd, 'x'), -ERRNO.dquot);
  one.exports.fd_close(fd);
  assert.equal(await size, MUCH - 1);
});

test('a listener at the limit of descriptors', { skip }, async (t) => {
  const { one, fd } = await connected(t, { limits: { openFiles: 5 } });
  const late = await connect(t, one);
  assert.equal(await one.accept(3), -ERRNO.mfile);
  late.write('late');
  one.exports.fd_close(fd);
  const second = await one.accept(3);
  assert.equal(await one.recv(second), 'late', 'it was not dropped');
  one.exports.fd_close(second);
  // The number that is free when a call begins to wait may be taken when it goes on.
  const accepted = one.accept(3);
  await isPending(accepted);
  await connect(t, one);
  assert.ok((await accepted) > 3);
});

// --- Servers
// --------------------------------------------------------------------------------------

/** A server in this thread. */
function serve(t, { file, socket }, more) {
  const wasi = new WASI({
    version: 'preview1',
    suspend: true,
    args: ['server', '3'],
    env: {},
    stdin: 'ignore',
    stdout: 'pipe',
    sockets: [socket],
    ...more,
  });
  t.after(() => wasi.close());
  const module = new WebAssembly.Module(fs.readFileSync(file));
  const ended = wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()));
  ended.catch(() => {});
  const { address: host, port } = wasi.sockets[0];
  return { wasi, ended, host, port, url: `http://${host}:${port}` };
}

describe('an HTTP server in the thread of its clients', { skip, timeout: 600_000 }, () => {
  for (const server of SERVERS) {
    it(`of ${server.name} answers fetch`, { skip: server.skip }, async (t) => {
      const { url, ended } = serve(t, server);
      const get = async (name) => (await fetch(url + name)).text();
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      for (let turn = 0; turn < 5; turn++) {
        const names = Array.from({ length: 16 }, (_, at) => `/${turn}-${at}`);
        const answers = await Promise.all(names.map(get));
        if (server.keepAlive) assert.deepEqual(answers, names);
        else for (const answer of answers) assert.match(answer, /^\d+ from C\n$/);
        await later(20);
      }
      clearInterval(timer);
      assert.ok(ticks >= 5, `${ticks} ticks`);
      get('/quit').catch(() => {});
      assert.equal(await ended, 7);
    });

    it(
      `of ${server.name} loses none of 10,000 requests of another process, and the loop goes on`,
      { skip: server.skip },
      async (t) => {
        const { url, host, port, ended } = serve(t, server);
        let ticks = 0;
        const timer = setInterval(() => ticks++, 20);
        const job = { host, port, requests: 10_000, connections: 64 };
        const told = clientsOf(t, { ...job, isClosing: !server.keepAlive });
        const own = await (await fetch(`${url}/own`)).text();
        assert.match(own, /^\/own$|^\d+ from C\n$/);
        const { answers, wrong, milliseconds } = await told;
        clearInterval(timer);
        assert.deepEqual([answers, wrong], [10_000, []]);
        assert.ok(ticks >= milliseconds / 200, `${ticks} ticks in ${milliseconds} ms`);
        ask({ host, port, path: '/quit' }).catch(() => {});
        assert.equal(await ended, 7);
      },
    );
  }

  it('of Go answers others while one is slow', { skip: SERVERS[2].skip }, async (t) => {
    const { url, ended } = serve(t, SERVERS[2]);
    const order = [];
    const get = async (name) => order.push(await (await fetch(url + name)).text());
    await Promise.all([get('/slow'), later(50).then(() => get('/quick'))]);
    assert.deepEqual(order, ['/quick', 'slow']);
    get('/quit').catch(() => {});
    assert.equal(await ended, 7);
  });

  it('that is at its limit of descriptors lets the loop go on', { timeout: 30_000 }, async (t) => {
    // It polls a listener that is always ready, and can take nothing from it.
    const server = { file: POLLING, socket: LOCAL };
    const limits = { openFiles: 6 };
    const { host, port, ended, wasi } = serve(t, server, { limits, timeoutMs: 20_000 });
    const held = [];
    for (let at = 0; at < 3; at++) {
      held.push(net.connect(port, host));
      held[at].on('error', () => {});
      await once(held[at], 'connect');
    }
    for (let ticks = 0; ticks < 20; ticks++) await later(10);
    await isPending(ended);
    held[0].destroy();
    held[1].destroy();
    assert.equal(await ask({ host, port, path: '/late' }), '/late');
    for (const socket of held) socket.destroy();
    ask({ host, port, path: '/quit' }).catch(() => {});
    assert.equal(await ended, 7);
    assert.match(Buffer.from(wasi.stdout).toString(), / [1-9]\d* times full\n$/);
  });
});

if (hasJspi) describeServers({ suspend: true });
