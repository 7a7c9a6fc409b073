// A guest without WebAssembly: it calls the imports itself, with a memory of its own. What a module
// can do by calling an import this can do too, and quicker to write.

export const SUCCESS = 0;
export const BADF = 8;
export const EXIST = 20;
export const FBIG = 22;
export const INVAL = 28;
export const LOOP = 32;
export const MFILE = 33;
export const NFILE = 41;
export const NOENT = 44;
export const NXIO = 60;
export const OVERFLOW = 61;
export const PERM = 63;
export const PIPE = 64;
export const NOTCAPABLE = 76;

export const RIGHT = {
  FD_DATASYNC: 1n << 0n,
  FD_READ: 1n << 1n,
  FD_SEEK: 1n << 2n,
  FD_SYNC: 1n << 4n,
  FD_TELL: 1n << 5n,
  FD_WRITE: 1n << 6n,
  FD_ADVISE: 1n << 7n,
  FD_ALLOCATE: 1n << 8n,
  PATH_CREATE_DIRECTORY: 1n << 9n,
  PATH_CREATE_FILE: 1n << 10n,
  PATH_LINK_SOURCE: 1n << 11n,
  PATH_LINK_TARGET: 1n << 12n,
  PATH_OPEN: 1n << 13n,
  FD_READDIR: 1n << 14n,
  PATH_READLINK: 1n << 15n,
  PATH_RENAME_SOURCE: 1n << 16n,
  PATH_RENAME_TARGET: 1n << 17n,
  PATH_FILESTAT_GET: 1n << 18n,
  PATH_FILESTAT_SET_SIZE: 1n << 19n,
  PATH_FILESTAT_SET_TIMES: 1n << 20n,
  FD_FILESTAT_GET: 1n << 21n,
  FD_FILESTAT_SET_SIZE: 1n << 22n,
  FD_FILESTAT_SET_TIMES: 1n << 23n,
  PATH_SYMLINK: 1n << 24n,
  PATH_REMOVE_DIRECTORY: 1n << 25n,
  PATH_UNLINK_FILE: 1n << 26n,
  POLL_FD_READWRITE: 1n << 27n,
  SOCK_SHUTDOWN: 1n << 28n,
};

export const READS = RIGHT.FD_READ | RIGHT.FD_SEEK | RIGHT.FD_TELL | RIGHT.FD_FILESTAT_GET;
export const WRITES =
  READS | RIGHT.FD_WRITE | RIGHT.FD_FILESTAT_SET_SIZE | RIGHT.FD_ALLOCATE | RIGHT.FD_DATASYNC;
/** The rights of a directory that is opened to be listed and to open further paths from. */
export const DIRECTORY =
  RIGHT.PATH_CREATE_DIRECTORY |
  RIGHT.PATH_CREATE_FILE |
  RIGHT.PATH_LINK_SOURCE |
  RIGHT.PATH_LINK_TARGET |
  RIGHT.PATH_OPEN |
  RIGHT.FD_READDIR |
  RIGHT.PATH_READLINK |
  RIGHT.PATH_RENAME_SOURCE |
  RIGHT.PATH_RENAME_TARGET |
  RIGHT.PATH_FILESTAT_GET |
  RIGHT.PATH_FILESTAT_SET_SIZE |
  RIGHT.PATH_FILESTAT_SET_TIMES |
  RIGHT.FD_FILESTAT_GET |
  RIGHT.PATH_SYMLINK |
  RIGHT.PATH_REMOVE_DIRECTORY |
  RIGHT.PATH_UNLINK_FILE;

export const CREAT = 1;
export const ONLY_DIRECTORY = 2;
export const EXCL = 4;
export const TRUNC = 8;

export const APPEND = 1;
export const NONBLOCK = 4;

const FILETYPE_DIRECTORY = 3;

// The memory: results, a list of one buffer, two paths, and room for data.
const RESULT = 64;
const IOVEC = 256;
const FIRST_PATH = 1024;
const SECOND_PATH = 16384;
const DATA = 65536;
const DATA_LENGTH = 65536;

export class Guest {
  /** @param options those of the class, and `memory` */
  constructor(WASI, { memory = new WebAssembly.Memory({ initial: 4 }), ...options } = {}) {
    this.wasi = new WASI({ version: 'preview1', returnOnExit: true, ...options });
    this.imports = this.wasi.wasiImport;
    this.memory = memory;
    this.wasi.start({ exports: { memory, _start() {} } });
    // A Buffer of 4 GiB does not work in every function of Node's.
    const length = Math.min(memory.buffer.byteLength, 2 ** 31 - 1);
    this.bytes = Buffer.from(memory.buffer, 0, length);
  }

  /** Puts a path into the memory and returns its length. */
  put(at, path) {
    if (typeof path === 'string') return this.bytes.write(path, at);
    this.bytes.set(path, at);
    return path.length;
  }

  result() {
    return this.bytes.readUInt32LE(RESULT);
  }

  /** @returns {{ errno: number, fd: number }} */
  open(fd, path, { follow, oflags = 0, rights = READS, inheriting = 0n, fdflags = 0 } = {}) {
    const length = this.put(FIRST_PATH, path);
    const errno = this.imports.path_open(
      fd,
      follow ? 1 : 0,
      FIRST_PATH,
      length,
      oflags,
      rights,
      inheriting,
      fdflags,
      RESULT,
    );
    return { errno, fd: errno === SUCCESS ? this.result() : -1 };
  }

  openDirectory(fd, path) {
    return this.open(fd, path, {
      oflags: ONLY_DIRECTORY,
      rights: DIRECTORY,
      inheriting: DIRECTORY | WRITES,
    });
  }

  close(fd) {
    return this.imports.fd_close(fd);
  }

  /** @returns {{ errno: number, bytes: Buffer }} */
  read(fd, length = 4096) {
    this.bytes.writeUInt32LE(DATA, IOVEC);
    this.bytes.writeUInt32LE(length, IOVEC + 4);
    const errno = this.imports.fd_read(fd, IOVEC, 1, RESULT);
    const bytes = this.bytes.subarray(DATA, DATA + (errno === SUCCESS ? this.result() : 0));
    return { errno, bytes: Buffer.from(bytes) };
  }

  write(fd, text) {
    const length = this.put(DATA, text);
    this.bytes.writeUInt32LE(DATA, IOVEC);
    this.bytes.writeUInt32LE(length, IOVEC + 4);
    return this.imports.fd_write(fd, IOVEC, 1, RESULT);
  }

  /** @returns {{ errno: number, bytes: Buffer }} one buffer of entries, with their names in it */
  list(fd, cookie = 0n, length = DATA_LENGTH) {
    const errno = this.imports.fd_readdir(fd, DATA, length, cookie, RESULT);
    const bytes = this.bytes.subarray(DATA, DATA + (errno === SUCCESS ? this.result() : 0));
    return { errno, bytes: Buffer.from(bytes) };
  }

  filestat(fd) {
    return this.stat(this.imports.fd_filestat_get(fd, RESULT));
  }

  pathFilestat(fd, path, follow) {
    const length = this.put(FIRST_PATH, path);
    return this.stat(
      this.imports.path_filestat_get(fd, follow ? 1 : 0, FIRST_PATH, length, RESULT),
    );
  }

  stat(errno) {
    if (errno !== SUCCESS) return { errno };
    return {
      errno,
      dev: this.bytes.readBigUInt64LE(RESULT),
      ino: this.bytes.readBigUInt64LE(RESULT + 8),
      directory: this.bytes[RESULT + 16] === FILETYPE_DIRECTORY,
      size: this.bytes.readBigUInt64LE(RESULT + 32),
    };
  }

  setTimes(fd, path, follow) {
    const length = this.put(FIRST_PATH, path);
    const [atim, mtim] = [1_000_000_000n, 2_000_000_000n];
    return this.imports.path_filestat_set_times(
      fd,
      follow ? 1 : 0,
      FIRST_PATH,
      length,
      atim,
      mtim,
      5,
    );
  }

  /** One of the functions of a path alone: path_create_directory and so on. */
  onPath(name, fd, path) {
    return this.imports[name](fd, FIRST_PATH, this.put(FIRST_PATH, path));
  }

  symlink(target, fd, path) {
    const lengths = [this.put(FIRST_PATH, target), this.put(SECOND_PATH, path)];
    return this.imports.path_symlink(FIRST_PATH, lengths[0], fd, SECOND_PATH, lengths[1]);
  }

  /** @returns {{ errno: number, bytes: Buffer }} */
  readlink(fd, path) {
    const length = this.put(FIRST_PATH, path);
    const errno = this.imports.path_readlink(fd, FIRST_PATH, length, DATA, 4096, RESULT);
    const bytes = this.bytes.subarray(DATA, DATA + (errno === SUCCESS ? this.result() : 0));
    return { errno, bytes: Buffer.from(bytes) };
  }

  link(fd, path, follow, newFd, newPath) {
    const lengths = [this.put(FIRST_PATH, path), this.put(SECOND_PATH, newPath)];
    return this.imports.path_link(
      fd,
      follow ? 1 : 0,
      FIRST_PATH,
      lengths[0],
      newFd,
      SECOND_PATH,
      lengths[1],
    );
  }

  rename(fd, path, newFd, newPath) {
    const lengths = [this.put(FIRST_PATH, path), this.put(SECOND_PATH, newPath)];
    return this.imports.path_rename(fd, FIRST_PATH, lengths[0], newFd, SECOND_PATH, lengths[1]);
  }

  /** @returns {{ errno: number, rights: bigint, inheriting: bigint }} */
  fdstat(fd) {
    const errno = this.imports.fd_fdstat_get(fd, RESULT);
    if (errno !== SUCCESS) return { errno };
    return {
      errno,
      filetype: this.bytes[RESULT],
      rights: this.bytes.readBigUInt64LE(RESULT + 8),
      inheriting: this.bytes.readBigUInt64LE(RESULT + 16),
    };
  }
}

/** Throws away the claim that a case is contained. */
export function fail(message) {
  throw new Error(message);
}

export function check(holds, message) {
  if (!holds) fail(message);
}
