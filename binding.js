'use strict';

// Loads the addon: from this folder, where a build puts it, or from the platform's package.
//
// Every path is written out, so that bundlers see it and a bundle finds the addon beside itself.
// Nothing else can take the addon's place: no environment variable is read, and there is no
// fallback to WebAssembly, which would contain nothing.

const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

// Each `require` stands in a `try`, by which bundlers know that it may find nothing. All platforms
// are in one function, because V8 makes something of each function when it loads the file.

/** The addon of a build. */
function built(platform) {
  try {
    switch (platform) {
      case 'darwin-arm64':
        return require('./wasi-rs.darwin-arm64.node');
      case 'darwin-x64':
        return require('./wasi-rs.darwin-x64.node');
      case 'linux-arm64-gnu':
        return require('./wasi-rs.linux-arm64-gnu.node');
      case 'linux-arm64-musl':
        return require('./wasi-rs.linux-arm64-musl.node');
      case 'linux-x64-gnu':
        return require('./wasi-rs.linux-x64-gnu.node');
      case 'linux-x64-musl':
        return require('./wasi-rs.linux-x64-musl.node');
      case 'win32-arm64-msvc':
        return require('./wasi-rs.win32-arm64-msvc.node');
      case 'win32-x64-msvc':
        return require('./wasi-rs.win32-x64-msvc.node');
    }
  } catch (error) {
    throw error;
  }
  return builtHere(fileName(platform));
}

/** The addon of the platform's package; `undefined` if there is no such package. */
function installed(platform) {
  try {
    switch (platform) {
      case 'darwin-arm64':
        return require('wasi-rs-darwin-arm64');
      case 'darwin-x64':
        return require('wasi-rs-darwin-x64');
      case 'linux-arm64-gnu':
        return require('wasi-rs-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('wasi-rs-linux-arm64-musl');
      case 'linux-x64-gnu':
        return require('wasi-rs-linux-x64-gnu');
      case 'linux-x64-musl':
        return require('wasi-rs-linux-x64-musl');
      case 'win32-arm64-msvc':
        return require('wasi-rs-win32-arm64-msvc');
      case 'win32-x64-msvc':
        return require('wasi-rs-win32-x64-msvc');
    }
  } catch (error) {
    throw error;
  }
  return undefined;
}

function load() {
  if (typeof WebAssembly === 'undefined') throw require('./lib/not-loaded.js').noWebAssembly();
  const platform = thisPlatform();
  // The place that has the addon comes first, because a `require` that finds nothing takes long.
  // The other is tried as well: in a bundle the file of a build may have another name.
  const places = isBesideThis(fileName(platform)) ? [built, ofPackage] : [ofPackage, built];
  const errors = [];
  for (const place of places) {
    try {
      const addon = place(platform);
      if (addon !== undefined) return addon;
    } catch (error) {
      errors.push(error);
    }
  }
  const { addonNotLoaded } = require('./lib/not-loaded.js');
  throw addonNotLoaded(platform, errors);
}

function fileName(platform) {
  return `./wasi-rs.${platform}.node`;
}

/**
 * The addon of a build on a platform without a package. It is not required, because Turbopack fails
 * and webpack warns where a path is not written out, and no bundle has this addon.
 */
function builtHere(path) {
  if (!isBesideThis(path)) {
    throw Object.assign(new Error(`there is no ${path}`), { code: 'MODULE_NOT_FOUND' });
  }
  const addon = { exports: {} };
  process.dlopen(addon, join(__dirname, path));
  return addon.exports;
}

function isBesideThis(path) {
  // There is no `__dirname` in a bundle of ECMAScript.
  return typeof __dirname === 'string' && existsSync(`${__dirname}/${path}`);
}

/**
 * The same, of this version. The addon has its version as a property: finding and reading a
 * package.json takes longer.
 */
function ofPackage(platform) {
  const addon = installed(platform);
  const { version } = require('./package.json');
  if (addon === undefined || addon.version === version) return addon;
  const name = `wasi-rs-${platform}`;
  throw new Error(`${name} is of another version: expected ${version} but got ${addon.version}`);
}

/** The name of this platform, as napi-rs has it. */
function thisPlatform() {
  const { arch, platform } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform === 'linux') return `${platform}-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
  return `${platform}-${arch}`;
}

/**
 * Whether this system's C library is musl. Its `ldd` tells fastest. Where there is none, as in an
 * image without a shell, the mappings of this process tell; Node's report takes 20 ms for it.
 */
function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl');
  } catch {
    return isMuslByMappings() ?? isMuslByReport();
  }
}

/**
 * The mapping has the name of the file that musl's loader is a link to, where it is one.
 *
 * @returns {boolean | undefined} `undefined`, where the mappings cannot be read or name neither
 */
function isMuslByMappings() {
  let mappings;
  try {
    mappings = readFileSync('/proc/self/maps', 'utf8');
  } catch {
    return undefined;
  }
  // A file that was replaced since has a word behind its name.
  if (/\/(?:ld-musl-[^/\n]*|libc\.so)(?: \(deleted\))?$/m.test(mappings)) return true;
  return /\/libc(?:\.so\.6|-2\.\d+\.so)(?: \(deleted\))?$/m.test(mappings) ? false : undefined;
}

function isMuslByReport() {
  const report = process.report?.getReport();
  return report !== undefined && report.header.glibcVersionRuntime === undefined;
}

module.exports = load();
