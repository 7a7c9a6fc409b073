'use strict';
// Preloaded into the processes and Workers of the cases: whoever requires node:wasi gets wasi-rs.
const Module = require('node:module');
const { join } = require('node:path');

const WASI_RS = join(__dirname, '..', '..', 'index.js');

const load = Module._load;
Module._load = function (request, parent, isMain) {
  const redirected = /^(?:node:)?wasi$/.test(request) ? WASI_RS : request;
  return load.call(this, redirected, parent, isMain);
};
