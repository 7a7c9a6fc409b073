// oxc-parser parses TypeScript, on the main thread and on its Workers at the same time.
import assert from 'node:assert/strict';
import oxc from '@oxc-parser/binding-wasm32-wasi';

const source = 'import x from "y"; export const a: number = x<string>(1); class B { #p = 1 }';
const program = JSON.parse(oxc.parseSync('a.ts', source, {}).program);
assert.deepEqual(
  (program.node ?? program).body.map(({ type }) => type),
  ['ImportDeclaration', 'ExportNamedDeclaration', 'ClassDeclaration'],
);

const sources = Array.from({ length: 12 }, (_, i) =>
  i % 2 === 0 ? `let a${i} = ;` : `let a${i} = ${i};`,
);
const results = await Promise.all(sources.map((text) => oxc.parse('b.js', text, {})));
assert.deepEqual(
  results.map(({ errors }) => errors.length > 0),
  sources.map((_, i) => i % 2 === 0),
);
