// Runtimes to test with: each comes from npm, as the package that holds its binary.
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, npm, root, say } from './process.mjs';

/**
 * @param {string} name of the package
 * @param {string} version
 * @param {string} binary where it is in the package
 * @returns {string} the path of the binary, fetched into .cache if need be
 */
export function fetched(name, version, binary) {
  const path = fetchedIfPossible(name, version, binary);
  if (path === undefined) fail(`${name}@${version} could not be fetched`);
  return path;
}

/** The same; `undefined` where it cannot be had. */
export function fetchedIfPossible(name, version, binary) {
  const folder = join(root, '.cache', 'runtimes', `${name.replace('/', '-')}-${version}`);
  const path = join(folder, 'node_modules', name, binary);
  if (existsSync(path)) return path;
  say(`fetching ${name} ${version}`);
  mkdirSync(folder, { recursive: true });
  const flags = ['--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const done = npm(['install', ...flags, '--loglevel=error', `${name}@${version}`]);
  if (!done || !existsSync(path)) return undefined;
  chmodSync(path, 0o755);
  return path;
}
