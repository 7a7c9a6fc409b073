// Preview1's functions over WASI 0.2, as the adapter of components has them: so that what attacks
// preview1 (__test__/sandbox) attacks the functions that components call. Every call travels by the
// canonical ABI with the guest's own memory and pointers; nothing of preview1 of this package is
// used.
import { createRequire } from 'node:module';

const { WASI: Preview2 } = createRequire(import.meta.url)('../../lib/p2/index.js');

const LOWER = Symbol.for('cabiLower');
const DISPOSE = Symbol.for('cabiDispose');
const OWN = 1 << 30;

/** Of each `error-code`, the errno that programs for preview1 know it by. */
const ERRNO = {
  access: 2,
  'would-block': 6,
  already: 7,
  'bad-descriptor': 8,
  busy: 10,
  deadlock: 16,
  quota: 19,
  exist: 20,
  'file-too-large': 22,
  'illegal-byte-sequence': 25,
  'in-progress': 26,
  interrupted: 27,
  invalid: 28,
  io: 29,
  'is-directory': 31,
  loop: 32,
  'too-many-links': 34,
  'message-size': 35,
  'name-too-long': 37,
  'no-device': 43,
  'no-entry': 44,
  'no-lock': 46,
  'insufficient-memory': 33,
  'insufficient-space': 51,
  'not-directory': 54,
  'not-empty': 55,
  'not-recoverable': 56,
  unsupported: 58,
  'no-tty': 59,
  'no-such-device': 60,
  overflow: 61,
  // Of the two that 0.2 has one word for, the sandbox means this.
  'not-permitted': 76,
  pipe: 64,
  'read-only': 69,
  'invalid-seek': 70,
  'text-file-busy': 74,
  'cross-device': 75,
};
const CODES = Object.values(ERRNO);
const AGAIN = 6;
const BADF = 8;
const IO = 29;
const INVAL = 28;
const OVERFLOW = 61;
const SPIPE = 70;
const NOSYS = 52;
const PERM = 63;
/** From the numbers of `descriptor-type` to preview1's. */
const TYPES = [0, 1, 2, 3, 6, 7, 4, 6];
const DIRECTORY = 3;
const ALL = (1n << 30n) - 1n;
const FD_READ = 1n << 1n;
const FD_READDIR = 1n << 14n;
const WRITING = (1n << 6n) | (1n << 0n) | (1n << 8n) | (1n << 22n);
const APPEND = 1;
const NONBLOCK = 4;
const REGULAR_FILE = 4;
/** The errno for a stream that nobody reads any more. */
const CLOSED = 64;
/** Functions of preview1 that 0.2 has nothing for. */
const MISSING = [
  'args_get',
  'args_sizes_get',
  'clock_res_get',
  'environ_get',
  'environ_sizes_get',
  'fd_allocate',
  'fd_fdstat_set_rights',
  'fd_prestat_dir_name',
  'proc_raise',
  'sock_accept',
  'sock_recv',
  'sock_send',
  'sock_shutdown',
];
/** How much room result areas take at the end of the memory. */
const ROOM = 512;

export class WASI {
  constructor({ version, ...options } = {}) {
    void version;
    this.wasi = new Preview2(options);
    const imports = this.wasi.getImportObject();
    const types = imports['wasi:filesystem/types'];
    const descriptors = [OWN, 0];
    const listings = [OWN, 0];
    const inputs = [OWN, 0];
    const outputs = [OWN, 0];
    const errors = [OWN, 0];
    const pollables = [OWN, 0];
    /** Of each number, the handle and where the guest reads and writes. */
    const open = [];
    let memory;
    let area;
    let room;
    let view;
    const look = () => {
      if (view?.buffer !== memory.buffer) view = new DataView(memory.buffer);
      return view;
    };
    /** The guest's buffer, as the adapter gives it for lists. */
    let given;
    const realloc = (old, oldSize, align, size) => given(size);
    const method = (Class, name, tables) =>
      Class.prototype[name][LOWER]({ memory, realloc, resourceTables: tables });
    const hooks = {};
    const begin = (guest) => {
      memory = guest;
      area = memory.buffer.byteLength - ROOM;
      room = area + 256;
      const D = types.Descriptor;
      for (const name of [
        'createDirectoryAt',
        'unlinkFileAt',
        'removeDirectoryAt',
        'stat',
        'statAt',
        'metadataHash',
        'metadataHashAt',
        'setTimesAt',
        'setTimes',
        'setSize',
        'linkAt',
        'renameAt',
        'symlinkAt',
        'readlinkAt',
        'openAt',
        'read',
        'write',
        'getType',
        'getFlags',
        'advise',
        'sync',
        'syncData',
      ]) {
        hooks[name] = method(D, name, [descriptors]);
      }
      hooks.readDirectory = method(D, 'readDirectory', [descriptors, listings]);
      hooks.appendViaStream = method(D, 'appendViaStream', [outputs, descriptors]);
      hooks.readViaStream = method(D, 'readViaStream', [inputs, descriptors]);
      hooks.writeViaStream = method(D, 'writeViaStream', [outputs, descriptors]);
      const plain = (name, fn, resourceTables = []) =>
        (hooks[name] = imports[name][fn][LOWER]({ memory, realloc, resourceTables }));
      const errorCode = types.filesystemErrorCode[LOWER];
      hooks.errorCode = errorCode({ memory, resourceTables: [errors] });
      plain('wasi:random/random', 'getRandomBytes');
      plain('wasi:clocks/monotonic-clock', 'now');
      const later = imports['wasi:clocks/monotonic-clock'].subscribeDuration[LOWER];
      hooks.subscribe = later({ resourceTables: [pollables] });
      plain('wasi:io/poll', 'poll', [pollables]);
      hooks.entry = method(types.DirectoryEntryStream, 'readDirectoryEntry', [listings]);
      const streams = imports['wasi:io/streams'];
      hooks.blockingRead = method(streams.InputStream, 'blockingRead', [errors, inputs]);
      hooks.readNow = method(streams.InputStream, 'read', [errors, inputs]);
      const { subscribe } = streams.InputStream.prototype;
      hooks.readable = subscribe[LOWER]({ memory, resourceTables: [pollables, inputs] });
      const { OutputStream } = streams;
      hooks.blockingWrite = method(OutputStream, 'blockingWriteAndFlush', [errors, outputs]);
      hooks.checkWrite = method(OutputStream, 'checkWrite', [errors, outputs]);
      hooks.writeNow = method(OutputStream, 'write', [errors, outputs]);
      hooks.writable = OutputStream.prototype.subscribe[LOWER]({
        memory,
        resourceTables: [pollables, outputs],
      });
      given = () => room;
      const stdio = (name, get, table) =>
        imports[`wasi:cli/${name}`][get][LOWER]({ resourceTables: [table] })();
      open.push({ input: stdio('stdin', 'getStdin', inputs), position: 0n });
      open.push({ output: stdio('stdout', 'getStdout', outputs), position: 0n });
      open.push({ output: stdio('stderr', 'getStderr', outputs), position: 0n });
      // Their names are not read: the values are.
      const count = imports['wasi:filesystem/preopens'].getDirectories().length;
      const directories = imports['wasi:filesystem/preopens'].getDirectories[LOWER]({
        memory,
        realloc: (old, oldSize, align, size) => {
          const at = Math.ceil(top / align) * align;
          top = at + size;
          return at;
        },
        resourceTables: [descriptors],
      });
      let top = 16;
      const saved = new Uint8Array(memory.buffer).slice(0, 4096);
      directories(area);
      const list = look().getUint32(area, true);
      for (let index = 0; index < count; index++) {
        open.push({ handle: look().getUint32(list + 12 * index, true), position: 0n });
      }
      new Uint8Array(memory.buffer).set(saved);
    };
    const handle = (fd) => open[fd >>> 0]?.handle ?? 0;
    const has = (fd) => open[fd >>> 0] !== undefined;
    /** The errno of a result whose error lies at an offset. */
    const ended = (at) => (look().getUint8(area) === 0 ? 0 : CODES[look().getUint8(area + at)]);
    const drop = (table, Class, at) => {
      const place = at << 1;
      const rep = table[place + 1] & ~OWN;
      table[place] = table[0] | OWN;
      table[0] = at | OWN;
      Class[DISPOSE](rep);
    };
    const time = (at) => {
      const d = look();
      return d.getBigUint64(at + 8, true) * 1_000_000_000n + BigInt(d.getUint32(at + 16, true));
    };
    const filestat = (errno, hash, out) => {
      if (errno !== 0) return errno;
      const d = look();
      const fields = [
        d.getBigUint64(area + 16, true),
        d.getBigUint64(area + 24, true),
        time(area + 32),
        time(area + 56),
        time(area + 80),
      ];
      const type = TYPES[d.getUint8(area + 8)];
      hash();
      const other = ended(8);
      if (other !== 0) return other;
      d.setBigUint64(out, d.getBigUint64(area + 16, true), true);
      d.setBigUint64(out + 8, d.getBigUint64(area + 8, true), true);
      d.setUint8(out + 16, type);
      fields.forEach((field, index) => d.setBigUint64(out + 24 + 8 * index, field, true));
      return 0;
    };
    /** The first buffer of a list that is not empty, as the adapter has it. */
    const iovec = (iovs, count) => {
      const list = iovs >>> 0;
      for (let at = list; at < list + 8 * (count >>> 0); at += 8) {
        const length = look().getUint32(at + 4, true);
        if (length > 0) return [look().getUint32(at, true), length];
      }
      return [0, 0];
    };
    /** Fails as a pointer of the guest that lies outside, before anything is done. */
    const room32 = (at) => void look().getUint32(at >>> 0, true);
    /** The errno of a stream that failed: what its error says; 0 where it is closed. */
    const streamError = (at, closed) => {
      if (look().getUint8(area + at) === 1) return closed;
      const handle = look().getUint32(area + at + 4, true);
      hooks.errorCode(handle, area);
      const errno = look().getUint8(area) === 1 ? CODES[look().getUint8(area + 1)] : IO;
      drop(errors, imports['wasi:io/error'].Error, handle);
      return errno;
    };
    /** Whether a file has no positions, and so is read and written by streams. */
    const isStream = (found) => {
      if (found.type === undefined) {
        hooks.getType(found.handle, area);
        if (ended(1) !== 0) return false;
        found.type = TYPES[look().getUint8(area + 1)];
      }
      return found.type !== REGULAR_FILE && found.type !== DIRECTORY;
    };
    /** A stream of a file, made where there is none. */
    const streamOf = (found, kind) => {
      if (found[kind] !== undefined) return 0;
      hooks[kind === 'input' ? 'readViaStream' : 'writeViaStream'](found.handle, 0n, area);
      const errno = ended(4);
      if (errno === 0) found[kind] = look().getUint32(area + 4, true);
      return errno;
    };
    const dropStream = (found, kind, table, Class) => {
      if (found[kind] === undefined) return;
      drop(table, imports['wasi:io/streams'][Class], found[kind]);
      found[kind] = undefined;
    };
    const timesOf = (atim, mtim, flags) =>
      [
        [atim, flags & 1, flags & 2],
        [mtim, flags & 4, flags & 8],
      ].flatMap(([ns, at, now]) => [
        at ? 2 : now ? 1 : 0,
        BigInt.asUintN(64, ns) / 1_000_000_000n,
        Number(BigInt.asUintN(64, ns) % 1_000_000_000n),
      ]);
    const onPath = (name) => (fd, path, length) => {
      if (!has(fd)) return BADF;
      hooks[name](handle(fd), path, length, area);
      return ended(1);
    };
    const trapped =
      (act) =>
      (...args) => {
        try {
          return act(...args);
        } catch (error) {
          // A pointer that lies outside: preview1's answer.
          const { message } = error;
          if (error instanceof WebAssembly.RuntimeError && message.includes('outside'))
            return OVERFLOW;
          if (
            error instanceof RangeError &&
            (message.includes('ffset') || message.includes('ounds'))
          )
            return OVERFLOW;
          throw error;
        }
      };
    const wasiImport = {
      path_create_directory: onPath('createDirectoryAt'),
      path_remove_directory: onPath('removeDirectoryAt'),
      path_unlink_file: onPath('unlinkFileAt'),
      path_filestat_get(fd, flags, path, length, out) {
        if (!has(fd)) return BADF;
        hooks.statAt(handle(fd), flags, path, length, area);
        const hash = () => hooks.metadataHashAt(handle(fd), flags, path, length, area);
        return filestat(ended(8), hash, out);
      },
      path_filestat_set_times(fd, flags, path, length, atim, mtim, which) {
        if (!has(fd)) return BADF;
        hooks.setTimesAt(handle(fd), flags, path, length, ...timesOf(atim, mtim, which), area);
        return ended(1);
      },
      path_link(fd, flags, path, length, to, newPath, newLength) {
        if (!has(fd) || !has(to)) return BADF;
        hooks.linkAt(handle(fd), flags, path, length, handle(to), newPath, newLength, area);
        return ended(1);
      },
      path_rename(fd, path, length, to, newPath, newLength) {
        if (!has(fd) || !has(to)) return BADF;
        hooks.renameAt(handle(fd), path, length, handle(to), newPath, newLength, area);
        return ended(1);
      },
      path_symlink(text, textLength, fd, path, length) {
        if (!has(fd)) return BADF;
        hooks.symlinkAt(handle(fd), text, textLength, path, length, area);
        const errno = ended(1);
        return errno === 76 && look().getUint8(text) === 47 ? PERM : errno;
      },
      path_readlink(fd, path, length, buffer, size, out) {
        if (!has(fd)) return BADF;
        given = (asked) => (asked > size ? room : buffer);
        hooks.readlinkAt(handle(fd), path, length, area);
        const errno = ended(4);
        if (errno === 0) look().setUint32(out, look().getUint32(area + 8, true), true);
        return errno;
      },
      path_open(fd, flags, path, length, oflags, rights, inheriting, fdflags, out) {
        if (!has(fd)) return BADF;
        const isRead = (rights & (FD_READ | FD_READDIR)) !== 0n;
        const bits = (isRead ? 1 : 0) | ((rights & WRITING) !== 0n ? 2 : 0);
        hooks.openAt(handle(fd), flags, path, length, oflags, bits, area);
        const errno = ended(4);
        if (errno !== 0) return errno;
        let number = open.findIndex((one) => one === undefined);
        if (number < 0) number = open.length;
        const appends = (fdflags & APPEND) !== 0;
        const isNonblocking = (fdflags & NONBLOCK) !== 0;
        const made = look().getUint32(area + 4, true);
        open[number] = { handle: made, position: 0n, appends, isNonblocking };
        look().setUint32(out, number, true);
        return 0;
      },
      fd_close(fd) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        if (found.handle !== undefined) {
          if (found.listing !== undefined) {
            drop(listings, types.DirectoryEntryStream, found.listing.handle);
          }
          dropStream(found, 'input', inputs, 'InputStream');
          dropStream(found, 'output', outputs, 'OutputStream');
          drop(descriptors, types.Descriptor, found.handle);
        }
        open[fd >>> 0] = undefined;
        return 0;
      },
      fd_read(fd, iovs, count, out) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        room32(out);
        const [buffer, length] = iovec(iovs, count);
        given = () => buffer;
        if (found.handle !== undefined && isStream(found)) {
          const errno = streamOf(found, 'input');
          if (errno !== 0) return errno;
        }
        if (found.input !== undefined) {
          const read = found.isNonblocking ? hooks.readNow : hooks.blockingRead;
          read(found.input, BigInt(length), area);
          if (look().getUint8(area) === 1) {
            const errno = streamError(4, 0);
            if (errno === 0) look().setUint32(out, 0, true);
            return errno;
          }
          const got = look().getUint32(area + 8, true);
          if (got === 0 && length > 0) return AGAIN;
          look().setUint32(out, got, true);
          return 0;
        }
        hooks.read(found.handle ?? 0, BigInt(length), found.position, area);
        const errno = ended(4);
        if (errno !== 0) return errno;
        const read = look().getUint32(area + 8, true);
        found.position += BigInt(read);
        look().setUint32(out, read, true);
        return 0;
      },
      fd_write(fd, iovs, count, out) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        room32(out);
        const [buffer, length] = iovec(iovs, count);
        if (found.handle !== undefined && isStream(found)) {
          const errno = streamOf(found, 'output');
          if (errno !== 0) return errno;
        } else if (found.handle !== undefined && found.appends) {
          hooks.appendViaStream(found.handle, area);
          const errno = ended(4);
          if (errno !== 0) return errno;
          found.stream = look().getUint32(area + 4, true);
        }
        const stream = found.output ?? found.stream;
        if (stream !== undefined) {
          let errno = 0;
          let written = length;
          if (found.isNonblocking) {
            hooks.checkWrite(stream, area);
            if (look().getUint8(area) === 1) return streamError(8, CLOSED);
            written = Math.min(length, Number(look().getBigUint64(area + 8, true)));
            if (written === 0 && length > 0) return AGAIN;
            hooks.writeNow(stream, buffer, written, area);
          } else {
            hooks.blockingWrite(stream, buffer, length, area);
          }
          if (look().getUint8(area) === 1) errno = streamError(4, CLOSED);
          dropStream(found, 'stream', outputs, 'OutputStream');
          if (errno === 0) look().setUint32(out, written, true);
          return errno;
        }
        hooks.write(found.handle ?? 0, buffer, length, found.position, area);
        const errno = ended(8);
        if (errno !== 0) return errno;
        const written = look().getUint32(area + 8, true);
        found.position += BigInt(written);
        look().setUint32(out, written, true);
        return 0;
      },
      fd_pwrite(fd, iovs, count, offset, out) {
        if (!has(fd)) return BADF;
        room32(out);
        const [buffer, length] = iovec(iovs, count);
        hooks.write(handle(fd), buffer, length, offset, area);
        const errno = ended(8);
        if (errno === 0) look().setUint32(out, look().getUint32(area + 8, true), true);
        return errno;
      },
      fd_pread(fd, iovs, count, offset, out) {
        if (!has(fd)) return BADF;
        room32(out);
        const [buffer, length] = iovec(iovs, count);
        given = () => buffer;
        hooks.read(handle(fd), BigInt(length), offset, area);
        const errno = ended(4);
        if (errno === 0) look().setUint32(out, look().getUint32(area + 8, true), true);
        return errno;
      },
      fd_readdir(fd, buffer, length, cookie, out) {
        const found = open[fd >>> 0];
        if (found?.handle === undefined) return BADF;
        room32(out);
        // A listing goes on where it ended; the adapter begins anew each time.
        if (found.listing === undefined || found.listing.next !== cookie) {
          if (found.listing !== undefined) {
            drop(listings, types.DirectoryEntryStream, found.listing.handle);
            found.listing = undefined;
          }
          hooks.readDirectory(found.handle, area);
          const errno = ended(4);
          if (errno !== 0) return errno;
          found.listing = { handle: look().getUint32(area + 4, true), next: 0n };
        }
        const { listing } = found;
        let used = 0;
        const bytes = new Uint8Array(memory.buffer);
        const put = (source) => {
          const part = source.subarray(0, length - used);
          bytes.set(part, buffer + used);
          used += part.length;
        };
        while (used < length) {
          let entry = listing.left;
          if (entry === undefined) {
            given = () => room;
            hooks.entry(listing.handle, area);
            const errno = ended(4);
            if (errno !== 0) return errno;
            if (look().getUint8(area + 4) === 0) break;
            const size = look().getUint32(area + 16, true);
            entry = { type: look().getUint8(area + 8), name: bytes.slice(room, room + size) };
            listing.next += 1n;
            if (listing.next <= cookie) continue;
            // An entry of 0.2 has no serial number, so it is asked for.
            hooks.metadataHashAt(found.handle, 0, room, size, area);
            entry.ino = ended(8) === 0 ? look().getBigUint64(area + 8, true) : 0n;
          } else {
            listing.next += 1n;
          }
          const { name } = entry;
          listing.left = undefined;
          const head = new DataView(new ArrayBuffer(24));
          head.setBigUint64(0, listing.next, true);
          head.setBigUint64(8, entry.ino, true);
          head.setUint32(16, name.length, true);
          head.setUint8(20, TYPES[entry.type]);
          const isCut = length - used < 24 + name.length;
          put(new Uint8Array(head.buffer));
          put(name);
          if (isCut) {
            listing.left = entry;
            listing.next -= 1n;
          }
        }
        look().setUint32(out, used, true);
        return 0;
      },
      fd_filestat_get(fd, out) {
        if (!has(fd)) return BADF;
        hooks.stat(handle(fd), area);
        return filestat(ended(8), () => hooks.metadataHash(handle(fd), area), out);
      },
      fd_fdstat_get(fd, out) {
        if (!has(fd)) return BADF;
        hooks.getType(handle(fd), area);
        const errno = ended(1);
        if (errno !== 0) return errno;
        const type = TYPES[look().getUint8(area + 1)];
        look().setUint8(out, type);
        look().setUint16(out + 2, 0, true);
        look().setBigUint64(out + 8, ALL, true);
        look().setBigUint64(out + 16, type === DIRECTORY ? ALL : 0n, true);
        return 0;
      },
      fd_filestat_set_size(fd, size) {
        if (!has(fd)) return BADF;
        hooks.setSize(handle(fd), size, area);
        return ended(1);
      },
      fd_filestat_set_times(fd, atim, mtim, which) {
        if (!has(fd)) return BADF;
        hooks.setTimes(handle(fd), ...timesOf(atim, mtim, which), area);
        return ended(1);
      },
      fd_sync(fd) {
        hooks.sync(handle(fd), area);
        return ended(1);
      },
      fd_datasync(fd) {
        hooks.syncData(handle(fd), area);
        return ended(1);
      },
      fd_tell(fd, out) {
        const found = open[fd >>> 0];
        if (found?.handle === undefined) return BADF;
        look().setBigUint64(out, found.position, true);
        return 0;
      },
      fd_seek(fd, offset, whence, out) {
        const found = open[fd >>> 0];
        if (found?.handle === undefined) return BADF;
        if (isStream(found)) return SPIPE;
        if (whence === 2) {
          hooks.stat(found.handle, area);
          if (ended(8) !== 0) return ended(8);
          offset += look().getBigUint64(area + 24, true);
        } else if (whence === 1) offset += found.position;
        if (offset < 0n || offset >= 1n << 64n) return INVAL;
        found.position = offset;
        look().setBigUint64(out, offset, true);
        return 0;
      },
      fd_renumber(fd, to) {
        const found = open[fd >>> 0];
        if (found === undefined || !has(to)) return BADF;
        if (fd === to) return 0;
        wasiImport.fd_close(to);
        open[to >>> 0] = found;
        open[fd >>> 0] = undefined;
        return 0;
      },
      fd_advise(fd, offset, length, advice) {
        if (!has(fd)) return BADF;
        if (advice >>> 0 > 5) return INVAL;
        hooks.advise(handle(fd), offset, length, advice, area);
        return ended(1);
      },
      fd_fdstat_set_flags(fd, flags) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        found.isNonblocking = (flags & NONBLOCK) !== 0;
        found.appends = (flags & APPEND) !== 0;
        return 0;
      },
      clock_time_get(clock, precision, out) {
        look().setBigUint64(out, hooks['wasi:clocks/monotonic-clock'](), true);
        return 0;
      },
      random_get(buffer, length) {
        given = () => buffer;
        hooks['wasi:random/random'](BigInt(length >>> 0), area);
        return 0;
      },
      /** Clocks count from now. */
      poll_oneoff(from, to, count, out) {
        if (count === 0 || count > 16) return INVAL;
        const handles = [];
        for (let i = 0; i < count; i++) {
          const at = from + 48 * i;
          const type = look().getUint8(at + 8);
          const found = type === 0 ? undefined : open[look().getUint32(at + 16, true)];
          if (type === 0) handles.push(hooks.subscribe(look().getBigUint64(at + 24, true)));
          else if (type === 1 && found?.input) handles.push(hooks.readable(found.input));
          else if (type === 2 && found?.output) handles.push(hooks.writable(found.output));
          else handles.push(hooks.subscribe(0n));
        }
        handles.forEach((one, i) => look().setUint32(room + 4 * i, one, true));
        given = () => room + 128;
        hooks['wasi:io/poll'](room, count, area);
        const ready = look().getUint32(area + 4, true);
        for (let i = 0; i < ready; i++) {
          const index = look().getUint32(room + 128 + 4 * i, true);
          const userdata = look().getBigUint64(from + 48 * index, true);
          look().setBigUint64(to + 32 * i, userdata, true);
          look().setBigUint64(to + 32 * i + 8, 0n, true);
        }
        for (const one of handles) drop(pollables, imports['wasi:io/poll'].Pollable, one);
        look().setUint32(out, ready, true);
        return 0;
      },
      fd_prestat_get: () => BADF,
      sched_yield: () => 0,
    };
    // 0.2 has no such calls.
    for (const name of MISSING) wasiImport[name] = () => NOSYS;
    for (const [name, call] of Object.entries(wasiImport)) wasiImport[name] = trapped(call);
    this.wasiImport = wasiImport;
    this.begin = begin;
  }

  start({ exports: { memory, _start } }) {
    this.begin(memory);
    _start();
    return 0;
  }

  finalizeBindings({ exports: { memory } }) {
    this.begin(memory);
  }

  close() {
    this.wasi.close();
  }

  changes() {
    return this.wasi.changes();
  }

  commit(guestPath) {
    return this.wasi.commit(guestPath);
  }

  getImportObject() {
    return { wasi_snapshot_preview1: this.wasiImport };
  }
}
