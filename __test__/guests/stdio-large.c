/* Writes a mebibyte in pieces of 64 KiB; each write goes through, however slow the reader is. */
#include "check.h"

static uint8_t piece[65536];

int main(void) {
  for (size_t i = 0; i < sizeof piece; i++) piece[i] = (uint8_t)('a' + i % 26);
  size_t total = 0;
  for (int turn = 0; turn < 100000 && total < 16 * sizeof piece; turn++) {
    size_t rest = 16 * sizeof piece - total, offset = total % sizeof piece;
    size_t length = sizeof piece - offset < rest ? sizeof piece - offset : rest;
    __wasi_ciovec_t from = {piece + offset, length};
    __wasi_size_t written = 0;
    int error = __wasi_fd_write(1, &from, 1, &written);
    if (error != OK) return error;
    total += written;
  }
  return total == 16 * sizeof piece ? 0 : 200;
}
