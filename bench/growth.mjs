// `node bench/growth.mjs`: how the cost of a call grows with what it works on, and with how much
// there is of what it does not work on. It should not: each line's times should be alike.
import { countOf, fail, parsedArguments, patternOf, say } from '../scripts/process.mjs';
import { measureRows } from './measurement.mjs';
import { IMPLEMENTATIONS, buildNative, machine, requireAddon, versionOf } from './processes.mjs';
import { growingRows } from './rows.mjs';

const HELP = `usage: node bench/growth.mjs [--filter REGEXP] [--node PATH] [--rounds COUNT] [--folder PATH]`;

const string = (value) => ({ type: 'string', default: value });
const known = {
  filter: string(''),
  node: string(process.execPath),
  rounds: string('4'),
  folder: { type: 'string' },
};
const { values: options } = parsedArguments({ options: known }, HELP);
const rounds = countOf('--rounds', options.rounds);
const filter = patternOf('--filter', options.filter);

requireAddon();
const { node, folder } = options;
const { version, major } = versionOf(node);
const native = buildNative();
const selected = growingRows.filter((row) => filter.test(row.name));
if (selected.length === 0) fail(`no row matches ${filter}`);

say(`Node.js ${version}, ${machine()}`);
const figures = await measureRows(selected, { node, major, native, rounds, folder, growing: true });

for (const group of new Set(selected.map((row) => row.group))) {
  const members = selected.filter((row) => row.group === group);
  const kinds = [...IMPLEMENTATIONS, 'bare'].filter((kind) =>
    members.some((row) => figures.get(row)[kind] !== undefined || figures.get(row).errors[kind]),
  );
  const lines = [['', ...members.map((row) => row.at), 'last / first']];
  for (const kind of kinds) {
    const each = members.map((row) => {
      const ns = figures.get(row)[kind];
      // Bare system calls have no instances.
      const unit = kind === 'bare' && row.instances ? 1 : row.unit;
      return ns === undefined ? undefined : ns / unit;
    });
    const [first, last] = [each.at(0), each.at(-1)];
    const growth = first !== undefined && last !== undefined ? (last / first).toFixed(2) : '-';
    const times = each.map((ns) => (ns === undefined ? 'failed' : ns.toFixed(1)));
    lines.push([kind, ...times, growth]);
  }
  const widths = lines[0].map((_, i) => Math.max(...lines.map((cells) => cells[i].length)));
  console.log(`\n${group}`);
  for (const cells of lines) {
    const padded = cells.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]),
    );
    console.log(`  ${padded.join('  ')}`);
  }
  for (const row of members) {
    for (const [kind, error] of Object.entries(figures.get(row).errors)) {
      console.log(`  ${row.at} failed under ${kind}: ${error}`);
    }
  }
}
