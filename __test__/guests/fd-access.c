/* A descriptor opened for reading cannot be written, nor one for writing read. */
#include "check.h"

int main(void) {
  __wasi_fd_t fd;
  char text[8];
  MUST(__wasi_path_open(DIR, 0, "f.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
  int error = put((int)fd, "x");
  CHECK(error == -__WASI_ERRNO_NOTCAPABLE || error == -__WASI_ERRNO_BADF);
  EQUAL(get((int)fd, text, sizeof text), 5);
  MUST(__wasi_path_open(DIR, 0, "f.txt", 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd));
  error = get((int)fd, text, sizeof text);
  CHECK(error == -__WASI_ERRNO_NOTCAPABLE || error == -__WASI_ERRNO_BADF);
  EQUAL(put((int)fd, "J"), 1);
  return report();
}
