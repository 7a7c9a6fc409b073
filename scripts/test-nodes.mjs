// `npm run test:nodes`: the tests of the package under every supported version of Node.js. Each
// comes from npm, and is kept in .cache/runtimes.
import './setup.mjs';
import { fetched } from './fetch.mjs';
import { nodeBinary, nodePackage, nodeTests } from './node-tests.mjs';
import { say } from './process.mjs';

const VERSIONS = ['18.20.1', '20', '22', '24', '26'];

const outcomes = VERSIONS.map((version) => {
  const node = fetched(nodePackage, version, nodeBinary);
  say(`testing the package under Node.js ${version}`);
  return { version, passed: nodeTests(node) };
});
for (const { version, passed } of outcomes)
  say(`Node.js ${version}: ${passed ? 'passed' : 'FAILED'}`);
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1;
