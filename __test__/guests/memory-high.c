/* Pointers above 2 GiB are numbers like others, in every kind of call. */
#include "check.h"
#include "raw.h"

#define HIGH ((uint8_t *)0x80000000)

int main(void) {
  size_t pages = __builtin_wasm_memory_size(0);
  if (!CHECK(__builtin_wasm_memory_grow(0, 32768 + 32 - pages) == pages)) return report();
  /* The compiler must not know the address. */
  uint8_t *volatile hidden = HIGH;
  uint8_t *high = hidden;

  ERRNO(raw_clock_time_get(0, 1, high), OK);
  uint64_t time;
  memcpy(&time, high, 8);
  CHECK(time > 1600000000000000000);
  ERRNO(raw_clock_res_get(0, high + 8), OK);
  ERRNO(raw_random_get(high + 16, 64), OK);
  ERRNO(raw_args_sizes_get(high + 100, high + 104), OK);
  uint32_t count = 0;
  memcpy(&count, high + 100, 4);
  EQUAL(count, 1);
  ERRNO(raw_args_get(high + 200, high + 300), OK);
  CHECK(memcmp(high + 300, "guest", 6) == 0);
  ERRNO(raw_environ_sizes_get(high + 100, high + 104), OK);

  memcpy(high + 400, "f.txt", 5);
  ERRNO(raw_path_open(DIR, 0, high + 400, 5, 0, (int64_t)FILE_RIGHTS, 0, 0, high + 408), OK);
  uint32_t fd = 0;
  memcpy(&fd, high + 408, 4);
  EQUAL(fd, 4);
  __wasi_iovec_t into = {high + 1000, 32};
  memcpy(high + 416, &into, sizeof into);
  ERRNO(raw_fd_read(4, high + 416, 1, high + 424), OK);
  CHECK(memcmp(high + 1000, "hello", 5) == 0);
  ERRNO(raw_fd_pread(4, high + 416, 1, 1, high + 424), OK);
  CHECK(memcmp(high + 1000, "ello", 4) == 0);
  ERRNO(raw_fd_seek(4, 0, __WASI_WHENCE_SET, high + 432), OK);
  ERRNO(raw_fd_tell(4, high + 432), OK);
  ERRNO(raw_fd_filestat_get(4, high + 504), OK);
  uint64_t size = 0;
  memcpy(&size, high + 504 + 32, 8);
  EQUAL(size, 5);
  ERRNO(raw_fd_fdstat_get(4, high + 600), OK);
  EQUAL(high[600], __WASI_FILETYPE_REGULAR_FILE);
  ERRNO(raw_path_filestat_get(DIR, 0, high + 400, 5, high + 504), OK);
  ERRNO(raw_fd_prestat_get(DIR, high + 700), OK);
  ERRNO(raw_fd_prestat_dir_name(DIR, high + 704, 8), OK);
  CHECK(memcmp(high + 704, "/sandbox", 8) == 0);
  ERRNO(raw_fd_readdir(DIR, high + 2000, 1000, 0, high + 720), OK);
  ERRNO(raw_path_readlink(DIR, high + 400, 5, high + 2000, 10, high + 720), __WASI_ERRNO_INVAL);

  __wasi_subscription_t now;
  memset(&now, 0, sizeof now);
  now.userdata = 5;
  memcpy(high + 3000, &now, sizeof now);
  ERRNO(raw_poll_oneoff(high + 3000, high + 4000, 1, high + 720), OK);
  CHECK(high[4000] == 5);

  __wasi_ciovec_t from = {high + 5000, 8};
  memcpy(high + 5000, "written\n", 8);
  memcpy(high + 416, &from, sizeof from);
  ERRNO(raw_fd_write(1, high + 416, 1, high + 424), OK);

  /* Just below the end, just past it, and at the very top of the address space. */
  uint8_t *end = high + 32 * 65536;
  ERRNO(raw_random_get(end - 8, 8), OK);
  ERRNO(raw_random_get(end - 8, 9), __WASI_ERRNO_OVERFLOW);
  ERRNO(raw_clock_time_get(0, 1, end - 7), __WASI_ERRNO_OVERFLOW);
  ERRNO(raw_random_get((uint8_t *)0xfffffff8, 8), __WASI_ERRNO_OVERFLOW);
  return report();
}
