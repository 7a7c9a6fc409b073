'use strict';

// A job as the message to the thread that runs it. A structured clone takes its time by the number
// of properties, so what most jobs have alike is left out, and what belongs to the program is sent
// once with its module.

/** A stream that gives and takes nothing; those that are collected lie below it, by their limit. */
const IGNORED = -1;
const COLLECTED = -2;
/** The largest limit that is sent as a number of a stream. */
const MOST = 2 ** 52;
const NO_PREOPENS = [];

/**
 * @param {import('./guest-job.js').Job} job
 * @returns {unknown[]}
 */
function packed({ native, observers, names }) {
  const { args, env, stdin, stdout, stderr, preopens, extended } = native;
  const isPlain = preopens.length === 0 && extended === undefined && observers === undefined;
  const rest = isPlain ? undefined : { preopens, extended, observers, names };
  return [args, env, stream(stdin), stream(stdout), stream(stderr), rest];
}

/**
 * @param {unknown[]} message what `packed` gave
 * @param {{ module: WebAssembly.Module, memory?: object, hasStart: boolean }} program
 * @param {number} place where the run's output and trees are kept
 * @returns {import('./guest-job.js').Job}
 */
function unpacked([args, env, stdin, stdout, stderr, rest], program, place) {
  const { preopens = NO_PREOPENS, extended, observers, names = NO_PREOPENS } = rest ?? {};
  const { module, memory, hasStart } = program;
  return {
    module,
    native: {
      args,
      env,
      stdin: streamOf(stdin),
      stdout: streamOf(stdout),
      stderr: streamOf(stderr),
      preopens,
      extended,
    },
    observers,
    names,
    memory,
    hasStart,
    place,
  };
}

function stream(value) {
  if (typeof value === 'number') return value;
  if (value.kind === 'ignore') return IGNORED;
  if (value.kind === 'collected' && value.cap <= MOST) return COLLECTED - value.cap;
  return value;
}

function streamOf(value) {
  if (typeof value !== 'number' || value >= 0) return value;
  return value === IGNORED
    ? { kind: 'ignore', bytes: undefined, cap: undefined, end: undefined, terminal: undefined }
    : {
        kind: 'collected',
        bytes: undefined,
        cap: COLLECTED - value,
        end: undefined,
        terminal: undefined,
      };
}

module.exports = { packed, unpacked };
