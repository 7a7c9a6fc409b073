/* A buffer shorter than the link's text gets as much as fits, and no byte after it. */
#include "check.h"

int main(void) {
  static const char target[] = "some/where/else";
  for (size_t size = 0; size <= sizeof target; size++) {
    uint8_t text[32];
    memset(text, 0xa5, sizeof text);
    __wasi_size_t used = 77;
    size_t want = size < strlen(target) ? size : strlen(target);
    ERRNO(__wasi_path_readlink(DIR, "link", text + 4, size, &used), OK);
    EQUAL(used, want);
    CHECK(memcmp(text + 4, target, want) == 0);
    for (size_t i = 0; i < 4; i++) EQUAL(text[i], 0xa5);
    for (size_t i = 4 + want; i < sizeof text; i++) EQUAL(text[i], 0xa5);
  }
  return report();
}
