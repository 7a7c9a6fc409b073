/* Flags that the guest sets on its standard descriptors are the guest's own. The test looks at the
 * host's descriptors while and after the guest ran. */
#include "check.h"

int main(void) {
  for (__wasi_fd_t fd = 0; fd < 3; fd++) {
    __wasi_fdstat_t stat;
    ERRNO(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK | __WASI_FDFLAGS_APPEND), OK);
    MUST(__wasi_fd_fdstat_get(fd, &stat));
    EQUAL(stat.fs_flags, __WASI_FDFLAGS_NONBLOCK | __WASI_FDFLAGS_APPEND);
    ERRNO(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_NONBLOCK), OK);
    MUST(__wasi_fd_fdstat_get(fd, &stat));
    EQUAL(stat.fs_flags, __WASI_FDFLAGS_NONBLOCK);
  }
  /* An empty pipe read without waiting: AGAIN. */
  char text[8];
  EQUAL(get(0, text, sizeof text), -__WASI_ERRNO_AGAIN);
  return report();
}
