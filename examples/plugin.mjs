// A plugin that nobody has read: files in, files out, its output captured, 100 ms and 64 MB.
//
//   node examples/plugin.mjs [PLUGIN.wasm]
import { compile, run } from '../index.js';

const limits = { memoryBytes: 64 * 2 ** 20, outputBytes: 100_000, openFiles: 16 };

/** Runs a plugin over some files, and gives the files that it leaves in /output. */
async function transform(plugin, files) {
  const result = await run(plugin, {
    args: ['plugin'],
    preopens: {
      '/input': { memory: files, readOnly: true },
      '/output': { memory: {}, maxBytes: 1_000_000 },
    },
    timeoutMs: 100,
    limits,
  });
  const { reason, exitCode, stdout, stderr, memoryBytes } = result;
  const output = [...result.files].filter(([path]) => path.startsWith('/output/'));
  return { reason, exitCode, stdout, stderr, memoryBytes, output };
}

// It is compiled once, with its limits.
const source = process.argv[2] ?? new URL('../demo/report.wasm', import.meta.url);
const plugin = await compile(source, { limits: { memoryBytes: limits.memoryBytes } });
const good = await transform(plugin, { 'a.txt': 'one\ntwo\n', 'b.txt': 'three\n' });
console.log('a good one:', good.reason, good.exitCode);
for (const [path, bytes] of good.output) console.log(path, new TextDecoder().decode(bytes));

// Two bad ones. The first computes for ever:
// (module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
const endless = Buffer.from(
  '0061736d0100000001040160000003020100050301000107130206' +
    '6d656d6f72790200065f737461727400000a0901070003400c000b0b',
  'hex',
);
console.log('an endless one:', (await transform(endless, {})).reason);

// The second wants 16,000 pages of 64 KiB to start:
// (module (memory (export "memory") 16000) (func (export "_start")))
const greedy = Buffer.from(
  '0061736d01000000010401600000030201000504' +
    '0100807d07130206' +
    '6d656d6f72790200065f737461727400000a040102000b',
  'hex',
);
console.log('a greedy one:', (await transform(greedy, {})).reason);
