// The cost of a run of a whole program in a Pool, beside the same in the calling thread, in a pool
// of Workers that only exchange messages, and in piscina; and behind HTTP.
//
//   node bench/programs.mjs [--rounds N] [--runs N] [--json FILE]

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { countOf, parsedArguments } from '../scripts/process.mjs';
import { runHere } from './programs-worker.cjs';

const require = createRequire(import.meta.url);
const { compile, Pool } = require('../index.js');

const HELLO = fileURLToPath(new URL('../demo/demo.wasm', import.meta.url));
const OWN_WORKER = fileURLToPath(new URL('./programs-worker.cjs', import.meta.url));
const MIB = 2 ** 20;

const { values } = parsedArguments({
  options: {
    rounds: { type: 'string', default: '31' },
    runs: { type: 'string', default: '400' },
    json: { type: 'string' },
  },
});
const ROUNDS = countOf('--rounds', values.rounds);
const RUNS = countOf('--runs', values.runs);

/** A pool of one's own: it has no options, no time limit, no queue to speak of. */
class OwnPool {
  #idle = [];
  #waiting = [];
  #workers = [];
  constructor(size, module, isEcho = false) {
    for (let i = 0; i < size; i++) {
      const worker = new Worker(OWN_WORKER, { workerData: { module, isEcho } });
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

/** A server that runs the program for each request. */
async function serve(run) {
  const server = createServer(async (request, response) => {
    const { stdout } = await run();
    response.end(stdout);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const CLIENT = `
  const http = require('node:http');
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', async ({ port, count, atOnce, expected }) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce });
    const one = () => new Promise((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece) => (text += piece));
        response.on('end', () => (text === expected ? resolve() : reject(new Error(text))));
      });
      request.on('error', reject);
    });
    let left = count;
    const start = performance.now();
    await Promise.all(Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await one();
    }));
    const rate = (count / (performance.now() - start)) * 1000;
    agent.destroy();
    parentPort.postMessage(rate);
  });`;

/** Requests per second of a client in another thread. */
async function requests(server, count, atOnce = 8) {
  const { port } = server.address();
  client.postMessage({ port, count, atOnce, expected: 'hello world\n' });
  const [rate] = await once(client, 'message');
  return rate;
}

const program = await compile(HELLO);
const module = new WebAssembly.Module(readFileSync(HELLO));
const bounded = { args: ['demo'], timeoutMs: 1000 };
const one = new Pool({ size: 1 });
const two = new Pool({ size: 2 });
const own = new OwnPool(2, module);
const echo = new OwnPool(1, module, true);
const echoes = new OwnPool(2, module, true);
const piscina = new Piscina({
  filename: OWN_WORKER,
  workerData: { module },
  minThreads: 2,
  maxThreads: 2,
});
const client = new Worker(CLIENT, { eval: true });
const servers = [
  await serve(() => two.run(program, bounded)),
  await serve(() => piscina.run(1)),
  await serve(async () => ({ stdout: 'hello world\n' })),
  await serve(() => own.run()),
  await serve(async () => {
    await echoes.run();
    return { stdout: 'hello world\n' };
  }),
];
// As in a Worker, what is closed is collected between two turns of the event loop.
const here = async () => {
  runHere(module);
  await new Promise(setImmediate);
};
const ways = {
  'in the calling thread, ms': () => sequential(here, RUNS),
  'pool.run, ms': () => sequential(() => one.run(program, bounded), RUNS),
  'a message there and back, ms': () => sequential(() => echo.run(), RUNS),
  'runs per second, Pool of 2': () => parallel(() => two.run(program, bounded), RUNS * 2),
  'runs per second, 2 Workers and bare messages': () => parallel(() => own.run(), RUNS * 2),
  'runs per second, piscina of 2': () => parallel(() => piscina.run(1), RUNS * 2),
  'requests per second, Pool of 2': () => requests(servers[0], RUNS),
  'requests per second, piscina of 2': () => requests(servers[1], RUNS),
  'requests per second, nothing is run': () => requests(servers[2], RUNS),
  'requests per second, bare messages and runs': () => requests(servers[3], RUNS),
  'requests per second, bare messages': () => requests(servers[4], RUNS),
};
const figures = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
/** The ways in another order each time: what one leaves behind is collected while the next runs. */
function shuffled() {
  return Object.entries(ways)
    .map((way) => [Math.random(), way])
    .sort(([one], [other]) => one - other)
    .map(([, way]) => way);
}
for (let round = -1; round < ROUNDS; round++) {
  for (const [name, measure] of shuffled()) {
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
for (const server of servers) server.close();
await client.terminate();
await Promise.all([one, two, many, own, echo, echoes, piscina].map((pool) => pool.close()));

const of = (name) => median(figures[name]);
const rows = Object.keys(ways).map((name) => [name, of(name), '']);
const differences = figures['pool.run, ms'].map(
  (ms, round) => ms - figures['in the calling thread, ms'][round],
);
rows.push(['pool.run above the calling thread, ms', median(differences), '<= 0.2']);
const against = (name, other) => median(figures[name].map((rate, i) => rate / figures[other][i]));
const [ours, bare, theirs, ...behindHttp] = Object.keys(ways).slice(3);
const [served, servedByThem, servedEmpty, servedRuns, servedMessages] = behindHttp;
rows.push(['Pool of 2 against bare messages', against(ours, bare), '>= 0.93']);
rows.push(['Pool of 2 against piscina', against(ours, theirs), '>= 1.4']);
rows.push(['Pool of 2 against piscina, behind HTTP', against(served, servedByThem), '>= 1.2']);
// What bounds the gain: a pool that has no options, bounds or limits runs the program; a Worker
// answers and runs nothing; HTTP alone.
rows.push(['bare messages and runs against piscina, HTTP', against(servedRuns, servedByThem), '']);
rows.push([
  'bare messages against piscina, behind HTTP',
  against(servedMessages, servedByThem),
  '',
]);
rows.push(['nothing run against piscina, behind HTTP', against(servedEmpty, servedByThem), '']);
rows.push(['60 runs at once in another Pool of 2, MiB more', (most - rss) / MIB, '<= 150']);
for (const [name, figure, aim] of rows) {
  console.log(`${name.padEnd(48)} ${figure.toFixed(3).padStart(12)} ${aim}`);
}
if (values.json)
  writeFileSync(values.json, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`);
