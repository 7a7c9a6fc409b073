'use strict';

// `wasi-rs/p2`: WASI 0.2 for components that jco has turned into JavaScript.

const { WASI, WASIExitError } = require('./wasi.js');

/** As in default.js, which is loaded when it is first called. */
function configure(options) {
  require('./default.js').configure(options);
}

/** As in component-names.js, which is loaded when it is first called. */
async function checkComponent(component) {
  await require('./component-names.js').checkComponent(component);
}

module.exports = { WASI, WASIExitError, checkComponent, configure };
