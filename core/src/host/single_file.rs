//! A single file as a preopen: a directory in which `.` is that file and nothing else is.
//!
//! C libraries look for the preopen whose name a path begins with, and open the rest of the path
//! there. The rest of the whole name is `.`.

use super::{Directory, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTimes};
use crate::abi::{Errno, Filestat, Filetype};
use std::any::Any;

/// A preopen of one file.
pub struct SingleFile {
    parent: Box<dyn Directory>,
    name: Vec<u8>,
}

impl SingleFile {
    /// The file `name` of a directory.
    ///
    /// # Errors
    /// - those of a path: the name is not one.
    /// - `inval`: the name is more than one component.
    pub fn new(parent: Box<dyn Directory>, name: Vec<u8>) -> Result<Self> {
        if !GuestPath::new(&name)?.is_plain_name() {
            return Err(Errno::Inval);
        }
        Ok(Self { parent, name })
    }

    /// The path of the file in its directory, if `path` means it.
    fn file(&self, path: GuestPath<'_>) -> Result<GuestPath<'_>> {
        if path.as_bytes() == b"." {
            return GuestPath::new(&self.name);
        }
        Err(if path.as_bytes().starts_with(b"..") { Errno::Notcapable } else { Errno::Noent })
    }
}

impl Directory for SingleFile {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        let path = self.file(path)?;
        if options.create && options.exclusive && self.parent.path_filestat(path, false).is_ok() {
            return Err(Errno::Exist);
        }
        match self
            .parent
            .open(path, OpenOptions { create: false, exclusive: false, follow: false, ..options })?
        {
            Opened::Directory(_) => Err(Errno::Isdir),
            file @ Opened::File(_) => Ok(file),
        }
    }

    fn filestat(&self) -> Result<Filestat> {
        // The descriptor is a directory to the guest; the file's attributes are those of `.`.
        let stat = self.parent.path_filestat(GuestPath::new(&self.name)?, false)?;
        Ok(Filestat { filetype: Filetype::Directory, size: 0, ..stat })
    }

    fn path_filestat(&self, path: GuestPath<'_>, _: bool) -> Result<Filestat> {
        self.parent.path_filestat(self.file(path)?, false)
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Perm)
    }

    fn path_set_times(&self, path: GuestPath<'_>, _: bool, times: SetTimes) -> Result<()> {
        self.parent.path_set_times(self.file(path)?, false, times)
    }

    fn entries(&self, _: u64, _: usize, _: &mut dyn EntrySink) -> Result<()> {
        Err(Errno::Notdir)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.file(path)?;
        Err(Errno::Exist)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.file(path)?;
        Err(Errno::Notdir)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.file(path)?;
        Err(Errno::Perm)
    }

    fn symlink(&self, _: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.file(path)?;
        Err(Errno::Exist)
    }

    fn readlink(&self, path: GuestPath<'_>, _: &mut [u8]) -> Result<usize> {
        self.file(path)?;
        Err(Errno::Inval)
    }

    fn rename(&self, old: GuestPath<'_>, _: &dyn Directory, _: GuestPath<'_>) -> Result<()> {
        self.file(old)?;
        Err(Errno::Perm)
    }

    fn link(&self, old: GuestPath<'_>, _: bool, _: &dyn Directory, _: GuestPath<'_>) -> Result<()> {
        self.file(old)?;
        Err(Errno::Perm)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
