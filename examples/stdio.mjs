// Standard streams in any form: bytes in, functions and collected bytes out.
import { readFile } from 'node:fs/promises';
import { WASI } from '../index.js';

const wasm = await WebAssembly.compile(
  await readFile(new URL('../demo/demo.wasm', import.meta.url)),
);

async function run(options) {
  const wasi = new WASI({ version: 'preview1', ...options });
  wasi.start(await WebAssembly.instantiate(wasm, wasi.getImportObject()));
  return wasi;
}

const { stdout } = await run({
  stdin: new Uint8Array(),
  stdout: 'pipe',
  limits: { outputBytes: 1024 },
});
console.log('collected:', JSON.stringify(new TextDecoder().decode(stdout)));

await run({ stdout: (chunk) => console.log('a chunk of', chunk.length, 'bytes') });

// What the function throws stops the guest and comes out of start() as it is.
const enough = new Error('enough');
await run({
  stdout: () => {
    throw enough;
  },
}).catch((error) => console.log('stopped by my own error:', error === enough));
