/* stdin with a writer that writes nothing is not ready: the timer ends the wait. */
#include "poll.h"

int main(void) {
  __wasi_subscription_t in[] = {
      ready(1, __WASI_EVENTTYPE_FD_READ, 0),
      timer(2, __WASI_CLOCKID_MONOTONIC, 150 * MILLISECOND, 0),
  };
  __wasi_event_t out[2];
  __wasi_size_t count = 77;
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  ERRNO(__wasi_poll_oneoff(in, out, 2, &count), OK);
  EQUAL(count, 1);
  EQUAL(out[0].userdata, 2);
  EQUAL(out[0].type, __WASI_EVENTTYPE_CLOCK);
  CHECK(time_of(__WASI_CLOCKID_MONOTONIC) - start >= 149 * MILLISECOND);
  return report();
}
