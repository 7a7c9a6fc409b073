'use strict';

// Bytes in any form that JavaScript has: of any realm, in any view, as a buffer or as text.

const { Buffer } = require('node:buffer');
const { isAnyArrayBuffer, isSharedArrayBuffer, isDataView } = require('node:util').types;
const { invalidReturn } = require('./errors.js');

const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
const { isView } = ArrayBuffer;
const Bytes = Uint8Array;
const { from } = Buffer;
const { imports: importsOf } = WebAssembly.Module;

// The getters read what an object is, whatever its realm and whatever someone has put on it.
const getterOf = (prototype, name) => getOwnPropertyDescriptor(prototype, name).get;
const gettersOf = (prototype) =>
  ['buffer', 'byteOffset', 'byteLength'].map((name) => getterOf(prototype, name));
const ofTyped = gettersOf(getPrototypeOf(Bytes.prototype));
const ofDataView = gettersOf(DataView.prototype);

/** Whether a value is an `ArrayBuffer`, a `SharedArrayBuffer` or a view of one. */
function isBytes(value) {
  return isView(value) || isAnyArrayBuffer(value);
}

/** Whether a value is a compiled module, of whichever realm. */
function isModule(value) {
  if (value instanceof WebAssembly.Module) return true;
  if (typeof value !== 'object' || value === null || isBytes(value)) return false;
  try {
    apply(importsOf, undefined, [value]);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {unknown} value for which `isBytes` is true
 * @returns {Uint8Array | undefined} its bytes, in an array of this realm: those of `value` itself,
 *   or a copy if other threads may write them; `undefined` if its buffer is detached
 */
function bytesOf(value) {
  try {
    let bytes;
    if (isView(value)) {
      const [buffer, offset, length] = (isDataView(value) ? ofDataView : ofTyped).map((getter) =>
        apply(getter, value, []),
      );
      bytes = new Bytes(buffer, offset, length);
    } else {
      bytes = new Bytes(value);
    }
    return isSharedArrayBuffer(apply(ofTyped[0], bytes, [])) ? new Bytes(bytes) : bytes;
  } catch {
    return undefined;
  }
}

/** @returns {Uint8Array} text as UTF-8 */
function encoded(text) {
  return apply(from, Buffer, [text, 'utf8']);
}

/**
 * @param {unknown} value what a function gave that is the standard input
 * @returns {Uint8Array | null} the bytes; `null` at the end
 * @throws {TypeError} `ERR_INVALID_RETURN_VALUE`: it is no bytes, text or `null`, or its buffer is
 *   detached
 */
function inputOf(value) {
  if (value === null) return null;
  const bytes =
    typeof value === 'string' ? encoded(value) : isBytes(value) ? bytesOf(value) : undefined;
  if (bytes === undefined) throw invalidReturn('bytes, a string or null', 'options.stdin', value);
  return bytes.byteLength > 0 ? bytes : null;
}

/**
 * Nobody waits for a promise: an output function that gives one is not what it was meant to be.
 *
 * @param {unknown} value what a function gave that is the standard output or error
 * @throws {TypeError} `ERR_INVALID_RETURN_VALUE`: it has a method `then`
 */
function checkTaken(value, name) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
  if (typeof value.then === 'function') throw invalidReturn('no promise', name, value);
}

module.exports = { bytesOf, checkTaken, encoded, inputOf, isBytes, isModule };
