/* fd_fdstat_get tells the type of each descriptor, no host flag, and only rights that exist. */
#include "check.h"

int main(void) {
  __wasi_fdstat_t stat;
  static const struct {
    __wasi_fd_t fd;
    __wasi_filetype_t type;
  } known[] = {{0, __WASI_FILETYPE_CHARACTER_DEVICE},
               {DIR, __WASI_FILETYPE_DIRECTORY},
               {4, __WASI_FILETYPE_REGULAR_FILE}};
  EQUAL(open_file("f.txt", 0, 0), 4);
  for (size_t i = 0; i < COUNT(known); i++) {
    memset(&stat, 0xa5, sizeof stat);
    MUST(__wasi_fd_fdstat_get(known[i].fd, &stat));
    EQUAL(stat.fs_filetype, known[i].type);
    EQUAL(stat.fs_flags, 0);
    CHECK((stat.fs_rights_base & ~0x3fffffffull) == 0);
    CHECK((stat.fs_rights_inheriting & ~0x3fffffffull) == 0);
  }
  MUST(__wasi_fd_fdstat_get(DIR, &stat));
  CHECK((stat.fs_rights_base & DIR_RIGHTS) == DIR_RIGHTS);
  CHECK((stat.fs_rights_inheriting & FILE_RIGHTS) == FILE_RIGHTS);
  CHECK((stat.fs_rights_inheriting & DIR_RIGHTS) == DIR_RIGHTS);
  /* A directory cannot be read, written or sought in, and does not claim it. */
  CHECK((stat.fs_rights_base &
         (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK)) == 0);
  ERRNO(__wasi_fd_fdstat_get(99, &stat), __WASI_ERRNO_BADF);
  return report();
}
