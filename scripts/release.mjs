// `node scripts/release.mjs [--tag vX.Y.Z] [--artifacts FOLDER] [--publish | --dry-run]`: makes the
// packages of a release in target/npm from addons that were built for all targets, by the
// conventions of napi-rs: one package for each platform, and this one, without an addon, that has
// them as optional dependencies. With --publish, publishes them, this one last, so that it is never
// there without them; with --dry-run, npm does all but that. To publish needs the tag, which has to
// be that of the version.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { describeTarget, fail, own, root, say } from './process.mjs';
import { makePackage } from './package.mjs';
import { publish } from './publish.mjs';

const LIBCS = { gnu: 'glibc', musl: 'musl' };

const { values } = parseArgs({
  options: {
    tag: { type: 'string' },
    artifacts: { type: 'string', default: 'artifacts' },
    output: { type: 'string', default: path.join('target', 'npm') },
    publish: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
});
const output = path.resolve(root, values.output);
checkVersions();

const built = filesBelow(path.resolve(root, values.artifacts));
fs.rmSync(output, { recursive: true, force: true });
const platforms = own.napi.targets.map(platformPackage);
const folders = [...platforms.map(({ folder }) => folder), await mainPackage()];
for (const folder of folders) say(`made ${path.relative(root, folder)}`);
if (values.publish || values['dry-run']) publish(folders, { isDryRun: values['dry-run'] });

function checkVersions() {
  const isAsTagged = values.tag === `v${own.version}`;
  if (!isAsTagged && (values.tag !== undefined || values.publish)) {
    fail(`package.json is of version ${own.version}; the tag is ${values.tag ?? 'not given'}`);
  }
  const cargo = fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8');
  if (/^version = "(.*)"$/m.exec(cargo)[1] !== own.version) {
    fail('Cargo.toml and package.json are not of the same version');
  }
  const changelog = fs.readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8');
  if (values.publish && !changelog.includes(`\n## ${own.version} (`)) {
    fail(`CHANGELOG.md has no heading for ${own.version}: npm version makes it`);
  }
}

/** The package with the addon for one target. */
function platformPackage(target) {
  const { system, cpu, abi, platform } = describeTarget(target);
  const main = `${own.napi.binaryName}.${platform}.node`;
  const addon = built.find((place) => path.basename(place) === main);
  if (addon === undefined) fail(`there is no ${main} in ${values.artifacts}`);

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
  return { name, folder };
}

/** This package, without an addon: the platforms' packages have those. */
async function mainPackage() {
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
