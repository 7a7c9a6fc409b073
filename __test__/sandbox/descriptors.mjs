// The descriptors that this process has open.

import fs from 'node:fs';

export const DESCRIPTORS = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';

/** How many there are; the listing itself has one open, and always the same. */
export function openDescriptors() {
  return fs.readdirSync(DESCRIPTORS).length;
}

/** Collects garbage until `done` or ten tries are over. Needs --expose-gc. */
export async function collect(done = () => false) {
  for (let i = 0; i < 10 && !done(); i += 1) {
    globalThis.gc();
    // Finalizers run when the event loop comes round.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
