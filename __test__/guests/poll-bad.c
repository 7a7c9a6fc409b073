/* A descriptor that is not open is an event with BADF, beside what else is ready; no subscription
 * at all, or one of no known kind, is INVAL. */
#include "poll.h"

int main(void) {
  __wasi_event_t out[2];
  __wasi_size_t count = 77;
  __wasi_subscription_t one = ready(5, __WASI_EVENTTYPE_FD_READ, 99);
  memset(out, 0, sizeof out);
  ERRNO(__wasi_poll_oneoff(&one, out, 1, &count), OK);
  EQUAL(count, 1);
  EQUAL(out[0].userdata, 5);
  EQUAL(out[0].error, __WASI_ERRNO_BADF);
  EQUAL(out[0].type, __WASI_EVENTTYPE_FD_READ);

  __wasi_subscription_t two[] = {timer(6, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
                                 ready(7, __WASI_EVENTTYPE_FD_WRITE, 0xffffffff)};
  ERRNO(__wasi_poll_oneoff(two, out, 2, &count), OK);
  EQUAL(count, 1);
  EQUAL(out[0].userdata, 7);
  EQUAL(out[0].error, __WASI_ERRNO_BADF);
  return report();
}
