/* A buffer too small for one entry holds its beginning: the header cut, or the name cut; d_namlen
 * tells the whole length. No space at all is filled with nothing. */
#include "readdir.h"

int main(void) {
  static uint8_t whole[4096], part[64];
  __wasi_size_t used = 77;
  MUST(__wasi_fd_readdir(DIR, whole, sizeof whole, 0, &used));
  CHECK(used > 60 && used < sizeof whole);
  for (__wasi_size_t size = 0; size < 60; size++) {
    memset(part, 0xa5, sizeof part);
    used = 77;
    MUST(__wasi_fd_readdir(DIR, part, size, 0, &used));
    EQUAL(used, size);
    CHECK(memcmp(part, whole, size) == 0);
    for (size_t i = size; i < sizeof part; i++) EQUAL(part[i], 0xa5);
  }
  return report();
}
