// The adapters for wasi-testsuite: what they compute runs a test of that suite's kind. And the
// command that runs the suite, on a suite of two tests whose runner is written here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

/** The result of an expression about an adapter, by JSON. */
function call(expression, file = 'wasi-rs.py') {
  const code = `import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("adapter", sys.argv[1])
adapter = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(adapter)
print(json.dumps(${expression}))`;
  const adapter = join(root, 'scripts', 'wasi-testsuite', file);
  const command = `'${process.execPath}' '${join(root, 'bin', 'wasi-rs.js')}'`;
  const { status, stdout, stderr } = spawnSync(python, ['-c', code, adapter], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', WASI_RS: command, NODE: process.execPath },
  });
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout);
}

test('the adapter says what it is', { skip }, () => {
  assert.equal(call('adapter.get_name()'), 'wasi-rs');
  assert.equal(call('adapter.get_version()'), version);
  assert.deepEqual(call('adapter.get_wasi_versions()'), ['wasm32-wasip1']);
  assert.deepEqual(call('adapter.get_wasi_worlds()'), ['wasi:cli/command']);
  const other = call('[adapter.get_name(), adapter.get_version()]', 'node-wasi.py');
  assert.deepEqual(other, ['node:wasi', process.versions.node]);
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

/** A runner of the form of the suite's: it takes an adapter, and writes what passed as JSON. */
const RUNNER = `import argparse, importlib.util, json, subprocess, sys
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("-r")
parser.add_argument("--json-output-location")
parser.add_argument("--disable-colors", action="store_true")
options = parser.parse_args()
spec = importlib.util.spec_from_file_location("adapter", options.r)
adapter = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(adapter)
tests = []
for wasm in sorted(Path(__file__).parent.glob("tests/*.wasm")):
    given = json.loads(wasm.with_suffix(".json").read_text())
    root = str(wasm.with_name(given["root"])) if "root" in given else None
    config = (given.get("args", []), given.get("env", {}), root)
    argv = adapter.compute_argv(str(wasm), config, [], "wasi:cli/command", "wasm32-wasip1")
    done = subprocess.run(argv, capture_output=True, text=True)
    failures = [] if done.returncode == given.get("exit_code", 0) else [done.stderr]
    if given.get("stdout", done.stdout) != done.stdout:
        failures.append(done.stdout)
    tests.append({"name": wasm.stem, "executed": True, "failures": failures})
skipped = {"name": "Of another version", "tests": [{"name": "a", "executed": False, "failures": []}]}
suites = [{"name": "Two tests", "tests": tests}, skipped]
Path(options.json_output_location).write_text(json.dumps({"results": suites}))
`;

test('the suite is run on both hosts, and what passed is a table', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-testsuite-'));
  try {
    const tests = join(folder, 'tests');
    mkdirSync(join(tests, 'fs-tests.dir', 'sandbox'), { recursive: true });
    writeFileSync(join(folder, 'run-tests'), RUNNER);
    const add = (guest, specification) => {
      copyFileSync(join(root, '__test__', 'guests', `${guest}.wasm`), join(tests, `${guest}.wasm`));
      writeFileSync(join(tests, `${guest}.json`), JSON.stringify(specification));
    };
    add('environ', { env: { A: 'b=c' }, root: 'fs-tests.dir', stdout: '[A=b=c]\nok\n' });
    // node:wasi refuses it.
    add('environ-empty', { stdout: 'ok\n' });
    const run = () => {
      const script = join(root, 'scripts', 'wasi-testsuite', 'run.mjs');
      const env = { ...process.env, NODE_OPTIONS: '' };
      const { status, stdout } = spawnSync(process.execPath, [script, folder], {
        encoding: 'utf8',
        env,
      });
      return { status, lines: stdout.split('\n').filter((line) => line !== '') };
    };
    assert.deepEqual(run(), {
      status: 0,
      lines: [
        `| suite | wasi-rs ${version} | \`node:wasi\` of Node.js ${process.versions.node} |`,
        '| --- | --- | --- |',
        '| Two tests | 2 of 2 | 1 of 2 |',
        '| all | 2 of 2 | 1 of 2 |',
        `Failed on \`node:wasi\` of Node.js ${process.versions.node}: \`environ-empty\`.`,
      ],
    });
    add('trap', {});
    const { status, lines } = run();
    assert.equal(status, 1);
    assert.ok(lines.includes(`Failed on wasi-rs ${version}: \`trap\`.`), lines.join('\n'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
