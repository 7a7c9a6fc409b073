'use strict';

// Keys of what the modules of this package use of each other and users do not.

module.exports = {
  /** `wasi[kShare]()` gives the number under which other threads can attach to the instance. */
  kShare: Symbol('kShare'),
  /** `WASI[kAttach](number, options)` makes a WASI that shares the descriptors of another thread's. */
  kAttach: Symbol('kAttach'),
};
