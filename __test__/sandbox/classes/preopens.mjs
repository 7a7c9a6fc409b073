// The kinds of preopens that node:wasi does not have: read-only ones, ones without symbolic links,
// single files, and trees in memory.

import fs from 'node:fs';
import path from 'node:path';
import { CREAT, DIRECTORY, Guest, RIGHT, SUCCESS, TRUNC, WRITES, check } from '../guest.mjs';
import { OPERATIONS } from '../operations.mjs';
import { World } from '../world.mjs';
import { archive, entry } from '../../support/tar.mjs';
import { BARE, GIVEN, OWN, attacks, linksOf } from './paths.mjs';

const PREOPEN = 3;
const SECOND = 4;

const readOnly = (name) => (world) => ({
  [name]: { path: world.sandbox, readOnly: true },
  second: world.second,
});

const withoutLinks = (name) => (world) => ({
  [name]: { path: world.sandbox, symlinks: 'deny' },
  second: world.second,
});

const inMemory = (name) => (world) => ({
  [name]: {
    memory: { 'file.txt': 'inside', 'dir/file.txt': 'inside', 'dir/sub/file.txt': 'inside' },
  },
  second: world.second,
});

/** A preopen that holds another, so that its paths are walked over both. */
const holding = (name) => (world) => ({
  [name]: world.sandbox,
  second: world.second,
  [`${name === '/' ? '' : name}/mnt/deep`]: { memory: { x: 'inside' } },
});

/** A preopen that lies in another, by paths from that one. */
const held = () => (world) => ({
  '/': { memory: { 'file.txt': 'inside' } },
  second: world.second,
  '/sandbox': world.sandbox,
});

const fromAbove = GIVEN.map((form) => ({
  ...form,
  path(target, root) {
    const below = form.path(target, root);
    if (typeof below !== 'string') return Buffer.concat([Buffer.from('sandbox/'), below]);
    return below.startsWith('/') ? below : `sandbox/${below}`;
  },
}));

/** An archive that has the links. */
const archived = (name) => (world, form) => ({
  [name]: {
    tar: archive(
      ...['file.txt', 'dir/file.txt', 'dir/sub/file.txt'].map((file) =>
        entry(file, { data: 'inside' }),
      ),
      ...(form.links ? linksOf(form, world.folder) : [])
        .filter(([place, link]) => place.length < 100 && link.length < 100)
        .map(([place, link]) => entry(place, { type: '2', link })),
    ),
  },
  second: world.second,
});

/** Reads, links and renames from a read-only preopen to another, or by a descriptor. */
async function* reading(context) {
  const world = new World(context.folder);
  const unchanged = (run) => () => {
    world.resetInside();
    fs.symlinkSync('file.txt', path.join(world.sandbox, 'link'));
    const guest = new Guest(context.WASI, { preopens: readOnly('/sandbox')(world) });
    const before = world.look(world.sandbox);
    try {
      run(guest);
    } finally {
      guest.wasi.close();
    }
    const change = world.changeOf(world.sandbox, before);
    check(change === undefined, change);
    world.checkOutside();
  };
  const refused = (errno) => check(errno !== SUCCESS, 'it was not refused');

  for (const operation of OPERATIONS) {
    for (const name of ['file.txt', 'dir', 'dir/file.txt', 'link', 'new', 'dir/new', '.', 'dir/']) {
      yield [
        `${operation.name}: ${name}`,
        unchanged((guest) => operation.run(guest, PREOPEN, name)),
      ];
      yield [
        `${operation.name}: ${name}, from a directory that was opened below it`,
        unchanged((guest) => {
          const { errno, fd } = guest.openDirectory(PREOPEN, '.');
          if (errno === SUCCESS) operation.run(guest, fd, name);
          // With as many rights as there are.
          const own = guest.fdstat(PREOPEN);
          const most = guest.open(PREOPEN, '.', {
            oflags: 2,
            rights: own.rights & DIRECTORY,
            inheriting: own.inheriting,
          });
          check(most.errno === SUCCESS, `errno ${most.errno}`);
          operation.run(guest, most.fd, name);
        }),
      ];
    }
  }
  for (const name of ['file.txt', 'dir/file.txt', 'link', 'dir']) {
    for (const follow of [false, true]) {
      yield [
        `a second name of ${name} elsewhere, ${follow ? 'follow' : 'no follow'}`,
        unchanged((guest) => {
          refused(guest.link(PREOPEN, name, follow, SECOND, 'taken'));
          // Where there is one all the same, it could be written.
          guest.open(SECOND, 'taken', { rights: WRITES, oflags: TRUNC, follow: true });
        }),
      ];
    }
    yield [
      `${name} moved elsewhere`,
      unchanged((guest) => refused(guest.rename(PREOPEN, name, SECOND, 'taken'))),
    ];
  }
  yield [
    'a file moved and linked there from elsewhere',
    unchanged((guest) => {
      refused(guest.rename(SECOND, 'file.txt', PREOPEN, 'file.txt'));
      refused(guest.rename(SECOND, 'file.txt', PREOPEN, 'new'));
      refused(guest.link(SECOND, 'file.txt', false, PREOPEN, 'new'));
    }),
  ];
  yield [
    'a link elsewhere that leads there',
    unchanged((guest) => {
      guest.symlink('../sandbox', SECOND, 'back');
      guest.symlink('../sandbox/file.txt', SECOND, 'file');
      for (const name of ['back/file.txt', 'back/new', 'file']) {
        refused(
          guest.open(SECOND, name, { rights: WRITES, oflags: CREAT | TRUNC, follow: true }).errno,
        );
      }
    }),
  ];
  for (const rights of [RIGHT.FD_READ, RIGHT.FD_READ | RIGHT.FD_FILESTAT_SET_TIMES, WRITES]) {
    yield [
      `a descriptor with the rights ${rights}`,
      unchanged((guest) => {
        const { errno, fd } = guest.open(PREOPEN, 'file.txt', { rights });
        if (errno !== SUCCESS) return;
        const own = guest.fdstat(PREOPEN);
        guest.imports.fd_fdstat_set_rights(fd, own.inheriting, own.inheriting);
        guest.imports.fd_fdstat_set_flags(fd, 1);
        refused(guest.write(fd, 'more'));
        refused(guest.imports.fd_pwrite(fd, 256, 1, 0n, 64));
        refused(guest.imports.fd_filestat_set_size(fd, 0n));
        refused(guest.imports.fd_filestat_set_times(fd, 0n, 0n, 5));
        refused(guest.imports.fd_allocate(fd, 0n, 100n));
        ok(guest.imports.fd_renumber(fd, SECOND));
        refused(guest.write(SECOND, 'more'));
      }),
    ];
  }
  yield [
    'the directory itself',
    unchanged((guest) => refused(guest.imports.fd_filestat_set_times(PREOPEN, 0n, 0n, 5))),
  ];
}

/** No symbolic link comes to where they are denied, whatever else the guest was given. */
async function* denying(context) {
  const world = new World(context.folder);
  const links = (folder) =>
    fs
      .readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isSymbolicLink())
      .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  const withoutNew = (run) => () => {
    world.resetInside();
    // One that the host has made, and leads to a file inside only from where it stands.
    fs.symlinkSync('../file.txt', path.join(world.sandbox, 'dir', 'theirs'));
    fs.symlinkSync('../outside/secret.txt', path.join(world.second, 'link'));
    const before = links(world.sandbox);
    const guest = new Guest(context.WASI, { preopens: withoutLinks('/sandbox')(world) });
    const open = (fd, name) => {
      const own = guest.fdstat(fd);
      const rights = own.rights & DIRECTORY;
      const opened = guest.open(fd, name, { oflags: 2, rights, inheriting: own.inheriting });
      check(opened.errno === SUCCESS, `errno ${opened.errno}`);
      return opened.fd;
    };
    try {
      run(guest, open);
    } finally {
      guest.wasi.close();
    }
    const after = links(world.sandbox).filter((link) => !before.includes(link));
    check(after.length === 0, `${after} is a link`);
    world.checkOutside();
  };

  const targets = ['here', 'dir/here', '../sandbox/here'];
  for (const to of targets) {
    for (const [through, at] of [
      ['', (fd) => fd],
      [', through a directory opened there', (fd, open) => open(fd, '.')],
    ]) {
      yield [
        `a link from another preopen, to ${to}${through}`,
        withoutNew((guest, open) => {
          const [from, into] = [at(SECOND, open), at(PREOPEN, open)];
          guest.link(from, 'link', false, into, to);
          guest.rename(from, 'link', into, to);
        }),
      ];
      yield [
        `a directory with a link from another preopen, to ${to}${through}`,
        withoutNew((guest, open) => {
          const [from, into] = [at(SECOND, open), at(PREOPEN, open)];
          guest.symlink('../../outside', from, 'dir/l');
          guest.rename(from, 'dir', into, to);
        }),
      ];
      yield [
        `a link below a directory that was opened elsewhere and moved to ${to}${through}`,
        withoutNew((guest, open) => {
          const [from, into] = [at(SECOND, open), at(PREOPEN, open)];
          const dir = open(from, 'dir');
          guest.rename(from, 'dir', into, to);
          guest.symlink('../../outside', dir, 'l');
        }),
      ];
      yield [
        `a directory that leaves, gets a link and comes back, as ${to}${through}`,
        withoutNew((guest, open) => {
          const [from, into] = [at(SECOND, open), at(PREOPEN, open)];
          guest.rename(into, 'dir/sub', from, 'gone');
          guest.symlink('../../outside', from, 'gone/l');
          guest.rename(from, 'gone', into, to);
        }),
      ];
      yield [
        `the host's link under another name, ${to}${through}`,
        withoutNew((guest, open) => {
          const into = at(PREOPEN, open);
          guest.link(into, 'dir/theirs', false, into, to);
          guest.rename(into, 'dir/theirs', into, to);
          guest.rename(open(PREOPEN, 'dir'), 'theirs', into, to);
        }),
      ];
    }
  }
}

function ok(errno) {
  check(errno === SUCCESS, `errno ${errno}`);
}

/** Below a preopen of one file there is nothing but that file, and beside it nothing. */
async function* single(context) {
  const world = new World(context.folder);
  const names = ['.', '..', 'x', '', '/', '../outside/secret.txt', './../outside', 'file.txt/..'];
  for (const isReadOnly of [false, true]) {
    for (const operation of OPERATIONS) {
      for (const name of names) {
        yield [
          `${operation.name}: '${name}' below ${isReadOnly ? 'a read-only' : 'a'} file`,
          () => {
            const file = path.join(world.sandbox, 'file.txt');
            const before = world.look(world.sandbox);
            const guest = new Guest(context.WASI, {
              preopens: { 'file.txt': { file, readOnly: isReadOnly } },
            });
            const result = operation.run(guest, PREOPEN, name);
            guest.wasi.close();
            world.checkGot(result);
            world.checkOutside();
            const change = world.changeOf(world.sandbox, before);
            if (change) world.resetInside();
            // By this name it is the file itself.
            if (name === '.' && !isReadOnly) return;
            check(change === undefined, change);
          },
        ];
      }
    }
  }
}

const ATTACKS = [
  { name: 'read-only', preopens: readOnly, forms: GIVEN, unchanged: true },
  { name: 'without links', preopens: withoutLinks, forms: GIVEN },
  { name: 'in memory', preopens: inMemory, forms: OWN, fresh: true, resolves: false },
  {
    name: 'an archive',
    preopens: archived,
    forms: BARE,
    fresh: true,
    resolves: false,
    suffixes: ['', '/.'],
  },
  { name: 'with a mount', preopens: holding, forms: GIVEN, suffixes: ['', '/.'] },
  { name: 'mounted', preopens: held, forms: fromAbove, suffixes: ['', '/.'], names: ['/sandbox'] },
];

export const GROUPS = [
  ...ATTACKS.flatMap(({ name, preopens, forms, resolves, names = ['/sandbox', '/'], ...rest }) =>
    names.map((guestName) => ({
      name: `${name}, the preopen called ${guestName}`,
      resolves,
      cases: (context) => attacks({ ...context, ...rest, preopens: preopens(guestName) }, forms),
    })),
  ),
  { name: 'read-only, by other ways', cases: reading },
  { name: 'without links, by other ways', cases: denying },
  { name: 'one file', cases: single, resolves: false },
].map((group) => ({ ...group, parallel: true, own: true }));
