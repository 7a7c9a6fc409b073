/* Without LOOKUP_SYMLINK_FOLLOW a final link is not opened, nor written through. */
#include "check.h"

int main(void) {
  static const char *const links[] = {"to-file", "to-dir", "to-link", "dangling"};
  static const __wasi_oflags_t oflags[] = {0, __WASI_OFLAGS_CREAT, __WASI_OFLAGS_TRUNC};
  for (size_t i = 0; i < COUNT(links); i++) {
    for (size_t j = 0; j < COUNT(oflags); j++) {
      __wasi_fd_t fd = 77;
      if (!ERRNO(__wasi_path_open(DIR, 0, links[i], oflags[j],
                                  __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
                 __WASI_ERRNO_LOOP)) {
        say(links[i]);
        say("\n");
      }
      EQUAL(fd, 77);
    }
  }
  EQUAL(size_of("f.txt"), 5);
  EQUAL(type_of("nowhere"), -1);
  return report();
}
