//! Sockets, without waiting: before each transfer the socket is polled, because the host's socket
//! may block.

#![allow(unsafe_code, reason = "calls into the system")]

use super::call::gather;
use super::errno;
use crate::abi::{Errno, Filesize, Filetype, Riflags, Roflags, Sdflags};
use crate::host::{Readiness, Result, SocketName, SocketNames, from_io};
use crate::memory::Region;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::io::{
    AsRawHandle, AsRawSocket, AsSocket, BorrowedHandle, BorrowedSocket, FromRawSocket, OwnedSocket,
};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{
    FIONREAD, INVALID_SOCKET, MSG_PEEK, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM,
    SD_BOTH, SD_RECEIVE, SD_SEND, SO_ACCEPTCONN, SO_TYPE, SOCK_DGRAM, SOCKADDR_STORAGE,
    SOCKET_ERROR, SOL_SOCKET, WSABUF, WSADATA, WSAEMSGSIZE, WSAENOTSOCK, WSAESHUTDOWN,
    WSAGetLastError, WSAPOLLFD, WSAPoll, WSARecv, WSASend, WSAStartup, accept, getpeername,
    getsockopt, ioctlsocket, listen, shutdown,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_OUTPUT_HANDLE};

/// The number of bytes that a connection takes without waiting if it polls as writable. Windows
/// itself takes any number then; systems that stand in for Windows do not.
const CHUNK: usize = 4096;

/// The greatest number of bytes that one call sends.
const SEND_LIMIT: usize = 1 << 20;

/// The version of the sockets that is asked for: 2.2.
const VERSION: u16 = 0x0202;

enum Ownership {
    /// Accepted by the guest; closed with the file.
    Owned(OwnedSocket),
    /// The host's.
    Borrowed(BorrowedSocket<'static>),
}

/// A socket.
pub(super) struct Socket {
    owner: Ownership,
    filetype: Filetype,
    /// The guest has shut down the reading side. The system does not report the end then.
    ended: AtomicBool,
}

impl AsSocket for Socket {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        match &self.owner {
            Ownership::Owned(socket) => socket.as_socket(),
            Ownership::Borrowed(socket) => *socket,
        }
    }
}

/// A length in bytes, as the calls take it.
fn length<T>() -> i32 {
    i32::try_from(size_of::<T>()).unwrap_or(0)
}

fn last() -> Errno {
    // SAFETY: it has no preconditions.
    errno::from_code(unsafe { WSAGetLastError() }.cast_unsigned())
}

/// Initialises sockets for this library, however its host uses them.
fn start() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let mut data = WSADATA::default();
        // SAFETY: the pointer is to a local. Should it fail, so does every call on a socket.
        unsafe { WSAStartup(VERSION, &raw mut data) };
    });
}

impl Socket {
    /// Borrows a socket, if a handle is one.
    pub(super) fn borrow(handle: BorrowedHandle<'static>) -> Result<Self> {
        start();
        let raw = handle.as_raw_handle().addr() as u64;
        // SAFETY: it is not the number that stands for no socket, which is that of no handle.
        // Nothing is closed through the borrow.
        let socket = unsafe { BorrowedSocket::borrow_raw(raw) };
        let filetype = filetype(socket)?;
        Ok(Self { owner: Ownership::Borrowed(socket), filetype, ended: AtomicBool::new(false) })
    }

    fn own(socket: OwnedSocket) -> Result<Self> {
        let filetype = filetype(socket.as_socket())?;
        Ok(Self { owner: Ownership::Owned(socket), filetype, ended: AtomicBool::new(false) })
    }

    /// Listens on an address.
    pub(super) fn listen(address: SocketAddr, backlog: i32) -> io::Result<Self> {
        start();
        let socket = OwnedSocket::from(TcpListener::bind(address)?);
        // Once more, as `bind` has a length of its own for the queue.
        // SAFETY: it has no preconditions.
        if unsafe { listen(raw(socket.as_socket()), backlog) } == SOCKET_ERROR {
            return Err(io::Error::last_os_error());
        }
        Self::own(socket).map_err(|_| io::Error::last_os_error())
    }

    /// Duplicates a socket, and says whether it takes connections.
    pub(super) fn duplicate(handle: BorrowedHandle<'static>) -> io::Result<(Self, bool)> {
        let not_a_socket = |_| io::Error::from_raw_os_error(WSAENOTSOCK);
        let lent = Self::borrow(handle).map_err(not_a_socket)?;
        let socket = lent.as_socket().try_clone_to_owned()?;
        let is_listening = option(socket.as_socket(), SO_ACCEPTCONN).is_ok_and(|value| value != 0);
        Ok((Self::own(socket).map_err(not_a_socket)?, is_listening))
    }

    /// The two ends.
    pub(super) fn names(&self) -> Result<SocketNames> {
        // SAFETY: the socket is open, and is not closed through what is made of it.
        let stream = unsafe { TcpStream::from_raw_socket(self.as_socket().as_raw_socket()) };
        let stream = ManuallyDrop::new(stream);
        let local = stream.local_addr().map_err(|error| from_io(&error))?;
        let peer = stream.peer_addr().ok();
        Ok(SocketNames { local: Some(SocketName::Ip(local)), peer: peer.map(SocketName::Ip) })
    }

    pub(super) fn filetype(&self) -> Filetype {
        self.filetype
    }

    /// Checks that the host has not closed what it lent.
    pub(super) fn check_open(&self) -> Result<()> {
        option(self.as_socket(), SO_TYPE).map(drop)
    }

    fn raw(&self) -> usize {
        raw(self.as_socket())
    }

    /// How many bytes there are to read.
    pub(super) fn available(&self) -> Filesize {
        let mut count = 0;
        // SAFETY: the pointer is to a local.
        if unsafe { ioctlsocket(self.raw(), FIONREAD, &raw mut count) } == 0 {
            count.into()
        } else {
            0
        }
    }

    /// Whether the socket is ready, or becomes so within `time`.
    pub(super) fn poll(&self, read: bool, write: bool, time: Duration) -> Result<[Readiness; 2]> {
        if read && self.ended.load(Relaxed) {
            let [_, writable] = if write {
                self.poll(false, true, Duration::ZERO)?
            } else {
                [Readiness::default(); 2]
            };
            return Ok([Readiness { ready: true, hangup: true, invalid: false }, writable]);
        }
        let wanted = if read { POLLRDNORM } else { 0 } | if write { POLLWRNORM } else { 0 };
        let mut poll = WSAPOLLFD { fd: self.raw(), events: wanted, revents: 0 };
        let time = i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: the pointer is to one record.
        if unsafe { WSAPoll(&raw mut poll, 1, time) } == SOCKET_ERROR {
            return Err(last());
        }
        let invalid = poll.revents & POLLNVAL != 0;
        let hangup = poll.revents & (POLLHUP | POLLERR) != 0;
        let state = |wanted, flag| {
            if wanted {
                Readiness { ready: poll.revents & flag != 0 || hangup || invalid, hangup, invalid }
            } else {
                Readiness::default()
            }
        };
        Ok([state(read, POLLRDNORM), state(write, POLLWRNORM)])
    }

    fn check_ready(&self, read: bool) -> Result<()> {
        let [readable, writable] = self.poll(read, !read, Duration::ZERO)?;
        if readable.ready || writable.ready {
            return Ok(());
        }
        let (mut address, mut size) = (SOCKADDR_STORAGE::default(), length::<SOCKADDR_STORAGE>());
        // SAFETY: the pointers are to locals, and that of the address has the size that is given.
        let alone = unsafe { getpeername(self.raw(), (&raw mut address).cast(), &raw mut size) }
            == SOCKET_ERROR;
        if alone && last() == Errno::Notconn && self.filetype == Filetype::SocketStream {
            // It never will be.
            return Err(Errno::Notconn);
        }
        Err(Errno::Again)
    }

    /// Receives the bytes that are there.
    pub(super) fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
        if self.ended.load(Relaxed) {
            return Ok((0, Roflags::empty()));
        }
        self.check_ready(true)?;
        let list = buffers(bufs);
        let mut flags =
            if flags.contains(Riflags::RECV_PEEK) { MSG_PEEK.cast_unsigned() } else { 0 };
        let mut count = 0;
        // SAFETY: the buffers are checked ranges of guest memory, and the other pointers are to
        // locals. Without the pointer that is null the call has done its work when it returns.
        let result = unsafe {
            let len = u32::try_from(list.len()).unwrap_or(u32::MAX);
            WSARecv(
                self.raw(),
                list.as_ptr(),
                len,
                &raw mut count,
                &raw mut flags,
                ptr::null_mut(),
                None,
            )
        };
        if result != SOCKET_ERROR {
            return Ok((count as usize, Roflags::empty()));
        }
        // SAFETY: it has no preconditions.
        match unsafe { WSAGetLastError() } {
            // A datagram was longer than the buffers, which are full.
            WSAEMSGSIZE => Ok((
                list.iter().fold(0_usize, |sum, buf| sum.saturating_add(buf.len as usize)),
                Roflags::RECV_DATA_TRUNCATED,
            )),
            // POSIX reports the end of a socket that was shut down for reading.
            WSAESHUTDOWN => Ok((0, Roflags::empty())),
            code => Err(errno::from_code(code.cast_unsigned())),
        }
    }

    /// Sends as many bytes as fit.
    pub(super) fn send(&self, bufs: &[Region<'_>]) -> Result<usize> {
        if self.filetype != Filetype::SocketStream {
            // A message goes as a whole.
            self.check_ready(false)?;
            return self.transmit(&buffers(bufs));
        }
        let bytes = gather(bufs, SEND_LIMIT);
        let mut done = 0_usize;
        for chunk in bytes.chunks(CHUNK) {
            match self
                .check_ready(false)
                .and_then(|()| self.transmit(&[buffer(chunk.as_ptr().cast_mut(), chunk.len())]))
            {
                // The next call meets it.
                Err(_) if done > 0 => break,
                sent => {
                    let sent = sent?;
                    done = done.saturating_add(sent);
                    if sent < chunk.len() {
                        break;
                    }
                }
            }
        }
        Ok(done)
    }

    fn transmit(&self, list: &[WSABUF]) -> Result<usize> {
        let mut count = 0;
        // SAFETY: as above.
        let result = unsafe {
            let len = u32::try_from(list.len()).unwrap_or(u32::MAX);
            WSASend(self.raw(), list.as_ptr(), len, &raw mut count, 0, ptr::null_mut(), None)
        };
        if result == SOCKET_ERROR { Err(last()) } else { Ok(count as usize) }
    }

    /// Shuts channels down.
    pub(super) fn shutdown(&self, how: Sdflags) -> Result<()> {
        if matches!(self.owner, Ownership::Borrowed(_)) && is_output_of_the_process(self.raw()) {
            // To shut it down would end the host's own output.
            return Err(Errno::Notsock);
        }
        let reading = how.contains(Sdflags::RD);
        let how = match (how.contains(Sdflags::RD), how.contains(Sdflags::WR)) {
            (true, true) => SD_BOTH,
            (true, false) => SD_RECEIVE,
            (false, true) => SD_SEND,
            (false, false) => return Err(Errno::Inval),
        };
        // SAFETY: it has no preconditions.
        if unsafe { shutdown(self.raw(), how) } == SOCKET_ERROR {
            return Err(last());
        }
        self.ended.fetch_or(reading, Relaxed);
        Ok(())
    }

    /// Takes a connection.
    pub(super) fn accept(&self) -> Result<Self> {
        if option(self.as_socket(), SO_ACCEPTCONN)? == 0 {
            return Err(Errno::Inval);
        }
        let [readable, _] = self.poll(true, false, Duration::ZERO)?;
        if !readable.ready {
            return Err(Errno::Again);
        }
        // SAFETY: what is not asked for is null.
        let accepted = unsafe { accept(self.raw(), ptr::null_mut(), ptr::null_mut()) };
        if accepted == INVALID_SOCKET {
            return Err(last());
        }
        // SAFETY: the call has made it for us.
        let socket = unsafe { OwnedSocket::from_raw_socket(accepted as u64) };
        Self::own(socket)
    }
}

fn raw(socket: BorrowedSocket<'_>) -> usize {
    // As wide as a pointer, whatever std has it as.
    usize::try_from(socket.as_raw_socket()).unwrap_or(INVALID_SOCKET)
}

fn is_output_of_the_process(raw: usize) -> bool {
    // SAFETY: they have no preconditions.
    [STD_OUTPUT_HANDLE, STD_ERROR_HANDLE]
        .into_iter()
        .any(|which| unsafe { GetStdHandle(which) }.addr() == raw)
}

/// The numeric value of an option.
fn option(socket: BorrowedSocket<'_>, name: i32) -> Result<i32> {
    let mut value = 0_i32;
    let mut size = length::<i32>();
    // SAFETY: the pointers are to locals, and that of the value has the size that is given.
    if unsafe { getsockopt(raw(socket), SOL_SOCKET, name, (&raw mut value).cast(), &raw mut size) }
        == SOCKET_ERROR
    {
        return Err(last());
    }
    Ok(value)
}

fn filetype(socket: BorrowedSocket<'_>) -> Result<Filetype> {
    Ok(if option(socket, SO_TYPE)? == SOCK_DGRAM {
        Filetype::SocketDgram
    } else {
        Filetype::SocketStream
    })
}

/// The buffers as the calls take them.
fn buffers(bufs: &[Region<'_>]) -> Vec<WSABUF> {
    bufs.iter().map(|buf| buffer(buf.as_ptr(), buf.len())).collect()
}

fn buffer(base: *mut u8, len: usize) -> WSABUF {
    WSABUF { len: u32::try_from(len).unwrap_or(u32::MAX), buf: base }
}
