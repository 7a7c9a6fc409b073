// `wasi-rs/register` in real processes: whatever way a program asks for `wasi`, it gets wasi-rs.
// Programs import the hook by the package's own name, from a folder where it is installed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTree, withFolder } from './support/tree.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const GUEST = fileURLToPath(new URL('guests/exit-code.wasm', import.meta.url));
const LIMIT = 60_000;

// Each form prints one line: its name, and whether what it got is wasi-rs.
const SAY = `const say = (form, wasi) => console.log(form + ': ' + (wasi.WASI === ours.WASI ? 'wasi-rs' : 'node:wasi'));\n`;
const CJS = `const ours = require('wasi-rs');\n${SAY}`;
const ESM = `import ours from 'wasi-rs';\n${SAY}`;

const forms = {
  'require.cjs': `'use strict';
    ${CJS}
    say('require wasi', require('wasi'));
    say('require node:wasi', require('node:wasi'));
    say('module.require', module.require('node:wasi'));
    say('createRequire', require('node:module').createRequire(__filename)('wasi'));
    if (process.getBuiltinModule) {
      say('getBuiltinModule wasi', process.getBuiltinModule('wasi'));
      say('getBuiltinModule node:wasi', process.getBuiltinModule('node:wasi'));
      console.log(process.getBuiltinModule('node:fs') === require('fs'), process.getBuiltinModule('none'));
    }
    import('node:wasi').then((wasi) => say('import() from CommonJS', wasi));`,
  'import.mjs': `import { createRequire } from 'node:module';
    import wasi, { WASI } from 'node:wasi';
    import bare from 'wasi';
    import * as all from 'node:wasi';
    import nested from './nested.cjs';
    ${ESM}
    say('import default', wasi);
    say('import { WASI }', { WASI });
    say('import bare', bare);
    say('import *', all);
    say('import * default', all.default);
    say('import()', await import('node:wasi'));
    say('import() bare', await import('wasi'));
    say('createRequire', createRequire(import.meta.url)('node:wasi'));
    say('require in an imported module', nested);`,
  'nested.cjs': `module.exports = require('node:wasi');`,
};

const workers = {
  'worker.cjs': `${CJS} say('require', require('node:wasi')); import('wasi').then((wasi) => say('import()', wasi));`,
  'worker.mjs': `import wasi from 'node:wasi'; ${ESM} say('import', wasi);`,
  'nesting.cjs': `new (require('node:worker_threads').Worker)(require('node:path').join(__dirname, 'worker.cjs'));`,
};

const CJS_TEXT = `${CJS} say('text', require('node:wasi'));`;
const startWorkers = `
  import path from 'node:path';
  import threads, { Worker, SHARE_ENV } from 'node:worker_threads';
  const at = (name) => path.join(import.meta.dirname ?? process.cwd(), name);
  const text = ${JSON.stringify(CJS_TEXT)};
  class Derived extends Worker {}
  const kinds = {
    plain: [at('worker.cjs')],
    module: [at('worker.mjs')],
    url: [new URL('worker.mjs', import.meta.url)],
    text: [text, { eval: true }],
    'strict text': ["'use strict'; if ((function () { return this; })() === undefined) " + '{' + text + '}', { eval: true }],
    'text, own options': [text, { eval: true, execArgv: ['--no-deprecation'] }],
    'own options': [at('worker.cjs'), { execArgv: [] }],
    'module, own options': [at('worker.mjs'), { execArgv: ['--no-deprecation'] }],
    'own environment': [at('worker.cjs'), { env: { A: 'a' } }],
    'module, own environment': [at('worker.mjs'), { env: process.env }],
    'shared environment': [at('worker.cjs'), { env: SHARE_ENV }],
    nested: [at('nesting.cjs'), { execArgv: [] }],
  };
  for (const [kind, args] of Object.entries(kinds)) {
    const worker = kind === 'plain' ? new threads.Worker(...args) : new Derived(...args);
    if (!(worker instanceof Worker)) console.log(kind + ': not an instance');
    console.log('[' + kind + ']');
    await new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve));
  }`;

const runGuest = `
  import fs from 'node:fs';
  import { WASI } from 'node:wasi';
  const wasi = new WASI({ version: 'preview1', args: ['guest', '42'] });
  const module = new WebAssembly.Module(fs.readFileSync(${JSON.stringify(GUEST)}));
  const code = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
  console.log(code, typeof wasi.close);`;

/** Runs a program, and gives back its lines. */
async function run(folder, args, { flags = [], env = {} } = {}) {
  const ours = { ...process.env, ...env };
  delete ours.NODE_TEST_CONTEXT;
  if (!env.NODE_OPTIONS) delete ours.NODE_OPTIONS;
  const options = {
    cwd: folder,
    env: ours,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  };
  const child = spawn(process.execPath, [...flags, ...args], options);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      texts[name] += text;
    });
  }
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (...how) => resolve(how));
  });
  assert.deepEqual([code, signal, texts.stderr], [0, null, ''], texts.stdout);
  return texts.stdout.trim().split('\n');
}

/** Every line that says what a form got says wasi-rs; the names of those forms. */
function allOurs(lines) {
  const told = lines.filter((line) => line.includes(': '));
  assert.deepEqual(
    told.filter((line) => !line.endsWith(': wasi-rs')),
    [],
  );
  return told.map((line) => line.slice(0, line.lastIndexOf(':')));
}

function withProgram(files, use) {
  return withFolder(async (folder) => {
    makeTree(folder, { ...files, node_modules: {} });
    fs.symlinkSync(PACKAGE, path.join(folder, 'node_modules/wasi-rs'), 'junction');
    return use(folder);
  });
}

for (const flag of ['--require', '--import']) {
  const hook = { flags: [flag, 'wasi-rs/register'] };

  describe(`${flag} wasi-rs/register`, () => {
    it('serves CommonJS', () =>
      withProgram(forms, async (folder) => {
        const lines = await run(folder, ['require.cjs'], hook);
        const names = ['require wasi', 'require node:wasi', 'module.require', 'createRequire'];
        if (process.getBuiltinModule)
          names.push('getBuiltinModule wasi', 'getBuiltinModule node:wasi');
        assert.deepEqual(allOurs(lines), [...names, 'import() from CommonJS']);
        assert.equal(lines.includes('true undefined'), Boolean(process.getBuiltinModule));
      }));

    it('serves ES modules', () =>
      withProgram(forms, async (folder) => {
        const names = allOurs(await run(folder, ['import.mjs'], hook));
        assert.equal(names.length, 9);
      }));

    it('serves code given on the command line', () =>
      withProgram({}, async (folder) => {
        const cjs = `${CJS} say('text', require('wasi'));`;
        assert.deepEqual(allOurs(await run(folder, ['--eval', cjs], hook)), ['text']);
        const esm = `import wasi from 'wasi'; ${ESM} say('module', wasi);`;
        const flags = ['--input-type=module', '--eval', esm];
        assert.deepEqual(allOurs(await run(folder, flags, hook)), ['module']);
      }));

    it('serves Workers, however they are started', () =>
      withProgram({ ...workers, 'main.mjs': startWorkers }, async (folder) => {
        const lines = await run(folder, ['main.mjs'], hook);
        allOurs(lines);
        const cjs = ['require: wasi-rs', 'import(): wasi-rs'];
        const expected = {
          plain: cjs,
          module: ['import: wasi-rs'],
          url: ['import: wasi-rs'],
          text: ['text: wasi-rs'],
          'strict text': ['text: wasi-rs'],
          'text, own options': ['text: wasi-rs'],
          'own options': cjs,
          'module, own options': ['import: wasi-rs'],
          'own environment': cjs,
          'module, own environment': ['import: wasi-rs'],
          'shared environment': cjs,
          nested: cjs,
        };
        const wanted = Object.entries(expected).flatMap(([kind, said]) => [`[${kind}]`, ...said]);
        assert.deepEqual(lines, wanted);
      }));

    it('runs a guest without a warning', () =>
      withProgram({ 'main.mjs': runGuest }, async (folder) => {
        assert.deepEqual(await run(folder, ['main.mjs'], hook), ['before', '42 function']);
      }));

    it('works from NODE_OPTIONS', () =>
      withProgram({ ...forms, ...workers, 'main.mjs': startWorkers }, async (folder) => {
        const env = { NODE_OPTIONS: `${flag} wasi-rs/register` };
        assert.equal(allOurs(await run(folder, ['import.mjs'], { env })).length, 9);
        assert.equal(allOurs(await run(folder, ['main.mjs'], { env })).length, 17);
      }));
  });
}

describe('the hook', () => {
  it('may be loaded twice', () =>
    withProgram(forms, async (folder) => {
      const flags = ['--require', 'wasi-rs/register', '--import', 'wasi-rs/register'];
      assert.equal(allOurs(await run(folder, ['import.mjs'], { flags })).length, 9);
    }));

  it('may be loaded by the program itself, and reaches what was imported before', () =>
    withProgram({}, async (folder) => {
      const code = `import wasi, { WASI } from 'node:wasi';
        ${ESM}
        await import('wasi-rs/register');
        say('default', wasi);
        say('named', { WASI });
        console.log(Object.keys(await import('wasi')).join());`;
      const flags = ['--no-warnings', '--input-type=module', '--eval', code];
      const lines = await run(folder, flags);
      assert.deepEqual(lines, ['default: wasi-rs', 'named: wasi-rs', 'WASI,default']);
    }));

  for (const [kind, flags] of [
    ['', []],
    [', which has flags that no Worker takes', ['--expose-gc', '--title=a', '--conditions=b']],
  ]) {
    it(`serves the Workers of a program that loads it itself${kind}`, () =>
      withProgram(
        {
          ...workers,
          'main.mjs': startWorkers,
          'self.cjs': "require('wasi-rs/register'); import('./main.mjs');",
        },
        async (folder) => {
          const lines = await run(folder, ['self.cjs'], { flags });
          assert.equal(allOurs(lines).length, 17);
        },
      ));
  }

  it('serves the Workers of a program that loads it itself, from the command line', () =>
    withProgram(workers, async (folder) => {
      const code = `require('wasi-rs/register');
        new (require('node:worker_threads').Worker)('./worker.cjs');`;
      assert.deepEqual(await run(folder, ['--no-warnings', '--eval', code]), [
        'require: wasi-rs',
        'import(): wasi-rs',
      ]);
    }));

  const noBun = !process.versions.bun && 'Node has no Worker of the web';
  it('serves the Workers of the web, which are another class', { skip: noBun }, () =>
    withProgram(workers, async (folder) => {
      const code = `require('wasi-rs/register');
        const worker = new globalThis.Worker('./worker.cjs');
        worker.addEventListener('close', () => process.exit());`;
      assert.deepEqual(await run(folder, ['--eval', code]), [
        'require: wasi-rs',
        'import(): wasi-rs',
      ]);
    }),
  );

  it('leaves other modules and Workers as they are', () =>
    withProgram({}, async (folder) => {
      const code = `
        const { Worker } = require('node:worker_threads');
        console.log(require('node:fs') === process.mainModule?.require('fs') || typeof require('fs').readFileSync);
        for (const wrong of [[], [1], ['x', { execArgv: 1 }]]) {
          try { new Worker(...wrong); console.log('started'); } catch (error) { console.log(error.code); }
        }
        new Worker('require("node:worker_threads").parentPort.postMessage(process.env.A + process.argv[2])', {
          eval: true, env: { A: 'a' }, argv: ['b'],
        }).once('message', console.log);`;
      const plain = await run(folder, ['--eval', code]);
      const hooked = await run(folder, ['--eval', code], {
        flags: ['--require', 'wasi-rs/register'],
      });
      assert.deepEqual(hooked, plain);
      assert.equal(plain.at(-1), 'ab');
    }));
});

describe('the code of a Worker that is text', () => {
  const seen = async (code, flags) =>
    withProgram({}, (folder) =>
      run(
        folder,
        [
          '--no-warnings',
          '--eval',
          `new (require('node:worker_threads').Worker)(${JSON.stringify(code)}, { eval: true })
            .on('message', console.log).on('error', (error) => console.log(error.message))`,
        ],
        { flags },
      ),
    );
  const REGISTER = ['--require', 'wasi-rs/register'];
  const HOOKED = "const hooked = 'close' in require('node:wasi').WASI.prototype;";
  // Whether the code is strict, in which line it is, and whether it is hooked.
  const TELL = `${HOOKED} require('node:worker_threads').parentPort.postMessage([(function () { return this === undefined; })(), /:(\\d+):/.exec(new Error().stack.split('\\n')[1])[1], hooked].join());`;

  for (const [name, head, strict, line] of [
    ['nothing', '', false, 1],
    ['a hashbang', '#!/usr/bin/env node\n', false, 2],
    ['a hashbang with CRLF and strict', "#!/usr/bin/env node\r\n'use strict';\n", true, 3],
    ['strict', "'use strict';", true, 1],
    ['strict without a semicolon', '"use strict"\n', true, 2],
    ['strict behind comments', "// one\n/* two\n */ 'use strict';\n", true, 4],
    ['strict behind a directive', "'use something';\n'use strict';\n", true, 3],
    ['a comment that says strict', "// 'use strict';\n", false, 2],
    ['comments around code', "/* a */ void 0; /* b */ 'use strict';\n", false, 2],
    ['a string that is part of more', "'use strict'.length;\n", false, 2],
    ['a string that is no directive', "void 0; 'use strict';\n", false, 2],
    ['a hashbang that says strict', "#!'use strict';\n", false, 2],
  ]) {
    it(`runs as it was written, with ${name} in front`, async () => {
      const code = head + TELL;
      assert.deepEqual(await seen(code, []), [`${strict},${line},false`], 'without the hook');
      assert.deepEqual(await seen(code, REGISTER), [`${strict},${line},true`], 'with it');
    });
  }
});

describe('options that are not known', () => {
  it('are passed over under the hook, also where they come near', () =>
    withProgram({}, async (folder) => {
      const code = `new (require('node:wasi').WASI)({ version: 'preview1', preopen: {}, timeout: 1, stats: true });
        console.log('made');`;
      const flags = ['--require', 'wasi-rs/register'];
      assert.deepEqual(await run(folder, ['--no-warnings', '--eval', code], { flags }), ['made']);
    }));
});

// The outcome of the tests above if the hook did nothing.
describe('without the hook', () => {
  it('programs get node:wasi', () =>
    withProgram({}, async (folder) => {
      const code = `${CJS} say('text', require('wasi'));`;
      assert.deepEqual(await run(folder, ['--no-warnings', '--eval', code]), ['text: node:wasi']);
    }));
});
