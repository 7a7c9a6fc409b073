// A release before there is one: versions, what an addon needs of glibc, and packages that are
// published to a registry of our own on this machine.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { neededVersions, newestGlibc } from '../scripts/elf.mjs';
import { own } from '../scripts/process.mjs';
import { distTag } from '../scripts/release.mjs';
import { withFolder } from './support/tree.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (...names) => fs.readFileSync(path.join(root, ...names), 'utf8');
const isWindows = process.platform === 'win32';
const env = { ...process.env };
for (const name of Object.keys(env)) {
  if (/^npm_config_|^GITHUB_|^GIT_|^NODE_TEST_CONTEXT$/i.test(name)) delete env[name];
}

describe('glibc', () => {
  it('is read from the versions of symbols', { skip: process.platform !== 'linux' }, (t) => {
    const addon = fs.readdirSync(root).find((name) => /^wasi-rs\.linux-.*\.node$/.test(name));
    const file = path.join(root, addon);
    const needed = neededVersions(fs.readFileSync(file));
    if (addon.endsWith('-gnu.node')) assert.match(newestGlibc(needed), /^2\.\d+$/);
    const { status, stdout } = spawnSync('objdump', ['-p', file], { encoding: 'utf8' });
    if (status !== 0) return t.diagnostic('there is no objdump to compare with');
    const [, references] = stdout.split('Version References:');
    const names = [...(references ?? '').matchAll(/^ {4}0x\S+ 0x\S+ \d+ (\S+)$/gm)];
    assert.deepEqual(needed.map(({ version }) => version).sort(), names.map(([, n]) => n).sort());
    return undefined;
  });

  it('ends what finds it too new', { skip: process.platform !== 'linux' }, async (t) => {
    const addon = fs.readdirSync(root).find((name) => /^wasi-rs\.linux-.*-gnu\.node$/.test(name));
    if (addon === undefined) return t.skip('there is no addon for glibc');
    await withFolder((folder) => {
      const bytes = fs.readFileSync(path.join(root, addon));
      const check = (name, content) => {
        const file = path.join(folder, name);
        fs.writeFileSync(file, content);
        const elf = JSON.stringify(new URL('../scripts/elf.mjs', import.meta.url));
        const program = `import { checkGlibc } from ${elf}; checkGlibc(process.argv[1]);`;
        const flags = ['--input-type=module', '-e', program, '--', file];
        return spawnSync(process.execPath, flags, { encoding: 'utf8' });
      };
      const { version } = neededVersions(bytes).find(({ version: each }) => /^GLIBC/.test(each));
      const newer = Buffer.from(bytes);
      const later = `GLIBC_9${version.slice('GLIBC_9'.length)}`;
      newer.write(later, newer.indexOf(`${version}\0`, 0, 'latin1'), 'latin1');
      const failed = check('newer.node', newer);
      assert.equal(failed.status, 1, failed.stdout);
      assert.match(
        failed.stderr,
        /^error: newer\.node needs glibc 9\S*; it must load with 2\.28: make it by .* target TARGET.\n$/,
      );
      assert.match(check('text.node', 'text').stderr, /not an ELF file/);
    });
    return undefined;
  });

  it('is compared by numbers', () => {
    const of = (...versions) => newestGlibc(versions.map((version) => ({ version })));
    assert.equal(of('GLIBC_2.9', 'GLIBC_2.28', 'GLIBC_2.2.5', 'GCC_9.0'), '2.28');
    assert.equal(of('GLIBC_2.3.4', 'GLIBC_2.3', 'GLIBC_PRIVATE'), '2.3.4');
    assert.equal(of('GCC_3.0'), undefined);
    assert.throws(() => neededVersions(Buffer.from('MZ')), /not an ELF file/);
  });
});

describe('a release', () => {
  it('is built for all targets that package.json names', () => {
    const targets = [...read('.github', 'workflows', 'ci.yml').matchAll(/\{ target: ([\w-]+), /g)];
    const built = new Set(targets.map(([, target]) => target));
    assert.deepEqual([...built].sort(), [...own.napi.targets].sort());
  });

  it('is made and tested by scripts that are there', () => {
    const folder = path.join(root, '.github', 'workflows');
    const found = fs.readdirSync(folder).flatMap((name) => {
      const text = read('.github', 'workflows', name);
      const files = [...text.matchAll(/\bnode (?:--test )?([\w./-]+\.mjs)/g)].map(
        ([, file]) => file,
      );
      const scripts = [...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, script]) => script);
      // Of the matrix of nightly.yml: { name: ..., script: nightly.mjs }.
      const inMatrix = [...text.matchAll(/ script: ([\w-]+\.mjs)/g)].map(([, file]) => file);
      return [
        ...[...files, ...inMatrix.map((file) => `scripts/${file}`)].map((file) => ({ file })),
        ...scripts.map((script) => ({ script })),
      ];
    });
    assert.ok(found.length > 15);
    const missing = found.filter(({ file, script }) => {
      return file ? !fs.existsSync(path.join(root, file)) : own.scripts[script] === undefined;
    });
    assert.deepEqual(missing, []);
  });

  it('has a tag by its kind', () => {
    for (const [version, tag] of [
      ['1.0.0', 'latest'],
      ['1.0.0+build', 'latest'],
      ['1.0.0-beta.1', 'beta'],
      ['2.0.0-rc1', 'rc'],
      ['2.0.0-0', 'next'],
    ]) {
      assert.equal(distTag(version), tag);
    }
    for (const [version, latest, tag] of [
      ['1.0.1', '2.0.0', 'latest-1'],
      ['1.9.0', '1.10.0', 'latest-1'],
      ['1.10.0', '1.9.3', 'latest'],
      ['2.0.0', '2.0.0-beta.1', 'latest'],
      ['1.0.0-rc.1', '2.0.0', 'rc'],
    ]) {
      assert.equal(distTag(version, latest), tag, `${version} after ${latest}`);
    }
  });

  it('gets its version everywhere by one command', async () => {
    await withFolder(async (folder) => {
      const copied = [
        ...['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'fuzz/Cargo.lock'],
        ...['CHANGELOG.md', 'scripts/release.mjs', 'scripts/process.mjs', 'scripts/elf.mjs'],
      ];
      for (const name of copied) {
        fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
        fs.copyFileSync(path.join(root, name), path.join(folder, name));
      }
      const changelog = path.join(folder, 'CHANGELOG.md');
      fs.writeFileSync(changelog, '# Changelog\n\n## Unreleased\n\n- All.\n');
      const git = (...args) => execFileSync('git', args, { cwd: folder, env, encoding: 'utf8' });
      git('init', '--quiet');
      git('config', 'user.name', 'test');
      git('config', 'user.email', 'test@localhost');
      git('add', '.');
      git('commit', '--quiet', '--message', 'first');
      const npm = (...args) =>
        spawnSync('npm', args, { cwd: folder, env, encoding: 'utf8', shell: isWindows });
      const now = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
      const today = new Date().toISOString().slice(0, 10);
      // The first release has the version that is there.
      const first = npm('version', own.version, '--allow-same-version');
      assert.equal(first.status, 0, first.stderr);
      assert.equal(now('CHANGELOG.md'), `# Changelog\n\n## ${own.version} (${today})\n\n- All.\n`);
      assert.equal(git('tag').trim(), `v${own.version}`);
      git('tag', '--delete', `v${own.version}`);
      fs.writeFileSync(changelog, '# Changelog\n\n## Unreleased\n\n- A change.\n');
      git('commit', '--quiet', '--all', '--message', 'second');
      const { status, stderr } = npm('version', '7.8.9-beta.0');
      assert.equal(status, 0, stderr);
      assert.equal(JSON.parse(now('package.json')).version, '7.8.9-beta.0');
      assert.equal(JSON.parse(now('package-lock.json')).packages[''].version, '7.8.9-beta.0');
      assert.match(now('Cargo.toml'), /^version = "7\.8\.9-beta\.0"$/m);
      for (const [name, crates] of [
        ['Cargo.lock', ['wasi-rs', 'wasi-rs-core']],
        ['fuzz/Cargo.lock', ['wasi-rs-core']],
      ]) {
        for (const crate of crates) {
          assert.ok(now(name).includes(`name = "${crate}"\nversion = "7.8.9-beta.0"\n`), name);
        }
      }
      assert.equal(
        now('CHANGELOG.md'),
        `# Changelog\n\n## 7.8.9-beta.0 (${today})\n\n- A change.\n`,
      );
      assert.equal(git('tag').trim(), 'v7.8.9-beta.0');
      assert.equal(git('status', '--porcelain').trim(), '');
      // There is nothing unreleased now, or the tree has changes: nothing is changed.
      for (const isDirty of [false, true]) {
        if (isDirty) fs.writeFileSync(changelog, '# Changelog\n\n## Unreleased\n\n- More.\n');
        const before = git('diff');
        assert.notEqual(npm('version', '7.8.9').status, 0);
        assert.equal(git('diff'), before);
        assert.equal(git('tag').trim(), 'v7.8.9-beta.0');
      }
    });
  });

  it('is refused in one line where its options say two things, or nothing that is known', () => {
    for (const [script, args, expected] of [
      [
        'release',
        ['--publish', '--dry-run'],
        /^error: --publish and --dry-run exclude each other$/,
      ],
      ['release', ['--dry'], /^error: Unknown option '--dry': scripts\/release\.mjs says/],
      ['release', ['--publish', '--tag', 'v0.0.0-none'], /^error: package\.json is of version /],
      ['release', ['--tag', '--publish'], /^error: Option '--tag' argument is ambiguous: scripts/],
      ['release', ['version', '--dry-run'], /^error: --dry-run: version takes nothing more$/],
      [
        'release',
        ['--artifacts', 'demo', '--output', '.'],
        /^error: .* is made anew, and holds other files: name a /,
      ],
      ['package', ['.'], /^error: .* is made anew, and holds other files: name a folder /],
      ['package', ['README.md'], /^error: README\.md is no folder$/],
      ['package', ['--help'], /^error: Unknown option '--help': scripts\/package\.mjs says at its/],
      ['generate', ['--chek'], /^error: Unknown option '--chek': scripts\/generate\.mjs says at/],
      ['build', ['setup', 'all'], /^error: all: setup takes nothing more$/],
      ['build', ['target', 'none', '--release'], /^error: --release: target takes nothing more$/],
      ['test', ['all', 'api.test.mjs'], /^error: api\.test\.mjs: all takes nothing more$/],
      [
        'wasi-testsuite/run',
        ['--wirte', '.'],
        /^error: Unknown option '--wirte': scripts\/wasi-te/,
      ],
      ['licences', ['--chek'], /^error: the one option is --check$/],
      ['lint', ['source'], /^error: the one job is sources$/],
    ]) {
      const command = [path.join(root, 'scripts', `${script}.mjs`), ...args];
      const options = { cwd: root, env, encoding: 'utf8' };
      const { status, stdout, stderr } = spawnSync(process.execPath, command, options);
      assert.deepEqual([status, stdout, stderr.split('\n').length], [1, '', 2], stderr);
      assert.match(stderr.trimEnd(), expected);
    }
  });

  it('makes folders anew that it has made, and no others', async () => {
    await withFolder((folder) => {
      const script = path.join(root, 'scripts', 'package.mjs');
      const make = (place) =>
        spawnSync(process.execPath, [script, place], { env, encoding: 'utf8' });
      const output = path.join(folder, 'new');
      for (const time of ['first', 'second']) {
        const { status, stderr } = make(output);
        assert.equal(status, 0, `${time}: ${stderr}`);
      }
      const other = path.join(folder, 'other');
      fs.mkdirSync(other);
      fs.writeFileSync(path.join(other, 'mine.txt'), 'mine');
      fs.writeFileSync(path.join(other, 'package.json'), JSON.stringify({ name: 'mine' }));
      assert.match(make(other).stderr, /^error: .*other is made anew, and holds other files: /);
      assert.equal(fs.readFileSync(path.join(other, 'mine.txt'), 'utf8'), 'mine');
    });
  });

  it('and measurements refuse in a line what they do not know, without a stack', () => {
    for (const [script, args, expected] of [
      ['scripts/nightly.mjs', ['fuzz', '--runs', '3'], /^error: Unknown option '--runs': scripts/],
      ['scripts/nightly.mjs', ['fuzz', '--seconds=x'], /^error: --seconds has to be a whole /],
      ['scripts/nightly.mjs', ['miri', 'memory'], /^error: memory: miri takes nothing more$/],
      ['__test__/guests/build.mjs', ['--chek'], /^error: Unknown option '--chek': __test__\/gue/],
      ['__test__/sandbox/run.mjs', ['--filter', '('], /^error: Invalid regular expression/],
      ['scripts/wasi-testsuite/node-wasi.mjs', ['--dir=.'], /node-wasi\.mjs says at its top/],
      ['bench/command-line.mjs', ['--round', '3'], /^error: Unknown option '--round': bench\/com/],
      ['bench/command-line.mjs', ['--rounds', 'x', 'y'], /^error: --rounds has to be a whole num/],
      ['bench/growth.mjs', ['--rounds', '0'], /^error: --rounds has to be a whole number above 0$/],
      ['bench/growth.mjs', ['--filter', '('], /^error: --filter: Invalid regular expression/],
      ['bench/instructions.mjs', ['--filter', '('], /^error: --filter: Invalid regular expr/],
      ['bench/profile.mjs', ['--rows', 'x', 'README.md'], /^error: --rows has to be a whole /],
      ['bench/programs.mjs', ['--round'], /^error: Unknown option '--round': bench\/programs\.mjs/],
      ['bench/run.mjs', ['--filtr', 'x'], /^error: Unknown option '--filtr'$/],
      ['bench/suspend.mjs', ['--guests=0'], /^error: --guests has to be a whole number above 0$/],
      ...(WebAssembly.Suspending === undefined
        ? [['bench/suspend.mjs', [], /^error: this takes Node\.js 24\.20 or later, Deno or Bun$/]]
        : []),
      ['bench/whole.mjs', ['toString'], /^error: toString: no such series$/],
    ]) {
      const command = [path.join(root, script), ...args];
      const { status, stderr } = spawnSync(process.execPath, command, { env, encoding: 'utf8' });
      assert.ok(status === 1 || status === 2, `${script} ended with ${status}`);
      // Node's warning of node:wasi comes before.
      const lines = stderr.split('\n').filter((line) => !line.startsWith('('));
      assert.match(lines[0], expected);
      assert.doesNotMatch(stderr, /^ +at |Error:/m);
    }
  });

  it('goes on where it was broken off', async () => {
    await withFolder(async (folder) => {
      const published = {};
      // A package whose next line is there already.
      const earlier = {
        'wasi-rs-old': {
          name: 'wasi-rs-old',
          'dist-tags': { latest: '2.0.0' },
          versions: { '2.0.0': { name: 'wasi-rs-old', version: '2.0.0' } },
        },
      };
      let refused = 'wasi-rs-b';
      const registry = http.createServer(async (request, response) => {
        const name = decodeURIComponent(request.url.slice(1).split('?')[0]);
        const answer = (status, body) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(JSON.stringify(body));
        };
        if (request.method === 'GET') {
          if (published[name] ?? earlier[name]) answer(200, published[name] ?? earlier[name]);
          else answer(404, { error: 'Not found' });
          return;
        }
        const chunks = await request.toArray();
        if (name === refused) {
          answer(403, { error: 'forbidden' });
          return;
        }
        const body = JSON.parse(Buffer.concat(chunks).toString());
        assert.equal(published[name], undefined, `${name} is published twice`);
        published[name] = body;
        answer(201, {});
      });
      registry.listen(0, '127.0.0.1');
      await once(registry, 'listening');
      const host = `127.0.0.1:${registry.address().port}`;
      const folders = ['a', 'b', 'c', 'old'].map((letter) => {
        const place = path.join(folder, letter);
        fs.mkdirSync(place);
        const version = letter === 'old' ? '1.0.1' : '1.0.0-beta.2';
        const description = { name: `wasi-rs-${letter}`, version };
        fs.writeFileSync(path.join(place, 'package.json'), JSON.stringify(description));
        return place;
      });
      const userconfig = path.join(folder, 'npmrc');
      fs.writeFileSync(userconfig, `registry=http://${host}/\n//${host}/:_authToken=none\n`);
      const program = `
        import { publish } from ${JSON.stringify(new URL('../scripts/release.mjs', import.meta.url))};
        publish(${JSON.stringify(folders)}, { isDryRun: process.argv[1] === 'dry' });`;
      const run = async (how) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program, '--', how], {
          env: {
            ...env,
            npm_config_userconfig: userconfig,
            npm_config_cache: path.join(folder, 'cache'),
            npm_config_fetch_retries: '0',
            npm_execpath: undefined,
          },
        });
        let text = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (d) => (text += d));
        const [code] = await once(child, 'close');
        return { code, text };
      };
      try {
        const tried = await run('dry');
        assert.equal(tried.code, 0, tried.text);
        assert.deepEqual(published, {});
        const first = await run('publish');
        assert.equal(first.code, 1);
        assert.match(
          first.text,
          /wasi-rs-b@1\.0\.0-beta\.2 could not be published: run this again/,
        );
        assert.deepEqual(Object.keys(published), ['wasi-rs-a']);
        refused = undefined;
        const second = await run('publish');
        assert.equal(second.code, 0, second.text);
        assert.match(second.text, /> wasi-rs-a@1\.0\.0-beta\.2 is published already/);
        const tags = Object.entries(published).map(([name, each]) => [name, each['dist-tags']]);
        assert.deepEqual(tags, [
          ...['a', 'b', 'c'].map((letter) => [`wasi-rs-${letter}`, { beta: '1.0.0-beta.2' }]),
          ['wasi-rs-old', { 'latest-1': '1.0.1' }],
        ]);
      } finally {
        registry.close();
        registry.closeAllConnections();
      }
    });
  });
});
