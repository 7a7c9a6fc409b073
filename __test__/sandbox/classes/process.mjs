// Attacks on the process and the machine: files that are no ordinary files, waiting, signals,
// sizes.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { openSockets } from '../sockets.mjs';
import {
  CREAT,
  FBIG,
  Guest,
  NONBLOCK,
  NXIO,
  PIPE,
  READS,
  RIGHT,
  SUCCESS,
  WRITES,
  check,
} from '../guest.mjs';
import { OPERATIONS } from '../operations.mjs';
import { World } from '../world.mjs';

const PREOPEN = 3;
const MIB = 1024 * 1024;
const linux = process.platform === 'linux';

function mkfifo(place) {
  execFileSync('mkfifo', [place]);
  return place;
}

/**
 * How many milliseconds a call that does not wait may take. A call that waits does so for ever
 * here, and on a busy machine any call may take a second.
 */
const AT_ONCE = 5000;

/** Fails if it takes longer than this many milliseconds. */
function within(limit, run) {
  const start = process.hrtime.bigint();
  const result = run();
  const took = Number(process.hrtime.bigint() - start) / 1e6;
  check(took < limit, `it took ${Math.round(took)} ms`);
  return result;
}

/** Fails if a call waits. */
const atOnce = (run) => within(AT_ONCE, run);

function isErrno(errno) {
  check(Number.isInteger(errno) && errno >= 0 && errno <= 76, `the result is ${errno}`);
  return errno;
}

// --- Standard streams of every kind --------------------------------------------------------------

/** Opens a descriptor of each kind. `waits` is what reading or writing it may wait for. */
async function kinds(folder) {
  const place = (name) => path.join(folder, name);
  const fifo = (name, closes, text) => {
    mkfifo(place(name));
    // Opened for both ways first: opening one end alone would wait for the other.
    const both = fs.openSync(place(name), 'r+');
    const ends = {
      read: fs.openSync(place(name), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK),
      write: fs.openSync(place(name), 'w'),
    };
    if (text) fs.writeSync(ends.write, text);
    fs.closeSync(both);
    if (closes) fs.closeSync(ends[closes]);
    return ends;
  };
  fs.writeFileSync(place('regular'), 'text');
  fs.writeFileSync(place('removed'), 'text');
  const removed = fs.openSync(place('removed'), 'r+');
  fs.unlinkSync(place('removed'));
  fs.mkdirSync(place('directory'));
  const { listener, stream } = await openSockets(folder);
  const all = {
    'a pipe with data': { fd: fifo('data', undefined, 'text').read, waits: true },
    'an empty pipe': { fd: fifo('empty').read, waits: true },
    'a pipe that nobody writes to': { fd: fifo('ended', 'write').read },
    'a pipe that nobody reads from': { fd: fifo('closed', 'read').write },
    'a pipe to write to': { fd: fifo('writable').write, waits: true },
    'a listening socket': { fd: listener, waits: true },
    'a connected socket': { fd: stream, waits: true },
    'a regular file': { fd: fs.openSync(place('regular'), 'r+') },
    'a file that was removed': { fd: removed },
    'a directory': { fd: fs.openSync(place('directory')) },
    '/dev/null': { fd: fs.openSync('/dev/null', 'r+') },
    '/dev/zero': { fd: fs.openSync('/dev/zero', 'r+') },
    '/dev/urandom': { fd: fs.openSync('/dev/urandom') },
  };
  if (linux) all['/dev/full'] = { fd: fs.openSync('/dev/full', 'r+') };
  if (fs.existsSync('/dev/ptmx')) {
    const flags = fs.constants.O_RDWR | fs.constants.O_NOCTTY;
    all['a terminal'] = { fd: fs.openSync('/dev/ptmx', flags), waits: true };
  }
  return all;
}

/** Everything that can be done with a descriptor. */
const ON_DESCRIPTOR = {
  fd_advise: (guest, fd) => guest.imports.fd_advise(fd, 0n, 1n, 0),
  fd_allocate: (guest, fd) => guest.imports.fd_allocate(fd, 0n, 8n),
  fd_datasync: (guest, fd) => guest.imports.fd_datasync(fd),
  fd_fdstat_get: (guest, fd) => guest.fdstat(fd).errno,
  fd_fdstat_set_flags: (guest, fd) => guest.imports.fd_fdstat_set_flags(fd, NONBLOCK | 1),
  fd_filestat_get: (guest, fd) => guest.filestat(fd).errno,
  fd_filestat_set_size: (guest, fd) => guest.imports.fd_filestat_set_size(fd, 4n),
  fd_filestat_set_times: (guest, fd) => guest.imports.fd_filestat_set_times(fd, 0n, 0n, 2),
  fd_pread: (guest, fd) => guest.imports.fd_pread(fd, 256, 1, 0n, 64),
  fd_prestat_get: (guest, fd) => guest.imports.fd_prestat_get(fd, 64),
  fd_pwrite: (guest, fd) => guest.imports.fd_pwrite(fd, 256, 1, 0n, 64),
  fd_read: (guest, fd) => guest.read(fd).errno,
  fd_readdir: (guest, fd) => guest.list(fd).errno,
  fd_seek: (guest, fd) => guest.imports.fd_seek(fd, 0n, 0, 64),
  fd_sync: (guest, fd) => guest.imports.fd_sync(fd),
  fd_tell: (guest, fd) => guest.imports.fd_tell(fd, 64),
  fd_write: (guest, fd) => guest.write(fd, 'text'),
  path_open: (guest, fd) => guest.open(fd, 'file.txt').errno,
  poll_oneoff: (guest, fd) => {
    guest.bytes.fill(0, 8192, 8192 + 144);
    [1, 2].forEach((type, i) => {
      guest.bytes[8192 + 48 * i + 8] = type;
      guest.bytes.writeUInt32LE(fd, 8192 + 48 * i + 16);
    });
    // The third is a clock that is due.
    return guest.imports.poll_oneoff(8192, 16384, 3, 64);
  },
  sock_accept: (guest, fd) => guest.imports.sock_accept(fd, 0, 64),
  sock_recv: (guest, fd) => guest.imports.sock_recv(fd, 256, 1, 0, 64, 72),
  sock_send: (guest, fd) => guest.imports.sock_send(fd, 256, 1, 0, 64),
  sock_shutdown: (guest, fd) => guest.imports.sock_shutdown(fd, 3),
  fd_renumber: (guest, fd) => guest.imports.fd_renumber(fd, fd),
  fd_close: (guest, fd) => guest.imports.fd_close(fd),
};

function hostFlags(fd) {
  if (!linux) return '';
  return /flags:\s*(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1];
}

async function* streams(context) {
  const all = await kinds(context.folder);
  for (const [kind, { fd, waits }] of Object.entries(all)) {
    for (const [name, operation] of Object.entries(ON_DESCRIPTOR)) {
      for (const nonblock of waits ? [true] : [true, false]) {
        yield [
          `${name}: ${kind} as standard streams${nonblock ? ', not blocking' : ''}`,
          () => {
            const guest = new Guest(context.WASI, { stdin: fd, stdout: fd, stderr: fd });
            const flags = hostFlags(fd);
            if (nonblock) isErrno(guest.imports.fd_fdstat_set_flags(0, NONBLOCK));
            atOnce(() => isErrno(operation(guest, 0)));
            check(hostFlags(fd) === flags, "the flags of the host's descriptor changed");
            // It must be open still. On Linux its flags have just been read, and Deno's fstatSync()
            // knows no sockets.
            if (!linux) fs.fstatSync(fd);
            guest.wasi.close?.();
          },
        ];
      }
    }
  }
  yield [
    'writing to a pipe that nobody reads from is an error and no signal',
    () => {
      const guest = new Guest(context.WASI, { stdout: all['a pipe that nobody reads from'].fd });
      const errno = guest.write(1, 'text');
      check(errno === PIPE, `errno ${errno}`);
    },
  ];
  for (const fd of [1_000_000, 2 ** 31 - 1]) {
    yield [
      `the host's descriptor ${fd}, which is not open`,
      () => {
        try {
          new context.WASI({ version: 'preview1', stdin: fd });
        } catch (error) {
          check(error.code === 'UVWASI_EBADF', `it threw ${error.code}`);
          return;
        }
        check(false, 'it was accepted');
      },
    ];
  }
}

// --- Files that are no ordinary files ------------------------------------------------------------

async function* specials(context) {
  const world = new World(context.folder);
  const fifo = mkfifo(path.join(world.sandbox, 'fifo'));
  await openSockets(world.sandbox);
  const guest = new Guest(context.WASI, { preopens: { '/sandbox': world.sandbox } });
  for (const [name, rights] of [
    ['to read', READS],
    ['to write', RIGHT.FD_WRITE],
    ['to read and write', READS | RIGHT.FD_WRITE],
    ['for nothing', 0n],
  ]) {
    for (const [kind, oflags] of [
      ['', 0],
      [', creating', CREAT],
      [', truncating', 8],
    ]) {
      for (const file of ['fifo', 'socket']) {
        yield [
          `opening a ${file} ${name}${kind}`,
          () => {
            // One to write alone waits for its reader otherwise.
            const fdflags = name === 'to write' ? NONBLOCK : 0;
            const { errno, fd } = atOnce(() =>
              guest.open(PREOPEN, file, { rights, oflags, fdflags }),
            );
            isErrno(errno);
            if (errno === SUCCESS) guest.close(fd);
            if (file === 'fifo' && name === 'to write') check(errno === NXIO, `errno ${errno}`);
          },
        ];
      }
    }
  }
  yield [
    'a fifo that is opened on both sides',
    () => {
      const reader = guest.open(PREOPEN, 'fifo', { rights: READS, fdflags: NONBLOCK });
      check(reader.errno === SUCCESS, `opening it to read: errno ${reader.errno}`);
      const writer = guest.open(PREOPEN, 'fifo', { rights: RIGHT.FD_WRITE, fdflags: NONBLOCK });
      check(writer.errno === SUCCESS, `opening it to write: errno ${writer.errno}`);
      atOnce(() => check(guest.read(reader.fd).errno !== SUCCESS, 'it has data'));
      check(guest.write(writer.fd, 'text') === SUCCESS, 'it takes nothing');
      check(`${guest.read(reader.fd).bytes}` === 'text', 'it gives something else');
      let errno = SUCCESS;
      for (let i = 0; i < 10_000 && errno === SUCCESS; i += 1)
        errno = guest.write(writer.fd, 'text'.repeat(1000));
      check(errno !== SUCCESS, 'it is never full');
      guest.close(reader.fd);
      check(guest.write(writer.fd, 'text') === PIPE, 'nobody reads from it');
      guest.close(writer.fd);
    },
  ];
  for (const operation of OPERATIONS) {
    yield [
      `${operation.name}: a fifo`,
      () => {
        fs.rmSync(fifo, { recursive: true, force: true });
        fs.rmSync(path.join(world.sandbox, 'taken'), { recursive: true, force: true });
        mkfifo(fifo);
        // Reading would wait for a writer.
        const other = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
        const writer = fs.openSync(fifo, 'w');
        fs.writeSync(writer, 'text');
        atOnce(() => isErrno(operation.run(guest, PREOPEN, 'fifo').errno));
        fs.closeSync(other);
        fs.closeSync(writer);
      },
    ];
  }
  const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'fd', 'stdin'];
  for (const device of devices.filter((name) => fs.existsSync(`/dev/${name}`))) {
    yield [
      `reading /dev/${device} below a preopen of /dev`,
      () => {
        const host = new Guest(context.WASI, { preopens: { '/dev': '/dev' } });
        const { errno, fd } = atOnce(() =>
          host.open(PREOPEN, device, { follow: true, fdflags: NONBLOCK }),
        );
        isErrno(errno);
        if (errno === SUCCESS) atOnce(() => isErrno(host.read(fd, 16).errno));
        host.wasi.close?.();
      },
    ];
  }
}

// --- Waiting -------------------------------------------------------------------------------------

async function* waiting(context) {
  const guest = new Guest(context.WASI);
  const MAX = (1n << 64n) - 1n;
  const subscribe = (clocks) => {
    clocks.forEach(({ clock = 1, timeout, absolute }, i) => {
      const at = 8192 + 48 * i;
      guest.bytes.fill(0, at, at + 48);
      guest.bytes.writeBigUInt64LE(BigInt(i), at);
      guest.bytes.writeUInt32LE(clock, at + 16);
      guest.bytes.writeBigUInt64LE(timeout, at + 24);
      guest.bytes.writeUInt16LE(absolute ? 1 : 0, at + 40);
    });
    return guest.imports.poll_oneoff(8192, 16384, clocks.length, 64);
  };
  for (const clock of [0, 1]) {
    for (const timeout of [0n, 1n, 1_000n, 1_000_000n]) {
      for (const absolute of [false, true]) {
        yield [
          `clock ${clock}, ${timeout} ns, ${absolute ? 'absolute' : 'from now'}`,
          () => {
            const errno = atOnce(() => subscribe([{ clock, timeout, absolute }]));
            check(errno === SUCCESS && guest.result() === 1, `errno ${errno}`);
          },
        ];
      }
    }
    for (const absolute of [false, true]) {
      for (const timeout of [MAX, MAX - 1n, 1n << 63n, (1n << 63n) - 1n]) {
        yield [
          `clock ${clock}, ${timeout} ns, ${absolute ? 'absolute' : 'from now'}, and one that is due`,
          () => {
            const clocks = [{ clock, timeout, absolute }, { timeout: 20_000_000n }];
            const errno = atOnce(() => subscribe(clocks));
            check(errno === SUCCESS && guest.result() === 1, `errno ${errno}`);
            check(guest.bytes.readBigUInt64LE(16384) === 1n, 'it is the other event');
          },
        ];
      }
    }
  }
  for (const clock of [2, 3, 4, 255, 2 ** 31, 2 ** 32 - 1]) {
    for (const timeout of [0n, MAX]) {
      yield [
        `clock ${clock}, which cannot be waited for, ${timeout} ns`,
        () => atOnce(() => isErrno(subscribe([{ clock, timeout }]))),
      ];
    }
  }
  const signals = [...Array(66).keys(), 127, 255, 256, 2 ** 31, 2 ** 32 - 1, -1, -9];
  for (const signal of signals) {
    yield [
      `proc_raise ${signal}`,
      () => check(isErrno(guest.imports.proc_raise(signal)) !== SUCCESS, 'it succeeded'),
    ];
  }
}

// --- Sizes ---------------------------------------------------------------------------------------

const SIZES = [40n, 43n, 50n, 62n, 63n].flatMap((bit) => [(1n << bit) - 1n, 1n << bit]);
const MAX = (1n << 64n) - 1n;

async function* sizes(context) {
  const world = new World(context.folder);
  const guest = new Guest(context.WASI, { preopens: { '/sandbox': world.sandbox } });
  const place = path.join(world.sandbox, 'file.txt');
  const { fd } = guest.open(PREOPEN, 'file.txt', { rights: WRITES | RIGHT.FD_ADVISE });
  guest.bytes.writeUInt32LE(32768, 256);
  guest.bytes.writeUInt32LE(16, 260);
  const { imports } = guest;
  /** A size is only a size: it must take no room. */
  const sparse = (run) => {
    const errno = atOnce(() => isErrno(run()));
    const { blocks } = fs.statSync(place);
    check(blocks * 512 < 16 * MIB, `the file takes ${blocks * 512} bytes`);
    fs.truncateSync(place, 6);
    return errno;
  };
  for (const size of [...SIZES, MAX]) {
    yield [
      `fd_filestat_set_size ${size}`,
      () => void sparse(() => imports.fd_filestat_set_size(fd, size)),
    ];
    yield [
      `fd_pwrite at ${size}`,
      () => void sparse(() => imports.fd_pwrite(fd, 256, 1, size, 64)),
    ];
    yield [`fd_pread at ${size}`, () => void sparse(() => imports.fd_pread(fd, 256, 1, size, 64))];
    yield [`fd_advise ${size}`, () => void sparse(() => imports.fd_advise(fd, size, MAX, 3))];
    for (const whence of [0, 1, 2]) {
      yield [
        `fd_seek ${size} from ${whence} and writing there`,
        () =>
          void sparse(() => {
            isErrno(imports.fd_seek(fd, size, whence, 64));
            isErrno(imports.fd_write(fd, 256, 1, 64));
            return imports.fd_seek(fd, 0n, 0, 64);
          }),
      ];
    }
  }
  for (const [offset, length] of [
    [(1n << 63n) - 1n, 1n],
    [1n, (1n << 63n) - 1n],
    [1n << 63n, 1n],
    [1n, 1n << 63n],
    [0n, MAX],
    [MAX, 1n],
    [MAX, MAX],
  ]) {
    yield [
      `fd_allocate ${length} at ${offset}`,
      () => {
        const errno = sparse(() => imports.fd_allocate(fd, offset, length));
        check(errno !== SUCCESS, 'it succeeded');
      },
    ];
  }
}

/** With a limit on the size of files: beyond it the kernel sends a signal that ends a process. */
async function* limited(context) {
  const world = new World(context.folder);
  const log = path.join(world.elsewhere);
  const stdout = fs.openSync(log, 'w');
  const make = () => new Guest(context.WASI, { preopens: { '/': world.sandbox }, stdout });
  const options = { rights: WRITES, oflags: CREAT };
  const tooBig = (errno) => check(errno === FBIG, `errno ${errno}`);
  const until = (write) => {
    let errno = SUCCESS;
    for (let i = 0; i < 100 && errno === SUCCESS; i += 1) errno = write();
    return errno;
  };
  const text = 'text'.repeat(8192);
  const GIB = 1n << 30n;
  const cases = {
    fd_write: (guest, fd) => until(() => guest.write(fd, text)),
    'fd_write to standard output': (guest) => until(() => guest.write(1, text)),
    fd_pwrite: (guest, fd) => {
      guest.write(fd, 'text');
      return guest.imports.fd_pwrite(fd, 256, 1, GIB, 64);
    },
    fd_filestat_set_size: (guest, fd) => guest.imports.fd_filestat_set_size(fd, GIB),
    fd_allocate: (guest, fd) => guest.imports.fd_allocate(fd, 0n, GIB),
    'fd_allocate of everything': (guest, fd) => guest.imports.fd_allocate(fd, 0n, (1n << 63n) - 1n),
  };
  for (const [name, run] of Object.entries(cases)) {
    yield [
      name,
      () => {
        const guest = make();
        const { errno, fd } = guest.open(PREOPEN, 'new', options);
        check(errno === SUCCESS, `errno ${errno}`);
        tooBig(isErrno(run(guest, fd)));
        guest.wasi.close?.();
      },
    ];
  }
}

// --- Directories ---------------------------------------------------------------------------------

async function* directories(context) {
  const { folder, WASI } = context;
  for (const operation of OPERATIONS) {
    yield [
      `${operation.name}: in a directory that was removed`,
      () => {
        const gone = path.join(folder, 'gone');
        fs.mkdirSync(gone);
        const guest = new Guest(WASI, { preopens: { '/gone': gone } });
        fs.rmdirSync(gone);
        const inside = operation.run(guest, PREOPEN, 'new');
        check(inside.errno !== SUCCESS, 'it succeeded');
        const outside = operation.run(guest, PREOPEN, '../outside');
        check(outside.errno !== SUCCESS, 'it leads outside');
        guest.wasi.close?.();
      },
    ];
  }
  for (const [guestName, host] of [
    ['/', '.'],
    ['.', '.'],
    ['/there', 'there'],
  ]) {
    yield [
      `a preopen ${guestName} of ${host} in a working directory that was removed`,
      () => {
        const gone = path.join(folder, 'gone');
        fs.mkdirSync(gone);
        process.chdir(gone);
        fs.rmdirSync(gone);
        try {
          const guest = new Guest(WASI, { preopens: { [guestName]: host } });
          check(guest.open(PREOPEN, 'new', { oflags: CREAT }).errno !== SUCCESS, 'it made a file');
          check(guest.open(PREOPEN, '../secret').errno !== SUCCESS, 'it leads outside');
          guest.wasi.close?.();
        } catch (error) {
          check(error.code === 'UVWASI_ENOENT', error.message);
        } finally {
          process.chdir(folder);
        }
      },
    ];
  }
}

async function* crowded(context) {
  const COUNT = 100_000;
  const large = path.join(context.folder, 'large');
  fs.mkdirSync(large);
  // Hard links are made quicker than files, but a file cannot have any number of them.
  let file;
  for (let i = 0; i < COUNT; i += 1) {
    const place = path.join(large, `a file of many, number ${i}`);
    if (i % 10_000 !== 0) {
      fs.linkSync(file, place);
      continue;
    }
    file = place;
    fs.writeFileSync(place, '');
    context.alive();
  }
  const guest = new Guest(context.WASI, { preopens: { '/large': large } });
  /** How many whole entries a listing has, and where the next one begins. */
  const entries = (bytes, names) => {
    let next;
    for (let at = 0; at + 24 <= bytes.length;) {
      const end = at + 24 + bytes.readUInt32LE(at + 16);
      if (end > bytes.length) break;
      next = bytes.readBigUInt64LE(at);
      names?.add(bytes.toString('latin1', at + 24, end));
      at = end;
    }
    return next;
  };
  for (const [length, limit] of [
    [4096, 10_000],
    [65_536, 5000],
  ]) {
    yield [
      `a directory of ${COUNT} entries in buffers of ${length} bytes`,
      () => {
        const names = new Set();
        const before = process.memoryUsage().rss;
        within(limit, () => {
          for (let cookie = 0n; ;) {
            const { errno, bytes } = guest.list(PREOPEN, cookie, length);
            check(errno === SUCCESS, `errno ${errno}`);
            const next = entries(bytes, names);
            if (bytes.length < length) break;
            cookie = next;
          }
        });
        for (const name of ['.', '..']) names.delete(name);
        check(names.size === COUNT, `${names.size} entries were listed`);
        const grown = (process.memoryUsage().rss - before) / MIB;
        check(grown < 64, `the memory grew by ${Math.round(grown)} MiB`);
      },
    ];
  }
  const odd = [1n, 2n, 1n << 31n, 1n << 32n, 1n << 62n, (1n << 63n) - 1n, 1n << 63n, MAX];
  for (const cookie of odd) {
    yield [
      `the cookie ${cookie}, which nobody gave`,
      () => void atOnce(() => isErrno(guest.list(PREOPEN, cookie, 4096).errno)),
    ];
  }
  yield [
    'a thousand cookies at random',
    () => {
      const buffer = new BigUint64Array(1000).map(
        () => BigInt(Math.floor(Math.random() * 2 ** 53)) << 10n,
      );
      atOnce(() => {
        for (const cookie of buffer) isErrno(guest.list(PREOPEN, cookie, 512).errno);
      });
    },
  ];
}

export const GROUPS = [
  { name: 'standard streams', cases: streams },
  { name: 'special files', cases: specials },
  { name: 'waiting and signals', cases: waiting },
  { name: 'sizes', cases: sizes },
  { name: 'sizes with a limit', cases: limited, ulimit: '-f 128' },
  { name: 'directories', cases: directories },
  { name: 'a large directory', cases: crowded, patience: 60_000 },
];
