// Makes the loader that `napi build` generates into ours. Three things are taken out of it:
//
// - what is for platforms that have no package, but for the one that it is built on: V8 would have to read it all
//   each time the package is loaded;
// - what falls back to a build for WebAssembly, which would run on `node:wasi` and contain nothing;
// - environment variables. They concern every package of its kind: a program that sets one, to get another
//   package's WebAssembly build instead of its addon, would do away with ours. So versions are always compared.
//
// What is left for a system becomes a function. And where no addon can be loaded, the error says for which platform and
// what to do.

import vm from 'node:vm';

/** What must not be left in the code. */
const FORBIDDEN = /wasi|wasm|process\.env|__napi/i;

/**
 * @param {string} text of the generated loader
 * @param {string[]} platforms that have a package
 * @returns {string} our loader
 * @throws if the text is not as expected: a new version of the tool may have brought back what is taken out
 */
export function ownLoader(text, platforms) {
  let loader = text;
  // Which build was loaded: there is one kind only.
  loader = cut(loader, '// Which artifact actually loaded.', 'const loadErrors = []');
  loader = cut(
    loader,
    'if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) {',
    "if (process.platform === 'android') {",
  );
  const check =
    " && process.env.NAPI_RS_ENFORCE_VERSION_CHECK && process.env.NAPI_RS_ENFORCE_VERSION_CHECK !== '0'";
  loader = cut(
    loader,
    '// NAPI_RS_FORCE_WASI is',
    'if (!nativeBinding) {\n  if (loadErrors',
    'nativeBinding = requireNative()\n\n',
  );
  loader = cut(
    loader,
    'if (!nativeBinding) {',
    'module.exports = nativeBinding\n',
    failure(platforms),
  );
  const packages = count(loader, '/package.json');
  if (packages === 0 || count(loader, check) !== packages) unexpected('the comparison of versions');
  loader = loader.replaceAll(check, '');
  loader = forPlatforms(loader, [...platforms, `${process.platform}-${process.arch}`]);
  verify(loader, platforms);
  return loader;
}

/** Leaves the branches for other systems and processors out. */
function forPlatforms(loader, platforms) {
  const [before, code] = loader.split(/(?<=^function requireNative\(\) {\n)/m);
  if (code === undefined) unexpected('function requireNative() {');
  const isSystem = (system) => platforms.some((platform) => platform.startsWith(`${system}-`));
  const systems = branches(code, '  ', 'platform', isSystem).map(({ name: system, text }) => {
    if (system === undefined || text === '') return text;
    const isMachine = (machine) =>
      platforms.some((platform) => `${platform}-`.startsWith(`${system}-${machine}-`));
    const machines = branches(text, '    ', 'arch', isMachine).map(({ text }) => text);
    return asFunction(machines.join(''));
  });
  return before + systems.join('');
}

/** Puts what a branch does into a function, so that V8 compiles that of one system only. */
function asFunction(branch) {
  const [condition, ...lines] = branch.split(/(?<=\n)/);
  return `${condition}    const load = () => {\n${lines.join('')}    }\n    return load()\n`;
}

/**
 * The parts of a chain of conditions on a property of `process`, and what stands around it.
 *
 * @param {string} indent of the chain's lines
 * @param {(name: string) => boolean} isWanted whether to keep the branch for a value
 * @returns {{ name?: string, text: string }[]} the parts that are kept; those with a name are branches
 */
function branches(code, indent, property, isWanted) {
  const start = new RegExp(`^${indent}(?:} else )?if \\(process\\.${property} === '(\\w+)'\\) {$`);
  const parts = [{ text: '' }];
  let inChain = false;
  let kept = 0;
  for (const line of code.split(/(?<=\n)/)) {
    const name = start.exec(line.trimEnd())?.[1];
    const isEnd = inChain && (line === `${indent}} else {\n` || line === `${indent}}\n`);
    if (name !== undefined) parts.push({ name, text: '' });
    else if (isEnd) parts.push({ text: '' });
    inChain = name !== undefined || (inChain && !isEnd);
    const part = parts.at(-1);
    if (part.name !== undefined && !isWanted(part.name)) continue;
    if (name !== undefined) kept++;
    // The first condition of a chain has no `else` before it.
    part.text += name !== undefined && kept === 1 ? line.replace('} else if', 'if') : line;
  }
  if (kept === 0) unexpected(`the branches for process.${property}`);
  return parts;
}

function failure(platforms) {
  const list = JSON.stringify(platforms);
  const cause = 'createLoadErrorChain(loadErrors)';
  return `if (!nativeBinding) {
  throw require('./lib/errors.js').addonNotLoaded(${list}, isMusl(), loadErrors, ${cause})
}

`;
}

/** Replaces what stands from the one place of `start` to the next of `end`, which stays. */
function cut(text, start, end, replacement = '') {
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0 || text.indexOf(start, from + 1) >= 0) unexpected(start);
  return text.slice(0, from) + replacement + text.slice(to);
}

function verify(loader, platforms) {
  // Throws, unless it is a program.
  new vm.Script(loader);
  for (const platform of platforms) {
    if (!loader.includes(`require('./wasi-rs.${platform}.node')`)) unexpected(platform);
  }
  const code = loader.replace(/^ *\/\/.*$/gm, '').replaceAll('wasi-rs', '');
  const [left] = FORBIDDEN.exec(code) ?? [];
  if (left) unexpected(`what is left has ${left}`);
  for (const kept of [
    'function requireNative() {',
    'nativeBinding = requireNative()',
    'isMusl = ()',
  ]) {
    if (count(loader, kept) !== 1) unexpected(kept);
  }
}

function count(text, part) {
  return text.split(part).length - 1;
}

function unexpected(what) {
  throw new Error(
    `the loader that napi build generated is not as scripts/loader.mjs expects it: ${what}`,
  );
}
