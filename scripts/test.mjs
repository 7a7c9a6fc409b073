// `npm test`: all tests, those of the core in Rust first.
import './setup.mjs';
import { newerNodeTests, nodeTests } from './node-tests.mjs';
import { requireCargo, run, say } from './process.mjs';

requireCargo();

say('testing the core: cargo test');
const core = run('cargo', ['test']);
say(`testing the package under Node.js ${process.versions.node}`);
const node = nodeTests(process.execPath);
const newer = newerNodeTests();

if (!core) console.error('error: tests of the core failed (above those of the package)');
process.exitCode = core && node && newer ? 0 : 1;
