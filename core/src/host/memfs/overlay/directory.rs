//! Open directories of an overlay.

use super::super::directory::cookie_after;
use super::super::names::{DirectoryNode, FIRST_COOKIE};
use super::names::{Layers, State};
use super::{Dir, Inner};
use crate::abi::{Errno, Filestat, Filetype};
use crate::host::directory::Backend;
use crate::host::{DirectoryEntry, EntrySink, Result, SetTimes};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The cookies of names that only are above. Those of names below are the host's, and smaller.
const ABOVE: u64 = 1 << 63;
/// The cookie of `..`, and that of the first name below: those above begin with [`FIRST_COOKIE`].
const DOTS: u64 = ABOVE;
const BELOW: u64 = ABOVE | 1;

/// An open directory of an overlay.
pub(super) struct OverlayDirectory {
    inner: Arc<Inner>,
    dir: Dir,
    /// Where a listing of the names above ends: what is created after its start is left to the
    /// next.
    listing_end: AtomicU64,
}

impl OverlayDirectory {
    pub(super) fn new(inner: &Arc<Inner>, layers: &Layers, dir: Dir) -> Self {
        let state = layers.state();
        if let Some(id) = state.node(&dir) {
            state.names.opened(id);
        }
        if let Dir::Below(lower) = &dir {
            lower.opened();
        }
        Self { inner: Arc::clone(inner), dir, listing_end: AtomicU64::new(u64::MAX) }
    }
}

impl Drop for OverlayDirectory {
    fn drop(&mut self) {
        let layers = self.inner.layers();
        let mut state = layers.state();
        let node = state.node(&self.dir);
        if let Dir::Below(lower) = &self.dir
            && lower.closed() == 0
            && node.is_some()
        {
            // It may have been passed over as one that is open.
            state.hold(lower);
        }
        if let Some(id) = node {
            let volume = Arc::clone(&state.volume);
            state.names.closed(id, &volume);
        }
    }
}

impl Backend for OverlayDirectory {
    type Dir = Dir;
    type Names = Layers;

    fn names(&self) -> impl Deref<Target = Layers> {
        self.inner.layers()
    }

    fn names_mut(&self) -> impl DerefMut<Target = Layers> {
        self.inner.layers()
    }

    fn dir(&self) -> &Dir {
        &self.dir
    }

    fn open(&self, names: &Layers, dir: Dir) -> Self {
        Self::new(&self.inner, names, dir)
    }

    fn has_files_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.inner.layers().state().stat_directory(&self.dir)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner.layers().state().set_directory_times(&self.dir, times)
    }

    /// First `.` and `..`, then the names that there are below, at their places there, whatever
    /// they stand for now, and last those that there are only above.
    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let layers = self.inner.layers();
        let state = layers.state();
        let node = match state.node(&self.dir) {
            Some(id) => Some(state.names.directory(id)?),
            None => None,
        };
        if node.is_some_and(DirectoryNode::is_removed) {
            // Linux has it so.
            return Err(Errno::Noent);
        }
        if cookie == 0 {
            let end = node.map_or(FIRST_COOKIE, |node| node.entries.end());
            self.listing_end.store(end, Relaxed);
        }
        if matches!(cookie, 0 | DOTS) {
            let ino = self.ino(&state)?;
            // As in a directory of the host, `..` is the directory itself: what lies above may be
            // outside.
            for (at, name, next) in [(0, &b"."[..], DOTS), (DOTS, b"..", BELOW)] {
                if at >= cookie && !sink.entry(name, ino, Filetype::Directory, next) {
                    return Ok(());
                }
            }
        }
        let lower_from = match cookie {
            0 | DOTS | BELOW => Some(0),
            cookie => Some(cookie).filter(|cookie| *cookie < ABOVE),
        };
        if let Some(from) = lower_from
            && !self.entries_below(&state, node, (from, capacity), sink)?
        {
            return Ok(());
        }
        let Some(node) = node else { return Ok(()) };
        let from = if lower_from.is_some() { FIRST_COOKIE } else { cookie & !ABOVE };
        let Some(last) = self.listing_end.load(Relaxed).checked_sub(1) else { return Ok(()) };
        if from > last {
            return Ok(());
        }
        for (at, name, id) in node.entries.range(from..=last) {
            if let Some(merged) = &node.merged
                && merged.covers(name)
                && merged.lower.stat(name)?.is_some()
            {
                // The listing had this entry already, at its place below.
                continue;
            }
            let (ino, filetype) = state.names.listed(id)?;
            if !sink.entry(name, ino, filetype, ABOVE | cookie_after(at)) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

impl OverlayDirectory {
    /// The serial number, which stays as it is.
    fn ino(&self, state: &State) -> Result<u64> {
        match (state.node(&self.dir), &self.dir) {
            (Some(id), _) => Ok(state.names.listed(id)?.0),
            (None, Dir::Below(lower)) => Ok(lower.identity()?.1),
            (None, Dir::Node(_)) => Err(Errno::Io),
        }
    }

    /// The names that there are below. Says whether the sink wants more.
    fn entries_below(
        &self,
        state: &State,
        node: Option<&DirectoryNode>,
        (cookie, capacity): (u64, usize),
        sink: &mut dyn EntrySink,
    ) -> Result<bool> {
        let merged = node.and_then(|node| node.merged.as_deref());
        let (lower, handle) = match (merged, &self.dir) {
            (Some(merged), _) => (&merged.lower, merged.lower.handle_if_there()?),
            (None, Dir::Below(lower)) if node.is_none() => (lower, Some(lower.handle()?)),
            // A directory that was made above has nothing below.
            _ => return Ok(true),
        };
        let Some(handle) = handle else { return Ok(true) };
        let (mut wants_more, mut failed) = (true, None);
        let listed = handle.entries(cookie, capacity, &mut |entry: DirectoryEntry<'_>| {
            let DirectoryEntry { name, ino, filetype, next } = entry;
            if matches!(name, b"." | b"..") {
                return true;
            }
            let above = node.and_then(|node| node.entries.get(name));
            let is_covered = merged.is_some_and(|merged| merged.covers(name));
            let (ino, filetype) = match above {
                // One that the host has made since comes as the one above that hides it.
                Some(_) if !is_covered => return true,
                Some(id) => match state.names.listed(id) {
                    Ok(listed) => listed,
                    Err(errno) => {
                        failed = Some(errno);
                        return false;
                    }
                },
                None if is_covered => return true,
                None => (state.ino_below((lower, name), ino, filetype), filetype),
            };
            wants_more = sink.entry(name, ino, filetype, next);
            wants_more
        });
        match listed {
            // The host has removed it: what is above is all that there is.
            Err(Errno::Noent) if node.is_some() => {}
            listed => listed?,
        }
        failed.map_or(Ok(wants_more), Err)
    }
}
