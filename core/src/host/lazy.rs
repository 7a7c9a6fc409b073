//! A directory that is opened when it is first used.

use super::{Directory, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTimes};
use crate::abi::{Filestat, Timestamp};
use std::any::Any;
use std::sync::OnceLock;

/// A directory that need not exist, or be openable, when it is given. Each call tries to open it,
/// and answers with the error if that fails. Once open, it stays that directory, whatever becomes
/// of its path.
pub struct Lazy {
    open: Box<dyn Fn() -> Result<Box<dyn Directory>> + Send + Sync>,
    opened: OnceLock<Box<dyn Directory>>,
}

impl Lazy {
    /// A directory that `open` opens.
    #[must_use]
    pub fn new(open: impl Fn() -> Result<Box<dyn Directory>> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(open), opened: OnceLock::new() }
    }

    fn inner(&self) -> Result<&dyn Directory> {
        if let Some(opened) = self.opened.get() {
            return Ok(&**opened);
        }
        // If two threads open it at once, the directory of one is kept.
        let opened = (self.open)()?;
        Ok(&**self.opened.get_or_init(|| opened))
    }

    /// The directory that does the work, for operations on two directories.
    fn inner_of(directory: &dyn Directory) -> Result<&dyn Directory> {
        directory.as_any().downcast_ref::<Self>().map_or(Ok(directory), Self::inner)
    }
}

impl Directory for Lazy {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        self.inner()?.open(path, options)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.inner()?.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        self.inner()?.path_filestat(path, follow)
    }

    fn path_born(&self, path: GuestPath<'_>) -> Option<Timestamp> {
        self.inner().ok()?.path_born(path)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner()?.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        self.inner()?.path_set_times(path, follow, times)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.inner()?.entries(cookie, capacity, sink)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner()?.create_directory(path)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner()?.remove_directory(path)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner()?.unlink_file(path)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.inner()?.symlink(target, path)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        self.inner()?.readlink(path, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        self.inner()?.rename(old, Self::inner_of(to)?, new)
    }

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        self.inner()?.link(old, follow, Self::inner_of(to)?, new)
    }

    fn sync(&self) -> Result<()> {
        self.inner()?.sync()
    }

    fn as_any(&self) -> &dyn Any {
        // Another directory looks for its own backend, which is behind this one.
        self.inner().map_or(self, Directory::as_any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Errno;
    use crate::host::Tree;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn path(text: &str) -> GuestPath<'_> {
        GuestPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn it_is_opened_once_and_when_it_is_used() {
        let (tree, attempts) = (Tree::new(1 << 20), Arc::new(AtomicU32::new(0)));
        tree.seed("file", b"x").unwrap();
        let (behind, counted) = (tree.clone(), Arc::clone(&attempts));
        let lazy = Lazy::new(move || match counted.fetch_add(1, Relaxed) {
            0 => Err(Errno::Acces),
            1 => Err(Errno::Noent),
            _ => Ok(behind.root_directory(false)),
        });
        assert_eq!(attempts.load(Relaxed), 0);
        assert_eq!(lazy.filestat().err(), Some(Errno::Acces));
        assert_eq!(
            lazy.path_filestat(path("file"), true).err(),
            Some(Errno::Noent),
            "it is tried again"
        );
        assert_eq!(lazy.path_filestat(path("file"), true).unwrap().size, 1);
        lazy.create_directory(path("made")).unwrap();
        assert_eq!(attempts.load(Relaxed), 3, "once it is open, it stays");
    }

    #[test]
    fn operations_on_two_find_what_is_behind_it() {
        let tree = Tree::new(1 << 20);
        tree.seed("one", b"1").unwrap();
        tree.seed("two", b"2").unwrap();
        let lazy = || {
            let tree = tree.clone();
            Lazy::new(move || Ok(tree.root_directory(false)))
        };
        let plain = tree.root_directory(false);
        plain.rename(path("one"), &lazy(), path("first")).unwrap();
        lazy().rename(path("two"), &*plain, path("second")).unwrap();
        lazy().link(path("second"), false, &lazy(), path("linked")).unwrap();
        assert_eq!(
            tree.list_files("", &mut { usize::MAX }).unwrap(),
            ["first", "linked", "second"]
        );
        let closed = Lazy::new(|| Err(Errno::Acces));
        assert_eq!(lazy().rename(path("first"), &closed, path("x")), Err(Errno::Acces));
        assert_eq!(closed.rename(path("first"), &*plain, path("x")), Err(Errno::Acces));
    }
}
