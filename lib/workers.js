'use strict';

// The common part of the modules that run a guest in a Worker: errors that cross threads, times,
// and a Worker's end.

const { types } = require('node:util');
const { WASIExitError, WASILimitError } = require('./ends.js');
const { clearTimeout, setTimeout } = require('./time.js');

const { defineProperty, getPrototypeOf } = Object;

/** How many milliseconds a Worker has to end. */
const TERMINATION_LIMIT = 1000;
/** The longest time in milliseconds that a timer can have. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** How many causes of an error are sent, each the cause of the one before. */
const MOST_CAUSES = 8;

/** Classes by name: of these an error keeps its own, of all others the next above. */
const CLASSES = {
  __proto__: null,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  CompileError: WebAssembly.CompileError,
  LinkError: WebAssembly.LinkError,
  RuntimeError: WebAssembly.RuntimeError,
  WASIExitError,
  WASILimitError,
};
/** Properties that are sent, where they are plain values. */
const OWN = [
  'code',
  'errno',
  'syscall',
  'path',
  'dest',
  'limit',
  'exitCode',
  'permission',
  'resource',
];
/** Properties that are sent likewise, and are not among what is printed with the error. */
const HIDDEN = ['guestPath', 'hostPath'];

/**
 * The data of which another thread can make an error anew. Structured clones would lose codes, and
 * the classes of WebAssembly.
 *
 * @param {unknown} error whatever was thrown
 * @returns {object} can be sent
 */
function plainError(error, causes = MOST_CAUSES) {
  // First: in some engines an exception of WebAssembly is an error too, which says nothing.
  if (isException(error)) return plainError(uncaughtException());
  if (!types.isNativeError(error) && !(error instanceof Error))
    return plainError(notAnError(error));
  const { name, message, stack, cause } = error;
  const own = {};
  for (const key of OWN) {
    if (isPlain(error[key])) own[key] = error[key];
  }
  const hidden = {};
  for (const key of HIDDEN) {
    if (isPlain(error[key])) hidden[key] = error[key];
  }
  return {
    kind: classOf(error),
    name: String(name),
    message: String(message),
    stack: stack === undefined ? undefined : String(stack),
    own,
    hidden,
    cause: cause === undefined || causes === 0 ? undefined : plainError(cause, causes - 1),
  };
}

/**
 * @returns {Error} an error of another thread as one of this thread: with its class, name, code and
 * stack
 */
function errorOf({ kind, name, message, stack, own, hidden, cause }) {
  const error = new CLASSES[kind](message);
  if (error.message !== message) define(error, 'message', message);
  if (cause !== undefined) define(error, 'cause', errorOf(cause));
  if (name !== error.name) define(error, 'name', name);
  define(error, 'stack', stack);
  for (const key of HIDDEN) if (hidden[key] !== undefined) define(error, key, hidden[key]);
  // As Node's own errors print themselves.
  if (own.code !== undefined && stack?.startsWith(`${name} [${own.code}]`)) {
    define(error, 'toString', () => `${name} [${own.code}]: ${message}`);
  }
  return Object.assign(error, own);
}

function classOf(error) {
  for (let proto = error; proto !== null; proto = getPrototypeOf(proto)) {
    // Of another realm, a class is another one with the same name.
    const { constructor } = proto;
    if (typeof constructor === 'function' && CLASSES[constructor.name] !== undefined) {
      return constructor.name;
    }
  }
  return 'Error';
}

function isException(value) {
  const { Exception } = WebAssembly;
  return Exception !== undefined && value instanceof Exception;
}

/** An exception says nothing: its tag and its values are the guest's. */
function uncaughtException() {
  const error = new Error('The guest threw an exception of WebAssembly, and nothing caught it');
  error.code = 'ERR_WASI_EXCEPTION';
  return error;
}

/** Functions that a guest imports can throw anything. */
function notAnError(value) {
  try {
    return new Error(String(value));
  } catch {
    return new Error('What was thrown has no text');
  }
}

function isPlain(value) {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function define(error, key, value) {
  defineProperty(error, key, { value, configurable: true, writable: true });
}

/**
 * Calls a function once, after a time that may be longer than a timer's, or without end.
 *
 * @param {number} ms 0 to Infinity
 * @param {() => void} call
 * @returns {() => void} gives it up
 */
function after(ms, call) {
  let timer;
  function wait(left) {
    timer =
      left > LONGEST_TIMER
        ? setTimeout(wait, LONGEST_TIMER, left - LONGEST_TIMER)
        : setTimeout(call, left);
  }
  if (ms !== Infinity) wait(ms);
  return () => clearTimeout(timer);
}

/**
 * Ends a Worker, and waits for its end, but not for ever: Bun and Deno cannot end one that
 * computes. Such a Worker is left behind, and keeps no process from ending.
 *
 * @param {import('node:worker_threads').Worker} worker
 * @param {number} [limit] how many milliseconds it may take
 */
async function endWorker(worker, limit = TERMINATION_LIMIT) {
  let giveUp;
  const givenUp = new Promise((resolve) => {
    giveUp = after(limit, resolve);
  });
  await Promise.race([worker.terminate(), givenUp]);
  giveUp();
  worker.unref();
}

module.exports = { after, endWorker, errorOf, plainError };
