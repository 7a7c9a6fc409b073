#!/usr/bin/env node
'use strict';

// The command line: runs a WASI program.

const { openSync, readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');
const { WASI, runInWorker, [Symbol.for('wasi-rs.keys')]: keys } = require('../index.js');
const { version } = require('../package.json');

const HELP = `Usage: wasi-rs run [options] PROGRAM.wasm [argument...]

Runs a WASI preview1 command, which sees only what it is given, and ends with
its exit code.

  --dir HOST[::GUEST][:ro]  a directory, as GUEST or as HOST; with :ro read-only
  --mem-dir GUEST           an empty directory in memory, gone at the end
  --env NAME[=VALUE]        a variable; without a value, that of this process
  --stdin FILE              reads its standard input from a file
  --timeout MS              ends it after so many milliseconds
  --max-fds N               how many descriptors it may have open
  --trace                   prints each call to the standard error
  --stats                   prints calls and nanoseconds of each function
  -h, --help                prints this
  -V, --version             prints the version

Exit codes: the program's; 124 after a timeout; 134 after a trap; 2 for a wrong
usage.`;

const OPTIONS = {
  dir: { type: 'string', multiple: true, default: [] },
  'mem-dir': { type: 'string', multiple: true, default: [] },
  env: { type: 'string', multiple: true, default: [] },
  stdin: { type: 'string' },
  timeout: { type: 'string' },
  'max-fds': { type: 'string' },
  trace: { type: 'boolean', default: false },
  stats: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', short: 'V', default: false },
};
const TIMED_OUT = 124;
const TRAPPED = 134;
const USAGE = 2;

/** What is wrong with the command line. */
class UsageError extends Error {}

/** Splits the command line where the program stands: what follows is the program's own. */
function split(args) {
  const { tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  const program = tokens.find(({ kind }) => kind === 'positional');
  const end = program ? program.index : args.length;
  return [args.slice(0, end), args.slice(end)];
}

function parse(args) {
  const [own, [program, ...rest]] = split(args);
  let values;
  try {
    ({ values } = parseArgs({ args: own, options: OPTIONS }));
  } catch (error) {
    throw new UsageError(error.message.split('\n')[0].split('. ')[0]);
  }
  return { values, program, rest };
}

function count(text, name) {
  if (!/^\d+$/.test(text)) throw new UsageError(`--${name} takes a number, not '${text}'`);
  return Number(text);
}

/** HOST[::GUEST][:ro] */
function directory(text) {
  const readOnly = text.endsWith(':ro');
  const [path, guest = path, ...more] = (readOnly ? text.slice(0, -3) : text).split('::');
  if (path === '' || guest === '' || more.length > 0) {
    throw new UsageError(`--dir takes HOST[::GUEST][:ro], not '${text}'`);
  }
  return [guest, { path, readOnly }];
}

function variable(text) {
  const at = text.indexOf('=');
  if (at === 0 || text === '') throw new UsageError(`--env takes NAME[=VALUE], not '${text}'`);
  return at < 0 ? [text, process.env[text]] : [text.slice(0, at), text.slice(at + 1)];
}

function wasiOptions(values, args) {
  return {
    version: 'preview1',
    returnOnExit: true,
    args,
    env: Object.fromEntries(values.env.map(variable)),
    preopens: Object.fromEntries([
      ...values.dir.map(directory),
      ...values['mem-dir'].map((guest) => [guest, { memory: {} }]),
    ]),
    stdin: values.stdin === undefined ? 'inherit' : openSync(values.stdin, 'r'),
    stdout: 'inherit',
    stderr: 'inherit',
    trace: values.trace,
    stats: values.stats,
    ...(values['max-fds'] === undefined
      ? {}
      : { limits: { openFiles: count(values['max-fds'], 'max-fds') } }),
  };
}

async function run(wasm, options, timeout) {
  if (timeout !== undefined) return runInWorker(wasm, options, { timeoutMs: timeout });
  const wasi = new WASI(options);
  const module = await WebAssembly.compile(wasm);
  let instance;
  // A program may end in its start section already.
  const ended = wasi[keys.kRun](() => {
    instance = new WebAssembly.Instance(module, wasi.getImportObject());
  });
  const exitCode = ended === undefined ? wasi.start(instance) : ended.exitCode;
  return { exitCode, stats: wasi.stats() };
}

function printStats(stats) {
  const rows = Object.entries(stats).sort(([, one], [, other]) => other.ns - one.ns);
  for (const [name, { calls, ns }] of rows) {
    console.error(
      `${name.padEnd(24)} ${String(calls).padStart(10)} calls ${String(ns).padStart(14)} ns`,
    );
  }
}

async function main() {
  const [command, ...args] = process.argv.slice(2);
  if (command === '-h' || command === '--help' || command === 'help') return console.log(HELP);
  if (command === '-V' || command === '--version') return console.log(version);
  if (command !== 'run') throw new UsageError(`the command is 'run', not '${command ?? ''}'`);
  const { values, program, rest } = parse(args);
  if (values.help) return console.log(HELP);
  if (values.version) return console.log(version);
  if (program === undefined) throw new UsageError('there is no program to run');
  const timeout = values.timeout === undefined ? undefined : count(values.timeout, 'timeout');
  const options = wasiOptions(values, [program, ...rest]);
  const { exitCode, stats } = await run(readFileSync(program), options, timeout);
  if (values.stats) printStats(stats);
  process.exitCode = exitCode;
}

main().catch((error) => {
  if (error instanceof UsageError) {
    console.error(`wasi-rs: ${error.message} (see wasi-rs --help)`);
    process.exitCode = USAGE;
  } else if (error instanceof WebAssembly.RuntimeError) {
    console.error(`wasi-rs: the program trapped: ${error.stack}`);
    process.exitCode = TRAPPED;
  } else {
    console.error(`wasi-rs: ${error.message}`);
    process.exitCode = error.code === 'ERR_WASI_LIMIT' ? TIMED_OUT : 1;
    // Bun would wait for the guest's thread, which it cannot end.
    if (process.versions.bun) process.exit();
  }
});
