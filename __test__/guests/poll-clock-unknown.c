/* A timer on a clock that does not exist fails, as a call or as an event, and does not wait. */
#include "poll.h"

int main(void) {
  __wasi_timestamp_t start = time_of(__WASI_CLOCKID_MONOTONIC);
  static const __wasi_clockid_t unknown[] = {4, 11, 0xffffffff};
  for (size_t i = 0; i < COUNT(unknown); i++) {
    __wasi_subscription_t in = timer(5, unknown[i], SECOND, 0);
    __wasi_event_t event;
    __wasi_size_t count = 77;
    memset(&event, 0, sizeof event);
    int error = __wasi_poll_oneoff(&in, &event, 1, &count);
    if (error == OK) {
      EQUAL(count, 1);
      EQUAL(event.userdata, 5);
      error = event.error;
    }
    ERRNO(error, __WASI_ERRNO_INVAL, __WASI_ERRNO_NOTSUP, __WASI_ERRNO_BADF);
  }
  CHECK(time_of(__WASI_CLOCKID_MONOTONIC) - start < SECOND);
  return report();
}
