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

/**
 * @param {Iterable<number>} directories how many entries there are to be in each of the large directories
 * @param {string} [parent] where to make it
 * @returns {{ path: string, remove(): void }}
 */
export function prepareFolder(directories, parent = DEFAULT_PARENT) {
  const path = mkdtempSync(join(parent, 'wasi-rs-bench-'));
  const deep = join(path, 'a', 'b', 'c', 'd');
  mkdirSync(deep, { recursive: true });
  mkdirSync(join(path, 'scratch'));
  writeFileSync(join(path, 'file'), Buffer.alloc(FILE_SIZE, 'wasi'));
  writeFileSync(join(path, 'old'), '');
  writeFileSync(join(deep, 'file'), '');
  symlinkSync('file', join(path, 'link'));
  for (const entries of directories) fillDirectory(join(path, `directory-${entries}`), entries);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
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
