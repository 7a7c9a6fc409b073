'use strict';

// `wasi-rs/p2/io`: the interfaces of `wasi:io` as jco's generated imports name them.

const { interfaceOf, unsupported } = require('./default.js');

const error = interfaceOf('wasi:io/error');
const poll = interfaceOf('wasi:io/poll');
const streams = interfaceOf('wasi:io/streams');

const STREAM = 'its streams are numbers of a thread that is not there';
const inputStreamCreate = unsupported('inputStreamCreate', STREAM);
const outputStreamCreate = unsupported('outputStreamCreate', STREAM);

module.exports = { error, poll, streams, inputStreamCreate, outputStreamCreate };
