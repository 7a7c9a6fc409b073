/* A regular file is ready to be read and written at once, beside a timer that is not due. */
#include "poll.h"

int main(void) {
  int fd = open_file("f.txt", 0, 0);
  if (fd < 0) return report();
  __wasi_subscription_t in[] = {
      timer(1, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
      ready(2, __WASI_EVENTTYPE_FD_READ, (__wasi_fd_t)fd),
      ready(3, __WASI_EVENTTYPE_FD_WRITE, (__wasi_fd_t)fd),
  };
  __wasi_event_t out[3];
  __wasi_size_t count = 77;
  ERRNO(__wasi_poll_oneoff(in, out, 3, &count), OK);
  if (EQUAL(count, 2)) {
    bool read_first = out[0].userdata == 2;
    const __wasi_event_t *reading = read_first ? &out[0] : &out[1];
    const __wasi_event_t *writing = read_first ? &out[1] : &out[0];
    EQUAL(reading->userdata, 2);
    EQUAL(reading->type, __WASI_EVENTTYPE_FD_READ);
    EQUAL(reading->error, OK);
    EQUAL(reading->fd_readwrite.nbytes, 5);
    EQUAL(writing->userdata, 3);
    EQUAL(writing->type, __WASI_EVENTTYPE_FD_WRITE);
    EQUAL(writing->error, OK);
  }
  return report();
}
