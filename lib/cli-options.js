'use strict';

// The options of the command line. Nothing here needs the addon. What is wrong is one line that
// says the right form.

const { basename } = require('node:path');
const { printable } = require('./printable.js');

const HELP = `Usage: wasi-rs [run] [options] PROGRAM.wasm [argument...]
       wasi-rs inspect FILE.wasm
Runs a WASI program, which sees only what it is given. - reads it from stdin.
  --dir HOST[::GUEST][:ro]  a directory, as GUEST or as HOST; :ro to read
  --overlay HOST[::GUEST]   a directory whose changes stay in memory
  --changes                 prints the changes of overlays to stderr at the end
  --mem-dir GUEST           an empty directory in memory, gone at the end
  --tar FILE::GUEST         what a tar archive holds, to read; gzip too
  --listen ADDRESS[:block]  127.0.0.1:80, [::1]:80 or /path; :block: it waits
  --env NAME[=VALUE]        a variable; without a value, that of this process
  --inherit-env             all variables of this process
  --argv0 NAME              what the program is told that it is called
  --stdin FILE              reads its standard input from a file
  --invoke NAME             calls this export with the arguments, prints results
  --timeout TIME            ends it after 500ms, 5s or 2m
  --max-memory SIZE         its memory cannot grow beyond 512k, 64m or 1g
  --max-fds N               how many descriptors it may have open
  --unknown-imports trap    what is not given traps when it is called
  --trace[=NAME,...]        prints calls to stderr; NAME: path, fd, fd_read ...
  --trace-file FILE         prints them to a file instead
  --stats                   prints calls and time of each function at the end
  -h, --help, -V, --version
Exit: the program's; 2 nothing run, 124 timeout, 134 trap, 137 memory, 141 pipe`;

/**
 * The value of an option: none, a required one under the name that messages use, or an optional one
 * (`?`).
 */
const OPTIONS = {
  dir: { value: 'HOST[::GUEST][:ro]', many: true },
  overlay: { value: 'HOST[::GUEST]', many: true },
  changes: {},
  'mem-dir': { value: 'GUEST', many: true },
  listen: { value: 'ADDRESS[:block]', many: true },
  tar: { value: 'FILE::GUEST', many: true },
  env: { value: 'NAME[=VALUE]', many: true },
  'inherit-env': {},
  argv0: { value: 'NAME' },
  stdin: { value: 'FILE' },
  invoke: { value: 'NAME' },
  timeout: { value: 'TIME' },
  'max-memory': { value: 'SIZE' },
  'max-fds': { value: 'N' },
  'unknown-imports': { value: 'trap' },
  trace: { value: 'NAME,...', optional: true },
  'trace-file': { value: 'FILE' },
  stats: {},
  help: {},
  version: {},
};
const SHORT = { __proto__: null, '-h': 'help', '-V': 'version' };
/** By names of other commands, such as wasmtime's, wasmer's and wazero's: what stands for them. */
const MEANT = {
  __proto__: null,
  d: 'dir',
  mapdir: 'dir',
  mount: 'dir',
  volume: 'dir',
  e: 'env',
  'env-inherit': 'inherit-env',
  'forward-host-env': 'inherit-env',
  v: 'version',
};
const MILLISECONDS = { ms: 1, s: 1000, m: 60_000 };
const BYTES = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** An error of usage: nothing was run. Its message is one line. */
class UsageError extends Error {
  constructor(message) {
    super(printable(message));
  }
}

/**
 * @param {string[]} argv
 * @param {string[]} functions the names that `--trace` knows
 * @param {Record<string, string | undefined>} environment of this process
 * @returns {object} `command`, and for `run` and `inspect` also `program`, and for `run` what is
 *   asked for
 * @throws {UsageError}
 */
function parse(argv, functions, environment) {
  const named = ['run', 'inspect'].includes(argv[0]);
  const command = named ? argv[0] : 'run';
  if (argv[0] === 'help' && argv.length === 1) return { command: 'help' };
  const { values, rest } = split(named ? argv.slice(1) : argv);
  if (values.help) return { command: 'help' };
  if (values.version) return { command: 'version' };
  const [program, ...args] = rest;
  if (program === undefined || program === '') {
    throw new UsageError(
      `there is no program: wasi-rs ${command === 'run' ? '[options] PROGRAM.wasm [argument...]' : 'inspect FILE.wasm'}`,
    );
  }
  if (command === 'inspect') {
    const [option] = Object.keys(values);
    if (option !== undefined || args.length > 0) {
      throw new UsageError('inspect takes a file and nothing else: wasi-rs inspect FILE.wasm');
    }
    return { command, program };
  }
  return { command, program, ...asked(values, program, args, functions, environment) };
}

/** Splits the command line where the program stands: what follows is the program's own. */
function split(argv) {
  const values = {};
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === '--') return { values, rest: argv.slice(i + 1) };
    if (word === '-' || !word.startsWith('-')) return { values, rest: argv.slice(i) };
    const equals = word.indexOf('=');
    const text = equals < 0 ? word : word.slice(0, equals);
    const name = SHORT[text] ?? (text.startsWith('--') ? text.slice(2) : undefined);
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined) throw new UsageError(unknown(text));
    const form = formOf(name);
    let value = equals < 0 ? undefined : word.slice(equals + 1);
    if (option.value === undefined) {
      if (value !== undefined) throw new UsageError(`--${name} takes no value: ${form}`);
      value = true;
    } else if (option.optional) {
      if (value === '') throw new UsageError(`--${name}= names nothing: ${form}`);
      value ??= true;
    } else {
      if (value === undefined && ++i < argv.length) {
        value = argv[i];
        if (isOption(value)) {
          throw new UsageError(
            `--${name} takes a value, and ${value} is an option: ${form}, or --${name}=${value}`,
          );
        }
      }
      if (value === undefined || value === '') {
        throw new UsageError(`--${name} takes a value: ${form}`);
      }
    }
    if (option.many) (values[name] ??= []).push(value);
    else if (values[name] !== undefined && name !== 'help' && name !== 'version') {
      throw new UsageError(`--${name} is there twice: ${form} once`);
    } else values[name] = value;
  }
  return { values, rest: [] };
}

/** Whether a word is an option, or ends them: as a value it was hardly meant. */
function isOption(word) {
  if (word === '--' || SHORT[word] !== undefined) return true;
  return word.startsWith('--') && Object.hasOwn(OPTIONS, word.slice(2).replace(/=.*$/s, ''));
}

function formOf(name) {
  const { value, optional } = OPTIONS[name];
  if (value === undefined) return `--${name}`;
  return optional ? `--${name}[=${value}]` : `--${name} ${value}`;
}

function unknown(text) {
  const word = text.replace(/^-+/, '').toLowerCase();
  const guess = MEANT[word] ?? nearest(word);
  if (guess !== undefined) return `there is no option ${text}: ${formOf(guess)}?`;
  return `there is no option ${text}: --help lists them; those of the program stand behind it`;
}

/** @returns {string | undefined} the option whose name comes nearest, if one is near */
function nearest(word) {
  const { distance } = require('./guess.js');
  let found;
  let least = Infinity;
  for (const name of Object.keys(OPTIONS)) {
    const far = distance(word, name);
    if (far <= (name.length < 4 ? 1 : 2) && far < least) [found, least] = [name, far];
  }
  return found;
}

function asked(values, program, args, functions, environment) {
  const directories = (values.dir ?? []).map(directory);
  directories.push(...(values.overlay ?? []).map(overlay));
  const memoryDirectories = (values['mem-dir'] ?? []).map((guest) => ({ guest }));
  const archives = (values.tar ?? []).map(archive);
  const seen = new Set();
  for (const { guest } of [...directories, ...memoryDirectories, ...archives]) {
    const name = plainName(guest);
    if (seen.has(name)) {
      throw new UsageError(
        `two directories are called ${guest}: --dir HOST::GUEST names them apart`,
      );
    }
    seen.add(name);
  }
  if (values.changes && directories.every(({ overlay }) => !overlay) && !memoryDirectories.length) {
    throw new UsageError(
      '--changes tells of --overlay and --mem-dir, and there is none: --overlay HOST[::GUEST] --changes',
    );
  }
  if (program === '-' && values.stdin === '-') {
    throw new UsageError('the program itself is read from stdin: --stdin FILE');
  }
  if (values['unknown-imports'] !== undefined && values['unknown-imports'] !== 'trap') {
    throw new UsageError(
      `--unknown-imports trap is all there is, not '${values['unknown-imports']}'`,
    );
  }
  if (values['trace-file'] !== undefined && values.trace === undefined) {
    throw new UsageError('--trace-file says where, not what: --trace[=NAME,...] --trace-file FILE');
  }
  return {
    args: [values.argv0 ?? (program === '-' ? '-' : basename(program)), ...args],
    directories,
    memoryDirectories,
    sockets: (values.listen ?? []).map(listener),
    changes: values.changes === true,
    archives,
    env: variables(values, environment),
    stdin: values.stdin,
    invoke: values.invoke,
    timeout: values.timeout === undefined ? undefined : time(values.timeout),
    maxMemory: values['max-memory'] === undefined ? undefined : size(values['max-memory']),
    maxFds: values['max-fds'] === undefined ? undefined : number(values['max-fds']),
    trapsUnknown: values['unknown-imports'] !== undefined,
    trace: values.trace === undefined ? undefined : traced(values.trace, functions),
    traceNames: typeof values.trace === 'string' ? values.trace.split(',') : undefined,
    traceFile: values['trace-file'],
    stats: values.stats === true,
  };
}

/** One text of those that name the same directory: `/a`, `/a/`, `//a` and `/./a`. */
function plainName(guest) {
  const parts = guest.split('/').filter((part) => part !== '' && part !== '.');
  return `${guest.startsWith('/') ? '/' : ''}${parts.join('/')}`;
}

/** HOST[::GUEST][:ro] */
function directory(text) {
  const form = '--dir HOST[::GUEST][:ro]';
  const readOnly = text.endsWith(':ro');
  const [host, guest = host, ...more] = (readOnly ? text.slice(0, -3) : text).split('::');
  if (host === '' || guest === '' || more.length > 0) {
    throw new UsageError(`--dir ${text} names no directory: ${form}`);
  }
  const mode = /:(rw|wo|r|w|RO)$/.exec(guest);
  if (mode)
    throw new UsageError(`--dir ${text} ends in ${mode[0]}, where only :ro may stand: ${form}`);
  const colon = host.replace(/^[A-Za-z]:(?=[\\/])/, '').indexOf(':');
  if (guest === host && colon >= 0) {
    throw new UsageError(`--dir ${text} has one colon, and HOST::GUEST two: ${form}`);
  }
  return { host, guest, readOnly, text };
}

/** ADDRESS[:block], where an address is HOST:PORT or a path. */
function listener(text) {
  const blocks = text.endsWith(':block');
  const address = blocks ? text.slice(0, -6) : text;
  const nonblock = !blocks;
  if (/^\.{0,2}\//.test(address)) return { path: address, nonblock };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(address);
  const port = match ? Number(match[3]) : NaN;
  const host = match?.[1] ?? match?.[2];
  const { isIP } = require('node:net');
  const isHost =
    match?.[1] === undefined ? host === 'localhost' || isIP(host) === 4 : isIP(host) === 6;
  if (!isHost || !(port <= 65535)) {
    throw new UsageError(
      `--listen ${text} is no address: --listen 127.0.0.1:8080, [::1]:80 or /path`,
    );
  }
  return { host, port, nonblock };
}

/** HOST[::GUEST] */
function overlay(text) {
  const form = '--overlay HOST[::GUEST]';
  const [host, guest = host, ...more] = text.split('::');
  if (host === '' || guest === '' || more.length > 0) {
    throw new UsageError(`--overlay ${text} names no directory: ${form}`);
  }
  const mode = /:(ro|rw|wo|r|w|RO)$/.exec(guest);
  if (mode) {
    throw new UsageError(`--overlay ${text} ends in ${mode[0]}, and is never changed: ${form}`);
  }
  return { host, guest, readOnly: false, overlay: true, text };
}

/** FILE::GUEST */
function archive(text) {
  const [file, guest, ...more] = text.split('::');
  if (!file || !guest || more.length > 0) {
    throw new UsageError(`--tar ${text} names no archive and directory: --tar FILE::GUEST`);
  }
  return { file, guest };
}

function variables({ env: texts = [], 'inherit-env': inherits }, environment) {
  const own = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    if (name === '') throw new UsageError(`--env ${text} has no name: --env NAME[=VALUE]`);
    if (Object.hasOwn(own, name)) throw new UsageError(`--env ${name} is there twice: one value`);
    // Its own: every object has a `toString`.
    const inherited = Object.hasOwn(environment, name) ? environment[name] : undefined;
    const value = at < 0 ? inherited : text.slice(at + 1);
    if (value === undefined) {
      throw new UsageError(`--env ${name}: this process has no such variable: --env ${name}=VALUE`);
    }
    // A name like __proto__ is a name.
    Object.defineProperty(own, name, { value, enumerable: true, configurable: true });
  }
  return inherits ? { ...environment, ...own } : own;
}

function time(text) {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text);
  const milliseconds = match ? Number(match[1]) * MILLISECONDS[match[2] ?? 'ms'] : NaN;
  if (!(milliseconds <= Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(`--timeout takes a time, not '${text}': --timeout 500ms, 5s or 2m`);
  }
  return milliseconds;
}

function size(text) {
  const match = /^(\d+)([kmg])?$/i.exec(text);
  const bytes = match ? Number(match[1]) * (BYTES[match[2]?.toLowerCase()] ?? 1) : NaN;
  if (!Number.isSafeInteger(bytes)) {
    throw new UsageError(`--max-memory takes a size, not '${text}': --max-memory 512k, 64m or 1g`);
  }
  return bytes;
}

function number(text) {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new UsageError(`--max-fds takes a number, not '${text}': --max-fds 64`);
  }
  return Number(text);
}

/** @returns {Set<string>} the functions that are to be traced */
function traced(value, functions) {
  if (value === true) return new Set(functions);
  const chosen = new Set();
  for (const name of value.split(',')) {
    const matching = functions.filter((known) => known === name || known.startsWith(`${name}_`));
    // A component has other functions. What the program is turns out when it is read.
    if (name === '' || (matching.length === 0 && functionsOfComponents(name).length === 0)) {
      throw unknownFunction(name);
    }
    for (const one of matching) chosen.add(one);
  }
  return chosen;
}

function unknownFunction(name) {
  return new UsageError(
    `--trace knows no function '${name}': --trace=path,fd_read, by a name or how it begins`,
  );
}

/** Checks that a core module has functions of all names. */
function checkTraceOfModule({ traceNames = [] }, functions) {
  for (const name of traceNames) {
    const isThere = functions.some((known) => known === name || known.startsWith(`${name}_`));
    if (!isThere) throw unknownFunction(name);
  }
}

/**
 * The functions of WASI 0.2 that a name of `--trace` stands for, as traces call them: by the
 * function (`open-at`), with its class (`descriptor.open-at`), or how the name, the interface or the
 * package begins (`read`, `wasi:filesystem`, `filesystem/types`).
 */
function functionsOfComponents(name) {
  const { namesIn } = require('./p2/observe.js');
  const { refused } = require('./p2/refused.js');
  return require('./p2/functions.js')
    .map(([, from, one]) => [from, one])
    .concat(namesIn(refused()))
    .map(([from, one]) => ({ full: `${from}#${one}`, from, one }))
    .filter(({ full, from, one }) => {
      const method = one.replace(/^\[\w+\]/, '');
      const forms = [full, from, from.replace('wasi:', ''), method, method.replace(/^.*\./, '')];
      return forms.some(
        (form) =>
          form === name || (BOUNDARY.test(form.slice(name.length)) && form.startsWith(name)),
      );
    })
    .map(({ full }) => full);
}
/** Where a part of a name may end. */
const BOUNDARY = /^[-./#]/;

module.exports = { HELP, UsageError, checkTraceOfModule, functionsOfComponents, parse };
