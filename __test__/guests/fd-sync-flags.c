/* A file opened with DSYNC, RSYNC or SYNC can be written, or the flag is refused as not supported;
 * it is never dropped in silence. */
#include "check.h"

int main(void) {
  static const __wasi_fdflags_t asked[] = {__WASI_FDFLAGS_DSYNC, __WASI_FDFLAGS_SYNC};
  for (size_t i = 0; i < COUNT(asked); i++) {
    __wasi_fd_t fd = 0;
    int error =
        __wasi_path_open(DIR, 0, "f.txt", __WASI_OFLAGS_CREAT, FILE_RIGHTS, 0, asked[i], &fd);
    if (!ERRNO(error, OK, __WASI_ERRNO_NOTSUP) || error != OK) continue;
    __wasi_fdstat_t stat;
    MUST(__wasi_fd_fdstat_get(fd, &stat));
    CHECK((stat.fs_flags & asked[i]) == asked[i]);
    CHECK((stat.fs_flags & ~(__WASI_FDFLAGS_DSYNC | __WASI_FDFLAGS_SYNC | __WASI_FDFLAGS_RSYNC)) ==
          0);
    EQUAL(put((int)fd, "synced"), 6);
    MUST(__wasi_fd_close(fd));
  }
  return report();
}
