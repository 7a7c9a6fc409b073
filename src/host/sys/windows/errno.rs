//! Error numbers of Windows: those of the system and those of its sockets.

use crate::abi::Errno;
use std::io;
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Networking::WinSock as sock;

/// The errno for an error number of the host, if the specification has one.
#[must_use]
pub fn errno_from_raw(raw: i32) -> Option<Errno> {
    let raw = u32::try_from(raw).ok()?;
    SYSTEM
        .iter()
        .find(|(code, _)| *code == raw)
        .or_else(|| SOCKETS.iter().find(|(code, _)| u32::try_from(*code) == Ok(raw)).map(|(_, errno)| &(0, *errno)))
        .map(|(_, errno)| *errno)
}
