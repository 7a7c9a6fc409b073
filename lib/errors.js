'use strict';

// Errors as Node makes them: with its `code` and its words.

const {
  inspect,
  types: { isPromise },
} = require('node:util');

const { apply } = Reflect;
const { defineProperty } = Object;
const { isInteger } = Number;
const { stringify } = JSON;
const { captureStackTrace } = Error;
const { indexOf, slice } = String.prototype;

const ignore = () => {};

/** An error with Node's `code`, which also stands in the first line of its stack. */
function nodeError(Base, code, message) {
  const error = new Base(message);
  // Not a tail call: JavaScriptCore would take this function off the stack, and find no place where
  // it begins.
  nodeErrorFrom(error, code, message, nodeError);
  return error;
}

/**
 * Makes an error of any class and origin one with Node's `code`.
 *
 * @param {Function} maker its stack begins at who called this function
 */
function nodeErrorFrom(error, code, message, maker) {
  const named = `${error.name} [${code}]`;
  defineProperty(error, 'message', { value: message, configurable: true, writable: true });
  // V8 renders the stack when it is first read: under this name.
  defineProperty(error, 'name', { value: named, configurable: true });
  captureStackTrace?.(error, maker);
  void error.stack;
  delete error.name;
  defineProperty(error, 'toString', {
    value: () => `${named}: ${error.message}`,
    configurable: true,
    writable: true,
  });
  error.code = code;
  return error;
}

function wrongType(name, expected, value) {
  const kind = apply(indexOf, name, ['.']) < 0 ? 'argument' : 'property';
  return nodeError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" ${kind} must be ${expected}. Received ${described(value)}`,
  );
}

function wrongValue(name, reason, value) {
  const kind = apply(indexOf, name, ['.']) < 0 ? 'argument' : 'property';
  return nodeError(
    TypeError,
    'ERR_INVALID_ARG_VALUE',
    `The ${kind} '${name}' ${reason}. Received ${shortened(shown(value), 128, 128)}`,
  );
}

/**
 * A function of the embedder's gave what it must not give. If that is a promise, its rejection is
 * handled here, because the guest ends before it and nobody else would.
 */
function invalidReturn(expected, name, value) {
  if (isPromise(value)) value.then(undefined, ignore);
  return nodeError(
    TypeError,
    'ERR_INVALID_RETURN_VALUE',
    `Expected ${expected} to be returned from the "${name}" function but got ${described(value)}.`,
  );
}

/**
 * Why an instance could not be made, from what the addon says of it. `guest` and `host` are those
 * of a preopen.
 */
function constructionFailed({ message, code, errno, syscall }, { guest, host } = {}) {
  const error = new Error(message);
  captureStackTrace?.(error, constructionFailed);
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  // Not among what is printed with the error: node:wasi has neither, and both stand in the message.
  if (guest !== undefined) {
    defineProperty(error, 'guestPath', { value: guest, configurable: true, writable: true });
    defineProperty(error, 'hostPath', { value: host, configurable: true, writable: true });
  }
  return error;
}

function outOfRange(name, expected, value) {
  const received = isInteger(value) && Math.abs(value) > 2 ** 32 ? grouped(value) : String(value);
  return nodeError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${expected}. Received ${received}`,
  );
}

/** As Node's native side makes it: without the code in its name. */
function accessDenied(flag, scope, resource) {
  const older = Number.parseInt(process.versions.node, 10) < 22;
  const hint = older ? '' : `. Use ${flag} to manage permissions.`;
  const error = new Error(`Access to this API has been restricted${hint}`);
  captureStackTrace?.(error, accessDenied);
  error.code = 'ERR_ACCESS_DENIED';
  error.permission = scope;
  error.resource = resource;
  return error;
}

/** A value as Node shows it. Some cannot be: a view whose buffer is detached. */
function shown(value) {
  try {
    return inspect(value);
  } catch {
    return described(value);
  }
}

/** A value that was received, in the words of Node's messages. */
function described(value) {
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'function':
      return `function ${value.name}`;
    case 'object':
      if (value === null) return 'null';
      return value.constructor?.name
        ? `an instance of ${value.constructor.name}`
        : inspect(value, { depth: -1 });
    case 'string': {
      const text = shortened(value, 28, 25);
      return `type string (${apply(indexOf, text, ["'"]) < 0 ? `'${text}'` : stringify(text)})`;
    }
    default:
      return `type ${typeof value} (${inspect(value)})`;
  }
}

/** Cuts what is longer than `limit` characters to `kept` characters and an ellipsis. */
function shortened(text, limit, kept) {
  return text.length > limit ? `${apply(slice, text, [0, kept])}...` : text;
}

/** An integer with its digits in groups of three: `4_294_967_297`. */
function grouped(value) {
  let digits = String(Math.abs(value));
  let text = '';
  for (; digits.length > 3; digits = apply(slice, digits, [0, -3])) {
    text = `_${apply(slice, digits, [-3])}${text}`;
  }
  return `${value < 0 ? '-' : ''}${digits}${text}`;
}

module.exports = {
  accessDenied,
  constructionFailed,
  invalidReturn,
  nodeError,
  nodeErrorFrom,
  outOfRange,
  shortened,
  wrongType,
  wrongValue,
};
