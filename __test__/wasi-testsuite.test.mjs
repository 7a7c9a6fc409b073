// The adapter for wasi-testsuite: what it computes runs a test of that suite's kind.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(
  spawnSync(process.execPath, ['-p', `JSON.stringify(require('./package.json'))`], {
    cwd: root,
    encoding: 'utf8',
  }).stdout,
);
const python = process.platform === 'win32' ? 'python' : 'python3';
const skip = spawnSync(python, ['--version']).status !== 0 && 'there is no Python';

/** The result of an expression about the adapter, by JSON. */
function call(expression, env = {}) {
  const code = `import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("adapter", sys.argv[1])
adapter = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(adapter)
print(json.dumps(${expression}))`;
  const adapter = join(root, 'scripts', 'wasi-testsuite', 'wasi-rs.py');
  const command = `'${process.execPath}' '${join(root, 'bin', 'wasi-rs.js')}'`;
  const { status, stdout, stderr } = spawnSync(python, ['-c', code, adapter], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', WASI_RS: command, ...env },
  });
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout);
}

test('the adapter says what it is', { skip }, () => {
  assert.equal(call('adapter.get_name()'), 'wasi-rs');
  assert.equal(call('adapter.get_version()'), version);
  assert.deepEqual(call('adapter.get_wasi_versions()'), ['wasm32-wasip1']);
  assert.deepEqual(call('adapter.get_wasi_worlds()'), ['wasi:cli/command']);
});

test(
  'the command that it computes runs a guest with arguments, variables and a root',
  { skip },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-testsuite-'));
    try {
      writeFileSync(join(folder, 'hello.txt'), 'hello');
      const run = (guest, args, env, at) => {
        const wasm = join(root, '__test__', 'guests', `${guest}.wasm`);
        const given = [args, env, at].map((part) => JSON.stringify(part)).join(', ');
        const computed = `adapter.compute_argv(${JSON.stringify(wasm)}, (${given}), [], '', '')`;
        const [command, ...rest] = call(computed.replace('null', 'None'));
        const { status, stdout } = spawnSync(command, rest, { encoding: 'utf8' });
        return { status, stdout };
      };
      assert.deepEqual(run('args', ['--dir', 'a b'], {}, null), {
        status: 0,
        stdout: '3\n[args.wasm]\n[--dir]\n[a b]\nok\n',
      });
      assert.deepEqual(run('environ', [], { A: 'b=c', B: '' }, null), {
        status: 0,
        stdout: '[A=b=c]\n[B=]\nok\n',
      });
      const listed = call(
        `adapter.compute_argv('x.wasm', ([], {}, ${JSON.stringify(folder)}), [], '', '')`,
      );
      assert.deepEqual(listed.slice(2), ['run', '--dir', `${folder}::/`, '--', 'x.wasm']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
