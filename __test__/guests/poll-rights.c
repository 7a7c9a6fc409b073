/* A descriptor without the right to be polled is an event, or a call, with NOTCAPABLE. */
#include "poll.h"

int main(void) {
  int fd = open_file("f.txt", 0, 0);
  if (fd < 0) return report();
  MUST(__wasi_fd_fdstat_set_rights((__wasi_fd_t)fd, FILE_RIGHTS & ~__WASI_RIGHTS_POLL_FD_READWRITE,
                                   0));
  __wasi_subscription_t in = ready(5, __WASI_EVENTTYPE_FD_READ, (__wasi_fd_t)fd);
  __wasi_event_t event;
  __wasi_size_t count = 77;
  memset(&event, 0, sizeof event);
  int error = __wasi_poll_oneoff(&in, &event, 1, &count);
  if (error == OK) error = event.error;
  ERRNO(error, __WASI_ERRNO_NOTCAPABLE);
  return report();
}
