'use strict';

// Calls as a person reads them: paths as text, flags and errors by name.

const { Buffer } = require('node:buffer');
const { BITS, ERRNOS, PARAMETERS, VALUES } = require('./names.js');

// Only JavaScript can pass a number that is no integer: it is shown as it is.
const flags = (names) => (value) =>
  typeof value === 'number' && !Number.isInteger(value)
    ? value
    : names.filter((_, bit) => (BigInt(value) >> BigInt(bit)) & 1n);
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
      const [offset, length] = [args[at++], args[at++]];
      decoded[key] = pathAt(offset, length, copyOut);
    } else {
      const value = args[at++];
      const decode = DECODERS[kind] ?? number;
      decoded[key] = typeof value === 'number' || typeof value === 'bigint' ? decode(value) : value;
    }
  }
  return decoded;
}

/** A path as text; cut, with an ellipsis, where it is longer than any that can be opened. */
function pathAt(offset, length, copyOut) {
  if (typeof offset !== 'number' || typeof length !== 'number') return undefined;
  const size = length >>> 0;
  const bytes = copyOut(offset >>> 0, Math.min(size, PATH_LIMIT));
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return size > PATH_LIMIT ? `${text}…` : text;
}

/** @returns {string} the specification's name of an errno */
function errnoName(errno) {
  return errno === 0 ? 'success' : (ERRNOS[errno - 1] ?? String(errno));
}

module.exports = { errnoName, traced };
