// `node bench/instructions.mjs`: how many instructions a host call takes outside the kernel. Unlike
// a time, the count does not depend on what else the machine does.
//
// Two processes run a row, one more often than the other; what they differ by belongs to the calls.
// With `--start` it counts those of a whole process that makes 20 calls.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, parsedArguments, patternOf, say } from '../scripts/process.mjs';
import { prepareFolder } from './folder.mjs';
import { assemble } from './measurement.mjs';
import {
  ENV,
  FLOOR,
  IMPLEMENTATIONS,
  nodeFlags,
  publishedPackage,
  requireAddon,
  versionOf,
} from './processes.mjs';
import { rows } from './rows.mjs';

const HELP = 'usage: node bench/instructions.mjs [--start | --filter REGEXP] [--node PATH]';
/** After so many turns V8 has compiled all there is to compile. */
const FEW = 200_000;
const MANY = 300_000;

const string = (value) => ({ type: 'string', default: value });
const known = {
  filter: string(''),
  node: string(process.execPath),
  start: { type: 'boolean' },
};
const { values: options } = parsedArguments({ options: known }, HELP);
const filter = patternOf('--filter', options.filter);

/** The programs that count, best first. Each is given a file for its result. */
const COUNTERS = {
  perf: {
    command: (file) => ['perf', 'stat', '-x', ',', '-e', 'instructions:u', '-o', file, '--'],
    count: (file) => Number(/^(\d+),/m.exec(readFileSync(file, 'utf8'))?.[1]),
  },
  valgrind: {
    // V8 writes code as it runs, which valgrind has to look for.
    command: (file) => [
      'valgrind',
      '--tool=callgrind',
      '--smc-check=all-non-file',
      '--callgrind-out-file=/dev/null',
      `--log-file=${file}`,
    ],
    count: (file) => Number(/Collected : (\d+)/.exec(readFileSync(file, 'utf8'))?.[1]),
  },
};

requireAddon();
const { version, major } = versionOf(options.node);
const root = await publishedPackage();
const folder = prepareFolder([]);
const counter = Object.keys(COUNTERS).find((name) => works(COUNTERS[name]));
if (!counter) fail('neither perf nor valgrind can count instructions here');
/** One thread: when V8 compiles must not depend on the machine's load. */
const FLAGS = ['--single-threaded', ...nodeFlags(major)];
await (options.start ? countStart() : countCalls());

async function countCalls() {
  const selected = rows.filter(
    (row) =>
      row.fixture === 'guest' && row.calls && !row.limit && !row.pipe && filter.test(row.name),
  );
  if (selected.length === 0) fail(`no row that can be counted matches ${filter}`);
  const guest = await assemble(folder, selected);
  say(`instructions of a call outside the kernel, counted by ${counter}; Node.js ${version}`);
  const width = Math.max(...selected.map((row) => row.name.length));
  const line = (cells) =>
    console.log(cells.map((cell, i) => (i ? cell.padStart(10) : cell.padEnd(width))).join('  '));
  line(['call', 'here', 'node:wasi', 'ratio']);
  for (const row of selected) {
    const counts = IMPLEMENTATIONS.map((implementation) => {
      const [few, many] = [FEW, MANY].map((turns) => countRow(guest, row, implementation, turns));
      return (many - few) / (MANY - FEW) / (row.per ?? 1);
    });
    line([
      row.name,
      ...counts.map((count) => count.toFixed(0)),
      (counts[0] / counts[1]).toFixed(2),
    ]);
  }
}

async function countStart() {
  const row = rows.find(({ fixture }) => fixture === 'start');
  const { wasm } = await assemble(folder, [row], 'start.wasm');
  const child = fileURLToPath(new URL('whole-child.cjs', import.meta.url));
  // The addresses of a process decide how its tables of hashes fill.
  const flags = [...FLAGS, '--hash-seed=1', '--random-seed=1'];
  say(`instructions of a process outside the kernel, counted by ${counter}; Node.js ${version}`);
  for (const kind of ['nothing', FLOOR, ...IMPLEMENTATIONS]) {
    const args = [...flags, child, 'start', kind, root, folder, wasm, row.name];
    const { count, status, stderr } = counted(args, 'ignore');
    if (status !== 0) fail(`${kind}: ${stderr.slice(-1000)}`);
    console.log(`${kind.padEnd(10)}${(count / 1e6).toFixed(1).padStart(8)} million`);
  }
}

function works({ command, count }) {
  const file = join(folder, 'count');
  const [program, ...args] = command(file);
  const { error, status } = spawnSync(program, [...args, 'true'], { stdio: 'ignore' });
  return !error && status === 0 && count(file) > 0;
}

/** @returns {number} the instructions of a process that runs a row so often */
function countRow(guest, row, implementation, turns) {
  const jobPath = join(folder, 'job.json');
  const report = join(folder, 'report');
  const job = { implementation, root, folder, fixture: 'guest', pipes: false, turns };
  writeFileSync(jobPath, JSON.stringify({ ...job, names: [row.name], ...guest }));
  const measure = fileURLToPath(new URL('measure.mjs', import.meta.url));
  const fd = openSync(report, 'w');
  const { count, status, stderr } = counted([...FLAGS, measure, jobPath], fd);
  closeSync(fd);
  const error = /"error":"(.*)"/.exec(readFileSync(report, 'utf8'))?.[1];
  if (status !== 0 || error)
    fail(`${row.name} under ${implementation}: ${error ?? stderr.slice(-1000)}`);
  return count;
}

/** Runs Node.js under the counter, with a descriptor for its report. */
function counted(args, report) {
  const { command, count } = COUNTERS[counter];
  const file = join(folder, 'count');
  const [program, ...before] = command(file);
  const { status, stderr } = spawnSync(program, [...before, options.node, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', report],
    encoding: 'utf8',
    env: ENV,
  });
  return { status, stderr, count: status === 0 ? count(file) : undefined };
}
