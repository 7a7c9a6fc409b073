/* What main returns is the exit code, after what atexit registered and what stdio had buffered. */
#include <stdio.h>
#include <stdlib.h>

static void last(void) { printf("last "); }

int main(void) {
  atexit(last);
  printf("buffered ");
  return 3;
}
