// The figures as text.

const digits = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

function ns(value) {
  if (value === undefined) return '-';
  return value < 100 ? value.toFixed(1) : digits.format(value);
}

function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/**
 * A table of text: the first column is aligned to the left, the others to the right.
 *
 * @param {string[]} head
 * @param {string[][]} body
 * @returns {string[]} lines, with an empty one before and after the table
 */
export function tableLines(head, body) {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...body.map((row) => row[i].length)),
  );
  const line = (cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return ['', line(head), rule, ...body.map(line), ''];
}

/**
 * @param {object[]} results
 * @param {Record<string, number>} overheadAims ns above the bare system call, by class
 * @returns {{ lines: string[], geomean: number, free: number, overheads: object }}
 */
export function table(results, overheadAims) {
  const head = ['call', 'here', 'node:wasi', 'ratio', 'aim', 'met', 'bare', 'above', 'aim', 'met'];
  const body = results.map((row) => [
    row.name,
    row.errors['wasi-rs'] ? 'failed' : ns(row.here),
    row.errors['node:wasi'] ? 'failed' : ns(row.node),
    row.ratio?.toFixed(2) ?? '-',
    row.aim.toFixed(2),
    row.met === undefined ? '-' : row.met ? 'yes' : 'NO',
    ns(row.bare),
    row.above === undefined ? '-' : ns(row.above),
    row.class ? String(overheadAims[row.class]) : '-',
    row.above === undefined ? '-' : row.above <= overheadAims[row.class] ? 'yes' : 'NO',
  ]);
  const lines = tableLines(head, body);

  const rated = results.filter((row) => row.ratio !== undefined);
  const geomean = geometricMean(rated.map((row) => row.ratio));
  const above = rated.filter((row) => Number(row.ratio.toFixed(2)) > 1);
  lines.push(
    'All times are ns, the best of many short samples. above: here less the bare system calls.',
  );
  lines.push(`geometric mean of ${rated.length} ratios: ${geomean.toFixed(3)} (aim: 0.400)`);
  const free = geometricMean(
    rated.map((row) => (row.bare ? Math.min(row.bare, row.here) : row.here) / row.node),
  );
  lines.push(
    `what it would be if a host call cost nothing above its system calls: ${free.toFixed(3)}`,
  );
  lines.push(
    `rows above 1.00: ${above.length}${above.length > 0 ? ` (${above.map((row) => row.name).join('; ')})` : ''}`,
  );

  const overheads = {};
  for (const [kind, aim] of Object.entries(overheadAims)) {
    const judged = results.filter((row) => row.class === kind && row.above !== undefined);
    if (judged.length === 0) continue;
    const worst = judged.reduce((a, b) => (b.above > a.above ? b : a));
    const sorted = judged.map((row) => row.above).sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1];
    overheads[kind] = { aim, worst: worst.above, row: worst.name, median };
    const types = kind === 'i64' ? 'calls with an i64' : 'calls with i32 only';
    lines.push(
      `overhead above the bare system call, ${types}: at most ${ns(worst.above)} (${worst.name}), median ${ns(median)} (aim: ${aim})`,
    );
  }
  for (const { name, here, checks } of results.filter((row) => row.here && row.checks)) {
    lines.push(
      `${name}: ${(here / checks).toFixed(2)} times the same closures without a host (${ns(checks)})`,
    );
  }
  lines.push(...failures(results));
  return { lines, geomean, free, overheads };
}

/** Beside another checkout, so many times its time is slower: less is noise. */
const SLOWER = 1.05;

/**
 * @param {{ name: string, here?: number, there?: number, errors: object }[]} results
 * @returns {string[]} the figures beside those of another checkout, and the rows that are slower
 */
export function besideOther(results) {
  const body = results.map(({ name, here, there }) => [
    name,
    ns(here),
    ns(there),
    here && there ? (here / there).toFixed(2) : '-',
  ]);
  const lines = tableLines(['call', 'here', 'there', 'ratio'], body);
  const rated = results.filter(({ here, there }) => here && there);
  const mean = geometricMean(rated.map(({ here, there }) => here / there));
  lines.push(`geometric mean of ${rated.length} ratios: ${mean.toFixed(3)}`);
  const slower = rated.filter(({ here, there }) => here / there > SLOWER).map(({ name }) => name);
  const percent = Math.round((SLOWER - 1) * 100);
  lines.push(
    slower.length > 0
      ? `more than ${percent} % slower here: ${slower.join('; ')}`
      : `nothing is more than ${percent} % slower here`,
  );
  return [...lines, ...failures(results)];
}

/** @returns {string[]} why rows have no figures */
function failures(results) {
  return results.flatMap(({ name, errors }) =>
    Object.entries(errors).map(
      ([implementation, error]) => `${name} failed under ${implementation}: ${error}`,
    ),
  );
}
