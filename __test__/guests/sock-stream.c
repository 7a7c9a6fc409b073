/* sock_recv and sock_send on a stream socket that is stdin and stderr: peeking, several vectors, waiting for
 * all, shutting down, the end. The peer sends "0123456789", and then its end after it has ours. */
#include "check.h"

int main(void) {
  uint8_t a[4], b[8];
  const __wasi_iovec_t two[] = {{a, 2}, {b, 3}};
  __wasi_size_t length = 77;
  __wasi_roflags_t roflags = 77;
  __wasi_fdstat_t stat;
  MUST(__wasi_fd_fdstat_get(0, &stat));
  EQUAL(stat.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);

  ERRNO(__wasi_sock_recv(0, two, 2, __WASI_RIFLAGS_RECV_PEEK | __WASI_RIFLAGS_RECV_WAITALL, &length,
                         &roflags),
        OK);
  EQUAL(length, 5);
  EQUAL(roflags, 0);
  CHECK(memcmp(a, "01", 2) == 0 && memcmp(b, "234", 3) == 0);
  memset(a, 0, sizeof a);
  memset(b, 0, sizeof b);
  ERRNO(__wasi_sock_recv(0, two, 2, __WASI_RIFLAGS_RECV_WAITALL, &length, &roflags), OK);
  EQUAL(length, 5);
  CHECK(memcmp(a, "01", 2) == 0 && memcmp(b, "234", 3) == 0);
  const __wasi_iovec_t all = {b, 5};
  ERRNO(__wasi_sock_recv(0, &all, 1, __WASI_RIFLAGS_RECV_WAITALL, &length, &roflags), OK);
  EQUAL(length, 5);
  CHECK(memcmp(b, "56789", 5) == 0);

  const __wasi_ciovec_t answer[] = {{(const uint8_t *)"ans", 3}, {(const uint8_t *)"wer", 3}};
  ERRNO(__wasi_sock_send(2, answer, 2, 0, &length), OK);
  EQUAL(length, 6);
  ERRNO(__wasi_sock_shutdown(0, 0), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_sock_shutdown(0, 4), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_sock_shutdown(0, __WASI_SDFLAGS_WR), OK);
  length = 77;
  ERRNO(__wasi_sock_send(2, answer, 2, 0, &length), __WASI_ERRNO_PIPE);

  /* The peer has ended: nothing more, and no error. */
  ERRNO(__wasi_sock_recv(0, &all, 1, 0, &length, &roflags), OK);
  EQUAL(length, 0);
  return report();
}
