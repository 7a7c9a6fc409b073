// Overlays: whatever a guest does in one, the directory below stays as it is, and what it holds
// above is bounded.

import fs from 'node:fs';
import path from 'node:path';
import {
  APPEND,
  CREAT,
  DIRECTORY,
  Guest,
  NOTCAPABLE,
  READS,
  SUCCESS,
  TRUNC,
  WRITES,
  check,
} from '../guest.mjs';
import { OPERATIONS } from '../operations.mjs';
import { World } from '../world.mjs';

const PREOPEN = 3;
const NOSPC = 51;

const NAMES = ['file.txt', 'dir', 'dir/file.txt', 'link', 'new', 'dir/new', '.', 'dir/', 'second'];

/** The steps before an operation, which make the state that the operation finds. */
const STATES = {
  'as it lies below': () => {},
  'copied up': (guest) => {
    for (const name of ['file.txt', 'dir/file.txt']) {
      const { errno, fd } = guest.open(PREOPEN, name, { rights: WRITES, fdflags: APPEND });
      check(errno === SUCCESS, `errno ${errno}`);
      guest.write(fd, 'more');
      guest.close(fd);
    }
  },
  'removed and made again': (guest) => {
    for (const name of ['dir/sub/file.txt', 'dir/file.txt']) {
      check(guest.onPath('path_unlink_file', PREOPEN, name) === SUCCESS);
    }
    for (const name of ['dir/sub', 'dir']) {
      check(guest.onPath('path_remove_directory', PREOPEN, name) === SUCCESS);
    }
    check(guest.onPath('path_create_directory', PREOPEN, 'dir') === SUCCESS);
  },
};

/** Every operation, in each state: nothing below changes, not even a time. */
async function* unchanging(context) {
  const world = new World(context.folder);
  for (const [state, prepare] of Object.entries(STATES)) {
    for (const operation of OPERATIONS) {
      for (const name of NAMES) {
        yield [
          `${operation.name}: ${name}, ${state}`,
          () => {
            world.resetInside();
            fs.symlinkSync('file.txt', path.join(world.sandbox, 'link'));
            fs.linkSync(path.join(world.sandbox, 'file.txt'), path.join(world.sandbox, 'second'));
            const before = world.look(world.sandbox);
            const guest = new Guest(context.WASI, { preopens: { '/': world.sandbox } });
            try {
              prepare(guest);
              world.checkGot(operation.run(guest, PREOPEN, name));
              const { errno, fd } = guest.openDirectory(PREOPEN, '.');
              if (errno === SUCCESS) operation.run(guest, fd, name);
              guest.wasi.changes();
            } finally {
              guest.wasi.close();
            }
            const change = world.changeOf(world.sandbox, before);
            check(change === undefined, change);
            world.checkOutside();
          },
        ];
      }
    }
  }
}

/** Races with another process that moves the directory below. */
async function* moving(context) {
  const world = new World(context.folder);
  const moved = (name, run) => [
    name,
    () => {
      world.resetInside();
      fs.mkdirSync(world.elsewhere, { recursive: true });
      const guest = new Guest(context.WASI, { preopens: { '/sandbox': world.sandbox } });
      try {
        run(guest, (from, to) =>
          fs.renameSync(path.join(world.sandbox, from), path.join(world.elsewhere, to)),
        );
      } finally {
        guest.wasi.close();
      }
      world.checkOutside();
    },
  ];
  const write = (guest, name) => {
    const { errno, fd } = guest.open(PREOPEN, name, { rights: WRITES, oflags: CREAT | TRUNC });
    if (errno === SUCCESS) {
      guest.write(fd, 'written');
      guest.close(fd);
    }
    return errno;
  };
  const everything = (guest, names) => {
    for (const operation of OPERATIONS) {
      for (const name of names) world.checkGot(operation.run(guest, PREOPEN, name));
    }
  };
  const outside = (name) => path.join(world.outside, name);

  yield moved('a link in the place of a directory that has something above', (guest, move) => {
    check(write(guest, 'dir/file.txt') === SUCCESS);
    move('dir', 'dir');
    fs.symlinkSync(outside(''), path.join(world.sandbox, 'dir'));
    everything(guest, ['dir/secret.txt', 'dir/file.txt', 'dir/privatedir', 'dir']);
  });
  yield moved('a link in the place of a directory that has nothing above', (guest, move) => {
    check(guest.open(PREOPEN, 'dir/sub/file.txt', { rights: READS }).errno === SUCCESS);
    move('dir', 'dir');
    fs.symlinkSync('../outside', path.join(world.sandbox, 'dir'));
    const { errno } = guest.open(PREOPEN, 'dir/secret.txt', { rights: READS });
    check(errno === NOTCAPABLE, `errno ${errno}`);
    everything(guest, ['dir/secret.txt', 'dir/file.txt', 'dir']);
  });
  yield moved('what is written to a directory that was moved outside', (guest, move) => {
    const { errno, fd } = guest.open(PREOPEN, 'dir', {
      oflags: 2,
      rights: DIRECTORY,
      inheriting: WRITES | DIRECTORY,
    });
    check(errno === SUCCESS, `errno ${errno}`);
    move('dir', 'dir');
    const before = world.look(world.elsewhere);
    for (const operation of OPERATIONS) {
      for (const name of ['file.txt', '../outside/secret.txt', 'new']) {
        world.checkGot(operation.run(guest, fd, name));
      }
    }
    const change = world.changeOf(world.elsewhere, before);
    check(change === undefined, change);
  });
  yield moved('a commit below a directory that was moved outside', (guest, move) => {
    check(write(guest, 'dir/file.txt') === SUCCESS && write(guest, 'dir/new') === SUCCESS);
    move('dir', 'dir');
    fs.symlinkSync(outside(''), path.join(world.sandbox, 'dir'));
    try {
      guest.wasi.commit();
    } catch (error) {
      check(error.code === 'ERR_WASI_COMMIT', error.message);
    }
    check(!fs.existsSync(outside('new')), 'it was written outside');
  });
  yield moved('a commit of links that lead outside', (guest) => {
    guest.symlink('../outside/secret.txt', PREOPEN, 'out');
    guest.symlink('../outside', PREOPEN, 'away');
    write(guest, 'out');
    write(guest, 'away/secret.txt');
    guest.wasi.commit();
    check(fs.readlinkSync(path.join(world.sandbox, 'away')) === '../outside');
  });
}

/** The changes that an overlay keeps take no more memory than they may. */
async function* bounded(context) {
  const world = new World(context.folder);
  const MAX = 200_000;
  const within = (name, run) => [
    name,
    () => {
      world.resetInside();
      for (let i = 0; i < 300; i++) fs.writeFileSync(path.join(world.sandbox, `many-${i}`), 'x');
      const preopens = { '/': { path: world.sandbox, overlay: { maxBytes: MAX } } };
      const guest = new Guest(context.plain, { preopens });
      let refused = 0;
      let done = 0;
      for (let i = 0; i < 3000; i++) {
        const errno = run(guest, i);
        if (errno === NOSPC) refused += 1;
        else if (errno === SUCCESS) done += 1;
      }
      guest.wasi.close();
      check(refused > 0 || done < 1000, `${done} were done and none was refused`);
      check(done <= MAX / 128, `${done} were done`);
    },
  ];
  const open = (guest, name, options) => {
    const { errno, fd } = guest.open(PREOPEN, name, options);
    if (errno === SUCCESS) guest.close(fd);
    return errno;
  };
  yield within('new files', (guest, i) =>
    open(guest, `new-${i}`, { rights: WRITES, oflags: CREAT }),
  );
  // Each once: a copy is there already for who opens it again.
  yield within('copies of files below', (guest, i) =>
    i < 300 ? open(guest, `many-${i}`, { rights: WRITES }) : NOSPC,
  );
  yield within('directories', (guest, i) =>
    guest.onPath('path_create_directory', PREOPEN, `directory-${i}`),
  );
  yield within('links', (guest, i) => guest.symlink('text'.repeat(20), PREOPEN, `link-${i}`));
  yield within('names', (guest, i) => guest.link(PREOPEN, 'file.txt', false, PREOPEN, `name-${i}`));
  yield within('removed names', (guest, i) =>
    guest.onPath('path_unlink_file', PREOPEN, `many-${i % 300}`),
  );
  yield within('large files', (guest, i) => {
    const { errno, fd } = guest.open(PREOPEN, `large-${i % 5}`, { rights: WRITES, oflags: CREAT });
    if (errno !== SUCCESS) return errno;
    const result = guest.imports.fd_filestat_set_size(fd, BigInt(i) * 1_000_000n);
    guest.close(fd);
    return i === 0 ? NOSPC : result;
  });
}

export const GROUPS = [
  { name: 'what lies below stays as it is', cases: unchanging, own: true },
  { name: 'directories that others move', cases: moving, own: true },
  { name: 'quotas', cases: bounded, own: true },
];
