/* A directory opened with the right to write, or with CREAT, is refused as a directory; opened
 * with CREAT and DIRECTORY no directory is made. */
#include "check.h"

int main(void) {
  __wasi_fd_t fd;
  ERRNO(__wasi_path_open(DIR, 0, "d", 0, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
        __WASI_ERRNO_ISDIR);
  ERRNO(__wasi_path_open(DIR, 0, "d", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, 0, 0, &fd),
        __WASI_ERRNO_ISDIR);
  ERRNO(__wasi_path_open(DIR, 0, "new", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_DIRECTORY,
                         __WASI_RIGHTS_FD_READ, 0, 0, &fd),
        __WASI_ERRNO_INVAL, __WASI_ERRNO_NOENT, __WASI_ERRNO_NOTSUP, __WASI_ERRNO_NOTDIR);
  CHECK(type_of("new") != __WASI_FILETYPE_DIRECTORY);
  return report();
}
