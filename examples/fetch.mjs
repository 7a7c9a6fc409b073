// A guest that serves HTTP in the thread of its client: it waits for connections without holding
// the thread, so `fetch` asks it like any other server. Needs Node.js 24.20, Deno or Bun.
//
//   node examples/fetch.mjs [SERVER.wasm]
//
// The server gets the descriptor of its listener as its argument, and ends when it is asked for
// /quit. The one of Go's own library in __test__/guests/servers/http-go does, too.
import { readFile } from 'node:fs/promises';
import { WASI } from '../index.js';

const [path = new URL('../__test__/guests/servers/http-poll.wasm', import.meta.url)] =
  process.argv.slice(2);
const wasi = new WASI({
  suspend: true,
  // Sockets come after the standard streams and the preopens, of which there are none.
  args: ['server', '3'],
  stdin: 'ignore',
  stdout: 'ignore',
  sockets: [{ host: '127.0.0.1', port: 0 }],
});
const module = await WebAssembly.compile(await readFile(path));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
const ended = wasi.startAsync(instance);

let ticks = 0;
const timer = setInterval(() => ticks++, 5);
const [{ address, port }] = wasi.sockets;
const ask = async (name) => (await fetch(`http://${address}:${port}${name}`)).text();
console.log(...(await Promise.all(['/one', '/two', '/three'].map(ask))));
await new Promise((resolve) => setTimeout(resolve, 50));
console.log('the host went on meanwhile:', ticks > 2);

// The last answer may not come.
ask('/quit').catch(() => {});
console.log('exit code', await ended);
clearInterval(timer);
wasi.close();
