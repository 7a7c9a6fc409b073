// `npm run test:runtimes`: the tests of the package under Bun and Deno, but for those of what only
// Node has. Each runtime comes from npm, and is kept in .cache/runtimes.
//
// What a runtime does otherwise stands below with its reason. A failure that does not stand there
// fails, and an entry that is none fails too, unless it comes and goes.
import './setup.mjs';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fail, fetched, root, run, say } from './process.mjs';

const LIMIT = 700_000;

const NODES_OWN = {
  'package.test.mjs': 'npm and what it installs',
  'permission.test.mjs': "Node's permission model",
  'contract/contract.test.mjs': "recordings of Node's own module",
  'spawn.test.mjs': 'pipes to threads: process.test.mjs has those to processes',
  'compat/compat.test.mjs': 'programs with packages of their own: npm run test:compat',
  'components/components.test.mjs': 'likewise: npm run test:components',
  'release.test.mjs': 'npm and git, for whoever makes a release',
  'wasi-testsuite.test.mjs': 'compares with node:wasi',
};

const runtimes = {
  bun: {
    version: '1.4.5',
    package: {
      'linux-x64': '@oven/bun-linux-x64',
      'linux-arm64': '@oven/bun-linux-aarch64',
      'darwin-x64': '@oven/bun-darwin-x64',
      'darwin-arm64': '@oven/bun-darwin-aarch64',
      'win32-x64': '@oven/bun-windows-x64',
    },
    binary: 'bin/bun',
    args: (report) => [
      'test',
      '--timeout=20000',
      '--reporter=junit',
      `--reporter-outfile=${report}`,
    ],
    without: NODES_OWN,
    otherwise: {
      'proc_exit on the main thread is process.exit, with its handlers':
        "handlers of 'exit' get the code modulo 256",
      "the process's own output is no guest's to shut down, though it may be a socket":
        'no output can be the input of a child',
      'guests > stdio-large': 'a net.Socket does not make its descriptor non-blocking',
      'guests whose memories and tables were given maxima > stdio-large': 'likewise',
      'what the embedder did wrong rejects with the class of the error':
        'an error of WebAssembly.compile() has no stack',
      'what is no core module, or one for something else, is named in one line':
        'jco is installed as soon as it is asked for, where there is no node_modules',
      'help and version need no addon, and help fits a screen': 'likewise',
      'a name that the program chose cannot speak to the terminal':
        'traces have no names of functions of WebAssembly',
      '--require wasi-rs/register > works from NODE_OPTIONS': 'NODE_OPTIONS is not read',
      '--import wasi-rs/register > works from NODE_OPTIONS': 'NODE_OPTIONS is not read',
      'the hook > may be loaded by the program itself, and reaches what was imported before':
        'the named import of a built-in module is a copy',
    },
    sometimes: {
      'terminal.mjs is a terminal for CPython':
        'to start CPython takes a part of the time of a test, and more beside other work',
      'an import keeps the instance that it belongs to':
        'the collector is conservative: what may still be on the stack is kept',
      'a hostile guest gets nothing and takes nothing down':
        'beside other work, calls at the end of the stack take longer than the suite waits',
    },
  },
  deno: {
    version: '2.9.6',
    package: {
      'linux-x64': '@deno/linux-x64-glibc',
      'linux-arm64': '@deno/linux-arm64-glibc',
      'darwin-x64': '@deno/darwin-x64',
      'darwin-arm64': '@deno/darwin-arm64',
      'win32-x64': '@deno/win32-x64',
    },
    binary: 'deno',
    args: (report) => ['test', '--allow-all', '--no-check', '--quiet', `--junit-path=${report}`],
    without: {
      ...NODES_OWN,
      'bundles.test.mjs': 'tools of Node and Bun',
      'register.test.mjs': 'built-in modules cannot be replaced for `import`, nor for Workers',
    },
    otherwise: {
      'changes to globals and prototypes do not reach the imports':
        'they reach node:fs, with which the test prints',
      'docs/migration.md: block 2 (console)': 'built-in modules cannot be replaced for `import`',
      'a program comes from stdin, and stdin from where it shall':
        'spawnSync() gives a child no descriptor as its input',
      'the process ends with exit handlers of what was loaded before, and what they print':
        '--require is passed over',
      'changes are written below, and are changes no more': 'times of statSync() are cut',
      ...Object.fromEntries(
        ['poll-forever', 'read-forever', 'memory-shared-read'].map((name) => [
          `guests whose memories and tables were given maxima > ${name}`,
          "a Worker has not the descriptors that the process has, which is the test's way to tell",
        ]),
      ),
    },
    sometimes: {
      'server.mjs answers each request with a run of its own, under load':
        'beside other work, a process for each of many runs takes longer than the test waits',
      'a process that crashes is the end of its guest': 'likewise, as what it wrote before is read',
      'a hostile guest gets nothing and takes nothing down': 'likewise',
      'nor does one that suspends':
        'fstatSync() knows no descriptor that a process was given, by which the suite looks',
      'one thread waits for all, and is not there when nobody waits':
        'the threads of the process are counted, and it has some that come and go',
    },
  },
};

/** All test files, as paths below __test__. */
function testFiles(folder = '') {
  return readdirSync(join(root, '__test__', folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = folder + entry.name;
      if (entry.isDirectory()) return testFiles(`${path}/`);
      return entry.name.endsWith('.test.mjs') ? [path] : [];
    })
    .sort();
}

/** @returns {{ name: string, failed: boolean }[]} what a report in JUnit's format says */
function casesOf(report) {
  const cases = [];
  const xml = readFileSync(report, 'utf8');
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

function testRuntime(name) {
  const {
    version,
    package: packages,
    binary,
    args,
    without,
    otherwise,
    sometimes,
  } = runtimes[name];
  const packageName = packages[`${process.platform}-${process.arch}`];
  if (packageName === undefined) {
    say(`there is no ${name} for this platform`);
    return [];
  }
  const extension = process.platform === 'win32' ? '.exe' : '';
  const program = fetched(packageName, version, binary + extension);
  const reports = join(root, '.cache', 'reports', name);
  mkdirSync(reports, { recursive: true });

  const problems = [];
  const unseen = new Set(Object.keys(otherwise));
  for (const file of testFiles()) {
    if (without[file]) continue;
    say(`${file} under ${name} ${version}`);
    const report = join(reports, `${file.replaceAll('/', '-')}.xml`);
    rmSync(report, { force: true });
    const env = { ...process.env, NO_COLOR: '1' };
    const stdio = ['ignore', 'ignore', 'ignore'];
    const command = [...args(report), `./__test__/${file}`];
    const passed = run(program, command, { env, stdio, timeout: LIMIT, killSignal: 'SIGKILL' });
    let cases = [];
    try {
      cases = casesOf(report);
    } catch {
      problems.push(`${file}: ended without a report`);
      continue;
    }
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

const wanted = process.argv.slice(2);
for (const name of wanted) if (!runtimes[name]) fail(`there is no runtime called ${name}`);

for (const name of wanted.length > 0 ? wanted : Object.keys(runtimes)) {
  for (const problem of testRuntime(name)) {
    console.error(`error: ${name}: ${problem}`);
    process.exitCode = 1;
  }
}
