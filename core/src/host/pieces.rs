//! Whole files, piece by piece.

use super::{File, Result};
use crate::abi::Errno;
use crate::memory::{GuestMemory, Region};

/// How many bytes of a file are moved at once.
const PIECE: usize = 64 * 1024;

/// Gives all that `read` reads to `take`, piece by piece.
pub(super) fn each_piece(
    mut read: impl FnMut(&[Region<'_>], u64) -> Result<usize>,
    mut take: impl FnMut(Region<'_>) -> Result<()>,
) -> Result<()> {
    let mut room = Vec::new();
    room.try_reserve_exact(PIECE).map_err(|_| Errno::Nomem)?;
    room.resize(PIECE, 0);
    let len = u32::try_from(PIECE).map_err(|_| Errno::Io)?;
    let region = GuestMemory::from_slice(&mut room).region(0, len).map_err(|_| Errno::Io)?;
    let mut at = 0_u64;
    loop {
        let got = read(&[region], at)?;
        if got == 0 {
            return Ok(());
        }
        take(region.start(got))?;
        at = at.saturating_add(got as u64);
    }
}

/// All bytes of a file.
pub(super) fn read_all(file: &dyn File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    each_piece(
        |bufs, offset| file.pread(bufs, offset),
        |piece| {
            let start = bytes.len();
            let end = start.saturating_add(piece.len());
            bytes.try_reserve(piece.len()).map_err(|_| Errno::Nomem)?;
            bytes.resize(end, 0);
            if let Some(room) = bytes.get_mut(start..end) {
                piece.read_at(0, room);
            }
            Ok(())
        },
    )?;
    Ok(bytes)
}
