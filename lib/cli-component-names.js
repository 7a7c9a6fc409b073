'use strict';

// The names in a component. jco makes JavaScript of a component, which runs outside of the sandbox,
// and some of these names stand in it as texts. So a name that could end such a text is refused
// before that JavaScript is run.

const { Buffer } = require('node:buffer');
const { Reader } = require('./wasm-module.js');

const HEADER = 8;
// Sections of a component.
const CORE_INSTANCES = 2;
const COMPONENT = 4;
const INSTANCES = 5;
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
 * @param {Uint8Array} bytes a component
 * @param {WebAssembly.Module[]} modules the core modules in it
 * @returns {string | undefined} a name in it that would not stay a text in JavaScript
 */
function nameThatEndsText(bytes, modules) {
  for (const module of modules) {
    for (const { module: from = '', name } of [
      ...WebAssembly.Module.imports(module),
      ...WebAssembly.Module.exports(module),
    ]) {
      const wrong = [from, name].find((one) => ENDS_TEXT.test(one));
      if (wrong !== undefined) return wrong;
    }
  }
  for (const { id, reader } of sectionsOf(bytes)) {
    if (id === CORE_INSTANCES) {
      const wrong = coreInstanceNames(reader).find((name) => ENDS_TEXT.test(name));
      if (wrong !== undefined) return wrong;
    } else if (id >= INSTANCES) {
      const free = FREE_NAME.exec(textOf(reader));
      if (free !== null) return free[0];
    }
  }
  return undefined;
}

/** The names by which core modules are given what they import. */
function coreInstanceNames(reader) {
  const names = [];
  const count = reader.u32();
  for (let i = 0; i < count; i++) {
    const kind = reader.byte();
    if (kind > 1) reader.fail(`a core instance of kind ${kind}`);
    // An instantiation names its module first.
    if (kind === 0) reader.u32();
    for (let left = reader.u32(); left > 0; left--) {
      const length = reader.u32();
      const start = reader.at;
      reader.skip(length);
      names.push(Buffer.from(reader.bytes.subarray(start, reader.at)).toString());
      // What has the name: its sort, and its number.
      reader.byte();
      reader.u32();
    }
  }
  return names;
}

module.exports = { nameThatEndsText, versionsIn };
