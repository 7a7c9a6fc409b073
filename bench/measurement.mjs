// Measures rows: two implementations and the bare system calls in turn, each in a process of its
// own.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { prepareFolder } from './folder.mjs';
import { Guest } from './guest.mjs';
import { CHECKS, FLOOR, IMPLEMENTATIONS, OTHER, measure, measureNative } from './processes.mjs';
import { nodeFlags } from './processes.mjs';

/** A row that takes longer (ns) has its turn in the first round only. */
const ONCE_ABOVE = 1e9;
/**
 * How long, in ms, a row runs before it is measured, how long it is measured, and a sample at
 * least.
 */
const TIMES = { warm: 60, budget: 60, sample: 0.5 };

/** Fixtures that a process can measure only once. */
const ONCE = /^(cold|linked|require|start)/;
/** What is measured beside the two that are compared: which fixtures, and where the figure is. */
const FLOORS = {
  [FLOOR]: { fixtures: ONCE, figure: 'bare' },
  [CHECKS]: { fixtures: /^(cold|linked)/, figure: 'checks' },
};
/** How many processes a round has for these. */
const PROCESSES = 5;

/**
 * @typedef {object} Figures ns for one turn, the best of all rounds
 * @property {number} [wasi-rs]
 * @property {number} [node:wasi]
 * @property {number} [other]
 * @property {number} [bare]
 * @property {number} [checks] the same closures without a host, where V8 has not compiled them
 * @property {Record<string, string>} errors why an implementation has no figure
 */

/**
 * @param {import('./rows.mjs').Row[]} rows
 * @param {object} options
 * @param {string} options.node
 * @param {number} options.major its version
 * @param {string} [options.native] the program with the bare system calls
 * @param {number} options.rounds
 * @param {string} [options.against] another checkout, whose package takes the place of `node:wasi`
 * @param {string} [options.folder] where to work
 * @param {boolean} [options.growing]
 * @returns {Promise<Map<import('./rows.mjs').Row, Figures>>}
 */
export async function measureRows(rows, { folder: parent, ...options }) {
  const directories = new Set(rows.filter((row) => row.walk).map((row) => row.entries));
  return measureIn(prepareFolder(directories, parent), rows, options);
}

async function measureIn(folder, rows, options) {
  const { node, major, native, rounds, against, growing = false } = options;
  const compared = against === undefined ? IMPLEMENTATIONS : ['wasi-rs', OTHER];
  const guest = await assemble(folder, rows);
  // A module that imports nothing but what it calls.
  const start = await assemble(
    folder,
    rows.filter((row) => /^(start|linked)/.test(row.fixture)),
    'start.wasm',
  );
  const figures = new Map(rows.map((row) => [row, { bare: row.bare, errors: {} }]));
  const keep = (row, kind, ns) => {
    const best = figures.get(row);
    best[kind] = Math.min(best[kind] ?? Infinity, ns);
  };
  const fixtures = [...new Set(rows.map((row) => row.fixture))];
  for (let round = 0; round < rounds; round++) {
    if (native) {
      const names = rows.filter((row) => row.bare === undefined).map((row) => row.name);
      const found = measureNative(native, folder, TIMES.budget, names);
      for (const row of rows) if (found.has(row.name)) keep(row, 'bare', found.get(row.name));
    }
    for (const implementation of [...compared, ...Object.keys(FLOORS)]) {
      const floor = FLOORS[implementation];
      for (const fixture of fixtures) {
        if (floor && !floor.fixtures.test(fixture)) continue;
        const turn = rows.filter((row) => {
          const { [implementation]: ns, errors } = figures.get(row);
          return row.fixture === fixture && !errors[implementation] && !(ns > ONCE_ABOVE);
        });
        const names = turn.map((row) => row.name);
        const how = { node, flags: nodeFlags(major), native, against };
        const module = /^(start|linked)/.test(fixture) ? start : guest;
        const job = { implementation, folder, fixture, names, growing, ...module, ...TIMES };
        const processes = ONCE.test(fixture) ? PROCESSES : 1;
        for (let i = 0; i < processes; i++) {
          const found = await measure(how, job);
          for (const row of turn) {
            const { ns, error } = found.get(row.name);
            if (error) figures.get(row).errors[implementation] = error;
            else keep(row, floor?.figure ?? implementation, ns);
          }
        }
      }
    }
  }
  return figures;
}

/**
 * Writes the module with the loops of the rows.
 *
 * @returns {Promise<{ wasm: string, descriptors: Record<string, number> }>} what measure.mjs has to
 *   know
 */
export async function assemble(folder, rows, name = 'guest.wasm') {
  const guest = new Guest();
  for (const { name, calls, walk, moves, until, before, after } of rows) {
    if (!calls && !walk) continue;
    guest.add({ name, calls, walk, moves, until });
    if (before) guest.add({ name: `before ${name}`, calls: before });
    if (after) guest.add({ name: `after ${name}`, calls: after });
  }
  const wabt = await createRequire(import.meta.url)('wabt')();
  const module = wabt.parseWat(name, guest.text());
  const wasm = join(folder, name);
  try {
    writeFileSync(wasm, module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
  return { wasm, descriptors: guest.descriptors };
}
