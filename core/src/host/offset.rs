//! Offsets of files, as every backend takes them.

use super::Result;
use crate::abi::{Errno, Filesize, Whence};
use crate::memory::Region;

/// # Errors
/// - `inval`: the offset is none of a host's, which are signed.
pub(super) fn check_offset(offset: Filesize) -> Result<()> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(Errno::Inval) }
}

/// Checks where a read or a write ends that begins at an offset, as Linux does.
///
/// # Errors
/// - `inval`: behind the last offset that a host has, however few of the bytes there are.
#[inline]
pub(super) fn check_range(bufs: &[Region<'_>], offset: Filesize) -> Result<()> {
    /// Buffers that one call names are shorter than this together, so below it nothing is added up.
    const NEAR: Filesize = 1 << 62;
    if offset < NEAR {
        return Ok(());
    }
    let total = bufs.iter().fold(0_u64, |total, buf| total.saturating_add(buf.len() as u64));
    check_offset(offset.saturating_add(total))
}

/// Where a `seek` leads from a position.
///
/// # Errors
/// - `inval`: before the beginning.
/// - `overflow`: where no offset is.
/// - those of `size`, which is asked for the size of the file where that matters.
pub(super) fn sought(
    position: Filesize,
    (delta, whence): (i64, Whence),
    size: impl FnOnce() -> Result<Filesize>,
) -> Result<Filesize> {
    let from = match whence {
        Whence::Set => 0,
        Whence::Cur => position,
        Whence::End => size()?,
    };
    let from = i64::try_from(from).map_err(|_| Errno::Overflow)?;
    let to = from.checked_add(delta).ok_or(Errno::Overflow)?;
    u64::try_from(to).map_err(|_| Errno::Inval)
}
