// Runs one case of the table of guests and tells where it differs from what the table says.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inspect, isDeepStrictEqual } from 'node:util';
import { nodeFlags } from './implementation.mjs';
import { makeTree, readTree, withFolder } from './tree.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const RUNNER = path.join(here, 'run-guest.mjs');
/** How many milliseconds the last of what a guest's process said may take to arrive. */
const REST = 2000;
const SHORT = { breakLength: Infinity, maxStringLength: 3000, maxArrayLength: 20 };
export const GUESTS = path.resolve(here, '../guests');

// A case, every field optional:
//
//   args, env, version, returnOnExit    as the options of the class; args also as args(root)
//   tree(root)      what to make in the temporary folder, as tree.mjs has it
//   prepare(root)   more to make there
//   preopens        guest's name -> name below the folder, or an absolute one
//   stdin           { file: text }, { pipe: text }, { socket: text }, 'terminal' or 'listening'
//                   (with `says`, what the one who connects sends); none: /dev/null. A pipe's
//                   writer stays with `open: true`, and writes `later` when the guest waits
//   stdout          'file', or 'slow': a non-blocking pipe whose reader starts late
//   stderr          'stdin': what stdin is
//   memory          the descriptor of a memory to import as env.memory
//   calls           names of exports to call after initialize(), instead of start()
//   worker          'terminate': run on a Worker, and end it while it waits; 'grow': run on a
//                   Worker, and grow the shared memory while it waits
//   flip            two targets between which the link sandbox/flip is turned meanwhile
//   hostWrites      the host writes to stdout and stderr afterwards
//   flags           look at the flags of the host's standard descriptors before and after
//   expect          { end, stdout, stderr, answer, tree, check(result, root) }

async function collect(stream) {
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    // A guest that dies leaves a reset connection: what it had said counts.
  }
  return Buffer.concat(chunks).toString();
}

// A named pipe with a text in it: the descriptor to read from, and what to close when.
function namedPipe(root, text) {
  const place = path.join(root, 'pipe');
  execFileSync('mkfifo', [place]);
  // Opened for both ways first: opening one end alone would wait for the other.
  const writer = fs.openSync(place, 'r+');
  const reader = fs.openSync(place, 'r');
  const onlyWriter = fs.openSync(place, 'w');
  fs.closeSync(writer);
  if (text) fs.writeSync(onlyWriter, text);
  return { reader, writer: onlyWriter };
}

function connectWhenAsked(place, says) {
  const socket = net.connect(place);
  socket.on('error', () => {});
  socket.write(says);
  return collect(socket);
}

async function runIn(root, name, options, implementation, timeout) {
  makeTree(root, options.tree ? options.tree(root) : { sandbox: {} });
  options.prepare?.(root);
  const preopens = options.preopens ?? { '/sandbox': 'sandbox' };
  const spec = {
    implementation,
    root,
    wasm: path.join(GUESTS, `${name}.wasm`),
    args: typeof options.args === 'function' ? options.args(root) : (options.args ?? ['guest']),
    env: options.env ?? {},
    version: options.version === undefined ? 'preview1' : options.version,
    returnOnExit: options.returnOnExit ?? true,
    preopens: Object.fromEntries(
      Object.entries(preopens).map(([guest, host]) => [guest, path.resolve(root, host)]),
    ),
    memory: options.memory,
    memoryBytes: options.memoryBytes,
    initialize: options.calls !== undefined,
    calls: options.calls,
    worker: options.worker,
    flip: options.flip,
    hostWrites: options.hostWrites,
    flags: options.flags,
    stderr: options.stderr,
    nonBlockingStdout: options.stdout === 'slow',
  };

  // Descriptors of the child: 0, 1, 2, 3 for the result, 4 for a socket.
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe'];
  const open = [];
  let idleWriter;
  const { stdin } = options;
  if (stdin?.file !== undefined) {
    fs.writeFileSync(path.join(root, 'stdin.txt'), stdin.file);
    stdio[0] = fs.openSync(path.join(root, 'stdin.txt'), 'r');
    open.push(stdio[0]);
  } else if (stdin?.pipe !== undefined) {
    const { reader, writer } = namedPipe(root, stdin.pipe);
    stdio[0] = reader;
    open.push(reader);
    if (stdin.open) idleWriter = writer;
    else open.push(writer);
  } else if (stdin?.socket !== undefined) {
    stdio[4] = 'pipe';
    spec.stdin = 4;
  } else if (stdin !== undefined) {
    spec.stdin = stdin;
  }
  const stdoutFile = path.join(root, 'stdout.txt');
  if (options.stdout === 'file') {
    stdio[1] = fs.openSync(stdoutFile, 'w');
    open.push(stdio[1]);
  }

  const command = [process.execPath, ...nodeFlags(implementation), RUNNER, JSON.stringify(spec)];
  const shell = ['/bin/sh', '-c', '"$@" | { sleep 0.4; cat; }', 'sh'];
  const [file, ...rest] = options.stdout === 'slow' ? [...shell, ...command] : command;
  const env = { ...process.env };
  // The runner of the tests must not take the child for one of its test files.
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_OPTIONS;
  // A group of its own, so that a timeout ends the shell's children as well. Windows has neither.
  const detached = process.platform !== 'win32';
  const child = spawn(file, rest, { stdio, env, detached });
  for (const fd of open) fs.closeSync(fd);

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    try {
      process.kill(detached ? -child.pid : child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }, timeout);

  let answer;
  let resultText = '';
  const told = once(child.stdio[3], 'close');
  child.stdio[3].setEncoding('utf8');
  child.stdio[3].on('data', (text) => {
    resultText += text;
    if (stdin?.later && idleWriter !== undefined && resultText.includes('"waiting"')) {
      fs.writeSync(idleWriter, stdin.later);
      fs.closeSync(idleWriter);
      idleWriter = undefined;
    }
    if (stdin === 'listening' && answer === undefined && resultText.includes('"listening"')) {
      answer = connectWhenAsked(path.join(root, 'socket'), options.says);
    }
  });
  if (stdin?.socket !== undefined) {
    child.stdio[4].on('error', () => {});
    child.stdio[4].write(stdin.socket);
    answer = collect(child.stdio[4]);
  }
  const stdout = child.stdout ? collect(child.stdout) : Promise.resolve('');
  const stderr = collect(child.stderr);
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...how) => resolve(how));
  });
  clearTimeout(timer);
  if (idleWriter !== undefined) fs.closeSync(idleWriter);
  // Bun does not wait for this pipe before it says that all are closed.
  await Promise.race([told, sleep(REST, undefined, { ref: false })]);

  const last = resultText.trim().split('\n').pop();
  const result = last ? JSON.parse(last) : {};
  let { end } = result;
  if (timedOut) end = 'timeout';
  else if (end === undefined) end = signal ? `killed by ${signal}` : `process exit ${code}`;
  return {
    ...result,
    end,
    stdout: options.stdout === 'file' ? fs.readFileSync(stdoutFile, 'utf8') : await stdout,
    stderr: await stderr,
    answer: answer === undefined ? undefined : await answer,
  };
}

function problemsOf(result, root, expect) {
  const problems = [];
  const same = (what, got, want) => {
    const holds = want instanceof RegExp ? want.test(got) : isDeepStrictEqual(got, want);
    if (!holds) problems.push(`${what} is ${inspect(got, SHORT)}, not ${inspect(want, SHORT)}`);
  };
  same('the end', result.end, expect.end ?? 'exit 0');
  same('stdout', result.stdout, expect.stdout ?? 'ok\n');
  same('stderr', result.stderr, expect.stderr ?? '');
  if (expect.answer !== undefined) same('the answer', result.answer, expect.answer);
  if (expect.tree) {
    for (const [name, tree] of Object.entries(expect.tree(root))) {
      same(`the directory ${name}`, readTree(path.join(root, name)), tree);
    }
  }
  try {
    expect.check?.(result, root);
  } catch (error) {
    problems.push(error.message);
  }
  return problems;
}

// Runs a guest and lists the differences from what is expected.
export function problemsWith(name, options, implementation, timeout) {
  return withFolder(async (root) => {
    const result = await runIn(root, name, options, implementation, timeout);
    return problemsOf(result, root, options.expect ?? {});
  });
}
