// `node scripts/build-target.mjs TARGET`: builds the addon for one of `napi.targets` in
// package.json. On Linux, zig is the linker: it comes from PyPI with cargo-zigbuild, into an
// environment under target/. It links against the oldest glibc that an addon is to be loaded with,
// whatever this machine has.
import { delimiter, join } from 'node:path';
import { checkGlibc, OLDEST_GLIBC } from './glibc.mjs';
import { describeTarget, fail, npm, own, python, requireCargo, root, run } from './process.mjs';

const ZIGBUILD = 'cargo-zigbuild==0.24.1';
const ZIG = 'ziglang==0.15.2';

const [target] = process.argv.slice(2);
const { targets } = own.napi;
if (!targets.includes(target)) fail(`name one target of ${targets.join(', ')}`);
requireCargo();
if (!run('rustup', ['target', 'add', target])) fail(`Rust has no target ${target}`);

const { system, abi, platform } = describeTarget(target);
const named = abi === 'gnu' ? `${target}.${OLDEST_GLIBC}` : target;
const args = ['run', 'build', '--', '--target', named];
const env = { ...process.env };
if (system === 'linux') {
  const bin = python('zigbuild', [ZIGBUILD, ZIG]);
  env.PATH = `${bin}${delimiter}${env.PATH}`;
  args.push('--cross-compile');
}
if (!npm(args, { env })) fail(`the addon for ${target} could not be built`);
if (abi === 'gnu') checkGlibc(join(root, `${own.napi.binaryName}.${platform}.node`));
