/* A socket that is stdin and stderr can be read and written with fd_read and fd_write as well. */
#include "check.h"

int main(void) {
  char text[16];
  size_t length = 0;
  for (int turn = 0; turn < 10 && length < 10; turn++) {
    int more = get(0, text + length, sizeof text - length);
    if (!CHECK(more > 0)) return report();
    length += (size_t)more;
  }
  CHECK(same(text, "0123456789"));
  EQUAL(put(2, "answer"), 6);
  __wasi_filesize_t position;
  ERRNO(__wasi_fd_seek(0, 0, __WASI_WHENCE_CUR, &position), __WASI_ERRNO_SPIPE,
        __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_sock_shutdown(0, __WASI_SDFLAGS_RD | __WASI_SDFLAGS_WR), OK);
  EQUAL(get(0, text, sizeof text), 0);
  return report();
}
