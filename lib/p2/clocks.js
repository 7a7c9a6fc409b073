'use strict';

// `wasi-rs/p2/clocks`: the interfaces of `wasi:clocks` as jco's generated imports name them.

const { interfaceOf } = require('./default.js');

const monotonicClock = interfaceOf('wasi:clocks/monotonic-clock');
const wallClock = interfaceOf('wasi:clocks/wall-clock');

module.exports = { monotonicClock, wallClock };
