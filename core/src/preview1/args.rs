//! Command-line arguments.

use super::{Call, Result};
use crate::ctx::StringArray;
use crate::memory::GuestPtr;

/// Writes the arguments and a list of pointers to them.
///
/// POSIX: `argv`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#args_get>
pub(super) fn args_get(call: &Call<'_>, argv: GuestPtr<u32>, argv_buf: GuestPtr<u8>) -> Result<()> {
    write_strings(call, &call.ctx.args, argv, argv_buf)
}

/// The number of arguments, and the bytes they take with their terminators.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#args_sizes_get>
pub(super) fn args_sizes_get(call: &Call<'_>) -> Result<(u32, u32)> {
    Ok(call.ctx.args.sizes())
}

/// Writes strings one behind the other, and a list of pointers to them. Both ranges are checked
/// first.
pub(super) fn write_strings(
    call: &Call<'_>,
    strings: &StringArray,
    list: GuestPtr<u32>,
    buf: GuestPtr<u8>,
) -> Result<()> {
    let (count, len) = strings.sizes();
    let list = call.memory.array(list, count)?;
    let bytes = call.memory.region(buf.offset(), len)?;
    bytes.write_at(0, strings.bytes());
    let mut at = 0_usize;
    for start in strings.starts() {
        list.write_at(at, &buf.offset().saturating_add(*start).to_le_bytes());
        at = at.saturating_add(size_of::<u32>());
    }
    Ok(())
}
