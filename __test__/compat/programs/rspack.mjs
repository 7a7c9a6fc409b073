// Rspack builds an application for production, on many threads; the bundle runs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { folder } from '../folder.mjs';

const require = createRequire(import.meta.url);
// Its loader takes the native build where there is one.
process.env.NAPI_RS_FORCE_WASI = '1';
process.env.RSPACK_BINDING = path.dirname(
  require.resolve('@rspack/binding-wasm32-wasi/package.json'),
);
const { rspack } = await import('@rspack/core');

const root = folder('app', {
  'src/index.js': `const { b } = require('./b');
    const { k } = require('./data.json');
    module.exports = b(k) + require('dep');`,
  'src/b.js': 'export const b = (x) => x * 2; export const unused = "shaken off";',
  'src/data.json': '{"k": 20}',
  'node_modules/dep/package.json': '{"main":"./m.js"}',
  'node_modules/dep/m.js': 'module.exports = 2;',
});
const compiler = rspack({
  mode: 'production',
  context: root,
  entry: './src/index.js',
  target: 'node',
  devtool: 'source-map',
  output: {
    path: path.join(root, 'dist'),
    filename: 'out.cjs',
    library: { type: 'commonjs2' },
  },
});
const stats = await promisify(compiler.run.bind(compiler))();
assert.equal(stats.hasErrors(), false, stats.toString());
assert.equal(require(path.join(root, 'dist/out.cjs')), 42);
const map = JSON.parse(fs.readFileSync(path.join(root, 'dist/out.cjs.map'), 'utf8'));
assert.ok(
  map.sources.some((source) => source.endsWith('src/b.js')),
  map.sources.join(),
);
