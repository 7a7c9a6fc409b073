'use strict';

// How much memory the process of a guest may take beside the guest's: what `memoryBytes` and
// `--max-memory` do not count. V8's compiler takes gigabytes for a small function that was made to
// that end.

const { boundOwnMemory } = require('../binding.js');

const MEBIBYTE = 2 ** 20;
/** For the runtime, and what V8 makes of any module. */
const BESIDE = 1024 * MEBIBYTE;
/** For each byte of the module. */
const FOR_A_BYTE = 16;
/** For each thread of the guest. */
const FOR_A_THREAD = 64 * MEBIBYTE;

/**
 * Bounds what this process takes from now on. Only Linux keeps the bound.
 *
 * @param {number | undefined} memoryBytes what the guest's memories may have together; `undefined`
 *   takes the bound away
 * @param {number} size of the module in bytes
 * @param {number} [maxThreads] of a guest with threads
 */
function boundProcess(memoryBytes, size, maxThreads = 0) {
  const beside = BESIDE + FOR_A_BYTE * size + FOR_A_THREAD * maxThreads;
  boundOwnMemory(memoryBytes === undefined ? undefined : memoryBytes + beside);
}

module.exports = { boundProcess };
