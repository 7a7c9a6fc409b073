/* Files that go while a directory is read: each file that stays comes exactly once, none comes
 * twice, and the reading ends. A directory can be emptied entry by entry. */
#include "readdir.h"

#define FILES 300

static uint8_t buffer[256];
static int times[FILES];
static int victims[16], victim_count;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  int number = number_of(name, entry.d_namlen);
  if (number < 0 || number >= FILES) return;
  times[number]++;
  if (number % 3 == 0 && victim_count < 16) victims[victim_count++] = number;
}

static void every(__wasi_dirent_t entry, const uint8_t *name) {
  int number = number_of(name, entry.d_namlen);
  if (number >= 0 && victim_count < 16) victims[victim_count++] = number;
}

static void unlink_victims(void) {
  for (int i = 0; i < victim_count; i++) {
    char name[] = "file-0000";
    for (int at = 8, rest = victims[i]; at > 4; at--, rest /= 10)
      name[at] = (char)('0' + rest % 10);
    ERRNO(__wasi_path_unlink_file(DIR, name), OK);
  }
  victim_count = 0;
}

int main(void) {
  __wasi_dircookie_t cookie = 0;
  __wasi_size_t used = sizeof buffer;
  int turns = 0;
  for (; used == sizeof buffer && turns < 10 * FILES; turns++) {
    MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, cookie, &used));
    each_entry(buffer, used, &cookie, each);
    unlink_victims();
  }
  CHECK(turns < 10 * FILES);
  for (int i = 0; i < FILES; i++) EQUAL(times[i], 1);

  /* Again from the start: what was removed is not there, what stayed is. */
  memset(times, 0, sizeof times);
  cookie = 0;
  used = sizeof buffer;
  for (turns = 0; used == sizeof buffer && turns < 10 * FILES; turns++) {
    MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, cookie, &used));
    each_entry(buffer, used, &cookie, each);
    victim_count = 0;
  }
  for (int i = 0; i < FILES; i++) EQUAL(times[i], i % 3 != 0);

  cookie = 0;
  used = sizeof buffer;
  for (turns = 0; used == sizeof buffer && turns < 10 * FILES; turns++) {
    MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, cookie, &used));
    each_entry(buffer, used, &cookie, every);
    unlink_victims();
  }
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  EQUAL(each_entry(buffer, used, &cookie, NULL), 2);
  return report();
}
