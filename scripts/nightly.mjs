// `node scripts/nightly.mjs JOB ...`: what takes too long for each commit.
//
//   miri              the core's own tests under Miri, which sees undefined behaviour
//   minimal-versions  whether all compiles with the oldest crates that Cargo.toml allows
//   mutants           whether the core's tests notice that a piece of it is gone (cargo-mutants)
//   deny              advisories and licences of crates, by the rules in deny.toml (cargo-deny)
//   npm-audit         advisories of npm packages
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fail, npm, requireCargo, requireNightly, root, run, say } from './process.mjs';

const TOOLS = join(root, 'target', 'tools');
const CARGO_DENY = '0.20.2';
const CARGO_MUTANTS = '27.1.0';

/** Miri knows few system calls, so `host::sys` and what stands on it are left out. */
const MIRI_RUNS = ['memory::', 'abi::', 'ctx::', 'descriptor::', 'host::', 'preview1::'];
const MIRI_SKIPS = ['host::sys::'];

/** Where a fault lets a guest out, by path below core/src. */
const MUTATED = ['abi/*', 'memory.rs', 'descriptor/*', 'host/path.rs', 'host/quota.rs'];

const jobs = {
  miri,
  'minimal-versions': minimalVersions,
  mutants,
  deny,
  'npm-audit': () => npm(['audit', '--audit-level=low']),
};
const [name, ...rest] = process.argv.slice(2);
if (jobs[name] === undefined) fail(`name one job of ${Object.keys(jobs).join(', ')}`);
requireCargo();
say(name);
process.exitCode = jobs[name](rest) ? 0 : 1;

function miri() {
  requireNightly();
  const version = ['+nightly', 'miri', '--version'];
  if (spawnSync('cargo', version, { cwd: root, stdio: 'ignore' }).status !== 0) {
    const args = ['component', 'add', '--toolchain', 'nightly', 'miri', 'rust-src'];
    if (!run('rustup', args)) fail('Miri could not be installed');
  }
  // The clock and the random numbers are the host's.
  const env = { ...process.env, MIRIFLAGS: '-Zmiri-disable-isolation -Zmiri-strict-provenance' };
  const skip = MIRI_SKIPS.flatMap((module) => ['--skip', module]);
  const what = ['--package', 'wasi-rs-core', '--lib', '--', ...MIRI_RUNS, ...skip];
  return run('cargo', ['+nightly', 'miri', 'test', ...what], { env });
}

function minimalVersions() {
  requireNightly();
  const folder = join(root, 'target', 'minimal-versions');
  const copy = join(folder, 'sources');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const part of ['Cargo.toml', 'build.rs', 'src', 'core']) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  const env = { ...process.env, CARGO_TARGET_DIR: join(folder, 'target') };
  const options = { cwd: copy, env };
  return (
    run('cargo', ['+nightly', 'generate-lockfile', '-Zdirect-minimal-versions'], options) &&
    run('cargo', ['check', '--locked'], options)
  );
}

/** `rest` are options of cargo-mutants, such as `--shard 1/8` or `--file core/src/memory.rs`. */
function mutants(rest) {
  install('cargo-mutants', CARGO_MUTANTS);
  const files = MUTATED.flatMap((path) => ['--file', `core/src/${path}`]);
  const args = ['mutants', '--package', 'wasi-rs-core', '--test-package', 'wasi-rs-core'];
  args.push('--output', join('target', 'mutants'), ...(rest.includes('--file') ? [] : files));
  return run(join(TOOLS, 'bin', 'cargo-mutants'), [...args, ...rest]);
}

function deny() {
  install('cargo-deny', CARGO_DENY);
  return run(join(TOOLS, 'bin', 'cargo-deny'), ['check']);
}

/** Installs a program of crates.io below target/, unless that version is there. */
function install(crate, version) {
  const args = ['install', crate, '--locked', '--version', version, '--root', TOOLS, '--quiet'];
  if (!run('cargo', args)) fail(`${crate} ${version} could not be installed`);
}
