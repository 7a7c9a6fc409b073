// Tailwind's scanner finds the class names in a source tree, on many threads, and heeds .gitignore.
import assert from 'node:assert/strict';
import { Scanner } from '@tailwindcss/oxide-wasm32-wasi';
import { folder } from '../folder.mjs';

const count = 80;
const files = {
  '.gitignore': 'ignored/\n',
  '.git/HEAD': '',
  'ignored/x.html': '<p class="text-[77px]"></p>',
};
for (let i = 0; i < count; i++) {
  files[`src/d${i % 7}/f${i}.html`] = `<div class="p-${i} hover:bg-red-${i}"></div>`;
}
const base = folder('app', files);
const scanner = new Scanner({ sources: [{ base, pattern: '**/*', negated: false }] });
const found = new Set(scanner.scan());
for (let i = 0; i < count; i++) {
  assert.ok(found.has(`p-${i}`) && found.has(`hover:bg-red-${i}`), `class names of file ${i}`);
}
assert.equal(found.has('text-[77px]'), false);
assert.equal(scanner.files.filter((file) => file.endsWith('.html')).length, count);
