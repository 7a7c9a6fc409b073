/* A plugin for Extism that uses WASI: counts the lines of all files in /data, leaves the counts in
 * /data/counts.txt, and gives back what it was given, in capitals, with the total. A reactor:
 *
 *   zig cc -target wasm32-wasi -mexec-model=reactor -Oz -s -o extism-plugin.wasm extism-plugin.c
 *
 * (zig 0.15.2) */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name)))

HOST(input_length) uint64_t input_length(void);
HOST(input_load_u8) uint32_t input_load_u8(uint64_t offset);
HOST(alloc) uint64_t extism_alloc(uint64_t length);
HOST(store_u8) void store_u8(uint64_t offset, uint32_t byte);
HOST(output_set) void output_set(uint64_t offset, uint64_t length);

static long lines_of(const char *name) {
  char path[300];
  snprintf(path, sizeof path, "/data/%s", name);
  FILE *file = fopen(path, "r");
  if (file == NULL) return -1;
  long lines = 0;
  for (int c; (c = getc(file)) != EOF;) lines += c == '\n';
  fclose(file);
  return lines;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_text(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return dot != NULL && strcmp(dot, ".txt") == 0;
}

__attribute__((export_name("count"))) int32_t count(void) {
  struct dirent **entries;
  int length = scandir("/data", &entries, is_text, by_name);
  if (length < 0) return errno;
  FILE *counts = fopen("/data/counts.tmp", "w");
  if (counts == NULL) return errno;
  long total = 0;
  for (int i = 0; i < length; i++) {
    long lines = lines_of(entries[i]->d_name);
    total += lines;
    fprintf(counts, "%s %ld\n", entries[i]->d_name, lines);
    free(entries[i]);
  }
  free(entries);
  if (fclose(counts) != 0 || rename("/data/counts.tmp", "/data/counts.txt") != 0) return errno;

  char output[400];
  size_t input = input_length() < 300 ? (size_t)input_length() : 300;
  for (size_t i = 0; i < input; i++) output[i] = (char)toupper((int)input_load_u8(i));
  size_t end = input + (size_t)snprintf(output + input, sizeof output - input, ": %ld", total);
  uint64_t place = extism_alloc(end);
  for (size_t i = 0; i < end; i++) store_u8(place + i, (uint8_t)output[i]);
  output_set(place, end);
  return 0;
}
