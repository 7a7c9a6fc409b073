// A guest on a Worker waits for whoever is at the other end of what the host has lent, or has
// opened: the Worker can be ended, and so can the process, also where the process has become
// another user's and may not open anew what it has.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('support/wait-and-end.mjs', import.meta.url));
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
const hasScript =
  process.platform === 'linux' &&
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');

/** Ends the child and what it has started. */
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // They have ended.
  }
}

/** Runs the program in a folder with named pipes; what it writes to the file `told` there. */
async function run(t, kind, { user, end }) {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-waiting-'));
  // For the user that it becomes, too.
  chmodSync(folder, 0o755);
  for (const name of ['empty', 'full', 'unread'])
    execFileSync('mkfifo', ['-m', '600', join(folder, name)]);
  const told = join(folder, 'told');
  const node = [process.execPath, program, kind, folder, end, String(user)];
  // A terminal that nobody reads: `script` waits for its own output to be read.
  const isTerminal = kind.startsWith('terminal');
  const quoted = node.map((word) => `'${word}'`).join(' ');
  const [file, ...args] = isTerminal ? ['script', '-qec', quoted, '/dev/null'] : node;
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const stdio = ['pipe', 'pipe', isTerminal ? 'ignore' : 'inherit'];
  const child = spawn(file, args, { stdio, env, detached: true });
  t.after(() => {
    killGroup(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const text = () => (existsSync(told) ? readFileSync(told, 'utf8') : '');
  const start = Date.now();
  const ended = new Promise((resolve) => child.on('exit', resolve));
  // `script` itself goes on to wait: the program says when it has ended by the last word of its
  // file.
  while (!/^exit$/m.test(text()) && Date.now() - start < 15_000) {
    await new Promise((next) => setTimeout(next, 20));
  }
  const { pid } = JSON.parse(/^\{.*\}$/m.exec(text())?.[0] ?? '{}');
  const isThere = () => {
    try {
      const state = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '')[0];
      return state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  };
  const since = Date.now();
  while (isThere() && Date.now() - since < 5000) {
    await new Promise((next) => setTimeout(next, 20));
  }
  assert.ok(pid > 0, `it began: ${text()}`);
  assert.doesNotMatch(text(), /failed|did not wait/);
  assert.ok(!isThere(), `process.exit() ends it: ${text()}`);
  killGroup(child);
  await ended;
  if (end === 'terminate') {
    const milliseconds = Number(/^ended (\d+)$/m.exec(text())?.[1] ?? NaN);
    assert.ok(milliseconds < 3000, `the Worker ended: ${text()}`);
  }
}

const KINDS = {
  'named pipe, read': {},
  'named pipe, read by two': {},
  'named pipe, written': {},
  'named pipe of the guest, read': {},
  'named pipe of the guest, opened to write': {},
  'socket, read': {},
  'socket, accept': {},
  'terminal, read': { script: true },
  'terminal, written': { script: true },
};

for (const [kind, { script }] of Object.entries(KINDS)) {
  for (const end of ['terminate', 'exit']) {
    for (const user of isRoot ? [0, NOBODY] : [process.getuid?.()]) {
      const skip =
        (process.platform !== 'linux' && 'the kinds are those of Linux') ||
        (script && !hasScript && 'there is no program `script` to make a terminal') ||
        (process.versions.deno &&
          (script || user === NOBODY) &&
          'Deno needs words that `script` does not add, and caches of its user');
      test(`${kind}: ${end}, as user ${user}`, { skip, timeout: 60_000 }, (t) =>
        run(t, kind, { user, end }),
      );
    }
  }
}
