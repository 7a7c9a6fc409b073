// The rows of the benchmark: what each calls, how it is prepared, and what it aims at.
import { BUFFER, OPENED, OUT, buffers, loaded, nextName, opened, record, text } from './guest.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;

/** The size of the file that is read and written. */
export const FILE_SIZE = 16 * MIB;
/** The bytes that the pipe takes before it blocks, of which the guest holds both ends. */
export const PIPE_SIZE = MIB;
/** How many files exist at once in the rows that create or remove them. */
const FILES_AT_ONCE = 512;
/**
 * The preopened directory, and the standard streams: a pipe's read end, /dev/null, its write end.
 */
const ROOT = 3;
const PIPE_IN = 0;
const NULL = 1;
const PIPE_OUT = 2;

const FOLLOW = 1;
const CREATE = 1;
// The rights with which C libraries open a file for reading.
const READING = 0x0820_00a6n;

/** Overhead aimed at above the bare system call, in ns, by the types of a call's arguments. */
export const OVERHEAD_AIM = { i32: 25, i64: 35 };

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {number} aim the greatest ratio to node:wasi aimed at
 * @property {'i32' | 'i64'} [overhead] judge the time above the bare system call, as for these
 *   types
 * @property {0} [bare] no system call is needed: its bare cost is 0
 * @property {any[][]} [calls] what a turn calls
 * @property {any[][]} [before] what a turn of an untimed loop before each sample calls
 * @property {any[][]} [after] the same after each sample
 * @property {boolean} [once] `before` and `after` run once a sample, not once a turn
 * @property {string} [host] the name of a step of the host before or after a sample, see
 *   measure.mjs
 * @property {number} [limit] the most turns that one sample can have
 * @property {number} [per] how many calls of the same kind a turn makes: the time is for one
 * @property {number} [moves] the bytes that each call must move
 * @property {number} [until] the bytes that a turn moves in as many calls as it takes
 * @property {number} [errno] what the calls return
 * @property {number} [cold] the only turns that its process makes: the time is for one of them
 * @property {{ fd: object, length: number }} [walk] reads a directory instead
 * @property {number} [entries] how many entries that directory has
 * @property {number} [instances] how many instances make the calls of a turn, one after another
 * @property {number} [visit] how often each of them makes them in a turn
 * @property {number} [descriptors] how many descriptors the guest has
 * @property {string} [fixture] in what kind of process it runs; the rows of one kind share a
 *   process
 */

/**
 * Calls that one of several instances makes before the next one has its turn, as a guest does in
 * which the host calls a function.
 */
const VISIT = 16;

/** @returns {string} `64 KiB` */
function size(bytes) {
  if (bytes >= MIB) return `${bytes / MIB} MiB`;
  if (bytes >= KIB) return `${bytes / KIB} KiB`;
  return `${bytes} B`;
}

const SIZES = [1, 4 * KIB, 64 * KIB, MIB];
const file = opened('file');

/** A subscription to a clock whose time has come. */
function expiredClock() {
  const bytes = Buffer.alloc(48);
  bytes.writeUInt32LE(1, 16); // the monotonic clock
  return record(bytes);
}

/** The calls that a libc and a program make between start and end, each once. */
function shortProgram() {
  const fd = loaded(OPENED);
  return [
    ['args_sizes_get', OUT, OUT + 8],
    ['args_get', OUT, OUT + 64],
    ['environ_sizes_get', OUT, OUT + 8],
    ['environ_get', OUT, OUT + 64],
    ['fd_prestat_get', ROOT, OUT],
    ['fd_prestat_dir_name', ROOT, OUT, 1],
    ['clock_time_get', 1, 1n, OUT],
    ['clock_res_get', 1, OUT],
    ['random_get', OUT, 8],
    ['path_filestat_get', ROOT, FOLLOW, text('file'), OUT],
    ['path_open', ROOT, FOLLOW, text('file'), 0, READING, 0n, 0, OPENED],
    ['fd_fdstat_get', fd, OUT],
    ['fd_filestat_get', fd, OUT],
    ['fd_seek', fd, 64n, 0, OUT],
    ['fd_tell', fd, OUT],
    ['fd_read', fd, buffers(64), OUT],
    ['fd_pread', fd, buffers(64), 0n, OUT],
    ['fd_write', NULL, buffers(64), OUT],
    ['fd_readdir', ROOT, BUFFER, 4 * KIB, 0n, OUT],
    ['fd_close', fd],
  ];
}

function* table() {
  // Answers from the tables of the instance.
  yield {
    name: 'fd_close of no descriptor',
    calls: [['fd_close', 4095]],
    errno: 8,
    bare: 0,
    overhead: 'i32',
  };
  yield {
    name: 'args_sizes_get',
    calls: [['args_sizes_get', OUT, OUT + 8]],
    bare: 0,
    overhead: 'i32',
  };
  yield { name: 'args_get', calls: [['args_get', OUT, OUT + 64]], bare: 0, overhead: 'i32' };
  yield {
    name: 'environ_sizes_get',
    calls: [['environ_sizes_get', OUT, OUT + 8]],
    bare: 0,
    overhead: 'i32',
  };
  yield { name: 'environ_get', calls: [['environ_get', OUT, OUT + 64]], bare: 0, overhead: 'i32' };
  yield {
    name: 'fd_prestat_get',
    aim: 0.5,
    calls: [['fd_prestat_get', ROOT, OUT]],
    bare: 0,
    overhead: 'i32',
  };
  yield {
    name: 'fd_prestat_dir_name',
    calls: [['fd_prestat_dir_name', ROOT, OUT, 1]],
    bare: 0,
    overhead: 'i32',
  };
  yield {
    name: 'fd_fdstat_get, file',
    aim: 0.7,
    calls: [['fd_fdstat_get', file, OUT]],
    bare: 0,
    overhead: 'i32',
  };
  yield {
    name: 'fd_fdstat_get, stdio',
    aim: 0.7,
    calls: [['fd_fdstat_get', NULL, OUT]],
    overhead: 'i32',
  };
  yield {
    name: 'fd_fdstat_set_rights',
    calls: [['fd_fdstat_set_rights', opened('reading'), READING, 0n]],
    bare: 0,
    overhead: 'i64',
  };
  yield {
    name: 'fd_fdstat_set_flags',
    calls: [['fd_fdstat_set_flags', file, 0]],
    bare: 0,
    overhead: 'i32',
  };

  // Clocks, randomness, scheduling.
  yield {
    name: 'clock_time_get',
    aim: 0.95,
    calls: [['clock_time_get', 1, 1n, OUT]],
    overhead: 'i64',
  };
  yield { name: 'clock_res_get', calls: [['clock_res_get', 1, OUT]], bare: 0, overhead: 'i32' };
  yield { name: 'random_get 8 B', aim: 0.2, calls: [['random_get', OUT, 8]] };
  yield { name: 'random_get 64 KiB', aim: 0.3, calls: [['random_get', BUFFER, 64 * KIB]] };
  yield { name: 'sched_yield', calls: [['sched_yield']], overhead: 'i32' };
  yield {
    name: 'poll_oneoff, one expired clock',
    calls: [['poll_oneoff', expiredClock(), OUT, 1, OUT + 64]],
  };

  // An open file.
  yield {
    name: 'fd_write 64 B to /dev/null',
    aim: 0.7,
    calls: [['fd_write', NULL, buffers(64), OUT]],
    moves: 64,
    overhead: 'i32',
  };
  yield {
    name: 'fd_seek',
    aim: 0.8,
    calls: [['fd_seek', file, 0n, 0, OUT]],
    bare: 0,
    overhead: 'i64',
  };
  yield { name: 'fd_seek, end', aim: 0.8, calls: [['fd_seek', file, 0n, 2, OUT]], overhead: 'i64' };
  yield { name: 'fd_tell', calls: [['fd_tell', file, OUT]], bare: 0, overhead: 'i32' };
  yield {
    name: 'fd_filestat_get',
    aim: 0.8,
    calls: [['fd_filestat_get', file, OUT]],
    overhead: 'i32',
  };
  yield {
    name: 'fd_filestat_set_size',
    calls: [['fd_filestat_set_size', file, BigInt(FILE_SIZE)]],
  };
  yield { name: 'fd_filestat_set_times', calls: [['fd_filestat_set_times', file, 1n, 1n, 5]] };
  yield { name: 'fd_advise', calls: [['fd_advise', file, 0n, 0n, 0]], overhead: 'i64' };
  for (const length of [64, 4 * KIB, 64 * KIB, MIB]) {
    yield {
      name: `fd_pread ${size(length)}`,
      aim: length <= 4 * KIB ? 0.75 : 1,
      calls: [['fd_pread', file, buffers(length), 0n, OUT]],
      moves: length,
      overhead: length <= 64 ? 'i64' : undefined,
    };
  }
  yield {
    name: 'fd_pwrite 64 B',
    calls: [['fd_pwrite', file, buffers(64), 0n, OUT]],
    moves: 64,
    overhead: 'i64',
  };
  const rewind = { once: true, before: [['fd_seek', file, 0n, 0, OUT]] };
  for (const call of ['fd_read', 'fd_write']) {
    for (const length of SIZES) {
      yield {
        name: `${call} ${size(length)}, file`,
        calls: [[call, file, buffers(length), OUT]],
        moves: length,
        limit: FILE_SIZE / length,
        overhead: length === 1 ? 'i32' : undefined,
        ...rewind,
      };
    }
    yield {
      name: `${call} 16 x 256 B, file`,
      calls: [[call, file, buffers(...Array(16).fill(256)), OUT]],
      moves: 4 * KIB,
      limit: FILE_SIZE / (4 * KIB),
      ...rewind,
    };
  }

  // A pipe that the guest holds both ends of, so that no other process has a part in the time.
  for (const length of SIZES) {
    const read = [['fd_read', PIPE_IN, buffers(length), OUT]];
    const write = [['fd_write', PIPE_OUT, buffers(length), OUT]];
    const limit = Math.min(PIPE_SIZE / length, 4096);
    const overhead = length === 1 ? 'i32' : undefined;
    const shared = { moves: length, limit, overhead, pipe: true };
    yield { name: `fd_read ${size(length)}, pipe`, before: write, calls: read, ...shared };
    yield { name: `fd_write ${size(length)}, pipe`, calls: write, after: read, ...shared };
  }
  // A pipe whose other end another process holds: a MiB, in as many calls as it takes.
  yield {
    name: 'fd_read 1 MiB from another process',
    fixture: 'peer',
    calls: [['fd_read', 0, buffers(64 * KIB), OUT]],
    until: MIB,
    pipe: true,
  };
  yield {
    name: 'fd_write 1 MiB to another process',
    fixture: 'peer',
    calls: [['fd_write', 1, buffers(64 * KIB), OUT]],
    until: MIB,
    pipe: true,
  };

  // Paths.
  const paths = { '1 component': 'file', '5 components': 'a/b/c/d/file' };
  for (const [words, path] of Object.entries(paths)) {
    const one = path === 'file';
    yield {
      name: `path_filestat_get, ${words}`,
      aim: one ? 0.5 : 0.85,
      calls: [['path_filestat_get', ROOT, FOLLOW, text(path), OUT]],
      overhead: one ? 'i32' : undefined,
    };
    yield {
      name: `path_open + fd_close, ${words}`,
      aim: 0.5,
      calls: [
        ['path_open', ROOT, FOLLOW, text(path), 0, READING, 0n, 0, OUT],
        ['fd_close', loaded(OUT)],
      ],
    };
  }
  yield {
    name: 'path_open + fd_close, new file',
    calls: [
      ['path_open', opened('scratch'), FOLLOW, nextName, CREATE, READING | 64n, 0n, 0, OUT],
      ['fd_close', loaded(OUT)],
    ],
    host: 'files created',
    limit: FILES_AT_ONCE,
  };
  yield {
    name: 'path_create_directory + path_remove_directory',
    calls: [
      ['path_create_directory', ROOT, text('new')],
      ['path_remove_directory', ROOT, text('new')],
    ],
  };
  yield {
    name: 'path_rename',
    calls: [
      ['path_rename', ROOT, text('old'), ROOT, text('renamed')],
      ['path_rename', ROOT, text('renamed'), ROOT, text('old')],
    ],
    per: 2,
  };
  yield {
    name: 'path_unlink_file',
    calls: [['path_unlink_file', opened('scratch'), nextName]],
    host: 'files removed',
    limit: FILES_AT_ONCE,
  };
  yield {
    name: 'path_link',
    calls: [['path_link', ROOT, 0, text('old'), opened('scratch'), nextName]],
    host: 'files created',
    limit: FILES_AT_ONCE,
  };
  yield {
    name: 'path_symlink + path_readlink',
    calls: [
      ['path_symlink', text('file'), opened('scratch'), nextName],
      ['path_readlink', opened('scratch'), nextName, BUFFER, 256, OUT],
    ],
    host: 'files created',
    limit: FILES_AT_ONCE,
  };
  yield { name: 'path_readlink', calls: [['path_readlink', ROOT, text('link'), BUFFER, 256, OUT]] };
  yield {
    name: 'path_filestat_set_times',
    calls: [['path_filestat_set_times', ROOT, FOLLOW, text('file'), 1n, 1n, 5]],
  };

  // Directories.
  for (const entries of [100, 5000, 100_000]) {
    for (const length of [4 * KIB, 64 * KIB]) {
      const aims = { [4 * KIB]: 0.1, [64 * KIB]: 0.6 };
      yield {
        name: `fd_readdir ${entries} entries, ${size(length)} buffer`,
        aim: entries === 5000 ? aims[length] : 1,
        walk: { fd: opened(`directory ${entries}`), length },
        entries,
      };
    }
  }

  // The price of a short program: V8 has not compiled its functions yet, and never will fully.
  for (const cold of [1, 10, 100]) {
    yield {
      name: `20 functions, the first ${cold === 1 ? 'call' : `${cold} calls`} of each`,
      calls: shortProgram(),
      cold,
      fixture: `cold ${cold}`,
    };
  }

  // Calls from JavaScript.
  yield { name: 'new WASI()', fixture: 'construction' };
  yield { name: 'new WASI() + instantiate + start', fixture: 'construction' };
  yield { name: "require('wasi-rs')", fixture: 'require' };
  // What V8 compiles for a call is made at the first one here, and at the instantiation there.
  yield {
    name: 'instantiate + 20 functions, the first call of each',
    calls: shortProgram(),
    fixture: 'linked',
  };
  // All of it together, in a process that has done none of it.
  yield {
    name: 'require + new WASI() + instantiate + 20 calls',
    calls: shortProgram(),
    fixture: 'start',
  };
}

/** Rows of which only one thing grows; `unit` says what the time is divided by. */
function* growing() {
  for (const buffer of [4 * KIB, 64 * KIB]) {
    for (const entries of [100, 1000, 10_000, 100_000]) {
      yield {
        group: `fd_readdir, ${size(buffer)} buffer: ns per entry`,
        name: `fd_readdir ${entries} entries, ${size(buffer)} buffer`,
        at: `${entries}`,
        walk: { fd: opened(`directory ${entries}`), length: buffer },
        entries,
        unit: entries,
      };
    }
  }
  for (const call of ['fd_pread', 'fd_pwrite']) {
    for (const length of [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]) {
      yield {
        group: `${call}: ns per KiB`,
        name: `${call} ${size(length)}`,
        at: size(length),
        calls: [[call, file, buffers(length), 0n, OUT]],
        moves: length,
        unit: length / KIB,
      };
    }
  }
  const steady = {
    fd_prestat_get: [['fd_prestat_get', ROOT, OUT]],
    clock_time_get: [['clock_time_get', 1, 1n, OUT]],
    fd_filestat_get: [['fd_filestat_get', ROOT, OUT]],
  };
  // The process that measures gets more and more of them, so their number is the outer loop.
  for (const instances of [1, 10, 100, 1000]) {
    for (const [call, calls] of Object.entries(steady)) {
      const at = `${instances} live`;
      yield {
        group: `${call}, ${VISIT} times by each instance in turn: ns per call`,
        name: `${call}, ${at}`,
        at,
        calls,
        instances,
        visit: VISIT,
        unit: instances * VISIT,
        fixture: 'instances',
      };
    }
  }
  const open = {
    'fd_fdstat_get of the last': [['fd_fdstat_get', opened('last'), OUT]],
    'fd_tell of the last': [['fd_tell', opened('last'), OUT]],
    'path_open + fd_close': [
      ['path_open', ROOT, FOLLOW, text('file'), 0, READING, 0n, 0, OUT],
      ['fd_close', loaded(OUT)],
    ],
  };
  for (const descriptors of [10, 100, 1000, 10_000]) {
    for (const [call, calls] of Object.entries(open)) {
      const at = `${descriptors} open`;
      yield {
        group: `${call}: ns per call`,
        name: `${call}, ${at}`,
        at,
        calls,
        descriptors,
        unit: 1,
        fixture: 'descriptors',
      };
    }
  }
}

const complete = (row) => ({ aim: 1, fixture: 'guest', ...row });

/** @type {Row[]} */
export const rows = [...table()].map(complete);
/** @type {Row[]} */
export const growingRows = [...growing()].map(complete);
