// The adversarial suite: what a hostile guest can try, and whether it gets anywhere.
//
//   node __test__/sandbox/run.mjs [--impl node:wasi|PATH] [--groups RE] [--filter RE] [--every N]
//     [--seconds N] [--verbose]
//
// `--impl` names the implementation to attack, by default this package; `--groups` picks groups by
// "class: group", and `--filter` cases by "class: group: case"; `--every` takes only each N-th case of
// a group; `--seconds` is how long all races together may take, by default 30. Groups
// of cases run in processes of their own: a crash, a hang or an unexpected end is a case that
// failed. One table at the end, and what failed below it; the exit code is 1 if anything did.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BUILTIN, collectorFlag, IMPLEMENTATION, nodeFlags } from '../support/implementation.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const linux = process.platform === 'linux';

/** How long a case may take in milliseconds, unless its group says otherwise. */
const PATIENCE = 10_000;
/** How many cases of a group may end their process, or hang, before the rest is given up. */
const CRASHES = 10;
const HANGS = 3;
/** How many failures of a class are shown. */
const SHOWN = 12;

const USAGE = `usage: node __test__/sandbox/run.mjs [--impl node:wasi|PATH] [--groups REGEXP]
         [--filter REGEXP] [--every N] [--seconds N] [--verbose]`;

const options = parsed();
const seconds = Number(options.seconds);

function parsed() {
  try {
    const { values } = parseArgs({
      options: {
        impl: { type: 'string', default: IMPLEMENTATION },
        groups: { type: 'string' },
        filter: { type: 'string' },
        every: { type: 'string', default: '1' },
        seconds: { type: 'string', default: '30' },
        verbose: { type: 'boolean', default: false },
      },
    });
    for (const name of ['seconds', 'every']) {
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} takes a number above 0`);
    }
    // Throws where one is none.
    for (const name of ['groups', 'filter']) new RegExp(values[name] ?? '');
    return values;
  } catch (error) {
    console.error(`error: ${error.message}\n${USAGE}`);
    return process.exit(2);
  }
}

if (process.platform === 'win32') {
  console.log('The adversarial suite needs a Unix: everything is skipped on Windows.');
  process.exit(0);
}

// --- Classes -------------------------------------------------------------------------------------

const CLASSES = [
  { name: 'paths', modules: ['paths', 'preopens'] },
  { name: 'races', modules: ['races'] },
  {
    name: 'resolvers',
    modules: ['paths', 'preopens', 'races', 'resolvers'],
    without: ['enosys', 'eperm'],
  },
  {
    name: 'overlays',
    modules: ['overlays', 'paths', 'preopens', 'races'],
    without: [undefined, 'enosys'],
    overlay: true,
  },
  { name: 'memory', modules: ['memory'] },
  { name: 'descriptors', modules: ['descriptors'] },
  { name: 'process', modules: ['process'] },
  { name: 'javascript', modules: ['javascript'] },
  { name: 'suspended', modules: ['suspended'] },
];

/** Builds the program that takes `openat2` away, and returns its path. */
function buildLauncher() {
  const flags = [
    '--package',
    'wasi-rs-core',
    '--example',
    'without-openat2',
    '--message-format=json',
  ];
  const built = spawnSync('cargo', ['build', '--quiet', ...flags], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (built.status !== 0) throw new Error('the example without-openat2 could not be built');
  for (const line of built.stdout.split('\n')) {
    const message = line.startsWith('{') ? JSON.parse(line) : {};
    if (message.target?.name === 'without-openat2' && message.executable) return message.executable;
  }
  throw new Error('cargo did not say where the example without-openat2 is');
}

/**
 * How many races there are in all: once with the kernel's resolver, twice with ours, and over
 * overlays once with each.
 */
const { GROUPS: raceGroups } = await import('./classes/races.mjs');
const RACES = 5 * raceGroups.length;

async function groupsOf({ name, modules, without, overlay }) {
  const groups = [];
  for (const module of modules) {
    const { GROUPS } = await import(`./classes/${module}.mjs`);
    for (const filter of without ?? [undefined]) {
      for (const group of GROUPS) {
        // A group that uses no paths of the host runs once.
        if (filter && group.resolves === false) continue;
        if (group.unfiltered) {
          // Once, as it is.
          if (filter === without[0])
            groups.push({ ...group, module, class: name, label: group.name });
          continue;
        }
        groups.push({
          ...group,
          module,
          class: name,
          without: filter,
          overlay,
          label: filter ? `${group.name}, openat2 ${filter}` : group.name,
          seconds: seconds / RACES,
        });
      }
    }
  }
  const wanted = new RegExp(options.groups ?? '');
  return groups.filter(({ label }) => wanted.test(`${name}: ${label}`));
}

// --- Groups --------------------------------------------------------------------------------------

/** Runs a group to its end, in as many processes as that takes. */
async function runGroup(group, launcher) {
  const tally = { cases: 0, contained: 0, failures: [], tries: 0 };
  if ((group.own || group.overlay) && options.impl === BUILTIN) {
    return { ...tally, skipped: `${group.label}: ${BUILTIN} has no such preopens` };
  }
  if (group.needs && !fs.existsSync(group.needs)) {
    return { ...tally, skipped: `${group.label}: there is no ${group.needs}` };
  }
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-sandbox-')));
  try {
    let skip = 0;
    let hangs = 0;
    for (let crashes = 0; ; crashes += 1) {
      if (crashes === CRASHES || hangs === HANGS) {
        tally.cases += 1;
        const why = `given up after ${crashes - hangs} crashes and ${hangs} hangs`;
        tally.failures.push({ name: 'the rest', why });
        break;
      }
      const place = path.join(folder, String(crashes));
      fs.mkdirSync(place);
      const child = await runChild(group, { launcher, skip, folder: place }, tally);
      if (child.done) break;
      if (child.hung) hangs += 1;
      skip = child.began;
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  return tally;
}

function commandOf(group, spec, launcher) {
  const flags = [...nodeFlags(options.impl), ...(group.collects ? [collectorFlag()] : [])];
  const command = [process.execPath, ...flags, path.join(here, 'child.mjs'), JSON.stringify(spec)];
  // Node.js ignores the signal for a file that grows too large. Deno would end by it.
  const limited = `trap '' XFSZ; ulimit ${group.ulimit} && exec "$@"`;
  if (group.ulimit) command.unshift('/bin/sh', '-c', limited, 'sh');
  if (group.without) command.unshift(launcher, group.without, '--');
  return command;
}

/** One process. It adds to the tally what it gets done. */
function runChild(group, { launcher, skip, folder }, tally) {
  const spec = {
    implementation: options.impl,
    module: group.module,
    group: group.name,
    filter: options.filter,
    every: Number(options.every),
    prefix: `${group.class}: ${group.label}`,
    without: group.without,
    overlay: group.overlay,
    launcher,
    seconds: group.seconds,
    skip,
    folder,
  };
  const env = { ...process.env };
  // The runner of the tests must not take the child for one of its test files.
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_OPTIONS;
  const [file, ...args] = commandOf(group, spec, launcher);
  return new Promise((resolve, reject) => {
    const stdio = ['ignore', 'ignore', options.verbose ? 'inherit' : 'pipe', 'pipe'];
    // A group of its own, so that a hang ends with all that the case has started.
    const child = spawn(file, args, { cwd: folder, env, stdio, detached: true });
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      complaint = (complaint + text).slice(-2000);
    });
    let done = false;
    let current;
    let began = skip;
    let hung = false;
    let watch;
    const kill = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    };
    const wind = () => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        hung = true;
        kill();
      }, group.patience ?? PATIENCE);
    };
    wind();
    const lines = createInterface({ input: child.stdio[3] });
    lines.on('line', (line) => {
      wind();
      const message = JSON.parse(line);
      if (message.begin) {
        current = message.name;
        began = message.begin;
      } else if (message.contained !== undefined) {
        tally.cases += 1;
        tally.tries += message.tries ?? 0;
        if (message.contained) tally.contained += 1;
        else tally.failures.push({ name: current, why: message.why });
        current = undefined;
      } else if (message.done) {
        done = true;
      }
    });
    const ended = new Promise((settle) => child.on('exit', (...how) => settle(how)));
    const read = new Promise((settle) => lines.on('close', settle));
    child.on('error', reject);
    ended.then(async ([code, signal]) => {
      // A process that the case has started may hold the pipe open.
      kill();
      await read;
      clearTimeout(watch);
      if (!done) {
        let why = signal ? `the process was killed by ${signal}` : `the process ended with ${code}`;
        if (hung) why = `it hung`;
        const last = complaint.trim().split('\n').slice(-3).join(' ');
        if (last && !hung) why += `: ${last}`;
        tally.cases += 1;
        tally.failures.push({ name: current ?? 'preparation', why });
        // A group that fails before its first case would do so again.
        if (current === undefined) done = true;
      }
      resolve({ done, began, hung });
    }, reject);
  });
}

// --- The table -----------------------------------------------------------------------------------

function print(rows) {
  const table = [['class', 'cases', 'contained', 'failed'], ...rows];
  const widths = table[0].map((_, column) =>
    Math.max(...table.map((row) => `${row[column]}`.length)),
  );
  for (const row of table) {
    const cells = row.map((cell, column) =>
      column === 0 ? `${cell}`.padEnd(widths[column]) : `${cell}`.padStart(widths[column]),
    );
    console.log(cells.join('   '));
  }
}

/**
 * Runs groups, two at a time where they do not measure time, and gives each with its tally, in
 * order.
 */
async function runGroups(groups, launcher) {
  const results = [];
  for (let i = 0; i < groups.length;) {
    const pair = groups[i].parallel && groups[i + 1]?.parallel ? 2 : 1;
    const some = groups.slice(i, i + pair);
    const start = Date.now();
    const tallies = await Promise.all(some.map((group) => runGroup(group, launcher)));
    some.forEach((group, k) => results.push({ group, tally: tallies[k] }));
    i += pair;
    for (const { group, tally } of results.slice(-pair)) {
      if (!options.verbose || tally.cases === 0) continue;
      const took = ((Date.now() - start) / 1000).toFixed(1);
      console.log(
        `${group.class}: ${group.label}: ${tally.contained} of ${tally.cases}, ${took} s`,
      );
    }
  }
  return results;
}

async function runClass(kind) {
  const row = { name: kind.name, cases: 0, contained: 0, failures: [], skipped: [], tries: 0 };
  if (kind.without && !linux) {
    return { ...row, skipped: [`${kind.name}: only Linux has openat2 and seccomp`] };
  }
  if (kind.without && spawnSync('cargo', ['--version']).error) {
    return { ...row, skipped: [`${kind.name}: no cargo builds what takes openat2 away`] };
  }
  let launcher;
  if (kind.without) {
    try {
      launcher = buildLauncher();
    } catch (error) {
      return { ...row, cases: 1, failures: [`${kind.name}: ${error.message}`] };
    }
  }
  for (const { group, tally } of await runGroups(await groupsOf(kind), launcher)) {
    row.cases += tally.cases;
    row.contained += tally.contained;
    row.tries += tally.tries;
    if (tally.skipped) row.skipped.push(`${kind.name}: ${tally.skipped}`);
    for (const { name, why } of tally.failures) {
      row.failures.push(`${kind.name}: ${group.label}: ${name}: ${why}`);
    }
  }
  return row;
}

const started = Date.now();
const rows = [];
for (const kind of CLASSES) rows.push(await runClass(kind));

const sum = (what) => rows.reduce((all, row) => all + row[what], 0);
const lines = [...rows, { name: 'all', cases: sum('cases'), contained: sum('contained') }];
print(lines.map(({ name, cases, contained }) => [name, cases, contained, cases - contained]));
const name = options.impl === IMPLEMENTATION ? 'wasi-rs' : options.impl;
const took = Math.round((Date.now() - started) / 1000);
const tries = sum('tries').toLocaleString('en');
console.log(`${name}, Node.js ${process.versions.node}: ${took} s, with ${tries} tries in races`);
for (const row of rows) {
  for (const line of row.skipped) console.log(`skipped: ${line}`);
}
for (const row of rows) {
  const shown = row.failures.slice(0, options.verbose ? Infinity : SHOWN);
  for (const line of shown) console.log(`failed: ${line}`);
  const more = row.failures.length - shown.length;
  if (more > 0) console.log(`failed: ${row.name}: and ${more} more; --verbose shows all`);
}
if (sum('cases') === 0) console.log('no case was run');
process.exitCode = sum('cases') === 0 || sum('cases') > sum('contained') ? 1 : 0;
