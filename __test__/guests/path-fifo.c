/* Opening a named pipe that nobody else has open, and that is not to block, comes back, whatever it answers. */
#include "check.h"

int main(void) {
  static const __wasi_rights_t rights[] = {__WASI_RIGHTS_FD_READ, __WASI_RIGHTS_FD_WRITE,
                                           __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE};
  for (size_t i = 0; i < COUNT(rights); i++) {
    __wasi_fd_t fd;
    int error = __wasi_path_open(DIR, 0, "fifo", 0, rights[i], 0, __WASI_FDFLAGS_NONBLOCK, &fd);
    ERRNO(error, OK, __WASI_ERRNO_NXIO, __WASI_ERRNO_AGAIN, __WASI_ERRNO_NOTSUP, __WASI_ERRNO_INVAL,
          __WASI_ERRNO_ACCES);
    if (error == OK) MUST(__wasi_fd_close(fd));
  }
  __wasi_filestat_t stat;
  ERRNO(__wasi_path_filestat_get(DIR, 0, "fifo", &stat), OK);
  CHECK(stat.filetype != __WASI_FILETYPE_REGULAR_FILE &&
        stat.filetype != __WASI_FILETYPE_DIRECTORY);
  return report();
}
