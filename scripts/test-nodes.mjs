// `npm run test:nodes`: the tests of the package under every supported version of Node.js. Each comes
// from npm, as the package that holds its binary, and is kept in .cache/nodes.
import './setup.mjs';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeTests } from './node-tests.mjs';
import { fail, npm, root, say } from './process.mjs';

const VERSIONS = ['18.20.1', '20', '22', '24', '26'];

const system = process.platform === 'win32' ? 'win' : process.platform;
const packageName = `node-${system}-${process.arch}`;

/** @returns {string} the path of a `node` of this version, fetched if need be */
function nodeOf(version) {
  const folder = join(root, '.cache', 'nodes', version);
  const node = join(
    folder,
    'node_modules',
    packageName,
    'bin',
    system === 'win' ? 'node.exe' : 'node',
  );
  if (existsSync(node)) return node;
  say(`fetching Node.js ${version}`);
  mkdirSync(folder, { recursive: true });
  const flags = ['--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const fetched = npm(['install', ...flags, '--loglevel=error', `${packageName}@${version}`]);
  if (!fetched || !existsSync(node)) fail(`${packageName}@${version} could not be fetched`);
  return node;
}

const outcomes = VERSIONS.map((version) => {
  const node = nodeOf(version);
  say(`testing the package under Node.js ${version}`);
  return { version, passed: nodeTests(node) };
});
for (const { version, passed } of outcomes)
  say(`Node.js ${version}: ${passed ? 'passed' : 'FAILED'}`);
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1;
