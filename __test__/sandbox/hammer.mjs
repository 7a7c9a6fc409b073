// Another thread of the guest: changes a shared memory while the host reads it.

import { parentPort, workerData } from 'node:worker_threads';
import { loadWASI } from '../support/implementation.mjs';
import { Guest } from './guest.mjs';

const { memory, kind } = workerData;
const bytes = Buffer.from(memory.buffer);
const LIMIT = 200_000_000;

const TURNS = {
  grow() {
    try {
      memory.grow(1);
    } catch {
      // It is as large as it may be.
    }
    // Not all at once: the other side is to see many sizes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  },

  /** Sixteen buffers, good and bad in turn. */
  buffers() {
    for (let i = 0; i < 16; i += 1) {
      bytes.writeUInt32LE(32768, 1024 + 8 * i);
      bytes.writeUInt32LE(64, 1028 + 8 * i);
      bytes.writeUInt32LE(0xffff_fff0, 1024 + 8 * i);
      bytes.writeUInt32LE(0xffff_ffff, 1028 + 8 * i);
    }
  },

  path() {
    bytes.write('dir/sub/../././file.txt'.slice(2), 1024);
    bytes.write('././dir/sub/./file.txt'.slice(1), 1024);
    bytes.write('../outside/secret.txt', 1024);
  },

  /** Clocks that are due, clocks that are not, descriptors, and what is no kind at all. */
  subscriptions() {
    for (let i = 0; i < 8; i += 1) {
      const at = 8192 + 48 * i;
      for (const kind of [0, 1, 2, 0, 255, 1]) {
        bytes[at + 8] = kind;
        bytes.writeUInt32LE((kind * 1_000_003 * i) >>> 0, at + 16);
        bytes.writeUInt32LE(i % 3, at + 16);
      }
    }
    // One that is always due, so that no call waits.
    bytes.fill(0, 8192, 8192 + 48);
  },
};

/** Calls all imports on a memory that others write to. */
async function hammerImports() {
  const WASI = await loadWASI(workerData.implementation);
  const guest = new Guest(WASI, { memory, preopens: { '/sandbox': workerData.sandbox } });
  const names = Object.keys(guest.imports).filter((name) => name !== 'proc_exit');
  const random = () => (Math.random() * 0x1_0000_0000) >>> 0;
  return () => {
    bytes.writeUInt32LE(random(), random() % 4096);
    bytes.write(['dir', 'file.txt', '..', 'dir/..'][random() % 4], random() % 4096);
    const name = names[random() % names.length];
    // Reading standard input or waiting for a clock would only make this thread wait.
    if (name === 'poll_oneoff' || name.startsWith('sock_')) return;
    const args = signatures[name].map((type, i) => {
      if (type === 'I') return BigInt(random() % 100);
      return i === 0 && name !== 'path_symlink' ? 3 + (random() % 8) : random() % 5000;
    });
    guest.imports[name](...args);
  };
}

const { default: table } = await import('../contract/signatures.cjs');
const signatures = Object.fromEntries(
  Object.entries(table).map(([name, types]) => [name, [...types]]),
);
const turn = kind === 'imports' ? await hammerImports() : TURNS[kind];
parentPort.postMessage('started');
for (let i = 0; i < LIMIT; i += 1) turn();
