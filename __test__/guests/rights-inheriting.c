/* A descriptor opened below a directory has at most the directory's inheriting rights. */
#include "check.h"

int main(void) {
  __wasi_fd_t dir, fd, file;
  __wasi_fdstat_t stat;
  const __wasi_rights_t read_only =
      __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_FILESTAT_GET;
  MUST(__wasi_path_open(DIR, 0, "d", __WASI_OFLAGS_DIRECTORY, DIR_RIGHTS, read_only, 0, &dir));
  MUST(__wasi_fd_fdstat_get(dir, &stat));
  EQUAL(stat.fs_filetype, __WASI_FILETYPE_DIRECTORY);
  EQUAL(stat.fs_rights_base, DIR_RIGHTS);
  EQUAL(stat.fs_rights_inheriting, read_only);

  fd = 77;
  ERRNO(__wasi_path_open(dir, 0, "g.txt", 0, read_only | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
        __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_path_open(dir, 0, "g.txt", 0, read_only, __WASI_RIGHTS_FD_WRITE, 0, &fd),
        __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_path_open(dir, 0, "new.txt", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
        __WASI_ERRNO_NOTCAPABLE);
  EQUAL(fd, 77);

  MUST(__wasi_path_open(dir, 0, "g.txt", 0, read_only, 0, 0, &file));
  MUST(__wasi_fd_fdstat_get(file, &stat));
  EQUAL(stat.fs_rights_base, read_only);
  EQUAL(stat.fs_rights_inheriting, 0);
  CHECK(same(content((int)file), "inner"));
  EQUAL(put((int)file, "x"), -__WASI_ERRNO_NOTCAPABLE);

  /* No right to open, no right to open. */
  MUST(__wasi_fd_fdstat_set_rights(dir, DIR_RIGHTS & ~__WASI_RIGHTS_PATH_OPEN, read_only));
  ERRNO(__wasi_path_open(dir, 0, "g.txt", 0, read_only, 0, 0, &fd), __WASI_ERRNO_NOTCAPABLE);
  EQUAL(fd, 77);
  return report();
}
