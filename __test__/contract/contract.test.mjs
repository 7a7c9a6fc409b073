// Compares wasi-rs with recordings of node:wasi: the cases in cases.cjs, each with the result that
// this version of Node.js gave. A difference needs a reason in ../may-differ.json, and what wasi-rs
// does instead stands in ours.json. After a change that is meant, delete what is out of date there,
// run this file with UPDATE_CONTRACT=1 under each version, and read what has changed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const readJson = (...path) => JSON.parse(readFileSync(join(here, ...path), 'utf8'));
const groups = createRequire(import.meta.url)('./cases.cjs');

const major = Number.parseInt(process.versions.node, 10);
const update = Boolean(process.env.UPDATE_CONTRACT);
const TIMEOUT = 20_000;
/** Cases that node:wasi does not survive, so that there is no recording to compare with. */
const HOSTILE = 'hostile';
/** Cases that end the process: each runs in one of its own. */
const ENDS = 'process ends';

// Reasons may begin with the versions they are for: "Node 18, 20: ...".
const allowed = Object.entries(readJson('..', 'may-differ.json')).map(([pattern, reason]) => {
  const versions = /^Node ([\d, ]+): /.exec(reason)?.[1].split(', ').map(Number);
  return { pattern: new RegExp(pattern), reason, versions, explains: 0 };
});
const ours = readJson('ours.json');

/** The recording of this version of Node.js, or of the last one before it. */
function recording() {
  const [latest] = readdirSync(join(here, 'recorded'))
    .map((name) => ({ name, version: Number(/\d+/.exec(name)[0]) }))
    .filter(({ version }) => version <= major)
    .sort((a, b) => b.version - a.version);
  return readJson('recorded', latest.name);
}

/** Runs a group of cases, or one, in a process of its own. */
function probe(group, only = []) {
  const temp = mkdtempSync(join(tmpdir(), 'wasi-rs-contract-'));
  const args = ['--require', join(here, 'redirect.cjs'), join(here, 'probe.cjs'), group, ...only];
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    // Not of the runner that this process is part of.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, WASI_CONF_TMP: temp },
  });
  const out = ['', '', '', ''];
  for (const fd of [1, 2, 3]) {
    child.stdio[fd].setEncoding('utf8').on('data', (text) => (out[fd] += text));
  }
  child.stdin.on('error', () => {}).end();
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT);
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      rmSync(temp, { recursive: true, force: true });
      const lines = out[3].split('\n').filter(Boolean);
      done({
        results: Object.fromEntries(lines.map((line) => JSON.parse(line))),
        code,
        signal,
        stdout: out[1].trim(),
        stderr: errorLine(out[2]),
      });
    });
  });
}

/** The line that says why, without what differs from run to run. */
function errorLine(stderr) {
  const line = stderr.split('\n').find((text) => /Assertion|FATAL|[Ee]rror|#/.test(text)) ?? '';
  return line
    .replace(/\S*\/node\[\d+\]/, 'node')
    .replace(/\S*\.cc:\d+(:|$)/, '')
    .replace(/\bat $/, '')
    .replace(/0x[0-9a-f]+/g, '0x…')
    .trim();
}

/** All results of a group; a case after which there are none is run again alone. */
async function runGroup(group) {
  const { results } = group === ENDS ? { results: {} } : await probe(group);
  const complete = {};
  for (const name of Object.keys(groups[group]))
    complete[name] = results[name] ?? (await alone(group, name));
  return complete;
}

async function alone(group, name) {
  const { results, code, signal, stdout, stderr } = await probe(group, [name]);
  if (results[name] && code === 0) return results[name];
  return {
    ends: signal ? `killed by ${signal}` : `exit ${code}`,
    ...results[name],
    ...(stdout ? { stdout } : {}),
    ...(signal || code ? { stderr } : {}),
  };
}

/** Whether the list has a reason for a difference in this case under this version. */
function mayDiffer(label) {
  const reasons = allowed.filter(
    ({ pattern, versions }) => pattern.test(label) && (versions?.includes(major) ?? true),
  );
  for (const reason of reasons) reason.explains++;
  return reasons.length > 0;
}

/**
 * The outcome that wasi-rs must have in a case that may differ: under this version, or else under
 * every one.
 */
function expectedOf(label) {
  return ours[`Node ${major}, ${label}`] ?? ours[label];
}

function recordOurs(label, result) {
  delete ours[`Node ${major}, ${label}`];
  ours[label] ??= result;
  if (!same(ours[label], result)) ours[`Node ${major}, ${label}`] = result;
}

const text = (value) => JSON.stringify(value);
const same = (a, b) => text(a) === text(b);
const linux = { skip: process.platform !== 'linux' && 'recorded on Linux' };
const { node: recordedVersion, groups: recorded } = recording();

test(`the contract of node:wasi, as recorded from Node.js ${recordedVersion}`, linux, async (t) => {
  for (const group of Object.keys(groups).filter((name) => name !== HOSTILE)) {
    await t.test(group, async () => {
      const seen = await runGroup(group);
      const wrong = [];
      for (const [name, result] of Object.entries(seen)) {
        if (same(result, recorded[group][name])) continue;
        const label = `${group}: ${name}`;
        const seenAs = `${label}\n  node:wasi ${text(recorded[group][name])}\n  wasi-rs ${text(result)}`;
        if (!mayDiffer(label)) wrong.push(`${seenAs}\n  and may-differ.json has no reason`);
        else if (update) recordOurs(label, result);
        else if (!same(result, expectedOf(label))) {
          wrong.push(`${seenAs}\n  ours.json ${text(expectedOf(label))}`);
        }
      }
      if (wrong.length > 0) assert.fail(wrong.join('\n'));
    });
  }
  if (update) {
    const lines = Object.keys(ours)
      .sort()
      .map((label) => ` ${text(label)}: ${text(ours[label])}`);
    writeFileSync(join(here, 'ours.json'), `{\n${lines.join(',\n')}\n}\n`);
  }

  await t.test('every reason in may-differ.json explains something', () => {
    const idle = allowed
      .filter(({ versions, explains }) => explains === 0 && (versions?.includes(major) ?? true))
      .filter(({ pattern }) => !pattern.test(`${HOSTILE}: `))
      .map(({ pattern }) => pattern.source);
    assert.deepEqual(idle, []);
  });
});

test('what node:wasi does not survive gives an errno', async (t) => {
  for (const name of Object.keys(groups[HOSTILE])) {
    await t.test(name, async () => {
      const { returns } = await alone(HOSTILE, name);
      assert.ok(Number.isInteger(returns) && returns > 0 && returns < 77, `it gave ${returns}`);
    });
  }
});
