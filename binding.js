'use strict';

// Loads the addon for this platform: the one that was built in this folder, else that of the package
// which npm installs beside this one. Without an addon loading fails: nothing else stands in for it,
// least of all something that does not contain its guests.

const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

// Those of `napi.targets` in package.json, by the names of their packages.
const PREBUILT = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
];

module.exports = load();

function load() {
  const platform = platformName();
  const built = join(__dirname, `wasi-rs.${platform}.node`);
  let cause;
  try {
    return existsSync(built) ? require(built) : fromPackage(`wasi-rs-${platform}`);
  } catch (error) {
    cause = error;
  }
  const message = PREBUILT.includes(platform)
    ? `the addon for ${platform} could not be loaded: ${firstLine(cause)}. It is in the package ` +
      `wasi-rs-${platform}, an optional dependency of wasi-rs: install again without leaving out ` +
      'optional dependencies, and if the lock file was made on another platform, without node_modules ' +
      'and the lock file'
    : `there is no prebuilt addon for ${platform}, only for ${PREBUILT.join(', ')}. Build it from the ` +
      'sources with `npm run build`';
  throw Object.assign(new Error(`wasi-rs: ${message}`, { cause }), {
    code: 'ERR_WASI_ADDON_NOT_LOADED',
  });
}

/** The addon knows the JavaScript of its own version only: they share a layout of memory. */
function fromPackage(name) {
  const { version } = require('./package.json');
  const found = require(`${name}/package.json`).version;
  if (found !== version) throw new Error(`${name} is of version ${found}, wasi-rs of ${version}`);
  return require(name);
}

function platformName() {
  const { arch, platform } = process;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
}

/** The report names glibc's version, but takes milliseconds to make; this script tells it, too. */
function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl');
  } catch {
    return process.report.getReport().header.glibcVersionRuntime === undefined;
  }
}

function firstLine(error) {
  return error.message.split('\n', 1)[0];
}
