/* fd_readdir gives `.` and `..` and every entry with its type and the inode number that
 * path_filestat_get tells. */
#include "readdir.h"

static int dots, files, directories, links;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  char text[64];
  if (!CHECK(entry.d_namlen < sizeof text)) return;
  memcpy(text, name, entry.d_namlen);
  text[entry.d_namlen] = 0;
  CHECK(entry.d_ino != 0);
  if (same(text, ".") || same(text, "..")) {
    dots++;
    EQUAL(entry.d_type, __WASI_FILETYPE_DIRECTORY);
    if (text[1] == '.') return;
  }
  __wasi_filestat_t stat;
  if (!ERRNO(__wasi_path_filestat_get(DIR, 0, text, &stat), OK)) return;
  EQUAL(entry.d_ino, stat.ino);
  EQUAL(entry.d_type, stat.filetype);
  if (same(text, "file.txt")) files++;
  if (same(text, "directory")) directories++;
  if (same(text, "link")) links++;
}

int main(void) {
  static uint8_t buffer[4096];
  __wasi_size_t used = 0;
  __wasi_dircookie_t cookie = 0;
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  CHECK(used < sizeof buffer);
  EQUAL(each_entry(buffer, used, &cookie, each), 5);
  EQUAL(dots, 2);
  EQUAL(files, 1);
  EQUAL(directories, 1);
  EQUAL(links, 1);
  /* At the end there is nothing more, and that is no error. */
  used = 77;
  ERRNO(__wasi_fd_readdir(DIR, buffer, sizeof buffer, cookie, &used), OK);
  EQUAL(used, 0);
  return report();
}
