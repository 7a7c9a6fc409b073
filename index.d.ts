/**
 * The interface of `node:wasi`, served by wasi-rs. Differences are additions: `version` may be left
 * out, `close()` and `Symbol.dispose` release what an instance holds, and every method exists on
 * every version of Node.js.
 *
 * @module wasi-rs
 */

declare global {
  interface SymbolConstructor {
    /** Declared here too, for projects whose `lib` is older than ES2026. */
    readonly dispose: unique symbol;
  }
}

export interface WASIOptions {
  /**
   * Which contract holds, and under which name a guest imports its functions:
   *
   * - `'preview1'`: `wasi_snapshot_preview1`, by the documentation of Node.js 20 and later;
   * - `'unstable'`: `wasi_unstable`, likewise;
   * - left out: `wasi_snapshot_preview1`, by the documentation of Node.js 18, which had no such
   *   option. The one difference is the default of `returnOnExit`.
   */
  version?: 'preview1' | 'unstable' | undefined;
  /**
   * The guest's command-line arguments; the first is the guest's own name. Other values than strings
   * are converted, and a string ends at its first NUL.
   *
   * @default []
   */
  args?: readonly string[] | undefined;
  /**
   * The guest's environment variables by name, as in `process.env`. Variables that are `undefined`
   * are left out. The guest sees a copy.
   *
   * @default {}
   */
  env?: object | undefined;
  /**
   * The directories that the guest may use: the path by which the guest knows one, and the path of a
   * directory of the host. They become the guest's descriptors from 3 on, in the order of the keys.
   * Nothing outside them can be reached.
   *
   * @default {}
   */
  preopens?: { [guestPath: string]: string | undefined } | undefined;
  /**
   * What happens when the guest calls `proc_exit`. If `true`, `start()` returns the guest's exit code.
   * If `false`, the process ends, as with `process.exit(code)`; in a Worker as well.
   *
   * @default true with `version`, false without
   */
  returnOnExit?: boolean | undefined;
  /**
   * Number of the host's descriptor that the guest reads as its standard input. It is borrowed: a
   * guest that closes its descriptor does not close the host's.
   *
   * @default 0
   */
  stdin?: number | undefined;
  /**
   * Number of the host's descriptor that the guest writes to as its standard output; borrowed.
   *
   * @default 1
   */
  stdout?: number | undefined;
  /**
   * Number of the host's descriptor that the guest writes to as its standard error; borrowed.
   *
   * @default 2
   */
  stderr?: number | undefined;
}

export interface FinalizeBindingsOptions {
  /**
   * The `WebAssembly.Memory` that the guest uses, shared or not.
   *
   * @default instance.exports.memory
   */
  memory?: object | undefined;
}

/**
 * One sandboxed environment for a WebAssembly guest: its arguments, environment, directories,
 * standard streams, and the functions of WASI preview1 through which it uses them.
 *
 * ```js
 * const wasi = new WASI({ version: 'preview1', args: ['app'], preopens: { '/data': './data' } });
 * const module = await WebAssembly.compile(await readFile('app.wasm'));
 * const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
 * const exitCode = wasi.start(instance);
 * wasi.close();
 * ```
 *
 * Errors of this class bear a `code`, as those of Node.js do.
 */
export class WASI {
  /**
   * Opens the preopened directories and looks at the standard streams.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`: an option is wrong.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`: `stdin`, `stdout` or `stderr` is no integer from 0 to
   *   2147483647.
   * @throws {Error} `UVWASI_ENOENT`, `UVWASI_ENOTDIR`, `UVWASI_EACCES` and so on: a preopen cannot be
   *   opened; the message names the guest's path, the host's path and the cause. `UVWASI_EBADF`:
   *   a standard stream is not open. `errno` is the number that WASI preview1 gives the cause.
   * @throws {Error} `ERR_ACCESS_DENIED`: under Node's permission model (`--permission`) the process may
   *   not read what is below a preopen. One that it may read and not write is read-only: every call
   *   that would change something there answers errno 76 (notcapable).
   */
  constructor(options?: WASIOptions);

  /**
   * The 46 functions of WASI preview1, for use as a guest's imports, by their names in the
   * specification: {@link https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md}.
   *
   * They are ordinary functions that need no receiver, in an ordinary object: they can be wrapped or
   * replaced before the guest is instantiated. An i32 is a number, an i64 a BigInt. Each returns an
   * errno, where 0 is success: 28 (inval) if the count or the type of its arguments is wrong, 8
   * (badf) for every descriptor after {@link WASI.close}. Each throws an `Error` with code
   * `ERR_WASI_NOT_STARTED` if it has no memory to work on yet.
   */
  readonly wasiImport: { [name: string]: any };

  /**
   * Gives a new object with {@link WASI.wasiImport} under the name of the module that a guest of this
   * `version` imports it from. The third argument of `new WebAssembly.Instance` need not hold more.
   */
  getImportObject(): { [module: string]: any };

  /**
   * Runs a guest that is a command: calls its export `_start`. The guest must export a
   * `WebAssembly.Memory` as `memory`, and must not export `_initialize`.
   *
   * What the guest throws, a trap included, is thrown on as it is.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @returns 0 if `_start` returned. If it called `proc_exit`, and `returnOnExit` is on, the exit
   *   code, as a signed number of 32 bits.
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`: this, `initialize` or `finalizeBindings` was called
   *   before.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: an export is missing, or of the wrong type.
   */
  start(instance: object): number;

  /**
   * Prepares a guest that is a reactor: calls its export `_initialize`, if there is one. The guest must
   * export a `WebAssembly.Memory` as `memory`, and must not export `_start`.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`, as in {@link WASI.start}.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, likewise.
   */
  initialize(instance: object): void;

  /**
   * Gives the guest's functions their memory, and calls none of the guest's exports. For a guest that
   * imports its memory, or is started by other means.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`, as in {@link WASI.start}.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, likewise.
   */
  finalizeBindings(instance: object, options?: FinalizeBindingsOptions): void;

  /**
   * Closes all files and directories that the guest has open. The host's standard streams stay open.
   * Functions of the guest that are called later answer errno 8 (badf) for every descriptor.
   *
   * May be called several times. An instance that is collected as garbage is closed as well.
   */
  close(): void;

  /** The same as {@link WASI.close}, for `using wasi = new WASI(...)`. */
  [Symbol.dispose](): void;
}
