/**
 * The interface of `node:wasi`, served by wasi-rs. Differences are additions: `version` may be left
 * out, `close()` and `Symbol.dispose` release what an instance holds, and every method exists on
 * every version of Node.js.
 *
 * @module wasi-rs
 */

// @ts-ignore: without the types of Node, the streams are of any type.
import type { Readable, Writable } from 'node:stream';

declare global {
  interface SymbolConstructor {
    /** Declared here too, for projects whose `lib` is older than ES2026. */
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
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
   * does not have: `timeoutMs`, `limits`, `clock`, `random`, `sockets`, `sortedReaddir` or
   * `suspend`; a `stdin`, `stdout` or `stderr` that is no number; a preopen that is an object.
   * `trace` and `stats` only observe, and change nothing. An option that is `undefined` is not used.
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
 * file (which has an `fd` that its type does not declare). The guest borrows the descriptor, and the
 * WASI keeps the object from being collected. One that is closed or not open yet is an error.
 */
export type HasDescriptor =
  { readonly fd: number } | { readonly path: string | object; readonly pending: boolean };

/** A stream of Node to read, whose type need not be known here. */
export interface NodeReadable {
  read(size?: number): any;
  unshift(chunk: any, encoding?: any): void;
  on(event: string, listener: (...args: any[]) => void): any;
}

/** A stream of Node to write, likewise. */
export interface NodeWritable {
  write(chunk: any, ...rest: any[]): boolean;
  end(...rest: any[]): any;
  on(event: string, listener: (...args: any[]) => void): any;
}

/** A `ReadableStream` of the web. */
export interface WebReadable {
  readonly locked: boolean;
  getReader(...options: any[]): any;
}

/** A `WritableStream` of the web. */
export interface WebWritable {
  readonly locked: boolean;
  getWriter(): any;
}

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
       * Nothing below it can be changed, whatever rights the guest asks for: a call that would
       * change something is errno 69 (rofs). The rights to write are reported all the same, because
       * C libraries ask only for reported rights; so `access(path, W_OK)` says yes.
       * @default false
       */
      readOnly?: boolean | undefined;
      /** Makes the directory, with those above it, if it is missing. @default false */
      create?: boolean | undefined;
      /**
       * Opens the directory when the guest first uses it, and makes it then with `create`; under
       * Node's permission model it is checked and made by the constructor all the same. If opening
       * fails, the guest's call gets the errno, and the next call tries again. Once open, it stays
       * the same directory. For a directory that does not exist yet, or that the process may search
       * but not read.
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
       * The directory is read and never changed: the guest's changes are kept in memory, and
       * {@link WASI.changes} and {@link WASI.commit} list and write them. See docs/filesystems.md.
       * @default false
       */
      overlay?:
        | boolean
        | {
            /** How many bytes what is kept may take, as of a directory in memory. @default 268435456 */
            maxBytes?: number | undefined;
          }
        | undefined;
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
       * The content of a `tar` archive, which the constructor reads into memory: the archive's
       * bytes, or its path on the host. gzip is recognised by its first bytes. The guest cannot
       * change it: errno 69 (rofs).
       */
      tar: string | FileURL | Bytes;
      /**
       * How many bytes its files, names and links may take together, holes included; an archive
       * that takes more is refused (`UVWASI_ENOSPC`).
       * @default 268435456
       */
      maxBytes?: number | undefined;
      /** An archive is never changed. @default true */
      readOnly?: true | undefined;
      /** @default false */
      overlay?: false | undefined;
    }
  | {
      /** The content of an archive, as above, below an overlay. */
      tar: string | FileURL | Bytes;
      /** As above. @default 268435456 */
      maxBytes?: number | undefined;
      /** @default false */
      readOnly?: boolean | undefined;
      /**
       * The guest's changes are kept in memory, as over a directory. There is nothing to commit.
       */
      overlay:
        | true
        | {
            /** How many bytes what is kept may take, likewise. @default 268435456 */
            maxBytes?: number | undefined;
          };
    }
  | {
      /**
       * A file system of yours: an object of the shape of `node:fs`, whose functions are called as
       * the guest's calls need them, in the thread of the guest. Its top `/` is the preopen. With
       * the option `suspend`, the object's `promises` are used if it has them, or the object's own
       * functions if these are those of `node:fs/promises`; else its functions in `Sync`, which may
       * give promises, too. Without the option, one that has only promises is a TypeError
       * (`ERR_INVALID_ARG_VALUE`).
       */
      fs: ServedFileSystem | ServedPromises | { promises: ServedPromises };
      /** @default false */
      readOnly?: boolean | undefined;
    };

/** What a guest may do, wherever it runs. */
export interface Limits {
  /**
   * How many bytes each stream that is a `'pipe'` and collected holds. Beyond it, a guest of a
   * {@link WASI} gets errno 51 (nospc), and {@link WASI.stdoutTruncated} is true; {@link run} and a
   * {@link Pool} end the guest: `reason: 'output'`. Output that is text is never more than
   * `buffer.constants.MAX_STRING_LENGTH` bytes. {@link spawn} collects nothing: `writtenBytes`
   * bounds what its guest writes.
   *
   * @default 67108864
   */
  outputBytes?: number | undefined;
  /**
   * How many descriptors it may have open, the first ones included; beyond it is errno 33 (mfile).
   */
  openFiles?: number | undefined;
  /** How many bytes it may write in all; beyond it is errno 19 (dquot). */
  writtenBytes?: number | undefined;
  /** How many entries of directories it may list in all; beyond it is errno 19 (dquot). */
  readdirEntries?: number | undefined;
  /**
   * How many calls it may make; the next one ends it: `ERR_WASI_LIMIT` out of `start()`, `reason:
   * 'limit'` of {@link run}.
   */
  hostCalls?: number | undefined;
}

/** Limits that are written into a module before it is compiled. */
export interface ModuleLimits {
  /**
   * How many bytes all linear memories may have together. A `memory.grow` beyond it gives the guest
   * -1, and the guest goes on. A module that asks for more to start is `ERR_WASI_LIMIT` of
   * {@link compile}, and `reason: 'memory'` of {@link run}. A module with structures, arrays or
   * large exceptions, which take other memory, is `ERR_WASI_UNBOUNDED_MEMORY`; a module with a part
   * that is unknown here is a `WebAssembly.CompileError` with `ERR_WASI_MODULE`.
   */
  memoryBytes?: number | undefined;
  /**
   * How many elements all tables may have together; likewise. @default 100000 if there is
   * `memoryBytes`
   */
  tableElements?: number | undefined;
}

/** One thing that a guest has changed. */
export interface Change {
  /**
   * `'modified'` is a file that was written, cut, replaced or given times, or a symbolic link with
   * another text. A file in the place of a directory, or the other way round, is one `'removed'`
   * and one `'added'`.
   */
  type: 'added' | 'modified' | 'removed';
  /** The guest's path. */
  path: string;
  /**
   * The kind of the file; of a removed one, its former kind. A pipe, socket or device of the host
   * is a `'file'`.
   */
  kind: 'file' | 'directory' | 'symlink';
}

/**
 * The functions of `node:fs` that a preopen `{ fs }` is served by. A call that needs a missing
 * function is errno 58 (notsup); without `fsyncSync` and `fdatasyncSync` syncing does nothing. An
 * error with the `code` of an errno is that errno to the guest. Any other error stops the guest,
 * and `start()` throws it. So does a TypeError (`ERR_INVALID_RETURN_VALUE`) for an invalid answer.
 *
 * Paths are absolute and end in no slash. Numbers may be of type number or bigint.
 */
export interface ServedFileSystem {
  /**
   * With `{ bigint: true }`, which may be ignored. If it is missing, `statSync` is called, and
   * there are no links.
   */
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
 * The functions of `node:fs/promises` that a preopen `{ fs }` is served by with the option
 * `suspend`: the guest waits for what they give, a promise or a value. What is said of
 * {@link ServedFileSystem} holds for them, with `startAsync()` for `start()`.
 */
export interface ServedPromises {
  /**
   * With `{ bigint: true }`, which may be ignored. If it is missing, `stat` is called, and there are
   * no links.
   */
  lstat?(path: string, options: any): any;
  stat?(path: string, options: any): any;
  readdir(path: string): any;
  /** With the flags `'r'`, `'r+'`, `'w+'` or `'wx+'`. It gives a {@link ServedFile}. */
  open(path: string, flags: any, mode?: any): any;
  mkdir?(path: string): any;
  rmdir?(path: string): any;
  unlink?(path: string): any;
  rename?(oldPath: string, newPath: string): any;
  link?(existingPath: string, newPath: string): any;
  symlink?(target: string, path: string): any;
  readlink?(path: string, options?: any): any;
  /** Times are in seconds. */
  utimes?(path: string, atime: number, mtime: number): any;
  /** Without it, the times of a link cannot be set. */
  lutimes?(path: string, atime: number, mtime: number): any;
}

/** What `open` of {@link ServedPromises} gives: a `FileHandle` of Node, or the like. */
export interface ServedFile {
  /** It gives `{ bytesRead }`, or the number. */
  read(buffer: any, offset: number, length: number, position: any): any;
  stat(options: any): any;
  close(): any;
  /** It gives `{ bytesWritten }`, or the number. */
  write?(buffer: any, offset: number, length: number, position: any): any;
  truncate?(length: number): any;
  /** Times are in seconds. */
  utimes?(atime: number, mtime: number): any;
  sync?(): any;
  datasync?(): any;
}

/**
 * A clock: the host's, one that stands at a time, or one that goes on by a step at each reading; in
 * nanoseconds.
 */
export type Clock =
  | 'real'
  | bigint
  | {
      /** What the first reading gives. @default 0n */
      start?: bigint | undefined;
      /** By how much each further reading is later. @default 0n */
      step?: bigint | undefined;
    };

/**
 * A socket for the guest: a listener on an address, one on the path of a Unix socket, or a socket
 * of the host, which takes connections or is one. No kind has other keys than these.
 */
export type GuestSocket =
  | {
      /** An IP address, or `'localhost'`, which is 127.0.0.1. Other names are not looked up. */
      host: string;
      /** 0 to 65535; 0 is one that the system chooses, and {@link WASI.sockets} tells. */
      port: number;
      /** How many connections may wait to be taken. @default 511 */
      backlog?: number | undefined;
      /** As below. @default true */
      nonblock?: boolean | undefined;
    }
  | {
      /**
       * The path of a Unix socket. Its file is made here, and removed when the socket is closed,
       * unless another file has its place then. Not on Windows.
       */
      path: string;
      /** How many connections may wait to be taken. @default 511 */
      backlog?: number | undefined;
      /** As below. @default true */
      nonblock?: boolean | undefined;
    }
  | {
      /** A descriptor of the host that is a socket. It is duplicated, and its flags stay. */
      fd: number;
      /**
       * Whether the guest sees the flag NONBLOCK, by which its calls answer errno 6 (again) instead
       * of waiting; whatever the host's socket does. Programs of Go need it. Programs that wait in
       * `accept()` need `false`.
       * @default true
       */
      nonblock?: boolean | undefined;
    };

/** What became of a {@link GuestSocket}. */
export interface OpenedSocket {
  /** The guest's descriptor. */
  readonly fd: number;
  /** The address that it is bound to; the path of a Unix socket, or `''` if it has none. */
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6' | 'Unix' | 'unknown';
  /** The port, if it has one. */
  readonly port?: number;
}

/** What {@link WASI.stats} tells of a function. */
export interface FunctionStats {
  /** How often it was called. */
  calls: number;
  /** How many nanoseconds that took together; without `waitedNs`. */
  ns: number;
  /** For how many nanoseconds the guest was suspended in it; only with `suspend`. */
  waitedNs?: number;
  /**
   * Of `sock_accept`, where there are sockets: how many connections came from each address.
   * Connections of Unix sockets are under `unix`, and those of more than 1,000 addresses under
   * `others`.
   */
  peers?: { [address: string]: number };
}

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
  /** How long it took, in nanoseconds; without `waitedNs`. */
  ns: number;
  /**
   * Who is at the other end of the connection that was taken or used, if there is one:
   * `'127.0.0.1:51234'`, `'[::1]:51234'`, `'unix'`.
   */
  peer?: string;
  /** How long the guest was suspended for it, in nanoseconds; only with `suspend`. */
  waitedNs?: number;
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
  /**
   * What the guest finds at which of its paths. They become its descriptors from 3 on, in the order
   * of the keys. One that lies below another is a mount: see docs/filesystems.md.
   *
   * @default {}
   */
  preopens?: { [guestPath: string]: Preopen | undefined } | undefined;
  /**
   * A descriptor of the host or an open object that has one, `'inherit'` (0), nothing, bytes, or a
   * function that gives the next bytes, or text, which is encoded as UTF-8; `null`, or an empty
   * chunk, is the end. An error that the function throws stops the guest, and `start()` throws it:
   * see {@link WASI.start}. Any other value, a promise included, does so with a TypeError,
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
   * which {@link WASI.stdout} gives, or a function that gets each chunk when it is written. An
   * error that the function throws stops the guest. So does a promise that it returns, because
   * nobody would wait for it: `ERR_INVALID_RETURN_VALUE`.
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
   * For how many milliseconds the guest may run, 0 to `Infinity`, from the moment `_start` is
   * called; where you call an export yourself, from the guest's first call on. It stops the guest
   * at its next call and in each wait, by `ERR_WASI_LIMIT` out of `start()`. A guest that makes no
   * calls is not stopped in the calling thread: {@link run} stops it.
   *
   * @default Infinity
   */
  timeoutMs?: number | undefined;
  /** What the guest may do. */
  limits?: Limits | undefined;
  /**
   * Gets each call after it was made; `true` prints them to the standard error. It never stops or
   * changes the guest: of what the function throws, the first becomes a warning of the process
   * (`WASI_TRACE`), and a line that finds no room in the standard error for a second is dropped, as
   * are those after it until there is room again.
   *
   * @default false
   */
  trace?: boolean | ((event: TraceEvent) => void) | undefined;
  /**
   * Whether calls that wait suspend the guest instead of blocking the thread: see {@link
   * WASI.startAsync}. It takes JSPI, which Node.js from 24.20 on (from 24.0 on with
   * `--experimental-wasm-jspi`), Deno and Bun have; elsewhere the constructor throws
   * `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM`. A command, and a guest with sockets, that makes such
   * calls and never has to wait gives the event loop a turn every 5 ms.
   *
   * @default false
   */
  suspend?: boolean | undefined;
  /** Whether {@link WASI.stats} counts. @default false */
  stats?: boolean | undefined;
  /**
   * The guest's clocks. A clock that is set here does not wait: its time passes at once. A
   * monotonic clock that shows 0 ends programs written in Go ("nanotime returning zero").
   */
  clock?:
    | {
        /** What the clocks `realtime`, of the time of day, show. @default 'real' */
        realtime?: Clock | undefined;
        /** What the clock `monotonic`, to measure with, shows. @default 'real' */
        monotonic?: Clock | undefined;
      }
    | undefined;
  /** A seed for the guest's randomness: the same seed gives the same bytes. Not fit for keys. */
  random?: string | number | bigint | Bytes | undefined;
  /**
   * Listeners and connections for the guest. They become its descriptors behind those of the
   * preopens, in this order; {@link WASI.sockets} has their numbers. If there are no preopens, the
   * guest's variable `LISTEN_FDS` is the number of sockets, unless `env` sets it.
   */
  sockets?: readonly GuestSocket[] | undefined;
  /** Whether directories list their entries by name. @default false */
  sortedReaddir?: boolean | undefined;
}

/** Options of a guest that suspends: its streams may take their time. */
export interface SuspendingOptions extends Omit<EmbedderOptions, 'stdin' | 'stdout' | 'stderr'> {
  suspend: true;
  /**
   * As {@link EmbedderOptions.stdin}, or a function that gives promises of all that, an async
   * iterable, a `ReadableStream` or a `Readable` of Node, of bytes or text: the guest waits for
   * them. A stream belongs to one guest. Input that the guest has not read when it ends goes back
   * to a `Readable` (`unshift`), and is in {@link WASI.unreadInput} otherwise. Without `suspend`,
   * such a stream is a TypeError of the constructor.
   *
   * @default 0
   */
  stdin?:
    | EmbedderOptions['stdin']
    | ((maxBytes: number) => PromiseLike<Bytes | string | null> | Bytes | string | null)
    | AsyncIterable<Bytes | string>
    | WebReadable
    | NodeReadable;
  /**
   * As {@link EmbedderOptions.stdout}, or a function that gives a promise, a `WritableStream` or a
   * `Writable` of Node. A write is done when the stream has taken it. The stream is ended when the
   * guest ends, and aborted or destroyed when the guest fails.
   *
   * @default 1
   */
  stdout?:
    | EmbedderOptions['stdout']
    | ((chunk: Uint8Array) => PromiseLike<unknown> | void)
    | WebWritable
    | NodeWritable;
  /** As `stdout`. @default 2 */
  stderr?: SuspendingOptions['stdout'];
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
   * @throws {RangeError} `ERR_OUT_OF_RANGE`: a number is out of its range; `stdin`, `stdout` or
   *   `stderr` is no integer from 0 to 2147483647.
   * @throws {Error} `UVWASI_ENOENT`, `UVWASI_ENOTDIR`, `UVWASI_EACCES` and so on: a preopen cannot
   *   be opened; the message names the guest's path, the host's path and the cause, and the
   *   properties `guestPath` and `hostPath` have the two. `UVWASI_EBADF`: a standard stream is not
   *   open. `errno` is the number that WASI preview1 gives the cause.
   * @throws {Error} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOENT` and so on: a socket cannot be
   *   listened on. `syscall` is `'listen'`, and `address`, `port` and the negative `errno` are
   *   those of Node's `net`. `EBADF`: the `fd` of a socket is not open (`syscall` is `'dup'`). One
   *   that is no socket is a TypeError `ERR_INVALID_ARG_VALUE`. Nothing stays open.
   * @throws {Error} `ERR_ACCESS_DENIED`: under Node's permission model (`--permission`), the
   *   process has no `--allow-wasi`, may not read a preopen, may not make a folder that is to be
   *   created, may not use the network (`--allow-net`, where Node has it), or may not write the
   *   path of a socket; or a standard stream is a folder, and the process may not read and write
   *   everything. A preopen that the process may read and not write is read-only: every call that
   *   would change something there answers errno 69 (rofs).
   */
  constructor(options?: WASIOptions | EmbedderOptions | SuspendingOptions);

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
   * this `version` imports it from: what a guest without other imports is instantiated with.
   */
  getImportObject(): { [module: string]: any };

  /**
   * Runs a guest that is a command: calls its export `_start`. The guest must export a
   * `WebAssembly.Memory` as `memory`, and must not export `_initialize`.
   *
   * `start` throws the guest's own errors unchanged, traps included, and those of functions in the
   * `WASIOptions`, such as streams. No code of the guest runs after such an error, a limit or
   * `proc_exit`: not even `catch_all` of WebAssembly's exceptions catches them. JavaScript between
   * the guest and its import does, but until `start` returns, each further import of the guest
   * throws the same object again.
   *
   * @param instance a `WebAssembly.Instance`, or an object with `exports`
   * @returns 0 if `_start` returned. If it called `proc_exit`, and `returnOnExit` is on, the exit
   *   code, as a signed number of 32 bits.
   * @throws {WASILimitError} `ERR_WASI_LIMIT`: the guest reached `limits.hostCalls` or `timeoutMs`.
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
   * The guest's output, files, changes and statistics stay available afterwards, and
   * {@link WASI.commit} still writes.
   *
   * May be called several times. An instance that is collected as garbage is closed as well.
   */
  close(): void;

  /** The guest's descriptors of the option `sockets`, in its order. Empty without the option. */
  readonly sockets: readonly OpenedSocket[];

  /** What the guest wrote to its standard output, if that is a `'pipe'`: a copy. */
  get stdout(): Uint8Array | undefined;

  /** What the guest wrote to its standard error, if that is a `'pipe'`: a copy. */
  get stderr(): Uint8Array | undefined;

  /**
   * Whether `limits.outputBytes` cut what the guest wrote to its standard output, if that is a
   * `'pipe'`.
   */
  get stdoutTruncated(): boolean | undefined;

  /**
   * Whether `limits.outputBytes` cut what the guest wrote to its standard error, if that is a
   * `'pipe'`.
   */
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
   * The guest's changes, sorted by path: in overlays compared with the directories below them, in
   * preopens in memory compared with their first files. A renamed file is removed at one path and
   * added at the other. {@link WASI.readFile} has the bytes.
   *
   * @throws `ERR_WASI_LIST_TOO_LONG`: as {@link WASI.listFiles}. `ERR_WASI_CHANGES`: the host's
   *   directory cannot be read.
   */
  changes(): Change[];

  /**
   * Writes the guest's changes in overlays to the directories below them. First all files are
   * written beside their places; only if all of that succeeds, they are put there.
   *
   * @param guestPath the name of an overlay, or a path in one, to write what is there and below; by
   *   default all of every overlay over a directory
   * @returns what was written
   * @throws `ERR_INVALID_ARG_VALUE`: there is no such overlay, or it lies over an archive.
   *   `ERR_ACCESS_DENIED`: the permission model does not let the process write there.
   *   `ERR_WASI_COMMIT`: the host could not write: `reason` is the errno's name, `path` the guest's
   *   path that failed, and `done` the changes that were written before, mostly none. `kept` has the
   *   paths of copies of the old bytes of files with several names that could not be put back, and
   *   of renamed files that have no other name.
   */
  commit(guestPath?: string): Change[];

  /** How often each function was called and for how many nanoseconds, with the option `stats`. */
  stats(): { [name: string]: FunctionStats } | undefined;

  /**
   * Runs a guest that is a command, as {@link WASI.start} does, for a WASI with `suspend: true`.
   * While the guest waits, for a clock, a pipe, a socket or a stream, this thread goes on.
   *
   * One call of a guest waits at a time. While it waits, other exports may be called and return;
   * one that would wait as well throws `ERR_WASI_BUSY`.
   *
   * @param instance a `WebAssembly.Instance`
   * @param options `signal` ends a guest that waits at once, and one that computes at its next
   *   call: the promise rejects with the signal's reason
   * @returns the exit code. It rejects with what `start` would throw, with what a stream throws, as
   *   it is, and with an Error `ERR_WASI_CLOSED` if {@link WASI.close} is called while the guest
   *   waits. It settles when the guest's output streams have ended, or the signal is aborted.
   * @throws {Error} `ERR_INVALID_STATE`: the WASI was made without `suspend`.
   *   `ERR_WASI_WOULD_WAIT`: a function of JavaScript stands between the guest and the call that
   *   waits.
   */
  startAsync(instance: object, options?: { signal?: AbortSignal | undefined }): Promise<number>;

  /**
   * Prepares a guest that is a reactor, as {@link WASI.initialize} does, likewise.
   *
   * @returns `undefined`, or the exit code if `_initialize` called `proc_exit`
   */
  initializeAsync(
    instance: object,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<number | void>;

  /**
   * An export of the guest as a function that may wait.
   *
   * @param fn an export of the guest's instance
   * @returns a function with the same arguments, and a promise of its result. It rejects with what
   *   the export throws: a {@link WASIExitError} if the guest exits.
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: it is no function that an instance exports.
   */
  promising<A extends any[], R>(fn: (...args: A) => R): (...args: A) => Promise<R>;

  /**
   * What a guest with `suspend` that has ended had not read of its standard input, if that was a
   * function or a stream that cannot take it back.
   */
  get unreadInput(): Uint8Array | undefined;

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

/** The end of a guest that reached a limit. No guest can catch it. */
export class WASILimitError extends Error {
  /** @param limit for a limit of your own: its name */
  constructor(message: string, limit: string);
  readonly code: 'ERR_WASI_LIMIT';
  /**
   * The option that bounded the guest: `'timeoutMs'`, `'hostCalls'`, `'outputBytes'`,
   * `'memoryBytes'` or `'tableElements'`. `'memory'` if the system had no more, and `'kill'` if the
   * guest was killed.
   */
  readonly limit: string;
}

/** A `WebAssembly.Module`, whether or not the project's `lib` declares it. */
export type WebAssemblyModule = object;

/**
 * What can be run: the path of a file, a URL (`file:`, `https:`, `http:`, `data:`), the bytes of a
 * module, a `Response` of `fetch` or a `Blob`, a `WebAssembly.Module`, a {@link Program}, or a
 * promise of one of them.
 */
export type WasmSource =
  | string
  | URL
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | { arrayBuffer(): Promise<ArrayBuffer> }
  | WebAssemblyModule
  | Program
  | PromiseLike<
      | string
      | URL
      | ArrayBuffer
      | SharedArrayBuffer
      | ArrayBufferView
      | { arrayBuffer(): Promise<ArrayBuffer> }
      | WebAssemblyModule
      | Program
    >;

/** A module that {@link compile} has compiled, for any number of runs. */
export interface Program {
  /**
   * `'command'` has `_start`, and is what can be run; `'threads'` starts threads besides
   * (wasi-threads). `'reactor'` has only exports to be called.
   */
  readonly kind: 'command' | 'reactor' | 'threads';
  readonly imports: readonly {
    readonly module: string;
    readonly name: string;
    readonly kind: string;
  }[];
  readonly exports: readonly { readonly name: string; readonly kind: string }[];
}

/**
 * Reads a module, gives its memories and tables maxima, and compiles it once.
 *
 * ```js
 * const program = await compile('app.wasm', { limits: { memoryBytes: 64 * 2 ** 20 } });
 * const { reason, stdout } = await run(program, { args: ['app', '--version'] });
 * ```
 *
 * @returns It rejects with the error of reading the file (`ENOENT`), with a
 *   `WebAssembly.CompileError` for what is no valid module (`ERR_WASI_MODULE` if it is no module at
 *   all, or a component), with `ERR_WASI_LIMIT` if it asks for more to start, and with a TypeError
 *   or RangeError for a wrong option.
 */
export function compile(
  wasm: WasmSource,
  options?: { limits?: ModuleLimits | undefined },
): Promise<Program>;

/** Options of {@link run}, {@link spawn} and {@link Pool.run}. */
export interface CommonRunOptions extends Omit<
  EmbedderOptions,
  'version' | 'returnOnExit' | 'stdin' | 'stdout' | 'stderr' | 'trace' | 'timeoutMs' | 'limits'
> {
  /** No other is run. @default 'preview1' */
  version?: 'preview1' | undefined;
  /** It always is. @default true */
  returnOnExit?: true | undefined;
  /**
   * The arguments with the program's name **first**: `args: ['app', '--version']`.
   *
   * @default `[name]`, where `name` is that of the file without its folder, or `program.wasm`
   */
  args?: readonly string[] | undefined;
  /** Prints each call to the host's standard error. @default false */
  trace?: boolean | undefined;
  /**
   * After how many milliseconds, 0 to `Infinity`, the guest is ended, whatever it does: `reason:
   * 'timeout'`. They count from the moment `_start` is called, or a start section before that;
   * neither a queue nor what comes before counts. 0 runs nothing.
   *
   * @default Infinity
   */
  timeoutMs?: number | undefined;
  /**
   * How many milliseconds may pass until the guest's time begins, once the module is compiled; then
   * there is an error with the code `ERR_WASI_START_TIMEOUT`.
   *
   * @default 10000
   */
  startTimeoutMs?: number | undefined;
  /** Ends the guest, whatever it does. */
  signal?: AbortSignal | undefined;
  /** All bounds of the guest but its time. */
  limits?: (Limits & ModuleLimits) | undefined;
}

/** What a guest of {@link run} may have as its standard input: text, or what a WASI takes. */
export type RunInput = string | number | Bytes | HasDescriptor;
/** Where its output may go: to `'pipe'`, it is collected. */
export type RunOutput = number | 'inherit' | 'ignore' | 'pipe' | HasDescriptor;

export interface PoolRunOptions extends CommonRunOptions {
  /**
   * Text or bytes to read. Of the words, `'inherit'` is the host's standard input, and `'ignore'`
   * none; for the text `'inherit'` give bytes.
   *
   * @default 'ignore'
   */
  stdin?: RunInput | undefined;
  /** @default 'pipe' */
  stdout?: RunOutput | undefined;
  /** @default 'pipe' */
  stderr?: RunOutput | undefined;
  /** Whether the collected output is text or bytes. @default 'utf8' */
  encoding?: 'utf8' | 'buffer' | undefined;
}

export interface RunOptions extends PoolRunOptions {
  /**
   * Where the guest runs: in a thread of this process, or in a process of its own, which survives
   * what V8 answers by ending the process. On Bun and Deno a thread that computes cannot be ended,
   * so `'thread'` with `timeoutMs` or `signal` is an error there.
   *
   * @default 'thread'; 'process' on Bun and Deno
   */
  isolation?: 'thread' | 'process' | undefined;
  /** How many threads a guest of wasi-threads may have beside its first. @default 64 */
  maxThreads?: number | undefined;
}

export interface SpawnOptions extends CommonRunOptions {
  /** A pipe is {@link Guest.stdin}. Others as in {@link RunOptions}. @default 'pipe' */
  stdin?: RunInput | undefined;
  /** A pipe is {@link Guest.stdout}. @default 'pipe' */
  stdout?: RunOutput | undefined;
  /** A pipe is {@link Guest.stderr}. @default 'pipe' */
  stderr?: RunOutput | undefined;
  /**
   * As in {@link RunOptions}; a guest that can be killed.
   * @default 'thread'; 'process' on Bun and Deno
   */
  isolation?: 'thread' | 'process' | undefined;
  /** As in {@link RunOptions}. @default 64 */
  maxThreads?: number | undefined;
  /**
   * The guest's streams are a terminal of this size, 1 to 65535 each, and `COLUMNS` and `LINES` say
   * so. It has a line discipline, unless it is `raw`.
   */
  tty?:
    | {
        columns: number;
        rows: number;
        /** What the guest reads comes as it is typed, without echo or signals. @default false */
        raw?: boolean | undefined;
      }
    | undefined;
}

/** What is known of a run, however it ended. */
export interface Ended {
  /** Whether `limits.outputBytes` cut the output. `files`, `changes`: there was more. */
  truncated: { stdout: boolean; stderr: boolean; files?: true; changes?: true };
  /**
   * The files of preopens in memory, by their absolute paths as the guest would open them. A link
   * is the file that it leads to. At most 100,000 of them, of at most 512 MiB together; links are
   * left out once following them has taken half a second.
   */
  files: Map<string, Uint8Array>;
  /**
   * What the guest has changed in overlays and in preopens in memory, as {@link WASI.changes}.
   */
  changes: Change[];
  /**
   * The size in bytes, at the end, of the memories that the module exports or imports; memories
   * only grow. For a guest that was ended while it computed, it is their size at its last call:
   * the memory goes with the guest's thread, and grew to at most `limits.memoryBytes` after that
   * call. The shared memory of wasi-threads is measured at the end.
   */
  memoryBytes: number;
  /** As {@link WASI.stats}, with the option `stats`. */
  stats?: { [name: string]: { calls: number; ns: number } };
  /** From the call of `_start` to the end, in milliseconds. */
  durationMs: number;
  /** From the call of `run`, `spawn`, or from its turn in the Pool, to that of `_start`. */
  startMs: number;
}

/** How a guest ended. */
export type EndReason =
  | {
      /** `_start` returned (0), or the guest called `proc_exit`. */
      reason: 'exit';
      exitCode: number;
      error?: undefined;
    }
  | {
      /**
       * `'trap'`: a trap, an exhausted stack, an exception that nothing caught. `'crash'`: what ran
       * the guest has ended.
       */
      reason: 'trap' | 'crash';
      exitCode: null;
      error: Error;
    }
  | {
      /**
       * `'timeout'`: `timeoutMs`. `'memory'`: it asked for more to start than it may have, or than
       * there is; or its process ran out of memory. `'limit'`: `limits.hostCalls`. `'output'`:
       * `limits.outputBytes`. `'killed'`: {@link Guest.kill}.
       */
      reason: 'timeout' | 'memory' | 'limit' | 'output' | 'killed';
      exitCode: null;
      error: WASILimitError;
    };

/**
 * What is known of a run of {@link run} or {@link Pool.run}. `T` is `string`, or `Uint8Array` with
 * `encoding: 'buffer'`.
 */
export type RunResult<T extends string | Uint8Array = string> = Ended & {
  /** What it wrote to its standard output, if that is a `'pipe'`; empty otherwise. */
  stdout: T;
  /** What it wrote to its standard error, if that is a `'pipe'`; empty otherwise. */
  stderr: T;
} & EndReason;

/** How a guest of {@link spawn} ended. `'aborted'`: by its signal, whose reason is the `error`. */
export type ExitStatus = Ended &
  (EndReason | { reason: 'aborted'; exitCode: null; error: unknown });

/**
 * Runs a program to its end, in a thread of its own. Its standard input is empty and its output
 * collected, unless the options say otherwise.
 *
 * ```js
 * const { reason, exitCode, stdout, files } = await run('plugin.wasm', {
 *   args: ['plugin', '/work/in.json'],
 *   preopens: { '/work': { memory: { 'in.json': '{}' } } },
 *   timeoutMs: 100,
 *   limits: { memoryBytes: 64 * 2 ** 20 },
 * });
 * ```
 *
 * @returns It resolves whatever the guest does, with its output and files up to then: see
 *   {@link RunResult}. It rejects with `signal.reason`, unchanged; with the errors of
 *   {@link compile} and those of the constructor of {@link WASI}; with a `WebAssembly.LinkError`
 *   (`ERR_WASI_MISSING_IMPORT`) that names all imports that nobody gives; with a TypeError
 *   (`ERR_INVALID_ARG_VALUE`) for a reactor; and with `ERR_WASI_START_TIMEOUT`. Errors of the
 *   guest's thread keep their class, name, message, code, stack and cause.
 */
export function run(
  wasm: WasmSource,
  options: RunOptions & { encoding: 'buffer' },
): Promise<RunResult<Uint8Array>>;
export function run(
  wasm: WasmSource,
  options?: RunOptions & { encoding?: 'utf8' | undefined },
): Promise<RunResult<string>>;
export function run(
  wasm: WasmSource,
  options?: RunOptions,
): Promise<RunResult<string> | RunResult<Uint8Array>>;

/** A program that runs, with live streams. */
export interface Guest {
  /**
   * Writes to the guest's standard input. An error of this stream ends no process, even if nobody
   * listens.
   */
  readonly stdin: Writable;
  /** Reads the guest's standard output. */
  readonly stdout: Readable;
  /** Reads the guest's standard error. */
  readonly stderr: Readable;
  /**
   * How it ended. It rejects as the promise of {@link run}, except for an abort. The streams are
   * destroyed with that error, so a program that uses only the streams need not handle this
   * promise.
   */
  readonly exited: Promise<ExitStatus>;
  /** Ends the guest, whatever it does. What it has written can be read. */
  kill(): void;
  /**
   * Gives the guest's terminal another size.
   *
   * @throws {Error} `ERR_WASI_NO_TERMINAL`: it was started without `tty`.
   */
  resize(columns: number, rows: number): void;
  /** Kills the guest, waits for its end and destroys its streams. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a program whose standard streams are Node's streams: pipes of the system, with
 * back-pressure both ways. Returns at once; what is wrong comes out of {@link Guest.exited}.
 *
 * ```js
 * const guest = spawn('wc.wasm');
 * createReadStream('book.txt').pipe(guest.stdin);
 * guest.stdout.pipe(process.stdout);
 * await guest.exited;
 * ```
 */
export function spawn(wasm: WasmSource, options?: SpawnOptions): Guest;

export interface PoolOptions {
  /** How many Workers there are at most. @default os.availableParallelism() */
  size?: number | undefined;
  /** How many runs may wait for one; the next is `ERR_WASI_POOL_FULL`. @default Infinity */
  maxQueue?: number | undefined;
  /** After how many runs a Worker is replaced. @default Infinity */
  maxRunsPerWorker?: number | undefined;
  /** As in {@link RunOptions}, for all runs. @default 'thread'; 'process' on Bun and Deno */
  isolation?: 'thread' | 'process' | undefined;
}

/**
 * Warm Workers for any number of programs. Each run has a fresh instance and a fresh WASI. A Worker
 * whose guest had to be ended is replaced. Those that have nothing to do keep no process from
 * ending.
 *
 * ```js
 * await using pool = new Pool({ size: 2 });
 * const program = await compile('handler.wasm', { limits: { memoryBytes: 64 * 2 ** 20 } });
 * const { stdout } = await pool.run(program, { stdin: request, timeoutMs: 1000 });
 * ```
 */
export class Pool {
  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: an option is wrong.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`: likewise.
   */
  constructor(options?: PoolOptions);
  /**
   * As {@link run}. A {@link Program} or `WebAssembly.Module` is compiled once, and known again.
   * Modules of wasi-threads are refused: TypeError, `ERR_INVALID_ARG_VALUE`.
   *
   * @returns It also rejects with `ERR_WASI_POOL_FULL`, and with `ERR_WASI_POOL_CLOSED` after
   *   {@link Pool.close}.
   */
  run(
    wasm: WasmSource,
    options: PoolRunOptions & { encoding: 'buffer' },
  ): Promise<RunResult<Uint8Array>>;
  run(
    wasm: WasmSource,
    options?: PoolRunOptions & { encoding?: 'utf8' | undefined },
  ): Promise<RunResult<string>>;
  run(
    wasm: WasmSource,
    options?: PoolRunOptions,
  ): Promise<RunResult<string> | RunResult<Uint8Array>>;
  /** Lets all runs that were asked for come to their end, then ends all Workers. */
  close(): Promise<void>;
  /** How many runs wait for a Worker. */
  readonly queued: number;
  /** The same as {@link Pool.close}. */
  [Symbol.asyncDispose](): Promise<void>;
}
