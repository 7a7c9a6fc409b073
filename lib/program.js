'use strict';

// Programs: modules that are read, limited and compiled once, for any number of runs.

const { basename } = require('node:path');
const { bytesOf, isBytes, isModule } = require('./bytes.js');
const { nodeError, wrongType, wrongValue } = require('./errors.js');
const { beginning, classify, HINTS, oneLine, OTHERS, printable } = require('./look.js');
const { checkedCount, MODULE_LIMITS, validateOwnObject } = require('./own-options.js');
const { hasStart, kindOf, limited, memoryDescriptor, readModule } = require('./wasm-module.js');

const { apply } = Reflect;
const { freeze } = Object;
const { imports: importsOf, exports: exportsOf } = WebAssembly.Module;

const MARK = Symbol.for('wasi-rs.Program');
const SOURCES =
  'a path, a URL, the bytes of a module, a Response, a WebAssembly.Module, a Program, or a promise of one of them';
/** The name of a program whose source has none. */
const NAMELESS = 'program.wasm';
/** How many missing imports an error names. */
const MOST_NAMES = 100;

/** By program: what a run needs of it. */
const parts = new WeakMap();
/** By module: the program that was made of it, so that a Pool knows it again. */
const programs = new WeakMap();
let isOurs = false;

/** A module that was compiled by {@link compile}. */
class Program {
  constructor() {
    if (!isOurs) throw nodeError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'Use compile() instead');
  }
}
// Another copy of this package knows such a program by it, and has not its parts.
Object.defineProperty(Program.prototype, MARK, { value: true });

/**
 * As described in index.d.ts.
 *
 * @param {unknown} wasm
 * @param {{ limits?: { memoryBytes?: number, tableElements?: number } }} [options]
 * @returns {Promise<Program>}
 */
async function compile(wasm, options = {}) {
  validateOwnObject(options, 'options', ['limits']);
  const { limits = { __proto__: null } } = options;
  validateOwnObject(limits, 'options.limits', MODULE_LIMITS);
  return programOf(wasm, moduleLimits(limits));
}

/** @returns {{ memoryBytes?: number, tableElements?: number }} */
function moduleLimits(limits) {
  const checked = (name) =>
    limits[name] === undefined ? undefined : checkedCount(limits[name], `options.limits.${name}`);
  return { memoryBytes: checked('memoryBytes'), tableElements: checked('tableElements') };
}

/**
 * @param {unknown} wasm whatever can be a program
 * @param {{ memoryBytes?: number, tableElements?: number }} limits checked
 * @returns {Promise<Program>}
 * @throws {Error} `ERR_WASI_LIMIT`: it asks for more memory to start
 */
async function programOf(wasm, limits) {
  const { value, name } = await sourceOf(wasm);
  if (value instanceof Program) return limitedAlready(value, limits);
  if (isModule(value)) {
    for (const limit of MODULE_LIMITS) {
      if (limits[limit] !== undefined) throw notLimited('is compiled', limit, value);
    }
    return programs.get(value) ?? ofModule(value, { name });
  }
  checkIsModule(value);
  const isLimited = MODULE_LIMITS.some((limit) => limits[limit] !== undefined);
  const bytes = isLimited ? limited(value, limits) : value;
  const module = await WebAssembly.compile(bytes);
  return ofModule(module, { name, bytes, limits });
}

/** @returns {Program | undefined} without waiting for anything; `undefined` if it must be made */
function compiled(wasm, limits) {
  if (wasm instanceof Program) return limitedAlready(wasm, limits);
  const isLimited = MODULE_LIMITS.some((limit) => limits[limit] !== undefined);
  return isLimited ? undefined : programs.get(wasm);
}

function ofModule(module, { name = NAMELESS, bytes, limits = {} }) {
  const imports = apply(importsOf, undefined, [module]);
  const exports = apply(exportsOf, undefined, [module]);
  const what = classify({ imports, exports });
  isOurs = true;
  const program = new Program();
  isOurs = false;
  Object.assign(program, {
    kind: what.kind,
    imports: freeze(imports.map(freeze)),
    exports: freeze(exports.map(freeze)),
  });
  parts.set(program, {
    module,
    name,
    bytes,
    limits,
    what,
    memory: what.memory && memoryOf(what.memory, bytes),
    // Of a module without bytes nobody knows.
    hasStart: bytes === undefined || hasStart(bytes),
  });
  programs.set(module, freeze(program));
  return program;
}

/**
 * @returns {{ module: string, name: string, descriptor?: object }} the memory that a module
 *   imports; without a descriptor where JavaScript cannot tell
 */
function memoryOf({ module, name }, bytes) {
  if (bytes === undefined) return { module, name };
  const { type } = readModule(bytes).imports.find(({ kind }) => kind === 'memory');
  return { module, name, descriptor: memoryDescriptor(type) };
}

/** A program keeps the limits that it was compiled with. */
function limitedAlready(program, limits) {
  const { limits: has } = parts.get(program);
  for (const limit of MODULE_LIMITS) {
    const asked = limits[limit];
    if (asked !== undefined && !(has[limit] <= asked)) {
      const why = has[limit] === undefined ? 'was compiled without' : `has ${has[limit]} for`;
      throw notLimited(why, limit, program);
    }
  }
  return program;
}

function notLimited(why, limit, value) {
  const reason = `${why}${why === 'is compiled' ? ', so it cannot be given' : ''} "limits.${limit}": give the bytes of the module, or compile(bytes, { limits }) first`;
  return wrongValue('wasm', reason, value);
}

/** @returns {Promise<{ value: Uint8Array | WebAssembly.Module | Program, name?: string }>} */
async function sourceOf(wasm) {
  const source = isThenable(wasm) ? await wasm : wasm;
  if (typeof source === 'string') {
    if (source.startsWith('\0asm')) {
      throw wrongValue('wasm', 'is a module that was read as text: give its bytes', source);
    }
    try {
      return await fileAt(source, basename(source));
    } catch (error) {
      if (error.code !== 'ENOENT' || !/^(https?|file|data):/.test(source)) throw error;
      throw wrongValue('wasm', 'is no path of a file: give a URL as new URL(...)', source);
    }
  }
  if (typeof source === 'object' && source !== null) {
    if (source instanceof Program) return { value: source };
    if (isBytes(source)) {
      const bytes = bytesOf(source);
      if (bytes === undefined) throw wrongValue('wasm', 'must not be detached', source);
      // A copy: what is checked is what is compiled.
      return { value: bytes.slice() };
    }
    if (isModule(source)) return { value: source };
    if (source[MARK] === true) {
      const ours =
        'a Program of the copy of wasi-rs that runs it: another copy, such as one in another node_modules, made this one';
      throw wrongType('wasm', ours, source);
    }
    if (typeof source.href === 'string' && typeof source.protocol === 'string') return at(source);
    if (typeof source.arrayBuffer === 'function') return ofResponse(source);
  }
  throw wrongType('wasm', SOURCES, source);
}

function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

async function fileAt(path, name) {
  const bytes = await require('node:fs').promises.readFile(path);
  return { value: bytes, name };
}

async function at({ href, protocol }) {
  if (protocol === 'file:') {
    const path = require('node:url').fileURLToPath(href);
    return fileAt(path, basename(path));
  }
  if (!/^(https?|data|blob):$/.test(protocol)) {
    throw wrongValue(
      'wasm',
      "must be a URL of 'file:', 'https:', 'http:', 'data:' or 'blob:'",
      href,
    );
  }
  return ofResponse(await fetch(href));
}

/** A Response, or a Blob. */
async function ofResponse(response) {
  const { ok, status, url, bodyUsed } = response;
  if (ok === false) {
    // A Response that nobody has fetched has no URL.
    const message = `The module is not there: ${url || 'the response'} answers ${status}`;
    throw nodeError(Error, 'ERR_WASI_FETCH', message);
  }
  if (bodyUsed === true) throw wrongValue('wasm', 'was read already', response);
  const bytes = new Uint8Array(await response.arrayBuffer());
  let name;
  if (typeof url === 'string' && /^https?:/.test(url)) name = basename(new URL(url).pathname);
  return { value: bytes, name: name || undefined };
}

/** @returns {Uint8Array} what a module was compiled of, to compile it in another process */
function bytesOfModule(module) {
  const bytes = parts.get(programs.get(module))?.bytes;
  if (bytes !== undefined) return bytes;
  throw wrongValue(
    'wasm',
    "is compiled, and isolation: 'process' compiles it anew: give the bytes of the module, or what compile(bytes) gives",
    module,
  );
}

function checkIsModule(bytes) {
  const kind = kindOf(bytes);
  if (kind === 'module') return;
  const what = kind === 'other' ? `is no WebAssembly${beginning(bytes)}` : OTHERS[kind];
  throw nodeError(WebAssembly.CompileError, 'ERR_WASI_MODULE', `The file ${oneLine(what)}`);
}

/**
 * Refuses what cannot be run as a program: at once, and saying what to do.
 *
 * @param {Program} program
 * @returns {object} its parts
 */
function runnable(program) {
  const all = parts.get(program);
  if (all.isRunnable) return all;
  const { kind, unknown, foreign, version, needsMemory } = all.what;
  if (unknown.length > 0 || version === 'unstable') {
    const missing = program.imports.filter(
      (one) => unknown.includes(one) || one.module === 'wasi_unstable',
    );
    throw notLinked(missing, foreign);
  }
  const isThere = (name) =>
    program.exports.some((one) => one.name === name && one.kind === 'function');
  if (kind === 'reactor') {
    const names = program.exports.filter((one) => one.kind === 'function').map((one) => one.name);
    throw wrongValue(
      'wasm',
      `must be a command: this is a reactor, which exports no _start. Use new WASI(), initialize() and its own exports: ${printable(names.slice(0, MOST_NAMES).join(', ')) || 'it has none'}`,
      program,
    );
  }
  if (!isThere('_start')) throw wrongValue('wasm', 'must export a function _start', program);
  if (needsMemory) {
    throw wrongValue(
      'wasm',
      'must export its memory as "memory": functions of WASI need it',
      program,
    );
  }
  if (all.memory !== undefined && all.memory.descriptor === undefined) {
    throw wrongValue(
      'wasm',
      'imports a memory, whose size a compiled module does not tell: give the bytes of the module, or what compile(bytes) gives',
      program,
    );
  }
  if (kind === 'threads') {
    if (all.memory?.descriptor.shared !== true || !isThere('wasi_thread_start')) {
      throw wrongValue(
        'wasm',
        'starts threads, so it must import one shared memory and export wasi_thread_start',
        program,
      );
    }
  }
  all.isRunnable = true;
  return all;
}

function notLinked(missing, foreign) {
  const names = missing
    .slice(0, MOST_NAMES)
    .map(({ module, name, kind }) => `${printable(`${module}.${name}`)} (${kind})`);
  if (missing.length > MOST_NAMES) names.push(`and ${missing.length - MOST_NAMES} more`);
  const [, hint] = HINTS.find(([fits]) => missing.some(fits));
  const why = missing.some(({ module }) => module === 'wasi_unstable')
    ? "wasi_unstable is run by new WASI({ version: 'unstable' })"
    : foreign === undefined
      ? hint.replace(/;? ?--unknown-imports.*$/, '')
      : `it is ${foreign}`;
  return nodeError(
    WebAssembly.LinkError,
    'ERR_WASI_MISSING_IMPORT',
    `The module imports what is not there: ${names.join(', ')} (${why})`,
  );
}

module.exports = { bytesOfModule, Program, compile, compiled, moduleLimits, programOf, runnable };
