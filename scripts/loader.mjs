// Makes the loader that `napi build` generates into ours. Two things are taken out of it:
//
// - what falls back to a build for WebAssembly, which would run on `node:wasi` and contain nothing;
// - environment variables. They concern every package of its kind: a program that sets one, to get another
//   package's WebAssembly build instead of its addon, would do away with ours. So versions are always compared.
//
// And where no addon can be loaded, the error says for which platform and what to do.

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
  verify(loader);
  return loader;
}

function failure(platforms) {
  const list = JSON.stringify(platforms);
  const cause = 'createLoadErrorChain(loadErrors)';
  return `if (!nativeBinding) {
  throw require('./errors.js').addonNotLoaded(${list}, isMusl(), loadErrors, ${cause})
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

function verify(loader) {
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
