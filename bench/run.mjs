// `npm run bench`: what each host call costs, here and in `node:wasi`. See README.md beside this
// file.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, parsedArguments, run, say } from '../scripts/process.mjs';
import { measureRows } from './measurement.mjs';
import { buildNative, machine, OTHER, requireAddon, versionOf } from './processes.mjs';
import { checkedOptions, compareOrKeep } from './ratios.mjs';
import { OVERHEAD_AIM, rows } from './rows.mjs';
import { besideOther, table } from './table.mjs';

const HELP = `usage: npm run bench -- [options]
  --filter REGEXP   only the rows whose names match
  --node PATH       the node to measure under (by default this one)
  --rounds COUNT    how often each implementation gets its turn (by default 6; with those below 9)
  --components      a program as a component, here and with jco's usual host, beside preview1
  --folder PATH     where the files are that the rows work on (by default in memory, if there is /dev/shm)
  --json FILE       write the figures
  --plot FILE       draw the ratios as SVG; with --components those to jco's usual host
  --against FOLDER  beside another checkout, which is built, in the place of \`node:wasi\`
  --check           compare with the kept ratios and print what got worse
  --update          keep the ratios of this run
  --start, --instances, --threads, --programs
                    instead of the table: whole processes, instances, two threads, published
                    programs (whole.mjs). --filter is for the programs`;

const options = readOptions();
if (options.help) {
  console.log(HELP);
  process.exit();
}
const { rounds = 6, filter } = checkedOptions(options);
const whole = ['start', 'instances', 'threads', 'programs'].filter((name) => options[name]);
const kind = [...whole, 'components', 'against']
  .filter((name) => options[name])
  .map((name) => `--${name}`)[0];
// An option that nothing is done with would be taken for kept.
const without = {
  '--components': ['folder', 'check', 'update', 'against'],
  '--against': ['check', 'update', 'json', 'plot'],
};
const useless =
  kind === undefined
    ? []
    : (without[kind] ?? ['folder', 'components', 'against']).filter((name) => options[name]);
if (useless.length > 0) fail(`--${useless[0]} cannot be given with ${kind}\n${HELP}`);
if (whole.length > 0) {
  const script = fileURLToPath(new URL('whole.mjs', import.meta.url));
  const given = ['node', 'rounds', 'filter', 'json', 'plot'].filter((name) => options[name]);
  const flags = ['check', 'update'].filter((name) => options[name]).map((name) => `--${name}`);
  flags.push(...given.map((name) => `--${name}=${options[name]}`));
  process.exit(run(process.execPath, [script, ...whole, ...flags]) ? 0 : 1);
}

requireAddon();
const { node } = options;
const against = options.against && resolve(options.against);
if (against) requireAddon(against);
if (options.components) {
  const { measureComponents } = await import('./components.mjs');
  const rows = await measureComponents({ node, rounds, filter });
  const about = { node: versionOf(node).version, machine: machine() };
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ ...about, rows }, null, 2)}\n`);
  if (options.plot) {
    const { plotComponents } = await import('./plot.mjs');
    writeFileSync(options.plot, await plotComponents(rows, about));
  }
  process.exit();
}
const { version, major, v8 } = versionOf(node);
const native = buildNative();
const selected = rows.filter((row) => filter.test(row.name) && (native || !row.pipe));
if (selected.length === 0) fail(`no row matches ${filter}`);

say(`Node.js ${version} (V8 ${v8}), ${machine()}`);
const figures = await measureRows(selected, {
  node,
  major,
  native,
  rounds,
  against,
  folder: options.folder,
});
if (against) {
  const compared = selected.map(({ name }, at) => {
    const { 'wasi-rs': here, [OTHER]: there, errors } = figures.get(selected[at]);
    return { name, here, there, errors };
  });
  console.log(besideOther(compared).join('\n'));
  process.exit();
}
const results = selected.map((row) => result(row, figures.get(row)));
const { lines, geomean, free, overheads } = table(results, OVERHEAD_AIM);
console.log(lines.join('\n'));

if (options.json) {
  const all = { node: version, v8, machine: machine(), geomean, free, overheads, rows: results };
  writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`);
}
if (options.plot) {
  const { plot } = await import('./plot.mjs');
  const heading = 'Time of a host call: wasi-rs as a part of node:wasi';
  const mean = ` Geometric mean ${geomean.toFixed(2)}.`;
  const about = { node: version, machine: machine(), heading, mean };
  writeFileSync(options.plot, await plot(results, about));
}
compareOrKeep('ratios.json', major, results, options);

function readOptions() {
  const string = (value) => ({ type: 'string', default: value });
  const known = {
    filter: string(''),
    node: string(process.execPath),
    rounds: { type: 'string' },
    components: { type: 'boolean' },
    folder: { type: 'string' },
    against: { type: 'string' },
    json: { type: 'string' },
    plot: { type: 'string' },
    check: { type: 'boolean' },
    update: { type: 'boolean' },
    start: { type: 'boolean' },
    instances: { type: 'boolean' },
    threads: { type: 'boolean' },
    programs: { type: 'boolean' },
    help: { type: 'boolean' },
  };
  return parsedArguments({ options: known }, HELP).values;
}

function result(row, { bare, checks, 'wasi-rs': here, 'node:wasi': there, errors }) {
  const ratio = here !== undefined && there !== undefined ? here / there : undefined;
  const judged = row.overhead && bare !== undefined && here !== undefined;
  return {
    name: row.name,
    here,
    node: there,
    ratio,
    bare,
    checks,
    above: judged ? here - bare : undefined,
    class: row.overhead,
    aim: row.aim,
    // Compared as printed: more digits would be noise.
    met: ratio === undefined ? undefined : Number(ratio.toFixed(2)) <= row.aim,
    errors,
  };
}
