// The packages of a release, and their version.
//
//   node scripts/release.mjs [--tag vX.Y.Z] [--artifacts FOLDER] [--output FOLDER]
//                            [--publish | --dry-run]
//   node scripts/release.mjs preversion | version
//
// The first makes the packages in target/npm (`--output`) from addons that were built for all
// targets (below `artifacts`, if nothing else is named), by the conventions of napi-rs: one package
// for each platform, and this one, without an addon, that has them as optional dependencies. With
// --publish, it publishes them, this one last, so that it is never there without them; with
// --dry-run, npm does all but that. To publish needs the tag, which has to be that of the version.
//
// `npm version` runs the second. Before it changes anything, `preversion` looks whether the changelog
// has something unreleased. When npm has changed package.json and package-lock.json, `version` gives
// Cargo's manifest and lock files the same version, and what is unreleased in the changelog its
// heading. npm commits and tags it all.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { checkGlibc } from './elf.mjs';
import { describeTarget, fail, isMain, makeAnew, npm, own, parsedArguments } from './process.mjs';
import { platforms as platformNames, root, say, takesNoMore } from './process.mjs';

const LIBCS = { gnu: 'glibc', musl: 'musl' };
const OWN_CRATES = /(?<=name = "wasi-rs(?:-core)?"\nversion = ")[^"]+/g;

if (isMain(import.meta.url)) {
  const [job, ...more] = process.argv.slice(2);
  const other = { preversion: () => changesOfVersion(own.version), version: setVersion };
  if (Object.hasOwn(other, job)) {
    takesNoMore(job, more);
    other[job]();
  } else if (job !== undefined && !job.startsWith('-')) {
    fail(`${job}: the other jobs are preversion and version`);
  } else {
    await release(
      parsedArguments({
        options: {
          tag: { type: 'string' },
          artifacts: { type: 'string', default: 'artifacts' },
          output: { type: 'string', default: path.join('target', 'npm') },
          publish: { type: 'boolean', default: false },
          'dry-run': { type: 'boolean', default: false },
        },
      }).values,
    );
  }
}

async function release(options) {
  if (options.publish && options['dry-run']) fail('--publish and --dry-run exclude each other');
  checkVersions(options);
  const output = path.resolve(root, options.output);
  const built = filesBelow(path.resolve(root, options.artifacts));
  const made = [own.name, ...platformNames()];
  makeAnew(output, (names) => names.every((name) => made.includes(name)));
  const platforms = own.napi.targets.map((target) => platformPackage(target, built, output));
  const folders = [...platforms.map(({ folder }) => folder), await mainPackage(platforms, output)];
  for (const folder of folders) say(`made ${path.relative(root, folder)}`);
  if (!options.publish && !options['dry-run']) return;
  // Before the first is published: a version that is there cannot be mended.
  for (const { addon, abi } of platforms) if (abi === 'gnu') checkGlibc(addon);
  publish(folders, { isDryRun: options['dry-run'] });
}

function checkVersions({ tag, publish }) {
  const isAsTagged = tag === `v${own.version}`;
  if (!isAsTagged && (tag !== undefined || publish)) {
    fail(`package.json is of version ${own.version}; the tag is ${tag ?? 'not given'}`);
  }
  const cargo = fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8');
  if (/^version = "(.*)"$/m.exec(cargo)[1] !== own.version) {
    fail('Cargo.toml and package.json are not of the same version');
  }
  const changelog = fs.readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8');
  if (publish && !changelog.includes(`\n## ${own.version} (`)) {
    fail(`CHANGELOG.md has no heading for ${own.version}: npm version makes it`);
  }
}

/** The package with the addon for one target. */
function platformPackage(target, built, output) {
  const { system, cpu, abi, platform } = describeTarget(target);
  const main = `${own.napi.binaryName}.${platform}.node`;
  const addon = built.find((place) => path.basename(place) === main);
  if (addon === undefined) fail(`there is no ${main} among the artifacts`);

  const name = `${own.name}-${platform}`;
  const folder = path.join(output, platform);
  const description = {
    name,
    version: own.version,
    description: `The addon of ${own.name} for ${platform}`,
    license: own.license,
    repository: own.repository,
    engines: own.engines,
    os: [system],
    cpu: [cpu],
    ...(LIBCS[abi] ? { libc: [LIBCS[abi]] } : {}),
    type: 'commonjs',
    main,
    files: [main, 'THIRD-PARTY.md'],
  };
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
  fs.writeFileSync(path.join(folder, 'README.md'), `# ${name}\n\n${description.description}.\n`);
  fs.copyFileSync(addon, path.join(folder, main));
  for (const file of ['LICENSE', 'THIRD-PARTY.md']) {
    fs.copyFileSync(path.join(root, file), path.join(folder, file));
  }
  return { name, folder, addon, abi };
}

/** This package, without an addon: the platforms' packages have those. */
async function mainPackage(platforms, output) {
  // Loaded late, because `npm version` needs no bundler.
  const { makePackage } = await import('./package.mjs');
  const folder = path.join(output, own.name);
  const optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [name, own.version]));
  await makePackage(folder, { optionalDependencies });
  return folder;
}

function filesBelow(folder) {
  if (!fs.existsSync(folder)) fail(`there is no folder ${folder}`);
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const place = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(place) : [place];
  });
}

/**
 * Publishes packages in their order. One that is there already is left out, so that a release which
 * was broken off goes on where it stopped. In GitHub Actions npm signs where and from what each was
 * built, and knows by OIDC who publishes: there is no token.
 *
 * @param {string[]} folders those that others depend on first
 * @param {{ isDryRun: boolean }} options `isDryRun`: npm does all but to publish
 */
export function publish(folders, { isDryRun }) {
  for (const folder of folders) {
    const { name, version } = JSON.parse(
      fs.readFileSync(path.join(folder, 'package.json'), 'utf8'),
    );
    const isThere = isPublished(name, version);
    if (isThere && !isDryRun) {
      say(`${name}@${version} is published already`);
      continue;
    }
    say(`${isDryRun ? 'trying to publish' : 'publishing'} ${path.relative(root, folder)}`);
    const tag = distTag(version, registered(name, 'dist-tags.latest'));
    const flags = ['--access', 'public', '--ignore-scripts', '--tag', tag];
    if (isDryRun) flags.push('--dry-run', ...(isThere ? ['--force'] : []));
    else if (process.env.GITHUB_ACTIONS) flags.push('--provenance');
    if (!npm(['publish', ...flags], { cwd: folder })) {
      fail(`${name}@${version} could not be published: run this again to go on from here`);
    }
  }
}

/**
 * @param {string} version
 * @param {string} [latest] the version that has the tag `latest` now
 * @returns {string} what `npm install wasi-rs@TAG` gets: `latest`, the kind of a prerelease, or
 *   `latest-1` for a later patch of an older line, which must not become what everyone installs
 */
export function distTag(version, latest = version) {
  const [, prerelease] = /^\d+\.\d+\.\d+(?:-([^+]+))?/.exec(version);
  if (prerelease !== undefined) return /^[a-z]+/i.exec(prerelease)?.[0] ?? 'next';
  const [numbers, others] = [version, latest].map((each) => each.split(/[.+-]/, 3).map(Number));
  const first = numbers.findIndex((number, index) => number !== others[index]);
  return first < 0 || numbers[first] > others[first] ? 'latest' : `latest-${numbers[0]}`;
}

/** Whether the registry has a version. It answers for all versions only where one is the latest. */
function isPublished(name, version) {
  return [registered(`${name}@${version}`, 'version')].flat().includes(version);
}

/** What the registry says of a package; `undefined` where it has none. */
function registered(spec, field) {
  const args = ['view', spec, field, '--json'];
  const { npm_execpath: npmPath } = process.env;
  const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
  const { stdout, error } = npmPath
    ? spawnSync(process.execPath, [npmPath, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (error) fail(`npm could not be run: ${error.message}`);
  const answer = stdout.trim() === '' ? undefined : JSON.parse(stdout);
  if (answer === undefined || answer.error?.code === 'E404') return undefined;
  if (answer.error) fail(`the registry does not say whether there is ${spec}`);
  return answer;
}

/** Gives Cargo's files and the changelog the version that package.json has now. */
function setVersion() {
  const changes = changesOfVersion(own.version);
  for (const [file, text] of changes) fs.writeFileSync(path.join(root, file), text);
  const changed = changes.map(([file]) => file);
  const { status } = spawnSync('git', ['add', '--', ...changed], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('git add did not succeed');
}

/**
 * The files that a version changes beside npm's, with their new text. Ends the script if one of
 * them has no place for it.
 */
function changesOfVersion(version) {
  const today = new Date().toISOString().slice(0, 10);
  const changed = (file, pattern, text) => {
    const before = fs.readFileSync(path.join(root, file), 'utf8');
    // Of the first release, the version may be there already.
    if (before.search(pattern) < 0) {
      fail(`${file} has no version to change, or nothing that is unreleased`);
    }
    return [file, before.replace(pattern, text)];
  };
  const locks = ['Cargo.lock', 'fuzz/Cargo.lock'];
  return [
    changed('CHANGELOG.md', /(?<=^# Changelog\n\n)## Unreleased$/m, `## ${version} (${today})`),
    changed('Cargo.toml', /(?<=\[workspace\.package\]\nversion = ")[^"]+/, version),
    ...locks
      .filter((file) => fs.existsSync(path.join(root, file)))
      .map((file) => changed(file, OWN_CRATES, version)),
  ];
}
