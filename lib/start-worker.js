'use strict';

// Starts Workers of the package, whose code is a text, and which load the addon by its path: a file
// of the package may be no file any more, but part of a bundle.

const { Worker } = require('node:worker_threads');
const { addonPath } = require('../binding.js');
const SOURCE = require('./worker-source.js');

/**
 * @param {object} workerData
 * @returns {Worker} without what the program was started with: NODE_OPTIONS, flags, and the
 *   environment
 */
function startWorker(workerData) {
  const { NODE_DEBUG_NATIVE } = process.env;
  return new Worker(SOURCE, {
    eval: true,
    execArgv: [],
    env: NODE_DEBUG_NATIVE === undefined ? {} : { NODE_DEBUG_NATIVE },
    workerData: { ...workerData, addon: addonPath() },
  });
}

module.exports = { startWorker };
