'use strict';

// The preopens that few programs have, checked and shaped for the native side: archives,
// and file systems of the embedder.

const { isBytes } = require('./bytes.js');
const { wrongType, wrongValue } = require('./errors.js');
const { validateBoolean } = require('./options.js');
const { DEFAULT_TREE_BYTES, attached, checkedCount, isUrl, pathOf } = require('./own-options.js');
const { overlayBytes } = require('./overlay.js');

/**
 * An archive, of which the guest changes nothing: what it changes is kept in an overlay, or is
 * refused.
 */
function tarPreopen(guest, name, value) {
  const { tar, maxBytes = DEFAULT_TREE_BYTES } = value;
  const overlay = overlayBytes(value.overlay, `${name}.overlay`);
  const { readOnly = overlay === undefined } = value;
  const isPath = !isBytes(tar);
  if (isPath && typeof tar !== 'string' && !(typeof tar === 'object' && tar && isUrl(tar))) {
    throw wrongType(`${name}.tar`, "of type string, a 'file:' URL, or bytes", tar);
  }
  validateBoolean(readOnly, `${name}.readOnly`);
  if (!readOnly && overlay === undefined) {
    throw wrongValue(`${name}.readOnly`, 'must not be false: an archive is not changed', readOnly);
  }
  const path = isPath ? pathOf(tar, `${name}.tar`) : '';
  const extended = {
    __proto__: null,
    kind: 'tar',
    archive: isPath ? undefined : attached(tar, `${name}.tar`),
    maxBytes: checkedCount(maxBytes, `${name}.maxBytes`),
    overlay,
  };
  return { guest, host: path, path, readOnly, extended };
}

/** A file system of the embedder. */
function fsPreopen(guest, name, { fs, readOnly = false }, used) {
  const shape = require('./served.js').checkFileSystem(fs, `${name}.fs`, used.suspends);
  validateBoolean(readOnly, `${name}.readOnly`);
  used.isServed = true;
  const extended = { __proto__: null, kind: 'fs' };
  return { guest, host: '', path: '', readOnly, extended, fs, shape };
}

module.exports = { fsPreopen, tarPreopen };
