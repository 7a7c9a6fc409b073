/* Says that it waits, and waits for a minute. The test ends its thread long before. */
#include "poll.h"

int main(void) {
  __wasi_subscription_t in = timer(1, __WASI_CLOCKID_MONOTONIC, 60 * SECOND, 0);
  __wasi_event_t event;
  __wasi_size_t count;
  say("waiting\n");
  MUST(__wasi_poll_oneoff(&in, &event, 1, &count));
  say("waited to the end\n");
  return 0;
}
