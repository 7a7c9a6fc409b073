// The blocks of docs/components.md, in their order: a reader types one after the other, in a folder
// where the packages are installed. docs.test.mjs has the other pages.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { adapted, jcoCommand, project } from './prepare.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '../..');
const page = fs.readFileSync(path.join(root, 'docs/components.md'), 'utf8');
/** The programs that the page calls by `npx`. */
const COMMANDS = { jco: jcoCommand };

let folder;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-docs-'));
  project(folder);
  COMMANDS['wasi-rs'] = path.join(folder, 'node_modules/wasi-rs/bin/wasi-rs.js');
  const jco = path.join(folder, 'node_modules/@bytecodealliance/jco');
  fs.symlinkSync(path.join(here, 'node_modules/@bytecodealliance/jco'), jco, 'junction');
  fs.mkdirSync(path.join(folder, 'data'));
  fs.writeFileSync(path.join(folder, 'program.wasm'), await adapted('program-c'));
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

function run(args) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    input: 'input',
    timeout: 120_000,
    env: { ...process.env, NODE_OPTIONS: '', XDG_CACHE_HOME: path.join(folder, 'cache') },
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, `${stdout}\n${stderr}`);
  return stdout;
}

function runConsole(code) {
  for (const part of code.split(/^\$ /m).slice(1)) {
    const [program, ...words] = part.trim().split('\n')[0].split(' ');
    if (program === 'npm') {
      assert.deepEqual(words, ['install', 'wasi-rs', '@bytecodealliance/jco']);
      continue;
    }
    assert.equal(program, 'npx', part);
    const command = COMMANDS[words[0]];
    assert.ok(command, part);
    const stdout = run([command, ...words.slice(1)]);
    if (words[0] === 'wasi-rs')
      assert.match(stdout, /^arguments: \[program.wasm\] \[one\] \[two\]$/m);
  }
}

let scripts = 0;
function runScript(code) {
  const file = path.join(folder, `block-${scripts++}.mjs`);
  fs.writeFileSync(file, code);
  const stdout = run([file]);
  // A block that runs the program prints what that prints; it may say its exit code last.
  if (/program\.js/.test(code)) assert.match(stdout, /^arguments: \[program\]/);
  if (/console\.log/.test(code)) assert.match(stdout, /^0\n$|\n0\n$/);
}

const blocks = [...page.matchAll(/^```(\w*)\n([^]*?)^```$/gm)];
test('there are blocks', () => assert.ok(blocks.length >= 8, `${blocks.length}`));

for (const [index, [, language, code]] of blocks.entries()) {
  const skip =
    /suspend: true/.test(code) && typeof WebAssembly.Suspending !== 'function'
      ? 'JSPI is there from Node.js 24.20 on'
      : false;
  test(`block ${index + 1} (${language})`, { skip }, () => {
    const check = { js: runScript, console: runConsole }[language];
    assert.ok(check, `a block is js or console, not '${language}'`);
    check(code);
  });
}
