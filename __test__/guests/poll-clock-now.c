/* A timer of no time at all is an event at once. */
#include "poll.h"

int main(void) {
  __wasi_subscription_t in = timer(9, __WASI_CLOCKID_MONOTONIC, 0, 0);
  __wasi_event_t event;
  __wasi_size_t count = 77;
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  ERRNO(__wasi_poll_oneoff(&in, &event, 1, &count), OK);
  EQUAL(count, 1);
  EQUAL(event.userdata, 9);
  CHECK(time_of(__WASI_CLOCKID_MONOTONIC) - start < 5 * SECOND);
  return report();
}
