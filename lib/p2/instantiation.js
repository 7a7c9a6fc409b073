'use strict';

// The module that the preload gives for `@bytecodealliance/preview2-shim/instantiation`: its class,
// by the class of this package.

const { nodeError } = require('../errors.js');
const { checkKeys } = require('../own-options.js');
const { validateObject } = require('../options.js');
const { WASI } = require('./wasi.js');

const { entries } = Object;

/** The parts of a configuration that are interfaces, with the interfaces' names. */
const PARTS = {
  __proto__: null,
  cli: [
    'environment',
    'exit',
    'stdin',
    'stdout',
    'stderr',
    'terminal-input',
    'terminal-output',
    'terminal-stdin',
    'terminal-stdout',
    'terminal-stderr',
  ],
  clocks: ['monotonic-clock', 'wall-clock'],
  filesystem: ['preopens', 'types'],
  http: ['types', 'incoming-handler', 'outgoing-handler'],
  io: ['error', 'poll', 'streams'],
  random: ['random', 'insecure', 'insecure-seed'],
  sockets: [
    'instance-network',
    'ip-name-lookup',
    'network',
    'tcp',
    'tcp-create-socket',
    'udp',
    'udp-create-socket',
  ],
};

/** The keys of `sandbox`. */
const SANDBOX = ['args', 'env', 'preopens', 'enableNetwork'];

const camel = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());

class WASIShim {
  #wasi;

  /** @param {object} [config] `sandbox` and interfaces, as the usual host's class takes them */
  constructor(config = {}) {
    validateObject(config, 'config');
    const { sandbox = {}, ...parts } = config;
    validateObject(sandbox, 'config.sandbox');
    checkKeys(sandbox, 'config.sandbox', SANDBOX);
    const interfaces = {};
    for (const [part, functions] of entries(parts)) {
      if (functions === undefined) continue;
      if (!(part in PARTS)) throw unsupported(`config.${part}`);
      validateObject(functions, `config.${part}`);
      for (const name of PARTS[part]) {
        const given = functions[camel(name)] ?? functions[name];
        if (given !== undefined) interfaces[`wasi:${part}/${name}`] = given;
      }
    }
    if (sandbox.enableNetwork === true) throw unsupported('config.sandbox.enableNetwork');
    const { args, env, preopens } = sandbox;
    this.#wasi = new WASI({ args, env, preopens, interfaces });
  }

  getImportObject(options) {
    return this.#wasi.getImportObject(options);
  }
}

function unsupported(name) {
  return nodeError(
    TypeError,
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    `${name} is not there in wasi-rs/p2: pass the functions by the option interfaces of its WASI`,
  );
}

module.exports = { WASIShim };
