// Every operation that takes a path, as an attack: it does what it does with a path, and takes hold
// of all that it can get from it.

import {
  APPEND,
  CREAT,
  DIRECTORY,
  EXCL,
  ONLY_DIRECTORY,
  READS,
  RIGHT,
  SUCCESS,
  TRUNC,
  WRITES,
} from './guest.mjs';

const NOTHING = { errno: SUCCESS, bytes: [], stats: [] };

/**
 * The outcome of an operation: its errno, the bytes that it read and the attributes that it saw.
 */
function got(errno, rest) {
  return { ...NOTHING, errno, ...rest };
}

function opening(options) {
  return (guest, fd, path, follow) => {
    const opened = guest.open(fd, path, { follow, ...options });
    if (opened.errno !== SUCCESS) return got(opened.errno);
    const bytes = [];
    const stat = guest.filestat(opened.fd);
    bytes.push(stat.directory ? guest.list(opened.fd).bytes : guest.read(opened.fd).bytes);
    if (stat.directory) {
      // A directory also gives away the files that can be opened from it.
      const inner = guest.open(opened.fd, 'secret.txt');
      if (inner.errno === SUCCESS) {
        bytes.push(guest.read(inner.fd).bytes);
        guest.close(inner.fd);
      }
    } else if (options.rights & RIGHT.FD_WRITE) {
      guest.write(opened.fd, 'overwritten');
    }
    guest.close(opened.fd);
    return got(SUCCESS, { bytes, stats: stat.errno === SUCCESS ? [stat] : [] });
  };
}

const LIST = { oflags: ONLY_DIRECTORY, rights: DIRECTORY, inheriting: DIRECTORY | READS };

const plain = (name) => (guest, fd, path) => got(guest.onPath(name, fd, path));

/** Operations whose `follow` matters; `harmless` ones change nothing where they are allowed. */
const FOLLOWING = [
  ['path_open to read', opening({ rights: READS }), { harmless: true }],
  ['path_open to list', opening(LIST), { harmless: true }],
  ['path_open to write', opening({ rights: WRITES })],
  ['path_open to append', opening({ rights: WRITES, fdflags: APPEND, oflags: CREAT })],
  ['path_open to create', opening({ rights: WRITES, oflags: CREAT })],
  ['path_open to create anew', opening({ rights: WRITES, oflags: CREAT | EXCL })],
  ['path_open to truncate', opening({ rights: READS, oflags: TRUNC })],
  ['path_open to create, truncated', opening({ rights: WRITES, oflags: CREAT | TRUNC })],
  ['path_open of a directory to create', opening({ ...LIST, oflags: CREAT | ONLY_DIRECTORY })],
  [
    'path_filestat_get',
    (guest, fd, path, follow) => {
      const stat = guest.pathFilestat(fd, path, follow);
      return got(stat.errno, { stats: stat.errno === SUCCESS ? [stat] : [] });
    },
    { harmless: true },
  ],
  ['path_filestat_set_times', (guest, fd, path, follow) => got(guest.setTimes(fd, path, follow))],
  [
    'path_link from',
    (guest, fd, path, follow) => got(guest.link(fd, path, follow, fd, 'taken')),
    { takes: true },
  ],
];

const OTHERS = [
  ['path_create_directory', plain('path_create_directory')],
  ['path_remove_directory', plain('path_remove_directory')],
  ['path_unlink_file', plain('path_unlink_file')],
  ['path_symlink', (guest, fd, path) => got(guest.symlink('file.txt', fd, path))],
  [
    'path_readlink',
    (guest, fd, path) => {
      const { errno, bytes } = guest.readlink(fd, path);
      return got(errno, { bytes: [bytes] });
    },
    { harmless: true },
  ],
  ['path_link to', (guest, fd, path) => got(guest.link(fd, 'file.txt', false, fd, path))],
  [
    'path_rename from',
    (guest, fd, path) => got(guest.rename(fd, path, fd, 'taken')),
    { takes: true },
  ],
  ['path_rename to', (guest, fd, path) => got(guest.rename(fd, 'file.txt', fd, path))],
];

/**
 * `{ name, run(guest, fd, path), harmless, takes }`. A `harmless` operation changes nothing; one
 * that `takes` gives what it finds the name `taken`. The directory of `fd` has a file `file.txt`.
 */
export const OPERATIONS = [
  ...FOLLOWING.flatMap(([name, run, kind]) =>
    [false, true].map((follow) => ({
      ...kind,
      name: `${name}, ${follow ? 'follow' : 'no follow'}`,
      run: (guest, fd, path) => run(guest, fd, path, follow),
    })),
  ),
  ...OTHERS.map(([name, run, kind]) => ({ ...kind, name, run })),
];
