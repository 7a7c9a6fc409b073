// The program that profile.mjs runs for a `.wasm` file: `node profile-command.mjs COMMAND`, where
// the command is JSON.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const { wasm, args, env, preopens } = JSON.parse(process.argv[2]);
const wasi = new WASI({ version: 'preview1', returnOnExit: true, args, env, preopens });
const module = await WebAssembly.compile(readFileSync(wasm));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
