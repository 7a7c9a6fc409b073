/* path_rename replaces a file by a file and an empty directory by a directory, and nothing else. */
#include "check.h"

static const char *text_of(const char *path) {
  int fd = open_file(path, 0, 0);
  const char *text = content(fd);
  if (fd >= 0) MUST(__wasi_fd_close((__wasi_fd_t)fd));
  return text;
}

static int move(const char *from, const char *to) { return __wasi_path_rename(DIR, from, DIR, to); }

int main(void) {
  ERRNO(move("a.txt", "b.txt"), OK);
  EQUAL(type_of("a.txt"), -1);
  CHECK(same(text_of("b.txt"), "aaa"));
  ERRNO(move("b.txt", "c.txt"), OK);
  CHECK(same(text_of("c.txt"), "aaa"));
  ERRNO(move("c.txt", "c.txt"), OK);
  ERRNO(move("c.txt", "full/c.txt"), OK);
  ERRNO(move("full/c.txt", "c.txt"), OK);

  ERRNO(move("full", "empty"), OK);
  EQUAL(type_of("full"), -1);
  CHECK(same(text_of("empty/x.txt"), "x"));
  ERRNO(move("empty", "full"), OK);
  ERRNO(move("other", "full"), __WASI_ERRNO_NOTEMPTY, __WASI_ERRNO_EXIST);
  CHECK(same(text_of("full/x.txt"), "x"));

  ERRNO(move("c.txt", "full"), __WASI_ERRNO_ISDIR);
  ERRNO(move("full", "c.txt"), __WASI_ERRNO_NOTDIR);
  ERRNO(move("missing", "x"), NOENT);
  ERRNO(move("c.txt", "missing/x"), NOENT);
  ERRNO(move("full", "full/inside"), __WASI_ERRNO_INVAL);
  ERRNO(move("c.txt", "x/"), __WASI_ERRNO_NOTDIR, NOENT);
  ERRNO(move("c.txt/", "x"), __WASI_ERRNO_NOTDIR);
  ERRNO(move("full/", "moved/"), OK);
  CHECK(same(text_of("moved/x.txt"), "x"));
  ERRNO(move(".", "x"), __WASI_ERRNO_BUSY, __WASI_ERRNO_INVAL);
  EQUAL(type_of("x"), -1);

  /* A link is moved, not what it points to. */
  ERRNO(move("link", "link-2"), OK);
  EQUAL(type_of("link-2"), __WASI_FILETYPE_SYMBOLIC_LINK);
  EQUAL(type_of("c.txt"), __WASI_FILETYPE_REGULAR_FILE);

  /* From one preopen to another. */
  ERRNO(__wasi_path_rename(DIR, "c.txt", DIR + 1, "c.txt"), OK);
  EQUAL(type_of("c.txt"), -1);
  return report();
}
