//! The raw ABI as a whole: random calls of a guest with random memory, on real files.
//!
//! An input is a set-up and a list of calls. What must hold after every call: nothing outside the
//! guest's directories is touched or read; a call that succeeds writes its results and nothing
//! else, one that fails leaves the memory as it was. After the last: every descriptor is closed,
//! but those that the host has lent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rustix::fs::{CWD, Mode, OFlags};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use wasi_rs_core::abi::{Fdflags, Rights};
use wasi_rs_core::ctx::{Ctx, StringArray};
use wasi_rs_core::descriptor::{Descriptor, Role};
use wasi_rs_core::host::stream::{Input as Feed, Output, Stream};
use wasi_rs_core::host::sys::pretend_openat2;
use wasi_rs_core::host::{
    self, Access, Directory, Opened, PreopenOptions, Quota, SeededRandom, SingleFile,
    SortedDirectory, Stdio, SteppingClock, Tree, VirtualClocks,
};
use wasi_rs_core::memory::GuestMemory;
use wasi_rs_core::preview1::{Call, CallError, FUNCTIONS, Function, SLOTS, snapshot0};
use wasi_rs_fuzz::input::Input;
use wasi_rs_fuzz::outside::Outside;
use wasi_rs_fuzz::{fence, temp};

/// Calls of one input.
const CALLS: usize = 64;

/// Slices of one call. Then the guest's thread is stopped, as that of a terminated Worker is.
const SLICES: u32 = 3;

/// The size of files to begin with.
const CONTENT: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// Sizes of memories: none, less than any record, odd, one page, more.
const SIZES: [usize; 8] = [64 * 1024, 64 * 1024, 4096, 64 * 1024 + 13, 200, 128 * 1024, 1, 0];

/// Paths that mean something in the guest's directories.
const PATHS: [&[u8]; 32] = [
    b".",
    b"..",
    b"dir",
    b"dir/sub",
    b"dir/sub/file",
    b"file",
    b"empty",
    b"link",
    b"dirlink",
    b"dirlink/sub/file",
    b"loop",
    b"dangling",
    b"up",
    b"up/outside/secret",
    b"esc",
    b"esc/secret",
    b"esc/new",
    b"escfile",
    b"abs",
    b"abs/secret",
    b"dir/back",
    b"dir/esc/dir",
    b"fifo",
    b"sock",
    b"chain",
    b"new",
    b"dir/new",
    b"new/",
    b"dir/../dir/./sub/..",
    b"../outside/secret",
    b"/etc/passwd",
    b"etc/passwd",
];

const NUMBERS: [u32; 16] = [
    0,
    1,
    2,
    3,
    7,
    8,
    0x30,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x1fff_ffff,
    0x2000_0001,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

const LONG_NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    3,
    100,
    4095,
    4096,
    1 << 20,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 40,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// What lasts from input to input.
struct World {
    home: PathBuf,
    outside: Outside,
    null: OwnedFd,
    /// Whether the guest's directories are no longer as [`World::furnish`] leaves them.
    dirty: bool,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

fuzz_target!(|bytes: &[u8]| {
    let mut world = WORLD.lock().unwrap_or_else(|_| std::process::abort());
    let world = world.get_or_insert_with(World::new);
    world.run(&mut Input::new(bytes));
});

impl World {
    fn new() -> Self {
        let home = temp::home().to_owned();
        let null = File::options().read(true).write(true).open("/dev/null").unwrap().into();
        fence::raise(&home);
        let outside = Outside::new(&home);
        // What is opened once and kept.
        host::fill(GuestMemory::from_slice(&mut [0; 8]).region(0, 8).unwrap());
        Self { home, outside, null, dirty: true }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Makes the guest's directories.
    fn furnish(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        for name in ["box", "root", "ro"] {
            let path = self.path(name);
            match fs::symlink_metadata(&path) {
                Ok(stat) if stat.is_dir() => fs::remove_dir_all(&path).unwrap(),
                Ok(_) => fs::remove_file(&path).unwrap(),
                Err(_) => {}
            }
            fs::create_dir_all(path.join("dir/sub")).unwrap();
            fs::write(path.join("file"), CONTENT).unwrap();
            symlink("file", path.join("link")).unwrap();
            symlink("../outside", path.join("esc")).unwrap();
            symlink(self.path("outside"), path.join("abs")).unwrap();
        }
        let guest = self.path("box");
        fs::write(guest.join("dir/sub/file"), "sub").unwrap();
        fs::write(guest.join("empty"), "").unwrap();
        fs::hard_link(guest.join("file"), guest.join("hard")).unwrap();
        for (text, name) in [
            ("dir", "dirlink"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
            ("..", "up"),
            ("../outside/secret", "escfile"),
            ("../file", "dir/back"),
            ("../../outside", "dir/esc"),
            ("dirlink/sub/../../esc", "chain"),
        ] {
            symlink(text, guest.join(name)).unwrap();
        }
        rustix::fs::mknodat(
            CWD,
            guest.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        drop(UnixListener::bind(guest.join("sock")).unwrap());
        let root = self.path("root");
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "root").unwrap();
        symlink("/etc/passwd", root.join("chain")).unwrap();
        symlink("/../../etc", root.join("up")).unwrap();
    }

    fn run(&mut self, input: &mut Input<'_>) {
        self.furnish();
        self.outside.plant();
        // libFuzzer may open some between two inputs.
        let descriptors = temp::open_descriptors();
        let (setup, streams, extras) = (input.u8(), input.u16(), input.u8());
        pretend_openat2(setup & 0x80 == 0);
        let mut host = Host::default();
        let mut guest = self.guest(&mut host, setup, streams, extras, input);
        for _ in 0..CALLS {
            if input.is_empty() || !self.step(&mut guest, &mut host, input) {
                break;
            }
        }
        drop(guest);
        host.end();
        assert_eq!(
            temp::open_descriptors(),
            descriptors,
            "a descriptor has leaked, or one too many was closed: {}",
            temp::describe_descriptors()
        );
        self.outside.check();
    }

    fn guest(
        &mut self,
        host: &mut Host,
        setup: u8,
        streams: u16,
        extras: u8,
        input: &mut Input<'_>,
    ) -> Guest {
        let mut ctx = Ctx {
            args: Arc::new(StringArray::from_terminated(b"program\0argument\0\0".to_vec())),
            environ: Arc::new(StringArray::from_terminated(b"NAME=value\0".to_vec())),
            ..Ctx::default()
        };
        if extras & 1 != 0 {
            let numbers = input.u16();
            ctx.quota = Some(Arc::new(Quota::new(
                Some((numbers & 0xff).into()),
                Some((numbers >> 8).into()),
            )));
        }
        if extras & 2 != 0 {
            let clock = |input: &mut Input<'_>| SteppingClock::new(input.u64(), input.u8().into());
            ctx.clocks = Some(Arc::new(VirtualClocks {
                realtime: Some(clock(input)),
                monotonic: (extras & 4 != 0).then(|| clock(input)),
            }));
        }
        if extras & 8 != 0 {
            ctx.random = Some(Arc::new(SeededRandom::new([setup; 32])));
        }
        for number in 0..3 {
            let mut lent = host.stream(self, streams >> (4 * number) & 15);
            if let Some(quota) = &ctx.quota {
                lent.object = quota.meter(lent.object);
            }
            ctx.table
                .insert(Descriptor::standard(
                    lent,
                    if number == 0 { Role::Input } else { Role::Output },
                ))
                .unwrap();
        }
        let no_symlinks = extras & 16 != 0;
        let budget = Arc::clone(&ctx.listings);
        let open = |name: &str, root| {
            host::open_preopen(&self.path(name), PreopenOptions { root, no_symlinks, ..PreopenOptions::default() }).unwrap()
        };
        let tree = Tree::new(1 << 20);
        tree.seed("dir/sub/file", CONTENT).unwrap();
        tree.seed("file", CONTENT).unwrap();
        let Opened::Directory(parent) = open("box", false) else { unreachable!() };
        let single: Box<dyn Directory> =
            Box::new(SingleFile::new(parent, b"file".to_vec()).unwrap());
        for (name, object, read_only) in [
            ("box", open("box", false), false),
            ("/", open("root", true), false),
            ("ro", open("ro", false), true),
            ("tree", Opened::Directory(tree.root_directory(false)), false),
            ("/mem", Opened::Directory(tree.root_directory(true)), false),
            ("single", Opened::Directory(single), false),
        ] {
            let object = match object {
                Opened::Directory(directory) if extras & 32 != 0 => {
                    Opened::Directory(Box::new(SortedDirectory::new(directory, &budget)))
                }
                object => object,
            };
            let descriptor = Descriptor::preopen(object, name.as_bytes());
            ctx.table.insert(if read_only { descriptor.read_only() } else { descriptor }).unwrap();
        }
        if extras & 64 != 0 {
            ctx.table.limit(12);
        }
        if extras & 128 != 0 {
            // From here on it is a table of several threads.
            ctx = Ctx::from(ctx.share());
        }
        let memory = vec![if setup & 8 == 0 { 0 } else { 0xff }; SIZES[usize::from(setup & 7)]];
        Guest { ctx, before: Vec::new(), memory, next: 16, tree }
    }

    /// One call, or one thing that happens beside the guest. `false` is the end.
    fn step(&mut self, guest: &mut Guest, host: &mut Host, input: &mut Input<'_>) -> bool {
        let number = usize::from(input.u8());
        let all = FUNCTIONS.len() + snapshot0::FUNCTIONS.len();
        let (function, is_old) = match number % (all + 6) {
            index if index < FUNCTIONS.len() => (&FUNCTIONS[index], false),
            index if index < all => (&snapshot0::FUNCTIONS[index - FUNCTIONS.len()], true),
            index => {
                match index - all {
                    0 => guest.grow(input),
                    1 => guest.poke(input),
                    2 => host.speak(),
                    3 => host.listen(),
                    4 => self.exchange(),
                    _ => drop(Ctx::from(guest.ctx.share())),
                }
                return true;
            }
        };
        let slots = guest.slots(function, is_old, input);
        let outcome = guest.call(function, &slots, if is_old { 56 } else { 64 });
        match outcome {
            Ok(()) => {
                self.dirty |= !is_harmless(function.name);
                assert!(
                    !self.outside.is_in(&guest.memory),
                    "{} has read what lies outside: {slots:x?}",
                    function.name
                );
                if function.name.ends_with("filestat_get") {
                    // The result's pointer is the last parameter; the serial number is the second
                    // field.
                    let at = slots[function.signature().len() - 1] as u32 as usize;
                    let ino = u64::from_le_bytes(guest.memory[at + 8..at + 16].try_into().unwrap());
                    let dev = u64::from_le_bytes(guest.memory[at..at + 8].try_into().unwrap());
                    assert!(
                        dev != self.outside.dev() || !self.outside.has(ino),
                        "{} has seen what lies outside: {slots:x?}",
                        function.name
                    );
                }
            }
            // A write that fails may have done a part.
            Err(_) => self.dirty |= !is_harmless(function.name),
        }
        !matches!(outcome, Err(CallError::Exit(_)))
    }

    /// Another process of the host swaps a directory of the guest's for a link to outside.
    fn exchange(&mut self) {
        self.dirty = true;
        let (dir, esc) = (self.path("box/dir"), self.path("box/esc"));
        let _ = rustix::fs::renameat_with(CWD, dir, CWD, esc, rustix::fs::RenameFlags::EXCHANGE);
    }
}

/// Whether a function leaves files as they are.
fn is_harmless(name: &str) -> bool {
    matches!(
        name,
        "args_get"
            | "args_sizes_get"
            | "clock_res_get"
            | "clock_time_get"
            | "environ_get"
            | "environ_sizes_get"
            | "fd_advise"
            | "fd_close"
            | "fd_datasync"
            | "fd_fdstat_get"
            | "fd_fdstat_set_flags"
            | "fd_fdstat_set_rights"
            | "fd_filestat_get"
            | "fd_pread"
            | "fd_prestat_get"
            | "fd_prestat_dir_name"
            | "fd_read"
            | "fd_readdir"
            | "fd_renumber"
            | "fd_seek"
            | "fd_sync"
            | "fd_tell"
            | "path_filestat_get"
            | "path_readlink"
            | "poll_oneoff"
            | "proc_exit"
            | "proc_raise"
            | "random_get"
            | "sched_yield"
            | "sock_accept"
            | "sock_recv"
            | "sock_send"
            | "sock_shutdown"
    )
}

/// The host's ends of the guest's streams.
#[derive(Default)]
struct Host {
    /// What was lent to the guest, and the flags it had.
    lent: Vec<(OwnedFd, OFlags)>,
    peers: Vec<OwnedFd>,
    outputs: Vec<Arc<Output>>,
    feeds: Vec<Arc<Feed>>,
}

impl Host {
    fn lend(&mut self, fd: OwnedFd) -> Stdio {
        let lent = host::stdio(fd.as_raw_fd()).unwrap();
        let flags = rustix::fs::fcntl_getfl(&fd).unwrap();
        self.lent.push((fd, flags));
        lent
    }

    fn stream(&mut self, world: &World, kind: u16) -> Stdio {
        let object: Box<dyn host::File> = match kind {
            0 => return self.lend(world.null.try_clone().unwrap()),
            1 => return self.lend(Self::file(&world.home, false)),
            2 => return self.lend(Self::file(&world.home, true)),
            // Pipes: some bytes and then the end; nothing yet; nobody who reads; a small one that
            // takes data; a full one.
            3..=7 => {
                let (read, write) =
                    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
                rustix::pipe::fcntl_setpipe_size(&write, 4096).unwrap();
                match kind {
                    3 => {
                        rustix::io::write(&write, CONTENT).unwrap();
                        return self.lend(read);
                    }
                    4 => {
                        self.peers.push(write);
                        return self.lend(read);
                    }
                    5 => return self.lend(write),
                    _ => {}
                }
                if kind == 7 {
                    rustix::io::write(&write, &[0; 4096]).unwrap();
                }
                self.peers.push(read);
                return self.lend(write);
            }
            8 => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                (&ours).write_all(CONTENT).unwrap();
                self.peers.push(ours.into());
                return self.lend(theirs.into());
            }
            9 => {
                let (ours, theirs) = UnixDatagram::pair().unwrap();
                ours.send(CONTENT).unwrap();
                self.peers.push(ours.into());
                return self.lend(theirs.into());
            }
            10 => {
                let path = world.home.join("listener");
                let _ = fs::remove_file(&path);
                let listener = UnixListener::bind(&path).unwrap();
                self.peers.push(UnixStream::connect(&path).unwrap().into());
                return self.lend(listener.into());
            }
            11 => return self.lend(File::open(world.path("ro")).unwrap().into()),
            12 => Box::new(Stream::bytes(CONTENT.to_vec())),
            13 => {
                let output = Arc::new(Output::default());
                self.outputs.push(Arc::clone(&output));
                Box::new(Stream::Collector { output, cap: 100, ends: false })
            }
            14 => {
                let output = Arc::new(Output::default());
                self.outputs.push(Arc::clone(&output));
                Box::new(Stream::Sink(output))
            }
            _ => {
                let feed = Arc::new(Feed::default());
                feed.feed(Some(CONTENT));
                self.feeds.push(Arc::clone(&feed));
                Box::new(Stream::Feed(feed))
            }
        };
        Stdio { object: Opened::File(object), flags: Fdflags::empty(), access: Access::BOTH }
    }

    fn file(home: &Path, append: bool) -> OwnedFd {
        let path = home.join("stream");
        fs::write(&path, CONTENT).unwrap();
        File::options().read(true).write(true).append(append).open(path).unwrap().into()
    }

    /// Sends something to the guest.
    fn speak(&self) {
        for peer in &self.peers {
            // Only what takes it at once.
            let mut ready = [rustix::event::PollFd::new(peer, rustix::event::PollFlags::OUT)];
            if rustix::event::poll(&mut ready, Some(&rustix::event::Timespec::default())) == Ok(1) {
                let _ = rustix::io::write(peer, b"hello");
            }
        }
        for feed in &self.feeds {
            feed.feed(Some(b"hello"));
        }
    }

    /// Takes what the guest has sent.
    fn listen(&self) {
        let mut buffer = [0; 4096];
        for peer in &self.peers {
            let mut ready = [rustix::event::PollFd::new(peer, rustix::event::PollFlags::IN)];
            if rustix::event::poll(&mut ready, Some(&rustix::event::Timespec::default())) == Ok(1) {
                let _ = rustix::io::read(peer, &mut buffer);
            }
        }
        for output in &self.outputs {
            drop(output.take());
        }
    }

    /// The guest has gone: what was lent to it is as it was.
    fn end(self) {
        for (fd, flags) in &self.lent {
            assert_eq!(
                rustix::fs::fcntl_getfl(fd.as_fd()),
                Ok(*flags),
                "a lent descriptor has changed"
            );
        }
    }
}

struct Guest {
    ctx: Ctx,
    memory: Vec<u8>,
    before: Vec<u8>,
    /// Where the next bytes are put.
    next: usize,
    tree: Tree,
}

impl Guest {
    fn grow(&mut self, input: &mut Input<'_>) {
        if self.memory.len() < 1 << 20 {
            let len = self.memory.len() + usize::from(input.u16());
            self.memory.resize(len, 0);
            // The old memory is gone, as a detached buffer is.
            self.memory.shrink_to_fit();
        }
    }

    fn poke(&mut self, input: &mut Input<'_>) {
        let (at, len) = (usize::from(input.u16()), usize::from(input.u8()));
        for (byte, new) in self.memory.iter_mut().skip(at).zip(input.take(len)) {
            *byte = *new;
        }
    }

    /// Finds room for some bytes in the memory and returns where it is. With too little memory,
    /// some of it lies outside.
    fn room(&mut self, len: usize) -> u64 {
        if self.next + len > self.memory.len() {
            self.next = 0;
        }
        let at = self.next;
        self.next += len;
        at as u64
    }

    fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len());
        for (byte, new) in self.memory.iter_mut().skip(at as usize).zip(bytes) {
            *byte = *new;
        }
        at
    }

    /// The arguments of a call.
    fn slots(&mut self, function: &Function, is_old: bool, input: &mut Input<'_>) -> [u64; SLOTS] {
        let mut slots = [0; SLOTS];
        if function.name == "poll_oneoff" && input.u8() & 7 != 0 {
            let (list, count) = self.subscriptions(is_old, input);
            slots[..4].copy_from_slice(&[
                list,
                self.room(32 * count as usize),
                count,
                self.room(4),
            ]);
            return slots;
        }
        let mut at = 0;
        for piece in function.core_params {
            match *piece {
                "ii" if self.is_results(function, at) => {
                    slots[at] = self.i32(input);
                    slots[at + 1] = self.i32(input);
                }
                "ii" => [slots[at], slots[at + 1]] = self.pair(function.name, input),
                "i" => slots[at] = self.i32(input),
                "I" => slots[at] = i64(input),
                _ => {}
            }
            at += piece.len();
        }
        slots
    }

    /// Whether two core_params are not a pointer with its length, but two results.
    fn is_results(&self, function: &Function, at: usize) -> bool {
        at + 2 == function.signature().len()
            && matches!(function.name, "args_sizes_get" | "environ_sizes_get" | "sock_recv")
    }

    fn i32(&mut self, input: &mut Input<'_>) -> u64 {
        let kind = input.u8();
        let low = kind & 15;
        match kind >> 4 {
            0..=3 => low.into(),
            4 => input.u8().into(),
            5 => input.u16().into(),
            6 => input.u32().into(),
            7 => NUMBERS[usize::from(low)].into(),
            8 => self.memory.len() as u64 - u64::from(low).min(self.memory.len() as u64),
            9 => self.memory.len() as u64 + u64::from(low),
            10 => (self.memory.len() as u64).wrapping_sub(8 * u64::from(low)) as u32 as u64,
            11..=13 => self.room(64),
            14 => self.room(64) + u64::from(low),
            // What the upper half holds means nothing.
            _ => u64::MAX << 32 | u64::from(low),
        }
    }

    /// A pointer and a length: of a path, of a buffer or of a list of buffers.
    fn pair(&mut self, name: &str, input: &mut Input<'_>) -> [u64; 2] {
        let kind = input.u8();
        let low = usize::from(kind & 31);
        let lists = matches!(
            name,
            "fd_read" | "fd_write" | "fd_pread" | "fd_pwrite" | "sock_recv" | "sock_send"
        );
        match kind >> 5 {
            0..=3 if lists => {
                let count = low % 8;
                let list: Vec<u8> = (0..count)
                    .flat_map(|_| {
                        let (start, len) = match input.u8() {
                            short @ 0..=0x9f => (self.room(short.into()), u64::from(short)),
                            0xa0..=0xcf => (u64::from(input.u16()), u64::from(input.u16())),
                            0xd0..=0xef => (self.i32(input), self.i32(input)),
                            0xf0..=0xff => (0, self.memory.len() as u64),
                        };
                        [(start as u32).to_le_bytes(), (len as u32).to_le_bytes()].concat()
                    })
                    .collect();
                [self.put(&list), count as u64]
            }
            0..=2 => [self.put(PATHS[low]), PATHS[low].len() as u64],
            3 => {
                let path = [PATHS[low], b"/", PATHS[usize::from(input.u8() & 31)]].concat();
                [self.put(&path), path.len() as u64]
            }
            4 => {
                let path = input.take(low);
                [self.put(path), path.len() as u64]
            }
            5 => {
                let len = usize::from(input.u16() & 0xfff);
                [self.room(len), len as u64]
            }
            6 => {
                // A path that ends at the last byte.
                let path = PATHS[low];
                let at = self.memory.len().saturating_sub(path.len());
                for (byte, new) in self.memory.iter_mut().skip(at).zip(path) {
                    *byte = *new;
                }
                [at as u64, path.len() as u64]
            }
            _ => [self.i32(input), self.i32(input)],
        }
    }

    fn subscriptions(&mut self, is_old: bool, input: &mut Input<'_>) -> (u64, u64) {
        let size = if is_old { 56 } else { 48 };
        let count = u64::from(input.u8() & 7);
        let mut bytes = vec![0; size * count as usize];
        for subscription in bytes.chunks_exact_mut(size) {
            let kind = input.u8();
            subscription[0] = kind;
            subscription[8] = kind & 3;
            let id = if is_old && kind & 3 == 0 { 24 } else { 16 };
            subscription[id..id + 4].copy_from_slice(&u32::from(kind >> 2 & 15).to_le_bytes());
            if kind & 3 == 0 {
                let timeout = if kind & 0x40 == 0 { u64::from(input.u16()) } else { i64(input) };
                subscription[id + 8..id + 16].copy_from_slice(&timeout.to_le_bytes());
                subscription[id + 24] = kind >> 7;
            }
        }
        (self.put(&bytes), count)
    }

    /// The ranges that a function writes when it succeeds.
    fn results(
        &self,
        function: &Function,
        slots: &[u64; SLOTS],
        stat: usize,
    ) -> Vec<(usize, usize)> {
        let at = |slot: usize| slots[slot] as u32 as usize;
        let buffers = |list: usize| {
            let pairs =
                self.before.get(at(list)..).unwrap_or_default().chunks_exact(8).take(at(list + 1));
            let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()) as usize;
            pairs.map(|pair| (number(&pair[..4]), number(&pair[4..]))).collect::<Vec<_>>()
        };
        let strings = |strings: &StringArray| {
            vec![(at(0), 4 * strings.starts().len()), (at(1), strings.bytes().len())]
        };
        match function.name {
            "args_get" => strings(&self.ctx.args),
            "environ_get" => strings(&self.ctx.environ),
            "args_sizes_get" | "environ_sizes_get" => vec![(at(0), 4), (at(1), 4)],
            "clock_res_get" | "fd_prestat_get" | "fd_tell" => vec![(at(1), 8)],
            "clock_time_get" => vec![(at(2), 8)],
            "fd_fdstat_get" => vec![(at(1), 24)],
            "fd_filestat_get" => vec![(at(1), stat)],
            "fd_pread" => [buffers(1), vec![(at(4), 4)]].concat(),
            "fd_prestat_dir_name" => vec![(at(1), at(2))],
            "fd_pwrite" => vec![(at(4), 4)],
            "fd_read" => [buffers(1), vec![(at(3), 4)]].concat(),
            "fd_readdir" => vec![(at(1), at(2)), (at(4), 4)],
            "fd_seek" => vec![(at(3), 8)],
            "fd_write" => vec![(at(3), 4)],
            "path_filestat_get" => vec![(at(4), stat)],
            "path_open" => vec![(at(8), 4)],
            "path_readlink" => vec![(at(3), at(4)), (at(5), 4)],
            "poll_oneoff" => vec![(at(1), 32 * at(2)), (at(3), 4)],
            "random_get" => vec![(at(0), at(1))],
            "sock_accept" => vec![(at(2), 4)],
            "sock_recv" => [buffers(1), vec![(at(4), 4), (at(5), 2)]].concat(),
            "sock_send" => vec![(at(4), 4)],
            _ => Vec::new(),
        }
    }

    /// Makes a call. `stat` is the size of a `filestat`, which snapshot 0 has shorter.
    fn call(
        &mut self,
        function: &Function,
        slots: &[u64; SLOTS],
        stat: usize,
    ) -> Result<(), CallError> {
        self.before.clone_from(&self.memory);
        let resume = Cell::new(0);
        let mut slices = 0;
        let outcome = loop {
            let call = Call {
                ctx: &self.ctx,
                memory: GuestMemory::from_slice(&mut self.memory),
                resume: &resume,
            };
            let outcome = (function.call)(&call, slots);
            slices += 1;
            if outcome != Err(CallError::Again) || slices == SLICES {
                break outcome;
            }
        };
        match outcome {
            Ok(()) => {
                for (start, len) in self.results(function, slots, stat) {
                    let end = start.saturating_add(len).min(self.memory.len());
                    if let Some(written) = self.memory.get(start..end) {
                        self.before[start..end].copy_from_slice(written);
                    }
                }
                assert!(
                    self.memory == self.before,
                    "{} has written beside its results: {slots:x?}",
                    function.name
                );
            }
            Err(_) if slices == 1 => assert!(
                self.memory == self.before,
                "{} failed and has written: {slots:x?}",
                function.name
            ),
            Err(_) => {}
        }
        assert!(self.tree.used_bytes() <= self.tree.max_bytes());
        outcome
    }
}

fn i64(input: &mut Input<'_>) -> u64 {
    let kind = input.u8();
    match kind >> 4 {
        0 | 1 => (kind & 31).into(),
        2 => input.u16().into(),
        3 => input.u32().into(),
        4 => input.u64(),
        5 => LONG_NUMBERS[usize::from(kind & 15)],
        6 => 1 << (input.u8() & 63),
        7 | 8 => Rights::all().bits(),
        9 => Rights::REGULAR_FILE.bits(),
        10 => Rights::DIRECTORY.bits(),
        11 => (Rights::FD_READ | Rights::FD_SEEK).bits(),
        12 => (Rights::FD_READ | Rights::FD_WRITE | Rights::FD_SEEK).bits(),
        13 => Rights::all().difference(Rights::CHANGING).bits(),
        14 => u64::from(input.u16()).wrapping_neg(),
        _ => 0,
    }
}
