'use strict';

// The kind of a module, by its first bytes, imports and exports.

const { printable } = require('./printable.js');
const { PARAMETERS } = require('./names.js');

/** The functions of preview1, and of its forerunner `wasi_unstable`. */
const FUNCTIONS = Object.keys(PARAMETERS);
/** Those that use no memory of the guest. */
const WITHOUT_MEMORY = ['fd_close', 'proc_exit', 'proc_raise', 'sched_yield', 'thread-spawn'];
const PREVIEW1 = 'wasi_snapshot_preview1';
const UNSTABLE = 'wasi_unstable';

/** Files that are no core module, with the remedy. */
const OTHERS = {
  component:
    'is a component (WASI 0.2 or later): wasi-rs/p2 and the command run it with jco, see docs/components.md',
  text: 'is WebAssembly text: compile it with wat2wasm or `wasm-tools parse` first',
  gzip: 'is compressed: gunzip it first',
};

/** Modules that were made for something else, by their imports. */
const FOREIGN = [
  {
    what: 'made by wasm-bindgen for JavaScript: import its .js file, or build for wasm32-wasip1',
    is: ({ module, name }) =>
      /^(wbg|__wbindgen_|\.\/.*_bg\.js$)/.test(module) || /^__wb(g|indgen)_/.test(name),
  },
  {
    what: 'made by Go for JavaScript: build it with GOOS=wasip1 GOARCH=wasm',
    is: ({ module, name }) =>
      module === 'gojs' || (module === 'go' && /^(runtime|syscall)/.test(name)),
  },
  {
    what: 'made by Emscripten for its JavaScript: run that file, or build with -sSTANDALONE_WASM',
    is: ({ module, name }) =>
      (module === 'env' &&
        /^_?(emscripten_|invoke_|__cxa_throw|__syscall|_embind|abortStackOverflow)/.test(name)) ||
      (module === 'a' && /^[a-zA-Z_$]{1,2}$/.test(name)),
  },
  {
    what: 'the inside of a component (WASI 0.2): make it one with `wasm-tools component new`, or `jco new`, and run that',
    is: ({ module }) => /^(\[export\])?[a-z0-9-]+:[a-z0-9-]+\//.test(module),
  },
  {
    what: 'a library or object file that is not linked: link it with wasm-ld',
    is: ({ module, name }) =>
      /^(env|GOT\.(mem|func))$/.test(module) &&
      /^__(linear_memory|memory_base|table_base)$/.test(name),
  },
];

/** `run()` and the command take no imports of the embedder. */
const BESIDE = 'to WebAssembly.instantiate(), beside those of new WASI()';

/** Why functions are not there, by the first import that fits. */
const HINTS = [
  [({ module }) => /^wasix/.test(module), 'WASIX is of wasmer alone'],
  [({ module }) => module === PREVIEW1 || module === UNSTABLE, 'they are not of WASI preview1'],
  [
    ({ module }) => /^wasi_(nn|crypto|http|ephemeral)/.test(module),
    'that proposal of WASI is not here',
  ],
  [
    ({ kind }) => kind !== 'function',
    `memories, tables, globals and tags come from the embedder, by the API: give them ${BESIDE}`,
  ],
  [
    () => true,
    `functions of your own come by the API: give them ${BESIDE}; --unknown-imports trap runs it without`,
  ],
];

function beginning(bytes) {
  if (bytes.length === 0) return ': it is empty';
  const text = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  if (text === '\x7fELF') return ', but a program of the operating system: run it as it is';
  if (text.startsWith('#!')) return ', but a script: run it as it is';
  if (text.startsWith('PK')) return ', but an archive: unpack it first';
  if (text.startsWith('\0asm')) return ' of a version that is known';
  return `: it begins with ${JSON.stringify(text).slice(0, 40)}, not with "\\u0000asm"`;
}

/**
 * The kind of a module.
 *
 * @returns {{ kind: 'command' | 'reactor' | 'threads', version: 'preview1' | 'unstable', unknown:
 *   object[], memory?: object, summary: string, foreign?: string }} `memory` is the import of a
 *   memory
 */
function classify({ imports, exports }) {
  const has = (name) => exports.some((one) => one.name === name && one.kind === 'function');
  const known = ({ module, name, kind }) =>
    kind === 'function' &&
    (((module === PREVIEW1 || module === UNSTABLE) && FUNCTIONS.includes(name)) ||
      (module === 'wasi' && name === 'thread-spawn'));
  const memories = imports.filter(({ kind }) => kind === 'memory');
  const memory = memories.length === 1 ? memories[0] : undefined;
  const spawns = imports.some(({ module, name }) => module === 'wasi' && name === 'thread-spawn');
  const unstable = imports.some(({ module }) => module === UNSTABLE);
  const preview1 = imports.some(({ module }) => module === PREVIEW1);
  const unknown = imports.filter((one) => one !== memory && !known(one));
  const foreign = FOREIGN.find(({ is }) => imports.some((one) => !known(one) && is(one)))?.what;
  const kind = spawns ? 'threads' : has('_start') ? 'command' : 'reactor';
  const wasi = unstable ? UNSTABLE : preview1 ? 'WASI preview1' : 'no WASI';
  const summary =
    kind === 'threads' ? 'a program with threads (wasi-threads)' : `a ${kind} (${wasi})`;
  const version = unstable ? 'unstable' : 'preview1';
  const exportsMemory = exports.some((one) => one.name === 'memory' && one.kind === 'memory');
  const needsMemory =
    memory === undefined &&
    !exportsMemory &&
    imports.some((one) => known(one) && !WITHOUT_MEMORY.includes(one.name));
  return {
    kind,
    version,
    both: unstable && preview1,
    needsMemory,
    unknown,
    memory,
    summary,
    foreign,
  };
}

function oneLine(text) {
  return printable(String(text).replace(/\s*\n\s*/g, ' '));
}

module.exports = {
  beginning,
  classify,
  FUNCTIONS,
  HINTS,
  oneLine,
  OTHERS,
  PREVIEW1,
  printable,
  UNSTABLE,
};
