// The common part of the scripts: where the checkout is, how to run other programs, the targets of
// the addon, and tools and runtimes from PyPI and npm.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** The checkout's folder, with a separator at its end. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** In a copy of the checkout that `package.mjs` made for the tests: names the checkout. */
export const SOURCES = '.sources';

/** The checkout, also where this file is a part of such a copy. */
export const sources = existsSync(join(root, SOURCES))
  ? readFileSync(join(root, SOURCES), 'utf8')
  : root;

/** Whether a module, by its `import.meta.url`, is the one that Node was started with. */
export function isMain(url) {
  const [, script] = process.argv;
  return script !== undefined && existsSync(script) && realpathSync(script) === fileURLToPath(url);
}

/** Says what a step is doing, so that nobody wonders why it takes long. */
export function say(text) {
  console.log(`> ${text}`);
}

/** Ends the script with one line that says why. */
export function fail(text) {
  console.error(`error: ${text}`);
  process.exit(1);
}

/**
 * `parseArgs`. Ends the script with one line where an option is unknown or lacks its value.
 *
 * @param {object} config as `parseArgs` takes it
 * @param {string} [help] what to print below that line, instead of naming the script
 * @returns {ReturnType<typeof parseArgs>}
 */
export function parsedArguments(config, help) {
  try {
    return parseArgs(config);
  } catch (error) {
    // Advice may follow, in further sentences or lines.
    const [what] = error.message.split(/\. |\.?\n/);
    const script = relative(root, process.argv[1]).replaceAll('\\', '/');
    return fail(help ? `${what}\n${help}` : `${what}: ${script} says at its top what it takes`);
  }
}

/** Ends the script with one line if a job got words that it does nothing with. */
export function takesNoMore(job, words) {
  if (words.length > 0) fail(`${words[0]}: ${job} takes nothing more`);
}

/** The number that an option has. Ends the script with one line if it is none above 0. */
export function countOf(option, text) {
  if (!/^[1-9]\d{0,5}$/.test(text)) fail(`${option} has to be a whole number above 0`);
  return Number(text);
}

/** The pattern that an option has. Ends the script with one line if it is none. */
export function patternOf(option, text) {
  try {
    return new RegExp(text);
  } catch (error) {
    return fail(`${option}: ${error.message}`);
  }
}

/**
 * Makes a folder anew. Ends the script if the folder holds what the script has not made.
 *
 * @param {string} folder
 * @param {(names: string[]) => boolean} isMade by the names in the folder
 */
export function makeAnew(folder, isMade) {
  if (existsSync(folder) && !statSync(folder).isDirectory()) fail(`${folder} is no folder`);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const holds = (place) => join(place, sep).startsWith(join(resolve(folder), sep));
  if ([root, sources].some(holds) || (names.length > 0 && !isMade(names))) {
    fail(`${folder} is made anew, and holds other files: name a folder that is new or empty`);
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}

/**
 * Runs a program in the checkout, with its output on the terminal.
 *
 * @returns {boolean} whether it ended with code 0
 */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') console.error(`error: ${command} was not found`);
  return status === 0;
}

/** Runs npm, by the same npm that runs this script if there is one. */
export function npm(args, options) {
  const { npm_execpath: path } = process.env;
  if (path) return run(process.execPath, [path, ...args], options);
  return run('npm', args, { shell: process.platform === 'win32', ...options });
}

/** Runs the command-line tool of an installed package. */
export function tool(name, args, options) {
  return npm(['exec', '--no', '--', name, ...args], options);
}

/** Ends the script with one line if there is no cargo. */
export function requireCargo() {
  const { error } = spawnSync('cargo', ['--version'], { cwd: root, stdio: 'ignore' });
  if (error) fail('cargo was not found: install Rust (https://rustup.rs), then run this again');
}

/** Ends the script with one line if there is no nightly compiler. */
export function requireNightly() {
  requireCargo();
  const { status } = spawnSync('cargo', ['+nightly', '--version'], { cwd: root, stdio: 'ignore' });
  if (status !== 0) {
    fail(
      'the nightly compiler was not found: rustup toolchain install nightly, then run this again',
    );
  }
}

const SYSTEMS = { linux: 'linux', darwin: 'darwin', windows: 'win32' };
const CPUS = { x86_64: 'x64', aarch64: 'arm64' };

/** This package's own package.json. */
export const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * @returns {{ system: string, cpu: string, abi?: string, platform: string }} of one target, as Node
 * names them
 */
export function describeTarget(target) {
  // x86_64-unknown-linux-gnu, aarch64-apple-darwin, x86_64-pc-windows-msvc
  const [machine, , kernel, abi] = target.split('-');
  const system = SYSTEMS[kernel];
  const cpu = CPUS[machine];
  if (!system || !cpu) throw new Error(`${target}: not a target that this package knows`);
  const platform = [system, cpu, ...(abi ? [abi] : [])].join('-');
  return { system, cpu, abi, platform };
}

/** @returns {string[]} the platforms that have a package, sorted */
export function platforms() {
  return own.napi.targets.map((target) => describeTarget(target).platform).sort();
}

/**
 * Installs tools from PyPI, in a virtual environment of their own under target/.
 *
 * @param {string} name of the environment
 * @param {string[]} packages with their versions, as pip wants them
 * @returns {string} the folder with the programs of the environment
 */
export function python(name, packages) {
  const folder = join(root, 'target', 'python', `${name}-${packages.join('-')}`);
  const windows = process.platform === 'win32';
  const bin = join(folder, windows ? 'Scripts' : 'bin');
  const stamp = join(folder, '.installed');
  if (existsSync(stamp)) return bin;
  say(`installing ${packages.join(', ')}`);
  rmSync(folder, { recursive: true, force: true });
  const flags = ['--quiet', '--disable-pip-version-check'];
  const done =
    run(windows ? 'python' : 'python3', ['-m', 'venv', folder]) &&
    run(join(bin, 'python'), ['-m', 'pip', 'install', ...flags, ...packages]);
  if (!done) fail(`${packages.join(', ')} could not be installed`);
  writeFileSync(stamp, '');
  return bin;
}

/**
 * Fetches a runtime to test with from npm, where a package holds its binary.
 *
 * @param {string} name of the package
 * @param {string} version
 * @param {string} binary where it is in the package
 * @returns {string} the path of the binary, fetched into .cache if need be
 */
export function fetched(name, version, binary) {
  const path = fetchedIfPossible(name, version, binary);
  if (path === undefined) fail(`${name}@${version} could not be fetched`);
  return path;
}

/** The same; `undefined` where it cannot be had. */
export function fetchedIfPossible(name, version, binary) {
  const folder = join(root, '.cache', 'runtimes', `${name.replace('/', '-')}-${version}`);
  const path = join(folder, 'node_modules', name, binary);
  if (existsSync(path)) return path;
  say(`fetching ${name} ${version}`);
  mkdirSync(folder, { recursive: true });
  const flags = ['--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const done = npm(['install', ...flags, '--loglevel=error', `${name}@${version}`]);
  if (!done || !existsSync(path)) return undefined;
  chmodSync(path, 0o755);
  return path;
}
