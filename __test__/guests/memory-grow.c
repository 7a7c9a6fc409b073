/* The memory grows between calls; each call sees it as large as it is, the old part and the new. */
#include "check.h"

int main(void) {
  static char old[] = "old";
  for (int turn = 0; turn < 20; turn++) {
    size_t pages = __builtin_wasm_memory_grow(0, turn % 3 == 0 ? 20 : 1);
    if (!CHECK(pages != SIZE_MAX)) return report();
    uint8_t *fresh = (uint8_t *)(pages * 65536);
    uint8_t *end = (uint8_t *)(__builtin_wasm_memory_size(0) * 65536);

    MUST(__wasi_random_get(end - 32, 32));
    uint8_t any = 0;
    for (int i = 0; i < 32; i++) any |= end[i - 32];
    CHECK(any != 0);

    /* The vector, the text and the result all lie in the new part. */
    memcpy(fresh + 64, "new\n", 4);
    __wasi_ciovec_t *vectors = (__wasi_ciovec_t *)fresh;
    vectors[0] = (__wasi_ciovec_t){(uint8_t *)old, 3};
    vectors[1] = (__wasi_ciovec_t){fresh + 64, 4};
    __wasi_size_t *written = (__wasi_size_t *)(fresh + 32);
    MUST(__wasi_fd_write(2, vectors, 2, written));
    EQUAL(*written, 7);
  }
  return report();
}
