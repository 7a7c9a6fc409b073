// `npm run fuzz -- [target ...] [--seconds 20] [--merge]`: runs the fuzz targets, one after the
// other, from the seeds in `fuzz/seeds.tar.gz`.
//
// It needs the nightly compiler, a C++ compiler and GNU tar. New inputs are kept in `fuzz/corpus`.
// With `--merge`, those that reach code which no seed reaches become seeds.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, requireNightly, root, run, say } from './process.mjs';

const TARGETS = ['abi', 'paths', 'records', 'resolvers'];
const VERSION = '0.13.2';
const TOOLS = join(root, 'target', 'tools');

/** The seeds of all targets. They are unpacked beside it. */
const SEEDS = join('fuzz', 'seeds.tar.gz');

const LIMITS = [
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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '20' },
    merge: { type: 'boolean', default: false },
  },
});
const targets = positionals.length > 0 ? positionals : TARGETS;
for (const target of targets) {
  if (!TARGETS.includes(target)) fail(`no fuzz target ${target}: there are ${TARGETS.join(', ')}`);
}
if (process.platform !== 'linux') fail('the fuzz targets run on Linux');
requireNightly();

const env = { ...process.env, PATH: `${join(TOOLS, 'bin')}${delimiter}${process.env.PATH}` };
installCargoFuzz();
unpackSeeds();

const folder = mkdtempSync(join(fastTemporaryFolder(), 'wasi-rs-fuzzing-'));
env.TMPDIR = folder;
const failed = [];
try {
  for (const target of targets) if (!fuzz(target)) failed.push(target);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (failed.length > 0) fail(`failed: ${failed.join(', ')}; the inputs are in fuzz/artifacts`);

function installCargoFuzz() {
  const { stdout } = spawnSync('cargo', ['+nightly', 'fuzz', '--version'], {
    env,
    encoding: 'utf8',
  });
  if (stdout?.trim() === `cargo-fuzz ${VERSION}`) return;
  say(`installing cargo-fuzz ${VERSION} into target/tools`);
  const args = ['install', 'cargo-fuzz', '--version', VERSION, '--locked', '--root', TOOLS];
  if (!run('cargo', args)) fail('cargo-fuzz could not be installed');
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

function fuzz(target) {
  const corpus = join('fuzz', 'corpus', target);
  const seeds = join('fuzz', 'seeds', target);
  for (const path of [corpus, seeds]) mkdirSync(join(root, path), { recursive: true });
  const cargo = (folders, options) =>
    run('cargo', ['+nightly', 'fuzz', 'run', target, ...folders, '--', ...LIMITS, ...options], {
      env,
    });
  say(`fuzzing ${target} for ${values.seconds} s`);
  if (!cargo([corpus, seeds], [`-max_total_time=${values.seconds}`])) return false;
  if (!values.merge) return true;
  say(`merging new inputs into ${SEEDS}`);
  return cargo([seeds, corpus], ['-merge=1']) && packSeeds();
}
