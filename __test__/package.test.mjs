// The package as users get it: packed, installed into an empty project without a network, and used
// there in each way that it can be used.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasSymbolTable } from '../scripts/elf.mjs';
import { platforms } from '../scripts/process.mjs';
import { blocksOf } from './support/pages.mjs';
import { bytesOf } from './support/programs.mjs';
import { Project } from './support/project.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const own = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const major = Number.parseInt(process.versions.node, 10);
const MIB = 1 << 20;
// The aim is 5 ms on an idle machine; this one may be very busy.
const LOAD_LIMIT = 500;

/**
 * The packages that loaders of addons may take instead: builds for WebAssembly, which run on
 * `node:wasi`.
 */
const IMPOSTORS = ['wasi-rs-wasm32-wasi', 'wasi-rs-wasm32-wasip1', '@napi-rs/wasm-runtime'];

/** @type {Project} */
let project;

before(async () => {
  project = await Project.create();
  fs.copyFileSync(guest('args'), path.join(project.folder, 'demo.wasm'));
});
after(() => project?.remove());

function guest(name) {
  return path.join(root, '__test__', 'guests', `${name}.wasm`);
}

/** Runs a program in the project; it must end with code 0 and say nothing on stderr. */
function output(args, env) {
  const { status, stdout, stderr } = project.node(args, env);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, `node ${args.join(' ')}`);
  return stdout;
}

function program(name, text) {
  project.write(name, text);
  return output([name]);
}

const RUN = `
  const wasi = new WASI({ version: 'preview1', args: ['demo', 'one'] });
  const wasm = new WebAssembly.Module(readFileSync('demo.wasm'));
  const code = wasi.start(new WebAssembly.Instance(wasm, wasi.getImportObject()));
  console.log('exit code', code);
`;
/** The same by run() and by spawn(), whose Workers must not run the program itself again. */
const IN_WORKERS = `
  import { run, spawn } from 'wasi-rs';
  const args = ['demo', 'two'];
  run('demo.wasm', { args }).then(async ({ stdout }) => {
    console.log(JSON.stringify(stdout));
    const guest = spawn('demo.wasm', { args });
    for await (const chunk of guest.stdout) process.stdout.write(chunk);
  });
`;
const RAN_IN_WORKERS = `"2\\n[demo]\\n[two]\\nok\\n"\n2\n[demo]\n[two]\nok\n`;
const RAN = '2\n[demo]\n[one]\nok\nexit code 0\n';

describe('the package', () => {
  it('holds what a user needs, and nothing else', () => {
    const expected =
      /^(((bin|lib|lib\/p2)\/)?[\w-]+\.js|[\w-]+\.d\.ts|package\.json|README\.md|LICENSE|(THIRD-PARTY|CHANGELOG|docs\/[\w-]+)\.md|wasi-rs\.[\w-]+\.node)$/;
    const files = project.files();
    assert.deepEqual(
      files.filter((name) => !expected.test(name)),
      [],
    );
    for (const name of [
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'docs/sockets.md',
      'THIRD-PARTY.md',
      'index.js',
      'index.d.ts',
    ]) {
      assert.ok(files.includes(name), name);
    }
    // binding.js is a part of index.js.
    const named = own.files.filter((name) => /\.(js|ts|md)$/.test(name) && name !== 'binding.js');
    assert.deepEqual(
      named.filter((name) => !files.includes(name)),
      [],
      'files that package.json names exist',
    );
  });

  it('has pages whose links lead to files of its own, or to the repository at its version', () => {
    const repository = own.homepage.replace(/#.*/, '');
    const linked = [];
    const broken = project
      .files()
      .filter((name) => name.endsWith('.md') && name !== 'THIRD-PARTY.md')
      .flatMap((page) => {
        const prose = fs.readFileSync(path.join(project.package, page), 'utf8');
        const links = prose.replace(/^```[^]*?^```/gm, '').matchAll(/\]\(([^)\s]+)\)/g);
        return Array.from(links, ([, link]) => link).filter((link) => {
          const [file] = link.split('#');
          const [, place] =
            /^(?:blob|tree|raw)\/([^]*)$/.exec(file.slice(repository.length + 1)) ?? [];
          if (file.startsWith(`${repository}/`) && place) {
            linked.push(place);
            const [version, ...names] = place.split('/');
            return version !== `v${own.version}` || !fs.existsSync(path.join(root, ...names));
          }
          if (file === '' || /^[a-z]+:/.test(file)) return false;
          return !fs.existsSync(path.join(project.package, path.dirname(page), file));
        });
      });
    assert.deepEqual(broken, []);
    for (const name of ['SECURITY.md', 'bench/ratios.svg', 'examples']) {
      assert.ok(linked.includes(`v${own.version}/${name}`), name);
    }
  });

  it('has compiled with the file what most programs call, and nothing else', () => {
    const calls = {
      args_sizes_get: '(i32.const 8) (i32.const 12)',
      args_get: '(i32.const 64) (i32.const 128)',
      environ_sizes_get: '(i32.const 8) (i32.const 12)',
      environ_get: '(i32.const 64) (i32.const 128)',
      clock_res_get: '(i32.const 1) (i32.const 8)',
      clock_time_get: '(i32.const 1) (i64.const 1) (i32.const 8)',
      random_get: '(i32.const 64) (i32.const 8)',
      sched_yield: '',
      fd_prestat_get: '(i32.const 3) (i32.const 8)',
      fd_prestat_dir_name: '(i32.const 3) (i32.const 64) (i32.const 1)',
      fd_fdstat_get: '(i32.const 3) (i32.const 64)',
      fd_filestat_get: '(i32.const 3) (i32.const 64)',
      path_filestat_get: '(i32.const 3) (i32.const 1) (i32.const 0) (i32.const 6) (i32.const 64)',
      path_open: `(i32.const 3) (i32.const 1) (i32.const 0) (i32.const 6) (i32.const 0)
        (i64.const 38) (i64.const 0) (i32.const 0) (i32.const 8)`,
      fd_read: '(i32.const 4) (i32.const 24) (i32.const 1) (i32.const 8)',
      fd_pread: '(i32.const 4) (i32.const 24) (i32.const 1) (i64.const 0) (i32.const 8)',
      fd_seek: '(i32.const 4) (i64.const 0) (i32.const 0) (i32.const 8)',
      fd_tell: '(i32.const 4) (i32.const 8)',
      fd_close: '(i32.const 4)',
      fd_readdir: '(i32.const 3) (i32.const 64) (i32.const 64) (i64.const 0) (i32.const 8)',
      fd_write: '(i32.const 1) (i32.const 24) (i32.const 1) (i32.const 8)',
    };
    const types = (args) => [...args.matchAll(/(i\d\d)\.const/g)].map(([, type]) => type).join(' ');
    const imports = Object.entries(calls).map(
      ([name, args]) => `(import "wasi_snapshot_preview1" "${name}"
        (func $${name} (param ${types(args)}) (result i32)))`,
    );
    const body = Object.entries(calls).map(
      ([name, args]) => `(local.set $failed (i32.or (local.get $failed) (call $${name} ${args})))`,
    );
    const wasm = bytesOf(`(module ${imports.join('\n')}
      (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "main.c") (data (i32.const 24) "\\00\\04\\00\\00\\08\\00\\00\\00")
      (func (export "_start") (local $failed i32)
        ${body.join('\n')} (call $proc_exit (local.get $failed))))`);
    project.write('most.wasm', wasm);
    project.write('main.c', 'int main;');
    project.write(
      'most.cjs',
      `const { WASI } = require('wasi-rs');
       const options = { args: ['a'], env: { A: 'b' }, preopens: { '/': '.' } };
       const wasi = new WASI({ version: 'preview1', ...options });
       const wasm = new WebAssembly.Module(require('fs').readFileSync('most.wasm'));
       process.exitCode = wasi.start(new WebAssembly.Instance(wasm, wasi.getImportObject()));`,
    );
    const NODE_V8_COVERAGE = path.join(project.folder, 'coverage');
    output(['most.cjs'], { NODE_V8_COVERAGE });
    const [report] = fs.readdirSync(NODE_V8_COVERAGE);
    const { result } = JSON.parse(fs.readFileSync(path.join(NODE_V8_COVERAGE, report), 'utf8'));
    const { functions } = result.find(({ url }) => url.endsWith('/wasi-rs/index.js'));
    const text = fs.readFileSync(path.join(project.package, 'index.js'), 'utf8');
    // What binding.js calls depends on the platform.
    const start = text.search(/^\/\/ lib\//m);
    assert.ok(start > 0);
    const called = [];
    const early = [];
    for (const { functionName, ranges } of functions) {
      const [{ startOffset: at, count }] = ranges;
      // Methods and arrow functions have no such form.
      if (at < start || !text.startsWith('function', at)) continue;
      if (count > 0) called.push(functionName);
      if (text[at - 1] === '(') early.push(functionName);
    }
    assert.deepEqual(
      {
        late: called.filter((name) => !early.includes(name)),
        unused: early.filter((name) => !called.includes(name)),
      },
      { late: [], unused: [] },
    );
    assert.ok(early.length > 30);
  });

  it('has a command that the system can start', () => {
    const bin = path.join(project.package, own.bin['wasi-rs']);
    assert.match(fs.readFileSync(bin, 'utf8'), /^#!\/usr\/bin\/env node\n/);
    const { status, stdout } = spawnSync(path.join(project.folder, 'node_modules/.bin/wasi-rs'), [
      '--version',
    ]);
    assert.deepEqual([status, String(stdout).startsWith(`wasi-rs ${own.version}`)], [0, true]);
  });

  it('has no dependency', () => {
    assert.deepEqual(fs.readdirSync(path.join(project.folder, 'node_modules')).sort(), [
      '.bin',
      '.package-lock.json',
      'wasi-rs',
    ]);
  });

  it('loads all of its modules', () => {
    const modules = project.files().filter((name) => /^(lib\/(p2\/)?)?[\w-]+\.js$/.test(name));
    // Those that run in a Worker, and the one that changes `node:wasi`.
    const apart = [
      'lib/cli-watchdog.js',
      'lib/guest-worker.js',
      'lib/threads-worker.js',
      'lib/worker.js',
      'lib/worker-binding.js',
      'register.js',
    ];
    for (const name of modules.filter((name) => !apart.includes(name))) {
      output(['-e', `require(${JSON.stringify(path.join(project.package, name))})`]);
    }
  });

  it('has an addon below 2.25 MiB', () => {
    const { size } = fs.statSync(project.addon());
    assert.ok(size < 2.25 * MIB, `${size} bytes`);
  });

  it('has an index.js below 60 KiB, which each start compiles', () => {
    const { size } = fs.statSync(path.join(project.package, 'index.js'));
    assert.ok(size < 60 * 1024, `${size} bytes`);
  });

  it('has an addon without symbols', { skip: process.platform !== 'linux' }, () => {
    assert.equal(hasSymbolTable(project.addon()), false);
  });

  it('loads in milliseconds', (t) => {
    const { wall, cpu } = project.loadTime();
    t.diagnostic(`require('wasi-rs'): at best ${wall} ms, ${cpu} ms of them computing`);
    assert.ok(wall > 0 && wall < LOAD_LIMIT, `${wall} ms`);
  });
});

describe('the installed package', () => {
  it('works by require', () => {
    const text = `'use strict';
      const { readFileSync } = require('node:fs');
      const { WASI } = require('wasi-rs');
      ${RUN}`;
    assert.equal(program('require.cjs', text), RAN);
  });

  it('says how addons are allowed where they are not', () => {
    const { status, stderr } = project.node(['--no-addons', '-e', "require('wasi-rs')"]);
    assert.equal(status, 1);
    assert.match(stderr, /Error: wasi-rs: [^\n]*disabled: [^\n]*--allow-addons/);
    assert.match(stderr, /ERR_WASI_ADDON_NOT_LOADED/);
    assert.doesNotMatch(stderr, /install again/);
  });

  it('says that there is no WebAssembly where there is none', () => {
    const line =
      'wasi-rs: there is no WebAssembly: run Node.js without --jitless and --no-expose-wasm';
    const load =
      "try { require('wasi-rs') } catch ({ code, message }) { console.log(code, message) }";
    const { stdout } = project.node(['--jitless', '-e', load]);
    assert.equal(stdout, `ERR_WEBASSEMBLY_NOT_SUPPORTED ${line}\n`);
    const command = path.join(project.package, own.bin['wasi-rs']);
    const { status, stderr } = project.node(['--jitless', command, 'demo.wasm']);
    // V8 may have a warning first.
    assert.deepEqual([status, stderr.slice(stderr.indexOf('wasi-rs:'))], [1, `${line}\n`]);
  });

  const skip = process.platform === 'win32' && 'a file that is loaded cannot be moved there';
  it('says in a few lines why the process of a guest did not start', { skip }, () => {
    // As where another version is installed while a program runs.
    const text = `const fs = require('node:fs');
      const { run } = require('wasi-rs');
      const addon = ${JSON.stringify(project.addon())};
      fs.renameSync(addon, addon + '.old');
      run('demo.wasm', { isolation: 'process' })
        .catch(({ code, message }) => console.log(code, message))
        .finally(() => fs.renameSync(addon + '.old', addon));`;
    const printed = program('moved.cjs', text);
    assert.match(printed, /^ERR_WASI_NO_PROCESS The guest has no process: it ended with 1\. /);
    assert.match(printed, /No such file|not found|no such file/);
    assert.ok(printed.length < 2000, `${printed.length} characters`);
  });

  it('works by import', () => {
    const text = `import { readFileSync } from 'node:fs';
      import { WASI } from 'wasi-rs';
      ${RUN}`;
    assert.equal(program('import.mjs', text), RAN);
  });

  it('works where a test environment, such as jsdom, has taken globals of Node away', () => {
    const text = `for (const name of ['TextDecoder', 'TextEncoder', 'structuredClone', 'fetch',
        'setImmediate', 'clearImmediate', 'performance']) delete globalThis[name];
      const { run, WASI } = require('wasi-rs');
      require('wasi-rs/threads');
      const p2 = require('wasi-rs/p2');
      console.log(new WASI({ version: 'preview1', args: ['a'] }).getImportObject() !== undefined);
      const { getArguments } = new p2.WASI({ args: ['é'] }).getImportObject()['wasi:cli/environment'];
      console.log(getArguments().join());
      run('demo.wasm', { args: ['demo'] }).then(({ stdout }) => console.log(stdout));`;
    assert.equal(program('globals.cjs', text), 'true\né\n1\n[demo]\nok\n\n');
  });

  // Node finds them in the text of a module (cjs-module-lexer), without running it.
  it('gives each of its names to import', () => {
    const entries = Object.keys(own.exports)
      .filter((entry) => !/register$|json$/.test(entry))
      .map((entry) => entry.replace('.', own.name));
    const text = `import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      let count = 0;
      for (const entry of ${JSON.stringify(entries)}) {
        const imported = await import(entry);
        for (const [name, value] of Object.entries(require(entry))) {
          if (imported[name] !== value) throw new Error(entry + ' lacks ' + name);
          count += 1;
        }
      }
      console.log(count);`;
    assert.ok(Number(program('names.mjs', text)) > 50);
  });

  it("runs the README's examples, each as it stands there", () => {
    const examples = blocksOf(fs.readFileSync(path.join(root, 'README.md'), 'utf8'))
      .filter(({ language }) => language === 'js')
      .map(({ code }) => code);
    assert.ok(examples.length >= 3);
    for (const example of examples) {
      const printed = Array.from(example.matchAll(/\/\/ prints (.*)/g), ([, line]) => `${line}\n`);
      const place = '/some/real/path';
      const name = /^import /m.test(example) ? 'example.mjs' : 'example.cjs';
      if (!example.includes(place)) {
        assert.ok(printed.length > 0, 'it shows what it prints');
        assert.equal(program(name, example), printed.join(''));
        continue;
      }
      const text = example.replace(place, project.folder);
      assert.equal(
        program(name, `${text}\nconsole.log('exit code', exitCode);`),
        '2\n[demo]\n[--verbose]\nok\nexit code 0\n',
      );
    }
    assert.ok(examples[0].includes('run('), 'the first one runs a contained program');
  });

  it('replaces node:wasi by wasi-rs/register', () => {
    const text = `'use strict';
      const { readFileSync } = require('node:fs');
      const { WASI } = require('node:wasi');
      if (WASI !== require('wasi-rs').WASI) throw new Error("Node's own");
      ${RUN}`;
    project.write('unchanged.cjs', text);
    assert.equal(output(['--require', 'wasi-rs/register', 'unchanged.cjs']), RAN);
    assert.equal(output(['--import', 'wasi-rs/register', 'unchanged.cjs']), RAN);
  });

  it('runs threads by wasi-rs/threads', async () => {
    const { default: wabt } = await import('wabt');
    const text = `(module
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "env" "memory" (memory 1 1 shared))
      (export "memory" (memory 0))
      (func (export "wasi_thread_start") (param i32 i32) (call $exit (local.get 1)))
      (func (export "_start") (drop (call $spawn (i32.const 42)))
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))`;
    const module = (await wabt()).parseWat('threads.wat', text, { threads: true });
    project.write('threads.wasm', module.toBinary({}).buffer);
    const threads = `import { readFileSync } from 'node:fs';
      import { WASI } from 'wasi-rs';
      import { runThreads } from 'wasi-rs/threads';
      const wasi = new WASI({ version: 'preview1' });
      console.log(await runThreads(wasi, readFileSync('threads.wasm')));`;
    assert.equal(program('threads.mjs', threads), '42\n');
  });

  it('runs a program in a Worker', () => {
    const text = `import { readFileSync } from 'node:fs';
      import { run } from 'wasi-rs';
      const { reason, stdout } = await run(readFileSync('demo.wasm'), { args: ['demo', 'one'] });
      console.log(reason + '\\n' + stdout);`;
    assert.equal(program('worker.mjs', text), 'exit\n2\n[demo]\n[one]\nok\n\n');
  });

  describe('in a bundle', () => {
    const app = `import { readFileSync } from 'node:fs';
      import { WASI } from 'wasi-rs';
      ${RUN}`;

    async function bundled(format, options, text = app) {
      const { build } = await import('esbuild');
      const entry = project.write('app.mjs', text);
      const outfile = path.join(project.folder, 'dist', format === 'esm' ? 'app.mjs' : 'app.cjs');
      const common = { bundle: true, platform: 'node', format, logLevel: 'silent' };
      const result = await build({ entryPoints: [entry], outfile, ...common, ...options });
      assert.deepEqual([result.errors, result.warnings], [[], []]);
      return outfile;
    }

    for (const format of ['esm', 'cjs']) {
      it(`that leaves the package external, as ${format}`, async () => {
        const bundle = await bundled(format, { external: ['wasi-rs'] });
        assert.match(fs.readFileSync(bundle, 'utf8'), /(from|require\()\s*['"]wasi-rs['"]/);
        assert.equal(output([bundle]), RAN);
      });
    }

    it('that leaves only the addon external, where run() starts Workers', async () => {
      const bundle = await bundled('cjs', { external: ['*.node', 'wasi-rs-*'] }, app + IN_WORKERS);
      const beside = path.join(path.dirname(bundle), path.basename(project.addon()));
      fs.copyFileSync(project.addon(), beside);
      const hidden = path.join(project.above, 'hidden');
      fs.renameSync(project.package, hidden);
      try {
        assert.equal(output([bundle]), RAN + RAN_IN_WORKERS);
        fs.rmSync(beside);
        assert.match(project.node([bundle]).stderr, /ERR_WASI_ADDON_NOT_LOADED/);
      } finally {
        fs.renameSync(hidden, project.package);
      }
    });
  });

  it('has the command wasi-rs', () => {
    const { bin } = JSON.parse(fs.readFileSync(path.join(project.package, 'package.json'), 'utf8'));
    const command = path.join(project.package, bin['wasi-rs']);
    assert.ok(fs.existsSync(path.join(project.folder, 'node_modules', '.bin', 'wasi-rs')));
    assert.equal(output([command, 'run', 'demo.wasm', 'one']), '2\n[demo.wasm]\n[one]\nok\n');
    assert.ok(output([command, '--version']).startsWith(`wasi-rs ${own.version} (`));
  });

  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const [title, types] of [
    ['with @types/node', ['node']],
    ['without @types/node', []],
  ]) {
    it(`has types, ${title}`, { skip: major < 20 && 'the compiler needs Node 20' }, () => {
      const options = {
        strict: true,
        noEmit: true,
        target: 'es2022',
        lib: types.length > 0 ? ['es2022'] : ['es2022', 'dom'],
        module: 'nodenext',
        types,
        typeRoots: types.length > 0 ? [path.join(root, 'node_modules', '@types')] : [],
      };
      const config = { compilerOptions: options, files: ['typed.mts'] };
      project.write('tsconfig.json', JSON.stringify(config));
      const use = `import { WASI } from 'wasi-rs';
        import { runThreads } from 'wasi-rs/threads';
        const wasi = new WASI({ version: 'preview1', args: ['demo'] });
        export const names: string[] = Object.keys(wasi.wasiImport);
        export const run: (wasm: Uint8Array<ArrayBuffer>) => Promise<number> = (wasm) => runThreads(wasi, wasm);`;
      project.write('typed.mts', use);
      const checked = project.node([tsc, '--project', 'tsconfig.json']);
      assert.equal(checked.stdout + checked.stderr, '');
      assert.equal(checked.status, 0);
      // The compiler does look at these types.
      project.write('typed.mts', `${use}\nnew WASI({ version: 1 });`);
      const { status, stdout } = project.node([tsc, '--project', 'tsconfig.json']);
      assert.notEqual(status, 0);
      assert.match(stdout, /typed\.mts\(6,/);
    });
  }
});

describe('the loader', () => {
  const loader = fs.readFileSync(path.join(root, 'binding.js'), 'utf8');

  it('knows the platforms that are built', () => {
    const names = {
      'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
      'x86_64-unknown-linux-musl': 'linux-x64-musl',
      'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
      'aarch64-unknown-linux-musl': 'linux-arm64-musl',
      'x86_64-apple-darwin': 'darwin-x64',
      'aarch64-apple-darwin': 'darwin-arm64',
      'x86_64-pc-windows-msvc': 'win32-x64-msvc',
      'aarch64-pc-windows-msvc': 'win32-arm64-msvc',
    };
    const known = own.napi.targets.map((target) => names[target]).sort();
    assert.deepEqual(platforms(), known);
    const listed = (text, pattern) => Array.from(text.matchAll(pattern), ([, name]) => name);
    const notLoaded = fs.readFileSync(path.join(root, 'lib/not-loaded.js'), 'utf8');
    assert.deepEqual(listed(notLoaded, /^ {2}['"]([\w-]+)['"],?$/gm), known);
    assert.deepEqual(listed(loader, /^ {6}case '([\w-]+)':$/gm), [...known, ...known]);
    // The build tool gives each of them the same name.
    for (const name of known) {
      assert.ok(loader.includes(`require('./wasi-rs.${name}.node')`), name);
      assert.ok(loader.includes(`require('wasi-rs-${name}')`), name);
    }
  });

  const skip = process.platform === 'linux' ? false : 'musl is a C library of Linux';
  it('finds out which C library there is, without a report where there is no ldd', { skip }, () => {
    // `ldd` and the mappings of a process, and what the loader asks for then.
    const systems = [
      ['musl libc', undefined, 'musl'],
      ['ldd (GNU libc)', '7f00 r-xp /lib/ld-musl-x86_64.so.1', 'gnu'],
      [undefined, '7f00 r-xp /lib/ld-musl-x86_64.so.1', 'musl'],
      [undefined, '7f00 r-xp /lib64/ld-linux-x86-64.so.2\n7f01 r-xp /lib64/libc.so.6\n', 'gnu'],
      [undefined, '7f01 r-xp /lib/ld-2.31.so\n7f01 r-xp /lib/libc-2.31.so\n7f02 rw-p\n', 'gnu'],
      [undefined, '7f01 r-xp /lib/libc.so.6 (deleted)\n', 'gnu'],
      // Where the loader is a link, as musl's own installation makes it.
      [undefined, '7f00 r-xp /opt/node\n7f01 r-xp /usr/lib/libc.so\n7f02 rw-p\n', 'musl'],
      [undefined, '7f00 r-xp /lib/ld-musl-aarch64.so.1 (deleted)\n', 'musl'],
      [undefined, '7f00 r-xp /home/ld-musl-cache/node\n7f01 r-xp /lib/libc.so.6\n', 'gnu'],
      // Only Node's report, of a Node without glibc, tells where neither does.
      [undefined, '7f00 r-xp /opt/node\n', 'musl', 'a report'],
      [undefined, undefined, 'musl', 'a report'],
    ];
    for (const [ldd, maps, libc, ...report] of systems) {
      const script = `
        const fs = require('node:fs'), Module = require('node:module');
        const files = ${JSON.stringify({ '/usr/bin/ldd': ldd, '/proc/self/maps': maps })};
        const { readFileSync } = fs;
        fs.readFileSync = (path, ...rest) => {
          if (path !== '/usr/bin/ldd' && path !== '/proc/self/maps') return readFileSync(path, ...rest);
          if (files[path] === undefined) throw new Error('ENOENT');
          return files[path];
        };
        process.report.getReport = () => {
          console.log('a report');
          return { header: {} };
        };
        const { _resolveFilename } = Module;
        Module._resolveFilename = (name, ...rest) => {
          if (!/wasi-rs[.-]linux/.test(name)) return _resolveFilename(name, ...rest);
          console.log(name);
          throw new Error('not there');
        };
        try { require('wasi-rs'); } catch (error) { console.log(error.code); }`;
      const asked = program('libc.cjs', script).trim().split('\n');
      const name = `linux-${process.arch}-${libc}`;
      const expected = [
        `wasi-rs-${name}`,
        `./wasi-rs.${name}.node`,
        'ERR_WASI_ADDON_NOT_LOADED',
        ...report,
      ].sort();
      assert.deepEqual(asked.sort(), expected, `${ldd}, ${maps}`);
    }
  });

  it('writes out each path that it requires, without which bundlers fail or warn', () => {
    const text = fs.readFileSync(path.join(project.package, 'index.js'), 'utf8');
    assert.match(text, /\brequire\("wasi-rs-linux-x64-gnu"\)/);
    assert.deepEqual(text.match(/\brequire\((?!(['"])[^'"]*\1\))[^)]*\)/g) ?? [], []);
  });

  it('reads no environment variable', () => {
    assert.doesNotMatch(loader.replace(/^ *\/\/.*$/gm, ''), /process\.env/);
  });

  it('is not exchanged by an option of the build', () => {
    for (const option of ['--no-js', '--js=other.js', '--output-dir', '-o', '--esm']) {
      const build = path.join(root, 'scripts', 'build.mjs');
      const { status, stderr } = spawnSync(process.execPath, [build, option], { encoding: 'utf8' });
      assert.deepEqual([status, stderr.split('\n').length], [1, 2], stderr);
      assert.match(stderr, /^error: .* one loader/);
      assert.equal(fs.readFileSync(path.join(root, 'binding.js'), 'utf8'), loader);
    }
  });

  it("prefers the addon of a build to that of the platform's package", () => {
    const name = `wasi-rs-${path.basename(project.addon()).split('.')[1]}`;
    const folder = path.join(project.folder, 'node_modules', name);
    project.write(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'other.js' }));
    project.write(`node_modules/${name}/other.js`, `exports.version = "${own.version}";\n`);
    try {
      assert.equal(output(['require.cjs']), RAN);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  describe('where there is no addon beside it', () => {
    let hidden;
    let platform;
    before(() => {
      const addon = project.addon();
      platform = path.basename(addon).split('.')[1];
      hidden = path.join(project.above, path.basename(addon));
      fs.renameSync(addon, hidden);
    });
    after(() => fs.renameSync(hidden, path.join(project.package, path.basename(hidden))));

    function failure(env, prelude = '') {
      const code = `${prelude};
        try { require('wasi-rs'); console.log('loaded'); }
        catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })); }`;
      return JSON.parse(output(['-e', code], env));
    }

    it('says for which platform, and what to do', () => {
      const { code, message } = failure();
      assert.equal(code, 'ERR_WASI_ADDON_NOT_LOADED');
      assert.ok(message.includes(platform), message);
      assert.match(message, /install again/);
    });

    it('says so in one line by the command', () => {
      const command = path.join(project.package, own.bin['wasi-rs']);
      const { status, stderr } = project.node([command, 'demo.wasm']);
      assert.match(stderr, /^wasi-rs: the addon for [^\n]*: install again [^\n]*\n$/);
      assert.equal(status, 1);
    });

    it('says of a file that the system does not load what may be wrong with it', () => {
      const file = path.join(project.package, path.basename(hidden));
      fs.writeFileSync(file, 'damaged');
      try {
        const { code, message } = failure();
        assert.equal(code, 'ERR_WASI_ADDON_NOT_LOADED');
        assert.match(message, /is there, and was not loaded: .*\. Its file may be damaged, or of/);
        assert.doesNotMatch(message, /optional/);
        const bytes = fs.readFileSync(hidden);
        const at = bytes.lastIndexOf('GLIBC_2.', -1, 'latin1');
        if (at < 0) return;
        bytes.write('GLIBC_9', at, 'latin1');
        fs.writeFileSync(file, bytes);
        assert.match(failure().message, /is too old: the addon takes glibc 2\.28 or later/);
      } finally {
        fs.rmSync(file);
      }
    });

    it('says which platforms there are, on any other', () => {
      const other = "Object.defineProperty(process, 'arch', { value: 'riscv64' })";
      const { code, message } = failure({}, other);
      assert.equal(code, 'ERR_WASI_ADDON_NOT_LOADED');
      assert.match(message, /no prebuilt addon for \w+-riscv64/);
      assert.match(message, /npm run build/);
      for (const target of ['linux-x64-gnu', 'darwin-arm64']) assert.ok(message.includes(target));
    });

    it('takes a build on a platform that has no package', () => {
      const [system, , ...abi] = platform.split('-');
      const name = `wasi-rs.${[system, 'riscv64', ...abi].join('-')}.node`;
      const load = `Object.defineProperty(process, 'arch', { value: 'riscv64' });
        console.log(typeof require('wasi-rs').WASI);`;
      const file = path.join(project.package, name);
      fs.copyFileSync(hidden, file);
      try {
        assert.equal(output(['-e', load]), 'function\n');
      } finally {
        fs.rmSync(file);
      }
    });

    it('takes nothing else in its place, whatever the environment says', () => {
      const modules = path.join(project.folder, 'node_modules');
      const fake = "console.log('an impostor runs'); module.exports = require('node:wasi');\n";
      for (const name of IMPOSTORS) project.write(`node_modules/${name}/index.js`, fake);
      project.write('node_modules/wasi-rs/wasi-rs.wasi.cjs', fake);
      const impostor = project.write('impostor.cjs', fake);
      const asked = {};
      for (const prefix of ['NAPI_RS', 'WASI_RS']) {
        asked[`${prefix}_FORCE_WASI`] = '1';
        asked[`${prefix}_NATIVE_LIBRARY_PATH`] = impostor;
      }
      try {
        assert.equal(failure(asked).code, 'ERR_WASI_ADDON_NOT_LOADED');
      } finally {
        for (const name of IMPOSTORS) fs.rmSync(path.join(modules, name), { recursive: true });
        fs.rmSync(path.join(project.package, 'wasi-rs.wasi.cjs'));
      }
    });

    it("takes that of the platform's package, if it is of the same version", () => {
      const name = `wasi-rs-${platform}`;
      const main = path.basename(hidden);
      const folder = path.join(project.folder, 'node_modules', name);
      const describe = (main) =>
        project.write(`node_modules/${name}/package.json`, JSON.stringify({ name, main }));
      describe(main);
      fs.copyFileSync(hidden, path.join(folder, main));
      try {
        assert.equal(output(['require.cjs']), RAN);
        project.write(`node_modules/${name}/old.js`, "exports.version = '0.0.1';\n");
        describe('old.js');
        const { code, message } = failure();
        assert.equal(code, 'ERR_WASI_ADDON_NOT_LOADED');
        assert.ok(message.includes(`expected ${own.version} but got 0.0.1`), message);
      } finally {
        fs.rmSync(folder, { recursive: true });
      }
    });
  });
});

describe('a release', () => {
  it('is one package for each platform, and this one without an addon', () => {
    const addon = project.addon();
    const artifacts = path.join(project.above, 'artifacts');
    const output = path.join(project.above, 'release');
    const release = (tag) => {
      const script = path.join(root, 'scripts', 'release.mjs');
      return project.node([script, '--tag', tag, '--artifacts', artifacts, '--output', output]);
    };
    fs.mkdirSync(artifacts);
    for (const platform of platforms()) {
      const build = path.join(artifacts, platform);
      fs.mkdirSync(build);
      fs.copyFileSync(addon, path.join(build, `wasi-rs.${platform}.node`));
    }
    assert.equal(release('v0.0.1').status, 1);
    fs.renameSync(path.join(artifacts, 'darwin-arm64'), path.join(project.above, 'aside'));
    assert.match(release(`v${own.version}`).stderr, /there is no wasi-rs\.darwin-arm64\.node/);
    fs.renameSync(path.join(project.above, 'aside'), path.join(artifacts, 'darwin-arm64'));
    assert.equal(release(`v${own.version}`).status, 0);

    const main = JSON.parse(fs.readFileSync(path.join(output, 'wasi-rs', 'package.json'), 'utf8'));
    const names = platforms().map((platform) => `wasi-rs-${platform}`);
    assert.deepEqual(Object.keys(main.optionalDependencies).sort(), names);
    assert.deepEqual([...new Set(Object.values(main.optionalDependencies))], [own.version]);

    // As npm installs them side by side.
    const modules = path.join(project.above, 'released', 'node_modules');
    const platform = path.basename(addon).split('.')[1];
    fs.cpSync(path.join(output, 'wasi-rs'), path.join(modules, 'wasi-rs'), { recursive: true });
    const load = () =>
      project.node(['-p', `typeof require(${JSON.stringify(modules)} + '/wasi-rs').WASI`]);
    assert.match(load().stderr, /ERR_WASI_ADDON_NOT_LOADED/);
    const beside = path.join(modules, `wasi-rs-${platform}`);
    fs.cpSync(path.join(output, platform), beside, { recursive: true });
    assert.equal(load().stdout, 'function\n');
  });
});
