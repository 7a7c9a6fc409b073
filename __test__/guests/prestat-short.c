/* A buffer too short for the name: NAMETOOLONG, nothing written; a longer one is filled in part. */
#include "check.h"

int main(void) {
  uint8_t text[16];
  memset(text, 0xa5, sizeof text);
  ERRNO(__wasi_fd_prestat_dir_name(DIR, text, 0), __WASI_ERRNO_NAMETOOLONG);
  ERRNO(__wasi_fd_prestat_dir_name(DIR, text, 7), __WASI_ERRNO_NAMETOOLONG);
  for (size_t i = 0; i < sizeof text; i++) EQUAL(text[i], 0xa5);
  ERRNO(__wasi_fd_prestat_dir_name(DIR, text, 12), OK);
  CHECK(memcmp(text, "/sandbox", 8) == 0);
  for (size_t i = 12; i < sizeof text; i++) EQUAL(text[i], 0xa5);
  return report();
}
