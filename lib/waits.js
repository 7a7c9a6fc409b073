'use strict';

// The waits of suspended calls for something of the host, by token.

const { clearTimeout, setTimeout } = require('node:timers');
const { beginWait, endWait, onWaitEnd } = require('../binding.js').suspension;

/** After how many milliseconds a call looks again where the host has no room for a wait. */
const NAP = 10;
const MANY = 0x1_0000_0000;

const ignore = () => {};

const waits = new Map();
let lastToken = 0;
let listens = false;

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
    lastToken = (lastToken + 1) % MANY;
  } while (waits.has(lastToken));
  return lastToken;
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
  listens ||= (onWaitEnd(tell), true);
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
