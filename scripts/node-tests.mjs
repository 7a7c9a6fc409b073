// Runs the tests in __test__ under one Node.js, by its own test runner.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchedIfPossible } from './fetch.mjs';
import { root, run, say } from './process.mjs';

/**
 * @param {string} node path of the `node` to test with
 * @returns {boolean} whether all tests passed
 */
export function nodeTests(node) {
  return run(node, ['--test', '--test-reporter=spec', ...testsBelow('__test__')]);
}

/** The tests of guests that suspend, which takes JSPI. */
const SUSPENDING = ['suspend.test.mjs', 'suspend-ends.test.mjs', 'suspend-streams.test.mjs'];

/**
 * Runs the tests of what this Node.js does not have, and a newer one does.
 *
 * @returns {boolean} whether all of them passed; `true` where there is none to run
 */
export function newerNodeTests() {
  if (typeof WebAssembly.Suspending === 'function') return true;
  const node = nodeWithJspi();
  if (node === undefined) {
    say('no Node.js 24 can be had: the tests of guests that suspend are left out');
    return true;
  }
  say('testing guests that suspend under Node.js 24');
  const files = [...SUSPENDING, 'docs.test.mjs', 'examples.test.mjs'];
  const args = ['--test', '--test-reporter=spec'];
  const one = run(node, [...args, ...files.map((name) => `__test__/${name}`)]);
  const pattern = '--test-name-pattern=suspends';
  return run(node, [...args, pattern, '__test__/sandbox.test.mjs']) && one;
}

/** @returns {string | undefined} the path of a Node.js that can suspend guests */
export function nodeWithJspi() {
  if (typeof WebAssembly.Suspending === 'function') return process.execPath;
  return fetchedIfPossible(nodePackage, '24', nodeBinary);
}

const system = process.platform === 'win32' ? 'win' : process.platform;
export const nodePackage = `node-${system}-${process.arch}`;
export const nodeBinary = system === 'win' ? 'bin/node.exe' : 'bin/node';

/** Named one by one, because what the runner finds by itself differs between versions. */
function testsBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      // The published programs are tested apart: `npm run test:compat`.
      if (entry.isDirectory()) return entry.name === 'compat' ? [] : testsBelow(path);
      return entry.name.endsWith('.test.mjs') ? [path] : [];
    })
    .sort();
}
