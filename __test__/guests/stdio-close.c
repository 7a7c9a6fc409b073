/* The guest closes its standard descriptors; they are gone for it alone. */
#include "check.h"

int main(void) {
  say("closing\n");
  char text[8];
  int errors = 0;
  errors += __wasi_fd_close(0) != OK;
  errors += __wasi_fd_close(2) != OK;
  errors += get(0, text, sizeof text) != -__WASI_ERRNO_BADF;
  errors += put(2, "x") != -__WASI_ERRNO_BADF;
  errors += __wasi_fd_close(1) != OK;
  errors += put(1, "x") != -__WASI_ERRNO_BADF;
  errors += __wasi_fd_close(1) != __WASI_ERRNO_BADF;
  /* The lowest free number is given: the file becomes descriptor 0. */
  __wasi_fd_t fd = 77;
  errors += __wasi_path_open(DIR, 0, "f.txt", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, 0, &fd) != OK;
  errors += fd != 0;
  errors += put(0, "written") != 7;
  return errors;
}
