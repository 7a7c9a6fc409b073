// oxc-resolver resolves modules through the file system: conditions, subpaths, links, tsconfig
// paths.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { ResolverFactory } from '@oxc-resolver/binding-wasm32-wasi';
import { folder } from '../folder.mjs';

const root = folder('app', {
  'src/index.ts': '',
  'src/lib/deep/tool.ts': '',
  'tsconfig.json': '{"compilerOptions":{"baseUrl":".","paths":{"@lib/*":["src/lib/*"]}}}',
  'node_modules/p/package.json':
    '{"name":"p","exports":{".":{"import":"./m.mjs","require":"./c.cjs"},"./sub/*":"./in/*.js"}}',
  'node_modules/p/m.mjs': '',
  'node_modules/p/c.cjs': '',
  'node_modules/p/in/q.js': '',
  'store/linked/package.json': '{"main":"main.js"}',
  'store/linked/main.js': '',
});
fs.symlinkSync('../store/linked', path.join(root, 'node_modules/linked'));

const resolver = new ResolverFactory({
  conditionNames: ['import', 'node'],
  extensions: ['.ts', '.js', '.mjs'],
  tsconfig: { configFile: path.join(root, 'tsconfig.json') },
});
const from = path.join(root, 'src');
const expected = {
  p: 'node_modules/p/m.mjs',
  'p/sub/q': 'node_modules/p/in/q.js',
  './lib/deep/tool': 'src/lib/deep/tool.ts',
  '@lib/deep/tool': 'src/lib/deep/tool.ts',
  linked: 'store/linked/main.js',
};
for (const [request, file] of Object.entries(expected)) {
  assert.equal(resolver.sync(from, request).path, path.join(root, file), request);
  assert.equal((await resolver.async(from, request)).path, path.join(root, file), request);
}
assert.match(resolver.sync(from, './none').error, /Cannot find module/);
