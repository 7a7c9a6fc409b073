/* path_symlink stores its text as given, over nothing that exists; path_readlink gives it back. */
#include "check.h"

static const char *target_of(const char *path) {
  static char text[256];
  __wasi_size_t used = 0;
  int error = __wasi_path_readlink(DIR, path, (uint8_t *)text, sizeof text - 1, &used);
  text[error == OK ? used : 0] = 0;
  return error == OK ? text : "(error)";
}

int main(void) {
  ERRNO(__wasi_path_symlink("f.txt", DIR, "to-file"), OK);
  CHECK(same(target_of("to-file"), "f.txt"));
  EQUAL(type_of("to-file"), __WASI_FILETYPE_SYMBOLIC_LINK);
  ERRNO(__wasi_path_symlink("not there", DIR, "dangling"), OK);
  CHECK(same(target_of("dangling"), "not there"));
  ERRNO(__wasi_path_symlink("../f.txt", DIR, "d/up"), OK);
  CHECK(same(target_of("d/up"), "../f.txt"));
  ERRNO(__wasi_path_symlink("d/./../d", DIR, "odd"), OK);
  CHECK(same(target_of("odd"), "d/./../d"));

  ERRNO(__wasi_path_symlink("x", DIR, "f.txt"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_symlink("x", DIR, "d"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_symlink("x", DIR, "dangling"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_symlink("x", DIR, "missing/link"), NOENT);
  ERRNO(__wasi_path_symlink("x", DIR, "f.txt/link"), __WASI_ERRNO_NOTDIR);
  ERRNO(__wasi_path_symlink("", DIR, "empty"), NOENT, __WASI_ERRNO_INVAL);
  ERRNO(__wasi_path_symlink("x", DIR, "slash/"), NOENT, __WASI_ERRNO_NOTDIR);

  uint8_t bytes[8];
  __wasi_size_t used;
  ERRNO(__wasi_path_readlink(DIR, "f.txt", bytes, sizeof bytes, &used), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_path_readlink(DIR, "d", bytes, sizeof bytes, &used), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_path_readlink(DIR, "missing", bytes, sizeof bytes, &used), NOENT);

  __wasi_fd_t fd;
  MUST(__wasi_path_open(DIR, FOLLOW, "d/up", 0, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK, 0, 0,
                        &fd));
  CHECK(same(content((int)fd), "hello"));
  return report();
}
