'use strict';

// Observers of a guest's calls: budgets, traces and statistics. Only an instance with one of these
// options has its imports wrapped; all others pay nothing.

const { Buffer } = require('node:buffer');
const { writeSync } = require('node:fs');
const { printable, printableLines } = require('./printable.js');
const { hrtime, now } = require('./time.js');
const { errnoName, traced } = require('./trace.js');
const { WAITS } = require('./trampolines.js');

const { apply } = Reflect;
const { emitWarning } = process;
const STDERR = 2;
/** For how many milliseconds a line of a trace waits for room in the standard error. */
const PATIENCE = 1000;
/** How many milliseconds pass between two attempts. */
const PAUSE = 5;

/**
 * Wraps all imports.
 *
 * @param {object} wasiImport is changed
 * @param {object} observers `hostCalls`, `timeoutMs`, `trace`, `stats`; and `counts`, a
 *   `Float64Array` for what is counted, if other threads are to see it: the calls and the
 *   nanoseconds of each function, in the order of `wasiImport`
 * @param {object} guest `now`, `setDeadline`, `copyOut`, `check`, `exceed`; `peers`, if it has
 *   sockets; and `later`, which is told who wants to know of the end of a call that has suspended
 *   the guest
 * @returns {{ stats: () => object | undefined, begin: () => void }} `begin`: the guest's time
 *   begins here, and not with its first call
 */
function observe(wasiImport, { hostCalls, timeoutMs, trace, stats, counts }, guest) {
  const report = reporter(trace);
  const { peers } = guest;
  const isTimed = stats === true || report !== undefined;

  let left = hostCalls ?? Infinity;
  let deadline;
  const table = { __proto__: null };

  function begin() {
    if (timeoutMs !== undefined) guest.setDeadline((deadline = guest.now() + timeoutMs));
  }

  function check() {
    guest.check();
    if (--left < 0) guest.exceed('hostCalls', `The guest has made its ${hostCalls} calls`);
    if (timeoutMs === undefined) return;
    // An export that the embedder calls itself: time runs from the first call.
    if (deadline === undefined) begin();
    if (guest.now() > deadline) {
      guest.exceed('timeoutMs', `The guest has run for its ${timeoutMs} ms`);
    }
  }

  for (const [place, [name, call]] of Object.entries(wasiImport).entries()) {
    const entry = { calls: 0, ns: 0 };
    if (guest.later !== undefined) entry.waitedNs = 0;
    const watched = {
      [name](...args) {
        check();
        if (!isTimed) return call(...args);
        const described = report && argumentsOf(name, args, guest.copyOut);
        let peer = report && peers?.before(name, args);
        const start = hrtime.bigint();
        let errno;
        const tell = (errno, ns, waitedNs) => {
          entry.calls++;
          entry.ns += ns;
          table[name] = entry;
          if (waitedNs !== undefined) entry.waitedNs += waitedNs;
          if (counts !== undefined) {
            counts[2 * place] = entry.calls;
            counts[2 * place + 1] = entry.ns;
          }
          peer ??= peers?.after(name, args, errno);
          if (report) {
            const named = errno === undefined ? undefined : errnoName(errno);
            const event = { name, args: described, errno: named, ns };
            if (waitedNs !== undefined) event.waitedNs = waitedNs;
            if (peer !== undefined) event.peer = peer;
            report(event);
          }
        };
        try {
          errno = call(...args);
          return errno;
        } finally {
          const ns = Number(hrtime.bigint() - start);
          if (errno !== WAITS) tell(errno, ns, guest.later && 0);
          else guest.later((errno, more, waitedNs) => tell(errno, ns + more, waitedNs));
        }
      },
    }[name];
    Object.defineProperty(watched, 'length', { value: call.length, configurable: true });
    wasiImport[name] = watched;
  }
  return {
    begin,
    stats: () =>
      stats === true
        ? Object.fromEntries(
            Object.entries(table).map(([name, entry]) => [
              name,
              peers !== undefined && name === 'sock_accept'
                ? { ...entry, peers: peers.counts() }
                : { ...entry },
            ]),
          )
        : undefined,
  };
}

// A trace never stops or changes the guest, whatever happens to it.

/** @returns {((event: object) => void) | undefined} what takes the events of a trace */
function reporter(trace) {
  return trace === true ? print : trace ? guarded(trace) : undefined;
}

/**
 * The arguments by name. Whoever calls imports from JavaScript may pass values that cannot be
 * described.
 */
function argumentsOf(name, args, copyOut) {
  try {
    return traced(name, args, copyOut);
  } catch {
    return {};
  }
}

/**
 * The embedder's function. What it throws first becomes a warning of the process; it is called on.
 */
function guarded(trace) {
  let hasFailed = false;
  const warn = (error) => {
    if (hasFailed) return;
    hasFailed = true;
    const reason = error instanceof Error ? (error.stack ?? error.message) : text(error);
    // Its stack has names that the guest chose.
    const message = `The function options.trace threw: ${printableLines(reason)}`;
    apply(emitWarning, process, [message, { code: 'WASI_TRACE' }]);
  };
  return (event) => {
    try {
      const traced = trace(event);
      // Nobody waits for the promise of an async function, and its rejection is nobody else's.
      if (typeof traced?.then === 'function') traced.then(undefined, warn);
    } catch (error) {
      warn(error);
    }
  };
}

/** A call as a line on the host's standard error. */
function print({ name, args, errno, ns, peer }) {
  const list = Object.entries(args).map(([key, value]) => `${key}=${text(value)}`);
  const who = peer === undefined ? '' : ` ${peer}`;
  put(`wasi: ${name}(${list.join(', ')}) = ${errno ?? 'stopped'}${who} [${ns} ns]\n`);
}

/** The end of a line whose beginning was written. */
let rest = Buffer.alloc(0);
/** How many lines were dropped since the last one that was written. */
let dropped = 0;

/**
 * Writes a line. One that finds no room in time is dropped, and those after it do not wait until
 * there is room again.
 */
function put(line) {
  const isLate = dropped > 0;
  const until = isLate ? 0 : now() + PATIENCE;
  // A line that was begun is finished first.
  rest = written(rest, until);
  if (rest.length > 0) {
    dropped++;
    return;
  }
  const notice = isLate ? `wasi: ${dropped} calls are left out: there was no room for them\n` : '';
  const bytes = Buffer.from(notice + line);
  const left = written(bytes, until);
  if (left.length === bytes.length) dropped++;
  else [rest, dropped] = [left, 0];
}

/** @returns {Buffer} what could not be written until then */
function written(bytes, until) {
  for (;;) {
    if (bytes.length === 0) return bytes;
    try {
      bytes = bytes.subarray(writeSync(STDERR, bytes));
    } catch (error) {
      if (error.code === 'EINTR') continue;
      // A pipe that is full and does not wait. Whatever else is wrong will not be better later.
      if (error.code !== 'EAGAIN') return Buffer.alloc(0);
      if (now() >= until) return bytes;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
    }
  }
}

function text(value) {
  // JSON leaves what some terminals obey, as U+009B.
  if (typeof value === 'string') return printable(JSON.stringify(value));
  if (Array.isArray(value)) return value.join('|') || '0';
  return typeof value === 'object' && value !== null ? 'object' : String(value);
}

module.exports = { observe, reporter };
