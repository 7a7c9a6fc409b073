//! The environment.

use super::args::write_strings;
use super::{Call, Result};
use crate::memory::GuestPtr;

/// Writes the environment as `NAME=value` and a list of pointers to the strings.
///
/// POSIX: `environ`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#environ_get>
pub(super) fn environ_get(
    call: &Call<'_>,
    environ: GuestPtr<u32>,
    environ_buf: GuestPtr<u8>,
) -> Result<()> {
    write_strings(call, &call.ctx.environ, environ, environ_buf)
}

/// The number of variables, and the bytes they take with their terminators.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#environ_sizes_get>
pub(super) fn environ_sizes_get(call: &Call<'_>) -> Result<(u32, u32)> {
    Ok(call.ctx.environ.sizes())
}
