/* fd_write and fd_pwrite write several vectors in order and skip empty ones. */
#include "check.h"

int main(void) {
  int fd = open_file("out.txt", __WASI_OFLAGS_CREAT, 0);
  if (fd < 0) return report();
  const __wasi_ciovec_t vectors[] = {
      {(const uint8_t *)"abc", 3}, {(const uint8_t *)"", 0}, {(const uint8_t *)"defgh", 5}};
  __wasi_size_t written = 77;
  MUST(__wasi_fd_write((__wasi_fd_t)fd, vectors, 3, &written));
  EQUAL(written, 8);
  CHECK(same(content(fd), "abcdefgh"));

  const __wasi_ciovec_t two[] = {{(const uint8_t *)"XY", 2}, {(const uint8_t *)"Z", 1}};
  MUST(__wasi_fd_pwrite((__wasi_fd_t)fd, two, 2, 1, &written));
  EQUAL(written, 3);
  CHECK(same(content(fd), "aXYZefgh"));
  MUST(__wasi_fd_pwrite((__wasi_fd_t)fd, two, 2, 7, &written));
  EQUAL(written, 3);
  CHECK(same(content(fd), "aXYZefgXYZ"));
  __wasi_filesize_t position = 77;
  MUST(__wasi_fd_tell((__wasi_fd_t)fd, &position));
  EQUAL(position, 8);

  written = 77;
  ERRNO(__wasi_fd_write((__wasi_fd_t)fd, vectors, 0, &written), OK);
  EQUAL(written, 0);
  written = 77;
  ERRNO(__wasi_fd_pwrite((__wasi_fd_t)fd, vectors + 1, 1, 0, &written), OK);
  EQUAL(written, 0);
  ERRNO(__wasi_fd_pwrite((__wasi_fd_t)fd, two, 2, UINT64_MAX, &written), __WASI_ERRNO_INVAL,
        __WASI_ERRNO_OVERFLOW);
  EQUAL(size_of("out.txt"), 10);
  return report();
}
