// `npm run sanitize -- [core] [node] [thread]`: the tests under the compiler's sanitizers, on
// Linux.
//
//   core    the core's tests under the address sanitizer
//   node    the package's tests under it, with the addon built for it
//   thread  the core's tests under the thread sanitizer
//
// Without arguments: core and node. All need the nightly compiler; `node` needs GCC's `libasan`,
// as Node.js itself is not built for the sanitizer; `thread` builds the standard library as well.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fail, requireNightly, root, run, say } from './process.mjs';

const STEPS = { core, node, thread };

// A request for more memory than there is fails, as it does without a sanitizer: a test wants it
// to.
const OPTIONS = 'allocator_may_return_null=1';
// V8 handles the faults of WebAssembly itself, and keeps what it allocates to the end.
const UNDER_NODE =
  'detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:use_sigaltstack=0';

/**
 * The suite of hostile guests measures time and memory, and the tests of the examples compile with
 * whatever is preloaded.
 */
const NOT_UNDER_NODE = [
  'sandbox.test.mjs',
  'examples.test.mjs',
  'package.test.mjs',
  join('compat', 'compat.test.mjs'),
];

const steps = process.argv.length > 2 ? process.argv.slice(2) : ['core', 'node'];
for (const step of steps) {
  if (!Object.hasOwn(STEPS, step))
    fail(`no step ${step}: there are ${Object.keys(STEPS).join(', ')}`);
}
if (process.platform !== 'linux') fail('the sanitizers run on Linux');
requireNightly();
const target = hostTarget();
const failed = [];
for (const step of steps) if (!(await STEPS[step]())) failed.push(step);
if (failed.length > 0) fail(`failed: ${failed.join(', ')}`);

function hostTarget() {
  const { stdout } = spawnSync('rustc', ['+nightly', '-vV'], { cwd: root, encoding: 'utf8' });
  return /^host: (.*)$/m.exec(stdout)[1];
}

/** Where a sanitizer's build is kept: it shares nothing with others. */
function folder(sanitizer) {
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), `${sanitizer}-sanitizer`);
}

function cargo(sanitizer, args) {
  const env = {
    ...process.env,
    RUSTFLAGS: `-Zsanitizer=${sanitizer}`,
    CARGO_TARGET_DIR: folder(sanitizer),
    ASAN_OPTIONS: OPTIONS,
    TSAN_OPTIONS: OPTIONS,
  };
  return run('cargo', ['+nightly', ...args, '--locked', '--target', target], { env });
}

function core() {
  say('testing the core under the address sanitizer');
  return cargo('address', ['test', '--package', 'wasi-rs-core', '--lib', '--tests']);
}

function thread() {
  say('testing the core under the thread sanitizer');
  const { status } = spawnSync('rustup', [
    'component',
    'add',
    '--toolchain',
    'nightly',
    'rust-src',
  ]);
  if (status !== 0) fail('the sources of the standard library could not be installed');
  return cargo('thread', ['test', '-Zbuild-std', '--package', 'wasi-rs-core', '--lib', '--tests']);
}

async function node() {
  await import('./setup.mjs');
  say('building the addon for the address sanitizer');
  if (!cargo('address', ['build', '--package', 'wasi-rs'])) return false;
  const runtime = spawnSync('gcc', ['-print-file-name=libasan.so'], {
    encoding: 'utf8',
  }).stdout?.trim();
  // GCC answers with the bare name where it has none.
  if (!runtime?.includes(sep)) fail("GCC's libasan was not found");

  say('testing the package under the address sanitizer');
  const copy = mkdtempSync(join(folder('address'), 'package-'));
  try {
    copyPackage(copy);
    const tests = readdirSync(join(copy, '__test__'), { recursive: true })
      .filter((path) => path.endsWith('.test.mjs') && !NOT_UNDER_NODE.includes(path))
      .map((path) => join('__test__', path));
    const env = { ...process.env, LD_PRELOAD: runtime, ASAN_OPTIONS: `${OPTIONS}:${UNDER_NODE}` };
    return run(process.execPath, ['--test', ...tests], { cwd: copy, env });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** A copy of what the tests use, with the addon in the place where it is looked for. */
function copyPackage(copy) {
  const left = ['.cache', '.git', 'fuzz', 'node_modules', 'target'];
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (left.includes(entry.name) || entry.name.endsWith('.node')) continue;
    cpSync(join(root, entry.name), join(copy, entry.name), { recursive: true });
  }
  symlinkSync(relative(copy, join(root, 'node_modules')), join(copy, 'node_modules'));
  const addon = join(folder('address'), target, 'debug', 'libwasi_rs.so');
  const cpu = { x86_64: 'x64', aarch64: 'arm64' }[target.split('-')[0]];
  cpSync(addon, join(copy, `wasi-rs.linux-${cpu}-gnu.node`));
}
