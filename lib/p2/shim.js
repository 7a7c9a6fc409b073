'use strict';

// The module that the preload gives for `@bytecodealliance/preview2-shim`.

const cli = require('./cli.js');
const clocks = require('./clocks.js');
const filesystem = require('./filesystem.js');
const http = require('./http.js');
const io = require('./io.js');
const random = require('./random.js');
const sockets = require('./sockets.js');

module.exports = { cli, clocks, filesystem, http, io, random, sockets };
