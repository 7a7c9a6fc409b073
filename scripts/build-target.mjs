// `node scripts/build-target.mjs TARGET`: builds the addon for one of `napi.targets` in
// package.json. For musl, zig is the linker: it comes from PyPI with cargo-zigbuild, into an
// environment under target/.
import { delimiter } from 'node:path';
import { fail, npm, own, python, requireCargo, run } from './process.mjs';

const ZIGBUILD = 'cargo-zigbuild==0.24.0';
const ZIG = 'ziglang==0.15.2';

const [target] = process.argv.slice(2);
const { targets } = own.napi;
if (!targets.includes(target)) fail(`name one target of ${targets.join(', ')}`);
requireCargo();
if (!run('rustup', ['target', 'add', target])) fail(`Rust has no target ${target}`);

const args = ['run', 'build', '--', '--target', target];
const env = { ...process.env };
if (target.endsWith('-musl')) {
  const bin = python('zigbuild', [ZIGBUILD, ZIG]);
  env.PATH = `${bin}${delimiter}${env.PATH}`;
  args.push('--cross-compile');
}
if (!npm(args, { env })) fail(`the addon for ${target} could not be built`);
