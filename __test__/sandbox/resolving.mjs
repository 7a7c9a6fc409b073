// Resolves many paths and ends: how often it asks the kernel for `openat2` is counted from outside.

import { loadWASI } from '../support/implementation.mjs';
import { Guest, SUCCESS, check } from './guest.mjs';

const [implementation, sandbox] = process.argv.slice(2);
const guest = new Guest(await loadWASI(implementation), { preopens: { '/': sandbox } });
for (let i = 0; i < 1000; i += 1) {
  for (const name of ['file.txt', 'dir/file.txt', 'dir/sub/../file.txt']) {
    const { errno, fd } = guest.open(3, name);
    check(errno === SUCCESS, `errno ${errno}`);
    check(guest.close(fd) === SUCCESS, 'it does not close');
    check(guest.pathFilestat(3, name, true).errno === SUCCESS, 'it has no attributes');
  }
}
