/**
 * The host of WASI 0.2 for components that jco has turned into JavaScript: see docs/components.md.
 * It exports `WASIExitError` of `wasi-rs` as well. What jco's output imports (`wasi-rs/p2/cli` and
 * its like) has no names to be written by hand.
 *
 * @module wasi-rs/p2
 */

import {
  Bytes,
  Change,
  EmbedderOptions,
  FunctionStats,
  SuspendingOptions as Preview1SuspendingOptions,
  WASIExitError,
} from './index.js';

export { WASIExitError };

/**
 * The options of preview1's class, with the same meanings and defaults. A preopen `{ fs }` and
 * `sockets` are not for components: a TypeError with `ERR_INVALID_ARG_VALUE`. So is any name that
 * comes near to that of an option. `timeoutMs` counts anew from each `start()` at which no other
 * component runs.
 *
 * `suspend: true` (Node.js from 24.20 on, Deno, Bun) lets components wait without holding their
 * thread. Their exports must be asynchronous (`jco transpile --async-mode jspi
 * --async-wasi-exports`), and also the imports that wait (`--async-wasi-imports`) where values are
 * used. `stdin`, `stdout` and `stderr` may then be asynchronous, as in preview1's class.
 */
export interface WASIOptions
  extends Omit<EmbedderOptions, 'version' | 'returnOnExit' | 'sockets'>, OwnOptions {}

/** The same for components that suspend. */
export interface SuspendingOptions
  extends Omit<Preview1SuspendingOptions, 'version' | 'returnOnExit' | 'sockets'>, OwnOptions {}

/** The options that preview1's class has otherwise, or does not have. */
export interface OwnOptions {
  /** Any version of preview1's class, so that the same options serve both. Nothing depends on it. */
  version?: 'preview1' | 'unstable' | 'preview2' | undefined;
  /**
   * What happens when the guest exits: `true` ends the guest by an error with its `exitCode`, which
   * {@link WASI.start} turns into a result; `false` ends the process. @default true
   */
  returnOnExit?: boolean | undefined;
  /**
   * Interfaces in the place of those of this package, by their names with or without a version:
   * `{ 'wasi:http/outgoing-handler': { handle } }`. What is there is called as jco calls it.
   * @default {}
   */
  interfaces?: Record<string, object | undefined> | undefined;
}

/** A component as jco's `instantiate` gives it. */
export type Component = Record<string, unknown>;

/** A sandboxed environment for components: the host of their imports of WASI 0.2. */
export class WASI {
  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: an option is wrong.
   * @throws {RangeError} `ERR_OUT_OF_RANGE`: a number is.
   * @throws {Error} `UVWASI_ENOENT` and so on: a directory or a stream cannot be used.
   */
  constructor(options?: WASIOptions | SuspendingOptions);

  /**
   * The interfaces by their names, as the `instantiate` of `jco transpile --instantiation` takes
   * them.
   *
   * @param options `asVersion`: what stands behind the names, such as `'0.2.3'`; by default
   *   nothing, as jco writes it, and the interfaces are found with any version of 0.2 as well
   */
  getImportObject(options?: { asVersion?: string | undefined }): Record<string, object>;

  /**
   * Calls a component's `wasi:cli/run`.
   *
   * @returns the exit code: what the guest gave to `exit` (0 or 1) or `exit-with-code`, or else 0
   *   for ok and 1 for an error; a promise of it where `run` is asynchronous
   * @throws what else comes out of `run`: a trap, a limit, what a function of the options threw
   */
  start(component: Component): number | Promise<number>;

  /**
   * The same for a WASI with the option `suspend`: the component may wait.
   *
   * @param options `signal`: ends the component at once if it waits, and else at its next call.
   * @returns the exit code
   * @throws the signal's reason, or what a stream of yours threw, unchanged
   * @throws {Error} `ERR_INVALID_STATE`: the WASI was made without `suspend`.
   *   `ERR_WASI_WOULD_WAIT`: the component was not transpiled so that it can wait.
   *   `ERR_WASI_BUSY`: it runs already. `ERR_WASI_CLOSED`: the WASI was closed meanwhile.
   */
  startAsync(component: Component, options?: { signal?: AbortSignal | undefined }): Promise<number>;

  /**
   * Gives an asynchronous export of a component as a function whose calls may wait, and fail with
   * what has ended the component.
   *
   * @throws {Error} `ERR_INVALID_STATE`: the WASI was made without `suspend`.
   */
  promising<Args extends unknown[], Result>(
    fn: (...args: Args) => Result,
  ): (...args: Args) => Promise<Awaited<Result>>;

  /**
   * Closes all descriptors and drops all resources of the guest, but for the host's standard
   * streams, which are borrowed. Can be called again.
   */
  close(): void;

  /** What was written to the standard output, if that is `'pipe'`. */
  get stdout(): Uint8Array | undefined;
  /** What was written to the standard error, if that is `'pipe'`. */
  get stderr(): Uint8Array | undefined;
  /** Whether `limits.outputBytes` cut the standard output, if that is `'pipe'`. */
  get stdoutTruncated(): boolean | undefined;
  /** Whether `limits.outputBytes` cut the standard error, if that is `'pipe'`. */
  get stderrTruncated(): boolean | undefined;
  /** With `suspend`: what was not read of a standard input that takes nothing back. */
  get unreadInput(): Uint8Array | undefined;
  /** How many resources (descriptors, streams, pollables, errors) the guest has now. */
  get resources(): number;

  /**
   * Reads a file of a directory in memory, as preview1's class does.
   *
   * @param guestPath as the guest would open it
   * @returns a copy of its bytes; `undefined` if the path leads to no such file
   */
  readFile(guestPath: string): Uint8Array | undefined;
  /**
   * The paths of all files and links in directories in memory, sorted.
   *
   * @throws `ERR_WASI_LIST_TOO_LONG`: as preview1's class.
   */
  listFiles(options?: { withTypes?: false | undefined }): string[];
  listFiles(options: { withTypes: true }): { path: string; type: 'file' | 'symlink' }[];
  /** What the guest has changed in overlays and in memory, sorted, as preview1's class tells it. */
  changes(): Change[];
  /**
   * Writes the guest's changes in overlays to the directories below them, as preview1's class does.
   *
   * @param guestPath the name of an overlay, or a path in one; by default all of them
   * @returns what was written
   * @throws `ERR_INVALID_ARG_VALUE`, `ERR_ACCESS_DENIED`, `ERR_WASI_COMMIT`: as preview1's class.
   */
  commit(guestPath?: string): Change[];
  /** Calls and nanoseconds by function, with the option `stats`. `waitedNs`: with `suspend`. */
  stats(): { [name: string]: FunctionStats } | undefined;

  /** The same as {@link WASI.close}. */
  [Symbol.dispose](): void;
}

/**
 * Says with which options the WASI behind the modules `wasi-rs/p2/cli` and so on is made. It must
 * be called before a component that imports them is loaded. If the options are wrong, no component
 * that imports them runs with others.
 *
 * @throws {TypeError | RangeError} as the constructor of {@link WASI}: an option is wrong.
 * @throws {Error} `ERR_WASI_ALREADY_STARTED`: they have been loaded.
 */
export function configure(options: WASIOptions | SuspendingOptions): void;

/**
 * Checks a component before jco makes JavaScript of it. That JavaScript runs outside of the
 * sandbox, and names of the component and of its core modules stand in it as texts. A name with a
 * quote, a backtick, a backslash, a control character, `${` or `*\/` could end such a text. Call it
 * for a component of a stranger, and give jco the same bytes. The command line does so itself.
 *
 * @param component the bytes of a component
 * @returns It rejects with a `WebAssembly.CompileError` with `ERR_WASI_COMPONENT` for what is no
 *   component, cannot be read, or has a name that would be code: the message says which; with
 *   `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for what is no bytes, or is detached.
 */
export function checkComponent(component: Bytes): Promise<void>;
