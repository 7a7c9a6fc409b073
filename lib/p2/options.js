'use strict';

// Options in which a WASI of 0.2 differs from preview1's class, and preopens that are given to it
// after it was made.

const { wrongValue } = require('../errors.js');
const { checkedOptions } = require('../options.js');

/** Options of preview1's class that a component's host does not have. */
function refuse({ served, sockets }, options) {
  if (sockets !== undefined) {
    throw wrongValue('options.sockets', 'cannot be used with components', options.sockets);
  }
  const one = served?.find((each) => each);
  if (one !== undefined) {
    const name = `options.preopens['${one.name}'].fs`;
    throw wrongValue(name, 'cannot be used with components', one.fs);
  }
}

/**
 * @param {[string, unknown][]} list the guest's names and the host's directories
 * @returns {object[]} what the native side takes, checked as the option `preopens`
 */
function checkedPreopens(list) {
  const options = { preopens: Object.fromEntries(list) };
  const checked = checkedOptions(options);
  refuse(checked, options);
  return checked.native.preopens;
}

module.exports = { checkedPreopens, refuse };
