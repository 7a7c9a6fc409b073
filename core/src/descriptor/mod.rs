//! Descriptors: the open files and directories behind a guest's numbers.

mod cookies;
mod table;

use cookies::Cookies;
pub use table::{DescriptorRef, Reservation, SharedTable, Table};

use crate::abi::{Errno, Fdflags, Fdstat, Filetype, Rights, RightsPair};
use crate::host::{Directory, File, GivenSocket, Opened, Result, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The use of a standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Standard input.
    Input,
    /// Standard output and standard error.
    Output,
}

/// An open file or directory with its rights and flags.
pub struct Descriptor {
    object: Opened,
    rights_base: AtomicU64,
    rights_inheriting: AtomicU64,
    flags: AtomicU16,
    preopen_name: Option<Box<[u8]>>,
    read_only: bool,
    cookies: Mutex<Cookies>,
}

impl Descriptor {
    /// A descriptor with `rights`, less those that make no sense for what is open.
    #[must_use]
    pub fn new(object: Opened, rights: RightsPair, flags: Fdflags) -> Self {
        let most = Self::most_rights(&object);
        Self {
            object,
            rights_base: AtomicU64::new(rights.base.intersection(most.base).bits()),
            rights_inheriting: AtomicU64::new(
                rights.inheriting.intersection(most.inheriting).bits(),
            ),
            flags: AtomicU16::new(flags.bits()),
            preopen_name: None,
            read_only: false,
            cookies: Mutex::default(),
        }
    }

    /// A descriptor that the embedder gives to the guest, with all rights.
    #[must_use]
    pub fn given(object: Opened, flags: Fdflags) -> Self {
        let all = RightsPair { base: Rights::all(), inheriting: Rights::all() };
        Self::new(object, all, flags)
    }

    /// A standard stream, with those rights of its role that the host's descriptor has, too.
    ///
    /// A directory is read-only, because no descriptor of a directory is open for writing. A socket
    /// that is the input may take connections, and those are the guest's own.
    #[must_use]
    pub fn standard(Stdio { object, flags, access }: Stdio, role: Role) -> Self {
        let Opened::File(file) = &object else { return Self::given(object, flags).read_only() };
        let mut base = match role {
            Role::Input => Rights::INPUT,
            Role::Output => Rights::OUTPUT,
        };
        base.set(Rights::FD_READ, access.read && role == Role::Input);
        base.set(Rights::FD_WRITE, access.write && role == Role::Output);
        let accepts = role == Role::Input && file.is_socket();
        base.set(Rights::SOCK_SHUTDOWN | Rights::SOCK_ACCEPT, accepts);
        let inheriting = if accepts { Rights::all() } else { Rights::empty() };
        Self::new(object, RightsPair { base, inheriting }, flags)
    }

    /// A socket that the embedder gives to the guest: a connection, or one that takes connections.
    #[must_use]
    pub fn socket(GivenSocket { object, is_listening }: GivenSocket, flags: Fdflags) -> Self {
        let (base, inheriting) = if is_listening {
            (Rights::LISTENER, Rights::CONNECTION)
        } else {
            (Rights::CONNECTION, Rights::empty())
        };
        Self::new(object, RightsPair { base, inheriting }, flags)
    }

    /// A directory that the embedder gives to the guest under a name.
    #[must_use]
    pub fn preopen(object: Opened, name: &[u8]) -> Self {
        Self { preopen_name: Some(name.into()), ..Self::given(object, Fdflags::empty()) }
    }

    /// The same, read-only: the guest changes nothing through it, nor through a descriptor that is
    /// opened through it. A call that needs a right of [`Rights::CHANGING`] fails with `rofs`, as
    /// on a file system that is mounted read-only.
    ///
    /// The rights stay those of a writable directory. C libraries ask only for rights that a
    /// directory passes on. If this one passed on no right to write, a C library would open a file
    /// for writing without that right, and the program would not learn that it cannot write.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Whether the descriptor is read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// A descriptor of an object that was opened through this one, with the rights that
    /// [`Self::inherit`] gave.
    #[must_use]
    pub fn child(&self, object: Opened, rights: RightsPair, flags: Fdflags) -> Self {
        Self { read_only: self.read_only, ..Self::new(object, rights, flags) }
    }

    /// The rights of a descriptor that is opened through this one: all that were asked for, or an
    /// error. Programs ask for more rights than they use, and some for all. So below a read-only
    /// directory they get those of them that change nothing, and the inheriting rights unchanged.
    ///
    /// # Errors
    /// - `notcapable`: one of them is not among the inheriting rights.
    pub fn inherit(&self, asked: RightsPair) -> Result<RightsPair> {
        if !self.rights().inheriting.contains(asked.base | asked.inheriting) {
            return Err(Errno::Notcapable);
        }
        let mut given = asked;
        if self.read_only {
            given.base.remove(Rights::CHANGING);
        }
        Ok(given)
    }

    fn most_rights(object: &Opened) -> RightsPair {
        match object {
            Opened::Directory(_) => RightsPair::of(Filetype::Directory, false),
            Opened::File(file) => RightsPair::of(file.filetype(), file.is_terminal()),
        }
    }

    /// The guest's name of a preopen.
    #[must_use]
    pub fn preopen_name(&self) -> Option<&[u8]> {
        self.preopen_name.as_deref()
    }

    /// The open file or directory, whatever the rights.
    #[must_use]
    pub fn object(&self) -> &Opened {
        &self.object
    }

    /// The file, if it is one and the descriptor has `rights`.
    ///
    /// # Errors
    /// - `badf`: it is a directory.
    /// - as [`Self::require`].
    pub fn file(&self, rights: Rights) -> Result<&dyn File> {
        match &self.object {
            Opened::File(file) => self.require(rights).map(|()| &**file),
            Opened::Directory(_) => Err(Errno::Badf),
        }
    }

    /// The file, for reading. It is [`Self::file`] but for a directory, for which POSIX has an
    /// error of its own.
    ///
    /// # Errors
    /// - `isdir`: it is a directory.
    /// - `notcapable`: a right is missing.
    pub fn file_to_read(&self, rights: Rights) -> Result<&dyn File> {
        self.file(rights).map_err(|errno| if errno == Errno::Badf { Errno::Isdir } else { errno })
    }

    /// The directory, if it is one and the descriptor has `rights`.
    ///
    /// # Errors
    /// - as [`Self::require`]: a file has none of the rights for paths.
    /// - `notdir`: it is a device, which may have any right, or no right was asked for.
    pub fn directory(&self, rights: Rights) -> Result<&dyn Directory> {
        self.require(rights)?;
        match &self.object {
            Opened::Directory(directory) => Ok(&**directory),
            Opened::File(_) => Err(Errno::Notdir),
        }
    }

    /// The cookies of a directory's entries. Held while it is listed.
    pub fn cookies(&self) -> MutexGuard<'_, Cookies> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that the descriptor has `rights`. Every call that changes something asks here first.
    ///
    /// # Errors
    /// - `rofs`: one of them changes something, and the descriptor is read-only.
    /// - `notcapable`: one of them is missing.
    #[inline]
    pub fn require(&self, rights: Rights) -> Result<()> {
        if rights.intersects(Rights::CHANGING) && self.read_only {
            // Writing to a file that was opened for reading is the same mistake everywhere: POSIX
            // has EBADF for it, also on a read-only file system.
            let was_opened_to_read =
                rights.contains(Rights::FD_WRITE) && !self.rights().base.contains(Rights::FD_WRITE);
            return Err(if was_opened_to_read { Errno::Notcapable } else { Errno::Rofs });
        }
        if self.rights().base.contains(rights) { Ok(()) } else { Err(Errno::Notcapable) }
    }

    /// The rights.
    #[must_use]
    pub fn rights(&self) -> RightsPair {
        RightsPair {
            base: Rights::from_bits_truncate(self.rights_base.load(Relaxed)),
            inheriting: Rights::from_bits_truncate(self.rights_inheriting.load(Relaxed)),
        }
    }

    /// Takes away all rights but these. Each of the two sets only ever shrinks, also when threads
    /// do this at the same time.
    ///
    /// # Errors
    /// - `notcapable`: one of them is not there.
    pub fn shrink_rights(&self, rights: RightsPair) -> Result<()> {
        let now = self.rights();
        if !now.base.contains(rights.base) || !now.inheriting.contains(rights.inheriting) {
            return Err(Errno::Notcapable);
        }
        self.rights_base.fetch_and(rights.base.bits(), Relaxed);
        self.rights_inheriting.fetch_and(rights.inheriting.bits(), Relaxed);
        Ok(())
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> Fdflags {
        Fdflags::from_bits_truncate(self.flags.load(Relaxed))
    }

    /// Changes the flags of a file.
    pub fn set_flags(&self, flags: Fdflags) -> Result<()> {
        self.file(Rights::FD_FDSTAT_SET_FLAGS)?.set_flags(self.flags(), flags)?;
        self.flags.store(flags.bits(), Relaxed);
        Ok(())
    }

    /// The state that the guest sees.
    ///
    /// # Errors
    /// - `badf`: the host has closed what it lent.
    pub fn fdstat(&self) -> Result<Fdstat> {
        let rights = self.rights();
        let filetype = match &self.object {
            Opened::Directory(_) => Filetype::Directory,
            Opened::File(file) => {
                file.check_open()?;
                file.filetype()
            }
        };
        Ok(Fdstat {
            filetype,
            flags: self.flags(),
            rights_base: rights.base,
            rights_inheriting: rights.inheriting,
        })
    }
}
