'use strict';

// The command line's additions to the imports of a guest, in each thread of it.

const EPIPE = 64;
/**
 * The exit code of a program whose reader has gone, as a shell counts: 128 and the number of
 * SIGPIPE.
 */
const NO_READER = 141;

/**
 * Node ignores SIGPIPE, which would have ended the program.
 *
 * @param {object} wasiImport is changed
 * @param {(code: number) => void} end does not return
 */
function endWithReader(wasiImport, end) {
  const { fd_write: write } = wasiImport;
  wasiImport.fd_write = (fd, iovs, length, written) => {
    const errno = write(fd, iovs, length, written);
    if (errno === EPIPE && fd === 1) end(NO_READER);
    return errno;
  };
}

/**
 * Functions for imports that nobody gives: each traps when it is called.
 *
 * @param {object} imports is added to; it and its values inherit nothing
 * @param {{ module: string, name: string }[]} unknown
 */
function addTraps(imports, unknown) {
  const { printable } = require('./printable.js');
  const { trapOf } = require('./ends.js');
  for (const { module, name } of unknown) {
    imports[module] ??= Object.create(null);
    imports[module][name] = () => {
      throw trapOf(`${printable(`${module}.${name}`)} is not there`);
    };
  }
}

/**
 * The same for a thread of a guest, whose imports are made in a Worker.
 *
 * @param {object} imports as the thread would have them
 * @param {object} imports.wasi_snapshot_preview1
 * @param {object} watched what `runThreads` was given
 * @param {WebAssembly.Memory} memory
 * @param {number} [id] of a thread that is not the main one
 * @returns {object} the imports
 */
function watchThread(imports, watched, memory, id) {
  const { trace, file, pathsBuffer, counts, functions, unknown } = watched;
  const wasiImport = Object.assign(Object.create(null), imports.wasi_snapshot_preview1);
  if (trace !== undefined || counts !== undefined) {
    const { SharedPaths, watch } = require('./cli-trace.js');
    const paths = new SharedPaths(pathsBuffer);
    const prefix = id === undefined ? '' : `[thread ${id}] `;
    watch(wasiImport, { trace, file, paths, counts, functions, prefix, memory: () => memory });
  }
  endWithReader(wasiImport, wasiImport.proc_exit);
  const all = Object.create(null);
  for (const [module, values] of Object.entries(imports)) {
    all[module] = Object.assign(Object.create(null), values);
  }
  all.wasi_snapshot_preview1 = wasiImport;
  addTraps(all, unknown);
  return all;
}

module.exports = { addTraps, endWithReader, watchThread };
