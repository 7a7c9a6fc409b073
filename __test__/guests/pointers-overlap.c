/* Buffers that overlap each other, their own vectors, or the place of the result: the call ends
 * with success, and the result is what stands in its place. */
#include "check.h"
#include "raw.h"

int main(void) {
  int file = open_file("digits.txt", 0, 0);
  if (file < 0) return report();
  uint32_t length = 77;

  /* Two vectors over the same bytes. */
  uint8_t bytes[8] = {0};
  const __wasi_iovec_t same_place[] = {{bytes, 4}, {bytes + 2, 4}};
  ERRNO(raw_fd_pread(file, same_place, 2, 0, &length), OK);
  EQUAL(length, 8);
  CHECK(memcmp(bytes + 2, "4567", 4) == 0);

  /* A vector over the list of vectors. */
  __wasi_iovec_t itself[2];
  itself[0] = (__wasi_iovec_t){(uint8_t *)itself, sizeof itself};
  itself[1] = (__wasi_iovec_t){bytes, 4};
  ERRNO(raw_fd_pread(file, itself, 2, 0, &length), OK);
  EQUAL(length, 10);
  CHECK(memcmp(itself, "0123456789", 10) == 0);

  /* The result over what was read, and over the list. */
  uint32_t place[4] = {0};
  const __wasi_iovec_t one = {(uint8_t *)place, 10};
  ERRNO(raw_fd_pread(file, &one, 1, 0, place), OK);
  EQUAL(place[0], 10);
  CHECK(memcmp(place + 1, "456789", 6) == 0);
  __wasi_iovec_t list = {bytes, 4};
  ERRNO(raw_fd_pread(file, &list, 1, 0, &list), OK);
  uint32_t first;
  memcpy(&first, &list, 4);
  EQUAL(first, 4);

  /* The same bytes written twice. */
  int out = open_file("out.txt", __WASI_OFLAGS_CREAT, 0);
  const __wasi_ciovec_t twice[] = {{(const uint8_t *)"ab", 2}, {(const uint8_t *)"ab", 2}};
  ERRNO(raw_fd_write(out, twice, 2, &length), OK);
  CHECK(same(content(out), "abab"));
  return report();
}
