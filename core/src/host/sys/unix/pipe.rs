//! Pipes between the host and a guest.

#![allow(unsafe_code, reason = "a file descriptor that is handed out by its number")]

use super::file::{HostFile, Ownership};
use super::{access, fdflags};
use crate::abi::Filetype;
use crate::host::{Opened, Stdio};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The guest's end of a pipe. It is closed with this value, or with the guest's descriptor that it
/// becomes.
pub struct PipeEnd(OwnedFd);

impl PipeEnd {
    /// The same end once more. The other end sees it closed when the last of them is closed.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`: there are too many open descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The guest's standard stream. If `terminal`, the guest is told that it is a terminal.
    ///
    /// # Errors
    /// Those of asking for the attributes of a file.
    pub fn into_stdio(self, terminal: bool) -> io::Result<Stdio> {
        let stat = rustix::fs::fstat(&self.0)?;
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        let mut file = HostFile::new(Ownership::Owned(self.0.into()), &stat);
        if terminal {
            file.pose_as_terminal();
        }
        debug_assert!(terminal || crate::host::File::filetype(&file) == Filetype::SocketStream);
        Ok(Stdio {
            object: Opened::File(Box::new(file)),
            flags: fdflags(flags),
            access: access(flags),
        })
    }
}

/// Opens a pipe of which neither end blocks. Programs that the process starts inherit neither. The
/// caller owns the number of the host's end, and closes it.
///
/// # Errors
/// `EMFILE`, `ENFILE`: there are too many open descriptors.
pub fn open_pipe(guest_reads: bool) -> io::Result<(RawFd, PipeEnd)> {
    let (reader, writer) = pipe()?;
    let (host, guest) = if guest_reads { (writer, reader) } else { (reader, writer) };
    Ok((host.into_raw_fd(), PipeEnd(guest)))
}

/// Takes over an end that this process was started with, by its number. From now on it does not
/// block, and programs that the process starts do not inherit it.
///
/// # Errors
/// `EBADF`: nothing is open there.
///
/// # Safety
/// The number belongs to nobody else.
pub unsafe fn inherited_pipe(number: RawFd) -> io::Result<PipeEnd> {
    // SAFETY: a number that is looked at, which may be no descriptor's.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller's to give.
    let end = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&end, rustix::io::FdFlags::CLOEXEC)?;
    let flags = rustix::fs::fcntl_getfl(&end)?;
    rustix::fs::fcntl_setfl(&end, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(PipeEnd(end))
}

/// Duplicates a descriptor to the lowest free number from `least` on. Programs that the process
/// starts do not inherit it. The caller owns the number, and closes it.
///
/// # Errors
/// `EBADF`: nothing is open there. `EMFILE`, `EINVAL`: no such number is free.
pub fn duplicate(number: RawFd, least: RawFd) -> io::Result<RawFd> {
    // SAFETY: a number that is looked at, which may be no descriptor's.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, least) };
    if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(copy) }
}

/// Closes what [`duplicate`] has opened.
///
/// # Safety
/// The number is of [`duplicate`], and has not been closed since.
pub unsafe fn close_duplicate(number: RawFd) {
    // SAFETY: it is open, and the caller's to give.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the pointer is to two numbers.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has opened both for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// There is no call that opens a pipe with flags. The standard library sets `CLOEXEC` at once.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    let ends = (OwnedFd::from(reader), OwnedFd::from(writer));
    for end in [&ends.0, &ends.1] {
        let flags = rustix::fs::fcntl_getfl(end)?;
        rustix::fs::fcntl_setfl(end, flags | rustix::fs::OFlags::NONBLOCK)?;
    }
    Ok(ends)
}

/// The path of the file that this code was loaded from.
#[must_use]
pub fn library_path() -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: all zero is a record of null pointers.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here: *const () = (library_path as fn() -> Option<std::path::PathBuf>) as *const ();
    // SAFETY: any address can be asked for, and the record is a local.
    if unsafe { libc::dladdr(here.cast(), &raw mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the name ends in NUL and stays for as long as the library is loaded.
    let name = unsafe { std::ffi::CStr::from_ptr(info.dli_fname) };
    Some(std::ffi::OsStr::from_bytes(name.to_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn neither_end_blocks_nor_is_inherited() {
        for guest_reads in [true, false] {
            let (host, guest) = open_pipe(guest_reads).unwrap();
            // SAFETY: the number is ours.
            let host = unsafe { OwnedFd::from_raw_fd(host) };
            for end in [&host, &guest.0] {
                assert!(
                    rustix::io::fcntl_getfd(end).unwrap().contains(rustix::io::FdFlags::CLOEXEC)
                );
                let flags = rustix::fs::fcntl_getfl(end).unwrap();
                assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
            }
            let (mut host, mut guest) = (std::fs::File::from(host), std::fs::File::from(guest.0));
            let (from, to) =
                if guest_reads { (&mut guest, &mut host) } else { (&mut host, &mut guest) };
            let mut byte = [0];
            assert_eq!(from.read(&mut byte).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            to.write_all(b"x").unwrap();
            assert_eq!((from.read(&mut byte).unwrap(), byte), (1, *b"x"));
        }
    }

    #[test]
    fn a_terminal_is_what_the_guest_is_told() {
        for terminal in [false, true] {
            let (host, guest) = open_pipe(false).unwrap();
            // SAFETY: the number is ours.
            drop(unsafe { OwnedFd::from_raw_fd(host) });
            let Opened::File(file) = guest.into_stdio(terminal).unwrap().object else { panic!() };
            assert_eq!(file.is_terminal(), terminal);
            assert_eq!(file.filetype() == Filetype::CharacterDevice, terminal);
            assert_eq!(file.filestat().unwrap().filetype, file.filetype());
        }
    }

    #[test]
    fn an_inherited_end_does_not_block_either() {
        let (reader, _writer) = io::pipe().unwrap();
        // SAFETY: nobody else has the number.
        let PipeEnd(end) = unsafe { inherited_pipe(reader.into_raw_fd()) }.unwrap();
        let mut file = std::fs::File::from(end);
        assert_eq!(file.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // SAFETY: there is no such descriptor.
        assert!(unsafe { inherited_pipe(1 << 20) }.is_err());
    }

    #[test]
    fn the_library_has_a_path() {
        assert!(library_path().unwrap().is_absolute() || cfg!(miri));
    }
}
