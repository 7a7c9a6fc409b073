/* Every call that takes a descriptor answers BADF for one that is not open. */
#include "check.h"

static void all_refuse(__wasi_fd_t fd) {
  uint8_t bytes[32];
  const __wasi_iovec_t into = {bytes, sizeof bytes};
  const __wasi_ciovec_t from = {bytes, sizeof bytes};
  __wasi_size_t length;
  __wasi_filesize_t position;
  __wasi_filestat_t stat;
  __wasi_fdstat_t fdstat;
  __wasi_prestat_t prestat;
  __wasi_fd_t opened;
  __wasi_roflags_t roflags;
  ERRNO(__wasi_fd_advise(fd, 0, 0, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_allocate(fd, 0, 1), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_datasync(fd), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_fdstat_get(fd, &fdstat), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_fdstat_set_flags(fd, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_fdstat_set_rights(fd, 0, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_filestat_get(fd, &stat), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_filestat_set_size(fd, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_filestat_set_times(fd, 0, 0, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_pread(fd, &into, 1, 0, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_prestat_get(fd, &prestat), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_prestat_dir_name(fd, bytes, sizeof bytes), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_pwrite(fd, &from, 1, 0, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_read(fd, &into, 1, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_readdir(fd, bytes, sizeof bytes, 0, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_renumber(fd, DIR), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_renumber(DIR, fd), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &position), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_sync(fd), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_tell(fd, &position), __WASI_ERRNO_BADF);
  ERRNO(__wasi_fd_write(fd, &from, 1, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_create_directory(fd, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_filestat_get(fd, 0, "f.txt", &stat), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_filestat_set_times(fd, 0, "f.txt", 0, 0, 0), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_link(fd, 0, "f.txt", DIR, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_link(DIR, 0, "f.txt", fd, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_open(fd, 0, "f.txt", 0, 0, 0, 0, &opened), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_readlink(fd, "f.txt", bytes, sizeof bytes, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_remove_directory(fd, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_rename(fd, "f.txt", DIR, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_rename(DIR, "f.txt", fd, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_symlink("f.txt", fd, "x"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_path_unlink_file(fd, "f.txt"), __WASI_ERRNO_BADF);
  ERRNO(__wasi_sock_accept(fd, 0, &opened), __WASI_ERRNO_BADF);
  ERRNO(__wasi_sock_recv(fd, &into, 1, 0, &length, &roflags), __WASI_ERRNO_BADF);
  ERRNO(__wasi_sock_send(fd, &from, 1, 0, &length), __WASI_ERRNO_BADF);
  ERRNO(__wasi_sock_shutdown(fd, __WASI_SDFLAGS_WR), __WASI_ERRNO_BADF);
}

int main(void) {
  all_refuse(4);
  all_refuse(99);
  all_refuse(0x7fffffff);
  all_refuse(0x80000000);
  all_refuse(0xffffffff);
  return report();
}
