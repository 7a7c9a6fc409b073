/* The C library's argv holds the arguments, in order and byte for byte. */
#include "check.h"

int main(int argc, char **argv) {
  say_number(argc);
  say("\n");
  for (int i = 0; i < argc; i++) {
    say("[");
    say(argv[i]);
    say("]\n");
  }
  CHECK(argv[argc] == NULL);
  return report();
}
