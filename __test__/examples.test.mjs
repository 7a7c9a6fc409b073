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
  'limits.mjs': /^ERR_WASI_LIMIT hostCalls - .*\nERR_WASI_LIMIT timeoutMs - .*\n$/,
  'memory.mjs':
    /^exit code 0\nfiles: .*\/input\/a\.txt.*\/output\/report\.txt\n\/output\/report\.txt:\n[^]*a\.txt/,
  'pipeline.mjs': /^the first line\nthe last line\nexit codes 5 5 5\n$/,
  'preopens.mjs': /^exit code 0\n[^]*notes\.txt/,
  'sockets.mjs': /^1 from C\n2 from C\nexit code 7\n$/,
  'stdio.mjs':
    /^collected: "hello world\\n"\na chunk of 12 bytes\nstopped by my own error: true\n$/,
  'tracing.mjs': /^fd_write \{"fd":1,.*\} success\nfd_write was called 1 time\(s\)\n$/,
  'waiting.mjs':
    /^one wrote hello\none exited with 5\ntwo wrote world\ntwo exited with 5\n[^:]*: true\nended by a TimeoutError\n$/,
  'worker.mjs': /^exit 0 "hello world\\n"\ntimeout timeoutMs\n$/,
};

test('every example is run', () => {
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith('.mjs'))
      .sort(),
    Object.keys(SHOWN),
  );
});

/** Examples of guests that suspend. */
const SUSPENDING = ['pipeline.mjs', 'waiting.mjs'];
const noJspi =
  typeof WebAssembly.Suspending === 'function' ? false : 'JSPI is there from Node.js 24 on';

for (const [name, shown] of Object.entries(SHOWN)) {
  test(name, { skip: SUSPENDING.includes(name) && noJspi }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${folder}/${name}`], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, shown);
  });
}
