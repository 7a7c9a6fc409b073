// `node scripts/wasi-testsuite/run.mjs SUITE [--write] [HOST...]`: runs wasi-testsuite, from a
// clone of it, on this checkout and on node:wasi, and prints a table of what passed. A test that
// fails here makes the exit code 1. See README.md beside this file.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, own, parsedArguments, root, run } from '../process.mjs';

const PAGE = join(root, 'docs', 'platforms.md');
/** The part of the page that `--write` replaces. */
const PLACE = /(<!-- wasi-testsuite: .* -->\n)[^]*?(<!-- \/wasi-testsuite -->)/;
const HOSTS = { 'wasi-rs': 'wasi-rs.py', 'node:wasi': 'node-wasi.py' };
const python = process.env.PYTHON ?? (process.platform === 'win32' ? 'python' : 'python3');

const { values, positionals } = parsedArguments({
  allowPositionals: true,
  options: { write: { type: 'boolean' } },
});
const [suite, ...wanted] = positionals;
if (suite === undefined) fail('name the folder of wasi-testsuite');
for (const host of wanted) if (!HOSTS[host]) fail(`${host}: there are ${Object.keys(HOSTS)}`);
const start = startOf(suite);

const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-testsuite-'));
try {
  const hosts = wanted.length > 0 ? wanted : Object.keys(HOSTS);
  const results = hosts.map((host) => resultsOf(host, join(folder, 'results.json')));
  const lines = table(results);
  console.log(lines.join('\n'));
  if (values.write) write(lines);
  const ours = results.find(({ host }) => host === 'wasi-rs');
  if (ours?.suites.some(({ failed }) => failed.length > 0)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** How the suite's runner is started, without the adapter: its present form, or the one before. */
function startOf(suite) {
  const present = join(suite, 'run-tests');
  if (existsSync(present)) return [present];
  const before = join(suite, 'test-runner', 'wasi_test_runner.py');
  if (!existsSync(before)) fail(`${suite}: there is no run-tests`);
  const tests = readdirSync(join(suite, 'tests')).flatMap((language) => {
    const compiled = join(suite, 'tests', language, 'testsuite');
    return [join(compiled, 'wasm32-wasip1'), compiled].filter(existsSync).slice(0, 1);
  });
  if (tests.length === 0) fail('there are no compiled tests: check out prod/testsuite-base');
  return [before, '-t', ...tests];
}

/** Runs the suite on one host. */
function resultsOf(host, file) {
  const adapter = fileURLToPath(new URL(HOSTS[host], import.meta.url));
  const command = [process.execPath, join(root, 'bin', 'wasi-rs.js')].map((part) => `'${part}'`);
  const env = { ...process.env, WASI_RS: command.join(' '), NODE: process.execPath };
  rmSync(file, { force: true });
  const args = [...start, '-r', adapter, '--json-output-location', file, '--disable-colors'];
  run(python, args, { cwd: suite, env });
  if (!existsSync(file)) fail(`${host}: the suite's runner has left no results`);
  const suites = suitesIn(JSON.parse(readFileSync(file, 'utf8'))).map(({ name, tests }) => {
    // A suite of another version of WASI is skipped.
    const ran = tests.filter(({ executed }) => executed !== false);
    const failed = ran.filter(({ failures }) => failures.length > 0).map((each) => each.name);
    return { name, count: ran.length, failed: failed.sort() };
  });
  if (suites.every(({ count }) => count === 0)) fail(`${host}: no test ran`);
  return { host, suites: suites.filter(({ count }) => count > 0) };
}

/** The suites of a report, wherever they are in it: the suite's own versions differ in that. */
function suitesIn(report) {
  if (report === null || typeof report !== 'object') return [];
  if (Array.isArray(report.tests)) return [report];
  return Object.values(report).flatMap(suitesIn);
}

/** A row for each suite, and below the table which tests failed. */
function table(results) {
  const names = [
    ...new Set(results.flatMap(({ suites }) => suites.map(({ name }) => name))),
  ].sort();
  const { node } = process.versions;
  const heads = results.map(({ host }) => {
    return host === 'wasi-rs' ? `wasi-rs ${own.version}` : `\`node:wasi\` of Node.js ${node}`;
  });
  const cell = (found) => {
    const passed = found.reduce((sum, { count, failed }) => sum + count - failed.length, 0);
    return `${passed} of ${found.reduce((sum, { count }) => sum + count, 0)}`;
  };
  const row = (title, pick) => {
    const cells = results.map(({ suites }) => cell(suites.filter(pick)));
    return `| ${[title, ...cells].join(' | ')} |`;
  };
  const lines = [
    `| suite | ${heads.join(' | ')} |`,
    `| ${['---', ...heads.map(() => '---')].join(' | ')} |`,
    ...names.map((name) => row(name, (each) => each.name === name)),
    row('all', () => true),
  ];
  for (const [index, { suites }] of results.entries()) {
    const failed = suites.flatMap((each) => each.failed.map((name) => `\`${name}\``));
    if (failed.length > 0) {
      lines.push('', ...wrapped(`Failed on ${heads[index]}: ${failed.join(', ')}.`));
    }
  }
  return lines;
}

/** A text in lines of at most 100 columns. */
function wrapped(text) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (line.length <= 100 || lines.at(-1) === '') lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}

function write(lines) {
  const page = readFileSync(PAGE, 'utf8');
  if (!PLACE.test(page)) fail(`${PAGE} has no place for the table`);
  const text = `\n${lines.join('\n')}\n\n`;
  writeFileSync(
    PAGE,
    page.replace(PLACE, (_, before, after) => before + text + after),
  );
}
