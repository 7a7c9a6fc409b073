// The files that `npm run generate` writes from the table of functions in Rust.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { sources } from '../scripts/process.mjs';

test('what is generated from the table of functions is what the table says', () => {
  const script = join(sources, 'scripts', 'generate.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
});
