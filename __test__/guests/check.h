/* What every guest uses to check and to report. Only raw calls, no stdio: a guest stays at a few
 * kilobytes, and a fault in the C library's output cannot hide the fault that is looked for. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wasi/api.h>

/* The first preopen. */
#define DIR 3
#define OK __WASI_ERRNO_SUCCESS
#define NOENT __WASI_ERRNO_NOENT
#define ALL_RIGHTS ((__wasi_rights_t)0x1fffffff)
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FILE_RIGHTS                                                                    \
  (__WASI_RIGHTS_FD_DATASYNC | __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK |         \
   __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS | __WASI_RIGHTS_FD_SYNC | __WASI_RIGHTS_FD_TELL | \
   __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_ADVISE | __WASI_RIGHTS_FD_ALLOCATE |      \
   __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE |                \
   __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_POLL_FD_READWRITE)

#define DIR_RIGHTS                                                                             \
  (__WASI_RIGHTS_PATH_CREATE_DIRECTORY | __WASI_RIGHTS_PATH_CREATE_FILE |                      \
   __WASI_RIGHTS_PATH_LINK_SOURCE | __WASI_RIGHTS_PATH_LINK_TARGET | __WASI_RIGHTS_PATH_OPEN | \
   __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_PATH_READLINK | __WASI_RIGHTS_PATH_RENAME_SOURCE | \
   __WASI_RIGHTS_PATH_RENAME_TARGET | __WASI_RIGHTS_PATH_FILESTAT_GET |                        \
   __WASI_RIGHTS_PATH_FILESTAT_SET_TIMES | __WASI_RIGHTS_PATH_FILESTAT_SET_SIZE |              \
   __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_FILESTAT_SET_TIMES |                       \
   __WASI_RIGHTS_PATH_SYMLINK | __WASI_RIGHTS_PATH_REMOVE_DIRECTORY |                          \
   __WASI_RIGHTS_PATH_UNLINK_FILE)

static int failures;

static void say_bytes(const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  while (length > 0) {
    __wasi_ciovec_t vector = {at, length};
    __wasi_size_t written = 0;
    if (__wasi_fd_write(1, &vector, 1, &written) != OK || written == 0) return;
    at += written;
    length -= written;
  }
}

static void say(const char *text) { say_bytes(text, strlen(text)); }

static void say_number(int64_t number) {
  char digits[24];
  char *at = digits + sizeof digits;
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do {
    *--at = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (number < 0) *--at = '-';
  say_bytes(at, (size_t)(digits + sizeof digits - at));
}

/* Says where a check failed; false when so many did that more would not help. */
static bool failed_at(int line, const char *what) {
  if (++failures > 12) return false;
  say("line ");
  say_number(line);
  say(": ");
  say(what);
  return true;
}

__attribute__((unused)) static bool check(bool holds, int line, const char *what) {
  if (!holds && failed_at(line, what)) say("\n");
  return holds;
}

__attribute__((unused)) static bool check_equal(int64_t got, int64_t want, int line,
                                                const char *what) {
  if (got == want) return true;
  if (!failed_at(line, what)) return false;
  say(": got ");
  say_number(got);
  say(", want ");
  say_number(want);
  say("\n");
  return false;
}

__attribute__((unused)) static bool check_errno_in(int got, const int *wanted, size_t count,
                                                   int line, const char *what) {
  for (size_t i = 0; i < count; i++) {
    if (got == wanted[i]) return true;
  }
  if (!failed_at(line, what)) return false;
  say(": got errno ");
  say_number(got);
  say(", want");
  for (size_t i = 0; i < count; i++) {
    say(i == 0 ? " " : " or ");
    say_number(wanted[i]);
  }
  say("\n");
  return false;
}

/* The condition holds. */
#define CHECK(condition) check(condition, __LINE__, #condition)
/* Two integers are equal. */
#define EQUAL(got, want) check_equal((int64_t)(got), (int64_t)(want), __LINE__, #got)
/* The call answers with one of the errnos. */
#define ERRNO(call, ...)                           \
  check_errno_in(call, (const int[]){__VA_ARGS__}, \
                 sizeof((const int[]){__VA_ARGS__}) / sizeof(int), __LINE__, #call)
/* The call succeeds; without it the rest of the guest would mean nothing. */
#define MUST(call)                             \
  do {                                         \
    if (!ERRNO(call, OK)) __wasi_proc_exit(2); \
  } while (0)

/* The last statement of main: says "ok" if every check held. */
__attribute__((unused)) static int report(void) {
  if (failures > 0) return 1;
  say("ok\n");
  return 0;
}

/* Opens a path below the first preopen for everything that a file allows; -1 if that fails. */
__attribute__((unused)) static int open_file(const char *path, __wasi_oflags_t oflags,
                                             __wasi_fdflags_t fdflags) {
  __wasi_fd_t fd = 0;
  int error = __wasi_path_open(DIR, 0, path, oflags, FILE_RIGHTS, 0, fdflags, &fd);
  if (error != OK) {
    say("cannot open ");
    say(path);
    say(": errno ");
    say_number(error);
    say("\n");
    failures++;
    return -1;
  }
  return (int)fd;
}

/* Writes a text at the descriptor's offset; the number of bytes written, or minus the errno. */
__attribute__((unused)) static int put(int fd, const char *text) {
  __wasi_ciovec_t vector = {(const uint8_t *)text, strlen(text)};
  __wasi_size_t written = 0;
  int error = __wasi_fd_write((__wasi_fd_t)fd, &vector, 1, &written);
  return error == OK ? (int)written : -error;
}

/* Reads at the descriptor's offset and ends what was read with a NUL; `size` has room for it. */
__attribute__((unused)) static int get(int fd, char *into, size_t size) {
  __wasi_iovec_t vector = {(uint8_t *)into, size - 1};
  __wasi_size_t length = 0;
  int error = __wasi_fd_read((__wasi_fd_t)fd, &vector, 1, &length);
  into[error == OK ? length : 0] = 0;
  return error == OK ? (int)length : -error;
}

/* Reads a whole small file from its start without moving the offset. */
__attribute__((unused)) static const char *content(int fd) {
  static char text[256];
  __wasi_iovec_t vector = {(uint8_t *)text, sizeof text - 1};
  __wasi_size_t length = 0;
  int error = __wasi_fd_pread((__wasi_fd_t)fd, &vector, 1, 0, &length);
  text[error == OK ? length : 0] = 0;
  return error == OK ? text : "(cannot be read)";
}

__attribute__((unused)) static bool same(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* Makes a file below the first preopen. */
__attribute__((unused)) static void make_file(const char *path, const char *text) {
  int fd = open_file(path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, 0);
  if (fd < 0) return;
  EQUAL(put(fd, text), strlen(text));
  ERRNO(__wasi_fd_close((__wasi_fd_t)fd), OK);
}

/* The kind of a file below the first preopen, a final link not followed; -1 if there is none. */
__attribute__((unused)) static int type_of(const char *path) {
  __wasi_filestat_t stat;
  return __wasi_path_filestat_get(DIR, 0, path, &stat) == OK ? stat.filetype : -1;
}

__attribute__((unused)) static int64_t size_of(const char *path) {
  __wasi_filestat_t stat;
  return __wasi_path_filestat_get(DIR, 0, path, &stat) == OK ? (int64_t)stat.size : -1;
}

#endif
