/* stdin is a listening socket: a connection is waited for with poll_oneoff, accepted as a new
 * descriptor, and answered; without one, accepting without waiting is AGAIN. */
#include "poll.h"

int main(void) {
  __wasi_fd_t peer = 77;
  MUST(__wasi_fd_fdstat_set_flags(0, __WASI_FDFLAGS_NONBLOCK));
  __wasi_subscription_t in[] = {
      ready(1, __WASI_EVENTTYPE_FD_READ, 0),
      timer(2, __WASI_CLOCKID_MONOTONIC, 10 * SECOND, 0),
  };
  __wasi_event_t out[2];
  __wasi_size_t count = 0;
  MUST(__wasi_poll_oneoff(in, out, 2, &count));
  EQUAL(out[0].userdata, 1);
  MUST(__wasi_sock_accept(0, 0, &peer));
  EQUAL(peer, 4);
  __wasi_fd_t second = 77;
  ERRNO(__wasi_sock_accept(0, 0, &second), __WASI_ERRNO_AGAIN);
  EQUAL(second, 77);

  __wasi_fdstat_t stat;
  MUST(__wasi_fd_fdstat_get(peer, &stat));
  EQUAL(stat.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);
  EQUAL(stat.fs_flags, 0);
  char text[16];
  size_t length = 0;
  for (int turn = 0; turn < 5 && length < 5; turn++) {
    int more = get((int)peer, text + length, sizeof text - length);
    if (!CHECK(more > 0)) return report();
    length += (size_t)more;
  }
  CHECK(same(text, "hello"));
  EQUAL(put((int)peer, "accepted"), 8);
  ERRNO(__wasi_fd_close(peer), OK);
  ERRNO(__wasi_fd_close(peer), __WASI_ERRNO_BADF);
  return report();
}
