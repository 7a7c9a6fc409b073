/* A link to an absolute path is not made. */
#include "check.h"

int main(void) {
  ERRNO(__wasi_path_symlink("/etc/passwd", DIR, "abs"), __WASI_ERRNO_PERM, __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_path_symlink("/sandbox/f.txt", DIR, "abs"), __WASI_ERRNO_PERM,
        __WASI_ERRNO_NOTCAPABLE);
  EQUAL(type_of("abs"), -1);
  return report();
}
