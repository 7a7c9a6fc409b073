// The descriptors that this process has open.

import fs from 'node:fs';

export const DESCRIPTORS = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';

/** How many there are; the listing itself has one open, and always the same. */
export function openDescriptors() {
  return fs.readdirSync(DESCRIPTORS).length;
}

/** How many more there are than before. A Worker of Deno ends some time after terminate(). */
export async function descriptorsLeft(before) {
  const end = Date.now() + 5000;
  while (openDescriptors() > before && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return openDescriptors() - before;
}

/** Collects garbage until `done` or ten tries are over. Needs --expose-gc. */
export async function collect(done = () => false) {
  for (let i = 0; i < 10 && !done(); i += 1) {
    globalThis.gc();
    // Finalizers run when the event loop comes round.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
