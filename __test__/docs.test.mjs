// Runs the documentation: each JavaScript block and each command of README.md and docs/, in a
// folder of its own where the package is installed. Compares links and names with the files.
//
// In a JavaScript block, `// prints TEXT` says which lines it prints. In a console block the lines
// below a command are what it prints. Fixtures stand in the folder under the names that the pages
// use.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { sources } from '../scripts/process.mjs';
import { blocksOf } from './support/pages.mjs';

const require = createRequire(import.meta.url);
const { errnos, functions } = require('../binding.js').table;
const manifest = require('../package.json');
const wabt = await require('wabt')();

const root = fileURLToPath(new URL('..', import.meta.url));
const LIMIT = 60_000;
/** Paths of a reader's machine, and where they lie in a block's folder. */
const PLACEHOLDERS = { '/some/real/path': 'data' };

const read = (file) => readFileSync(join(root, file), 'utf8');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];

test('there are the pages that a reader looks for', () => {
  assert.deepEqual(
    [
      'api',
      'cli',
      'coming-from',
      'components',
      'embedding',
      'filesystems',
      'limits',
      'migration',
      'platforms',
      'preview1',
      'recipes',
      'run',
      'sandbox',
      'sockets',
      'threads',
      'waiting',
    ].filter((name) => !pages.includes(`docs/${name}.md`)),
    [],
  );
});

test('ARCHITECTURE.md names each file of lib/, and no other', () => {
  const [, javascript] = /^## JavaScript\n(.*?)^## /ms.exec(read('ARCHITECTURE.md'));
  const rows = javascript.split('\n').filter((line) => line.startsWith('| '));
  const patterns = rows.flatMap((row) =>
    Array.from(row.slice(row.indexOf('|', 1)).matchAll(/`([\w*-]+\.js)`( beside)?/g))
      .filter(([, , beside]) => beside === undefined)
      .map(([, name]) => new RegExp(`^${name.replace('.', '\\.').replace('*', '.*')}$`)),
  );
  const files = readdirSync(join(sources, 'lib')).filter((name) => name.endsWith('.js'));
  assert.deepEqual(
    files.filter((name) => !patterns.some((pattern) => pattern.test(name))),
    [],
  );
  assert.deepEqual(
    patterns.filter((pattern) => !files.some((name) => pattern.test(name))),
    [],
  );
  // It is read in five minutes, at 250 words a minute.
  assert.ok(read('ARCHITECTURE.md').split(/\s+/).length < 1300);
});

/** It measures Node. */
const noBench = process.versions.bun || process.versions.deno;
test('npm run bench refuses what it cannot keep, before it measures', { skip: noBench }, () => {
  for (const [args, refused] of [
    ['run.mjs --instances --rounds 0', '--rounds has to be'],
    ['run.mjs --rounds 1.5', '--rounds has to be'],
    ['whole.mjs instances --rounds x', '--rounds has to be'],
    ['run.mjs --threads --filter (', '--filter: Invalid regular expression'],
    ['run.mjs --instances --folder .', '--folder cannot be given with --instances'],
    ['run.mjs --components --check', '--check cannot be given with --components'],
    ['run.mjs --against . --update', '--update cannot be given with --against'],
    ['run.mjs --against docs', 'docs is no checkout'],
    ['whole.mjs nothing', 'nothing: no such series'],
  ]) {
    const [script, ...options] = args.split(' ');
    const command = [join(root, 'bench', script), ...options];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, {
      encoding: 'utf8',
      timeout: LIMIT,
    });
    assert.deepEqual([status, stdout], [1, ''], args);
    assert.ok(stderr.includes(refused), `${args}: ${stderr}`);
  }
});

test('the figures of README.md, RATIONALE.md and bench/README.md are those that are kept', () => {
  const ratios = Object.values(JSON.parse(read('bench/ratios.json')));
  const whole = JSON.parse(read('bench/whole-ratios.json'));
  const range = (values, digits) => {
    const ends = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
    return ends[0] === ends[1] ? ends[0] : ends.join(' to ');
  };
  const row = (name) => ratios.map((each) => each[name]);
  const means = ratios.map((each) => {
    const logs = Object.values(each).map(Math.log);
    return Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length);
  });
  const counts = new Set(ratios.map((each) => Object.keys(each).length));
  const listing = range(row('fd_readdir 100000 entries, 4 KiB buffer'), 4);
  const first = range(row('instantiate + 20 functions, the first call of each'), 2);
  const opening = ['1 component', '5 components'].flatMap((n) => row(`path_open + fd_close, ${n}`));
  const start = range(row('require + new WASI() + instantiate + 20 calls'), 1);
  const instance = 'an instance of hello world';
  const instances = Object.values(whole).map((each) => each[instance]);
  const others = ['a process with 20 calls', instance, 'two threads'];
  const programs = Object.keys(whole[24]).filter((name) => !others.includes(name));
  const published = range(
    programs.map((name) => whole[24][name]),
    2,
  );
  for (const [file, expected] of Object.entries({
    'README.md': [
      `geometric mean of ${[...counts]} rows | ${range(means, 2)} |`,
      `4 KiB buffer | ${listing}: it is linear`,
      `Instantiation and first calls together take ${first} of`,
      `Published programs on Node 24 take ${published} times as long`,
    ],
    'bench/README.md': [
      `of the kept ratios is between ${range(means, 2).replace(' to ', ' and ')} on`,
      `The instantiation with the first calls takes ${first} of`,
      `of the host's own streams is at ${range(row('fd_fdstat_get, stdio'), 2)} for`,
      `\`path_open\` with \`fd_close\` at ${range(opening, 2)} (`,
      `an instance and 20 calls, takes ${start} times as long`,
      `and ${range(instances, 2)} of \`node:wasi\`'s time (\`--instances\`)`,
      `take ${published} of \`node:wasi\`'s time on Node.js 24`,
    ],
  })) {
    const page = read(file).replaceAll(/\s+/g, ' ');
    const missing = expected.filter((text) => !page.includes(text));
    assert.deepEqual(missing, [], `${file}: npm run bench -- --update has changed them`);
  }
  const [on20, on22, on24, on26] = row('clock_time_get').map((value) => value.toFixed(2));
  const clock =
    `\`clock_time_get\` takes ${on20} times as long on Node 20 and ${on22} times on Node 22, ` +
    `and ${on24} and ${on26} times on Node 24 and 26`;
  assert.ok(read('RATIONALE.md').replaceAll(/\s+/g, ' ').includes(clock), clock);
});

/** Pages whose blocks take jco: __test__/components runs them. */
const APART = ['docs/components.md'];

for (const page of pages.filter((name) => !APART.includes(name))) {
  for (const [index, { language, isTagged, code, line }] of blocksOf(read(page)).entries()) {
    // Blocks of a recipe are run by scripts/pack-test.mjs, which fetches what they need.
    if (isTagged) continue;
    // A guest that suspends takes JSPI.
    const skip =
      language === 'js' && code.includes('suspend: true') && !WebAssembly.Suspending
        ? 'JSPI is there from Node.js 24.20 on'
        : false;
    test(`${page}: block ${index + 1} (${language}), line ${line}`, { skip }, () => {
      const check = { js: runScript, console: runConsole, text: () => {} }[language];
      assert.ok(check, `a block is js, console or text, not '${language}'`);
      withFolder((folder) => check(code, folder));
    });
  }
}

function runScript(code, folder) {
  let script = code;
  for (const [path, name] of Object.entries(PLACEHOLDERS)) {
    script = script.replaceAll(path, join(folder, name));
  }
  const file = join(folder, /^import |^(const .* = )?await /m.test(code) ? 'app.mjs' : 'app.cjs');
  writeFileSync(file, script);
  const stdout = run(process.execPath, [file], folder);
  const printed = Array.from(code.matchAll(/\/\/ prints (.*)/g), ([, text]) => text);
  if (printed.length > 0) assert.deepEqual(linesOf(stdout), printed);
}

function runConsole(code, folder) {
  for (const part of code.split(/^\$ /m).slice(1)) {
    const [command, ...expected] = linesOf(part);
    const [program, ...words] = command.split(' ');
    if (program === 'npm' && words[0] === 'install') {
      assert.deepEqual(words.slice(1), [manifest.name]);
    } else if (program === 'npm') {
      const script = words[0] === 'run' ? words[1] : words[0];
      assert.ok(manifest.scripts[script], `no such npm script: ${script}`);
    } else {
      assert.ok(program === 'node' || (program === 'npx' && words[0] === 'wasi-rs'), command);
      const args =
        program === 'npx' ? [join(root, manifest.bin['wasi-rs']), ...words.slice(1)] : words;
      const stdout = run(process.execPath, args, folder);
      if (expected.length > 0) assert.deepEqual(linesOf(stdout), expected);
    }
  }
}

function linesOf(text) {
  return text.split('\n').filter((line) => line !== '');
}

/** Runs a program, which must succeed and complain of nothing. */
function run(file, args, cwd) {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { error, status, signal, stdout, stderr } = spawnSync(file, args, {
    cwd,
    env,
    encoding: 'utf8',
    input: '',
    timeout: LIMIT,
  });
  assert.ifError(error);
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
  return stdout;
}

/** Gives a folder with the package and the fixtures. */
function withFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'wasi-rs-docs-'));
  try {
    mkdirSync(join(folder, 'node_modules'));
    writeFileSync(
      join(folder, 'package.json'),
      `{ "dependencies": { "${manifest.name}": "*" } }\n`,
    );
    symlinkSync(root, join(folder, 'node_modules', manifest.name), 'junction');
    for (const name of ['data', 'output']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'data', 'notes.txt'), 'one\ntwo\n');
    writeFileSync(join(folder, 'config.json'), '{}\n');
    copyFileSync(join(root, 'demo/demo.wasm'), join(folder, 'demo.wasm'));
    copyFileSync(join(root, 'demo/demo.wasm'), join(folder, 'program.wasm'));
    copyFileSync(join(root, 'demo/report.wasm'), join(folder, 'report.wasm'));
    copyFileSync(join(root, 'demo/sleeper.wasm'), join(folder, 'sleeper.wasm'));
    copyFileSync(join(root, '__test__/guests/reactor.wasm'), join(folder, 'reactor.wasm'));
    copyFileSync(
      join(root, '__test__/guests/servers/http-blocking.wasm'),
      join(folder, 'server.wasm'),
    );
    writeFileSync(join(folder, 'threads.wasm'), threadsGuest());
    writeFileSync(join(folder, 'endless.wasm'), endlessGuest());
    writeFileSync(join(folder, 'app.js'), APP);
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A program that knows nothing of this package. */
const APP = `const { readFileSync } = require('node:fs');
const { WASI } = require('node:wasi');
const wasi = new WASI({ version: 'preview1' });
const wasm = new WebAssembly.Module(readFileSync('demo.wasm'));
wasi.start(new WebAssembly.Instance(wasm, { wasi_snapshot_preview1: wasi.wasiImport }));
`;

/** Its thread writes a line; the main one waits for it. */
function threadsGuest() {
  return wat(`(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "env" "memory" (memory 1 1 shared))
    (data (i32.const 0) "\\20\\00\\00\\00\\0d\\00\\00\\00")
    (data (i32.const 32) "from a thread")
    (func (export "_start")
      (if (i32.le_s (call $spawn (i32.const 0)) (i32.const 0)) (then (unreachable)))
      (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
    (func (export "wasi_thread_start") (param i32 i32)
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
      (i32.atomic.store (i32.const 64) (i32.const 1))
      (drop (memory.atomic.notify (i32.const 64) (i32.const 1)))))`);
}

function endlessGuest() {
  return wat(`(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))`);
}

function wat(text) {
  return wabt.parseWat('guest.wat', text, { threads: true }).toBinary({}).buffer;
}

// --- Names and links -----------------------------------------------------------------------------

/** Made by tools, or not ours. */
const SKIPPED = new Set(['node_modules', 'target', '.git', '.cache', 'corpus', 'artifacts']);

function markdownBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : markdownBelow(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(markdown) {
  const headings = markdown.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.*)$/gm);
  return Array.from(headings, ([, text]) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

for (const path of markdownBelow(root)) {
  const name = relative(root, path);
  const markdown = readFileSync(path, 'utf8');

  test(`${name}: links lead somewhere`, () => {
    const prose = markdown.replace(/^```[^]*?^```/gm, '');
    const broken = Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file, anchor] = link.split('#');
        const target = file === '' ? path : join(dirname(path), decodeURIComponent(file));
        if (!existsSync(target)) return true;
        return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
      });
    assert.deepEqual(broken, []);
  });

  test(`${name}: npm scripts exist`, () => {
    const scripts = Array.from(markdown.matchAll(/\bnpm run ([\w:-]+)/g), ([, script]) => script);
    assert.deepEqual(
      scripts.filter((script) => !Object.hasOwn(manifest.scripts, script)),
      [],
    );
  });
}

test('CONTRIBUTING.md names each script, and nothing names another', () => {
  const scripts = readdirSync(join(root, 'scripts')).filter((name) => name.endsWith('.mjs'));
  const namedIn = (file) =>
    Array.from(read(file).matchAll(/\bscripts\/([\w-]+\.mjs)/g), ([, name]) => name);
  assert.deepEqual([...new Set(namedIn('CONTRIBUTING.md'))].sort(), scripts.sort());
  const workflows = readdirSync(join(root, '.github/workflows'));
  const users = [
    ...workflows.map((name) => `.github/workflows/${name}`),
    'package.json',
    'deny.toml',
  ];
  const named = [...markdownBelow(root).map((path) => relative(root, path)), ...users].flatMap(
    namedIn,
  );
  assert.ok(named.length > scripts.length);
  assert.deepEqual(
    named.filter((name) => !scripts.includes(name)),
    [],
  );
});

test('docs/preview1.md has a row for each function, with errnos that exist', () => {
  const rows = Array.from(read('docs/preview1.md').matchAll(/^\| `(\w+)\(.*?\).*?` \|(.*)\|$/gm));
  assert.deepEqual(
    rows.map(([, name]) => name),
    Object.keys(functions),
  );
  for (const [, name, rest] of rows) {
    const [status, named, ...more] = rest.split(/(?<!\\)\|/);
    assert.equal(more.length, 1, `${name}: four columns`);
    assert.match(status.trim(), /^(complete|refused)$/, name);
    const unknown = Array.from(named.matchAll(/`([a-z0-9]+)`/g), ([, errno]) => errno).filter(
      (errno) => !errnos.includes(errno),
    );
    assert.deepEqual(unknown, [], name);
  }
});

test('docs/preview1.md names the errnos that the functions themselves name', () => {
  const page = read('docs/preview1.md');
  // Above the table: what every function may give, and what those that take a path may give too.
  const [, every, paths] =
    /Every function may(.*?)Functions that take a path may(.*?)The last column/s.exec(page);
  const namesOf = (text) => Array.from(text.matchAll(/`([a-z0-9]+)`/g), ([, name]) => name);
  const named = new Map(
    Array.from(page.matchAll(/^\| `(\w+)\(.*?\).*?` \| \w+ \|(.*?)\|/gm), ([, name, text]) => [
      name,
      new Set(namesOf(text)),
    ]),
  );
  const sources = readdirSync(join(root, 'core/src/preview1'))
    .map((name) => read(`core/src/preview1/${name}`))
    .join('');
  const missing = [];
  const seen = new Set();
  const handler =
    /\/\/\/ # Errors\n((?:\/\/\/ .*\n)+)(?:(?:\/\/\/|#\[).*\n)*pub\(super\) fn (\w+)/g;
  for (const [, errors, name] of sources.matchAll(handler)) {
    if (!named.has(name)) continue;
    seen.add(name);
    const general = new Set(namesOf(name.startsWith('path_') ? every + paths : every));
    for (const [, list] of errors.matchAll(/^\/\/\/ - ([^:]+):/gm)) {
      for (const [, errno] of list.matchAll(/`(\w+)`/g)) {
        if (!general.has(errno) && !named.get(name).has(errno)) missing.push(`${name}: ${errno}`);
      }
    }
  }
  assert.ok(seen.size > 30, `${seen.size} functions were found`);
  assert.deepEqual(missing, []);
});

test('errnos have the numbers that the pages give them', () => {
  const wrong = pages.flatMap((page) =>
    Array.from(read(page).matchAll(/\b(\d+) (?:`([a-z0-9]+)`|\(([a-z0-9]+)\))/g))
      .filter(([, number, quoted, named]) => errnos[number - 1] !== (quoted ?? named))
      .map(([text]) => `${page}: ${text}`),
  );
  assert.deepEqual(wrong, []);
});

test('docs/cli.md has the options of the command line, and each is explained', () => {
  const options = (text) =>
    new Set(
      Array.from(text.matchAll(/--([a-z-]+)/g), ([, name]) => name)
        .filter((name) => name !== 'help' && name !== 'version')
        .sort(),
    );
  const { stdout } = spawnSync(process.execPath, [join(root, 'bin/wasi-rs.js'), '--help'], {
    encoding: 'utf8',
  });
  // The first column: the others have the options of other commands.
  const table = Array.from(
    read('docs/cli.md').matchAll(/^\| `(--[^`]*)` \|/gm),
    ([, text]) => text,
  );
  assert.deepEqual(options(table.join('\n')), options(stdout));
});

/** The options of an interface of index.d.ts, nested ones included. */
function optionsOf(name) {
  const [, declared] = read('index.d.ts').split(new RegExp(`export interface ${name}\\b`));
  const names = Array.from(
    declared.slice(0, declared.indexOf('\n}')).matchAll(/^ +(\w+)\?:/gm),
    ([, option]) => option,
  );
  assert.ok(names.length > 0, name);
  return names;
}

test('docs/limits.md has a row for each limit that there is', () => {
  const names = [...optionsOf('Limits'), ...optionsOf('ModuleLimits')];
  assert.ok(names.includes('openFiles') && names.includes('memoryBytes'));
  const rows = Array.from(
    read('docs/limits.md').matchAll(/^\|[^|]*\| `limits\.(\w+)` \|/gm),
    ([, name]) => name,
  );
  assert.deepEqual(rows.sort(), names.sort());
});

test('the options beyond those of Node are all explained', () => {
  const names = [
    ...optionsOf('EmbedderOptions'),
    ...optionsOf('CommonRunOptions'),
    ...optionsOf('RunOptions'),
    ...optionsOf('SpawnOptions'),
    ...optionsOf('PoolOptions'),
  ];
  assert.ok(names.includes('limits') && names.includes('timeoutMs'));
  const text = [
    'README.md',
    'docs/embedding.md',
    'docs/limits.md',
    'docs/run.md',
    'docs/sandbox.md',
  ]
    .map(read)
    .join('\n');
  assert.deepEqual(
    names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text)),
    [],
  );
});
