/* The forms of a path: dots, slashes, the empty one, NUL bytes, and what is too long. */
#include "check.h"
#include "raw.h"

static int open_path(const char *path, size_t length) {
  int32_t fd = -1;
  int error = raw_path_open(DIR, 0, path, length, 0, 0, 0, 0, &fd);
  if (error == OK) MUST(__wasi_fd_close((__wasi_fd_t)fd));
  return error;
}

#define OPEN(path) open_path(path, sizeof path - 1)

int main(void) {
  ERRNO(OPEN("."), OK);
  ERRNO(OPEN("./"), OK);
  ERRNO(OPEN("./."), OK);
  ERRNO(OPEN("d/.."), OK);
  ERRNO(OPEN("d/../f.txt"), OK);
  ERRNO(OPEN("./f.txt"), OK);
  ERRNO(OPEN("d//g.txt"), OK);
  ERRNO(OPEN("d/./g.txt"), OK);
  ERRNO(OPEN("d/"), OK);
  ERRNO(OPEN("d//"), OK);
  ERRNO(OPEN(".hidden"), OK);
  ERRNO(OPEN("..."), OK);
  ERRNO(OPEN("missing/../f.txt"), NOENT);
  ERRNO(OPEN("f.txt/"), __WASI_ERRNO_NOTDIR);
  ERRNO(OPEN("f.txt/.."), __WASI_ERRNO_NOTDIR);
  ERRNO(OPEN("F.TXT"), NOENT);

  char name[256];
  memset(name, 'n', sizeof name);
  ERRNO(open_path(name, 255), NOENT);
  ERRNO(open_path(name, 256), __WASI_ERRNO_NAMETOOLONG);
  static char deep[5000];
  for (size_t i = 0; i < sizeof deep; i += 2) memcpy(deep + i, "./", 2);
  ERRNO(open_path(deep, sizeof deep), __WASI_ERRNO_NAMETOOLONG);
  return report();
}
