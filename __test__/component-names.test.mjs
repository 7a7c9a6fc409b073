// `checkComponent`: which names of a component would be code in the JavaScript that jco makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkComponent } from '../lib/p2/index.js';

const SAFE = ['run', '$a{b}:c/d@0.2#[m]e*f', 'zw\u00f6lf', 'a/b', '/*'];
const CODE = ["it's", 'say "so"', '`', 'a\\b', 'a\nb', '\u2028', '\u2029', '\x7f', '${a}', '*/'];

/** A vector: its length, which is less than 128, and its members. */
const list = (...members) => [members.length, ...members.flat()];
const named = (name) => list(...Buffer.from(name));
/** A section; its size in five bytes, as linkers have it. */
function section(id, content) {
  const size = [0, 7, 14, 21, 28].map((shift) => (content.length >>> shift) & 127);
  return [id, ...size.map((byte, i) => (i < 4 ? byte | 128 : byte)), ...content];
}
const module = (...sections) => [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()];
const component = (...sections) => [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, ...sections.flat()];
const coreModule = (...sections) => section(1, module(...sections));
const FUNCTION = section(1, list([0x60, 0, 0]));

/** Where a name may be, by what has it. */
const PLACES = {
  'an export of a core module': (name) => {
    const memory = section(5, list([0, 1]));
    return coreModule(memory, section(7, list([...named(name), 2, 0])));
  },
  'an import of a core module': (name) =>
    coreModule(FUNCTION, section(2, list([...named('m'), ...named(name), 0, 0]))),
  'the module of an import': (name) =>
    coreModule(FUNCTION, section(2, list([...named(name), ...named('f'), 0, 0]))),
  'an argument of an instantiation': (name) =>
    section(2, list([0, 0, ...list([...named('a'), 0x12, 0], [...named(name), 0x12, 0])])),
  'an export of an instance': (name) => section(2, list([1, ...list([...named(name), 0, 0])])),
  'an instance behind others': (name) =>
    section(2, list([0, 3, 0], [1, 0], [1, ...list([...named(name), 2, 0])])),
  'an alias of a core export': (name) => section(6, list([0, 2, 1, 0, ...named(name)])),
  'an alias behind others': (name) =>
    section(6, list([3, 2, 1, 0], [1, 0, 0, ...named('a')], [0, 0, 1, 0, ...named(name)])),
};

for (const [place, of] of Object.entries(PLACES)) {
  test(`${place} is no code`, async () => {
    for (const name of SAFE) await checkComponent(new Uint8Array(component(of(name))));
    for (const name of CODE) {
      for (const bytes of [
        component(of(name)),
        component(section(0, named('custom')), of('f'), of(name)),
        component(section(4, component(section(4, component(of(name)))))),
      ]) {
        await assert.rejects(
          checkComponent(new Uint8Array(bytes)),
          ({ name, code, message }) =>
            [name, code] + '' === 'CompileError,ERR_WASI_COMPONENT' &&
            /^[ -~]*: its name "[ -~]+" would be code of JavaScript$/.test(message),
          JSON.stringify(name),
        );
      }
    }
  });
}

test('names of the component model that may have any characters are refused', async () => {
  for (const name of ['url=<a>', 'integrity=<a>', 'locked-dep=<a:b>', 'unlocked-dep=<a:b>']) {
    const imported = section(10, list([0, ...named(name), 1, 0]));
    await assert.rejects(checkComponent(new Uint8Array(component(imported))), /would be code/);
  }
  const wasi = section(10, list([0, ...named('wasi:cli/run@0.2.0'), 5, 0]));
  await checkComponent(new Uint8Array(component(wasi)));
});

test('bytes have any form, and are a component', async () => {
  const whole = new Uint8Array(component(PLACES['an alias of a core export']('f')));
  const shared = new Uint8Array(new SharedArrayBuffer(whole.length));
  shared.set(whole);
  for (const form of [whole.buffer, new DataView(whole.buffer), shared, shared.buffer]) {
    assert.equal(await checkComponent(form), undefined);
  }
  const refused = (bytes, why) =>
    assert.rejects(checkComponent(new Uint8Array(bytes)), {
      code: 'ERR_WASI_COMPONENT',
      message: `The component must not be transpiled: ${why}`,
    });
  await refused(module(), 'it is a core module');
  await refused([], 'it is no WebAssembly');
  await refused(Buffer.from('(component)'), 'it is WebAssembly text');
  for (let length = 9; length < whole.length; length++) {
    await assert.rejects(checkComponent(whole.slice(0, length)), /: it cannot be read: /);
  }
  await assert.rejects(
    checkComponent(new Uint8Array(component(section(1, [1, 2, 3])))),
    /: it cannot be read: /,
  );
  for (const value of [
    undefined,
    null,
    'program.wasm',
    {},
    new WebAssembly.Module(new Uint8Array(module())),
  ]) {
    await assert.rejects(checkComponent(value), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const detached = new Uint8Array(component());
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  await assert.rejects(checkComponent(detached), { code: 'ERR_INVALID_ARG_VALUE' });
});
