//! Virtual standard streams: null, fixed input, captured output, JavaScript callbacks.

use super::{File, Result, SetTimes, Source};
use crate::abi::{Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Whence};
use crate::memory::Region;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes one write to a function hands over at most; the rest is a short write.
const CHUNK_LIMIT: usize = 16 << 20;

/// How much memory a feed keeps when it is empty, in bytes.
const KEPT: usize = 64 << 10;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn total(bufs: &[Region<'_>]) -> usize {
    bufs.iter().fold(0, |sum, buf| sum.saturating_add(buf.len()))
}

/// Copies `bytes` to the buffers and returns how many fitted.
fn scatter(bufs: &[Region<'_>], mut bytes: &[u8]) -> usize {
    let mut done = 0_usize;
    for buf in bufs {
        let copied = buf.write_at(0, bytes);
        done = done.saturating_add(copied);
        bytes = bytes.get(copied..).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
    }
    done
}

/// Appends the buffers' bytes, at most `limit` of them, and returns how many that were.
fn gather(bufs: &[Region<'_>], into: &mut Vec<u8>, limit: usize) -> usize {
    let mut left = limit;
    for buf in bufs {
        let start = into.len();
        let count = buf.len().min(left);
        into.resize(start.saturating_add(count), 0);
        buf.read_at(0, into.get_mut(start..).unwrap_or_default());
        left = left.saturating_sub(count);
    }
    limit.saturating_sub(left)
}

/// The bytes that a guest wrote to a collector or a function.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Mutex<Vec<u8>>,
    truncated: AtomicBool,
}

impl Output {
    /// A copy of all bytes.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        lock(&self.bytes).clone()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lock(&self.bytes).is_empty()
    }

    /// A copy of all bytes, if they are ASCII and at most `limit`.
    #[must_use]
    pub fn short_text(&self, limit: usize) -> Option<String> {
        let bytes = lock(&self.bytes);
        if bytes.len() > limit || !bytes.is_ascii() {
            return None;
        }
        str::from_utf8(&bytes).ok().map(str::to_owned)
    }

    /// Whether a collector's cap has refused bytes of a write. The guest may write them again, but
    /// they are never taken.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated.load(Relaxed)
    }

    /// Takes all bytes out.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.bytes))
    }
}

/// The bytes that a function gave to a guest and the guest has not read yet.
#[derive(Debug, Default)]
pub struct Input {
    state: Mutex<InputState>,
    /// Whether a read that finds nothing waits. Otherwise the function is asked before the read.
    waits: bool,
}

#[derive(Debug, Default)]
struct InputState {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Input {
    /// An input whose reads wait for what there is.
    #[must_use]
    pub fn waiting() -> Self {
        Self { waits: true, ..Self::default() }
    }

    /// Takes out what the guest has not read.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.state).bytes).into()
    }

    /// Whether there are no more bytes, and all have been read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        let state = lock(&self.state);
        state.bytes.is_empty() && state.ended
    }

    /// Adds bytes, or says that there are no more.
    pub fn feed(&self, bytes: Option<&[u8]>) {
        let mut state = lock(&self.state);
        match bytes {
            Some(bytes) => state.bytes.extend(bytes),
            None => state.ended = true,
        }
    }

    /// Whether a read would find nothing and there may be more.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let state = lock(&self.state);
        state.bytes.is_empty() && !state.ended
    }
}

/// A standard stream.
pub enum Stream {
    /// Reads as the end of the input, and discards all that is written.
    Null,
    /// Bytes to read, as a regular file that cannot be written.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Where the guest reads.
        offset: Mutex<usize>,
    },
    /// Keeps what is written, up to a cap.
    Collector {
        /// Where it goes.
        output: Arc<Output>,
        /// The most bytes it keeps.
        cap: usize,
        /// Whether a write beyond that is [`Errno::Full`], which ends the guest: what fits is kept.
        ends: bool,
    },
    /// Gives what is written to a function, after the call.
    Sink(Arc<Output>),
    /// Reads what a function gave, before the call.
    Feed(Arc<Input>),
}

impl Stream {
    /// Bytes to read.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes { bytes, offset: Mutex::new(0) }
    }

    fn at(bytes: &[u8], offset: usize, bufs: &[Region<'_>]) -> usize {
        scatter(bufs, bytes.get(offset..).unwrap_or_default())
    }
}

impl File for Stream {
    fn filetype(&self) -> Filetype {
        match self {
            Self::Null => Filetype::CharacterDevice,
            Self::Bytes { .. } => Filetype::RegularFile,
            Self::Collector { .. } | Self::Sink(_) | Self::Feed(_) => Filetype::SocketStream,
        }
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_socket(&self) -> bool {
        false
    }

    fn input(&self) -> Option<&Arc<Input>> {
        match self {
            Self::Feed(input) => Some(input),
            _ => None,
        }
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        match self {
            Self::Null => Ok(0),
            Self::Bytes { bytes, offset } => {
                let mut offset = lock(offset);
                let done = Self::at(bytes, *offset, bufs);
                *offset = offset.saturating_add(done);
                Ok(done)
            }
            Self::Feed(input) => {
                let mut state = lock(&input.state);
                if input.waits && state.bytes.is_empty() && !state.ended && total(bufs) > 0 {
                    return Err(Errno::Again);
                }
                let mut done = 0_usize;
                for buf in bufs {
                    let (front, _) = state.bytes.as_slices();
                    let copied = buf.write_at(0, front);
                    state.bytes.drain(..copied);
                    done = done.saturating_add(copied);
                    if copied < buf.len() {
                        break;
                    }
                }
                if state.bytes.is_empty() && state.bytes.capacity() > KEPT {
                    // One large piece must not cost its memory for as long as the stream is open.
                    state.bytes = VecDeque::new();
                }
                Ok(done)
            }
            Self::Collector { .. } | Self::Sink(_) => Err(Errno::Badf),
        }
    }

    fn write(&self, bufs: &[Region<'_>], _: Fdflags) -> Result<usize> {
        match self {
            Self::Null => Ok(total(bufs)),
            Self::Collector { output, cap, ends } => {
                let mut bytes = lock(&output.bytes);
                let room = cap.saturating_sub(bytes.len());
                if total(bufs) > room {
                    output.truncated.store(true, Relaxed);
                    if *ends {
                        gather(bufs, &mut bytes, room);
                        return Err(Errno::Full);
                    }
                    if room == 0 {
                        return Err(Errno::Nospc);
                    }
                }
                Ok(gather(bufs, &mut bytes, room))
            }
            Self::Sink(output) => Ok(gather(bufs, &mut lock(&output.bytes), CHUNK_LIMIT)),
            Self::Bytes { .. } | Self::Feed(_) => Err(Errno::Badf),
        }
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        match self {
            Self::Bytes { bytes, .. } => {
                Ok(Self::at(bytes, usize::try_from(offset).unwrap_or(usize::MAX), bufs))
            }
            _ => Err(Errno::Spipe),
        }
    }

    fn pwrite(&self, _: &[Region<'_>], _: Filesize) -> Result<usize> {
        match self {
            Self::Bytes { .. } => Err(Errno::Badf),
            _ => Err(Errno::Spipe),
        }
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        let Self::Bytes { bytes, offset } = self else { return Err(Errno::Spipe) };
        let mut offset = lock(offset);
        let from = match whence {
            Whence::Set => 0,
            Whence::Cur => *offset,
            Whence::End => bytes.len(),
        };
        let to = i64::try_from(from)
            .ok()
            .and_then(|from| from.checked_add(delta))
            .ok_or(Errno::Overflow)?;
        *offset = usize::try_from(to).map_err(|_| Errno::Inval)?;
        Ok(to.unsigned_abs())
    }

    fn filestat(&self) -> Result<Filestat> {
        let size = match self {
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            _ => 0,
        };
        Ok(Filestat {
            dev: 0,
            ino: 0,
            filetype: self.filetype(),
            nlink: 1,
            size,
            atim: 0,
            mtim: 0,
            ctim: 0,
        })
    }

    fn set_size(&self, _: Filesize) -> Result<()> {
        Err(Errno::Inval)
    }

    fn allocate(&self, _: Filesize, _: Filesize) -> Result<()> {
        Err(Errno::Spipe)
    }

    fn advise(&self, _: Filesize, _: Filesize, _: Advice) -> Result<()> {
        if matches!(self, Self::Bytes { .. }) { Ok(()) } else { Err(Errno::Spipe) }
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn datasync(&self) -> Result<()> {
        Ok(())
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Perm)
    }

    fn set_flags(&self, _: Fdflags, _: Fdflags) -> Result<()> {
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        match self {
            Self::Feed(input) if input.waits => Source::Input(input),
            _ => Source::Ready,
        }
    }

    fn available(&self) -> Filesize {
        match self {
            Self::Bytes { bytes, offset } => bytes.len().saturating_sub(*lock(offset)) as u64,
            Self::Feed(input) => lock(&input.state).bytes.len() as u64,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{GuestMemory, GuestPtr, IOVEC_LIMIT, IoVecRoom};

    /// Two buffers of three and five bytes with `content`.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "byte strings are references")]
    fn with_bufs<T>(content: &[u8; 8], act: impl FnOnce(&[Region<'_>]) -> T) -> (T, Vec<u8>) {
        let mut bytes = vec![0; 64];
        bytes[..16].copy_from_slice(&[32, 0, 0, 0, 3, 0, 0, 0, 40, 0, 0, 0, 5, 0, 0, 0]);
        bytes[32..35].copy_from_slice(&content[..3]);
        bytes[40..45].copy_from_slice(&content[3..]);
        let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
        let result = act(room
            .read(GuestMemory::from_slice(&mut bytes), GuestPtr::new(0), 2)
            .unwrap()
            .regions());
        let after = [&bytes[32..35], &bytes[40..45]].concat();
        (result, after)
    }

    #[test]
    fn a_collector_keeps_bytes_in_order_up_to_its_cap() {
        let output = Arc::new(Output::default());
        let stream = Stream::Collector { output: Arc::clone(&output), cap: 12, ends: false };
        let write = |content| with_bufs(content, |bufs| stream.write(bufs, Fdflags::empty())).0;
        assert_eq!(write(b"abcdefgh"), Ok(8));
        assert!(!output.is_truncated());
        assert_eq!(write(b"ijklmnop"), Ok(4), "what fits is taken");
        assert!(output.is_truncated());
        assert_eq!(write(b"qrstuvwx"), Err(Errno::Nospc), "and what does not is refused, not lost");
        assert_eq!(output.copy(), b"abcdefghijkl");
    }

    #[test]
    fn short_text_is_ascii_and_no_longer_than_the_limit() {
        let text = |bytes: &[u8]| {
            let output = Output { bytes: Mutex::new(bytes.to_vec()), ..Output::default() };
            assert_eq!(output.is_empty(), bytes.is_empty());
            output.short_text(4)
        };
        assert_eq!(text(b"").as_deref(), Some(""));
        assert_eq!(text(b"a\0\x7fd").as_deref(), Some("a\0\x7fd"));
        assert_eq!(text(b"abcde"), None);
        assert_eq!(text("é".as_bytes()), None);
        assert_eq!(text(b"\x80"), None);
    }

    #[test]
    fn a_collector_that_ends_its_guest_keeps_what_fits_of_the_write_that_is_too_long() {
        let output = Arc::new(Output::default());
        let stream = Stream::Collector { output: Arc::clone(&output), cap: 12, ends: true };
        let write = |content| with_bufs(content, |bufs| stream.write(bufs, Fdflags::empty())).0;
        assert_eq!(write(b"abcdefgh"), Ok(8));
        assert_eq!(write(b"ijklmnop"), Err(Errno::Full));
        assert!(output.is_truncated());
        assert_eq!(output.copy(), b"abcdefghijkl");
    }

    #[test]
    fn a_sink_is_drained() {
        let output = Arc::new(Output::default());
        let stream = Stream::Sink(Arc::clone(&output));
        assert_eq!(with_bufs(b"abcdefgh", |bufs| stream.write(bufs, Fdflags::empty())).0, Ok(8));
        assert_eq!(output.take(), b"abcdefgh");
        assert_eq!(output.take(), b"");
    }

    #[test]
    fn a_feed_gives_what_it_got_and_then_its_end() {
        let input = Arc::new(Input::default());
        let stream = Stream::Feed(Arc::clone(&input));
        assert!(input.is_wanted());
        input.feed(Some(b"abcdefghij"));
        assert!(!input.is_wanted());
        let read = || with_bufs(&[0; 8], |bufs| stream.read(bufs));
        assert_eq!(read(), (Ok(8), b"abcdefgh".to_vec()));
        assert_eq!(read(), (Ok(2), b"ij\0\0\0\0\0\0".to_vec()));
        assert!(input.is_wanted());
        input.feed(None);
        assert!(!input.is_wanted());
        assert_eq!(read().0, Ok(0));
    }

    #[test]
    fn a_feed_that_is_empty_keeps_little_memory() {
        let input = Arc::new(Input::default());
        let stream = Stream::Feed(Arc::clone(&input));
        let read = || with_bufs(&[0; 8], |bufs| stream.read(bufs)).0;
        let capacity = || lock(&input.state).bytes.capacity();
        input.feed(Some(&vec![1; (1 << 20) + 4]));
        for _ in 0..(1 << 20) / 8 {
            assert_eq!(read(), Ok(8));
        }
        assert!(capacity() > 1 << 20);
        assert_eq!(read(), Ok(4));
        assert!(capacity() <= KEPT, "{}", capacity());
        // A small buffer is kept, so that it is not freed and allocated again with each piece.
        input.feed(Some(b"abcd"));
        assert_eq!(read(), Ok(4));
        assert!(capacity() >= 4);
    }

    #[test]
    fn bytes_are_a_file_to_read_and_seek_in() {
        let stream = Stream::bytes(b"0123456789".to_vec());
        let read = || with_bufs(&[0; 8], |bufs| stream.read(bufs));
        assert_eq!(stream.seek(-4, Whence::End), Ok(6));
        assert_eq!(stream.available(), 4);
        assert_eq!(read(), (Ok(4), b"6789\0\0\0\0".to_vec()));
        assert_eq!(stream.seek(-11, Whence::Cur), Err(Errno::Inval));
        assert_eq!(stream.seek(0, Whence::Cur), Ok(10));
        assert_eq!(with_bufs(&[0; 8], |bufs| stream.pread(bufs, 9)).0, Ok(1));
        assert_eq!(with_bufs(&[0; 8], |bufs| stream.pread(bufs, u64::MAX)).0, Ok(0));
        assert_eq!(
            with_bufs(&[0; 8], |bufs| stream.write(bufs, Fdflags::empty())).0,
            Err(Errno::Badf)
        );
    }

    #[test]
    fn nothing_takes_all_and_gives_its_end() {
        assert_eq!(
            with_bufs(b"abcdefgh", |bufs| Stream::Null.write(bufs, Fdflags::empty())).0,
            Ok(8)
        );
        assert_eq!(with_bufs(b"abcdefgh", |bufs| Stream::Null.read(bufs)).0, Ok(0));
    }
}
