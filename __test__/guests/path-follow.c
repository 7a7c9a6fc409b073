/* LOOKUP_SYMLINK_FOLLOW decides what a final link is; one in the middle is always followed. */
#include "check.h"

static int open_with(__wasi_lookupflags_t lookup, const char *path) {
  __wasi_fd_t fd;
  int error = __wasi_path_open(DIR, lookup, path, 0, 0, 0, 0, &fd);
  if (error == OK) MUST(__wasi_fd_close(fd));
  return error;
}

int main(void) {
  ERRNO(open_with(FOLLOW, "to-file"), OK);
  ERRNO(open_with(FOLLOW, "to-dir"), OK);
  ERRNO(open_with(FOLLOW, "to-dir/g.txt"), OK);
  ERRNO(open_with(0, "to-dir/g.txt"), OK);
  ERRNO(open_with(FOLLOW, "to-link"), OK);
  ERRNO(open_with(FOLLOW, "dangling"), NOENT);
  ERRNO(open_with(FOLLOW, "loop"), __WASI_ERRNO_LOOP);
  ERRNO(open_with(0, "loop"), __WASI_ERRNO_LOOP);
  ERRNO(open_with(0, "loop/x"), __WASI_ERRNO_LOOP);
  ERRNO(open_with(FOLLOW, "to-file/"), __WASI_ERRNO_NOTDIR);
  ERRNO(open_with(FOLLOW, "to-dir/"), OK);

  __wasi_filestat_t stat;
  static const struct {
    const char *path;
    __wasi_filetype_t type;
  } targets[] = {{"to-file", __WASI_FILETYPE_REGULAR_FILE},
                 {"to-dir", __WASI_FILETYPE_DIRECTORY},
                 {"to-link", __WASI_FILETYPE_REGULAR_FILE}};
  for (size_t i = 0; i < COUNT(targets); i++) {
    MUST(__wasi_path_filestat_get(DIR, FOLLOW, targets[i].path, &stat));
    EQUAL(stat.filetype, targets[i].type);
    MUST(__wasi_path_filestat_get(DIR, 0, targets[i].path, &stat));
    EQUAL(stat.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  }
  MUST(__wasi_path_filestat_get(DIR, 0, "to-file", &stat));
  EQUAL(stat.size, strlen("f.txt"));
  MUST(__wasi_path_filestat_get(DIR, FOLLOW, "to-file", &stat));
  EQUAL(stat.size, 5);
  MUST(__wasi_path_filestat_get(DIR, 0, "dangling", &stat));
  ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, "dangling", &stat), NOENT);
  ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, "loop", &stat), __WASI_ERRNO_LOOP);
  return report();
}
