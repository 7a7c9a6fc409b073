/* A thousand subscriptions in one call. */
#include "poll.h"

#define MANY 1000

int main(void) {
  static __wasi_subscription_t in[MANY];
  static __wasi_event_t out[MANY];
  for (size_t i = 0; i < MANY; i++) {
    in[i] = i % 2 == 0 ? ready(i, __WASI_EVENTTYPE_FD_WRITE, 1)
                       : timer(i, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0);
  }
  __wasi_size_t count = 77;
  ERRNO(__wasi_poll_oneoff(in, out, MANY, &count), OK);
  EQUAL(count, MANY / 2);
  for (size_t i = 0; i < count && i < MANY; i++) CHECK(out[i].userdata % 2 == 0);
  return report();
}
