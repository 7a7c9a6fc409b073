// `node bench/instructions.mjs`: how many instructions a host call takes outside the kernel. Unlike
// a time, the count does not depend on what else the machine does.
//
// Two processes run a row, one more often than the other; what they differ by belongs to the calls.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fail, root, say } from '../scripts/process.mjs';
import { prepareFolder } from './folder.mjs';
import { assemble } from './measurement.mjs';
import { IMPLEMENTATIONS, nodeFlags, requireAddon, versionOf } from './processes.mjs';
import { rows } from './rows.mjs';

const HELP = 'usage: node bench/instructions.mjs [--filter REGEXP] [--node PATH]';
/** After so many turns V8 has compiled all there is to compile. */
const FEW = 200_000;
const MANY = 300_000;

const string = (value) => ({ type: 'string', default: value });
let options;
try {
  options = parseArgs({ options: { filter: string(''), node: string(process.execPath) } }).values;
} catch (error) {
  fail(`${error.message}\n${HELP}`);
}

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
const filter = new RegExp(options.filter);
const selected = rows.filter(
  (row) => row.fixture === 'guest' && row.calls && !row.limit && !row.pipe && filter.test(row.name),
);
if (selected.length === 0) fail(`no row that can be counted matches ${filter}`);
const folder = prepareFolder([]);
const guest = await assemble(folder, selected);
const counter = Object.keys(COUNTERS).find((name) => works(COUNTERS[name]));
if (!counter) fail('neither perf nor valgrind can count instructions here');
say(`instructions of a call outside the kernel, counted by ${counter}; Node.js ${version}`);
const width = Math.max(...selected.map((row) => row.name.length));
const line = (cells) =>
  console.log(cells.map((cell, i) => (i ? cell.padStart(10) : cell.padEnd(width))).join('  '));
line(['call', 'here', 'node:wasi', 'ratio']);
for (const row of selected) {
  const counts = IMPLEMENTATIONS.map((implementation) => {
    const [few, many] = [FEW, MANY].map((turns) =>
      run(COUNTERS[counter], guest, row, implementation, turns),
    );
    return (many - few) / (MANY - FEW) / (row.per ?? 1);
  });
  line([row.name, ...counts.map((count) => count.toFixed(0)), (counts[0] / counts[1]).toFixed(2)]);
}

function works({ command, count }) {
  const file = join(folder, 'count');
  const [program, ...args] = command(file);
  const { error, status } = spawnSync(program, [...args, 'true'], { stdio: 'ignore' });
  return !error && status === 0 && count(file) > 0;
}

/** @returns {number} the instructions of a process that runs a row so often */
function run({ command, count }, guest, row, implementation, turns) {
  const file = join(folder, 'count');
  const jobPath = join(folder, 'job.json');
  const report = join(folder, 'report');
  const job = { implementation, root, folder: folder, fixture: 'guest', pipes: false, turns };
  writeFileSync(jobPath, JSON.stringify({ ...job, names: [row.name], ...guest }));
  const [program, ...args] = command(file);
  const measure = fileURLToPath(new URL('measure.mjs', import.meta.url));
  // One thread: when V8 compiles must not depend on the machine's load.
  const node = [options.node, '--single-threaded', ...nodeFlags(major), measure, jobPath];
  const fd = openSync(report, 'w');
  const { status, stderr } = spawnSync(program, [...args, ...node], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    encoding: 'utf8',
  });
  closeSync(fd);
  const error = /"error":"(.*)"/.exec(readFileSync(report, 'utf8'))?.[1];
  if (status !== 0 || error)
    fail(`${row.name} under ${implementation}: ${error ?? stderr.slice(-1000)}`);
  return count(file);
}
