/* Timers due at the same moment are all reported. */
#include "poll.h"

int main(void) {
  __wasi_timestamp_t due = time_of(__WASI_CLOCKID_MONOTONIC) + 5 * MILLISECOND;
  __wasi_subscription_t in[] = {
      timer(1, __WASI_CLOCKID_MONOTONIC, due, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME),
      timer(2, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0),
      timer(3, __WASI_CLOCKID_MONOTONIC, due, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME),
  };
  __wasi_event_t out[3];
  __wasi_size_t count = 77;
  ERRNO(__wasi_poll_oneoff(in, out, 3, &count), OK);
  if (EQUAL(count, 2)) EQUAL(out[0].userdata + out[1].userdata, 4);
  return report();
}
