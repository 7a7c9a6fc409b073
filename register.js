'use strict';

// Makes `wasi` and `node:wasi` stand for wasi-rs in a whole program, whatever it consists of:
//
//   node --require wasi-rs/register app.js
//   node --import wasi-rs/register app.js
//
// Node has one object with the exports of a built-in module, for `require`,
// `process.getBuiltinModule` and, once it is told to look again, all forms of `import`. So that
// object gets our class, and module resolution stays as it is.

const { syncBuiltinESMExports } = require('node:module');
const workerThreads = require('node:worker_threads');
const { WASI } = require('./index.js');
const { beLenient } = require('./lib/options.js');

/** A flag, or the value of one, by which a program is started with this module. */
const THIS_MODULE = /^(?:[^\s]*[=\\/])?wasi-rs[\\/]register(?:\.js)?$/;
const isBun = process.versions.bun !== undefined;
/** No version of Node has this flag, so Node refuses to start a Worker with it. */
const NO_FLAG = '--wasi-rs-has-no-flag';

// Programs that were written for node:wasi may pass what it passes over.
beLenient();
builtin().WASI = WASI;
followIntoWorkers();
syncBuiltinESMExports();

/** Node warns when its module is loaded, but it is not Node's class that will be used. */
function builtin() {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return require('node:wasi');
  } finally {
    process.emitWarning = emitWarning;
  }
}

/**
 * A Worker loads what its parent was started with, but for four cases: it has Node options of its
 * own, it has an environment of its own (before Node 22.3), its code is text (with `--import`), or
 * the parent was started without this module, which the program has loaded itself.
 */
function followIntoWorkers() {
  const { Worker: NodesWorker } = workerThreads;
  const flags = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/[\s"]+/)];
  // Where this does not tell, this module is loaded twice, which does no harm.
  const isInherited = flags.some((flag) => THIS_MODULE.test(flag));
  let inherited;
  workerThreads.Worker = new Proxy(NodesWorker, {
    construct(Worker, [file, given, ...rest], newTarget) {
      let code = file;
      const options = { ...given };
      if (options.eval && typeof code === 'string') code = withPreload(code);
      const hasEnvironment = options.env !== null && typeof options.env === 'object';
      if (options.execArgv === undefined && !isInherited && !hasEnvironment) {
        options.execArgv = inherited ??= flagsOfWorkers(NodesWorker);
      }
      if (Array.isArray(options.execArgv)) {
        options.execArgv = ['--require', __filename, ...options.execArgv];
      } else if (hasEnvironment) {
        const { NODE_OPTIONS = '' } = options.env;
        options.env = {
          ...options.env,
          NODE_OPTIONS: `${NODE_OPTIONS} --require ${quoted(__filename)}`,
        };
      }
      if (isBun) options.preload = preloadOf(options);
      return Reflect.construct(Worker, [code, options, ...rest], newTarget);
    },
  });
  // The Worker of the web is another class, and Bun reads no options of Node.
  if (!isBun) return;
  globalThis.Worker = new Proxy(globalThis.Worker, {
    construct(Worker, [file, given, ...rest], newTarget) {
      const options = { ...given, preload: preloadOf({ ...given }) };
      return Reflect.construct(Worker, [file, options, ...rest], newTarget);
    },
  });
}

/** What Bun loads before a Worker's own code. */
function preloadOf({ preload = [] }) {
  return [__filename, ...[preload].flat()];
}

/**
 * The flags of this thread that Workers take: the others are the whole process's. Node names those
 * that it does not take when it refuses to start a Worker, as it does for a flag that is none.
 */
function flagsOfWorkers(Worker) {
  const { execArgv } = process;
  if (execArgv.length === 0 || isBun) return [];
  try {
    new Worker('', { eval: true, execArgv: [...execArgv, NO_FLAG] }).terminate();
    return execArgv;
  } catch ({ message }) {
    const refused = message.slice(message.indexOf(': ') + 2).split(', ');
    return execArgv.filter((flag) => !refused.includes(flag));
  }
}

/** What may stand before a directive, and a directive with its end. */
const GAP = /\s+|\/\/.*|\/\*[^]*?\*\//y;
const DIRECTIVE = /(?:'([^'\n]*)'|"([^"\n]*)")[^\S\n]*(?:;|(?=\n|\r|\}|\/\/|\/\*|$))/y;

/** Whether code begins with `'use strict'`, behind comments and other directives at most. */
function isStrict(code) {
  for (let at = 0; ;) {
    GAP.lastIndex = DIRECTIVE.lastIndex = at;
    const directive = GAP.test(code) ? undefined : DIRECTIVE.exec(code);
    if (directive === null) return false;
    if (directive !== undefined && (directive[1] ?? directive[2]) === 'use strict') return true;
    at = directive === undefined ? GAP.lastIndex : DIRECTIVE.lastIndex;
  }
}

/**
 * Only CommonJS has a `require` there: a module has got its preloads. The line stays the first, and
 * strict code stays strict. A hashbang is one only where a program begins, so it becomes a comment.
 */
function withPreload(code) {
  const isHashbang = code.startsWith('#!');
  const plain = isHashbang ? `//${code.slice(2)}` : code;
  const strict = isStrict(plain) ? "'use strict';" : '';
  return `${strict}globalThis.require?.(${JSON.stringify(__filename)});${plain}`;
}

/** A path as one word of NODE_OPTIONS. */
function quoted(path) {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}
