'use strict';

// Lets a few guests start at a time. The start of a thread or a process occupies a processor for tens
// of milliseconds, so if a hundred started at once, none would start in time.

const { availableParallelism, cpus } = require('node:os');
const { clearInterval, setInterval } = require('./time.js');

const MOST = Math.max(4, 2 * (availableParallelism?.() ?? cpus().length));
/** After how many milliseconds a guest that has not started lets the next one in. */
const PATIENCE = 1000;
/** How many milliseconds pass between two looks at whether a guest has started. */
const PAUSE = 5;

let inside = 0;
/** Functions that let one in, in their order. */
const waiting = new Set();

/**
 * Asks for a turn.
 *
 * @returns {{ entered: Promise<void>, leave: () => void }} `leave` gives the turn to the next one,
 *   whether or not it has come
 */
function enterGate() {
  let isInside = false;
  let isOver = false;
  let enter;
  const entered = new Promise((resolve) => {
    enter = () => {
      inside++;
      isInside = true;
      resolve();
    };
  });
  if (inside < MOST) enter();
  else waiting.add(enter);
  function leave() {
    if (isOver) return;
    isOver = true;
    if (!isInside) return void waiting.delete(enter);
    inside--;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  }
  return { entered, leave };
}

/** Leaves when a guest has started. */
function leaveWhenStarted(turn, run) {
  let left = PATIENCE / PAUSE;
  const timer = setInterval(() => {
    if (--left > 0 && run.startedAt() === undefined && !run.isOver()) return;
    clearInterval(timer);
    turn.leave();
  }, PAUSE);
  run.done.then(() => {
    clearInterval(timer);
    turn.leave();
  });
}

module.exports = { enterGate, leaveWhenStarted };
