// The adversarial suite as one test. Its table is on the terminal: node __test__/sandbox/run.mjs

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SUITE = fileURLToPath(new URL('sandbox/run.mjs', import.meta.url));

const IMPLEMENTATION = fileURLToPath(new URL('sandbox/suspending.mjs', import.meta.url));

/** ms. It takes six minutes on two processors, and ten where another run shares them. */
const LIMIT = 1_200_000;

const skip = process.platform === 'win32' && 'the suite needs a Unix';

function attack(t, args) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [SUITE, ...args], {
    encoding: 'utf8',
    timeout: LIMIT,
  });
  for (const line of stdout.trimEnd().split('\n')) t.diagnostic(line);
  assert.equal(status, 0, `${signal ?? ''}\n${stdout}\n${stderr}`);
}

test('a hostile guest gets nothing and takes nothing down', { skip, timeout: LIMIT }, (t) =>
  attack(t, []),
);

// The cases that differ for a guest that suspends. Its imports that can wait are functions of
// WebAssembly, which convert the arguments that JavaScript passes. The suite's guests call them
// from JavaScript, so none of those can wait; the guests of the class `suspended` do.
const CONVERTING = 'fd_read|fd_write|path_open|poll_oneoff|sock_accept|sock_recv|sock_send';
const SUSPENDING = [
  'descriptors',
  'process: (?!waiting and signals)',
  `javascript: (?!Workers|arguments: (${CONVERTING}):)`,
  'suspended',
];
const noJspi =
  typeof WebAssembly.Suspending !== 'function' && 'JSPI is there from Node.js 24.20 on';

test('nor does one that suspends', { skip: skip || noJspi, timeout: LIMIT }, (t) =>
  attack(t, ['--impl', IMPLEMENTATION, '--filter', `^(${SUSPENDING.join('|')})`]),
);

// Components have other functions, which do the same by the same code, so what attacks a module
// attacks a component through a bridge: every 41st attack on paths here, and all of them by
// node __test__/sandbox/run.mjs --impl "$PWD/__test__/p2/bridge.mjs" --groups '^(paths|races|resolvers): '
// Attacks by handles, pointers, lists and streams, which only they have, are in
// p2-hostile.test.mjs. 0.2 has no rights, and the descriptors' numbers are the bridge's own.
const BRIDGE = fileURLToPath(new URL('p2/bridge.mjs', import.meta.url));
const OF_COMPONENTS = [
  'paths: (?!in memory|an archive)',
  'races: .*by process, the preopen called /sandbox',
  'races: .*by worker',
  'resolvers: .*(by other ways|(outside|magic links|read-only|directory|link|parent).*), openat2 enosys',
];

test('nor does a component', { skip, timeout: LIMIT }, (t) =>
  attack(t, [
    ...['--impl', BRIDGE, '--groups', `^(${OF_COMPONENTS.join('|')})`],
    ...['--every', '41', '--seconds', '15'],
  ]),
);

// Every fifth attack on the process and on the directories below overlays; all without --every.
// To open a FIFO that nobody reads waits, and no call of 0.2 says that it shall not. What preview1
// has beside it: other clocks to wait for, signals, room for files in advance, sockets.
const NO_CALL = [
  'special files: opening a fifo to write(,|$)',
  'waiting and signals: (clock .*cannot be waited|proc_raise)',
  'sizes with a limit: fd_allocate',
  'Workers: sock_',
];
const IN_PROCESSES = [
  'descriptors: exhaustion',
  'process: (?!a large directory)',
  'overlays: (what lies below|directories that others|quotas)',
  'javascript: (stack|Workers)',
];

test('nor one that attacks the process', { skip, timeout: LIMIT }, (t) =>
  attack(t, [
    ...['--impl', BRIDGE, '--groups', `^(${IN_PROCESSES.join('|')})`],
    ...['--filter', `^\\w+: (?!${NO_CALL.join('|')})`],
    ...['--every', '5'],
  ]),
);
