'use strict';

// Numbers of modules, by which the threads and processes of guests know a module again.

let last = 0;
const numbers = new WeakMap();

/** @param {WebAssembly.Module} module */
function numberOf(module) {
  let number = numbers.get(module);
  if (number === undefined) numbers.set(module, (number = ++last));
  return number;
}

module.exports = { numberOf };
