'use strict';

// The option of a preopen that makes it an overlay.

const { wrongType } = require('./errors.js');
const { DEFAULT_TREE_BYTES, checkKeys, checkedCount } = require('./own-options.js');

/**
 * @param {unknown} overlay the option
 * @param {string} name of the option
 * @returns {number | undefined} how many bytes may lie above; `undefined` if it is no overlay
 */
function overlayBytes(overlay, name) {
  if (overlay === undefined || overlay === false) return undefined;
  if (overlay === true) return DEFAULT_TREE_BYTES;
  if (typeof overlay !== 'object' || overlay === null || Symbol.iterator in overlay) {
    throw wrongType(name, 'of type boolean, or a plain object', overlay);
  }
  checkKeys(overlay, name, ['maxBytes']);
  const { maxBytes = DEFAULT_TREE_BYTES } = overlay;
  return checkedCount(maxBytes, `${name}.maxBytes`);
}

module.exports = { overlayBytes };
