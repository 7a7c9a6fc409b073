// The runtimes beside Node.js that `npm run test:runtimes` tests the package under, and where they
// behave differently, with the reason.
//
// `without` names files of tests that are not run, by paths below __test__. `otherwise` names tests
// that fail: one that passes is an error, too. `sometimes` names tests that may fail.

const NODES_OWN = {
  'package.test.mjs': 'npm and what it installs',
  'permission.test.mjs': "Node's permission model",
  'contract/contract.test.mjs': "recordings of Node's own module",
  'spawn.test.mjs': 'pipes to threads: process.test.mjs has those to processes',
  'compat/compat.test.mjs': 'programs with packages of their own: npm run test:compat',
  'components/components.test.mjs': 'likewise: npm run test:components',
  'release.test.mjs': 'npm and git, for whoever makes a release',
  'wasi-testsuite.test.mjs': 'compares with node:wasi',
};

export const RUNTIMES = {
  bun: {
    version: '1.4.5',
    package: {
      'linux-x64': '@oven/bun-linux-x64',
      'linux-arm64': '@oven/bun-linux-aarch64',
      'darwin-x64': '@oven/bun-darwin-x64',
      'darwin-arm64': '@oven/bun-darwin-aarch64',
      'win32-x64': '@oven/bun-windows-x64',
    },
    binary: 'bin/bun',
    args: (report) => [
      'test',
      '--timeout=20000',
      '--reporter=junit',
      `--reporter-outfile=${report}`,
    ],
    without: NODES_OWN,
    otherwise: {
      'proc_exit on the main thread is process.exit, with its handlers':
        "handlers of 'exit' get the code modulo 256",
      "the process's own output is no guest's to shut down, though it may be a socket":
        'no output can be the input of a child',
      'guests > stdio-large': 'a net.Socket does not make its descriptor non-blocking',
      'guests whose memories and tables were given maxima > stdio-large': 'likewise',
      'values alone > a component that does not await what it is given ends':
        'its stacks do not name code of WebAssembly',
      'what the embedder did wrong rejects with the class of the error':
        'an error of WebAssembly.compile() has no stack',
      'a name that the program chose cannot speak to the terminal':
        'traces have no names of functions of WebAssembly',
      '--require wasi-rs/register > works from NODE_OPTIONS': 'NODE_OPTIONS is not read',
      '--import wasi-rs/register > works from NODE_OPTIONS': 'NODE_OPTIONS is not read',
      'the hook > may be loaded by the program itself, and reaches what was imported before':
        'the named import of a built-in module is a copy',
    },
    sometimes: {
      'terminal.mjs is a terminal for CPython':
        'to start CPython takes a part of the time of a test, and more beside other work',
      'an import keeps the instance that it belongs to':
        'the collector is conservative: what may still be on the stack is kept',
      'a hostile guest gets nothing and takes nothing down':
        'beside other work, calls at the end of the stack take longer than the suite waits',
      'nor does one that suspends': 'likewise',
      'nor one that attacks the process': 'likewise',
    },
  },
  deno: {
    version: '2.9.6',
    package: {
      'linux-x64': '@deno/linux-x64-glibc',
      'linux-arm64': '@deno/linux-arm64-glibc',
      'darwin-x64': '@deno/darwin-x64',
      'darwin-arm64': '@deno/darwin-arm64',
      'win32-x64': '@deno/win32-x64',
    },
    binary: 'deno',
    args: (report) => ['test', '--allow-all', '--no-check', '--quiet', `--junit-path=${report}`],
    without: {
      ...NODES_OWN,
      'bundles.test.mjs': 'tools of Node and Bun',
      'register.test.mjs': 'built-in modules cannot be replaced for `import`, nor for Workers',
    },
    otherwise: {
      'changes to globals and prototypes do not reach the imports':
        'they reach node:fs, with which the test prints',
      'docs/migration.md: block 2 (console)': 'built-in modules cannot be replaced for `import`',
      'a program comes from stdin, and stdin from where it shall':
        'spawnSync() gives a child no descriptor as its input',
      'the process ends with exit handlers of what was loaded before, and what they print':
        '--require is passed over',
      'changes are written below, and are changes no more': 'times of statSync() are cut',
      'lists and pointers > that are no UTF-8 are no names':
        'writeFileSync() makes text of the bytes of a path',
      ...Object.fromEntries(
        ['poll-forever', 'read-forever', 'memory-shared-read'].map((name) => [
          `guests whose memories and tables were given maxima > ${name}`,
          "a Worker has not the descriptors that the process has, which is the test's way to tell",
        ]),
      ),
    },
    sometimes: {
      'server.mjs answers each request with a run of its own, under load':
        'beside other work, a process for each of many runs takes longer than the test waits',
      'a process that crashes is the end of its guest': 'likewise, as what it wrote before is read',
      'one thread waits for all, and is not there when nobody waits':
        'the threads of the process are counted, and it has some that come and go',
    },
  },
};
