// Builds every guest: the C and WAT files here and in demo/ become the .wasm beside them.
//
//   node __test__/guests/build.mjs            rebuilds all
//   node __test__/guests/build.mjs NAME...    rebuilds those
//   node __test__/guests/build.mjs --check    builds to memory and compares with what is committed
//
// The compilers are pinned, so that a rebuild gives the same bytes: zig comes from PyPI into a
// virtual environment of its own under target/ (or is what the variable ZIG names), wabt is a
// development dependency.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsedArguments } from '../../scripts/process.mjs';

const ZIG_VERSION = '0.15.2';
const WABT_VERSION = '1.0.39';

const C_FLAGS = [
  '-target',
  'wasm32-wasi',
  '-std=gnu11',
  '-Oz',
  '-s',
  '-Wall',
  '-Wextra',
  '-Werror',
  // The checks of pointers hand over addresses that are no object's.
  '-Wno-array-bounds',
  '-fno-strict-aliasing',
];
// The feature switches of WAT that a guest needs beyond what wabt has on by default.
const WAT_FEATURES = { threads: true, bulk_memory: true };

const here = path.dirname(fileURLToPath(import.meta.url));
const project = path.resolve(here, '../..');
const folders = [here, path.join(here, 'servers'), path.join(project, 'demo')];

function zigCommand() {
  if (process.env.ZIG) return [process.env.ZIG];
  const environment = path.join(project, 'target', `zig-${ZIG_VERSION}`);
  const python = path.join(environment, 'bin', 'python3');
  if (!fs.existsSync(python)) {
    console.log(`installing zig ${ZIG_VERSION}`);
    execFileSync('python3', ['-m', 'venv', environment], { stdio: 'inherit' });
  }
  const command = [python, '-m', 'ziglang'];
  try {
    execFileSync(command[0], [...command.slice(1), 'version'], { stdio: 'ignore' });
  } catch {
    execFileSync(
      python,
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `ziglang==${ZIG_VERSION}`],
      { stdio: 'inherit' },
    );
  }
  return command;
}

function checkedZig() {
  const command = zigCommand();
  const found = execFileSync(command[0], [...command.slice(1), 'version'], {
    encoding: 'utf8',
  }).trim();
  if (found !== ZIG_VERSION) throw new Error(`zig ${ZIG_VERSION} is needed, found ${found}`);
  return command;
}

async function loadWabt() {
  const require = createRequire(import.meta.url);
  const { version } = require('wabt/package.json');
  if (version !== WABT_VERSION) throw new Error(`wabt ${WABT_VERSION} is needed, found ${version}`);
  return require('wabt')();
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${args[args.length - 1]}: the compiler ended with ${code}`));
    });
  });
}

async function compile(source, zig, wabt) {
  if (source.endsWith('.wat')) {
    const module = wabt.parseWat(
      path.basename(source),
      fs.readFileSync(source, 'utf8'),
      WAT_FEATURES,
    );
    try {
      module.resolveNames();
      module.validate(WAT_FEATURES);
      return Buffer.from(module.toBinary({ write_debug_names: false }).buffer);
    } finally {
      module.destroy();
    }
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'guest-'));
  try {
    const output = path.join(folder, 'out.wasm');
    await run(zig[0], [...zig.slice(1), 'cc', ...C_FLAGS, '-o', output, source]);
    return fs.readFileSync(output);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const options = { check: { type: 'boolean' } };
  const { values, positionals: names } = parsedArguments({ options, allowPositionals: true });
  const { check } = values;
  const sources = folders
    .flatMap((folder) => fs.readdirSync(folder).map((file) => path.join(folder, file)))
    .filter((file) => /\.(c|wat)$/.test(file))
    .filter((file) => names.length === 0 || names.includes(path.parse(file).name))
    .sort();
  for (const name of names) {
    if (!sources.some((source) => path.parse(source).name === name)) {
      throw new Error(`there is no guest called ${name}`);
    }
  }
  const zig = sources.some((source) => source.endsWith('.c')) ? checkedZig() : [];
  const wabt = await loadWabt();

  const different = [];
  let total = 0;
  for (const [index, source] of sources.entries()) {
    const name = path.relative(project, source);
    if (process.stdout.isTTY)
      process.stdout.write(`\r\x1b[K${index + 1}/${sources.length} ${name}`);
    const bytes = await compile(source, zig, wabt);
    total += bytes.length;
    const target = source.replace(/\.(c|wat)$/, '.wasm');
    const old = fs.existsSync(target) ? fs.readFileSync(target) : null;
    if (old !== null && old.equals(bytes)) continue;
    different.push(name);
    if (!check) fs.writeFileSync(target, bytes);
  }
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  console.log(
    `${sources.length} guests, ${total} bytes, ${different.length} ${check ? 'differ' : 'changed'}`,
  );
  for (const name of different) console.log(`  ${name}`);
  if (check && different.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  // Only the message: an error of wabt's would print the whole of its one-line source.
  console.error(error.message);
  process.exitCode = 1;
}
