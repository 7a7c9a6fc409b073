'use strict';

// Sockets for a guest: the option, checked and shaped for the native side, what became of it, and
// the names of peers. Loaded when the option is first used.

const { resolve, dirname, basename, join } = require('node:path');
const { realpathSync } = require('node:fs');
const { isIP } = require('node:net');
const os = require('node:os');
const { getSystemErrorMap } = require('node:util');
const { socketNames } = require('../binding.js');
const { accessDenied, nodeError, outOfRange, wrongType, wrongValue } = require('./errors.js');
const { copyOut } = require('./guest.js');
const { validateBoolean } = require('./options.js');
const { checkKeys } = require('./own-options.js');

const { assign, freeze, hasOwn, keys } = Object;
const { captureStackTrace } = Error;
const { from: listFrom, isArray } = Array;
const { isInteger } = Number;

/** The keys of a socket, by the one that it must have. */
const KINDS = {
  __proto__: null,
  fd: ['fd', 'nonblock'],
  path: ['path', 'backlog', 'nonblock'],
  host: ['host', 'port', 'backlog', 'nonblock'],
};
/** As Node's `server.listen()`. */
const DEFAULT_BACKLOG = 511;
const MAX_I32 = 0x7fffffff;
const MAX_PORT = 65535;
/** How many addresses of peers `stats` counts apart. */
const MOST_PEERS = 1000;

/**
 * @param {unknown} sockets the option
 * @returns {object[]} what the native side takes, each with the option's own `host`, `port` and
 *   `path`
 */
function socketList(sockets) {
  if (!isArray(sockets)) throw wrongType('options.sockets', 'an instance of Array', sockets);
  // To add to a list would call a setter that all arrays inherit.
  return listFrom(sockets, (one, i) => socket(one, `options.sockets[${i}]`));
}

function socket(value, name) {
  if (typeof value !== 'object' || value === null || isArray(value)) {
    throw wrongType(name, 'of type object', value);
  }
  // A copy without a prototype, so that a polluted `Object.prototype` supplies no option.
  const own = assign({ __proto__: null }, value);
  const kind = keys(KINDS).find((key) => own[key] !== undefined) ?? 'host';
  checkKeys(own, name, KINDS[kind]);
  const { backlog = DEFAULT_BACKLOG, nonblock = true } = own;
  checkInteger(backlog, `${name}.backlog`, 0, MAX_I32);
  validateBoolean(nonblock, `${name}.nonblock`);
  const native = { __proto__: null, address: undefined, path: undefined, fd: undefined };
  assign(native, { backlog, nonblock, name });
  if (kind === 'fd') {
    checkInteger(own.fd, `${name}.fd`, 0, MAX_I32);
    native.fd = own.fd;
  } else if (kind === 'path') {
    native.path = checkedPath(own.path, `${name}.path`);
    native.given = native.path;
  } else {
    native.address = addressOf(own, name);
    assign(native, { host: own.host, port: own.port });
  }
  return native;
}

function checkInteger(value, name, least, most) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < least || value > most) {
    throw outOfRange(name, `>= ${least} && <= ${most}`, value);
  }
}

function checkedPath(path, name) {
  if (typeof path !== 'string') throw wrongType(name, 'of type string', path);
  if (path === '') throw wrongValue(name, 'must not be empty', path);
  if (path.includes('\0')) throw wrongValue(name, 'must be a string without null bytes', path);
  return path;
}

/**
 * The address with its port as Rust reads it. Names other than `localhost` are not looked up: that
 * would hold this thread until some server answers.
 */
function addressOf({ host, port }, name) {
  if (typeof host !== 'string') throw wrongType(`${name}.host`, 'of type string', host);
  checkInteger(port, `${name}.port`, 0, MAX_PORT);
  if (host === 'localhost') return `127.0.0.1:${port}`;
  switch (isIP(host)) {
    case 4:
      return `${host}:${port}`;
    case 6:
      return `[${withScope(host, name)}]:${port}`;
    default:
      throw wrongValue(`${name}.host`, "must be an IP address or 'localhost'", host);
  }
}

/** An address of one network interface names it by its number. */
function withScope(host, name) {
  const [address, zone] = host.split('%');
  if (zone === undefined || /^\d+$/.test(zone)) return host;
  const interfaces = os.networkInterfaces();
  const ends = hasOwn(interfaces, zone) ? interfaces[zone] : [];
  // The addresses that are of one link alone tell the number of its interface, all others 0.
  const scope = Math.max(-1, ...ends.map(({ scopeid = -1 }) => scopeid));
  if (scope < 0) {
    throw wrongValue(`${name}.host`, 'must name an existing network interface', host);
  }
  return `${address}%${scope}`;
}

/**
 * Holds sockets against Node's permission model: its network scope, where it has one, and for the
 * file of a Unix socket the right to write there.
 *
 * @param {object[]} list of `socketList`; the path of a Unix socket becomes the one that was
 *   checked
 * @param {(scope: string, reference?: string) => boolean} isAllowed
 */
function checkSocketPermissions(list, isAllowed) {
  const asksForNet = process.allowedNodeEnvironmentFlags.has('--allow-net');
  for (const { fd, path, host, port } of list) {
    if (asksForNet && !isAllowed('net')) {
      const resource = path ?? (fd === undefined ? `${host}:${port}` : `descriptor ${fd}`);
      throw accessDenied('--allow-net', 'Net', resource);
    }
  }
  for (const one of list) {
    if (one.path === undefined) continue;
    const path = resolve(one.path);
    if (!isAllowed('fs.write', path))
      throw accessDenied('--allow-fs-write', 'FileSystemWrite', path);
    one.path = join(realFolder(dirname(path)), basename(path));
    if (!isAllowed('fs.write', one.path)) {
      throw accessDenied('--allow-fs-write', 'FileSystemWrite', one.path);
    }
  }
}

/** A folder that cannot be followed is reported when the socket is made. */
function realFolder(folder) {
  try {
    return realpathSync.native(folder);
  } catch (error) {
    if (error.code === 'ERR_ACCESS_DENIED') throw error;
    return folder;
  }
}

/** Why there is no socket, as Node's `net` says it. */
function socketFailed({ code: named }, { name, fd, given, host, port }) {
  const code = named.replace(/^UVWASI_/, '');
  const errno = os.constants.errno[code];
  const known = errno === undefined ? undefined : getSystemErrorMap?.().get(-errno);
  const address = given ?? host;
  const where = fd !== undefined ? `fd ${fd}` : (given ?? `${host}:${port}`);
  const syscall = fd === undefined ? 'listen' : 'dup';
  const error = new Error(`${syscall} ${code}: ${known?.[1] ?? 'failed'} ${where}`);
  captureStackTrace?.(error, socketFailed);
  error.code = code;
  if (errno !== undefined) error.errno = -errno;
  error.syscall = syscall;
  if (fd !== undefined) error.fd = fd;
  else error.address = address;
  if (port !== undefined) error.port = port;
  if (code !== 'ENOTSOCK') return error;
  const wrong = wrongValue(`${name}.fd`, 'must be the descriptor of a socket', fd);
  wrong.cause = error;
  return wrong;
}

/**
 * The sockets that the option has opened.
 *
 * @param {import('./guest.js').Guest} guest
 * @param {number} first the guest's descriptor of the first socket
 * @param {object[]} list of `socketList`
 * @returns {readonly object[]} as `WASI.sockets` in index.d.ts
 */
function openedSockets(guest, first, list) {
  const opened = list.map(({ given }, index) => {
    const fd = first + index;
    const { address, family, port } = socketNames(guest.instance, fd)?.local ?? {
      family: 'unknown',
    };
    const end = { fd, address: given ?? address, family };
    // As Rust gives it where there is none.
    if (typeof port === 'number') end.port = port;
    return freeze(end);
  });
  return freeze(opened);
}

/** An end of a socket as text: `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`, `unix`. */
function endName({ address, family, port }) {
  if (family === 'IPv4') return `${address}:${port}`;
  if (family === 'IPv6') return `[${address}]:${port}`;
  return address === '' ? 'unix' : `unix:${address}`;
}

function peerOf(guest, fd) {
  // Rust gives null where there is none.
  return (typeof fd === 'number' && socketNames(guest.instance, fd >>> 0)?.peer) || undefined;
}

/** @returns {string | undefined} who is at the other end of a guest's descriptor */
function peerName(guest, fd) {
  const peer = peerOf(guest, fd);
  return peer && endName(peer);
}

/** The calls on a connection that a trace names the peer of. */
const ON_CONNECTION = new Set([
  'fd_close', 'fd_read', 'fd_write', 'sock_recv', 'sock_send', 'sock_shutdown',
]); // prettier-ignore

/**
 * The peers for `trace` and `stats`.
 *
 * @param {import('./guest.js').Guest} guest
 */
function peersOf(guest) {
  const counts = { __proto__: null };
  let known = 0;

  function count({ address, family }) {
    let name = family === 'Unix' ? 'unix' : address;
    if (counts[name] === undefined && known++ >= MOST_PEERS) name = 'others';
    counts[name] = (counts[name] ?? 0) + 1;
  }

  return {
    /** Who a call speaks with, before it is made. */
    before: (name, [fd]) => (ON_CONNECTION.has(name) ? peerName(guest, fd) : undefined),
    /** Who has connected, after a call. Counts it. */
    after(name, args, errno) {
      if (name !== 'sock_accept' || errno !== 0) return undefined;
      const bytes = copyOut(guest, args[2] >>> 0, 4);
      const fd = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const peer = peerOf(guest, fd);
      if (peer === undefined) return undefined;
      count(peer);
      return endName(peer);
    },
    counts: () => ({ ...counts }),
  };
}

/** `LISTEN_FDS` as systemd has it: how many sockets there are, from descriptor 3 on. */
function withListenFds(env, count) {
  return count === 0 || /(^|\0)LISTEN_FDS=/.test(env) ? env : `${env}LISTEN_FDS=${count}\0`;
}

module.exports = {
  checkSocketPermissions,
  endName,
  openedSockets,
  peerName,
  peersOf,
  socketFailed,
  socketList,
  withListenFds,
};
