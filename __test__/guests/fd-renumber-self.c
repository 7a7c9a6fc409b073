/* fd_renumber onto itself leaves the descriptor open. */
#include "check.h"

int main(void) {
  int a = open_file("a.txt", 0, 0);
  if (a < 0) return report();
  ERRNO(__wasi_fd_renumber((__wasi_fd_t)a, (__wasi_fd_t)a), OK);
  CHECK(same(content(a), "aaa"));
  return report();
}
