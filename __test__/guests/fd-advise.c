/* fd_advise takes each of the six kinds of advice for any range, and no seventh. */
#include "check.h"

int main(void) {
  int opened = open_file("f.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  for (__wasi_advice_t advice = 0; advice < 6; advice++) {
    ERRNO(__wasi_fd_advise(fd, 0, 0, advice), OK);
    ERRNO(__wasi_fd_advise(fd, 1, 3, advice), OK);
    ERRNO(__wasi_fd_advise(fd, 1000, 1000, advice), OK);
  }
  ERRNO(__wasi_fd_advise(fd, 0, 0, 6), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_advise(fd, 0, 0, 255), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_advise(99, 0, 0, 0), __WASI_ERRNO_BADF);
  CHECK(same(content(opened), "hello"));
  EQUAL(size_of("f.txt"), 5);
  return report();
}
