// `node bench/profile.mjs PROGRAM [ARGUMENT...]`: where a real program spends its host time, here
// and in `node:wasi`. PROGRAM is a WASI command (`.wasm`) or a script for Node.js that uses
// `node:wasi`.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countOf, fail, parsedArguments, say } from '../scripts/process.mjs';
import { removeFolder, temporaryFolder } from './folder.mjs';
import { IMPLEMENTATIONS, machine, nodeFlags, requireAddon, versionOf } from './processes.mjs';
import { tableLines } from './table.mjs';

const HELP = `usage: node bench/profile.mjs [options] PROGRAM [ARGUMENT...]
  --dir GUEST=HOST  of a .wasm file: a preopened directory (by default an empty one, as /)
  --env NAME=VALUE  of a .wasm file: a variable
  --folder PATH     where the program runs, in an empty folder (by default in memory, if there is /dev/shm)
  --node PATH       the node to run under (by default this one)
  --rounds COUNT    how often each implementation gets its turn (by default 3)
  --rows COUNT      how many functions to print (by default 12)`;

const here = fileURLToPath(new URL('.', import.meta.url));
const { options, program, args } = readOptions();
const rounds = countOf('--rounds', options.rounds);
const rowCount = countOf('--rows', options.rows);

requireAddon();
const { version, major } = versionOf(options.node);
say(`${basename(program)}: Node.js ${version}, ${machine()}`);
const best = Object.fromEntries(IMPLEMENTATIONS.map((name) => [name, undefined]));
for (let round = 0; round < rounds; round++) {
  for (const implementation of IMPLEMENTATIONS) {
    best[implementation] = better(best[implementation], runOnce(implementation));
  }
}
print();

function readOptions() {
  const own = process.argv.slice(2);
  // Arguments behind the program are the program's own.
  const isOption = (i) => own[i]?.startsWith('--') || (i > 0 && /^--[a-z]+$/.test(own[i - 1]));
  let at = 0;
  while (at < own.length && isOption(at)) at++;
  const known = {
    dir: { type: 'string', multiple: true, default: [] },
    env: { type: 'string', multiple: true, default: [] },
    folder: { type: 'string' },
    node: { type: 'string', default: process.execPath },
    rounds: { type: 'string', default: '3' },
    rows: { type: 'string', default: '12' },
  };
  const { values } = parsedArguments({ args: own.slice(0, at), options: known }, HELP);
  if (at === own.length) fail(`no program\n${HELP}`);
  const path = resolve(own[at]);
  if (!existsSync(path)) fail(`${path} does not exist`);
  return { options: values, program: path, args: own.slice(at + 1) };
}

/** `a=b` as a pair. */
function pair(text) {
  const at = text.indexOf('=');
  if (at < 0) fail(`${text}: an = is missing`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Runs the program in an empty folder. */
function runOnce(implementation) {
  const folder = temporaryFolder(options.folder);
  const report = join(folder, '.profile');
  try {
    const dirs = options.dir.map(pair).map(([guest, host]) => [guest, resolve(host)]);
    const command = {
      wasm: program,
      args: [basename(program), ...args],
      env: Object.fromEntries(options.env.map(pair)),
      preopens: dirs.length > 0 ? Object.fromEntries(dirs) : { '/': folder },
    };
    const script =
      extname(program) === '.wasm'
        ? [join(here, 'profile-command.mjs'), JSON.stringify(command)]
        : [program, ...args];
    const hook = join(here, 'profile-hook.cjs');
    const { status, signal, stderr } = spawnSync(
      options.node,
      [...nodeFlags(major), '--require', hook, ...script],
      {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'ignore', 'pipe'],
        maxBuffer: 1 << 26,
        env: { ...process.env, PROFILE_IMPLEMENTATION: implementation, PROFILE_REPORT: report },
      },
    );
    if (!existsSync(report)) {
      fail(
        `the program made no WASI instance (${signal ?? `exit code ${status}`})\n${stderr.slice(-2000)}`,
      );
    }
    if (status !== 0)
      say(`under ${implementation} the program ended with ${signal ?? `code ${status}`}`);
    return summary(readFileSync(report, 'utf8'));
  } finally {
    removeFolder(folder);
  }
}

/** The best of two rounds, call by call: what else the machine does only ever takes time. */
function better(before, found) {
  if (before === undefined) return found;
  for (const [name, figures] of before.calls) {
    const other = found.calls.get(name);
    if (!other) continue;
    other.ms = Math.min(figures.ms, other.ms);
    other.median = Math.min(figures.median, other.median);
  }
  return { calls: found.calls, ms: Math.min(before.ms, found.ms), hostMs: sum(found.calls, 'ms') };
}

function sum(calls, key) {
  return [...calls.values()].reduce((total, figures) => total + figures[key], 0);
}

/** Adds the threads up. */
function summary(text) {
  const calls = new Map();
  let ms = 0;
  for (const line of text.split('\n').filter(Boolean)) {
    const thread = JSON.parse(line);
    ms = Math.max(ms, thread.ms);
    for (const [name, figures] of Object.entries(thread.calls)) {
      const before = calls.get(name) ?? { count: 0, failed: 0, ms: 0, bytes: 0, median: 0 };
      calls.set(name, {
        count: before.count + figures.count,
        failed: before.failed + figures.failed,
        ms: before.ms + figures.ms,
        bytes: before.bytes + figures.bytes,
        // Of the thread that makes the most calls.
        median: figures.count > before.count ? figures.median : before.median,
      });
    }
  }
  return { calls, ms, hostMs: sum(calls, 'ms') };
}

function print() {
  const { 'wasi-rs': ours, 'node:wasi': theirs } = best;
  const head = [
    'call',
    'calls',
    'failed',
    'bytes/call',
    'ms here',
    'share',
    'ms node:wasi',
    'median ns here',
    'median ns node:wasi',
  ];
  const ns = (ms) => (ms === undefined ? '-' : Math.round(ms * 1e6).toLocaleString('en'));
  const made = [...ours.calls]
    .filter(([, figures]) => figures.count > 0)
    .sort((a, b) => b[1].ms - a[1].ms);
  const body = made.slice(0, rowCount).map(([name, figures]) => {
    const other = theirs.calls.get(name) ?? { ms: 0 };
    return [
      name,
      String(figures.count),
      String(figures.failed),
      figures.bytes > 0 ? Math.round(figures.bytes / figures.count).toLocaleString('en') : '-',
      figures.ms.toFixed(2),
      `${((100 * figures.ms) / ours.hostMs).toFixed(0)} %`,
      other.ms.toFixed(2),
      ns(figures.median),
      ns(other.median),
    ];
  });
  console.log(tableLines(head, body).join('\n'));
  for (const [name, { calls, hostMs, ms }] of Object.entries(best)) {
    const share = ((100 * hostMs) / ms).toFixed(1);
    console.log(
      `${name}: ${sum(calls, 'count')} calls, ${hostMs.toFixed(1)} ms in them, ${share} % of the ${ms.toFixed(0)} ms that the program runs`,
    );
  }
}
