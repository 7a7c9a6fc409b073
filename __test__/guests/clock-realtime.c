/* The realtime clock tells nanoseconds since 1970, finer than a microsecond.
 * argv[1] is the host's time in seconds when the guest was started. */
#include "check.h"

int main(int argc, char **argv) {
  if (argc < 2) return 3;
  int64_t started = 0;
  for (const char *at = argv[1]; *at >= '0' && *at <= '9'; at++) started = started * 10 + *at - '0';
  CHECK(started > 1600000000);

  bool finer = false;
  for (int i = 0; i < 1000; i++) {
    __wasi_timestamp_t now = 0;
    MUST(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &now));
    int64_t late = (int64_t)(now / 1000000000) - started;
    if (!CHECK(late >= -5 && late <= 120)) break;
    if (now % 1000 != 0) finer = true;
  }
  CHECK(finer);
  __wasi_timestamp_t now = 0;
  ERRNO(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &now), OK);
  ERRNO(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, UINT64_MAX, &now), OK);
  return report();
}
