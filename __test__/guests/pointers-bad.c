/* Every pointer of every call, put where the memory ends, one byte before, and at the top of the
 * address space: OVERFLOW. */
#include "check.h"
#include "raw.h"

static uint8_t scratch[256];
static uint8_t *bad;

#define OVER(call) ERRNO(call, __WASI_ERRNO_OVERFLOW)

static void all(int32_t file) {
  void *good = scratch;
  /* Two vectors: one good, one that begins where it must not. */
  const __wasi_iovec_t outside[] = {{scratch + 128, 4}, {bad, 2}};
  const __wasi_iovec_t inside[] = {{scratch + 128, 4}};

  OVER(raw_args_sizes_get(bad, good));
  OVER(raw_args_sizes_get(good, bad));
  OVER(raw_args_get(bad, good));
  OVER(raw_args_get(good, bad));
  OVER(raw_environ_sizes_get(bad, good));
  OVER(raw_environ_sizes_get(good, bad));
  OVER(raw_environ_get(bad, good));
  OVER(raw_environ_get(good, bad));
  OVER(raw_clock_res_get(0, bad));
  OVER(raw_clock_time_get(0, 0, bad));
  OVER(raw_fd_fdstat_get(file, bad));
  OVER(raw_fd_filestat_get(file, bad));
  OVER(raw_fd_pread(file, bad, 1, 0, good));
  OVER(raw_fd_pread(file, outside, 2, 0, good));
  OVER(raw_fd_pread(file, inside, 1, 0, bad));
  OVER(raw_fd_prestat_get(DIR, bad));
  OVER(raw_fd_prestat_dir_name(DIR, bad, 8));
  OVER(raw_fd_pwrite(file, bad, 1, 0, good));
  OVER(raw_fd_pwrite(file, outside, 2, 0, good));
  OVER(raw_fd_pwrite(file, inside, 1, 0, bad));
  OVER(raw_fd_read(file, bad, 1, good));
  OVER(raw_fd_read(file, outside, 2, good));
  OVER(raw_fd_read(file, inside, 1, bad));
  OVER(raw_fd_readdir(DIR, bad, 64, 0, good));
  OVER(raw_fd_readdir(DIR, good, 64, 0, bad));
  OVER(raw_fd_seek(file, 1, 0, bad));
  OVER(raw_fd_tell(file, bad));
  OVER(raw_fd_write(file, bad, 1, good));
  OVER(raw_fd_write(file, outside, 2, good));
  OVER(raw_fd_write(file, inside, 1, bad));
  OVER(raw_path_create_directory(DIR, bad, 4));
  OVER(raw_path_filestat_get(DIR, 0, bad, 4, good));
  OVER(raw_path_filestat_get(DIR, 0, "f.txt", 5, bad));
  OVER(raw_path_filestat_set_times(DIR, 0, bad, 4, 0, 0, 0));
  OVER(raw_path_link(DIR, 0, bad, 4, DIR, "made", 4));
  OVER(raw_path_link(DIR, 0, "f.txt", 5, DIR, bad, 4));
  OVER(raw_path_open(DIR, 0, bad, 4, 0, 0, 0, 0, good));
  OVER(raw_path_open(DIR, 0, "made", 4, __WASI_OFLAGS_CREAT, 0, 0, 0, bad));
  OVER(raw_path_readlink(DIR, bad, 4, good, 64, scratch + 128));
  OVER(raw_path_readlink(DIR, "link", 4, bad, 64, good));
  OVER(raw_path_readlink(DIR, "link", 4, good, 64, bad));
  OVER(raw_path_remove_directory(DIR, bad, 4));
  OVER(raw_path_rename(DIR, bad, 4, DIR, "made", 4));
  OVER(raw_path_rename(DIR, "f.txt", 5, DIR, bad, 4));
  OVER(raw_path_symlink(bad, 4, DIR, "made", 4));
  OVER(raw_path_symlink("f.txt", 5, DIR, bad, 4));
  OVER(raw_path_unlink_file(DIR, bad, 4));
  OVER(raw_random_get(bad, 4));

  __wasi_subscription_t now;
  memset(&now, 0, sizeof now);
  OVER(raw_poll_oneoff(bad, good, 1, scratch + 128));
  OVER(raw_poll_oneoff(&now, bad, 1, good));
  OVER(raw_poll_oneoff(&now, good, 1, bad));
}

int main(void) {
  int file = open_file("f.txt", 0, 0);
  if (file < 0) return report();
  uint8_t *end = (uint8_t *)(__builtin_wasm_memory_size(0) * 65536);
  static const uint32_t top[] = {0xffffffff, 0xfffffffc, 0x80000000};
  bad = end;
  all(file);
  bad = end - 1;
  all(file);
  for (size_t i = 0; i < COUNT(top); i++) {
    bad = (uint8_t *)top[i];
    all(file);
  }
  /* Nothing came of any of it. */
  __wasi_filesize_t position = 77;
  MUST(__wasi_fd_tell((__wasi_fd_t)file, &position));
  EQUAL(position, 0);
  CHECK(same(content(file), "hello"));
  EQUAL(type_of("made"), -1);
  EQUAL(open_file("f.txt", 0, 0), 5);
  return report();
}
