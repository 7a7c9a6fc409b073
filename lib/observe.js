'use strict';

// What watches the calls of a guest: budgets, traces and statistics. Only an instance with one of these
// options has its imports wrapped; all others pay nothing.

const { writeSync } = require('node:fs');
const { limitReached } = require('./errors.js');
const { errnoName, traced } = require('./trace.js');

const { hrtime } = process;
const STDERR = 2;

/**
 * Wraps all imports.
 *
 * @param {object} wasiImport is changed
 * @param {object} observers `hostCalls`, `deadlineMs`, `trace`, `stats`
 * @param {{ now: () => number, setDeadline: (time: number) => void, copyOut: (offset: number, length: number) => Uint8Array }} guest
 * @returns {{ stats: () => object | undefined }}
 */
function observe(wasiImport, { hostCalls, deadlineMs, trace, stats }, guest) {
  const report = trace === true ? print : trace || undefined;
  const isTimed = stats === true || report !== undefined;

  let left = hostCalls ?? Infinity;
  let deadline;
  const table = { __proto__: null };

  /** Time runs from the first call. */
  function check() {
    if (--left < 0) throw limitReached('hostCalls', `The guest has made its ${hostCalls} calls`);
    if (deadlineMs === undefined) return;
    if (deadline === undefined) guest.setDeadline((deadline = guest.now() + deadlineMs));
    if (guest.now() > deadline) {
      throw limitReached('deadlineMs', `The guest has run for its ${deadlineMs} ms`);
    }
  }

  for (const [name, call] of Object.entries(wasiImport)) {
    const entry = { calls: 0, ns: 0 };
    const watched = {
      [name](...args) {
        check();
        if (!isTimed) return call(...args);
        const described = report && traced(name, args, guest.copyOut);
        const start = hrtime.bigint();
        let errno;
        try {
          errno = call(...args);
          return errno;
        } finally {
          const ns = Number(hrtime.bigint() - start);
          entry.calls++;
          entry.ns += ns;
          table[name] = entry;
          report?.({
            name,
            args: described,
            errno: errno === undefined ? undefined : errnoName(errno),
            ns,
          });
        }
      },
    }[name];
    Object.defineProperty(watched, 'length', { value: call.length, configurable: true });
    wasiImport[name] = watched;
  }
  return {
    stats: () =>
      stats === true
        ? Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, { ...entry }]))
        : undefined,
  };
}

/** A call as a line on the host's standard error. */
function print({ name, args, errno, ns }) {
  const list = Object.entries(args).map(([key, value]) => `${key}=${text(value)}`);
  writeSync(STDERR, `wasi: ${name}(${list.join(', ')}) = ${errno ?? 'stopped'} [${ns} ns]\n`);
}

function text(value) {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? value.join('|') || '0'
      : String(value);
}

module.exports = { observe };
