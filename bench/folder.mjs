// The folder that the rows work on.
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FILE_SIZE } from './rows.mjs';

/** In memory, if possible: a disk's journal and its writer make times of their own. */
export const DEFAULT_PARENT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const made = new Set();
process.on('exit', () => made.forEach(removeFolder));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** @returns {string} the path of a new folder, which this process removes at its end */
export function temporaryFolder(parent = DEFAULT_PARENT) {
  const path = mkdtempSync(join(parent, 'wasi-rs-bench-'));
  made.add(path);
  return path;
}

/** Removes a temporary folder before the end. */
export function removeFolder(path) {
  rmSync(path, { recursive: true, force: true });
  made.delete(path);
}

/**
 * @param {Iterable<number>} directories how many entries there are to be in each of the large
 *   directories
 * @param {string} [parent] where to make it
 * @returns {string} its path
 */
export function prepareFolder(directories, parent) {
  const path = temporaryFolder(parent);
  const deep = join(path, 'a', 'b', 'c', 'd');
  mkdirSync(deep, { recursive: true });
  mkdirSync(join(path, 'scratch'));
  writeFileSync(join(path, 'file'), Buffer.alloc(FILE_SIZE, 'wasi'));
  writeFileSync(join(path, 'old'), '');
  writeFileSync(join(deep, 'file'), '');
  symlinkSync('file', join(path, 'link'));
  for (const entries of directories) fillDirectory(join(path, `directory-${entries}`), entries);
  return path;
}

/** Hard links: one file has them all, which takes no room and little time. */
function fillDirectory(directory, entries) {
  mkdirSync(directory);
  // A file system allows some ten thousand links to a file.
  const LINKS = 10_000;
  let first;
  for (let i = 0; i < entries; i++) {
    const path = join(directory, `entry-${String(i).padStart(6, '0')}`);
    if (i % LINKS === 0) writeFileSync((first = path), '');
    else linkSync(first, path);
  }
}
