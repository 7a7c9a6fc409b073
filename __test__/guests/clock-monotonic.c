/* The monotonic clock never goes back, does not stand still, and counts nanoseconds. */
#include "check.h"

static __wasi_timestamp_t now(void) {
  __wasi_timestamp_t time = 0;
  MUST(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time));
  return time;
}

int main(void) {
  __wasi_timestamp_t first = now(), last = first;
  bool finer = false;
  for (int i = 0; i < 10000; i++) {
    __wasi_timestamp_t next = now();
    if (!CHECK(next >= last)) break;
    if (next % 1000 != 0) finer = true;
    last = next;
  }
  CHECK(last > first);
  CHECK(finer);
  /* 10,000 calls take microseconds to milliseconds: a clock in another unit would be off by far. */
  CHECK(last - first > 10000);
  CHECK(last - first < 20000000000);
  return report();
}
