/* stdin whose writer is gone is ready, with the hang-up flag, and reads its end. */
#include "poll.h"

int main(void) {
  __wasi_subscription_t in[] = {
      ready(1, __WASI_EVENTTYPE_FD_READ, 0),
      timer(2, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
  };
  __wasi_event_t out[2];
  __wasi_size_t count = 77;
  memset(out, 0xa5, sizeof out);
  ERRNO(__wasi_poll_oneoff(in, out, 2, &count), OK);
  EQUAL(count, 1);
  EQUAL(out[0].userdata, 1);
  EQUAL(out[0].error, OK);
  EQUAL(out[0].type, __WASI_EVENTTYPE_FD_READ);
  EQUAL(out[0].fd_readwrite.nbytes, 0);
  CHECK((out[0].fd_readwrite.flags & __WASI_EVENTRWFLAGS_FD_READWRITE_HANGUP) != 0);
  char text[8];
  EQUAL(get(0, text, sizeof text), 0);
  return report();
}
