// Sockets: the option, what the guest and its host see of them, and servers in processes of their
// own that lose nothing.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { BLOCKING, LOCAL, ask } from './support/http-servers.mjs';
import { describeServers } from './support/servers-apart.mjs';
import { withFolder } from './support/tree.mjs';

const require = createRequire(import.meta.url);
const { WASI, run } = require('../index.js');

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const CLI = path.join(PACKAGE, 'bin', 'wasi-rs.js');
const onWindows = process.platform === 'win32';
const onNode = !process.versions.bun && !process.versions.deno;
const ERRNO = { success: 0, again: 6, badf: 8, dquot: 19, mfile: 33, notcapable: 76 };
const NONBLOCK = 4;

const options = (sockets, more) => ({ version: 'preview1', env: {}, sockets, ...more });

/** The functions of a WASI over a memory of our own, in the words of these tests. */
function driven(wasi) {
  const memory = new WebAssembly.Memory({ initial: 2 });
  wasi.finalizeBindings({ exports: { memory } });
  const w = wasi.wasiImport;
  const view = new DataView(memory.buffer);
  const buffer = (length) => {
    view.setUint32(0, 1024, true);
    view.setUint32(4, length, true);
  };
  const put = (text) => buffer(Buffer.from(memory.buffer).write(text, 1024));
  const got = (errno) =>
    errno || Buffer.from(memory.buffer, 1024, view.getUint32(16, true)).toString();
  const sent = (errno) => errno || -view.getUint32(16, true);
  return {
    w,
    memory,
    /** The new descriptor, or minus the errno. */
    accept(fd, flags = 0) {
      const errno = w.sock_accept(fd, flags, 16);
      return errno ? -errno : view.getUint32(16, true);
    },
    recv: (fd, length = 100) => (buffer(length), got(w.sock_recv(fd, 0, 1, 0, 16, 20))),
    read: (fd, length = 100) => (buffer(length), got(w.fd_read(fd, 0, 1, 16))),
    send: (fd, text) => (put(text), sent(w.sock_send(fd, 0, 1, 0, 16))),
    write: (fd, text) => (put(text), sent(w.fd_write(fd, 0, 1, 16))),
    flags: (fd) => w.fd_fdstat_get(fd, 32) || view.getUint16(34, true),
    environ() {
      w.environ_sizes_get(16, 20);
      const [count, size] = [view.getUint32(16, true), view.getUint32(20, true)];
      w.environ_get(2048, 4096);
      const bytes = Buffer.from(memory.buffer, 4096, size);
      return count === 0 ? [] : bytes.toString().slice(0, -1).split('\0');
    },
  };
}

/** A program in a process of its own that connects, says something and tells what it hears. */
function talkTo({ address, port, host = address }, text) {
  const where = { host, port };
  const program = `
    const socket = require('node:net').connect(${JSON.stringify(where)}, () => socket.end(${JSON.stringify(text)}));
    socket.on('error', (error) => console.log(error.code)).pipe(process.stdout);`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let heard = '';
  child.stdout.on('data', (data) => (heard += data));
  return once(child, 'close').then(() => heard);
}

function thrown(sockets, more) {
  try {
    new WASI(options(sockets, more)).close();
  } catch (error) {
    return error;
  }
  return assert.fail(`${JSON.stringify(sockets)} is taken`);
}

/** How Node's own server fails to listen. */
async function nodesError(...where) {
  const server = net.createServer();
  server.listen(...where);
  const [error] = await once(server, 'error');
  return error;
}

const openDescriptors = () => fs.readdirSync('/proc/self/fd').length;

describe('the option sockets', () => {
  it('gives listeners, which tell where they listen', async () => {
    const wasi = new WASI(options([LOCAL, { host: 'localhost', port: 0, backlog: 3 }]));
    assert.equal(wasi.sockets.length, 2);
    for (const [index, { fd, address, family, port, ...rest }] of wasi.sockets.entries()) {
      assert.deepEqual([fd, address, family, rest], [3 + index, '127.0.0.1', 'IPv4', {}]);
      assert.ok(port > 0);
      const socket = net.connect(port, address);
      await once(socket, 'connect');
      socket.destroy();
    }
    assert.ok(Object.isFrozen(wasi.sockets) && Object.isFrozen(wasi.sockets[0]));
    wasi.close();
    const [error] = await once(net.connect(wasi.sockets[0].port, '127.0.0.1'), 'error');
    assert.equal(error.code, 'ECONNREFUSED');
    assert.deepEqual(new WASI({ version: 'preview1' }).sockets, []);
  });

  it('has them behind the directories', () => {
    const preopens = { '/a': { memory: {} }, '/b': { memory: {} } };
    const wasi = new WASI(options([LOCAL, LOCAL], { preopens }));
    assert.deepEqual(
      wasi.sockets.map(({ fd }) => fd),
      [5, 6],
    );
    const { w } = driven(wasi);
    assert.deepEqual(
      [3, 4, 5, 6, 7].map((fd) => w.fd_prestat_get(fd, 64)),
      [0, 0, ERRNO.badf, ERRNO.badf, ERRNO.badf],
    );
    wasi.close();
  });

  it('tells their number by LISTEN_FDS where there are no directories', () => {
    const environ = (sockets, more) => {
      const wasi = new WASI(options(sockets, more));
      const found = driven(wasi).environ();
      wasi.close();
      return found;
    };
    assert.deepEqual(environ([LOCAL, LOCAL], { env: { A: '1' } }), ['A=1', 'LISTEN_FDS=2']);
    assert.deepEqual(environ([LOCAL], { preopens: { '/': { memory: {} } } }), []);
    assert.deepEqual(environ([]), []);
    assert.deepEqual(environ([LOCAL], { env: { LISTEN_FDS: '7' } }), ['LISTEN_FDS=7']);
  });

  it('shows NONBLOCK unless it is told not to', () => {
    const wasi = new WASI(options([LOCAL, { ...LOCAL, nonblock: false }]));
    const { flags, accept } = driven(wasi);
    assert.deepEqual([flags(3), flags(4)], [NONBLOCK, 0]);
    assert.equal(accept(3), -ERRNO.again);
    wasi.close();
    assert.equal(accept(3), -ERRNO.badf);
  });

  it('refuses what is no socket, and names what is wrong', () => {
    const at = 'options.sockets[0]';
    for (const [value, code, name] of [
      ['x', 'ERR_INVALID_ARG_TYPE', 'options.sockets'],
      [{ 0: LOCAL }, 'ERR_INVALID_ARG_TYPE', 'options.sockets'],
      [[8080], 'ERR_INVALID_ARG_TYPE', at],
      [[null], 'ERR_INVALID_ARG_TYPE', at],
      [[undefined], 'ERR_INVALID_ARG_TYPE', at],
      [['127.0.0.1:80'], 'ERR_INVALID_ARG_TYPE', at],
      [[() => LOCAL], 'ERR_INVALID_ARG_TYPE', at],
      [[[LOCAL]], 'ERR_INVALID_ARG_TYPE', at],
      [[LOCAL, []], 'ERR_INVALID_ARG_TYPE', 'options.sockets[1]'],
      [[{ host: 7, port: 0 }], 'ERR_INVALID_ARG_TYPE', `${at}.host`],
      [[{ host: null, port: 0 }], 'ERR_INVALID_ARG_TYPE', `${at}.host`],
      [[{}], 'ERR_INVALID_ARG_TYPE', `${at}.host`],
      [[{ port: 0 }], 'ERR_INVALID_ARG_TYPE', `${at}.host`],
      [[{ host: '127.0.0.1' }], 'ERR_INVALID_ARG_TYPE', `${at}.port`],
      [[{ host: '127.0.0.1', port: '80' }], 'ERR_INVALID_ARG_TYPE', `${at}.port`],
      [[{ host: '127.0.0.1', port: 65536 }], 'ERR_OUT_OF_RANGE', `${at}.port`],
      [[{ host: '127.0.0.1', port: -1 }], 'ERR_OUT_OF_RANGE', `${at}.port`],
      [[{ host: '127.0.0.1', port: 0.5 }], 'ERR_OUT_OF_RANGE', `${at}.port`],
      [[{ ...LOCAL, backlog: -1 }], 'ERR_OUT_OF_RANGE', `${at}.backlog`],
      [[{ ...LOCAL, backlog: 2 ** 31 }], 'ERR_OUT_OF_RANGE', `${at}.backlog`],
      [[{ ...LOCAL, backlog: 1.5 }], 'ERR_OUT_OF_RANGE', `${at}.backlog`],
      [[{ ...LOCAL, backlog: NaN }], 'ERR_OUT_OF_RANGE', `${at}.backlog`],
      [[{ ...LOCAL, backlog: '1' }], 'ERR_INVALID_ARG_TYPE', `${at}.backlog`],
      [[{ ...LOCAL, backlog: null }], 'ERR_INVALID_ARG_TYPE', `${at}.backlog`],
      [[{ path: 'a', backlog: -1 }], 'ERR_OUT_OF_RANGE', `${at}.backlog`],
      [[{ path: 'a', nonblock: 'no' }], 'ERR_INVALID_ARG_TYPE', `${at}.nonblock`],
      [[{ path: 'a', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.port`],
      [[{ fd: 3, nonblock: null }], 'ERR_INVALID_ARG_TYPE', `${at}.nonblock`],
      [[{ ...LOCAL, nonblock: 1 }], 'ERR_INVALID_ARG_TYPE', `${at}.nonblock`],
      [[{ ...LOCAL, nonblok: false }], 'ERR_INVALID_ARG_VALUE', 'nonblock'],
      [[{ ...LOCAL, path: '/x' }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ host: '127.0.0.256', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ host: 'example.org', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ host: '[::1]', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ host: 'fe80::1%nowhere', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ host: 'fe80::1%constructor', port: 0 }], 'ERR_INVALID_ARG_VALUE', `${at}.host`],
      [[{ path: '' }], 'ERR_INVALID_ARG_VALUE', `${at}.path`],
      [[{ path: 'a\0b' }], 'ERR_INVALID_ARG_VALUE', `${at}.path`],
      [[{ path: 7 }], 'ERR_INVALID_ARG_TYPE', `${at}.path`],
      [[{ fd: '3' }], 'ERR_INVALID_ARG_TYPE', `${at}.fd`],
      [[{ fd: null }], 'ERR_INVALID_ARG_TYPE', `${at}.fd`],
      [[{ fd: -1 }], 'ERR_OUT_OF_RANGE', `${at}.fd`],
      [[{ fd: 0.5 }], 'ERR_OUT_OF_RANGE', `${at}.fd`],
      [[{ fd: 2 ** 31 }], 'ERR_OUT_OF_RANGE', `${at}.fd`],
      [[{ fd: 3, backlog: 1 }], 'ERR_INVALID_ARG_VALUE', `${at}.backlog`],
    ]) {
      const error = thrown(value);
      assert.equal(error.code, code, JSON.stringify(value));
      assert.ok(error instanceof (code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError));
      // The whole name, not the beginning of a longer one.
      const isNamed = [`"${name}"`, `'${name}'`].some((quoted) => error.message.includes(quoted));
      assert.ok(isNamed, error.message);
    }
    const error = (() => {
      try {
        return new WASI({ version: 'preview1', sortedReaddir: true, socket: [] });
      } catch (caught) {
        return caught;
      }
    })();
    assert.match(error.message, /did you mean 'sockets'/);
  });

  it('listens at addresses of one network interface', (t) => {
    const all = Object.entries(os.networkInterfaces()).flatMap(([name, ends]) =>
      ends.filter(({ family }) => family === 'IPv6').map((end) => ({ ...end, name })),
    );
    const loopback = all.find(({ address }) => address === '::1');
    if (loopback === undefined) return t.skip('there is no IPv6');
    // Of these, not all interfaces have one.
    const local = all.filter(({ scopeid }) => scopeid > 0);
    for (const host of [
      '::1',
      `::1%${loopback.name}`,
      ...local.flatMap(({ address, name, scopeid }) => [
        `${address}%${name}`,
        `${address}%${scopeid}`,
      ]),
    ]) {
      const wasi = new WASI(options([{ host, port: 0 }]));
      const [{ address, family }] = wasi.sockets;
      wasi.close();
      assert.deepEqual([address.split('%')[0], family], [host.split('%')[0], 'IPv6'], host);
    }
    // By its number, it is the system that knows no such interface.
    const { code } = thrown([{ host: 'fe80::1%987654', port: 0 }]);
    assert.match(code, /^E[A-Z]+$/);
    assert.doesNotMatch(code, /^ERR_/);
  });

  it('takes nothing from what all objects inherit', () => {
    Object.prototype.nonblock = false;
    Object.prototype.fd = 0;
    try {
      const wasi = new WASI(options([{ host: '127.0.0.1', port: 0 }]));
      assert.equal(wasi.sockets[0].family, 'IPv4');
      assert.equal(driven(wasi).flags(3), NONBLOCK);
      wasi.close();
    } finally {
      delete Object.prototype.nonblock;
      delete Object.prototype.fd;
    }
  });

  it(
    'fails as Node does, and leaves nothing half open',
    { skip: !onNode || onWindows },
    async () => {
      await withFolder(async (folder) => {
        const place = path.join(folder, 'socket');
        const taken = net.createServer().listen(LOCAL);
        await once(taken, 'listening');
        const { port } = taken.address();
        const unix = net.createServer().listen(place);
        await once(unix, 'listening');
        const missing = path.join(folder, 'missing', 'socket');
        const first = path.join(folder, 'first');
        const before = openDescriptors();
        for (const [socket, where] of [
          [{ host: '127.0.0.1', port }, [port, '127.0.0.1']],
          [{ host: '192.0.2.1', port: 0 }, [0, '192.0.2.1']],
          [{ path: place }, [place]],
          [{ path: missing }, [missing]],
        ]) {
          // Node takes a missing folder of a Unix socket for a right that is missing.
          const nodes = await nodesError(...where);
          const error = thrown([{ path: first }, LOCAL, socket]);
          assert.ok(error instanceof Error && !(error instanceof TypeError));
          if (socket.path !== missing) {
            assert.equal(error.message.replace(/:0$/, ''), nodes.message.replace(/:0$/, ''));
            assert.deepEqual([error.code, error.errno], [nodes.code, nodes.errno]);
          } else {
            assert.equal(error.code, 'ENOENT');
          }
          assert.deepEqual(
            [error.syscall, error.address, error.port],
            [nodes.syscall, nodes.address, socket.port],
          );
          assert.equal(fs.existsSync(first), false);
        }
        assert.equal(openDescriptors(), before);
        assert.ok(fs.existsSync(place));
        // Also where something else is wrong.
        thrown([{ path: first }], { returnOnExit: 1 });
        assert.equal(fs.existsSync(first), false);
        assert.equal(openDescriptors(), before);
        taken.close();
        unix.close();
      });
    },
  );

  it(
    'leaves nothing open, whatever is wrong',
    { skip: !onNode || process.platform !== 'linux' },
    async () => {
      await withFolder(async (folder) => {
        const place = path.join(folder, 'socket');
        const file = fs.openSync(path.join(folder, 'file'), 'w');
        const taken = net.createServer().listen(LOCAL);
        await once(taken, 'listening');
        const inUse = { host: '127.0.0.1', port: taken.address().port };
        const { Readable, Writable } = await import('node:stream');
        const typed = 'ERR_INVALID_ARG_TYPE';
        const before = openDescriptors();
        for (const [sockets, code, more] of [
          [[LOCAL, inUse], 'EADDRINUSE'],
          [[{ path: place }, { path: place }], 'EADDRINUSE'],
          [[{ path: place }, LOCAL, inUse, LOCAL], 'EADDRINUSE'],
          [[LOCAL, { host: '192.0.2.1', port: 0 }], 'EADDRNOTAVAIL'],
          [[LOCAL, { host: '127.0.0.256', port: 0 }], 'ERR_INVALID_ARG_VALUE'],
          [[LOCAL, { host: '127.0.0.1', port: 70_000 }], 'ERR_OUT_OF_RANGE'],
          [[LOCAL, { fd: file }], 'ERR_INVALID_ARG_VALUE'],
          [[{ path: place }, { fd: 4_000_000 }], 'EBADF'],
          [[{ path: place }, LOCAL], 'UVWASI_ENOENT', { preopens: { '/a': `${folder}/none` } }],
          [[{ path: place }, LOCAL], 'UVWASI_EBADF', { stdin: 4_000_000 }],
          [[{ path: place }, LOCAL], typed, { stdin: async () => null }],
          [[{ path: place }, LOCAL], typed, { stdin: Readable.from(['x']) }],
          [[{ path: place }, LOCAL], typed, { stdout: new Writable() }],
          [[{ path: place }, LOCAL], typed, { stderr: new WritableStream() }],
        ]) {
          const error = thrown(sockets, more);
          assert.equal(error.code, code, JSON.stringify(sockets));
          assert.equal(openDescriptors(), before, JSON.stringify(sockets));
          assert.equal(fs.existsSync(place), false, JSON.stringify(sockets));
        }
        // The guest of a run is made in another thread, or another process.
        for (const isolation of ['thread', 'process']) {
          const failed = run(BLOCKING, { isolation, sockets: [{ path: place }, inUse] });
          await assert.rejects(failed, { code: 'EADDRINUSE', syscall: 'listen' }, isolation);
          assert.equal(fs.existsSync(place), false, isolation);
        }
        taken.close();
        fs.closeSync(file);
      });
    },
  );

  it('removes the file of a Unix socket when it is closed', { skip: onWindows }, async () => {
    await withFolder(async (folder) => {
      const place = path.join(folder, 'socket');
      for (const end of [(wasi) => wasi.close(), (wasi) => driven(wasi).w.fd_close(3)]) {
        const wasi = new WASI(options([{ path: place }]));
        assert.deepEqual(wasi.sockets, [{ fd: 3, address: place, family: 'Unix' }]);
        assert.ok(fs.statSync(place).isSocket());
        end(wasi);
        assert.equal(fs.existsSync(place), false);
      }
      const wasi = new WASI(options([{ path: place }]));
      fs.unlinkSync(place);
      fs.writeFileSync(place, 'of another');
      wasi.close();
      assert.equal(fs.readFileSync(place, 'utf8'), 'of another');
      fs.unlinkSync(place);
      // With its thread.
      const program = `
        const { WASI } = require(${JSON.stringify(PACKAGE)});
        globalThis.wasi = new WASI(${JSON.stringify(options([{ path: place }]))});`;
      const worker = new Worker(program, { eval: true });
      const exit = once(worker, 'exit');
      await exit;
      assert.equal(fs.existsSync(place), false);
    });
  });
});

describe('a socket of the host', { skip: onWindows || !onNode }, () => {
  it('is duplicated, whatever the host does with it', async () => {
    const server = net.createServer();
    // As the Workers of `cluster` would not.
    server.listen({ ...LOCAL, exclusive: true });
    await once(server, 'listening');
    const { address, port } = server.address();
    const wasi = new WASI(options([{ fd: server._handle.fd, nonblock: false }]));
    assert.deepEqual(wasi.sockets, [{ fd: 3, address, family: 'IPv4', port }]);
    server.close();
    await once(server, 'close');
    const guest = driven(wasi);
    const peer = talkTo({ host: address, port }, 'hello');
    const fd = guest.accept(3);
    assert.equal(guest.recv(fd), 'hello');
    assert.equal(guest.read(fd), '', 'its end');
    assert.equal(guest.send(fd, 'answer'), -6);
    assert.equal(guest.w.sock_shutdown(fd, 2), 0);
    assert.equal(await peer, 'answer');
    wasi.close();
  });

  it('may be a connection', async () => {
    const server = net.createServer().listen(LOCAL);
    await once(server, 'listening');
    const socket = net.connect(server.address());
    const [connection] = await once(server, 'connection');
    const wasi = new WASI(options([{ fd: connection._handle.fd }]));
    const guest = driven(wasi);
    assert.equal(guest.accept(3), -ERRNO.notcapable);
    assert.equal(guest.recv(3), ERRNO.again);
    assert.equal(guest.write(3, 'to you'), -6);
    assert.equal(String((await once(socket, 'data'))[0]), 'to you');
    wasi.close();
    socket.end('to Node');
    assert.equal(String((await once(connection, 'data'))[0]), 'to Node', 'still open');
    connection.destroy();
    server.close();
  });

  it('is none if it is something else', () => {
    const fd = fs.openSync(fileURLToPath(import.meta.url));
    const error = thrown([LOCAL, { fd }]);
    assert.ok(error instanceof TypeError);
    assert.equal(error.code, 'ERR_INVALID_ARG_VALUE');
    assert.match(error.message, /'options\.sockets\[1\]\.fd' must be the descriptor of a socket/);
    assert.equal(error.cause.code, 'ENOTSOCK');
    fs.closeSync(fd);
    const { code, syscall, errno, fd: named } = thrown([{ fd: 4_000_000 }]);
    assert.deepEqual([code, syscall, errno, named], ['EBADF', 'dup', -9, 4_000_000]);
  });
});

describe('a guest that has sockets', () => {
  it('names its peers in traces and statistics', async () => {
    const events = [];
    const trace = (event) => events.push(event);
    const wasi = new WASI(options([{ ...LOCAL, nonblock: false }], { trace, stats: true }));
    const guest = driven(wasi);
    const peer = talkTo(wasi.sockets[0], 'hello');
    const fd = guest.accept(3);
    assert.equal(guest.recv(fd), 'hello');
    guest.w.fd_close(fd);
    guest.w.fd_close(fd);
    await peer;
    const [accepted, received, closed, again] = events;
    assert.match(accepted.peer, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(
      [received.name, received.peer, closed.peer, 'peer' in again],
      ['sock_recv', accepted.peer, accepted.peer, false],
    );
    const { sock_accept: accepts, fd_close: closes } = wasi.stats();
    assert.deepEqual([accepts.calls, accepts.peers], [1, { '127.0.0.1': 1 }]);
    assert.equal('peers' in closes, false);
    wasi.close();
  });

  it('is held to its quota and its limit of descriptors', async () => {
    const limits = { writtenBytes: 8, openFiles: 5 };
    const wasi = new WASI(options([{ ...LOCAL, nonblock: false }], { limits }));
    const guest = driven(wasi);
    const peers = [talkTo(wasi.sockets[0], 'one'), talkTo(wasi.sockets[0], 'other')];
    const first = guest.accept(3);
    assert.equal(guest.accept(3), -ERRNO.mfile);
    const said = guest.recv(first);
    assert.equal(guest.send(first, '12345'), -5);
    assert.equal(guest.write(first, '67890'), -3);
    assert.equal(guest.send(first, 'x'), ERRNO.dquot);
    guest.w.fd_close(first);
    const second = guest.accept(3);
    assert.deepEqual([said, guest.recv(second)].sort(), ['one', 'other'], 'none was dropped');
    guest.w.fd_close(second);
    assert.deepEqual((await Promise.all(peers)).sort(), ['', '12345678']);
    wasi.close();
  });

  it('is stopped while it waits', { timeout: 60_000 }, async () => {
    const blocking = { ...LOCAL, nonblock: false };
    const wasi = new WASI(options([blocking], { timeoutMs: 120 }));
    const module = new WebAssembly.Module(fs.readFileSync(BLOCKING));
    const instance = new WebAssembly.Instance(module, wasi.getImportObject());
    assert.throws(() => wasi.start(instance), { code: 'ERR_WASI_LIMIT', limit: 'timeoutMs' });
    wasi.close();
    const { reason } = await run(BLOCKING, { ...options([blocking]), timeoutMs: 500 });
    assert.equal(reason, 'timeout');
  });
});

describeServers();

describe('the command line', { skip: onWindows, timeout: 120_000 }, () => {
  const env = { ...process.env };
  for (const name of ['NODE_OPTIONS', 'NODE_TEST_CONTEXT', 'NODE_V8_COVERAGE']) delete env[name];

  /** The command, its lines of stderr as they come, and its end. */
  function started(t, args) {
    const child = spawn(process.execPath, [CLI, ...args], { env });
    t.after(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (data) => (errors += data));
    return {
      async until(pattern) {
        for (let i = 0; i < 1000; i++) {
          const match = pattern.exec(errors);
          if (match) return match;
          await after(20);
        }
        return assert.fail(`${pattern} in ${errors}`);
      },
      end: once(child, 'close').then(([code]) => ({ code, errors })),
    };
  }

  it('listens on a port, and names who comes', async (t) => {
    const { until, end } = started(t, [
      ...['--listen', '127.0.0.1:0:block', '--trace=sock_accept,sock_recv', '--stats'],
      ...[BLOCKING, '3'],
    ]);
    const [, port] = await until(/^wasi-rs: descriptor 3 listens on 127\.0\.0\.1:(\d+)$/m);
    assert.equal(await ask({ host: '127.0.0.1', port, path: '/' }), '1 from C\n');
    await ask({ host: '127.0.0.1', port, path: '/quit' });
    const { code, errors } = await end;
    assert.equal(code, 7);
    assert.match(errors, new RegExp(`^sock_accept\\(3<127\\.0\\.0\\.1:${port}>, 0\\) = 4$`, 'm'));
    assert.match(errors, /^sock_recv\(4<127\.0\.0\.1:\d+>, "GET \/ HTTP/m);
    assert.match(errors, /^sock_accept +2 calls/m);
  });

  it('listens on a path, which is gone at each end', async (t) => {
    await withFolder(async (folder) => {
      const socketPath = path.join(folder, 'socket');
      for (const [args, wanted] of [
        [[], 7],
        [['--timeout', '1s'], 124],
      ]) {
        const { end } = started(t, [...args, '--listen', `${socketPath}:block`, BLOCKING, '3']);
        for (let i = 0; i < 500 && !fs.existsSync(socketPath); i++) await after(20);
        if (wanted === 7) await ask({ socketPath, path: '/quit' });
        assert.equal((await end).code, wanted);
        assert.equal(fs.existsSync(socketPath), false, String(wanted));
      }
    });
  });

  it('says what is wrong with an address, and which are in use', async () => {
    const cli = (...args) =>
      spawnSync(process.execPath, [CLI, ...args], { env, encoding: 'utf8', timeout: 60_000 });
    for (const text of [
      '8080',
      ':8080',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      'example.org:80',
      '::1:80',
      '[127.0.0.1]:80',
      '[::1]',
      'path',
      'tcp://127.0.0.1:80',
    ]) /* prettier-ignore */ {
      const { status, stderr } = cli('--listen', text, BLOCKING);
      assert.equal(status, 2);
      assert.equal(
        stderr,
        `wasi-rs: --listen ${text} is no address: --listen 127.0.0.1:8080, [::1]:80 or /path\n`,
      );
    }
    const server = net.createServer().listen(LOCAL);
    await once(server, 'listening');
    const where = `127.0.0.1:${server.address().port}`;
    const { status, stderr } = cli('--listen', where, BLOCKING);
    server.close();
    assert.equal(status, 2);
    assert.equal(stderr, `wasi-rs: listen EADDRINUSE: address already in use ${where}\n`);
  });
});

// Node 18 has no such model.
const FLAG = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
);

describe("Node's permission model", { skip: !FLAG || onWindows || !onNode }, () => {
  const flagsOf = (...more) =>
    ['--allow-addons', '--allow-wasi', ...more].filter((flag) =>
      process.allowedNodeEnvironmentFlags.has(flag.replace(/=.*/, '')),
    );

  function run(flags, sockets) {
    const program = `
      const { WASI } = require(${JSON.stringify(PACKAGE)});
      let result = null;
      try {
        new WASI(${JSON.stringify(options(sockets))}).close();
      } catch ({ code, permission, resource }) {
        result = [code, permission, resource];
      }
      require('node:fs').writeSync(1, JSON.stringify(result));`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [FLAG, '--no-warnings', '--allow-fs-read=*', ...flagsOf(...flags), '-e', program],
      { encoding: 'utf8', timeout: 60_000 },
    );
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(stdout);
  }

  it('is asked for its network scope where it has one, and for the file of a socket', async () => {
    const hasNet = process.allowedNodeEnvironmentFlags.has('--allow-net');
    const denied = (resource) => (hasNet ? ['ERR_ACCESS_DENIED', 'Net', resource] : null);
    assert.deepEqual(run([], [LOCAL]), denied('127.0.0.1:0'));
    assert.deepEqual(run(['--allow-net'], [LOCAL]), null);
    if (hasNet) assert.deepEqual(run([], [{ fd: 9 }]), denied('descriptor 9'));
    await withFolder(async (folder) => {
      for (const name of ['in', 'out']) fs.mkdirSync(path.join(folder, name));
      const [inside, outside] = ['in', 'out'].map((name) => path.join(folder, name, 'socket'));
      const write = `--allow-fs-write=${path.join(folder, 'in')}`;
      assert.deepEqual(run(['--allow-net', write], [{ path: inside }]), null);
      const refused = ['ERR_ACCESS_DENIED', 'FileSystemWrite', outside];
      assert.deepEqual(run(['--allow-net', write], [{ path: outside }]), refused);
      fs.symlinkSync('../out', path.join(folder, 'in', 'link'));
      const through = path.join(folder, 'in', 'link', 'socket');
      assert.deepEqual(run(['--allow-net', write], [{ path: through }]), refused);
      // A name that is not allowed, of a place that is.
      fs.symlinkSync('../in', path.join(folder, 'out', 'link'));
      const back = path.join(folder, 'out', 'link', 'socket');
      const named = ['ERR_ACCESS_DENIED', 'FileSystemWrite', back];
      assert.deepEqual(run(['--allow-net', write], [{ path: back }]), named);
      assert.deepEqual(run([write], [{ path: inside }]), denied(inside));
    });
  });
});
