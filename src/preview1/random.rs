//! Randomness.

use super::{BufferArg, Call, Result};
use crate::host;

/// Fills a buffer with random bytes fit for keys.
///
/// POSIX: `getentropy`, without its limit of 256 bytes.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#random_get>
pub(super) fn random_get(_: &Call<'_>, buf: BufferArg<'_>) -> Result<()> {
    host::fill(buf.0);
    Ok(())
}
