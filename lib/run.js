'use strict';

// A program in one call.

const { Buffer } = require('node:buffer');
const { compiled, programOf, runnable } = require('./program.js');
const { checkedRun } = require('./run-options.js');
const { whenAborted } = require('./signals.js');
const { enterGate, leaveWhenStarted } = require('./start-gate.js');
const { killed, neverStarted, supervise, timedOut } = require('./supervise.js');
const { now } = require('./time.js');

/**
 * As described in index.d.ts.
 *
 * @param {unknown} wasm
 * @param {object} [options]
 * @returns {Promise<object>}
 */
async function run(wasm, options = {}) {
  const begun = now();
  const checked = checkedRun('run', options);
  const end = await runOnce(wasm, checked);
  return resultOf(end, begun, checked);
}

/**
 * Runs a program in a guest of its own: a thread, a few of them, or a process.
 *
 * @param {unknown} wasm
 * @param {object} checked what `checkedRun` gives
 * @param {{ kill?: () => void }} [handle] see `supervise`
 * @returns {Promise<object>} see `supervise`
 */
async function runOnce(wasm, checked, handle = {}) {
  const program = await programFor(wasm, checked, handle);
  if (program.reason !== undefined) return program;
  const start = starterOf(checked.isolation, program.what.kind);
  const turn = enterGate();
  try {
    const given = await unlessEnded(turn.entered, checked, handle);
    if (given !== undefined) return given;
    const started = start(program, checked);
    leaveWhenStarted(turn, started);
    return await supervise(started, checked, handle);
  } catch (error) {
    if (error?.code === 'ERR_WASI_LIMIT') return neverStarted('memory', error);
    throw error;
  } finally {
    turn.leave();
  }
}

/**
 * The function that starts a guest: it takes a program's parts and the checked options, and gives a
 * run as guest-thread.js describes it.
 */
function starterOf(isolation, kind) {
  if (isolation === 'process') return require('./guest-process.js').start;
  if (kind === 'threads') return require('./guest-threads.js').start;
  return startThread;
}

function startThread(program, checked) {
  const { GuestThread } = require('./guest-thread.js');
  const thread = new GuestThread();
  let run;
  try {
    run = thread.run(jobOf(program, checked));
  } catch (error) {
    // Bytes that the embedder has transferred meanwhile.
    thread.stop();
    throw error;
  }
  // Nobody waits for its end: V8 may compile what will not be run any more.
  run.done.then(() => thread.stop());
  return run;
}

/** @returns {import('./guest-job.js').Job} */
function jobOf({ module, name, limits, memory, hasStart }, checked) {
  const { native, observers, names } = checked.jobFor(name);
  const { memoryBytes } = limits;
  const asText = checked.encoding === 'utf8';
  return { module, native, observers, names, memory, memoryBytes, hasStart, asText };
}

/**
 * The program's parts; or an end, where the guest asks for more than it may have or has no time, or
 * where the embedder ends it, though the compiler may go on.
 */
function programFor(wasm, checked, handle = {}) {
  return unlessEnded(parts(wasm, checked), checked, handle);
}

/** The value of a promise, or the end of a guest that the embedder ends before. */
async function unlessEnded(promise, { signal }, handle) {
  let ignore;
  const ended = new Promise((resolve) => {
    handle.kill = () => {
      handle.isKilled = true;
      resolve(neverStarted('killed', killed()));
    };
    if (handle.isKilled) handle.kill();
    if (signal === undefined) return;
    const stop = () => resolve(neverStarted('aborted', signal.reason));
    ignore = whenAborted(signal, stop);
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([ended, promise]);
  } finally {
    ignore?.();
  }
}

async function parts(wasm, { limits, timeoutMs }) {
  let program;
  try {
    program = await programOf(wasm, limits);
  } catch (error) {
    if (error?.code === 'ERR_WASI_LIMIT') return neverStarted('memory', error);
    throw error;
  }
  const all = runnable(program);
  return timeoutMs === 0 ? neverStarted('timeout', timedOut(timeoutMs)) : all;
}

/**
 * The same at once, of what has been compiled before; `undefined` for all else.
 *
 * @returns {object | undefined}
 */
function readyParts(wasm, { limits, timeoutMs }) {
  const program = compiled(wasm, limits);
  if (program === undefined || timeoutMs === 0) return undefined;
  return runnable(program);
}

/** The result of run() and pool.run(). */
function resultOf(end, begun, { encoding }) {
  if (end.reason === 'aborted') throw end.error;
  const result = statusOf(end, begun);
  result.stdout = outputAs(encoding, end.stdout);
  result.stderr = outputAs(encoding, end.stderr);
  return result;
}

/** @param {Uint8Array | string} output text only where `encoding` asks for it */
function outputAs(encoding, output) {
  if (encoding === 'buffer' || typeof output === 'string') return output;
  if (output.byteLength === 0) return '';
  return Buffer.from(output.buffer, output.byteOffset, output.byteLength).toString('utf8');
}

/** The members of a result beside the output: the result of `spawn`. */
function statusOf(end, begun) {
  const { reason, exitCode, error, truncated, files, changes, memoryBytes, stats } = end;
  const { startedAt, endedAt } = end;
  const from = startedAt ?? endedAt;
  const status = { reason, exitCode };
  if (error !== undefined) status.error = error;
  status.truncated = truncated;
  status.files = files;
  status.changes = changes;
  status.memoryBytes = memoryBytes;
  if (stats !== undefined) status.stats = stats;
  // How long the guest has run, and how long it took to start it.
  status.durationMs = Math.max(0, endedAt - from);
  status.startMs = Math.max(0, from - begun);
  return status;
}

module.exports = { jobOf, programFor, readyParts, resultOf, unlessEnded, run, runOnce, statusOf };
