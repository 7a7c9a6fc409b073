/* fd_filestat_set_size cuts and extends with zeros, and leaves the offset where it is. */
#include "check.h"

int main(void) {
  int opened = open_file("digits.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  __wasi_filesize_t position;
  MUST(__wasi_fd_seek(fd, 8, __WASI_WHENCE_SET, &position));
  MUST(__wasi_fd_filestat_set_size(fd, 4));
  EQUAL(size_of("digits.txt"), 4);
  CHECK(same(content(opened), "0123"));
  MUST(__wasi_fd_tell(fd, &position));
  EQUAL(position, 8);
  MUST(__wasi_fd_filestat_set_size(fd, 6));
  EQUAL(size_of("digits.txt"), 6);
  CHECK(memcmp(content(opened), "0123\0\0", 6) == 0);
  EQUAL(put(opened, "X"), 1);
  EQUAL(size_of("digits.txt"), 9);
  ERRNO(__wasi_fd_filestat_set_size(fd, UINT64_MAX), __WASI_ERRNO_INVAL, __WASI_ERRNO_FBIG);
  EQUAL(size_of("digits.txt"), 9);
  MUST(__wasi_fd_filestat_set_size(fd, 0));
  EQUAL(size_of("digits.txt"), 0);
  ERRNO(__wasi_fd_filestat_set_size(99, 0), __WASI_ERRNO_BADF);
  return report();
}
