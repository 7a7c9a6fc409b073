// Guests that are suspended: what another call of such a guest does while the first one waits, with
// what that one waits for.

import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { IOVS, RESULT, guest, hasJspi } from '../../support/suspending.mjs';
import { BADF, NOTCAPABLE, READS, RIGHT, SUCCESS, check } from '../guest.mjs';
import { openDescriptors } from '../descriptors.mjs';

const NOTSOCK = 57;
const NONBLOCK = 4;
const LISTENER = 4;
/** More than the kernel keeps for a connection that nobody reads. */
const MUCH = 8 << 20;
const SECRET = 'SECRET-FILE';

const later = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

/** The calls that wait, and whether each reads. */
const WAITS = {
  sock_accept: { begin: ({ one }) => one.accept(LISTENER) },
  sock_recv: { begin: ({ one, fd }) => one.recv(fd) },
  fd_read: { begin: ({ one, fd }) => one.read(fd) },
  sock_send: { begin: ({ one, fd }) => one.send(fd, Buffer.alloc(MUCH, 'x')), writes: true },
  fd_write: { begin: ({ one, fd }) => one.write(fd, Buffer.alloc(MUCH, 'x')), writes: true },
  poll_oneoff: {
    begin: ({ one, fd }) =>
      one.run('poll_oneoff', ...one.subscribe([{ read: fd }, { read: LISTENER }])),
  },
};

/** A guest with a connection and files, beside one file that it may not write. */
async function prepared(context) {
  const folder = path.join(context.folder, 'sandbox');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'kept'), SECRET);
  fs.writeFileSync(path.join(folder, 'own'), 'own');
  const one = guest(
    {
      preopens: { '/': folder },
      sockets: [{ host: '127.0.0.1', port: 0, nonblock: false }],
      returnOnExit: true,
    },
    { memory: '(memory (export "memory") 200 400)' },
  );
  const { address: host, port, fd: listener } = one.wasi.sockets[0];
  check(listener === LISTENER, `the listener is ${listener}`);
  const connect = async () => {
    const socket = net.connect(port, host).on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  const peer = await connect();
  const fd = await one.accept(LISTENER);
  const kept = await one.open('kept', { rights: READS });
  const own = await one.open('own', { rights: READS | RIGHT.FD_WRITE });
  check(kept > fd && own > fd, `opening files: ${kept}, ${own}`);
  return { one, peer, connect, fd, kept, own, folder };
}

const words = ({ one }) => new DataView(one.exports.memory.buffer);
const isError = (error, ...codes) => codes.includes(error?.code);
const refused = (act, ...codes) => {
  try {
    const errno = act();
    check(errno !== SUCCESS, 'it succeeded');
  } catch (error) {
    check(isError(error, ...codes), `it threw ${error}`);
  }
};

/** The guest's acts meanwhile, and the right results of the call that then goes on. */
const ACTS = {
  'closes it': {
    act: ({ one, target }) => one.exports.fd_close(target),
    errnos: [BADF],
  },
  'puts a file that it may only read in its place': {
    act: ({ one, kept, target }) => one.exports.fd_renumber(kept, target),
    errnos: [NOTSOCK, NOTCAPABLE],
    mayRead: SECRET,
  },
  'puts a file of its own in its place': {
    act: ({ one, own, target }) => one.exports.fd_renumber(own, target),
    errnos: [NOTSOCK, NOTCAPABLE],
    mayRead: 'own',
  },
  'gives all rights to it up': {
    act: ({ one, target }) => one.exports.fd_fdstat_set_rights(target, 0n, 0n),
    errnos: [NOTCAPABLE],
  },
  'sets NONBLOCK': { act: ({ one, target }) => one.exports.fd_fdstat_set_flags(target, NONBLOCK) },
  'moves its buffers past the memory': {
    act: (all) => words(all).setUint32(IOVS, 0xffff_fff0, true),
  },
  'makes its buffers as large as can be': {
    act: (all) => words(all).setUint32(IOVS + 4, 0xffff_ffff, true),
  },
  'makes its buffers empty': { act: (all) => words(all).setUint32(IOVS + 4, 0, true) },
  'moves its buffers to its own list and results': {
    act: (all) => {
      words(all).setUint32(IOVS, IOVS, true);
      words(all).setUint32(IOVS + 4, RESULT - IOVS + 16, true);
    },
  },
  'fills its memory': { act: ({ one }) => new Uint8Array(one.exports.memory.buffer).fill(0xff) },
  'grows its memory': { act: ({ one }) => one.exports.grow(100) },
  'waits in a second call': {
    act: ({ one }) => refused(() => one.exports.sock_accept(LISTENER, 0, RESULT), 'ERR_WASI_BUSY'),
  },
  'calls the import from JavaScript': {
    act: ({ one }) =>
      refused(() => one.wasi.wasiImport.sock_accept(LISTENER, 0, RESULT), 'ERR_WASI_BUSY'),
  },
  traps: {
    act: ({ one }) => {
      try {
        one.exports.trap();
      } catch (error) {
        check(error instanceof WebAssembly.RuntimeError, `it threw ${error}`);
      }
    },
  },
  exits: { act: ({ one }) => exit(one), ends: 'WASIExitError' },
  'is closed': { act: ({ one }) => one.wasi.close(), ends: 'ERR_WASI_CLOSED' },
};

function exit(one) {
  try {
    one.exports.exit(4);
  } catch (error) {
    check(error.exitCode === 4, `it threw ${error}`);
    return;
  }
  check(false, 'it went on');
}

const TIMED_OUT = {};

async function* waiting(context) {
  let before;
  for (const [name, { begin, writes }] of Object.entries(WAITS)) {
    for (const [what, { act, errnos, ends, mayRead }] of Object.entries(ACTS)) {
      yield [
        `a guest waits in ${name} and ${what}`,
        async () => {
          const all = await prepared(context);
          const { one, peer, connect, fd, folder } = all;
          all.target = name === 'sock_accept' ? LISTENER : fd;
          const call = begin(all).then(
            (value) => ({ value }),
            (error) => ({ error }),
          );
          check(
            (await Promise.race([call, later(5, TIMED_OUT)])) === TIMED_OUT,
            'it does not wait',
          );
          act(all);
          // The condition that it waits for comes true.
          peer.resume().write('come');
          // The listener may be no more.
          const other = name === 'sock_accept' ? await connect().catch(() => {}) : undefined;
          const told = await Promise.race([call, later(5000, TIMED_OUT)]);
          const { value, error } = told;
          check(told !== TIMED_OUT, 'it waits for ever');
          if (ends !== undefined) {
            check(error?.code === ends || error?.constructor.name === ends, `it ended: ${error}`);
          } else {
            check(error === undefined, `it failed: ${error}`);
            const errno = writes || name === 'sock_accept' ? -value : value;
            const isRead = name === 'fd_read' && value === mayRead;
            const isWritten = name === 'fd_write' && value > 0;
            if (errnos && name !== 'poll_oneoff' && !isRead && !isWritten) {
              check(errnos.includes(errno), `${value} instead of errno ${errnos}`);
            }
          }
          const kept = fs.readFileSync(path.join(folder, 'kept'), 'utf8');
          check(kept === SECRET, 'a file that it may only read was written');
          one.wasi.close();
          for (const socket of [peer, other]) socket?.destroy();
          // `once` would fail where the connection was reset.
          if (!peer.closed) await new Promise((resolve) => peer.once('close', resolve));
          before ??= openDescriptors();
          for (let at = 0; at < 100 && openDescriptors() > before; at++) await later(5);
          check(openDescriptors() <= before, `${openDescriptors() - before} descriptors are left`);
        },
      ];
    }
  }
}

export const GROUPS = hasJspi ? [{ name: 'waiting', cases: waiting, own: true }] : [];
