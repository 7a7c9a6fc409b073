'use strict';

// A component on the command line: jco turns it into core modules and JavaScript, which is kept for
// the next time, and wasi-rs/p2 is its host.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const { homedir, tmpdir } = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { UsageError, functionsOfComponents } = require('./cli-options.js');
const { printable } = require('./printable.js');

const JCO = '@bytecodealliance/jco';
const MODULE = 'component.mjs';
/** A file that a folder of the cache has beside jco's output. */
const IMPORTS = 'imports.json';

/**
 * @param {Uint8Array} bytes of the component
 * @param {object} asked as `parse` gives it
 * @param {string} name of the file, for messages
 * @param {object} tools functions of cli.js
 */
async function runComponent(bytes, asked, name, tools) {
  refuseOptions(asked);
  checkVersions(bytes, name);
  const { ending, openedTrace, refusal, say, trapped, wasiOptions, watchdog } = tools;
  const { version, ...options } = wasiOptions(asked, { version: undefined });
  let traceFile;
  if (asked.trace !== undefined) {
    const chosen = chosenOf(asked);
    options.trace = (event) => {
      if (chosen === undefined || chosen.has(event.name)) say(traceFile, `${lineOf(event)}\n`);
    };
  }
  if (asked.stats) options.stats = true;

  const { folder, isTemporary } = await transpiled(bytes, name);
  let component;
  let wasi;
  let start;
  try {
    const { WASI } = require('./p2/index.js');
    try {
      wasi = new WASI(options);
    } catch (error) {
      throw refusal(error);
    }
    const imports = wasi.getImportObject();
    checkImports(JSON.parse(fs.readFileSync(path.join(folder, IMPORTS), 'utf8')), imports, name);
    // Last, so that what is refused leaves no file behind.
    traceFile = openedTrace(asked);
    const { instantiate } = await import(pathToFileURL(path.join(folder, MODULE)).href);
    start = await watchdog(asked, name, [], undefined);
    const core = coreModules(folder, asked, name, tools);
    try {
      start();
      component = await instantiate(core.load, imports, core.instantiate);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      process.exitCode = trapped(error, name);
      return;
    }
  } finally {
    if (isTemporary) fs.rmSync(folder, { recursive: true, force: true });
  }
  if (!hasRun(component)) {
    throw new UsageError(`${name} exports no wasi:cli/run: use the API, docs/components.md`);
  }
  const end = ending(asked, [], undefined);
  end.wasi = wasi;
  let code;
  try {
    code = (await wasi.start(component)) & 0xff;
  } catch (error) {
    code = trapped(error, name);
  }
  if (asked.stats) say(2, statisticsOf(wasi.stats()));
  await end(code);
}

/** Flags that are of core modules. */
function refuseOptions({ invoke, sockets, trapsUnknown }) {
  if (invoke !== undefined) {
    throw new UsageError('--invoke calls a function of a core module, and this is a component');
  }
  if (trapsUnknown) {
    throw new UsageError('--unknown-imports is for core modules, and this is a component');
  }
  if (sockets.length > 0) {
    throw new UsageError('--listen is for core modules, and this is a component');
  }
}

/** @returns {Set<string> | undefined} the functions that are to be traced; undefined for all */
function chosenOf({ traceNames }) {
  if (traceNames === undefined) return undefined;
  const chosen = new Set();
  for (const name of traceNames) {
    const matching = functionsOfComponents(name);
    if (matching.length === 0) {
      throw new UsageError(
        `--trace: a component has no function '${name}': --trace=open-at,filesystem, by a name or how it begins`,
      );
    }
    for (const one of matching) chosen.add(one);
  }
  return chosen;
}

function hasRun(component) {
  return Object.keys(component).some((key) => key === 'run' || /^wasi:cli\/run(@|$)/.test(key));
}

/**
 * Interfaces must be of a version that is ours: 0.2 and any patch of it. jco names them without
 * one, so the names are read off the component.
 */
function checkVersions(bytes, name) {
  const { versionsIn } = require('./p2/component-names.js');
  let names;
  try {
    names = versionsIn(bytes);
  } catch {
    // jco says what is wrong with it.
    return;
  }
  const other = names.find((one) => !/@0\.2\.\d+$/.test(one));
  if (other !== undefined) {
    throw new UsageError(`${name} uses ${other}, and only WASI 0.2 is supported`);
  }
}

/** Checks that there is every import of a component. */
function checkImports(names, imports, name) {
  const missing = names.find((one) => !Object.hasOwn(imports, one.replace(/@.*$/s, '')));
  if (missing !== undefined) {
    throw new UsageError(`${name} imports ${missing}, which is not of WASI 0.2: use the API`);
  }
}

/**
 * What jco's code loads and instantiates core modules with.
 *
 * @returns {{ load: Function, instantiate: Function }}
 */
function coreModules(folder, { maxMemory }, name, { say }) {
  const read = (file) => fs.readFileSync(path.join(folder, file));
  if (maxMemory === undefined) {
    return {
      load: (file) => WebAssembly.compile(read(file)),
      instantiate: WebAssembly.instantiate,
    };
  }
  const files = fs.readdirSync(folder).filter((file) => file.endsWith('.wasm'));
  const all = files.map(read);
  const { limitedParts, readModule } = require('./wasm-module.js');
  const { oneLine } = require('./cli-look.js');
  let limited;
  try {
    limited = limitedParts(all, { memoryBytes: maxMemory });
    const size = all.reduce((sum, { length }) => sum + length, 0);
    require('./own-memory.js').boundProcess(maxMemory, size);
  } catch (error) {
    if (error.code !== 'ERR_WASI_LIMIT') {
      throw new UsageError(`${name} cannot be given --max-memory: ${oneLine(error.message)}`);
    }
    say(2, `wasi-rs: ${name}: ${oneLine(error.message)}\n`);
    return process.exit(137);
  }
  // A second instance would have memories beside those that are bounded.
  const once = new Set();
  const load = async (file) => {
    const bytes = limited[files.indexOf(file)];
    const module = await WebAssembly.compile(bytes);
    const { memories, tables } = readModule(bytes);
    if ([...memories, ...tables].some(({ imported }) => !imported)) once.add(module);
    return module;
  };
  const made = new Set();
  const instantiate = (module, imports) => {
    if (once.has(module) && made.has(module)) {
      throw new UsageError(
        `${name} cannot be given --max-memory: it makes a memory or table of one module twice`,
      );
    }
    made.add(module);
    return WebAssembly.instantiate(module, imports);
  };
  return { load, instantiate };
}

// --- jco, and what it made before ----------------------------------------------------------------

/**
 * jco's JavaScript runs outside of the sandbox. So it is looked for where this package is, and
 * where the command is that was called, which may be a link to this package. It is not looked for
 * in the program's folder or in the working directory, where whoever has made the program may have
 * put another.
 *
 * @returns {string} the address of jco
 */
function findJco(name) {
  for (const place of [__dirname, path.dirname(process.argv[1] ?? __filename)]) {
    try {
      return createRequire(path.join(place, 'none.js')).resolve(JCO);
    } catch {
      // The next place may have it.
    }
  }
  throw new UsageError(
    `${name} is a component, and to run one takes jco beside wasi-rs: npm install ${JCO} (with --global if wasi-rs is global)`,
  );
}

function versionOf(file) {
  for (
    let folder = path.dirname(file);
    folder !== path.dirname(folder);
    folder = path.dirname(folder)
  ) {
    try {
      const { name, version } = JSON.parse(
        fs.readFileSync(path.join(folder, 'package.json'), 'utf8'),
      );
      if (name === JCO) return version;
    } catch {
      // The package is further up.
    }
  }
  return 'unknown';
}

/**
 * What lies in the cache runs outside of the sandbox. So it is nowhere below the working directory,
 * which a guest may be given: a relative path is none, as the XDG Base Directory Specification has
 * it, too.
 *
 * @returns {string | undefined} where the cache is, if there is any
 */
function cacheFolder() {
  const { XDG_CACHE_HOME: own } = process.env;
  const parent = own && path.isAbsolute(own) ? own : path.join(homedir(), '.cache');
  return path.isAbsolute(parent) ? path.join(parent, 'wasi-rs', 'components') : undefined;
}

/**
 * @returns {Promise<{ folder: string, isTemporary: boolean }>} where the component's modules are
 */
async function transpiled(bytes, name) {
  const jco = findJco(name);
  const { version } = require('../package.json');
  const key = createHash('sha256')
    .update(`${version} ${versionOf(jco)}\0`)
    .update(bytes)
    .digest('hex');
  const cache = cacheFolder();
  const folder = cache && path.join(cache, key);
  if (folder && fs.existsSync(path.join(folder, IMPORTS))) return { folder, isTemporary: false };
  const { files, imports } = await transpile(jco, bytes, name);
  const place = (parent) => {
    const made = fs.mkdtempSync(path.join(parent, 'wasi-rs-'));
    for (const [file, content] of Object.entries(files)) {
      const target = path.join(made, file === 'component.js' ? MODULE : file);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      fs.writeFileSync(target, content);
    }
    // The last: a folder that has it is whole.
    fs.writeFileSync(path.join(made, IMPORTS), JSON.stringify(imports));
    return made;
  };
  if (folder === undefined) return { folder: place(tmpdir()), isTemporary: true };
  let made;
  try {
    fs.mkdirSync(cache, { recursive: true, mode: 0o700 });
    made = place(cache);
    fs.renameSync(made, folder);
    return { folder, isTemporary: false };
  } catch {
    // There is no cache to write to, or another process was faster.
    if (made !== undefined) return { folder: made, isTemporary: true };
    return { folder: place(tmpdir()), isTemporary: true };
  }
}

async function transpile(jco, bytes, name) {
  const { transpile } = await import(pathToFileURL(jco).href);
  const { whyNot } = require('./p2/component-names.js');
  const options = {
    name: 'component',
    instantiation: 'async',
    wasiShim: false,
    typescript: false,
  };
  try {
    const why = await whyNot(bytes);
    if (why !== undefined) throw new Error(why);
    const made = await transpile(bytes, { ...options, importBindings: 'hybrid' });
    // Texts that are not UTF-8 take imports over values.
    const isUtf8 = !Buffer.from(made.files['component.js']).includes('stringEncoding: ');
    return isUtf8 ? made : await transpile(bytes, options);
  } catch (error) {
    const { oneLine } = require('./cli-look.js');
    throw new UsageError(
      `${name} cannot be transpiled: ${oneLine(String(error?.message ?? error))}`,
    );
  }
}

// --- What was watched ----------------------------------------------------------------------------

function lineOf({ name, args, errno, ns }) {
  const shown = (value) =>
    typeof value === 'string'
      ? printable(JSON.stringify(value))
      : Array.isArray(value)
        ? value.join('|') || '0'
        : String(value);
  const list = Object.entries(args).map(([key, value]) => `${key}=${shown(value)}`);
  return `wasi: ${name}(${list.join(', ')}) = ${errno ?? 'stopped'} [${ns} ns]`;
}

function statisticsOf(stats) {
  const names = Object.keys(stats);
  const counts = new Float64Array(2 * names.length);
  names.forEach((name, index) => {
    counts[2 * index] = stats[name].calls;
    counts[2 * index + 1] = stats[name].ns;
  });
  return require('./cli-trace.js').statistics(names, counts);
}

module.exports = { runComponent };
