/* fd_fdstat_set_rights only takes rights away; what was taken away is refused with NOTCAPABLE. */
#include "check.h"

static __wasi_rights_t base_of(__wasi_fd_t fd) {
  __wasi_fdstat_t stat;
  MUST(__wasi_fd_fdstat_get(fd, &stat));
  return stat.fs_rights_base;
}

int main(void) {
  int opened = open_file("f.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  EQUAL(base_of(fd), FILE_RIGHTS);

  __wasi_rights_t fewer = FILE_RIGHTS & ~__WASI_RIGHTS_FD_WRITE;
  MUST(__wasi_fd_fdstat_set_rights(fd, fewer, 0));
  EQUAL(base_of(fd), fewer);
  EQUAL(put(opened, "x"), -__WASI_ERRNO_NOTCAPABLE);
  CHECK(same(content(opened), "hello"));

  /* Back to more: refused, and nothing changed. */
  ERRNO(__wasi_fd_fdstat_set_rights(fd, FILE_RIGHTS, 0), __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_fd_fdstat_set_rights(fd, fewer, __WASI_RIGHTS_FD_READ), __WASI_ERRNO_NOTCAPABLE);
  EQUAL(base_of(fd), fewer);

  MUST(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_TELL, 0));
  EQUAL(base_of(fd), __WASI_RIGHTS_FD_TELL);
  char text[8];
  EQUAL(get(opened, text, sizeof text), -__WASI_ERRNO_NOTCAPABLE);
  __wasi_filesize_t position = 77;
  ERRNO(__wasi_fd_tell(fd, &position), OK);
  EQUAL(position, 0);

  MUST(__wasi_fd_fdstat_set_rights(fd, 0, 0));
  EQUAL(base_of(fd), 0);
  ERRNO(__wasi_fd_tell(fd, &position), __WASI_ERRNO_NOTCAPABLE);
  /* Closing needs no right. */
  ERRNO(__wasi_fd_close(fd), OK);
  ERRNO(__wasi_fd_fdstat_set_rights(99, 0, 0), __WASI_ERRNO_BADF);
  EQUAL(size_of("f.txt"), 5);
  return report();
}
