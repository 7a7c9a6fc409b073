'use strict';

// Whether a thread had no processor while it was ready to run: on a busy machine, a guest that
// needs a millisecond may have to wait for it for fifty.

const { readFileSync } = require('node:fs');

/**
 * @param {number} thread the system's number of the thread; 0 if it has none
 * @param {number} before how many milliseconds of a processor it had had when its time began
 * @param {number} since how many milliseconds have passed from then on
 * @param {number | 'self'} [process] whose thread it is
 * @returns {number} for how many of these it was ready and had no processor; 0 if it waits for
 *   something now, or if the system does not say
 */
function starvedFor(thread, before, since, process = 'self') {
  if (thread === 0) return 0;
  try {
    const stat = readFileSync(`/proc/${process}/task/${thread}/stat`, 'latin1');
    // The state stands behind the name, which is in parentheses.
    if (!/[RD]/.test(stat[stat.lastIndexOf(')') + 2])) return 0;
    const [ns] = readFileSync(`/proc/${process}/task/${thread}/schedstat`, 'latin1').split(' ');
    const had = Number(ns) / 1e6 - before;
    return had >= 0 ? Math.max(0, since - had) : 0;
  } catch {
    return 0;
  }
}

module.exports = { starvedFor };
