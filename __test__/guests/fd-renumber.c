/* fd_renumber moves a descriptor onto an open one, which is closed; the old number is free. */
#include "check.h"

int main(void) {
  int a = open_file("a.txt", 0, 0), b = open_file("b.txt", 0, 0);
  if (a < 0 || b < 0) return report();
  char text[8];
  EQUAL(get(a, text, 2), 1);
  MUST(__wasi_fd_renumber((__wasi_fd_t)a, (__wasi_fd_t)b));
  EQUAL(get(a, text, 2), -__WASI_ERRNO_BADF);
  EQUAL(get(b, text, sizeof text), 2);
  CHECK(same(text, "aa"));
  /* The freed number is the lowest and is used again. */
  EQUAL(open_file("b.txt", 0, 0), a);
  EQUAL(get(a, text, sizeof text), 3);
  CHECK(same(text, "bbb"));

  ERRNO(__wasi_fd_renumber(99, (__wasi_fd_t)a), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_renumber((__wasi_fd_t)a, 99), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_renumber(99, 99), __WASI_ERRNO_BADF);
  CHECK(same(content(a), "bbb"));
  return report();
}
