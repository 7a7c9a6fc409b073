'use strict';

// `wasi-rs/p2/random`: the interfaces of `wasi:random` as jco's generated imports name them.

const { interfaceOf } = require('./default.js');

const insecure = interfaceOf('wasi:random/insecure');
const insecureSeed = interfaceOf('wasi:random/insecure-seed');
const random = interfaceOf('wasi:random/random');

module.exports = { insecure, insecureSeed, random };
