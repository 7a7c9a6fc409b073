'use strict';
// Preloaded into a program and its Workers: tells the test, on descriptor 3, where instances of
// wasi-rs are made. The addon's function is the one that is watched, so that the class stays as it
// is.
const { readdirSync, writeSync } = require('node:fs');
const { join } = require('node:path');
const { isMainThread } = require('node:worker_threads');

const installed = join(__dirname, 'node_modules', 'wasi-rs');
const addon = readdirSync(installed).find((name) => name.endsWith('.node'));
const binding = require(join(installed, addon));

const { createInstance } = binding;
binding.createInstance = (...args) => {
  const instance = createInstance(...args);
  writeSync(3, isMainThread ? 'main\n' : 'worker\n');
  return instance;
};
