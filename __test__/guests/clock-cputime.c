/* The CPU clocks of process and thread advance with work, and not with sleep. */
#include "check.h"

static __wasi_timestamp_t now(__wasi_clockid_t id) {
  __wasi_timestamp_t time = 0;
  MUST(__wasi_clock_time_get(id, 1, &time));
  return time;
}

int main(void) {
  static const __wasi_clockid_t ids[] = {__WASI_CLOCKID_PROCESS_CPUTIME_ID,
                                         __WASI_CLOCKID_THREAD_CPUTIME_ID};
  for (size_t i = 0; i < COUNT(ids); i++) {
    __wasi_timestamp_t start = now(ids[i]);
    CHECK(start > 0);
    bool advanced = false;
    for (int turn = 0; turn < 10000000 && !advanced; turn++) {
      __wasi_timestamp_t next = now(ids[i]);
      if (!CHECK(next >= start)) break;
      advanced = next - start > 1000000;
    }
    CHECK(advanced);
  }

  __wasi_timestamp_t before = now(__WASI_CLOCKID_THREAD_CPUTIME_ID);
  __wasi_subscription_t sleep = {.userdata = 1};
  sleep.u.tag = __WASI_EVENTTYPE_CLOCK;
  sleep.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
  sleep.u.u.clock.timeout = 200000000;
  __wasi_event_t event;
  __wasi_size_t count = 0;
  MUST(__wasi_poll_oneoff(&sleep, &event, 1, &count));
  CHECK(now(__WASI_CLOCKID_THREAD_CPUTIME_ID) - before < 150000000);
  return report();
}
