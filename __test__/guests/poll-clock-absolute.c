/* An absolute time still to come is waited for, on the realtime and the monotonic clock. */
#include "poll.h"

static void waits(__wasi_clockid_t id) {
  const __wasi_timestamp_t span = 30 * MILLISECOND;
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  __wasi_subscription_t in =
      timer(7, id, time_of(id) + span, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
  __wasi_event_t event;
  __wasi_size_t count = 77;
  memset(&event, 0xa5, sizeof event);
  ERRNO(__wasi_poll_oneoff(&in, &event, 1, &count), OK);
  __wasi_timestamp_t passed = time_of(__WASI_CLOCKID_MONOTONIC) - start;
  EQUAL(count, 1);
  EQUAL(event.userdata, 7);
  EQUAL(event.error, OK);
  EQUAL(event.type, __WASI_EVENTTYPE_CLOCK);
  /* The two clocks may run apart by a little; the upper bound is for a busy machine. */
  CHECK(passed >= span - MILLISECOND);
  CHECK(passed < span + 5 * SECOND);
}

int main(void) {
  waits(__WASI_CLOCKID_MONOTONIC);
  waits(__WASI_CLOCKID_REALTIME);
  return report();
}
