// `a | b | c`: three guests in one thread, their standard streams joined. Needs Node.js 24.20,
// Deno or Bun.
import { readFile } from 'node:fs/promises';
import { WASI } from '../index.js';

const wasm = await WebAssembly.compile(
  await readFile(new URL('../demo/sleeper.wasm', import.meta.url)),
);

async function run(stdin, stdout) {
  const wasi = new WASI({ suspend: true, stdin, stdout });
  const instance = await WebAssembly.instantiate(wasm, wasi.getImportObject());
  return wasi.startAsync(instance);
}

async function* lines() {
  yield 'the first line\n';
  yield 'the last line\n';
}

const [first, second] = [new TransformStream(), new TransformStream()];
const codes = await Promise.all([
  run(lines(), first.writable),
  run(first.readable, second.writable),
  run(second.readable, async (chunk) => console.log(new TextDecoder().decode(chunk).trimEnd())),
]);
console.log('exit codes', codes.join(' '));
