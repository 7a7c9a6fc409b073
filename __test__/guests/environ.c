/* The environment is the `env` option's entries, in order, as NAME=value. */
#include "check.h"

extern char **environ;

int main(void) {
  for (char **at = environ; *at != NULL; at++) {
    say("[");
    say(*at);
    say("]\n");
  }
  return report();
}
