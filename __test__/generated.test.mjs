// The files that `npm run generate` writes from the table of functions in Rust.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

test('what is generated from the table of functions is what the table says', () => {
  const script = join(fileURLToPath(new URL('..', import.meta.url)), 'scripts/generate.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
});
