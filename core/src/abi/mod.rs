//! Data as the guest sees it: error codes, flags, rights, and records with their literal offsets.
//!
//! Names are those of the specification,
//! <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>.

mod errno;
mod flags;
mod records;
mod rights;

pub use errno::Errno;
pub use flags::{
    Advice, Clockid, Eventrwflags, Eventtype, Fdflags, Filetype, Fstflags, Lookupflags, Oflags,
    Riflags, Roflags, Sdflags, Subclockflags, Whence,
};
pub use records::{
    Dirent, Event, Fdstat, Filestat, Filestat0, Prestat, Subscription, Subscription0,
    SubscriptionKind,
};
pub use rights::{Rights, RightsPair};

/// A descriptor's number.
pub type Fd = u32;
/// Nanoseconds since a clock's epoch.
pub type Timestamp = u64;
/// A size or an offset in a file, in bytes.
pub type Filesize = u64;
