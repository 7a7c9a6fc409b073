//! Why an instance could not be made, as data: `errors.js` makes the error, in the realm that
//! loaded the package.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;
use wasi_rs_core::abi::Errno;
use wasi_rs_core::host::{ArchiveError, from_io};

/// The call that Node names as the one that failed.
const SYSCALL: &str = "uvwasi_init";

/// Why an instance could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConstructionError {
    /// A preopen could not be opened.
    #[error("preopen {guest:?} cannot be opened: host path {host:?}: {cause}")]
    Preopen {
        /// The guest's name.
        guest: String,
        /// The host's path.
        host: PathBuf,
        /// Its place among the preopens.
        place: u32,
        /// The cause.
        cause: Cause,
    },
    /// A descriptor of the host could not be borrowed.
    #[error("{name} cannot be used: host descriptor {fd}: {source}")]
    Stdio {
        /// The option.
        name: &'static str,
        /// The host's descriptor.
        fd: i32,
        /// The cause.
        source: io::Error,
    },
    /// A descriptor of the host is a directory, and none may be lent.
    #[error("{name} cannot be used: host descriptor {fd} is a directory")]
    Directory {
        /// The option.
        name: &'static str,
        /// The host's descriptor.
        fd: i32,
    },
    /// A file could not be put into a tree in memory.
    #[error("preopen {guest:?} cannot hold {name:?}: {}", why_not_held(*errno))]
    Entry {
        /// The guest's name of the preopen.
        guest: String,
        /// The file's path.
        name: String,
        /// The cause.
        errno: Errno,
    },
    /// A socket could not be opened.
    #[error("{source}")]
    Socket {
        /// Its place among the sockets.
        place: u32,
        /// The cause.
        source: io::Error,
    },
    /// An archive could not be unpacked.
    #[error("preopen {guest:?} cannot hold the archive: {error}")]
    Archive {
        /// The guest's name of the preopen.
        guest: String,
        /// The preopen's place, if the archive is a file of the host.
        place: Option<u32>,
        /// The cause.
        error: ArchiveError,
    },
    /// There are more preopens than descriptors.
    #[error("too many preopens")]
    Table(Errno),
}

/// What is wrong with a file of an option: its errno, and what that means where it is not clear.
fn why_not_held(errno: Errno) -> String {
    let meaning = match errno {
        Errno::Inval => " (a path here is relative, without '.', '..', empty parts and NUL)",
        Errno::Nospc => " (it takes more than 'maxBytes')",
        Errno::Notdir => " (a file stands where its directory is to be)",
        Errno::Isdir => " (a directory has its path)",
        _ => "",
    };
    format!("{}{meaning}", errno.name())
}

impl ConstructionError {
    fn errno(&self) -> Errno {
        match self {
            Self::Preopen { cause, .. } => cause.errno(),
            Self::Stdio { source, .. } | Self::Socket { source, .. } => from_io(source),
            Self::Directory { .. } => Errno::Acces,
            Self::Entry { errno, .. } | Self::Table(errno) => *errno,
            Self::Archive { error, .. } => error.errno,
        }
    }

    /// The data of which JavaScript makes an error.
    pub(super) fn failure(&self) -> Failure {
        let errno = self.errno();
        let code = format!("UVWASI_E{}", errno.name().to_uppercase());
        Failure {
            message: format!("{code}, {SYSCALL}: {self}"),
            code,
            errno: u32::from(errno.code()),
            syscall: SYSCALL.to_owned(),
            preopen: match self {
                Self::Preopen { place, .. } => Some(*place),
                Self::Archive { place, .. } => *place,
                _ => None,
            },
            directory: match self {
                Self::Directory { fd, .. } => Some(*fd),
                _ => None,
            },
            socket: match self {
                Self::Socket { place, .. } => Some(*place),
                _ => None,
            },
        }
    }
}

/// Why something of the host could not be opened.
#[derive(Debug)]
pub(super) enum Cause {
    /// The host said so.
    Host(io::Error),
    /// The resolver of paths said so.
    Path(Errno),
}

impl Cause {
    pub(super) fn errno(&self) -> Errno {
        match self {
            Self::Host(error) => from_io(error),
            Self::Path(errno) => *errno,
        }
    }
}

impl Display for Cause {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(formatter),
            Self::Path(errno) => formatter.write_str(errno.name()),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

impl From<io::ErrorKind> for Cause {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Host(kind.into())
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::Path(errno)
    }
}

/// Why an instance could not be made: what `createInstance` returns in the place of the instance.
#[napi_derive::napi(object)]
pub(crate) struct Failure {
    /// The error's message, with its code.
    pub message: String,
    /// `UVWASI_E` and the errno's name.
    pub code: String,
    /// The number that preview1 gives the cause.
    pub errno: u32,
    /// The call that Node names as the one that failed.
    pub syscall: String,
    /// The place of the preopen that could not be opened.
    pub preopen: Option<u32>,
    /// The descriptor of the host that is a directory and may not be lent.
    pub directory: Option<i32>,
    /// The place of the socket that could not be had.
    pub socket: Option<u32>,
}
