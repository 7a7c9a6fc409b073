/* Ends with the code in argv[1], by proc_exit, from below main; nothing after it runs. */
#include "check.h"
#include <stdlib.h>

static _Noreturn void leave(int code, int depth) {
  if (depth > 0) leave(code, depth - 1);
  __wasi_proc_exit((__wasi_exitcode_t)code);
}

int main(int argc, char **argv) {
  say("before\n");
  leave(argc > 1 ? atoi(argv[1]) : 99, 50);
}
