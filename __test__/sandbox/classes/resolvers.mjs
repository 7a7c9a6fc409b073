// That `openat2` is really gone where the other classes are run without it, and that asking for it
// in vain does not cost a system call each time.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { check } from '../guest.mjs';
import { World } from '../world.mjs';
import { nodeFlags } from '../../support/implementation.mjs';

const RESOLVING = fileURLToPath(new URL('../resolving.mjs', import.meta.url));

async function* calls(context) {
  yield [
    'a filter is in force',
    () => {
      const status = fs.readFileSync('/proc/self/status', 'utf8');
      check(/^Seccomp:\s*2$/m.test(status), 'there is none');
    },
  ];
}

async function* count({ folder, implementation, launcher, answer }) {
  const world = new World(folder);
  yield [
    'six thousand paths cost one call that fails',
    async () => {
      const file = path.join(folder, 'elsewhere');
      const node = [process.execPath, ...nodeFlags(implementation), RESOLVING];
      const args = [answer, '--count', file, '--', ...node, implementation, world.sandbox];
      await promisify(execFile)(launcher, args, { timeout: 8000, killSignal: 'SIGKILL' });
      const calls = Number(fs.readFileSync(file, 'utf8'));
      check(calls <= 1, `openat2 was called ${calls} times`);
    },
  ];
}

export const GROUPS = [
  { name: 'filter', cases: calls },
  // The filter that counts is installed by the case itself: a process can have one only.
  ...['enosys', 'eperm'].map((answer) => ({
    name: `calls, openat2 ${answer}`,
    cases: (context) => count({ ...context, answer }),
    unfiltered: true,
  })),
];
