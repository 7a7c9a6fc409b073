// Tests the package as a user has it: the tarball, installed into an empty project and used there.
//
//   node scripts/pack-test.mjs                     runs a guest, and prints what the package holds
//                                                  and how long it takes to load
//   node scripts/pack-test.mjs recipes [NAME...]   runs the recipes of docs/recipes.md that need a
//                                                  tool from npm, each in a project of its own with
//                                                  the tool and the recipe's files
//   node scripts/pack-test.mjs installers [NAME...]
//                                                  installs the tarball with each package manager
//                                                  in an empty folder, and runs README's first
//                                                  program there as it is written
//
// A block of that page says which recipe it belongs to: ```js file=NAME recipe=NAME, or ```console
// recipe=NAME.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { blocksOf } from '../__test__/support/pages.mjs';
import { Project } from '../__test__/support/project.mjs';
import { fail, fetched, npm, root, say } from './process.mjs';

/** How long one command of a recipe may take, in ms. */
const LIMIT = 120_000;
/** By recipe: packages from npm, and runtimes that a package holds. */
const TOOLS = {
  vitest: { packages: ['vitest@5.1.2'] },
  jest: { packages: ['jest@30.5.2'] },
  bundlers: {
    packages: ['rollup@4.68.8', 'rolldown@1.3.3', 'webpack@5.113.0', 'webpack-cli@7.3.1'],
  },
  next: { packages: ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'], from: 20 },
  'one-file': { packages: ['esbuild@0.28.2'] },
  sea: { packages: ['postject@1.0.0-alpha.6'], from: 20 },
  permission: { packages: [], from: 22 },
  deno: { packages: [], runtime: ['deno', '@deno/linux-x64-glibc', '2.9.6', 'deno'] },
  bun: { packages: [], runtime: ['bun', '@oven/bun-linux-x64', '1.4.5', 'bin/bun'] },
};

/**
 * By package manager: its version of npm's registry, how it adds a tarball and how it starts Node.
 */
const INSTALLERS = {
  npm: { add: ['npm', 'install'], files: {} },
  pnpm: { package: 'pnpm@12.21.0', add: ['pnpm', 'add'], files: {} },
  yarn: { package: 'yarn@1.22.22', add: ['yarn', 'add'], files: {} },
  // Without node_modules: packages stay in archives, and the addon is unpacked.
  'yarn-pnp': {
    package: '@yarnpkg/cli-dist@4.18.1',
    add: ['yarn', 'add'],
    node: ['yarn', 'node'],
    files: {
      'yarn.lock': '',
      '.yarnrc.yml': 'nodeLinker: pnp\npnpEnableEsmLoader: true\nenableTelemetry: false\n',
    },
  },
};

const [job, ...names] = process.argv.slice(2);
if (job === undefined) await installed();
else if (job === 'recipes') await recipes(names);
else if (job === 'installers') await installers(names);
else fail(`${job}: the other jobs are recipes and installers`);

async function installed() {
  const project = await Project.create();
  try {
    runGuest(project);
    for (const name of project.files()) {
      const { size } = statSync(join(project.package, name));
      console.log(`${String(size).padStart(8)} ${name}`);
    }
    const { size } = statSync(project.tarball);
    console.log(`${String(size).padStart(8)} bytes in the tarball`);
    const { wall, cpu } = project.loadTime();
    console.log(`require('wasi-rs'): ${wall} ms at best, ${cpu} ms of the processor`);
  } finally {
    project.remove();
  }
}

/** Runs a guest by the installed package: `__test__/guests/args.wasm`. */
function runGuest(project) {
  const guest = join(root, '__test__', 'guests', 'args.wasm');
  copyFileSync(guest, join(project.folder, 'args.wasm'));
  const program = `const { WASI } = require('wasi-rs');
    const wasi = new WASI({ version: 'preview1', args: ['one', 'two'] });
    const wasm = new WebAssembly.Module(require('node:fs').readFileSync('args.wasm'));
    process.exitCode = wasi.start(new WebAssembly.Instance(wasm, wasi.getImportObject()));`;
  project.write('program.cjs', program);
  const { status, stdout, stderr } = project.node(['program.cjs']);
  if (status !== 0 || stdout !== '2\n[one]\n[two]\nok\n') {
    throw new Error(`the guest did not run: ${stdout}${stderr}`);
  }
}

async function installers(wanted) {
  for (const name of wanted) if (!INSTALLERS[name]) fail(`${name}: there is no such installer`);
  const readme = blocksOf(readFileSync(join(root, 'README.md'), 'utf8'));
  const { code } = readme.find(({ language }) => language === 'js');
  const [, printed] = /\/\/ prints (.*)/.exec(code);
  const project = await Project.create();
  try {
    for (const name of wanted.length > 0 ? wanted : Object.keys(INSTALLERS)) {
      say(name);
      const { package: from, add, node = ['node'], files } = INSTALLERS[name];
      const folder = join(project.above, name);
      const at = (file) => join(folder, file);
      mkdirSync(folder);
      writeFileSync(at('package.json'), '{ "name": "empty", "version": "1.0.0" }\n');
      for (const [file, text] of Object.entries(files)) writeFileSync(at(file), text);
      writeFileSync(at('app.mjs'), code);
      const tarball = `file:${project.tarball}`;
      const target = name === 'yarn-pnp' ? `wasi-rs@${tarball}` : tarball;
      const start = from === undefined ? [] : ['npm', 'exec', '--yes', `--package=${from}`, '--'];
      for (const command of [
        [...start, ...add, target],
        [...(node[0] === 'node' ? [] : start), ...node, 'app.mjs'],
      ]) {
        const env = { ...process.env, NODE_OPTIONS: '' };
        const options = { cwd: folder, env, encoding: 'utf8', timeout: LIMIT };
        const shell = process.platform === 'win32';
        const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), {
          ...options,
          shell,
        });
        const isRun = command.at(-1) === 'app.mjs';
        if (status !== 0 || (isRun && stdout !== `${printed}\n`)) {
          console.error(`error: ${name}: ${command.join(' ')}: ${status}\n${stdout}${stderr}`);
          process.exitCode = 1;
          break;
        }
      }
    }
  } finally {
    project.remove();
  }
}

async function recipes(wanted) {
  if (!existsSync(join(root, 'node_modules'))) fail('run npm ci first');
  const blocks = blocksOf(readFileSync(join(root, 'docs', 'recipes.md'), 'utf8'));
  const known = [...new Set(blocks.flatMap(({ recipe }) => recipe ?? []))];
  for (const name of known) if (!TOOLS[name]) fail(`${name}: a recipe without its tools`);
  for (const name of wanted) if (!known.includes(name)) fail(`${name}: there is no such recipe`);
  for (const name of wanted.length > 0 ? wanted : known) {
    try {
      await runRecipe(
        name,
        blocks.filter(({ recipe }) => recipe === name),
      );
    } catch (error) {
      console.error(`error: ${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

async function runRecipe(name, blocks) {
  const { packages, runtime, from = 18 } = TOOLS[name];
  if (Number.parseInt(process.versions.node, 10) < from) return say(`${name}: needs Node ${from}`);
  if (runtime && (process.platform !== 'linux' || process.arch !== 'x64')) {
    return say(`${name}: its runtime is fetched on Linux x64 only`);
  }
  say(name);
  const project = await Project.create();
  try {
    const env = { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' };
    const path = [join(project.folder, 'node_modules', '.bin'), dirname(process.execPath)];
    if (packages.length > 0) {
      const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
      if (!npm(['install', ...flags, ...packages], { cwd: project.folder })) {
        throw new Error('the tool could not be installed');
      }
    }
    if (runtime) {
      const [command, ...where] = runtime;
      const bin = join(project.above, 'bin');
      mkdirSync(bin);
      symlinkSync(fetched(...where), join(bin, command));
      path.unshift(bin);
    }
    env.PATH = [...path, env.PATH].join(delimiter);
    copyFileSync(join(root, 'demo', 'demo.wasm'), join(project.folder, 'demo.wasm'));
    for (const { language, file, code } of blocks) {
      if (language === 'js') project.write(file, code);
      else for (const part of code.split(/^\$ /m).slice(1)) step(part, project.folder, env);
    }
  } finally {
    project.remove();
  }
}

/** Runs a command, and holds what it prints against the lines below it. */
function step(part, cwd, env) {
  const [command, ...expected] = part
    .replaceAll(/ \\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line !== '');
  const options = { cwd, env, encoding: 'utf8', timeout: LIMIT };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], options);
  if (status !== 0) throw new Error(`${command}: exit code ${status}\n${stdout}${stderr}`);
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (expected.length > 0 && lines.join('\n') !== expected.join('\n')) {
    throw new Error(`${command}: printed\n${stdout}`);
  }
}
