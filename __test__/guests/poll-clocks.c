/* Several timers: the first due ends the wait, and only what is due is reported. */
#include "poll.h"

int main(void) {
  __wasi_subscription_t in[] = {
      timer(100, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
      timer(101, __WASI_CLOCKID_REALTIME, 10 * MILLISECOND, 0),
      timer(102, __WASI_CLOCKID_MONOTONIC, 30 * SECOND, 0),
  };
  __wasi_event_t out[3];
  __wasi_size_t count = 77;
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  ERRNO(__wasi_poll_oneoff(in, out, 3, &count), OK);
  EQUAL(count, 1);
  EQUAL(out[0].userdata, 101);
  CHECK(time_of(__WASI_CLOCKID_MONOTONIC) - start >= 9 * MILLISECOND);
  return report();
}
