'use strict';

// A WASI held against Node's permission model (`--permission`). Loaded only where there is one.

const {
  existsSync,
  mkdirSync,
  realpathSync: { native: realpath },
} = require('node:fs');
const { basename, dirname, isAbsolute, join, resolve, sep } = require('node:path');
const { accessDenied } = require('./errors.js');

const { apply } = Reflect;
const { cwd, permission } = process;
const isAllowed = permission?.has;
/** Node 20.16 and 22.3 are the first that can allow it, and with which node:wasi asks for it. */
const asksForWasi = permission && process.allowedNodeEnvironmentFlags.has('--allow-wasi');

/**
 * Holds an instance against Node's permission model (`--permission`). A guest may read a preopen's
 * file, or what is below its folder, so the process must be allowed to, and may change it if the
 * process may. It counts what is allowed for the path given and for the path that it leads to. The
 * latter is what is opened: the native side follows no link on the way.
 */
function checkPermissions(native) {
  if (asksForWasi && !allows('wasi')) throw accessDenied('--allow-wasi', 'WASI', '');
  const { preopens } = native;
  for (let i = 0; i < preopens.length; i++) {
    const preopen = preopens[i];
    const extended = preopen.extended ?? { __proto__: null };
    // There is nothing of that name, now or later.
    if (preopen.path === '') continue;
    const isFile = extended.kind === 'file' || extended.kind === 'tar';
    const allowsThere = isFile ? allowsFile : allowsBelow;
    const path = resolve(preopen.path);
    checkReadable(allowsThere, path);
    const target = targetOf(preopen.path, isFile);
    checkReadable(allowsThere, target);
    if (extended.create) makeFolder(target);
    preopen.path = target;
    // The changes of a guest in an overlay are not written to the directory.
    if (extended.overlay === undefined) {
      preopen.readOnly ||= !allowsThere('fs.write', path) || !allowsThere('fs.write', target);
    }
    preopen.extended = { ...extended, __proto__: null, create: false, exact: true };
  }
  const sockets = native.extended?.sockets;
  if (sockets !== undefined) {
    const isAllowedThere = (...asked) => apply(isAllowed, permission, asked);
    require('./sockets.js').checkSocketPermissions(sockets, isAllowedThere);
  }
  // A folder that is lent by its number has no path that could be asked for.
  if (!allows('fs.read') || !allows('fs.write')) {
    native.extended = { ...native.extended, __proto__: null, noDirectories: true };
  }
}

/** Whether all of a scope is allowed. */
function allows(scope) {
  return apply(isAllowed, permission, [scope]);
}

function checkReadable(allowsThere, path) {
  if (!allowsThere('fs.read', path)) {
    throw accessDenied('--allow-fs-read', 'FileSystemRead', path);
  }
}

/** Whether all below a host's directory may be changed. */
function checkWritable(path) {
  if (permission && !allowsBelow('fs.write', resolve(path))) {
    throw accessDenied('--allow-fs-write', 'FileSystemWrite', resolve(path));
  }
}

function allowsFile(scope, path) {
  return apply(isAllowed, permission, [scope, path]);
}

/**
 * Whether the process may use all files below a folder. Node is asked for one with a name that
 * nobody grants: a folder alone may be allowed without what is in it, and the other way round.
 */
function allowsBelow(scope, path) {
  return apply(isAllowed, permission, [scope, join(path, '\u0001')]);
}

/** Node makes it, if the process may. What else is in the way is reported when it is opened. */
function makeFolder(path) {
  if (existsSync(path)) return;
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
  }
}

/**
 * Where a path leads as the system follows it, which takes `link/..` for the folder above what the
 * link leads to. What does not exist yet would be made where its folder leads. A path that cannot
 * be followed is reported when it is opened.
 */
function targetOf(given, isFile) {
  const path = isAbsolute(given) ? given : `${cwd()}${sep}${given}`;
  try {
    // With the separator, the allowed folder itself counts as below what is allowed.
    return realpath(isFile ? path : `${path}${sep}`);
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
  }
  const missing = [];
  for (let folder = path; ; folder = dirname(folder)) {
    const name = basename(folder);
    if (name === '' || name === '.' || name === '..') return resolve(given);
    missing.unshift(name);
    try {
      return join(realpath(`${dirname(folder)}${sep}`), ...missing);
    } catch (error) {
      // The native side follows no link, so what is allowed by name can be nothing else.
      if (error.code === 'ERR_ACCESS_DENIED') return resolve(given);
    }
  }
}

module.exports = { checkPermissions, checkWritable };
