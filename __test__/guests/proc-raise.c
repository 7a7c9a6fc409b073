/* No signal does anything to the host: each call comes back with an errno. argv[1] is the first
 * signal's number, argv[2], if given, the last one's. */
#include "check.h"
#include "raw.h"
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc < 2) return 3;
  int32_t signal = (int32_t)strtol(argv[1], NULL, 10);
  int32_t last = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : signal;
  for (; signal <= last; signal++) {
    if (!CHECK(raw_proc_raise(signal) != OK)) {
      say_number(signal);
      say("\n");
    }
  }
  return report();
}
