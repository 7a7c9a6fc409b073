/* Prints what the three standard descriptors are: type, flags, and whether the C library takes
 * them for a terminal. */
#include "check.h"
#include <unistd.h>

int main(void) {
  static const char *const names[] = {"unknown", "block", "character", "directory",
                                      "file",    "dgram", "stream",    "link"};
  for (__wasi_fd_t fd = 0; fd < 3; fd++) {
    __wasi_fdstat_t stat;
    MUST(__wasi_fd_fdstat_get(fd, &stat));
    say_number(fd);
    say(stat.fs_filetype < COUNT(names) ? " " : " ?");
    say(stat.fs_filetype < COUNT(names) ? names[stat.fs_filetype] : "");
    say(" flags ");
    say_number(stat.fs_flags);
    say(isatty((int)fd) ? " terminal\n" : " no terminal\n");
  }
  return 0;
}
