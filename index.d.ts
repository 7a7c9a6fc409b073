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
   * Number of the host's descriptor that the guest reads as its standard input, from its position on.
   * It is borrowed: a guest that closes its descriptor does not close the host's.
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

/** A preopen that is more than the path of a host's directory. */
export type Preopen =
  | string
  | {
      /** The path of a directory of the host. */
      path: string;
      /**
       * Nothing below it can be changed, whatever rights the guest asks for: what would change something
       * is errno 69 (rofs). The rights to write are reported all the same, as C libraries ask only for
       * rights that are; `access(path, W_OK)` says yes.
       * @default false
       */
      readOnly?: boolean | undefined;
      /** Makes the directory, with those above it, if it is missing. @default false */
      create?: boolean | undefined;
      /**
       * `'inside'`: symbolic links are followed as far as they stay below the preopen. `'deny'`: none is
       * followed (errno 32, loop), made, renamed or linked (errno 63, perm), and nothing is renamed or
       * linked between this preopen and one that allows links (errno 75, xdev).
       * @default 'inside'
       */
      symlinks?: 'inside' | 'deny' | undefined;
    }
  | {
      /** The path of a file of the host. The guest opens it by the preopen's name. */
      file: string;
      /** @default false */
      readOnly?: boolean | undefined;
    }
  | {
      /** A directory in memory, with these files by their relative paths. */
      memory: { [path: string]: string | Uint8Array };
      /**
       * How many bytes its files, names and links may take together; beyond it is errno 51 (nospc).
       * @default 268435456
       */
      maxBytes?: number | undefined;
      /** @default false */
      readOnly?: boolean | undefined;
    };

/** A clock: the host's, one that stands at a time, or one that goes on by a step at each reading; in nanoseconds. */
export type Clock = 'real' | bigint | { start?: bigint | undefined; step?: bigint | undefined };

/** A call of the guest. */
export interface TraceEvent {
  /** The function's name in the specification. */
  name: string;
  /** The arguments by name: paths as text, flags as lists of names. */
  args: { [name: string]: unknown };
  /** The errno by name, `'success'` if there is none; `undefined` if the call stopped the guest. */
  errno: string | undefined;
  /** How long it took, in nanoseconds. */
  ns: number;
}

/** Options that `node:wasi` does not have. */
export interface EmbedderOptions extends Omit<
  WASIOptions,
  'preopens' | 'stdin' | 'stdout' | 'stderr'
> {
  preopens?: { [guestPath: string]: Preopen | undefined } | undefined;
  /**
   * A descriptor of the host, `'inherit'` (0), nothing, bytes, or a function that gives the next bytes
   * and `null` at the end. What the function throws stops the guest.
   *
   * @default 0
   */
  stdin?:
    | number
    | 'inherit'
    | 'ignore'
    | Uint8Array
    | ((maxBytes: number) => Uint8Array | null)
    | undefined;
  /**
   * A descriptor of the host, `'inherit'` (1), nothing, `'pipe'`, which {@link WASI.stdout} gives, or a
   * function that gets each chunk when it is written. What the function throws stops the guest.
   *
   * @default 1
   */
  stdout?: number | 'inherit' | 'ignore' | 'pipe' | ((chunk: Uint8Array) => void) | undefined;
  /** As `stdout`. @default 2 */
  stderr?: number | 'inherit' | 'ignore' | 'pipe' | ((chunk: Uint8Array) => void) | undefined;
  /**
   * How many bytes a `'pipe'` holds; beyond it the guest gets errno 51 (nospc).
   * @default 67108864
   */
  outputCap?: number;
  /** What the guest may do. */
  limits?: {
    /** How many descriptors it may have open, the first ones included; beyond it is errno 33 (mfile). */
    openFiles?: number | undefined;
    /** How many bytes it may write in all; beyond it is errno 19 (dquot). */
    writtenBytes?: number | undefined;
    /** How many entries of directories it may list in all; beyond it is errno 19 (dquot). */
    readdirEntries?: number | undefined;
    /** How many calls it may make; the next one throws `ERR_WASI_LIMIT` out of `start()`. */
    hostCalls?: number | undefined;
    /**
     * For how many milliseconds from its first call on it may make calls; a later one, or one that still
     * waits, throws `ERR_WASI_LIMIT`. A guest that makes no calls is not stopped: see {@link runInWorker}.
     */
    deadlineMs?: number | undefined;
  };
  /** Gets each call after it was made; `true` prints them to the standard error. */
  trace?: boolean | ((event: TraceEvent) => void);
  /** Whether {@link WASI.stats} counts. */
  stats?: boolean;
  /** The guest's clocks. One that is not real is not waited for: its time passes at once. */
  clock?: { realtime?: Clock | undefined; monotonic?: Clock | undefined };
  /** A seed for the guest's randomness: the same seed, the same bytes. Not fit for keys. */
  random?: string | number | bigint | Uint8Array;
  /** Whether directories list their entries by name. */
  sortedReaddir?: boolean;
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
   *   not read a preopened file or what is below a folder, or not make a folder that is to be created.
   *   What it may read and not write is read-only: every call that would change something there
   *   answers errno 69 (rofs).
   */
  constructor(options?: WASIOptions | EmbedderOptions);

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

  /** What the guest wrote to its standard output, if that is a `'pipe'`: a copy. */
  get stdout(): Uint8Array | undefined;

  /** What the guest wrote to its standard error, if that is a `'pipe'`: a copy. */
  get stderr(): Uint8Array | undefined;

  /**
   * Reads a file of a preopen in memory.
   *
   * @param guestPath as the guest would open it
   * @returns a copy of its bytes; `undefined` if no preopen in memory has such a file
   */
  readFile(guestPath: string): Uint8Array | undefined;

  /**
   * The guest's paths of all files in preopens in memory, sorted.
   *
   * @throws `ERR_WASI_LIST_TOO_LONG`: the guest has made so many paths, with hard links below a deep directory for example, that they
   *   take more than 32 MiB together (with 32 bytes for each file and directory), or directories so deep that a path would have more than
   *   4096 bytes. `readFile()` still reads what has a path.
   */
  listFiles(): string[];

  /** How often each function was called and for how many nanoseconds, with the option `stats`. */
  stats(): { [name: string]: { calls: number; ns: number } } | undefined;

  /** The same as {@link WASI.close}, for `using wasi = new WASI(...)`. */
  [Symbol.dispose](): void;
}

/** A `WebAssembly.Module`, whether or not the project's `lib` declares it. */
export type WebAssemblyModule = object;

/** What a command left that ran in a Worker. */
export interface WorkerResult {
  /** 0, or what the guest gave to `proc_exit`. */
  exitCode: number;
  /** What it wrote to its standard output, unless that went elsewhere. */
  stdout?: Uint8Array;
  /** What it wrote to its standard error, unless that went elsewhere. */
  stderr?: Uint8Array;
  /** As {@link WASI.stats}. */
  stats?: { [name: string]: { calls: number; ns: number } };
}

/**
 * Runs a command in a Worker, so that this thread stays free and the guest can be ended at any time. Its
 * standard input is empty, and its output is collected, unless the options say otherwise.
 *
 * @param wasm a module or its bytes
 * @param options as for {@link WASI}, but no functions: they cannot be sent to a Worker
 * @param limits `timeoutMs`: after how many milliseconds the guest is ended, whatever it does
 * @returns It rejects with the error of a trap, with that of an option, and with `ERR_WASI_LIMIT` when the
 *   time is over.
 */
export function runInWorker(
  wasm: ArrayBuffer | ArrayBufferView | WebAssemblyModule,
  options?: WASIOptions | EmbedderOptions,
  limits?: { timeoutMs?: number | undefined },
): Promise<WorkerResult>;
