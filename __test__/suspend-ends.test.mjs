// Processes, Workers and environments end while guests wait.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasJspi } from './support/suspending.mjs';

const program = fileURLToPath(new URL('support/suspend-and-end.mjs', import.meta.url));
const skip =
  (!hasJspi && 'JSPI is there from Node.js 24.20 on') ||
  (process.platform !== 'linux' && 'the program uses named pipes and /proc');
/** How often each ends; the design asks for a thousand, which takes a minute. */
const TIMES = process.env.WASI_RS_TIMES ?? '20';
const isNode = !process.versions.bun && !process.versions.deno;

/** @returns {Promise<{ code: number | null, signal: string | null, out: string, err: string }>} */
function run(kind, times = '1', limit = 120_000) {
  const before = process.versions.deno ? ['run', '-A', '-q'] : [];
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const args = [...before, program, kind, times];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), limit);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, out, err });
    });
  });
}

test('process.exit() while guests wait', { skip }, async () => {
  const { code, signal, err } = await run('exit');
  assert.deepEqual([code, signal, err], [3, null, '']);
});

test('an uncaught error while guests wait', { skip }, async () => {
  const { code, signal, err } = await run('throws');
  assert.deepEqual([code, signal], [1, null]);
  assert.match(err, /thrown by the host/);
});

test('a guest that waits for what can come keeps the process alive', { skip }, async () => {
  assert.deepEqual(await run('returns'), { code: 0, signal: null, out: 'returned\n', err: '' });
});

test('a guest that waits for what cannot come does not', { skip: skip || !isNode }, async () => {
  const { code, signal } = await run('stream');
  assert.deepEqual([code, signal], [13, null], 'the code of a top-level await that never ends');
});

test('one thread waits for all, and is not there when nobody waits', { skip }, async () => {
  const { code, out, err } = await run('thread');
  assert.deepEqual([code, err], [0, '']);
  assert.deepEqual(JSON.parse(out), [0, 1, 0, 0, 0]);
});

for (const kind of ['workers', 'workers-and-main', 'workers-exit']) {
  test(`Workers end while guests wait: ${kind}, ${TIMES} times`, { skip }, async () => {
    const { code, signal, out, err } = await run(kind, TIMES, 600_000);
    assert.deepEqual([code, signal, out, err], [0, null, `ended ${TIMES}\n`, '']);
  });
}

test(`processes end while guests wait, ${TIMES} times`, { skip }, async () => {
  for (let at = 0; at < Number(TIMES); at++) {
    const { code, signal, err } = await run('exit');
    assert.deepEqual([code, signal, err], [3, null, '']);
  }
});
