//! Streams: of a file from a position on, of a file's end, and the standard ones.
//!
//! No host file blocks. A stream of the host that has no room for what was permitted keeps it here,
//! at most [`HELD`] bytes for each permission, until it has.

use super::area::{Block, Code, Lists, Owned};
use super::filesystem::{append, pread, pwrite};
use super::glue::Bytes;
use super::poll::{Pollable, wait_on};
use super::resources::{ErrorRep, InputRep, OpenFile, OutputRep, Resource, State};
use super::{Call, CallError, Result, Trap};
use crate::abi::{Errno, Fd, Filetype, Rights};
use crate::ctx::Ctx;
use crate::host::{Budget, Interest, Lease, Opened, Source};
use crate::memory::{GuestMemory, Region};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// How many bytes a write to a file may have.
const PERMIT: u64 = 1 << 20;

/// The same for a stream of the host, which keeps what it has no room for.
const HELD: usize = 64 << 10;

/// The most bytes that a stream reads before the guest is asked for memory.
const BUFFER: usize = 64 << 10;

/// How many bytes of a file one read gives at most.
const READ_MOST: u64 = 64 << 20;

/// The most bytes that the host is given at once to write.
const PIECE: usize = 4 << 20;

/// How many zeros are written at once.
const ZEROES: usize = 16 << 10;

/// An `input-stream`.
pub(super) struct Input {
    file: Rc<OpenFile>,
    /// Where in a file it reads. None: it is a stream of the host.
    position: Option<Cell<u64>>,
    closed: Cell<bool>,
    polled: bool,
}

impl Input {
    pub(super) fn of_stream(file: Rc<OpenFile>) -> Self {
        Self { file, position: None, closed: Cell::new(false), polled: true }
    }

    pub(super) fn of_file(file: Rc<OpenFile>, position: u64) -> Self {
        let position = Some(Cell::new(position));
        Self { file, position, closed: Cell::new(false), polled: false }
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Whether a read could have to wait.
    pub(super) fn may_wait(&self) -> bool {
        self.polled && !self.closed.get()
    }

    pub(super) fn moved(&self, count: u64) {
        if let Some(position) = &self.position {
            position.set(position.get().saturating_add(count));
        }
    }

    /// An error ends the stream.
    fn failed(&self, error: CallError) -> CallError {
        if matches!(error, CallError::Errno(_)) {
            self.closed.set(true);
        }
        error
    }
}

/// Where a stream writes.
enum Place {
    At(Cell<u64>),
    End,
    Stream,
    Nowhere,
}

/// Bytes that the host has not taken yet. All streams of one pipe or device share them, because
/// what was written first is to come first, whichever stream it was written to. All such bytes of
/// an instance have one budget.
pub(super) struct Held {
    bytes: RefCell<Vec<u8>>,
    lease: RefCell<Lease>,
}

impl Held {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Self { bytes: RefCell::default(), lease: RefCell::new(Lease::new(budget)) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.borrow().is_empty()
    }

    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Takes the bytes out, to be put back with [`Self::keep`].
    fn take(&self) -> Vec<u8> {
        self.bytes.take()
    }

    /// Keeps these bytes and no others. They are no more than there were.
    fn keep(&self, bytes: Vec<u8>) {
        // A lease can always be made smaller.
        let _ = self.lease.borrow_mut().resize(bytes.len());
        self.bytes.replace(if bytes.is_empty() { Vec::new() } else { bytes });
    }

    /// Adds bytes behind the others.
    ///
    /// # Errors
    /// - [`Trap::Permit`]: the budget has no more. A guest that asks before each write comes to
    ///   this point by hundreds of permissions at a time.
    fn push(&self, more: Region<'_>) -> Result<()> {
        let mut bytes = self.bytes.borrow_mut();
        let start = bytes.len();
        let end = start.saturating_add(more.len());
        self.lease.borrow_mut().resize(end).map_err(|_| Trap::Permit)?;
        bytes.resize(end, 0);
        more.read_at(0, bytes.get_mut(start..).unwrap_or_default());
        Ok(())
    }
}

/// An `output-stream`.
pub(super) struct Output {
    file: Rc<OpenFile>,
    place: Place,
    closed: Cell<bool>,
    /// The number of bytes that the last `check-write` permitted, if nothing was written since.
    permit: Cell<Option<u64>>,
    /// Bytes that a [`Place::Stream`] has not taken yet.
    held: Option<Rc<Held>>,
}

impl Output {
    fn new(file: Rc<OpenFile>, place: Place) -> Self {
        Self { file, place, closed: Cell::new(false), permit: Cell::new(None), held: None }
    }

    pub(super) fn of_stream(file: Rc<OpenFile>, state: &State) -> Self {
        let held = Some(Rc::clone(file.held(state)));
        Self { held, ..Self::new(file, Place::Stream) }
    }

    pub(super) fn of_file(file: Rc<OpenFile>, position: u64) -> Self {
        Self::new(file, Place::At(Cell::new(position)))
    }

    pub(super) fn of_end(file: Rc<OpenFile>) -> Self {
        Self::new(file, Place::End)
    }

    /// One that forgets what it takes.
    pub(super) fn sink() -> Self {
        Self::new(State::lent(Fd::MAX), Place::Nowhere)
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Whether a write could have to wait.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self.place, Place::Stream) && !self.closed.get()
    }

    fn failed(&self, error: CallError) -> CallError {
        if matches!(error, CallError::Errno(_)) {
            self.closed.set(true);
            self.forget();
        }
        error
    }

    /// Gives up what is held.
    pub(super) fn forget(&self) {
        if let Some(held) = &self.held {
            held.keep(Vec::new());
        }
    }

    fn holds_nothing(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.is_empty())
    }

    /// One attempt to write.
    fn attempt(&self, ctx: &Ctx, bytes: Region<'_>) -> Result<usize> {
        let count = match &self.place {
            Place::At(position) => {
                let count = pwrite(ctx, &self.file, bytes, position.get())?;
                position.set(position.get().saturating_add(count as u64));
                count
            }
            Place::End => append(ctx, &self.file, bytes)?,
            Place::Stream => {
                let descriptor = ctx.table.get(self.file.fd)?;
                let file = descriptor.file(Rights::FD_WRITE)?;
                file.write(&[bytes], descriptor.flags())?
            }
            Place::Nowhere => bytes.len(),
        };
        // A host that takes none of some bytes would be asked for ever.
        if count == 0 && !bytes.is_empty() { Err(Errno::Io.into()) } else { Ok(count) }
    }

    /// Writes what is held, as far as the host takes it. Whether all of it is written.
    fn drain(&self, ctx: &Ctx) -> Result<bool> {
        let Some(queue) = self.held.as_ref().filter(|held| !held.is_empty()) else {
            return Ok(true);
        };
        let mut held = queue.take();
        let mut done = 0_usize;
        let mut outcome = Ok(true);
        while done < held.len() {
            let rest = held.get_mut(done..).unwrap_or_default();
            let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            let region = GuestMemory::from_slice(rest).region(0, len)?;
            match self.attempt(ctx, region) {
                Ok(count) => done = done.saturating_add(count),
                Err(CallError::Errno(Errno::Again)) => {
                    outcome = Ok(false);
                    break;
                }
                Err(error) => {
                    outcome = Err(self.failed(error));
                    held.clear();
                    break;
                }
            }
        }
        held.drain(..done.min(held.len()));
        queue.keep(held);
        outcome
    }

    /// Whether nothing is held any more. An error shows at the next call.
    pub(super) fn is_drained(&self, call: &Call<'_>) -> bool {
        self.closed.get() || self.holds_nothing() || self.drain(call.ctx).unwrap_or(true)
    }

    /// How many bytes may be written now.
    fn room(&self, call: &Call<'_>) -> Result<u64> {
        if self.closed.get() {
            return Err(CallError::Closed);
        }
        if !matches!(self.place, Place::Stream) {
            return Ok(PERMIT);
        }
        if call.state.is_busy(self.file.fd) {
            return Ok(0);
        }
        if !self.drain(call.ctx)? {
            return Ok(0);
        }
        let descriptor = call.ctx.table.get(self.file.fd).map_err(|_| CallError::Closed)?;
        let polled = matches!(
            descriptor.object(),
            Opened::File(file) if matches!(file.source(), Source::Host(_))
        );
        drop(descriptor);
        if !polled {
            return Ok(PERMIT);
        }
        Ok(if super::poll::has_room(call, &self.file)? { HELD as u64 } else { 0 })
    }

    /// Writes all of it, or keeps what the host has no room for.
    fn write(&self, ctx: &Ctx, bytes: Region<'_>) -> Result<()> {
        let mut done = 0_usize;
        let is_drained = self.drain(ctx)?;
        while is_drained && done < bytes.len() {
            match self.attempt(ctx, bytes.from(done)) {
                Ok(count) => done = done.saturating_add(count),
                Err(CallError::Errno(Errno::Again)) => break,
                Err(error) => return Err(self.failed(error)),
            }
        }
        let rest = bytes.from(done);
        if rest.is_empty() {
            return Ok(());
        }
        match &self.held {
            Some(held) => held.push(rest),
            // A file with positions does not wait.
            None => Err(self.failed(Errno::Again.into())),
        }
    }

    /// Checks a write that does not wait against what was permitted, and takes the permission.
    fn take_permit(&self, call: &Call<'_>, len: u64) -> Result<()> {
        if self.closed.get() {
            return Err(CallError::Closed);
        }
        let most = match self.place {
            Place::Stream if call.state.is_busy(self.file.fd) => 0,
            Place::Stream => {
                HELD.saturating_sub(self.held.as_ref().map_or(0, |held| held.len())) as u64
            }
            Place::At(_) | Place::End | Place::Nowhere => PERMIT,
        };
        // Without a question before, a write may have what an answer would have said at best.
        let permit = self.permit.replace(None).unwrap_or(most);
        if len > permit { Err(Trap::Permit.into()) } else { Ok(()) }
    }
}

/// A stream that is dropped has one more attempt to write what it holds. The rest is left to other
/// streams of the same file.
pub(super) fn last_attempt(ctx: &Ctx, stream: &Output) {
    if !stream.holds_nothing() {
        // Nobody is there any more to be told of an error.
        let _ = stream.drain(ctx);
    }
}

/// The text of an error.
pub(super) fn to_debug_string(call: &Call<'_>, error: ErrorRep) -> Result<Lists<8>> {
    let errno = call.error(error)?;
    let text = format!("{} ({})", Code::of(errno).name(), errno.name());
    Lists::bytes(Block::Bytes(text.into_bytes()))
}

// --- Input ---------------------------------------------------------------------------------------

/// Reads into the state's buffer, once. `again`: there is nothing yet. 0: the end.
fn fill(call: &Call<'_>, stream: &Input, len: u64) -> Result<usize> {
    let mut buffer = call.state.buffer.borrow_mut();
    if buffer.is_empty() {
        buffer.resize(BUFFER, 0);
    }
    let len = u32::try_from(len.min(BUFFER as u64)).unwrap_or(0);
    let region = GuestMemory::from_slice(&mut buffer).region(0, len)?;
    if let Some(position) = &stream.position {
        let count = pread(call, &stream.file, region, position.get())?;
        stream.moved(count as u64);
        return Ok(count);
    }
    let descriptor = call.ctx.table.get(stream.file.fd)?;
    Ok(descriptor.file_to_read(Rights::FD_READ)?.read(&[region])?)
}

/// The rest of a regular file behind a position, in bytes.
pub(super) fn left_of(call: &Call<'_>, file: &OpenFile, position: u64) -> Result<Option<u64>> {
    let descriptor = call.ctx.table.get(file.fd)?;
    let Opened::File(opened) = descriptor.object() else { return Ok(None) };
    if opened.filetype() != Filetype::RegularFile {
        return Ok(None);
    }
    // A file that says that it is empty may be one of those that are made while they are read.
    let size = opened.filestat()?.size;
    Ok((size > 0).then(|| size.saturating_sub(position)))
}

/// Reads with or without waiting.
fn read_as(call: &Call<'_>, rep: InputRep, len: u64, waits: bool) -> Result<Lists<8>> {
    let stream = call.input(rep)?;
    if stream.closed.get() {
        return Err(CallError::Closed);
    }
    if len == 0 {
        return Lists::bytes(Block::Bytes(Vec::new()));
    }
    // Large parts of a file go to the guest's memory at once.
    if let Some(position) = &stream.position
        && len > BUFFER as u64
        && let Some(left) =
            left_of(call, &stream.file, position.get()).map_err(|error| stream.failed(error))?
        && left > BUFFER as u64
    {
        let len = usize::try_from(len.min(left).min(READ_MOST)).unwrap_or(0);
        return Lists::bytes(Block::File {
            file: Rc::clone(&stream.file),
            offset: position.get(),
            len,
            stream: Some(Rc::clone(&stream)),
        });
    }
    match fill(call, &stream, len) {
        Ok(0) => Err(CallError::Closed),
        Ok(count) => Lists::bytes(Block::Buffered(count)),
        Err(CallError::Errno(Errno::Again)) if waits => {
            Err(wait_on(call, &stream.file, Interest::Read))
        }
        Err(CallError::Errno(Errno::Again)) => Lists::bytes(Block::Bytes(Vec::new())),
        Err(error) => Err(stream.failed(error)),
    }
}

type Streamed<T> = Result<super::area::Streamed<T>>;

fn streamed<T>(result: Result<T>) -> Streamed<T> {
    result.map(super::area::Streamed)
}

/// Reads what is there. Nothing: there is nothing yet. At the end, the stream is closed.
pub(super) fn read(call: &Call<'_>, stream: InputRep, len: u64) -> Streamed<Lists<8>> {
    streamed(read_as(call, stream, len, false))
}

/// The same, but it waits until there is something.
pub(super) fn blocking_read(call: &Call<'_>, stream: InputRep, len: u64) -> Streamed<Lists<8>> {
    streamed(read_as(call, stream, len, true))
}

fn skip_as(call: &Call<'_>, rep: InputRep, len: u64, waits: bool) -> Result<u64> {
    let stream = call.input(rep)?;
    if stream.closed.get() {
        return Err(CallError::Closed);
    }
    if len == 0 {
        return Ok(0);
    }
    match fill(call, &stream, len) {
        Ok(0) => Err(CallError::Closed),
        Ok(count) => Ok(count as u64),
        Err(CallError::Errno(Errno::Again)) if waits => {
            Err(wait_on(call, &stream.file, Interest::Read))
        }
        Err(CallError::Errno(Errno::Again)) => Ok(0),
        Err(error) => Err(stream.failed(error)),
    }
}

/// Reads and forgets.
pub(super) fn skip(call: &Call<'_>, stream: InputRep, len: u64) -> Streamed<u64> {
    streamed(skip_as(call, stream, len, false))
}

pub(super) fn blocking_skip(call: &Call<'_>, stream: InputRep, len: u64) -> Streamed<u64> {
    streamed(skip_as(call, stream, len, true))
}

pub(super) fn input_subscribe(call: &Call<'_>, stream: InputRep) -> Result<Owned> {
    let stream = call.input(stream)?;
    Ok(Owned(Resource::Pollable(Rc::new(Pollable::Readable(stream)))))
}

// --- Output --------------------------------------------------------------------------------------

/// How many bytes the next write may have: 0 where the host has no room.
pub(super) fn check_write(call: &Call<'_>, stream: OutputRep) -> Streamed<u64> {
    streamed(call.output(stream).and_then(|stream| {
        let room = stream.room(call).map_err(|error| stream.failed(error))?;
        stream.permit.set(Some(room));
        Ok(room)
    }))
}

/// Writes what was permitted. It does not wait.
pub(super) fn write(call: &Call<'_>, stream: OutputRep, contents: Bytes<'_>) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| {
        stream.take_permit(call, contents.0.len() as u64)?;
        stream.write(call.ctx, contents.0)
    }))
}

/// Waits until what is held has been written, and what was written has been taken.
fn wait_until_drained(call: &Call<'_>, stream: &Output) -> Result<()> {
    if stream.closed.get() {
        return Err(CallError::Closed);
    }
    let is_busy = stream.may_wait() && call.state.is_busy(stream.file.fd);
    if !is_busy && stream.drain(call.ctx)? {
        return Ok(());
    }
    Err(wait_on(call, &stream.file, Interest::Write))
}

/// Writes all of it, in as many slices as that takes.
fn write_all(call: &Call<'_>, stream: &Output, bytes: Region<'_>) -> Result<()> {
    wait_until_drained(call, stream)?;
    let mut done = usize::try_from(call.resume.get()).unwrap_or(usize::MAX);
    let end = done.saturating_add(PIECE);
    while done < bytes.len() {
        match stream.attempt(call.ctx, bytes.from(done).start(PIECE)) {
            Ok(count) => done = done.saturating_add(count),
            Err(CallError::Errno(Errno::Again)) => {
                call.resume.set(done as u64);
                return Err(wait_on(call, &stream.file, Interest::Write));
            }
            Err(error) => return Err(stream.failed(error)),
        }
        if done >= end && done < bytes.len() {
            call.resume.set(done as u64);
            return Err(CallError::Again);
        }
    }
    Ok(())
}

pub(super) fn blocking_write_and_flush(
    call: &Call<'_>,
    stream: OutputRep,
    contents: Bytes<'_>,
) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| write_all(call, &stream, contents.0)))
}

/// Begins to write what is held.
pub(super) fn flush(call: &Call<'_>, stream: OutputRep) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| {
        if stream.closed.get() {
            return Err(CallError::Closed);
        }
        stream.drain(call.ctx).map(drop)
    }))
}

pub(super) fn blocking_flush(call: &Call<'_>, stream: OutputRep) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| wait_until_drained(call, &stream)))
}

pub(super) fn output_subscribe(call: &Call<'_>, stream: OutputRep) -> Result<Owned> {
    let stream = call.output(stream)?;
    Ok(Owned(Resource::Pollable(Rc::new(Pollable::Writable(stream)))))
}

/// Does something with zeros, in parts, from `done` on.
fn with_zeroes(
    len: u64,
    mut done: u64,
    mut act: impl FnMut(Region<'_>, u64) -> Result<usize>,
) -> Result<()> {
    let mut zeroes = [0; ZEROES];
    while done < len {
        let part = len.saturating_sub(done).min(ZEROES as u64);
        let part = u32::try_from(part).unwrap_or(0);
        let region = GuestMemory::from_slice(&mut zeroes).region(0, part)?;
        done = done.saturating_add(act(region, done)? as u64);
    }
    Ok(())
}

pub(super) fn write_zeroes(call: &Call<'_>, stream: OutputRep, len: u64) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| {
        stream.take_permit(call, len)?;
        with_zeroes(len, 0, |region, _| stream.write(call.ctx, region).map(|()| region.len()))
    }))
}

pub(super) fn blocking_write_zeroes_and_flush(
    call: &Call<'_>,
    stream: OutputRep,
    len: u64,
) -> Streamed<()> {
    streamed(call.output(stream).and_then(|stream| {
        wait_until_drained(call, &stream)?;
        let from = call.resume.get();
        with_zeroes(len, from, |region, done| {
            call.resume.set(done);
            if done.saturating_sub(from) >= PIECE as u64 {
                return Err(CallError::Again);
            }
            match stream.attempt(call.ctx, region) {
                Err(CallError::Errno(Errno::Again)) => {
                    Err(wait_on(call, &stream.file, Interest::Write))
                }
                result => result.map_err(|error| stream.failed(error)),
            }
        })
    }))
}

/// Moves what is there from one stream to the other, at most as much as the other has room for.
fn splice_as(call: &Call<'_>, to: OutputRep, from: InputRep, len: u64, waits: bool) -> Result<u64> {
    let (to, from) = (call.output(to)?, call.input(from)?);
    if from.closed.get() {
        return Err(CallError::Closed);
    }
    let room = to.room(call).map_err(|error| to.failed(error))?;
    if len == 0 {
        return Ok(0);
    }
    if room == 0 {
        if waits {
            return Err(wait_on(call, &to.file, Interest::Write));
        }
        return Ok(0);
    }
    let count = match fill(call, &from, len.min(room).min(HELD as u64)) {
        Ok(0) => return Err(CallError::Closed),
        Ok(count) => count,
        Err(CallError::Errno(Errno::Again)) if waits => {
            return Err(wait_on(call, &from.file, Interest::Read));
        }
        Err(CallError::Errno(Errno::Again)) => return Ok(0),
        Err(error) => return Err(from.failed(error)),
    };
    let mut buffer = call.state.buffer.borrow_mut();
    let size = u32::try_from(count).unwrap_or(0);
    to.write(call.ctx, GuestMemory::from_slice(&mut buffer).region(0, size)?)?;
    Ok(count as u64)
}

pub(super) fn splice(call: &Call<'_>, stream: OutputRep, src: InputRep, len: u64) -> Streamed<u64> {
    streamed(splice_as(call, stream, src, len, false))
}

pub(super) fn blocking_splice(
    call: &Call<'_>,
    stream: OutputRep,
    src: InputRep,
    len: u64,
) -> Streamed<u64> {
    streamed(splice_as(call, stream, src, len, true))
}
