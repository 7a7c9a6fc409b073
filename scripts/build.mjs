// `npm run build [-- OPTION ...]`: the addon. Options are those of `napi build`, but for those
// about a loader: the package has its own, binding.js.
import { fail, tool } from './process.mjs';

const OF_THE_LOADER =
  /^(-o|--(output-dir|cwd|js|js-binding|no-js|js-package-name|dts|format|esm|package-json-path)(=|$))/;

const options = process.argv.slice(2);
const refused = options.find((option) => OF_THE_LOADER.test(option));
if (refused) {
  fail(`${refused}: the package has one loader, binding.js, which loads the addon beside index.js`);
}
const build = [
  'build',
  '--platform',
  '--release',
  '--no-js',
  '--dts',
  'target/binding.d.ts',
  ...options,
];
if (!tool('napi', build)) fail('napi build did not succeed');
