// What `npm version` runs when it has changed package.json and package-lock.json: gives Cargo's
// manifest and lock files the same version, and what is unreleased in the changelog its heading.
// npm commits and tags it all.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, root } from './process.mjs';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const today = new Date().toISOString().slice(0, 10);
const OWN_CRATES = /(?<=name = "wasi-rs(?:-core)?"\nversion = ")[^"]+/g;

change('Cargo.toml', /(?<=\[workspace\.package\]\nversion = ")[^"]+/, version);
for (const file of ['Cargo.lock', 'fuzz/Cargo.lock']) {
  if (existsSync(join(root, file))) change(file, OWN_CRATES, version);
}
change('CHANGELOG.md', /(?<=^# Changelog\n\n)## Unreleased$/m, `## ${version} (${today})`);

const changed = ['Cargo.toml', '*Cargo.lock', 'CHANGELOG.md'];
const { status } = spawnSync('git', ['add', '--', ...changed], { cwd: root, stdio: 'inherit' });
if (status !== 0) fail('git add did not succeed');

function change(file, pattern, text) {
  const path = join(root, file);
  const before = readFileSync(path, 'utf8');
  // Of the first release, the version may be there already.
  if (before.search(pattern) < 0) {
    fail(`${file} has no version to change, or nothing that is unreleased`);
  }
  writeFileSync(path, before.replace(pattern, text));
}
