'use strict';

// The imports that can wait, as functions of WebAssembly: preview1's by their names, and functions of
// 0.2 one by one, which have no result.
//
// V8 suspends a guest at an import that is a `WebAssembly.Suspending`, and such an import costs 75
// to 130 ns, whether it waits or not. So the import is a function of WebAssembly that calls the
// plain one, and only where that says `WAITS` the one that suspends:
//
//   (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (local $errno i32)
//     (local.tee $errno (call $plain_fd_read (local.get 0) (local.get 1) ...))
//     (if (i32.eq (i32.const WAITS)) (then
//       (loop $wait
//         (try (do (call $wait)) (catch_all (call $failed) unreachable))
//         (local.tee $errno (call $resumed))
//         (br_if $wait (i32.eq (i32.const WAITS))))))
//     (local.get $errno))
//
// A guest that is not called by a promising function, or has a frame of JavaScript between that and
// the import, cannot be suspended: `$wait` throws `SuspendError`, which a guest could catch. So
// `$failed` takes its place, and throws what ends the guest.

const { Instance, Module } = WebAssembly;

/** What a plain import returns of a call that has to wait: no errno. */
const WAITS = 0x10000;

/** What can wait, by its parameters: `i` is an i32, `I` an i64. */
const SIGNATURES = {
  __proto__: null,
  fd_read: 'iiii',
  fd_write: 'iiii',
  path_open: 'iiiiiIIii',
  poll_oneoff: 'iiii',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
};
const NAMES = Object.keys(SIGNATURES);
/** The name of a function that is made alone. */
const ALONE = 'run';

const I32 = 0x7f;
const I64 = 0x7e;

/**
 * The bytes that `WebAssembly.Module` takes. No number in it but `WAITS` is 128 or more.
 *
 * @param {Record<string, string>} parameters of functions by their names
 * @param {boolean} gives whether they give what the plain ones do
 */
function moduleBytes(parameters, gives) {
  const text = (string) => [string.length, ...Buffer.from(string)];
  const vector = (items) => [items.length, ...items.flat()];
  const sized = (bytes) => [...leb(bytes.length), ...bytes];
  const section = (id, items) => [id, ...sized(vector(items))];

  const names = Object.keys(parameters);
  const signatures = [...new Set(Object.values(parameters))];
  const typesWith = (results) =>
    signatures.map((types) => [
      0x60,
      ...vector([...types].map((type) => [type === 'I' ? I64 : I32])),
      ...vector(results),
    ]);
  const types = [
    ...typesWith([[I32]]),
    ...(gives ? [] : typesWith([])),
    [0x60, 0, 0],
    [0x60, 0, ...vector([[I32]])],
  ];
  const plainType = (name) => signatures.indexOf(parameters[name]);
  const typeOf = (name) => plainType(name) + (gives ? 0 : signatures.length);
  const [nothing, number] = [types.length - 2, types.length - 1];

  const imported = [
    ...names.map((name) => [name, plainType(name)]),
    ['wait', nothing],
    ['failed', nothing],
    ['resumed', number],
  ];
  const imports = imported.map(([name, type]) => [...text('host'), ...text(name), 0x00, type]);
  const indexOf = (wanted) => imported.findIndex(([name]) => name === wanted);
  const exports = names.map((name, at) => [...text(name), 0x00, imported.length + at]);

  const body = (name, at) => {
    const errno = parameters[name].length;
    const waits = [0x22, errno, 0x41, 0x80, 0x80, 0x04, 0x46];
    return sized([
      // One local.
      ...vector([[1, I32]]),
      ...[...parameters[name]].flatMap((_, parameter) => [0x20, parameter]),
      ...[0x10, at],
      ...waits,
      // if, loop, try
      ...[0x04, 0x40, 0x03, 0x40, 0x06, 0x40],
      ...[0x10, indexOf('wait')],
      // catch_all
      ...[0x19, 0x10, indexOf('failed'), 0x00, 0x0b],
      ...[0x10, indexOf('resumed')],
      ...waits,
      // br_if, end of loop and if
      ...[0x0d, 0, 0x0b, 0x0b],
      ...(gives ? [0x20, errno] : []),
      0x0b,
    ]);
  };
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, imports),
    ...section(
      3,
      names.map((name) => [typeOf(name)]),
    ),
    ...section(7, exports),
    ...section(10, names.map(body)),
  ]);
}

function leb(number) {
  return number < 0x80 ? [number] : [(number & 0x7f) | 0x80, ...leb(number >>> 7)];
}

/** One of a realm. */
let compiled;

/**
 * Puts functions of WebAssembly in the place of the imports that can wait.
 *
 * @param {object} wasiImport is changed
 * @param {{ wait: object, failed: () => never, resumed: () => number }} host `wait` suspends;
 *   `failed` is called where that is not possible, and throws; `resumed` is called when the guest
 *   goes on, and gives what the call returns, or `WAITS`
 */
function wrap(wasiImport, host) {
  compiled ??= new Module(moduleBytes(SIGNATURES, true));
  const plain = { __proto__: null, ...host };
  for (const name of NAMES) plain[name] = wasiImport[name];
  const { exports } = new Instance(compiled, { host: plain });
  for (const name of NAMES) wasiImport[name] = exports[name];
}

/** By the parameters. */
const alone = new Map();

/**
 * Makes one function of WebAssembly without a result.
 *
 * @param {string} parameters as in `SIGNATURES`
 * @param {(...args: unknown[]) => number} plain gives `WAITS`, or anything else
 * @param {{ wait: object, failed: () => never, resumed: () => number }} host as `wrap` takes it
 * @returns {Function}
 */
function trampoline(parameters, plain, host) {
  let module = alone.get(parameters);
  if (module === undefined) {
    module = new Module(moduleBytes({ [ALONE]: parameters }, false));
    alone.set(parameters, module);
  }
  const { exports } = new Instance(module, { host: { __proto__: null, ...host, [ALONE]: plain } });
  return exports[ALONE];
}

module.exports = { WAITS, trampoline, wrap };
