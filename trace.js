'use strict';

// Calls as a person reads them: paths as text, flags and errors by name.

const { errnos } = require('./binding.js');

const decoder = new TextDecoder();

// Names of bits, from bit 0 on.
const FDFLAGS = ['append', 'dsync', 'nonblock', 'rsync', 'sync'];
const OFLAGS = ['creat', 'directory', 'excl', 'trunc'];
const LOOKUPFLAGS = ['symlink_follow'];
const FSTFLAGS = ['atim', 'atim_now', 'mtim', 'mtim_now'];
const RIFLAGS = ['recv_peek', 'recv_waitall'];
const SDFLAGS = ['rd', 'wr'];
const RIGHTS = [
  'fd_datasync', 'fd_read', 'fd_seek', 'fd_fdstat_set_flags', 'fd_sync', 'fd_tell', 'fd_write',
  'fd_advise', 'fd_allocate', 'path_create_directory', 'path_create_file', 'path_link_source',
  'path_link_target', 'path_open', 'fd_readdir', 'path_readlink', 'path_rename_source',
  'path_rename_target', 'path_filestat_get', 'path_filestat_set_size', 'path_filestat_set_times',
  'fd_filestat_get', 'fd_filestat_set_size', 'fd_filestat_set_times', 'path_symlink',
  'path_remove_directory', 'path_unlink_file', 'poll_fd_readwrite', 'sock_shutdown', 'sock_accept',
]; // prettier-ignore
// Names of values, from 0 on.
const CLOCKS = ['realtime', 'monotonic', 'process_cputime_id', 'thread_cputime_id'];
const WHENCES = ['set', 'cur', 'end'];
const ADVICES = ['normal', 'sequential', 'random', 'willneed', 'dontneed', 'noreuse'];

const flags = (names) => (value) => names.filter((_, bit) => (BigInt(value) >> BigInt(bit)) & 1n);
const oneOf = (names) => (value) => names[value] ?? value;
const number = (value) => (typeof value === 'number' ? value >>> 0 : value);

// Parameters by function. A name that ends in * is a path: a pointer and a length.
const PARAMETERS = {
  args_get: 'argv argv_buf',
  args_sizes_get: 'argc argv_buf_size',
  clock_res_get: 'id:clock resolution',
  clock_time_get: 'id:clock precision time',
  environ_get: 'environ environ_buf',
  environ_sizes_get: 'environc environ_buf_size',
  fd_advise: 'fd offset len advice:advice',
  fd_allocate: 'fd offset len',
  fd_close: 'fd',
  fd_datasync: 'fd',
  fd_fdstat_get: 'fd stat',
  fd_fdstat_set_flags: 'fd flags:fdflags',
  fd_fdstat_set_rights: 'fd fs_rights_base:rights fs_rights_inheriting:rights',
  fd_filestat_get: 'fd stat',
  fd_filestat_set_size: 'fd size',
  fd_filestat_set_times: 'fd atim mtim fst_flags:fstflags',
  fd_pread: 'fd iovs iovs_len offset nread',
  fd_prestat_get: 'fd prestat',
  fd_prestat_dir_name: 'fd path path_len',
  fd_pwrite: 'fd iovs iovs_len offset nwritten',
  fd_read: 'fd iovs iovs_len nread',
  fd_readdir: 'fd buf buf_len cookie bufused',
  fd_renumber: 'fd to',
  fd_seek: 'fd offset whence:whence newoffset',
  fd_sync: 'fd',
  fd_tell: 'fd offset',
  fd_write: 'fd iovs iovs_len nwritten',
  path_create_directory: 'fd path*',
  path_filestat_get: 'fd flags:lookupflags path* stat',
  path_filestat_set_times: 'fd flags:lookupflags path* atim mtim fst_flags:fstflags',
  path_link: 'old_fd old_flags:lookupflags old_path* new_fd new_path*',
  path_open:
    'fd dirflags:lookupflags path* oflags:oflags fs_rights_base:rights fs_rights_inheriting:rights fdflags:fdflags opened_fd',
  path_readlink: 'fd path* buf buf_len bufused',
  path_remove_directory: 'fd path*',
  path_rename: 'fd old_path* new_fd new_path*',
  path_symlink: 'old_path* fd new_path*',
  path_unlink_file: 'fd path*',
  poll_oneoff: 'subscriptions events nsubscriptions nevents',
  proc_exit: 'code',
  proc_raise: 'sig',
  random_get: 'buf buf_len',
  sched_yield: '',
  sock_accept: 'fd flags:fdflags fd_out',
  sock_recv: 'fd ri_data ri_data_len ri_flags:riflags ro_datalen ro_flags',
  sock_send: 'fd si_data si_data_len si_flags so_datalen',
  sock_shutdown: 'fd how:sdflags',
};
const DECODERS = {
  advice: oneOf(ADVICES),
  clock: oneOf(CLOCKS),
  fdflags: flags(FDFLAGS),
  fstflags: flags(FSTFLAGS),
  lookupflags: flags(LOOKUPFLAGS),
  oflags: flags(OFLAGS),
  riflags: flags(RIFLAGS),
  rights: flags(RIGHTS),
  sdflags: flags(SDFLAGS),
  whence: oneOf(WHENCES),
};
/** No path is longer. */
const PATH_LIMIT = 4095;

const SIGNATURES = Object.fromEntries(
  Object.entries(PARAMETERS).map(([name, parameters]) => [
    name,
    parameters
      .split(' ')
      .filter(Boolean)
      .map((parameter) => {
        const [key, kind] = parameter.split(':');
        return {
          key: key.replace('*', ''),
          isPath: key.endsWith('*'),
          decode: DECODERS[kind] ?? number,
        };
      }),
  ]),
);

/**
 * @param {string} name of a function
 * @param {unknown[]} args as the guest gave them
 * @param {(offset: number, length: number) => Uint8Array} copyOut reads the guest's memory
 * @returns {Record<string, unknown>} the arguments by name
 */
function traced(name, args, copyOut) {
  const decoded = {};
  let at = 0;
  for (const { key, isPath, decode } of SIGNATURES[name] ?? []) {
    if (isPath) {
      const [offset, length] = [args[at++] >>> 0, args[at++] >>> 0];
      decoded[key] = decoder.decode(copyOut(offset, Math.min(length, PATH_LIMIT)));
    } else {
      const value = args[at++];
      decoded[key] = typeof value === 'number' || typeof value === 'bigint' ? decode(value) : value;
    }
  }
  return decoded;
}

/** @returns {string} the specification's name of an errno */
function errnoName(errno) {
  return errno === 0 ? 'success' : (errnos[errno - 1] ?? String(errno));
}

module.exports = { errnoName, traced };
