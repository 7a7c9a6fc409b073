/* fd_read and fd_pread fill several vectors in order, skip empty ones, and stop at the end. */
#include "check.h"

int main(void) {
  int fd = open_file("digits.txt", 0, 0);
  if (fd < 0) return report();
  uint8_t a[4], b[8], c[16];
  memset(a, '-', sizeof a);
  memset(b, '-', sizeof b);
  memset(c, '-', sizeof c);
  const __wasi_iovec_t vectors[] = {{a, 3}, {b, 0}, {b + 1, 4}, {c, 16}};
  __wasi_size_t length = 77;
  MUST(__wasi_fd_read((__wasi_fd_t)fd, vectors, 4, &length));
  EQUAL(length, 10);
  CHECK(memcmp(a, "012-", 4) == 0);
  CHECK(memcmp(b, "-3456---", 8) == 0);
  CHECK(memcmp(c, "789-------------", 16) == 0);
  __wasi_filesize_t position = 77;
  MUST(__wasi_fd_tell((__wasi_fd_t)fd, &position));
  EQUAL(position, 10);

  MUST(__wasi_fd_read((__wasi_fd_t)fd, vectors, 4, &length));
  EQUAL(length, 0);

  /* pread at an offset leaves the descriptor's own offset alone. */
  memset(a, '-', sizeof a);
  memset(b, '-', sizeof b);
  const __wasi_iovec_t two[] = {{a, 2}, {b, 3}};
  MUST(__wasi_fd_pread((__wasi_fd_t)fd, two, 2, 4, &length));
  EQUAL(length, 5);
  CHECK(memcmp(a, "45--", 4) == 0);
  CHECK(memcmp(b, "678-----", 8) == 0);
  MUST(__wasi_fd_pread((__wasi_fd_t)fd, two, 2, 9, &length));
  EQUAL(length, 1);
  CHECK(memcmp(a, "95--", 4) == 0);
  MUST(__wasi_fd_pread((__wasi_fd_t)fd, two, 2, 1000, &length));
  EQUAL(length, 0);
  MUST(__wasi_fd_tell((__wasi_fd_t)fd, &position));
  EQUAL(position, 10);

  /* No vectors, or only empty ones: nothing read, no error. */
  length = 77;
  ERRNO(__wasi_fd_read((__wasi_fd_t)fd, vectors, 0, &length), OK);
  EQUAL(length, 0);
  length = 77;
  ERRNO(__wasi_fd_pread((__wasi_fd_t)fd, vectors + 1, 1, 0, &length), OK);
  EQUAL(length, 0);
  /* An offset that does not fit a signed number is refused. */
  ERRNO(__wasi_fd_pread((__wasi_fd_t)fd, two, 2, UINT64_MAX, &length), __WASI_ERRNO_INVAL,
        __WASI_ERRNO_OVERFLOW);
  return report();
}
