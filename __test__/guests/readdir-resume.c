/* From each entry's cookie the rest of the directory follows, in any order of asking and through
 * another descriptor of the same directory as well; cookies differ. */
#include "readdir.h"

#define FILES 40
#define ENTRIES (FILES + 2)

static __wasi_dircookie_t cookies[ENTRIES];
static int numbers[ENTRIES], count;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  if (count < ENTRIES) {
    cookies[count] = entry.d_next;
    numbers[count] = number_of(name, entry.d_namlen);
  }
  count++;
}

static int expected_at;

static void compare(__wasi_dirent_t entry, const uint8_t *name) {
  if (!CHECK(expected_at < ENTRIES)) return;
  EQUAL(number_of(name, entry.d_namlen), numbers[expected_at]);
  expected_at++;
}

static uint8_t buffer[8192];

static void rest_after(__wasi_fd_t fd, int position) {
  __wasi_size_t used = 0;
  __wasi_dircookie_t last = 0;
  expected_at = position + 1;
  MUST(__wasi_fd_readdir(fd, buffer, sizeof buffer, cookies[position], &used));
  EQUAL(each_entry(buffer, used, &last, compare), ENTRIES - 1 - position);
}

int main(void) {
  __wasi_size_t used = 0;
  __wasi_dircookie_t last = 0;
  __wasi_fd_t again;
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  CHECK(used < sizeof buffer);
  if (EQUAL(each_entry(buffer, used, &last, each), ENTRIES)) {
    for (int i = 0; i < ENTRIES; i++) {
      CHECK(cookies[i] != 0);
      for (int j = 0; j < i; j++) CHECK(cookies[i] != cookies[j]);
    }
    for (int i = 0; i < ENTRIES; i++) rest_after(DIR, i);
    for (int i = ENTRIES - 1; i >= 0; i--) rest_after(DIR, i);
    for (int i = 0; i < ENTRIES; i++) rest_after(DIR, i * 17 % ENTRIES);
    MUST(__wasi_path_open(DIR, 0, ".", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR, 0, 0,
                          &again));
    MUST(__wasi_fd_readdir(again, buffer, sizeof buffer, 0, &used));
    for (int i = 0; i < ENTRIES; i++) {
      rest_after(again, i);
      rest_after(DIR, ENTRIES - 1 - i);
    }
  }
  return report();
}
