'use strict';

// Why the package cannot be loaded.

/** The platforms that have a package. */
const PREBUILT = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
];

/**
 * No addon could be loaded: for lack of a package, or because the addon that was found does not
 * work here.
 *
 * @param {string} platform this one
 * @param {Error[]} attempts why each attempt failed
 */
function addonNotLoaded(platform, attempts) {
  // An addon that was there and did not work tells more than one that was not there.
  const cause = attempts.find(({ code }) => code !== 'MODULE_NOT_FOUND') ?? attempts[0];
  const reason = cause.message.split(/\r?\n/, 1)[0].replace(/\.$/, '');
  if (cause.code === 'ERR_DLOPEN_DISABLED')
    return notLoaded(`${reason}: ${ADDONS_DISABLED}`, cause);
  if (cause.code === 'ERR_DLOPEN_FAILED') {
    const advice = /\bGLIBC_/.test(cause.message) ? OLD_GLIBC : ANOTHER_FILE;
    return notLoaded(
      `the addon for ${platform} is there, and was not loaded: ${reason}. ${advice}`,
      cause,
    );
  }
  const message = PREBUILT.includes(platform)
    ? `the addon for ${platform} could not be loaded: ${reason}. It is in the package ` +
      `wasi-rs-${platform}, an optional dependency of wasi-rs: install again without leaving out ` +
      'optional dependencies, and if the lock file was made on another platform, without node_modules ' +
      'and the lock file'
    : `there is no prebuilt addon for ${platform}, only for ${PREBUILT.join(', ')}. Build it from the ` +
      'sources with `npm run build`';
  return notLoaded(message, cause);
}

const ADDONS_DISABLED =
  'wasi-rs is an addon. Run Node.js without --no-addons, and beside --permission with --allow-addons';

const OLD_GLIBC =
  'The C library of this system is too old: the addon takes glibc 2.28 or later, as Node.js does ' +
  'from version 18 on';

const ANOTHER_FILE =
  'Its file may be damaged, or of another system: install again on this one, without node_modules';

function notLoaded(message, cause) {
  const error = new Error(`wasi-rs: ${message}`, { cause });
  error.code = 'ERR_WASI_ADDON_NOT_LOADED';
  return error;
}

/** The error of a Node.js that runs no WebAssembly, as Node.js has it. */
function noWebAssembly() {
  const error = new Error(
    'wasi-rs: there is no WebAssembly: run Node.js without --jitless and --no-expose-wasm',
  );
  error.code = 'ERR_WEBASSEMBLY_NOT_SUPPORTED';
  return error;
}

module.exports = { addonNotLoaded, noWebAssembly };
