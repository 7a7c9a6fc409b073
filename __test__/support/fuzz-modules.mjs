// A Worker that gives mutated modules to the reader of modules, and holds what comes out against
// V8. It says which input it works on before each, so that another thread sees one that hangs.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { generator, guests, MODULES, mutated, sectionsOf } from './modules.mjs';

const { limited, readModule } = createRequire(import.meta.url)('../../lib/wasm-module.js');

const { seed, rounds, current } = workerData;
/** The round, and how many bytes of input follow. */
const words = new Int32Array(current, 0, 2);
const input = new Uint8Array(current, 8);

const PAGE = 65536;
const CODES = ['ERR_WASI_MODULE', 'ERR_WASI_LIMIT', 'ERR_WASI_UNBOUNDED_MEMORY'];
const LIMITS = [
  { memoryBytes: 20 * PAGE, tableElements: 50 },
  { memoryBytes: 20 * PAGE, tableElements: 50, allowsHeap: true },
  { memoryBytes: 5 * PAGE + 1, allowsHeap: true },
  { tableElements: 50 },
];
/** Sections that have limits. */
const CHANGED = [2, 4, 5];

const counts = { refused: 0, refusedOfV8: 0, valid: 0, invalid: 0, rewritten: 0 };
/** Inputs that V8 takes and the reader refuses: one for each of the reader's messages. */
const reasons = new Map();

function one(bytes, limits) {
  let read;
  try {
    read = readModule(bytes);
  } catch (error) {
    assert.equal(error.code, 'ERR_WASI_MODULE', error.stack);
  }
  let result;
  try {
    result = limited(bytes, limits);
  } catch (error) {
    assert.ok(CODES.includes(error.code), error.stack);
    // A module that the reader refuses is not passed on.
    assert.equal(error.code === 'ERR_WASI_MODULE', read === undefined, error.stack);
    counts.refused++;
    if (read === undefined && WebAssembly.validate(bytes)) {
      counts.refusedOfV8++;
      const why = error.message.replace(/\d+/g, '#');
      if (!reasons.has(why)) reasons.set(why, Buffer.from(bytes).toString('hex').slice(0, 400));
    }
    return;
  }
  assert.notEqual(read, undefined, 'what cannot be read was rewritten');
  if (!WebAssembly.validate(bytes)) {
    counts.invalid++;
    return;
  }
  counts.valid++;
  assert.ok(WebAssembly.validate(result), 'rewriting made it invalid');
  if (Buffer.compare(bytes, result) !== 0) counts.rewritten++;
  onlyLimits(bytes, result, read, limits);
}

/** Nothing but maxima has changed, and these are kept. */
function onlyLimits(bytes, result, read, limits) {
  const [before, after] = [sectionsOf(bytes), sectionsOf(result)];
  assert.deepEqual(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  before.forEach(({ id, content }, i) => {
    if (!CHANGED.includes(id)) assert.equal(Buffer.compare(content, after[i].content), 0);
  });
  const now = readModule(result);
  // With them, the types of imports are the same.
  const withoutMaxima = (_, value) => {
    if (typeof value === 'bigint') return String(value);
    if (typeof value !== 'object' || value === null || !('maximum' in value)) return value;
    return { ...value, maximum: undefined };
  };
  assert.equal(JSON.stringify(now, withoutMaxima), JSON.stringify(read, withoutMaxima));
  for (const [kind, most] of [
    ['memories', limits.memoryBytes],
    ['tables', limits.tableElements ?? (limits.memoryBytes && 100_000)],
  ]) {
    let sum = 0;
    now[kind].forEach(({ minimum, maximum, pageSize }, i) => {
      const was = read[kind][i].maximum;
      assert.ok(maximum === undefined || (maximum >= minimum && !(maximum > was)), kind);
      sum += Number(maximum) * pageSize;
    });
    if (most !== undefined) assert.ok(sum <= most, `${kind} may have ${sum}`);
    else assert.deepEqual(now[kind], read[kind]);
  }
  const [old, made] = [bytes, result].map((one) => new WebAssembly.Module(one));
  const { imports, exports } = WebAssembly.Module;
  const plain = (list) => JSON.stringify(list, ['module', 'name', 'kind']);
  assert.equal(plain(imports(made)), plain(imports(old)));
  assert.equal(plain(exports(made)), plain(exports(old)));
  // The reader and V8 see the same.
  assert.equal(plain(now.imports), plain(imports(old)));
  assert.equal(plain(now.exports), plain(exports(old)));
}

const random = generator(seed);
const made = Object.values(MODULES);
const all = [...made, ...guests()];
for (let round = 0; round < rounds; round++) {
  // Guests are larger, so each takes longer.
  const list = round % 4 === 0 ? all : made;
  const bytes = mutated(list[random(list.length)], random, all);
  Atomics.store(words, 1, Math.min(bytes.length, input.length));
  input.set(bytes.subarray(0, input.length));
  Atomics.store(words, 0, round + 1);
  try {
    one(bytes, LIMITS[random(LIMITS.length)]);
  } catch (error) {
    error.message = `round ${round} of seed ${seed}: ${error.message}`;
    throw error;
  }
}
parentPort.postMessage({ counts, reasons: [...reasons] });
