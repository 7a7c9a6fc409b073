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
   * The guest's command-line arguments; the first is the guest's own name. Other values than
   * strings are converted, and a string ends at its first NUL.
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
   * The directories that the guest may use: the path by which the guest knows one, and the path of
   * a directory of the host. They become the guest's descriptors from 3 on, in the order of the
   * keys. Nothing outside them can be reached.
   *
   * @default {}
   */
  preopens?: { [guestPath: string]: string | undefined } | undefined;
  /**
   * What happens when the guest calls `proc_exit`. If `true`, `start()` returns the guest's exit
   * code, and a {@link WASIExitError} comes out of an export that you call yourself. If `false`,
   * the process ends, as with `process.exit(code)`; in a Worker as well.
   *
   * By default it is `true` with `version`, and without it where an option is used that `node:wasi`
   * does not have: `outputCap`, `limits`, `clock`, `random` or `sortedReaddir`; a `stdin`, `stdout`
   * or `stderr` that is no number; a preopen that is a `file:` URL or has `path`, `file` or
   * `memory`. `trace` and `stats` only observe, and change nothing. An option that is `undefined`
   * is not used.
   *
   * @default true with `version` or an option of ours, false otherwise
   */
  returnOnExit?: boolean | undefined;
  /**
   * Number of the host's descriptor that the guest reads as its standard input, from its position
   * on. It is borrowed: a guest that closes its descriptor does not close the host's.
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

/** Bytes of any realm: those that a view shows, or all of a buffer. */
export type Bytes = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** A `URL` of any realm and library, whose scheme is `file:`. */
export interface FileURL {
  readonly href: string;
  readonly protocol: string;
}

/**
 * An object of the host with an open descriptor: a `FileHandle`, `process.stdout`, or a stream of a
 * file, whose type does not declare its `fd`. The guest borrows the descriptor, and the WASI keeps
 * the object from being collected. One that is closed or not open yet is an error.
 */
export type HasDescriptor =
  { readonly fd: number } | { readonly path: string | object; readonly pending: boolean };

/**
 * A preopen that is more than the path of a host's directory. No kind has other keys than these.
 */
export type Preopen =
  | string
  | FileURL
  | {
      /** The path of a directory of the host. */
      path: string | FileURL;
      /**
       * Nothing below it can be changed, whatever rights the guest asks for: what would change
       * something is errno 69 (rofs). The rights to write are reported all the same, as C libraries
       * ask only for rights that are; `access(path, W_OK)` says yes.
       * @default false
       */
      readOnly?: boolean | undefined;
      /** Makes the directory, with those above it, if it is missing. @default false */
      create?: boolean | undefined;
      /**
       * Opens the directory when the guest first uses it, and makes it then with `create`; under
       * Node's permission model it is checked and made by the constructor all the same. What stands
       * in the way is an errno of the guest's call, and is tried again at the next. Once it is
       * open, it stays that directory. For a directory that the process may pass through only, or
       * that is not there yet.
       * @default false
       */
      lazy?: boolean | undefined;
      /**
       * `'inside'`: symbolic links are followed as far as they stay below the preopen. `'deny'`:
       * none is followed (errno 32, loop), made, renamed or linked (errno 63, perm), and nothing is
       * renamed or linked between this preopen and one that allows links (errno 75, xdev).
       * @default 'inside'
       */
      symlinks?: 'inside' | 'deny' | undefined;
      /**
       * The directory is read and never changed: what the guest changes is kept in memory, and
       * {@link WASI.changes} and {@link WASI.commit} tell and write it. `maxBytes` bounds what is
       * kept, as that of a directory in memory. See docs/filesystems.md.
       * @default false
       */
      overlay?: boolean | { maxBytes?: number | undefined } | undefined;
    }
  | {
      /** The path of a file of the host. The guest opens it by the preopen's name. */
      file: string | FileURL;
      /** Looks for the file when the guest first uses it, as above. @default false */
      lazy?: boolean | undefined;
      /** @default false */
      readOnly?: boolean | undefined;
    }
  | {
      /**
       * A directory in memory, with these files by their relative paths: a plain object, no `Map`.
       */
      memory: { [path: string]: string | Bytes };
      /**
       * How many bytes its files, names and links may take together; beyond it is errno 51 (nospc).
       * @default 268435456
       */
      maxBytes?: number | undefined;
      /** @default false */
      readOnly?: boolean | undefined;
    }
  | {
      /**
       * What an archive of `tar` holds, read into memory by the constructor: its bytes, or the path
       * of the archive on the host. gzip is known by its first bytes. The guest changes nothing of
       * it: errno 69 (rofs).
       */
      tar: string | FileURL | Bytes;
      /**
       * How many bytes its files, names and links may take together, holes included; an archive
       * that takes more is refused (`UVWASI_ENOSPC`).
       * @default 268435456
       */
      maxBytes?: number | undefined;
      /** An archive is never changed. @default true, without `overlay` */
      readOnly?: boolean | undefined;
      /**
       * What the guest changes is kept in memory, as over a directory. There is nothing to commit.
       * @default false
       */
      overlay?: boolean | { maxBytes?: number | undefined } | undefined;
    }
  | {
      /**
       * A file system of yours: an object of the shape of `node:fs`, whose functions are called as
       * the guest's calls need them, in the thread of the guest. Its top `/` is the preopen.
       */
      fs: ServedFileSystem;
      /** @default false */
      readOnly?: boolean | undefined;
    };

/** One thing that a guest has changed. */
export interface Change {
  /**
   * `'modified'` is a file that was written, cut, replaced or given times, or a symbolic link with
   * another text. A file in the place of a directory, or the other way round, is one `'removed'` and
   * one `'added'`.
   */
  type: 'added' | 'modified' | 'removed';
  /** The guest's path. */
  path: string;
  /** What it is, or was if it was removed. A pipe, socket or device of the host is a `'file'`. */
  kind: 'file' | 'directory' | 'symlink';
}

/**
 * The functions of `node:fs` that a preopen `{ fs }` is served by. Of those that may be missing,
 * what needs them is errno 58 (notsup); without `fsyncSync` and `fdatasyncSync` there is nothing to
 * do. An error with the `code` of an errno is that errno to the guest; any other stops the guest and
 * comes out of `start()` as it is, and so does a TypeError (`ERR_INVALID_RETURN_VALUE`) for what is
 * no answer.
 *
 * Paths are absolute and end in no slash. Numbers may be of type number or bigint.
 */
export interface ServedFileSystem {
  /** With `{ bigint: true }`, which may be passed over. Without it `statSync`, and no links. */
  lstatSync?(path: string, options: any): any;
  statSync?(path: string, options: any): any;
  readdirSync(path: string): any;
  /** With the flags `'r'`, `'r+'`, `'w+'` or `'wx+'`. It returns a number from 0 on. */
  openSync(path: string, flags: any, mode?: any): number;
  closeSync(fd: number): void;
  fstatSync(fd: number, options: any): any;
  readSync(fd: number, buffer: any, offset: number, length: number, position: any): number;
  writeSync?(fd: number, buffer: any, offset: number, length: number, position: any): number;
  ftruncateSync?(fd: number, length: number): void;
  /** Times are in seconds. */
  futimesSync?(fd: number, atime: number, mtime: number): void;
  fsyncSync?(fd: number): void;
  fdatasyncSync?(fd: number): void;
  mkdirSync?(path: string): any;
  rmdirSync?(path: string): void;
  unlinkSync?(path: string): void;
  renameSync?(oldPath: string, newPath: string): void;
  linkSync?(existingPath: string, newPath: string): void;
  symlinkSync?(target: string, path: string): void;
  readlinkSync?(path: string, options?: any): any;
  utimesSync?(path: string, atime: number, mtime: number): void;
  /** Without it, the times of a link cannot be set. */
  lutimesSync?(path: string, atime: number, mtime: number): void;
}

/**
 * A clock: the host's, one that stands at a time, or one that goes on by a step at each reading; in
 * nanoseconds.
 */
export type Clock = 'real' | bigint | { start?: bigint | undefined; step?: bigint | undefined };

/** A call of the guest. */
export interface TraceEvent {
  /** The function's name in the specification. */
  name: string;
  /**
   * The arguments by name: paths as text, cut after 4095 bytes and ended by `…` then; flags as
   * lists of names.
   */
  args: { [name: string]: unknown };
  /** The errno by name, `'success'` if there is none; `undefined` if the call stopped the guest. */
  errno: string | undefined;
  /** How long it took, in nanoseconds. */
  ns: number;
}

/**
 * Options that `node:wasi` does not have. An option or a key that is `undefined` is absent. A key
 * that `limits`, `clock` or a preopen does not have is an error, and where one of these options is
 * used, so is a name among the options themselves that comes near to one of theirs; not with
 * `wasi-rs/register`.
 */
export interface EmbedderOptions extends Omit<
  WASIOptions,
  'preopens' | 'stdin' | 'stdout' | 'stderr'
> {
  preopens?: { [guestPath: string]: Preopen | undefined } | undefined;
  /**
   * A descriptor of the host or an open object that has one, `'inherit'` (0), nothing, bytes, or a
   * function that gives the next bytes, or text, which is encoded as UTF-8; `null`, or none, is the
   * end. What the function throws stops the guest, and `start()` throws it: see {@link WASI.start}.
   * So does anything else that the function gives, a promise included: a TypeError with
   * `ERR_INVALID_RETURN_VALUE`.
   *
   * @default 0
   */
  stdin?:
    | number
    | 'inherit'
    | 'ignore'
    | Bytes
    | HasDescriptor
    | ((maxBytes: number) => Bytes | string | null)
    | undefined;
  /**
   * A descriptor of the host or an open object that has one, `'inherit'` (1), nothing, `'pipe'`,
   * which {@link WASI.stdout} gives, or a function that gets each chunk when it is written. What
   * the function throws stops the guest, and so does a promise that it gives, as nobody would wait
   * for it: `ERR_INVALID_RETURN_VALUE`.
   *
   * @default 1
   */
  stdout?:
    | number
    | 'inherit'
    | 'ignore'
    | 'pipe'
    | HasDescriptor
    | ((chunk: Uint8Array) => void)
    | undefined;
  /** As `stdout`. @default 2 */
  stderr?:
    | number
    | 'inherit'
    | 'ignore'
    | 'pipe'
    | HasDescriptor
    | ((chunk: Uint8Array) => void)
    | undefined;
  /**
   * How many bytes a `'pipe'` holds; beyond it the guest gets errno 51 (nospc), and {@link
   * WASI.stdoutTruncated} is true.
   * @default 67108864
   */
  outputCap?: number | undefined;
  /** What the guest may do. */
  limits?:
    | {
        /**
         * How many descriptors it may have open, the first ones included; beyond it is errno 33
         * (mfile).
         */
        openFiles?: number | undefined;
        /** How many bytes it may write in all; beyond it is errno 19 (dquot). */
        writtenBytes?: number | undefined;
        /** How many entries of directories it may list in all; beyond it is errno 19 (dquot). */
        readdirEntries?: number | undefined;
        /** How many calls it may make; the next one throws `ERR_WASI_LIMIT` out of `start()`. */
        hostCalls?: number | undefined;
        /**
         * For how many milliseconds from its first call on it may make calls; a later one, or one
         * that still waits, throws `ERR_WASI_LIMIT`. A guest that makes no calls is not stopped:
         * see {@link runInWorker}.
         */
        deadlineMs?: number | undefined;
        /**
         * How many bytes all linear memories may have together. For {@link runInWorker} with the
         * bytes of a module, which it gives maxima: a guest that grows beyond them gets -1. One
         * that asks for more to start is `ERR_WASI_LIMIT`; one with structures, arrays or large
         * exceptions, which take other memory, `ERR_WASI_UNBOUNDED_MEMORY`; one that has something
         * unknown, a `WebAssembly.CompileError` with `ERR_WASI_MODULE`. {@link WASI} refuses it: it
         * gets a module that is compiled.
         */
        memoryBytes?: number | undefined;
        /**
         * How many elements all tables may have together; likewise. @default 100000 if there is
         * `memoryBytes`
         */
        tableElements?: number | undefined;
      }
    | undefined;
  /**
   * Gets each call after it was made; `true` prints them to the standard error. It never stops or
   * changes the guest: of what the function throws, the first becomes a warning of the process
   * (`WASI_TRACE`), and a line that finds no room in the standard error for a second is dropped, as
   * are those after it until there is room again.
   */
  trace?: boolean | ((event: TraceEvent) => void) | undefined;
  /** Whether {@link WASI.stats} counts. */
  stats?: boolean | undefined;
  /**
   * The guest's clocks. One that is not real is not waited for: its time passes at once. A
   * monotonic clock that shows 0 ends programs written in Go ("nanotime returning zero").
   */
  clock?: { realtime?: Clock | undefined; monotonic?: Clock | undefined } | undefined;
  /** A seed for the guest's randomness: the same seed, the same bytes. Not fit for keys. */
  random?: string | number | bigint | Bytes | undefined;
  /** Whether directories list their entries by name. */
  sortedReaddir?: boolean | undefined;
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
   * @throws {Error} `UVWASI_ENOENT`, `UVWASI_ENOTDIR`, `UVWASI_EACCES` and so on: a preopen cannot
   *   be opened; the message names the guest's path, the host's path and the cause, and the
   *   properties `guestPath` and `hostPath` have the two. `UVWASI_EBADF`: a standard stream is not
   *   open. `errno` is the number that WASI preview1 gives the cause.
   * @throws {Error} `ERR_ACCESS_DENIED`: under Node's permission model (`--permission`) the process
   *   was not given `--allow-wasi`, may not read a preopened file or what is below a folder, or not
   *   make a folder that is to be created; or a standard stream is a folder, and the process may
   *   not read and write everything. What it may read and not write is read-only: every call that
   *   would change something there answers errno 69 (rofs).
   */
  constructor(options?: WASIOptions | EmbedderOptions);

  /**
   * The 46 functions of WASI preview1, for use as a guest's imports, by their names in the
   * specification: {@link https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md}.
   *
   * They are ordinary functions that need no receiver, in an ordinary object: they can be wrapped
   * or replaced before the guest is instantiated. An i32 is a number, an i64 a BigInt. Each returns
   * an errno, where 0 is success: 28 (inval) if the count or the type of its arguments is wrong, 8
   * (badf) for every descriptor after {@link WASI.close}. Each throws an `Error` with code
   * `ERR_WASI_NOT_STARTED` if it has no memory to work on yet.
   */
  readonly wasiImport: { [name: string]: any };

  /**
   * Gives a new object with {@link WASI.wasiImport} under the name of the module that a guest of
   * this `version` imports it from. The third argument of `new WebAssembly.Instance` need not hold
   * more.
   */
  getImportObject(): { [module: string]: any };

  /**
   * Runs a guest that is a command: calls its export `_start`. The guest must export a
   * `WebAssembly.Memory` as `memory`, and must not export `_initialize`.
   *
   * What the guest throws, a trap included, is thrown on as it is. So is what a function of the
   * `WASIOptions` throws, such as a stream. No code of the guest runs after such an error, a limit
   * or `proc_exit`: not even `catch_all` of WebAssembly's exceptions catches them. JavaScript
   * between the guest and its import does, but until `start` returns, each further import of the
   * guest throws the same object again.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @returns 0 if `_start` returned. If it called `proc_exit`, and `returnOnExit` is on, the exit
   *   code, as a signed number of 32 bits.
   * @throws {Error} `ERR_WASI_LIMIT`: the guest reached `limits.hostCalls` or `limits.deadlineMs`.
   *   The property `limit` names the one.
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`: this, `initialize` or `finalizeBindings` was called
   *   before.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: an export is missing, or of the wrong type.
   */
  start(instance: object): number;

  /**
   * Prepares a guest that is a reactor: calls its export `_initialize`, if there is one. The guest
   * must export a `WebAssembly.Memory` as `memory`, and must not export `_start`.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @returns `undefined`. If `_initialize` called `proc_exit`, and `returnOnExit` is on, the exit
   *   code, as a signed number of 32 bits: such a guest is not ready for use.
   * @throws {Error} `ERR_WASI_ALREADY_STARTED` or `ERR_WASI_LIMIT`, as in {@link WASI.start}.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, likewise.
   */
  initialize(instance: object): number | void;

  /**
   * Gives the guest's functions their memory, and calls none of the guest's exports. For a guest
   * that imports its memory, or is started by other means.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @throws {Error} `ERR_WASI_ALREADY_STARTED`, as in {@link WASI.start}.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, likewise.
   */
  finalizeBindings(instance: object, options?: FinalizeBindingsOptions): void;

  /**
   * Closes all files and directories that the guest has open. The host's standard streams stay
   * open. Functions of the guest that are called later answer errno 8 (badf) for every descriptor.
   *
   * May be called several times. An instance that is collected as garbage is closed as well.
   */
  close(): void;

  /** What the guest wrote to its standard output, if that is a `'pipe'`: a copy. */
  get stdout(): Uint8Array | undefined;

  /** What the guest wrote to its standard error, if that is a `'pipe'`: a copy. */
  get stderr(): Uint8Array | undefined;

  /** Whether `outputCap` cut what the guest wrote to its standard output, if that is a `'pipe'`. */
  get stdoutTruncated(): boolean | undefined;

  /** Whether `outputCap` cut what the guest wrote to its standard error, if that is a `'pipe'`. */
  get stderrTruncated(): boolean | undefined;

  /**
   * Reads a file of a preopen in memory, or of an overlay, changed or not.
   *
   * @param guestPath as the guest would open it: below the preopen with the longest name that the
   *   path begins with, of two with one name the later, as C libraries look it up; links are
   *   followed
   * @returns a copy of its bytes; `undefined` if the path leads to no such file
   */
  readFile(guestPath: string): Uint8Array | undefined;

  /**
   * The guest's paths of all files and symbolic links in preopens in memory, sorted.
   *
   * @throws `ERR_WASI_LIST_TOO_LONG`: the guest has made so many paths, with hard links below a
   *   deep directory for example, that they take more than 32 MiB together (with 32 bytes for each
   *   file and directory), or directories so deep that a path would have more than 4096 bytes.
   *   `readFile()` still reads what has a path.
   */
  listFiles(options?: { withTypes?: false | undefined }): string[];

  /** The same, and what each is. */
  listFiles(options: { withTypes: true }): { path: string; type: 'file' | 'symlink' }[];

  /**
   * What the guest has changed, sorted by path: in overlays against the directories below them, in
   * preopens in memory against what they began with. What was renamed is removed at one path and
   * added at the other. {@link WASI.readFile} has the bytes.
   *
   * @throws `ERR_WASI_LIST_TOO_LONG`: as {@link WASI.listFiles}. `ERR_WASI_CHANGES`: the host's
   *   directory cannot be read.
   */
  changes(): Change[];

  /**
   * Writes what the guest has changed in overlays to the directories below them. Everything is
   * written beside its place first, and only put there when all of that has succeeded.
   *
   * @param guestPath the name of an overlay, or a path in one, to write what is there and below; by
   *   default all of every overlay over a directory
   * @returns what was written
   * @throws `ERR_INVALID_ARG_VALUE`: there is no such overlay, or it lies over an archive.
   *   `ERR_ACCESS_DENIED`: the permission model lets the process not write there. `ERR_WASI_COMMIT`:
   *   the host could not, with the errno's name in `reason`, the guest's `path` where it could not,
   *   and what was written before in `done`, which is mostly nothing.
   */
  commit(guestPath?: string): Change[];

  /** How often each function was called and for how many nanoseconds, with the option `stats`. */
  stats(): { [name: string]: { calls: number; ns: number } } | undefined;

  /** The same as {@link WASI.close}, for `using wasi = new WASI(...)`. */
  [Symbol.dispose](): void;
}

/**
 * What comes out of an export of a guest that calls `proc_exit`, where you call the export
 * yourself, and out of `new WebAssembly.Instance` where the guest exits in its start section.
 * `start()` and `initialize()` return the exit code instead. The next export that you call starts
 * afresh.
 *
 * ```js
 * try {
 *   instance.exports.work();
 * } catch (error) {
 *   if (!(error instanceof WASIExitError)) throw error;
 *   console.log('the guest has exited', error.exitCode);
 * }
 * ```
 *
 * In the place of an exit, a limit comes out of such an export as an `Error` with the code
 * `ERR_WASI_LIMIT`, and what a function of yours threw to stop the guest as the `cause` of an
 * `Error` with the code `ERR_WASI_STOPPED`.
 *
 * No guest can catch an object of this class by `catch_all` or by a tag, whoever throws it. It is
 * no `WebAssembly.RuntimeError`.
 */
export class WASIExitError extends Error {
  /** @param exitCode for an exit of your own making, as in a `proc_exit` of your own */
  constructor(exitCode: number);
  readonly code: 'ERR_WASI_EXIT';
  /** What the guest gave to `proc_exit`, as a signed number of 32 bits. */
  readonly exitCode: number;
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
  /** As {@link WASI.stdoutTruncated}. */
  stdoutTruncated?: boolean;
  /** As {@link WASI.stderrTruncated}. */
  stderrTruncated?: boolean;
  /** As {@link WASI.stats}. */
  stats?: { [name: string]: { calls: number; ns: number } };
}

/**
 * Runs a command in a Worker, so that this thread stays free and the guest can be ended at any
 * time. Its standard input is empty, and its output is collected, unless the options say otherwise.
 *
 * @param wasm a module or its bytes
 * @param options as for {@link WASI}, but no functions: they cannot be sent to a Worker
 * @param limits `timeoutMs`: after how many milliseconds the guest is ended, whatever it does; any
 *   number from 0 to `Infinity`, which is the default
 * @returns It settles as soon as the result is there, whether or not the thread has ended. It
 *   rejects with the error of a trap, with that of an option, and with `ERR_WASI_LIMIT` when the
 *   time is over. Errors keep their class (of JavaScript's and WebAssembly's own ones), name,
 *   message, code, stack and cause. An exception of WebAssembly that the guest does not catch is an
 *   `Error` with the code `ERR_WASI_EXCEPTION`.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: `timeoutMs` is no number.
 * @throws {RangeError} `ERR_OUT_OF_RANGE`: `timeoutMs` is negative or `NaN`.
 */
export function runInWorker(
  wasm: ArrayBuffer | ArrayBufferView | WebAssemblyModule,
  options?: WASIOptions | EmbedderOptions,
  limits?: { timeoutMs?: number | undefined },
): Promise<WorkerResult>;
