'use strict';

// The embedder's signals. Many runs may have one signal, and Node warns of a leak from the eleventh
// listener on, so each signal has one listener for all.

const { wrongType } = require('./errors.js');

/**
 * A signal may be another library's. It must be one before anything is started.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`
 */
function validateSignal(signal) {
  const isSignal =
    typeof signal === 'object' &&
    signal !== null &&
    'aborted' in signal &&
    typeof signal.addEventListener === 'function' &&
    typeof signal.removeEventListener === 'function';
  if (!isSignal) throw wrongType('options.signal', 'an instance of AbortSignal', signal);
}

/** By signal: the functions that its listener calls. */
const listeners = new WeakMap();

/**
 * Calls a function once when a signal is aborted. One that is aborted already calls nothing.
 *
 * @param {AbortSignal} signal
 * @param {() => void} call must not throw
 * @returns {() => void} gives it up
 */
function whenAborted(signal, call) {
  let own = listeners.get(signal);
  if (own === undefined) {
    own = { calls: new Set(), tell: undefined };
    own.tell = () => {
      listeners.delete(signal);
      for (const one of own.calls) one();
    };
    signal.addEventListener('abort', own.tell, { once: true });
    listeners.set(signal, own);
  }
  own.calls.add(call);
  return () => {
    if (!own.calls.delete(call) || own.calls.size > 0) return;
    if (listeners.get(signal) === own) listeners.delete(signal);
    signal.removeEventListener('abort', own.tell);
  };
}

/**
 * The value of a promise, unless a signal is aborted before.
 *
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @param {() => void} onAbort must not throw
 * @returns {Promise<T>} it rejects with the signal's reason after `onAbort`
 */
async function unlessAborted(promise, signal, onAbort) {
  if (signal === undefined) return promise;
  let ignore;
  const aborted = new Promise((_, reject) => {
    const stop = () => {
      onAbort();
      reject(signal.reason);
    };
    ignore = whenAborted(signal, stop);
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    ignore?.();
  }
}

module.exports = { unlessAborted, validateSignal, whenAborted };
