// rolldown bundles a tree with a plugin, on many threads; the bundle runs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { filesBelow, folder } from '../folder.mjs';

// Its loader takes the native build where there is one.
process.env.NAPI_RS_FORCE_WASI = 'error';
const { rolldown } = await import('rolldown');

const files = {
  'main.ts': `import { a } from './a';
    import ten from 'virtual:ten';
    import { n } from './data.json';
    import { sum } from './many';
    export const total: number = a + ten + n + sum;
    export const lazy = () => import('./lazy');`,
  'a.ts': `export const a: number = 1; export const unused = 'shaken off';`,
  'lazy.ts': `export default 'late';`,
  'data.json': '{"n": 100}',
  'many.ts': '',
};
const count = 60;
for (let i = 0; i < count; i++) files[`many/m${i}.ts`] = `export const m${i}: number = ${i};`;
files['many.ts'] = Array.from({ length: count }, (_, i) => `import { m${i} } from './many/m${i}';`)
  .concat(`export const sum = ${Array.from({ length: count }, (_, i) => `m${i}`).join(' + ')};`)
  .join('\n');

const root = folder('app', files);
const bundle = await rolldown({
  input: path.join(root, 'main.ts'),
  plugins: [
    {
      name: 'virtual',
      resolveId: (id) => (id === 'virtual:ten' ? '\0ten' : undefined),
      load: (id) => (id === '\0ten' ? 'export default 10' : undefined),
    },
  ],
});
const dir = path.join(root, 'dist');
const names = { entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' };
await bundle.write({ dir, format: 'esm', sourcemap: true, ...names });
await bundle.close();

assert.deepEqual(filesBelow(dir), ['lazy.mjs', 'lazy.mjs.map', 'main.mjs', 'main.mjs.map']);
const { total, lazy } = await import(pathToFileURL(path.join(dir, 'main.mjs')).href);
assert.equal(total, 111 + (count * (count - 1)) / 2);
assert.equal((await lazy()).default, 'late');
assert.doesNotMatch(fs.readFileSync(path.join(dir, 'main.mjs'), 'utf8'), /shaken off/);
