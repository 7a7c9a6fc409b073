/* fs_flags are preview1's own bits: what a descriptor was opened with, and no host flag. */
#include "check.h"

static int flags_of(__wasi_fd_t fd) {
  __wasi_fdstat_t stat;
  memset(&stat, 0xa5, sizeof stat);
  return __wasi_fd_fdstat_get(fd, &stat) == OK ? stat.fs_flags : -1;
}

int main(void) {
  static const __wasi_fdflags_t asked[] = {0, __WASI_FDFLAGS_APPEND, __WASI_FDFLAGS_NONBLOCK,
                                           __WASI_FDFLAGS_APPEND | __WASI_FDFLAGS_NONBLOCK};
  for (size_t i = 0; i < COUNT(asked); i++) {
    int fd = open_file("f.txt", __WASI_OFLAGS_CREAT, asked[i]);
    if (fd < 0) continue;
    EQUAL(flags_of((__wasi_fd_t)fd), asked[i]);
    MUST(__wasi_fd_fdstat_set_flags((__wasi_fd_t)fd, __WASI_FDFLAGS_NONBLOCK));
    EQUAL(flags_of((__wasi_fd_t)fd), __WASI_FDFLAGS_NONBLOCK);
    MUST(__wasi_fd_fdstat_set_flags((__wasi_fd_t)fd, 0));
    EQUAL(flags_of((__wasi_fd_t)fd), 0);
    MUST(__wasi_fd_close((__wasi_fd_t)fd));
  }
  /* The access mode is no flag of preview1's, whatever the rights are. */
  __wasi_fd_t fd;
  MUST(__wasi_path_open(DIR, 0, "f.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
  EQUAL(flags_of(fd), 0);
  MUST(__wasi_path_open(DIR, 0, "f.txt", 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd));
  EQUAL(flags_of(fd), 0);
  EQUAL(flags_of(DIR), 0);
  /* A bit that the specification does not have. */
  fd = (__wasi_fd_t)open_file("f.txt", 0, 0);
  ERRNO(__wasi_fd_fdstat_set_flags(fd, 0x8000), __WASI_ERRNO_INVAL);
  EQUAL(flags_of(fd), 0);
  return report();
}
