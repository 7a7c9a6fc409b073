'use strict';

// The native instance behind a WASI, and the exports by which a guest begins.

const { createInstance } = require('../binding.js');
const { accessDenied, constructionFailed } = require('./errors.js');
const { kInstance } = require('./keys.js');
const { TRACED_BY_ENVIRONMENT, validateFunction, validateUndefined } = require('./options.js');

const { apply } = Reflect;
const { hasOwnProperty: hasOwn } = Object.prototype;
const { indexOf } = String.prototype;

/** The largest limit of collected output that is handed over as a number of a stream. */
const MOST_CAP = 2 ** 51;

/** The options of a WASI that attaches to another thread's, which has all else. */
const ATTACHED = {
  functions: undefined,
  served: undefined,
  observers: TRACED_BY_ENVIRONMENT ? { trace: true } : undefined,
  isOwnThread: false,
  names: [],
  sockets: undefined,
  overlays: [],
  isOurs: false,
  lent: undefined,
  suspends: false,
};

function newInstance({ args, env, stdin, stdout, stderr, preopens, extended }) {
  const made = createInstance(
    args,
    env,
    packedStream(stdin),
    packedStream(stdout),
    packedStream(stderr),
    packed(preopens),
    extended,
  );
  // The addon hands over why there is none: its errors would be of the realm that Node began with.
  if (!apply(hasOwn, made, ['code'])) return made;
  const { directory, preopen, socket } = made;
  if (typeof directory === 'number') {
    throw accessDenied('--allow-fs-read', 'FileSystemRead', `descriptor ${directory}`);
  }
  if (typeof socket === 'number') {
    throw require('./sockets.js').socketFailed(made, extended.sockets[socket]);
  }
  throw constructionFailed(made, preopens[preopen]);
}

/**
 * @returns {string | object[]} plain preopens as one text, each name and path terminated by NUL; the
 *   list itself where a preopen has more than these, or a NUL in one of them
 */
function packed(preopens) {
  let text = '';
  for (let i = 0; i < preopens.length; i++) {
    const { guest, path, readOnly, extended } = preopens[i];
    if (readOnly || extended !== undefined || hasNul(guest) || hasNul(path)) return preopens;
    text += `${guest}\0${path}\0`;
  }
  return text;
}

/**
 * The addon reads a number in less time than the five properties of an object.
 *
 * @param {number | object} stream a descriptor of the host, or what `StreamOptions` of
 *   src/options.rs describes
 * @returns {number | object} a negative number for a stream that is ignored, and for output that is
 *   kept up to a limit; src/options.rs reads it in `stream_of_number`
 */
function packedStream(stream) {
  if (typeof stream === 'number') return stream;
  const { kind, cap } = stream;
  if (kind === 'ignore') return -1;
  if (cap <= MOST_CAP && kind === 'pipe') return -2 - 2 * cap;
  if (cap <= MOST_CAP && kind === 'collected') return -3 - 2 * cap;
  return stream;
}

function hasNul(text) {
  return apply(indexOf, text, ['\0']) >= 0;
}

/** Takes an instance for a run. @returns {Function} the export that begins a command */
function commandOf(wasi, instance) {
  wasi.finalizeBindings(instance);
  const { _start, _initialize } = wasi[kInstance].exports;
  validateFunction(_start, 'instance.exports._start');
  validateUndefined(_initialize, 'instance.exports._initialize');
  return _start;
}

/** Likewise. @returns {Function | undefined} the export that prepares a reactor, if it has one */
function reactorOf(wasi, instance) {
  wasi.finalizeBindings(instance);
  const { _start, _initialize } = wasi[kInstance].exports;
  validateUndefined(_start, 'instance.exports._start');
  if (_initialize !== undefined) {
    validateFunction(_initialize, 'instance.exports._initialize');
  }
  return _initialize;
}

module.exports = { ATTACHED, commandOf, newInstance, packedStream, reactorOf };
