// `npm run test:components`: components of other toolchains, run on wasi-rs. jco, which transpiles
// them, is installed into __test__/components/node_modules, at the versions of the lock file beside
// it.
import './setup.mjs';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, npm, root, run, say } from './process.mjs';

const folder = join(root, '__test__', 'components');
const modules = join(folder, 'node_modules');
const stamp = join(modules, '.installed');
const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  say('installing jco into __test__/components/node_modules');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (!npm(['ci', ...flags], { cwd: folder })) fail('npm ci did not succeed');
  writeFileSync(stamp, lock);
}

say(`running components under Node.js ${process.versions.node}`);
const passed = run(process.execPath, [
  '--test',
  '--test-reporter=spec',
  join(folder, 'components.test.mjs'),
]);
process.exitCode = passed ? 0 : 1;
