/* path_link with LOOKUP_SYMLINK_FOLLOW names what the link points to, or is refused with INVAL by a
 * host that cannot do it without a race; it never names the link then. */
#include "check.h"

int main(void) {
  __wasi_filestat_t stat;
  int error = __wasi_path_link(DIR, FOLLOW, "to-file", DIR, "followed");
  ERRNO(error, OK, __WASI_ERRNO_INVAL);
  if (error == OK) {
    EQUAL(type_of("followed"), __WASI_FILETYPE_REGULAR_FILE);
    MUST(__wasi_path_filestat_get(DIR, 0, "f.txt", &stat));
    EQUAL(stat.nlink, 2);
  } else {
    EQUAL(type_of("followed"), -1);
  }
  ERRNO(__wasi_path_link(DIR, FOLLOW, "dangling", DIR, "x"), NOENT, __WASI_ERRNO_INVAL);
  EQUAL(type_of("x"), -1);
  return report();
}
