/* While the guest opens files, another thread of the host turns the link `flip` back and forth
 * between the directory inside and one outside. What is opened is inside, or the opening is
 * refused: never is it the file outside, and never is the guest told to try again. */
#include "check.h"

#define ROUNDS 20000
#define LIMIT 1000000

static __wasi_timestamp_t now(void) {
  __wasi_timestamp_t time = 0;
  MUST(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time));
  return time;
}

/* The first byte of a file, or minus the errno. */
static int first_of(const char *path) {
  __wasi_fd_t fd;
  int error = __wasi_path_open(DIR, FOLLOW, path, 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd);
  if (error != OK) return -error;
  char text[2] = "";
  int length = get((int)fd, text, sizeof text);
  MUST(__wasi_fd_close(fd));
  return length == 1 ? text[0] : 0;
}

int main(void) {
  int opened = 0, refused = 0;
  __wasi_timestamp_t start = now();
  for (int round = 0; round < LIMIT; round++) {
    /* Both must have been seen: otherwise nothing was turned. */
    if (round >= ROUNDS && opened > 0 && refused > 0) break;
    if (round % 1000 == 0 && now() - start > 10000000000) break;

    int first = first_of("flip/f.txt");
    if (first == 'i') {
      opened++;
    } else if (first == -__WASI_ERRNO_NOTCAPABLE || first == -__WASI_ERRNO_PERM) {
      refused++;
    } else {
      EQUAL(first, 'i');
      break;
    }
    /* A `..` on the way makes the kernel look again when something was renamed meanwhile. */
    if (!EQUAL(first_of("inside/../inside/f.txt"), 'i')) break;

    __wasi_filestat_t stat;
    int error = __wasi_path_filestat_get(DIR, FOLLOW, "flip", &stat);
    if (!ERRNO(error, OK, __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_PERM)) break;
  }
  CHECK(opened > 0);
  CHECK(refused > 0);
  return report();
}
