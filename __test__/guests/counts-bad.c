/* Counts of vectors and subscriptions whose size in bytes wraps at 2^32, or just is too much. */
#include "check.h"
#include "raw.h"

#define OVER(call) ERRNO(call, __WASI_ERRNO_OVERFLOW, __WASI_ERRNO_INVAL)

int main(void) {
  static uint8_t scratch[64];
  static const uint32_t counts[] = {0x20000000, 0x20000001, 0x40000000, 0x80000000, 0x05555556,
                                    0x0aaaaaab, 0x08000000, 0xffffffff, 0x7fffffff};
  const __wasi_iovec_t *none = (const __wasi_iovec_t *)scratch;
  for (size_t i = 0; i < COUNT(counts); i++) {
    OVER(raw_fd_read(0, none, counts[i], scratch + 32));
    OVER(raw_fd_write(2, none, counts[i], scratch + 32));
    OVER(raw_fd_pread(0, none, counts[i], 0, scratch + 32));
    OVER(raw_fd_pwrite(2, none, counts[i], 0, scratch + 32));
    OVER(raw_poll_oneoff(scratch, scratch, counts[i], scratch + 32));
  }
  return report();
}
