/* 500 descriptors at once, each with its own offset, all closed again. */
#include "check.h"

int main(void) {
  char text[8];
  for (int i = 0; i < 500; i++) {
    int fd = open_file("digits.txt", 0, 0);
    if (fd < 0) return report();
    EQUAL(fd, 4 + i);
    __wasi_filesize_t position;
    MUST(__wasi_fd_seek((__wasi_fd_t)fd, i % 10, __WASI_WHENCE_SET, &position));
  }
  for (int i = 0; i < 500; i++) {
    EQUAL(get(4 + i, text, 2), 1);
    EQUAL(text[0], '0' + i % 10);
  }
  for (int i = 0; i < 500; i++) ERRNO(__wasi_fd_close((__wasi_fd_t)(4 + i)), OK);
  EQUAL(open_file("digits.txt", 0, 0), 4);
  return report();
}
