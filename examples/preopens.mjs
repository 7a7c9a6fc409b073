// Preopens with a policy: read-only, without links, made on demand, or a single file.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WASI } from '../index.js';

const folder = await mkdtemp(join(tmpdir(), 'preopens-'));
await writeFile(join(folder, 'notes.txt'), 'one\ntwo\n');
await writeFile(join(folder, 'config.json'), '{}');

// demo/report.c walks /input and writes /output/report.txt.
const wasi = new WASI({
  version: 'preview1',
  args: ['report'],
  preopens: {
    '/input': { path: folder, readOnly: true, symlinks: 'deny' },
    '/output': { path: join(folder, 'made', 'on', 'demand'), create: true },
    '/etc/app.json': { file: join(folder, 'config.json'), readOnly: true },
  },
  stdout: 'pipe',
});
const wasm = await readFile(new URL('../demo/report.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(wasm, wasi.getImportObject());
const exitCode = wasi.start(instance);
console.log('exit code', exitCode);
console.log(new TextDecoder().decode(wasi.stdout));
await rm(folder, { recursive: true });
