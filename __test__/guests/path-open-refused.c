/* Paths that name nothing: the empty one, a file with `/.` after it, any with a NUL byte. */
#include "check.h"
#include "raw.h"

#define NUL_ERRORS __WASI_ERRNO_INVAL, __WASI_ERRNO_ILSEQ, __WASI_ERRNO_NOENT

static int open_path(const char *path, size_t length) {
  int32_t fd = -1;
  int error = raw_path_open(DIR, 0, path, length, 0, 0, 0, 0, &fd);
  if (error == OK) MUST(__wasi_fd_close((__wasi_fd_t)fd));
  return error;
}

#define OPEN(path) open_path(path, sizeof path - 1)

int main(void) {
  ERRNO(OPEN(""), NOENT);
  ERRNO(OPEN("f.txt/."), __WASI_ERRNO_NOTDIR);
  ERRNO(OPEN("f.txt\0"), NUL_ERRORS);
  ERRNO(OPEN("f.txt\0g"), NUL_ERRORS);
  ERRNO(OPEN("\0"), NUL_ERRORS);
  ERRNO(OPEN("\0f.txt"), NUL_ERRORS);
  ERRNO(OPEN("d\0/g.txt"), NUL_ERRORS);
  ERRNO(raw_path_create_directory(DIR, "new\0", 4), NUL_ERRORS);
  ERRNO(raw_path_unlink_file(DIR, "f.txt\0", 6), NUL_ERRORS);
  ERRNO(raw_path_symlink("f\0", 2, DIR, "made", 4), NUL_ERRORS);
  ERRNO(raw_path_rename(DIR, "f.txt", 5, DIR, "g\0", 2), NUL_ERRORS);
  EQUAL(type_of("f.txt"), __WASI_FILETYPE_REGULAR_FILE);
  EQUAL(type_of("new"), -1);
  EQUAL(type_of("made"), -1);
  EQUAL(type_of("g"), -1);
  return report();
}
