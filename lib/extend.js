'use strict';

// What a WASI gets for options that `node:wasi` does not have. Loaded when there is one of them.

const { checkRunning, copyOut, exceed } = require('./guest.js');
const { kObservation, kPeerName, kSockets } = require('./keys.js');
const { now } = require('./time.js');

/**
 * @param {import('../index.js').WASI} wasi has its imports
 * @param {import('./guest.js').Guest} guest
 * @param {object} checked what `checkedOptions` gives
 */
function extend(wasi, guest, { functions, names, observers, served, sockets, suspends }) {
  const { wasiImport } = wasi;
  if (suspends) {
    const { Suspension } = require('./suspend.js');
    guest.suspension = new Suspension(guest, functions, sockets !== undefined);
    guest.suspension.attachStreams(wasiImport);
  } else if (functions !== undefined) {
    require('./streams.js').attachStreams(wasiImport, guest, functions);
  }
  if (served !== undefined) require('./served.js').attachServed(wasiImport, guest, served);
  let peers;
  if (sockets !== undefined) {
    const lib = require('./sockets.js');
    wasi[kSockets] = lib.openedSockets(guest, 3 + names.length, sockets);
    wasi[kPeerName] = (fd) => lib.peerName(guest, fd);
    peers = lib.peersOf(guest);
  }
  if (observers !== undefined) {
    wasi[kObservation] = require('./observe.js').observe(wasiImport, observers, {
      now,
      setDeadline: (time) => (guest.deadline = time),
      copyOut: (offset, length) => copyOut(guest, offset, length),
      check: () => checkRunning(guest),
      exceed: (limit, message) => exceed(guest, limit, message),
      peers,
      later: suspends ? (tell) => guest.suspension.later(tell) : undefined,
    });
  }
  if (suspends) guest.suspension.attachTrampolines(wasiImport);
}

module.exports = { extend };
