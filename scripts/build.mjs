// `npm run build [-- OPTION ...]`: the addon for this machine. Options are those of `napi build`,
// but for those about a loader: the package has its own, binding.js.
//
//   node scripts/build.mjs target TARGET   the addon for one of `napi.targets` in package.json
//   node scripts/build.mjs setup           what a checkout needs before anything else: npm packages
//                                          and the addon. npm and cargo decide what there is to do
import { existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { checkGlibc, OLDEST_GLIBC } from './elf.mjs';
import { describeTarget, fail, isMain, npm, own, python, root, run, say } from './process.mjs';
import { requireCargo, takesNoMore, tool } from './process.mjs';

const OLDEST_NODE = 20;
const ZIGBUILD = 'cargo-zigbuild==0.24.1';
const ZIG = 'ziglang==0.15.2';
const OF_THE_LOADER =
  /^(-o|--(output-dir|cwd|js|js-binding|no-js|js-package-name|dts|format|esm|package-json-path)(=|$))/;

if (isMain(import.meta.url)) {
  const [job, ...rest] = process.argv.slice(2);
  if (job === 'target') {
    takesNoMore('target', rest.slice(1));
    buildTarget(rest[0]);
  } else if (job === 'setup') {
    takesNoMore('setup', rest);
    setup();
  } else build(process.argv.slice(2));
}

function build(options, env = process.env) {
  const refused = options.find((option) => OF_THE_LOADER.test(option));
  if (refused) {
    fail(
      `${refused}: the package has one loader, binding.js, which loads the addon beside index.js`,
    );
  }
  const fixed = ['--platform', '--release', '--no-js', '--dts', 'target/binding.d.ts'];
  if (!tool('napi', ['build', ...fixed, ...options], { env })) fail('the addon could not be built');
}

/**
 * On Linux, zig is the linker: it comes from PyPI with cargo-zigbuild, into an environment under
 * target/. It links against the oldest glibc that an addon is to be loaded with, whatever this
 * machine has.
 */
function buildTarget(target) {
  const { binaryName, targets } = own.napi;
  if (!targets.includes(target)) fail(`name one target of ${targets.join(', ')}`);
  requireCargo();
  if (!run('rustup', ['target', 'add', target])) fail(`Rust has no target ${target}`);

  const { system, abi, platform } = describeTarget(target);
  const named = abi === 'gnu' ? `${target}.${OLDEST_GLIBC}` : target;
  if (system === 'linux') {
    const path = `${python('zigbuild', [ZIGBUILD, ZIG])}${delimiter}${process.env.PATH}`;
    build(['--target', named, '--cross-compile'], { ...process.env, PATH: path });
  } else {
    build(['--target', named]);
  }
  if (abi === 'gnu') checkGlibc(join(root, `${binaryName}.${platform}.node`));
}

/** Makes a checkout ready to use, or ends the script. */
export function setup() {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    fail(`Node.js ${OLDEST_NODE} or later is needed to build and test; this is ${process.version}`);
  }
  if (!arePackagesInstalled()) {
    say('installing npm packages into node_modules');
    if (!npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'])) fail('npm ci did not succeed');
  }
  requireCargo();
  say('building the addon (the first time takes a minute or two)');
  build([]);
}

/** npm writes a lock file of its own when all that package-lock.json names is installed. */
function arePackagesInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  const wanted = join(root, 'package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs;
}
