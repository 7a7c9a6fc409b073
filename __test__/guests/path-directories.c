/* path_create_directory and path_remove_directory, and what each refuses. */
#include "check.h"

static int make(const char *path) { return __wasi_path_create_directory(DIR, path); }
static int drop(const char *path) { return __wasi_path_remove_directory(DIR, path); }

int main(void) {
  ERRNO(make("a"), OK);
  EQUAL(type_of("a"), __WASI_FILETYPE_DIRECTORY);
  ERRNO(make("a/b"), OK);
  ERRNO(make("a/b/c/"), OK);
  EQUAL(type_of("a/b/c"), __WASI_FILETYPE_DIRECTORY);
  ERRNO(make("a"), __WASI_ERRNO_EXIST);
  ERRNO(make("f.txt"), __WASI_ERRNO_EXIST);
  ERRNO(make("dangling"), __WASI_ERRNO_EXIST);
  ERRNO(make("."), __WASI_ERRNO_EXIST);
  ERRNO(make("missing/x"), NOENT);
  ERRNO(make("f.txt/x"), __WASI_ERRNO_NOTDIR);
  ERRNO(make(""), NOENT, __WASI_ERRNO_INVAL);

  ERRNO(drop("a"), __WASI_ERRNO_NOTEMPTY);
  ERRNO(drop("a/b"), __WASI_ERRNO_NOTEMPTY);
  ERRNO(drop("a/b/c"), OK);
  ERRNO(drop("a/b/"), OK);
  ERRNO(drop("a"), OK);
  EQUAL(type_of("a"), -1);
  ERRNO(drop("a"), NOENT);
  ERRNO(drop("f.txt"), __WASI_ERRNO_NOTDIR);
  ERRNO(drop("to-d"), __WASI_ERRNO_NOTDIR);
  ERRNO(drop("d/."), __WASI_ERRNO_INVAL);
  ERRNO(drop("d/sub/.."), __WASI_ERRNO_INVAL, __WASI_ERRNO_NOTEMPTY);
  EQUAL(type_of("d"), __WASI_FILETYPE_DIRECTORY);
  EQUAL(type_of("f.txt"), __WASI_FILETYPE_REGULAR_FILE);
  return report();
}
