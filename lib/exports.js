'use strict';

// The functions and classes beside the class WASI, as described in index.d.ts. The modules that they
// need are loaded when they are first called.

const { apply, construct, get } = Reflect;
const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

function compile(wasm, options) {
  return require('./program.js').compile(wasm, options);
}

function run(wasm, options) {
  return require('./run.js').run(wasm, options);
}

function spawn(wasm, options) {
  return require('./spawn.js').spawn(wasm, options);
}

/** Its members are here before there is one, as programs wrap the methods of classes. */
class Pool {
  constructor(options) {
    return construct(wholePool(), [options], new.target);
  }

  get queued() {
    return get(wholePool().prototype, 'queued', this);
  }

  run(wasm, ...options) {
    return apply(wholePool().prototype.run, this, [wasm, ...options]);
  }

  close() {
    return apply(wholePool().prototype.close, this, []);
  }

  [ASYNC_DISPOSE]() {
    return this.close();
  }
}

function wholePool() {
  return require('./pool.js').Pool;
}

module.exports = { Pool, compile, run, spawn };
