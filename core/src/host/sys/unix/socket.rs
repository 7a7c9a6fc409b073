//! Sockets that the embedder gives to a guest.

use super::errno::from_rustix;
use super::file::{HostFile, Owned, Ownership};
use super::platform;
use crate::host::{GivenSocket, Opened, Result, SocketName, SocketNames};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno as Host;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The file of a Unix socket that a listener has made. Dropping this removes the file, unless
/// another file has its place.
///
/// The socket has to be open when this is dropped: while it is, no other file gets its serial
/// number.
pub(super) struct BoundPath {
    /// The folder, held open: it may be moved, and the working directory may be changed.
    folder: OwnedFd,
    name: Vec<u8>,
    identity: (u64, u64),
}

impl BoundPath {
    fn identity(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<(u64, u64)> {
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Socket {
            Ok(super::file::identity(&stat))
        } else {
            Err(Host::NOTSOCK)
        }
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        let found = Self::identity(self.folder.as_fd(), &self.name);
        if found == Ok(self.identity) {
            let _ = rustix::fs::unlinkat(&self.folder, &self.name[..], AtFlags::empty());
        }
    }
}

/// Listens on an address of the Internet protocol. For port 0 the system chooses one. An IPv6
/// listener on all addresses takes connections of IPv4, too.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<GivenSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = platform::listening_socket(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    given(socket, None, true)
}

/// Listens on a Unix socket. Its file is made here and removed when the socket is closed.
pub fn listen_at(path: &Path, backlog: i32) -> io::Result<GivenSocket> {
    let address = SocketAddrUnix::new(path)?;
    let name = path.file_name().ok_or(Host::INVAL)?.as_bytes().to_vec();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let folder = platform::open_name(
        rustix::fs::CWD,
        parent.as_os_str().as_bytes(),
        platform::DIRECTORY,
        Mode::empty(),
    )?;
    let socket = platform::listening_socket(AddressFamily::UNIX)?;
    rustix::net::bind(&socket, &address)?;
    let identity = BoundPath::identity(folder.as_fd(), &name)?;
    let bound = BoundPath { folder, name, identity };
    rustix::net::listen(&socket, backlog)?;
    given(socket, Some(Box::new(bound)), true)
}

/// Duplicates a socket of the host. Its flags stay unchanged, because everyone who has the socket
/// shares them.
///
/// # Errors
/// - `ENOTSOCK`: the descriptor is no socket.
/// - `EBADF`: it is not open.
#[allow(unsafe_code, reason = "a descriptor given by its number")]
pub fn duplicate_socket(fd: RawFd) -> io::Result<GivenSocket> {
    // SAFETY: `fd` is not negative, as the binding has checked, so it is not the niche -1. Nothing
    // is closed through the borrow, and a descriptor that is not open answers EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let stat = rustix::fs::fstat(borrowed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Host::NOTSOCK.into());
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(borrowed, 0)?;
    // A datagram socket does not take connections, but some systems do not report that.
    let is_listening = sockopt::socket_type(&socket)? != SocketType::DGRAM
        && platform::is_listening(socket.as_fd()).is_ok_and(|is_listening| is_listening);
    given(socket, None, is_listening)
}

fn given(
    socket: OwnedFd,
    bound: Option<Box<BoundPath>>,
    is_listening: bool,
) -> io::Result<GivenSocket> {
    // Should this fail, `bound` is dropped before `socket`, as it has to be.
    let stat = rustix::fs::fstat(&socket)?;
    let file = HostFile::socket(Ownership::Owned(Owned::from(socket)), &stat, bound);
    Ok(GivenSocket { object: Opened::File(Box::new(file)), is_listening })
}

/// The two ends of a socket.
pub(super) fn names(socket: BorrowedFd<'_>) -> Result<SocketNames> {
    let local = rustix::net::getsockname(socket).map_err(from_rustix)?;
    let peer = match rustix::net::getpeername(socket) {
        Ok(peer) => peer,
        // The other end may have gone meanwhile.
        Err(Host::NOTCONN | Host::INVAL) => None,
        Err(error) => return Err(from_rustix(error)),
    };
    Ok(SocketNames { local: name(local), peer: peer.and_then(name) })
}

fn name(address: SocketAddrAny) -> Option<SocketName> {
    if let Ok(ip) = SocketAddr::try_from(address.clone()) {
        return Some(SocketName::Ip(ip));
    }
    let unix = SocketAddrUnix::try_from(address).ok()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = unix.abstract_name().filter(|name| !name.is_empty()) {
        return Some(SocketName::Path([&[0], name].concat()));
    }
    Some(SocketName::Path(unix.path().map(|path| path.to_bytes().to_vec()).unwrap_or_default()))
}
