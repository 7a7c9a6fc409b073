// The tests of HTTP servers that have a process of their own, blocking and suspended.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { LOCAL, POLLING, SERVERS, ask, served } from './http-servers.mjs';
import { withFolder } from './tree.mjs';

const { WASI } = createRequire(import.meta.url)('../../index.js');

const onWindows = process.platform === 'win32';
const onNode = !process.versions.bun && !process.versions.deno;
const GO = SERVERS.find(({ name }) => name === 'Go');
const REQUESTS = 10_000;
const CONNECTIONS = 64;

/**
 * The tests of servers that have a process of their own.
 *
 * @param {object} [how] options of their WASI, as JSON has them
 */
export function describeServers(how = {}) {
  const title = `an HTTP server in a process of its own${how.suspend ? ', suspended' : ''}`;
  const start = (t, file, sockets, args, more, room) =>
    served(t, file, sockets, args, { ...how, ...more }, room);
  describe(title, { timeout: 600_000 }, () => servers(start, how));
}

function servers(served, { suspend }) {
  const ipv6 = { host: '::1', port: 0 };
  const hasIpv6 = (() => {
    try {
      new WASI({ version: 'preview1', sockets: [ipv6] }).close();
      return true;
    } catch {
      return false;
    }
  })();
  const all = [...SERVERS];
  const skip = !hasIpv6 && 'there is no IPv6';
  all.splice(2, 0, { ...SERVERS[1], name: 'C, all at once, on IPv6', socket: ipv6, skip });
  for (const { name, file, socket, keepAlive, skip } of all) {
    it(`of ${name} loses none of ${REQUESTS} requests`, { skip }, async (t) => {
      const { sockets, end } = await served(t, file, [socket], ['#0'], { stats: true });
      const { address: host, port } = sockets[0];
      const agent = new http.Agent({ keepAlive, maxSockets: CONNECTIONS });
      let answers = 0;
      const clients = Array.from({ length: CONNECTIONS }, async (_, client) => {
        for (let i = client; i < REQUESTS; i += CONNECTIONS) {
          const text = await ask({ host, port, path: `/${i}` }, agent);
          if (keepAlive) assert.equal(text, `/${i}`);
          else assert.match(text, /^\d+ from C\n$/);
          answers++;
        }
      });
      await Promise.all(clients);
      assert.equal(answers, REQUESTS);
      ask({ host, port, path: '/quit' }, agent).catch(() => {});
      const { exitCode, stats } = await end;
      agent.destroy();
      assert.equal(exitCode, 7);
      const [connections] = Object.values(stats.sock_accept.peers);
      assert.ok(keepAlive ? connections <= CONNECTIONS + 1 : connections === REQUESTS + 1);
    });
  }

  it('of Go answers others while one is slow', { skip: GO.skip }, async (t) => {
    const { sockets, end } = await served(t, GO.file, [LOCAL], ['#0'], {
      preopens: { '/': { memory: {} } },
    });
    assert.equal(sockets[0].fd, 4);
    const where = { host: '127.0.0.1', port: sockets[0].port };
    const order = [];
    const get = (text) => ask({ ...where, path: text }).then(() => order.push(text));
    await Promise.all([get('/slow'), after(100).then(() => get('/quick'))]);
    assert.deepEqual(order, ['/quick', '/slow']);
    ask({ ...where, path: '/quit' }).catch(() => {});
    assert.equal((await end).exitCode, 7);
  });

  it('goes on when peers reset their connections', { skip: !onNode }, async (t) => {
    const { sockets, end } = await served(t, POLLING, [LOCAL], ['#0']);
    const { port } = sockets[0];
    for (let i = 0; i < 20; i++) {
      const socket = net.connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write('GET /half');
      await after(5);
      socket.resetAndDestroy();
      assert.equal(await ask({ port, host: '127.0.0.1', path: '/whole' }), '/whole');
    }
    ask({ port, host: '127.0.0.1', path: '/quit' }).catch(() => {});
    const { stdout } = await end;
    assert.match(stdout, /, 20 reset,/);
  });

  it('at the limit of its descriptors serves who waits when another has gone', async (t) => {
    const { sockets, end } = await served(t, POLLING, [LOCAL], ['#0'], {
      limits: { openFiles: 6 },
    });
    const { port } = sockets[0];
    const held = [];
    for (let i = 0; i < 2; i++) {
      held.push(net.connect(port, '127.0.0.1'));
      await once(held[i], 'connect');
    }
    await after(200);
    const late = ask({ port, host: '127.0.0.1', path: '/late' });
    let isAnswered = false;
    late.then(() => (isAnswered = true));
    await after(300);
    assert.equal(isAnswered, false);
    held[0].destroy();
    assert.equal(await late, '/late');
    held[1].destroy();
    ask({ port, host: '127.0.0.1', path: '/quit' }).catch(() => {});
    const { stdout } = await end;
    assert.match(stdout, /^2 at once, .* [1-9]\d* times full\n$/);
  });

  it('waits for 1,000 connections at once', { skip: !onNode }, async (t) => {
    const { sockets, end } = await served(t, POLLING, [{ ...LOCAL, backlog: 1024 }], ['#0']);
    const { port } = sockets[0];
    const agents = Array.from({ length: 1000 }, () => new http.Agent({ keepAlive: true }));
    const where = { port, host: '127.0.0.1' };
    for (const turn of [1, 2]) {
      // All of them are connected before any is used again.
      const answers = await Promise.all(
        agents.map((agent, i) => ask({ ...where, path: `/${turn}-${i}` }, agent)),
      );
      answers.forEach((text, i) => assert.equal(text, `/${turn}-${i}`));
    }
    ask({ ...where, path: '/quit' }, agents[0]).catch(() => {});
    assert.equal((await end).stdout, '1000 at once, 0 reset, 0 times full\n');
    for (const agent of agents) agent.destroy();
  });

  it('listens on several sockets at once', { skip: onWindows }, async (t) => {
    await withFolder(async (folder) => {
      const socketPath = path.join(folder, 'socket');
      const { sockets, end } = await served(
        t,
        POLLING,
        [LOCAL, { path: socketPath }],
        ['#0', '#1'],
      );
      assert.equal(await ask({ socketPath, path: '/unix' }), '/unix');
      assert.equal(await ask({ host: '127.0.0.1', port: sockets[0].port, path: '/ip' }), '/ip');
      ask({ socketPath, path: '/quit' }).catch(() => {});
      assert.equal((await end).exitCode, 7);
      assert.equal(fs.existsSync(socketPath), false);
    });
  });

  it(
    'waits for more connections than there is room to watch',
    { skip: onWindows || !suspend || !onNode },
    async (t) => {
      // Watched descriptors are duplicated: the process has room for some of 200 connections twice.
      const { sockets, end } = await served(t, POLLING, [LOCAL], ['#0'], {}, 300);
      const { port } = sockets[0];
      const agents = Array.from({ length: 200 }, () => new http.Agent({ keepAlive: true }));
      for (const turn of [1, 2]) {
        const answers = await Promise.all(
          agents.map((agent, i) => ask({ ...LOCAL, port, path: `/${turn}-${i}` }, agent)),
        );
        answers.forEach((text, i) => assert.equal(text, `/${turn}-${i}`));
      }
      ask({ ...LOCAL, port, path: '/quit' }, agents[0]).catch(() => {});
      assert.equal((await end).stdout, '200 at once, 0 reset, 0 times full\n');
      for (const agent of agents) agent.destroy();
    },
  );
}
