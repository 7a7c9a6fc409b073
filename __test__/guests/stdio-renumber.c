/* A file renumbered onto 1 takes what the guest prints; the host's stdout stays as it is. */
#include "check.h"

int main(void) {
  say("to the host\n");
  int fd = open_file("out.txt", __WASI_OFLAGS_CREAT, 0);
  if (fd < 0) return 3;
  MUST(__wasi_fd_renumber((__wasi_fd_t)fd, 1));
  say("to the file\n");
  return report();
}
