//! The platform: all `cfg(target)` of the crate, and every call that names libc or rustix.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::{Handle, clock_resolution, clock_time, end_process, errno_from_raw, open_preopen, stdio, wait, yield_now};
