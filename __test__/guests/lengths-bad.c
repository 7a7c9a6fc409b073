/* Lengths that run past the end of the memory, or round the address space: OVERFLOW, and no
 * allocation of what the guest says. */
#include "check.h"
#include "raw.h"

#define OVER(call) ERRNO(call, __WASI_ERRNO_OVERFLOW)

int main(void) {
  static uint8_t scratch[64];
  static const uint32_t lengths[] = {0xffffffff, 0xfffffff0, 0x80000000, 0x7fffffff};
  void *good = scratch;
  for (size_t i = 0; i < COUNT(lengths); i++) {
    uint32_t length = lengths[i];
    OVER(raw_random_get(good, length));
    OVER(raw_fd_prestat_dir_name(DIR, good, length));
    OVER(raw_fd_readdir(DIR, good, length, 0, scratch + 32));
    OVER(raw_path_create_directory(DIR, good, length));
    OVER(raw_path_filestat_get(DIR, 0, good, length, scratch));
    OVER(raw_path_open(DIR, 0, good, length, 0, 0, 0, 0, scratch));
    OVER(raw_path_readlink(DIR, good, length, scratch, 4, scratch + 32));
    OVER(raw_path_readlink(DIR, "link", 4, good, length, scratch + 32));
    OVER(raw_path_rename(DIR, good, length, DIR, "made", 4));
    OVER(raw_path_symlink(good, length, DIR, "made", 4));
    OVER(raw_path_unlink_file(DIR, good, length));
    __wasi_iovec_t vectors[] = {{scratch, 4}, {scratch, length}};
    OVER(raw_fd_read(0, vectors, 2, scratch + 32));
    OVER(raw_fd_write(2, vectors, 2, scratch + 32));
  }
  return report();
}
