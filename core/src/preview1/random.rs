//! Randomness.

use super::{BufferArg, Call, Result};
use crate::host;

/// Fills a buffer with random bytes fit for keys, unless the embedder has set a seed.
///
/// POSIX: `getentropy`, without its limit of 256 bytes.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#random_get>
pub(super) fn random_get(call: &Call<'_>, buf: BufferArg<'_>) -> Result<()> {
    match &call.ctx.random {
        None => host::fill(buf.0),
        Some(random) => random.fill(buf.0),
    }
    Ok(())
}
