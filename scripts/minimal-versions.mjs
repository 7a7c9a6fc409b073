// `node scripts/minimal-versions.mjs`: whether the core and the binding compile with the oldest
// versions of crates that Cargo.toml allows. The nightly compiler resolves them, in a copy of the
// sources.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fail, requireCargo, root, run } from './process.mjs';

requireCargo();
const folder = join(root, 'target', 'minimal-versions');
const copy = join(folder, 'sources');
rmSync(copy, { recursive: true, force: true });
mkdirSync(copy, { recursive: true });
for (const name of ['Cargo.toml', 'build.rs', 'src', 'core']) {
  cpSync(join(root, name), join(copy, name), { recursive: true });
}
const options = {
  cwd: copy,
  env: { ...process.env, CARGO_TARGET_DIR: join(folder, 'target') },
};
const steps = [
  ['+nightly', 'generate-lockfile', '-Zdirect-minimal-versions'],
  ['check', '--locked'],
];
for (const step of steps) {
  if (!run('cargo', step, options)) fail(`cargo ${step.join(' ')} did not succeed`);
}
