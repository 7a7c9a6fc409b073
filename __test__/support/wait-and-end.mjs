// The program of waiting.test.mjs: a guest on a Worker that waits, and is ended.
//
//   node wait-and-end.mjs KIND FOLDER terminate|exit USER
//
// It opens what it lends, becomes USER, starts the Worker, lets it wait, and ends it, or the whole
// process at once. What happened goes to the file `told` in FOLDER.
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { createRequire } from 'node:module';

const { WASI } = createRequire(import.meta.url)('../../index.js');
const { O_RDONLY, O_RDWR, O_WRONLY, O_NOCTTY } = fs.constants;
const RIGHT_READ = 2n;
const RIGHT_WRITE = 64n;

/** A guest whose memory is ours. */
function guestOf(options) {
  const memory = new WebAssembly.Memory({ initial: 32 });
  const wasi = new WASI({
    version: 'preview1',
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    ...options,
  });
  wasi.finalizeBindings({ exports: { memory } });
  const view = new DataView(memory.buffer);
  view.setUint32(0, 65_536, true);
  const buffer = (bytes) => view.setUint32(4, bytes, true);
  const open = (name, rights) => {
    new Uint8Array(memory.buffer).set(new TextEncoder().encode(name), 64);
    const errno = wasi.wasiImport.path_open(3, 0, 64, name.length, 0, rights, 0n, 0, 32);
    if (errno !== 0) throw new Error(`path_open: ${errno}`);
    return view.getUint32(32, true);
  };
  return { call: wasi.wasiImport, buffer, open };
}

function wait({ kind, folder, fd }) {
  if (kind.endsWith('read') || kind.endsWith('read by two')) {
    const ofGuest = kind.startsWith('named pipe of the guest');
    const guest = guestOf(ofGuest ? { preopens: { '/': folder } } : { stdin: fd });
    const number = ofGuest ? guest.open('empty', RIGHT_READ) : 0;
    guest.buffer(1);
    // Until it is ended: what comes is read.
    for (;;) guest.call.fd_read(number, 0, 1, 24);
  }
  if (kind.endsWith('opened to write'))
    return guestOf({ preopens: { '/': folder } }).open('unread', RIGHT_WRITE);
  if (kind === 'socket, accept') return guestOf({ stdin: fd }).call.sock_accept(0, 0, 24);
  const guest = guestOf({ stdout: fd });
  guest.buffer(1 << 20);
  for (;;) guest.call.fd_write(1, 0, 1, 24);
}

if (isMainThread) {
  const [kind, folder, end, user] = process.argv.slice(2);
  // Opened before the process becomes another's.
  const told = fs.openSync(join(folder, 'told'), 'a');
  const tell = (line) => fs.writeSync(told, `${line}\n`);
  const keep = [];
  const pipe = (name, flags) => {
    const place = join(folder, name);
    // For both first: opening one end alone would wait for the other.
    keep.push(fs.openSync(place, O_RDWR));
    return fs.openSync(place, flags);
  };
  const open = {
    'named pipe, read': () => pipe('empty', O_RDONLY),
    'named pipe, read by two': () => pipe('empty', O_RDONLY),
    'named pipe, written': () => pipe('full', O_WRONLY),
    'named pipe of the guest, read': () => undefined,
    'named pipe of the guest, opened to write': () => undefined,
    // The pipe that Node.js lends its children is a socket.
    'socket, read': () => 0,
    'socket, accept': () => {
      const server = net.createServer().listen(join(folder, 'socket'));
      keep.push(server);
      return server._handle.fd;
    },
    'terminal, read': () => fs.openSync('/dev/tty', O_RDWR | O_NOCTTY),
    'terminal, written': () => 1,
  };
  const fd = open[kind]();
  if (kind.startsWith('named pipe of the guest')) fs.chmodSync(folder, 0o777);
  if (kind.startsWith('named pipe of the guest') && Number(user) !== process.getuid()) {
    for (const name of ['empty', 'unread'])
      fs.chownSync(join(folder, name), Number(user), Number(user));
  }
  if (Number(user) !== process.getuid()) {
    process.setgroups([]);
    process.setgid(Number(user));
    process.setuid(Number(user));
  }
  tell(JSON.stringify({ pid: process.pid, kind, user: process.getuid() }));
  const count = kind.endsWith('by two') ? 2 : 1;
  const workers = Array.from({ length: count }, () => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { kind, folder, fd } });
    worker.on('error', (error) => tell(`failed: ${error.stack}`));
    return worker;
  });
  await Promise.all(workers.map((worker) => new Promise((next) => worker.once('message', next))));
  for (const worker of workers) worker.on('message', tell);
  if (count === 2) {
    // Each byte is for one of the two: who was told of it and does not get it waits again.
    for (let byte = 0; byte < 300; byte++) {
      fs.writeSync(keep[0], 'x');
      await new Promise((next) => setTimeout(next, 1));
    }
  }
  await new Promise((next) => setTimeout(next, 300));
  if (end === 'terminate') {
    const start = Date.now();
    const all = Promise.all(workers.map((worker) => worker.terminate()));
    const done = await Promise.race([all, new Promise((next) => setTimeout(next, 8000, null))]);
    tell(done ? `ended ${Date.now() - start}` : 'not ended');
  }
  tell('exit');
  process.exit(0);
} else {
  parentPort.postMessage('waiting');
  parentPort.postMessage(`it did not wait: ${wait(workerData)}`);
}
