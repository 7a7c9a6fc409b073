// The other side of a race: puts one thing in place of another, over and over, until it is stopped.
// Runs as a process of its own or as a Worker.

import fs from 'node:fs';
import path from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { loadWASI } from '../support/implementation.mjs';
import { Guest } from './guest.mjs';

const { kind, folder, seconds, implementation } = isMainThread
  ? JSON.parse(process.argv[2])
  : workerData;
const sandbox = (...names) => path.join(folder, 'sandbox', ...names);
const elsewhere = (...names) => path.join(folder, 'elsewhere', ...names);

/** The guest may be in the way; the next turn puts it right. */
function attempt(call, ...args) {
  try {
    call(...args);
  } catch {
    // Nothing to do.
  }
}

function replaceByLink(text, place) {
  attempt(fs.symlinkSync, text, elsewhere('new'));
  attempt(fs.renameSync, elsewhere('new'), place);
}

const TURNS = {
  /** A directory and a link to a directory outside change places. */
  directory() {
    attempt(fs.renameSync, sandbox('d'), elsewhere('directory'));
    attempt(fs.renameSync, elsewhere('link'), sandbox('d'));
    attempt(fs.renameSync, sandbox('d'), elsewhere('link'));
    attempt(fs.renameSync, elsewhere('directory'), sandbox('d'));
  },

  /** A file becomes a link to a file outside, and a file again. */
  file() {
    replaceByLink('../outside/secret.txt', sandbox('f'));
    attempt(fs.linkSync, elsewhere('file'), elsewhere('new'));
    attempt(fs.renameSync, elsewhere('new'), sandbox('f'));
  },

  /** A link leads inside, and outside. */
  link() {
    replaceByLink('dir', sandbox('l'));
    replaceByLink('../outside', sandbox('l'));
  },

  /** A directory moves out, so that its `..` is outside, and back in. */
  parent() {
    attempt(fs.renameSync, sandbox('a', 'b'), elsewhere('b'));
    attempt(fs.renameSync, elsewhere('b'), sandbox('a', 'b'));
  },
};

/** The same as `link`, by a second guest with the same preopen. */
async function guestTurn() {
  const WASI = await loadWASI(implementation);
  const guest = new Guest(WASI, { preopens: { '/sandbox': sandbox() } });
  return () => {
    for (const text of ['dir', '../outside']) {
      guest.symlink(text, 3, 'new-link');
      guest.rename(3, 'new-link', 3, 'l');
    }
  };
}

const turn = kind === 'guest' ? await guestTurn() : TURNS[kind];
const end = Date.now() + (seconds + 60) * 1000;
let isStopped = false;
parentPort?.once('message', () => (isStopped = true));
turn();
if (isMainThread) process.send('started');
else parentPort.postMessage('started');
while (Date.now() < end && !isStopped) {
  for (let i = 0; i < 100; i += 1) turn();
  // Messages come and, with Deno, go only when the event loop has its turn.
  await new Promise(setImmediate);
}
parentPort?.postMessage('stopped');
