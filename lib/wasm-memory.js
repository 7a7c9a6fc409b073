'use strict';

// The limits of the memory that a module imports. JavaScript says only that there is one.

const IMPORT_SECTION = 2;
const TABLE = 1;
const MEMORY = 2;
const GLOBAL = 3;
const TAG = 4;

/**
 * @param {BufferSource} wasm a module that has been found valid
 * @returns {WebAssembly.MemoryDescriptor | undefined} what `new WebAssembly.Memory` takes
 */
function importedMemory(wasm) {
  const bytes = ArrayBuffer.isView(wasm)
    ? new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength)
    : new Uint8Array(wasm);
  let at = 8;

  function unsigned() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  function limits() {
    const flags = unsigned();
    const initial = unsigned();
    const maximum = flags & 1 ? unsigned() : undefined;
    return { initial, ...(maximum === undefined ? {} : { maximum }), shared: (flags & 2) !== 0 };
  }

  while (at < bytes.length) {
    const section = bytes[at++];
    const size = unsigned();
    if (section !== IMPORT_SECTION) {
      at += size;
      continue;
    }
    for (let count = unsigned(); count > 0; count--) {
      // The names of the module and of what is imported.
      for (let names = 0; names < 2; names++) {
        const length = unsigned();
        at += length;
      }
      switch (bytes[at++]) {
        case MEMORY:
          return limits();
        case TABLE:
          at++;
          limits();
          break;
        case GLOBAL:
          at += 2;
          break;
        case TAG:
          at++;
          unsigned();
          break;
        default:
          unsigned();
      }
    }
  }
  return undefined;
}

module.exports = { importedMemory };
