//! Pipes, consoles and sockets: the host's stdio, and what a guest accepts.

use super::console::Console;
use super::socket::Socket;
use super::{call, pipe, stream_stat};
use crate::abi::{
    Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Riflags, Roflags, Sdflags, Whence,
};
use crate::host::{File, Readiness, Result, SetTimes, SocketNames, Source};
use crate::memory::Region;
use std::fmt;
use std::os::windows::io::{AsSocket, BorrowedHandle, BorrowedSocket};
use std::time::Duration;

/// The kind of a stream.
enum Kind {
    Pipe(BorrowedHandle<'static>),
    Console(Console),
    Socket(Socket),
}

/// A stream.
pub(super) struct StreamFile(Kind);

/// The handle that a wait waits on.
#[derive(Clone, Copy)]
pub struct Handle<'a>(&'a StreamFile);

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handle")
    }
}

impl<'a> Handle<'a> {
    /// The socket, if it is one.
    pub(super) fn socket(self) -> Option<BorrowedSocket<'a>> {
        match &self.0.0 {
            Kind::Socket(socket) => Some(socket.as_socket()),
            Kind::Pipe(_) | Kind::Console(_) => None,
        }
    }
}

impl Handle<'_> {
    /// Whether a read would not wait.
    pub(super) fn readable(self) -> Result<Readiness> {
        Ok(match &self.0.0 {
            Kind::Pipe(handle) => pipe::readable(*handle),
            Kind::Console(console) => console.readable(),
            Kind::Socket(socket) => {
                let [readable, _] = socket.poll(true, false, Duration::ZERO)?;
                readable
            }
        })
    }

    /// Whether a write would not wait. For a pipe, only trying tells.
    pub(super) fn writable(self) -> Result<Readiness> {
        Ok(match &self.0.0 {
            Kind::Pipe(handle) => Readiness {
                ready: true,
                hangup: false,
                invalid: call::check_open(*handle).is_err(),
            },
            Kind::Console(_) => Readiness { ready: true, ..Readiness::default() },
            Kind::Socket(socket) => {
                let [_, writable] = socket.poll(false, true, Duration::ZERO)?;
                writable
            }
        })
    }

    /// Whether [`Self::wait`] can wait for it.
    pub(super) fn can_wait(self) -> bool {
        !matches!(self.0.0, Kind::Pipe(_))
    }

    /// Waits until something happens that may make it ready.
    pub(super) fn wait(self, read: bool, write: bool, time: Duration) -> Result<()> {
        match &self.0.0 {
            Kind::Pipe(_) => {}
            Kind::Console(console) => console.wait(time),
            Kind::Socket(socket) => socket.poll(read, write, time).map(drop)?,
        }
        Ok(())
    }
}

impl StreamFile {
    pub(super) fn pipe(handle: BorrowedHandle<'static>) -> Self {
        Self(Kind::Pipe(handle))
    }

    pub(super) fn console(handle: BorrowedHandle<'static>) -> Self {
        Self(Kind::Console(Console::new(handle)))
    }

    /// A socket, if the handle is one.
    pub(super) fn socket(handle: BorrowedHandle<'static>) -> Option<Self> {
        Socket::borrow(handle).ok().map(|socket| Self(Kind::Socket(socket)))
    }

    /// A socket that is the guest's own.
    pub(super) fn own_socket(socket: Socket) -> Self {
        Self(Kind::Socket(socket))
    }

    fn as_socket(&self) -> Result<&Socket> {
        match &self.0 {
            Kind::Socket(socket) => Ok(socket),
            _ => Err(Errno::Notsock),
        }
    }
}

impl File for StreamFile {
    fn filetype(&self) -> Filetype {
        match &self.0 {
            Kind::Pipe(_) => Filetype::SocketStream,
            Kind::Console(_) => Filetype::CharacterDevice,
            Kind::Socket(socket) => socket.filetype(),
        }
    }

    fn is_terminal(&self) -> bool {
        matches!(self.0, Kind::Console(_))
    }

    fn is_socket(&self) -> bool {
        matches!(self.0, Kind::Socket(_))
    }

    fn check_open(&self) -> Result<()> {
        match &self.0 {
            Kind::Pipe(handle) => call::check_open(*handle),
            Kind::Console(console) => call::check_open(console.handle()),
            Kind::Socket(socket) => socket.check_open(),
        }
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        if bufs.is_empty() {
            // An empty read says nothing of the other end.
            return Ok(0);
        }
        match &self.0 {
            Kind::Pipe(handle) => pipe::read(*handle, bufs),
            Kind::Console(console) => console.read(bufs),
            Kind::Socket(socket) => {
                socket.recv(bufs, Riflags::empty()).map(|(received, _)| received)
            }
        }
    }

    fn write(&self, bufs: &[Region<'_>], _: Fdflags) -> Result<usize> {
        if bufs.is_empty() {
            return Ok(0);
        }
        match &self.0 {
            Kind::Pipe(handle) => pipe::write(*handle, bufs),
            Kind::Console(console) => console.write(bufs),
            Kind::Socket(socket) => socket.send(bufs),
        }
    }

    fn pread(&self, _: &[Region<'_>], _: Filesize) -> Result<usize> {
        Err(Errno::Spipe)
    }

    fn pwrite(&self, _: &[Region<'_>], _: Filesize) -> Result<usize> {
        Err(Errno::Spipe)
    }

    fn seek(&self, _: i64, _: Whence) -> Result<Filesize> {
        Err(Errno::Spipe)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.check_open()?;
        Ok(stream_stat(self.filetype()))
    }

    fn set_size(&self, _: Filesize) -> Result<()> {
        Err(Errno::Inval)
    }

    fn allocate(&self, _: Filesize, _: Filesize) -> Result<()> {
        Err(Errno::Spipe)
    }

    fn advise(&self, _: Filesize, _: Filesize, _: Advice) -> Result<()> {
        Err(Errno::Spipe)
    }

    fn sync(&self) -> Result<()> {
        // As on the other systems. Windows would wait until the other end has read all.
        Err(Errno::Inval)
    }

    fn datasync(&self) -> Result<()> {
        Err(Errno::Inval)
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Perm)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        // Whether a call waits is decided above, and all writes append.
        let fixed = Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC;
        if old.symmetric_difference(new).intersects(fixed) { Err(Errno::Notsup) } else { Ok(()) }
    }

    fn source(&self) -> Source<'_> {
        Source::Host(Handle(self))
    }

    fn available(&self) -> Filesize {
        match &self.0 {
            Kind::Pipe(handle) => pipe::available(*handle),
            Kind::Console(console) => console.available() as u64,
            Kind::Socket(socket) => socket.available(),
        }
    }

    fn socket_names(&self) -> Result<SocketNames> {
        self.as_socket()?.names()
    }

    fn accept(&self) -> Result<Box<dyn File>> {
        Ok(Box::new(Self(Kind::Socket(self.as_socket()?.accept()?))))
    }

    fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
        self.as_socket()?.recv(bufs, flags)
    }

    fn send(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.as_socket()?.send(bufs)
    }

    fn shutdown(&self, how: Sdflags) -> Result<()> {
        self.as_socket()?.shutdown(how)
    }
}
