'use strict';

// `wasi-rs/p2/sockets`: the interfaces of `wasi:sockets` as jco's generated imports name them. They
// refuse, unless `configure({ interfaces })` gave others.

const { interfaceOf, unsupported } = require('./default.js');

const instanceNetwork = interfaceOf('wasi:sockets/instance-network');
const ipNameLookup = interfaceOf('wasi:sockets/ip-name-lookup');
const network = interfaceOf('wasi:sockets/network');
const tcp = interfaceOf('wasi:sockets/tcp');
const tcpCreateSocket = interfaceOf('wasi:sockets/tcp-create-socket');
const udp = interfaceOf('wasi:sockets/udp');
const udpCreateSocket = interfaceOf('wasi:sockets/udp-create-socket');

const APART = "new WASI({ interfaces }) of 'wasi-rs/p2' takes functions of yours";
const createSockets = unsupported('createSockets', APART);

/** The usual host's ways to refuse: here nothing is allowed to begin with. */
function _denyDnsLookup() {}
function _denyTcp() {}
function _denyUdp() {}

module.exports = {
  instanceNetwork,
  ipNameLookup,
  network,
  tcp,
  tcpCreateSocket,
  udp,
  udpCreateSocket,
  createSockets,
  _denyDnsLookup,
  _denyTcp,
  _denyUdp,
};
