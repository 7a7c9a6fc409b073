// The package as a user has it: packed, and installed from the tarball into an empty project.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makePackage } from '../../scripts/package.mjs';
import { npm, own, root } from '../../scripts/process.mjs';

const LOADS = 10;
const LIMIT = 60_000;

/** An empty project with the package installed from its tarball, and nothing else. */
export class Project {
  /** @returns {Promise<Project>} in a new temporary folder, for `remove()` to remove */
  static async create() {
    const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'wasi-rs-pack-')));
    const project = new Project(path.join(folder, 'project'), folder);
    // A user has none of the variables that npm sets for its scripts.
    const env = { ...process.env };
    for (const name of Object.keys(env)) if (name.startsWith('npm_config_')) delete env[name];
    const options = { env, stdio: ['ignore', 'ignore', 'inherit'] };
    // The package as it is published, and in it the addon of this platform.
    const published = path.join(folder, 'package');
    const addon = fs.readdirSync(root).find((name) => name.endsWith('.node'));
    await makePackage(published, { files: [...own.files, addon] });
    for (const name of [addon, 'THIRD-PARTY.md']) {
      fs.copyFileSync(path.join(root, name), path.join(published, name));
    }
    const quiet = ['--loglevel=error', '--ignore-scripts'];
    const pack = ['pack', ...quiet, '--pack-destination', folder];
    if (!npm(pack, { ...options, cwd: published })) {
      throw new Error('npm pack did not succeed');
    }
    const [tarball] = fs.readdirSync(folder).filter((name) => name.endsWith('.tgz'));
    project.tarball = path.join(folder, tarball);
    project.write('package.json', '{ "name": "empty", "version": "1.0.0", "private": true }\n');
    const install = ['install', '--offline', '--no-audit', '--no-fund', ...quiet, project.tarball];
    if (!npm(install, { ...options, cwd: project.folder })) {
      throw new Error('npm install of the tarball did not succeed');
    }
    return project;
  }

  constructor(folder, above) {
    this.folder = folder;
    this.above = above;
    this.package = path.join(folder, 'node_modules', 'wasi-rs');
  }

  remove() {
    fs.rmSync(this.above, { recursive: true, force: true });
  }

  /** Writes a file of the project. */
  write(name, content) {
    const place = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(place, content);
    return place;
  }

  /** Runs this Node.js in the project. */
  node(args, env = {}) {
    return spawnSync(process.execPath, args, {
      cwd: this.folder,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      timeout: LIMIT,
    });
  }

  /** @returns {string[]} the package's files, sorted, with `/` between folders */
  files(folder = '') {
    const entries = fs.readdirSync(path.join(this.package, folder), { withFileTypes: true });
    return entries
      .flatMap((entry) => {
        const name = folder + entry.name;
        return entry.isDirectory() ? this.files(`${name}/`) : [name];
      })
      .sort();
  }

  /** @returns {string} the path of the one addon in the package */
  addon() {
    const addons = this.files().filter((name) => name.endsWith('.node'));
    if (addons.length !== 1) throw new Error(`the package has ${addons.length} addons`);
    return path.join(this.package, addons[0]);
  }

  /**
   * Milliseconds that `require` takes, the best of several processes.
   *
   * @returns {{ wall: number, cpu: number }} by the clock, and of the processor
   */
  loadTime() {
    const code = `const start = performance.now();
      const before = process.cpuUsage();
      require('wasi-rs');
      const { user, system } = process.cpuUsage(before);
      console.log(JSON.stringify([performance.now() - start, (user + system) / 1000]));`;
    const times = Array.from({ length: LOADS }, () => JSON.parse(this.node(['-e', code]).stdout));
    const best = (index) => Number(Math.min(...times.map((time) => time[index])).toFixed(2));
    return { wall: best(0), cpu: best(1) };
  }
}
