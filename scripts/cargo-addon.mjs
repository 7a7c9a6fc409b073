#!/usr/bin/env node
// The `cargo` that `npm run build` gives to `napi build`. Cargo optimises across crates only what is not built as a Rust library
// as well, and this package's library is both that and the addon: so only the addon is built.
import { run } from './process.mjs';

const ADDON = ['rustc', '--lib', '--crate-type', 'cdylib'];

const [command, ...args] = process.argv.slice(2);
const { CARGO_OF_ADDON: cargo = 'cargo' } = process.env;
const env = { ...process.env, CARGO: cargo };
let built;
if (command === 'build') built = run(cargo, [...ADDON, ...args], { env });
else if (command === 'zigbuild') built = run('cargo-zigbuild', [...ADDON, ...args], { env });
else throw new Error(`cargo-addon: ${command} is not how napi builds`);
process.exit(built ? 0 : 1);
