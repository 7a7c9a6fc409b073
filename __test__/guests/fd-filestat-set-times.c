/* fd_filestat_set_times keeps nanoseconds and sets only what its flags name, never both ways. */
#include "check.h"

#define A (1111111111 * 1000000000ull + 123456789)
#define M (1222222222 * 1000000000ull + 987654321)

static __wasi_filestat_t stat_of(__wasi_fd_t fd) {
  __wasi_filestat_t stat;
  memset(&stat, 0, sizeof stat);
  MUST(__wasi_fd_filestat_get(fd, &stat));
  return stat;
}

int main(void) {
  int opened = open_file("f.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;

  MUST(__wasi_fd_filestat_set_times(fd, A, M, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
  EQUAL(stat_of(fd).atim, A);
  EQUAL(stat_of(fd).mtim, M);
  MUST(__wasi_fd_filestat_set_times(fd, A + 1, M + 1, __WASI_FSTFLAGS_ATIM));
  EQUAL(stat_of(fd).atim, A + 1);
  EQUAL(stat_of(fd).mtim, M);
  MUST(__wasi_fd_filestat_set_times(fd, A + 2, M + 2, __WASI_FSTFLAGS_MTIM));
  EQUAL(stat_of(fd).atim, A + 1);
  EQUAL(stat_of(fd).mtim, M + 2);
  MUST(__wasi_fd_filestat_set_times(fd, A, M, 0));
  EQUAL(stat_of(fd).atim, A + 1);
  EQUAL(stat_of(fd).mtim, M + 2);

  static const __wasi_fstflags_t both[] = {__WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW,
                                           __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW, 15, 16};
  for (size_t i = 0; i < COUNT(both); i++) {
    ERRNO(__wasi_fd_filestat_set_times(fd, A, M, both[i]), __WASI_ERRNO_INVAL);
  }
  EQUAL(stat_of(fd).atim, A + 1);
  EQUAL(stat_of(fd).mtim, M + 2);

  __wasi_timestamp_t before, after;
  MUST(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &before));
  MUST(__wasi_fd_filestat_set_times(fd, A, M, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM_NOW));
  MUST(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &after));
  EQUAL(stat_of(fd).atim, A);
  /* A file system's clock may lag by a tick. */
  CHECK(stat_of(fd).mtim + 100000000 >= before && stat_of(fd).mtim <= after + 100000000);
  MUST(__wasi_fd_filestat_set_times(fd, A, M, __WASI_FSTFLAGS_ATIM_NOW | __WASI_FSTFLAGS_MTIM));
  CHECK(stat_of(fd).atim + 100000000 >= before);
  EQUAL(stat_of(fd).mtim, M);

  /* A directory's times can be set as well. */
  MUST(__wasi_fd_filestat_set_times(DIR, A, M, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
  EQUAL(stat_of(DIR).mtim, M);
  ERRNO(__wasi_fd_filestat_set_times(99, A, M, 0), __WASI_ERRNO_BADF);
  return report();
}
