/* An absolute time in the past is an event at once. */
#include "poll.h"

int main(void) {
  static const __wasi_clockid_t ids[] = {__WASI_CLOCKID_REALTIME, __WASI_CLOCKID_MONOTONIC};
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  for (size_t i = 0; i < COUNT(ids); i++) {
    const __wasi_timestamp_t past[] = {0, 1, time_of(ids[i]) / 2, time_of(ids[i])};
    for (size_t j = 0; j < COUNT(past); j++) {
      __wasi_subscription_t in =
          timer(j, ids[i], past[j], __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
      __wasi_event_t event;
      __wasi_size_t count = 77;
      ERRNO(__wasi_poll_oneoff(&in, &event, 1, &count), OK);
      EQUAL(count, 1);
      EQUAL(event.userdata, j);
      EQUAL(event.error, OK);
    }
  }
  CHECK(time_of(__WASI_CLOCKID_MONOTONIC) - start < 5 * SECOND);
  return report();
}
