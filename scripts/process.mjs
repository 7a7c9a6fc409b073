// What the scripts share: where the checkout is, and how they run other programs.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The checkout's folder, with a separator at its end. */
export const root = fileURLToPath(new URL('..', import.meta.url));

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
