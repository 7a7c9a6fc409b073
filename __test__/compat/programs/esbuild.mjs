// esbuild bundles a tree of packages; the bundle runs and gives what the sources give.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { WASI } from 'node:wasi';
import { filesBelow, folder } from '../folder.mjs';

const require = createRequire(import.meta.url);
const wasm = require.resolve('@esbuild/wasi-preview1/esbuild.wasm');
const compiled = new WebAssembly.Module(fs.readFileSync(wasm));

const root = folder('app', {
  'entry.ts': `import { File, OpenFile, WASI } from '@bjorn3/browser_wasi_shim';
    import * as threads from '@emnapi/wasi-threads';
    import { __spreadArray } from 'tslib';
    import data from './data.json';
    import { twice } from './lib/twice';
    enum Kind { A = 3 }
    export const result: string = [
      typeof WASI, typeof threads.ThreadManager, ...__spreadArray([0], [1], true), twice(data.n), Kind.A,
    ].join();
    export { File, OpenFile };`,
  'lib/twice.ts': 'export const twice = (n: number): number => n * 2;',
  'data.json': '{"n": 21}',
  'style.css': '@import "./a.css"; .b { & .c { color: red } }',
  'a.css': 'a { color: #ff0000 }',
});
for (const name of ['@bjorn3/browser_wasi_shim', '@emnapi/wasi-threads', 'tslib']) {
  const from = new URL(`../node_modules/${name}/`, import.meta.url);
  fs.cpSync(from, path.join(root, 'node_modules', name), { recursive: true });
}
const input = filesBelow(root).length;

function esbuild(...args) {
  const stdout = fs.openSync(path.join(root, '.stdout'), 'w+');
  const options = {
    args: ['esbuild', ...args],
    env: { PWD: '/' },
    preopens: { '/': root },
    stdout,
  };
  const wasi = new WASI({ version: 'preview1', ...options });
  const code = wasi.start(new WebAssembly.Instance(compiled, wasi.getImportObject()));
  fs.closeSync(stdout);
  assert.equal(code, 0);
  return fs.readFileSync(path.join(root, '.stdout'), 'utf8').trim();
}

esbuild(
  'entry.ts',
  '--bundle',
  '--format=esm',
  '--sourcemap',
  '--outdir=dist',
  '--out-extension:.js=.mjs',
  '--metafile=meta.json',
  '--log-level=warning',
);
const bundle = await import(pathToFileURL(path.join(root, 'dist/entry.mjs')).href);
assert.equal(bundle.result, 'function,function,0,1,42,3');
assert.equal(typeof new bundle.OpenFile(new bundle.File([1])).fd_read, 'function');
const { inputs } = JSON.parse(fs.readFileSync(path.join(root, 'meta.json'), 'utf8'));
assert.ok(Object.keys(inputs).length > 10 && Object.keys(inputs).length < input);
const map = JSON.parse(fs.readFileSync(path.join(root, 'dist/entry.mjs.map'), 'utf8'));
assert.ok(map.sources.includes('../lib/twice.ts'), map.sources.join());

const css = esbuild('/style.css', '--bundle', '--minify', '--target=chrome90');
assert.equal(css, 'a{color:red}.b .c{color:red}');
