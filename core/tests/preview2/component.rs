//! A component without an engine. It calls functions as JavaScript does: handles are reps, and
//! lists are placed in memory that it allocates when it is asked.

use crate::support::{Guest, Setup, TempDir};
use std::cell::Cell;
use std::sync::Arc;
use wasi_rs_core::memory::GuestMemory;
use wasi_rs_core::preview2::{
    CODES, Call, CallError, FUNCTIONS, Function, Left, Result, SLOTS, State, place,
};

/// The value of every byte of the memory that nobody has written.
pub const PATTERN: u8 = 0xaa;

/// Where result areas lie.
pub const AREA: u32 = 64;

/// Where arguments lie.
const ARGUMENTS: u32 = 1024;

/// Where the memory for lists begins.
const HEAP: u32 = 32 << 10;

/// How many slices a call may take.
const SLICES: u32 = 400;

pub struct Component {
    pub memory: Vec<u8>,
    pub guest: Guest,
    pub state: State,
    pub temp: Arc<TempDir>,
    resume: Cell<u64>,
    arguments: u32,
    heap: u32,
    /// The requests to `realloc` since the last call: the old size, and the new one.
    pub asked: Vec<(u32, u32)>,
}

pub fn function(native: &str) -> &'static Function {
    FUNCTIONS.iter().find(|function| function.native == native).unwrap()
}

impl Component {
    pub fn of(setup: Setup) -> Self {
        let guest = setup.guest();
        Self {
            memory: vec![PATTERN; 128 << 10],
            temp: Arc::clone(&guest.temp),
            guest,
            state: State::default(),
            resume: Cell::new(0),
            arguments: ARGUMENTS,
            heap: HEAP,
            asked: Vec::new(),
        }
    }

    /// One with a directory `box`, and its rep.
    pub fn new() -> (Self, u64) {
        let mut component = Self::of(Setup { preopens: &[("box", "box")], ..Setup::default() });
        let (directory, _) = component.directories().remove(0);
        (component, directory)
    }

    /// Puts bytes into the memory and gives their pointer and length.
    pub fn bytes(&mut self, bytes: &[u8]) -> [u64; 2] {
        let at = self.arguments as usize;
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
        self.arguments += bytes.len() as u32;
        assert!(self.arguments <= HEAP, "the arguments do not fit");
        [at as u64, bytes.len() as u64]
    }

    /// Makes one slice of a call.
    fn slice(&mut self, act: impl FnOnce(&Call<'_>) -> Result<Left>) -> Result<Left> {
        let result = act(&Call {
            ctx: &self.guest.ctx,
            state: &self.state,
            memory: GuestMemory::from_slice(&mut self.memory),
            resume: &self.resume,
        });
        if result != Err(CallError::Again) {
            self.resume.set(0);
        }
        result
    }

    fn whole(&mut self, act: impl Fn(&Call<'_>) -> Result<Left>) -> Result<Left> {
        for _ in 0..SLICES {
            match self.slice(&act) {
                Err(CallError::Again) => {}
                result => return result,
            }
        }
        panic!("the call does not come to an end");
    }

    /// Makes a call with its core arguments, without the pointer to the area, and places its lists.
    pub fn call(&mut self, native: &str, args: &[u64]) -> Result<Left> {
        let left = self.begin(native, args)?;
        self.place_all(left)
    }

    /// The same without placing anything.
    pub fn begin(&mut self, native: &str, args: &[u64]) -> Result<Left> {
        let function = function(native);
        let mut slots = [0xdead_beef_dead_beef; SLOTS];
        slots[..args.len()].copy_from_slice(args);
        if function.result.area > 0 {
            slots[args.len()] = u64::from(AREA);
        }
        self.asked.clear();
        self.arguments = ARGUMENTS;
        let before = self.memory.clone();
        let left = self.whole(|call| (function.call)(call, &slots))?;
        // Nothing is written beside the area.
        let end = (AREA + function.result.area) as usize;
        assert_eq!(self.memory[..AREA as usize], before[..AREA as usize], "{native}");
        assert_eq!(self.memory[end..], before[end..], "{native}");
        Ok(left)
    }

    pub fn place(&mut self, pointer: u32) -> Result<Left> {
        self.whole(|call| place(call, pointer))
    }

    fn place_all(&mut self, mut left: Left) -> Result<Left> {
        while left.realloc[2] != 0 {
            let [old, old_size, align, size] = left.realloc;
            self.asked.push((old_size, size));
            let pointer = if old == 0 { self.allocate(align, size) } else { old };
            left = self.place(pointer)?;
        }
        Ok(left)
    }

    fn allocate(&mut self, align: u32, size: u32) -> u32 {
        let at = self.heap.next_multiple_of(align);
        self.heap = at + size;
        if self.memory.len() < self.heap as usize {
            self.memory.resize(self.heap.next_multiple_of(65536) as usize, PATTERN);
        }
        at
    }

    pub fn drop(&mut self, rep: u64) -> bool {
        self.state.release(&self.guest.ctx, rep as u32)
    }

    // --- Looks at the area ---

    pub fn byte(&self, offset: u32) -> u8 {
        self.memory[(AREA + offset) as usize]
    }

    pub fn u32_at(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.memory[at as usize..][..4].try_into().unwrap())
    }

    pub fn word(&self, offset: u32) -> u32 {
        self.u32_at(AREA + offset)
    }

    pub fn long(&self, offset: u32) -> u64 {
        u64::from(self.word(offset)) | u64::from(self.word(offset + 4)) << 32
    }

    /// The list of bytes to which a pointer in the area leads.
    pub fn list(&self, offset: u32) -> Vec<u8> {
        self.list_at(AREA + offset)
    }

    pub fn list_at(&self, at: u32) -> Vec<u8> {
        let (pointer, len) = (self.u32_at(at) as usize, self.u32_at(at + 4) as usize);
        self.memory[pointer..pointer + len].to_vec()
    }

    // --- Calls by their results ---

    pub fn directories(&mut self) -> Vec<(u64, String)> {
        self.call("get_directories", &[]).unwrap();
        let (list, count) = (self.word(0), self.word(4));
        (0..count)
            .map(|index| {
                let at = list + 12 * index;
                let name = String::from_utf8(self.list_at(at + 4)).unwrap();
                (self.u32_at(at).into(), name)
            })
            .collect()
    }

    /// A call whose result is `result<_, error-code>`: the name of the error.
    pub fn fallible(
        &mut self,
        native: &str,
        args: &[u64],
    ) -> std::result::Result<u64, &'static str> {
        let left = self.call(native, args).unwrap();
        match self.byte(0) {
            0 => Ok(left.value),
            1 => {
                let area = function(native).result.area;
                // The error lies where the payload would.
                let at = match area {
                    2 => 1,
                    104 | 24 => 8,
                    16 if native == "descriptor_write" => 8,
                    _ => 4,
                };
                Err(CODES[usize::from(self.byte(at))])
            }
            other => panic!("{native}: a discriminant of {other}"),
        }
    }

    /// A call whose result is `result<_, stream-error>`: `closed`, or the name of the error.
    pub fn streamed(&mut self, native: &str, args: &[u64]) -> std::result::Result<u64, String> {
        let left = self.call(native, args).unwrap();
        let at = if function(native).result.area == 16 { 8 } else { 4 };
        match (self.byte(0), self.byte(at)) {
            (0, _) => Ok(if at == 8 { self.long(8) } else { 0 }),
            (1, 1) => Err("closed".to_owned()),
            (1, 0) => {
                assert!(left.failed, "the rep of the error is left");
                let error = u64::from(self.word(at + 4));
                assert_eq!(left.value, error);
                self.call("to_debug_string", &[error]).unwrap();
                let text = String::from_utf8(self.list(0)).unwrap();
                assert!(self.drop(error));
                Err(text)
            }
            other => panic!("{native}: {other:?}"),
        }
    }

    pub fn path(
        &mut self,
        native: &str,
        descriptor: u64,
        path: &str,
    ) -> std::result::Result<u64, &'static str> {
        let [pointer, len] = self.bytes(path.as_bytes());
        self.fallible(native, &[descriptor, pointer, len])
    }

    /// `open-at`
    pub fn open(
        &mut self,
        descriptor: u64,
        path: &str,
        open_flags: u64,
        flags: u64,
    ) -> std::result::Result<u64, &'static str> {
        let [pointer, len] = self.bytes(path.as_bytes());
        self.fallible("open_at", &[descriptor, FOLLOW, pointer, len, open_flags, flags])
    }

    /// `descriptor.read`: the bytes, and whether the file has come to its end.
    pub fn read(
        &mut self,
        descriptor: u64,
        len: u64,
        offset: u64,
    ) -> std::result::Result<(Vec<u8>, bool), &'static str> {
        self.fallible("descriptor_read", &[descriptor, len, offset])?;
        Ok((self.list(4), self.byte(12) == 1))
    }

    /// `descriptor.write`
    pub fn write(
        &mut self,
        descriptor: u64,
        bytes: &[u8],
        offset: u64,
    ) -> std::result::Result<u64, &'static str> {
        let [pointer, len] = self.bytes(bytes);
        self.fallible("descriptor_write", &[descriptor, pointer, len, offset])?;
        Ok(self.long(8))
    }

    /// `input-stream.read` and its like.
    pub fn stream_read(
        &mut self,
        native: &str,
        stream: u64,
        len: u64,
    ) -> std::result::Result<Vec<u8>, String> {
        self.streamed(native, &[stream, len])?;
        Ok(self.list(4))
    }

    /// `output-stream.write` and its like.
    pub fn stream_write(
        &mut self,
        native: &str,
        stream: u64,
        bytes: &[u8],
    ) -> std::result::Result<u64, String> {
        let [pointer, len] = self.bytes(bytes);
        self.streamed(native, &[stream, pointer, len])
    }

    /// `poll`
    pub fn poll(&mut self, reps: &[u64]) -> Result<Vec<u32>> {
        let bytes: Vec<u8> = reps.iter().flat_map(|rep| (*rep as u32).to_le_bytes()).collect();
        let [pointer, len] = self.bytes(&bytes);
        self.call("poll_list", &[pointer, len])?;
        let (list, count) = (self.word(0), self.word(4));
        Ok((0..count).map(|index| self.u32_at(list + 4 * index)).collect())
    }

    /// The names in a directory, sorted.
    pub fn names(&mut self, directory: u64) -> Vec<(u8, String)> {
        let stream = self.fallible("read_directory", &[directory]).unwrap();
        let mut names = Vec::new();
        loop {
            self.fallible("read_directory_entry", &[stream]).unwrap();
            if self.byte(4) == 0 {
                break;
            }
            names.push((self.byte(8), String::from_utf8(self.list(12)).unwrap()));
        }
        assert!(self.drop(stream));
        names.sort();
        names
    }
}

pub const FOLLOW: u64 = 1;
pub const CREATE: u64 = 1;
pub const DIRECTORY: u64 = 2;
pub const EXCLUSIVE: u64 = 4;
pub const TRUNCATE: u64 = 8;
pub const READ: u64 = 1;
pub const WRITE: u64 = 2;
pub const MUTATE_DIRECTORY: u64 = 32;
