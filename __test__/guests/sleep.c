/* The C library's sleep functions and clocks agree with each other. */
#include "check.h"
#include <time.h>
#include <unistd.h>

int main(void) {
  struct timespec before, after, span = {0, 20000000};
  EQUAL(clock_gettime(CLOCK_MONOTONIC, &before), 0);
  EQUAL(nanosleep(&span, NULL), 0);
  EQUAL(usleep(1000), 0);
  EQUAL(clock_gettime(CLOCK_MONOTONIC, &after), 0);
  int64_t passed =
      (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
  CHECK(passed >= 20000000 && passed < 5000000000);
  CHECK(time(NULL) > 1600000000);
  return report();
}
