// Makes a checkout ready to use: npm packages and the addon. Does nothing where that is done
// already. Other scripts import this one for its effect.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, npm, requireCargo, root, say } from './process.mjs';
import { own } from './targets.mjs';

const OLDEST_NODE = 20;
const STAMPS = join(root, '.cache', 'setup');

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  fail(`Node.js ${OLDEST_NODE} or later is needed to build and test; this is ${process.version}`);
}
unlessDone('packages', packagesState(), [join(root, 'node_modules')], installPackages);
unlessDone('addon', addonState(), addonFiles(), buildAddon);

/** Does a step again if what it depends on has changed since, or what it made is gone. */
function unlessDone(name, state, made, step) {
  const stamp = join(STAMPS, name);
  const done = made.length > 0 && made.every((path) => existsSync(path)) && existsSync(stamp);
  if (done && readFileSync(stamp, 'utf8') === state) return;
  rmSync(stamp, { force: true });
  step();
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(stamp, state);
}

function packagesState() {
  return digest(['package-lock.json']);
}

function installPackages() {
  say('installing npm packages into node_modules');
  if (!npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'])) fail('npm ci did not succeed');
}

/** A digest of all that decides what the addon and its loader are. */
function addonState() {
  const { version, napi, devDependencies } = own;
  const sources = [
    ...['Cargo.toml', 'Cargo.lock', 'build.rs', 'core/Cargo.toml', 'scripts/build.mjs'],
    ...['src', 'core/src'].flatMap(filesBelow),
  ];
  const tool = devDependencies['@napi-rs/cli'];
  const rest = [process.platform, process.arch, version, napi, tool];
  return digest(sources, JSON.stringify(rest));
}

/** The addon for this platform, whose name the build chooses. */
function addonFiles() {
  const addon = readdirSync(root).find((name) => name.endsWith('.node'));
  return addon ? [join(root, addon)] : [];
}

function buildAddon() {
  requireCargo();
  say('building the addon (the first time takes a minute or two)');
  if (!npm(['run', '--silent', 'build'])) fail('the addon could not be built');
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

/** A digest of the names and contents of files. */
function digest(paths, rest = '') {
  const hash = createHash('sha256').update(rest);
  for (const path of paths) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}
