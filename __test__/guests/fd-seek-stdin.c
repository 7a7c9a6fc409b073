/* A stream has no offset: fd_seek and fd_tell on stdin, a pipe, are refused. */
#include "check.h"

int main(void) {
  __wasi_filesize_t position = 77;
  ERRNO(__wasi_fd_seek(0, 0, __WASI_WHENCE_CUR, &position), __WASI_ERRNO_SPIPE,
        __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_fd_seek(0, 1, __WASI_WHENCE_SET, &position), __WASI_ERRNO_SPIPE,
        __WASI_ERRNO_NOTCAPABLE);
  ERRNO(__wasi_fd_tell(0, &position), __WASI_ERRNO_SPIPE, __WASI_ERRNO_NOTCAPABLE);
  EQUAL(position, 77);
  __wasi_size_t length = 77;
  uint8_t byte;
  __wasi_iovec_t vector = {&byte, 1};
  ERRNO(__wasi_fd_pread(0, &vector, 1, 0, &length), __WASI_ERRNO_SPIPE, __WASI_ERRNO_NOTCAPABLE);
  return report();
}
