'use strict';

// Files of preopens in memory, by the paths that a guest would open.

const { isTreeLink, listTreeFiles, readTreeFile } = require('../binding.js');
const { inThisRealm } = require('./bytes.js');
const { listTooLong } = require('./errors.js');

/**
 * Where a guest's C library (wasi-libc) looks a path up: below the preopen with the longest name
 * that the path begins with; of two with the same name, the later one. It compares text: a name
 * behind `/./` or `..` is no preopen's to it.
 *
 * @returns {{ index: number, path: string } | undefined} the preopen and the path below it
 */
function placeOf(names, guestPath) {
  // A path that does not begin at the root begins at the working directory, which is the root.
  const path = guestPath.replace(/^\/+/, '');
  let found;
  let longest = -1;
  for (let index = names.length - 1; index >= 0; index--) {
    const prefix = names[index].replace(/^(?:\/|\.(?:\/|$))+/, '');
    if (prefix.length <= longest || !path.startsWith(prefix)) continue;
    // Only whole components match.
    const next = path[prefix.replace(/\/+$/, '').length];
    if (prefix !== '' && next !== undefined && next !== '/') continue;
    longest = prefix.length;
    found = { index, path: path.slice(prefix.length).replace(/^\/+/, '') || '.' };
  }
  return found;
}

/**
 * @param {number} id of the instance
 * @param {string[]} names of all preopens
 * @param {string} guestPath
 * @returns {Uint8Array | undefined} a copy of the file's bytes, if there is such a file
 */
function readFile(id, names, guestPath) {
  const place = placeOf(names, guestPath);
  if (place === undefined) return undefined;
  const { index, path } = place;
  return inThisRealm(readTreeFile(id, index, path, names[index] === '/'));
}

/** @returns {string[]} the guest's paths of all files and symbolic links, sorted */
function listFiles(id, names) {
  const files = listTreeFiles(id, prefixesOf(names));
  if (typeof files === 'string') throw listTooLong(files);
  return files.sort();
}

/** The same with their types. A name that has gone meanwhile is left out. */
function listTypedFiles(id, names) {
  const prefixes = prefixesOf(names);
  // A preopen's number as the prefix: a path alone does not say which of two nested preopens it is
  // in.
  const files = listTreeFiles(
    id,
    prefixes.map((_, index) => `${index}:`),
  );
  if (typeof files === 'string') throw listTooLong(files);
  return files
    .map((file) => {
      const [index] = file.split(':', 1);
      const path = file.slice(index.length + 1);
      const isLink = isTreeLink(id, Number(index), path);
      return { path: prefixes[index] + path, type: isLink ? 'symlink' : 'file', isLink };
    })
    .filter(({ isLink }) => isLink !== null)
    .map(({ path, type }) => ({ path, type }))
    .sort((one, other) => (one.path < other.path ? -1 : one.path > other.path ? 1 : 0));
}

function prefixesOf(names) {
  return names.map((name) => (name.endsWith('/') ? name : `${name}/`));
}

module.exports = { listFiles, listTypedFiles, readFile };
