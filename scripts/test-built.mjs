// `node scripts/test-built.mjs`: the tests of the package under this Node.js, on an addon that was
// built elsewhere and lies in the checkout. Needs no Rust.
import { nodeTests } from './node-tests.mjs';

process.exitCode = nodeTests(process.execPath) ? 0 : 1;
