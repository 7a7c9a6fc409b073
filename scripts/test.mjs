// `npm test` and its relatives: the tests of the core in Rust, then those of the package.
//
//   node scripts/test.mjs           the core, and the package under this Node.js
//   node scripts/test.mjs built     the package alone, on an addon that lies in the checkout; needs
//                                   no Rust (`npm ci` comes first)
//   node scripts/test.mjs nodes     the package under each supported version of Node.js, from npm
//   node scripts/test.mjs compat    published programs that use `node:wasi`, run on wasi-rs
//   node scripts/test.mjs components  components of other toolchains, transpiled by jco
//
// The tests of the package run on what is published (see package.mjs), in a copy of the checkout
// below target/.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkGlibc } from './glibc.mjs';
import { fail, fetched, fetchedIfPossible, npm, requireCargo, root, run, say } from './process.mjs';

const VERSIONS = ['18.20.1', '20', '22', '24', '26'];
/** Folders of tests that have packages of their own. */
const COMPAT = join('__test__', 'compat');
const COMPONENTS = join('__test__', 'components');

/** The tests of guests that suspend, which takes JSPI. */
const SUSPENDING = [
  'suspend.test.mjs',
  'suspend-ends.test.mjs',
  'suspend-streams.test.mjs',
  'p2-suspend.test.mjs',
  'docs.test.mjs',
  'examples.test.mjs',
];

const system = process.platform === 'win32' ? 'win' : process.platform;
/** The package of npm that holds a Node.js, and where it is there. */
const NODE = {
  name: `node-${system}-${process.arch}`,
  binary: system === 'win' ? 'bin/node.exe' : 'bin/node',
};

const kinds = { all, built, nodes, compat, components };
const [kind = 'all'] = process.argv.slice(2);
if (kinds[kind] === undefined) fail(`${kind}: no kind of test; there are ${Object.keys(kinds)}`);
if (kind !== 'built') await import('./setup.mjs');
process.exitCode = (await kinds[kind]()) ? 0 : 1;

async function all() {
  requireCargo();
  say('testing the core: cargo test');
  const core = run('cargo', ['test']);
  const node = await built();
  const newer = newerNodeTests();
  if (!core) console.error('error: tests of the core failed (above those of the package)');
  return core && node && newer;
}

async function built() {
  if (kind === 'built') checkAddons();
  say(`testing the package under Node.js ${process.versions.node}`);
  return nodeTests(process.execPath, await testRoot());
}

/** What was built elsewhere is to load with the glibc that Node's own builds ask for. */
function checkAddons() {
  for (const name of readdirSync(root)) {
    if (/\.linux-.*-gnu\.node$/.test(name)) checkGlibc(join(root, name));
  }
}

async function nodes() {
  const folder = await testRoot();
  const outcomes = VERSIONS.map((version) => {
    const node = fetched(NODE.name, version, NODE.binary);
    say(`testing the package under Node.js ${version}`);
    return { version, passed: nodeTests(node, folder) };
  });
  for (const { version, passed } of outcomes) {
    say(`Node.js ${version}: ${passed ? 'passed' : 'FAILED'}`);
  }
  return outcomes.every(({ passed }) => passed);
}

/** @returns {boolean} whether what this Node.js does not have works where a newer one does */
function newerNodeTests() {
  const node = nodeWithJspi();
  if (node === process.execPath) return true;
  if (node === undefined) {
    say('no Node.js 24 can be had: the tests of guests that suspend are left out');
    return true;
  }
  say('testing guests that suspend under Node.js 24');
  const folder = join(root, 'target', 'published');
  const files = SUSPENDING.map((name) => join('__test__', name));
  const sandbox = ['--test-name-pattern=suspends', join('__test__', 'sandbox.test.mjs')];
  return [nodeTests(node, folder, files), nodeTests(node, folder, sandbox)].every(Boolean);
}

/** @returns {string | undefined} the path of a Node.js that can suspend guests */
function nodeWithJspi() {
  if (typeof WebAssembly.Suspending === 'function') return process.execPath;
  return fetchedIfPossible(NODE.name, '24', NODE.binary);
}

async function compat() {
  const modules = installInto(COMPAT);
  const folder = await testRoot();
  // The programs ask for wasi-rs by its name.
  rmSync(join(modules, 'wasi-rs'), { recursive: true, force: true });
  symlinkSync(folder, join(modules, 'wasi-rs'), 'junction');
  say(`running the programs under Node.js ${process.versions.node}`);
  const files = [join(COMPAT, 'compat.test.mjs')];
  const passed = nodeTests(process.execPath, root, files);
  const newer = nodeWithJspi();
  if (newer === undefined || newer === process.execPath) return passed;
  say('running the programs that suspend under Node.js 24');
  return nodeTests(newer, root, ['--test-name-pattern=REPL', ...files]) && passed;
}

function components() {
  installInto(COMPONENTS);
  say(`running components under Node.js ${process.versions.node}`);
  const files = ['components.test.mjs', 'docs.test.mjs'].map((name) => join(COMPONENTS, name));
  const passed = nodeTests(process.execPath, root, files);
  const newer = nodeWithJspi();
  if (newer === undefined || newer === process.execPath) return passed;
  say('running components under Node.js 24');
  return nodeTests(newer, root, files) && passed;
}

/**
 * @returns {string} where the packages are of a folder of tests, at the versions of its lock file
 */
function installInto(folder) {
  const modules = join(root, folder, 'node_modules');
  const stamp = join(modules, '.installed');
  const lock = readFileSync(join(root, folder, 'package-lock.json'), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return modules;
  say(`installing packages into ${modules}`);
  // --force: builds for WebAssembly say that they are for no other processor. The optional packages
  // of programs are the native builds, which are not what is tested.
  const kind = folder === COMPAT ? ['--force', '--omit=optional'] : [];
  const flags = [...kind, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (!npm(['ci', ...flags], { cwd: join(root, folder) })) fail('npm ci did not succeed');
  mkdirSync(modules, { recursive: true });
  writeFileSync(stamp, lock);
  return modules;
}

/** Loaded late, because `built` and `setup` come without what it needs until they are through. */
async function testRoot() {
  const { makeTestRoot } = await import('./package.mjs');
  return makeTestRoot(join(root, 'target', 'published'));
}

/** @returns {boolean} whether all tests passed under one Node.js */
function nodeTests(node, folder, files = testsBelow(folder, '__test__')) {
  return run(node, ['--test', '--test-reporter=spec', ...files], { cwd: folder });
}

/** Named one by one, because what the runner finds by itself differs between versions. */
function testsBelow(folder, below) {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(below, entry.name);
      if (path === COMPAT || path === COMPONENTS) return [];
      if (entry.isDirectory()) return testsBelow(folder, path);
      return entry.name.endsWith('.test.mjs') ? [path] : [];
    })
    .sort();
}
