//! File systems that the embedder serves.
//!
//! Nothing here calls the embedder. A call that needs the embedder leaves a request in the
//! [`Exchange`] and ends with [`Errno::Ask`]. JavaScript answers the request and makes the call
//! again: the call runs from its beginning, gets the answers so far in the order of its requests,
//! and comes further. A change is the last request of a call, if there is one.
//!
//! Descriptors, rights, offsets and the walk along a path are as with any other backend, and no
//! answer is trusted: a wrong one is an error of the call.

mod directory;
mod file;

pub use directory::Served;

use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use crate::host::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes one request reads or writes at most. A call that moves more ends there, as POSIX
/// allows.
pub const READ_MOST: usize = 1 << 20;

/// The largest number that the embedder's numbers hold exactly.
const NUMBER_LIMIT: u64 = (1 << 53) - 1;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flags {
    /// For reading: `r`.
    Read,
    /// For both: `r+`.
    Write,
    /// For both, cut to size 0: `w+`.
    Truncate,
    /// For both, made: `wx+`.
    Create,
}

/// A request to the embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The attributes of `path`, of which no link is followed.
    Stat,
    /// The attributes of an open file.
    StatFile,
    /// A file. The answer is its number.
    Open(Flags),
    /// `length` bytes of a file from `position` on.
    Read,
    /// To write `bytes` to a file from `position` on.
    Write,
    /// To set the size of a file to `position`.
    SetSize,
    /// To set the times of a file.
    SetFileTimes,
    /// To write a file to the device: its data alone if `position` is 1.
    Sync,
    /// The names in `path`.
    List,
    /// To make a directory.
    MakeDirectory,
    /// To remove a directory.
    RemoveDirectory,
    /// To remove a file or a link.
    Unlink,
    /// To rename `path` to `other`.
    Rename,
    /// To give `path` the second name `other`.
    Link,
    /// To make a link at `path` with the text `other`.
    Symlink,
    /// The text of a link.
    ReadLink,
    /// To set the times of `path`, of which no link is followed.
    SetTimes,
}

/// The operation that the embedder is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation.
    pub op: Op,
    /// The embedder's file system that is to do it.
    pub served: u32,
    /// An open file, by the embedder's number for it.
    pub file: u64,
    /// Where in the file.
    pub position: u64,
    /// How many bytes.
    pub length: usize,
    /// The times of access and modification, in nanoseconds since 1970.
    pub times: (Timestamp, Timestamp),
    /// A path from the top of the file system on, which it begins with.
    pub path: String,
    /// A second path, or the text of a link.
    pub other: String,
    /// Bytes to be written.
    pub bytes: Vec<u8>,
    /// The address in the guest's memory that all of what is read goes to, if it is one: who
    /// answers may put it there and say how much that was.
    pub target: Option<usize>,
}

impl Request {
    fn new(served: u32, op: Op) -> Self {
        Self {
            op,
            served,
            file: 0,
            position: 0,
            length: 0,
            times: (0, 0),
            path: String::new(),
            other: String::new(),
            bytes: Vec::new(),
            target: None,
        }
    }

    /// Whether a call that is made again asks the same. Its bytes are not compared, which it does
    /// not copy again, nor where they go, as the memory may have moved.
    fn is_same(&self, other: &Self) -> bool {
        self.op == other.op
            && self.served == other.served
            && self.file == other.file
            && self.position == other.position
            && self.length == other.length
            && self.path == other.path
            && self.other == other.other
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// The serial number of the file.
    pub ino: u64,
    /// The type of the file.
    pub filetype: Filetype,
}

/// The embedder's answer.
#[derive(Debug)]
pub enum Answer {
    /// It failed.
    Failed(Errno),
    /// It was done.
    Done,
    /// The number of a file, or of bytes.
    Number(u64),
    /// Attributes.
    Stat(Filestat),
    /// Bytes that were read.
    Bytes(Vec<u8>),
    /// The text of a link.
    Text(String),
    /// The names in a directory, without `.` and `..`.
    Names(Vec<Listed>),
}

/// The requests of one call, and their answers.
#[derive(Default)]
struct Log {
    answered: Vec<(Request, Answer)>,
    /// How many of them the call has been given since it was made last.
    given: usize,
    /// The request that it waits for.
    request: Option<Request>,
}

impl Log {
    /// The files that were opened and of which the call has not heard.
    fn orphans(&self) -> impl Iterator<Item = (u32, u64)> {
        self.answered.iter().skip(self.given).filter_map(|(request, answer)| {
            match (request.op, answer) {
                (Op::Open(_), Answer::Number(file)) => Some((request.served, *file)),
                _ => None,
            }
        })
    }
}

#[derive(Default)]
struct State {
    log: Log,
    /// The logs of calls that wait for the embedder, each under its ticket. In the middle of one
    /// call the embedder may make others, and other calls come and go while a guest is suspended.
    suspended: Vec<(u64, Log)>,
    /// The ticket given last.
    ticket: u64,
    /// Files that nobody uses any more.
    closing: Vec<(u32, u64)>,
    /// Room that an earlier read had: to have it anew from the system takes longer than to copy.
    room: Vec<u8>,
}

impl State {
    fn take_suspended(&mut self, ticket: u64) -> Option<Log> {
        let at = self.suspended.iter().rposition(|(one, _)| *one == ticket)?;
        Some(self.suspended.remove(at).1)
    }

    /// Ends a log. What it has room for serves the next.
    fn end(&mut self, mut log: Log) {
        self.closing.extend(log.orphans());
        for (_, answer) in log.answered.drain(..) {
            if let Answer::Bytes(bytes) = answer
                && bytes.capacity() > self.room.capacity()
                && bytes.capacity() <= READ_MOST
            {
                self.room = bytes;
            }
        }
        log.request = None;
        log.given = 0;
        if log.answered.capacity() <= LOG_KEPT && self.log.answered.is_empty() {
            self.log = log;
        }
    }
}

/// For how many answers the room is kept.
const LOG_KEPT: usize = 64;

/// Where calls leave what they ask, and find what was answered. It belongs to the calls of one
/// thread.
#[derive(Default)]
pub struct Exchange(Mutex<State>);

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the answer to a request. `fill` adds to a request what it does not need to be told
    /// from others. `read` must ask nothing.
    fn ask<T>(
        &self,
        mut request: Request,
        fill: impl FnOnce(&mut Request),
        read: impl FnOnce(&Answer) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let state = &mut *state;
        let log = &mut state.log;
        if log.request.is_some() {
            // One request is made at a time, whatever the call does after it.
            return Err(Errno::Ask);
        }
        if let Some((asked, answer)) = log.answered.get(log.given) {
            if asked.is_same(&request) {
                log.given = log.given.saturating_add(1);
                return if let Answer::Failed(errno) = answer { Err(*errno) } else { read(answer) };
            }
            // Something has changed meanwhile, by a call in the middle of this one. What was
            // answered from here on means nothing.
            state.closing.extend(log.orphans());
            log.answered.truncate(log.given);
        }
        fill(&mut request);
        log.request = Some(request);
        Err(Errno::Ask)
    }

    /// The request of the call that has come to its end by [`Errno::Ask`], and the ticket that it is
    /// answered by. The embedder may make other calls before it answers, or abandon the call.
    pub fn take(&self) -> Option<(u64, Request)> {
        let mut state = self.state();
        let request = state.log.request.take()?;
        let log = std::mem::take(&mut state.log);
        state.ticket = state.ticket.wrapping_add(1);
        let ticket = state.ticket;
        state.suspended.push((ticket, log));
        Some((ticket, request))
    }

    /// Answers a request. The call is to be made again, and no other before it. A ticket that is
    /// not known is that of a call that was abandoned.
    pub fn answer(&self, ticket: u64, request: Request, answer: Answer) {
        let mut state = self.state();
        if let Some(mut log) = state.take_suspended(ticket) {
            log.answered.push((request, answer));
            log.given = 0;
            let other = std::mem::replace(&mut state.log, log);
            state.closing.extend(other.orphans());
        }
    }

    /// Bytes as an answer.
    #[must_use]
    pub fn copy(&self, bytes: &[u8]) -> Answer {
        let mut copy = std::mem::take(&mut self.state().room);
        copy.clear();
        copy.extend_from_slice(bytes);
        Answer::Bytes(copy)
    }

    /// Gives up the call whose request has that ticket.
    pub fn abandon(&self, ticket: u64) {
        let mut state = self.state();
        if let Some(log) = state.take_suspended(ticket) {
            state.end(log);
        }
    }

    /// The call that was made again has come to its end.
    pub fn finish(&self) {
        let mut state = self.state();
        let log = std::mem::take(&mut state.log);
        state.end(log);
    }

    /// The files that nobody uses any more, each with its file system. The embedder closes them.
    pub fn take_closing(&self) -> Vec<(u32, u64)> {
        std::mem::take(&mut self.state().closing)
    }

    /// Whether there are any.
    pub fn has_closing(&self) -> bool {
        !self.state().closing.is_empty()
    }

    fn close(&self, served: u32, file: u64) {
        self.state().closing.push((served, file));
    }
}

/// One file system of the embedder's, with the embedder's number for it.
#[derive(Clone)]
struct Volume {
    exchange: Arc<Exchange>,
    number: u32,
    /// The device of files that have none.
    device: u64,
}

impl Volume {
    fn request(&self, op: Op) -> Request {
        Request::new(self.number, op)
    }

    fn ask<T>(&self, request: Request, read: impl FnOnce(&Answer) -> Result<T>) -> Result<T> {
        self.exchange.ask(request, |_| {}, read)
    }

    /// Attributes as the guest sees them.
    fn filestat(&self, answer: &Answer) -> Result<Filestat> {
        let Answer::Stat(stat) = *answer else { return Err(Errno::Io) };
        let dev = if stat.dev == 0 { self.device } else { stat.dev };
        Ok(Filestat { dev, ..stat })
    }
}

/// Checks that something was done.
fn done(answer: &Answer) -> Result<()> {
    if matches!(answer, Answer::Done) { Ok(()) } else { Err(Errno::Io) }
}

#[cfg(test)]
mod tests;
