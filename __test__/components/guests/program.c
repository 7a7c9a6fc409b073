// Uses files, directories, clocks and streams, and prints one line a step; the test compares the
// lines. With an argument it does one thing that ends it.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static void must(int is_right, const char *what) {
  if (is_right) return;
  printf("FAILED %s: %s\n", what, strerror(errno));
  exit(1);
}

static long long now(clockid_t clock) {
  struct timespec time;
  must(clock_gettime(clock, &time) == 0, "clock_gettime");
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int by_name(const void *one, const void *other) {
  return strcmp(*(char *const *)one, *(char *const *)other);
}

static void list(const char *path) {
  char *names[64];
  int count = 0;
  DIR *directory = opendir(path);
  must(directory != NULL, "opendir");
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && count < 64) {
      names[count++] = strdup(entry->d_name);
    }
  }
  closedir(directory);
  qsort(names, count, sizeof *names, by_name);
  printf("list %s:", path);
  for (int i = 0; i < count; i++) printf(" %s", names[i]);
  printf("\n");
}

static void refused(const char *path) {
  errno = 0;
  int fd = open(path, O_RDONLY);
  printf("open %s: %s\n", path, fd < 0 ? "refused" : "OPENED");
  if (fd >= 0) close(fd);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exit") == 0) exit(atoi(argv[2]));
  if (argc > 1 && strcmp(argv[1], "abort") == 0) abort();
  if (argc > 1 && strcmp(argv[1], "sleep") == 0) {
    struct timespec ms = {0, atoi(argv[2]) * 1000000};
    long long start = now(CLOCK_MONOTONIC);
    must(nanosleep(&ms, NULL) == 0, "nanosleep");
    printf("slept %s\n", now(CLOCK_MONOTONIC) - start >= ms.tv_nsec ? "enough" : "TOO SHORT");
    return 0;
  }

  printf("arguments:");
  for (int i = 0; i < argc; i++) printf(" [%s]", argv[i]);
  printf("\nVARIABLE=%s\n", getenv("VARIABLE") ? getenv("VARIABLE") : "(none)");

  int fd = open("/data/file", O_RDWR | O_CREAT | O_TRUNC, 0666);
  must(fd >= 0, "open");
  must(write(fd, "hello world", 11) == 11, "write");
  must(pwrite(fd, "W", 1, 6) == 1, "pwrite");
  must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
  memset(buffer, 0, 32);
  must(read(fd, buffer, 32) == 11 && read(fd, buffer + 11, 1) == 0, "read");
  printf("file: %s\n", buffer);
  struct stat stat_;
  must(fstat(fd, &stat_) == 0 && stat_.st_size == 11 && S_ISREG(stat_.st_mode), "fstat");
  must(ftruncate(fd, 5) == 0, "ftruncate");
  close(fd);
  must(stat("/data/file", &stat_) == 0 && stat_.st_size == 5, "stat");

  for (int i = 0; i < 3; i++) {
    int log = open("/data/log", O_WRONLY | O_CREAT | O_APPEND, 0666);
    must(log >= 0, "open to append");
    must(dprintf(log, "line %d\n", i) == 7, "append");
    close(log);
  }
  FILE *log = fopen("/data/log", "r");
  must(log != NULL, "fopen");
  while (fgets(buffer, 100, log)) printf("log: %s", buffer);
  fclose(log);

  must(mkdir("/data/folder", 0777) == 0 && mkdir("/data/folder/deep", 0777) == 0, "mkdir");
  must(rename("/data/log", "/data/folder/renamed") == 0, "rename");
  must(link("/data/file", "/data/folder/linked") == 0, "link");
  must(symlink("renamed", "/data/folder/symbolic") == 0, "symlink");
  ssize_t length = readlink("/data/folder/symbolic", buffer, sizeof buffer);
  must(length == 7 && memcmp(buffer, "renamed", 7) == 0, "readlink");
  must(stat("/data/folder/symbolic", &stat_) == 0 && stat_.st_size == 21, "stat of a link");
  must(lstat("/data/folder/symbolic", &stat_) == 0 && S_ISLNK(stat_.st_mode), "lstat");
  list("/data");
  list("/data/folder");
  errno = 0;
  must(rmdir("/data/folder") == -1 && errno == ENOTEMPTY, "rmdir of what is not empty");
  must(open("/data/none", O_RDONLY) == -1 && errno == ENOENT, "open of nothing");
  must(mkdir("/data/folder", 0777) == -1 && errno == EEXIST, "mkdir of what is there");
  must(open("/data/file", O_CREAT | O_EXCL | O_WRONLY, 0666) == -1 && errno == EEXIST, "O_EXCL");
  must(open("/data/folder", O_WRONLY) == -1 && errno == EISDIR, "writing a directory");

  refused("/data/../outside/secret");
  refused("/data/out/secret");
  refused("/etc/passwd");
  refused("../../etc/passwd");

  fd = open("/data/large", O_RDWR | O_CREAT | O_TRUNC, 0666);
  must(fd >= 0, "open of a large file");
  for (size_t i = 0; i < sizeof buffer; i++) buffer[i] = (char)(i * 31 >> 3);
  for (size_t done = 0; done < sizeof buffer;) {
    ssize_t count = write(fd, buffer + done, sizeof buffer - done);
    must(count > 0, "write of a large file");
    done += count;
  }
  memset(buffer, 0, sizeof buffer);
  must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
  for (size_t done = 0; done < sizeof buffer;) {
    ssize_t count = read(fd, buffer + done, sizeof buffer - done);
    must(count > 0, "read of a large file");
    done += count;
  }
  for (size_t i = 0; i < sizeof buffer; i++) must(buffer[i] == (char)(i * 31 >> 3), "the same bytes");
  must(pread(fd, buffer, 7, 1 << 19) == 7, "pread");
  must(pread(fd, buffer, 7, 1LL << 40) == 0, "pread behind the end");
  close(fd);
  printf("large: same\n");

  for (int i = 0; i < 3000; i++) {
    int some = open("/data/file", O_RDONLY);
    must(some >= 0 && read(some, buffer, 5) == 5 && close(some) == 0, "opening and closing");
  }
  printf("3000 opened\n");

  must(now(CLOCK_REALTIME) > 1500000000000000000LL, "the time");
  long long start = now(CLOCK_MONOTONIC);
  struct timespec ms = {0, 20000000};
  must(nanosleep(&ms, NULL) == 0 && now(CLOCK_MONOTONIC) - start >= 20000000, "nanosleep");
  must(getentropy(buffer, 16) == 0 && getentropy(buffer + 16, 16) == 0, "getentropy");
  must(memcmp(buffer, buffer + 16, 16) != 0, "random bytes");

  size_t total = 0;
  unsigned sum = 0;
  for (size_t count; (count = fread(buffer, 1, 1000, stdin)) > 0; total += count) {
    for (size_t i = 0; i < count; i++) sum = sum * 31 + (unsigned char)buffer[i];
  }
  printf("input: %zu bytes, %u\n", total, sum);
  fprintf(stderr, "to stderr\n");

  unlink("/data/large");
  unlink("/data/file");
  unlink("/data/folder/renamed");
  unlink("/data/folder/linked");
  unlink("/data/folder/symbolic");
  must(rmdir("/data/folder/deep") == 0 && rmdir("/data/folder") == 0, "rmdir");
  list("/data");
  return 0;
}
