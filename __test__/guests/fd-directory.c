/* A directory's descriptor is none to read, write, seek or cut. */
#include "check.h"

int main(void) {
  __wasi_fd_t dir;
  __wasi_fdstat_t stat;
  MUST(
      __wasi_path_open(DIR, 0, "d", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR, 0, 0, &dir));
  MUST(__wasi_fd_fdstat_get(dir, &stat));
  EQUAL(stat.fs_filetype, __WASI_FILETYPE_DIRECTORY);

  const __wasi_fd_t both[] = {DIR, dir};
  for (size_t i = 0; i < COUNT(both); i++) {
    uint8_t bytes[8];
    __wasi_size_t length = 77;
    __wasi_filesize_t position = 77;
    const __wasi_iovec_t into = {bytes, sizeof bytes};
    const __wasi_ciovec_t from = {bytes, sizeof bytes};
    ERRNO(__wasi_fd_read(both[i], &into, 1, &length), __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_ISDIR,
          __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_pread(both[i], &into, 1, 0, &length), __WASI_ERRNO_NOTCAPABLE,
          __WASI_ERRNO_ISDIR, __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_write(both[i], &from, 1, &length), __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_ISDIR,
          __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_pwrite(both[i], &from, 1, 0, &length), __WASI_ERRNO_NOTCAPABLE,
          __WASI_ERRNO_ISDIR, __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_seek(both[i], 0, __WASI_WHENCE_SET, &position), __WASI_ERRNO_NOTCAPABLE,
          __WASI_ERRNO_ISDIR, __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_tell(both[i], &position), __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_ISDIR,
          __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_filestat_set_size(both[i], 0), __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_ISDIR,
          __WASI_ERRNO_BADF);
    ERRNO(__wasi_fd_allocate(both[i], 0, 1), __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_ISDIR,
          __WASI_ERRNO_BADF);
    EQUAL(length, 77);
    EQUAL(position, 77);
  }
  return report();
}
