'use strict';

// `node --import wasi-rs/p2/register app.js` (`--preload` of Bun and Deno): packages that were
// transpiled already and import the usual host, `@bytecodealliance/preview2-shim`, get this one
// instead.

const module_ = require('node:module');
const { pathToFileURL } = require('node:url');
const { join } = require('node:path');
const { nodeError } = require('../errors.js');

const SHIM = '@bytecodealliance/preview2-shim';
const PARTS = ['cli', 'clocks', 'filesystem', 'http', 'io', 'random', 'sockets', 'instantiation'];

const files = Object.fromEntries(
  [[SHIM, 'shim'], ...PARTS.map((part) => [`${SHIM}/${part}`, part])].map(([specifier, file]) => [
    specifier,
    join(__dirname, `${file}.js`),
  ]),
);
const urls = Object.fromEntries(
  Object.entries(files).map(([specifier, file]) => [specifier, pathToFileURL(file).href]),
);

if (process.versions.bun !== undefined) {
  // Its `module.register` does nothing.
  globalThis.Bun.plugin({
    name: 'wasi-rs/p2/register',
    setup(build) {
      for (const [specifier, file] of Object.entries(files)) {
        const exports = () => ({ ...require(file) });
        build.module(specifier, () => ({ loader: 'object', exports: exports() }));
      }
    },
  });
} else if (typeof module_.registerHooks === 'function') {
  module_.registerHooks({
    resolve(specifier, context, next) {
      const url = Object.hasOwn(urls, specifier) ? urls[specifier] : undefined;
      return url === undefined
        ? next(specifier, context)
        : { url, format: 'commonjs', shortCircuit: true };
    },
  });
} else if (typeof module_.register === 'function') {
  // The hooks run in a thread of their own, so they are given the addresses.
  const source = `
    let urls;
    export function initialize(data) { urls = data; }
    export function resolve(specifier, context, next) {
      return Object.hasOwn(urls, specifier)
        ? { url: urls[specifier], format: 'commonjs', shortCircuit: true }
        : next(specifier, context);
    }`;
  module_.register(`data:text/javascript,${encodeURIComponent(source)}`, { data: urls });
} else {
  throw nodeError(
    TypeError,
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
    'wasi-rs/p2/register needs module.register, which Node.js has from 18.19 and 20.6 on',
  );
}
