/* The links of /proc that jump elsewhere without a path are not followed, at the end or in the
 * middle. The preopen is the host process's own directory in /proc. */
#include "check.h"

#define REFUSED __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_PERM, __WASI_ERRNO_LOOP

int main(void) {
  static const char *const magic[] = {"root", "cwd", "exe", "fd/0", "root/etc", "cwd/.", "root/"};
  __wasi_fd_t fd;
  __wasi_filestat_t stat;
  MUST(__wasi_path_filestat_get(DIR, 0, "root", &stat));
  EQUAL(stat.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  for (size_t i = 0; i < COUNT(magic); i++) {
    bool held = ERRNO(__wasi_path_open(DIR, FOLLOW, magic[i], 0, 0, 0, 0, &fd), REFUSED);
    held &= ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, magic[i], &stat), REFUSED);
    if (!held) {
      say("  for ");
      say(magic[i]);
      say("\n");
    }
  }
  return report();
}
