/* CREAT, EXCL, TRUNC and DIRECTORY, alone and together, on what is there and what is not. */
#include "check.h"

#define CREAT __WASI_OFLAGS_CREAT
#define EXCL __WASI_OFLAGS_EXCL
#define TRUNC __WASI_OFLAGS_TRUNC
#define DIRECTORY __WASI_OFLAGS_DIRECTORY

static __wasi_fd_t fd;

static int open_as(const char *path, __wasi_oflags_t oflags, __wasi_rights_t rights) {
  int error = __wasi_path_open(DIR, 0, path, oflags, rights, 0, 0, &fd);
  if (error == OK) MUST(__wasi_fd_close(fd));
  return error;
}

int main(void) {
  const __wasi_rights_t rw = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE;
  ERRNO(open_as("missing", 0, rw), NOENT);
  ERRNO(open_as("missing", TRUNC, rw), NOENT);
  ERRNO(open_as("missing", DIRECTORY, 0), NOENT);
  ERRNO(open_as("missing/f", CREAT, rw), NOENT);
  ERRNO(open_as("f.txt/g", CREAT, rw), __WASI_ERRNO_NOTDIR);
  EQUAL(type_of("missing"), -1);

  ERRNO(open_as("new", CREAT, rw), OK);
  EQUAL(size_of("new"), 0);
  ERRNO(open_as("new", CREAT, rw), OK);
  ERRNO(open_as("new", CREAT | EXCL, rw), __WASI_ERRNO_EXIST);
  ERRNO(open_as("newer", CREAT | EXCL, rw), OK);
  EQUAL(type_of("newer"), __WASI_FILETYPE_REGULAR_FILE);
  ERRNO(open_as("link", CREAT | EXCL, rw), __WASI_ERRNO_EXIST);
  ERRNO(open_as("dangling", CREAT | EXCL, rw), __WASI_ERRNO_EXIST);
  EQUAL(type_of("nowhere"), -1);

  ERRNO(open_as("f.txt", CREAT, rw), OK);
  EQUAL(size_of("f.txt"), 5);
  ERRNO(open_as("f.txt", CREAT | EXCL | TRUNC, rw), __WASI_ERRNO_EXIST);
  EQUAL(size_of("f.txt"), 5);
  ERRNO(open_as("f.txt", TRUNC, rw), OK);
  EQUAL(size_of("f.txt"), 0);

  ERRNO(open_as("d", DIRECTORY, 0), OK);
  ERRNO(open_as("d", 0, __WASI_RIGHTS_FD_READDIR), OK);
  ERRNO(open_as("f.txt", DIRECTORY, 0), __WASI_ERRNO_NOTDIR);
  ERRNO(open_as("d", CREAT | EXCL, 0), __WASI_ERRNO_EXIST, __WASI_ERRNO_ISDIR);
  ERRNO(open_as("d", TRUNC, rw), __WASI_ERRNO_ISDIR);
  return report();
}
