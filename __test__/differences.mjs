// Where node:wasi does not do what a guest expects, and why. The suite runs every guest under
// node:wasi as well: a difference that is not here fails, and an entry that is none fails too.
//
//   reason     what node:wasi does
//   nodes      the Node versions that differ, as ranges of majors; without it, all of them
//   cpus       the processors that differ, as some flags of the host have other bits on others
//   hangs      node:wasi does not come back: the guest is ended early
//   sometimes  the difference may not show, because it depends on time

const HOST_FLAGS = "fs_flags are the host's open flags, not preview1's";
const NO_DOTS = '`.` and `..` are left out, and inode numbers are 0';
const SECONDS = 'times are set in whole seconds';
const PROC_RAISE = 'the signal is sent to the host process';
const NBYTES = 'nbytes is always 0';
const NEGATIVE =
  'an i32 above 2^31 is EINVAL: on Node 18 everywhere, from Node 24 on where a function has an i64';
const NO_SOCKETS = 'peeking, waiting for all and shutting down are refused';
const ABSOLUTE_TIME = 'an absolute time is waited for as if it were relative';
const WAITS = 'a call that waits cannot be ended from outside, and the Worker neither';

const NODE_18 = [[18, 18]];
const NODE_18_AND_FROM_24 = [
  [18, 18],
  [24, Infinity],
];

export const differences = {
  'args-empty': { reason: 'args_get without arguments is EINVAL' },
  'environ-empty': { reason: 'environ_get without an environment is EINVAL' },
  'clock-realtime': { reason: 'the realtime clock has microseconds only' },

  'fd-read-vectors': {
    reason: 'no vectors are EINVAL, and an offset of 2^64 - 1 is taken',
    nodes: NODE_18,
  },
  'fd-write-vectors': {
    reason: 'no vectors are EINVAL, and an offset of 2^64 - 1 is taken',
    nodes: NODE_18,
  },
  'fd-append': { reason: `${HOST_FLAGS}: given back, they take APPEND away` },
  'fd-flags': { reason: HOST_FLAGS },
  'fd-sync-flags': { reason: HOST_FLAGS },
  'fd-allocate': { reason: 'a length that wraps is a success' },
  'fd-filestat-set-times': { reason: SECONDS },
  'fd-renumber': { reason: 'a closed descriptor onto itself is a success' },
  'fd-close': { reason: NEGATIVE, nodes: NODE_18 },
  'fd-bad': { reason: NEGATIVE, nodes: NODE_18_AND_FROM_24 },
  fdstat: { reason: HOST_FLAGS },
  prestat: { reason: 'fd_prestat_get of a descriptor that is no preopen is EINVAL' },
  'prestat-short': { reason: 'a short buffer is ENOBUFS' },

  'readdir-entries': { reason: NO_DOTS },
  'readdir-empty': { reason: NO_DOTS },
  'readdir-buffers': { reason: NO_DOTS },
  'readdir-cut': { reason: 'the bytes of an entry that does not fit are not those of the entry' },
  'readdir-resume': { reason: NO_DOTS },
  'readdir-delete': {
    reason: 'a cookie is a count: each file removed makes the reading skip another',
  },
  'readdir-many': { reason: NO_DOTS },

  'path-open-forms': {
    reason: 'dots are taken away as text, so that what lies before them need not exist',
  },
  'path-open-refused': {
    reason: 'a NUL at the end is not seen, `/.` is cut off, and the empty path is EINVAL',
  },
  'path-symlink': { reason: 'a link from a subdirectory to its parent is refused' },
  'path-symlink-absolute': { reason: 'a link to an absolute path is made', nodes: NODE_18 },
  'path-readlink-cut': { reason: 'a short buffer is ENOBUFS' },
  'path-follow': { reason: 'a slash at the end of a file is not seen', nodes: NODE_18 },
  'path-nofollow': { reason: 'a final link is followed all the same' },
  'path-escape': { reason: 'links lead out of the preopen' },
  'path-magic': { reason: 'the links of /proc are followed, out of the preopen' },
  'path-race': { reason: 'a link in the middle of a path leads out of the preopen, race or not' },
  'path-root': {
    reason: 'an absolute link to a directory does not resolve in the middle of a path',
  },
  'path-link': { reason: 'a slash at the end of a file is not seen', nodes: NODE_18 },
  'path-rename': { reason: 'a slash at the end of a file is not seen', nodes: NODE_18 },
  'path-renamed-directory': {
    reason: "a directory's descriptor is the name it had when it was opened",
  },
  'path-unlink': { reason: 'a slash at the end of a file is not seen', nodes: NODE_18 },
  'path-directories': {
    reason: '`/.` is cut off, so that the directory is not empty rather than not removable',
  },
  'path-set-times': { reason: SECONDS },
  'path-set-times-flags': {
    reason: 'after flags that are refused, the next call never returns',
    hangs: true,
  },

  'poll-clock-absolute': { reason: ABSOLUTE_TIME, hangs: true },
  'poll-clock-past': { reason: ABSOLUTE_TIME, hangs: true },
  'poll-clocks-equal': { reason: ABSOLUTE_TIME, hangs: true },
  'poll-clock-unknown': { reason: "the clock's id is not looked at" },
  'poll-file': { reason: 'a regular file fails the whole call with EPERM' },
  'poll-stdin-data: a pipe': { reason: NBYTES },
  'poll-stdin-data: a socket': { reason: NBYTES },
  'poll-stdin-data: a file': { reason: 'a regular file fails the whole call with EPERM' },
  'poll-several': { reason: 'a regular file fails the whole call with EPERM' },
  'poll-many': { reason: 'one descriptor subscribed to many times is reported once' },
  'poll-bad': { reason: 'a descriptor that is not open gives an event with nothing in it' },
  'poll-forever': { reason: WAITS, hangs: true },
  'read-forever': { reason: WAITS, hangs: true },

  'proc-raise: every one': { reason: PROC_RAISE },
  'proc-raise: ABRT': { reason: PROC_RAISE },
  'proc-raise: KILL': { reason: PROC_RAISE },
  'proc-raise: SEGV': { reason: PROC_RAISE },
  'proc-raise: TERM': { reason: PROC_RAISE },

  'stdio-types: the null device and sockets': { reason: HOST_FLAGS },
  'stdio-types: a pipe': { reason: HOST_FLAGS, cpus: ['x64'] },
  'stdio-types: files': { reason: HOST_FLAGS },
  'stdio-types: a terminal': { reason: HOST_FLAGS },
  'stdio-close': { reason: "the host's descriptors are closed" },
  'stdio-renumber': { reason: "the host's stdout is closed" },
  'stdio-flags': { reason: "the flags of the host's descriptors are changed" },
  'stdio-large': {
    reason: 'a write to a full pipe fails with EAGAIN, where the reader is not fast enough',
    sometimes: true,
  },

  'sock-stream': { reason: `${NO_SOCKETS}; after that the process crashes` },
  'sock-read-write': {
    reason: `${NO_SOCKETS}, so that the guest waits for an end that does not come`,
    hangs: true,
  },
  'sock-not': { reason: 'sock_accept on what is no socket crashes the process' },
  'sock-accept': { reason: 'sock_accept on a socket of the Unix domain crashes the process' },

  'memory-edge': { reason: NEGATIVE, nodes: NODE_18 },
  'memory-high': { reason: NEGATIVE, nodes: NODE_18_AND_FROM_24 },
  'pointers-bad': { reason: NEGATIVE, nodes: NODE_18_AND_FROM_24 },
  'lengths-bad': { reason: NEGATIVE, nodes: NODE_18_AND_FROM_24 },
  'counts-bad': {
    reason: 'a count whose size wraps at 2^32 is believed, at the price of gigabytes',
    hangs: true,
  },

  'libc-files': { reason: NO_DOTS },
};

// The Node versions that were looked at. For another one, an entry with a range may hold or not.
const KNOWN = [18, 20, 22, 24, 26];

// Whether there must be a difference under this version of Node: 'yes', 'no' or 'maybe'.
export function differs(name, version) {
  if (!Object.hasOwn(differences, name)) return 'no';
  const { nodes, cpus } = differences[name];
  if (cpus && !cpus.includes(process.arch)) return 'no';
  if (nodes === undefined) return 'yes';
  const major = Number(version.split('.')[0]);
  if (!KNOWN.includes(major)) return 'maybe';
  return nodes.some(([from, to]) => major >= from && major <= to) ? 'yes' : 'no';
}
