//! The platform: all `cfg(target)` of the crate, and every call that names libc or rustix.

#[cfg(unix)]
mod unix;

#[cfg(all(fuzzing, any(target_os = "linux", target_os = "android")))]
pub use unix::pretend_openat2;
#[cfg(unix)]
pub use unix::{Handle, clock_resolution, clock_time, end_process, errno_from_raw, open_preopen, stdio, wait, yield_now};
