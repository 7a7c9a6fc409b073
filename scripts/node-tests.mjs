// Runs the tests in __test__ under one Node.js, by its own test runner.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './process.mjs';

/**
 * @param {string} node path of the `node` to test with
 * @returns {boolean} whether all tests passed
 */
export function nodeTests(node) {
  return run(node, ['--test', '--test-reporter=spec', ...testsBelow('__test__')]);
}

/** Folders with packages of their own: `npm run test:compat`, `npm run test:components`. */
const APART = ['compat', 'components'];

/** Named one by one, because what the runner finds by itself differs between versions. */
function testsBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      // Published programs and components are tested apart, as they need packages of their own.
      if (entry.isDirectory()) return APART.includes(entry.name) ? [] : testsBelow(path);
      return entry.name.endsWith('.test.mjs') ? [path] : [];
    })
    .sort();
}
