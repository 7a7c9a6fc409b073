'use strict';

// One turn of a series of whole.mjs. Prints a number.
const { createRequire } = require('node:module');

const [, , mode, kind, published, folder, wasm, extra] = process.argv;
// Packages are loaded by their names, as programs do it: Node.js takes longer to find a package
// with `exports` in its package.json. `published` lies beside them, in a folder `node_modules`.
const load = () => createRequire(published)(kind);
const compiled = () => new WebAssembly.Module(require('node:fs').readFileSync(wasm));

const INSTANCES = 2000;

const modes = { start, instances, threads, program, extism };
modes[mode]();

function start() {
  if (kind === 'nothing') return;
  const { WASI } = load();
  const memory = new WebAssembly.Memory({ initial: 272, maximum: 272 });
  const wasi = new WASI({
    version: 'preview1',
    args: ['guest', 'one argument'],
    env: { HOME: '/', LANG: 'C' },
    preopens: { '/': folder },
  });
  const imports = { wasi_snapshot_preview1: wasi.wasiImport, bench: { memory } };
  const { exports } = new WebAssembly.Instance(compiled(), imports);
  wasi.initialize({ exports: { memory } });
  if (exports[extra](1) !== 0) throw new Error('a call failed');
}

function instances() {
  const module = compiled();
  const fd = require('node:fs').openSync('/dev/null', 'w');
  const WASI = kind === 'bare' ? undefined : load().WASI;
  const once =
    WASI === undefined
      ? () => {
          const imports = { wasi_snapshot_preview1: { fd_write: () => 0 } };
          new WebAssembly.Instance(module, imports).exports._start();
        }
      : () => {
          const wasi = new WASI({ version: 'preview1', stdout: fd });
          const imports = { wasi_snapshot_preview1: wasi.wasiImport };
          wasi.start(new WebAssembly.Instance(module, imports));
          wasi.close?.();
        };
  for (let i = 0; i < INSTANCES; i++) once();
  const before = process.hrtime.bigint();
  for (let i = 0; i < INSTANCES; i++) once();
  console.log(Number(process.hrtime.bigint() - before) / INSTANCES / 1000);
}

/** The time from the call of `_start` to its end, in ms. */
function threads() {
  load()
    .run(wasm, { preopens: { '/': folder }, maxThreads: 2 })
    .then(({ reason, error, durationMs }) => {
      if (reason !== 'exit') throw error;
      console.log(durationMs);
    });
}

/**
 * The time of a published program from `new WASI()` to its end, in ms. Its output goes to a file.
 * Instantiation is a part of it: V8 makes what calls the imports of `node:wasi` then, and what calls
 * these while the program runs.
 */
function program() {
  const fs = require('node:fs');
  const { output, preopens, args } = JSON.parse(extra);
  const { WASI } = load();
  const stdout = fs.openSync(output, 'w');
  const env = { PWD: '/' };
  const module = compiled();
  const before = performance.now();
  const wasi = new WASI({ version: 'preview1', args, env, preopens, stdout });
  const imports = { wasi_snapshot_preview1: wasi.wasiImport };
  const code = wasi.start(new WebAssembly.Instance(module, imports));
  const time = performance.now() - before;
  if (code !== 0) throw new Error(`the program ended with ${code}`);
  console.log(time);
  // V8 may still compile in other threads.
  process.exit();
}

/** The time in which Extism, which takes `node:wasi`, makes plugins and calls them, in ms. */
async function extism() {
  const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
  const [, , , , , , , home, work] = process.argv;
  if (kind === 'wasi-rs') require(`${published}/register.js`);
  const { createPlugin } = require(home);
  mkdirSync(work, { recursive: true });
  for (let i = 0; i < 50; i++) writeFileSync(`${work}/${i}.txt`, 'line\n'.repeat(50));
  const source = { wasm: [{ data: readFileSync(wasm) }] };
  const once = async () => {
    const plugin = await createPlugin(source, { useWasi: true, allowedPaths: { '/data': work } });
    for (let i = 0; i < 10; i++) {
      // From the second call on, the plugin counts the lines of what it has written, too.
      const { length } = (await plugin.call('count', 'lines')).text();
      if (length !== 'LINES: 2500'.length) throw new Error('the plugin says something else');
    }
    await plugin.close();
  };
  await once();
  const before = performance.now();
  for (let i = 0; i < 20; i++) await once();
  console.log(performance.now() - before);
  process.exit();
}
