// The targets that are built, by the names that napi-rs gives their packages and addons.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

const SYSTEMS = { linux: 'linux', darwin: 'darwin', windows: 'win32' };
const CPUS = { x86_64: 'x64', aarch64: 'arm64' };

/** This package's own package.json. */
export const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * @returns {{ system: string, cpu: string, abi?: string, platform: string }} of one target, as Node
 * names them
 */
export function describeTarget(target) {
  // x86_64-unknown-linux-gnu, aarch64-apple-darwin, x86_64-pc-windows-msvc
  const [machine, , kernel, abi] = target.split('-');
  const system = SYSTEMS[kernel];
  const cpu = CPUS[machine];
  if (!system || !cpu) throw new Error(`${target}: not a target that this package knows`);
  const platform = [system, cpu, ...(abi ? [abi] : [])].join('-');
  return { system, cpu, abi, platform };
}

/** @returns {string[]} the platforms that have a package, sorted */
export function platforms() {
  return own.napi.targets.map((target) => describeTarget(target).platform).sort();
}
