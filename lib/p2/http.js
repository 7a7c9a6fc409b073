'use strict';

// `wasi-rs/p2/http`: the interfaces of `wasi:http` as jco's generated imports name them. They
// refuse, unless `configure({ interfaces })` gave others.

const { interfaceOf, unsupported } = require('./default.js');
const { FORBIDDEN } = require('./refused.js');

const types = interfaceOf('wasi:http/types');
const outgoingHandler = interfaceOf('wasi:http/outgoing-handler');
const incomingHandler = interfaceOf('wasi:http/incoming-handler');

/** The usual host's way to refuse: here nothing is allowed to begin with. */
function _denyHttp() {}

const HTTPServer = unsupported('HTTPServer', 'nothing here listens');

module.exports = {
  types,
  outgoingHandler,
  incomingHandler,
  _denyHttp,
  _forbiddenHeaders: FORBIDDEN,
  HTTPServer,
};
