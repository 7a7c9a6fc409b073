// Set clocks, a seed and sorted listings: two runs see the same.
import { WASI } from '../index.js';

function run() {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const wasi = new WASI({
    version: 'preview1',
    clock: {
      realtime: { start: 1_700_000_000_000_000_000n, step: 1000n },
      // From 1 on: programs written in Go end where it shows 0.
      monotonic: { start: 1n, step: 1000n },
    },
    random: 'a seed',
    sortedReaddir: true,
  });
  wasi.start({ exports: { memory, _start() {} } });
  wasi.wasiImport.clock_time_get(0, 0n, 0);
  wasi.wasiImport.random_get(8, 8);
  return Buffer.from(memory.buffer, 0, 16).toString('hex');
}

console.log(run());
console.log('the same again:', run() === run());
