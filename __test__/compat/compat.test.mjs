// Published programs that use node:wasi run unchanged under the register hook, and do their real
// work: each of the programs checks what came out. Run by `npm run test:compat`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withFolder } from '../support/tree.mjs';

const LIMIT = 120_000;
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Program -> the threads on which it uses WASI. */
const programs = {
  argon2: ['main', 'worker'],
  esbuild: ['main'],
  extism: ['main'],
  'oxc-parser': ['main', 'worker'],
  'oxc-resolver': ['main', 'worker'],
  rolldown: ['main', 'worker'],
  rspack: ['main', 'worker'],
  ruby: ['main'],
  tailwind: ['main', 'worker'],
};

async function run(flag, name, cwd) {
  // Node loads the modules of NODE_OPTIONS first, and the witness has to be there before wasi-rs.
  const env = { ...process.env, NODE_OPTIONS: `--require ${JSON.stringify(file('witness.cjs'))}` };
  delete env.NODE_TEST_CONTEXT;
  const hooks = [flag, file('node_modules/wasi-rs/register.js')];
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe'];
  const options = { cwd, env, stdio, timeout: LIMIT, killSignal: 'SIGKILL' };
  const child = spawn(process.execPath, [...hooks, file('run.mjs'), name], options);
  const said = ['', '', '', ''];
  for (const from of [1, 2, 3]) {
    child.stdio[from].setEncoding('utf8').on('data', (text) => {
      said[from] += text;
    });
  }
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (...how) => resolve(how));
  });
  assert.deepEqual([code, signal, said[2]], [0, null, ''], said[1]);
  return said[3].trim().split('\n');
}

const noJspi =
  typeof WebAssembly.Suspending === 'function' ? false : 'JSPI is there from Node.js 24.20 on';

it('a REPL of Ruby over a stream of messages', { skip: noJspi }, async () => {
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  const stdio = ['ignore', 'pipe', 'pipe'];
  const options = { env, stdio, timeout: LIMIT, killSignal: 'SIGKILL' };
  const child = spawn(process.execPath, [file('suspending/repl.mjs')], options);
  const said = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (said[0] += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (said[1] += text));
  const ended = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (...how) => resolve(how));
  });
  assert.deepEqual([...ended, ...said], [0, null, 'done\n', '']);
});

it('every program is in the table', () => {
  const names = fs.readdirSync(file('programs')).map((name) => path.parse(name).name);
  assert.deepEqual(names.sort(), Object.keys(programs).sort());
});

for (const flag of ['--require', '--import']) {
  describe(`${flag} wasi-rs/register`, () => {
    for (const [name, threads] of Object.entries(programs)) {
      it(name, () =>
        withFolder(async (folder) => {
          const told = new Set(await run(flag, name, folder));
          assert.deepEqual([...told].sort(), ['done', ...threads]);
        }),
      );
    }
  });
}
