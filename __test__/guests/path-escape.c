/* No path leaves its preopen: by `..`, by an absolute name, by a link that points out, near or far,
 * in the middle or at the end, in any call. Beside the sandbox is a directory called outside, whose
 * absolute name is argv[1]: what is attacked is made for it, and nothing else of the host's. */
#include "check.h"

#define OUT __WASI_ERRNO_NOTCAPABLE, __WASI_ERRNO_PERM

static char absolute_dir[512], absolute_file[512], absolute_place[512];

static const char *const dirs_out[] = {
    "..",
    "../",
    "../outside",
    "d/../..",
    "d/../../outside",
    "./../outside",
    absolute_dir,
    "to-outside",
    "to-outside/.",
    "to-abs",
    "chain",
    "d/up",
    "d/up/outside",
    "d/upup",
    "to-parent",
    "to-parent/outside",
    "d/../to-outside",
    "to-d/../../outside",
    "../sandbox",
    "to-sandbox",
    "../sandbox/d",
    "../missing",
};

static const char *const files_out[] = {
    "../outside/secret.txt",
    absolute_file,
    "to-outside/secret.txt",
    "to-secret",
    "to-abs-secret",
    "to-abs/secret.txt",
    "chain/secret.txt",
    "to-parent/outside/secret.txt",
    "d/upup/secret.txt",
    "to-outside/../outside/secret.txt",
    "d/../../outside/secret.txt",
    "../sandbox/f.txt",
    "to-sandbox/f.txt",
};

static void complain(bool held, const char *path) {
  if (held) return;
  say("  for ");
  say(path);
  say("\n");
}

int main(int argc, char **argv) {
  if (argc < 2 || strlen(argv[1]) > 400) return 3;
  strcpy(absolute_dir, argv[1]);
  strcat(strcpy(absolute_place, argv[1]), "/");
  strcat(strcpy(absolute_file, absolute_place), "secret.txt");

  __wasi_fd_t fd = 77;
  __wasi_filestat_t stat;
  uint8_t bytes[64];
  __wasi_size_t used;
  static const __wasi_rights_t rw = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE;

  for (size_t i = 0; i < COUNT(dirs_out); i++) {
    const char *path = dirs_out[i];
    complain(ERRNO(__wasi_path_open(DIR, FOLLOW, path, 0, 0, 0, 0, &fd), OUT), path);
    complain(ERRNO(__wasi_path_open(DIR, FOLLOW, path, __WASI_OFLAGS_DIRECTORY,
                                    __WASI_RIGHTS_FD_READDIR, 0, 0, &fd),
                   OUT),
             path);
    complain(ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, path, &stat), OUT), path);
    complain(
        ERRNO(__wasi_path_filestat_set_times(DIR, FOLLOW, path, 0, 0, __WASI_FSTFLAGS_MTIM), OUT),
        path);
  }
  for (size_t i = 0; i < COUNT(files_out); i++) {
    const char *path = files_out[i];
    complain(ERRNO(__wasi_path_open(DIR, FOLLOW, path, 0, rw, 0, 0, &fd), OUT), path);
    complain(ERRNO(__wasi_path_open(DIR, FOLLOW, path, __WASI_OFLAGS_TRUNC, rw, 0, 0, &fd), OUT),
             path);
    complain(ERRNO(__wasi_path_open(DIR, FOLLOW, path, __WASI_OFLAGS_CREAT, rw, 0, 0, &fd), OUT),
             path);
    complain(ERRNO(__wasi_path_filestat_get(DIR, FOLLOW, path, &stat), OUT), path);
    complain(
        ERRNO(__wasi_path_filestat_set_times(DIR, FOLLOW, path, 0, 0, __WASI_FSTFLAGS_MTIM), OUT),
        path);
    complain(ERRNO(__wasi_path_link(DIR, FOLLOW, path, DIR, "made"), OUT, __WASI_ERRNO_INVAL),
             path);
  }
  ERRNO(__wasi_path_open(DIR, FOLLOW, "/", 0, 0, 0, 0, &fd), OUT);
  EQUAL(fd, 77);

  /* Names outside, existing or not, in the calls that never follow a final link. */
  static const char *const places[] = {"../outside/",     absolute_place, "to-outside/",
                                       "to-abs/",         "chain/",       "to-parent/outside/",
                                       "d/../../outside/"};
  for (size_t i = 0; i < COUNT(places); i++) {
    char victim[600], fresh[600], empty[600];
    size_t length = strlen(places[i]);
    memcpy(victim, places[i], length);
    memcpy(victim + length, "secret.txt", 11);
    memcpy(fresh, places[i], length);
    memcpy(fresh + length, "fresh", 6);
    memcpy(empty, places[i], length);
    memcpy(empty + length, "empty", 6);
    complain(ERRNO(__wasi_path_create_directory(DIR, fresh), OUT), fresh);
    complain(ERRNO(__wasi_path_symlink("x", DIR, fresh), OUT), fresh);
    complain(ERRNO(__wasi_path_open(DIR, 0, fresh, __WASI_OFLAGS_CREAT, rw, 0, 0, &fd), OUT),
             fresh);
    complain(ERRNO(__wasi_path_link(DIR, 0, "f.txt", DIR, fresh), OUT), fresh);
    complain(ERRNO(__wasi_path_link(DIR, 0, victim, DIR, "made"), OUT), victim);
    complain(ERRNO(__wasi_path_rename(DIR, "f.txt", DIR, fresh), OUT), fresh);
    complain(ERRNO(__wasi_path_rename(DIR, victim, DIR, "made"), OUT), victim);
    complain(ERRNO(__wasi_path_unlink_file(DIR, victim), OUT), victim);
    complain(ERRNO(__wasi_path_remove_directory(DIR, empty), OUT), empty);
    complain(ERRNO(__wasi_path_readlink(DIR, victim, bytes, sizeof bytes, &used), OUT), victim);
    complain(ERRNO(__wasi_path_filestat_get(DIR, 0, victim, &stat), OUT), victim);
    complain(ERRNO(__wasi_path_filestat_set_times(DIR, 0, victim, 0, 0, __WASI_FSTFLAGS_MTIM), OUT),
             victim);
  }
  EQUAL(type_of("made"), -1);
  EQUAL(size_of("f.txt"), 5);

  /* Links as such may be looked at, renamed and removed. */
  MUST(__wasi_path_filestat_get(DIR, 0, "to-secret", &stat));
  EQUAL(stat.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  ERRNO(__wasi_path_rename(DIR, "to-secret", DIR, "moved"), OK);
  ERRNO(__wasi_path_unlink_file(DIR, "moved"), OK);
  return report();
}
