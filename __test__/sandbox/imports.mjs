// The imports with valid arguments, each pointer with what it points to: what the tests of memory
// and of JavaScript spoil one argument of.

import fs from 'node:fs';
import path from 'node:path';
import { APPEND, CREAT, Guest, NONBLOCK, READS, SUCCESS, WRITES, check } from './guest.mjs';
import { openSockets } from './sockets.mjs';

/** A number that is no pointer. */
const value = (number) => ({ kind: 'value', number });
/** A pointer to `size` bytes for a result. */
const out = (size) => ({ kind: 'pointer', size });
/** A pointer and, as the next argument, a count of records of `unit` bytes. */
const list = (unit, count, content) => ({ kind: 'list', unit, count, content });
const buffer = (length) => list(1, length);
const text = (string) => list(1, string.length, string);
const iovecs = list(8, 1, 'iovec');

export const ARGS = ['guest', 'argument'];
export const ENV = { NAME: 'value' };
const FILE = 'file';
const DIRECTORY = 'directory';
const fd = (name) => ({ kind: 'fd', name });

/** All 46 but `proc_exit`, which does not return, and `poll_oneoff`, whose count comes third. */
export const IMPORTS = {
  args_get: [out(8), out(15)],
  args_sizes_get: [out(4), out(4)],
  clock_res_get: [value(1), out(8)],
  clock_time_get: [value(1), value(1n), out(8)],
  environ_get: [out(4), out(11)],
  environ_sizes_get: [out(4), out(4)],
  fd_advise: [fd(FILE), value(0n), value(1n), value(0)],
  fd_allocate: [fd(FILE), value(0n), value(1n)],
  fd_close: [value(99)],
  fd_datasync: [fd(FILE)],
  fd_fdstat_get: [fd(FILE), out(24)],
  fd_fdstat_set_flags: [fd(FILE), value(APPEND)],
  fd_fdstat_set_rights: [fd('spare'), value(0n), value(0n)],
  fd_filestat_get: [fd(FILE), out(64)],
  fd_filestat_set_size: [fd(FILE), value(6n)],
  fd_filestat_set_times: [fd(FILE), value(0n), value(0n), value(2)],
  fd_pread: [fd(FILE), iovecs, value(0n), out(4)],
  fd_prestat_get: [fd(DIRECTORY), out(8)],
  fd_prestat_dir_name: [fd(DIRECTORY), buffer(8)],
  fd_pwrite: [fd(FILE), iovecs, value(0n), out(4)],
  fd_read: [fd(FILE), iovecs, out(4)],
  fd_readdir: [fd(DIRECTORY), buffer(256), value(0n), out(4)],
  fd_renumber: [value(99), value(98)],
  fd_seek: [fd(FILE), value(0n), value(0), out(8)],
  fd_sync: [fd(FILE)],
  fd_tell: [fd(FILE), out(8)],
  fd_write: [fd(FILE), iovecs, out(4)],
  path_create_directory: [fd(DIRECTORY), text('made')],
  path_filestat_get: [fd(DIRECTORY), value(1), text('file.txt'), out(64)],
  path_filestat_set_times: [
    fd(DIRECTORY),
    value(1),
    text('file.txt'),
    value(0n),
    value(0n),
    value(2),
  ],
  path_link: [fd(DIRECTORY), value(0), text('file.txt'), fd(DIRECTORY), text('second.txt')],
  path_open: [
    fd(DIRECTORY),
    value(1),
    text('made.txt'),
    value(CREAT),
    value(READS),
    value(0n),
    value(0),
    out(4),
  ],
  path_readlink: [fd(DIRECTORY), text('link'), buffer(64), out(4)],
  path_remove_directory: [fd(DIRECTORY), text('empty')],
  path_rename: [fd(DIRECTORY), text('file.txt'), fd(DIRECTORY), text('renamed.txt')],
  path_symlink: [text('file.txt'), fd(DIRECTORY), text('new-link')],
  path_unlink_file: [fd(DIRECTORY), text('file.txt')],
  proc_raise: [value(0)],
  random_get: [buffer(32)],
  sched_yield: [],
  sock_accept: [fd('listener'), value(0), out(4)],
  sock_recv: [fd('stream'), iovecs, value(0), out(4), out(2)],
  sock_send: [fd('stream'), iovecs, value(0), out(4)],
  sock_shutdown: [fd('stream'), value(0)],
};

const PLACES = 4096;
const BUFFER = 32768;

/** A guest with everything that the imports above need. */
export class Bench {
  /** @param options as for a guest, and `files: false` for one without sockets */
  static async make({ WASI, folder }, options = {}) {
    const bench = new Bench();
    bench.sandbox = path.join(folder, 'bench');
    fs.mkdirSync(bench.sandbox);
    const sockets = await openSockets(folder);
    bench.restore();
    bench.guest = new Guest(WASI, {
      args: ARGS,
      env: ENV,
      preopens: { '/bench': bench.sandbox },
      stdin: sockets.listener,
      stdout: sockets.stream,
      ...options,
    });
    bench.fds = { listener: 0, stream: 1, [DIRECTORY]: 3 };
    bench.setUp();
    return bench;
  }

  /** The files as they are when an import is called. */
  restore() {
    for (const name of fs.readdirSync(this.sandbox)) {
      fs.rmSync(path.join(this.sandbox, name), { recursive: true });
    }
    fs.writeFileSync(path.join(this.sandbox, 'file.txt'), 'inside');
    fs.mkdirSync(path.join(this.sandbox, 'empty'));
    fs.symlinkSync('file.txt', path.join(this.sandbox, 'link'));
  }

  setUp() {
    const { guest, fds } = this;
    // Calls on sockets are not to wait for anybody.
    for (const fd of [0, 1]) guest.imports.fd_fdstat_set_flags(fd, NONBLOCK);
    for (const name of [FILE, 'spare']) {
      const opened = guest.open(fds[DIRECTORY], 'file.txt', { rights: WRITES });
      check(opened.errno === SUCCESS, `the bench is not ready: errno ${opened.errno}`);
      fds[name] = opened.fd;
    }
  }

  /**
   * Valid arguments for an import, and where its ranges lie.
   *
   * @returns {{ args: (number | bigint)[], ranges: object[] }} a range has the index of its pointer
   *   in the arguments, its size, and for a list the unit
   */
  argumentsOf(name) {
    const args = [];
    const ranges = [];
    let at = PLACES;
    for (const parameter of IMPORTS[name]) {
      if (parameter.kind === 'value') args.push(parameter.number);
      else if (parameter.kind === 'fd') args.push(this.fds[parameter.name]);
      else {
        const size = parameter.size ?? parameter.unit * parameter.count;
        const { content } = parameter;
        if (content === 'iovec') {
          this.guest.bytes.writeUInt32LE(BUFFER, at);
          this.guest.bytes.writeUInt32LE(16, at + 4);
        } else if (content) {
          this.guest.bytes.write(content, at);
        }
        ranges.push({ index: args.length, size, unit: parameter.unit });
        args.push(at);
        if (parameter.unit) args.push(parameter.count);
        at += 1024;
      }
    }
    return { args, ranges };
  }

  call(name, args) {
    return this.guest.imports[name](...args);
  }
}
