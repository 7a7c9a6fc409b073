//! The guest's process.

use super::{Call, CallError, Result};
use crate::abi::Errno;

/// Ends the guest with a code.
///
/// POSIX: `_exit`.
///
/// # Node
/// The embedder decides what happens to the host's process: see `returnOnExit`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#proc_exit>
pub(super) fn proc_exit(_: &Call<'_>, code: u32) -> Result<()> {
    Err(CallError::Exit(code))
}

/// Answers that there are no signals.
///
/// POSIX: `raise`.
///
/// # Errors
/// - `nosys`: always.
///
/// # Node
/// `node:wasi` sends the signal to the host's process.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#proc_raise>
pub(super) fn proc_raise(_: &Call<'_>, _signal: u32) -> Result<()> {
    Err(Errno::Nosys.into())
}
