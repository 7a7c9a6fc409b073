/* No arguments at all is a success with nothing written. */
#include "check.h"

int main(void) {
  __wasi_size_t count = 77, size = 77;
  ERRNO(__wasi_args_sizes_get(&count, &size), OK);
  EQUAL(count, 0);
  EQUAL(size, 0);
  uint8_t *argv[1] = {(uint8_t *)0xa5a5a5a5};
  uint8_t buffer[1] = {0xa5};
  ERRNO(__wasi_args_get(argv, buffer), OK);
  CHECK((uintptr_t)argv[0] == 0xa5a5a5a5);
  EQUAL(buffer[0], 0xa5);
  return report();
}
