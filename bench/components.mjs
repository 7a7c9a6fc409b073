// `npm run bench -- --components`: the same C program as a module of preview1 here, and as a
// component here (over values, and by the canonical ABI) and with jco's usual host. Beside them, the
// component without a host, and one that calls 0.2 itself, without the adapter of preview1. Side by
// side, in turns, each run in a process of its own. It needs what `npm run test:components` installs.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fail, say } from '../scripts/process.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const guests = path.join(here, '../__test__/components/guests');
const prepare = path.join(here, '../__test__/components/prepare.mjs');
const FORMS = ['preview1', 'values', 'lowered', 'no host', '0.2 itself', 'usual host'];
/** Forms that measure calls only. */
const ROWS_ONLY = ['no host'];
/** Forms whose calls pass values of JavaScript. */
const OVER_VALUES = ['values', 'usual host'];
/** Forms that have no program of files: it is the adapter's. */
const NO_PROGRAM = ['0.2 itself'];
/** Rows that are no times. */
const NO_TIMES = ['start: RSS in MB', 'program: context switches'];
/** How long one run may take in milliseconds. */
const LIMIT = 300_000;

/**
 * @param {{ node: string, rounds: number, filter: RegExp }} options
 * @returns {Promise<object[]>} the rows: `name`, whether it is a time, and the least figure of each
 * form
 */
export async function measureComponents({ node, rounds, filter }) {
  let tools;
  try {
    tools = await import(pathToFileURL(prepare));
  } catch {
    fail('jco is not installed: npm run test:components');
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-bench-'));
  try {
    tools.project(folder);
    const component = await tools.adapted('rows');
    const instantiation = { instantiation: 'async', wasiShim: false };
    await tools.transpiled(component, path.join(folder, 'values'), 'rows', instantiation);
    const importBindings = 'hybrid';
    const lowered = { ...instantiation, importBindings };
    await tools.transpiled(component, path.join(folder, 'lowered'), 'rows', lowered);
    await tools.transpiled(component, path.join(folder, 'usual host'), 'rows');
    const itself = await tools.embedded(
      'world command { include wasi:cli/command@0.2.12; }',
      fs.readFileSync(path.join(guests, 'rows-0.2.wasm')),
    );
    await tools.transpiled(itself, path.join(folder, '0.2 itself'), 'rows', lowered);
    fs.copyFileSync(path.join(guests, 'rows.wasm'), path.join(folder, 'rows.wasm'));
    fs.copyFileSync(path.join(here, 'no-host.mjs'), path.join(folder, 'no-host.mjs'));
    for (const form of FORMS) {
      fs.writeFileSync(path.join(folder, `${form}.mjs`), RUNNERS[form]);
    }
    // In memory, if there is such a folder: what is measured is the host, not the disk.
    const place = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : folder, 'b-'));
    try {
      return compare({ node, rounds, filter, folder, place });
    } finally {
      fs.rmSync(place, { recursive: true, force: true });
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function compare({ node, rounds, filter, folder, place }) {
  const run = (form, ...words) => {
    const { stderr, status } = spawnSync(
      node,
      [path.join(folder, `${form}.mjs`), place, ...words],
      {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: LIMIT,
      },
    );
    if (status !== 0) fail(`${form} ended with ${status}: ${stderr}`);
    const lines = stderr.trim().split('\n');
    return { lines: lines.slice(0, -1), ...JSON.parse(lines.at(-1)) };
  };
  const rows = new Map();
  const least = (row, form, value) => {
    const all = rows.get(row) ?? rows.set(row, {}).get(row);
    all[form] = Math.min(all[form] ?? Infinity, value);
  };
  for (let round = 0; round < rounds; round++) {
    for (const form of FORMS) {
      // jco's JavaScript takes long over values, and longer the more calls it has made.
      const divisor = OVER_VALUES.includes(form) ? '20' : '1';
      for (const line of run(form, 'all', divisor).lines) {
        const [, row, value] = /^(.*) ([\d.]+)$/.exec(line) ?? fail(line);
        least(row, form, Number(value));
      }
      if (ROWS_ONLY.includes(form)) continue;
      const start = run(form, 'none');
      least('start: ms', form, start.start);
      least('start: RSS in MB', form, start.rss);
      if (NO_PROGRAM.includes(form)) continue;
      const program = run(form, 'program', '1');
      least('program: CPU ms', form, program.cpu - start.cpu);
      least('program: context switches', form, program.switches);
    }
    say(`round ${round + 1} of ${rounds}`);
  }
  const compared = ['values', 'lowered', '0.2 itself'];
  const columns = ['ns a call', ...FORMS, ...compared.map((form) => `${form} : preview1`)];
  const table = [columns];
  for (const [row, figures] of rows) {
    if (!filter.test(row)) continue;
    const ratio = (form) => {
      const value = figures[form] / figures.preview1;
      return Number.isFinite(value) ? value.toFixed(2) : '-';
    };
    const cells = FORMS.map((form) => rounded(figures[form]));
    table.push([row, ...cells, ...compared.map(ratio)]);
  }
  const widths = columns.map((_, column) => Math.max(...table.map((line) => line[column].length)));
  for (const line of table) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    console.log(cells.join('  '));
  }
  return [...rows]
    .filter(([name]) => filter.test(name))
    .map(([name, figures]) => ({ name, isTime: !NO_TIMES.includes(name), ...figures }));
}

function rounded(value) {
  if (value === undefined) return '-';
  return value < 100 ? value.toFixed(1) : String(Math.round(value));
}

/**
 * The report that each run prints last: CPU time, context switches, memory, and the time to the
 * start.
 */
const REPORT = `
  function report(start) {
    const { userCPUTime, systemCPUTime, voluntaryContextSwitches, maxRSS } = process.resourceUsage();
    const cpu = (userCPUTime + systemCPUTime) / 1000;
    const figures = { cpu, switches: voluntaryContextSwitches, rss: maxRSS / 1024, start };
    process.stderr.write(JSON.stringify(figures) + '\\n');
  }`;
const OPTIONS = `{ args: ['rows', ...process.argv.slice(3)], preopens: { '/data': process.argv[2] } }`;
const instantiating = (form, { folder = form, imports = 'wasi.getImportObject()' } = {}) => `
  const begun = performance.now();
  const fs = await import('node:fs');
  const { WASI } = await import('wasi-rs/p2');
  const { instantiate } = await import('./${folder}/rows.js');
  const wasi = new WASI(${OPTIONS});
  const load = (name) => new WebAssembly.Module(fs.readFileSync('./${folder}/' + name));
  const component = await instantiate(load, ${imports});
  const start = performance.now() - begun;
  if (wasi.start(component) !== 0) throw new Error('the program failed');
  report(start);
  ${REPORT}`;
const RUNNERS = {
  preview1: `
    const begun = performance.now();
    const fs = await import('node:fs');
    const { WASI } = await import('wasi-rs');
    const wasi = new WASI({ version: 'preview1', ...${OPTIONS} });
    const wasm = new WebAssembly.Module(fs.readFileSync('rows.wasm'));
    const instance = new WebAssembly.Instance(wasm, wasi.getImportObject());
    const start = performance.now() - begun;
    if (wasi.start(instance) !== 0) throw new Error('the program failed');
    report(start);
    ${REPORT}`,
  values: instantiating('values'),
  lowered: instantiating('lowered'),
  'no host': instantiating('no host', {
    folder: 'lowered',
    imports: "(await import('./no-host.mjs')).withoutHost(wasi.getImportObject())",
  }),
  '0.2 itself': instantiating('0.2 itself'),
  'usual host': `
    const begun = performance.now();
    const { _setArgs } = await import('@bytecodealliance/preview2-shim/cli');
    const { _setPreopens } = await import('@bytecodealliance/preview2-shim/filesystem');
    _setArgs(['rows', ...process.argv.slice(3)]);
    _setPreopens({ '/data': process.argv[2] });
    const { run } = await import('./usual host/rows.js');
    const start = performance.now() - begun;
    run.run();
    report(start);
    process.exit();
    ${REPORT}`,
};
