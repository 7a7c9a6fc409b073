'use strict';

// The names that someone may have meant by a name that is not known.

// Names that other interfaces have for the same. All in lower case, without `_` and `-`.
const ALIASES = {
  __proto__: null,
  timeout: ['timeoutMs'],
  deadline: ['timeoutMs'],
  deadlinems: ['timeoutMs'],
  outputcap: ['limits.outputBytes', 'outputBytes'],
  maxmemory: ['limits.memoryBytes', 'memoryBytes'],
  memorylimit: ['limits.memoryBytes', 'memoryBytes'],
  maxfds: ['limits.openFiles', 'openFiles'],
  seed: ['random'],
  argv: ['args'],
  environment: ['env'],
  dirs: ['preopens'],
  mounts: ['preopens'],
  mapdirs: ['preopens'],
  dir: ['path'],
  directory: ['path'],
  readwrite: ['readOnly'],
  writable: ['readOnly'],
  ro: ['readOnly'],
};

/**
 * @param {string} key that is not known
 * @param {string[]} known names, which may be paths: only what follows the last `.` is compared
 * @returns {string | undefined} the known name that comes nearest, if one is near
 */
function nearest(key, known) {
  const text = plain(key);
  const alias = ALIASES[text]?.find((name) => known.includes(name));
  if (alias !== undefined) return alias;
  let best;
  let least = Infinity;
  for (const name of known) {
    const own = plain(name.slice(name.lastIndexOf('.') + 1));
    const far = Math.min(distance(text, own), distance(text.replace(/^(max|is)/, ''), own));
    const limit = own.length < 4 ? 0 : own.length < 8 ? 1 : 2;
    if (far <= limit && far < least) [best, least] = [name, far];
  }
  return best;
}

function plain(name) {
  return name.toLowerCase().replace(/[_-]/g, '');
}

/**
 * How many letters are to be added, taken away, replaced or swapped with the next to make one word
 * the other.
 */
function distance(one, other) {
  // No known name is nearly as long, and a long one would take its time.
  if (one.length > 40) return Infinity;
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= one.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      let least = Math.min(
        rows[i - 1][j] + 1,
        rows[i][j - 1] + 1,
        rows[i - 1][j - 1] + (isSame ? 0 : 1),
      );
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        least = Math.min(least, rows[i - 2][j - 2] + 1);
      }
      rows[i][j] = least;
    }
  }
  return rows[one.length][other.length];
}

module.exports = { distance, nearest };
