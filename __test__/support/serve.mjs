// Runs a server in a process of its own, and tells where it listens.
//
//   node serve.mjs GUEST.wasm OPTIONS [ARGUMENT...]
//
// OPTIONS are those of the class as JSON. What becomes of `sockets` is sent to the parent, and
// later how the guest ended. An argument `#n` stands for the descriptor of socket n.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { WASI } = createRequire(import.meta.url)('../../index.js');
const [, , file, json, ...args] = process.argv;
const options = JSON.parse(json);
// The arguments are needed before the guest is made, so the descriptor is counted.
const first = 3 + Object.keys(options.preopens ?? {}).length;
const wasi = new WASI({
  version: 'preview1',
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'inherit',
  ...options,
  args: ['server', ...args.map((text) => text.replace(/^#(\d+)$/, (_, n) => first + Number(n)))],
});
const tell = (message) => new Promise((resolve) => process.send(message, resolve));
await tell({ sockets: wasi.sockets });
const module = new WebAssembly.Module(readFileSync(file));
const instance = new WebAssembly.Instance(module, wasi.getImportObject());
const exitCode = options.suspend ? await wasi.startAsync(instance) : wasi.start(instance);
const stdout = Buffer.from(wasi.stdout).toString();
const stats = wasi.stats();
wasi.close();
await tell({ exitCode, stdout, stats });
process.disconnect();
