'use strict';

// Preopens that are given to a WASI of 0.2 after it was made.

const { checkedOptions } = require('../options.js');

/**
 * @param {[string, unknown][]} list the guest's names and the host's directories
 * @returns {object[]} what the native side takes, checked as the option `preopens`
 */
function checkedPreopens(list) {
  return checkedOptions({ preopens: Object.fromEntries(list) }).native.preopens;
}

module.exports = { checkedPreopens };
