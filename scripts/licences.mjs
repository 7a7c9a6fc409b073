// `node scripts/licences.mjs`: the licences of all dependencies, which must be among those that we
// accept. Of the crates that are part of the addon it writes THIRD-PARTY.md, which the package
// contains because their licences ask for it. With --check it compares that file instead.
//
// It stands in for cargo-about, which knows crates alone, and for which everyone who checks would
// have to build a program of 150 crates first: six minutes of processor time, and then more than 50
// seconds for each look at the texts of these 61 crates. This takes half a second, and packages of
// npm are looked at likewise.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fail, requireCargo, root } from './process.mjs';

const ACCEPTED = new Set([
  '0BSD',
  'Apache-2.0',
  'Apache-2.0 WITH LLVM-exception',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'PSF-2.0',
  'Unicode-3.0',
  'Unlicense',
  'Zlib',
]);
const NOTICE = 'THIRD-PARTY.md';
/** The beginning of the text of the Unlicense. */
const UNLICENSE = 'This is free and unencumbered software released into the public domain.';

const [option, ...more] = process.argv.slice(2);
const isCheck = option === '--check';
if ((option !== undefined && !isCheck) || more.length > 0) fail('the one option is --check');
requireCargo();
const { targets } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).napi;
const crates = linkedCrates();
const packages = npmPackages();

const refused = [...crates, ...packages].filter(({ licence }) => !accepts(licence));
for (const { name, version, licence } of refused) {
  console.error(`error: ${name} ${version} is under ${licence || 'no licence that it names'}`);
}

const text = notice();
if (isCheck) {
  if (fs.readFileSync(path.join(root, NOTICE), 'utf8') !== text) {
    fail(`${NOTICE} is not up to date: run \`npm run licences\``);
  }
} else {
  fs.writeFileSync(path.join(root, NOTICE), text);
}
for (const [what, list] of [
  ['crates in the addon', crates],
  ['npm packages for development', packages],
]) {
  const counts = new Map();
  for (const { licence } of list) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  console.log(`${list.length} ${what}:`);
  for (const [licence, count] of [...counts].sort(([, a], [, b]) => b - a)) {
    console.log(`${String(count).padStart(5)} ${licence}`);
  }
}
if (refused.length > 0) process.exitCode = 1;

/** An expression of SPDX, as far as dependencies use it: any of some, or all of some. */
function accepts(licence) {
  const words = licence.replace(/[()]/g, ' ').replaceAll('/', ' OR ');
  return words.split(/\s+AND\s+/).every((all) => {
    return all.split(/\s+OR\s+/).some((one) => ACCEPTED.has(one.trim()));
  });
}

/** The crates that are part of the addon on any platform: not those that only build it. */
function linkedCrates() {
  const found = new Map();
  for (const target of targets) {
    const { packages: all, resolve } = metadata(target);
    const byId = new Map(all.map((crate) => [crate.id, crate]));
    const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
    const seen = new Set();
    const visit = (id) => {
      if (seen.has(id)) return;
      seen.add(id);
      const crate = byId.get(id);
      // A procedural macro runs in the compiler, with all that it depends on.
      if (crate.targets.some(({ kind }) => kind.includes('proc-macro'))) return;
      // The crates of this workspace have no source.
      if (crate.source !== null) found.set(id, crate);
      for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
        if (kinds.some(({ kind }) => kind === null)) visit(pkg);
      }
    };
    visit(resolve.root);
  }
  return [...found.values()]
    .map(({ name, version, license, repository, manifest_path: manifest }) => ({
      name,
      version,
      licence: license ?? '',
      repository: repository ?? '',
      texts: licenceTexts(path.dirname(manifest)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function metadata(target) {
  const args = ['metadata', '--format-version=1', '--locked', '--filter-platform', target];
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 };
  const { status, stdout, stderr } = spawnSync('cargo', args, options);
  if (status !== 0) fail(`cargo metadata did not succeed: ${stderr}`);
  return JSON.parse(stdout);
}

/** The text of the licence that we use a crate under: MIT where it is offered. */
function licenceTexts(folder) {
  const names = fs.readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  const mit = names.filter((name) => /mit/i.test(name));
  return (mit.length > 0 ? mit : names)
    .sort()
    .map((name) => path.join(folder, name))
    .filter((place) => fs.statSync(place).isFile())
    .map((place) => fs.readFileSync(place, 'utf8').replaceAll('\r', '').trim());
}

function npmPackages() {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(([place]) => place !== '')
    .map(([place, { version, license }]) => ({
      name: place.split('node_modules/').pop(),
      version,
      licence: license ?? licenceByText(path.join(root, place)),
    }));
}

/** The licence of an installed package whose package.json names none, by the text that it has. */
function licenceByText(folder) {
  const [text = ''] = fs.existsSync(folder) ? licenceTexts(folder) : [];
  return text.startsWith(UNLICENSE) ? 'Unlicense' : '';
}

function notice() {
  const rows = crates.map(({ name, version, licence, repository }) => {
    return `| [${name}](${repository}) | ${version} | ${licence} |`;
  });
  const users = new Map();
  for (const { name, texts } of crates) {
    for (const each of texts) users.set(each, [...(users.get(each) ?? []), name]);
  }
  const texts = [...users].map(([each, names]) => {
    return `## ${names.join(', ')}\n\n\`\`\`\`text\n${each}\n\`\`\`\`\n`;
  });
  const without = crates.filter(({ texts }) => texts.length === 0).map(({ name }) => name);
  return `# Third-party licences

The addon contains these crates. Written by \`npm run licences\`.

| crate | version | licence |
| --- | --- | --- |
${rows.join('\n')}

${texts.join('\n')}
## ${without.join(', ')}

These are published without a file of their licence: see their repositories.
`;
}
