//! Offsets of files, as every backend takes them.

use super::Result;
use crate::abi::{Errno, Filesize, Whence};

/// # Errors
/// - `inval`: the offset is none of a host's, which are signed.
pub(super) fn check_offset(offset: Filesize) -> Result<()> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(Errno::Inval) }
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
