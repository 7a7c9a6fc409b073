/* What is no socket is refused by the sock_ calls: a pipe, a file, a directory. */
#include "check.h"

int main(void) {
  int file = open_file("f.txt", 0, 0);
  if (file < 0) return report();
  uint8_t bytes[8] = "bytes";
  const __wasi_iovec_t into = {bytes, sizeof bytes};
  const __wasi_ciovec_t from = {bytes, sizeof bytes};
  const __wasi_fd_t none[] = {0, (__wasi_fd_t)file, DIR};
  for (size_t i = 0; i < COUNT(none); i++) {
    __wasi_size_t length = 77;
    __wasi_roflags_t roflags = 77;
    __wasi_fd_t accepted = 77;
    ERRNO(__wasi_sock_recv(none[i], &into, 1, 0, &length, &roflags), __WASI_ERRNO_NOTSOCK);
    ERRNO(__wasi_sock_send(none[i], &from, 1, 0, &length), __WASI_ERRNO_NOTSOCK);
    ERRNO(__wasi_sock_shutdown(none[i], __WASI_SDFLAGS_WR), __WASI_ERRNO_NOTSOCK);
    ERRNO(__wasi_sock_accept(none[i], 0, &accepted), __WASI_ERRNO_NOTSOCK, __WASI_ERRNO_NOTCAPABLE);
    EQUAL(length, 77);
    EQUAL(accepted, 77);
  }
  EQUAL(size_of("f.txt"), 5);
  return report();
}
