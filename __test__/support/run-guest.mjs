// Runs one guest in a process of its own, so that a crash, a hang or an exit of the host is a
// result like any other. Called by guest.mjs with a description in JSON; what came of it goes to
// descriptor 3, one JSON object a line.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadWASI } from './implementation.mjs';

const RESULT = 3;

function tell(result) {
  fs.writeSync(RESULT, `${JSON.stringify(result)}\n`);
}

// The flags of the host's own standard descriptors, as the kernel has them.
function hostFlags() {
  return [0, 1, 2].map(
    (fd) => /flags:\s*(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1],
  );
}

// A listening socket, made without giving the event loop a chance to accept from it.
function listen(place) {
  const server = net.createServer().listen(place);
  tell({ listening: true });
  return server._handle.fd;
}

function stdinOf(spec) {
  if (spec.stdin === 'terminal')
    return fs.openSync('/dev/ptmx', fs.constants.O_RDWR | fs.constants.O_NOCTTY);
  if (spec.stdin === 'listening') return listen(path.join(spec.root, 'socket'));
  return spec.stdin;
}

// Node's own way to take a descriptor over makes it non-blocking; it stays so for this test.
function makeStdoutNonBlocking() {
  const socket = new net.Socket({ fd: 1, readable: false, writable: true });
  socket.unref();
  return socket;
}

// The guest as it is, or with memories and tables that have maxima.
function bytesOf({ wasm, memoryBytes }) {
  const bytes = fs.readFileSync(wasm);
  if (memoryBytes === undefined) return bytes;
  const { limited } = createRequire(import.meta.url)('../../lib/wasm-module.js');
  const rewritten = limited(bytes, { memoryBytes });
  tell({ rewritten: rewritten.length !== bytes.length });
  return rewritten;
}

async function run(spec, memory) {
  const WASI = await loadWASI(spec.implementation);
  const module = new WebAssembly.Module(bytesOf(spec));
  const kept = spec.nonBlockingStdout ? makeStdoutNonBlocking() : null;
  const options = {
    args: spec.args,
    env: spec.env,
    preopens: spec.preopens,
    returnOnExit: spec.returnOnExit,
  };
  if (spec.version !== null) options.version = spec.version;
  const stdin = stdinOf(spec);
  if (stdin !== undefined) options.stdin = stdin;
  if (spec.stderr === 'stdin') options.stderr = stdin;
  const wasi = new WASI(options);

  if (parentPort) tellOfWrites(wasi);
  const imports = { wasi_snapshot_preview1: wasi.wasiImport, wasi_unstable: wasi.wasiImport };
  if (spec.memory) imports.env = { memory: memory ?? new WebAssembly.Memory(spec.memory) };
  const instance = new WebAssembly.Instance(module, imports);

  if (spec.flip) await startFlipping(path.join(spec.root, 'sandbox'), spec.flip);
  const before = spec.flags ? hostFlags() : undefined;
  const result = {};
  try {
    if (spec.initialize) {
      wasi.initialize(instance);
      result.end = `returned ${spec.calls.map((name) => instance.exports[name]()).join(', ')}`;
    } else {
      result.end = `exit ${wasi.start(instance)}`;
    }
  } catch (error) {
    result.end = error instanceof WebAssembly.RuntimeError ? 'trap' : `${error}`;
  }
  if (spec.flags) {
    result.flags = { before, after: hostFlags() };
  }
  if (spec.hostWrites) {
    for (const fd of [1, 2]) {
      try {
        fs.writeSync(fd, `host writes to ${fd}\n`);
      } catch (error) {
        result.end += `, host cannot write to ${fd}: ${error.code}`;
      }
    }
  }
  if (kept) {
    result.nonBlocking = (parseInt(hostFlags()[1], 8) & fs.constants.O_NONBLOCK) !== 0;
  }
  return result;
}

// Lets the main thread know when the guest has written something: it waits right after that.
function tellOfWrites(wasi) {
  const { fd_write: write } = wasi.wasiImport;
  wasi.wasiImport.fd_write = (...args) => {
    const errno = write(...args);
    parentPort.postMessage('written');
    return errno;
  };
}

// Runs the guest on a Worker; comes back with the Worker when the guest waits.
async function startWorker(spec, memory) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { spec, memory } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  return worker;
}

// Ends the Worker while the guest waits.
async function runAndTerminate(spec) {
  const worker = await startWorker(spec);
  const start = process.hrtime.bigint();
  await worker.terminate();
  return { end: 'terminated', milliseconds: Number((process.hrtime.bigint() - start) / 1000000n) };
}

// Grows the shared memory while the guest waits for its stdin, which is written to after that.
async function runAndGrow(spec) {
  const memory = new WebAssembly.Memory(spec.memory);
  const worker = await startWorker(spec, memory);
  const result = new Promise((resolve, reject) => {
    worker.on('message', (message) => message.end && resolve(message));
    worker.once('error', reject);
  });
  memory.grow(2);
  tell({ waiting: true });
  return result;
}

// Turns the link `flip` in a directory back and forth between two targets, for as long as it runs.
function startFlipping(folder, targets) {
  const code = `
    const fs = require('node:fs');
    const { folder, targets } = require('node:worker_threads').workerData;
    for (let round = 0; round < 10_000_000; round++) {
      fs.symlinkSync(targets[round % 2], folder + '/next');
      fs.renameSync(folder + '/next', folder + '/flip');
    }`;
  const worker = new Worker(code, { eval: true, workerData: { folder, targets } });
  return new Promise((resolve, reject) => {
    worker.once('online', resolve);
    worker.once('error', reject);
  });
}

if (isMainThread) {
  const spec = JSON.parse(process.argv[2]);
  const how = { terminate: runAndTerminate, grow: runAndGrow }[spec.worker] ?? run;
  tell(await how(spec));
  process.exit(0);
} else {
  parentPort.postMessage(await run(workerData.spec, workerData.memory));
}
