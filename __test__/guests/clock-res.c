/* Each of the four clocks has a resolution between 1 ns and 1 s; another id is refused. */
#include "check.h"

int main(void) {
  for (__wasi_clockid_t id = 0; id < 4; id++) {
    __wasi_timestamp_t resolution = 0;
    ERRNO(__wasi_clock_res_get(id, &resolution), OK);
    CHECK(resolution >= 1 && resolution <= 1000000000);
  }
  static const __wasi_clockid_t unknown[] = {4, 5, 11, 0x7fffffff, 0x80000000, 0xffffffff};
  for (size_t i = 0; i < COUNT(unknown); i++) {
    __wasi_timestamp_t untouched = 77;
    ERRNO(__wasi_clock_res_get(unknown[i], &untouched), __WASI_ERRNO_INVAL);
    ERRNO(__wasi_clock_time_get(unknown[i], 1, &untouched), __WASI_ERRNO_INVAL);
    EQUAL(untouched, 77);
  }
  return report();
}
