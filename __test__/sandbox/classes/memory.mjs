// Wrong statements of a guest about its memory: pointers, lengths and counts that are wrong in
// every way, and a memory that changes while the host looks at it.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DIRECTORY, Guest, NONBLOCK, OVERFLOW, READS, SUCCESS, WRITES, check } from '../guest.mjs';
import { Bench, IMPORTS } from '../imports.mjs';
import { World } from '../world.mjs';

const HAMMER = fileURLToPath(new URL('../hammer.mjs', import.meta.url));
const PAGE = 65536;
const TOP = 2 ** 32;
const MIB = 1024 * 1024;
const PREOPEN = 3;
/** How long two threads work against each other. */
const SECONDS = 1;

// --- Pointers and lengths ------------------------------------------------------------------------

/** Where a range of `size` bytes may be said to begin in a memory that ends at `end`. */
function pointersFor(size, end) {
  const places = [0, 1, end - size, end - size + 1, end - 1, end, end + 1];
  places.push(2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, TOP - size, TOP - size + 1, TOP - 2, TOP - 1);
  return [...new Set(places)].filter((place) => place >= 0 && place < TOP);
}

/** How many records of `unit` bytes there may be said to be from `pointer` on: also such a number
 * that the bytes or the end of the range wrap around 2^32. */
function countsFor(unit, pointer, end) {
  const wraps = Math.ceil(TOP / unit);
  const counts = [0, 1, Math.floor((end - pointer) / unit), Math.floor((end - pointer) / unit) + 1];
  counts.push(wraps - 1, wraps, wraps + 1, Math.ceil((TOP - pointer) / unit));
  counts.push(0x20000001, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, TOP - 2, TOP - 1);
  return [...new Set(counts)].filter((count) => count >= 0 && count < TOP);
}

/** All the ways to spoil one range of a call. */
function* spoiled({ args, ranges }, end) {
  for (const { index, size, unit } of ranges) {
    for (const pointer of pointersFor(size, end)) {
      const counts = unit ? countsFor(unit, pointer, end) : [undefined];
      for (const count of counts) {
        const bytes = unit ? count * unit : size;
        const other = [...args];
        other[index] = pointer;
        if (unit) other[index + 1] = count;
        const outside = bytes > 0 && pointer + bytes > end;
        const label = unit ? `${pointer}, ${count} of ${unit}` : `${pointer}`;
        yield { args: other, outside, label: `argument ${index} is ${label}` };
      }
    }
  }
}

/** Wasm hands an i32 above 2^31 over as a negative number; JavaScript may hand it over as it is. */
function signed(args) {
  return args.map((arg) => (typeof arg === 'number' ? arg | 0 : arg));
}

function describe(entries) {
  return entries.map((name) => name).join(' ');
}

/** A call with a range outside fails and leaves no trace; any other is only not to do harm. */
function callSpoiled(bench, name, { args, outside }, before) {
  const { bytes } = bench.guest;
  const files = describe(fs.readdirSync(bench.sandbox));
  before?.copy(bytes);
  const errno = bench.call(name, args);
  check(Number.isInteger(errno) && errno >= 0 && errno <= 76, `the result is ${errno}`);
  if (outside) {
    check(errno !== SUCCESS, 'it succeeded');
    if (before) check(before.equals(bytes), 'it wrote to the memory');
    check(describe(fs.readdirSync(bench.sandbox)) === files, 'it changed a directory');
    check(bench.guest.fdstat(bench.next).errno !== SUCCESS, 'it left a descriptor open');
  } else {
    if (bench.guest.fdstat(bench.next).errno === SUCCESS) bench.guest.close(bench.next);
    if (describe(fs.readdirSync(bench.sandbox)) !== files) bench.restore();
  }
}

async function* pointers(context, pages) {
  const memory = new WebAssembly.Memory({ initial: pages });
  const bench = await Bench.make(context, { memory });
  const end = pages * PAGE;
  bench.next = Math.max(...Object.values(bench.fds)) + 1;
  for (const name of Object.keys(IMPORTS)) {
    const call = bench.argumentsOf(name);
    // Of a large memory nothing can be kept.
    const before = pages < 100 ? Buffer.from(bench.guest.bytes) : undefined;
    for (const spoil of spoiled(call, end)) {
      // Filling all of a large memory takes seconds, and is what the guest asked for.
      if (name === 'random_get' && pages > 100 && !spoil.outside && spoil.args[1] > MIB) continue;
      for (const args of [spoil.args, signed(spoil.args)]) {
        yield [
          `${name}: ${spoil.label}`,
          () => callSpoiled(bench, name, { ...spoil, args }, before),
        ];
      }
    }
  }
}

/** The same for what the entries of a list of buffers say. */
async function* entries(context) {
  const bench = await Bench.make(context);
  const { bytes } = bench.guest;
  const end = bytes.length;
  const listAt = 1024;
  for (const name of ['fd_read', 'fd_pread', 'fd_write', 'fd_pwrite', 'sock_recv', 'sock_send']) {
    const { args, ranges } = bench.argumentsOf(name);
    args[ranges[0].index] = listAt;
    args[ranges[0].index + 1] = 3;
    for (const pointer of pointersFor(16, end)) {
      for (const length of countsFor(1, pointer, end)) {
        yield [
          `${name}: a buffer of ${length} at ${pointer}`,
          () => {
            [16384, 16, pointer, length, 32768, 16].forEach((word, i) =>
              bytes.writeUInt32LE(word, listAt + 4 * i),
            );
            const errno = bench.call(name, args);
            check(Number.isInteger(errno) && errno >= 0 && errno <= 76, `the result is ${errno}`);
            if (length > 0 && pointer + length > end) check(errno !== SUCCESS, 'it succeeded');
          },
        ];
      }
    }
  }
}

/** A subscription's layout is fixed, and its count comes third. */
async function* subscriptions(context) {
  const bench = await Bench.make(context);
  const { bytes, imports } = bench.guest;
  const end = bytes.length;
  const [from, to, count] = [8192, 16384, 2];
  // Two clocks that are due.
  bytes.fill(0, from, from + 48 * count);
  const counts = [0, 1, 5461, 0x05555555, 0x05555556, 0x08000001, 2 ** 31, TOP - 1];
  for (const pointer of pointersFor(48 * count, end)) {
    for (const [first, second] of [
      [pointer, to],
      [from, pointer],
    ]) {
      for (const n of [count, ...counts]) {
        for (const result of [64, ...pointersFor(4, end)]) {
          const outside = n > 0 && (first + 48 * n > end || second + 32 * n > end);
          yield [
            `poll_oneoff: ${n} subscriptions at ${first}, events at ${second}, result at ${result}`,
            () => {
              bytes.fill(0, from, from + 48 * count);
              const errno = imports.poll_oneoff(first, second, n, result);
              check(Number.isInteger(errno) && errno >= 0 && errno <= 76, `the result is ${errno}`);
              if (outside || result + 4 > end) check(errno !== SUCCESS, 'it succeeded');
            },
          ];
        }
      }
    }
  }
}

/** Where the ranges of one call lie on top of each other. */
async function* overlaps(context) {
  const bench = await Bench.make(context);
  const { bytes } = bench.guest;
  bench.next = Math.max(...Object.values(bench.fds)) + 1;
  const base = 20000;
  for (const name of Object.keys(IMPORTS)) {
    const { args, ranges } = bench.argumentsOf(name);
    if (ranges.length < 2) continue;
    for (const shift of [0, 1, 4, 7]) {
      yield [
        `${name}: all ranges ${shift} apart`,
        () => {
          // From the last to the first: what a call reads comes before its results and stays whole.
          const moved = [...args];
          ranges.reduceRight((_, { index, size }, i) => {
            bytes.copy(bytes, base + i * shift, args[index], args[index] + size);
            moved[index] = base + i * shift;
          }, undefined);
          const before = Buffer.from(bytes);
          const errno = bench.call(name, moved);
          check(Number.isInteger(errno) && errno >= 0 && errno <= 76, `the result is ${errno}`);
          // Buffers of the lists may be written, and what is at the place itself.
          const [low, high] = [base, base + 1024];
          const same =
            before.subarray(0, low).equals(bytes.subarray(0, low)) &&
            (name.startsWith('fd_') ||
              name.startsWith('sock_') ||
              before.subarray(high).equals(bytes.subarray(high)));
          check(same, 'it wrote elsewhere');
          bench.restore();
          if (bench.guest.fdstat(bench.next).errno === SUCCESS) bench.guest.close(bench.next);
        },
      ];
    }
  }
  for (const name of ['fd_read', 'fd_pread', 'fd_write', 'fd_pwrite']) {
    yield [
      `${name}: a list that lies in its own buffers`,
      () => {
        const { args, ranges } = bench.argumentsOf(name);
        args[ranges[0].index] = base;
        args[ranges[0].index + 1] = 64;
        for (let i = 0; i < 64; i += 1) {
          bytes.writeUInt32LE(base + i, base + 8 * i);
          bytes.writeUInt32LE(512, base + 8 * i + 4);
        }
        const errno = bench.call(name, args);
        check(errno === SUCCESS, `errno ${errno}`);
      },
    ];
  }
}

async function* edges(context) {
  const world = new World(context.folder);
  yield [
    'a path that ends at the last byte of the memory',
    () => {
      const guest = new Guest(context.WASI, { preopens: { '/sandbox': world.sandbox } });
      const name = 'dir/file.txt';
      const at = guest.bytes.length - name.length;
      guest.bytes.write(name, at);
      const errno = guest.imports.path_filestat_get(PREOPEN, 0, at, name.length, 64);
      check(errno === SUCCESS, `errno ${errno}`);
      const more = guest.imports.path_filestat_get(PREOPEN, 0, at, name.length + 1, 64);
      check(more === OVERFLOW, `one byte more: errno ${more}`);
    },
  ];
  for (const name of Object.keys(IMPORTS)) {
    yield [
      `a memory without a page: ${name}`,
      async () => {
        const wasi = new context.WASI({ version: 'preview1', preopens: { '/s': world.sandbox } });
        const memory = new WebAssembly.Memory({ initial: 0 });
        wasi.start({ exports: { memory, _start() {} } });
        let hasPointer = false;
        const args = IMPORTS[name].flatMap((parameter) => {
          if (parameter.kind === 'value') return [parameter.number];
          if (parameter.kind === 'fd') return [PREOPEN];
          hasPointer = true;
          return parameter.unit ? [0, 0] : [0];
        });
        const errno = wasi.wasiImport[name](...args);
        check(Number.isInteger(errno), `the result is ${errno}`);
        if (hasPointer) check(errno !== SUCCESS, 'it succeeded');
        wasi.close?.();
      },
    ];
  }
}

// --- Requests without measure --------------------------------------------------------------------

/**
 * Fails if the peak of the process's resident memory rises by more than 64 MiB, or it takes long.
 */
function bounded(run, seconds = 5) {
  // The pages of the guest's own memory are its own; they were touched before.
  const resident = () => {
    if (process.platform !== 'linux') return process.memoryUsage.rss();
    const status = fs.readFileSync('/proc/self/status', 'utf8');
    return Number(/VmHWM:\s*(\d+)/.exec(status)[1]) * 1024;
  };
  try {
    fs.writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // The peak so far counts as the start.
  }
  const before = resident();
  const start = process.hrtime.bigint();
  run();
  const took = Number(process.hrtime.bigint() - start) / 1e9;
  const grown = Math.round((resident() - before) / MIB);
  check(grown <= 64, `the host's memory grew by ${grown} MiB`);
  check(took < seconds, `it took ${took.toFixed(1)} s`);
}

async function* requests(context) {
  const memory = new WebAssembly.Memory({ initial: 65536 });
  const bench = await Bench.make(context, { memory });
  const { bytes, imports } = bench.guest;
  const [listAt, dataAt] = [PAGE, PAGE / 2];
  const set = (at, words) => words.forEach((word, i) => bytes.writeUInt32LE(word, at + 4 * i));
  const vectored = ['fd_read', 'fd_pread', 'fd_write', 'fd_pwrite', 'sock_recv', 'sock_send'];

  for (const name of vectored) {
    const { args, ranges } = bench.argumentsOf(name);
    const call = (at, count) => {
      const other = [...args];
      other[ranges[0].index] = at;
      other[ranges[0].index + 1] = count;
      return bench.call(name, other);
    };
    for (const count of [250_000_000, 536_870_911 - listAt / 8]) {
      yield [
        `${name}: ${count} empty buffers`,
        () => bounded(() => check(call(listAt, count) <= 76, 'no errno')),
      ];
    }
    yield [
      `${name}: 2000 buffers of 4 GiB each`,
      () => {
        for (let i = 0; i < 2000; i += 1) set(listAt + 8 * i, [0, TOP - 1]);
        bounded(() => {
          // Reading is from a short file; what would be written has no end.
          if (name === 'fd_write' || name === 'fd_pwrite') return;
          check(call(listAt, 2000) <= 76, 'no errno');
        });
        bytes.fill(0, listAt, listAt + 16000);
      },
    ];
  }
  yield [
    'fd_write: buffers of 8 TiB in all to /dev/null',
    () => {
      const guest = new Guest(context.WASI, { memory, stdout: fs.openSync('/dev/null', 'w') });
      for (let i = 0; i < 2000; i += 1) set(listAt + 8 * i, [0, TOP - 1]);
      bounded(() => {
        const errno = guest.imports.fd_write(1, listAt, 2000, 64);
        check(errno === SUCCESS, `errno ${errno}`);
        check(bytes.readUInt32LE(64) < 2 ** 31, 'it says it has written more than it can');
      });
      bytes.fill(0, listAt, listAt + 16000);
    },
  ];

  const whole = [0, TOP - 1];
  const wide = {
    fd_readdir: () => imports.fd_readdir(bench.fds.directory, ...whole, 0n, TOP - PAGE),
    fd_prestat_dir_name: () => imports.fd_prestat_dir_name(bench.fds.directory, ...whole),
    path_open: () =>
      imports.path_open(bench.fds.directory, 0, ...whole, 0, READS, 0n, 0, TOP - PAGE),
    path_filestat_get: () => imports.path_filestat_get(bench.fds.directory, 0, ...whole, dataAt),
    path_symlink: () => imports.path_symlink(...whole, bench.fds.directory, ...whole),
    path_readlink: () => {
      bytes.write('link', dataAt);
      return imports.path_readlink(bench.fds.directory, dataAt, 4, ...whole, TOP - PAGE);
    },
  };
  for (const [name, call] of Object.entries(wide)) {
    yield [`${name}: a buffer of 4 GiB`, () => bounded(() => check(call() <= 76, 'no errno'))];
  }
}

/** Ten million subscriptions, of which only the last is due. */
async function* crowds(context) {
  const COUNT = 10_000_000;
  const memory = new WebAssembly.Memory({ initial: 65536 });
  const fifo = path.join(context.folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const idle = fs.openSync(fifo, 'r+');
  const guest = new Guest(context.WASI, {
    memory,
    stdin: idle,
    preopens: { '/': context.folder },
  });
  const from = PAGE;
  const to = from + 48 * COUNT;
  const fill = (pattern) => guest.bytes.fill(pattern, from, to);
  const clock = (timeout) => {
    const bytes = Buffer.alloc(48);
    bytes.writeUInt32LE(1, 16);
    bytes.writeBigUInt64LE(timeout, 24);
    return bytes;
  };
  const read = (fd) => {
    const bytes = Buffer.alloc(48);
    bytes[8] = 1;
    bytes.writeUInt32LE(fd, 16);
    return bytes;
  };
  const hour = 3_600_000_000_000n;
  for (const [name, pattern] of [
    ['clocks', clock(hour)],
    ['descriptors that are one', read(0)],
  ]) {
    yield [
      `poll_oneoff: ten million ${name}`,
      () => {
        fill(pattern);
        clock(0n).copy(guest.bytes, to - 48);
        context.alive();
        bounded(() => {
          const errno = guest.imports.poll_oneoff(from, to, COUNT, 64);
          check(errno === SUCCESS, `errno ${errno}`);
          check(guest.result() === 1, `${guest.result()} events`);
        }, 15);
      },
    ];
  }
}

// --- Other threads -------------------------------------------------------------------------------

/** A Worker that does something to a shared memory until it is told to stop. */
async function hammer(memory, kind) {
  const worker = new Worker(HAMMER, { workerData: { memory, kind } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}

async function* threads(context) {
  const world = new World(context.folder);
  const shared = (maximum = 64) => new WebAssembly.Memory({ initial: 4, maximum, shared: true });
  const until = async (memory, kind, seconds, turn) => {
    const worker = await hammer(memory, kind);
    let tries = 0;
    try {
      const end = Date.now() + seconds * 1000;
      while (Date.now() < end) {
        for (let i = 0; i < 100; i += 1) turn(tries + i);
        tries += 100;
      }
    } finally {
      await worker.terminate();
    }
    return tries;
  };
  const make = (memory) =>
    new Guest(context.WASI, { memory, preopens: { '/sandbox': world.sandbox } });

  yield [
    'a memory that grows between calls',
    async () => {
      const memory = shared(1000);
      const guest = make(memory);
      const worker = await hammer(memory, 'grow');
      let seen = 4;
      const end = Date.now() + 5000;
      // Only the calls look at the memory: they have to find the new pages by themselves.
      while (seen < 1000 && Date.now() < end) {
        const errno = guest.imports.clock_time_get(1, 0n, seen * PAGE);
        check(errno === SUCCESS || errno === OVERFLOW, `errno ${errno}`);
        if (errno === SUCCESS) seen += 1;
      }
      await worker.terminate();
      check(seen === 1000, `${seen} pages were found`);
      check(guest.imports.clock_time_get(1, 0n, 1000 * PAGE) === OVERFLOW, 'there is no such page');
    },
  ];
  yield [
    'a memory that grows while a call waits',
    async () => {
      const memory = shared(1000);
      const guest = make(memory);
      // A clock, 300 ms from now.
      guest.bytes.fill(0, 8192, 8240);
      guest.bytes.writeUInt32LE(1, 8192 + 16);
      guest.bytes.writeBigUInt64LE(300_000_000n, 8192 + 24);
      const worker = await hammer(memory, 'grow');
      const errno = guest.imports.poll_oneoff(8192, 16384, 1, 64);
      await worker.terminate();
      check(errno === SUCCESS, `errno ${errno}`);
      check(guest.result() === 1, `${guest.result()} events`);
    },
  ];
  yield [
    'buffers that change between check and use',
    async () => {
      const memory = shared();
      const guest = make(memory);
      const { errno, fd } = guest.open(PREOPEN, 'file.txt', { rights: WRITES });
      check(errno === SUCCESS, `errno ${errno}`);
      const calls = [
        () => guest.imports.fd_pwrite(fd, 1024, 16, 0n, 64),
        () => guest.imports.fd_pread(fd, 1024, 16, 0n, 64),
        () => guest.imports.fd_write(fd, 1024, 16, 64),
        () => guest.imports.fd_read(fd, 1024, 16, 64),
      ];
      return until(memory, 'buffers', SECONDS, (i) => {
        const result = calls[i % calls.length]();
        if (i % 1000 === 0) guest.imports.fd_seek(fd, 0n, 0, 64);
        // EFAULT would be the kernel's word for a pointer that passed the check.
        check(result === SUCCESS || result === OVERFLOW, `errno ${result}`);
      });
    },
  ];
  yield [
    'a path that changes between check and use',
    async () => {
      const memory = shared();
      const guest = make(memory);
      const tries = await until(memory, 'path', SECONDS, () => {
        const errno = guest.imports.path_open(PREOPEN, 1, 1024, 21, 0, READS, 0n, 0, 64);
        if (errno !== SUCCESS) return;
        const fd = guest.result();
        world.checkGot({ bytes: [guest.read(fd).bytes], stats: [guest.filestat(fd)] });
        guest.close(fd);
      });
      world.checkOutside();
      return tries;
    },
  ];
  yield [
    'subscriptions that change between check and use',
    async () => {
      const memory = shared();
      const guest = make(memory);
      const opened = guest.open(PREOPEN, 'file.txt');
      check(opened.errno === SUCCESS, `errno ${opened.errno}`);
      return until(memory, 'subscriptions', SECONDS, () => {
        const errno = guest.imports.poll_oneoff(8192, 32768, 8, 64);
        check(Number.isInteger(errno) && errno <= 76, `errno ${errno}`);
        if (errno === SUCCESS) check(guest.result() <= 8, `${guest.result()} events for 8`);
      });
    },
  ];
  yield [
    'two Workers that share a memory and hammer all imports',
    async () => {
      const memory = shared();
      const workers = [];
      for (let i = 0; i < 2; i += 1) {
        const { implementation } = context;
        const workerData = { memory, kind: 'imports', implementation, sandbox: world.sandbox };
        workers.push(new Worker(HAMMER, { workerData }));
      }
      const failed = new Promise((resolve) => {
        for (const worker of workers) worker.once('error', resolve);
      });
      const over = new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
      const error = await Promise.race([failed, over]);
      await Promise.all(workers.map((worker) => worker.terminate()));
      check(error === undefined, `a Worker failed: ${error?.message}`);
      world.checkOutside();
    },
  ];
}

export const GROUPS = [
  { name: 'pointers', cases: (context) => pointers(context, 4) },
  // A list that is read one byte off may ask for gigabytes to be written to the file.
  {
    name: 'pointers, 4 GiB',
    cases: (context) => pointers(context, 65536),
    ulimit: '-f 2048',
  },
  { name: 'entries', cases: entries },
  { name: 'subscriptions', cases: subscriptions },
  { name: 'overlaps', cases: overlaps },
  { name: 'edges', cases: edges },
  { name: 'requests', cases: requests, patience: 30_000 },
  { name: 'crowds', cases: crowds, patience: 60_000 },
  { name: 'threads', cases: threads, patience: 40_000 },
];
