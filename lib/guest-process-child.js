'use strict';

// The process of a guest: see guest-process.js, which starts it. The guest runs in a thread of it,
// so that this one can say at any time what the guest has left, and ends with the process that
// started it.

const { Buffer } = require('node:buffer');
const fs = require('node:fs');
const { adoptPipeEnd, exitProcess, sharePipeEnd } = require('../binding.js');
const { GuestThread } = require('./guest-thread.js');
const { Inbox, parts } = require('./messages.js');
const { boundProcess } = require('./own-memory.js');
const { after, plainError } = require('./workers.js');

/** The descriptor by which the two processes speak. */
const CHANNEL = 3;
const CHUNK = 65_536;
/** How many bytes are written at once: Node takes less than 2 GiB. */
const MOST_AT_ONCE = 2 ** 30;
/** How many milliseconds pass before it is asked again whether the guest has started. */
const LOOKS = [1, 1, 2, 2, 4, 8];
const NAP = 2;
/** How many milliseconds pass before the guest's size is looked at again. */
const PERIOD = 100;
/**
 * How many milliseconds a guest has to end, before what it has left is told. Bun and Deno cannot
 * end one that computes, so there nobody waits.
 */
const END_LIMIT = process.versions.bun || process.versions.deno ? 0 : 1000;

const inbox = new Inbox();
/**
 * Programs that this process has been given, by their numbers: their `size` in bytes, and `module`,
 * or `bytes` that have not been compiled.
 */
const modules = new Map();
let thread;
/** The run that goes on: its number, and how guest-thread.js describes it. */
let current;

// Ctrl-C and the end of a terminal are sent to all of its processes, and a service that is to end
// gets SIGTERM in all of its own. What becomes of the guest is the embedder's to say, and this
// process ends when the embedder's does.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM']) process.on(signal, () => {});
read(Buffer.allocUnsafe(CHUNK));

function read(chunk) {
  fs.read(CHANNEL, chunk, 0, CHUNK, null, (error, length) => {
    if (error?.code === 'EAGAIN') return setTimeout(read, NAP, chunk);
    // The other process has ended, or has no use for this one any more.
    if (error || length === 0) return exitProcess(0);
    for (const message of inbox.add(Buffer.from(chunk.subarray(0, length)))) handle(message);
    read(chunk);
  });
}

function handle(message) {
  if (message.stop === undefined) begin(message);
  else stop(message.stop);
}

async function begin({ job, run, program, bytes, forget }) {
  send({ run, taken: true });
  try {
    for (const one of forget) modules.delete(one);
    // First: the other process sends it once, whatever becomes of this run.
    if (bytes !== undefined) modules.set(program, { bytes, size: bytes.length });
    const known = modules.get(program);
    // A socket has a path too long for an address but by this directory.
    if (job.directory !== undefined) process.chdir(job.directory);
    boundProcess(job.memoryBytes, known.size, job.maxThreads);
    if (known.module === undefined) {
      known.module = await WebAssembly.compile(known.bytes);
      known.bytes = undefined;
    }
    const started = start({ ...job, native: opened(job.native), module: known.module });
    const one = { run, started, isStopped: false };
    current = one;
    lookForStart(one, 0);
    const outcome = await started.done;
    const { gone } = outcome;
    // It has ended because `stop` ends it, which says the rest.
    if (gone !== undefined && one.isStopped) return;
    current = undefined;
    const plain = gone === undefined ? outcome : { gone: plainError(gone) };
    send({ run, outcome: plain, startedAt: started.startedAt(), left: started.left() });
    started.release();
  } catch (error) {
    current = undefined;
    send({ run, outcome: { failure: plainError(error), phase: 'start' } });
  }
}

function start(job) {
  const { module, name, memory, hasStart, native, names, observers } = job;
  const { maxThreads, isOwnThread } = job;
  if (maxThreads === undefined) {
    if (!thread?.isFree) thread = new GuestThread();
    return thread.run(job);
  }
  return require('./guest-threads.js').start(
    { module, name, memory, hasStart },
    {
      jobFor: () => ({ native, names, observers }),
      checked: { functions: undefined, isOwnThread, names, isOurs: true, lent: undefined },
      maxThreads,
    },
  );
}

/** The standard streams that this process was started with, as the guest gets them. */
function opened(native) {
  const own = { ...native };
  for (const name of ['stdin', 'stdout', 'stderr']) {
    const stream = own[name];
    if (stream?.kind !== 'inherited') continue;
    own[name] = { kind: 'end', end: endOf(stream.descriptor), terminal: stream.terminal };
    if (stream.isShared) {
      const shared = sharePipeEnd(own[name].end);
      if (typeof shared === 'string') throw new Error(`There is no pipe for the guest: ${shared}`);
      own.stderr = { ...own[name], end: shared };
    }
  }
  return own;
}

function endOf(descriptor) {
  const end = adoptPipeEnd(descriptor);
  if (typeof end === 'string') throw new Error(`There is no pipe for the guest: ${end}`);
  return end;
}

function lookForStart(one, turn) {
  if (current !== one) return;
  const startedAt = one.started.startedAt();
  if (startedAt === undefined) {
    setTimeout(lookForStart, LOOKS[Math.min(turn, LOOKS.length - 1)], one, turn + 1);
    return;
  }
  let facts = one.started.facts();
  send({ run: one.run, startedAt, facts });
  // The other process has no part in the memory, and wants to know its size when this one crashes.
  const timer = setInterval(() => {
    if (current !== one) return clearInterval(timer);
    const { memoryBytes } = one.started.facts();
    if (memoryBytes === facts.memoryBytes) return;
    facts = { ...facts, memoryBytes };
    send({ run: one.run, facts });
  }, PERIOD);
}

/**
 * Ends the process, and says before what the guest has left. That may be much, and take seconds to
 * hand over, so the guest is ended first: what it does in that time would be in no result.
 */
async function stop(run) {
  const one = current;
  if (one?.run === run) {
    one.isStopped = true;
    send({ run, isEnding: true });
    await ended(one.started);
    send({ run, stopped: true, left: one.started.left() });
  }
  exitProcess(0);
}

async function ended(started) {
  if (END_LIMIT === 0) return;
  let giveUp;
  const late = new Promise((resolve) => {
    giveUp = after(END_LIMIT, resolve);
  });
  await Promise.race([started.stop(), late]);
  giveUp();
}

function send(message) {
  for (const part of parts(message)) write(part);
}

function write(bytes) {
  while (bytes.length > 0) {
    try {
      const length = Math.min(bytes.length, MOST_AT_ONCE);
      bytes = bytes.subarray(fs.writeSync(CHANNEL, bytes, 0, length));
    } catch (error) {
      if (error.code !== 'EAGAIN') exitProcess(0);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP);
    }
  }
}
