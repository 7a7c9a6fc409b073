/* Each call on a directory is refused with NOTCAPABLE when just its own right is missing, and
 * nothing in the directory has changed then. */
#include "check.h"

static uint8_t bytes[64];
static __wasi_size_t length;
static __wasi_filestat_t stat;
static __wasi_fd_t opened;

static int do_mkdir(__wasi_fd_t d) { return __wasi_path_create_directory(d, "new"); }
static int do_open(__wasi_fd_t d) {
  return __wasi_path_open(d, 0, "g.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &opened);
}
static int do_create(__wasi_fd_t d) {
  return __wasi_path_open(d, 0, "new", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, 0, 0, &opened);
}
static int do_truncate(__wasi_fd_t d) {
  return __wasi_path_open(d, 0, "g.txt", __WASI_OFLAGS_TRUNC,
                          __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &opened);
}
static int do_link_from(__wasi_fd_t d) { return __wasi_path_link(d, 0, "g.txt", DIR, "new"); }
static int do_link_to(__wasi_fd_t d) { return __wasi_path_link(DIR, 0, "f.txt", d, "new"); }
static int do_readdir(__wasi_fd_t d) {
  return __wasi_fd_readdir(d, bytes, sizeof bytes, 0, &length);
}
static int do_readlink(__wasi_fd_t d) {
  return __wasi_path_readlink(d, "link", bytes, sizeof bytes, &length);
}
static int do_rename_from(__wasi_fd_t d) { return __wasi_path_rename(d, "g.txt", DIR, "new"); }
static int do_rename_to(__wasi_fd_t d) { return __wasi_path_rename(DIR, "f.txt", d, "new"); }
static int do_stat(__wasi_fd_t d) { return __wasi_path_filestat_get(d, 0, "g.txt", &stat); }
static int do_times(__wasi_fd_t d) {
  return __wasi_path_filestat_set_times(d, 0, "g.txt", 5, 5, __WASI_FSTFLAGS_MTIM);
}
static int do_symlink(__wasi_fd_t d) { return __wasi_path_symlink("g.txt", d, "new"); }
static int do_rmdir(__wasi_fd_t d) { return __wasi_path_remove_directory(d, "empty"); }
static int do_unlink(__wasi_fd_t d) { return __wasi_path_unlink_file(d, "g.txt"); }

static const struct {
  __wasi_rights_t right;
  int (*call)(__wasi_fd_t);
  const char *name;
} calls[] = {
    {__WASI_RIGHTS_PATH_CREATE_DIRECTORY, do_mkdir, "path_create_directory"},
    {__WASI_RIGHTS_PATH_OPEN, do_open, "path_open"},
    {__WASI_RIGHTS_PATH_CREATE_FILE, do_create, "path_open with CREAT"},
    {__WASI_RIGHTS_PATH_FILESTAT_SET_SIZE, do_truncate, "path_open with TRUNC"},
    {__WASI_RIGHTS_PATH_LINK_SOURCE, do_link_from, "path_link from"},
    {__WASI_RIGHTS_PATH_LINK_TARGET, do_link_to, "path_link to"},
    {__WASI_RIGHTS_FD_READDIR, do_readdir, "fd_readdir"},
    {__WASI_RIGHTS_PATH_READLINK, do_readlink, "path_readlink"},
    {__WASI_RIGHTS_PATH_RENAME_SOURCE, do_rename_from, "path_rename from"},
    {__WASI_RIGHTS_PATH_RENAME_TARGET, do_rename_to, "path_rename to"},
    {__WASI_RIGHTS_PATH_FILESTAT_GET, do_stat, "path_filestat_get"},
    {__WASI_RIGHTS_PATH_FILESTAT_SET_TIMES, do_times, "path_filestat_set_times"},
    {__WASI_RIGHTS_PATH_SYMLINK, do_symlink, "path_symlink"},
    {__WASI_RIGHTS_PATH_REMOVE_DIRECTORY, do_rmdir, "path_remove_directory"},
    {__WASI_RIGHTS_PATH_UNLINK_FILE, do_unlink, "path_unlink_file"},
};

int main(void) {
  for (size_t i = 0; i < COUNT(calls); i++) {
    __wasi_fd_t dir;
    MUST(__wasi_path_open(DIR, 0, "d", __WASI_OFLAGS_DIRECTORY, DIR_RIGHTS, FILE_RIGHTS, 0, &dir));
    MUST(__wasi_fd_fdstat_set_rights(dir, DIR_RIGHTS & ~calls[i].right, FILE_RIGHTS));
    if (!ERRNO(calls[i].call(dir), __WASI_ERRNO_NOTCAPABLE)) {
      say(calls[i].name);
      say("\n");
    }
    MUST(__wasi_fd_close(dir));
  }
  return report();
}
