// Components of the guests here, and what jco makes of them: into a folder of its own, which the
// caller removes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
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
 * The options of jco's API that stand for `--async-mode jspi --async-wasi-exports
 * --async-wasi-imports` of its command: the API takes the names.
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

/** Where what takes minutes to make is kept for the next time. */
const kept = path.join(here, '../../target/components');
const COMPONENTIZE_PY = '0.25.1';
const worldOf = (text) => `package test:component;\n${text}\n${packages()}`;
export const COMMAND = 'world command { include wasi:cli/command@0.2.12; }';

/** A component that a toolchain makes of a source, which is kept. */
async function toolchain(file, version, make) {
  const source = fs.readFileSync(path.join(here, 'guests', file));
  const key = createHash('sha256')
    .update(`${version}\0${worldOf(COMMAND)}\0`)
    .update(source);
  const place = path.join(kept, `${file}-${key.digest('hex').slice(0, 16)}.wasm`);
  if (!fs.existsSync(place)) {
    fs.mkdirSync(kept, { recursive: true });
    fs.writeFileSync(`${place}.new`, await make(source));
    fs.renameSync(`${place}.new`, place);
  }
  return fs.readFileSync(place);
}

/** By componentize-js: the engine and the program in one component. */
export function javascript() {
  const { version } = JSON.parse(
    fs.readFileSync(
      path.join(here, 'node_modules/@bytecodealliance/componentize-js/package.json'),
      'utf8',
    ),
  );
  return toolchain('program.js', version, async (source) => {
    const { componentize } = await import('@bytecodealliance/componentize-js');
    const options = { witWorld: worldOf(COMMAND), worldName: 'command' };
    const { component } = await componentize(source.toString(), options);
    return component;
  });
}

/** By componentize-py, which pip fetches into an environment of its own. */
export function python() {
  return toolchain('program.py', COMPONENTIZE_PY, async (source) => {
    const environment = path.join(kept, `python-${COMPONENTIZE_PY}`);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-python-'));
    const at = (name) =>
      path.join(environment, process.platform === 'win32' ? 'Scripts' : 'bin', name);
    const options = { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' };
    try {
      if (!fs.existsSync(at('componentize-py'))) {
        execFileSync('python3', ['-m', 'venv', environment], options);
        execFileSync(at('pip'), ['install', '-q', `componentize-py==${COMPONENTIZE_PY}`], options);
      }
      // Its name must not be that of the world.
      fs.writeFileSync(path.join(folder, 'program.py'), source);
      fs.mkdirSync(path.join(folder, 'wit'));
      fs.writeFileSync(path.join(folder, 'wit/world.wit'), worldOf(COMMAND));
      const args = ['-d', 'wit', '-w', 'command', 'componentize', 'program', '-o', 'program.wasm'];
      execFileSync(at('componentize-py'), args, options);
      return fs.readFileSync(path.join(folder, 'program.wasm'));
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** A component of a core module that speaks 0.2 itself, or of none, for a world. */
export async function embedded(world, binary, stringEncoding = 'utf8') {
  const witSource = worldOf(world);
  const options = binary === undefined ? { dummy: true } : { binary };
  return componentNew(await componentEmbed({ ...options, witSource, stringEncoding }), []);
}

/** A component that imports every function of every interface, and does nothing. */
export function everything() {
  return embedded(`world everything {
    include wasi:cli/imports@0.2.12;
    import wasi:http/types@0.2.12;
    import wasi:http/outgoing-handler@0.2.12;
  }`);
}
