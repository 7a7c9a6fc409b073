// Two programs that sleep and read input which takes its time, in one thread, while a timer of the
// host ticks. Needs Node.js 24.20, Deno or Bun.
import { readFile } from 'node:fs/promises';
import { setTimeout as later } from 'node:timers/promises';
import { WASI } from '../index.js';

const wasm = await WebAssembly.compile(
  await readFile(new URL('../demo/sleeper.wasm', import.meta.url)),
);

async function run(name, lines, pause) {
  const wasi = new WASI({
    suspend: true,
    async stdin() {
      await later(pause);
      return lines.shift() ?? null;
    },
    stdout: async (chunk) => console.log(name, 'wrote', new TextDecoder().decode(chunk)),
  });
  const instance = await WebAssembly.instantiate(wasm, wasi.getImportObject());
  console.log(name, 'exited with', await wasi.startAsync(instance));
}

let ticks = 0;
const timer = setInterval(() => ticks++, 10);
await Promise.all([run('one', ['hello'], 50), run('two', ['world'], 150)]);
clearInterval(timer);
console.log('the host went on meanwhile:', ticks > 5);

// A signal ends a guest that waits; its reason comes out.
const wasi = new WASI({ suspend: true, stdin: new ReadableStream() });
const instance = await WebAssembly.instantiate(wasm, wasi.getImportObject());
await wasi
  .startAsync(instance, { signal: AbortSignal.timeout(20) })
  .catch((error) => console.log('ended by a', error.name));
