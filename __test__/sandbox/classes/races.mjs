// Races: somebody exchanges what a path leads through while the guest does everything it can with
// that path. The other side is a process, a Worker, or a second guest on a Worker.

import { fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { CREAT, Guest, READS, SUCCESS, WRITES, check } from '../guest.mjs';
import { OPERATIONS } from '../operations.mjs';
import { World } from '../world.mjs';

const EXCHANGE = fileURLToPath(new URL('../exchange.mjs', import.meta.url));
const PREOPEN = 3;
/** How many seconds a race may take to become one. */
const PATIENCE = 15;
/** The first byte of every file outside. */
const SECRET = 'S'.charCodeAt(0);

/**
 * The object that is exchanged, the paths that lead through it, and the files that must exist
 * first.
 */
const KINDS = {
  directory: {
    paths: ['d/file.txt', 'd/sub/../file.txt'],
    prepare({ sandbox, elsewhere }) {
      fs.cpSync(path.join(sandbox, 'dir'), path.join(sandbox, 'd'), { recursive: true });
      fs.symlinkSync('../outside', path.join(elsewhere, 'link'));
    },
  },
  file: {
    paths: ['f', './f', 'dir/../f'],
    prepare({ sandbox, elsewhere }) {
      fs.writeFileSync(path.join(elsewhere, 'file'), 'inside');
      fs.linkSync(path.join(elsewhere, 'file'), path.join(sandbox, 'f'));
    },
  },
  link: {
    paths: ['l/file.txt', 'l/../l/file.txt', 'l/secret.txt', 'l'],
    prepare({ sandbox }) {
      fs.symlinkSync('dir', path.join(sandbox, 'l'));
    },
  },
  parent: {
    paths: ['a/b/../file.txt', 'a/b/../../file.txt', 'a/b/../../outside/file.txt'],
    prepare({ sandbox, elsewhere }) {
      fs.mkdirSync(path.join(sandbox, 'a', 'b'), { recursive: true });
      fs.writeFileSync(path.join(sandbox, 'a', 'file.txt'), 'inside');
      fs.writeFileSync(path.join(elsewhere, 'file.txt'), 'SECRET-FILE');
    },
    after({ elsewhere }) {
      const place = path.join(elsewhere, 'file.txt');
      const stays = fs.existsSync(place) && fs.readFileSync(place, 'utf8') === 'SECRET-FILE';
      check(stays, 'the file beside the directory that moved out was changed');
    },
  },
};
KINDS.guest = KINDS.link;

const BY = {
  async process(spec) {
    const child = fork(EXCHANGE, [JSON.stringify(spec)], { stdio: 'ignore' });
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', () => reject(new Error('the other side of the race ended')));
    });
    return async () => {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
      await ended;
    };
  },

  async worker(spec) {
    const worker = new Worker(EXCHANGE, { workerData: spec });
    const message = () =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    await message();
    return async () => {
      // A Worker of Deno may go on for some time after terminate().
      const stopped = message();
      worker.postMessage('stop');
      await stopped;
      await worker.terminate();
    };
  },
};

/**
 * The operations that tell most, as quickly as JavaScript can make them: what is exchanged has to
 * change between two system calls of one operation.
 *
 * @returns {number} how many tries that were
 */
function sprint(kind, world, guest, seconds, allRights = [READS, WRITES]) {
  const { imports, bytes } = guest;
  const [resultAt, pathAt, dataAt] = [64, 1024, 65536];
  bytes.writeUInt32LE(dataAt, 256);
  bytes.writeUInt32LE(64, 260);
  const end = Date.now() + seconds * 1000;
  let tries = 0;
  while (Date.now() < end) {
    for (const named of kind.paths) {
      const length = bytes.write(named, pathAt);
      for (let i = 0; i < 200; i += 1) {
        for (const rights of allRights) {
          if (
            imports.path_open(PREOPEN, 1, pathAt, length, 0, rights, 0n, 0, resultAt) !== SUCCESS
          ) {
            continue;
          }
          const fd = bytes.readUInt32LE(resultAt);
          bytes[dataAt] = 0;
          imports.fd_read(fd, 256, 1, resultAt);
          if (bytes[dataAt] === SECRET) {
            world.checkGot({ bytes: [bytes.subarray(dataAt, dataAt + 64)], stats: [] });
          }
          if (rights === WRITES) {
            bytes.write('inside', dataAt);
            imports.fd_pwrite(fd, 256, 1, 0n, resultAt);
          }
          imports.fd_close(fd);
        }
        if (imports.path_filestat_get(PREOPEN, 1, pathAt, length, dataAt) === SUCCESS) {
          const [dev, ino] = [bytes.readBigUInt64LE(dataAt), bytes.readBigUInt64LE(dataAt + 8)];
          world.checkGot({ bytes: [], stats: [{ dev, ino }] });
        }
        tries += 3;
      }
    }
  }
  return tries;
}

/** Every operation in turn until the time is over. */
function tryAll(context, kind, world, make) {
  let guest = make();
  const errnos = new Set();
  const start = Date.now();
  // A file that is opened for writing in an overlay is a copy from then on, for which no race is
  // run.
  const rights = context.overlay ? [READS] : undefined;
  let tries = sprint(kind, world, guest, context.seconds / 2, rights);
  let lastSign = tries;
  // On a machine with much to do the other side may not have had its turn yet.
  const isOver = () => {
    const seconds = (Date.now() - start) / 1000;
    return (
      seconds > PATIENCE || (seconds > context.seconds && errnos.has(SUCCESS) && errnos.size > 1)
    );
  };
  while (!isOver()) {
    if (context.overlay) {
      guest.wasi.close();
      guest = make();
    }
    for (const named of kind.paths) {
      for (const operation of OPERATIONS) {
        const result = operation.run(guest, PREOPEN, named);
        tries += 1;
        if (operation.name === 'path_open to read, follow') errnos.add(result.errno);
        world.checkGot(result);
        if (operation.takes && result.errno === SUCCESS) {
          // The renamed file may be one of outside.
          const taken = guest.open(PREOPEN, 'taken');
          if (taken.errno === SUCCESS) {
            world.checkGot({
              bytes: [guest.read(taken.fd).bytes],
              stats: [guest.filestat(taken.fd)],
            });
            guest.close(taken.fd);
          }
          guest.onPath('path_unlink_file', PREOPEN, 'taken');
          guest.onPath('path_remove_directory', PREOPEN, 'taken');
        }
      }
    }
    // The operations need this file at the top, and one of them has moved it away.
    const file = guest.open(PREOPEN, 'file.txt', { oflags: CREAT, rights: WRITES });
    if (file.errno === SUCCESS) guest.close(file.fd);
    if (tries - lastSign > 20_000) {
      lastSign = tries;
      context.alive();
    }
  }
  check(errnos.has(SUCCESS), 'the race was not run: no file could be read');
  check(errnos.size > 1, 'the race was not run: each file could be read');
  return tries;
}

async function race(context, name, by, preopen) {
  const kind = KINDS[name];
  const world = new World(context.folder);
  fs.mkdirSync(world.elsewhere);
  kind.prepare(world);
  const make = () => new Guest(context.WASI, { preopens: { [preopen]: world.sandbox } });
  const { folder, seconds, implementation } = context;
  const stop = await BY[by]({ kind: name, folder, seconds, implementation });
  let tries;
  try {
    tries = tryAll(context, kind, world, make);
  } finally {
    await stop();
  }
  world.checkOutside();
  if (kind.after) kind.after(world);
  else world.checkInside();
  return tries;
}

const RACES = [
  ['directory', 'process', '/sandbox'],
  ['file', 'process', '/sandbox'],
  ['link', 'process', '/sandbox'],
  ['parent', 'process', '/sandbox'],
  ['directory', 'process', '/'],
  ['file', 'process', '/'],
  ['link', 'process', '/'],
  ['parent', 'process', '/'],
  ['directory', 'worker', '/sandbox'],
  ['guest', 'worker', '/sandbox'],
];

export const GROUPS = RACES.map(([kind, by, preopen]) => ({
  name: `${kind} by ${by}, the preopen called ${preopen}`,
  races: true,
  patience: 60_000,
  *cases(context) {
    yield ['every operation, over and over', () => race(context, kind, by, preopen)];
  },
}));
