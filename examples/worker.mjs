// A command in a Worker: the result as a promise, and an end to a guest that never makes one.
import { readFile } from 'node:fs/promises';
import { run } from '../index.js';

const wasm = await readFile(new URL('../demo/demo.wasm', import.meta.url));
const { reason, exitCode, stdout } = await run(wasm, { args: ['demo'], timeoutMs: 10_000 });
console.log(reason, exitCode, JSON.stringify(stdout));

// (module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
const endless = Uint8Array.from(
  Buffer.from(
    '0061736d0100000001040160000003020100050301000107130206' +
      '6d656d6f72790200065f737461727400000a09010700' +
      '03400c000b0b',
    'hex',
  ),
);
const late = await run(endless, { timeoutMs: 100 });
console.log(late.reason, late.error.limit);
