// Components of the guests here, and what jco makes of them: into a folder of its own, which the
// caller removes.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  componentEmbed,
  componentNew,
  preview1AdapterCommandPath,
  transpile as transpileBytes,
} from '@bytecodealliance/jco';

const here = path.dirname(fileURLToPath(import.meta.url));
const jcoPackage = path.join(here, 'node_modules/@bytecodealliance/jco/package.json');
export const jcoVersion = JSON.parse(fs.readFileSync(jcoPackage, 'utf8')).version;
export const jcoCommand = path.join(here, 'node_modules/@bytecodealliance/jco/dist/jco.js');

/** The component of a preview1 command, by the adapter that jco ships. */
export async function adapted(name) {
  const core = fs.readFileSync(path.join(here, 'guests', `${name}.wasm`));
  const adapter = fs.readFileSync(fileURLToPath(preview1AdapterCommandPath()));
  return componentNew(core, [['wasi_snapshot_preview1', adapter]]);
}

/** The mappings that docs/components.md names. */
export const MAP = Object.fromEntries(
  ['cli', 'clocks', 'filesystem', 'io', 'random', 'sockets', 'http'].map((part) => [
    `wasi:${part}/*`,
    `wasi-rs/p2/${part}#*`,
  ]),
);

/**
 * What `--async-mode jspi --async-wasi-exports --async-wasi-imports` of jco's command stand for:
 * its API takes the names.
 */
export const SUSPENDING = {
  asyncMode: 'jspi',
  asyncImports: [
    'wasi:io/poll#poll',
    'wasi:io/poll#[method]pollable.block',
    ...[
      'input-stream.blocking-read',
      'input-stream.blocking-skip',
      'output-stream.blocking-flush',
      'output-stream.blocking-write-and-flush',
      'output-stream.blocking-write-zeroes-and-flush',
      'output-stream.blocking-splice',
    ].map((method) => `wasi:io/streams#[method]${method}`),
  ],
  asyncExports: ['wasi:cli/run#run'],
};

/** Transpiles a component into a folder, and gives the path of its module. */
export async function transpiled(component, folder, name, options = {}) {
  const { files } = await transpileBytes(component, { name, ...options });
  for (const [file, bytes] of Object.entries(files)) {
    const place = path.join(folder, file);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(place, bytes);
  }
  return path.join(folder, `${name}.js`);
}

/** Makes a folder in which `wasi-rs` and the usual host are found by their names. */
export function project(folder) {
  const modules = path.join(folder, 'node_modules');
  fs.mkdirSync(path.join(modules, '@bytecodealliance'), { recursive: true });
  fs.symlinkSync(path.resolve(here, '../..'), path.join(modules, 'wasi-rs'), 'junction');
  fs.symlinkSync(
    path.join(here, 'node_modules/@bytecodealliance/preview2-shim'),
    path.join(modules, '@bytecodealliance/preview2-shim'),
    'junction',
  );
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
}

export function run(args, options = {}) {
  const { input = '', ...rest } = options;
  try {
    const stdout = execFileSync(process.execPath, args, {
      encoding: 'utf8',
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 120_000,
      ...rest,
    });
    return { stdout, stderr: '', status: 0 };
  } catch (error) {
    return { stdout: error.stdout, stderr: error.stderr, status: error.status ?? error.signal };
  }
}

/** The packages of WASI 0.2 as jco ships them, in one text. */
function packages() {
  const wit = path.join(here, 'node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12');
  return fs
    .readdirSync(wit)
    .map((name) => fs.readFileSync(path.join(wit, name, 'package.wit'), 'utf8'))
    .map((text) => `${text.replace(/^package ([^;]+);/m, 'package $1 {')}\n}\n`)
    .join('');
}

/** A component of a core module that speaks 0.2 itself, or of none, for a world. */
export async function embedded(world, binary) {
  const witSource = `package test:component;\n${world}\n${packages()}`;
  const options = binary === undefined ? { dummy: true } : { binary };
  return componentNew(await componentEmbed({ ...options, witSource, stringEncoding: 'utf8' }), []);
}

/** A component that imports every function of every interface, and does nothing. */
export function everything() {
  return embedded(`world everything {
    include wasi:cli/imports@0.2.12;
    import wasi:http/types@0.2.12;
    import wasi:http/outgoing-handler@0.2.12;
  }`);
}
