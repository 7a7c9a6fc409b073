//! Overlays that are preopens.

use std::sync::{Arc, OnceLock};
use wasi_rs_core::abi::Errno;
use wasi_rs_core::host::{Directory, GuestPath, Overlay, Result, TreeOptions};

/// An overlay that is a preopen.
#[derive(Clone)]
pub(super) struct MountedOverlay {
    /// Empty until the directory below was opened.
    overlay: Arc<OnceLock<Overlay>>,
    root: bool,
    no_symlinks: bool,
}

impl MountedOverlay {
    pub(super) fn new(root: bool, no_symlinks: bool) -> Self {
        Self { overlay: Arc::default(), root, no_symlinks }
    }

    /// Lays the overlay over a directory, and gives its top. Of two threads that do so, one's
    /// directory is kept.
    pub(super) fn lay(
        &self,
        lower: Box<dyn Directory>,
        options: TreeOptions,
    ) -> Result<Box<dyn Directory>> {
        let laid = Overlay::new(lower, options)?;
        let overlay = self.overlay.get_or_init(|| laid);
        Ok(overlay.root_directory(self.root, self.no_symlinks))
    }

    /// The overlay, if the directory below was opened.
    pub(super) fn get(&self) -> Option<&Overlay> {
        self.overlay.get()
    }

    pub(super) fn read_at(&self, path: GuestPath<'_>) -> Result<Vec<u8>> {
        self.get().ok_or(Errno::Noent)?.read_at(path, self.root, self.no_symlinks)
    }
}
