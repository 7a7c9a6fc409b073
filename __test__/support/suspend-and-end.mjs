// A process with guests that wait, and how it ends: `node suspend-and-end.mjs KIND [TIMES]`.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const kind = isMainThread ? process.argv[2] : workerData.kind;
const times = Number(process.argv[3] ?? 1);
const say = (line) => fs.writeSync(1, `${line}\n`);

/** How many Workers there are at a time. */
const AT_ONCE = 4;

async function often(act) {
  const all = async (times) => {
    let left = times;
    const run = async () => {
      while (left-- > 0) await act();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
  };
  // The runtime keeps some descriptors for Workers to come.
  await all(AT_ONCE);
  const before = sockets();
  await all(times);
  for (let at = 0; at < 200 && sockets() > before + AT_ONCE; at++) await later(10);
  const more = sockets() - before;
  if (more > AT_ONCE) throw new Error(`${more} descriptors are left`);
  say(`ended ${times}`);
}

/** A named pipe that nobody writes. */
function fifo() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-suspend-'));
  const name = path.join(folder, 'pipe');
  execFileSync('mkfifo', [name]);
  const fd = fs.openSync(name, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  fs.rmSync(folder, { recursive: true });
  return fd;
}

/** Loaded where guests run: some Workers are the only ones that load the addon. */
const load = () => import('./suspending.mjs');

/**
 * Guests that sleep, read a pipe, wait for a connection and for what comes over one; all wait for
 * longer than the process lives.
 */
async function waiting(count) {
  const { WASI } = createRequire(import.meta.url)('../../index.js');
  const [sleeps, reads, serves] = [SLEEPS, READS, SERVES].map(
    (bytes) => new WebAssembly.Module(bytes),
  );
  const fd = fifo();
  const options = { suspend: true, stdin: fd, args: ['guest', '3'] };
  const sockets = [{ host: '127.0.0.1', port: 0, nonblock: false }];
  for (let at = 0; at < count; at++) {
    for (const module of [sleeps, reads, serves, serves]) {
      const wasi = new WASI({ ...options, sockets: module === serves ? sockets : [] });
      wasi.startAsync(new WebAssembly.Instance(module, wasi.getImportObject()));
      if (module === serves && at === 0) await connected(wasi.sockets[0].port);
    }
  }
}

/** Connects, and says nothing. */
function connected(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', resolve);
    socket.once('error', reject);
  });
}

const bytesOf = (name) => fs.readFileSync(new URL(name, import.meta.url));
const SLEEPS = bytesOf('../../demo/sleeper.wasm');
const READS = bytesOf('../guests/echo.wasm');
const SERVES = bytesOf('../guests/servers/http-blocking.wasm');

const threads = () =>
  fs.readdirSync('/proc/self/task').filter((id) => {
    try {
      return fs.readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith('wasi-rs');
    } catch {
      // It has ended meanwhile.
      return false;
    }
  }).length;
const descriptors = () => fs.readdirSync('/proc/self/fd').length;
/** Sockets, and what the thread that waits uses. Bun closes no files that a Worker has opened. */
const sockets = () =>
  fs.readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(socket|anon_inode):/.test(fs.readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The one of the listing itself.
      return false;
    }
  }).length;
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function terminated(kind) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { kind } });
  const exited = new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', resolve);
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    exited.then(resolve, reject);
  });
  if (kind !== 'worker-exits') await worker.terminate();
  return exited;
}

const KINDS = {
  async exit() {
    await waiting(5);
    setTimeout(() => process.exit(3), 20);
  },
  async throws() {
    await waiting(5);
    setTimeout(() => {
      throw new Error('thrown by the host');
    }, 20);
  },
  async returns() {
    const { guest } = await load();
    await guest().nap(50);
    say('returned');
  },
  async stream() {
    // Nothing will ever settle this, so nothing keeps the process alive.
    const { guest } = await load();
    await guest({ stdin: () => new Promise(() => {}) }).read();
  },
  async thread() {
    const { guest } = await load();
    const fd = fifo();
    const gone = async () => {
      for (let at = 0; at < 100 && threads() > 0; at++) await later(10);
      return threads();
    };
    const begin = [threads(), descriptors()];
    const one = guest({ stdin: fd });
    const read = one.read();
    const nap = guest().nap(100);
    await later(10);
    const during = threads();
    await nap;
    fs.writeSync(fd, 'x');
    await read;
    const after = await gone();
    // The last one that waits is ended, and what it waited for never comes.
    const other = guest({ stdin: fd });
    const ended = other.read().catch(({ code }) => code);
    await later(50);
    other.wasi.close();
    if ((await ended) !== 'ERR_WASI_CLOSED') throw new Error(await ended);
    const atLast = await gone();
    say(JSON.stringify([begin[0], during, after, atLast, descriptors() - begin[1]]));
  },
  workers: () => often(() => terminated('worker')),
  async 'workers-and-main'() {
    const { guest } = await load();
    await often(async () => {
      const [slept] = await Promise.all([guest().nap(5), terminated('worker')]);
      if (slept !== 0) throw new Error(`errno ${slept}`);
    });
  },
  'workers-exit': () =>
    often(async () => {
      const code = await terminated('worker-exits');
      if (code !== 7) throw new Error(`code ${code}`);
    }),
  /** In a Worker. */
  async worker() {
    await waiting(3);
    parentPort.postMessage('waits');
  },
  async 'worker-exits'() {
    await waiting(3);
    setTimeout(() => process.exit(7), 1);
  },
};

await KINDS[kind]();
