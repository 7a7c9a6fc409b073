'use strict';

// The text that a guest's process runs, in that process: in the place of worker-source.js, which
// cannot hold itself.

module.exports = globalThis[Symbol.for('wasi-rs.process')]?.source;
