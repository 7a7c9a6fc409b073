//! The platform: all `cfg(target)` of the crate, and every call that names libc, rustix or
//! windows-sys.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
// The parts of Windows that are rules without calls are tested everywhere.
#[cfg(all(test, not(windows)))]
#[path = "windows/link.rs"]
mod link;
#[cfg(all(test, not(windows)))]
#[path = "windows/names.rs"]
pub(super) mod names;

#[cfg(all(fuzzing, any(target_os = "linux", target_os = "android")))]
pub use unix::pretend_openat2;
#[cfg(unix)]
pub use unix::{
    Handle, PipeEnd, Watched, bound_own_memory, clock_resolution, clock_time, close_duplicate,
    duplicate, duplicate_socket, end_process, errno_from_raw, inherited_pipe, library_path, listen,
    listen_at, open_exact, open_pipe, open_preopen, random, stdio, thread_id, wait, yield_now,
};
#[cfg(windows)]
pub use windows::{
    Handle, PipeEnd, Watched, bound_own_memory, clock_resolution, clock_time, close_duplicate,
    duplicate, duplicate_socket, end_process, errno_from_raw, inherited_pipe, lend, library_path,
    listen, listen_at, open_exact, open_pipe, open_preopen, random, stdio, thread_id, wait,
    yield_now,
};
