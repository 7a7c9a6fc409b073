/* Reading of directory entries, for the guests about fd_readdir. */
#ifndef READDIR_H
#define READDIR_H

#include "check.h"

#define HEADER sizeof(__wasi_dirent_t)

/* A name of the form file-0042 as its number; -1 for any other. */
__attribute__((unused)) static int number_of(const uint8_t *name, size_t length) {
  if (length != 9 || memcmp(name, "file-", 5) != 0) return -1;
  int number = 0;
  for (size_t i = 5; i < 9; i++) {
    if (name[i] < '0' || name[i] > '9') return -1;
    number = number * 10 + name[i] - '0';
  }
  return number;
}

/* Calls `each` for the complete entries of a buffer; the number of them. `*cookie` becomes that of
 * the last. */
__attribute__((unused)) static int each_entry(const uint8_t *buffer, size_t used,
                                              __wasi_dircookie_t *cookie,
                                              void (*each)(__wasi_dirent_t, const uint8_t *)) {
  int count = 0;
  for (size_t at = 0; used - at >= HEADER;) {
    __wasi_dirent_t entry;
    memcpy(&entry, buffer + at, HEADER);
    if (used - at - HEADER < entry.d_namlen) break;
    if (each != NULL) each(entry, buffer + at + HEADER);
    *cookie = entry.d_next;
    at += HEADER + entry.d_namlen;
    count++;
  }
  return count;
}

#endif
