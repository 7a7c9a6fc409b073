'use strict';

// The embedder's signals. Many runs may have one signal, and Node warns of a leak from the eleventh
// listener on, so each signal has one listener for all.

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

module.exports = { whenAborted };
