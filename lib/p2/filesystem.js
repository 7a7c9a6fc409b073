'use strict';

// `wasi-rs/p2/filesystem`: the interfaces of `wasi:filesystem` as jco's generated imports name
// them.

const {
  addPreopen,
  clearPreopens,
  getPreopens,
  interfaceOf,
  setPreopens,
  unsupported,
} = require('./default.js');

const preopens = interfaceOf('wasi:filesystem/preopens');
const types = interfaceOf('wasi:filesystem/types');

const APART = "new WASI({ preopens }) of 'wasi-rs/p2' makes one with its own directories";
const createFilesystem = unsupported('createFilesystem', APART);
const _createPreopenDescriptor = unsupported('_createPreopenDescriptor', APART);

module.exports = {
  preopens,
  types,
  createFilesystem,
  _addPreopen: addPreopen,
  _clearPreopens: clearPreopens,
  _createPreopenDescriptor,
  _getPreopens: getPreopens,
  _setPreopens: setPreopens,
};
