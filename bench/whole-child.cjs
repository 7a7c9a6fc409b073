'use strict';

// One turn of a series of whole.mjs. Prints a number.

const [, , mode, kind, published, folder, wasm, extra] = process.argv;
const load = () => (kind === 'wasi-rs' ? require(published) : require('node:wasi'));
const compiled = () => new WebAssembly.Module(require('node:fs').readFileSync(wasm));

const INSTANCES = 2000;

const modes = { start, instances, threads };
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
