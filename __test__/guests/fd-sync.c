/* fd_sync and fd_datasync succeed on a file that was written. */
#include "check.h"

int main(void) {
  int fd = open_file("f.txt", __WASI_OFLAGS_CREAT, 0);
  if (fd < 0) return report();
  EQUAL(put(fd, "data"), 4);
  ERRNO(__wasi_fd_datasync((__wasi_fd_t)fd), OK);
  EQUAL(put(fd, " and more"), 9);
  ERRNO(__wasi_fd_sync((__wasi_fd_t)fd), OK);
  ERRNO(__wasi_fd_sync(99), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_datasync(99), __WASI_ERRNO_BADF);
  return report();
}
