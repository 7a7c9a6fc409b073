/* 2,000 entries through a buffer of 4 KiB, each once. */
#include "readdir.h"

#define FILES 2000

static uint8_t seen[FILES];
static int others;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  int number = number_of(name, entry.d_namlen);
  if (number >= 0 && number < FILES) {
    seen[number]++;
  } else {
    others++;
  }
}

int main(void) {
  static uint8_t buffer[4096];
  __wasi_dircookie_t cookie = 0;
  __wasi_size_t used = sizeof buffer;
  for (int turn = 0; used == sizeof buffer && turn < FILES; turn++) {
    MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, cookie, &used));
    each_entry(buffer, used, &cookie, each);
  }
  CHECK(used < sizeof buffer);
  for (int i = 0; i < FILES; i++) {
    if (!CHECK(seen[i] == 1)) break;
  }
  EQUAL(others, 2);
  return report();
}
