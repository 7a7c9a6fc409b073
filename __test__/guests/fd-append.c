/* With APPEND each write goes to the end wherever the offset is; the flags that fd_fdstat_get
 * tells are exactly APPEND, so that a program may give them back changed by what it wants. */
#include "check.h"

int main(void) {
  int opened = open_file("log.txt", 0, __WASI_FDFLAGS_APPEND);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  __wasi_filesize_t position;
  __wasi_fdstat_t stat;

  MUST(__wasi_fd_fdstat_get(fd, &stat));
  EQUAL(stat.fs_flags, __WASI_FDFLAGS_APPEND);
  EQUAL(put(opened, "two\n"), 4);
  MUST(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &position));
  EQUAL(put(opened, "three\n"), 6);
  MUST(__wasi_fd_tell(fd, &position));
  EQUAL(position, 14);
  CHECK(same(content(opened), "one\ntwo\nthree\n"));

  /* Giving back what was told changes nothing. */
  MUST(__wasi_fd_fdstat_set_flags(fd, stat.fs_flags));
  MUST(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &position));
  EQUAL(put(opened, "four\n"), 5);
  CHECK(same(content(opened), "one\ntwo\nthree\nfour\n"));

  /* Without APPEND the offset counts; with it again it does not. */
  MUST(__wasi_fd_fdstat_set_flags(fd, 0));
  MUST(__wasi_fd_fdstat_get(fd, &stat));
  EQUAL(stat.fs_flags, 0);
  MUST(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &position));
  EQUAL(put(opened, "ONE"), 3);
  CHECK(same(content(opened), "ONE\ntwo\nthree\nfour\n"));
  MUST(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
  MUST(__wasi_fd_fdstat_get(fd, &stat));
  EQUAL(stat.fs_flags, __WASI_FDFLAGS_APPEND);
  EQUAL(put(opened, "five\n"), 5);
  return report();
}
