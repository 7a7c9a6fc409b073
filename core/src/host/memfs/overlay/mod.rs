//! A directory that is never changed, under a tree in memory that holds what a guest changes.
//!
//! To the guest it is one POSIX file system. What it creates, writes, renames and removes is kept
//! above, and counts against [`TreeOptions::max_bytes`]; what it does not change is read below. The
//! lower directory may be any [`Directory`]. It is reached only by handles that are held, one name
//! at a time, and no symbolic link in it is followed but by the walk above, so it may change at any
//! time without leading a guest elsewhere.
//!
//! A file is one file, wherever its bytes are. Whoever has it open shares a body, so that a
//! descriptor that was opened before the file was copied up reads the copy. Its serial number is
//! the one below, with the overlay's device. Of what lies below, a read changes no time.
//!
//! The host's own changes below are visible wherever the guest has changed nothing.

mod below;
mod changes;
mod commit;
mod directory;
mod file;
mod lowered;
mod names;

pub(super) use below::{Merged, Origin};
pub use commit::CommitError;

use super::volume::Volume;
use super::{TreeOptions, next_device};
use crate::abi::Errno;
use crate::host::directory::{Contained, Found, Names as _};
use crate::host::pieces::read_all;
use crate::host::walk::{Base, End, Walk};
use crate::host::{Directory, GuestPath, OpenOptions, Result};
use below::LowerDir;
use directory::OverlayDirectory;
use names::{Layers, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory of an overlay.
#[derive(Clone)]
pub(super) enum Dir {
    /// One that was made above.
    Node(super::names::Id),
    /// One that lies below. It may have a node, which then counts.
    Below(Arc<LowerDir>),
}

/// The state that the handles of an overlay share.
struct Inner {
    layers: Mutex<Layers>,
    top: Arc<LowerDir>,
    volume: Arc<Volume>,
}

impl Inner {
    /// The lock is held for the whole of a call, also while the host is asked. No other lock of the
    /// crate but those of bodies and handles is taken under it.
    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory that is never changed, under a tree in memory. Clones are the same overlay.
#[derive(Clone)]
pub struct Overlay {
    inner: Arc<Inner>,
}

impl Overlay {
    /// An overlay over a directory, in which nothing is changed yet.
    ///
    /// # Errors
    /// Those of asking for the directory's attributes.
    pub fn new(lower: Box<dyn Directory>, options: TreeOptions) -> Result<Self> {
        let device = options.device.unwrap_or_else(next_device);
        let volume = Arc::new(Volume::new(options.max_bytes, device, options.clock));
        let top = Arc::new(LowerDir::top(Arc::from(lower)));
        let state = State::new(&top, &volume)?;
        let inner = Arc::new_cyclic(|inner| Inner {
            layers: Mutex::new(Layers::new(state, inner.clone())),
            top,
            volume,
        });
        Ok(Self { inner })
    }

    fn top(&self) -> Dir {
        Dir::Below(Arc::clone(&self.inner.top))
    }

    /// The overlay's top as a directory. With `root` it is a root to the guest: `..` stays there,
    /// and absolute symbolic links resolve inside. With `no_symlinks`, no symbolic link is followed
    /// or made.
    #[must_use]
    pub fn root_directory(&self, root: bool, no_symlinks: bool) -> Box<dyn Directory> {
        let top = OverlayDirectory::new(&self.inner, &self.inner.layers(), self.top());
        Box::new(Contained::new(top, root, no_symlinks))
    }

    /// The bytes of the file that a guest finds at a path, changed or not, with symbolic links
    /// followed inside. `root` and `no_symlinks` are those of [`Self::root_directory`].
    ///
    /// # Errors
    /// - `noent`: there is none.
    /// - `notdir`: something on the way is not a directory, or slashes follow the name of a file.
    /// - `isdir`: it is a directory.
    /// - `notcapable`: the path leads outside.
    /// - `loop`: too many symbolic links, or one that is not followed.
    /// - `nomem`: the host has no memory for a copy.
    /// - those of reading below.
    pub fn read_at(&self, path: GuestPath<'_>, root: bool, no_symlinks: bool) -> Result<Vec<u8>> {
        let top = self.top();
        let file = {
            let layers = self.inner.layers();
            let base = Base { dir: &top, root, no_symlinks };
            let mut place = Walk::<Layers>::new(base, path.as_bytes(), End::Any);
            place.advance(&layers)?;
            place.follow_all(&layers)?;
            let name = place.name().ok_or(Errno::Isdir)?;
            match layers.open(place.dir(), name, OpenOptions::READ)? {
                Found::File(file) => file,
                Found::Directory(_) => return Err(Errno::Isdir),
                Found::Link => return Err(Errno::Loop),
            }
        };
        read_all(&*file)
    }

    /// How much of `max_bytes` is taken.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.inner.volume.used()
    }

    /// The charge for the covered names below the top.
    #[cfg(all(test, unix))]
    pub(super) fn covered_bytes(&self) -> u64 {
        let layers = self.inner.layers();
        let state = layers.state();
        state.names.directory(super::names::TOP).unwrap().merged.as_ref().unwrap().charge()
    }

    /// How many files with several names below have a place above.
    #[cfg(test)]
    pub(super) fn aliases(&self) -> usize {
        self.inner.layers().state().aliases()
    }

    /// How many files have a place above.
    #[cfg(all(test, unix))]
    pub(super) fn count(&self) -> usize {
        self.inner.layers().state().names.count()
    }
}
