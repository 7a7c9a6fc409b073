/* random_get fills the whole buffer, nothing around it, differently each time, at any length. */
#include "check.h"

static uint8_t big[1 << 20];

int main(void) {
  uint8_t one[48], other[48];
  memset(one, 0xa5, sizeof one);
  memset(other, 0xa5, sizeof other);
  MUST(__wasi_random_get(one + 8, 32));
  MUST(__wasi_random_get(other + 8, 32));
  for (size_t i = 0; i < 8; i++) {
    EQUAL(one[i], 0xa5);
    EQUAL(one[40 + i], 0xa5);
  }
  CHECK(memcmp(one + 8, other + 8, 32) != 0);

  uint8_t untouched = 0xa5;
  ERRNO(__wasi_random_get(&untouched, 0), OK);
  EQUAL(untouched, 0xa5);

  /* 64 zero bytes in a row mean, but for one time in 2^512, that the block was left out. */
  MUST(__wasi_random_get(big, sizeof big));
  uint32_t seen[256] = {0};
  for (size_t block = 0; block < sizeof big; block += 64) {
    uint8_t any = 0;
    for (size_t i = 0; i < 64; i++) {
      any |= big[block + i];
      seen[big[block + i]]++;
    }
    if (!CHECK(any != 0)) break;
  }
  /* Each value is expected 4096 times with a deviation of 64: 1000 off is not chance. */
  for (size_t value = 0; value < 256; value++) CHECK(seen[value] > 3096 && seen[value] < 5096);
  return report();
}
