//! Clocks.

use super::{Call, Result};
use crate::abi::{Clockid, Errno, Timestamp};
use crate::host;

fn clock(id: u32) -> Result<Clockid> {
    Ok(Clockid::from_value(id).ok_or(Errno::Inval)?)
}

/// The resolution of a clock in nanoseconds.
///
/// POSIX: `clock_getres`.
///
/// # Errors
/// - `inval`: there is no such clock.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#clock_res_get>
pub(super) fn clock_res_get(_: &Call<'_>, id: u32) -> Result<Timestamp> {
    Ok(host::resolution(clock(id)?)?)
}

/// The time of a clock in nanoseconds since its epoch, as precise as the host has it, whatever
/// precision is asked for.
///
/// POSIX: `clock_gettime`.
///
/// # Errors
/// - `inval`: there is no such clock.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#clock_time_get>
pub(super) fn clock_time_get(call: &Call<'_>, id: u32, _precision: Timestamp) -> Result<Timestamp> {
    let clock = clock(id)?;
    match call.ctx.clocks.as_ref().and_then(|clocks| clocks.get(clock)) {
        None => Ok(host::time(clock)?),
        Some(clock) => Ok(clock.time()),
    }
}
