// A shell in small: it prompts, reads lines and obeys them. A program for terminals.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char line[4096];

static void list(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    perror(path);
    return;
  }
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] != '.') puts(entry->d_name);
  }
  closedir(directory);
}

static void show(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    return;
  }
  for (int c; (c = getc(file)) != EOF;) putchar(c);
  fclose(file);
}

static void save(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (file == NULL || fprintf(file, "%s\n", text) < 0 || fclose(file) != 0) perror(path);
}

int main(void) {
  int terminal = isatty(0) && isatty(1) && isatty(2);
  for (;;) {
    if (terminal) {
      fputs("$ ", stderr);
      fflush(stderr);
    }
    if (fgets(line, sizeof line, stdin) == NULL) return 0;
    line[strcspn(line, "\n")] = 0;
    char *rest = line;
    char *word = strsep(&rest, " ");
    if (rest == NULL) rest = "";
    if (*word == 0) continue;
    if (strcmp(word, "echo") == 0) {
      puts(rest);
    } else if (strcmp(word, "ls") == 0) {
      list(*rest ? rest : "/");
    } else if (strcmp(word, "cat") == 0) {
      show(rest);
    } else if (strcmp(word, "save") == 0) {
      char *path = strsep(&rest, " ");
      save(path, rest ? rest : "");
    } else if (strcmp(word, "size") == 0) {
      printf("%s x %s\n", getenv("COLUMNS") ? getenv("COLUMNS") : "?",
             getenv("LINES") ? getenv("LINES") : "?");
    } else if (strcmp(word, "spin") == 0) {
      puts("spinning");
      fflush(stdout);
      for (volatile int ever = 1; ever;) {
      }
    } else if (strcmp(word, "exit") == 0) {
      return atoi(rest);
    } else {
      fprintf(stderr, "%s: no such command\n", word);
    }
    fflush(stdout);
  }
}
