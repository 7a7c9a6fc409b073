'use strict';
// A few bytes of assembler: modules with imports, an own or imported memory, and straight-line
// bodies.
const I32 = 0x7f;
const I64 = 0x7e;
const TYPES = { i: I32, I: I64 };

function leb(value) {
  const out = [];
  do {
    const byte = value & 0x7f;
    value >>>= 7;
    out.push(value ? byte | 0x80 : byte);
  } while (value);
  return out;
}

function sleb(value) {
  const out = [];
  for (let n = BigInt(value); ;) {
    const byte = Number(n & 0x7fn);
    n >>= 7n;
    if ((n === 0n && !(byte & 0x40)) || (n === -1n && byte & 0x40)) return [...out, byte];
    out.push(byte | 0x80);
  }
}

const text = (string) => [...leb(Buffer.byteLength(string)), ...Buffer.from(string)];
const vector = (items) => [...leb(items.length), ...items.flat()];
const section = (id, body) => [id, ...leb(body.length), ...body];
// 'iI:i' is (i32, i64) -> i32.
const signature = (form) => {
  const [params, results] = form.split(':');
  return [
    0x60,
    ...vector([...params].map((c) => [TYPES[c]])),
    ...vector([...results].map((c) => [TYPES[c]])),
  ];
};

const op = {
  i32: (value) => [0x41, ...sleb(value)],
  i64: (value) => [0x42, ...sleb(value)],
  call: (index) => [0x10, ...leb(index)],
  get: (index) => [0x20, ...leb(index)],
  drop: [0x1a],
  unreachable: [0x00],
};

// imports: [{ module, name, form }]; functions: [{ export, form, body }], indices after the
// imports; memory: { initial, maximum, shared, exported, imported: [module, name] }; reexport:
// exports imports.
function assemble({
  imports = [],
  functions = [],
  memory = { initial: 1, exported: 'memory' },
  reexport = false,
}) {
  const forms = [...imports, ...functions].map(({ form }) => form);
  const limits = memory && [
    (memory.shared ? 2 : 0) | (memory.maximum === undefined ? 0 : 1),
    ...leb(memory.initial),
    ...(memory.maximum === undefined ? [] : leb(memory.maximum)),
  ];
  const importItems = imports.map(({ module, name }, index) => [
    ...text(module),
    ...text(name),
    0,
    ...leb(index),
  ]);
  if (memory?.imported)
    importItems.push([...text(memory.imported[0]), ...text(memory.imported[1]), 2, ...limits]);
  const exportItems = functions
    .filter((item) => item.export)
    .map((item) => [...text(item.export), 0, ...leb(imports.length + functions.indexOf(item))]);
  if (memory?.exported) exportItems.push([...text(memory.exported), 2, 0]);
  if (reexport)
    exportItems.push(...imports.map(({ name }, index) => [...text(name), 0, ...leb(index)]));
  const bodies = functions.map(({ body }) => {
    const code = [0, ...body.flat(Infinity), 0x0b];
    return [...leb(code.length), ...code];
  });
  return new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vector(forms.map(signature))),
    ...section(2, vector(importItems)),
    ...section(3, vector(functions.map((_, index) => leb(imports.length + index)))),
    ...(memory && !memory.imported ? section(5, vector([limits])) : []),
    ...section(7, vector(exportItems)),
    ...section(10, vector(bodies)),
  ]);
}

module.exports = { assemble, op };
