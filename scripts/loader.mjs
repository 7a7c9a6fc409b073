// The last step of `npm run build`: the loader that the build generates listens to variables of the
// environment that concern every package of its kind. A program that sets one, to get another package's
// WebAssembly build instead of its addon, would so do away with ours; give the loader names of its own.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

const loader = join(root, 'binding.js');
const text = readFileSync(loader, 'utf8');
writeFileSync(loader, text.replace(/\bNAPI_RS_(?=[A-Z])/g, 'WASI_RS_'));
