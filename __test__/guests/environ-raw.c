/* environ_get fills exactly the sizes that environ_sizes_get told. */
#include "check.h"

int main(void) {
  __wasi_size_t count = 77, size = 77;
  MUST(__wasi_environ_sizes_get(&count, &size));
  EQUAL(count, 2);
  EQUAL(size, sizeof "A=1" + sizeof "EMPTY=");
  uint8_t *environ[4];
  uint8_t buffer[32];
  memset(environ, 0xa5, sizeof environ);
  memset(buffer, 0xa5, sizeof buffer);
  MUST(__wasi_environ_get(environ + 1, buffer + 4));
  CHECK((uintptr_t)environ[0] == 0xa5a5a5a5 && (uintptr_t)environ[3] == 0xa5a5a5a5);
  for (size_t i = 0; i < 4; i++) EQUAL(buffer[i], 0xa5);
  for (size_t i = 4 + size; i < sizeof buffer; i++) EQUAL(buffer[i], 0xa5);
  CHECK(environ[1] == buffer + 4);
  CHECK(same((char *)environ[1], "A=1"));
  CHECK(environ[2] == environ[1] + sizeof "A=1");
  CHECK(same((char *)environ[2], "EMPTY="));
  return report();
}
