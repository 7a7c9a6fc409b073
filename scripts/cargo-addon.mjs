#!/usr/bin/env node
// The `cargo` that `npm run build` gives to `napi build`. Cargo optimises across crates only what is not built as a Rust library
// as well, and this package's library is both that and the addon: so only the addon is built.
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { run } from './process.mjs';

const ADDON = ['rustc', '--lib', '--crate-type', 'cdylib'];

const [command, ...args] = process.argv.slice(2);
const { CARGO_OF_ADDON: cargo = 'cargo', CARGO_HOME = join(homedir(), '.cargo') } = process.env;
const env = {
  ...process.env,
  // What is run looks there for cargo, and must not find this script again.
  CARGO: cargo,
  // Cargo finds its commands there also without this.
  PATH: [process.env.PATH, join(CARGO_HOME, 'bin')].filter(Boolean).join(delimiter),
};
const commands = {
  __proto__: null,
  build: [cargo, ...ADDON],
  zigbuild: ['cargo-zigbuild', ...ADDON],
};
// Of napi's other ways to build (`--watch`, xwin) only the caller knows the rest.
const line =
  command in commands ? [...commands[command], ...args] : [cargo, ...process.argv.slice(2)];
process.exit(run(line[0], line.slice(1), { env }) ? 0 : 1);
