// `node scripts/audit.mjs [--cargo] [--npm]`: known faults in dependencies. By default asks both:
// cargo deny, by the rules in deny.toml, and npm's registry.
import { join } from 'node:path';
import { fail, npm, requireCargo, root, run, say } from './process.mjs';

const CARGO_DENY = '0.20.2';

const named = process.argv.slice(2);
const wanted = named.length > 0 ? named : ['--cargo', '--npm'];
for (const name of wanted) {
  if (name === '--cargo') cargoDeny();
  else if (name === '--npm') npmAudit();
  else fail(`no such option: ${name}`);
}

function cargoDeny() {
  requireCargo();
  const tools = join(root, 'target', 'tools');
  const install = ['install', 'cargo-deny', '--locked', '--version', CARGO_DENY, '--root', tools];
  if (!run('cargo', [...install, '--quiet'])) fail('cargo-deny could not be installed');
  say('cargo deny check');
  if (!run(join(tools, 'bin', 'cargo-deny'), ['check'])) process.exitCode = 1;
}

function npmAudit() {
  say('npm audit');
  if (!npm(['audit', '--audit-level=low'])) process.exitCode = 1;
}
