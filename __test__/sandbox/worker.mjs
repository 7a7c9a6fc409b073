// A guest on a Worker that is going to be ended in the middle of a call.

import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { loadWASI } from '../support/implementation.mjs';
import { Guest, READS, RIGHT, WRITES } from './guest.mjs';

const { assemble, op } = createRequire(import.meta.url)('../contract/wasm.cjs');
const { implementation, kind, sandbox, fds } = workerData;
const HOUR = 3_600_000_000_000n;

const WASI = await loadWASI(implementation);

/** A guest that waits for a clock an hour from now, or for one of its descriptors. */
function subscribe(guest, tag, fd) {
  guest.bytes.fill(0, 8192, 8192 + 48);
  guest.bytes[8192 + 8] = tag;
  guest.bytes.writeUInt32LE(tag === 0 ? 1 : fd, 8192 + 16);
  guest.bytes.writeBigUInt64LE(HOUR, 8192 + 24);
  return guest.imports.poll_oneoff(8192, 16384, 1, 64);
}

const WAITS = {
  'poll_oneoff of a clock': () => subscribe(new Guest(WASI), 0),
  'poll_oneoff of a pipe': () => subscribe(new Guest(WASI, { stdin: fds.empty }), 1, 0),
  'fd_read of a pipe': () => new Guest(WASI, { stdin: fds.empty }).read(0),
  'fd_read of a fifo that the guest opened': () => {
    const guest = new Guest(WASI, { preopens: { '/': sandbox } });
    return guest.read(guest.open(3, 'fifo', { rights: READS }).fd);
  },
  'path_open of a fifo that nobody reads': () =>
    new Guest(WASI, { preopens: { '/': sandbox } }).open(3, 'fifo', { rights: RIGHT.FD_WRITE }),
  'fd_write to a full pipe': () => {
    const guest = new Guest(WASI, { stdout: fds.full });
    for (;;) guest.write(1, 'text'.repeat(10_000));
  },
  'fd_write to a fifo that the guest opened': () => {
    const guest = new Guest(WASI, { preopens: { '/': sandbox } });
    const reader = guest.open(3, 'fifo', { rights: READS });
    const { fd } = guest.open(3, 'fifo', { rights: WRITES });
    for (;;) {
      if (guest.write(fd, 'text'.repeat(10_000)) !== 0) throw new Error(`${reader.errno}`);
    }
  },
  sock_accept: () => new Guest(WASI, { stdin: fds.listener }).imports.sock_accept(0, 0, 64),
  sock_recv: () => {
    const guest = new Guest(WASI, { stdin: fds.stream });
    guest.bytes.writeUInt32LE(32768, 256);
    guest.bytes.writeUInt32LE(16, 260);
    return guest.imports.sock_recv(0, 256, 1, 0, 64, 72);
  },
  'poll_oneoff of a clock, in WebAssembly': () => runWasm('poll_oneoff'),
  'fd_read of a pipe, in WebAssembly': () => runWasm('fd_read'),
  'a loop of calls': () => {
    const guest = new Guest(WASI, { preopens: { '/': sandbox } });
    for (;;) {
      const { fd } = guest.open(3, 'file.txt');
      guest.read(fd);
      guest.list(3);
      guest.close(fd);
    }
  },
};

/** A module whose memory says what to wait for, and whose `_start` waits. */
function runWasm(name) {
  const calls = {
    poll_oneoff: [op.i32(8192), op.i32(16384), op.i32(1), op.i32(64)],
    fd_read: [op.i32(0), op.i32(256), op.i32(1), op.i32(64)],
  };
  const module = 'wasi_snapshot_preview1';
  const bytes = assemble({
    imports: [{ module, name, form: 'iiii:i' }],
    functions: [{ export: '_start', form: ':', body: [...calls[name], op.call(0), op.drop] }],
  });
  const wasi = new WASI({ version: 'preview1', stdin: fds.empty });
  const imports = { [module]: wasi.wasiImport };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  const memory = Buffer.from(instance.exports.memory.buffer);
  memory.writeUInt32LE(1, 8192 + 16);
  memory.writeBigUInt64LE(HOUR, 8192 + 24);
  memory.writeUInt32LE(32768, 256);
  memory.writeUInt32LE(16, 260);
  return wasi.start(instance);
}

export const NAMES = Object.keys(WAITS);

if (parentPort && kind) {
  fs.writeFileSync(path.join(sandbox, 'file.txt'), 'inside');
  parentPort.postMessage('waiting');
  const result = WAITS[kind]();
  parentPort.postMessage(`it did not wait: ${JSON.stringify(result)}`);
}
