//! The parts of Windows that tests need.

#![allow(unsafe_code, reason = "attributes of a file that std does not have")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter};
use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::ops::Deref;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{
    AsRawHandle, AsRawSocket, FromRawHandle, FromRawSocket, OwnedHandle, OwnedSocket,
};
use std::path::Path;
use wasi_rs_core::host::Stdio;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FileBasicInfo, GetFileInformationByHandle,
    GetFileInformationByHandleEx,
};

pub use std::net::TcpStream as Stream;

/// The unit of a file's times in nanoseconds.
pub const TICK: u64 = 100;

/// A handle or socket that the host lends a guest as its stdio.
pub enum Lent {
    Handle(OwnedHandle),
    Socket(OwnedSocket),
}

macro_rules! lent {
    ($($from:ident as $kind:ident;)*) => {
        $(impl From<$from> for Lent {
            fn from(from: $from) -> Self {
                Self::$kind(from.into())
            }
        })*
    };
}

lent! {
    File as Handle;
    PipeReader as Handle;
    PipeWriter as Handle;
    TcpListener as Socket;
    TcpStream as Socket;
    UdpSocket as Socket;
}

pub fn lend(lent: &Lent) -> io::Result<Stdio> {
    match lent {
        Lent::Handle(handle) => {
            wasi_rs_core::host::sys::lend(handle.as_raw_handle().expose_provenance())
        }
        Lent::Socket(socket) => wasi_rs_core::host::sys::lend(socket.as_raw_socket() as usize),
    }
}

/// The device that takes everything and is always at its end.
pub fn null() -> Lent {
    OpenOptions::new().read(true).write(true).open("NUL").unwrap().into()
}

/// Two sockets that are connected to each other.
pub fn stream_pair() -> (Stream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    for stream in [&one, &other] {
        stream.set_nodelay(true).unwrap();
    }
    (one, other)
}

/// The attributes of a file.
pub struct Metadata {
    std: fs::Metadata,
    info: BY_HANDLE_FILE_INFORMATION,
    changed: i64,
}

impl Deref for Metadata {
    type Target = fs::Metadata;

    fn deref(&self) -> &fs::Metadata {
        &self.std
    }
}

pub fn metadata(path: &Path) -> io::Result<Metadata> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    let file = OpenOptions::new().access_mode(0).custom_flags(flags).open(path)?;
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    let mut times = FILE_BASIC_INFO::default();
    // SAFETY: the pointers are to locals.
    unsafe {
        assert_ne!(GetFileInformationByHandle(file.as_raw_handle(), &raw mut info), 0);
        let size = size_of::<FILE_BASIC_INFO>() as u32;
        assert_ne!(
            GetFileInformationByHandleEx(
                file.as_raw_handle(),
                FileBasicInfo,
                (&raw mut times).cast(),
                size
            ),
            0
        );
    }
    Ok(Metadata { std: file.metadata()?, info, changed: times.ChangeTime })
}

/// Seconds and nanoseconds since 1970 of a time in units of 100 ns since 1601.
fn split(ticks: u64) -> (i64, i64) {
    let ticks = ticks.cast_signed() - 116_444_736_000_000_000;
    (ticks.div_euclid(10_000_000), ticks.rem_euclid(10_000_000) * 100)
}

/// By the names of `std::os::unix::fs::MetadataExt`.
pub trait MetadataExt {
    fn attributes(&self) -> &Metadata;

    fn dev(&self) -> u64 {
        self.attributes().info.dwVolumeSerialNumber.into()
    }

    fn ino(&self) -> u64 {
        let info = &self.attributes().info;
        u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow)
    }

    fn nlink(&self) -> u64 {
        self.attributes().info.nNumberOfLinks.into()
    }

    fn size(&self) -> u64 {
        if self.attributes().is_file() { self.attributes().len() } else { 0 }
    }

    /// Files have no permissions in this sense.
    fn mode(&self) -> u32 {
        0
    }

    fn atime(&self) -> i64 {
        split(std::os::windows::fs::MetadataExt::last_access_time(&self.attributes().std)).0
    }

    fn atime_nsec(&self) -> i64 {
        split(std::os::windows::fs::MetadataExt::last_access_time(&self.attributes().std)).1
    }

    fn mtime(&self) -> i64 {
        split(std::os::windows::fs::MetadataExt::last_write_time(&self.attributes().std)).0
    }

    fn mtime_nsec(&self) -> i64 {
        split(std::os::windows::fs::MetadataExt::last_write_time(&self.attributes().std)).1
    }

    fn ctime(&self) -> i64 {
        split(self.attributes().changed.cast_unsigned()).0
    }

    fn ctime_nsec(&self) -> i64 {
        split(self.attributes().changed.cast_unsigned()).1
    }
}

impl MetadataExt for Metadata {
    fn attributes(&self) -> &Metadata {
        self
    }
}

/// Makes a link to what is there by then. That takes a privilege, or the developer mode.
pub fn symlink(text: &str, path: &Path) {
    let target = path.parent().unwrap().join(text);
    let text = text.replace('/', "\\");
    let made = if target.is_dir() {
        std::os::windows::fs::symlink_dir(text, path)
    } else {
        std::os::windows::fs::symlink_file(text, path)
    };
    made.unwrap();
}

/// There is nothing of the kind for a pipe that is not opened anew.
pub fn set_nonblocking(_: &impl AsRawHandle) {}

/// A handle has none that can be changed.
pub fn status_flags(_: &impl AsRawHandle) -> u64 {
    0
}

/// A second look at something open: it is not closed with it.
pub fn look_at(open: &impl AsRawHandle) -> ManuallyDrop<File> {
    // SAFETY: it is not closed through what is returned.
    ManuallyDrop::new(unsafe { File::from_raw_handle(open.as_raw_handle()) })
}

/// Two sockets for messages that are connected to each other.
pub fn datagram_pair() -> (UdpSocket, UdpSocket) {
    let (one, other) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    (one, other)
}

/// A socket for a connection that there is none of.
pub fn unconnected() -> Lent {
    use windows_sys::Win32::Networking::WinSock::{AF_INET, IPPROTO_TCP, SOCK_STREAM, socket};
    // The standard library initialises Windows' sockets when it makes its first one.
    drop(UdpSocket::bind("127.0.0.1:0").unwrap());
    // SAFETY: the call has no preconditions, and nobody else owns what it makes.
    Lent::Socket(unsafe {
        OwnedSocket::from_raw_socket(socket(AF_INET.into(), SOCK_STREAM, IPPROTO_TCP) as u64)
    })
}

/// A directory, open.
pub fn open_directory(path: &Path) -> File {
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path).unwrap()
}
