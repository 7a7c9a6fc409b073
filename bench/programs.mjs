// The cost of a run of a whole program in a Pool, beside the same in the calling thread and in a
// pool of Workers that only exchange messages.
//
//   node bench/programs.mjs [--rounds N] [--runs N] [--json FILE]

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

const require = createRequire(import.meta.url);
const { compile, Pool, WASI } = require('../index.js');

const HELLO = fileURLToPath(new URL('../demo/demo.wasm', import.meta.url));
const INDEX = fileURLToPath(new URL('../index.js', import.meta.url));
const MIB = 2 ** 20;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    runs: { type: 'string', default: '2000' },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const RUNS = Number(values.runs);

/** The options of a run, in this thread or in a Worker. */
const OPTIONS = {
  version: 'preview1',
  args: ['demo'],
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'pipe',
};
function runHere(module) {
  const wasi = new WASI(OPTIONS);
  const exitCode = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
  const result = { exitCode, stdout: Buffer.from(wasi.stdout).toString() };
  wasi.close();
  return result;
}

const OWN_WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { WASI } = require(workerData.index);
  const OPTIONS = ${JSON.stringify(OPTIONS)};
  ${runHere}
  parentPort.on('message', (id) => {
    parentPort.postMessage({ id, result: workerData.isEcho ? id : runHere(workerData.module) });
  });`;

/** A pool of one's own: it has no options, no time limit, no queue to speak of. */
class OwnPool {
  #idle = [];
  #waiting = [];
  #workers = [];
  constructor(size, module, isEcho = false) {
    for (let i = 0; i < size; i++) {
      const workerData = { module, isEcho, index: INDEX };
      const worker = new Worker(OWN_WORKER, { eval: true, workerData });
      worker.on('message', ({ result }) => {
        const { resolve } = worker;
        const next = this.#waiting.shift();
        if (next) this.#post(worker, next);
        else this.#idle.push(worker);
        resolve(result);
      });
      this.#workers.push(worker);
      this.#idle.push(worker);
    }
  }
  #post(worker, resolve) {
    worker.resolve = resolve;
    worker.postMessage(1);
  }
  run() {
    return new Promise((resolve) => {
      const worker = this.#idle.pop();
      if (worker) this.#post(worker, resolve);
      else this.#waiting.push(resolve);
    });
  }
  close() {
    return Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

const median = (list) => list.toSorted?.((a, b) => a - b)[list.length >> 1] ?? sorted(list);
const sorted = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Milliseconds of one run, one after another. */
async function sequential(run, count) {
  const start = performance.now();
  for (let i = 0; i < count; i++) await run();
  return (performance.now() - start) / count;
}

/** Runs per second with four for each thread under way. */
async function parallel(run, count, atOnce = 8) {
  let left = count;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await run();
    }),
  );
  return (count / (performance.now() - start)) * 1000;
}

const program = await compile(HELLO);
const module = new WebAssembly.Module(readFileSync(HELLO));
const one = new Pool({ size: 1 });
const two = new Pool({ size: 2 });
const own = new OwnPool(2, module);
const echo = new OwnPool(1, module, true);
// As in a Worker, what is closed is collected between two turns of the event loop.
const here = async () => {
  runHere(module);
  await new Promise(setImmediate);
};
const bounded = { args: ['demo'], timeoutMs: 1000 };
const ways = {
  'in the calling thread, ms': () => sequential(here, RUNS),
  'pool.run, ms': () => sequential(() => one.run(program, bounded), RUNS),
  'a message there and back, ms': () => sequential(() => echo.run(), RUNS),
  'runs per second, Pool of 2': () => parallel(() => two.run(program, bounded), RUNS * 2),
  'runs per second, 2 Workers and bare messages': () => parallel(() => own.run(), RUNS * 2),
};
const figures = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
for (let round = -1; round < ROUNDS; round++) {
  for (const [name, measure] of Object.entries(ways)) {
    const figure = await measure();
    // The first round warms up.
    if (round >= 0) figures[name].push(figure);
  }
}
const rss = process.memoryUsage.rss();
const many = new Pool({ size: 2 });
let most = 0;
await Promise.all(
  Array.from({ length: 60 }, async () => {
    await many.run(program);
    most = Math.max(most, process.memoryUsage.rss());
  }),
);
await Promise.all([one, two, many, own, echo].map((pool) => pool.close()));

const of = (name) => median(figures[name]);
const rows = Object.keys(ways).map((name) => [name, of(name), '']);
const differences = figures['pool.run, ms'].map(
  (ms, round) => ms - figures['in the calling thread, ms'][round],
);
rows.push(['pool.run above the calling thread, ms', median(differences), '<= 0.2']);
const ratios = figures['runs per second, Pool of 2'].map(
  (rate, round) => rate / figures['runs per second, 2 Workers and bare messages'][round],
);
// 1.4 times piscina, which has 0.66 of the runs of bare messages.
rows.push(['Pool of 2 against bare messages', median(ratios), '>= 0.93']);
rows.push(['60 runs at once in another Pool of 2, MiB more', (most - rss) / MIB, '<= 150']);
for (const [name, figure, aim] of rows) {
  console.log(`${name.padEnd(48)} ${figure.toFixed(3).padStart(12)} ${aim}`);
}
if (values.json)
  writeFileSync(values.json, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
