// The processes that measure.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fail, requireCargo, root, run } from '../scripts/process.mjs';
import { makePackage } from '../scripts/package.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
/** A row that says nothing for so long (ms) hangs. */
const PATIENCE = 120_000;

/** The two that are compared. */
export const IMPLEMENTATIONS = ['wasi-rs', 'node:wasi'];

/** The package of another checkout, in the place of `node:wasi`. */
export const OTHER = 'other';

/**
 * The least that any addon takes where V8 has not compiled anything yet: closures that call a
 * native function, which does nothing; and the addon loaded by a file that does nothing else.
 */
export const FLOOR = 'floor';

/**
 * The package with functions of the addon that do nothing: what of a first call is V8's work for
 * closures that check their arguments.
 */
export const CHECKS = 'floor/checks';

const { NODE_EXTRA_CA_CERTS, ...others } = process.env;
/**
 * The environment of a process whose start is measured. Node.js 20 reads the certificates when it
 * starts, which takes it longer than all else.
 */
export const ENV = others;

/** @returns {string} what this machine is, in a line */
export function machine() {
  const all = cpus();
  return `${all[0].model.trim()}, ${all.length} cores, ${process.platform}-${process.arch}`;
}

/** @returns {{ version: string, major: number, v8: string }} of a `node` */
export function versionOf(node) {
  const { stdout, error } = spawnSync(node, ['-p', 'JSON.stringify(process.versions)'], {
    encoding: 'utf8',
  });
  if (error) fail(`${node} cannot be run: ${error.message}`);
  const versions = JSON.parse(stdout);
  return { version: versions.node, major: Number.parseInt(versions.node, 10), v8: versions.v8 };
}

/** @returns {string[]} the flags under which a `node` has `node:wasi` and does not warn of it */
export function nodeFlags(major) {
  return major < 20
    ? ['--no-warnings', '--experimental-wasi-unstable-preview1']
    : ['--no-warnings'];
}

/**
 * Builds the program with the bare system calls. @returns {string | undefined} its path, on Linux
 */
export function buildNative() {
  if (process.platform !== 'linux') return undefined;
  requireCargo();
  const target = join(root, 'target', 'bench');
  const manifest = join(here, 'native', 'Cargo.toml');
  const flags = ['--release', '--quiet', '--locked', '--manifest-path', manifest];
  if (!run('cargo', ['build', ...flags, '--target-dir', target])) {
    fail('the bare system calls could not be built');
  }
  return join(target, 'release', 'wasi-rs-bench-native');
}

/** Builds the thread that wakes JavaScript. @returns {string | undefined} an addon's path, on Linux */
export function buildWake() {
  const native = buildNative();
  if (native === undefined) return undefined;
  const addon = join(dirname(native), 'wake.node');
  copyFileSync(join(dirname(native), 'libwasi_rs_bench_wake.so'), addon);
  return addon;
}

/**
 * Measures rows in a process of their own. A row that takes the process down is an error of that
 * row, and the rest goes on in a new process.
 *
 * @param {object} how
 * @param {string} how.node
 * @param {string[]} how.flags
 * @param {string} [how.native]
 * @param {string} [how.against] the folder of the other checkout
 * @param {object} job what measure.mjs reads
 * @returns {Promise<Map<string, { ns?: number, error?: string }>>}
 */
export async function measure(how, job) {
  const found = new Map();
  const measured = { ...job, root: await publishedPackage() };
  if (job.implementation === OTHER) {
    measured.implementation = 'wasi-rs';
    measured.root = await publishedPackage(how.against);
  }
  let names = job.names;
  while (names.length > 0) {
    const { lines, end } = await once(how, { ...measured, names });
    let begun;
    for (const line of lines) {
      if (line.begin) begun = line.begin;
      else {
        found.set(line.name, line);
        begun = undefined;
      }
    }
    const rest = names.filter((name) => !found.has(name));
    if (rest.length === 0) break;
    // The row that ran when the process ended is to blame, or the first if none had begun.
    const guilty = begun ?? rest[0];
    found.set(guilty, { error: end });
    if (lines.length === 0) for (const name of rest) found.set(name, { error: end });
    names = names.filter((name) => !found.has(name));
  }
  return found;
}

function once({ node, flags, native }, job) {
  const jobPath = join(job.folder, 'job.json');
  const pipes = native !== undefined;
  writeFileSync(jobPath, JSON.stringify({ ...job, pipes }));
  const command = [node, ...flags, join(here, 'measure.mjs'), jobPath];
  const [program, ...args] = pipes ? [native, 'with-pipes', ...command] : command;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
    const lines = [];
    let messages = '';
    let timer;
    let patience = false;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        patience = true;
        child.kill('SIGKILL');
      }, PATIENCE);
    };
    wait();
    child.stderr.on('data', (chunk) => (messages = (messages + chunk).slice(-4000)));
    createInterface(child.stdio[3]).on('line', (line) => {
      lines.push(JSON.parse(line));
      wait();
    });
    child.on('error', (error) => resolve({ lines, end: error.message }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const how = patience ? 'hangs' : signal ? `killed by ${signal}` : `exit code ${code}`;
      const reason = /^\w*Error.*$/m.exec(messages)?.[0];
      resolve({ lines, end: reason ? `${how}: ${reason}` : how });
    });
  });
}

/** @returns {Map<string, number>} the ns of the rows that have bare system calls */
export function measureNative(native, folder, budget, names) {
  const { stdout, stderr, status } = spawnSync(native, ['rows', folder, String(budget), ...names], {
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  if (status !== 0) fail(`the bare system calls failed: ${stderr}`);
  const lines = stdout.split('\n').filter(Boolean);
  return new Map(lines.map((line) => line.split('\t')).map(([name, ns]) => [name, Number(ns)]));
}

/** @returns {number} the ms that bare system calls take in so many threads */
export function measureThreads(native, folder, count, turns) {
  const args = ['threads', folder, String(count), String(turns)];
  const { stdout, stderr, status } = spawnSync(native, args, { encoding: 'utf8' });
  if (status !== 0) fail(`the bare system calls failed: ${stderr}`);
  return Number(stdout);
}

/** @returns {string | undefined} the name of the addon in a checkout */
function addonName(checkout = root) {
  return readdirSync(checkout).find((name) => name.endsWith('.node'));
}

/** Fails with one line if the addon was not built. */
export function requireAddon(checkout = root) {
  if (!existsSync(join(checkout, 'scripts', 'package.mjs'))) fail(`${checkout} is no checkout`);
  if (addonName(checkout) === undefined) {
    const where = checkout === root ? '' : ` in ${checkout}`;
    fail(`the addon is not built: run \`npm run setup\`${where}`);
  }
}

/**
 * Writes the package `floor`: the least that any addon takes. Its `./addon` loads the addon and
 * nothing else; itself has a class WASI whose imports are closures that call functions of the addon.
 * Its `./checks` is the package whose instances the addon does not know.
 */
function writeFloor(modules, addon) {
  const folder = join(modules, FLOOR);
  mkdirSync(folder, { recursive: true });
  const exported = { '.': './index.js', './addon': './addon.js', './checks': './checks.js' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: FLOOR, exports: exported }));
  const load = `require(${JSON.stringify(`../${addon}`)})`;
  writeFileSync(join(folder, 'addon.js'), `module.exports = ${load};\n`);
  const names = Object.keys(createRequire(import.meta.url)(join(modules, addon)).calls);
  const closures = names.map((name) => `${name}(a, b, c, d) { ${name}(); return 0; },`);
  const text = `'use strict';
const { ${names.join(', ')} } = ${load}.calls;
class WASI {
  wasiImport = {
    ${closures.join('\n    ')}
  };
  initialize() {}
}
module.exports = { WASI };
`;
  writeFileSync(join(folder, 'index.js'), text);

  // The number of an instance that is none, and an outcome that is read and passed over.
  let own = readFileSync(join(modules, 'wasi-rs', 'index.js'), 'utf8');
  for (const [found, put] of [
    [/u32\[INSTANCE\] = guest\.instance;/g, 'u32[INSTANCE] = 0xffffffff;'],
    [/return (outcome\w*) < AGAIN \? .*;/, 'return $1 < AGAIN ? 0 : 0;'],
  ]) {
    if (own.search(found) < 0) fail(`the package has no ${found}`);
    own = own.replace(found, put);
  }
  writeFileSync(join(modules, 'wasi-rs', 'checks.js'), own);
  writeFileSync(join(folder, 'checks.js'), "module.exports = require('../wasi-rs/checks.js');\n");
}

const published = new Map();

/**
 * @param {string} [checkout]
 * @returns {Promise<string>} the folder of its package, installed with that of the platform
 */
export function publishedPackage(checkout = root) {
  if (!published.has(checkout)) published.set(checkout, install(checkout));
  return published.get(checkout);
}

async function install(checkout) {
  const home = join(checkout, 'target', 'bench');
  const modules = join(home, 'node_modules');
  const folder = join(modules, 'wasi-rs');
  const main = addonName(checkout);
  if (checkout === root) await makePackage(folder);
  else {
    // Another commit says itself what it publishes.
    const script = join(checkout, 'scripts', 'package.mjs');
    if (!run(process.execPath, [script, folder])) fail(`${checkout} has made no package`);
  }
  const name = `wasi-rs-${main.split('.')[1]}`;
  mkdirSync(join(modules, name), { recursive: true });
  writeFileSync(join(modules, name, 'package.json'), JSON.stringify({ name, main }));
  copyFileSync(join(checkout, main), join(modules, name, main));
  if (checkout === root) writeFloor(modules, `${name}/${main}`);
  // Otherwise `wasi-rs` in a file there would be the checkout, whose package.json has that name.
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  return folder;
}
