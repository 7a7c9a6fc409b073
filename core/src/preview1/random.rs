//! Randomness.

use super::{BufferArg, Call, CallError, Result};
use crate::host;

/// The most bytes that one slice fills: a gigabyte takes seconds, in which nobody could end the
/// guest. It is a multiple of the generators' chunks, so that a seed gives the same bytes.
const SLICE: usize = 4 << 20;

/// Fills a buffer with random bytes fit for keys, unless the embedder has set a seed.
///
/// POSIX: `getentropy`, without its limit of 256 bytes.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#random_get>
pub(super) fn random_get(call: &Call<'_>, buf: BufferArg<'_>) -> Result<()> {
    // How many bytes the slices before this one have filled.
    let done = usize::try_from(call.resume.get()).unwrap_or(usize::MAX);
    let rest = buf.0.from(done);
    let slice = rest.start(SLICE);
    match &call.ctx.random {
        None => host::fill(slice),
        Some(random) => random.fill(slice),
    }
    if slice.len() < rest.len() {
        call.resume.set(done.saturating_add(slice.len()) as u64);
        return Err(CallError::Again);
    }
    Ok(())
}
