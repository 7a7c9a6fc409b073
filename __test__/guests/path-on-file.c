/* A file's descriptor is no directory: every path call on it is refused. */
#include "check.h"

#define REFUSED __WASI_ERRNO_NOTDIR, __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_BADF

int main(void) {
  int opened = open_file("f.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  uint8_t bytes[64];
  __wasi_size_t length;
  __wasi_filestat_t stat;
  __wasi_fd_t other;
  ERRNO(__wasi_path_create_directory(fd, "x"), REFUSED);
  ERRNO(__wasi_path_filestat_get(fd, 0, "g", &stat), REFUSED);
  ERRNO(__wasi_path_filestat_set_times(fd, 0, "g", 0, 0, 0), REFUSED);
  ERRNO(__wasi_path_link(fd, 0, "g", DIR, "x"), REFUSED);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", fd, "x"), REFUSED);
  ERRNO(__wasi_path_open(fd, 0, "g", 0, 0, 0, 0, &other), REFUSED);
  ERRNO(__wasi_path_readlink(fd, "g", bytes, sizeof bytes, &length), REFUSED);
  ERRNO(__wasi_path_remove_directory(fd, "g"), REFUSED);
  ERRNO(__wasi_path_rename(fd, "g", DIR, "x"), REFUSED);
  ERRNO(__wasi_path_rename(DIR, "f.txt", fd, "x"), REFUSED);
  ERRNO(__wasi_path_symlink("g", fd, "x"), REFUSED);
  ERRNO(__wasi_path_unlink_file(fd, "g"), REFUSED);
  ERRNO(__wasi_fd_readdir(fd, bytes, sizeof bytes, 0, &length), REFUSED);
  return report();
}
