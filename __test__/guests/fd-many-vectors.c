/* 3,000 vectors, more than the host's own limit for one call, arrive in order and complete when
 * the guest goes on where a short write or read stopped. */
#include "check.h"

#define VECTORS 3000
static uint8_t out[VECTORS * 3], in[VECTORS * 3];

int main(void) {
  int fd = open_file("out.bin", __WASI_OFLAGS_CREAT, 0);
  if (fd < 0) return report();
  for (size_t i = 0; i < sizeof out; i++) out[i] = (uint8_t)(i * 7 + i / 251);

  static __wasi_ciovec_t from[VECTORS];
  static __wasi_iovec_t into[VECTORS];
  for (size_t i = 0; i < VECTORS; i++) {
    from[i] = (__wasi_ciovec_t){out + 3 * i, 3};
    into[i] = (__wasi_iovec_t){in + 3 * i, 3};
  }

  size_t done = 0;
  for (int turn = 0; turn < VECTORS && done < sizeof out; turn++) {
    __wasi_size_t count = 0;
    MUST(__wasi_fd_write((__wasi_fd_t)fd, from + done / 3, VECTORS - done / 3, &count));
    if (!CHECK(count > 0 && count % 3 == 0)) return report();
    done += count;
  }
  EQUAL(done, sizeof out);
  EQUAL(size_of("out.bin"), sizeof out);

  done = 0;
  for (int turn = 0; turn < VECTORS && done < sizeof in; turn++) {
    __wasi_size_t count = 0;
    MUST(__wasi_fd_pread((__wasi_fd_t)fd, into + done / 3, VECTORS - done / 3, done, &count));
    if (!CHECK(count > 0 && count % 3 == 0)) return report();
    done += count;
  }
  CHECK(memcmp(in, out, sizeof out) == 0);
  return report();
}
