// Paths that try to lead outside: each form with each operation, with and without slashes and dots
// behind it. A form names each of the targets outside in turn. Whether one is there and what it is
// must make no difference, so that a guest cannot even ask.

import fs from 'node:fs';
import path from 'node:path';
import { Guest, LOOP, NOTCAPABLE, SUCCESS, check, fail } from '../guest.mjs';
import { OPERATIONS } from '../operations.mjs';
import { TARGETS, World } from '../world.mjs';

const PREOPEN = 3;
const SECOND = 4;
const SUFFIXES = ['', '/', '/.', '/..'];

// --- Forms that are only text --------------------------------------------------------------------

const text = (name, form) => ({ name, path: form });

/** Paths that name something outside, if anything does: none of them may succeed. */
const LITERAL = [
  text('..', (t) => `../outside/${t}`),
  text('. and ..', (t) => `./../outside/${t}`),
  text('.. and .', (t) => `.././outside/${t}`),
  text('.. and two slashes', (t) => `..//outside/${t}`),
  text('up one and two', (t) => `dir/../../outside/${t}`),
  text('up two and three', (t) => `dir/sub/../../../outside/${t}`),
  text('dots between', (t) => `dir/./sub/.././../../outside/${t}`),
  text('slashes between', (t) => `dir//..//..///outside/${t}`),
  text('through what is not there', (t) => `missing/../../outside/${t}`),
  text('through a file', (t) => `file.txt/../../outside/${t}`),
  text('out, in and out', (t) => `../sandbox/../outside/${t}`),
  text('through the other preopen', (t) => `../second/../outside/${t}`),
  text('by the name of the folder', (t, root) => `../../${path.basename(root)}/outside/${t}`),
  text('up to the root', (t, root) => `${'../'.repeat(100)}${root.slice(1)}/outside/${t}`),
  text('absolute', (t, root) => `${root}/outside/${t}`),
  text('absolute with two slashes', (t, root) => `/${root}/outside/${t}`),
  text('absolute and ..', (t, root) => `/..${root}/outside/${t}`),
  text('absolute and .', (t, root) => `/.${root}/outside/${t}`),
  text('absolute by /proc/self/root', (t, root) => `/proc/self/root${root}/outside/${t}`),
  text('absolute by /proc/self/cwd', (t) => `/proc/self/cwd/outside/${t}`),
  text('NUL after a file', (t) => `file.txt\0/../../outside/${t}`),
  text('NUL at the end', (t) => `../outside/${t}\0`),
  text('NUL before an extension', (t) => `../outside/${t}\0.txt`),
  text('NUL in front', (t) => `\0../outside/${t}`),
  text('long, of dots', (t) => `${'./'.repeat(2000)}../outside/${t}`),
  text('long, up and down', (t) => `${'dir/../'.repeat(570)}../outside/${t}`),
  text('too long', (t) => `${'dir/../'.repeat(700)}../outside/${t}`),
  text('a name too long', (t) => `${'a'.repeat(300)}/../../outside/${t}`),
];

/**
 * Paths that may look like the way out to somebody: names inside like any other, or no names at
 * all.
 */
const LOOKALIKES = [
  text('invalid UTF-8 in front', (t) => bytes(0xff, `/../../outside/${t}`)),
  text('dots encoded overlong', (t) => bytes(0xc0, 0xae, 0xc0, 0xae, `/outside/${t}`)),
  text('slash encoded overlong', (t) => bytes('..', 0xc0, 0xaf, `outside/${t}`)),
  text('a surrogate', (t) => bytes(0xed, 0xa0, 0x80, `/../../outside/${t}`)),
  text('UTF-16', (t) => Buffer.from(`../outside/${t}`, 'utf16le')),
  text('backslashes', (t) => `..\\outside\\${t}`),
  text('percent signs', (t) => `%2e%2e%2foutside%2f${t}`),
  text('full-width dots', (t) => `\uff0e\uff0e\u2215outside\u2215${t}`),
  text('a zero-width space', (t) => `..\u200b${t}`),
  text('three dots', (t) => `...${t}`),
  text('a tilde', (t) => `~${t}`),
  text('a drive', (t) => `C:${t}`),
];

function bytes(...parts) {
  return Buffer.concat(parts.map((part) => Buffer.from(typeof part === 'number' ? [part] : part)));
}

// --- Forms with symbolic links -------------------------------------------------------------------

/** Links of the form `[place, text]` in the order in which they are made. */
const linked = (name, links, form) => ({ name, links, path: form });

/**
 * The kernel follows 40 links at most, and now and then counts one twice that it has not seen
 * before.
 */
function chain(length) {
  const form = linked(
    `a chain of ${length} links`,
    (t) => [
      ...Array.from({ length: length - 1 }, (_, i) => [`c${i}-${t}`, `c${i + 1}-${t}`]),
      [`c${length - 1}-${t}`, `../outside/${t}`],
    ],
    (t) => `c0-${t}`,
  );
  return { ...form, atLimit: length > 20 };
}

const LINKS = [
  linked(
    'a link at the end',
    (t) => [[`l-${t}`, `../outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, absolute',
    (t, root) => [[`l-${t}`, `${root}/outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, far down',
    (t) => [[`dir/sub/l-${t}`, `../../../outside/${t}`]],
    (t) => `dir/sub/l-${t}`,
  ),
  linked(
    'a link at the end, with a slash behind its text',
    (t) => [[`l-${t}`, `../outside/${t}/`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, with a dot behind its text',
    (t) => [[`l-${t}`, `../outside/./${t}/.`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, roundabout',
    (t) => [[`l-${t}`, `./dir/.././../sandbox/../outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, through what is not there',
    (t) => [[`l-${t}`, `missing/../../outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, through a file',
    (t) => [[`l-${t}`, `file.txt/../../outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link at the end, by /proc/self/cwd',
    (t) => [[`l-${t}`, `/proc/self/cwd/outside/${t}`]],
    (t) => `l-${t}`,
  ),
  linked(
    'a link in the middle',
    () => [['out', '../outside']],
    (t) => `out/${t}`,
  ),
  linked(
    'a link in the middle, absolute',
    (t, root) => [['out', `${root}/outside`]],
    (t) => `out/${t}`,
  ),
  linked(
    'a link in the middle, and back through it',
    () => [['out', '../outside']],
    (t) => `out/../outside/${t}`,
  ),
  linked(
    'a link in the middle, to /proc/self/root',
    () => [['out', '/proc/self/root']],
    (t, root) => `out${root}/outside/${t}`,
  ),
  linked(
    'a link to the directory above',
    () => [['up', '..']],
    (t) => `up/outside/${t}`,
  ),
  linked(
    'a link to the directory above, twice',
    () => [['up', '..']],
    (t) => `up/sandbox/up/outside/${t}`,
  ),
  linked(
    'a link to the sandbox by its name outside',
    () => [['self', '../sandbox']],
    (t) => `self/../outside/${t}`,
  ),
  linked(
    'x -> . and ..',
    () => [['x', '.']],
    (t) => `x/x/x/../outside/${t}`,
  ),
  linked(
    'x -> . and up -> x/..',
    () => [
      ['x', '.'],
      ['up', 'x/..'],
    ],
    (t) => `up/outside/${t}`,
  ),
  linked(
    'three links of one step each',
    () => [
      ['u1', 'dir'],
      ['u2', 'u1/..'],
      ['u3', 'u2/..'],
    ],
    (t) => `u3/outside/${t}`,
  ),
  linked(
    'a link down and .. up',
    () => [['down', 'dir/sub']],
    (t) => `down/../../../outside/${t}`,
  ),
  linked(
    'a chain in the middle',
    () => [
      ['m0', 'm1'],
      ['m1', 'dir/m2'],
      ['dir/m2', '../../outside'],
    ],
    (t) => `m0/${t}`,
  ),
  linked(
    'a loop',
    () => [
      ['a', 'b'],
      ['b', 'a'],
    ],
    (t) => `a/../../outside/${t}`,
  ),
  linked(
    'a link to itself',
    () => [['a', 'a/../../outside']],
    (t) => `a/${t}`,
  ),
  chain(2),
  chain(39),
  chain(40),
  chain(41),
];

/** Links for all targets at once, each only once. */
export function linksOf(form, root) {
  const links = new Map();
  for (const target of TARGETS) {
    for (const [place, content] of form.links(target, root)) links.set(place, content);
  }
  return [...links];
}

const byHost = (form) => ({
  ...form,
  name: `${form.name}, made by the host`,
  prepare({ world }) {
    for (const [place, content] of linksOf(form, world.folder)) {
      fs.symlinkSync(content, path.join(world.sandbox, place));
    }
  },
});

const byGuest = (form) => ({
  ...form,
  name: `${form.name}, made by the guest`,
  prepare({ world, guest }) {
    // The guest may not get all of them: then the path is one of what is not there.
    for (const [place, content] of linksOf(form, world.folder)) {
      guest.symlink(content, PREOPEN, place);
    }
  },
});

// --- Forms that move things ----------------------------------------------------------------------

/** Each link is harmless where the guest makes it and leads outside from where it comes to be. */
const MOVED = [
  {
    name: 'a link that was renamed',
    path: (t) => `l-${t}`,
    prepare: ({ guest }) =>
      each((t) => [
        guest.symlink(`../outside/${t}`, PREOPEN, `dir/l-${t}`),
        guest.rename(PREOPEN, `dir/l-${t}`, PREOPEN, `l-${t}`),
      ]),
  },
  {
    name: 'a hard link to a link',
    path: (t) => `l-${t}`,
    prepare: ({ guest }) =>
      each((t) => [
        guest.symlink(`../outside/${t}`, PREOPEN, `dir/l-${t}`),
        guest.link(PREOPEN, `dir/l-${t}`, false, PREOPEN, `l-${t}`),
      ]),
  },
  {
    name: 'a hard link to a link, through a linked directory',
    path: (t) => `h/l-${t}`,
    prepare: ({ guest }) => [
      guest.symlink('.', PREOPEN, 'h'),
      ...each((t) => [
        guest.symlink(`../outside/${t}`, PREOPEN, `dir/l-${t}`),
        guest.link(PREOPEN, `h/dir/l-${t}`, false, PREOPEN, `h/l-${t}`),
      ]),
    ],
  },
  {
    name: 'a directory with a link that was renamed',
    path: (t) => `sub/out/${t}`,
    prepare: ({ guest }) => [
      guest.symlink('../../outside', PREOPEN, 'dir/sub/out'),
      guest.rename(PREOPEN, 'dir/sub', PREOPEN, 'sub'),
    ],
  },
  {
    name: 'a link renamed from another preopen',
    path: (t) => `l-${t}`,
    prepare: ({ guest }) =>
      each((t) => [
        guest.symlink(`../outside/${t}`, SECOND, `dir/l-${t}`),
        guest.rename(SECOND, `dir/l-${t}`, PREOPEN, `l-${t}`),
      ]),
  },
  {
    name: 'a hard link to a link of another preopen',
    path: (t) => `l-${t}`,
    prepare: ({ guest }) =>
      each((t) => [
        guest.symlink(`../outside/${t}`, SECOND, `dir/l-${t}`),
        guest.link(SECOND, `dir/l-${t}`, false, PREOPEN, `l-${t}`),
      ]),
  },
  {
    name: 'a directory renamed from another preopen',
    path: (t) => `came/out/${t}`,
    prepare: ({ guest }) => [
      guest.symlink('../../outside', SECOND, 'dir/sub/out'),
      guest.rename(SECOND, 'dir/sub', PREOPEN, 'came'),
    ],
  },
];

/** From the descriptor of a directory that is no longer where it was. */
const DESCRIPTORS = [
  {
    name: 'from a directory, ..',
    path: (t) => `../../outside/${t}`,
    from: ({ guest }) => guest.openDirectory(PREOPEN, 'dir'),
  },
  {
    name: 'from a directory that the guest moved',
    path: (t) => `../../outside/${t}`,
    from({ guest }) {
      const opened = guest.openDirectory(PREOPEN, 'dir/sub');
      settle(guest.rename(PREOPEN, 'dir/sub', PREOPEN, 'sub'));
      return opened;
    },
  },
  {
    name: 'from a directory that the guest moved to another preopen',
    path: (t) => `../../outside/${t}`,
    from({ guest }) {
      const opened = guest.openDirectory(PREOPEN, 'dir/sub');
      settle(guest.rename(PREOPEN, 'dir/sub', SECOND, 'came'));
      return opened;
    },
  },
  {
    name: 'from a directory that the host moved out',
    path: (t) => `../outside/${t}`,
    from({ guest, world }) {
      const opened = guest.openDirectory(PREOPEN, 'dir');
      fs.renameSync(path.join(world.sandbox, 'dir'), world.elsewhere);
      return opened;
    },
  },
  {
    name: 'from a directory below one that the host moved out',
    path: (t) => `../../outside/${t}`,
    from({ guest, world }) {
      const opened = guest.openDirectory(PREOPEN, 'dir/sub');
      fs.renameSync(path.join(world.sandbox, 'dir'), world.elsewhere);
      return opened;
    },
  },
  {
    name: 'from a directory that the host replaced by a link',
    path: (t) => `sub/../../outside/${t}`,
    from({ guest, world }) {
      const opened = guest.openDirectory(PREOPEN, 'dir');
      fs.renameSync(path.join(world.sandbox, 'dir'), world.elsewhere);
      fs.symlinkSync('../outside', path.join(world.sandbox, 'dir'));
      return opened;
    },
  },
  {
    name: 'through a link that replaced an open directory',
    path: (t) => `dir/${t}`,
    from({ guest, world }) {
      check(guest.openDirectory(PREOPEN, 'dir').errno === SUCCESS, 'the directory does not open');
      fs.renameSync(path.join(world.sandbox, 'dir'), world.elsewhere);
      fs.symlinkSync('../outside', path.join(world.sandbox, 'dir'));
      return { errno: SUCCESS, fd: PREOPEN };
    },
  },
  {
    name: 'from a directory that the host removed',
    path: (t) => `../../outside/${t}`,
    from({ guest, world }) {
      const opened = guest.openDirectory(PREOPEN, 'dir/sub');
      fs.rmSync(path.join(world.sandbox, 'dir'), { recursive: true });
      return opened;
    },
  },
].map((form) => ({
  ...form,
  prepare(state) {
    const { errno, fd } = form.from(state);
    settle(errno);
    return fd;
  },
}));

function each(make) {
  return TARGETS.flatMap(make);
}

/** Nothing goes from one overlay to another: then the attack is over before it begins. */
const XDEV = 75;

function settle(errno) {
  if (World.anyDevice && errno === XDEV) return;
  check(errno === SUCCESS, `the attack could not be prepared: errno ${errno}`);
}

// --- Cases ---------------------------------------------------------------------------------------

const REFUSED = new Set(LITERAL);
/** Forms that need nothing of the guest. */
export const GIVEN = [...LITERAL, ...LOOKALIKES, ...LINKS.map(byHost)];
/** Forms that need nothing of the host. */
export const OWN = [...LITERAL, ...LOOKALIKES, ...LINKS.map(byGuest)];
/** Forms whose links are for who makes the preopen. */
export const BARE = [...LITERAL, ...LOOKALIKES, ...LINKS];
const FORMS = [
  ...GIVEN,
  ...LINKS.map(byGuest),
  ...MOVED.map((form) => ({
    ...form,
    prepare(state) {
      for (const errno of form.prepare(state)) settle(errno);
    },
  })),
  ...DESCRIPTORS,
];

/** Makes the world anew for a form. */
function prepare(context, form) {
  const { state } = context;
  const { world } = state;
  if (state.guest && state.fd !== PREOPEN) state.guest.close(state.fd);
  world.resetInside();
  // An overlay keeps what was done in it, whatever lies below now.
  if (context.fresh || context.overlay || !state.guest) {
    state.guest?.wasi.close();
    state.guest = new Guest(context.WASI, { preopens: context.preopens(world, form) });
  }
  state.fd = form.prepare?.(state) ?? PREOPEN;
  state.form = form;
  if (context.unchanged) state.inside = world.look(world.sandbox);
}

function attack(context, form, suffix, operation) {
  const { state } = context;
  const { world } = state;
  if (state.form !== form) prepare(context, form);
  const errnos = [];
  try {
    for (const target of TARGETS) {
      const named = form.path(target, world.folder);
      const full = typeof named === 'string' ? named + suffix : bytes(named, suffix);
      const result = operation.run(state.guest, state.fd, full);
      errnos.push(result.errno);
      world.checkGot(result);
      if (context.unchanged) {
        const change = world.changeOf(world.sandbox, state.inside);
        check(change === undefined, change);
      }
      if (result.errno !== SUCCESS) continue;
      check(!REFUSED.has(form), 'it was not refused');
      if (operation.harmless) continue;
      world.checkInside();
      prepare(context, form);
    }
    world.checkOutside();
  } catch (error) {
    // The next case is not to suffer from what this one did.
    state.form = undefined;
    world.plant();
    throw error;
  }
  const told = form.atLimit ? errnos.filter((errno) => errno !== LOOP) : errnos;
  const answers = TARGETS.map((target, i) => `errno ${errnos[i]} for ${target}`).join(', ');
  check(new Set(told).size <= 1, `it tells what is there: ${answers}`);
}

/**
 * Every form with every operation. `preopens` makes the guest's; with `fresh` it gets new ones for
 * each form; with `unchanged` nothing inside may change either. `suffixes` are put behind paths.
 */
export async function* attacks(context, forms = FORMS) {
  context.state = { world: new World(context.folder), fd: PREOPEN };
  for (const form of forms) {
    for (const suffix of context.suffixes ?? SUFFIXES) {
      for (const operation of OPERATIONS) {
        yield [
          `${operation.name}: ${form.name}${suffix && ` and ${suffix}`}`,
          () => attack(context, form, suffix, operation),
        ];
      }
    }
  }
}

// That an attack fails says something only if the same operation works where it is allowed.

const INSIDE = {
  'path_open to list': 'dir',
  'path_open to create anew': 'new',
  'path_open of a directory to create': undefined,
  path_create_directory: 'new',
  path_remove_directory: 'empty',
  path_symlink: 'new',
  path_readlink: 'link',
  'path_link to': 'new',
};

async function* controls(context) {
  const world = new World(context.folder);
  for (const operation of OPERATIONS) {
    const name = operation.name.replace(/, (no )?follow$/, '');
    const inside = name in INSIDE ? INSIDE[name] : 'file.txt';
    if (inside === undefined) continue;
    yield [
      `${operation.name}: a file inside`,
      () => {
        world.resetInside();
        fs.mkdirSync(path.join(world.sandbox, 'empty'));
        fs.symlinkSync('file.txt', path.join(world.sandbox, 'link'));
        const guest = new Guest(context.WASI, { preopens: { [context.name]: world.sandbox } });
        const result = operation.run(guest, PREOPEN, inside);
        guest.wasi.close?.();
        check(result.errno === SUCCESS, `it was refused: errno ${result.errno}`);
        if (operation.name.startsWith('path_open to read')) {
          check(`${result.bytes[0]}` === 'inside', 'it did not read the file');
        }
        world.checkOutside();
      },
    ];
  }
}

// --- Magic links ---------------------------------------------------------------------------------

/** Below a preopen of /proc/self lie links that lead anywhere without naming it. */
async function* magic(context) {
  const world = new World(context.folder);
  const held = {
    file: fs.openSync(path.join(world.outside, 'secret.txt')),
    directory: fs.openSync(world.outside),
  };
  const places = [
    `fd/${held.file}`,
    `fd/${held.directory}`,
    `fd/${held.directory}/secret.txt`,
    `fd/${held.directory}/new`,
    `task/${process.pid}/fd/${held.directory}/secret.txt`,
    'cwd',
    'cwd/outside/secret.txt',
    'cwd/outside/new',
    `task/${process.pid}/cwd/outside/secret.txt`,
    `root${world.folder}/outside/secret.txt`,
    `root${world.folder}/outside/new`,
  ];
  // A symbolic link of the sandbox's would do no harm; these are those of the system.
  const operations = OPERATIONS.filter(({ takes }) => !takes);
  const processes = { '/proc/self': (place) => place, '/proc': (place) => `self/${place}` };
  for (const [preopen, form] of Object.entries(processes)) {
    const guest = new Guest(context.WASI, { preopens: { [context.name]: preopen } });
    for (const place of places) {
      for (const operation of operations) {
        yield [
          `${operation.name}: ${preopen} and ${form(place)}`,
          () => {
            const result = operation.run(guest, PREOPEN, form(place));
            world.checkGot(result);
            world.checkOutside();
          },
        ];
      }
    }
  }
}

// --- The one preopen that is a root --------------------------------------------------------------

/** Below `/` absolute links and `..` are not refused: they stay inside. */
async function* rooted(context) {
  const world = new World(context.folder);
  const links = {
    'an absolute link': '/dir/file.txt',
    'a link above the top': '../../../dir/file.txt',
    'an absolute link above the top': '/../dir/../../dir/file.txt',
  };
  const guest = new Guest(context.WASI, { preopens: { '/': world.sandbox } });
  for (const [name, content] of Object.entries(links)) {
    yield [
      `${name} leads inside`,
      () => {
        world.resetInside();
        fs.symlinkSync(content, path.join(world.sandbox, 'link'));
        const { errno, fd } = guest.open(PREOPEN, 'link', { follow: true });
        check(errno === SUCCESS, `it does not open: errno ${errno}`);
        check(`${guest.read(fd).bytes}` === 'inside', 'it is another file');
        guest.close(fd);
      },
    ];
  }
  yield [
    'the top of the root does not show what is above it',
    () => {
      const { errno, fd } = guest.openDirectory(PREOPEN, '../..');
      check(errno === SUCCESS, `the top does not open: errno ${errno}`);
      const { ino } = guest.filestat(fd);
      const top = fs.statSync(world.sandbox, { bigint: true }).ino;
      check(ino === top, 'the directory above the top is not the top');
      check(guest.open(fd, '../outside/secret.txt').errno === NOTCAPABLE, 'it leads outside');
      guest.close(fd);
    },
  ];
}

/** A listing shows `..` too, and that is outside. */
async function* listings(context) {
  const world = new World(context.folder);
  for (const name of ['/sandbox', '/', '.']) {
    yield [
      `the listing of a preopen called ${name}`,
      () => {
        const guest = new Guest(context.WASI, { preopens: { [name]: world.sandbox } });
        const { errno, bytes: entries } = guest.list(PREOPEN);
        guest.wasi.close?.();
        check(errno === SUCCESS, `it cannot be listed: errno ${errno}`);
        const stats = [];
        for (let at = 0; at < entries.length; at += 24 + entries.readUInt32LE(at + 16)) {
          stats.push({ dev: world.dev, ino: entries.readBigUInt64LE(at + 8) });
        }
        if (stats.length < 2) fail(`it has ${stats.length} entries`);
        world.checkGot({ bytes: [], stats });
      },
    ];
  }
}

const ATTACKS = [
  { name: 'outside', run: attacks },
  { name: 'inside', run: controls },
  { name: 'magic links', run: magic, needs: '/proc/self/fd' },
];

const named = (name) => (world) => ({ [name]: world.sandbox, second: world.second });

// Each group beside the same one for the other kind of preopen: two that take equally long.
export const GROUPS = [
  ...ATTACKS.flatMap((group) =>
    ['/sandbox', '/'].map((name) => ({
      ...group,
      name: `${group.name}, the preopen called ${name}`,
      cases: (context) => group.run({ ...context, name, preopens: named(name) }),
    })),
  ),
  { name: 'root', cases: rooted },
  { name: 'listings', cases: listings },
].map((group) => ({ ...group, parallel: true }));
