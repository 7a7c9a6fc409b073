/* With a buffer of any size that holds one entry, every entry of the directory comes once, in the
 * same order; a buffer is filled to its end while there is more, and nothing is written past it. */
#include "readdir.h"

#define FILES 40

static int order[FILES], reference[FILES], seen, others;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  int number = number_of(name, entry.d_namlen);
  if (number < 0) {
    others++;
  } else if (seen < FILES) {
    order[seen++] = number;
  } else {
    seen++;
  }
}

static void read_with(size_t size) {
  uint8_t buffer[4096 + 8];
  __wasi_dircookie_t cookie = 0;
  seen = others = 0;
  for (int turn = 0; turn < 4 * FILES; turn++) {
    __wasi_size_t used = 0;
    memset(buffer, 0xa5, sizeof buffer);
    MUST(__wasi_fd_readdir(DIR, buffer, size, cookie, &used));
    if (!CHECK(used <= size)) return;
    for (size_t i = size; i < sizeof buffer; i++) {
      if (!CHECK(buffer[i] == 0xa5)) return;
    }
    int entries = each_entry(buffer, used, &cookie, each);
    if (used < size) {
      EQUAL(seen, FILES);
      EQUAL(others, 2);
      return;
    }
    if (!CHECK(entries > 0)) return;
  }
  CHECK(!"the end was never reached");
}

int main(void) {
  read_with(4096);
  memcpy(reference, order, sizeof order);
  bool present[FILES] = {false};
  for (int i = 0; i < FILES; i++) {
    if (CHECK(reference[i] >= 0 && reference[i] < FILES)) present[reference[i]] = true;
  }
  for (int i = 0; i < FILES; i++) CHECK(present[i]);
  for (size_t size = HEADER + 9; size < 200; size++) {
    read_with(size);
    CHECK(memcmp(order, reference, sizeof order) == 0);
  }
  return report();
}
