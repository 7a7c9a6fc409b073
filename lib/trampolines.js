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

/** The result of a plain import whose call has to wait: no errno. */
const WAITS = 0x10000;

/** The imports that can wait, by their parameters: `i` is an i32, `I` an i64. */
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
/** All imports that can wait if the guest has a file system of the embedder. */
const WITH_FILES = {
  __proto__: null,
  ...SIGNATURES,
  fd_advise: 'iIIi',
  fd_allocate: 'iII',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'iII',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi',
  fd_pread: 'iiiIi',
  fd_pwrite: 'iiiIi',
  fd_readdir: 'iiiIi',
  fd_renumber: 'ii',
  fd_seek: 'iIii',
  fd_sync: 'i',
  fd_tell: 'ii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
};
/** The name of a function that is made alone. */
const ALONE = 'run';

/** The functions by which the event loop has its turns, and whether they return a number. */
const TURNS = [
  ['turn', true],
  ['kept', false],
  ['returned', false],
];

const I32 = 0x7f;
const I64 = 0x7e;

/**
 * The bytes that `WebAssembly.Module` takes. No number in it but `WAITS` and sizes is 128 or more.
 *
 * @param {Record<string, string>} parameters of functions by their names
 * @param {boolean} gives whether they return what the plain ones do, and let the event loop have its
 *   turns
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
    ...(gives ? TURNS.map(([name, isNumber]) => [name, isNumber ? number : nothing]) : []),
  ];
  const imports = imported.map(([name, type]) => [...text('host'), ...text(name), 0x00, type]);
  const indexOf = (wanted) => imported.findIndex(([name]) => name === wanted);
  const exports = names.map((name, at) => [...text(name), 0x00, imported.length + at]);

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
      // br_if, end of the loop
      ...[0x0d, 0, 0x0b],
      ...(gives ? takeTurns : []),
      // end of the if
      0x0b,
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
    // A mutable i32: the first call asks.
    ...section(6, [[I32, 1, 0x41, 1, 0x0b]]),
    ...section(7, exports),
    ...section(10, names.map(body)),
  ]);
}

function leb(number) {
  return number < 0x80 ? [number] : [(number & 0x7f) | 0x80, ...leb(number >>> 7)];
}

/** Those of this realm, without and with the files of the embedder. */
const compiled = [undefined, undefined];

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
 * @param {boolean} withFiles whether the calls for files can wait
 */
function wrap(wasiImport, host, withFiles) {
  const table = withFiles ? WITH_FILES : SIGNATURES;
  const module = (compiled[Number(withFiles)] ??= new Module(moduleBytes(table, true)));
  const plain = { __proto__: null, ...host };
  for (const name of Object.keys(table)) plain[name] = wasiImport[name];
  const { exports } = new Instance(module, { host: plain });
  for (const name of Object.keys(table)) wasiImport[name] = exports[name];
}

/** By the parameters. */
const alone = new Map();

/**
 * Makes one function of WebAssembly without a result.
 *
 * @param {string} parameters as in `SIGNATURES`
 * @param {(...args: unknown[]) => number} plain gives `WAITS`, or anything else
 * @param {{ wait: object, failed: () => never, resumed: () => number }} host as `wrap` takes them
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
