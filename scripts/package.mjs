// `node scripts/package.mjs [FOLDER]`: makes what is published, in target/package or FOLDER.
//
// `require('wasi-rs')` reads one file of JavaScript: index.js with the modules that it requires
// when it is loaded. Every other module is in exactly one file, so that its state and its classes
// are there once: in that of the only entry that requires it, or in a file of its own. Those files
// get the modules of index.js from index.js, by a symbol.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { build } from 'esbuild';
import { isMain, makeAnew, parsedArguments, root, say, SOURCES } from './process.mjs';
import { sources, takesNoMore } from './process.mjs';

const MAIN = 'index.js';
/**
 * A module that an entry imports, so that esbuild takes the entry for an ECMAScript module, too.
 */
const NOTHING = './nothing';
const INTERNALS = "Symbol.for('wasi-rs.internals')";
/**
 * Modules without state, so that a file which is to work without an addon may have its own. No
 * other module is in two files.
 */
const COPIED = new Set(['lib/errors.js']);
/**
 * By module: the functions that most programs have called by the time that their guests run. V8
 * parses a function twice if it compiles the function at the first call. V8 compiles a function in
 * parentheses with the file. The imports cannot be in parentheses, because they are methods: other
 * functions have a `prototype`, and those of `node:wasi` have none. A test compares this list with
 * the functions that a program calls.
 */
const EARLY = {
  'lib/ends.js': ['exitOf', 'uncatchable'],
  'lib/guest.js': [
    ...['checkRunning', 'exitGuest', 'halt', 'leave', 'putResolution', 'putWords'],
    ...['returningExit', 'runGuest', 'setView', 'stop', 'useMemory'],
  ],
  'lib/imports.js': [
    ...['createImports', 'outcome', 'put_iIii', 'put_iiiIi', 'put_iiii', 'put_iiiiiIIii'],
    'put_iiiiiii',
  ],
  'lib/instance.js': ['commandOf', 'hasNul', 'newInstance', 'packed', 'packedStream'],
  'lib/options.js': [
    ...['bindingNameOf', 'checkedDescriptor', 'checkedOptions', 'inputStream', 'namesOther'],
    ...['ours', 'outputStream', 'plainPreopen', 'preopen', 'preopenList'],
    ...['terminated', 'terminatedArgs', 'terminatedEnv', 'validateArray', 'validateFunction'],
    ...['validateObject', 'validateUndefined'],
  ],
};
/** Folders that a test root does not copy: large ones, and those that scripts write to. */
const NOT_COPIED = new Set(['.cache', '.git', 'fuzz', 'node_modules', 'target']);

const own = JSON.parse(readFileSync(join(sources, 'package.json'), 'utf8'));

/**
 * Makes the published package, without an addon and without a list of the addon's crates.
 *
 * @param {string} folder is made anew
 * @param {object} [extra] members to add to its package.json
 * @returns {Promise<void>}
 */
export async function makePackage(folder, extra = {}) {
  // A published package has no scripts, and a checkout has.
  makeAnew(folder, () => {
    const description = join(folder, 'package.json');
    if (!existsSync(description)) return false;
    const { name, scripts } = JSON.parse(readFileSync(description, 'utf8'));
    return name === own.name && scripts === undefined;
  });
  const { scripts, devDependencies, overrides, ...rest } = own;
  const files = own.files.filter((name) => !name.endsWith('.node') && name !== 'THIRD-PARTY.md');
  const description = { ...rest, files, ...extra };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
  const copied = files.filter((name) => !name.endsWith('.js') && name !== 'lib');
  for (const name of [...copied, 'README.md', 'LICENSE']) {
    cpSync(join(sources, name), join(folder, name), { recursive: true });
  }
  for (const name of readdirSync(folder, { recursive: true })) {
    if (name.endsWith('.md')) linkToRepository(folder, name.replaceAll('\\', '/'));
  }
  await makeBundles(folder);
}

/**
 * In a page of the package, makes relative links to what is not in the package links to the
 * repository, as it is at the tag of this version.
 */
function linkToRepository(folder, page) {
  const repository = own.homepage.replace(/#.*/, '');
  const text = readFileSync(join(folder, page), 'utf8');
  const linked = text.replaceAll(
    /(!?)(\[[^\]]*\]\()([^)\s:#]+)(?=[)#])/g,
    (whole, image, label, link) => {
      const target = posix.join(posix.dirname(page), link);
      if (existsSync(join(folder, target))) return whole;
      const isFolder = statSync(join(sources, target)).isDirectory();
      const view = image ? 'raw' : isFolder ? 'tree' : 'blob';
      return `${image}${label}${repository}/${view}/v${own.version}/${target}`;
    },
  );
  writeFileSync(join(folder, page), linked);
}

/**
 * Makes a copy of the checkout in which what is published stands in the place of its sources, so
 * that the tests in it test that.
 *
 * @param {string} folder is made anew
 * @returns {Promise<string>} `folder`
 */
export async function makeTestRoot(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { name } of readdirSync(sources, { withFileTypes: true })) {
    if (NOT_COPIED.has(name) || name.endsWith('.tgz')) continue;
    const filter = (place) => !place.endsWith('node_modules');
    cpSync(join(sources, name), join(folder, name), { recursive: true, filter });
  }
  for (const name of NOT_COPIED) {
    if (name === '.git' || !existsSync(join(sources, name))) continue;
    symlinkSync(join(sources, name), join(folder, name), 'junction');
  }
  writeFileSync(join(folder, SOURCES), sources);
  await makeBundles(folder);
  return folder;
}

/** Writes the files of JavaScript of the package. */
async function makeBundles(folder) {
  const graph = readGraph();
  const main = closure(graph, MAIN, new Set());
  const entries = [...entriesOf(graph, main)];
  await bundle(folder, MAIN, { graph, main: new Set(), apart: new Set(entries) });
  for (const entry of entries) {
    const apart = new Set([...entries.filter((other) => other !== entry), MAIN]);
    const fromMain = [...closure(graph, entry, apart)].filter((name) => main.has(name));
    const copied = fromMain.every((name) => COPIED.has(name)) ? fromMain : [];
    const given = new Set([...main].filter((name) => !copied.includes(name)));
    await bundle(folder, entry, { graph, main: given, apart });
  }
}

/** @returns {Map<string, object>} the modules of the package, by their paths in it */
function readGraph() {
  const graph = new Map();
  const modules = ['.', 'lib', 'lib/p2', 'bin'].flatMap((below) => {
    if (!existsSync(join(sources, below))) return [];
    return readdirSync(join(sources, below))
      .filter((name) => name.endsWith('.js'))
      .map((name) => posix.join(below, name));
  });
  for (const name of modules) {
    const text = readFileSync(join(sources, name), 'utf8');
    const resolved = (paths) => [...paths].map((path) => posix.join(dirname(name), path));
    graph.set(name, {
      text,
      atLoad: resolved(namesIn(text, /^const [^=]*= require\('(\.[^']*\.js)'\);/gm)),
      all: resolved(namesIn(text, /\brequire\('(\.[^']*\.js)'\)/g)),
      // Files that another thread loads by their paths.
      named: resolved(namesIn(text, /\brequire\.resolve\('(\.[^']*\.js)'\)/g)),
    });
  }
  return graph;
}

function namesIn(text, pattern) {
  return new Set([...text.matchAll(pattern)].map(([, name]) => name));
}

/** The modules that are loaded with one, but for those apart. */
function closure(graph, name, apart) {
  const found = new Set();
  const visit = (each) => {
    if (found.has(each) || (each !== name && apart.has(each))) return;
    found.add(each);
    graph.get(each).atLoad.forEach(visit);
  };
  visit(name);
  return found;
}

/**
 * The modules that get a file of their own beside index.js: those that users name, those that are
 * loaded late, those that are named by path, and those that more than one of these needs.
 */
function entriesOf(graph, main) {
  const byUsers = Object.values(own.exports)
    .map((target) => posix.normalize(typeof target === 'string' ? target : target.default))
    .filter((name) => name.endsWith('.js'));
  const entries = new Set([...byUsers, ...Object.values(own.bin).map(posix.normalize)]);
  const reached = new Set();
  const reach = (name) => {
    if (reached.has(name)) return;
    reached.add(name);
    const { atLoad, all, named } = graph.get(name);
    for (const each of all) if (!atLoad.includes(each)) entries.add(each);
    for (const each of named) entries.add(each);
    [...all, ...named].forEach(reach);
  };
  [MAIN, ...entries].forEach(reach);
  for (const name of main) entries.delete(name);
  for (let before = 0; before !== entries.size;) {
    before = entries.size;
    const users = new Map();
    for (const entry of entries) {
      const apart = new Set([...entries, ...main]);
      for (const each of closure(graph, entry, apart)) {
        users.set(each, (users.get(each) ?? 0) + 1);
      }
    }
    for (const [name, count] of users) if (count > 1) entries.add(name);
  }
  return entries;
}

/** Bundles one entry; `main` are the modules that index.js has, `apart` those with own files. */
async function bundle(folder, entry, { graph, main, apart }) {
  const toHere = (name) => {
    const path = posix.relative(posix.dirname(entry), name);
    return path.startsWith('.') ? path : `./${path}`;
  };
  const plugin = {
    name: 'wasi-rs',
    setup(setup) {
      setup.onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
        if (kind === 'entry-point') return undefined;
        if (path === NOTHING) return { path, namespace: 'nothing' };
        const from = posix.dirname(relativeTo(sources, importer));
        const name = posix.join(from, path);
        const external = apart.has(name) || !graph.has(name);
        return external ? { path: toHere(name), external } : undefined;
      });
      setup.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
      setup.onLoad({ filter: /\.js$/ }, ({ path }) => {
        const name = relativeTo(sources, path);
        if (!graph.has(name)) return undefined;
        const fromMain = (required) => {
          return `require('${toHere(MAIN)}')[${INTERNALS}]('${required}')`;
        };
        const text = asModule(name, { graph, entry, main, apart, fromMain });
        return { contents: text, loader: 'js' };
      });
    },
  };
  const isProgram = graph.get(entry).text.startsWith('#!');
  await build({
    absWorkingDir: sources,
    entryPoints: [join(sources, entry)],
    outfile: join(folder, entry),
    allowOverwrite: true,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node18',
    external: ['*.node', 'wasi-rs-*', 'node:*', 'worker_threads', '@bytecodealliance/*'],
    treeShaking: false,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [plugin],
    banner: { js: `${isProgram ? '#!/usr/bin/env node\n' : ''}'use strict';` },
    // An entry is a module of both kinds: it imports, and has `module.exports`.
    logOverride: { 'commonjs-variable-in-esm': 'silent' },
  });
}

/**
 * A CommonJS module of this package as one of ECMAScript. So esbuild puts it in the scope of the
 * bundle, where V8 looks through each function once: in a function for each module it does twice.
 */
function asModule(name, { graph, entry, main, apart, fromMain }) {
  const named = (path) => posix.join(posix.dirname(name), path);
  let text = early(name, graph.get(name).text);
  text = text.replace(/^#!.*\n/, '').replace(/^'use strict';\n/, '');
  text = text.replace(/\brequire\('(\.[^']*)'\)/g, (whole, path) => {
    return main.has(named(path)) && named(path) !== MAIN ? fromMain(named(path)) : whole;
  });
  // Modules of Node and of other files stay as they are: a name that is imported would be looked up
  // at each use, after a program may have put something else in its place.
  const REQUIRED = /^const (\{[^}=[\]]*\}) = require\('(\.[^']*)'\);/gm;
  text = text.replace(REQUIRED, (whole, names, path) => {
    if (apart.has(named(path))) return whole;
    if (!isPlain(graph, named(path))) {
      const local = `required_${named(path).replace(/\W/g, '_')}`;
      return `import ${local} from '${path}';\nconst ${names} = ${local};`;
    }
    return `import ${names.replace(/(\w+): (\w+)/g, '$1 as $2')} from '${path}';`;
  });
  if (name === entry) {
    // It stays as it is, because Node looks for its names there when it is imported.
    text = `import '${NOTHING}';\n${text}`;
    return name === MAIN ? text + internals(graph) : text;
  }
  // The bundle has the version in it: reading package.json takes time at each load.
  text = text.replace(/\brequire\('\.\/package\.json'\)/, `{ version: '${own.version}' }`);
  if (!isPlain(graph, name)) {
    return text.replace(/^module\.exports = (.*);$/m, 'const whole = $1;\nexport default whole;');
  }
  const exported = exportsOf(text);
  const { names, values, whole } = exported;
  return text.replace(whole, `${values}\nexport { ${names.join(', ')} };`);
}

/**
 * A module of this package with its functions of `EARLY` in parentheses.
 *
 * @param {string} name its path in the package
 * @param {string} text
 * @returns {string}
 */
function early(name, text) {
  for (const each of EARLY[name] ?? []) {
    const declared = new RegExp(`^function ${each}(\\([^]*?\\n\\})$`, 'm');
    if (!declared.test(text)) throw new Error(`${name} has no function ${each}`);
    text = text.replace(declared, (_, rest) => `const ${each} = (function ${rest});`);
  }
  return text;
}

/** Whether a module exports names that are written out. */
function isPlain(graph, name) {
  return /^module\.exports = \{/m.test(graph.get(name)?.text ?? '');
}

/** The names that a module exports, and declarations of those that get their values there. */
function exportsOf(text) {
  const match = /^module\.exports = \{\n?([^]*?)\n?\};\n*$/m.exec(text);
  if (match === null) return undefined;
  const body = match[1].replace(/\/\*\*?[^]*?\*\/|\/\/.*$/gm, '');
  const names = [];
  const values = [];
  for (const member of membersOf(body)) {
    const [, name, value] = /^(\w+)(?:: ([^]*))?$/.exec(member) ?? [];
    if (name === undefined) throw new Error(`not a plain export: ${member}`);
    names.push(value === undefined || value === name ? name : `exported_${name} as ${name}`);
    if (value !== undefined && value !== name) {
      values.push(`const exported_${name} = ${value};`);
    }
  }
  return { names, values: values.join('\n'), whole: match[0] };
}

/** The members of an object literal, cut at the commas that are in no brackets. */
function membersOf(body) {
  const members = [''];
  let depth = 0;
  for (const character of body) {
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (character === ',' && depth === 0) members.push('');
    else members[members.length - 1] += character;
  }
  return members.map((member) => member.trim()).filter((member) => member !== '');
}

/** The text by which index.js gives names of the modules in it to the files that require them. */
function internals(graph) {
  const imports = [];
  const members = [];
  for (const [name, used] of namesUsedOutside(graph)) {
    const prefix = name.replace(/\W/g, '_');
    if (!isPlain(graph, name)) {
      imports.push(`import ${prefix} from './${name}';`);
      members.push(`'${name}': () => ${prefix}`);
      continue;
    }
    const all = exportsOf(graph.get(name).text).names.map((each) => each.split(' ').at(-1));
    const names = used === undefined ? all : all.filter((each) => used.has(each));
    imports.push(
      `import { ${names.map((each) => `${each} as ${prefix}_${each}`).join(', ')} } from './${name}';`,
    );
    const values = names.map((each) => `${each}: ${prefix}_${each}`);
    members.push(`'${name}': () => ({ ${values.join(', ')} })`);
  }
  return `
${imports.join('\n')}
Object.defineProperty(module.exports, ${INTERNALS}, {
  value: (name) => ({
    __proto__: null,
    ${members.join(',\n    ')},
  })[name](),
});
`;
}

/**
 * @returns {Map<string, Set<string> | undefined>} by modules of index.js, the names that modules
 *   outside it take from them; `undefined` where one takes the module as a whole
 */
function namesUsedOutside(graph) {
  const main = closure(graph, MAIN, new Set());
  const found = new Map();
  const REQUIRE = /(?:const \{([^}=[\]]*)\} = )?\brequire\('(\.[^']*\.js)'\)(?:\.(\w+))?/g;
  for (const [user, { text }] of graph) {
    if (main.has(user)) continue;
    for (const [, names, path, member] of text.matchAll(REQUIRE)) {
      const name = posix.join(posix.dirname(user), path);
      if (!main.has(name) || name === MAIN) continue;
      const used = found.has(name) ? found.get(name) : new Set();
      const taken = names === undefined ? [member] : names.split(',');
      for (const each of taken) used?.add(/^\s*(\w*)/.exec(each ?? '')[1]);
      found.set(name, names === undefined && member === undefined ? undefined : used);
    }
  }
  return found;
}

function relativeTo(folder, path) {
  return path.slice(folder.length).replaceAll('\\', '/').replace(/^\//, '');
}

if (isMain(import.meta.url)) {
  const { positionals } = parsedArguments({ allowPositionals: true });
  const [folder = join(root, 'target', 'package'), ...more] = positionals;
  takesNoMore('scripts/package.mjs', more);
  await makePackage(folder);
  say(`made ${folder}`);
}
