'use strict';

// Preopens in memory and overlays for the embedder: reading both, and committing overlays.

const {
  commitOverlay,
  isTreeLink,
  listTreeFiles,
  readTreeFile,
  treeChanges,
} = require('../binding.js');
const { nodeError, shortened, wrongType, wrongValue } = require('./errors.js');
const { checkWritable } = require('./permissions.js');
const { printable } = require('./printable.js');
const { inThisRealm } = require('./realm.js');

/** A preopen's name as what the paths of its files begin with. */
function prefixOf(name) {
  return name.endsWith('/') ? name : `${name}/`;
}

/** Sorts by path; what was removed comes before what has its path now. */
function byPath(one, other) {
  if (one.path !== other.path) return one.path < other.path ? -1 : 1;
  return Number(other.type === 'removed') - Number(one.type === 'removed');
}

function readFile(id, names, guestPath) {
  const place = beginningOf(names, guestPath);
  if (place === undefined) return undefined;
  const { index, path } = place;
  return inThisRealm(readTreeFile(id, index, path, names[index] === '/'));
}

function listFiles(id, names, withTypes) {
  const prefixes = names.map(prefixOf);
  if (withTypes) return typedFiles(id, prefixes);
  const files = listTreeFiles(id, prefixes);
  if (typeof files === 'string') throw listTooLong(files);
  return files.sort();
}

/** The files of all trees with their types. A name that has gone meanwhile is left out. */
function typedFiles(id, prefixes) {
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
    .sort(byPath);
}

function changes(id, names) {
  const words = treeChanges(id, names.map(prefixOf));
  if (typeof words !== 'string') return changesOf(words, 0).sort(byPath);
  throw words === '2big' || words === 'nametoolong' ? listTooLong(words) : changesUnknown(words);
}

/** The changes that the addon tells of, three words for each. */
function changesOf(words, from) {
  const list = [];
  for (let i = from; i + 2 < words.length; i += 3) {
    list.push({ type: words[i], path: words[i + 2], kind: words[i + 1] });
  }
  return list;
}

/**
 * Writes what differs in overlays.
 *
 * @param {{ index: number, path: string | undefined }[]} overlays the preopens that are overlays,
 *   and the directories below them; `undefined` for an archive
 */
function commit(id, names, overlays, guestPath) {
  const chosen = chosenOf(names, overlays, guestPath);
  // The permission model is asked for all of them before anything is written.
  for (const { path } of chosen) checkWritable(path);
  const done = [];
  for (const { index, within } of chosen) {
    const prefix = prefixOf(names[index]);
    const [errno, path, kept, ...words] = commitOverlay(id, index, within, prefix);
    done.push(...changesOf(words, 0));
    if (errno !== '') {
      const copies = kept.split('\0').slice(0, -1);
      throw commitFailed(errno, prefix + path, done.sort(byPath), copies);
    }
  }
  return done.sort(byPath);
}

/** Which overlays are meant, and which part of each: the empty path is all of it. */
function chosenOf(names, overlays, guestPath) {
  if (guestPath === undefined) {
    return overlays
      .filter(({ path }) => path !== undefined)
      .map(({ index, path }) => ({ index, path, within: '' }));
  }
  if (typeof guestPath !== 'string') throw wrongType('guestPath', 'of type string', guestPath);
  const place = placeOf(names, guestPath);
  const overlay = overlays.find(({ index }) => index === place?.index);
  if (overlay === undefined) {
    throw wrongValue('guestPath', 'must be the name of an overlay, or a path in one', guestPath);
  }
  if (overlay.path === undefined) {
    throw wrongValue('guestPath', 'must not lie over an archive, which is not written', guestPath);
  }
  const parts = place.path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw wrongValue('guestPath', "must not hold '..'", guestPath);
  return [{ ...overlay, within: parts.join('/') }];
}

/**
 * Where a guest's C library (wasi-libc) looks a path up: below the preopen with the longest name
 * that the path begins with; of two with the same name, the later one. It compares text: a name
 * behind `/./` or `..` is no preopen's to it.
 *
 * @returns {{ index: number, path: string } | undefined} the preopen and the path below it
 */
function beginningOf(names, guestPath) {
  // A path that does not begin at the root begins at the working directory, which is the root.
  return longestOf(names, guestPath.replace(/^\/+/, ''));
}

/**
 * Where a path leads by its names: from there, it arrives in the preopens that are mounted on its
 * way. What is written by it is where it says, so no symbolic link is followed.
 *
 * @returns {{ index: number, path: string } | undefined} as above
 */
function placeOf(names, guestPath) {
  const first = beginningOf(names, guestPath);
  if (first === undefined) return undefined;
  const name = names[first.index];
  // Absolute and relative names are two trees.
  const isAbsolute = name.startsWith('/');
  const mounted = names.map((each) =>
    each.startsWith('/') === isAbsolute ? partsOf(each) : undefined,
  );
  const parts = partsOf(name);
  const least = parts.length;
  const rest = first.path.split('/');
  for (const part of rest) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > least) parts.pop();
    // Above the root is the root; above any other preopen the tree refuses.
    else if (least > 0 || !isAbsolute) return first;
  }
  let found = first;
  let longest = least;
  for (let index = 0; index < names.length; index++) {
    const mount = mounted[index];
    if (mount === undefined || mount.length <= longest) continue;
    if (!mount.every((part, at) => part === parts[at])) continue;
    longest = mount.length;
    const slash = first.path.endsWith('/') ? '/' : '';
    found = { index, path: parts.slice(longest).join('/') + slash || '.' };
  }
  return found;
}

function longestOf(names, path) {
  let found;
  let longest = -1;
  for (let index = names.length - 1; index >= 0; index--) {
    const prefix = plainName(names[index]);
    if (prefix.length <= longest || !path.startsWith(prefix)) continue;
    // Only whole components match.
    const next = path[prefix.replace(/\/+$/, '').length];
    if (prefix !== '' && next !== undefined && next !== '/') continue;
    longest = prefix.length;
    found = { index, path: path.slice(prefix.length).replace(/^\/+/, '') || '.' };
  }
  return found;
}

/** A preopen's name without what stands for the root or the working directory. */
function plainName(name) {
  return name.replace(/^(?:\/|\.(?:\/|$))+/, '');
}

function partsOf(name) {
  return name.split('/').filter((part) => part !== '' && part !== '.');
}

/** The files of preopens in memory cannot be listed. */
function listTooLong(errno) {
  const what =
    errno === 'nametoolong'
      ? 'The guest has nested directories so deep that the path of a file exceeds 4096 bytes'
      : 'The paths of the files in memory take more than 32 MiB together';
  const remedy = 'Read the files that you need by their names, with readFile()';
  return nodeError(Error, 'ERR_WASI_LIST_TOO_LONG', `${what}. ${remedy}`);
}

/** The error for a directory below an overlay that cannot be read. */
function changesUnknown(errno) {
  const message = `The directory below an overlay cannot be read: ${errno}`;
  const error = nodeError(Error, 'ERR_WASI_CHANGES', message);
  error.reason = errno;
  return error;
}

/**
 * Changes were not written, or not all of them.
 *
 * @param {string} errno what stood in the way
 * @param {string} path the guest's path where it did
 * @param {object[]} done what was written before
 * @param {string[]} kept the paths of what would be lost otherwise
 */
function commitFailed(errno, path, done, kept) {
  const written =
    done.length === 0
      ? 'nothing was written'
      : `written were ${done.map(({ path }) => path).join(', ')}`;
  const saved = kept.length === 0 ? '' : `; what would be lost is in ${kept.join(', ')}`;
  const message = `${path} cannot be written: ${errno}; ${shortened(written, 512, 512)}${saved}`;
  // The guest chose the names, and the message may stand in a log.
  const error = nodeError(Error, 'ERR_WASI_COMMIT', printable(message));
  error.reason = errno;
  error.path = path;
  error.done = done;
  error.kept = kept;
  return error;
}

module.exports = { changes, commit, listFiles, readFile };
