/* fd_seek from the start, the current offset and the end; fd_tell agrees; nothing before 0. */
#include "check.h"

int main(void) {
  int opened = open_file("digits.txt", 0, 0);
  if (opened < 0) return report();
  __wasi_fd_t fd = (__wasi_fd_t)opened;
  __wasi_filesize_t position = 77, told = 77;
  char text[16];

  MUST(__wasi_fd_seek(fd, 4, __WASI_WHENCE_SET, &position));
  EQUAL(position, 4);
  EQUAL(get(opened, text, 3), 2);
  CHECK(same(text, "45"));
  MUST(__wasi_fd_seek(fd, -3, __WASI_WHENCE_CUR, &position));
  EQUAL(position, 3);
  MUST(__wasi_fd_seek(fd, -2, __WASI_WHENCE_END, &position));
  EQUAL(position, 8);
  EQUAL(get(opened, text, sizeof text), 2);
  CHECK(same(text, "89"));
  MUST(__wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &position));
  EQUAL(position, 10);
  MUST(__wasi_fd_tell(fd, &told));
  EQUAL(told, 10);

  position = 77;
  ERRNO(__wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &position), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_seek(fd, -11, __WASI_WHENCE_CUR, &position), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_seek(fd, -11, __WASI_WHENCE_END, &position), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_seek(fd, INT64_MIN, __WASI_WHENCE_CUR, &position), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_seek(fd, INT64_MAX, __WASI_WHENCE_CUR, &position), __WASI_ERRNO_INVAL,
        __WASI_ERRNO_OVERFLOW);
  ERRNO(__wasi_fd_seek(fd, 0, 3, &position), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_fd_seek(fd, 0, 255, &position), __WASI_ERRNO_INVAL);
  EQUAL(position, 77);
  MUST(__wasi_fd_tell(fd, &told));
  EQUAL(told, 10);

  /* Past the end is no error; a write there leaves zeros between. */
  MUST(__wasi_fd_seek(fd, 3, __WASI_WHENCE_END, &position));
  EQUAL(position, 13);
  EQUAL(get(opened, text, sizeof text), 0);
  EQUAL(size_of("digits.txt"), 10);
  EQUAL(put(opened, "end"), 3);
  EQUAL(size_of("digits.txt"), 16);
  CHECK(memcmp(content(opened), "0123456789\0\0\0end", 16) == 0);
  return report();
}
