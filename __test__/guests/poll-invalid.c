/* No subscription at all, or one of no known kind, is INVAL. */
#include "poll.h"

int main(void) {
  __wasi_event_t event;
  __wasi_size_t count = 77;
  __wasi_subscription_t one = ready(5, 9, 1);
  ERRNO(__wasi_poll_oneoff(&one, &event, 0, &count), __WASI_ERRNO_INVAL);
  ERRNO(__wasi_poll_oneoff(&one, &event, 1, &count), __WASI_ERRNO_INVAL);
  return report();
}
