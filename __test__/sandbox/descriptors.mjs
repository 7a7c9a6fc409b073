// The descriptors that this process has open.

import fs from 'node:fs';
import path from 'node:path';

export const DESCRIPTORS = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';

/**
 * How many there are; the listing itself has one open, and always the same. Those of event loops
 * are left out under Deno, which keeps some of each second Worker that has loaded an addon, any
 * addon.
 */
export function openDescriptors() {
  const all = fs.readdirSync(DESCRIPTORS);
  return process.versions.deno
    ? all.filter((number) => !isOfAnEventLoop(number)).length
    : all.length;
}

function isOfAnEventLoop(number) {
  try {
    return /^anon_inode:\[event(fd|poll)\]$/.test(fs.readlinkSync(path.join(DESCRIPTORS, number)));
  } catch {
    return false;
  }
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
