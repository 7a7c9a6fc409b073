// A terminal in a web page. Keys come by POST requests, the screen goes out as server-sent events;
// a page with a real emulator of terminals would do the same over a WebSocket.
//
//   node examples/terminal.mjs [PORT [PROGRAM.wasm [ARGUMENT...]]]
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, spawn } from '../index.js';

const SHELL = fileURLToPath(new URL('../demo/shell.wasm', import.meta.url));
const [port = '0', path = SHELL, ...args] = process.argv.slice(2);
const program = await compile(path);
const MOST_SESSIONS = 20;
const MOST_KEYS = 10_000;
const sessions = new Map();

function open(columns, rows) {
  const id = randomUUID();
  const guest = spawn(program, {
    args: [basename(path), ...args],
    env: { TERM: 'xterm-256color' },
    preopens: { '/': { memory: { 'readme.txt': 'a file in memory\n' }, maxBytes: 10_000_000 } },
    tty: { columns, rows },
  });
  sessions.set(id, guest);
  guest.exited.catch(() => {}).finally(() => sessions.delete(id));
  return id;
}

/** Sends what the guest writes, as fast as the page takes it; then how the guest ended. */
async function show(guest, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  // A page that was closed has no more use for its program.
  response.once('close', () => guest.kill());
  for await (const chunk of guest.stdout) {
    if (!response.write(`data: ${chunk.toString('base64')}\n\n`)) {
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
    if (response.destroyed) break;
  }
  const { reason, exitCode } = await guest.exited;
  response.end(`event: end\ndata: ${reason} ${exitCode}\n\n`);
}

async function type(guest, request) {
  let size = 0;
  for await (const keys of request) {
    size += keys.length;
    if (size > MOST_KEYS) return false;
    if (!guest.stdin.write(keys)) await Promise.race([once(guest.stdin, 'drain'), guest.exited]);
  }
  return true;
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>terminal</title>
<pre id="screen" tabindex="0" style="background:#111;color:#eee;padding:1em;min-height:20em"></pre>
<script type="module">
const screen = document.getElementById('screen');
const id = await (await fetch('/sessions?columns=80&rows=24', { method: 'POST' })).text();
const decoder = new TextDecoder();
let text = '';
const events = new EventSource('/sessions/' + id);
events.onmessage = ({ data }) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  // The least of a terminal: what is erased goes.
  for (const c of decoder.decode(bytes, { stream: true })) {
    if (c === '\\b') text = text.slice(0, -1);
    else if (c !== '\\r' && c !== '\\x07') text += c;
  }
  screen.textContent = text;
};
events.addEventListener('end', ({ data }) => { events.close(); screen.append('[' + data + ']'); });
const KEYS = { Enter: '\\r', Backspace: '\\x7f', Tab: '\\t', Escape: '\\x1b' };
screen.onkeydown = (event) => {
  const { key, ctrlKey } = event;
  const code = ctrlKey ? String.fromCharCode(key.toUpperCase().charCodeAt(0) & 31) : KEYS[key] ?? key;
  if (!ctrlKey && key.length > 1 && KEYS[key] === undefined) return;
  event.preventDefault();
  fetch('/sessions/' + id, { method: 'POST', body: code });
};
screen.focus();
</script>`;

async function answer(request, response) {
  const { method } = request;
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const done = (status, text = '') => response.writeHead(status).end(text);
  if (method === 'GET' && pathname === '/') {
    return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
  }
  const [, folder, id] = pathname.split('/');
  const size = [Number(searchParams.get('columns') ?? 80), Number(searchParams.get('rows') ?? 24)];
  const isSize = size.every((one) => Number.isInteger(one) && one > 0 && one < 1000);
  if (folder !== 'sessions' || !isSize) return done(404);
  if (id === undefined && method === 'POST') {
    return sessions.size < MOST_SESSIONS ? done(200, open(...size)) : done(503);
  }
  const guest = sessions.get(id);
  if (guest === undefined) return done(404);
  if (method === 'GET') return show(guest, response);
  if (method === 'POST') return done((await type(guest, request)) ? 204 : 413);
  if (method === 'PUT') guest.resize(...size);
  else if (method === 'DELETE') guest.kill();
  else return done(405);
  return done(204);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    if (!response.headersSent) response.writeHead(500);
    response.end();
    console.error(error);
  });
});
server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
console.log(`listening on http://127.0.0.1:${server.address().port}`);

process.once('SIGTERM', () => {
  server.close();
  for (const guest of sessions.values()) guest.kill();
  server.closeAllConnections?.();
});
