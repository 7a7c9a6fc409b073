// A command that runs SQL on a database and prints the rows: `sqlite FILE SQL`. bench/published.mjs
// compiles it with SQLite.
#include <stdio.h>
#include "sqlite3.h"

static int print_row(void *unused, int count, char **values, char **names) {
  for (int i = 0; i < count; i++) printf("%s%s", i > 0 ? "|" : "", values[i] ? values[i] : "");
  putchar('\n');
  return 0;
}

int main(int argc, char **argv) {
  sqlite3 *database;
  char *message = NULL;
  if (argc != 3 || sqlite3_open(argv[1], &database) != SQLITE_OK) return 1;
  if (sqlite3_exec(database, argv[2], print_row, NULL, &message) != SQLITE_OK) {
    fprintf(stderr, "%s\n", message);
    return 1;
  }
  return sqlite3_close(database) == SQLITE_OK ? 0 : 1;
}
