// Each call of a guest with its arguments, its errno and its time; and statistics.
import { readFile } from 'node:fs/promises';
import { WASI } from '../index.js';

const wasi = new WASI({
  version: 'preview1',
  stdout: 'ignore',
  stats: true,
  trace: ({ name, args, errno }) => console.log(name, JSON.stringify(args), errno),
});
const wasm = await readFile(new URL('../demo/demo.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(wasm, wasi.getImportObject());
wasi.start(instance);
for (const [name, { calls }] of Object.entries(wasi.stats()))
  console.log(name, 'was called', calls, 'time(s)');
