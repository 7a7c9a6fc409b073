// docs/api.md against the declarations and the sources: what is exported, declared and thrown has
// its place on the page, and the page has nothing else.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { sources } from '../scripts/process.mjs';

const require = createRequire(import.meta.url);
const { compile, Pool, run, spawn, WASI } = require('../index.js');
const { runThreads } = require('../threads.js');

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file) => readFileSync(join(root, file), 'utf8');
/** As it was written: what is published is bundles of it. */
const readSource = (file) => readFileSync(join(sources, file), 'utf8');
const page = read('docs/api.md');
const FILES = ['index.d.ts', 'register.d.ts', 'threads.d.ts', 'p2.d.ts'];
const declarations = FILES.map((file) => read(file).replace(/\/\*[^]*?\*\/|\/\/.*$/gm, ''));

const namesIn = (text, pattern) => [
  ...new Set(Array.from(text.matchAll(pattern), ([, name]) => name)),
];
const without = (names, others) => names.filter((name) => !others.includes(name)).sort();

/** The names that stand at the head of a section or of an item. */
const headings = namesIn(page, /^#+ .*?`(?:new )?(?:\w+(?=[.[])\.?)?(\w+|\[[\w.]+\])/gm);
const items = namesIn(page, /^ *- `(\w+)`/gm);

test('each exported name has a section', () => {
  const exported = declarations.flatMap((text) =>
    namesIn(text, /^export (?:declare )?(?:class|interface|type|function|const) (\w+)/gm),
  );
  assert.ok(exported.includes('WASI') && exported.includes('runThreads'));
  assert.deepEqual(without(exported, headings), [], 'missing on the page');
});

test('each member that is declared has a place, and there is no other', () => {
  // Not by the parser of the script: a member stands on a line of its own, or in a line of them.
  const members = declarations.flatMap((text) => [
    ...namesIn(text, /(?:^|[{;,(])\s*(?:readonly |get |\.\.\.)*(\w+)\??(?=:|\(|<\w)/gm),
    ...namesIn(text, /^ +(\[Symbol\.\w+\])/gm),
  ]);
  assert.ok(members.includes('outputBytes') && members.includes('columns'));
  const placed = [...headings, ...items];
  // Names of index signatures, type parameters, and of the parameters of functions in a type.
  const inTypes = ['event', 'chunk', 'constructor', 'ArrayBuffer', 'dispose', 'asyncDispose'];
  assert.deepEqual(without(members, [...placed, ...inTypes, 'fn', 'args']), [], 'missing');
  assert.deepEqual(without(items, members), [], 'on the page, and not declared');
});

test('the page is in words and links, not in the syntax of declarations', () => {
  const prose = page.replaceAll(/\s+/g, ' ');
  for (const syntax of [/Omit</, /Throws: \{/, /\{@link/, /\bdocs\/[\w-]+\.md/]) {
    assert.doesNotMatch(prose, syntax);
  }
});

test('each heading of the API says since when there is what it names', () => {
  const lines = page.split('\n');
  const late = lines.filter((text, index) => {
    const names = /^#{3,4} .*`/.test(text);
    return names && !/^Added in: v\d+\.\d+\.\d+$/.test(lines[index + 2] ?? '');
  });
  assert.deepEqual(late, []);
});

test('each optional option says its default', () => {
  const known = page.split(/^### /m).filter((part) => /^Object: `\w+(Options|Limits)`/.test(part));
  assert.ok(known.length >= 8);
  const isOptional = (name) => declarations.some((text) => text.includes(` ${name}?:`));
  const silent = known.flatMap((part) =>
    part
      .split(/\n(?=- )/)
      .slice(1)
      .filter((item) => !item.includes('**Default:**'))
      .filter((item) => isOptional(/`(\w+)`/.exec(item)[1]))
      .map((item) => item.split('\n')[0]),
  );
  // Of a guest that suspends, the option is there and `true`.
  const required = ['- `suspend` `true`'];
  assert.deepEqual(without(silent, required), []);
});

/** The keys that a call knows, by its error for one that it does not know. */
async function keysKnown(call) {
  const error = await Promise.resolve({ isUnknown: 1 })
    .then(call)
    .catch((error) => error);
  assert.equal(error.code, 'ERR_INVALID_ARG_VALUE', String(error));
  const [, list] = /is not known; known are (.*)\. Received 1$/.exec(error.message);
  return namesIn(list, /'(\w+)'/g);
}

test('the options that are known are those on the page', async () => {
  /** The items of objects, those of what they have all of included. */
  const itemsOf = (name) => {
    const part = page.split(/^(?=### )/m).find((text) => /^### .*`(\w+)/.exec(text)?.[1] === name);
    assert.ok(part, name);
    const own = namesIn(part, /^- `(\w+)`/gm);
    const [, all, but = ''] = /^Has all of `(\w+)`(?: but ([^]*?), which)?/m.exec(part) ?? [];
    if (all === undefined) return own;
    const left = namesIn(but, /`(\w+)`/g);
    return [...new Set([...own, ...itemsOf(all).filter((item) => !left.includes(item))])];
  };
  const wasm = new Uint8Array(8);
  const limitsOf = (call) => (limits) => call({ limits });
  for (const [names, call] of [
    [['RunOptions'], (options) => run(wasm, options)],
    [['PoolRunOptions'], (options) => new Pool().run(wasm, options)],
    [['SpawnOptions'], (options) => spawn(wasm, options).exited],
    [['PoolOptions'], (options) => new Pool(options)],
    [['ThreadsOptions'], (options) => runThreads(new WASI({}), wasm, options)],
    [['Limits'], limitsOf((options) => new WASI(options))],
    [['ModuleLimits'], limitsOf((options) => compile(wasm, options))],
    [['Limits', 'ModuleLimits'], limitsOf((options) => run(wasm, options))],
  ]) {
    const known = await keysKnown(call);
    assert.deepEqual(known.sort(), names.flatMap(itemsOf).sort(), names.join(' and '));
  }
  // Types that are one of several objects.
  for (const [name, kinds, call] of [
    [
      'Preopen',
      [{ path: '.' }, { file: '.' }, { memory: {} }, { tar: wasm }, { fs: {} }],
      (preopen) => new WASI({ preopens: { '/a': preopen } }),
    ],
    [
      'GuestSocket',
      [{ host: '127.0.0.1', port: 0 }, { path: 'a' }, { fd: 0 }],
      (socket) => new WASI({ sockets: [socket] }),
    ],
  ]) {
    const [, part] = page.split(`\n### Type: \`${name}\`\n`);
    const objects = part.split(/^### /m)[0].split('- an object:\n').slice(1);
    const listed = objects.map((text) => namesIn(text, /^ {2}- `(\w+)`/gm));
    for (const kind of kinds) {
      const known = await keysKnown((unknown) => call({ ...kind, ...unknown }));
      const [key] = Object.keys(kind);
      for (const keys of listed.filter((each) => each.includes(key))) {
        assert.deepEqual(keys.sort(), known.sort(), `${name}, ${key}`);
      }
      assert.ok(
        listed.some((each) => each.includes(key)),
        `${name}, ${key}`,
      );
    }
  }
});

/** The modules that can raise errors, by their paths. Those of the worker are written from them. */
const modules = ['index.js', 'binding.js', 'register.js', 'threads.js'];
for (const folder of ['lib', 'lib/p2']) {
  const names = readdirSync(join(sources, folder)).filter((name) => /(?<!-source)\.js$/.test(name));
  modules.push(...names.map((name) => `${folder}/${name}`));
}
const rows = Array.from(page.matchAll(/^\| `(ERR_[A-Z0-9_]+)` \| `([\w.]+)` \| (.+) \|$/gm));

test('each code of an error is explained, and there is no other', () => {
  const rust = ['src', 'core/src'].flatMap((folder) => {
    const names = readdirSync(join(sources, folder), { recursive: true });
    return names.filter((name) => name.endsWith('.rs')).map((name) => join(folder, name));
  });
  assert.ok(rust.length > 20);
  const files = [...modules, ...rust];
  const thrown = files.flatMap((file) =>
    namesIn(readSource(file), /\b(ERR_[A-Z0-9_]*[A-Z0-9])\b(?!_)/g),
  );
  const explained = rows.map(([, code]) => code);
  assert.equal(new Set(explained).size, explained.length);
  // A code of Node's that this package only looks for.
  const known = ['ERR_WORKER_OUT_OF_MEMORY'];
  assert.deepEqual(without(known, thrown), [], 'not looked for any more');
  const made = modules.flatMap((file) => namesIn(readSource(file), /Error,\s+'(ERR_[A-Z0-9_]+)'/g));
  assert.deepEqual(without(known, without(known, made)), [], 'not only looked for');
  assert.deepEqual(without(thrown, [...explained, ...known]), [], 'missing on the page');
  assert.deepEqual(without(explained, thrown), [], 'on the page, and nowhere in the sources');
});

test('each code has the class that the page gives it, and a remedy', () => {
  const made = modules.flatMap((file) => {
    const calls = /\bnodeError\(\s*([\w.]+),\s*'(ERR_[A-Z0-9_]+)'/g;
    return Array.from(readSource(file).matchAll(calls), ([, type, code]) => ({ file, type, code }));
  });
  assert.ok(made.length > 30);
  const classOf = new Map(rows.map(([, code, type]) => [code, type]));
  assert.deepEqual(
    made.filter(({ code, type }) => classOf.get(code) !== type),
    [],
  );
  assert.deepEqual(
    rows.filter(([, , , text]) => !/[.;] [A-Z]?[a-z`]/.test(text)).map(([, code]) => code),
    [],
    'says when, and not what to do',
  );
});
