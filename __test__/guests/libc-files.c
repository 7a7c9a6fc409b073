/* The C library's files over several preopens: the longest name that fits is the one used. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void list(const char *path) {
  char *names[32];
  size_t count = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  struct dirent *entry;
  while (count < 32 && (entry = readdir(dir)) != NULL) names[count++] = strdup(entry->d_name);
  closedir(dir);
  qsort(names, count, sizeof *names, by_name);
  printf("%s:", path);
  for (size_t i = 0; i < count; i++) printf(" %s", names[i]);
  printf("\n");
}

static void show(const char *path) {
  char line[64];
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  while (fgets(line, sizeof line, file) != NULL) printf("%s: %s", path, line);
  fclose(file);
}

int main(void) {
  struct stat stat_buffer;
  show("/sandbox/f.txt");
  show("/sandbox/inner/f.txt");
  show("/sandbox/missing");
  show("/outside/secret.txt");

  FILE *file = fopen("/sandbox/log.txt", "w");
  for (int i = 0; file != NULL && i < 3; i++) fprintf(file, "line %d of %s\n", i, "three");
  if (file == NULL || fclose(file) != 0) return 2;
  file = fopen("/sandbox/log.txt", "a");
  if (file == NULL || fputs("appended\n", file) < 0 || fclose(file) != 0) return 3;
  show("/sandbox/log.txt");
  if (stat("/sandbox/log.txt", &stat_buffer) != 0) return 4;
  printf("size %lld\n", (long long)stat_buffer.st_size);

  if (mkdir("/sandbox/made", 0777) != 0) return 5;
  if (rename("/sandbox/log.txt", "/sandbox/made/moved.txt") != 0) return 6;
  list("/sandbox");
  list("/sandbox/made");
  if (symlink("made/moved.txt", "/sandbox/link") != 0) return 7;
  if (truncate("/sandbox/link", 7) != 0) return 8;
  show("/sandbox/link");
  if (unlink("/sandbox/link") != 0 || remove("/sandbox/made/moved.txt") != 0) return 9;
  if (rmdir("/sandbox/made") != 0) return 10;
  list("/sandbox");
  if (access("/sandbox/f.txt", R_OK) != 0) return 11;
  printf("%s\n", mkdir("/elsewhere", 0777) == 0 ? "made" : strerror(errno));
  return 0;
}
