/* fd_close closes once; the lowest free number is given next; a preopen can be closed. */
#include "check.h"

int main(void) {
  int a = open_file("a.txt", 0, 0), b = open_file("a.txt", 0, 0), c = open_file("a.txt", 0, 0);
  EQUAL(a, 4);
  EQUAL(b, 5);
  EQUAL(c, 6);
  MUST(__wasi_fd_close(5));
  MUST(__wasi_fd_close(4));
  ERRNO(__wasi_fd_close(4), __WASI_ERRNO_BADF);
  EQUAL(open_file("a.txt", 0, 0), 4);
  EQUAL(open_file("a.txt", 0, 0), 5);
  EQUAL(open_file("a.txt", 0, 0), 7);
  ERRNO(__wasi_fd_close(99), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_close(0xffffffff), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_close(0x80000000), __WASI_ERRNO_BADF);

  MUST(__wasi_fd_close(DIR));
  __wasi_fd_t fd;
  ERRNO(__wasi_path_open(DIR, 0, "a.txt", 0, FILE_RIGHTS, 0, 0, &fd), __WASI_ERRNO_BADF);
  __wasi_prestat_t prestat;
  ERRNO(__wasi_fd_prestat_get(DIR, &prestat), __WASI_ERRNO_BADF);
  CHECK(same(content(7), "aaa"));
  return report();
}
