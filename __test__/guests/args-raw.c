/* args_get fills exactly the sizes that args_sizes_get told, string after string, and no more. */
#include "check.h"

int main(void) {
  __wasi_size_t count = 77, size = 77;
  MUST(__wasi_args_sizes_get(&count, &size));
  EQUAL(count, 3);
  EQUAL(size, sizeof "guest" + sizeof "" + sizeof "gr\xc3\xbc\xc3\x9f");

  uint8_t *argv[5];
  uint8_t buffer[64];
  memset(argv, 0xa5, sizeof argv);
  memset(buffer, 0xa5, sizeof buffer);
  MUST(__wasi_args_get(argv + 1, buffer + 8));
  CHECK((uintptr_t)argv[0] == 0xa5a5a5a5 && (uintptr_t)argv[4] == 0xa5a5a5a5);
  for (size_t i = 0; i < 8; i++) EQUAL(buffer[i], 0xa5);
  for (size_t i = 8 + size; i < sizeof buffer; i++) EQUAL(buffer[i], 0xa5);
  CHECK(argv[1] == buffer + 8);
  CHECK(same((char *)argv[1], "guest"));
  CHECK(argv[2] == argv[1] + sizeof "guest");
  CHECK(same((char *)argv[2], ""));
  CHECK(argv[3] == argv[2] + 1);
  CHECK(same((char *)argv[3], "gr\xc3\xbc\xc3\x9f"));
  return report();
}
