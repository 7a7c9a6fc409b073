/* The imports as the specification types them, for guests that need a length, a pointer or a count
 * that the C library's wrappers would not pass. */
#ifndef RAW_H
#define RAW_H

#include <stdint.h>

#define RAW(name) \
  __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int32_t raw_##name

RAW(args_get)(const void *argv, const void *buffer);
RAW(args_sizes_get)(const void *count, const void *size);
RAW(environ_get)(const void *environ, const void *buffer);
RAW(environ_sizes_get)(const void *count, const void *size);
RAW(clock_res_get)(int32_t id, const void *resolution);
RAW(clock_time_get)(int32_t id, int64_t precision, const void *time);
RAW(fd_advise)(int32_t fd, int64_t offset, int64_t length, int32_t advice);
RAW(fd_allocate)(int32_t fd, int64_t offset, int64_t length);
RAW(fd_close)(int32_t fd);
RAW(fd_datasync)(int32_t fd);
RAW(fd_fdstat_get)(int32_t fd, const void *stat);
RAW(fd_fdstat_set_flags)(int32_t fd, int32_t flags);
RAW(fd_fdstat_set_rights)(int32_t fd, int64_t base, int64_t inheriting);
RAW(fd_filestat_get)(int32_t fd, const void *stat);
RAW(fd_filestat_set_size)(int32_t fd, int64_t size);
RAW(fd_filestat_set_times)(int32_t fd, int64_t atim, int64_t mtim, int32_t flags);
RAW(fd_pread)(int32_t fd, const void *iovs, uint32_t count, int64_t offset, const void *read);
RAW(fd_prestat_get)(int32_t fd, const void *prestat);
RAW(fd_prestat_dir_name)(int32_t fd, const void *path, uint32_t length);
RAW(fd_pwrite)(int32_t fd, const void *iovs, uint32_t count, int64_t offset, const void *written);
RAW(fd_read)(int32_t fd, const void *iovs, uint32_t count, const void *read);
RAW(fd_readdir)(int32_t fd, const void *buffer, uint32_t length, int64_t cookie, const void *used);
RAW(fd_renumber)(int32_t from, int32_t to);
RAW(fd_seek)(int32_t fd, int64_t offset, int32_t whence, const void *position);
RAW(fd_sync)(int32_t fd);
RAW(fd_tell)(int32_t fd, const void *position);
RAW(fd_write)(int32_t fd, const void *iovs, uint32_t count, const void *written);
RAW(path_create_directory)(int32_t fd, const void *path, uint32_t length);
RAW(path_filestat_get)(int32_t fd, int32_t lookup, const void *path, uint32_t length,
                       const void *stat);
RAW(path_filestat_set_times)(int32_t fd, int32_t lookup, const void *path, uint32_t length,
                             int64_t atim, int64_t mtim, int32_t flags);
RAW(path_link)(int32_t fd, int32_t lookup, const void *path, uint32_t length, int32_t new_fd,
               const void *new_path, uint32_t new_length);
RAW(path_open)(int32_t fd, int32_t lookup, const void *path, uint32_t length, int32_t oflags,
               int64_t base, int64_t inheriting, int32_t fdflags, const void *opened);
RAW(path_readlink)(int32_t fd, const void *path, uint32_t length, const void *buffer,
                   uint32_t buffer_length, const void *used);
RAW(path_remove_directory)(int32_t fd, const void *path, uint32_t length);
RAW(path_rename)(int32_t fd, const void *path, uint32_t length, int32_t new_fd,
                 const void *new_path, uint32_t new_length);
RAW(path_symlink)(const void *target, uint32_t target_length, int32_t fd, const void *path,
                  uint32_t length);
RAW(path_unlink_file)(int32_t fd, const void *path, uint32_t length);
RAW(poll_oneoff)(const void *in, const void *out, uint32_t count, const void *events);
RAW(proc_raise)(int32_t signal);
RAW(random_get)(const void *buffer, uint32_t length);
RAW(sched_yield)(void);
RAW(sock_accept)(int32_t fd, int32_t flags, const void *accepted);
RAW(sock_recv)(int32_t fd, const void *iovs, uint32_t count, int32_t flags, const void *read,
               const void *out_flags);
RAW(sock_send)(int32_t fd, const void *iovs, uint32_t count, int32_t flags, const void *written);
RAW(sock_shutdown)(int32_t fd, int32_t how);

#endif
