//! Scheduling.

use super::{Call, Result};
use crate::host::sys;

/// Lets another thread of the host run.
///
/// POSIX: `sched_yield`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sched_yield>
pub(super) fn sched_yield(_: &Call<'_>) -> Result<()> {
    sys::yield_now();
    Ok(())
}
