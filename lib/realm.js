'use strict';

// Apart from bytes.js, which only options and streams need that `node:wasi` does not have.

const Bytes = Uint8Array;

/**
 * The same bytes as an array of this realm: the addon makes arrays of the realm that Node began
 * with.
 */
function inThisRealm(bytes) {
  return bytes === null ? undefined : new Bytes(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

module.exports = { inThisRealm };
