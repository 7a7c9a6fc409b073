// Extism runs a plugin that uses WASI: it reads, writes and renames files of an allowed folder.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createPlugin } from '@extism/extism';
import { folder } from '../folder.mjs';

const data = folder('data', { 'a.txt': 'one\ntwo\n', 'b.txt': '\n'.repeat(40), 'c.md': '\n' });
const wasm = readFileSync(new URL('../extism-plugin.wasm', import.meta.url));
const plugin = await createPlugin(
  { wasm: [{ data: wasm }] },
  { useWasi: true, allowedPaths: { '/data': data } },
);
assert.equal((await plugin.call('count', 'lines')).text(), 'LINES: 42');
assert.equal(readFileSync(`${data}/counts.txt`, 'utf8'), 'a.txt 2\nb.txt 40\n');
assert.equal((await plugin.call('count', 'again')).text(), 'AGAIN: 44');
await plugin.close();
