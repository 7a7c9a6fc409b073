// Descriptors: numbers that stand for nothing, or no longer for what they did; rights; and how many
// there can be.

import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { collect, descriptorsLeft, openDescriptors } from '../descriptors.mjs';
import {
  BADF,
  CREAT,
  DIRECTORY,
  Guest,
  MFILE,
  NFILE,
  NOTCAPABLE,
  ONLY_DIRECTORY,
  READS,
  RIGHT,
  SUCCESS,
  TRUNC,
  WRITES,
  check,
  fail,
} from '../guest.mjs';
import { Bench, IMPORTS } from '../imports.mjs';
import { World } from '../world.mjs';

const PREOPEN = 3;
const ALL = (1n << 64n) - 1n;

function ok(errno, what) {
  check(errno === SUCCESS, `${what}: errno ${errno}`);
}

function refused(errno, wanted, what) {
  check(errno === wanted, `${what}: errno ${errno} instead of ${wanted}`);
}

function opened(guest, fd, name, options) {
  const { errno, fd: number } = guest.open(fd, name, options);
  ok(errno, `opening ${name}`);
  return number;
}

const openedDirectory = (guest, fd, name) =>
  opened(guest, fd, name, {
    oflags: ONLY_DIRECTORY,
    rights: DIRECTORY,
    inheriting: DIRECTORY | WRITES,
  });

/** The rights that a preopen has. */
function ownRights(guest) {
  const { errno, rights, inheriting } = guest.fdstat(PREOPEN);
  ok(errno, 'fd_fdstat_get');
  return { rights, inheriting };
}

// --- Numbers -------------------------------------------------------------------------------------

/** Indices of the arguments of an import that are descriptors. */
function descriptorsOf(name) {
  const places = [];
  let index = 0;
  for (const parameter of IMPORTS[name]) {
    if (parameter.kind === 'fd') places.push(index);
    index += parameter.unit ? 2 : 1;
  }
  return places;
}

async function* numbers(context) {
  const bench = await Bench.make(context);
  const closed = bench.guest.open(PREOPEN, 'file.txt').fd;
  bench.guest.close(closed);
  const closedDirectory = openedDirectory(bench.guest, PREOPEN, 'empty');
  bench.guest.close(closedDirectory);
  const bad = [closed, closedDirectory, 1000, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, -1];
  for (const name of Object.keys(IMPORTS)) {
    for (const place of descriptorsOf(name)) {
      for (const number of bad) {
        yield [
          `${name}: argument ${place} is ${number}`,
          () => {
            const files = `${fs.readdirSync(bench.sandbox)}`;
            const { args } = bench.argumentsOf(name);
            args[place] = number;
            const errno = bench.call(name, args);
            check(errno !== SUCCESS && errno <= 76, `errno ${errno}`);
            check(`${fs.readdirSync(bench.sandbox)}` === files, 'it changed a directory');
          },
        ];
      }
    }
  }
  for (const number of bad) {
    for (const [from, to] of [
      [number, PREOPEN],
      [PREOPEN, number],
      [number, number],
    ]) {
      yield [
        `fd_renumber: ${from} to ${to}`,
        () => {
          refused(bench.guest.imports.fd_renumber(from, to), BADF, 'fd_renumber');
          ok(bench.guest.fdstat(PREOPEN).errno, 'the preopen');
        },
      ];
    }
  }
}

async function* renumbered(context) {
  const world = new World(context.folder);
  const start = (options) => {
    world.resetInside();
    const log = path.join(context.folder, 'elsewhere');
    fs.writeFileSync(log, '');
    const [stdin, stdout] = [fs.openSync('/dev/null'), fs.openSync(log, 'a')];
    const preopens = { '/sandbox': world.sandbox, second: world.second };
    const guest = new Guest(context.WASI, { preopens, stdin, stdout, stderr: stdout, ...options });
    const end = () => {
      // The host's descriptors are still the host's.
      fs.writeSync(stdout, 'host');
      fs.fstatSync(stdin);
      check(fs.readFileSync(log, 'utf8') === 'host', 'the guest wrote where it had no descriptor');
      fs.closeSync(stdin);
      fs.closeSync(stdout);
      guest.wasi.close?.();
      world.checkOutside();
    };
    return { guest, end };
  };

  for (const number of [0, 1, 2]) {
    yield [
      `a file becomes ${number}`,
      () => {
        const { guest, end } = start();
        const fd = opened(guest, PREOPEN, 'file.txt', { rights: READS });
        ok(guest.imports.fd_renumber(fd, number), 'fd_renumber');
        refused(guest.fdstat(fd).errno, BADF, 'the old number');
        check(`${guest.read(number).bytes}` === 'inside', 'it is another file');
        refused(guest.write(number, 'more'), NOTCAPABLE, 'writing without the right');
        end();
      },
    ];
    yield [
      `a directory becomes ${number}`,
      () => {
        const { guest, end } = start();
        ok(guest.imports.fd_renumber(PREOPEN, number), 'fd_renumber');
        refused(guest.open(PREOPEN, 'file.txt').errno, BADF, 'the old number');
        refused(guest.write(number, 'more'), BADF, 'writing to a directory');
        refused(guest.open(number, '../outside/secret.txt').errno, NOTCAPABLE, 'leading outside');
        ok(guest.open(number, 'file.txt').errno, 'opening from the new number');
        end();
      },
    ];
  }
  yield [
    'a file in the place of a preopen',
    () => {
      const { guest, end } = start();
      const fd = opened(guest, PREOPEN, 'file.txt');
      ok(guest.imports.fd_renumber(fd, PREOPEN), 'fd_renumber');
      check(guest.imports.fd_prestat_get(PREOPEN, 64) !== SUCCESS, 'it still is a preopen');
      check(guest.open(PREOPEN, 'file.txt').errno !== SUCCESS, 'it still is a directory');
      end();
    },
  ];
  yield [
    'a directory in the place of a preopen that is a root',
    () => {
      const { guest, end } = start({ preopens: { '/': world.sandbox } });
      const fd = openedDirectory(guest, PREOPEN, 'dir');
      ok(guest.imports.fd_renumber(fd, PREOPEN), 'fd_renumber');
      check(guest.open(PREOPEN, '../file.txt').errno !== SUCCESS, 'it leads above the directory');
      check(guest.open(PREOPEN, '../../outside/secret.txt').errno !== SUCCESS, 'it leads outside');
      end();
    },
  ];
  yield [
    'one preopen in the place of another',
    () => {
      const { guest, end } = start();
      ok(guest.imports.fd_renumber(PREOPEN + 1, PREOPEN), 'fd_renumber');
      const { ino } = guest.filestat(PREOPEN);
      check(ino === fs.statSync(world.second, { bigint: true }).ino, 'it is another directory');
      refused(guest.filestat(PREOPEN + 1).errno, BADF, 'the old number');
      end();
    },
  ];
  yield [
    'a number that is free again',
    () => {
      const { guest, end } = start();
      const fd = opened(guest, PREOPEN, 'file.txt', { rights: WRITES });
      ok(guest.close(fd), 'fd_close');
      const again = opened(guest, PREOPEN, 'file.txt', { rights: RIGHT.FD_READ });
      check(again === fd, 'the lowest free number was not used');
      refused(guest.write(again, 'x'), NOTCAPABLE, 'writing with the rights of the one before');
      end();
    },
  ];
  yield [
    'everything is closed',
    () => {
      const { guest, end } = start();
      const before = openDescriptors();
      for (let i = 0; i < 20; i += 1) opened(guest, PREOPEN, 'file.txt');
      for (let fd = 0; fd < 40; fd += 1) guest.close(fd);
      for (let fd = 0; fd < 40; fd += 1) {
        refused(guest.close(fd), BADF, `closing ${fd} again`);
        refused(guest.open(fd, 'file.txt').errno, BADF, `opening from ${fd}`);
        refused(guest.write(fd, 'x'), BADF, `writing to ${fd}`);
        refused(guest.imports.fd_prestat_get(fd, 64), BADF, `asking for the preopen ${fd}`);
      }
      check(openDescriptors() <= before, 'the host has more descriptors than before');
      end();
    },
  ];
  yield [
    'descriptors at random',
    () => {
      const { guest, end } = start();
      let seed = 1;
      const random = (n) => {
        seed = (seed * 48271) % 2147483647;
        return seed % n;
      };
      for (let i = 0; i < 20_000; i += 1) {
        const turns = [
          () => guest.open(random(30), 'file.txt').errno,
          () => guest.openDirectory(random(30), '.').errno,
          () => guest.close(3 + random(27)),
          () => guest.imports.fd_renumber(3 + random(27), 3 + random(27)),
          () => guest.read(3 + random(27), 8).errno,
          () => guest.imports.fd_fdstat_set_rights(3 + random(27), 0n, 0n),
        ];
        const errno = turns[random(turns.length)]();
        check(Number.isInteger(errno) && errno <= 76, `errno ${errno}`);
        if (i % 500 !== 0) continue;
        for (let fd = 3; fd < 30; fd += 1) {
          const leads = guest.open(fd, '../outside/secret.txt', { follow: true }).errno;
          check(leads !== SUCCESS, 'it leads outside');
        }
      }
      end();
    },
  ];
}

// --- Rights --------------------------------------------------------------------------------------

/** Operations on the preopen, and the right of it that each needs. */
const NEEDS = {
  PATH_CREATE_DIRECTORY: (guest) => guest.onPath('path_create_directory', PREOPEN, 'new'),
  PATH_CREATE_FILE: (guest) => guest.open(PREOPEN, 'new', { oflags: CREAT, rights: WRITES }).errno,
  PATH_LINK_SOURCE: (guest) => guest.link(PREOPEN, 'file.txt', false, PREOPEN + 1, 'new'),
  PATH_LINK_TARGET: (guest) => guest.link(PREOPEN + 1, 'file.txt', false, PREOPEN, 'new'),
  PATH_OPEN: (guest) => guest.open(PREOPEN, 'file.txt').errno,
  FD_READDIR: (guest) => guest.list(PREOPEN).errno,
  PATH_READLINK: (guest) => guest.readlink(PREOPEN, 'link').errno,
  PATH_RENAME_SOURCE: (guest) => guest.rename(PREOPEN, 'file.txt', PREOPEN + 1, 'new'),
  PATH_RENAME_TARGET: (guest) => guest.rename(PREOPEN + 1, 'file.txt', PREOPEN, 'new'),
  PATH_FILESTAT_GET: (guest) => guest.pathFilestat(PREOPEN, 'file.txt').errno,
  PATH_FILESTAT_SET_SIZE: (guest) => guest.open(PREOPEN, 'file.txt', { oflags: TRUNC }).errno,
  PATH_FILESTAT_SET_TIMES: (guest) => guest.setTimes(PREOPEN, 'file.txt', false),
  FD_FILESTAT_GET: (guest) => guest.filestat(PREOPEN).errno,
  PATH_SYMLINK: (guest) => guest.symlink('file.txt', PREOPEN, 'new'),
  PATH_REMOVE_DIRECTORY: (guest) => guest.onPath('path_remove_directory', PREOPEN, 'empty'),
  PATH_UNLINK_FILE: (guest) => guest.onPath('path_unlink_file', PREOPEN, 'file.txt'),
};

/** Operations on a file, and the right of it that each needs. */
const FILE_NEEDS = {
  FD_READ: (guest, fd) => guest.read(fd).errno,
  FD_WRITE: (guest, fd) => guest.write(fd, 'x'),
  FD_SEEK: (guest, fd) => guest.imports.fd_seek(fd, 1n, 0, 64),
  FD_DATASYNC: (guest, fd) => guest.imports.fd_datasync(fd),
  FD_SYNC: (guest, fd) => guest.imports.fd_sync(fd),
  FD_ALLOCATE: (guest, fd) => guest.imports.fd_allocate(fd, 0n, 1n),
  FD_ADVISE: (guest, fd) => guest.imports.fd_advise(fd, 0n, 1n, 0),
  FD_FILESTAT_GET: (guest, fd) => guest.filestat(fd).errno,
  FD_FILESTAT_SET_SIZE: (guest, fd) => guest.imports.fd_filestat_set_size(fd, 1n),
  FD_FILESTAT_SET_TIMES: (guest, fd) => guest.imports.fd_filestat_set_times(fd, 0n, 0n, 1),
};

async function* rights(context) {
  const world = new World(context.folder);
  const start = () => {
    world.resetInside();
    fs.mkdirSync(path.join(world.sandbox, 'empty'));
    fs.symlinkSync('file.txt', path.join(world.sandbox, 'link'));
    const preopens = { '/sandbox': world.sandbox, second: world.second };
    return new Guest(context.WASI, { preopens });
  };
  const setRights = (guest, fd, base, inheriting) =>
    guest.imports.fd_fdstat_set_rights(fd, base, inheriting);
  const unchanged = (guest, fd, was) => {
    const now = guest.fdstat(fd);
    const same = now.rights === was.rights && now.inheriting === was.inheriting;
    check(same, `the rights changed from ${was.rights} to ${now.rights}`);
  };

  for (const [right, operation] of Object.entries(NEEDS)) {
    yield [
      `${right} is needed`,
      () => {
        ok(operation(start()), 'with the right');
        const guest = start();
        const own = ownRights(guest);
        ok(setRights(guest, PREOPEN, own.rights & ~RIGHT[right], own.inheriting), 'set_rights');
        const files = `${fs.readdirSync(world.sandbox)}`;
        refused(operation(guest), NOTCAPABLE, 'without the right');
        check(`${fs.readdirSync(world.sandbox)}` === files, 'it changed the directory');
        refused(
          setRights(guest, PREOPEN, own.rights, own.inheriting),
          NOTCAPABLE,
          'taking it back',
        );
      },
    ];
  }
  for (const [right, operation] of Object.entries(FILE_NEEDS)) {
    yield [
      `${right} of a file is needed`,
      () => {
        const guest = start();
        // FD_SEEK goes with most uses of a file.
        const all = Object.keys(FILE_NEEDS).reduce((set, name) => set | RIGHT[name], 0n);
        const file = opened(guest, PREOPEN, 'file.txt', { rights: all });
        ok(operation(guest, file), 'with the right');
        const limited = opened(guest, PREOPEN, 'file.txt', { rights: all & ~RIGHT[right] });
        refused(operation(guest, limited), NOTCAPABLE, 'without the right');
        ok(setRights(guest, file, all & ~RIGHT[right], 0n), 'set_rights');
        refused(operation(guest, file), NOTCAPABLE, 'after giving it up');
        refused(setRights(guest, file, all, 0n), NOTCAPABLE, 'taking it back');
      },
    ];
  }
  for (let bit = 0n; bit < 64n; bit += 1n) {
    yield [
      `bit ${bit} cannot be gained`,
      () => {
        const guest = start();
        const one = 1n << bit;
        const own = ownRights(guest);
        const file = opened(guest, PREOPEN, 'file.txt', { rights: RIGHT.FD_READ & ~one });
        // On the descriptor itself.
        const less = { rights: own.rights & ~one, inheriting: own.inheriting & ~one };
        ok(setRights(guest, PREOPEN, less.rights, less.inheriting), 'set_rights');
        for (const [base, inheriting] of [
          [less.rights | one, less.inheriting],
          [less.rights, less.inheriting | one],
          [one, one],
          [ALL, ALL],
        ]) {
          refused(setRights(guest, PREOPEN, base, inheriting), NOTCAPABLE, 'set_rights');
          unchanged(guest, PREOPEN, less);
        }
        // By opening, also the directory itself.
        for (const [name, oflags] of [
          ['file.txt', 0],
          ['dir', ONLY_DIRECTORY],
          ['.', ONLY_DIRECTORY],
        ]) {
          for (const [asked, inheriting] of [
            [one, 0n],
            [0n, one],
          ]) {
            const { errno, fd } = guest.open(PREOPEN, name, { oflags, rights: asked, inheriting });
            if (errno === SUCCESS) {
              const got = guest.fdstat(fd);
              check(((got.rights | got.inheriting) & one) === 0n, `it was gained through ${name}`);
            }
          }
        }
        // By giving the descriptor another number.
        const was = guest.fdstat(file);
        ok(guest.imports.fd_renumber(file, PREOPEN + 1), 'fd_renumber');
        unchanged(guest, PREOPEN + 1, was);
      },
    ];
  }
  yield [
    'a file opened to be read stays as it is',
    () => {
      const guest = start();
      const file = opened(guest, PREOPEN, 'file.txt', { rights: READS });
      for (const right of [
        'FD_WRITE',
        'FD_ALLOCATE',
        'FD_FILESTAT_SET_SIZE',
        'FD_FILESTAT_SET_TIMES',
      ]) {
        refused(FILE_NEEDS[right](guest, file), NOTCAPABLE, right);
      }
      const content = fs.readFileSync(path.join(world.sandbox, 'file.txt'), 'utf8');
      check(content === 'inside', 'it was changed');
    },
  ];
  yield [
    'a directory without rights for its children has none to give',
    () => {
      const guest = start();
      const poor = opened(guest, PREOPEN, 'dir', { oflags: ONLY_DIRECTORY, rights: DIRECTORY });
      refused(guest.open(poor, 'file.txt').errno, NOTCAPABLE, 'opening to read');
      refused(
        guest.open(poor, 'sub', { rights: DIRECTORY }).errno,
        NOTCAPABLE,
        'opening a directory',
      );
      const { errno, fd } = guest.open(poor, 'file.txt', { rights: 0n });
      if (errno === SUCCESS) refused(guest.read(fd).errno, NOTCAPABLE, 'reading');
    },
  ];
}

// --- Exhaustion ----------------------------------------------------------------------------------

function fillUp(guest) {
  const seen = new Set();
  let count = 0;
  for (;;) {
    const { errno } = guest.open(PREOPEN, 'file.txt');
    if (errno === SUCCESS) {
      count += 1;
      check(count < 10_000, 'there is no end to it');
      continue;
    }
    seen.add(errno);
    break;
  }
  const [errno] = seen;
  check(errno === MFILE || errno === NFILE, `the guest got errno ${errno}`);
  check(count > 20, `${count} descriptors were enough`);
}

/** Fails unless the host can open files. */
function hostOpens(times = 10) {
  const fds = [];
  try {
    for (let i = 0; i < times; i += 1) fds.push(fs.openSync('/dev/null'));
  } catch (error) {
    fail(`the host cannot open a file: ${error.code}`);
  } finally {
    for (const fd of fds) fs.closeSync(fd);
  }
}

async function* exhaustion(context) {
  const world = new World(context.folder);
  const start = () => new Guest(context.WASI, { preopens: { '/sandbox': world.sandbox } });
  yield [
    'until close()',
    () => {
      const guest = start();
      fillUp(guest);
      guest.wasi.close();
      hostOpens();
    },
  ];
  yield [
    'until the guest closes one after the other',
    () => {
      const guest = start();
      fillUp(guest);
      for (let fd = PREOPEN; guest.close(fd) === SUCCESS; fd += 1);
      hostOpens();
    },
  ];
  yield [
    'until collection',
    async () => {
      // In a function of its own, so that nothing keeps the guest.
      (() => fillUp(start()))();
      const opens = () => {
        try {
          fs.closeSync(fs.openSync('/dev/null'));
          return true;
        } catch {
          return false;
        }
      };
      await collect(opens);
      hostOpens();
    },
  ];
  yield [
    'every import meanwhile',
    async () => {
      const bench = await Bench.make(context);
      fillUp(bench.guest);
      for (const name of Object.keys(IMPORTS)) {
        const errno = bench.call(name, bench.argumentsOf(name).args);
        check(Number.isInteger(errno) && errno <= 76, `${name}: errno ${errno}`);
      }
      for (const name of ['file.txt', './file.txt', 'empty/../file.txt', 'link']) {
        for (const follow of [false, true]) {
          const { errno } = bench.guest.pathFilestat(PREOPEN, name, follow);
          check(Number.isInteger(errno) && errno <= 76, `${name}: errno ${errno}`);
        }
      }
      bench.guest.wasi.close();
      hostOpens();
    },
  ];
  yield [
    'a new instance meanwhile',
    () => {
      const guest = start();
      fillUp(guest);
      let error;
      try {
        start();
      } catch (thrown) {
        error = thrown;
      }
      check(error?.code === 'UVWASI_EMFILE', `it threw ${error?.code}`);
      guest.wasi.close();
      hostOpens();
      const again = start();
      ok(again.open(PREOPEN, 'file.txt').errno, 'a new instance afterwards');
      again.wasi.close();
    },
  ];
}

/** Makes instances and keeps none of them. */
function makeInstances(WASI, count, { memory, preopens, closes }) {
  for (let i = 0; i < count; i += 1) {
    const wasi = new WASI({ version: 'preview1', preopens });
    wasi.start({ exports: { memory, _start() {} } });
    if (closes) wasi.close();
  }
}

async function* instances(context) {
  const world = new World(context.folder);
  const COUNT = 10_000;
  for (const [name, preopens] of [
    ['without preopens', {}],
    ['with preopens', { '/sandbox': world.sandbox, '/': world.second }],
  ]) {
    for (const closes of [false, true]) {
      yield [
        `${COUNT} ${name}, ${closes ? 'closed' : 'dropped'}`,
        async () => {
          await collect();
          const before = openDescriptors();
          const memory = new WebAssembly.Memory({ initial: 1 });
          for (let made = 0; made < COUNT; made += 500) {
            makeInstances(context.WASI, 500, { memory, preopens, closes });
            await collect(() => openDescriptors() <= before);
          }
          await collect(() => openDescriptors() <= before);
          const left = openDescriptors() - before;
          check(left <= 0, `${left} descriptors are left`);
        },
      ];
    }
  }
  yield [
    'in Workers that end',
    async () => {
      const run = async () => {
        const source = `
          const { workerData, parentPort } = require('node:worker_threads');
          const { loader, implementation } = workerData;
          import(loader).then(({ loadWASI }) => loadWASI(implementation)).then((WASI) => {
            globalThis.kept = [];
            for (let i = 0; i < 20; i += 1) {
              kept.push(new WASI({ version: 'preview1', preopens: { '/': workerData.sandbox } }));
            }
            parentPort.postMessage('ready');
          });
          setInterval(() => {}, 1000);`;
        const { implementation } = context;
        const loader = new URL('../../support/implementation.mjs', import.meta.url).href;
        const workerData = { loader, implementation, sandbox: world.sandbox };
        const worker = new Worker(source, { eval: true, workerData });
        await new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
        await worker.terminate();
      };
      await run();
      const before = openDescriptors();
      const runs = 10;
      for (let i = 0; i < runs; i += 1) await run();
      // Deno keeps the two descriptors of an event loop of each second Worker that has loaded an
      // addon, any addon. The guests of one Worker have twenty.
      const kept = process.versions.deno ? 2 * runs : 0;
      const left = await descriptorsLeft(before + kept);
      check(left <= 0, `${left} descriptors are left`);
    },
  ];
}

export const GROUPS = [
  { name: 'numbers', cases: numbers },
  { name: 'renumber and close', cases: renumbered },
  { name: 'rights', cases: rights },
  { name: 'exhaustion', cases: exhaustion, ulimit: '-n 128', collects: true },
  { name: 'instances', cases: instances, collects: true, patience: 30_000 },
];
