'use strict';

// The imports that can wait, as functions of WebAssembly.
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
// A guest that always finds something to do would keep the event loop waiting: a server under load,
// or one whose listener is ready while it has no descriptor left. So the calls ask now and then,
// where they need not wait, whether the loop is to have a turn. The answer says in how many calls
// to ask again; it is negative if the loop is to have one now:
//
//     (else
//       (global.set $left (i32.sub (global.get $left) (i32.const 1)))
//       (if (i32.eqz (global.get $left)) (then
//         (global.set $left (call $turn))
//         (if (i32.lt_s (global.get $left) (i32.const 0)) (then
//           (global.set $left (i32.sub (i32.const 0) (global.get $left)))
//           (try (do (call $wait)) (catch_all (call $kept)))
//           (call $returned))))))
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

const I32 = 0x7f;
const I64 = 0x7e;

/** The bytes that `WebAssembly.Module` takes. No number in it but `WAITS` is 128 or more. */
function moduleBytes() {
  const text = (string) => [string.length, ...Buffer.from(string)];
  const vector = (items) => [items.length, ...items.flat()];
  const sized = (bytes) => [...leb(bytes.length), ...bytes];
  const section = (id, items) => [id, ...sized(vector(items))];

  const signatures = [...new Set(Object.values(SIGNATURES))];
  const types = [
    ...signatures.map((types) => [
      0x60,
      ...vector([...types].map((type) => [type === 'I' ? I64 : I32])),
      ...vector([[I32]]),
    ]),
    [0x60, 0, 0],
    [0x60, 0, ...vector([[I32]])],
  ];
  const typeOf = (name) => signatures.indexOf(SIGNATURES[name]);
  const [nothing, number] = [signatures.length, signatures.length + 1];

  const imported = [
    ...NAMES.map((name) => [name, typeOf(name)]),
    ['wait', nothing],
    ['failed', nothing],
    ['resumed', number],
    ['turn', number],
    ['kept', nothing],
    ['returned', nothing],
  ];
  const imports = imported.map(([name, type]) => [...text('host'), ...text(name), 0x00, type]);
  const indexOf = (wanted) => imported.findIndex(([name]) => name === wanted);
  const exports = NAMES.map((name, at) => [...text(name), 0x00, imported.length + at]);

  const takeTurns = [
    // else
    0x05,
    ...[0x23, 0, 0x41, 1, 0x6b, 0x24, 0],
    // if
    ...[0x23, 0, 0x45, 0x04, 0x40],
    ...[0x10, indexOf('turn'), 0x24, 0],
    // if
    ...[0x23, 0, 0x41, 0, 0x48, 0x04, 0x40],
    ...[0x41, 0, 0x23, 0, 0x6b, 0x24, 0],
    // try
    ...[0x06, 0x40, 0x10, indexOf('wait')],
    // catch_all
    ...[0x19, 0x10, indexOf('kept'), 0x0b],
    ...[0x10, indexOf('returned')],
    ...[0x0b, 0x0b],
  ];
  const body = (name, at) => {
    const errno = SIGNATURES[name].length;
    const waits = [0x22, errno, 0x41, 0x80, 0x80, 0x04, 0x46];
    return sized([
      // One local.
      ...vector([[1, I32]]),
      ...[...SIGNATURES[name]].flatMap((_, parameter) => [0x20, parameter]),
      ...[0x10, at],
      ...waits,
      // if, loop, try
      ...[0x04, 0x40, 0x03, 0x40, 0x06, 0x40],
      ...[0x10, indexOf('wait')],
      // catch_all
      ...[0x19, 0x10, indexOf('failed'), 0x00, 0x0b],
      ...[0x10, indexOf('resumed')],
      ...waits,
      // br_if, end of the loop
      ...[0x0d, 0, 0x0b],
      ...takeTurns,
      // end of the if
      0x0b,
      ...[0x20, errno, 0x0b],
    ]);
  };
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, imports),
    ...section(
      3,
      NAMES.map((name) => [typeOf(name)]),
    ),
    // A mutable i32: the first call asks.
    ...section(6, [[I32, 1, 0x41, 1, 0x0b]]),
    ...section(7, exports),
    ...section(10, NAMES.map(body)),
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
 * @param {object} host its functions:
 * @param {object} host.wait suspends
 * @param {() => never} host.failed is called where that is not possible, and throws
 * @param {() => number} host.resumed is called when the guest goes on, and gives what the call
 *   returns, or `WAITS`
 * @param {() => number} host.turn says in how many calls to ask again, and is negative if the event
 *   loop is to have a turn
 * @param {() => void} host.kept is called where it cannot have one, as `wait` has not suspended
 * @param {() => void} host.returned is called after a turn, or where there was none
 */
function wrap(wasiImport, host) {
  compiled ??= new Module(moduleBytes());
  const plain = { __proto__: null, ...host };
  for (const name of NAMES) plain[name] = wasiImport[name];
  const { exports } = new Instance(compiled, { host: plain });
  for (const name of NAMES) wasiImport[name] = exports[name];
}

module.exports = { WAITS, wrap };
