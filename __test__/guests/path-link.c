/* path_link makes a second name of one file, over nothing that exists, of no directory; with
 * LOOKUP_SYMLINK_FOLLOW of what a link points to. */
#include "check.h"

static __wasi_inode_t inode_of(const char *path) {
  __wasi_filestat_t stat;
  return __wasi_path_filestat_get(DIR, 0, path, &stat) == OK ? stat.ino : 0;
}

int main(void) {
  __wasi_filestat_t stat;
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "second"), OK);
  MUST(__wasi_path_filestat_get(DIR, 0, "f.txt", &stat));
  EQUAL(stat.nlink, 2);
  CHECK(stat.ino == inode_of("second"));
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "d/third"), OK);
  CHECK(inode_of("d/third") == stat.ino);

  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "second"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "d"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "f.txt"), __WASI_ERRNO_EXIST);
  ERRNO(__wasi_path_link(DIR, 0, "missing", DIR, "x"), NOENT);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "missing/x"), NOENT);
  ERRNO(__wasi_path_link(DIR, 0, "d", DIR, "x"), __WASI_ERRNO_PERM, __WASI_ERRNO_ACCES);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, "x/"), NOENT, __WASI_ERRNO_NOTDIR);
  EQUAL(type_of("x"), -1);

  /* Without FOLLOW the link itself gets a second name. */
  ERRNO(__wasi_path_link(DIR, 0, "to-file", DIR, "to-file-2"), OK);
  EQUAL(type_of("to-file-2"), __WASI_FILETYPE_SYMBOLIC_LINK);
  CHECK(inode_of("to-file-2") == inode_of("to-file"));
  ERRNO(__wasi_path_link(DIR, 0, "dangling", DIR, "dangling-2"), OK);
  EQUAL(type_of("dangling-2"), __WASI_FILETYPE_SYMBOLIC_LINK);
  return report();
}
