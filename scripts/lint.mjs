// `npm run lint`: formatters, linters and type checks, all of them even if one complains.
import './setup.mjs';
import { requireCargo, run, say, tool } from './process.mjs';

requireCargo();

const clippy = (...args) => run('cargo', ['clippy', '--quiet', ...args, '--', '-D', 'warnings']);
const checks = [
  ['format of the Rust files', () => run('cargo', ['fmt', '--all', '--check'])],
  ['clippy, addon', () => clippy('--package', 'wasi-rs')],
  ['clippy, core', () => clippy('--package', 'wasi-rs-core', '--all-targets')],
  ['format of all other files', () => tool('prettier', ['--check', '--log-level=warn', '.'])],
  ['types', () => tool('tsc', ['--project', '__test__/types'])],
];

const failed = checks.filter(([name, check]) => {
  say(`lint: ${name}`);
  return !check();
});
for (const [name] of failed) console.error(`error: ${name}`);
process.exitCode = failed.length > 0 ? 1 : 0;
