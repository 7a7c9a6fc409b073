//! Rights, and which of them a new descriptor has.

use super::Filetype;
use bitflags::bitflags;

bitflags! {
    /// The operations that a descriptor allows.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#rights>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rights: u64 {
        /// `fd_datasync`; with `PATH_OPEN`, `Fdflags::DSYNC`.
        const FD_DATASYNC = 1 << 0;
        /// `fd_read` and `sock_recv`; with `FD_SEEK`, `fd_pread`.
        const FD_READ = 1 << 1;
        /// `fd_seek`. Implies `FD_TELL`.
        const FD_SEEK = 1 << 2;
        /// `fd_fdstat_set_flags`.
        const FD_FDSTAT_SET_FLAGS = 1 << 3;
        /// `fd_sync`; with `PATH_OPEN`, `Fdflags::RSYNC` and `Fdflags::DSYNC`.
        const FD_SYNC = 1 << 4;
        /// `fd_seek` that leaves the offset as it is, and `fd_tell`.
        const FD_TELL = 1 << 5;
        /// `fd_write` and `sock_send`; with `FD_SEEK`, `fd_pwrite`.
        const FD_WRITE = 1 << 6;
        /// `fd_advise`.
        const FD_ADVISE = 1 << 7;
        /// `fd_allocate`.
        const FD_ALLOCATE = 1 << 8;
        /// `path_create_directory`.
        const PATH_CREATE_DIRECTORY = 1 << 9;
        /// `path_open` with `Oflags::CREAT`.
        const PATH_CREATE_FILE = 1 << 10;
        /// `path_link` with this directory as the source.
        const PATH_LINK_SOURCE = 1 << 11;
        /// `path_link` with this directory as the target.
        const PATH_LINK_TARGET = 1 << 12;
        /// `path_open`.
        const PATH_OPEN = 1 << 13;
        /// `fd_readdir`.
        const FD_READDIR = 1 << 14;
        /// `path_readlink`.
        const PATH_READLINK = 1 << 15;
        /// `path_rename` with this directory as the source.
        const PATH_RENAME_SOURCE = 1 << 16;
        /// `path_rename` with this directory as the target.
        const PATH_RENAME_TARGET = 1 << 17;
        /// `path_filestat_get`.
        const PATH_FILESTAT_GET = 1 << 18;
        /// `path_open` with `Oflags::TRUNC`.
        const PATH_FILESTAT_SET_SIZE = 1 << 19;
        /// `path_filestat_set_times`.
        const PATH_FILESTAT_SET_TIMES = 1 << 20;
        /// `fd_filestat_get`.
        const FD_FILESTAT_GET = 1 << 21;
        /// `fd_filestat_set_size`.
        const FD_FILESTAT_SET_SIZE = 1 << 22;
        /// `fd_filestat_set_times`.
        const FD_FILESTAT_SET_TIMES = 1 << 23;
        /// `path_symlink`.
        const PATH_SYMLINK = 1 << 24;
        /// `path_remove_directory`.
        const PATH_REMOVE_DIRECTORY = 1 << 25;
        /// `path_unlink_file`.
        const PATH_UNLINK_FILE = 1 << 26;
        /// `poll_oneoff` on the descriptor.
        const POLL_FD_READWRITE = 1 << 27;
        /// `sock_shutdown`.
        const SOCK_SHUTDOWN = 1 << 28;
        /// `sock_accept`.
        const SOCK_ACCEPT = 1 << 29;
    }
}

/// The rights of a descriptor: its own, and those that descriptors opened through it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RightsPair {
    /// Its own.
    pub base: Rights,
    /// At most what descriptors opened through it get.
    pub inheriting: Rights,
}

impl Rights {
    /// The rights that a regular file can have.
    pub const REGULAR_FILE: Self = Self::FD_DATASYNC
        .union(Self::FD_READ)
        .union(Self::FD_SEEK)
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_SYNC)
        .union(Self::FD_TELL)
        .union(Self::FD_WRITE)
        .union(Self::FD_ADVISE)
        .union(Self::FD_ALLOCATE)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_FILESTAT_SET_SIZE)
        .union(Self::FD_FILESTAT_SET_TIMES)
        .union(Self::POLL_FD_READWRITE);

    /// The rights that a directory can have.
    pub const DIRECTORY: Self = Self::FD_FDSTAT_SET_FLAGS
        .union(Self::FD_SYNC)
        .union(Self::FD_ADVISE)
        .union(Self::PATH_CREATE_DIRECTORY)
        .union(Self::PATH_CREATE_FILE)
        .union(Self::PATH_LINK_SOURCE)
        .union(Self::PATH_LINK_TARGET)
        .union(Self::PATH_OPEN)
        .union(Self::FD_READDIR)
        .union(Self::PATH_READLINK)
        .union(Self::PATH_RENAME_SOURCE)
        .union(Self::PATH_RENAME_TARGET)
        .union(Self::PATH_FILESTAT_GET)
        .union(Self::PATH_FILESTAT_SET_SIZE)
        .union(Self::PATH_FILESTAT_SET_TIMES)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_FILESTAT_SET_TIMES)
        .union(Self::PATH_SYMLINK)
        .union(Self::PATH_REMOVE_DIRECTORY)
        .union(Self::PATH_UNLINK_FILE)
        .union(Self::POLL_FD_READWRITE);

    /// The rights of a stream that cannot seek: a pipe or a terminal. The C library takes a
    /// character device without the rights to seek and to tell for a terminal.
    pub const STREAM: Self = Self::FD_READ
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_WRITE)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::POLL_FD_READWRITE);

    /// The rights of a standard stream that is read. The guest can tell the offset but not move it:
    /// only the bytes from there on were lent, and everyone who has the stream shares the offset.
    pub const INPUT: Self = Self::FD_READ
        .union(Self::FD_TELL)
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::POLL_FD_READWRITE)
        .union(Self::SOCK_SHUTDOWN)
        .union(Self::SOCK_ACCEPT);

    /// The rights of a standard stream that is written, from its present offset on.
    pub const OUTPUT: Self = Self::FD_WRITE
        .union(Self::FD_TELL)
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_SYNC)
        .union(Self::FD_DATASYNC)
        .union(Self::POLL_FD_READWRITE);

    /// The rights for which a file is opened for writing.
    pub const WRITING: Self = Self::FD_WRITE
        .union(Self::FD_DATASYNC)
        .union(Self::FD_ALLOCATE)
        .union(Self::FD_FILESTAT_SET_SIZE);

    /// The rights to change a file system, or to do what may lead to a change: a file that is
    /// linked or moved elsewhere may be written there.
    pub const CHANGING: Self = Self::FD_WRITE
        .union(Self::FD_ALLOCATE)
        .union(Self::FD_FILESTAT_SET_SIZE)
        .union(Self::FD_FILESTAT_SET_TIMES)
        .union(Self::PATH_CREATE_DIRECTORY)
        .union(Self::PATH_CREATE_FILE)
        .union(Self::PATH_LINK_SOURCE)
        .union(Self::PATH_LINK_TARGET)
        .union(Self::PATH_RENAME_SOURCE)
        .union(Self::PATH_RENAME_TARGET)
        .union(Self::PATH_FILESTAT_SET_SIZE)
        .union(Self::PATH_FILESTAT_SET_TIMES)
        .union(Self::PATH_SYMLINK)
        .union(Self::PATH_REMOVE_DIRECTORY)
        .union(Self::PATH_UNLINK_FILE);

    /// The rights that a socket can have.
    pub const SOCKET: Self = Self::STREAM.union(Self::SOCK_SHUTDOWN).union(Self::SOCK_ACCEPT);

    /// The rights of a socket that takes connections. The right to read is the right to wait for a
    /// connection. The right to shut down is missing, because a shutdown would end the socket for
    /// everyone who has it.
    pub const LISTENER: Self = Self::SOCK_ACCEPT
        .union(Self::FD_READ)
        .union(Self::FD_FDSTAT_SET_FLAGS)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::POLL_FD_READWRITE);

    /// The rights of a connection.
    pub const CONNECTION: Self = Self::STREAM.union(Self::SOCK_SHUTDOWN);
}

impl RightsPair {
    /// The most that a file of this type can have. Of what a pair holds beyond it, nothing reaches
    /// a descriptor.
    #[must_use]
    pub fn of(filetype: Filetype, terminal: bool) -> Self {
        let (base, inheriting) = match filetype {
            Filetype::RegularFile | Filetype::SymbolicLink => {
                (Rights::REGULAR_FILE, Rights::empty())
            }
            Filetype::Directory => {
                (Rights::DIRECTORY, Rights::DIRECTORY.union(Rights::REGULAR_FILE))
            }
            Filetype::CharacterDevice if terminal => (Rights::STREAM, Rights::empty()),
            Filetype::SocketStream | Filetype::SocketDgram => (Rights::SOCKET, Rights::all()),
            Filetype::BlockDevice | Filetype::CharacterDevice | Filetype::Unknown => {
                (Rights::all(), Rights::all())
            }
        };
        Self { base, inheriting }
    }
}
