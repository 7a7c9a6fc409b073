#!/usr/bin/env node
// The `cargo` that `npm run build` gives to `napi build`. Cargo optimises across crates only what is not built as a Rust library
// as well, and this package's library is both that and the addon: so only the addon is built.
import { run } from './process.mjs';

const ADDON = ['rustc', '--lib', '--crate-type', 'cdylib'];

const [command, ...args] = process.argv.slice(2);
const { CARGO_OF_ADDON: cargo = 'cargo' } = process.env;
// What is run looks there for cargo, and must not find this script again.
const env = { ...process.env, CARGO: cargo };
const commands = {
  build: [cargo, ...ADDON],
  zigbuild: ['cargo-zigbuild', ...ADDON],
};
// Of napi's other ways to build (`--watch`, xwin) only the caller knows the rest.
const [program, ...start] = commands[command] ?? [cargo, command];
process.exit(run(program, [...start, ...args], { env }) ? 0 : 1);
