// `npm run miri`: the core's own tests under Miri, which sees undefined behaviour.
//
// It runs what makes no system call that Miri does not know: everything but `host::sys` and what
// stands on it.
import { spawnSync } from 'node:child_process';
import { fail, requireNightly, root, run, say } from './process.mjs';

const MODULES = ['memory::', 'abi::', 'ctx::', 'descriptor::', 'host::', 'preview1::'];
const SKIPPED = ['host::sys::'];

requireNightly();
const { status } = spawnSync('cargo', ['+nightly', 'miri', '--version'], {
  cwd: root,
  stdio: 'ignore',
});
if (status !== 0) {
  say('installing Miri');
  const args = ['component', 'add', '--toolchain', 'nightly', 'miri', 'rust-src'];
  if (!run('rustup', args)) fail('Miri could not be installed');
}

const args = ['+nightly', 'miri', 'test', '--package', 'wasi-rs-core', '--lib', '--', ...MODULES];
// The clock and the random numbers are the host's.
const env = { ...process.env, MIRIFLAGS: '-Zmiri-disable-isolation -Zmiri-strict-provenance' };
const skip = SKIPPED.flatMap((module) => ['--skip', module]);
if (!run('cargo', [...args, ...skip], { env })) process.exitCode = 1;
