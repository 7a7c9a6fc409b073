// Each example runs, and says what it is there to show.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../examples', import.meta.url));
const SHOWN = {
  'agent-shell.mjs':
    /^exit code 0\nadded \/output\/report\.txt\n@@ -1 \+1 @@\n\+file [^]*\nthrown away\non disk: false\n$/,
  'determinism.mjs': /^[0-9a-f]{32}\nthe same again: true\n$/,
  'limits.mjs': /^ERR_WASI_LIMIT hostCalls - .*\nERR_WASI_LIMIT deadlineMs - .*\n$/,
  'memory.mjs':
    /^exit code 0\nfiles: .*\/input\/a\.txt.*\/output\/report\.txt\n\/output\/report\.txt:\n[^]*a\.txt/,
  'preopens.mjs': /^exit code 0\n[^]*notes\.txt/,
  'stdio.mjs':
    /^collected: "hello world\\n"\na chunk of 12 bytes\nstopped by my own error: true\n$/,
  'tracing.mjs': /^fd_write \{"fd":1,.*\} success\nfd_write was called 1 time\(s\)\n$/,
  'worker.mjs': /^0 "hello world\\n"\nERR_WASI_LIMIT timeoutMs\n$/,
};

test('every example is run', () => {
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith('.mjs'))
      .sort(),
    Object.keys(SHOWN),
  );
});

for (const [name, shown] of Object.entries(SHOWN)) {
  test(name, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}/${name}`], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, shown);
  });
}
