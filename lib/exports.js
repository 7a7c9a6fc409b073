'use strict';

// The functions and classes beside the class WASI, as described in index.d.ts. The modules that they
// need are loaded when they are first called.

const { setPrototypeOf } = Object;
const { construct } = Reflect;

function compile(wasm, options) {
  return require('./program.js').compile(wasm, options);
}

function run(wasm, options) {
  return require('./run.js').run(wasm, options);
}

function spawn(wasm, options) {
  return require('./spawn.js').spawn(wasm, options);
}

class Pool {
  constructor(options) {
    return newPool(options, new.target);
  }
}

/** Apart, because bundlers give another name to a class that has its own name in its body. */
function newPool(options, target) {
  const { Pool: Whole } = require('./pool.js');
  setPrototypeOf(Pool.prototype, Whole.prototype);
  return construct(Whole, [options], target);
}

module.exports = { Pool, compile, run, spawn };
