'use strict';

// The names in a component. jco makes JavaScript of a component, which runs outside of the sandbox,
// and some of these names stand in it as texts. So a name that could end such a text is refused
// before that JavaScript is made.

const { Buffer } = require('node:buffer');
const { bytesOf, isBytes } = require('../bytes.js');
const { nodeError, wrongType, wrongValue } = require('../errors.js');
const { printable } = require('../printable.js');
const { Reader, WHAT, kindOf } = require('../wasm-module.js');

const BYTES = 'an instance of ArrayBuffer, TypedArray or DataView';
const HEADER = 8;
// Sections of a component.
const CORE_MODULE = 1;
const CORE_INSTANCES = 2;
const COMPONENT = 4;
const INSTANCES = 5;
const ALIASES = 6;
const IMPORTS = 10;
const EXPORTS = 11;

/** What ends a text of JavaScript or a comment, or begins something else in it. */
const ENDS_TEXT = /['"`\\\u0000-\u001f\u007f\u2028\u2029]|\$\{|\*\//;
/** Names of the component model that may have any characters but `>`. The others have letters. */
const FREE_NAME = /(?:url|integrity|(?:un)?locked-dep)=</;

/**
 * The sections of a component and of those in it.
 *
 * @param {Uint8Array} bytes
 * @param {number} [begin] where the component begins
 * @param {number} [end]
 * @returns {Iterable<{ id: number, reader: Reader, isNested: boolean }>}
 */
function* sectionsOf(bytes, begin = 0, end = bytes.length) {
  const reader = new Reader(bytes, begin, end);
  reader.skip(HEADER);
  while (reader.at < end) {
    const id = reader.byte();
    const size = reader.u32();
    const start = reader.at;
    reader.skip(size);
    yield { id, reader: new Reader(bytes, start, reader.at), isNested: begin > 0 };
    if (id === COMPONENT) yield* sectionsOf(bytes, start, reader.at);
  }
}

/** @returns {string} the bytes of a section, one character each */
function textOf({ bytes, at, end }) {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1');
}

/**
 * @param {Uint8Array} bytes a component
 * @returns {string[]} what its imports and exports name of `wasi`, with versions. Another section that
 *   mentions an interface, as a program's own text may, does not use it
 */
function versionsIn(bytes) {
  const found = [];
  for (const { id, reader, isNested } of sectionsOf(bytes)) {
    if (isNested || (id !== IMPORTS && id !== EXPORTS)) continue;
    found.push(...textOf(reader).matchAll(/wasi:[a-z-]+\/[a-z0-9-]+@\d+\.\d+\.\d+/g));
  }
  return found.map(([name]) => name);
}

/**
 * Checks that each name in a component stays a text in the JavaScript that jco makes of it.
 *
 * @param {BufferSource} component
 * @returns {Promise<void>}
 * @throws {TypeError} `component` is no bytes
 * @throws {WebAssembly.CompileError} it is no component, or has a name that would be code
 */
async function checkComponent(component) {
  if (!isBytes(component)) throw wrongType('component', BYTES, component);
  const bytes = bytesOf(component);
  if (bytes === undefined) throw wrongValue('component', 'must not be detached', component);
  const kind = kindOf(bytes);
  // A copy: modules are compiled meanwhile.
  const why = kind === 'component' ? await whyNot(bytes.slice()) : `it is ${WHAT[kind]}`;
  if (why === undefined) return;
  const message = `The component must not be transpiled: ${why}`;
  throw nodeError(WebAssembly.CompileError, 'ERR_WASI_COMPONENT', message);
}

/**
 * @param {Uint8Array} bytes a component
 * @returns {Promise<string | undefined>} why its JavaScript must not be run; undefined if it may be
 */
async function whyNot(bytes) {
  let wrong;
  try {
    wrong = await nameThatEndsText(bytes);
  } catch (error) {
    return `it cannot be read: ${printable(error.message)}`;
  }
  return wrong && `its name ${printable(JSON.stringify(wrong))} would be code of JavaScript`;
}

/**
 * @param {Uint8Array} bytes a component
 * @returns {Promise<string | undefined>} a name in it that would not stay a text in JavaScript
 */
async function nameThatEndsText(bytes) {
  for (const { id, reader } of sectionsOf(bytes)) {
    const { at, end } = reader;
    const free = id >= INSTANCES ? FREE_NAME.exec(textOf(reader)) : null;
    if (free !== null) return free[0];
    let names = [];
    if (id === CORE_MODULE) names = await namesOfModule(bytes.subarray(at, end));
    else if (id === CORE_INSTANCES) names = coreInstanceNames(reader);
    else if (id === ALIASES) names = aliasNames(reader);
    const wrong = names.find((name) => ENDS_TEXT.test(name));
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** V8's own reading of a core module decides: it is what jco's JavaScript gets the names from. */
async function namesOfModule(bytes) {
  const module = await WebAssembly.compile(bytes);
  const imports = WebAssembly.Module.imports(module).flatMap((one) => [one.module, one.name]);
  return [...imports, ...WebAssembly.Module.exports(module).map(({ name }) => name)];
}

/** The names by which core modules are given what they import. */
function coreInstanceNames(reader) {
  const names = [];
  for (let left = reader.u32(); left > 0; left--) {
    const kind = reader.byte();
    if (kind > 1) reader.fail(`a core instance of kind ${kind}`);
    // An instantiation names its module first.
    if (kind === 0) reader.u32();
    for (let pairs = reader.u32(); pairs > 0; pairs--) {
      names.push(nameAt(reader));
      // What has the name: its sort, and its number.
      reader.byte();
      reader.u32();
    }
  }
  return names;
}

/** The names of what instances export, where the component takes it from them. */
function aliasNames(reader) {
  const names = [];
  for (let left = reader.u32(); left > 0; left--) {
    // The sort of a core definition has a second byte.
    if (reader.byte() === 0) reader.byte();
    const target = reader.byte();
    if (target > 2) reader.fail(`an alias of kind ${target}`);
    reader.u32();
    if (target === 2) reader.u32();
    else names.push(nameAt(reader));
  }
  return names;
}

function nameAt(reader) {
  const length = reader.u32();
  const start = reader.at;
  reader.skip(length);
  return Buffer.from(reader.bytes.subarray(start, reader.at)).toString();
}

module.exports = { checkComponent, versionsIn, whyNot };
