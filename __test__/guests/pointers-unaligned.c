/* No pointer needs to be aligned: records are read and written whole at odd addresses. */
#include "check.h"
#include "raw.h"

static uint8_t space[512];

static uint64_t at8(size_t offset) {
  uint64_t value;
  memcpy(&value, space + offset, 8);
  return value;
}

static void intact(size_t from, size_t length) {
  for (size_t i = 0; i < sizeof space; i++) {
    if (i >= from && i < from + length) continue;
    if (!CHECK(space[i] == 0xa5)) return;
  }
}

#define CLEAR memset(space, 0xa5, sizeof space)

int main(void) {
  int file = open_file("f.txt", 0, 0);
  if (file < 0) return report();
  CLEAR;
  ERRNO(raw_clock_time_get(0, 1, space + 33), OK);
  intact(33, 8);
  CLEAR;
  ERRNO(raw_fd_filestat_get(file, space + 33), OK);
  EQUAL(at8(33 + 32), 5);
  intact(33, 64);
  CLEAR;
  ERRNO(raw_fd_fdstat_get(file, space + 33), OK);
  EQUAL(at8(33 + 8), FILE_RIGHTS);
  intact(33, 24);
  CLEAR;
  ERRNO(raw_fd_tell(file, space + 33), OK);
  EQUAL(at8(33), 0);
  intact(33, 8);
  CLEAR;
  ERRNO(raw_fd_prestat_get(DIR, space + 33), OK);
  intact(33, 8);
  CLEAR;
  ERRNO(raw_args_sizes_get(space + 33, space + 37), OK);
  intact(33, 8);

  CLEAR;
  __wasi_ciovec_t from = {(const uint8_t *)"xyz", 3};
  memcpy(space + 101, &from, sizeof from);
  ERRNO(raw_fd_pwrite(file, space + 101, 1, 5, space + 33), OK);
  uint32_t written;
  memcpy(&written, space + 33, 4);
  EQUAL(written, 3);
  CHECK(same(content(file), "helloxyz"));

  CLEAR;
  __wasi_subscription_t now;
  memset(&now, 0, sizeof now);
  now.userdata = 0x1122334455667788;
  memcpy(space + 101, &now, sizeof now);
  ERRNO(raw_poll_oneoff(space + 101, space + 201, 1, space + 33), OK);
  EQUAL(at8(201), 0x1122334455667788);
  return report();
}
