// `npm run build [-- OPTION ...]`: the addon, its types and `binding.js`, the loader. Options are those of
// `napi build`, but for those that would have another loader made, or in another place.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownLoader } from './loader.mjs';
import { fail, root, tool } from './process.mjs';
import { platforms } from './targets.mjs';

const OF_THE_LOADER =
  /^(-o|--(output-dir|cwd|js|js-binding|no-js|js-package-name|format|esm|package-json-path)(=|$))/;

const options = process.argv.slice(2);
const refused = options.find((option) => OF_THE_LOADER.test(option));
if (refused) fail(`${refused}: the package has one loader, binding.js, which lies beside index.js`);
const made = ['--js', 'binding.js', '--dts', 'binding.d.ts'];
const build = ['build', '--platform', '--release', ...made, ...options];
if (!tool('napi', build)) fail('napi build did not succeed');

const loader = join(root, 'binding.js');
try {
  writeFileSync(loader, ownLoader(readFileSync(loader, 'utf8'), platforms()));
} catch (error) {
  // Not to be taken for ours.
  rmSync(loader, { force: true });
  fail(error.message);
}
