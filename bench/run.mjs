// `npm run bench`: what each host call costs, here and in `node:wasi`. See README.md beside this file.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fail, say } from '../scripts/process.mjs';
import { prepareFolder } from './folder.mjs';
import { Guest } from './guest.mjs';
import {
  IMPLEMENTATIONS,
  buildNative,
  measure,
  measureNative,
  nodeFlags,
  requireAddon,
  versionOf,
} from './processes.mjs';
import { OVERHEAD_AIM, rows } from './rows.mjs';
import { comparison, table } from './table.mjs';

const HELP = `usage: npm run bench -- [options]
  --filter REGEXP   only the rows whose names match
  --node PATH       the node to measure under (by default this one)
  --rounds COUNT    how often each implementation gets its turn (by default 3)
  --folder PATH     where the files are that the rows work on (by default in memory, if there is /dev/shm)
  --json FILE       write the figures
  --plot FILE       draw the ratios as SVG
  --check           compare with the committed ratios and print what got worse
  --update          make the ratios of this run the committed ones`;

/** A row that takes longer (ns) has its turn in the first round only. */
const ONCE_ABOVE = 1e9;
/** A ratio this much above the committed one got worse: less is noise. */
const NOISE = 1.15;

const ratiosPath = fileURLToPath(new URL('ratios.json', import.meta.url));

const { values: options } = readOptions();
if (options.help) {
  console.log(HELP);
  process.exit();
}
const rounds = Number(options.rounds);
if (!(Number.isInteger(rounds) && rounds > 0)) fail('--rounds has to be a whole number above 0');

requireAddon();
const node = options.node;
const { version, major, v8 } = versionOf(node);
const native = buildNative();
const filter = new RegExp(options.filter);
const selected = rows.filter((row) => filter.test(row.name) && (native || !row.pipe));
if (selected.length === 0) fail(`no row matches ${filter}`);

const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, ${process.platform}-${process.arch}`;
say(`Node.js ${version} (V8 ${v8}), ${machine}`);
const results = await measureAll();
const { lines, geomean, overheads } = table(results, OVERHEAD_AIM);
console.log(lines.join('\n'));

if (options.json) {
  writeFileSync(
    options.json,
    `${JSON.stringify({ node: version, v8, machine, geomean, overheads, rows: results }, null, 2)}\n`,
  );
}
if (options.plot) {
  const { plot } = await import('./plot.mjs');
  writeFileSync(options.plot, plot(results, { node: version, machine, geomean }));
}
if (options.check || options.update) {
  const ratios = JSON.parse(readFileSync(ratiosPath, 'utf8'));
  if (options.check) console.log(comparison(results, ratios[major], NOISE, major).join('\n'));
  if (options.update) update(ratios);
}

function readOptions() {
  const string = (value) => ({ type: 'string', default: value });
  try {
    return parseArgs({
      options: {
        filter: string(''),
        node: string(process.execPath),
        rounds: string('3'),
        folder: { type: 'string' },
        json: { type: 'string' },
        plot: { type: 'string' },
        check: { type: 'boolean' },
        update: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    return fail(`${error.message}\n${HELP}`);
  }
}

/** Writes the module with the loops of all selected rows. */
async function assemble(folder) {
  const guest = new Guest();
  for (const { name, calls, walk, moves, until, before, after } of selected) {
    if (!calls && !walk) continue;
    guest.add({ name, calls, walk, moves, until });
    if (before) guest.add({ name: `before ${name}`, calls: before });
    if (after) guest.add({ name: `after ${name}`, calls: after });
  }
  const wabt = await createRequire(import.meta.url)('wabt')();
  const module = wabt.parseWat('guest.wat', guest.text());
  const path = join(folder, 'guest.wasm');
  writeFileSync(path, module.toBinary({}).buffer);
  module.destroy();
  return { wasm: path, descriptors: guest.descriptors };
}

/** @returns {Promise<object[]>} the selected rows with their figures */
async function measureAll() {
  const sizes = new Set(selected.filter((row) => row.walk).map((row) => row.entries));
  const folder = prepareFolder(sizes, options.folder);
  try {
    return await measureIn(folder.path);
  } finally {
    folder.remove();
  }
}

async function measureIn(folder) {
  const guest = await assemble(folder);
  const best = new Map(
    selected.map((row) => [
      row,
      { bare: row.bare, 'wasi-rs': undefined, 'node:wasi': undefined, errors: {} },
    ]),
  );
  const fixtures = [...new Set(selected.map((row) => row.fixture))];
  for (let round = 0; round < rounds; round++) {
    if (native) {
      const names = selected
        .filter((row) => (row.bare !== 0 && row.calls !== undefined) || row.walk)
        .map((row) => row.name);
      const found = measureNative(native, folder, 60, names);
      for (const row of selected) {
        const ns = found.get(row.name);
        const figures = best.get(row);
        if (ns !== undefined) figures.bare = Math.min(figures.bare ?? Infinity, ns);
      }
    }
    for (const implementation of IMPLEMENTATIONS) {
      for (const fixture of fixtures) {
        const turn = selected.filter((row) => {
          const { [implementation]: ns, errors } = best.get(row);
          return row.fixture === fixture && !errors[implementation] && !(ns > ONCE_ABOVE);
        });
        const names = turn.map((row) => row.name);
        const found = await measure(
          { node, flags: nodeFlags(major), native },
          { implementation, folder, fixture, names, ...guest, warm: 60, budget: 60, sample: 0.5 },
        );
        for (const row of turn) {
          const { ns, error } = found.get(row.name);
          const figures = best.get(row);
          if (error) figures.errors[implementation] = error;
          else figures[implementation] = Math.min(figures[implementation] ?? Infinity, ns);
        }
      }
    }
  }
  return selected.map((row) => {
    const { bare, 'wasi-rs': here, 'node:wasi': there, errors } = best.get(row);
    const ratio = here !== undefined && there !== undefined ? here / there : undefined;
    const above =
      row.overhead && bare !== undefined && here !== undefined ? here - bare : undefined;
    return {
      name: row.name,
      here,
      node: there,
      ratio,
      bare,
      above,
      class: row.overhead,
      aim: row.aim,
      // As it is printed: more digits would be noise.
      met: ratio === undefined ? undefined : Number(ratio.toFixed(2)) <= row.aim,
      errors,
    };
  });
}

function update(ratios) {
  const changed = { ...ratios[major] };
  for (const { name, ratio } of results) {
    if (ratio !== undefined) changed[name] = Number(ratio.toFixed(3));
  }
  writeFileSync(ratiosPath, `${JSON.stringify({ ...ratios, [major]: changed }, null, 2)}\n`);
  say(`bench/ratios.json now has the ratios of this run for Node.js ${major}`);
}
