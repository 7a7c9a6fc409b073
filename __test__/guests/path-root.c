/* A preopen that the guest knows as / is a root: `..` at its top stays at the top, and an absolute
 * link resolves inside it. Still nothing outside is reached. */
#include "check.h"

static int open_dir(const char *path) {
  __wasi_fd_t fd;
  int error = __wasi_path_open(DIR, FOLLOW, path, __WASI_OFLAGS_DIRECTORY,
                               __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_FD_FILESTAT_GET, 0, 0, &fd);
  if (error != OK) return error;
  __wasi_filestat_t root, stat;
  MUST(__wasi_fd_filestat_get(DIR, &root));
  MUST(__wasi_fd_filestat_get(fd, &stat));
  CHECK(stat.ino == root.ino);
  MUST(__wasi_fd_close(fd));
  return OK;
}

static const char *text_of(const char *path) {
  __wasi_fd_t fd;
  int error = __wasi_path_open(DIR, FOLLOW, path, 0, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK,
                               0, 0, &fd);
  if (error != OK) return "(not opened)";
  const char *text = content((int)fd);
  MUST(__wasi_fd_close(fd));
  return text;
}

int main(void) {
  __wasi_filestat_t stat;
  __wasi_fd_t fd;
  ERRNO(open_dir(".."), OK);
  ERRNO(open_dir("../.."), OK);
  ERRNO(open_dir("d/../.."), OK);
  CHECK(same(text_of("../f.txt"), "hello"));
  CHECK(same(text_of("../../d/../f.txt"), "hello"));
  CHECK(same(text_of("abs-file"), "hello"));
  CHECK(same(text_of("abs-dir/g.txt"), "inner"));
  CHECK(same(text_of("d/upup"), "hello"));
  MUST(__wasi_path_filestat_get(DIR, FOLLOW, "abs-file", &stat));
  EQUAL(stat.size, 5);

  /* The directory beside the root is called outside: not found, and not reached. */
  ERRNO(__wasi_path_open(DIR, FOLLOW, "../outside/secret.txt", 0, 0, 0, 0, &fd), NOENT);
  ERRNO(__wasi_path_open(DIR, FOLLOW, "to-outside", 0, 0, 0, 0, &fd), NOENT);
  ERRNO(__wasi_path_open(DIR, FOLLOW, "to-host-abs", 0, 0, 0, 0, &fd), NOENT);
  ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, "to-host-abs", &stat), NOENT);
  ERRNO(__wasi_path_unlink_file(DIR, "../outside/secret.txt"), NOENT);
  ERRNO(__wasi_path_create_directory(DIR, "../made"), OK);
  EQUAL(type_of("made"), __WASI_FILETYPE_DIRECTORY);
  return report();
}
