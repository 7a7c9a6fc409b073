/* path_filestat_set_times refuses a time that is to be both given and now, and changes nothing. */
#include "check.h"

int main(void) {
  static const __wasi_fstflags_t bad[] = {__WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW,
                                          __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW, 15, 16};
  __wasi_filestat_t before, after;
  memset(&before, 0, sizeof before);
  memset(&after, 0, sizeof after);
  MUST(__wasi_path_filestat_get(DIR, 0, "f.txt", &before));
  for (size_t i = 0; i < COUNT(bad); i++) {
    ERRNO(__wasi_path_filestat_set_times(DIR, 0, "f.txt", 1, 1, bad[i]), __WASI_ERRNO_INVAL);
  }
  MUST(__wasi_path_filestat_get(DIR, 0, "f.txt", &after));
  CHECK(memcmp(&before, &after, sizeof before) == 0);
  return report();
}
