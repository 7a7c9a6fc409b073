'use strict';

// The WASI behind the modules that `jco transpile --map` and the preload name: one for each thread,
// made when a component first calls it or asks for a class. It has the host's standard streams and
// nothing else, until `configure` or a function of the usual host (`_setPreopens` and so on) says
// more.

const { preview2 } = require('../../binding.js');
const { constructionFailed, nodeError } = require('../errors.js');
const { validateObject } = require('../options.js');
const { WASI } = require('./wasi.js');

const { assign, entries } = Object;

let options = {};
/** The guest's environment. */
let environment = { __proto__: null };
let wasi;
let interfaces;

function current() {
  if (wasi === undefined) {
    wasi = new WASI(options);
    interfaces = wasi.getImportObject();
    assign(environment, options.env);
  }
  return wasi;
}

/**
 * Says with which options the modules' WASI is made.
 *
 * @param {import('../../p2.d.ts').WASIOptions} given those of `new WASI()`. If they are wrong, no
 *   component gets a WASI with others.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: an option is wrong.
 * @throws {RangeError} `ERR_OUT_OF_RANGE`
 * @throws {Error} `ERR_WASI_ALREADY_STARTED`: it is made already
 */
function configure(given) {
  if (wasi !== undefined) {
    throw nodeError(
      Error,
      'ERR_WASI_ALREADY_STARTED',
      'The WASI of the modules has been used: configure() must be called before a component is loaded',
    );
  }
  // `new WASI(undefined)` would take no options for good ones.
  options = given ?? null;
  validateObject(given, 'options');
  current();
}

/** @returns {object} an interface of the modules' WASI */
function interfaceOf(name) {
  current();
  return interfaces[name];
}

function id() {
  return WASI.hostOf(current()).instance;
}

// --- What the usual host's modules have beside the interfaces ------------------------------------

const ARGS = 0;
const ENV = 1;
const CWD = 2;

const terminated = (text) => `${String(text).split('\0')[0]}\0`;

function setArgs(args) {
  preview2.setStrings(id(), ARGS, Array.from(args, terminated).join(''));
}

function putEnv(env) {
  const text = entries(env)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => terminated(`${name}=${value}`));
  preview2.setStrings(id(), ENV, text.join(''));
  environment = env;
}

function appendEnv(env) {
  current();
  putEnv({ __proto__: null, ...environment, ...env });
}

function setEnv(env) {
  current();
  putEnv({ __proto__: null, ...env });
}

function setCwd(cwd) {
  preview2.setStrings(id(), CWD, cwd === undefined ? undefined : String(cwd));
}

function openPreopens(list, keep) {
  const { checkedPreopens } = require('./options.js');
  const failure = preview2.setPreopens(id(), checkedPreopens(list), keep);
  if (failure !== undefined) throw constructionFailed(failure, undefined);
}

/** @param {Record<string, string>} preopens the guest's names, and the host's directories */
function setPreopens(preopens) {
  openPreopens(entries(preopens), false);
}

function addPreopen(guest, host) {
  openPreopens([[guest, host]], true);
}

function clearPreopens() {
  setPreopens({});
}

/** @returns {[object, string][]} as `get-directories` */
function getPreopens() {
  return interfaceOf('wasi:filesystem/preopens').getDirectories();
}

/** A function of the usual host that a contained host cannot offer. */
function unsupported(name, instead) {
  return {
    [name]() {
      throw nodeError(
        TypeError,
        'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
        `${name} is not there in wasi-rs/p2: ${instead}`,
      );
    },
  }[name];
}

module.exports = {
  addPreopen,
  appendEnv,
  clearPreopens,
  configure,
  getPreopens,
  interfaceOf,
  setArgs,
  setCwd,
  setEnv,
  setPreopens,
  unsupported,
};
