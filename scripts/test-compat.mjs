// `npm run test:compat`: published programs that use node:wasi, run on wasi-rs. Their packages are
// installed into __test__/compat/node_modules, at the versions of the lock file beside it.
import './setup.mjs';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeWithJspi } from './node-tests.mjs';
import { fail, npm, root, run, say } from './process.mjs';

const folder = join(root, '__test__', 'compat');
const modules = join(folder, 'node_modules');
const stamp = join(modules, '.installed');
const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  say('installing the programs into __test__/compat/node_modules');
  // --force: builds for WebAssembly say that they are for no other processor. The optional packages
  // are the native builds, which are not what is tested.
  const flags = ['--force', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (!npm(['ci', ...flags, '--loglevel=error'], { cwd: folder })) fail('npm ci did not succeed');
  writeFileSync(stamp, lock);
}
mkdirSync(modules, { recursive: true });
rmSync(join(modules, 'wasi-rs'), { recursive: true, force: true });
symlinkSync(root, join(modules, 'wasi-rs'), 'junction');

say(`running the programs under Node.js ${process.versions.node}`);
const args = ['--test', '--test-reporter=spec', join(folder, 'compat.test.mjs')];
const passed = run(process.execPath, args);
const newer = nodeWithJspi();
const isNewer = newer !== undefined && newer !== process.execPath;
if (isNewer) say('running the programs that suspend under Node.js 24');
const suspended = !isNewer || run(newer, [...args, '--test-name-pattern=REPL']);
process.exitCode = passed && suspended ? 0 : 1;
