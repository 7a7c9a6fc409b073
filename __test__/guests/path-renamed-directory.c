/* The descriptor of a directory stays that directory when the directory gets another name. */
#include "check.h"

int main(void) {
  __wasi_fd_t dir, fd;
  __wasi_filestat_t stat;
  MUST(__wasi_path_open(DIR, 0, "old", __WASI_OFLAGS_DIRECTORY, DIR_RIGHTS, FILE_RIGHTS, 0, &dir));
  MUST(__wasi_path_rename(DIR, "old", DIR, "new"));
  MUST(__wasi_path_create_directory(DIR, "old"));
  ERRNO(__wasi_path_filestat_get(dir, 0, "f.txt", &stat), OK);
  ERRNO(
      __wasi_path_open(dir, 0, "made.txt", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
      OK);
  EQUAL(type_of("new/made.txt"), __WASI_FILETYPE_REGULAR_FILE);
  EQUAL(type_of("old/made.txt"), -1);
  ERRNO(__wasi_path_unlink_file(dir, "f.txt"), OK);
  EQUAL(type_of("new/f.txt"), -1);
  return report();
}
