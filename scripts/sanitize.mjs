// `node scripts/sanitize.mjs`: the core's tests with the address sanitizer, which needs the nightly compiler.
import { execFileSync } from 'node:child_process';
import { fail, requireCargo, root, run } from './process.mjs';

requireCargo();
const version = execFileSync('rustc', ['--version', '--verbose'], { cwd: root, encoding: 'utf8' });
const [, host] = /^host: (.*)$/m.exec(version);
const env = {
  ...process.env,
  RUSTFLAGS: '-Zsanitizer=address',
  // What lives as long as the process is not lost.
  ASAN_OPTIONS: 'detect_leaks=0',
  CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? 'target/sanitize',
};
const args = [
  '+nightly',
  'test',
  '--locked',
  '--no-default-features',
  '--lib',
  '--test',
  'preview1',
];
if (!run('cargo', [...args, '--target', host], { env }))
  fail('the address sanitizer found a fault');
