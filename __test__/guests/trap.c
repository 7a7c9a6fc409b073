/* A trap reaches the caller as it is. */
#include "check.h"

int main(void) {
  say("before\n");
  __builtin_trap();
}
