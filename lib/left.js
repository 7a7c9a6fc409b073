'use strict';

// The results that a guest leaves: its collected output, and the files of its preopens in memory.

const { claimRun, collectedOutput, instanceId, outputTruncated } = require('../binding.js');
const { runFacts, runOutput, runText, threadTime } = require('../binding.js');
const { inThisRealm } = require('./realm.js');
const { changes, listFiles, readFile } = require('./trees.js');

/** How many bytes and how many paths of files are handed over at most. */
const MOST_BYTES = 512 * 1024 * 1024;
const MOST_PATHS = 100_000;
/**
 * How many milliseconds of a processor it may take to follow the guest's links. A link may lead
 * through 40 others with thousands of names each, which takes a thousand times as long as an
 * ordinary one.
 */
const MOST_LINK_TIME = 500;
/** How many bytes a slow machine copies in a millisecond: the time for those is not a link's. */
const COPIED_AT_LEAST = 250_000;
const EMPTY = new Uint8Array(0);
/** What `runFacts` says: which limit has refused something, and which output there is. */
const CUT_STDOUT = 1;
const CUT_STDERR = 2;
const HAS_STDOUT = 4;
const HAS_STDERR = 8;

/** Of a guest that has left nothing. */
function nothingLeft() {
  return {
    stdout: EMPTY,
    stderr: EMPTY,
    truncated: { stdout: false, stderr: false },
    files: new Map(),
    changes: [],
  };
}

/**
 * @param {object | null} handle of an instance that has the guest's streams and trees; `null` if
 *   there has been no guest
 * @param {string[]} names the guest's names of all preopens
 * @returns {{ stdout: Uint8Array, stderr: Uint8Array, truncated: object, files: Map<string,
 *   Uint8Array>, changes: object[] }}
 */
function leftBy(handle, names) {
  if (handle === null) return nothingLeft();
  const id = instanceId(handle);
  const output = (stream) => inThisRealm(collectedOutput(id, stream)) ?? EMPTY;
  const isCut = (stream) => outputTruncated(id, stream) === true;
  const truncated = { stdout: isCut(1), stderr: isCut(2) };
  const trees = treesOf(id, names, truncated);
  return { stdout: output(1), stderr: output(2), truncated, ...trees };
}

/** `files` and `changes`; `truncated` is told where there is more than is handed over. */
function treesOf(id, names, truncated) {
  const { files, isCut } = filesOf(id, names);
  if (isCut) truncated.files = true;
  const changed = changesOf(id, names);
  if (changed === undefined) truncated.changes = true;
  return { files, changes: changed ?? [] };
}

/** The guest's changes; `undefined` where there are too many, or they cannot be determined. */
function changesOf(id, names) {
  if (names.length === 0) return [];
  try {
    return changes(id, names);
  } catch (error) {
    if (!/^ERR_WASI_(LIST_TOO_LONG|CHANGES)$/.test(error.code)) throw error;
    return undefined;
  }
}

/**
 * The same of a run that keeps it in a place of the addon.
 *
 * @param {number} place
 * @param {string[]} names
 * @param {boolean} [asText] whether `stdout` and `stderr` may be strings, which take less time
 */
function leftIn(place, names, asText) {
  const facts = runFacts(place);
  const output = (stream) =>
    (asText ? runText(place, stream) : null) ?? inThisRealm(runOutput(place, stream)) ?? EMPTY;
  const left = nothingLeft();
  if ((facts & HAS_STDOUT) !== 0) left.stdout = output(1);
  if ((facts & HAS_STDERR) !== 0) left.stderr = output(2);
  left.truncated = { stdout: (facts & CUT_STDOUT) !== 0, stderr: (facts & CUT_STDERR) !== 0 };
  if (names.length === 0) return left;
  const handle = claimRun(place);
  if (handle === null) return left;
  return Object.assign(left, treesOf(instanceId(handle), names, left.truncated));
}

/**
 * The files by their absolute paths, as the guest would open them. A link is the file that it leads
 * to; what leads to no file is left out. The names may be many more than the files, by links. Links
 * that take long to follow cost no file its place.
 */
function filesOf(id, names) {
  const files = new Map();
  if (names.length === 0) return { files, isCut: false };
  let paths;
  try {
    paths = listFiles(id, names, true);
  } catch (error) {
    if (error.code !== 'ERR_WASI_LIST_TOO_LONG') throw error;
    return { files, isCut: true };
  }
  let isCut = false;
  let left = MOST_BYTES;
  let linkTime = 0;
  for (const { path, type } of paths) {
    const absolute = `/${path.replace(/^(?:\/|\.(?:\/|$))+/, '')}`;
    if (files.has(absolute)) continue;
    if (files.size >= MOST_PATHS) {
      isCut = true;
      break;
    }
    const isLink = type === 'symlink';
    if (isLink && linkTime > MOST_LINK_TIME) {
      isCut = true;
      continue;
    }
    const begun = isLink ? threadTime() : 0;
    const bytes = readFile(id, names, absolute);
    const length = bytes?.byteLength ?? 0;
    if (isLink) linkTime += Math.max(0, threadTime() - begun - length / COPIED_AT_LEAST);
    if (bytes === undefined) continue;
    left -= length;
    if (left < 0) {
      isCut = true;
      break;
    }
    files.set(absolute, bytes);
  }
  return { files, isCut };
}

module.exports = { leftBy, leftIn, nothingLeft };
