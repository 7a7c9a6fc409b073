/* fd_filestat_get tells type, size, links, a real inode number and times, each in its place. */
#include "check.h"

int main(void) {
  __wasi_filestat_t stat, by_path, of_link;
  int fd = open_file("f.txt", 0, 0);
  if (fd < 0) return report();
  memset(&stat, 0, sizeof stat);
  memset(&by_path, 0, sizeof by_path);
  MUST(__wasi_fd_filestat_get((__wasi_fd_t)fd, &stat));
  EQUAL(stat.filetype, __WASI_FILETYPE_REGULAR_FILE);
  EQUAL(stat.size, 5);
  EQUAL(stat.nlink, 2);
  CHECK(stat.ino != 0);
  /* Set by the test to these nanoseconds. */
  EQUAL(stat.atim, 1000000001 * 1000000000ull);
  EQUAL(stat.mtim, 1234567890 * 1000000000ull);
  CHECK(stat.ctim > stat.mtim);

  MUST(__wasi_path_filestat_get(DIR, 0, "f.txt", &by_path));
  CHECK(memcmp(&stat, &by_path, sizeof stat) == 0);
  MUST(__wasi_path_filestat_get(DIR, 0, "second", &of_link));
  CHECK(of_link.ino == stat.ino && of_link.dev == stat.dev);

  MUST(__wasi_fd_filestat_get(DIR, &stat));
  EQUAL(stat.filetype, __WASI_FILETYPE_DIRECTORY);
  CHECK(stat.ino != 0 && stat.ino != by_path.ino);
  EQUAL(stat.dev, by_path.dev);
  MUST(__wasi_path_filestat_get(DIR, 0, ".", &by_path));
  EQUAL(by_path.ino, stat.ino);

  ERRNO(__wasi_fd_filestat_get(99, &stat), __WASI_ERRNO_BADF);
  return report();
}
