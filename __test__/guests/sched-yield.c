/* sched_yield comes back with success. */
#include "check.h"

int main(void) {
  for (int i = 0; i < 1000; i++) {
    if (!ERRNO(__wasi_sched_yield(), OK)) break;
  }
  return report();
}
