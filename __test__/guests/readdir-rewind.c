/* Cookie 0 reads the directory as it is now: a file made since the last reading is there. */
#include "readdir.h"

static int files;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  if (number_of(name, entry.d_namlen) >= 0) files++;
}

static int count_files(void) {
  static uint8_t buffer[4096];
  __wasi_size_t used = 0;
  __wasi_dircookie_t cookie = 0;
  files = 0;
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  each_entry(buffer, used, &cookie, each);
  return files;
}

int main(void) {
  EQUAL(count_files(), 0);
  make_file("file-0001", "");
  EQUAL(count_files(), 1);
  make_file("file-0002", "");
  EQUAL(count_files(), 2);
  ERRNO(__wasi_path_unlink_file(DIR, "file-0001"), OK);
  EQUAL(count_files(), 1);
  return report();
}
