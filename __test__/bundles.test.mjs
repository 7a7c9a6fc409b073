// Programs in one file: what bundlers make of a program that runs guests works where the package is
// not. Each tool comes from npm, and is skipped where it was not fetched.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { HELLO } from './support/programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tool = (path) => join(root, '__test__', 'compat', 'node_modules', path);
const LIMIT = 120_000;

const { bun: isBun, deno: isDeno } = process.versions;
const notNode = (isBun || isDeno) && 'the tools run on Node';
const notFetched = (path) =>
  !existsSync(path) && `${path.split('node_modules/').pop()} was not fetched: npm run test:compat`;

/** Bun, as `npm run test:runtimes` fetches it. */
function findBun() {
  const folder = join(root, '.cache', 'runtimes');
  if (!existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((one) => one.startsWith('@oven-bun-'));
  if (name === undefined) return undefined;
  const scope = join(folder, name, 'node_modules', '@oven');
  return join(scope, readdirSync(scope)[0], 'bin', 'bun');
}

const APP = `
const { run, spawn, Pool } = require('wasi-rs');
const wasm = Buffer.from('${Buffer.from(HELLO).toString('hex')}', 'hex');
(async () => {
  for (const isolation of ['thread', 'process']) {
    try {
      const { reason, stdout } = await run(wasm, { isolation });
      console.log(isolation, reason, stdout);
    } catch (error) {
      console.log(isolation, error.code);
    }
  }
  const pool = new Pool({ size: 1 });
  console.log('pool', (await pool.run(wasm)).stdout);
  await pool.close();
  const guest = spawn(wasm);
  let text = '';
  for await (const chunk of guest.stdout) text += chunk;
  console.log('spawn', text, (await guest.exited).reason);
})();
`;
const ALL =
  'thread exit hello world\nprocess exit hello world\npool hello world\nspawn hello world exit\n';
const WITHOUT_PROCESS = ALL.replace('process exit hello world', 'process ERR_WASI_NO_PROCESS');

/** A folder with the program and the package beside it. */
function project(t) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'wasi-rs-bundle-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const home = join(folder, 'node_modules', 'wasi-rs');
  mkdirSync(home, { recursive: true });
  for (const name of readdirSync(root)) {
    if (/^(index|binding)\.js$|^lib$|^package\.json$|\.node$/.test(name)) {
      cpSync(join(root, name), join(home, name), { recursive: true });
    }
  }
  const starts = join(folder, 'starts');
  const noting = `require('node:fs').appendFileSync(${JSON.stringify(starts)}, 'x');`;
  writeFileSync(join(folder, 'app.cjs'), noting + APP);
  const done = (command, args, options) => {
    const result = spawnSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: LIMIT,
      input: '',
      ...options,
    });
    assert.equal(
      result.status,
      0,
      `${command} ${args.join(' ')}: ${result.error ?? ''}${result.stdout}${result.stderr}`,
    );
    return result.stdout;
  };
  return {
    folder,
    done,
    /** Runs a program where the package is not: once, as none runs again in the place of a guest. */
    alone: (command, args = []) => {
      const own = join(folder, 'alone');
      mkdirSync(own);
      renameSync(join(folder, 'node_modules'), join(folder, 'hidden'));
      const printed = done(command, args, { cwd: own });
      assert.equal(readFileSync(starts, 'utf8'), 'x');
      return printed;
    },
  };
}

async function esbuild(folder, options = {}) {
  const { build } = await import('esbuild');
  const outfile = join(folder, 'dist', 'app.cjs');
  const { errors, warnings } = await build({
    entryPoints: [join(folder, 'app.cjs')],
    outfile,
    bundle: true,
    platform: 'node',
    // The addon is copied beside the bundle.
    loader: { '.node': 'copy' },
    logLevel: 'silent',
    ...options,
  });
  assert.deepEqual([errors, warnings], [[], []]);
  return outfile;
}

test('esbuild', { skip: notNode }, async (t) => {
  const { folder, alone } = project(t);
  assert.equal(alone(process.execPath, [await esbuild(folder)]), ALL);
});

test('esbuild, as an ECMAScript module', { skip: notNode }, async (t) => {
  const { folder, alone } = project(t);
  const [, banner] = /--format=esm` also `--banner:js="(.*?)"`/.exec(
    readFileSync(join(root, 'docs', 'run.md'), 'utf8'),
  );
  const outfile = join(folder, 'dist', 'app.mjs');
  await esbuild(folder, { format: 'esm', banner: { js: banner }, outfile });
  assert.equal(alone(process.execPath, [outfile]), ALL);
});

const NCC = tool('@vercel/ncc/dist/ncc/cli.js');
const noNcc = crypto.hash === undefined && 'ncc needs a later Node';
test('ncc', { skip: notNode || noNcc || notFetched(NCC) }, (t) => {
  const { folder, done, alone } = project(t);
  done(process.execPath, [NCC, 'build', 'app.cjs', '-o', 'dist', '--no-cache']);
  assert.equal(alone(process.execPath, [join(folder, 'dist', 'index.cjs')]), ALL);
});

const POSTJECT = tool('postject/dist/cli.js');
/** Node 18 takes the program's text as it is. */
const isOldForm = process.version.startsWith('v18.');
const noSea =
  !isOldForm &&
  !process.allowedNodeEnvironmentFlags?.has('--experimental-sea-config') &&
  spawnSync(process.execPath, ['--experimental-sea-config', 'none'], {
    encoding: 'utf8',
  }).stderr.includes('bad option') &&
  'this Node makes no single executable applications';

test(
  'a single executable application of Node',
  {
    skip:
      notNode ||
      notFetched(POSTJECT) ||
      noSea ||
      (process.platform !== 'linux' && 'it must be signed'),
  },
  async (t) => {
    const { folder, done, alone } = project(t);
    // Its own `require` knows only what Node has.
    const banner = "require = require('node:module').createRequire(process.execPath);";
    const main = await esbuild(folder, { banner: { js: banner } });
    const config = { main, output: 'app.blob', disableExperimentalSEAWarning: true };
    writeFileSync(join(folder, 'sea.json'), JSON.stringify(config));
    if (!isOldForm) done(process.execPath, ['--experimental-sea-config', 'sea.json']);
    const program = join(dirname(main), 'program');
    copyFileSync(process.execPath, program);
    const [name, blob] = isOldForm ? ['NODE_JS_CODE', main] : ['NODE_SEA_BLOB', 'app.blob'];
    const fuse = `NODE_${isOldForm ? 'JS' : 'SEA'}_FUSE_fce680ab2cc467b6e072b8b5df1996b2`;
    done(process.execPath, [POSTJECT, program, name, blob, '--sentinel-fuse', fuse]);
    assert.equal(alone(program), WITHOUT_PROCESS);
  },
);

const BUN = isBun ? process.execPath : findBun();
test(
  'bun build --compile',
  { skip: isDeno || (BUN === undefined && 'Bun was not fetched: npm run test:runtimes') },
  (t) => {
    const { folder, done, alone } = project(t);
    const program = join(folder, 'program');
    done(BUN, ['build', '--compile', 'app.cjs', '--outfile', program]);
    // There spawn() runs guests in processes, too.
    assert.equal(alone(program), ALL);
  },
);
