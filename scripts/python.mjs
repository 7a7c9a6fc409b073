// Tools that come from PyPI, each in a virtual environment of its own under target/.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, root, run, say } from './process.mjs';

/**
 * @param {string} name of the environment
 * @param {string[]} packages with their versions, as pip wants them
 * @returns {string} the folder with the programs of the environment
 */
export function python(name, packages) {
  const folder = join(root, 'target', 'python', `${name}-${packages.join('-')}`);
  const windows = process.platform === 'win32';
  const bin = join(folder, windows ? 'Scripts' : 'bin');
  const stamp = join(folder, '.installed');
  if (existsSync(stamp)) return bin;
  say(`installing ${packages.join(', ')}`);
  rmSync(folder, { recursive: true, force: true });
  const flags = ['--quiet', '--disable-pip-version-check'];
  const done =
    run(windows ? 'python' : 'python3', ['-m', 'venv', folder]) &&
    run(join(bin, 'python'), ['-m', 'pip', 'install', ...flags, ...packages]);
  if (!done) fail(`${packages.join(', ')} could not be installed`);
  writeFileSync(stamp, '');
  return bin;
}
