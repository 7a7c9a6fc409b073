//! Host errors as errnos, in one place.

use crate::abi::Errno;
use std::io;

/// The errno for a host error; `io` for an error that the specification has no name for.
#[must_use]
pub fn from_io(error: &io::Error) -> Errno {
    if let Some(errno) = error.raw_os_error().and_then(super::sys::errno_from_raw) {
        return errno;
    }
    match error.kind() {
        io::ErrorKind::NotFound => Errno::Noent,
        io::ErrorKind::PermissionDenied => Errno::Perm,
        io::ErrorKind::AlreadyExists => Errno::Exist,
        io::ErrorKind::WouldBlock => Errno::Again,
        io::ErrorKind::InvalidInput => Errno::Inval,
        io::ErrorKind::BrokenPipe => Errno::Pipe,
        io::ErrorKind::Interrupted => Errno::Intr,
        io::ErrorKind::Unsupported => Errno::Notsup,
        io::ErrorKind::OutOfMemory => Errno::Nomem,
        io::ErrorKind::NotADirectory => Errno::Notdir,
        io::ErrorKind::IsADirectory => Errno::Isdir,
        io::ErrorKind::DirectoryNotEmpty => Errno::Notempty,
        io::ErrorKind::ReadOnlyFilesystem => Errno::Rofs,
        io::ErrorKind::StorageFull => Errno::Nospc,
        io::ErrorKind::QuotaExceeded => Errno::Dquot,
        io::ErrorKind::FileTooLarge => Errno::Fbig,
        io::ErrorKind::CrossesDevices => Errno::Xdev,
        io::ErrorKind::TooManyLinks => Errno::Mlink,
        io::ErrorKind::NotSeekable => Errno::Spipe,
        _ => Errno::Io,
    }
}
