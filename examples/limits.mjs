// Limits: what the guest may open, write and call, and for how long.
import { WASI } from '../index.js';

const memory = new WebAssembly.Memory({ initial: 1 });

// In the place of a guest: it calls imports until one throws.
const guest = (wasi) => ({
  exports: {
    memory,
    _start() {
      for (;;) wasi.wasiImport.sched_yield();
    },
  },
});

for (const limits of [{ hostCalls: 1000 }, { deadlineMs: 50 }]) {
  const wasi = new WASI({
    version: 'preview1',
    limits: { openFiles: 16, writtenBytes: 1e6, ...limits },
  });
  try {
    wasi.start(guest(wasi));
  } catch (error) {
    console.log(error.code, error.limit, '-', error.message);
  }
}
