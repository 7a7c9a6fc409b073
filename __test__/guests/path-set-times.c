/* path_filestat_set_times keeps nanoseconds and sets a link's own times unless told to follow. */
#include "check.h"

#define A (1111111111 * 1000000000ull + 123456789)
#define M (1222222222 * 1000000000ull + 987654321)
#define BOTH (__WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM)

static __wasi_filestat_t stat_of(const char *path) {
  __wasi_filestat_t stat;
  memset(&stat, 0, sizeof stat);
  MUST(__wasi_path_filestat_get(DIR, 0, path, &stat));
  return stat;
}

int main(void) {
  ERRNO(__wasi_path_filestat_set_times(DIR, 0, "f.txt", A, M, BOTH), OK);
  EQUAL(stat_of("f.txt").atim, A);
  EQUAL(stat_of("f.txt").mtim, M);
  ERRNO(__wasi_path_filestat_set_times(DIR, 0, "f.txt", A + 1, M + 1, __WASI_FSTFLAGS_MTIM), OK);
  EQUAL(stat_of("f.txt").atim, A);
  EQUAL(stat_of("f.txt").mtim, M + 1);
  ERRNO(__wasi_path_filestat_set_times(DIR, 0, "d", A, M, BOTH), OK);
  EQUAL(stat_of("d").mtim, M);

  ERRNO(__wasi_path_filestat_set_times(DIR, 0, "link", A + 5, M + 5, BOTH), OK);
  EQUAL(stat_of("link").mtim, M + 5);
  EQUAL(stat_of("f.txt").mtim, M + 1);
  ERRNO(__wasi_path_filestat_set_times(DIR, FOLLOW, "link", A + 7, M + 7, BOTH), OK);
  EQUAL(stat_of("link").mtim, M + 5);
  EQUAL(stat_of("f.txt").mtim, M + 7);

  ERRNO(__wasi_path_filestat_set_times(DIR, 0, "missing", A, M, BOTH), NOENT);
  ERRNO(__wasi_path_filestat_set_times(DIR, FOLLOW, "dangling", A, M, BOTH), NOENT);
  return report();
}
