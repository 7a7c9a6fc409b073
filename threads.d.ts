import type { WASI, WebAssemblyModule } from './index.js';

export interface ThreadsOptions {
  /**
   * How many threads there may be beside the main one at a time. To start more fails in the guest
   * with errno 6 (again), and so does a thread that the system cannot start.
   * @default 64
   */
  maxThreads?: number | undefined;
  /**
   * The shared memory. By default a new one of the size that the module asks for; a module that is
   * compiled already does not say which, so it needs this.
   */
  memory?: object | undefined;
}

/**
 * Runs a command that was built for wasi-threads: it imports its shared memory and
 * `wasi.thread-spawn`. Each thread runs in a Worker; all of them use the descriptors, arguments and
 * environment of `wasi`. The calling thread stays free. {@link run} runs such programs too, and
 * ends them by time.
 *
 * @param wasi of `wasi-rs`, not started yet; it is closed by who made it
 * @param wasm the bytes of the module, or the module compiled
 * @returns the exit code: 0 when `_start` returns, or what any thread gave to `proc_exit`. It
 *   rejects with the error of a trap in any thread, with its class, or with `ERR_WASI_CRASH` or
 *   Node's `ERR_WORKER_OUT_OF_MEMORY` for a thread that is lost. Each ends all threads, and the
 *   promise settles when they have ended. A thread that does not end in 10 seconds (on Bun
 *   and Deno, which cannot end one that computes: in 1 second) is left behind; it keeps no process
 *   from ending.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`: an argument or option is of the wrong type.
 *   `ERR_INVALID_ARG_VALUE`: the module was not built for wasi-threads, is compiled and there is no
 *   `memory`, or the WASI has what belongs to one thread: it suspends, or has streams that are
 *   functions, a preopen `{ fs }`, a trace, statistics, `timeoutMs`, `hostCalls`.
 * @throws {RangeError} `ERR_OUT_OF_RANGE`: `maxThreads`.
 */
export function runThreads(
  wasi: WASI,
  wasm: ArrayBuffer | ArrayBufferView | WebAssemblyModule,
  options?: ThreadsOptions,
): Promise<number>;
