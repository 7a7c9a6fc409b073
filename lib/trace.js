'use strict';

// Calls as a person reads them: paths as text, flags and errors by name.

const { BITS, ERRNOS, PARAMETERS, VALUES } = require('./names.js');

const decoder = new TextDecoder();

const flags = (names) => (value) => names.filter((_, bit) => (BigInt(value) >> BigInt(bit)) & 1n);
const oneOf = (names) => (value) => names[value] ?? value;
const number = (value) => (typeof value === 'number' ? value >>> 0 : value);

/** By a parameter's kind. */
const DECODERS = Object.fromEntries([
  ...Object.entries(BITS).map(([kind, names]) => [kind, flags(names)]),
  ...Object.entries(VALUES).map(([kind, names]) => [kind, oneOf(names)]),
]);
/** No path is longer. */
const PATH_LIMIT = 4095;

/**
 * @param {string} name of a function
 * @param {unknown[]} args as the guest gave them
 * @param {(offset: number, length: number) => Uint8Array} copyOut reads the guest's memory
 * @returns {Record<string, unknown>} the arguments by name
 */
function traced(name, args, copyOut) {
  const decoded = {};
  let at = 0;
  for (const [key, kind] of PARAMETERS[name] ?? []) {
    if (kind === 'path') {
      const [offset, length] = [args[at++] >>> 0, args[at++] >>> 0];
      decoded[key] = decoder.decode(copyOut(offset, Math.min(length, PATH_LIMIT)));
    } else {
      const value = args[at++];
      const decode = DECODERS[kind] ?? number;
      decoded[key] = typeof value === 'number' || typeof value === 'bigint' ? decode(value) : value;
    }
  }
  return decoded;
}

/** @returns {string} the specification's name of an errno */
function errnoName(errno) {
  return errno === 0 ? 'success' : (ERRNOS[errno - 1] ?? String(errno));
}

module.exports = { errnoName, traced };
