/* Walks the directory tree /input, reads each file, and writes a table of names, sizes and lines
 * to /output/report.txt. Symbolic links are followed as any program would follow them: what lies
 * inside the tree is read, and what the host refuses is reported with the errno's name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 256
#define MAX_DEPTH 32
#define MAX_PATH 1024

struct totals {
  int files, directories, refused;
  long long bytes, lines;
};

static const char *errno_name(int error) {
  switch (error) {
    case EACCES: return "EACCES";
    case EISDIR: return "EISDIR";
    case ELOOP: return "ELOOP";
    case ENOENT: return "ENOENT";
    case ENOTCAPABLE: return "ENOTCAPABLE";
    case ENOTDIR: return "ENOTDIR";
    case EPERM: return "EPERM";
    default: return "an error without a name here";
  }
}

static void tell(int depth, const char *name, const char *what) {
  if (what == NULL) {
    printf("  %*s%s\n", 2 * depth, "", name);
  } else {
    printf("  %*s%-*s %s\n", 2 * depth, "", 34 - 2 * depth, name, what);
  }
}

static void tell_refused(int depth, const char *name, int error) {
  char text[160];
  snprintf(text, sizeof text, "refused: %s (%s)", errno_name(error), strerror(error));
  tell(depth, name, text);
}

/* Reads one file and adds its line to the report; the errno if it cannot be opened or read. */
static int read_file(const char *path, int depth, const char *shown, FILE *report,
                     struct totals *totals) {
  char buffer[4096], text[64];
  long long bytes = 0, lines = 0;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return errno;
  for (;;) {
    ssize_t length = read(fd, buffer, sizeof buffer);
    if (length < 0) {
      int error = errno;
      close(fd);
      return error;
    }
    if (length == 0) break;
    bytes += length;
    for (ssize_t i = 0; i < length; i++) lines += buffer[i] == '\n';
  }
  close(fd);
  snprintf(text, sizeof text, "%lld bytes, lines: %lld", bytes, lines);
  tell(depth, shown, text);
  fprintf(report, "%-34s %8lld %8lld\n", path, bytes, lines);
  totals->files++;
  totals->bytes += bytes;
  totals->lines += lines;
  return 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(const char *path, int depth, FILE *report, struct totals *totals);

static void visit(const char *path, const char *name, int depth, FILE *report,
                  struct totals *totals) {
  char below[MAX_PATH], target[256], shown[512];
  struct stat stat_buffer;
  if (snprintf(below, sizeof below, "%s/%s", path, name) >= (int)sizeof below ||
      lstat(below, &stat_buffer) != 0) {
    tell_refused(depth, name, errno);
    totals->refused++;
    return;
  }
  snprintf(shown, sizeof shown, "%s", name);
  if (S_ISDIR(stat_buffer.st_mode)) {
    snprintf(shown, sizeof shown, "%s/", name);
    tell(depth, shown, NULL);
    totals->directories++;
    if (depth < MAX_DEPTH) walk(below, depth + 1, report, totals);
    return;
  }
  if (S_ISLNK(stat_buffer.st_mode)) {
    ssize_t length = readlink(below, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    snprintf(shown, sizeof shown, "%s -> %s", name, target);
  }
  int error = read_file(below, depth, shown, report, totals);
  if (error != 0) {
    tell_refused(depth, shown, error);
    fprintf(report, "%-34s refused: %s\n", below, errno_name(error));
    totals->refused++;
  }
}

static void walk(const char *path, int depth, FILE *report, struct totals *totals) {
  char *names[MAX_ENTRIES];
  size_t count = 0;
  DIR *directory = opendir(path);
  if (directory == NULL) {
    tell_refused(depth, path, errno);
    totals->refused++;
    return;
  }
  struct dirent *entry;
  while (count < MAX_ENTRIES && (entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    names[count] = strdup(entry->d_name);
    if (names[count] == NULL) exit(2);
    count++;
  }
  closedir(directory);
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) {
    visit(path, names[i], depth, report, totals);
    free(names[i]);
  }
}

int main(void) {
  struct totals totals = {0};
  FILE *report = fopen("/output/report.txt", "w");
  if (report == NULL) {
    fprintf(stderr, "report: cannot write /output/report.txt: %s\n", strerror(errno));
    return 1;
  }
  fprintf(report, "%-34s %8s %8s\n", "file", "bytes", "lines");
  tell(0, "/input/", NULL);
  walk("/input", 1, report, &totals);
  fprintf(report, "%-34s %8lld %8lld\n", "total", totals.bytes, totals.lines);
  if (fclose(report) != 0) return 1;

  static const char *const tries[] = {"/input/../secret.txt", "/input/notes/../../secret.txt"};
  for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
    int fd = open(tries[i], O_RDONLY);
    if (fd >= 0) {
      tell(0, tries[i], "OPENED");
      close(fd);
    } else {
      tell_refused(0, tries[i], errno);
      totals.refused++;
    }
  }
  printf("  %d files and %d directories read, %d refused\n", totals.files, totals.directories,
         totals.refused);
  return 0;
}
