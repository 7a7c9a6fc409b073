// `npm test` and its relatives: the tests of the core in Rust, then those of the package.
//
//   node scripts/test.mjs           the core, and the package under this Node.js
//   node scripts/test.mjs built     the package alone, on an addon that lies in the checkout; needs
//                                   no Rust (`npm ci` comes first)
//   node scripts/test.mjs nodes [VERSION...]
//                                   the package under each supported version of Node.js, or those
//                                   named, from npm
//   node scripts/test.mjs compat    published programs that use `node:wasi`, run on wasi-rs
//   node scripts/test.mjs components
//                                   components of other toolchains, transpiled by jco
//   node scripts/test.mjs runtimes [NAME...]
//                                   the package under Bun and Deno, from npm
//
// The tests of the package run on what is published (see package.mjs), in a copy of the checkout
// below target/.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { RUNTIMES } from '../__test__/runtimes.mjs';
import { setup } from './build.mjs';
import { checkGlibc } from './elf.mjs';
import { fail, fetched, fetchedIfPossible, npm, requireCargo, root, run, say } from './process.mjs';
import { takesNoMore } from './process.mjs';

const VERSIONS = ['18.20.1', '20', '22', '24', '26'];
/** Folders of tests that have packages of their own. */
const COMPAT = join('__test__', 'compat');
const COMPONENTS = join('__test__', 'components');

/** The tests of guests that suspend, which takes JSPI. */
const SUSPENDING = [
  'suspend.test.mjs',
  'suspend-ends.test.mjs',
  'suspend-sockets.test.mjs',
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

/** How long the tests of one file may take in another runtime, in ms. */
const LIMIT = 1_300_000;

const kinds = { all, built, nodes, compat, components, runtimes };
const [kind = 'all', ...rest] = process.argv.slice(2);
if (!Object.hasOwn(kinds, kind))
  fail(`${kind}: no kind of test; there are ${Object.keys(kinds).join(', ')}`);
// The others test all that they test.
if (!['nodes', 'runtimes'].includes(kind)) takesNoMore(kind, rest);
if (kind !== 'built') setup();
process.exitCode = (await kinds[kind](rest)) ? 0 : 1;

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

/** An addon that was built elsewhere must load with the glibc that Node's own builds ask for. */
function checkAddons() {
  for (const name of readdirSync(root)) {
    if (/\.linux-.*-gnu\.node$/.test(name)) checkGlibc(join(root, name));
  }
}

async function nodes(wanted) {
  const folder = await testRoot();
  const outcomes = (wanted.length > 0 ? wanted : VERSIONS).map((version) => {
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

// --- Bun and Deno --------------------------------------------------------------------------------

function runtimes(names) {
  for (const name of names) {
    if (!Object.hasOwn(RUNTIMES, name)) fail(`there is no runtime called ${name}`);
  }
  const wanted = names.length > 0 ? names : Object.keys(RUNTIMES);
  const problems = wanted.flatMap((name) =>
    testRuntime(name, RUNTIMES[name]).map((problem) => `${name}: ${problem}`),
  );
  for (const problem of problems) console.error(`error: ${problem}`);
  return problems.length === 0;
}

/** @returns {string[]} failures that are not known, and known ones that are no more */
function testRuntime(name, runtime) {
  const { version, args, without, otherwise, sometimes } = runtime;
  const packageName = runtime.package[`${process.platform}-${process.arch}`];
  if (packageName === undefined) {
    say(`there is no ${name} for this platform`);
    return [];
  }
  const extension = process.platform === 'win32' ? '.exe' : '';
  const program = fetched(packageName, version, runtime.binary + extension);
  const reports = join(root, '.cache', 'reports', name);
  mkdirSync(reports, { recursive: true });

  const problems = [];
  const unseen = new Set(Object.keys(otherwise));
  for (const path of testsBelow(root, '__test__')) {
    const file = relative('__test__', path).replaceAll(sep, '/');
    if (without[file]) continue;
    say(`${file} under ${name} ${version}`);
    const report = join(reports, `${file.replaceAll('/', '-')}.xml`);
    rmSync(report, { force: true });
    const env = { ...process.env, NO_COLOR: '1' };
    const stdio = ['ignore', 'ignore', 'ignore'];
    const command = [...args(report), `./__test__/${file}`];
    const passed = run(program, command, { env, stdio, timeout: LIMIT, killSignal: 'SIGKILL' });
    if (!existsSync(report)) {
      problems.push(`${file}: ended without a report`);
      continue;
    }
    const cases = casesOf(readFileSync(report, 'utf8'));
    const failed = cases.filter((test) => test.failed).map((test) => test.name);
    for (const test of failed) {
      if (!otherwise[test] && !sometimes[test]) problems.push(`${file}: ${test}`);
      unseen.delete(test);
    }
    if (cases.length === 0) problems.push(`${file}: no test ran`);
    if (!passed && failed.length === 0) problems.push(`${file}: failed, and no test of it did`);
    say(`  ${cases.length - failed.length} of ${cases.length} tests passed`);
  }
  for (const test of unseen) problems.push(`it passes, or is no more: ${test}`);
  return problems;
}

/** @returns {{ name: string, failed: boolean }[]} what a report in JUnit's format says */
function casesOf(xml) {
  const cases = [];
  for (const [, head, body] of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const attribute = (name) => unescaped(new RegExp(`\\b${name}="([^"]*)"`).exec(head)?.[1] ?? '');
    // Bun has the names of suites apart, as `classname`; there Deno has the file.
    const suite = attribute('classname');
    const name = attribute('name');
    if (/<skipped/.test(body) || /\d+ test steps? failed/.test(body)) continue;
    const inSuite = suite !== '' && !/\.(mjs|ts)$/.test(suite);
    // The line of a block in a page is there for who looks for it.
    const full = (inSuite ? `${suite} > ${name}` : name).replace(/, line \d+$/, '');
    cases.push({ name: full, failed: /<failure/.test(body ?? '') });
  }
  return cases;
}

function unescaped(text) {
  const names = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => names[name]);
}
