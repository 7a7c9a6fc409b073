//! Regular files.

use super::INODE_CHARGE;
use super::data::Data;
use super::overlay::Origin;
use super::volume::{Meta, Volume};
use crate::abi::{Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Timestamp, Whence};
use crate::host::offset::{check_offset, check_range, sought};
use crate::host::pieces::each_piece;
use crate::host::{File, Result, SetTimes, Source};
use crate::memory::Region;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The largest size: offsets are signed in POSIX.
const SIZE_LIMIT: u64 = i64::MAX.unsigned_abs();

/// A regular file, whatever its names. It gives its room back when neither a name nor a descriptor
/// is left.
pub(super) struct Body {
    volume: Arc<Volume>,
    state: RwLock<State>,
}

struct State {
    meta: Meta,
    data: Data,
    /// The size of the file below, while the bytes are there. Then there are none in `data`.
    below: Option<u64>,
    /// Where the file lies below an overlay, or lay before it was copied up.
    origin: Option<Box<Origin>>,
    /// Whether bytes or times were changed since this was last noted.
    changed: bool,
    /// How often that was.
    version: u64,
    /// Whether [`INODE_CHARGE`] was taken for it.
    charged: bool,
}

impl State {
    fn size(&self) -> u64 {
        self.below.unwrap_or(self.data.size())
    }

    fn note_change(&mut self) {
        self.changed = true;
        self.version = self.version.wrapping_add(1);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let inode = if state.charged { INODE_CHARGE } else { 0 };
        self.volume.release(state.data.size().saturating_add(inode));
    }
}

impl Body {
    /// An empty file with one name. The caller has taken [`INODE_CHARGE`].
    pub(super) fn new(volume: &Arc<Volume>, ino: u64, now: Timestamp) -> Self {
        Self::of(volume, Meta::new(volume, ino, 1, now), None, None, true)
    }

    fn of(
        volume: &Arc<Volume>,
        meta: Meta,
        below: Option<u64>,
        origin: Option<Box<Origin>>,
        charged: bool,
    ) -> Self {
        let (data, changed) = (Data::default(), below.is_none());
        let state = State { meta, data, below, origin, changed, version: 0, charged };
        Self { volume: Arc::clone(volume), state: RwLock::new(state) }
    }

    /// A file that lies below an overlay.
    pub(super) fn below(volume: &Arc<Volume>, stat: &Filestat, origin: Origin) -> Self {
        Self::of(volume, Meta::of(stat), Some(stat.size), Some(Box::new(origin)), false)
    }

    /// Whether the bytes are those of the file below.
    pub(super) fn is_below(&self) -> bool {
        self.state().below.is_some()
    }

    /// Looks at where the file lies below, or lay.
    pub(super) fn with_origin<T>(&self, look: impl FnOnce(&Origin) -> T) -> Option<T> {
        self.state().origin.as_deref().map(look)
    }

    /// Says where the file lies below from now on, as it was written there. A descriptor may have
    /// changed it since it had the `written` version.
    pub(super) fn set_origin(&self, origin: Origin, written: u64) {
        let mut state = self.state_mut();
        state.origin = Some(Box::new(origin));
        state.changed = state.version != written;
    }

    /// The same for a file that has lost the name that it was found by.
    pub(super) fn move_origin(&self, origin: Origin) {
        self.state_mut().origin = Some(Box::new(origin));
    }

    /// Notes that [`INODE_CHARGE`] was taken for it. `false`: it was already.
    pub(super) fn charge(&self) -> bool {
        !std::mem::replace(&mut self.state_mut().charged, true)
    }

    pub(super) fn is_charged(&self) -> bool {
        self.state().charged
    }

    /// Whether bytes or times were changed since [`Self::forget_changes`].
    pub(super) fn is_changed(&self) -> bool {
        self.state().changed
    }

    /// Another number after each change.
    pub(super) fn version(&self) -> u64 {
        self.state().version
    }

    pub(super) fn forget_changes(&self) {
        self.state_mut().changed = false;
    }

    /// Copies the bytes of the file below, unless they are here. Nothing that a guest sees changes.
    pub(super) fn copy_up(&self, from: &dyn File) -> Result<()> {
        let mut state = self.state_mut();
        if state.below.is_none() {
            return Ok(());
        }
        let size = from.filestat()?.size;
        // All at once: a file that does not fit is not read.
        self.volume.reserve(size)?;
        let mut taken = size;
        let mut data = Data::default();
        match copy(from, &mut data, |more| {
            if more > taken {
                // It has grown meanwhile.
                self.volume.reserve(more.saturating_sub(taken))?;
                taken = more;
            }
            Ok(())
        }) {
            Ok(()) => {
                self.volume.release(taken.saturating_sub(data.size()));
                state.data = data;
                state.below = None;
                Ok(())
            }
            Err(errno) => {
                self.volume.release(taken);
                Err(errno)
            }
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ino(&self) -> u64 {
        self.state().meta.ino
    }

    pub(super) fn size(&self) -> u64 {
        self.state().size()
    }

    pub(super) fn filestat(&self) -> Filestat {
        let state = self.state();
        state.meta.filestat(Filetype::RegularFile, state.size())
    }

    pub(super) fn set_times(&self, times: SetTimes) {
        let now = self.volume.now();
        let mut state = self.state_mut();
        state.meta.set_times(times, now);
        state.note_change();
    }

    /// A name was added.
    pub(super) fn add_link(&self, now: Timestamp) {
        let meta = &mut self.state_mut().meta;
        meta.links = meta.links.saturating_add(1);
        meta.changed(now);
    }

    /// A name was removed. Returns how many are left.
    pub(super) fn remove_link(&self, now: Timestamp) -> u64 {
        let meta = &mut self.state_mut().meta;
        meta.links = meta.links.saturating_sub(1);
        meta.changed(now);
        meta.links
    }

    /// The host has counted the names.
    pub(super) fn set_links(&self, links: u64) {
        self.state_mut().meta.links = links;
    }

    /// A name was changed.
    pub(super) fn renamed(&self, now: Timestamp) {
        self.state_mut().meta.changed(now);
    }

    /// Reads, unless the bytes are those of the file below.
    pub(super) fn read_above(&self, bufs: &[Region<'_>], offset: u64) -> Option<usize> {
        if bufs.is_empty() {
            return Some(0);
        }
        let state = self.state();
        if state.below.is_some() {
            return None;
        }
        state.meta.accessed(&self.volume);
        Some(state.data.read(bufs, offset))
    }

    fn read(&self, bufs: &[Region<'_>], offset: u64) -> usize {
        self.read_above(bufs, offset).unwrap_or(0)
    }

    /// Writes at an offset, or at the end, and returns how many bytes and the offset behind them.
    pub(super) fn write(&self, bufs: &[Region<'_>], offset: Option<u64>) -> Result<(usize, u64)> {
        let total = bufs.iter().fold(0_u64, |total, buf| total.saturating_add(buf.len() as u64));
        let now = self.volume.now();
        let mut state = self.state_mut();
        if state.below.is_some() {
            // Who opens a file to write copies it up: this is a defect here.
            return Err(Errno::Io);
        }
        let size = state.data.size();
        let offset = offset.unwrap_or(size);
        if total == 0 {
            return Ok((0, offset));
        }
        let wanted = total.min(SIZE_LIMIT.saturating_sub(offset));
        if wanted == 0 {
            return Err(Errno::Fbig);
        }
        // A gap before the offset counts too: it may be filled later.
        let growth = offset.saturating_add(wanted).saturating_sub(size);
        let taken = self.volume.reserve_up_to(growth);
        let most = if taken == growth {
            wanted
        } else {
            size.saturating_add(taken).saturating_sub(offset)
        };
        let done = state.data.write(bufs, offset, most);
        let used = state.data.size().saturating_sub(size);
        self.volume.release(taken.saturating_sub(used));
        if done == 0 {
            return Err(if most == 0 { Errno::Nospc } else { Errno::Nomem });
        }
        state.meta.modified(now);
        state.note_change();
        Ok((done, offset.saturating_add(done as u64)))
    }

    /// Sets the size, or with `grow` makes it at least that. Of a file that lies below, only 0 can
    /// be set before it was copied up.
    pub(super) fn set_size(&self, size: u64, grow: bool) -> Result<()> {
        let now = self.volume.now();
        let mut state = self.state_mut();
        if state.below.is_some() {
            if size > 0 || grow {
                return Err(Errno::Io);
            }
            state.below = None;
        }
        let old = state.data.size();
        let size = if grow { size.max(old) } else { size };
        self.volume.reserve(size.saturating_sub(old))?;
        state.data.set_size(size);
        self.volume.release(old.saturating_sub(size));
        state.note_change();
        if grow && size == old {
            state.meta.changed(now);
        } else {
            state.meta.modified(now);
        }
        Ok(())
    }

    /// All bytes.
    pub(super) fn to_vec(&self) -> Result<Vec<u8>> {
        self.state().data.to_vec().ok_or(Errno::Nomem)
    }

    /// Makes `bytes` all that there is.
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<()> {
        let now = self.volume.now();
        let mut state = self.state_mut();
        let (old, new) = (state.data.size(), bytes.len() as u64);
        self.volume.reserve(new.saturating_sub(old))?;
        let complete = state.data.replace(bytes);
        let taken = old.max(new);
        self.volume.release(taken.saturating_sub(state.data.size()));
        state.meta.modified(now);
        state.note_change();
        if complete { Ok(()) } else { Err(Errno::Nomem) }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.state().data.memory()
    }
}

/// Copies a file of the host. `take` is told how many bytes there will be, before they are kept.
fn copy(from: &dyn File, data: &mut Data, mut take: impl FnMut(u64) -> Result<()>) -> Result<()> {
    each_piece(
        |bufs, offset| from.pread(bufs, offset),
        |piece| {
            let at = data.size();
            take(at.saturating_add(piece.len() as u64))?;
            let done = data.write(&[piece], at, piece.len() as u64);
            if done < piece.len() { Err(Errno::Nomem) } else { Ok(()) }
        },
    )
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// An open regular file.
pub(super) struct TreeFile {
    body: Arc<Body>,
    access: Access,
    /// Whether the descriptor appends: a write at an offset is not told.
    append: AtomicBool,
    /// Held while bytes move, so that threads that read or write at the offset get and leave
    /// different bytes.
    position: Mutex<u64>,
}

impl TreeFile {
    pub(super) fn new(body: Arc<Body>, access: Access, flags: Fdflags) -> Self {
        Self {
            body,
            access,
            append: AtomicBool::new(flags.contains(Fdflags::APPEND)),
            position: Mutex::new(0),
        }
    }

    pub(super) fn body(&self) -> &Arc<Body> {
        &self.body
    }

    pub(super) fn position(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check_readable(&self) -> Result<()> {
        if self.access.read { Ok(()) } else { Err(Errno::Badf) }
    }

    fn check_writable(&self) -> Result<()> {
        if self.access.write { Ok(()) } else { Err(Errno::Badf) }
    }
}

impl File for TreeFile {
    fn filetype(&self) -> Filetype {
        Filetype::RegularFile
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_socket(&self) -> bool {
        false
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.check_readable()?;
        let mut position = self.position();
        check_range(bufs, *position)?;
        let done = self.body.read(bufs, *position);
        *position = position.saturating_add(done as u64);
        Ok(done)
    }

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        self.check_writable()?;
        let mut position = self.position();
        check_range(bufs, *position)?;
        let offset = if flags.contains(Fdflags::APPEND) { None } else { Some(*position) };
        let (done, end) = self.body.write(bufs, offset)?;
        if done > 0 {
            *position = end;
        }
        Ok(done)
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        check_offset(offset)?;
        self.check_readable()?;
        check_range(bufs, offset)?;
        Ok(self.body.read(bufs, offset))
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        check_offset(offset)?;
        self.check_writable()?;
        check_range(bufs, offset)?;
        // As on Linux, a descriptor that appends does so whatever the offset.
        let offset = if self.append.load(Relaxed) { None } else { Some(offset) };
        self.body.write(bufs, offset).map(|(done, _)| done)
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        let mut position = self.position();
        *position = sought(*position, (delta, whence), || Ok(self.body.size()))?;
        Ok(*position)
    }

    fn filestat(&self) -> Result<Filestat> {
        Ok(self.body.filestat())
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        check_offset(size)?;
        if !self.access.write {
            return Err(Errno::Inval);
        }
        self.body.set_size(size, false)
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        check_offset(offset)?;
        check_offset(len)?;
        let end = offset.saturating_add(len);
        if end > SIZE_LIMIT {
            return Err(Errno::Fbig);
        }
        if len == 0 {
            return Ok(());
        }
        self.check_writable()?;
        self.body.set_size(end, true)
    }

    fn advise(&self, offset: Filesize, len: Filesize, _: Advice) -> Result<()> {
        check_offset(offset)?;
        check_offset(len)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn datasync(&self) -> Result<()> {
        Ok(())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.body.set_times(times);
        Ok(())
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        if old.symmetric_difference(new).intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC)
        {
            return Err(Errno::Notsup);
        }
        self.append.store(new.contains(Fdflags::APPEND), Relaxed);
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        Source::Ready
    }

    fn available(&self) -> Filesize {
        let position = *self.position();
        self.body.size().saturating_sub(position)
    }
}
