// The adversarial suite as one test. Its table is on the terminal: node __test__/sandbox/run.mjs

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(new URL('sandbox/run.mjs', import.meta.url));

const LIMIT = 600_000;

const skip = process.platform === 'win32' && 'the suite needs a Unix';

test('a hostile guest gets nothing and takes nothing down', { skip, timeout: LIMIT }, (t) => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [SUITE], {
    encoding: 'utf8',
    timeout: LIMIT,
  });
  for (const line of stdout.trimEnd().split('\n')) t.diagnostic(line);
  assert.equal(status, 0, `${signal ?? ''}\n${stdout}\n${stderr}`);
});
