// The end of a release: publishes folders that are packages.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fail, npm, root, say } from './process.mjs';

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
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const isThere = isPublished(name, version);
    if (isThere && !isDryRun) {
      say(`${name}@${version} is published already`);
      continue;
    }
    say(`${isDryRun ? 'trying to publish' : 'publishing'} ${relative(root, folder)}`);
    const flags = ['--access', 'public', '--ignore-scripts', '--tag', distTag(version)];
    if (isDryRun) flags.push('--dry-run', ...(isThere ? ['--force'] : []));
    else if (process.env.GITHUB_ACTIONS) flags.push('--provenance');
    if (!npm(['publish', ...flags], { cwd: folder })) {
      fail(`${name}@${version} could not be published: run this again to go on from here`);
    }
  }
}

/** @returns {string} what `npm install wasi-rs@TAG` gets: `latest`, or the kind of a prerelease */
export function distTag(version) {
  const [, prerelease] = /^\d+\.\d+\.\d+(?:-([^+]+))?/.exec(version);
  if (prerelease === undefined) return 'latest';
  return /^[a-z]+/i.exec(prerelease)?.[0] ?? 'next';
}

/** Whether the registry has a version. It answers for all versions only where one is the latest. */
function isPublished(name, version) {
  const args = ['view', `${name}@${version}`, 'version', '--json'];
  const { npm_execpath: path } = process.env;
  const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
  const { stdout, error } = path
    ? spawnSync(process.execPath, [path, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (error) fail(`npm could not be run: ${error.message}`);
  const answer = stdout.trim() === '' ? undefined : JSON.parse(stdout);
  if (answer === undefined || answer.error?.code === 'E404') return false;
  if (answer.error) fail(`the registry does not say whether there is ${name}@${version}`);
  return [answer].flat().includes(version);
}
