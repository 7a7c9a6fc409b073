//! Consoles. To a guest they are terminals that speak UTF-8; Windows speaks UTF-16.

#![allow(unsafe_code, reason = "calls into the system")]

use super::call::gather;
use super::errno;
use crate::abi::Errno;
use crate::host::{Readiness, Result};
use crate::memory::Region;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use windows_sys::Win32::System::Console::{
    GetConsoleMode, INPUT_RECORD, KEY_EVENT, PeekConsoleInputW, ReadConsoleInputW, ReadConsoleW,
    WriteConsoleW,
};
use windows_sys::Win32::System::Threading::WaitForSingleObject;

/// The size of one read or write, in units of UTF-16 or bytes of UTF-8.
const CHUNK: usize = 4096;

/// The most events that are looked at in search of a key: new ones may come all the time.
const EVENT_LIMIT: u32 = 1024;

/// Ctrl+Z, which ends the input if it is the first character of a line.
const END_OF_INPUT: u16 = 0x1a;

/// A console's input or output.
#[derive(Debug)]
pub(super) struct Console {
    handle: BorrowedHandle<'static>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of UTF-8 that were read from the console and not yet by the guest.
    read: Vec<u8>,
    /// The first half of a character whose second half was not read yet.
    half: Option<u16>,
    /// The start of a character that the guest has written.
    written: Vec<u8>,
}

/// Whether a handle of a character device is a console's.
pub(super) fn is_console(handle: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: the pointer is to a local.
    unsafe { GetConsoleMode(handle.as_raw_handle(), &raw mut mode) != 0 }
}

impl Console {
    pub(super) fn new(handle: BorrowedHandle<'static>) -> Self {
        Self { handle, state: Mutex::default() }
    }

    pub(super) fn handle(&self) -> BorrowedHandle<'static> {
        self.handle
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes were read and wait for the guest.
    pub(super) fn available(&self) -> usize {
        self.state().read.len()
    }

    /// Whether someone has pressed a key. From the first key on, the console itself reads a line
    /// and shows it, and a read waits for the line's end.
    pub(super) fn readable(&self) -> Readiness {
        let ready = |ready| Readiness { ready, ..Readiness::default() };
        if self.available() > 0 {
            return ready(true);
        }
        for _ in 0..EVENT_LIMIT {
            let mut event = INPUT_RECORD::default();
            let mut count = 0;
            // SAFETY: the pointers are to locals, and there is room for one event.
            if unsafe {
                PeekConsoleInputW(self.handle.as_raw_handle(), &raw mut event, 1, &raw mut count)
            } == 0
            {
                // The handle is an output, or gone: the read reports it.
                return ready(true);
            }
            if count == 0 {
                return ready(false);
            }
            if u32::from(event.EventType) == KEY_EVENT {
                // SAFETY: the type says that this is what the event holds, and all bits of it are
                // valid.
                let (down, character) = unsafe {
                    (event.Event.KeyEvent.bKeyDown != 0, event.Event.KeyEvent.uChar.UnicodeChar)
                };
                if down && character != 0 {
                    return ready(true);
                }
            }
            // An event of the mouse or the window, or the release of a key: a read would drop it,
            // and wait.
            // SAFETY: as above.
            if unsafe {
                ReadConsoleInputW(self.handle.as_raw_handle(), &raw mut event, 1, &raw mut count)
            } == 0
            {
                return ready(true);
            }
        }
        ready(false)
    }

    /// Waits for an event of the input.
    pub(super) fn wait(&self, time: Duration) {
        let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX - 1).max(1);
        // SAFETY: the handle is lent, and one that is not open fails.
        unsafe { WaitForSingleObject(self.handle.as_raw_handle(), time) };
    }

    /// Reads what was typed.
    pub(super) fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        if !self.readable().ready {
            return Err(Errno::Again);
        }
        let mut state = self.state();
        if state.read.is_empty() && !self.read_line(&mut state)? {
            return Ok(0);
        }
        let mut done = 0_usize;
        for buf in bufs {
            done = done.saturating_add(buf.write_at(0, state.read.get(done..).unwrap_or_default()));
        }
        state.read.drain(..done);
        Ok(done)
    }

    /// Reads from the console. `false`: that was the end of the input.
    fn read_line(&self, state: &mut State) -> Result<bool> {
        let mut units = [0_u16; CHUNK];
        let mut count = 0;
        let room = u32::try_from(units.len()).unwrap_or(0);
        // SAFETY: there is room for that many units, and the other pointer is to a local.
        if unsafe {
            ReadConsoleW(
                self.handle.as_raw_handle(),
                units.as_mut_ptr().cast(),
                room,
                &raw mut count,
                ptr::null(),
            )
        } == 0
        {
            return Err(errno::last());
        }
        let units = units.get(..count as usize).unwrap_or_default();
        match units.first() {
            // Someone has interrupted the program.
            None => return Err(Errno::Again),
            Some(&END_OF_INPUT) => return Ok(false),
            Some(_) => {}
        }
        let mut units: Vec<u16> =
            state.half.take().into_iter().chain(units.iter().copied()).collect();
        if let Some(last) = units.last()
            && (0xd800..0xdc00).contains(last)
        {
            state.half = units.pop();
        }
        state.read.extend(String::from_utf16_lossy(&units).into_bytes());
        if state.read.is_empty() { Err(Errno::Again) } else { Ok(true) }
    }

    /// Writes text. Bytes that are not UTF-8 are shown as U+FFFD.
    pub(super) fn write(&self, bufs: &[Region<'_>]) -> Result<usize> {
        let bytes = gather(bufs, CHUNK);
        let mut state = self.state();
        let mut text = std::mem::take(&mut state.written);
        text.extend(&bytes);
        let mut units = Vec::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            units.extend(chunk.valid().encode_utf16());
            if chunks.peek().is_none() && is_start(chunk.invalid()) {
                state.written = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                units.push(0xfffd);
            }
        }
        let mut rest = units.as_slice();
        while !rest.is_empty() {
            let mut count = 0;
            let len = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            // SAFETY: the slice has that many units, and the other pointer is to a local.
            if unsafe {
                WriteConsoleW(
                    self.handle.as_raw_handle(),
                    rest.as_ptr(),
                    len,
                    &raw mut count,
                    ptr::null(),
                )
            } == 0
            {
                return match errno::last() {
                    // It is an input.
                    Errno::Acces => Err(Errno::Badf),
                    errno => Err(errno),
                };
            }
            if count == 0 {
                return Err(Errno::Io);
            }
            rest = rest.get(count as usize..).unwrap_or_default();
        }
        Ok(bytes.len())
    }
}

/// Whether bytes that are not UTF-8 are the start of a character that may go on.
fn is_start(bytes: &[u8]) -> bool {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 0,
    };
    bytes.len() < length
}
