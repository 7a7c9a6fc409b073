// Guests that are HTTP servers, and clients for them: for tests and bench/suspend.mjs.
import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { fileURLToPath } from 'node:url';

const placeOf = (name) => fileURLToPath(new URL(name, import.meta.url));
const SERVE = placeOf('serve.mjs');
const CLIENTS = placeOf('clients.mjs');
export const BLOCKING = placeOf('../guests/servers/http-blocking.wasm');
export const POLLING = placeOf('../guests/servers/http-poll.wasm');
/** `node __test__/guests/servers/build-go.mjs` makes it. */
const GO = placeOf('../../target/guests/http-go.wasm');

export const LOCAL = { host: '127.0.0.1', port: 0 };
const noGo = !fs.existsSync(GO) && 'it is not built: guests/servers/build-go.mjs';

/** Each server with its socket, and whether it keeps connections and answers with the path. */
export const SERVERS = [
  {
    name: 'C, one connection at a time',
    file: BLOCKING,
    socket: { ...LOCAL, nonblock: false },
    keepAlive: false,
    skip: false,
  },
  { name: 'C, all at once', file: POLLING, socket: LOCAL, keepAlive: true, skip: false },
  { name: 'Go', file: GO, socket: LOCAL, keepAlive: true, skip: noGo },
];

/**
 * Clients in a process of their own that ask for `requests` paths over as many `connections`.
 *
 * @returns {Promise<{ answers: number, wrong: string[], lost: number, milliseconds: number }>}
 */
export async function clientsOf(t, job) {
  const before = process.versions.deno ? ['run', '-A', '-q'] : [];
  const child = spawn(process.execPath, [...before, CLIENTS, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t?.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  return JSON.parse(text);
}

/**
 * A server in a process of its own, ended after the test.
 *
 * @param {object} more options of its WASI
 * @param {number} [room] how many descriptors the process may have
 */
export async function served(t, file, sockets, args, more = {}, room) {
  const json = JSON.stringify({ sockets, ...more });
  // Node.js raises the limit to the hard one, which `ulimit` sets as well.
  const limited = {
    execPath: '/bin/sh',
    execArgv: ['-c', `ulimit -n ${room} && exec "$0" "$@"`, process.execPath],
  };
  const child = fork(SERVE, [file, json, ...args], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    ...(room === undefined ? {} : limited),
  });
  t?.after(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.on('data', (data) => (errors += data));
  const gone = once(child, 'exit').then(([code]) => assert.fail(`the server: ${code} ${errors}`));
  gone.catch(() => {});
  const message = () => Promise.race([once(child, 'message').then(([value]) => value), gone]);
  return { ...(await message()), end: message() };
}

export function ask(where, agent) {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...where, agent }, (response) => {
      let text = '';
      response
        .on('data', (data) => (text += data))
        .on('end', () => resolve(text))
        .on('error', reject);
    });
    request.on('error', reject);
  });
}
