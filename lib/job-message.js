'use strict';

// A job as the message to the thread that runs it. A structured clone takes its time by the number
// of properties, so what most jobs have alike is left out, and what belongs to the program is sent
// once with its module.

const { packedStream } = require('./instance.js');

const NO_PREOPENS = [];

/**
 * @param {import('./guest-job.js').Job} job
 * @returns {unknown[]}
 */
function packed({ native, observers, names }) {
  const { args, env, stdin, stdout, stderr, preopens, extended } = native;
  const isPlain = preopens.length === 0 && extended === undefined && observers === undefined;
  const rest = isPlain ? undefined : { preopens, extended, observers, names };
  return [args, env, packedStream(stdin), packedStream(stdout), packedStream(stderr), rest];
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
    native: { args, env, stdin, stdout, stderr, preopens, extended },
    observers,
    names,
    memory,
    hasStart,
    place,
  };
}

module.exports = { packed, unpacked };
