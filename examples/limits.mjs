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

for (const bound of [{ limits: { hostCalls: 1000 } }, { timeoutMs: 50 }]) {
  const wasi = new WASI({
    version: 'preview1',
    ...bound,
    limits: { openFiles: 16, writtenBytes: 1e6, ...bound.limits },
  });
  try {
    wasi.start(guest(wasi));
  } catch (error) {
    console.log(error.code, error.limit, '-', error.message);
  }
}
