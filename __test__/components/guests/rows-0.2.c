// The rows of rows.c for a component that calls WASI 0.2 itself, without the adapter of preview1
// between: one call of the interface where that does the work of a row. Its arguments and its
// output are those of rows.c. Built by
//   zig cc -target wasm32-freestanding -nostdlib -O2 -s -Wl,--no-entry
#include <stddef.h>
#include <stdint.h>

#define VERSION "@0.2.12"
#define IMPORT(interface, name)                                                \
  __attribute__((import_module("wasi:" interface VERSION), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("cli/environment", "get-arguments") void get_arguments(uint32_t *ret);
IMPORT("cli/stdout", "get-stdout") int32_t get_stdout(void);
IMPORT("cli/stderr", "get-stderr") int32_t get_stderr(void);
IMPORT("io/streams", "[method]output-stream.blocking-write-and-flush")
void write_stream(int32_t stream, const void *bytes, size_t size, uint8_t *ret);
IMPORT("filesystem/preopens", "get-directories")
void get_directories(uint32_t *ret);
IMPORT("filesystem/types", "[method]descriptor.open-at")
void open_at(int32_t fd, int32_t follow, const char *path, size_t size, int32_t open,
             int32_t flags, uint32_t *ret);
IMPORT("filesystem/types", "[method]descriptor.unlink-file-at")
void unlink_at(int32_t fd, const char *path, size_t size, uint8_t *ret);
IMPORT("filesystem/types", "[method]descriptor.read")
void read_at(int32_t fd, int64_t size, int64_t offset, uint32_t *ret);
IMPORT("filesystem/types", "[method]descriptor.write")
void write_at(int32_t fd, const void *bytes, size_t size, int64_t offset, uint64_t *ret);
IMPORT("filesystem/types", "[method]descriptor.stat") void stat_fd(int32_t fd, uint64_t *ret);
IMPORT("filesystem/types", "[method]descriptor.stat-at")
void stat_at(int32_t fd, int32_t follow, const char *path, size_t size, uint64_t *ret);
IMPORT("filesystem/types", "[resource-drop]descriptor") void drop_fd(int32_t fd);
IMPORT("clocks/monotonic-clock", "now") int64_t monotonic_now(void);
IMPORT("clocks/wall-clock", "now") void wall_now(uint64_t *ret);
IMPORT("random/random", "get-random-bytes") void random_bytes(int64_t size, uint32_t *ret);

enum { ROUNDS = 5, CREATE = 1, TRUNCATE = 8, READ = 1, WRITE = 2 };
static char buffer[1 << 20] __attribute__((aligned(16)));
/** What the host gives: kept while the program begins, and the same place again in the rows. */
static char given[1 << 21] __attribute__((aligned(16)));
static size_t kept;
static int begins = 1;

EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old;
  (void)old_size;
  size_t at = (kept + align - 1) & ~(align - 1);
  if (size > sizeof given - at) __builtin_trap();
  if (begins) kept = at + size;
  return given + at;
}

static int32_t root, standard_output, standard_error;
static const char *chosen;
static size_t chosen_size;
static uint32_t divisor = 1;
static uint64_t area[16];
static uint32_t *const words = (uint32_t *)area;
static uint8_t *const bytes = (uint8_t *)area;

static size_t length(const char *text) {
  size_t size = 0;
  while (text[size]) size++;
  return size;
}

static void say(const char *text, size_t size) {
  write_stream(standard_error, text, size, bytes);
}

static void must(int is_right, const char *what) {
  if (is_right) return;
  say(what, length(what));
  say(" fails\n", 7);
  __builtin_trap();
}

static int is_chosen(const char *row) {
  if (length(row) != chosen_size) return 0;
  for (size_t i = 0; i < chosen_size; i++) {
    if (row[i] != chosen[i]) return 0;
  }
  return 1;
}

/** Says "ROW NANOSECONDS", with tenths. */
static void tell(const char *row, uint64_t took, uint32_t times) {
  char digits[32];
  size_t at = sizeof digits;
  uint64_t tenths = took * 10 / times;
  digits[--at] = '\n';
  digits[--at] = '0' + tenths % 10;
  digits[--at] = '.';
  tenths /= 10;
  do digits[--at] = '0' + tenths % 10;
  while (tenths /= 10);
  digits[--at] = ' ';
  say(row, length(row));
  say(digits + at, sizeof digits - at);
}

#define ROW(name, count, body)                                                 \
  do {                                                                         \
    if (!is_chosen("all") && !is_chosen(name)) break;                          \
    uint32_t times = (count) / divisor > 0 ? (count) / divisor : 1;            \
    uint64_t least = UINT64_MAX;                                               \
    for (int round = 0; round < ROUNDS; round++) {                             \
      uint64_t took = monotonic_now();                                         \
      for (uint32_t i = 0; i < times; i++) { body; }                           \
      took = monotonic_now() - took;                                           \
      if (took < least) least = took;                                          \
    }                                                                          \
    tell(name, least, times);                                                  \
  } while (0)

static int32_t opened(const char *path, int32_t open, int32_t flags) {
  open_at(root, 1, path, length(path), open, flags, words);
  must(bytes[0] == 0, "open-at");
  return words[1];
}

static void put(int32_t fd, size_t size) {
  write_at(fd, buffer, size, 0, area);
  must(bytes[0] == 0 && area[1] == size, "write");
}

static void get(int32_t fd, size_t size) {
  read_at(fd, size, 0, words);
  must(bytes[0] == 0 && words[2] == size, "read");
}

static void begin(void) {
  standard_output = get_stdout();
  standard_error = get_stderr();
  get_directories(words);
  must(words[1] == 1, "get-directories");
  root = *(int32_t *)words[0];
  get_arguments(words);
  const uint32_t *list = (const uint32_t *)words[0];
  uint32_t count = words[1];
  chosen = count > 1 ? (const char *)list[2] : "all";
  chosen_size = count > 1 ? list[3] : 3;
  if (count > 2) {
    divisor = 0;
    for (uint32_t i = 0; i < list[5]; i++) divisor = 10 * divisor + ((char *)list[4])[i] - '0';
  }
  must(divisor > 0, "the divisor");
  begins = 0;
}

EXPORT("wasi:cli/run" VERSION "#run") int32_t run(void) {
  begin();
  if (is_chosen("none")) return 0;
  for (size_t i = 0; i < sizeof buffer; i++) buffer[i] = 'x';
  int32_t fd = opened("file", CREATE | TRUNCATE, READ | WRITE);
  ROW("stdout 64 B", 2000, {
    write_stream(standard_output, buffer, 64, bytes);
    must(bytes[0] == 0, "blocking-write-and-flush");
  });
  ROW("write 64 B", 2000, put(fd, 64));
  ROW("write 4 KiB", 1000, put(fd, 4096));
  ROW("write 1 MiB", 10, put(fd, 1 << 20));
  ROW("write 1 MiB in parts", 10, {
    for (size_t done = 0; done < sizeof buffer; done += 4096) {
      write_at(fd, buffer + done, 4096, done, area);
      must(bytes[0] == 0 && area[1] == 4096, "write");
    }
  });
  ROW("read 64 B", 2000, get(fd, 64));
  ROW("read 4 KiB", 2000, get(fd, 4096));
  ROW("read 1 MiB", 20, get(fd, 1 << 20));
  ROW("pread 4 KiB", 2000, get(fd, 4096));
  ROW("fstat", 2000, {
    stat_fd(fd, area);
    must(bytes[0] == 0, "stat");
  });
  ROW("stat", 2000, {
    stat_at(root, 1, "file", 4, area);
    must(bytes[0] == 0, "stat-at");
  });
  ROW("stat of nothing", 2000, {
    stat_at(root, 1, "none", 4, area);
    must(bytes[0] == 1, "stat-at");
  });
  ROW("open + close", 1000, drop_fd(opened("file", 0, READ)));
  ROW("create + unlink", 300, {
    drop_fd(opened("new", CREATE, WRITE));
    unlink_at(root, "new", 3, bytes);
    must(bytes[0] == 0, "unlink-file-at");
  });
  ROW("monotonic clock", 20000, must(monotonic_now() > 0, "now"));
  ROW("realtime clock", 20000, {
    wall_now(area);
    must(area[0] > 0, "now");
  });
  ROW("16 random bytes", 5000, {
    random_bytes(16, words);
    must(words[1] == 16, "get-random-bytes");
  });
  drop_fd(fd);
  unlink_at(root, "file", 4, bytes);
  return 0;
}
