/* What the C library says to a program below a preopen that the host lends read-only: the first argument. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *top;

static const char *at(const char *name) {
  static char paths[2][256];
  static int turn;
  char *path = paths[turn ^= 1];
  snprintf(path, sizeof paths[0], "%s/%s", top, name);
  return path;
}

static void said(const char *what, int failed) {
  printf("%s: %s\n", what, failed ? strerror(errno) : "ok");
}

static void opens(const char *mode, const char *name) {
  char what[64];
  snprintf(what, sizeof what, "fopen %s %s", mode, name);
  FILE *file = fopen(at(name), mode);
  said(what, file == NULL);
  if (file == NULL) return;
  char line[64] = "";
  if (mode[0] == 'r') printf("  %s", fgets(line, sizeof line, file) ? line : "nothing\n");
  fclose(file);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  top = argv[1];
  opens("r", "file");
  opens("r", "missing");
  opens("r+", "file");
  opens("w", "file");
  opens("a", "file");
  opens("w", "new");
  opens("wx", "file");

  int fd = open(at("file"), O_RDONLY | O_CREAT, 0644);
  said("open O_CREAT of what is there", fd < 0);
  const struct timespec times[2] = {{1, 0}, {1, 0}};
  said("write", write(fd, "x", 1) < 0);
  said("ftruncate", ftruncate(fd, 0) != 0);
  said("futimens", futimens(fd, times) != 0);
  said("posix_fallocate", (errno = posix_fallocate(fd, 0, 100)) != 0);
  said("fdatasync", fdatasync(fd) != 0);
  close(fd);
  said("open O_TRUNC", open(at("file"), O_RDONLY | O_TRUNC) < 0);
  said("open O_RDWR of a directory", open(at("dir"), O_RDWR) < 0);

  said("mkdir", mkdir(at("new"), 0755) != 0);
  said("mkdir of what is there", mkdir(at("dir"), 0755) != 0);
  said("rmdir", rmdir(at("dir")) != 0);
  said("unlink", unlink(at("file")) != 0);
  said("rename", rename(at("file"), at("new")) != 0);
  said("link", link(at("file"), at("new")) != 0);
  said("symlink", symlink("file", at("new")) != 0);
  said("utimensat", utimensat(AT_FDCWD, at("file"), times, 0) != 0);
  said("truncate", truncate(at("file"), 0) != 0);

  /* Through a directory that it has opened itself. */
  int dir = open(at("dir"), O_RDONLY | O_DIRECTORY);
  said("open of a directory", dir < 0);
  said("openat O_RDONLY", openat(dir, "inner", O_RDONLY) < 0);
  said("openat O_RDWR", openat(dir, "inner", O_RDWR) < 0);
  said("openat O_CREAT", openat(dir, "new", O_WRONLY | O_CREAT, 0644) < 0);
  said("unlinkat", unlinkat(dir, "inner", 0) != 0);

  /* The C library answers by the rights that are passed on, and asks nobody. */
  said("access R_OK", access(at("file"), R_OK) != 0);
  said("access W_OK", access(at("file"), W_OK) != 0);
  return 0;
}
