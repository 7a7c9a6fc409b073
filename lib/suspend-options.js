'use strict';

// The option `suspend`, and standard streams that only a guest that suspends can have.

const { isAsyncFunction } = require('node:util').types;
const { nodeError, wrongType, wrongValue } = require('./errors.js');

/** @throws {TypeError} `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` where a guest cannot be suspended */
function checkSuspend(value) {
  if (typeof value !== 'boolean') throw wrongType('options.suspend', 'of type boolean', value);
  if (!value) return;
  if (typeof WebAssembly.Suspending === 'function' && typeof WebAssembly.promising === 'function') {
    return;
  }
  throw nodeError(
    TypeError,
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    `The feature options.suspend is unavailable on the current platform, Node.js ${process.versions.node}: it takes JSPI, which Node.js has from version 24.20 on, and from 24.0 on with --experimental-wasm-jspi. Run the guest in a thread of its own instead: a module with spawn(), a component in a Worker`,
  );
}

const isObject = (value) => typeof value === 'object' && value !== null;
const has = (value, name) => typeof value[name] === 'function';

/**
 * The kind of stream of a value that does not give or take at once. A value with the number of an
 * open descriptor as its `fd` stands for that descriptor, whatever else it is.
 *
 * @returns {'web' | 'node' | 'iterable' | undefined}
 */
function inputKind(value) {
  if (!isObject(value) || typeof value.fd === 'number') return undefined;
  if (has(value, 'getReader')) return 'web';
  if (has(value, 'read') && has(value, 'on') && has(value, 'unshift')) return 'node';
  return typeof value[Symbol.asyncIterator] === 'function' ? 'iterable' : undefined;
}

/** @returns {'web' | 'node' | undefined} likewise */
function outputKind(value) {
  if (!isObject(value) || typeof value.fd === 'number') return undefined;
  if (has(value, 'getWriter')) return 'web';
  return has(value, 'write') && has(value, 'end') && has(value, 'on') ? 'node' : undefined;
}

/**
 * Whether a value stands for a standard stream through JavaScript.
 *
 * @param {string} name of the option
 * @param {boolean} isInput
 * @param {boolean} suspends whether the guest can wait for it
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
function isStream(value, name, isInput, suspends) {
  const isFunction = typeof value === 'function';
  const kind = isFunction ? 'function' : (isInput ? inputKind : outputKind)(value);
  if (kind === undefined) return false;
  const isAsync = !isFunction || isAsyncFunction(value);
  if (isAsync && !suspends) {
    // A value that has a descriptor at other times gets the error that it has none now.
    if (!isFunction && 'fd' in value) return false;
    throw wrongType(
      name,
      'a function that is not async, or the option "suspend" must be true: only a guest that suspends can wait for this stream',
      value,
    );
  }
  if (kind === 'web' && value.locked) {
    throw wrongValue(name, 'must not be locked: another reader or writer has it', value);
  }
  if (kind === 'node' && (isInput ? value.destroyed && !value.readableEnded : !value.writable)) {
    throw wrongValue(name, 'must not be destroyed or ended', value);
  }
  return true;
}

/** @returns {AbortSignal | undefined} */
function checkedSignal(options) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrongType('options', 'of type object', options);
  }
  // A signal in the place of the options has no keys, so nothing would look at it.
  if ('aborted' in options) throw wrongType('options', 'an object with a "signal"', options);
  require('./own-options.js').checkKeys(options, 'options', ['signal']);
  const { signal } = options;
  if (signal !== undefined) require('./signals.js').validateSignal(signal);
  return signal;
}

/** @throws {Error} `ERR_INVALID_STATE`: the WASI was made without the option `suspend` */
function checkSuspends(suspension, what) {
  if (suspension !== undefined) return;
  throw nodeError(
    Error,
    'ERR_INVALID_STATE',
    `Invalid state: ${what}() takes a WASI that was made with the option suspend: true`,
  );
}

module.exports = { checkSuspend, checkSuspends, checkedSignal, inputKind, isStream, outputKind };
