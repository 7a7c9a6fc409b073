'use strict';

// What a file is that shall be run, seen by its header and imports before anything of it runs.
// Nothing here needs the addon.

const { UsageError } = require('./cli-options.js');
const { PARAMETERS } = require('./names.js');
const { kindOf, readModule } = require('./wasm-module.js');

/** The functions of preview1, and of its forerunner `wasi_unstable`. */
const FUNCTIONS = Object.keys(PARAMETERS);
/** Those that use no memory of the guest. */
const WITHOUT_MEMORY = ['fd_close', 'proc_exit', 'proc_raise', 'sched_yield', 'thread-spawn'];
const PREVIEW1 = 'wasi_snapshot_preview1';
const UNSTABLE = 'wasi_unstable';

/** What is no core module: what it is, and what to do. */
const OTHERS = {
  component:
    'is a component (WASI 0.2 or later): `wasi-rs FILE` runs it where jco is installed, see docs/components.md',
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
    'memories, tables, globals and tags come from the embedder: use the API',
  ],
  [() => true, 'functions of the embedder come by the API; --unknown-imports trap runs it without'],
];

/**
 * @param {Uint8Array} bytes
 * @param {string} name of the file, for messages
 * @returns {object} as `readModule`, where the reader knows the module; else what V8 says of it:
 *   names and kinds
 * @throws {UsageError} what it is instead, and what to do
 */
function look(bytes, name) {
  const kind = kindOf(bytes);
  if (kind === 'other') throw new UsageError(`${name} is no WebAssembly${beginning(bytes)}`);
  if (kind !== 'module') throw new UsageError(`${name} ${OTHERS[kind]}`);
  try {
    return readModule(bytes);
  } catch (error) {
    if (error.code !== 'ERR_WASI_MODULE') throw error;
    // What V8 takes can be run, though not be given limits.
    const module = compile(bytes, name);
    return {
      imports: WebAssembly.Module.imports(module),
      exports: WebAssembly.Module.exports(module),
      unread: error.message,
    };
  }
}

function compile(bytes, name) {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw new UsageError(`${name} is not valid: ${oneLine(error.message)}`);
  }
}

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
 * What a module is for.
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

/**
 * Refuses what cannot be run as it is asked for, in one line.
 *
 * @throws {UsageError}
 */
function check(what, { exports }, options, name) {
  const { kind, unknown, foreign } = what;
  const functions = exports.filter((one) => one.kind === 'function').map((one) => one.name);
  const refused = options.trapsUnknown ? unknown.filter((one) => one.kind !== 'function') : unknown;
  if (refused.length > 0) {
    if (foreign !== undefined && !options.trapsUnknown)
      throw new UsageError(`${name} is ${foreign}`);
    const names = refused.map((one) => printable(`${one.module}.${one.name}`)).join(', ');
    const [, hint] = HINTS.find(([fits]) => refused.some(fits));
    throw new UsageError(`${name} imports what is not there: ${names} (${hint})`);
  }
  if (what.needsMemory) {
    throw new UsageError(
      `${name} exports no memory, which functions of WASI work on: export it as "memory"`,
    );
  }
  if (what.both) throw new UsageError(`${name} imports preview1 and wasi_unstable: one of the two`);
  if (options.invoke !== undefined) {
    if (kind === 'threads') {
      throw new UsageError(
        `${name} starts threads, which are run from _start only: leave --invoke out`,
      );
    }
    if (!functions.includes(options.invoke)) {
      throw new UsageError(
        `${name} exports no function '${printable(options.invoke)}': ${list(functions)}`,
      );
    }
    return;
  }
  if (kind === 'threads') {
    if (what.version === 'unstable' || what.memory === undefined || unknown.length > 0) {
      throw new UsageError(
        `${name} starts threads: it may import preview1, thread-spawn and one shared memory only`,
      );
    }
    if (!functions.includes('_start') || !functions.includes('wasi_thread_start')) {
      throw new UsageError(
        `${name} starts threads, but does not export _start and wasi_thread_start`,
      );
    }
    if (options.trace !== undefined || options.stats) {
      throw new UsageError(
        `${name} starts threads, which --trace and --stats cannot watch: leave them out`,
      );
    }
  } else if (!functions.includes('_start')) {
    throw new UsageError(
      `${name} is a reactor: it has no _start, but functions for --invoke NAME: ${list(functions)}`,
    );
  } else if (functions.includes('_initialize')) {
    throw new UsageError(
      `${name} exports _start and _initialize: call one function by --invoke NAME`,
    );
  }
}

function list(names) {
  const callable = names.filter(
    (name) => !/^(_initialize|__wasm_call_ctors|cabi_realloc)$/.test(name),
  );
  return callable.length > 0 ? callable.map(printable).join(', ') : 'it exports none';
}

/** A name that the file chose, without what a terminal would obey. */
function printable(name) {
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

function oneLine(text) {
  return printable(String(text).replace(/\s*\n\s*/g, ' '));
}

// --- inspect -------------------------------------------------------------------------------------

/** @returns {string} what a file is, line by line */
function inspect(bytes, name) {
  const kind = kindOf(bytes);
  if (kind !== 'module') {
    const text = kind === 'other' ? `is no WebAssembly${beginning(bytes)}` : OTHERS[kind];
    return `kind: ${kind}\n${name} ${text}`;
  }
  const module = look(bytes, name);
  const what = classify(module);
  const lines = [`kind: ${what.foreign && what.unknown.length > 0 ? what.foreign : what.summary}`];
  if (module.unread !== undefined) lines.push(`not read: ${oneLine(module.unread)}`);
  for (const memory of module.memories ?? []) lines.push(`memory: ${memoryText(memory)}`);
  for (const table of module.tables ?? []) lines.push(`table: ${tableText(table)}`);
  lines.push('imports:');
  for (const { module: from, name, kind, type } of module.imports) {
    lines.push(`  ${printable(from)}.${printable(name)}: ${typed(module, kind, type)}`);
  }
  lines.push('exports:');
  for (const { name, kind, index } of module.exports) {
    const type = kind === 'function' ? module.functions?.[index] : undefined;
    lines.push(`  ${printable(name)}: ${typed(module, kind, type)}`);
  }
  try {
    check(what, module, {}, name);
    lines.push('runs: yes');
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    lines.push(`runs: no, ${error.message}`);
  }
  return lines.join('\n');
}

function typed(module, kind, type) {
  const signature = kind === 'function' ? module.types?.[type] : undefined;
  if (signature?.parameters === undefined) return kind;
  const results = signature.results.length > 0 ? ` -> ${signature.results.join(', ')}` : '';
  return `function (${signature.parameters.join(', ')})${results}`;
}

function memoryText({ minimum, maximum, shared, address, pageSize, imported }) {
  const bytes = (pages) => `${pages * BigInt(pageSize)} bytes`;
  const most = maximum === undefined ? 'no maximum' : `at most ${bytes(maximum)}`;
  const more = [shared && 'shared', address === 'i64' && '64-bit', imported && 'imported'];
  return [bytes(minimum), most, ...more.filter(Boolean)].join(', ');
}

function tableText({ minimum, maximum, element, imported }) {
  const most = maximum === undefined ? 'no maximum' : `at most ${maximum}`;
  return [`${minimum} of ${element}`, most, ...(imported ? ['imported'] : [])].join(', ');
}

module.exports = {
  check,
  classify,
  FUNCTIONS,
  inspect,
  look,
  oneLine,
  PREVIEW1,
  printable,
  UNSTABLE,
};
