// The reader of modules under mutated modules: it never hangs, what V8 takes is as valid after
// rewriting, with other maxima and nothing else changed, and what the reader does not know is
// refused.
//
//   WASI_RS_FUZZ_ROUNDS=1000000 WASI_RS_FUZZ_SEED=7 node --test __test__/wasm-module-fuzz.test.mjs

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { MODULES, UNKNOWN } from './support/modules.mjs';

const { limited, readModule } = createRequire(import.meta.url)('../lib/wasm-module.js');

const ROUNDS = Number(process.env.WASI_RS_FUZZ_ROUNDS ?? 20_000);
const SEED = Number(process.env.WASI_RS_FUZZ_SEED ?? 17);
/** How many milliseconds one input may take on a busy machine. */
const LIMIT = 20_000;
const MOST_BYTES = 2 ** 20;
/** The V8 of Node.js 18 crashes over what it takes with such flags. */
const hasFlags =
  !process.versions.bun && !process.versions.deno && parseInt(process.versions.node, 10) >= 20;

/** V8 takes more than it takes by default, where it knows these. */
function takeMore() {
  const { stdout } = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  const wanted = [
    'custom-page-sizes', 'exnref', 'extended-const', 'gc', 'memory64', 'multi-memory', 'return-call',
    'shared', 'stringref', 'tail-call', 'type-reflection', 'typed-funcref', 'wasmfx', 'custom-descriptors',
  ]; // prettier-ignore
  for (const name of wanted) {
    const flag = `--experimental-wasm-${name}`;
    if (stdout.includes(`${flag} `)) setFlagsFromString(flag);
  }
}

test('every form is read, or refused where it is not known', () => {
  for (const [what, bytes] of Object.entries(MODULES)) {
    const { memories, tables } = readModule(bytes);
    for (const list of [memories, tables]) assert.ok(Array.isArray(list), what);
    const bounded = limited(bytes, {
      memoryBytes: 2 ** 26,
      tableElements: 2 ** 20,
      allowsHeap: true,
    });
    for (const { maximum } of [...readModule(bounded).memories, ...readModule(bounded).tables]) {
      assert.notEqual(maximum, undefined, what);
    }
    assert.equal(WebAssembly.validate(bounded), WebAssembly.validate(bytes), what);
  }
  for (const [what, bytes] of Object.entries(UNKNOWN)) {
    for (const read of [readModule, (wasm) => limited(wasm, { tableElements: 1 })]) {
      assert.throws(() => read(bytes), { code: 'ERR_WASI_MODULE' }, what);
    }
  }
});

test('mutated modules never hang the reader, and nothing but maxima changes', async (t) => {
  if (hasFlags) takeMore();
  const current = new SharedArrayBuffer(8 + MOST_BYTES);
  const words = new Int32Array(current, 0, 2);
  const shown = () => Buffer.from(current, 8, words[1]).toString('hex').slice(0, 20_000);
  const worker = new Worker(new URL('support/fuzz-modules.mjs', import.meta.url), {
    workerData: { seed: SEED, rounds: ROUNDS, current },
    execArgv: [],
  });
  const { counts, reasons } = await new Promise((resolve, reject) => {
    let last = 0;
    let since = Date.now();
    const timer = setInterval(() => {
      if (words[0] !== last) [last, since] = [words[0], Date.now()];
      else if (last > 0 && Date.now() - since > LIMIT) {
        end(new Error(`round ${last - 1} takes longer than ${LIMIT} ms: ${shown()}`));
      }
    }, 100);
    function end(error) {
      clearInterval(timer);
      worker.terminate();
      reject(error);
    }
    worker.on('message', (message) => {
      clearInterval(timer);
      resolve(message);
    });
    worker.on('error', (error) => {
      error.message += `: ${shown()}`;
      end(error);
    });
    worker.on('exit', (code) => end(new Error(`the Worker ended with ${code}: ${shown()}`)));
  });
  t.diagnostic(JSON.stringify(counts));
  for (const [why, example] of reasons)
    t.diagnostic(`V8 takes what is refused, ${why}: ${example}`);
  // Each of the ways was gone.
  for (const way of ['refused', 'valid', 'invalid', 'rewritten']) {
    assert.ok(counts[way] > ROUNDS / 100, `${way}: ${counts[way]}`);
  }
});
