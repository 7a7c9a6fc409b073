// Real guests, each with one behaviour, under the implementation under test and under node:wasi.
// Each difference of node:wasi stands in differences.mjs with its reason; one that stands there and
// is none fails as well.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { differences, differs } from './differences.mjs';
import { GUESTS, problemsWith } from './support/guest.mjs';
import { BUILTIN, IMPLEMENTATION, PACKAGE } from './support/implementation.mjs';
import { link } from './support/tree.mjs';

const DEMO = fileURLToPath(new URL('../demo/demo.mjs', import.meta.url));
const TIMEOUT = 30_000;
// Enough for the guest that uses its memory above 2 GiB.
const GUEST_MEMORY = 3 * 2 ** 30;
// For guests under node:wasi that are known to hang: one of them takes gigabytes in a few seconds.
const HANG_TIMEOUT = 1_500;

const hello = () => ({ sandbox: { 'f.txt': 'hello' } });
const digits = () => ({ sandbox: { 'digits.txt': '0123456789' } });
const empty = () => ({ sandbox: {} });
const manyFiles = (count) => () => ({
  sandbox: Object.fromEntries(
    Array.from({ length: count }, (_, number) => [`file-${String(number).padStart(4, '0')}`, '']),
  ),
});
const escapes = (root) => ({
  sandbox: {
    'f.txt': 'hello',
    d: { 'g.txt': 'inner', up: link('../..'), upup: link('../../outside') },
    'to-d': link('d'),
    'to-outside': link('../outside'),
    'to-parent': link('..'),
    'to-sandbox': link('../sandbox'),
    'to-abs': link(path.join(root, 'outside')),
    chain: link('to-outside'),
    'to-secret': link('../outside/secret.txt'),
    'to-abs-secret': link(path.join(root, 'outside/secret.txt')),
  },
  outside: { 'secret.txt': 'secret', empty: {} },
});
const untouched = (root, trees) => (made) =>
  Object.fromEntries(trees.map((name) => [name, root(made)[name]]));

// Guest -> its case, or name of the case -> case. See support/guest.mjs for the fields.
const table = {
  // Arguments and environment.
  args: {
    args: ['guest', '', 'a b', '-x=\n', 'grüß', '日本'],
    expect: { stdout: '6\n[guest]\n[]\n[a b]\n[-x=\n]\n[grüß]\n[日本]\nok\n' },
  },
  'args-raw': { args: ['guest', '', 'grüß'] },
  'args-empty': { args: [] },
  environ: {
    env: { PATH: '/bin', EMPTY: '', WORDS: 'a b=c', ÜMLAUT: 'ß' },
    expect: { stdout: '[PATH=/bin]\n[EMPTY=]\n[WORDS=a b=c]\n[ÜMLAUT=ß]\nok\n' },
  },
  'environ-raw': { env: { A: '1', EMPTY: '' } },
  'environ-empty': {},

  // Clocks, random numbers, the scheduler.
  'clock-res': {},
  'clock-realtime': { args: ['guest', String(Math.floor(Date.now() / 1000))] },
  'clock-monotonic': {},
  'clock-cputime': {},
  random: {},
  'sched-yield': {},
  sleep: {},

  // Files by descriptor.
  'fd-read-vectors': { tree: digits },
  'fd-write-vectors': {
    tree: empty,
    expect: { tree: () => ({ sandbox: { 'out.txt': 'aXYZefgXYZ' } }) },
  },
  'fd-many-vectors': {},
  'fd-seek': {
    tree: digits,
    expect: { tree: () => ({ sandbox: { 'digits.txt': '0123456789\0\0\0end' } }) },
  },
  'fd-seek-stdin': { stdin: { pipe: 'text' } },
  'fd-append': {
    tree: () => ({ sandbox: { 'log.txt': 'one\n' } }),
    expect: { tree: () => ({ sandbox: { 'log.txt': 'ONE\ntwo\nthree\nfour\nfive\n' } }) },
  },
  'fd-flags': {},
  'fd-sync-flags': {},
  'fd-allocate': { tree: hello },
  'fd-advise': { tree: hello },
  'fd-sync': { expect: { tree: () => ({ sandbox: { 'f.txt': 'data and more' } }) } },
  'fd-filestat': {
    tree: hello,
    prepare(root) {
      const file = path.join(root, 'sandbox/f.txt');
      fs.linkSync(file, path.join(root, 'sandbox/second'));
      fs.utimesSync(file, 1000000001, 1234567890);
    },
  },
  'fd-filestat-set-size': { tree: digits },
  'fd-filestat-set-times': {
    tree: hello,
    expect: {
      check(result, root) {
        const { mtimeNs } = fs.statSync(path.join(root, 'sandbox/f.txt'), { bigint: true });
        // Deno's own look at a file has milliseconds.
        const unit = process.versions.deno ? 1_000_000n : 1n;
        assert.equal(mtimeNs / unit, 1222222222987654321n / unit);
      },
    },
  },
  'fd-renumber': { tree: () => ({ sandbox: { 'a.txt': 'aaa', 'b.txt': 'bbb' } }) },
  'fd-renumber-self': { tree: () => ({ sandbox: { 'a.txt': 'aaa' } }) },
  'fd-close': { tree: () => ({ sandbox: { 'a.txt': 'aaa' } }) },
  'fd-many': { tree: digits },
  'fd-access': { tree: hello, expect: { tree: () => ({ sandbox: { 'f.txt': 'Jello' } }) } },
  'fd-directory': { tree: () => ({ sandbox: { d: {} } }) },
  'fd-bad': { tree: hello, expect: { tree: hello } },
  fdstat: { tree: hello },
  prestat: {
    tree: () => ({ a: { 'f.txt': '' }, b: {}, c: {} }),
    preopens: { '/sandbox': 'a', 'other/dir': 'b', '.': 'c' },
  },
  'prestat-short': {},

  // Rights.
  'rights-shrink': { tree: hello },
  'rights-inheriting': {
    tree: () => ({ sandbox: { d: { 'g.txt': 'inner' } } }),
    expect: { tree: () => ({ sandbox: { d: { 'g.txt': 'inner' } } }) },
  },
  'rights-file': { tree: hello },
  'rights-directory': {
    tree: () => ({
      sandbox: { 'f.txt': 'hello', d: { 'g.txt': 'inner', link: link('g.txt'), empty: {} } },
    }),
    expect: {
      tree: () => ({
        sandbox: { 'f.txt': 'hello', d: { 'g.txt': 'inner', link: link('g.txt'), empty: {} } },
      }),
    },
  },

  // Reading of directories.
  'readdir-entries': {
    tree: () => ({ sandbox: { 'file.txt': '', directory: {}, link: link('file.txt') } }),
  },
  'readdir-empty': {},
  'readdir-buffers': { tree: manyFiles(40) },
  'readdir-cut': { tree: () => ({ sandbox: { 'a-file-with-a-name': '', another: '' } }) },
  'readdir-resume': { tree: manyFiles(40) },
  'readdir-delete': { tree: manyFiles(300), expect: { tree: empty } },
  'readdir-rewind': {},
  'readdir-many': { tree: manyFiles(2000) },
  'readdir-names': {
    tree: () => ({ sandbox: { ['n'.repeat(255)]: '', λόγος: '', 'a \n\\*': '' } }),
  },

  // Files by path.
  'path-open-flags': {
    tree: () => ({
      sandbox: { 'f.txt': 'hello', d: {}, link: link('f.txt'), dangling: link('nowhere') },
    }),
  },
  'path-open-directory-write': { tree: () => ({ sandbox: { d: {} } }) },
  'path-open-forms': {
    tree: () => ({ sandbox: { 'f.txt': 'hello', d: { 'g.txt': '' }, '.hidden': '', '...': '' } }),
  },
  'path-open-refused': {
    tree: () => ({ sandbox: { 'f.txt': 'hello', d: { 'g.txt': '' } } }),
    expect: { tree: () => ({ sandbox: { 'f.txt': 'hello', d: { 'g.txt': '' } } }) },
  },
  'path-open-no-effect': { tree: hello },
  'path-on-file': { tree: hello, expect: { tree: hello } },
  'path-symlink': { tree: () => ({ sandbox: { 'f.txt': 'hello', d: {} } }) },
  'path-symlink-absolute': { tree: hello },
  'path-readlink-cut': { tree: () => ({ sandbox: { link: link('some/where/else') } }) },
  'path-follow': {
    tree: () => ({
      sandbox: {
        'f.txt': 'hello',
        d: { 'g.txt': '' },
        'to-file': link('f.txt'),
        'to-dir': link('d'),
        'to-link': link('to-file'),
        dangling: link('nowhere'),
        loop: link('loop'),
      },
    }),
  },
  'path-nofollow': {
    tree: () => ({
      sandbox: {
        'f.txt': 'hello',
        d: {},
        'to-file': link('f.txt'),
        'to-dir': link('d'),
        'to-link': link('to-file'),
        dangling: link('nowhere'),
      },
    }),
  },
  'path-escape': {
    args: (root) => ['guest', path.join(root, 'outside')],
    tree: escapes,
    expect: { tree: untouched(escapes, ['outside']) },
  },
  'path-root': {
    tree: (root) => ({
      sandbox: {
        'f.txt': 'hello',
        d: { 'g.txt': 'inner', upup: link('../../f.txt') },
        'abs-file': link('/f.txt'),
        'abs-dir': link('/d'),
        'to-outside': link('../outside'),
        'to-host-abs': link(path.join(root, 'outside/secret.txt')),
      },
      outside: { 'secret.txt': 'secret' },
    }),
    preopens: { '/': 'sandbox' },
    expect: { tree: () => ({ outside: { 'secret.txt': 'secret' } }) },
  },
  'path-magic': {
    preopens: { '/proc': '/proc/self' },
    skip: process.platform !== 'linux' && 'Linux only',
  },
  'path-race': {
    tree: () => ({
      sandbox: { inside: { 'f.txt': 'i' }, flip: link('inside') },
      outside: { 'f.txt': 'o' },
    }),
    flip: ['../outside', 'inside'],
  },
  'path-fifo': { prepare: (root) => execFileSync('mkfifo', [path.join(root, 'sandbox/fifo')]) },
  'path-link': {
    tree: () => ({
      sandbox: { 'f.txt': 'hello', d: {}, 'to-file': link('f.txt'), dangling: link('nowhere') },
    }),
  },
  'path-link-follow': {
    tree: () => ({
      sandbox: { 'f.txt': 'hello', 'to-file': link('f.txt'), dangling: link('nowhere') },
    }),
  },
  'path-rename': {
    tree: () => ({
      sandbox: {
        'a.txt': 'aaa',
        'c.txt': 'ccc',
        full: { 'x.txt': 'x' },
        other: { 'y.txt': 'y' },
        empty: {},
        link: link('c.txt'),
      },
      second: {},
    }),
    preopens: { '/sandbox': 'sandbox', '/second': 'second' },
    expect: {
      tree: () => ({
        sandbox: { moved: { 'x.txt': 'x' }, other: { 'y.txt': 'y' }, 'link-2': link('c.txt') },
        second: { 'c.txt': 'aaa' },
      }),
    },
  },
  'path-renamed-directory': {
    tree: () => ({ sandbox: { old: { 'f.txt': '' } } }),
    expect: { tree: () => ({ sandbox: { new: { 'made.txt': '' }, old: {} } }) },
  },
  'path-unlink': {
    tree: () => ({
      sandbox: {
        'f.txt': '',
        'g.txt': 'ggg',
        'to-g': link('g.txt'),
        dangling: link('nowhere'),
        d: {},
      },
    }),
    expect: { tree: () => ({ sandbox: { d: {} } }) },
  },
  'path-directories': {
    tree: () => ({
      sandbox: { 'f.txt': '', d: { sub: {} }, 'to-d': link('d'), dangling: link('nowhere') },
    }),
    expect: {
      tree: () => ({
        sandbox: { 'f.txt': '', d: { sub: {} }, 'to-d': link('d'), dangling: link('nowhere') },
      }),
    },
  },
  'path-set-times': {
    tree: () => ({
      sandbox: { 'f.txt': '', d: {}, link: link('f.txt'), dangling: link('nowhere') },
    }),
  },
  'path-set-times-flags': { tree: hello },

  // Waiting.
  'poll-clock': {},
  'poll-clock-absolute': {},
  'poll-clock-now': {},
  'poll-clock-past': {},
  'poll-clocks': {},
  'poll-clocks-equal': {},
  'poll-clock-unknown': {},
  'poll-file': { tree: hello },
  'poll-stdin-data': {
    'a pipe': { stdin: { pipe: 'hello', open: true } },
    'a socket': { stdin: { socket: 'hello' } },
    'a file': { stdin: { file: 'hello' } },
  },
  'poll-stdin-idle': {
    'a pipe': { stdin: { pipe: '', open: true } },
    'a socket': { stdin: { socket: '' } },
  },
  'poll-stdin-closed': { stdin: { pipe: '' } },
  'poll-several': { tree: hello, stdin: { pipe: 'x', open: true } },
  'poll-many': {},
  'poll-bad': {},
  'poll-invalid': {},
  'poll-rights': { tree: hello },
  'poll-forever': {
    worker: 'terminate',
    expect: {
      end: 'terminated',
      stdout: 'waiting\n',
      check: ({ milliseconds }) => assert.ok(milliseconds < 2000, `ended after ${milliseconds} ms`),
    },
  },
  'read-forever': {
    worker: 'terminate',
    stdin: { pipe: '', open: true },
    expect: {
      end: 'terminated',
      stdout: 'waiting\n',
      check: ({ milliseconds }) => assert.ok(milliseconds < 2000, `ended after ${milliseconds} ms`),
    },
  },

  // The end of a program.
  'exit-code': {
    0: { args: ['guest', '0'], expect: { end: 'exit 0', stdout: 'before\n' } },
    1: { args: ['guest', '1'], expect: { end: 'exit 1', stdout: 'before\n' } },
    255: { args: ['guest', '255'], expect: { end: 'exit 255', stdout: 'before\n' } },
    256: { args: ['guest', '256'], expect: { end: 'exit 256', stdout: 'before\n' } },
    'of the process': {
      args: ['guest', '42'],
      returnOnExit: false,
      expect: { end: 'process exit 42', stdout: 'before\n' },
    },
  },
  'exit-main': { expect: { end: 'exit 3', stdout: 'buffered last ' } },
  trap: { expect: { end: 'trap', stdout: 'before\n' } },
  'proc-raise': {
    'every one': { args: ['guest', '0', '64'] },
    ABRT: { args: ['guest', '6'] },
    KILL: { args: ['guest', '9'] },
    SEGV: { args: ['guest', '11'] },
    TERM: { args: ['guest', '15'] },
    'no signal': { args: ['guest', '255'] },
  },

  // Standard descriptors.
  'stdio-types': {
    'the null device and sockets': {
      expect: {
        stdout:
          '0 character flags 0 no terminal\n1 stream flags 0 no terminal\n2 stream flags 0 no terminal\n',
      },
    },
    'a pipe': {
      stdin: { pipe: '' },
      // preview1 has no type for a pipe.
      expect: { stdout: /^0 (stream|unknown) flags 0 no terminal\n/ },
    },
    files: {
      stdin: { file: '' },
      stdout: 'file',
      expect: {
        stdout:
          '0 file flags 0 no terminal\n1 file flags 0 no terminal\n2 stream flags 0 no terminal\n',
      },
    },
    'a terminal': {
      stdin: 'terminal',
      skip: !fs.existsSync('/dev/ptmx') && 'this machine has no pseudo-terminals',
      expect: { stdout: /^0 character flags 0 terminal\n1 stream flags 0 no terminal\n/ },
    },
  },
  echo: {
    'a file': {
      stdin: { file: 'some text\n' },
      expect: { stdout: 'some text\n', stderr: /^ *10 bytes\n$/ },
    },
    'a pipe': {
      stdin: { pipe: 'some text\n' },
      expect: { stdout: 'some text\n', stderr: /^ *10 bytes\n$/ },
    },
    nothing: { expect: { stdout: '', stderr: /^ *0 bytes\n$/ } },
    'much to a file': {
      stdin: { file: '0123456789'.repeat(50_000) },
      stdout: 'file',
      expect: { stdout: '0123456789'.repeat(50_000), stderr: /^ *500000 bytes\n$/ },
    },
  },
  'stdio-close': {
    hostWrites: true,
    expect: {
      stdout: 'closing\nhost writes to 1\n',
      stderr: 'host writes to 2\n',
      tree: () => ({ sandbox: { 'f.txt': 'written' } }),
    },
  },
  'stdio-renumber': {
    hostWrites: true,
    expect: {
      stdout: 'to the host\nhost writes to 1\n',
      stderr: 'host writes to 2\n',
      tree: () => ({ sandbox: { 'out.txt': 'to the file\nok\n' } }),
    },
  },
  'stdio-flags': {
    flags: true,
    stdin: { pipe: '', open: true },
    expect: { check: ({ flags }) => assert.deepEqual(flags.after, flags.before) },
  },
  'stdio-large': {
    stdout: 'slow',
    expect: {
      stdout: /^([a-z]+)$/,
      check(result) {
        assert.equal(result.nonBlocking, true, 'the pipe was not non-blocking');
        assert.equal(result.stdout.length, 1 << 20);
      },
    },
  },

  // Sockets.
  'sock-stream': {
    stdin: { socket: '0123456789' },
    stderr: 'stdin',
    expect: { answer: 'answer' },
  },
  'sock-read-write': {
    stdin: { socket: '0123456789' },
    stderr: 'stdin',
    expect: { answer: 'answer' },
  },
  'sock-not': { tree: hello, stdin: { pipe: 'text', open: true } },
  'sock-accept': { stdin: 'listening', says: 'hello', expect: { answer: 'accepted' } },

  // Memory.
  'memory-grow': { expect: { stderr: 'oldnew\n'.repeat(20) } },
  'memory-high': { tree: hello, expect: { stdout: 'written\nok\n' } },
  'memory-edge': { expect: { stdout: '' } },
  'memory-shared': {
    memory: { initial: 1, maximum: 64, shared: true },
    expect: { stdout: 'shared\nshared\n' },
  },
  'memory-shared-read': {
    worker: 'grow',
    memory: { initial: 1, maximum: 64, shared: true },
    stdin: { pipe: '', open: true, later: '12345678' },
    expect: { stdout: 'waiting\n' },
  },
  'pointers-bad': {
    env: { A: '1' },
    tree: () => ({ sandbox: { 'f.txt': 'hello', link: link('f.txt') } }),
    expect: { tree: () => ({ sandbox: { 'f.txt': 'hello', link: link('f.txt') } }) },
  },
  'lengths-bad': {
    tree: () => ({ sandbox: { link: link('f.txt') } }),
    expect: { tree: () => ({ sandbox: { link: link('f.txt') } }) },
  },
  'counts-bad': {},
  'pointers-unaligned': { tree: hello },
  'pointers-overlap': { tree: digits },

  // Whole programs, and the other ways to start one.
  'libc-files': {
    tree: () => ({
      sandbox: { 'f.txt': 'outer\n' },
      inner: { 'f.txt': 'in\nner\n' },
      outside: { 'secret.txt': '' },
    }),
    preopens: { '/sandbox': 'sandbox', '/sandbox/inner': 'inner' },
    expect: {
      stdout: `/sandbox/f.txt: outer
/sandbox/inner/f.txt: in
/sandbox/inner/f.txt: ner
/sandbox/missing: No such file or directory
/outside/secret.txt: No such file or directory
/sandbox/log.txt: line 0 of three
/sandbox/log.txt: line 1 of three
/sandbox/log.txt: line 2 of three
/sandbox/log.txt: appended
size 57
/sandbox: . .. f.txt inner made
/sandbox/made: . .. moved.txt
/sandbox/link: line 0 /sandbox: . .. f.txt inner
No such file or directory
`,
      tree: () => ({ sandbox: { 'f.txt': 'outer\n' } }),
    },
  },
  // Where everything may be written. Below read-only preopens: embedding.test.mjs.
  'read-only': {
    args: ['guest', '/sandbox'],
    tree: () => ({ sandbox: { file: 'content\n', dir: { inner: 'inner\n' } } }),
    expect: {
      stdout: `fopen r file: ok
  content
fopen r missing: No such file or directory
fopen r+ file: ok
  content
fopen w file: ok
fopen a file: ok
fopen w new: ok
fopen wx file: File exists
open O_CREAT of what is there: ok
write: Bad file descriptor
ftruncate: Capabilities insufficient
futimens: ok
posix_fallocate: Capabilities insufficient
fdatasync: Bad file descriptor
open O_TRUNC: ok
open O_RDWR of a directory: Is a directory
mkdir: File exists
mkdir of what is there: File exists
rmdir: Directory not empty
unlink: ok
rename: No such file or directory
link: No such file or directory
symlink: File exists
utimensat: No such file or directory
truncate: No such file or directory
open of a directory: ok
openat O_RDONLY: ok
openat O_RDWR: ok
openat O_CREAT: ok
unlinkat: ok
access R_OK: No such file or directory
access W_OK: No such file or directory
`,
      tree: () => ({ sandbox: { dir: { new: '' }, new: '' } }),
    },
  },
  // Where paths lead with several preopens: readFile is held against it.
  'open-paths': {
    args: ['open-paths', '/a/f', '/a/b/f', '/b/../a/f', '/a/none'],
    tree: () => ({ a: { f: '1' }, b: { f: '2' } }),
    preopens: { '/a': 'a', '/a/b': 'b' },
    expect: {
      stdout: '1\n2\nNo such file or directory\nNo such file or directory\n',
      tree: () => ({ a: { f: '1' }, b: { f: '2' } }),
    },
  },
  unstable: { version: 'unstable', expect: { end: 'exit 7', stdout: 'unstable\n' } },
  reactor: {
    calls: ['work', 'work'],
    expect: { end: 'returned 1, 1', stdout: 'initialized\nwork\nwork\n' },
  },
};

const FIELDS = new Set([
  'args',
  'env',
  'version',
  'returnOnExit',
  'tree',
  'prepare',
  'preopens',
  'stdin',
  'stdout',
  'stderr',
  'says',
  'memory',
  'calls',
  'worker',
  'flip',
  'hostWrites',
  'flags',
  'skip',
  'expect',
]);
const EXPECTATIONS = new Set(['end', 'stdout', 'stderr', 'answer', 'tree', 'check']);

// The guests that need something that Windows lacks. The rest of the table holds there unchanged.
const NOT_ON_WINDOWS = {
  'fd-filestat-set-times': 'times have units of 100 ns',
  'path-fifo': 'directories hold no pipes',
  'path-open-forms': 'there is no file `...`, and `F.TXT` is `f.txt`',
  'readdir-names': 'not all of these are names',
};

function skipped(name, { skip, stdin, stdout, flags }) {
  if (skip || process.platform !== 'win32') return skip;
  const isMadeByUnix =
    (stdin !== undefined && stdin.file === undefined) || stdout === 'slow' || flags;
  return NOT_ON_WINDOWS[name] ?? (isMadeByUnix && 'the test has its streams from Unix');
}

// The cases of the table as [guest, name of the test, case].
const cases = Object.entries(table).flatMap(([guest, entry]) => {
  const isOneCase = Object.keys(entry).every((key) => FIELDS.has(key));
  return isOneCase
    ? [[guest, guest, entry]]
    : Object.entries(entry).map(([name, options]) => [guest, `${guest}: ${name}`, options]);
});

describe('the table of guests', () => {
  it('claims every guest, and only guests that are there', () => {
    const present = fs
      .readdirSync(GUESTS)
      .filter((file) => file.endsWith('.wasm'))
      .map((file) => file.slice(0, -5));
    assert.deepEqual(
      present.filter((name) => !(name in table)),
      [],
      'guests that no test claims',
    );
    assert.deepEqual(
      Object.keys(table).filter((name) => !present.includes(name)),
      [],
      'guests that are missing',
    );
  });

  it('has the source of every guest, and a guest of every source', () => {
    const files = fs.readdirSync(GUESTS);
    const sources = files
      .filter((file) => /\.(c|wat)$/.test(file))
      .map((file) => path.parse(file).name);
    assert.deepEqual(sources.sort(), Object.keys(table).sort());
  });

  it('has no field that nothing reads', () => {
    for (const [, name, options] of cases) {
      assert.deepEqual(
        Object.keys(options).filter((key) => !FIELDS.has(key)),
        [],
        name,
      );
      assert.deepEqual(
        Object.keys(options.expect ?? {}).filter((key) => !EXPECTATIONS.has(key)),
        [],
        name,
      );
    }
  });

  it('is as large as docs/platforms.md and README.md say', () => {
    const page = fs.readFileSync(new URL('../docs/platforms.md', import.meta.url), 'utf8');
    const readme = fs.readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const all = cases.length;
    const differing = (node) => {
      return Object.keys(differences).filter((name) => differs(name, `${node}.0.0`) === 'yes')
        .length;
    };
    if (process.arch !== 'x64') return;
    for (const [nodes, title] of [
      [[18], '18.20.1'],
      [[20, 22], '20, 22'],
      [[24, 26], '24, 26'],
    ]) {
      for (const node of nodes) {
        const row = `| ${title} | ${all} of ${all} | ${all - differing(node)} of ${all} |`;
        assert.ok(page.includes(row), row);
      }
    }
    const figures = `| ${differing(20)} on Node 20 and 22, ${differing(24)} on 24 and 26 |`;
    assert.ok(readme.includes(`guests of ${all} that behave`) && readme.includes(figures), figures);
  });

  it('has a case for every difference', () => {
    const names = cases.map(([, name]) => name);
    assert.deepEqual(
      [...Object.keys(differences), ...Object.keys(NOT_ON_WINDOWS)].filter(
        (name) => !names.includes(name),
      ),
      [],
    );
  });
});

if (IMPLEMENTATION === PACKAGE) {
  describe('the demo', () => {
    it('prints what its two programs did, and the refusal', () => {
      const output = execFileSync(process.execPath, [DEMO], { encoding: 'utf8' });
      assert.match(output, /^hello world$/m);
      assert.match(output, /^ +sunday\.txt +200 bytes, lines: 40$/m);
      assert.equal(output.match(/refused: ENOTCAPABLE \(/g).length, 3);
      assert.match(output, /^ +total +272 +48$/m);
      assert.match(output, /by the guest +refused/);
    });
  });
}

if (IMPLEMENTATION !== BUILTIN) {
  describe('guests', { concurrency: 2 }, () => {
    for (const [guest, name, options] of cases) {
      it(name, { skip: skipped(name, options) }, async () => {
        const problems = await problemsWith(guest, options, IMPLEMENTATION, TIMEOUT);
        if (problems.length > 0) assert.fail(problems.join('\n'));
      });
    }
  });
}

if (IMPLEMENTATION === PACKAGE) {
  describe('guests whose memories and tables were given maxima', { concurrency: 2 }, () => {
    for (const [guest, name, options] of cases) {
      it(name, { skip: skipped(name, options) }, async () => {
        const limited = { ...options, memoryBytes: GUEST_MEMORY };
        const problems = await problemsWith(guest, limited, IMPLEMENTATION, TIMEOUT);
        if (problems.length > 0) assert.fail(problems.join('\n'));
      });
    }
  });
}

// node:wasi's differences were recorded on Linux.
const onNode = !process.versions.bun && !process.versions.deno;
const noBuiltin = !(onNode && process.platform === 'linux') && 'compared on Linux only, and Node';

describe('guests under node:wasi', { concurrency: 2, skip: noBuiltin }, () => {
  for (const [guest, name, options] of cases) {
    const expected = differs(name, process.versions.node);
    it(expected === 'no' ? name : `${name} (differs)`, { skip: options.skip }, async () => {
      const { hangs, sometimes } = differences[name] ?? {};
      const timeout = hangs ? HANG_TIMEOUT : TIMEOUT;
      const problems = await problemsWith(guest, options, BUILTIN, timeout);
      if (expected === 'yes' && !sometimes && problems.length === 0) {
        assert.fail('there is no difference: the entry in differences.mjs is not true');
      }
      if (expected === 'no' && problems.length > 0) {
        assert.fail(`a difference that differences.mjs does not have:\n${problems.join('\n')}`);
      }
    });
  }
});
