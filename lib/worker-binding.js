'use strict';

// The addon in a Worker: in the place of binding.js, which looks for files beside itself.

const { workerData } = require('node:worker_threads');

const addon = { exports: {} };
process.dlopen(addon, workerData.addon);
module.exports = addon.exports;
