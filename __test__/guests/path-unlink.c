/* path_unlink_file removes a file or a link, never a directory nor what a link points to. */
#include "check.h"

static int unlink_of(const char *path) { return __wasi_path_unlink_file(DIR, path); }

int main(void) {
  ERRNO(unlink_of("f.txt"), OK);
  EQUAL(type_of("f.txt"), -1);
  ERRNO(unlink_of("f.txt"), NOENT);
  ERRNO(unlink_of("to-g"), OK);
  EQUAL(type_of("to-g"), -1);
  EQUAL(size_of("g.txt"), 3);
  ERRNO(unlink_of("dangling"), OK);
  ERRNO(unlink_of("d"), __WASI_ERRNO_ISDIR, __WASI_ERRNO_PERM);
  ERRNO(unlink_of("d/"), __WASI_ERRNO_ISDIR, __WASI_ERRNO_PERM, __WASI_ERRNO_NOTDIR);
  ERRNO(unlink_of("g.txt/"), __WASI_ERRNO_NOTDIR);
  ERRNO(unlink_of("g.txt/x"), __WASI_ERRNO_NOTDIR);
  ERRNO(unlink_of("missing/x"), NOENT);
  ERRNO(unlink_of("."), __WASI_ERRNO_ISDIR, __WASI_ERRNO_PERM, __WASI_ERRNO_INVAL);
  EQUAL(type_of("d"), __WASI_FILETYPE_DIRECTORY);

  /* An open file can be removed and still be used. */
  int fd = open_file("g.txt", 0, 0);
  ERRNO(unlink_of("g.txt"), OK);
  CHECK(same(content(fd), "ggg"));
  __wasi_filestat_t stat;
  MUST(__wasi_fd_filestat_get((__wasi_fd_t)fd, &stat));
  EQUAL(stat.nlink, 0);
  return report();
}
