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
const BADF = 8;
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
        'sync',
        'syncData',
      ]) {
        hooks[name] = method(D, name, [descriptors]);
      }
      hooks.readDirectory = method(D, 'readDirectory', [descriptors, listings]);
      hooks.appendViaStream = method(D, 'appendViaStream', [outputs, descriptors]);
      hooks.entry = method(types.DirectoryEntryStream, 'readDirectoryEntry', [listings]);
      const streams = imports['wasi:io/streams'];
      hooks.blockingRead = method(streams.InputStream, 'blockingRead', [errors, inputs]);
      const { OutputStream } = streams;
      hooks.blockingWrite = method(OutputStream, 'blockingWriteAndFlush', [errors, outputs]);
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
    const iovec = (iovs) => [look().getUint32(iovs, true), look().getUint32(iovs + 4, true)];
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
          if (error instanceof WebAssembly.RuntimeError && /outside/.test(error.message)) return 61;
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
        open[number] = { handle: look().getUint32(area + 4, true), position: 0n, appends };
        look().setUint32(out, number, true);
        return 0;
      },
      fd_close(fd) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        if (found.handle !== undefined) drop(descriptors, types.Descriptor, found.handle);
        open[fd >>> 0] = undefined;
        return 0;
      },
      fd_read(fd, iovs, count, out) {
        const found = open[fd >>> 0];
        if (found === undefined) return BADF;
        const [buffer, length] = iovec(iovs);
        given = () => buffer;
        if (found.input !== undefined) {
          hooks.blockingRead(found.input, BigInt(length), area);
          const isError = look().getUint8(area) === 1;
          if (isError && look().getUint8(area + 4) !== 1) return 29;
          look().setUint32(out, isError ? 0 : look().getUint32(area + 8, true), true);
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
        const [buffer, length] = iovec(iovs);
        if (found.output === undefined && found.appends) {
          hooks.appendViaStream(found.handle, area);
          const errno = ended(4);
          if (errno !== 0) return errno;
          found.stream = look().getUint32(area + 4, true);
        }
        const stream = found.output ?? found.stream;
        if (stream !== undefined) {
          hooks.blockingWrite(stream, buffer, length, area);
          if (found.stream !== undefined) {
            drop(outputs, imports['wasi:io/streams'].OutputStream, found.stream);
            found.stream = undefined;
          }
          if (look().getUint8(area) === 1) return 29;
          look().setUint32(out, length, true);
          return 0;
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
        const [buffer, length] = iovec(iovs);
        hooks.write(handle(fd), buffer, length, offset, area);
        const errno = ended(8);
        if (errno === 0) look().setUint32(out, look().getUint32(area + 8, true), true);
        return errno;
      },
      fd_pread(fd, iovs, count, offset, out) {
        if (!has(fd)) return BADF;
        const [buffer, length] = iovec(iovs);
        given = () => buffer;
        hooks.read(handle(fd), BigInt(length), offset, area);
        const errno = ended(4);
        if (errno === 0) look().setUint32(out, look().getUint32(area + 8, true), true);
        return errno;
      },
      fd_readdir(fd, buffer, length, cookie, out) {
        if (!has(fd)) return BADF;
        hooks.readDirectory(handle(fd), area);
        let errno = ended(4);
        if (errno !== 0) return errno;
        const listing = look().getUint32(area + 4, true);
        let used = 0;
        const bytes = new Uint8Array(memory.buffer);
        const put = (source) => {
          const part = source.subarray(0, length - used);
          bytes.set(part, buffer + used);
          used += part.length;
        };
        for (let next = 1n; used < length; next++) {
          given = () => room;
          hooks.entry(listing, area);
          errno = ended(4);
          if (errno !== 0 || look().getUint8(area + 4) === 0) break;
          if (next <= cookie) continue;
          const size = look().getUint32(area + 16, true);
          const name = bytes.slice(room, room + size);
          const head = new DataView(new ArrayBuffer(24));
          head.setBigUint64(0, next, true);
          head.setUint32(16, name.length, true);
          head.setUint8(20, TYPES[look().getUint8(area + 8)]);
          // An entry of 0.2 has no serial number, so it is asked for.
          hooks.metadataHashAt(handle(fd), 0, room, size, area);
          if (ended(8) === 0) head.setBigUint64(8, look().getBigUint64(area + 8, true), true);
          put(new Uint8Array(head.buffer));
          put(name);
        }
        drop(listings, types.DirectoryEntryStream, listing);
        if (errno === 0) look().setUint32(out, used, true);
        return errno;
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
      fd_seek(fd, offset, whence, out) {
        const found = open[fd >>> 0];
        if (found?.handle === undefined) return BADF;
        if (whence === 2) {
          hooks.stat(found.handle, area);
          if (ended(8) !== 0) return ended(8);
          offset += look().getBigUint64(area + 24, true);
        } else if (whence === 1) offset += found.position;
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
      // 0.2 has no such call.
      fd_fdstat_set_rights: () => NOSYS,
      fd_fdstat_set_flags: () => NOSYS,
      fd_allocate: () => NOSYS,
      fd_prestat_get: () => BADF,
      sched_yield: () => 0,
    };
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

  getImportObject() {
    return { wasi_snapshot_preview1: this.wasiImport };
  }
}
