/* fd_allocate makes a file at least offset + length long, zero-filled, and never shorter. */
#include "check.h"

int main(void) {
  int opened = open_file("f.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  EQUAL(size_of("f.txt"), 5);
  MUST(__wasi_fd_allocate(fd, 0, 3));
  EQUAL(size_of("f.txt"), 5);
  CHECK(same(content(opened), "hello"));
  MUST(__wasi_fd_allocate(fd, 4, 6));
  EQUAL(size_of("f.txt"), 10);
  CHECK(memcmp(content(opened), "hello\0\0\0\0\0", 10) == 0);
  MUST(__wasi_fd_allocate(fd, 20, 10));
  EQUAL(size_of("f.txt"), 30);

  /* POSIX refuses a length of 0; the specification does not say. */
  ERRNO(__wasi_fd_allocate(fd, 0, 0), OK, __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_allocate(fd, UINT64_MAX, 1), __WASI_ERRNO_INVAL, __WASI_ERRNO_FBIG);
  ERRNO(__wasi_fd_allocate(fd, 1, UINT64_MAX), __WASI_ERRNO_INVAL, __WASI_ERRNO_FBIG);
  ERRNO(__wasi_fd_allocate(fd, INT64_MAX, 1), __WASI_ERRNO_INVAL, __WASI_ERRNO_FBIG);
  EQUAL(size_of("f.txt"), 30);
  ERRNO(__wasi_fd_allocate(99, 0, 1), __WASI_ERRNO_BADF);
  return report();
}
