'use strict';

// The addon in a Worker or in a guest's process: in the place of binding.js, which looks for files
// beside itself.

const { workerData } = require('node:worker_threads');

const addon = { exports: {} };
process.dlopen(addon, workerData?.addon ?? globalThis[Symbol.for('wasi-rs.process')].addon);
module.exports = addon.exports;
