// A server that runs a program for each request: the body is its standard input, what it writes is
// the answer. Each run is a fresh instance; the threads are warm.
//
//   node examples/server.mjs [PORT [PROGRAM.wasm]]
//   curl --data 'some text' http://127.0.0.1:PORT/an/argument
import { once } from 'node:events';
import { createServer } from 'node:http';
import { compile, Pool } from '../index.js';

const [port = '0', path = new URL('../demo/shell.wasm', import.meta.url)] = process.argv.slice(2);
const MOST_BYTES = 1_000_000;
const limits = { memoryBytes: 32 * 2 ** 20, outputBytes: MOST_BYTES };

const program = await compile(path, { limits: { memoryBytes: limits.memoryBytes } });
const pool = new Pool({ maxQueue: 1000 });

/** The status of the answer, by how the program ended. */
const STATUS = { exit: 200, timeout: 504, output: 507, memory: 507 };

async function answer(request, response) {
  const body = await bodyOf(request);
  if (body === undefined) return send(response, 413, 'too much');
  // Who has gone away needs no answer: the run ends then.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { reason, exitCode, stdout } = await pool.run(program, {
    args: ['program', ...request.url.split('/').filter(Boolean)],
    stdin: body,
    encoding: 'buffer',
    timeoutMs: 500,
    signal: gone.signal,
    limits,
  });
  return send(response, STATUS[reason] ?? 500, stdout, { 'x-end': `${reason} ${exitCode}` });
}

async function bodyOf(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > MOST_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function send(response, status, body, headers = {}) {
  if (!response.destroyed) response.writeHead(status, headers).end(body);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    const isFull = error.code === 'ERR_WASI_POOL_FULL';
    send(response, isFull ? 503 : 500, isFull ? 'too many requests' : 'something is wrong');
    if (!isFull && error.name !== 'AbortError') console.error(error);
  });
});
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
console.log(`listening on http://127.0.0.1:${server.address().port}`);

// What has begun comes to its end.
process.once('SIGTERM', async () => {
  server.close();
  server.closeIdleConnections?.();
  await pool.close();
  console.log('closed');
});
