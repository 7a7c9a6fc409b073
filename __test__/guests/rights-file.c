/* Each call on a file is refused with NOTCAPABLE when just its own right is missing. */
#include "check.h"

static uint8_t bytes[8];
static const __wasi_iovec_t into = {bytes, sizeof bytes};
static const __wasi_ciovec_t from = {(const uint8_t *)"x", 1};
static __wasi_size_t length;
static __wasi_filesize_t position;
static __wasi_filestat_t stat;

static int do_read(__wasi_fd_t fd) { return __wasi_fd_read(fd, &into, 1, &length); }
static int do_pread(__wasi_fd_t fd) { return __wasi_fd_pread(fd, &into, 1, 0, &length); }
static int do_write(__wasi_fd_t fd) { return __wasi_fd_write(fd, &from, 1, &length); }
static int do_pwrite(__wasi_fd_t fd) { return __wasi_fd_pwrite(fd, &from, 1, 0, &length); }
static int do_seek(__wasi_fd_t fd) { return __wasi_fd_seek(fd, 1, __WASI_WHENCE_SET, &position); }
static int do_tell(__wasi_fd_t fd) { return __wasi_fd_tell(fd, &position); }
static int do_sync(__wasi_fd_t fd) { return __wasi_fd_sync(fd); }
static int do_datasync(__wasi_fd_t fd) { return __wasi_fd_datasync(fd); }
static int do_advise(__wasi_fd_t fd) { return __wasi_fd_advise(fd, 0, 0, 0); }
static int do_allocate(__wasi_fd_t fd) { return __wasi_fd_allocate(fd, 0, 100); }
static int do_flags(__wasi_fd_t fd) { return __wasi_fd_fdstat_set_flags(fd, 0); }
static int do_stat(__wasi_fd_t fd) { return __wasi_fd_filestat_get(fd, &stat); }
static int do_size(__wasi_fd_t fd) { return __wasi_fd_filestat_set_size(fd, 3); }
static int do_times(__wasi_fd_t fd) {
  return __wasi_fd_filestat_set_times(fd, 5, 5, __WASI_FSTFLAGS_MTIM);
}

static const struct {
  __wasi_rights_t right;
  int (*call)(__wasi_fd_t);
  const char *name;
} calls[] = {
    {__WASI_RIGHTS_FD_READ, do_read, "fd_read"},
    {__WASI_RIGHTS_FD_READ, do_pread, "fd_pread without read"},
    {__WASI_RIGHTS_FD_SEEK, do_pread, "fd_pread without seek"},
    {__WASI_RIGHTS_FD_WRITE, do_write, "fd_write"},
    {__WASI_RIGHTS_FD_WRITE, do_pwrite, "fd_pwrite without write"},
    {__WASI_RIGHTS_FD_SEEK, do_pwrite, "fd_pwrite without seek"},
    {__WASI_RIGHTS_FD_SEEK, do_seek, "fd_seek"},
    {__WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_SEEK, do_tell, "fd_tell"},
    {__WASI_RIGHTS_FD_SYNC, do_sync, "fd_sync"},
    {__WASI_RIGHTS_FD_DATASYNC | __WASI_RIGHTS_FD_SYNC, do_datasync, "fd_datasync"},
    {__WASI_RIGHTS_FD_ADVISE, do_advise, "fd_advise"},
    {__WASI_RIGHTS_FD_ALLOCATE, do_allocate, "fd_allocate"},
    {__WASI_RIGHTS_FD_FDSTAT_SET_FLAGS, do_flags, "fd_fdstat_set_flags"},
    {__WASI_RIGHTS_FD_FILESTAT_GET, do_stat, "fd_filestat_get"},
    {__WASI_RIGHTS_FD_FILESTAT_SET_SIZE, do_size, "fd_filestat_set_size"},
    {__WASI_RIGHTS_FD_FILESTAT_SET_TIMES, do_times, "fd_filestat_set_times"},
};

int main(void) {
  for (size_t i = 0; i < COUNT(calls); i++) {
    int fd = open_file("f.txt", 0, 0);
    if (fd < 0) return report();
    MUST(__wasi_fd_fdstat_set_rights((__wasi_fd_t)fd, FILE_RIGHTS & ~calls[i].right, 0));
    int error = calls[i].call((__wasi_fd_t)fd);
    if (!ERRNO(error, __WASI_ERRNO_NOTCAPABLE)) {
      say(calls[i].name);
      say("\n");
    }
    MUST(__wasi_fd_close((__wasi_fd_t)fd));
  }
  int fd = open_file("f.txt", 0, 0);
  CHECK(same(content(fd), "hello"));
  for (size_t i = 0; i < COUNT(calls); i++) {
    if (!ERRNO(calls[i].call((__wasi_fd_t)fd), OK)) {
      say(calls[i].name);
      say("\n");
    }
  }
  return report();
}
