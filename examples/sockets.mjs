// A guest that serves HTTP in a Worker. It takes connections from a socket that it is given.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { runInWorker } from '../index.js';

// A port that is free now. `new WASI` tells the port of { port: 0 }; a Worker does not.
const probe = net.createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { address: host, port } = probe.address();
probe.close();
await once(probe, 'close');

const server = new URL('../__test__/guests/servers/http-blocking.wasm', import.meta.url);
const ended = runInWorker(await readFile(server), {
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
