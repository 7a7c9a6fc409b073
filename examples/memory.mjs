// A directory in memory: seeded before, used by the guest, read back after. The host's disk is not
// touched.
import { readFile } from 'node:fs/promises';
import { WASI } from '../index.js';

const wasi = new WASI({
  version: 'preview1',
  args: ['report'],
  preopens: {
    '/input': { memory: { 'a.txt': 'one\ntwo\n', 'sub/b.txt': new Uint8Array([104, 105, 10]) } },
    '/output': { memory: {}, maxBytes: 1_000_000 },
  },
  stdout: 'ignore',
});
const wasm = await readFile(new URL('../demo/report.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(wasm, wasi.getImportObject());
console.log('exit code', wasi.start(instance));
console.log('files:', wasi.listFiles().join(' '));
for (const path of wasi.listFiles().filter((name) => name.startsWith('/output/'))) {
  console.log(`${path}:\n${new TextDecoder().decode(wasi.readFile(path))}`);
}
