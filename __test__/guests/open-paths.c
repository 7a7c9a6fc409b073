/* Opens each argument as a path and prints the first byte of the file, or why there is none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char byte;
    int fd = open(argv[i], O_RDONLY);
    if (fd >= 0 && read(fd, &byte, 1) == 1) printf("%c\n", byte);
    else printf("%s\n", strerror(errno));
    if (fd >= 0) close(fd);
  }
  return 0;
}
