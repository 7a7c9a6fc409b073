// `node scripts/test-built.mjs`: the tests of the package under this Node.js, on an addon that was
// built elsewhere and lies in the checkout. Needs no Rust.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkGlibc } from './glibc.mjs';
import { nodeTests } from './node-tests.mjs';
import { root } from './process.mjs';

for (const name of readdirSync(root)) {
  if (/\.linux-.*-gnu\.node$/.test(name)) checkGlibc(join(root, name));
}

process.exitCode = nodeTests(process.execPath) ? 0 : 1;
