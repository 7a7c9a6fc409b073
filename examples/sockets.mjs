// A guest that serves HTTP in a thread of its own. It takes connections from a socket that it is
// given.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { run } from '../index.js';

// A port that is free now. `new WASI` tells the port of { port: 0 }; `run` does not.
const probe = net.createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { address: host, port } = probe.address();
probe.close();
await once(probe, 'close');

const server = new URL('../__test__/guests/servers/http-blocking.wasm', import.meta.url);
const ended = run(server, {
  args: ['server', '3'],
  sockets: [{ host, port, nonblock: false }],
});

/** Asks until somebody listens. */
async function ask(path) {
  for (;;) {
    try {
      const [response] = await once(http.get({ host, port, path, agent: false }), 'response');
      return (await response.toArray()).join('').trim();
    } catch (error) {
      if (error.code !== 'ECONNREFUSED') throw error;
    }
  }
}

console.log(await ask('/'));
console.log(await ask('/quit'));
console.log('exit code', (await ended).exitCode);
