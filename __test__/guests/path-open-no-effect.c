/* A path_open that fails gives no descriptor number away. */
#include "check.h"

int main(void) {
  __wasi_fd_t fd = 77;
  for (int i = 0; i < 20; i++) {
    ERRNO(__wasi_path_open(DIR, 0, "missing", 0, 0, 0, 0, &fd), NOENT);
    ERRNO(__wasi_path_open(DIR, 0, "f.txt", __WASI_OFLAGS_DIRECTORY, 0, 0, 0, &fd),
          __WASI_ERRNO_NOTDIR);
    ERRNO(__wasi_path_open(DIR, 0, "f.txt", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, 0, 0, 0, &fd),
          __WASI_ERRNO_EXIST);
  }
  EQUAL(fd, 77);
  EQUAL(open_file("f.txt", 0, 0), 4);
  return report();
}
