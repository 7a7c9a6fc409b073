// The package at work, in two programs: see the headings that it prints.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WASI } from '../index.js';

const here = path.dirname(fileURLToPath(import.meta.url));

function heading(text) {
  console.log(`\n${text}\n${'='.repeat(text.length)}`);
}

function indented(text) {
  return text.replace(/^(?=.)/gm, '  ');
}

async function run(file, options) {
  const wasi = new WASI({ version: 'preview1', ...options });
  const module = await WebAssembly.compile(fs.readFileSync(path.join(here, file)));
  const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
  const code = wasi.start(instance);
  wasi.close();
  return code;
}

const SECRET = 'for the host alone';

// What the guest may read, with one link that stays inside and one that leads out.
function makeWorld(root) {
  const input = path.join(root, 'input');
  fs.mkdirSync(path.join(input, 'notes', 'old'), { recursive: true });
  fs.mkdirSync(path.join(root, 'output'));
  fs.writeFileSync(
    path.join(input, 'poem.txt'),
    'A guest may read\nwhat it was given,\nand no more.\n',
  );
  fs.writeFileSync(path.join(input, 'notes', 'monday.txt'), 'rain\n');
  fs.writeFileSync(path.join(input, 'notes', 'tuesday.txt'), 'rain\nsun\n');
  fs.writeFileSync(path.join(input, 'notes', 'old', 'sunday.txt'), 'snow\n'.repeat(40));
  fs.symlinkSync('notes/tuesday.txt', path.join(input, 'latest'));
  fs.writeFileSync(path.join(root, 'secret.txt'), `${SECRET}\n`);
  fs.symlinkSync('../secret.txt', path.join(input, 'way-out'));
}

async function main(root) {
  heading('1. The smallest program: demo.wat');
  console.log('It writes one line to its stdout:\n');
  const hello = await run('demo.wasm', { args: ['demo'] });
  console.log(`\nexit code ${hello}`);

  heading('2. A real program: report.c');
  makeWorld(root);
  console.log(`A C program gets two directories of the host:

  guest      host
  /input     ${path.join(root, 'input')}
  /output    ${path.join(root, 'output')}

It walks /input, reads every file, and writes a report to /output. Beside the two
lies secret.txt, and /input/way-out is a symbolic link to it. The guest tries that
link, and two paths with "..". Its output:
`);
  const code = await run('report.wasm', {
    args: ['report'],
    preopens: { '/input': path.join(root, 'input'), '/output': path.join(root, 'output') },
  });
  console.log(`\nexit code ${code}`);

  heading('3. What the host finds afterwards');
  const report = fs.readFileSync(path.join(root, 'output', 'report.txt'), 'utf8');
  console.log(`${path.join(root, 'output', 'report.txt')}:\n\n${indented(report)}`);
  const throughLink = fs.readFileSync(path.join(root, 'input', 'way-out'), 'utf8').trim();
  const refused = /way-out +refused/.test(report) && !report.includes(SECRET);
  const kept = fs.readFileSync(path.join(root, 'secret.txt'), 'utf8') === `${SECRET}\n`;
  console.log(`read through the link by the host    "${throughLink}"`);
  console.log(
    `read through the link by the guest   ${refused ? 'refused, as the report says' : 'NOT REFUSED'}`,
  );
  console.log(`secret.txt                           ${kept ? 'as it was' : 'CHANGED'}`);

  if (hello !== 0 || code !== 0 || !refused || !kept) process.exitCode = 1;
}

const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-demo-')));
try {
  await main(root);
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
