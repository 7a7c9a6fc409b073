'use strict';

// The waits of suspended calls for something of the host, by token.

const { suspension } = require('../binding.js');
const { clearTimeout, setTimeout } = require('./time.js');

const { beginWait, endWait, onWaitEnd } = suspension;

/** After how many milliseconds a call looks again where the host has no room for a wait. */
const NAP = 10;
const MANY = 0x1_0000_0000;

const ignore = () => {};

/**
 * Of all copies of this module that share the addon, as where a test runner loads modules anew: the
 * addon tells the first copy alone, and knows a wait by nothing but its token.
 */
const shared = (suspension.shared ??= { waits: new Map(), lastToken: 0, listens: false });
const { waits } = shared;

/** The wait of a suspended call. */
class Wait {
  /** Ends the wait. */
  wake = ignore;
  token;
  timer;
}

/** The native side tells of the end of a wait. */
function tell(token) {
  const wait = waits.get(token);
  if (wait === undefined) return;
  waits.delete(token);
  wait.token = undefined;
  wait.wake();
}

function newToken() {
  do {
    shared.lastToken = (shared.lastToken + 1) % MANY;
  } while (waits.has(shared.lastToken));
  return shared.lastToken;
}

/**
 * Waits for what the last call of an instance would wait for of the host: then, or after that many
 * milliseconds, `wake` is called.
 *
 * @param {Wait} wait
 * @param {number} instance
 * @param {number} most may be Infinity
 */
function begin(wait, instance, most) {
  shared.listens ||= (onWaitEnd(tell), true);
  const token = newToken();
  if (beginWait(instance, token, most)) {
    waits.set(token, wait);
    wait.token = token;
  } else {
    wait.timer = setTimeout(() => wait.wake(), NAP);
  }
}

/** Gives up what a call waits for of the host. */
function cancel(wait) {
  if (wait.token !== undefined) {
    waits.delete(wait.token);
    endWait(wait.token);
    wait.token = undefined;
  }
  if (wait.timer !== undefined) clearTimeout(wait.timer);
  wait.timer = undefined;
}

module.exports = { Wait, begin, cancel };
