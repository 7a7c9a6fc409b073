// `node scripts/wasi-testsuite/run.mjs SUITE [RUNNER ARGUMENTS...]`: runs wasi-testsuite, from a
// clone of it, on this checkout. See README.md beside this file.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, root, run } from '../process.mjs';

const [suite, ...rest] = process.argv.slice(2);
if (suite === undefined) fail('name the folder of wasi-testsuite');
const runner = join(suite, 'test-runner', 'wasi_test_runner.py');
if (!existsSync(runner)) fail(`${runner} is not there`);

/** The folders with compiled tests of preview1: tests/LANGUAGE/testsuite, or a folder below it. */
const tests = readdirSync(join(suite, 'tests')).flatMap((language) => {
  const folder = join(suite, 'tests', language, 'testsuite');
  const preview1 = join(folder, 'wasm32-wasip1');
  return [preview1, folder].filter(existsSync).slice(0, 1);
});
if (tests.length === 0) fail('there are no compiled tests: check out prod/testsuite-base');

const adapter = fileURLToPath(new URL('wasi-rs.py', import.meta.url));
const command = [process.execPath, join(root, 'bin', 'wasi-rs.js')].map((part) => `'${part}'`);
const env = { ...process.env, WASI_RS: command.join(' ') };
const python = process.platform === 'win32' ? 'python' : 'python3';
const passed = run(python, [runner, '-r', adapter, '-t', ...tests, ...rest], { cwd: suite, env });
process.exitCode = passed ? 0 : 1;
