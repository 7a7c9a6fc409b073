// The wall time of a program under the command line and under node:wasi, in turns: what a user
// waits for, to the end of the process. The floor is the part of node:wasi's time until its guest
// has ended: what a command would have that takes as long and does not wait for V8 then.
//
//   node bench/command-line.mjs [--node PATH] [--rounds N] [--dir HOST[::GUEST]] PROGRAM.wasm
//   [argument...]

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { countOf, fail, parsedArguments } from '../scripts/process.mjs';

const CLI = fileURLToPath(new URL('../bin/wasi-rs.js', import.meta.url));
const AIM = 0.5;

const argv = process.argv.slice(2);
const options = {
  node: { type: 'string', default: process.execPath },
  rounds: { type: 'string', default: '5' },
  dir: { type: 'string', default: '.::/' },
};
const { tokens } = parseArgs({ args: argv, options, strict: false, tokens: true });
const at = tokens.find(({ kind }) => kind === 'positional')?.index;
if (at === undefined) {
  parsedArguments({ args: argv, options });
  fail('a program is missing');
}
const { values } = parsedArguments({ args: argv.slice(0, at), options });
const rounds = countOf('--rounds', values.rounds);
const [program, ...args] = argv.slice(at);
const [host, guest = host] = values.dir.split('::');

const BUILTIN = `
  const { WASI } = require('node:wasi');
  const [program, host, guest, ...args] = process.argv.slice(1);
  const preopens = { [guest]: host };
  const wasi = new WASI({ version: 'preview1', args, env: { PWD: '/' }, preopens, returnOnExit: true });
  WebAssembly.compile(require('node:fs').readFileSync(program))
    .then((wasm) => WebAssembly.instantiate(wasm, { wasi_snapshot_preview1: wasi.wasiImport }))
    .then((instance) => {
      process.exitCode = wasi.start(instance);
      require('node:fs').writeSync(2, '\\nended ' + performance.now());
    });`;

const commands = {
  here: [CLI, '--env', 'PWD=/', '--dir', `${host}::${guest}`, program, ...args],
  'node:wasi': ['--no-warnings', '-e', BUILTIN, program, host, guest, basename(program), ...args],
};

const times = { here: [], 'node:wasi': [] };
const ends = [];
let printed;
const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-bench-'));
try {
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(commands)) {
      // A file: what does not fit into a pipe at once, node:wasi does not write.
      const out = openSync(join(folder, name.replace(':', '-')), 'w');
      const start = performance.now();
      const { status, stderr } = spawnSync(values.node, command, {
        stdio: ['ignore', out, 'pipe'],
      });
      times[name].push(performance.now() - start);
      closeSync(out);
      if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
      const end = /\nended ([\d.]+)$/.exec(stderr.toString());
      if (end !== null) ends.push(Number(end[1]));
      const stdout = readFileSync(join(folder, name.replace(':', '-')));
      printed ??= stdout;
      if (!stdout.equals(printed)) throw new Error(`${name} printed something else`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const median = (list) => list.sort((one, other) => one - other)[list.length >> 1];
const [here, builtin] = [median(times.here), median(times['node:wasi'])];
const ratio = here / builtin;
const floor = median(ends) / builtin;
console.log(
  `here ${here.toFixed(0)} ms, node:wasi ${builtin.toFixed(0)} ms, ratio ${ratio.toFixed(2)}, floor ${floor.toFixed(2)}, aim ${AIM}: ${ratio <= AIM ? 'met' : 'not met'}`,
);
