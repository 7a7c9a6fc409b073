// Makes a checkout ready to use: npm packages and the addon. npm and cargo decide what there is to
// do. Other scripts import this one for its effect.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fail, npm, requireCargo, root, say } from './process.mjs';

const OLDEST_NODE = 20;

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(`Node.js ${OLDEST_NODE} or later is needed to build and test; this is ${process.version}`);
}
if (!arePackagesInstalled()) {
  say('installing npm packages into node_modules');
  if (!npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'])) fail('npm ci did not succeed');
}
requireCargo();
say('building the addon (the first time takes a minute or two)');
if (!npm(['run', '--silent', 'build'])) fail('the addon could not be built');

/** npm writes a lock file of its own when all that package-lock.json names is installed. */
function arePackagesInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  const wanted = join(root, 'package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs;
}
