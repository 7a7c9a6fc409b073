/* Says that it reads, and reads from a pipe that nobody writes to. The test ends its thread. */
#include "check.h"

int main(void) {
  char text[8];
  say("waiting\n");
  EQUAL(get(0, text, sizeof text), 0);
  say("waited to the end\n");
  return 0;
}
