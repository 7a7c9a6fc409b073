// `node scripts/nightly.mjs JOB [OPTION...]`: what takes too long for each commit, or needs the
// nightly compiler.
//
//   miri              the core's own tests under Miri, which sees undefined behaviour
//   sanitize [core] [node] [thread]
//                     the tests under the compiler's sanitizers, on Linux: those of the core under
//                     the address sanitizer, those of the package under it, and those of the core
//                     under the thread sanitizer; by default the first two
//   fuzz [TARGET...] [--seconds 20] [--merge]
//                     the fuzz targets, from the seeds in fuzz/seeds.tar.gz, on Linux. New inputs
//                     are kept in fuzz/corpus; --merge makes seeds of those that reach code which
//                     no seed reaches
//   minimal-versions  whether all compiles with the oldest crates that Cargo.toml allows
//   mutants           whether the core's tests notice that a piece of it is gone (cargo-mutants)
//   deny              advisories and licences of crates, by the rules in deny.toml (cargo-deny)
//   npm-audit         advisories of npm packages
//
// `sanitize node` needs GCC's `libasan`, as Node.js itself is not built for the sanitizer. `fuzz`
// needs a C++ compiler and GNU tar.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, cpSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative, sep } from 'node:path';
import { setup } from './build.mjs';
import { countOf, fail, npm, parsedArguments, requireCargo, requireNightly } from './process.mjs';
import { root, run, say, takesNoMore } from './process.mjs';

const TOOLS = join(root, 'target', 'tools');
const CARGO_DENY = '0.20.2';
const CARGO_FUZZ = '0.13.2';
const CARGO_MUTANTS = '27.1.0';
const CARGO_MUTANTS_PROGRAM = join(TOOLS, 'bin', 'cargo-mutants');

/** Miri knows few system calls, so `host::sys` and what stands on it are left out. */
const MIRI_RUNS = ['memory::', 'abi::', 'ctx::', 'descriptor::', 'host::', 'preview1::'];
const MIRI_SKIPS = ['host::sys::'];

/** Where a fault lets a guest out, by path below core/src. */
const MUTATED = [
  'abi/*',
  'memory.rs',
  'descriptor/*',
  'host/directory.rs',
  'host/mounts.rs',
  'host/path.rs',
  'host/quota.rs',
  'host/read_only.rs',
  'host/single_file.rs',
  'host/walk.rs',
  'host/sys/unix/at.rs',
  'preview1/fd.rs',
  'preview1/path.rs',
];

/** A night judges one part of the mutants: all of them take many hours. */
const MUTANT_PARTS = 30;

/**
 * Mutants that no test can tell from the program, by file below core/src: `mutant` is the name that
 * cargo-mutants shows, without the place; `why` is the reason. Where the function has two mutants of
 * this name, `after` is what stands in front of the place, or `at` what stands there and behind, as
 * much of it as tells them apart.
 */
const MUTANTS = join('core', 'mutants.json');

const OUTPUT = join('target', 'mutants');

/** cargo-mutants ends with it if tests noticed each mutant, some by never ending. */
const HANGS = 3;

/** cargo-mutants ends with it if no test noticed some of the mutants. */
const MISSED = 2;

/** With flags that have no bit in common, both do the same. */
const EQUIVALENT = String.raw`replace \| with \^`;

/** What they test is done in slices, or is done much of, and is in no file that is mutated. */
const SLOW_TESTS = [
  'file::many_megabytes_are_moved_in_pieces',
  'poll::many_subscriptions_that_were_given_up_leave_nothing_for_the_next_call',
  'poll::a_million_subscriptions_are_gone_through_in_slices',
  'process::many_random_bytes_are_filled_in_slices',
  'file::a_call_moves_as_much_as_one_of_linux_at_most',
  'limits::a_connection_waits_on_where_there_is_no_number_for_it',
  'memfs::tests::alone::a_deep_tree_is_made_moved_and_dropped',
  'memfs::tests::alone::bytes_are_the_same_however_they_are_cut',
];

// A request for more memory than there is fails, as it does without a sanitizer: a test wants it
// to.
const SANITIZERS = 'allocator_may_return_null=1';
// V8 handles the faults of WebAssembly itself, and keeps what it allocates to the end.
const ADDRESS_UNDER_NODE =
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
  join('components', 'components.test.mjs'),
];

const FUZZ_TARGETS = ['abi', 'paths', 'records', 'resolvers'];

/** The seeds of all fuzz targets. They are unpacked beside it. */
const SEEDS = join('fuzz', 'seeds.tar.gz');

const FUZZ_LIMITS = [
  '-max_len=2048',
  '-len_control=0',
  // Seconds for one input: nothing that a guest asks for may take long.
  '-timeout=20',
  '-rss_limit_mb=2048',
  // Nothing that a guest asks for may allocate much at once.
  '-malloc_limit_mb=64',
  // That takes a helper process, which the fence around a target keeps from its work.
  '-detect_leaks=0',
  '-print_final_stats=1',
];

const jobs = {
  miri,
  sanitize,
  fuzz,
  'minimal-versions': minimalVersions,
  mutants,
  deny,
  'npm-audit': npmAudit,
};
const [name, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(jobs, name)) fail(`name one job of ${Object.keys(jobs).join(', ')}`);
requireCargo();
say(name);
process.exitCode = jobs[name](rest) ? 0 : 1;

function miri(rest) {
  takesNoMore('miri', rest);
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

// --- Sanitizers ----------------------------------------------------------------------------------

function sanitize(wanted) {
  const steps = { core: sanitizeCore, node: sanitizeNode, thread: sanitizeThreads };
  for (const step of wanted) {
    if (!Object.hasOwn(steps, step)) fail(`${step}: no step of ${Object.keys(steps).join(', ')}`);
  }
  if (process.platform !== 'linux') fail('the sanitizers run on Linux');
  requireNightly();
  return runAll(wanted.length > 0 ? wanted : ['core', 'node'], (step) => steps[step]());
}

function sanitizeCore() {
  say('testing the core under the address sanitizer');
  const what = ['--package', 'wasi-rs-core', '--lib', '--tests'];
  return sanitizedCargo('address', ['test', ...what]);
}

function sanitizeThreads() {
  say('testing the core under the thread sanitizer');
  // The standard library is built for the sanitizer, too.
  const sources = ['component', 'add', '--toolchain', 'nightly', 'rust-src'];
  if (!run('rustup', sources)) fail('the sources of the standard library could not be installed');
  const what = ['--package', 'wasi-rs-core', '--lib', '--tests'];
  return sanitizedCargo('thread', ['test', '-Zbuild-std', ...what]);
}

function sanitizeNode() {
  setup();
  say('building the addon for the address sanitizer');
  if (!sanitizedCargo('address', ['build', '--package', 'wasi-rs'])) return false;
  const where = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const runtime = where.stdout?.trim();
  // GCC answers with the bare name where it has none.
  if (!runtime?.includes(sep)) fail("GCC's libasan was not found");

  say('testing the package under the address sanitizer');
  const copy = mkdtempSync(join(sanitizerFolder('address'), 'package-'));
  try {
    copyPackage(copy);
    const tests = readdirSync(join(copy, '__test__'), { recursive: true })
      .filter((path) => path.endsWith('.test.mjs') && !NOT_UNDER_NODE.includes(path))
      .map((path) => join('__test__', path));
    const options = `${SANITIZERS}:${ADDRESS_UNDER_NODE}`;
    const env = { ...process.env, LD_PRELOAD: runtime, ASAN_OPTIONS: options };
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
  const addon = join(sanitizerFolder('address'), hostTarget(), 'debug', 'libwasi_rs.so');
  cpSync(addon, join(copy, `wasi-rs.linux-${process.arch}-gnu.node`));
}

function sanitizedCargo(sanitizer, args) {
  const env = {
    ...process.env,
    RUSTFLAGS: `-Zsanitizer=${sanitizer}`,
    CARGO_TARGET_DIR: sanitizerFolder(sanitizer),
    ASAN_OPTIONS: SANITIZERS,
    TSAN_OPTIONS: SANITIZERS,
  };
  const target = ['--locked', '--target', hostTarget()];
  return run('cargo', ['+nightly', ...args, ...target], { env });
}

/** Where a sanitizer's build is kept: it shares nothing with others. */
function sanitizerFolder(sanitizer) {
  return join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), `${sanitizer}-sanitizer`);
}

function hostTarget() {
  const { stdout } = spawnSync('rustc', ['+nightly', '-vV'], { cwd: root, encoding: 'utf8' });
  return /^host: (.*)$/m.exec(stdout)[1];
}

// --- Fuzzing -------------------------------------------------------------------------------------

function fuzz(words) {
  const { values, positionals } = parsedArguments({
    args: words,
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '20' },
      merge: { type: 'boolean', default: false },
    },
  });
  countOf('--seconds', values.seconds);
  for (const target of positionals) {
    if (!FUZZ_TARGETS.includes(target)) fail(`${target}: no target of ${FUZZ_TARGETS.join(', ')}`);
  }
  if (process.platform !== 'linux') fail('the fuzz targets run on Linux');
  requireNightly();
  install('cargo-fuzz', CARGO_FUZZ);
  unpackSeeds();

  const folder = mkdtempSync(join(fastTemporaryFolder(), 'wasi-rs-fuzzing-'));
  const path = `${join(TOOLS, 'bin')}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, PATH: path, TMPDIR: folder };
  try {
    const targets = positionals.length > 0 ? positionals : FUZZ_TARGETS;
    const one = (target) => fuzzTarget(target, { ...values, env });
    return runAll(targets, one, '; the inputs are in fuzz/artifacts');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fuzzTarget(target, { seconds, merge, env }) {
  const corpus = join('fuzz', 'corpus', target);
  const seeds = join('fuzz', 'seeds', target);
  for (const path of [corpus, seeds]) mkdirSync(join(root, path), { recursive: true });
  const cargo = (folders, options) => {
    const args = ['fuzz', 'run', target, ...folders, '--', ...FUZZ_LIMITS, ...options];
    return run('cargo', ['+nightly', ...args], { env });
  };
  say(`fuzzing ${target} for ${seconds} s`);
  if (!cargo([corpus, seeds], [`-max_total_time=${seconds}`])) return false;
  if (!merge) return true;
  say(`merging new inputs into ${SEEDS}`);
  return cargo([seeds, corpus], ['-merge=1']) && packSeeds();
}

function unpackSeeds() {
  rmSync(join(root, 'fuzz', 'seeds'), { recursive: true, force: true });
  if (!run('tar', ['-xzf', SEEDS, '-C', 'fuzz'])) fail(`${SEEDS} could not be unpacked`);
}

/** Packs the seeds so that the same seeds give the same bytes. */
function packSeeds() {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
  const same = ['--sort=name', '--mtime=@0', ...owner];
  return run('tar', [...same, '-I', 'gzip -9n', '-cf', SEEDS, '-C', 'fuzz', 'seeds']);
}

/** A folder in memory where there is one: a target makes and removes files all the time. */
function fastTemporaryFolder() {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

// --- Crates and mutants --------------------------------------------------------------------------

function minimalVersions(rest) {
  takesNoMore('minimal-versions', rest);
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

/**
 * `rest` are options of cargo-mutants, such as `--shard 1/8` or `--file core/src/memory.rs`. Without
 * one of these two, it is another part each day.
 */
function mutants(rest) {
  install('cargo-mutants', CARGO_MUTANTS);
  const own = MUTATED.flatMap((path) => ['--file', `core/src/${path}`]);
  const args = ['mutants', '--package', 'wasi-rs-core', '--test-package', 'wasi-rs-core'];
  args.push('--output', OUTPUT, '--exclude-re', EQUIVALENT);
  const equivalent = equivalentMutants([...args, ...own]);
  const left = equivalent.flatMap(({ name }) => ['--exclude-re', `^${escaped(name)}$`]);
  const has = (option) => rest.some((one) => one === option || one.startsWith(`${option}=`));
  const what = has('--file') ? [] : own;
  if (!has('--file') && !has('--shard')) {
    const part = Math.floor(Date.now() / 86_400_000) % MUTANT_PARTS;
    what.push('--shard', `${part}/${MUTANT_PARTS}`);
  }
  const skip = SLOW_TESTS.flatMap((test) => ['--skip', test]);
  // All test programs are linked anew for each mutant, which takes much longer with debug
  // information.
  const env = { ...process.env, CARGO_PROFILE_DEV_DEBUG: '0' };
  const options = [...args, ...left, ...what, ...rest, '--', '--', ...skip];
  const how = { cwd: root, stdio: 'inherit', env };
  const { status } = spawnSync(CARGO_MUTANTS_PROGRAM, options, how);
  if (status !== MISSED) return status === 0 || status === HANGS;
  // cargo-mutants excludes no mutant that leaves a field out.
  const known = new Set(equivalent.map(({ name }) => name));
  const path = join(root, OUTPUT, 'mutants.out', 'missed.txt');
  const missed = readFileSync(path, 'utf8')
    .split('\n')
    .filter((name) => name && !known.has(name));
  if (missed.length === 0) {
    say(`each MISSED mutant is in ${MUTANTS}`);
    return true;
  }
  console.error(
    'error: no test notices these. For each, write one that does, or say why there can',
  );
  console.error(`be none in ${MUTANTS}:\n${missed.join('\n')}`);
  return false;
}

/**
 * The mutants that `core/mutants.json` names. Each entry has to name one: another mutant is not to
 * be hidden by it, and it is not to stay when its code is gone.
 *
 * @returns {{ name: string }[]} as cargo-mutants lists them
 */
function equivalentMutants(options) {
  const how = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 };
  const { stdout, status } = spawnSync(
    CARGO_MUTANTS_PROGRAM,
    [...options, '--list', '--json'],
    how,
  );
  if (status !== 0) fail('cargo-mutants could not list the mutants');
  const all = JSON.parse(stdout);
  const sources = new Map();
  const around = ({ file, span: { start } }) => {
    if (!sources.has(file)) sources.set(file, readFileSync(join(root, file), 'utf8').split('\n'));
    const line = sources.get(file)[start.line - 1];
    return [line.slice(0, start.column - 1), line.slice(start.column - 1)];
  };
  const wrong = [];
  const found = new Set();
  const entries = JSON.parse(readFileSync(join(root, MUTANTS), 'utf8'));
  for (const [file, list] of Object.entries(entries)) {
    for (const { mutant, after = '', at = '' } of list) {
      const same = all.filter((one) => {
        // core/src/memory.rs:107:18: replace == with != in Region<'_>::is_empty
        if (one.file !== `core/src/${file}` || one.name.replace(/^[^ ]*: /, '') !== mutant) {
          return false;
        }
        const [before, rest] = around(one);
        return before.endsWith(after) && rest.startsWith(at);
      });
      if (same.length !== 1 || found.has(same[0])) {
        const where = after || at ? `, at ${after}${at}` : '';
        wrong.push(`${file}: ${mutant}${where}: ${same.length || 'no'} such mutant`);
      }
      for (const one of same) found.add(one);
    }
  }
  if (wrong.length > 0) {
    fail(`${MUTANTS}: each entry names one mutant, and none twice:\n${wrong.join('\n')}`);
  }
  say(`${found.size} of ${all.length} mutants are equivalent to the program, by ${MUTANTS}`);
  return [...found];
}

/** A regular expression of Rust's `regex` that matches a text. */
function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

function deny(rest) {
  takesNoMore('deny', rest);
  install('cargo-deny', CARGO_DENY);
  return run(join(TOOLS, 'bin', 'cargo-deny'), ['check']);
}

function npmAudit(rest) {
  takesNoMore('npm-audit', rest);
  return npm(['audit', '--audit-level=low']);
}

/** Runs all parts of a job. @returns {boolean} whether each of them passed */
function runAll(names, one, hint = '') {
  const failed = names.filter((each) => !one(each));
  if (failed.length > 0) console.error(`error: failed: ${failed.join(', ')}${hint}`);
  return failed.length === 0;
}

/** Installs a program of crates.io below target/, unless that version is there. */
function install(crate, version) {
  if (!existsSync(join(TOOLS, 'bin', crate))) say(`building ${crate} ${version}`);
  const args = ['install', crate, '--locked', '--version', version, '--root', TOOLS, '--quiet'];
  if (!run('cargo', args)) fail(`${crate} ${version} could not be installed`);
}
