// Measures the calls of a program. The first argument names a row, or `program`, or `none`; the
// second divides the counts. Prints "ROW NANOSECONDS" a call to its standard error: the least of
// five rounds. Built by zig cc -target wasm32-wasi -O2 -s.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5 };
static char buffer[1 << 20];
static const char *chosen;
static int divisor = 1;

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void must(int is_right, const char *what) {
  if (is_right) return;
  fprintf(stderr, "%s fails: %s\n", what, strerror(errno));
  exit(1);
}

static void move(int fd, size_t size, int is_write) {
  must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
  for (size_t done = 0; done < size;) {
    ssize_t count = is_write ? write(fd, buffer + done, size - done)
                             : read(fd, buffer + done, size - done);
    must(count > 0, is_write ? "write" : "read");
    done += count;
  }
}

/** As much as the adapter of preview1 cuts off a write. */
static void writeParts(int fd) {
  must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
  for (size_t done = 0; done < sizeof buffer; done += 4096) {
    must(write(fd, buffer + done, 4096) == 4096, "write");
  }
}

#define ROW(name, count, body)                                                 \
  do {                                                                         \
    if (strcmp(chosen, "all") && strcmp(chosen, name)) break;                  \
    int times = (count) / divisor > 0 ? (count) / divisor : 1;                 \
    long long least = -1;                                                      \
    for (int round = 0; round < ROUNDS; round++) {                             \
      long long took = now();                                                  \
      for (int i = 0; i < times; i++) { body; }                                \
      took = now() - took;                                                     \
      if (least < 0 || took < least) least = took;                             \
    }                                                                          \
    fprintf(stderr, "%s %.1f\n", name, (double)least / times);                 \
  } while (0)

/** Files: made, listed, looked at, read and removed. */
static void program(void) {
  char path[64];
  struct stat found;
  for (int round = 0; round < 20 / divisor + 1; round++) {
    must(mkdir("/data/program", 0777) == 0, "mkdir");
    for (int i = 0; i < 20; i++) {
      snprintf(path, sizeof path, "/data/program/%d", i);
      int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
      must(fd >= 0 && write(fd, buffer, 3000) == 3000 && close(fd) == 0, "write");
    }
    DIR *directory = opendir("/data/program");
    must(directory != NULL, "opendir");
    while (readdir(directory)) continue;
    closedir(directory);
    for (int i = 0; i < 20; i++) {
      snprintf(path, sizeof path, "/data/program/%d", i);
      must(stat(path, &found) == 0 && found.st_size == 3000, "stat");
      int fd = open(path, O_RDONLY);
      must(fd >= 0 && read(fd, buffer, 4096) == 3000 && close(fd) == 0, "read");
      must(unlink(path) == 0, "unlink");
    }
    must(rmdir("/data/program") == 0, "rmdir");
  }
}

int main(int argc, char **argv) {
  chosen = argc > 1 ? argv[1] : "all";
  if (argc > 2) divisor = atoi(argv[2]);
  if (strcmp(chosen, "none") == 0) return 0;
  if (strcmp(chosen, "program") == 0) {
    program();
    return 0;
  }
  memset(buffer, 'x', sizeof buffer);
  int fd = open("/data/file", O_RDWR | O_CREAT | O_TRUNC, 0666);
  must(fd >= 0, "open");
  struct stat found;
  struct timespec time;
  ROW("stdout 64 B", 2000, must(write(1, buffer, 64) == 64, "write"));
  ROW("write 64 B", 2000, move(fd, 64, 1));
  ROW("write 4 KiB", 1000, move(fd, 4096, 1));
  ROW("write 1 MiB", 10, move(fd, 1 << 20, 1));
  ROW("write 1 MiB in parts", 10, writeParts(fd));
  ROW("read 64 B", 2000, move(fd, 64, 0));
  ROW("read 4 KiB", 2000, move(fd, 4096, 0));
  ROW("read 1 MiB", 20, move(fd, 1 << 20, 0));
  ROW("pread 4 KiB", 2000, must(pread(fd, buffer, 4096, 0) > 0, "pread"));
  ROW("fstat", 2000, must(fstat(fd, &found) == 0, "fstat"));
  ROW("stat", 2000, must(stat("/data/file", &found) == 0, "stat"));
  ROW("stat of nothing", 2000, must(stat("/data/none", &found) != 0, "stat"));
  ROW("open + close", 1000, {
    int some = open("/data/file", O_RDONLY);
    must(some >= 0 && close(some) == 0, "open");
  });
  ROW("create + unlink", 300, {
    int some = open("/data/new", O_WRONLY | O_CREAT, 0666);
    must(some >= 0 && close(some) == 0 && unlink("/data/new") == 0, "create");
  });
  ROW("monotonic clock", 20000, must(clock_gettime(CLOCK_MONOTONIC, &time) == 0, "clock"));
  ROW("realtime clock", 20000, must(clock_gettime(CLOCK_REALTIME, &time) == 0, "clock"));
  ROW("16 random bytes", 5000, must(getentropy(buffer, 16) == 0, "getentropy"));
  close(fd);
  unlink("/data/file");
  return 0;
}
