/* An empty directory has just `.` and `..`. */
#include "readdir.h"

static int dots;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  if (CHECK(entry.d_namlen <= 2 && memcmp(name, "..", entry.d_namlen) == 0)) dots++;
}

int main(void) {
  uint8_t buffer[256];
  __wasi_size_t used = 0;
  __wasi_dircookie_t cookie = 0;
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  EQUAL(used, 2 * HEADER + 3);
  EQUAL(each_entry(buffer, used, &cookie, each), 2);
  EQUAL(dots, 2);
  return report();
}
