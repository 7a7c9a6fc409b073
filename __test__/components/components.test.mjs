// Components of toolchains that are not ours: C and Rust by the adapter of preview1, JavaScript by
// componentize-js, Python by componentize-py, each in every way in which wasi-rs serves them. `npm
// run test:components` installs what is needed here.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parse } from '@bytecodealliance/jco';
import { fetchedIfPossible } from '../../scripts/process.mjs';
import { RUNTIMES } from '../runtimes.mjs';
import {
  COMMAND,
  MAP,
  SUSPENDING,
  adapted,
  embedded,
  everything,
  javascript,
  jcoVersion,
  project,
  python,
  run,
  transpiled,
} from './prepare.mjs';

const require = createRequire(import.meta.url);
const { WASI, WASIExitError, checkComponent } = require('../../lib/p2/index.js');
const { WASI: Preview1 } = require('../../index.js');
const own = require('../../package.json');
const here = path.dirname(fileURLToPath(import.meta.url));
const command = path.join(here, '../../bin/wasi-rs.js');

/** The modes of jco's `--import-bindings` that work: values, and the canonical ABI where it can. */
const MODES = ['js', 'hybrid'];
const INPUT = 'x'.repeat(5000);
const SECRET = 'what nobody may read';

let folder;
const components = {};
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-components-'));
  project(folder);
  for (const name of ['program-c', 'program-rs']) components[name] = await adapted(name);
  components.everything = await everything();
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A fresh directory for a guest, with a link that leads out of it. */
let data;
beforeEach(() => {
  data = path.join(folder, 'data');
  fs.rmSync(data, { recursive: true, force: true });
  fs.mkdirSync(path.join(data, 'box'), { recursive: true });
  fs.mkdirSync(path.join(data, 'outside'));
  fs.writeFileSync(path.join(data, 'outside/secret'), SECRET);
  fs.symlinkSync('../outside', path.join(data, 'box/out'));
});

const instances = new Map();
/** The `instantiate` of a component, as jco writes it. */
async function instantiateOf(name, mode, more = {}) {
  const key = `${name}-${mode}${Object.keys(more).length > 0 ? '-suspending' : ''}`;
  if (!instances.has(key)) {
    const place = path.join(folder, key);
    const file = await transpiled(components[name], place, name, {
      instantiation: 'async',
      importBindings: mode,
      wasiShim: false,
      ...more,
    });
    const { instantiate } = await import(pathToFileURL(file));
    const load = (module) => new WebAssembly.Module(fs.readFileSync(path.join(place, module)));
    instances.set(key, (imports) => instantiate(load, imports));
  }
  return instances.get(key);
}

const optionsFor = (name, args) => ({
  args: [name, ...args],
  env: { VARIABLE: 'value' },
  preopens: { '/data': path.join(data, 'box') },
  stdin: Buffer.from(INPUT),
  stdout: 'pipe',
  stderr: 'pipe',
});

const textOf = (bytes) => Buffer.from(bytes).toString();

/** The output of the same program as a module of preview1. */
function expected(name, args) {
  const bytes = fs.readFileSync(path.join(here, 'guests', `${name}.wasm`));
  const wasi = new Preview1({ version: 'preview1', ...optionsFor(name, args) });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), wasi.getImportObject());
  const code = wasi.start(instance);
  return { code, stdout: textOf(wasi.stdout), stderr: textOf(wasi.stderr) };
}

const NAMES = ['program-c', 'program-rs'];

for (const mode of MODES) {
  describe(`--instantiation, --import-bindings ${mode}`, () => {
    for (const name of NAMES) {
      it(`runs ${name} as preview1 does`, async () => {
        const one = expected(name, ['one', 'two words']);
        assert.ok(!one.stdout.includes('FAILED') && !one.stdout.includes('OPENED'), one.stdout);
        beforeEachData();
        const wasi = new WASI(optionsFor(name, ['one', 'two words']));
        const instantiate = await instantiateOf(name, mode);
        const before = wasi.resources;
        const code = wasi.start(await instantiate(wasi.getImportObject()));
        assert.equal(textOf(wasi.stdout), one.stdout);
        assert.equal(textOf(wasi.stderr), one.stderr);
        // The adapter knows success and failure only.
        assert.equal(code, one.code === 0 ? 0 : 1);
        assert.ok(wasi.resources - before < 12, `${wasi.resources} resources are left`);
      });
    }

    it('ends by an exit, and by a trap', async () => {
      const instantiate = await instantiateOf('program-c', mode);
      const start = async (...args) => {
        const wasi = new WASI(optionsFor('program-c', args));
        return wasi.start(await instantiate(wasi.getImportObject()));
      };
      assert.equal(await start('exit', '0'), 0);
      assert.equal(await start('exit', '7'), 1, 'the adapter knows no codes');
      await assert.rejects(start('abort'), WebAssembly.RuntimeError);
      const wasi = new WASI(optionsFor('program-c', ['exit', '7']));
      const component = await instantiate(wasi.getImportObject());
      assert.throws(
        () => component.run.run(),
        (error) => error instanceof WASIExitError && error.exitCode === 1,
      );
    });

    it('reads a pipe as it comes', async () => {
      const script = path.join(folder, `pipe-${mode}.mjs`);
      fs.writeFileSync(script, runnerOf(mode));
      const child = spawn(process.execPath, [script, path.join(data, 'box')], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk) => (output += chunk));
      for (const part of ['first ', 'second ', 'third']) {
        child.stdin.write(part);
        await new Promise((resolve) => setTimeout(resolve, 120));
      }
      child.stdin.end();
      const [code] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)));
      assert.equal(code, 0, output);
      assert.match(output, /^input: 18 bytes, /m);
    });

    it('keeps what a guest may not have', async () => {
      const name = 'program-c';
      const wasi = new WASI({
        ...optionsFor(name, []),
        preopens: { '/data': { path: path.join(data, 'box'), readOnly: true } },
      });
      const instantiate = await instantiateOf(name, mode);
      assert.equal(wasi.start(await instantiate(wasi.getImportObject())), 1);
      assert.match(textOf(wasi.stdout), /^FAILED open: Read-only file system$/m);
      assert.deepEqual(fs.readdirSync(path.join(data, 'box')), ['out']);
      const nothing = new WASI({ ...optionsFor(name, []), preopens: {} });
      assert.equal(nothing.start(await instantiate(nothing.getImportObject())), 1);
      assert.match(textOf(nothing.stdout), /^FAILED open: /m);
    });

    it('sleeps for as long as it is asked', async () => {
      const wasi = new WASI(optionsFor('program-c', ['sleep', '120']));
      const instantiate = await instantiateOf('program-c', mode);
      const start = performance.now();
      assert.equal(wasi.start(await instantiate(wasi.getImportObject())), 0);
      assert.equal(textOf(wasi.stdout), 'slept enough\n');
      assert.ok(performance.now() - start >= 119);
    });

    it('finds every name that jco generates', async () => {
      const wasi = new WASI({ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
      const instantiate = await instantiateOf('everything', mode);
      const logged = [];
      const { error } = console;
      console.error = (...words) => logged.push(words.join(' '));
      try {
        await instantiate(wasi.getImportObject());
      } finally {
        console.error = error;
      }
      assert.deepEqual(logged, []);
    });

    it('runs several instances side by side', async () => {
      const instantiate = await instantiateOf('program-c', mode);
      const wasi = new WASI(optionsFor('program-c', ['sleep', '1']));
      const one = await instantiate(wasi.getImportObject());
      const other = await instantiate(wasi.getImportObject());
      assert.equal(wasi.start(one), 0);
      assert.equal(wasi.start(other), 0);
      assert.equal(textOf(wasi.stdout), 'slept enough\nslept enough\n');
    });
  });
}

const noJspi =
  typeof WebAssembly.Suspending !== 'function' && 'JSPI is there from Node.js 24.20 on';

for (const mode of MODES) {
  describe(
    `--async-mode jspi, --import-bindings ${mode}`,
    { skip: noJspi, timeout: 120_000 },
    () => {
      const start = async (name, args, options, more) => {
        const wasi = new WASI({ ...optionsFor(name, args), suspend: true, ...options });
        const instantiate = await instantiateOf(name, mode, SUSPENDING);
        const component = await instantiate(wasi.getImportObject());
        return { wasi, running: wasi.startAsync(component, more) };
      };

      it('two components sleep, and a timer of the host ticks', async () => {
        let ticks = 0;
        const began = performance.now();
        const both = ['300', '250'].map((time) => start('program-c', ['sleep', time]));
        const timer = setInterval(() => ticks++, 10);
        for (const { wasi, running } of await Promise.all(both)) {
          assert.equal(await running, 0);
          assert.equal(textOf(wasi.stdout), 'slept enough\n');
        }
        clearInterval(timer);
        assert.ok(performance.now() - began >= 299);
        assert.ok(ticks >= 5, `${ticks} ticks`);
      });

      for (const name of NAMES) {
        it(`runs ${name} as preview1 does, with streams that take their time`, async () => {
          const one = expected(name, ['one', 'two words']);
          beforeEachData();
          const written = [];
          async function* input() {
            for (let at = 0; at < INPUT.length; at += 1000) {
              await new Promise((resolve) => setTimeout(resolve, 5));
              yield INPUT.slice(at, at + 1000);
            }
          }
          const { running } = await start(name, ['one', 'two words'], {
            stdin: input(),
            stdout: new WritableStream({ write: (chunk) => void written.push(chunk) }),
          });
          assert.equal(await running, one.code === 0 ? 0 : 1);
          assert.equal(textOf(Buffer.concat(written)), one.stdout);
        });
      }

      it('a signal ends one that waits', async () => {
        const controller = new AbortController();
        const { running } = await start('program-c', ['sleep', '900'], {}, controller);
        const reason = new Error('enough');
        setTimeout(() => controller.abort(reason), 30);
        await assert.rejects(running, (error) => error === reason);
      });

      it('a component that was not told to wait ends', async () => {
        const wasi = new WASI({ ...optionsFor('program-c', ['sleep', '900']), suspend: true });
        const instantiate = await instantiateOf('program-c', mode);
        const component = await instantiate(wasi.getImportObject());
        assert.throws(() => wasi.start(component), { code: 'ERR_WASI_WOULD_WAIT' });
      });
    },
  );
}

/** A program that runs the component in a process of its own. */
function runnerOf(mode) {
  const place = path.join(folder, `program-c-${mode}`);
  return `
    import fs from 'node:fs';
    import { WASI } from 'wasi-rs/p2';
    import { instantiate } from ${JSON.stringify(pathToFileURL(path.join(place, 'program-c.js')).href)};
    const wasi = new WASI({ args: ['program-c'], preopens: { '/data': process.argv[2] } });
    const load = (name) => new WebAssembly.Module(fs.readFileSync(${JSON.stringify(place)} + '/' + name));
    process.exitCode = wasi.start(await instantiate(load, wasi.getImportObject()));`;
}

function beforeEachData() {
  fs.rmSync(path.join(data, 'box'), { recursive: true, force: true });
  fs.mkdirSync(path.join(data, 'box'));
  fs.symlinkSync('../outside', path.join(data, 'box/out'));
}

// --- Toolchains that have an engine in the component ---------------------------------------------

/** `(module (global i32 (i32.add (i32.const 1) (i32.const 2))))` */
const ADDING = [0, 97, 115, 109, 1, 0, 0, 0, 6, 9, 1, 127, 0, 65, 1, 65, 2, 106, 11];
/** componentize-py links with offsets that are sums, which Node.js 20 does not compile. */
const pythonRuns = WebAssembly.validate(new Uint8Array(ADDING));

/** The three refusals as each toolchain's program prints them. */
const BLOCKED = {
  'program-js': ['blocked: not-permitted', 'blocked: not-permitted', 'blocked: not-permitted'],
  'program-py': [
    'blocked: PermissionError',
    'blocked: PermissionError',
    'blocked: FileNotFoundError',
  ],
};

for (const [name, make] of [
  ['program-js', javascript],
  ['program-py', python],
]) {
  describe(name, { timeout: 900_000 }, () => {
    let unavailable;
    before(async () => {
      if (name === 'program-py' && !pythonRuns) {
        unavailable = 'this Node.js has no extended constant expressions';
        return;
      }
      try {
        components[name] = await make();
      } catch (error) {
        // The registry, or Python itself, is not to be had.
        unavailable = `it could not be made: ${error.stderr || error.message}`.slice(0, 500);
      }
    });

    const forms = [
      ...MODES.map((mode) => [mode, mode, {}, { suspend: false }]),
      ...(noJspi
        ? []
        : MODES.map((mode) => [`${mode}, JSPI`, mode, SUSPENDING, { suspend: true }])),
    ];
    for (const [title, mode, more, { suspend }] of forms) {
      const start = async (args, options) => {
        const wasi = new WASI({ ...optionsFor(name, args), suspend, ...options });
        const instantiate = await instantiateOf(name, mode, more);
        return { wasi, code: await wasi.start(await instantiate(wasi.getImportObject())) };
      };

      it(`${title}: works with files, directories, clocks and input`, async (t) => {
        if (unavailable) return t.skip(unavailable);
        beforeEachData();
        const { wasi, code } = await start(['one', 'two words']);
        assert.deepEqual(textOf(wasi.stdout).split('\n'), [
          'arguments: one two words',
          'VARIABLE=value',
          'listed: link two',
          ...BLOCKED[name],
          `input: ${INPUT.length} bytes`,
          '',
        ]);
        assert.equal(textOf(wasi.stderr), '');
        assert.equal(code, 0);
        assert.deepEqual(fs.readdirSync(path.join(data, 'box')), ['out']);
        assert.deepEqual(fs.readdirSync(path.join(data, 'outside')), ['secret']);
        const { resources } = wasi;
        wasi.close();
        assert.ok(resources < 200, `${resources} resources are left`);
        assert.equal(wasi.resources, 0);
      });

      it(`${title}: exits, and sleeps`, async (t) => {
        if (unavailable) return t.skip(unavailable);
        assert.equal((await start(['exit', '0'])).code, 0);
        assert.equal((await start(['exit', '7'])).code, 1);
        let ticks = 0;
        const timer = setInterval(() => ticks++, 10);
        const { wasi, code } = await start(['sleep', '600']);
        clearInterval(timer);
        assert.equal(code, 0);
        assert.match(textOf(wasi.stdout), /^slept enough$/m);
        if (suspend) assert.ok(ticks >= 3, `${ticks} ticks`);
      });

      it(`${title}: reads what comes`, async (t) => {
        if (unavailable || !suspend) return t.skip(unavailable ?? 'the input takes its time');
        async function* input() {
          for (const line of ['one\n', 'two\n', 'three\n']) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            yield line;
          }
        }
        const { wasi, code } = await start(['echo'], { stdin: input() });
        assert.equal(code, 0, textOf(wasi.stderr));
        const lines = textOf(wasi.stdout).split('\n').slice(2, -1);
        assert.deepEqual(lines, ['line: one', 'line: two', 'line: three']);
      });
    }
  });
}

describe('--map', () => {
  before(async () => {
    for (const name of [...NAMES, 'everything']) {
      await transpiled(components[name], path.join(folder, 'map'), name, { map: MAP });
    }
  });
  const main = (name) => `
    import { configure } from 'wasi-rs/p2';
    configure({
      args: [${JSON.stringify(name)}, 'one', 'two words'],
      env: { VARIABLE: 'value' },
      preopens: { '/data': process.argv[2] },
    });
    const { run } = await import('./map/${name}.js');
    try {
      run.run();
    } catch (error) {
      if (typeof error.exitCode !== 'number') throw error;
      process.exitCode = error.exitCode;
    }`;

  for (const name of NAMES) {
    it(`runs ${name} as preview1 does`, () => {
      const one = expected(name, ['one', 'two words']);
      beforeEachData();
      const script = path.join(folder, `map-${name}.mjs`);
      fs.writeFileSync(script, main(name));
      const { stdout, status, stderr } = run([script, path.join(data, 'box')], { input: INPUT });
      assert.equal(stdout, one.stdout, stderr);
      assert.equal(status, one.code === 0 ? 0 : 1);
    });
  }

  it('gives nothing by default', () => {
    const script = path.join(folder, 'map-nothing.mjs');
    fs.writeFileSync(script, `const { run } = await import('./map/program-c.js'); run.run();`);
    const { stdout, status } = run([script], { env: { ...process.env, VARIABLE: 'host' } });
    assert.match(stdout, /^arguments:$/m);
    assert.match(stdout, /^VARIABLE=\(none\)$/m);
    assert.match(stdout, /^FAILED open: /m);
    assert.notEqual(status, 0);
  });

  it('finds every name that jco generates', () => {
    const script = path.join(folder, 'map-everything.mjs');
    fs.writeFileSync(script, `await import('./map/everything.js'); console.log('loaded');`);
    const { stdout, stderr } = run([script]);
    assert.deepEqual([stdout, stderr], ['loaded\n', '']);
  });
});

describe('the preload', () => {
  before(async () => {
    for (const name of [...NAMES, 'everything']) {
      await transpiled(components[name], path.join(folder, 'plain'), name);
    }
  });
  const main = (name) => `
    import { _setArgs, _setEnv } from '@bytecodealliance/preview2-shim/cli';
    import { _addPreopen, _clearPreopens, _getPreopens, _setPreopens } from '@bytecodealliance/preview2-shim/filesystem';
    import { WASIShim } from '@bytecodealliance/preview2-shim/instantiation';
    _setArgs([${JSON.stringify(name)}, 'one', 'two words']);
    _setEnv({ VARIABLE: 'value' });
    _setPreopens({ '/other': process.argv[2] });
    _clearPreopens();
    _addPreopen('/data', process.argv[2]);
    if (_getPreopens().length !== 1) throw new Error('one directory is expected');
    if (Object.keys(new WASIShim().getImportObject()).length < 20) throw new Error('no imports');
    const { run } = await import('./plain/${name}.js');
    try {
      run.run();
    } catch (error) {
      if (typeof error.exitCode !== 'number') throw error;
      process.exitCode = error.exitCode;
    }`;
  const register = ['--import', 'wasi-rs/p2/register'];

  for (const name of NAMES) {
    it(`runs ${name}, which imports the usual host, as preview1 does`, () => {
      const one = expected(name, ['one', 'two words']);
      beforeEachData();
      const script = path.join(folder, `plain-${name}.mjs`);
      fs.writeFileSync(script, main(name));
      const { stdout, status, stderr } = run([...register, script, path.join(data, 'box')], {
        input: INPUT,
        cwd: folder,
      });
      assert.equal(stdout, one.stdout, stderr);
      assert.equal(status, one.code === 0 ? 0 : 1);
    });
  }

  it('finds every name that jco generates', () => {
    const script = path.join(folder, 'plain-everything.mjs');
    fs.writeFileSync(script, `await import('./plain/everything.js'); console.log('loaded');`);
    const { stdout, stderr } = run([...register, script], { cwd: folder });
    assert.deepEqual([stdout, stderr], ['loaded\n', '']);
  });

  it('has what the usual host exports, or a typed error', async () => {
    const script = path.join(folder, 'plain-exports.mjs');
    const parts = ['', '/cli', '/clocks', '/filesystem', '/http', '/io', '/random', '/sockets'];
    const listing = (specifiers) => `
      const names = {};
      for (const part of ${JSON.stringify(specifiers)}) {
        const module = await import('@bytecodealliance/preview2-shim' + part);
        names[part] = Object.keys(module).filter((name) => !['default', 'module.exports'].includes(name)).sort();
      }
      console.log(JSON.stringify(names));
      process.exit();`;
    fs.writeFileSync(script, listing(parts));
    const usual = JSON.parse(run([script], { cwd: folder }).stdout);
    const ours = JSON.parse(run([...register, script], { cwd: folder }).stdout);
    for (const part of parts) {
      const missing = usual[part].filter((name) => !ours[part].includes(name));
      assert.deepEqual(missing, [], `preview2-shim${part}`);
    }
    const typed = path.join(folder, 'plain-typed.mjs');
    fs.writeFileSync(
      typed,
      `import { _setStdin } from '@bytecodealliance/preview2-shim/cli';
       try { _setStdin({}); } catch (error) { console.log(error.code); }`,
    );
    assert.equal(
      run([...register, typed], { cwd: folder }).stdout,
      'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM\n',
    );
  });
});

// What jco generates is JavaScript, which Bun and Deno run, too.
for (const [name, { args, preload }] of Object.entries({
  bun: { args: [], preload: ['--preload', 'wasi-rs/p2/register'] },
  deno: {
    args: ['run', '--allow-all', '--no-check', '--quiet'],
    // It takes addresses.
    preload: ['--preload', './node_modules/wasi-rs/lib/p2/register.js'],
  },
})) {
  describe(name, () => {
    let runtime;
    before(async () => {
      const { version, package: packages, binary } = RUNTIMES[name];
      const packageName = packages[`${process.platform}-${process.arch}`];
      const extension = process.platform === 'win32' ? '.exe' : '';
      if (packageName !== undefined) {
        runtime = fetchedIfPossible(packageName, version, binary + extension);
      }
      for (const guest of NAMES) {
        for (const mode of MODES) await instantiateOf(guest, mode);
        await transpiled(components[guest], path.join(folder, 'map'), guest, { map: MAP });
        await transpiled(components[guest], path.join(folder, 'plain'), guest);
      }
      fs.writeFileSync(
        path.join(folder, 'ends.mjs'),
        `export function ends(run) {
          try {
            run();
          } catch (error) {
            if (typeof error.exitCode !== 'number') throw error;
            process.exitCode = error.exitCode;
          }
        }`,
      );
    });
    const options = (guest) => `{
      args: [${JSON.stringify(guest)}, 'one', 'two words'],
      env: { VARIABLE: 'value' },
      preopens: { '/data': process.argv[2] },
    }`;
    const instantiated = (mode) => (guest) => `
      import fs from 'node:fs';
      import { WASI } from 'wasi-rs/p2';
      import { instantiate } from './${guest}-${mode}/${guest}.js';
      const wasi = new WASI(${options(guest)});
      const load = (name) => new WebAssembly.Module(fs.readFileSync('./${guest}-${mode}/' + name));
      process.exitCode = wasi.start(await instantiate(load, wasi.getImportObject()));`;
    const ways = {
      ...Object.fromEntries(
        MODES.map((mode) => [`--instantiation, ${mode}`, { script: instantiated(mode) }]),
      ),
      '--map': {
        script: (guest) => `
          import { configure } from 'wasi-rs/p2';
          import { ends } from './ends.mjs';
          configure(${options(guest)});
          const { run } = await import('./map/${guest}.js');
          ends(run.run);`,
      },
      'the preload': {
        preloads: true,
        script: (guest) => `
          import assert from 'node:assert';
          import { _setArgs, _setEnv, _setStdin } from '@bytecodealliance/preview2-shim/cli';
          import { _setPreopens } from '@bytecodealliance/preview2-shim/filesystem';
          import { ends } from './ends.mjs';
          assert.throws(() => _setStdin({}), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM' });
          const { args, env, preopens } = ${options(guest)};
          _setArgs(args);
          _setEnv(env);
          _setPreopens(preopens);
          const { run } = await import('./plain/${guest}.js');
          ends(run.run);`,
      },
    };
    for (const [way, { script, preloads }] of Object.entries(ways)) {
      for (const guest of NAMES) {
        it(`${way}: runs ${guest} as preview1 does`, (t) => {
          if (runtime === undefined) return t.skip(`${name} cannot be had here`);
          const one = expected(guest, ['one', 'two words']);
          beforeEachData();
          const file = `${name}-${guest}.mjs`;
          fs.writeFileSync(path.join(folder, file), script(guest));
          const words = [...args, ...(preloads ? preload : []), file, path.join(data, 'box')];
          const { stdout, stderr, status } = spawnSync(runtime, words, {
            cwd: folder,
            encoding: 'utf8',
            input: INPUT,
            timeout: 120_000,
          });
          assert.equal(stdout, one.stdout, stderr);
          assert.equal(status, one.code === 0 ? 0 : 1, stderr);
        });
      }
    }
  });
}

/** A component whose texts are UTF-16: it writes its argument and makes a directory of that name. */
async function utf16() {
  const wabt = await require('wabt')();
  const text = `(module
    (import "wasi:cli/environment@0.2.12" "get-arguments" (func $arguments (param i32)))
    (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
    (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
      (func $write (param i32 i32 i32 i32)))
    (import "wasi:filesystem/preopens@0.2.12" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@0.2.12" "[method]descriptor.create-directory-at"
      (func $make (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "wasi:http/types@0.3.0")
    (global $next (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "wasi:cli/run@0.2.12#run") (result i32)
      (local $text i32) (local $units i32)
      (call $arguments (i32.const 16))
      (local.set $text (i32.load offset=8 (i32.load (i32.const 16))))
      (local.set $units (i32.load offset=12 (i32.load (i32.const 16))))
      (call $write (call $stdout) (local.get $text)
        (i32.mul (i32.const 2) (local.get $units)) (i32.const 64))
      (call $directories (i32.const 16))
      (call $make (i32.load (i32.load (i32.const 16)))
        (local.get $text) (local.get $units) (i32.const 128))
      (i32.load8_u (i32.const 128))))`;
  const binary = Buffer.from(wabt.parseWat('utf16.wat', text).toBinary({}).buffer);
  return embedded(COMMAND, binary, 'utf16');
}

describe('the command line', () => {
  // As a program that has installed both would call it.
  const installed = () => path.join(folder, 'node_modules/wasi-rs/bin/wasi-rs.js');
  const cli = (args, { command = installed(), ...options } = {}) =>
    spawnSync(process.execPath, [command, ...args], {
      encoding: 'utf8',
      input: INPUT,
      cwd: folder,
      timeout: 120_000,
      ...options,
      env: { ...process.env, XDG_CACHE_HOME: path.join(folder, 'cache'), ...options.env },
    });
  before(() => {
    for (const name of NAMES)
      fs.writeFileSync(path.join(folder, `${name}.component.wasm`), components[name]);
    // Where a program would have it.
    fs.symlinkSync(
      path.join(here, 'node_modules/@bytecodealliance/jco'),
      path.join(folder, 'node_modules/@bytecodealliance/jco'),
      'junction',
    );
  });

  it('runs a component with the flags of a module', () => {
    for (const name of NAMES) {
      beforeEachData();
      const flags = (program) => [
        ...[
          '--dir',
          `${path.join(data, 'box')}::/data`,
          '--env',
          'VARIABLE=value',
          '--argv0',
          name,
        ],
        ...[program, 'one', 'two words'],
      ];
      const module = cli(flags(path.join(here, 'guests', `${name}.wasm`)));
      beforeEachData();
      const component = cli(flags(`${name}.component.wasm`));
      assert.equal(component.stdout, module.stdout, component.stderr);
      assert.equal(component.stderr, module.stderr);
      assert.equal(component.status, module.status === 0 ? 0 : 1);
    }
  });

  it('tells what a component has changed, and refuses what only modules have', () => {
    const flags = (program) => [
      ...['--overlay', `${path.join(data, 'box')}::/data`, '--changes'],
      ...['--env', 'VARIABLE=value', '--argv0', 'program-c', program, 'one', 'two words'],
    ];
    beforeEachData();
    fs.writeFileSync(path.join(data, 'box/file'), 'which the program removes');
    const module = cli(flags(path.join(here, 'guests', 'program-c.wasm')));
    const component = cli(flags('program-c.component.wasm'));
    assert.match(module.stderr, /^D \/data\/file$/m);
    assert.equal(component.stderr, module.stderr);
    const traced = (...names) =>
      cli([`--trace=${names}`, 'program-c.component.wasm', 'exit', '0'])
        .stderr.trim()
        .split('\n')
        .map((line) => line.replace(/^wasi: (.*)\(.*$/, '$1'));
    const types = new Set(traced('descriptor.get-type', 'wasi:cli'));
    assert.ok(types.has('wasi:cli/environment#get-arguments'), [...types].join());
    for (const one of types) assert.match(one, /^wasi:cli\/|#\[method\]descriptor\.get-type$/);
    assert.match(
      cli(['--trace=open-at', '--dir', `${data}::/data`, 'program-c.component.wasm']).stderr,
      /^wasi: .*open-at\(/m,
    );
    const unknown = cli(['--trace=path_open', 'program-c.component.wasm']);
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /^wasi-rs: --trace: .* no function 'path_open'.*\n$/);
    const ofModule = cli(['--trace=open-at', path.join(here, 'guests/program-c.wasm')]);
    assert.match(ofModule.stderr, /^wasi-rs: --trace knows no function 'open-at'.*\n$/);
    const refused = cli(['--listen', '127.0.0.1:0', 'program-c.component.wasm']);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /^wasi-rs: --listen is for core modules.*\n$/);
  });

  it('is fast the second time', () => {
    const time = () => {
      const start = performance.now();
      assert.equal(cli(['program-c.component.wasm', 'exit', '0']).status, 0);
      return performance.now() - start;
    };
    fs.rmSync(path.join(folder, 'cache'), { recursive: true, force: true });
    const [first, second] = [time(), time()];
    assert.ok(second < first, `${first} ms, then ${second}`);
    assert.ok(fs.existsSync(path.join(folder, 'cache')));
  });

  it('ends with the codes of a module', () => {
    assert.equal(cli(['program-c.component.wasm', 'exit', '7']).status, 1);
    const trapped = cli(['program-c.component.wasm', 'abort']);
    assert.equal(trapped.status, 134);
    assert.match(trapped.stderr, /trapped/);
    const timed = cli(['--timeout', '300ms', 'program-c.component.wasm', 'sleep', '900']);
    assert.equal(timed.status, 124, timed.stderr);
  });

  it('bounds all memories together', async () => {
    const grow = (more = '') => `(memory (export "memory") 1) ${more}
      (func (export "grow") (result i32) (memory.grow (i32.const 12)))`;
    const twice = (second) => `(component
      (core module $first ${grow()})
      (core module $second ${grow('(func (export "other"))')})
      (core instance $one (instantiate $first))
      (core instance $two (instantiate ${second}))
      (core module $main
        (import "one" "grow" (func $one (result i32)))
        (import "two" "grow" (func $two (result i32)))
        (func (export "run") (result i32)
          (i32.eqz (i32.and (i32.eq (call $one) (i32.const 1)) (i32.eq (call $two) (i32.const 1))))))
      (core instance $main
        (instantiate $main (with "one" (instance $one)) (with "two" (instance $two))))
      (func $run (result (result)) (canon lift (core func $main "run")))
      (instance $exported (export "run" (func $run)))
      (export "wasi:cli/run@0.2.0" (instance $exported)))`;
    fs.writeFileSync(path.join(folder, 'two.wasm'), await parse(twice('$second')));
    fs.writeFileSync(path.join(folder, 'same.wasm'), await parse(twice('$first')));
    const status = (...args) => cli(args).status;
    assert.equal(status('same.wasm'), 0);
    assert.equal(status('--max-memory', '2m', 'two.wasm'), 0);
    assert.equal(status('--max-memory', '1m', 'two.wasm'), 1);
    assert.equal(status('--max-memory', '100k', 'two.wasm'), 137);
    const refused = cli(['--max-memory', '2m', 'same.wasm']);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /^wasi-rs: same.wasm cannot be given --max-memory: .*twice\n$/);
  });

  it('refuses interfaces of a version that is not ours', async () => {
    const foreign = await embedded(`world foreign {
        import wasi:clocks/monotonic-clock@0.9.0;
      }
      package wasi:clocks@0.9.0 { interface monotonic-clock { now: func() -> u64; } }`);
    fs.writeFileSync(path.join(folder, 'foreign.wasm'), foreign);
    const { stderr, status } = cli(['foreign.wasm']);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^wasi-rs: foreign.wasm uses .*@0\.9\.0, and only WASI 0\.2 is supported\n$/,
    );
  });

  it('runs a component with texts in UTF-16, which mentions an interface and does not use it', async () => {
    fs.writeFileSync(path.join(folder, 'utf16.wasm'), await utf16());
    const argument = 'zw\u00f6lf \u{1f600} \u6161';
    const dir = `${path.join(data, 'box')}::/data`;
    const { stdout, stderr, status } = cli(['--dir', dir, 'utf16.wasm', argument], {
      encoding: 'utf16le',
    });
    assert.deepEqual(
      [stdout, Buffer.from(stderr, 'utf16le').toString(), status],
      [argument, '', 0],
    );
    assert.ok(fs.statSync(path.join(data, 'box', argument)).isDirectory());
  });

  it('refuses names that would not stay texts in JavaScript', async () => {
    const { parse } = await import('@bytecodealliance/jco');
    const run = (module, name = 'run', before = '') => `(component ${before}
      (core module $m ${module})
      (core instance $i (instantiate $m ${before && '(with "env" (instance $x))'}))
      (func $run (result (result)) (canon lift (core func $i ${JSON.stringify(name)})))
      (component $r (import "run" (func $f (result (result)))) (export "run" (func $f)))
      (instance $ri (instantiate $r (with "run" (func $run))))
      (export "wasi:cli/run@0.2.0" (instance $ri)))`;
    const exported = (name) =>
      run(`(func (export ${JSON.stringify(name)}) (result i32) i32.const 0)`, name);
    const imported = (name, other = '') =>
      run(
        `(import "env" ${JSON.stringify(name)} (func))
         (func (export "run") (result i32) i32.const 0)`,
        'run',
        `(core module $a (func (export "f")))
         (core instance $ai (instantiate $a))
         (core instance $x (export ${JSON.stringify(name)} (func $ai "f")) ${other})`,
      );
    const outcome = async (text) => {
      const bytes = await parse(text);
      fs.writeFileSync(path.join(folder, 'named.wasm'), bytes);
      const isRefused = await checkComponent(bytes).then(
        () => false,
        () => true,
      );
      const { stderr, status } = cli(['named.wasm']);
      assert.equal(isRefused, status === 2);
      return [stderr, status];
    };
    for (const name of ['run', '$a{b}:c/d@0.2#[m]e*f', 'zw\u00f6lf']) {
      assert.deepEqual(await outcome(exported(name)), ['', 0], name);
      assert.deepEqual(await outcome(imported(name)), ['', 0], name);
    }
    for (const name of ["it's", 'say "so"', '`', 'a\\b', 'a\nb', '\u2028', '${a}', '*/']) {
      for (const text of [
        exported(name),
        imported(name),
        imported('f', `(export ${JSON.stringify(name)} (func $ai "f"))`),
      ]) {
        const [stderr, status] = await outcome(text);
        assert.equal(status, 2, name);
        assert.match(stderr, /^wasi-rs: named\.wasm cannot be .*would be code of JavaScript\n$/);
      }
    }
  });

  it('keeps nothing that it runs in the working directory', () => {
    const before = fs.readdirSync(folder).sort();
    for (const env of [{ XDG_CACHE_HOME: 'relative' }, { XDG_CACHE_HOME: '', HOME: '' }]) {
      const { stderr, status } = cli(['program-c.component.wasm', 'exit', '0'], { env });
      assert.deepEqual([stderr, status], ['', 0]);
      assert.deepEqual(fs.readdirSync(folder).sort(), before);
    }
  });

  it('says in one line what to install', () => {
    const lonely = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-lonely-'));
    fs.writeFileSync(path.join(lonely, 'program.wasm'), components['program-c']);
    const { stderr, status } = cli(['program.wasm'], {
      command,
      cwd: lonely,
      env: { XDG_CACHE_HOME: path.join(lonely, 'cache') },
    });
    fs.rmSync(lonely, { recursive: true, force: true });
    assert.equal(status, 2);
    assert.match(stderr, /^wasi-rs: .*npm install @bytecodealliance\/jco.*\n$/);
  });

  it('runs no JavaScript that lies beside a program', () => {
    const theirs = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-theirs-'));
    const jco = path.join(theirs, 'node_modules/@bytecodealliance/jco');
    fs.mkdirSync(jco, { recursive: true });
    fs.writeFileSync(
      path.join(jco, 'package.json'),
      '{ "name": "@bytecodealliance/jco", "version": "1.35.0", "main": "index.cjs" }',
    );
    const trace = path.join(theirs, 'has-run');
    fs.writeFileSync(
      path.join(jco, 'index.cjs'),
      `require('fs').writeFileSync(${JSON.stringify(trace)}, '');`,
    );
    const program = path.join(theirs, 'program.wasm');
    fs.writeFileSync(program, components['program-c']);
    const env = { XDG_CACHE_HOME: path.join(theirs, 'cache') };
    for (const cwd of [folder, theirs]) {
      const { stderr, status } = cli([program], { command, cwd, env });
      assert.equal(status, 2, stderr);
      assert.equal(cli([program, 'exit', '0'], { cwd, env }).status, 0);
      assert.ok(!fs.existsSync(trace));
      fs.rmSync(env.XDG_CACHE_HOME, { recursive: true });
    }
    fs.rmSync(theirs, { recursive: true, force: true });
  });
});

describe('versions', () => {
  it('of jco are those of the peer range', () => {
    const range = own.peerDependencies['@bytecodealliance/jco'];
    assert.equal(own.peerDependenciesMeta['@bytecodealliance/jco'].optional, true);
    const least = /^>=(\d+)\.(\d+)\.\d+ <(\d+)$/.exec(range);
    assert.ok(least, range);
    const [major, minor] = jcoVersion.split('.').map(Number);
    assert.ok(
      major >= Number(least[1]) && major < Number(least[3]),
      `${jcoVersion} is not in ${range}`,
    );
    assert.ok(minor >= Number(least[2]));
  });
});
