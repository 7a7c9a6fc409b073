/* Names come byte for byte: the longest of 255 bytes, other scripts, spaces, a line feed. */
#include "readdir.h"

static int longest, script, odd;

static void each(__wasi_dirent_t entry, const uint8_t *name) {
  static const char greek[] = "\xce\xbb\xcf\x8c\xce\xb3\xce\xbf\xcf\x82";
  if (entry.d_namlen == 255) {
    for (size_t i = 0; i < 255; i++) {
      if (name[i] != 'n') return;
    }
    longest++;
  }
  if (entry.d_namlen == strlen(greek) && memcmp(name, greek, strlen(greek)) == 0) script++;
  if (entry.d_namlen == 5 && memcmp(name, "a \n\\*", 5) == 0) odd++;
}

int main(void) {
  static uint8_t buffer[4096];
  __wasi_size_t used = 0;
  __wasi_dircookie_t cookie = 0;
  MUST(__wasi_fd_readdir(DIR, buffer, sizeof buffer, 0, &used));
  each_entry(buffer, used, &cookie, each);
  EQUAL(longest, 1);
  EQUAL(script, 1);
  EQUAL(odd, 1);
  return report();
}
