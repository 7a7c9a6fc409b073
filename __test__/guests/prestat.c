/* Preopens are descriptors 3, 4, ... in the order of the option, under the names as given. */
#include "check.h"

int main(void) {
  static const char *const names[] = {"/sandbox", "other/dir", "."};
  for (__wasi_fd_t fd = 3; fd < 6; fd++) {
    const char *name = names[fd - 3];
    size_t length = strlen(name);
    __wasi_prestat_t prestat;
    memset(&prestat, 0xa5, sizeof prestat);
    MUST(__wasi_fd_prestat_get(fd, &prestat));
    EQUAL(prestat.tag, __WASI_PREOPENTYPE_DIR);
    EQUAL(prestat.u.dir.pr_name_len, length);

    uint8_t text[32];
    memset(text, 0xa5, sizeof text);
    MUST(__wasi_fd_prestat_dir_name(fd, text + 4, length));
    CHECK(memcmp(text + 4, name, length) == 0);
    for (size_t i = 0; i < 4; i++) EQUAL(text[i], 0xa5);
    for (size_t i = 4 + length; i < sizeof text; i++) EQUAL(text[i], 0xa5);
  }
  __wasi_prestat_t prestat;
  ERRNO(__wasi_fd_prestat_get(6, &prestat), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_prestat_get(0, &prestat), __WASI_ERRNO_BADF);
  uint8_t text[8];
  ERRNO(__wasi_fd_prestat_dir_name(0, text, sizeof text), __WASI_ERRNO_BADF, __WASI_ERRNO_NOTDIR);
  ERRNO(__wasi_fd_prestat_dir_name(6, text, sizeof text), __WASI_ERRNO_BADF);
  EQUAL(open_file("f.txt", 0, 0), 6);
  return report();
}
