'use strict';

// The kind of a file that is to be run, by its header and imports, before any of its code runs.
// Nothing here needs the addon.

const { UsageError } = require('./cli-options.js');
const {
  beginning,
  classify,
  FUNCTIONS,
  HINTS,
  oneLine,
  OTHERS,
  PREVIEW1,
  printable,
  UNSTABLE,
} = require('./look.js');
const { kindOf, readModule } = require('./wasm-module.js');

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
    // A module that V8 accepts can be run, but cannot be given limits.
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
    if (what.version === 'unstable' || what.memory?.type?.shared !== true) {
      throw new UsageError(
        `${name} starts threads, for which it must import preview1 and one shared memory`,
      );
    }
    if (!functions.includes('_start') || !functions.includes('wasi_thread_start')) {
      throw new UsageError(
        `${name} starts threads, but does not export _start and wasi_thread_start`,
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

// --- inspect -------------------------------------------------------------------------------------

/** @returns {string} what a file is, line by line */
function inspect(bytes, name) {
  const kind = kindOf(bytes);
  if (kind !== 'module') {
    const text = kind === 'other' ? `is no WebAssembly${beginning(bytes)}` : OTHERS[kind];
    return `kind: ${kind}\n${printable(name)} ${text}`;
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
