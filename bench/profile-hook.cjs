'use strict';

// Loaded before a program by profile.mjs: counts and times the host calls of all WASI instances
// that the program makes with `node:wasi`, and appends what it found to the file PROFILE_REPORT as
// a line of JSON.

const { appendFileSync } = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const { performance } = require('node:perf_hooks');
const builtin = require('node:wasi');

const { PROFILE_IMPLEMENTATION: implementation, PROFILE_REPORT: report } = process.env;
const { WASI } = implementation === 'wasi-rs' ? require('..') : builtin;
const now = () => performance.now();

/** Where a call finds the list of its buffers and leaves how many bytes it moved. */
const MOVED = { fd_read: 3, fd_write: 3, fd_pread: 4, fd_pwrite: 4, fd_readdir: 4 };

const calls = {};
let begin;

class ProfiledWASI extends WASI {
  #memory;

  constructor(options) {
    super(options);
    begin ??= now();
    for (const [name, call] of Object.entries(this.wasiImport)) {
      this.wasiImport[name] = this.#timed(name, call);
    }
  }

  #timed(name, call) {
    const figures = (calls[name] ??= { count: 0, failed: 0, ms: 0, bytes: 0, each: [] });
    const moved = MOVED[name];
    return (...args) => {
      figures.count++;
      let errno;
      const start = now();
      try {
        errno = call(...args);
      } finally {
        const spent = now() - start;
        figures.ms += spent;
        figures.each.push(spent);
      }
      if (errno !== 0) figures.failed++;
      else if (moved !== undefined && this.#memory) {
        figures.bytes += new DataView(this.#memory.buffer).getUint32(args[moved] >>> 0, true);
      }
      return errno;
    };
  }

  finalizeBindings(instance, options) {
    this.#memory = options?.memory ?? instance?.exports?.memory;
    return super.finalizeBindings(instance, options);
  }

  start(instance) {
    this.#memory = instance?.exports?.memory;
    return super.start(instance);
  }

  initialize(instance) {
    this.#memory = instance?.exports?.memory;
    return super.initialize(instance);
  }
}

/** Of a machine that does other work too, the median says more than the mean. */
function takeMedian(figures) {
  const sorted = figures.each.sort((a, b) => a - b);
  delete figures.each;
  return sorted[sorted.length >> 1];
}

builtin.WASI = ProfiledWASI;
syncBuiltinESMExports();

process.on('exit', () => {
  if (begin === undefined) return;
  for (const figures of Object.values(calls)) figures.median = takeMedian(figures);
  appendFileSync(report, `${JSON.stringify({ calls, ms: now() - begin })}\n`);
});
