//! A guest without an engine: a byte vector as its memory, and the functions called through their
//! table as the binding calls them.
//!
//! [`Guest::slice`] compares the memory whole before and after every call: a byte that the call was
//! not meant to write must not change. What a call is meant to write is said here once more, in
//! [`writes`], independently of the code under test.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod host;

#[allow(unused_imports, reason = "each test program uses its part")]
pub use host::{Lent, TempDir, Tree};

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use wasi_rs_core::abi::{Errno, Fdflags, Oflags, Rights};
use wasi_rs_core::ctx::{Ctx, StringArray};
use wasi_rs_core::descriptor::{Descriptor, Role};
use wasi_rs_core::host::{PreopenOptions, readiness};
use wasi_rs_core::memory::GuestMemory;
use wasi_rs_core::preview1::{Call, CallError, FUNCTIONS, Function, SLOTS};

/// The value of every byte of the memory that nobody has written.
pub const PATTERN: u8 = 0xaa;

/// The size of a guest's memory: one page of wasm.
pub const PAGE: usize = 64 * 1024;

/// The preopen of [`Guest::new`] and [`Guest::root`].
pub const BOX: u32 = 3;

/// How many slices a call may take: each waits up to 50 ms.
const SLICES: u32 = 400;

pub type Outcome<T> = Result<T, CallError>;

/// The outcome of a call that fails.
pub fn fails<T>(errno: Errno) -> Outcome<T> {
    Err(CallError::Errno(errno))
}

/// `fs_rights_*` of a descriptor that may do everything.
pub const ALL: Rights = Rights::all();

pub struct Guest {
    pub memory: Vec<u8>,
    pub ctx: Ctx,
    /// Where the preopened directory `box`, and `outside` beside it, stand on the host.
    pub temp: Arc<TempDir>,
    resume: Cell<u64>,
    next: u32,
    lent: Arc<[Lent; 3]>,
}

/// How a guest is made.
#[derive(Default)]
pub struct Setup {
    pub args: &'static [&'static str],
    pub environ: &'static [&'static str],
    pub stdin: Option<Lent>,
    pub stdout: Option<Lent>,
    pub stderr: Option<Lent>,
    /// Whether the guest may do with its stdio all that can be done, as with what it has accepted
    /// or opened.
    pub whole: bool,
    /// The guest's names and the host's, below the temporary directory.
    pub preopens: &'static [(&'static str, &'static str)],
}

fn terminated(strings: &[&str]) -> StringArray {
    StringArray::from_terminated(
        strings.iter().flat_map(|string| [string.as_bytes(), &[0]].concat()).collect(),
    )
}

/// A directory of the host under the guest's name for it.
pub fn preopen(name: &str, path: &Path) -> Descriptor {
    let options = PreopenOptions { root: name == "/", ..PreopenOptions::default() };
    Descriptor::preopen(wasi_rs_core::host::open_preopen(path, options).unwrap(), name.as_bytes())
}

impl Setup {
    pub fn guest(self) -> Guest {
        crate::prepare();
        let temp = TempDir::new();
        temp.create_dir("box");
        temp.create_dir("outside");
        temp.write("outside/secret", "secret");
        let ctx = Ctx {
            args: terminated(self.args).into(),
            environ: terminated(self.environ).into(),
            ..Ctx::default()
        };
        let lent = [self.stdin, self.stdout, self.stderr].map(|fd| fd.unwrap_or_else(host::null));
        for (fd, role) in lent.iter().zip([Role::Input, Role::Output, Role::Output]) {
            let stdio = host::lend(fd).unwrap();
            let descriptor = if self.whole {
                Descriptor::given(stdio.object, stdio.flags)
            } else {
                Descriptor::standard(stdio, role)
            };
            ctx.table.insert(descriptor).unwrap();
        }
        for (name, path) in self.preopens {
            let object = wasi_rs_core::host::open_preopen(
                &temp.path(path),
                wasi_rs_core::host::PreopenOptions { root: *name == "/", ..Default::default() },
            )
            .unwrap();
            ctx.table.insert(Descriptor::preopen(object, name.as_bytes())).unwrap();
        }
        Guest {
            memory: vec![PATTERN; PAGE],
            ctx,
            temp: Arc::new(temp),
            resume: Cell::new(0),
            next: 0,
            lent: Arc::new(lent),
        }
    }
}

/// A list of iovecs that the function fills or empties: where it stands in the memory, and how many
/// there are.
fn iovecs(memory: &[u8], list: u64, count: u64) -> Vec<(usize, usize)> {
    (0..count)
        .filter_map(|index| {
            let at = usize::try_from(list + 8 * index).unwrap();
            let number = |at: usize| {
                Some(u32::from_le_bytes(memory.get(at..at + 4)?.try_into().unwrap()) as usize)
            };
            Some((number(at)?, number(at + 4)?))
        })
        .collect()
}

fn number(memory: &[u8], at: u64) -> usize {
    let at = usize::try_from(at).unwrap();
    u32::from_le_bytes(memory[at..at + 4].try_into().unwrap()) as usize
}

/// The ranges that a function writes: on success its results, on failure nothing. In the middle of
/// a call that waits, the buffers that it fills.
fn writes(
    name: &str,
    args: &[u64],
    result: Outcome<()>,
    before: &[u8],
    after: &[u8],
    ctx: &Ctx,
) -> Vec<(usize, usize)> {
    let at = |index: usize| usize::try_from(args[index]).unwrap();
    let filled = |list: usize, count: Option<usize>| {
        let mut left = count.map_or(usize::MAX, |count| number(after, args[count]));
        let mut ranges = Vec::new();
        for (start, len) in iovecs(before, args[list], args[list + 1]) {
            ranges.push((start, len.min(left)));
            left -= len.min(left);
        }
        ranges
            .retain(|(start, len)| start.checked_add(*len).is_some_and(|end| end <= before.len()));
        ranges
    };
    match result {
        Ok(()) => {}
        Err(CallError::Again | CallError::WouldWait)
            if matches!(name, "fd_read" | "fd_pread" | "sock_recv") =>
        {
            return filled(1, None);
        }
        Err(CallError::Again) if name == "poll_oneoff" => return vec![(at(1), 32 * at(2))],
        Err(CallError::Again) if name == "random_get" => return vec![(at(0), at(1))],
        // Also where an entry is refused, or cannot be had, after others have been written.
        Err(
            CallError::Again
            | CallError::Errno(Errno::Dquot | Errno::Nomem | Errno::Io | Errno::Ask),
        ) if name == "fd_readdir" => return vec![(at(1), at(2))],
        Err(_) => return Vec::new(),
    }
    let strings = |strings: &StringArray| {
        vec![(at(0), 4 * strings.starts().len()), (at(1), strings.bytes().len())]
    };
    match name {
        "args_get" => strings(&ctx.args),
        "environ_get" => strings(&ctx.environ),
        "args_sizes_get" | "environ_sizes_get" => vec![(at(0), 4), (at(1), 4)],
        "clock_time_get" => vec![(at(2), 8)],
        "fd_fdstat_get" => vec![(at(1), 24)],
        "fd_filestat_get" => vec![(at(1), 64)],
        "fd_pread" => [filled(1, Some(4)), vec![(at(4), 4)]].concat(),
        "clock_res_get" | "fd_prestat_get" | "fd_tell" => vec![(at(1), 8)],
        "fd_prestat_dir_name" => vec![(
            at(1),
            at(2).min(ctx.table.get(args[0] as u32).unwrap().preopen_name().unwrap().len()),
        )],
        "fd_read" => [filled(1, Some(3)), vec![(at(3), 4)]].concat(),
        "fd_readdir" => vec![(at(1), number(after, args[4])), (at(4), 4)],
        "fd_seek" => vec![(at(3), 8)],
        "fd_write" => vec![(at(3), 4)],
        "path_filestat_get" => vec![(at(4), 64)],
        "path_open" => vec![(at(8), 4)],
        "path_readlink" => vec![(at(3), number(after, args[5])), (at(5), 4)],
        "poll_oneoff" => vec![(at(1), 32 * number(after, args[3])), (at(3), 4)],
        "random_get" => vec![(at(0), at(1))],
        "sock_accept" => vec![(at(2), 4)],
        "sock_recv" => [filled(1, Some(4)), vec![(at(4), 4), (at(5), 2)]].concat(),
        "fd_pwrite" | "sock_send" => vec![(at(4), 4)],
        _ => Vec::new(),
    }
}

impl Guest {
    /// A guest with one preopen, `box`, at 3, and a device that takes everything and has nothing as
    /// its stdio.
    pub fn new() -> Self {
        Setup { preopens: &[("box", "box")], ..Setup::default() }.guest()
    }

    /// The same with the preopen called `/`.
    pub fn root() -> Self {
        Setup { preopens: &[("/", "box")], ..Setup::default() }.guest()
    }

    /// The handle that the host lent as a standard stream.
    pub fn lent(&self, fd: u32) -> &Lent {
        &self.lent[fd as usize]
    }

    /// Another thread of the guest, with a memory of its own.
    pub fn thread(&self) -> Self {
        Self {
            memory: vec![PATTERN; self.memory.len()],
            ctx: self.ctx.share().into(),
            temp: Arc::clone(&self.temp),
            resume: Cell::new(0),
            next: 0,
            lent: Arc::clone(&self.lent),
        }
    }

    /// Makes one slice of a call and checks what it wrote.
    pub fn slice(&mut self, name: &str, args: &[u64]) -> Outcome<()> {
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        let signature = function.signature();
        assert_eq!(signature.len(), args.len(), "{name}{signature:?}");
        let mut slots = [0x5a5a_5a5a_5a5a_5a5a; SLOTS];
        for ((slot, arg), lane) in slots.iter_mut().zip(args).zip(signature.chars()) {
            // The upper half of an i32's slot holds what an earlier call left there.
            let stale = if lane == 'i' { 0xdead_beef << 32 } else { 0 };
            assert!(lane == 'I' || u32::try_from(*arg).is_ok(), "{name}: {arg:#x} is not an i32");
            *slot = arg | stale;
        }
        let before = self.memory.clone();
        let call = Call {
            ctx: &self.ctx,
            memory: GuestMemory::from_slice(&mut self.memory),
            resume: &self.resume,
        };
        let result = (function.call)(&call, &slots);
        if !matches!(result, Err(CallError::Again | CallError::WouldWait)) {
            self.resume.set(0);
        }
        let mut expected = before.clone();
        for (start, len) in writes(name, args, result, &before, &self.memory, &self.ctx) {
            expected[start..start + len].copy_from_slice(&self.memory[start..start + len]);
        }
        if expected != self.memory {
            let at = expected.iter().zip(&self.memory).position(|(a, b)| a != b).unwrap();
            panic!(
                "{name}{args:x?} gave {result:?} and wrote {:#x} at {at:#x}, where it has no business",
                self.memory[at]
            );
        }
        result
    }

    /// Gives a call up between two slices.
    pub fn give_up(&mut self) {
        self.resume.set(0);
    }

    /// Makes a call of another snapshot's function, which must not wait. What it wrote is for the
    /// caller to check.
    pub fn call_of(
        &mut self,
        functions: &[Function],
        name: &str,
        args: &[u64],
        written: &[(u64, usize)],
    ) -> Outcome<()> {
        let function = functions.iter().find(|function| function.name == name).unwrap();
        let mut slots = [0; SLOTS];
        slots[..args.len()].copy_from_slice(args);
        let mut expected = self.memory.clone();
        let result = (function.call)(
            &Call {
                ctx: &self.ctx,
                memory: GuestMemory::from_slice(&mut self.memory),
                resume: &self.resume,
            },
            &slots,
        );
        self.resume.set(0);
        for (at, len) in
            written.iter().map(|(at, len)| (*at as usize, *len)).filter(|_| result == Ok(()))
        {
            expected[at..at + len].copy_from_slice(&self.memory[at..at + len]);
        }
        assert!(expected == self.memory, "{name} wrote where it has no business");
        result
    }

    /// Makes a call to its end.
    pub fn call(&mut self, name: &str, args: &[u64]) -> Outcome<()> {
        for _ in 0..SLICES {
            match self.slice(name, args) {
                Err(CallError::Again) => {}
                Err(CallError::WouldWait) => self.wait(),
                result => return result,
            }
        }
        panic!("{name}{args:x?} does not come to an end");
    }

    /// Waits for what a call of a guest that suspends has left.
    pub fn wait(&self) {
        struct Woken(Mutex<mpsc::Sender<u32>>);
        impl readiness::Waker for Woken {
            fn wake(&self, token: u32) {
                let _ = self.0.lock().unwrap().send(token);
            }
        }
        let (sender, receiver) = mpsc::channel();
        let waiting = self.ctx.waiting.take().expect("it says what it waits for");
        let ticket = readiness::begin(*waiting, 5, Arc::new(Woken(Mutex::new(sender))));
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(5));
        drop(ticket);
    }

    /// Starts a call: the memory is all pattern again.
    pub fn fresh(&mut self) {
        self.memory.fill(PATTERN);
        self.next = 0;
    }

    /// Room in the memory, at an odd address, with pattern around it.
    pub fn room(&mut self, len: usize) -> u64 {
        let at = (self.next + 16) | 1;
        self.next = at + u32::try_from(len).unwrap();
        assert!(
            self.next as usize <= self.memory.len() - 16,
            "the memory is too small for the test"
        );
        at.into()
    }

    /// Bytes in the memory.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len());
        self.memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        at
    }

    pub fn bytes(&self, at: u64, len: usize) -> &[u8] {
        &self.memory[at as usize..at as usize + len]
    }

    pub fn u16(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Iovecs over buffers with these bytes: the address of the list and those of the buffers.
    pub fn vectors(&mut self, buffers: &[&[u8]]) -> (u64, Vec<u64>) {
        let addresses: Vec<u64> = buffers.iter().map(|buffer| self.put(buffer)).collect();
        let pairs = addresses.iter().zip(buffers);
        let list: Vec<u8> = pairs
            .flat_map(|(at, buffer)| [*at as u32, buffer.len() as u32])
            .flat_map(u32::to_le_bytes)
            .collect();
        (self.put(&list), addresses)
    }

    fn rooms(&mut self, lens: &[usize]) -> (u64, Vec<u64>) {
        let buffers: Vec<Vec<u8>> = lens.iter().map(|len| vec![PATTERN; *len]).collect();
        self.vectors(&buffers.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// `fdstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fdstat {
    pub filetype: u8,
    pub flags: u16,
    pub base: Rights,
    pub inheriting: Rights,
}

/// `filestat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filestat {
    pub dev: u64,
    pub ino: u64,
    pub filetype: u8,
    pub nlink: u64,
    pub size: u64,
    pub atim: u64,
    pub mtim: u64,
    pub ctim: u64,
}

/// `dirent` with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirent {
    pub next: u64,
    pub ino: u64,
    pub filetype: u8,
    pub name: Vec<u8>,
}

/// `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub userdata: u64,
    pub error: u16,
    pub kind: u8,
    pub nbytes: u64,
    pub flags: u16,
}

/// `subscription`.
#[derive(Debug, Clone, Copy)]
pub enum Subscribe {
    Clock { id: u32, timeout: u64, flags: u16 },
    Read(u32),
    Write(u32),
    Raw { tag: u8 },
}

impl Subscribe {
    pub fn bytes(self, userdata: u64) -> [u8; 48] {
        // The gaps between the fields may hold anything.
        let mut bytes = [0x77; 48];
        bytes[..8].copy_from_slice(&userdata.to_le_bytes());
        match self {
            Self::Clock { id, timeout, flags } => {
                bytes[8] = 0;
                bytes[16..20].copy_from_slice(&id.to_le_bytes());
                bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
                bytes[32..40].copy_from_slice(&0_u64.to_le_bytes());
                bytes[40..42].copy_from_slice(&flags.to_le_bytes());
            }
            Self::Read(fd) => {
                bytes[8] = 1;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            Self::Write(fd) => {
                bytes[8] = 2;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            Self::Raw { tag } => bytes[8] = tag,
        }
        bytes
    }
}

/// How [`Guest::open`] opens.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    pub follow: bool,
    pub oflags: Oflags,
    pub base: Rights,
    pub inheriting: Rights,
    pub flags: Fdflags,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            follow: false,
            oflags: Oflags::empty(),
            base: Rights::REGULAR_FILE,
            inheriting: Rights::empty(),
            flags: Fdflags::empty(),
        }
    }
}

impl Open {
    /// For reading, whatever it is.
    pub fn reading() -> Self {
        Self {
            base: Rights::FD_READ
                .union(Rights::FD_SEEK)
                .union(Rights::FD_TELL)
                .union(Rights::FD_FILESTAT_GET),
            ..Self::default()
        }
    }

    pub fn creating() -> Self {
        Self { oflags: Oflags::CREAT, ..Self::default() }
    }

    pub fn directory() -> Self {
        Self {
            oflags: Oflags::DIRECTORY,
            base: Rights::DIRECTORY,
            inheriting: Rights::DIRECTORY.union(Rights::REGULAR_FILE),
            ..Self::default()
        }
    }

    pub fn oflags(self, oflags: Oflags) -> Self {
        Self { oflags, ..self }
    }

    pub fn flags(self, flags: Fdflags) -> Self {
        Self { flags, ..self }
    }

    pub fn base(self, base: Rights) -> Self {
        Self { base, ..self }
    }

    pub fn follow(self) -> Self {
        Self { follow: true, ..self }
    }
}

/// The functions with their arguments in Rust. Each starts with a fresh memory.
impl Guest {
    pub fn strings(&mut self, get: &str, sizes: &str) -> Vec<Vec<u8>> {
        self.fresh();
        let (count, size) = (self.room(4), self.room(4));
        self.call(sizes, &[count, size]).unwrap();
        let (count, size) = (self.u32(count) as usize, self.u32(size) as usize);
        let (list, buffer) = (self.room(4 * count), self.room(size));
        self.call(get, &[list, buffer]).unwrap();
        let mut at = buffer;
        let mut strings = Vec::new();
        for index in 0..count as u64 {
            assert_eq!(
                u64::from(self.u32(list + 4 * index)),
                at,
                "the strings stand one behind the other"
            );
            let len = self.memory[at as usize..].iter().position(|byte| *byte == 0).unwrap();
            strings.push(self.bytes(at, len).to_vec());
            at += len as u64 + 1;
        }
        assert_eq!(at, buffer + size as u64);
        strings
    }

    pub fn clock(&mut self, id: u32) -> Outcome<u64> {
        self.fresh();
        let time = self.room(8);
        self.call("clock_time_get", &[id.into(), 1, time])?;
        Ok(self.u64(time))
    }

    pub fn clock_res(&mut self, id: u32) -> Outcome<u64> {
        self.fresh();
        let time = self.room(8);
        self.call("clock_res_get", &[id.into(), time])?;
        Ok(self.u64(time))
    }

    pub fn advise(&mut self, fd: u32, offset: u64, len: u64, advice: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_advise", &[fd.into(), offset, len, advice.into()])
    }

    pub fn allocate(&mut self, fd: u32, offset: u64, len: u64) -> Outcome<()> {
        self.fresh();
        self.call("fd_allocate", &[fd.into(), offset, len])
    }

    pub fn close(&mut self, fd: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_close", &[fd.into()])
    }

    pub fn fdstat(&mut self, fd: u32) -> Outcome<Fdstat> {
        self.fresh();
        let at = self.room(24);
        self.call("fd_fdstat_get", &[fd.into(), at])?;
        assert_eq!(self.bytes(at + 1, 1), [0]);
        assert_eq!(self.bytes(at + 4, 4), [0; 4]);
        Ok(Fdstat {
            filetype: self.bytes(at, 1)[0],
            flags: self.u16(at + 2),
            base: Rights::from_bits_retain(self.u64(at + 8)),
            inheriting: Rights::from_bits_retain(self.u64(at + 16)),
        })
    }

    pub fn set_flags(&mut self, fd: u32, flags: Fdflags) -> Outcome<()> {
        self.fresh();
        self.call("fd_fdstat_set_flags", &[fd.into(), flags.bits().into()])
    }

    pub fn set_rights(&mut self, fd: u32, base: Rights, inheriting: Rights) -> Outcome<()> {
        self.fresh();
        self.call("fd_fdstat_set_rights", &[fd.into(), base.bits(), inheriting.bits()])
    }

    fn filestat_at(&self, at: u64) -> Filestat {
        assert_eq!(self.bytes(at + 17, 7), [0; 7]);
        Filestat {
            dev: self.u64(at),
            ino: self.u64(at + 8),
            filetype: self.bytes(at + 16, 1)[0],
            nlink: self.u64(at + 24),
            size: self.u64(at + 32),
            atim: self.u64(at + 40),
            mtim: self.u64(at + 48),
            ctim: self.u64(at + 56),
        }
    }

    pub fn filestat(&mut self, fd: u32) -> Outcome<Filestat> {
        self.fresh();
        let at = self.room(64);
        self.call("fd_filestat_get", &[fd.into(), at])?;
        Ok(self.filestat_at(at))
    }

    pub fn set_size(&mut self, fd: u32, size: u64) -> Outcome<()> {
        self.fresh();
        self.call("fd_filestat_set_size", &[fd.into(), size])
    }

    pub fn set_times(&mut self, fd: u32, atim: u64, mtim: u64, flags: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_filestat_set_times", &[fd.into(), atim, mtim, flags.into()])
    }

    /// Reads into buffers of these lengths and gives what was read.
    pub fn pread(&mut self, fd: u32, lens: &[usize], offset: u64) -> Outcome<Vec<u8>> {
        self.fresh();
        let (list, buffers) = self.rooms(lens);
        let count = self.room(4);
        self.call("fd_pread", &[fd.into(), list, lens.len() as u64, offset, count])?;
        Ok(self.gather(&buffers, lens, count))
    }

    pub fn read(&mut self, fd: u32, lens: &[usize]) -> Outcome<Vec<u8>> {
        self.fresh();
        let (list, buffers) = self.rooms(lens);
        let count = self.room(4);
        self.call("fd_read", &[fd.into(), list, lens.len() as u64, count])?;
        Ok(self.gather(&buffers, lens, count))
    }

    fn gather(&self, buffers: &[u64], lens: &[usize], count: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            buffers.iter().zip(lens).flat_map(|(at, len)| self.bytes(*at, *len).to_vec()).collect();
        let count = self.u32(count) as usize;
        assert!(count <= bytes.len());
        bytes.truncate(count);
        bytes
    }

    pub fn pwrite(&mut self, fd: u32, buffers: &[&[u8]], offset: u64) -> Outcome<u32> {
        self.fresh();
        let (list, _) = self.vectors(buffers);
        let count = self.room(4);
        self.call("fd_pwrite", &[fd.into(), list, buffers.len() as u64, offset, count])?;
        Ok(self.u32(count))
    }

    pub fn write(&mut self, fd: u32, buffers: &[&[u8]]) -> Outcome<u32> {
        self.fresh();
        let (list, _) = self.vectors(buffers);
        let count = self.room(4);
        self.call("fd_write", &[fd.into(), list, buffers.len() as u64, count])?;
        Ok(self.u32(count))
    }

    pub fn prestat(&mut self, fd: u32) -> Outcome<u32> {
        self.fresh();
        let at = self.room(8);
        self.call("fd_prestat_get", &[fd.into(), at])?;
        assert_eq!(self.bytes(at, 4), [0; 4]);
        Ok(self.u32(at + 4))
    }

    pub fn prestat_name(&mut self, fd: u32, len: usize) -> Outcome<Vec<u8>> {
        self.fresh();
        let at = self.room(len);
        self.call("fd_prestat_dir_name", &[fd.into(), at, len as u64])?;
        Ok(self.bytes(at, len).to_vec())
    }

    /// One call of `fd_readdir`: the bytes it gave.
    pub fn readdir_bytes(&mut self, fd: u32, len: usize, cookie: u64) -> Outcome<Vec<u8>> {
        self.fresh();
        let (buffer, used) = (self.room(len), self.room(4));
        self.call("fd_readdir", &[fd.into(), buffer, len as u64, cookie, used])?;
        let used = self.u32(used) as usize;
        assert!(used <= len);
        Ok(self.bytes(buffer, used).to_vec())
    }

    /// One call of `fd_readdir`: the whole entries it gave, and whether the buffer was not full.
    pub fn readdir(&mut self, fd: u32, len: usize, cookie: u64) -> Outcome<(Vec<Dirent>, bool)> {
        let bytes = self.readdir_bytes(fd, len, cookie)?;
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while let Some((head, tail)) = rest.split_at_checked(24) {
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let namlen = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
            assert_eq!(head[21..24], [0; 3]);
            let Some((name, tail)) = tail.split_at_checked(namlen) else { break };
            entries.push(Dirent {
                next: number(0),
                ino: number(8),
                filetype: head[20],
                name: name.to_vec(),
            });
            rest = tail;
        }
        Ok((entries, bytes.len() < len))
    }

    /// The whole directory through buffers of `len` bytes.
    pub fn list(&mut self, fd: u32, len: usize) -> Vec<Dirent> {
        let mut all: Vec<Dirent> = Vec::new();
        for _ in 0..1_000_000 {
            let cookie = all.last().map_or(0, |entry| entry.next);
            let (entries, end) = self.readdir(fd, len, cookie).unwrap();
            assert!(end || !entries.is_empty(), "a buffer of {len} bytes holds no entry");
            all.extend(entries);
            if end {
                return all;
            }
        }
        panic!("the listing does not come to an end");
    }

    pub fn renumber(&mut self, from: u32, to: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_renumber", &[from.into(), to.into()])
    }

    pub fn seek(&mut self, fd: u32, delta: i64, whence: u32) -> Outcome<u64> {
        self.fresh();
        let at = self.room(8);
        self.call("fd_seek", &[fd.into(), delta.cast_unsigned(), whence.into(), at])?;
        Ok(self.u64(at))
    }

    pub fn tell(&mut self, fd: u32) -> Outcome<u64> {
        self.fresh();
        let at = self.room(8);
        self.call("fd_tell", &[fd.into(), at])?;
        Ok(self.u64(at))
    }

    pub fn sync(&mut self, fd: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_sync", &[fd.into()])
    }

    pub fn datasync(&mut self, fd: u32) -> Outcome<()> {
        self.fresh();
        self.call("fd_datasync", &[fd.into()])
    }

    /// A function whose arguments are a descriptor and a path.
    pub fn on_path(&mut self, name: &str, fd: u32, path: impl AsRef<[u8]>) -> Outcome<()> {
        let path = path.as_ref();
        self.fresh();
        let at = self.put(path);
        self.call(name, &[fd.into(), at, path.len() as u64])
    }

    pub fn mkdir(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Outcome<()> {
        self.on_path("path_create_directory", fd, path)
    }

    pub fn rmdir(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Outcome<()> {
        self.on_path("path_remove_directory", fd, path)
    }

    pub fn unlink(&mut self, fd: u32, path: impl AsRef<[u8]>) -> Outcome<()> {
        self.on_path("path_unlink_file", fd, path)
    }

    pub fn path_filestat(
        &mut self,
        fd: u32,
        path: impl AsRef<[u8]>,
        follow: bool,
    ) -> Outcome<Filestat> {
        let path = path.as_ref();
        self.fresh();
        let (at, stat) = (self.put(path), self.room(64));
        self.call("path_filestat_get", &[fd.into(), follow.into(), at, path.len() as u64, stat])?;
        Ok(self.filestat_at(stat))
    }

    pub fn path_set_times(
        &mut self,
        fd: u32,
        path: impl AsRef<[u8]>,
        follow: bool,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Outcome<()> {
        let path = path.as_ref();
        self.fresh();
        let at = self.put(path);
        self.call(
            "path_filestat_set_times",
            &[fd.into(), follow.into(), at, path.len() as u64, atim, mtim, flags.into()],
        )
    }

    pub fn link(
        &mut self,
        old_fd: u32,
        old: impl AsRef<[u8]>,
        follow: bool,
        new_fd: u32,
        new: impl AsRef<[u8]>,
    ) -> Outcome<()> {
        let (old, new) = (old.as_ref(), new.as_ref());
        self.fresh();
        let (old_at, new_at) = (self.put(old), self.put(new));
        let args = [
            old_fd.into(),
            follow.into(),
            old_at,
            old.len() as u64,
            new_fd.into(),
            new_at,
            new.len() as u64,
        ];
        self.call("path_link", &args)
    }

    pub fn rename(
        &mut self,
        old_fd: u32,
        old: impl AsRef<[u8]>,
        new_fd: u32,
        new: impl AsRef<[u8]>,
    ) -> Outcome<()> {
        let (old, new) = (old.as_ref(), new.as_ref());
        self.fresh();
        let (old_at, new_at) = (self.put(old), self.put(new));
        self.call(
            "path_rename",
            &[old_fd.into(), old_at, old.len() as u64, new_fd.into(), new_at, new.len() as u64],
        )
    }

    pub fn symlink(
        &mut self,
        text: impl AsRef<[u8]>,
        fd: u32,
        path: impl AsRef<[u8]>,
    ) -> Outcome<()> {
        let (text, path) = (text.as_ref(), path.as_ref());
        self.fresh();
        let (text_at, at) = (self.put(text), self.put(path));
        self.call("path_symlink", &[text_at, text.len() as u64, fd.into(), at, path.len() as u64])
    }

    pub fn readlink(&mut self, fd: u32, path: impl AsRef<[u8]>, len: usize) -> Outcome<Vec<u8>> {
        let path = path.as_ref();
        self.fresh();
        let (at, buffer, used) = (self.put(path), self.room(len), self.room(4));
        self.call("path_readlink", &[fd.into(), at, path.len() as u64, buffer, len as u64, used])?;
        let used = self.u32(used) as usize;
        assert!(used <= len);
        Ok(self.bytes(buffer, used).to_vec())
    }

    pub fn open(&mut self, fd: u32, path: impl AsRef<[u8]>, how: Open) -> Outcome<u32> {
        let path = path.as_ref();
        self.fresh();
        let (at, opened) = (self.put(path), self.room(4));
        let args = [
            fd.into(),
            how.follow.into(),
            at,
            path.len() as u64,
            how.oflags.bits().into(),
            how.base.bits(),
            how.inheriting.bits(),
            how.flags.bits().into(),
            opened,
        ];
        self.call("path_open", &args)?;
        Ok(self.u32(opened))
    }

    /// One slice of `poll_oneoff`, or all of it. The userdata are 1000, 1001, ...
    fn poll_with(&mut self, wanted: &[Subscribe], whole: bool) -> Outcome<Vec<Event>> {
        self.fresh();
        let subscriptions: Vec<u8> = wanted
            .iter()
            .zip(1000..)
            .flat_map(|(wanted, userdata)| wanted.bytes(userdata))
            .collect();
        let subscriptions = self.put(&subscriptions);
        let (events, count) = (self.room(32 * wanted.len()), self.room(4));
        let args = [subscriptions, events, wanted.len() as u64, count];
        if whole {
            self.call("poll_oneoff", &args)?;
        } else {
            self.slice("poll_oneoff", &args)?;
        }
        let count = self.u32(count);
        assert!(count as usize <= wanted.len());
        let mut happened = Vec::new();
        for at in (0..u64::from(count)).map(|index| events + 32 * index) {
            assert_eq!(self.bytes(at + 11, 5), [0; 5]);
            assert_eq!(self.bytes(at + 26, 6), [0; 6]);
            happened.push(Event {
                userdata: self.u64(at),
                error: self.u16(at + 8),
                kind: self.bytes(at + 10, 1)[0],
                nbytes: self.u64(at + 16),
                flags: self.u16(at + 24),
            });
        }
        Ok(happened)
    }

    pub fn poll(&mut self, wanted: &[Subscribe]) -> Outcome<Vec<Event>> {
        self.poll_with(wanted, true)
    }

    pub fn poll_slice(&mut self, wanted: &[Subscribe]) -> Outcome<Vec<Event>> {
        self.poll_with(wanted, false)
    }

    pub fn accept(&mut self, fd: u32, flags: Fdflags) -> Outcome<u32> {
        self.fresh();
        let at = self.room(4);
        self.call("sock_accept", &[fd.into(), flags.bits().into(), at])?;
        Ok(self.u32(at))
    }

    /// Receives into buffers of these lengths: the bytes and the flags.
    pub fn recv(&mut self, fd: u32, lens: &[usize], flags: u32) -> Outcome<(Vec<u8>, u16)> {
        self.fresh();
        let (list, buffers) = self.rooms(lens);
        let (count, roflags) = (self.room(4), self.room(2));
        self.call(
            "sock_recv",
            &[fd.into(), list, lens.len() as u64, flags.into(), count, roflags],
        )?;
        Ok((self.gather(&buffers, lens, count), self.u16(roflags)))
    }

    pub fn send(&mut self, fd: u32, buffers: &[&[u8]], flags: u32) -> Outcome<u32> {
        self.fresh();
        let (list, _) = self.vectors(buffers);
        let count = self.room(4);
        self.call("sock_send", &[fd.into(), list, buffers.len() as u64, flags.into(), count])?;
        Ok(self.u32(count))
    }

    pub fn shutdown(&mut self, fd: u32, how: u32) -> Outcome<()> {
        self.fresh();
        self.call("sock_shutdown", &[fd.into(), how.into()])
    }

    /// The visible state of the descriptors: attributes and offset of each.
    pub fn descriptors(&mut self) -> Vec<(Outcome<Fdstat>, Outcome<u64>)> {
        (0..16).map(|fd| (self.fdstat(fd), self.tell(fd))).collect()
    }
}
