/* Streams, files and timers in one call: all that is ready, each with its own userdata. */
#include "poll.h"

int main(void) {
  int fd = open_file("f.txt", 0, 0);
  if (fd < 0) return report();
  __wasi_subscription_t in[] = {
      ready(10, __WASI_EVENTTYPE_FD_WRITE, 1),
      timer(11, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
      ready(12, __WASI_EVENTTYPE_FD_READ, 0),
      ready(13, __WASI_EVENTTYPE_FD_WRITE, 2),
      ready(14, __WASI_EVENTTYPE_FD_READ, (__wasi_fd_t)fd),
      ready(15, __WASI_EVENTTYPE_FD_WRITE, (__wasi_fd_t)fd),
      ready(16, __WASI_EVENTTYPE_FD_WRITE, 1),
  };
  __wasi_event_t out[COUNT(in)];
  __wasi_size_t count = 77;
  ERRNO(__wasi_poll_oneoff(in, out, COUNT(in), &count), OK);
  EQUAL(count, 6);
  uint32_t seen = 0;
  for (size_t i = 0; i < count && i < COUNT(out); i++) {
    if (!CHECK(out[i].userdata >= 10 && out[i].userdata <= 16)) continue;
    seen |= 1u << (out[i].userdata - 10);
    EQUAL(out[i].error, OK);
    EQUAL(out[i].type, in[out[i].userdata - 10].u.tag);
  }
  EQUAL(seen, 0x7d);
  return report();
}
