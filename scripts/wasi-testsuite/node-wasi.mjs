// `node node-wasi.mjs [--env NAME=VALUE]... [--root FOLDER] -- PROGRAM [ARGUMENT...]`: runs a
// program of preview1 on node:wasi, with a folder as its `/`, and ends with its exit code.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { WASI } from 'node:wasi';
import { fail, parsedArguments } from '../process.mjs';

const { values, positionals } = parsedArguments({
  allowPositionals: true,
  options: { env: { type: 'string', multiple: true, default: [] }, root: { type: 'string' } },
});
const [program, ...args] = positionals;
if (program === undefined) fail('name a program');
const wasi = new WASI({
  version: 'preview1',
  args: [basename(program), ...args],
  env: Object.fromEntries(values.env.map((text) => text.split(/=(.*)/s, 2))),
  preopens: values.root === undefined ? {} : { '/': values.root },
  returnOnExit: true,
});
const wasm = new WebAssembly.Module(readFileSync(program));
const imports = { wasi_snapshot_preview1: wasi.wasiImport };
process.exitCode = wasi.start(new WebAssembly.Instance(wasm, imports));
