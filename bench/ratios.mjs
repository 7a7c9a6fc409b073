// The ratios that are kept, by the major version of Node.js and the name of a row.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { countOf, patternOf, say } from '../scripts/process.mjs';

/** A ratio this many times the kept one got worse: less is noise. */
const NOISE = 1.15;

/**
 * Prints which results are worse than the kept ones, or keeps those of this run.
 *
 * @param {'ratios.json' | 'whole-ratios.json'} file beside this one
 * @param {number} major
 * @param {{ name: string, ratio?: number }[]} results
 * @param {{ check?: boolean, update?: boolean }} what
 */
export function compareOrKeep(file, major, results, { check, update }) {
  if (!check && !update) return;
  const path = fileURLToPath(new URL(file, import.meta.url));
  const kept = JSON.parse(readFileSync(path, 'utf8'));
  if (check) console.log(comparison(results, kept[major], major).join('\n'));
  if (!update) return;
  const changed = { ...kept[major] };
  for (const { name, ratio } of results) {
    if (ratio !== undefined) changed[name] = Number(ratio.toPrecision(3));
  }
  writeFileSync(path, `${JSON.stringify({ ...kept, [major]: changed }, null, 2)}\n`);
  say(`bench/${file} now has the ratios of this run for Node.js ${major}`);
}

/**
 * Refuses options that cannot be kept, before anything is measured.
 *
 * @param {string | undefined} rounds the text of the option
 * @param {string} filter
 * @returns {{ rounds: number | undefined, filter: RegExp }}
 */
export function checkedOptions({ rounds, filter }) {
  return {
    rounds: rounds === undefined ? undefined : countOf('--rounds', rounds),
    filter: patternOf('--filter', filter),
  };
}

/** @returns {string[]} what got worse than the kept ratios */
function comparison(results, kept, major) {
  if (!kept) return ['', `no ratios are kept for Node.js ${major}`];
  const lines = [];
  const compared = results.filter(
    ({ name, ratio }) => kept[name] !== undefined && ratio !== undefined,
  );
  if (compared.length === 0)
    return ['', 'no result of this run has a kept ratio to compare it with'];
  for (const { name, ratio } of compared) {
    const before = kept[name];
    if (ratio > before * NOISE) {
      lines.push(`worse: ${name}: ${before.toFixed(2)} -> ${ratio.toFixed(2)}`);
    }
  }
  const same = `nothing is more than ${Math.round((NOISE - 1) * 100)} % worse than the kept ratios for Node.js ${major}`;
  return ['', ...(lines.length > 0 ? lines : [same])];
}
