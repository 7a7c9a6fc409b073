//! No call waits in the kernel for whoever is at the other end, whatever the host has lent and
//! whoever else uses it.

use crate::support::host::{Lent, status_flags, without_privileges};
use crate::support::{BOX, Guest, Open, Outcome, Setup, fails};
use rustix::fs::{Mode, OFlags};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Fdflags, Oflags, Rights};
use wasi_rs_core::preview1::CallError;

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does something that must come back, in a thread of its own, which is left behind if it does not.
fn returns<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    thread::spawn(move || drop(sender.send(act())));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} waits in the kernel"))
}

/// A named pipe, open for both directions, so that nobody waits for anybody to open it.
fn fifo(files: &Guest, name: &str) -> File {
    files.temp.fifo(name);
    OpenOptions::new().read(true).write(true).open(files.temp.path(name)).unwrap()
}

/// A second description of a named pipe, which waits as those of most hosts do.
fn lent(files: &Guest, name: &str, write: bool) -> OwnedFd {
    let file = OpenOptions::new().read(!write).write(write).open(files.temp.path(name)).unwrap();
    assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::NONBLOCK));
    file.into()
}

/// A terminal without any processing: the end of the program and that of the person.
fn terminal() -> (OwnedFd, File) {
    let (program, person) = crate::stdio::terminal();
    let mut attributes = rustix::termios::tcgetattr(&program).unwrap();
    attributes.make_raw();
    rustix::termios::tcsetattr(&program, rustix::termios::OptionalActions::Now, &attributes)
        .unwrap();
    (program, person)
}

/// Makes it impossible to open what a descriptor stands for once more, as it is after the process
/// has become another user's.
fn lock(fd: &impl AsFd) {
    rustix::fs::fchmod(fd, Mode::empty()).unwrap();
}

/// One slice of a write of so many bytes to stdout, with what is left to write: the guest, how it
/// went and how long it took.
fn write_slice(mut guest: Guest, bytes: usize) -> (Guest, Outcome<()>) {
    guest.memory.resize(bytes + 100_000, 0);
    guest.fresh();
    let (list, _) = guest.vectors(&[&vec![b'x'; bytes]]);
    let count = guest.room(4);
    let result = guest.slice("fd_write", &[1, list, 1, count]);
    (guest, result)
}

/// Whether a thread is in a call that takes something, and stays there. That it waits by `ppoll` is
/// as it should be.
fn is_stuck(thread: i32) -> bool {
    let now =
        || std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap_or_default();
    let takes = |text: &str| {
        let number = text.split(' ').next().and_then(|number| number.parse().ok());
        number.is_some_and(|number: i64| {
            [libc::SYS_read, libc::SYS_readv, libc::SYS_accept4].contains(&number)
        })
    };
    // Another byte would let it go, so none is sent meanwhile.
    (0..20).all(|_| {
        let takes = takes(&now());
        if takes {
            thread::sleep(Duration::from_millis(5));
        }
        takes
    })
}

/// Whether a thread waits to be told that there is something.
fn is_polling(thread: i32) -> bool {
    let text =
        std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()) == Some(libc::SYS_ppoll)
}

/// Three threads of one guest, and a thread of the host that does not wait, compete for what comes
/// to stdin. Each slice of the guest's calls must come back, whoever gets what. `act` makes a slice
/// and says whether the guest got something; `feed` gives and `steal` takes one more.
fn compete(
    guest: &Guest,
    act: fn(&mut Guest) -> bool,
    rounds: u32,
    mut feed: impl FnMut(),
    steal: impl FnMut() -> bool + Send + 'static,
) {
    let mut steal = steal;
    let over = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(AtomicU32::new(0));
    let (mut running, mut numbers): (Vec<Receiver<()>>, Vec<i32>) = Default::default();
    for mut thread in [guest.thread(), guest.thread(), guest.thread()] {
        let (over, taken, (sender, receiver), (tell, told)) =
            (Arc::clone(&over), Arc::clone(&taken), channel(), channel());
        running.push(receiver);
        thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_pid()).unwrap();
            while !over.load(Relaxed) {
                if act(&mut thread) {
                    taken.fetch_add(1, Relaxed);
                }
            }
            let _ = sender.send(());
        });
        numbers.push(told.recv().unwrap());
    }
    let host = {
        let (over, taken) = (Arc::clone(&over), Arc::clone(&taken));
        thread::spawn(move || {
            let mut turn = 0_u32;
            while !over.load(Relaxed) {
                // Not always: the guest is to get some.
                turn = turn.wrapping_add(1);
                if turn.is_multiple_of(3) && steal() {
                    taken.fetch_add(1, Relaxed);
                }
                thread::sleep(Duration::from_micros(20));
            }
        })
    };
    for round in 1..=rounds {
        // All wait, so that all are told at once.
        for _ in 0..100 {
            if numbers.iter().all(|number| is_polling(*number)) {
                break;
            }
            thread::yield_now();
        }
        feed();
        let start = Instant::now();
        while taken.load(Relaxed) < round {
            assert!(
                start.elapsed() < PATIENCE,
                "{round} were sent and {} taken",
                taken.load(Relaxed)
            );
            thread::yield_now();
        }
        assert!(
            !numbers.iter().any(|number| is_stuck(*number)),
            "after {round}, a thread of the guest waits in the kernel"
        );
    }
    over.store(true, Relaxed);
    host.join().unwrap();
    for thread in running {
        thread.recv_timeout(PATIENCE).expect("a thread of the guest waits in the kernel");
    }
}

/// A slice of a read of one byte.
fn read_one(guest: &mut Guest) -> bool {
    guest.fresh();
    let (list, _) = guest.vectors(&[b"."]);
    let count = guest.room(4);
    match guest.slice("fd_read", &[0, list, 1, count]) {
        Ok(()) => guest.u32(count) == 1,
        Err(CallError::Again) => false,
        result => panic!("{result:?}"),
    }
}

/// Takes a byte without waiting.
fn stealing(mut file: File) -> impl FnMut() -> bool {
    move || file.read(&mut [0]).is_ok_and(|count| count == 1)
}

fn compete_for_a_fifo(is_locked: bool, rounds: u32) {
    let files = Guest::new();
    let mut both = fifo(&files, "outside/fifo");
    let stdin = lent(&files, "outside/fifo", false);
    let thief = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(files.temp.path("outside/fifo"))
        .unwrap();
    if is_locked {
        lock(&stdin);
    }
    let guest = Setup { stdin: Some(stdin), ..Setup::default() }.guest();
    let flags = status_flags(guest.lent(0));
    // Who cannot open the pipe anew is safe from other threads of the guest only.
    let steal = stealing(thief);
    let steal: Box<dyn FnMut() -> bool + Send> =
        if is_locked { Box::new(|| false) } else { Box::new(steal) };
    let watched = guest.thread();
    compete(&guest, read_one, rounds, move || both.write_all(b"x").unwrap(), steal);
    assert_eq!(status_flags(watched.lent(0)), flags, "the host's descriptor is as it was");
}

#[test]
fn readers_of_a_named_pipe_do_not_wait_for_what_another_took() {
    compete_for_a_fifo(false, 2000);
}

#[test]
fn nor_do_those_that_may_not_open_it_anew() {
    without_privileges(|| compete_for_a_fifo(true, 2000));
}

#[test]
fn readers_of_a_terminal_do_not_wait_for_what_another_took() {
    let (program, mut person) = terminal();
    let guest = Setup { stdin: Some(program), ..Setup::default() }.guest();
    let path = rustix::termios::ttyname(guest.lent(0), Vec::new()).unwrap();
    let thief = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path.to_str().unwrap())
        .unwrap();
    compete(&guest, read_one, 1000, move || person.write_all(b"x").unwrap(), stealing(thief));
}

#[test]
fn threads_that_accept_do_not_wait_for_a_connection_that_another_took() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let guest = Setup { stdin: Some(listener.into()), ..Setup::default() }.guest();
    let watched = guest.thread();
    let flags = status_flags(watched.lent(0));
    let accept = |guest: &mut Guest| {
        guest.fresh();
        let at = guest.room(4);
        match guest.slice("sock_accept", &[0, 0, at]) {
            Ok(()) => guest.close(guest.u32(at)).is_ok(),
            Err(CallError::Again) => false,
            result => panic!("{result:?}"),
        }
    };
    compete(&guest, accept, 1000, || drop(TcpStream::connect(address).unwrap()), || false);
    assert_eq!(status_flags(watched.lent(0)), flags, "the host's listener is as it was");
}

#[test]
fn a_write_to_a_terminal_that_nobody_reads_is_made_of_slices() {
    let (program, mut person) = terminal();
    let guest = Setup { stdout: Some(program), ..Setup::default() }.guest();
    let (mut guest, result) = returns("a write to a terminal", move || write_slice(guest, 1 << 20));
    assert_eq!(result, Err(CallError::Again));
    guest.set_flags(1, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.write(1, &[b"more"]), fails(Errno::Again));
    // As soon as somebody reads, it goes on.
    let reader = thread::spawn(move || person.read(&mut [0; 1 << 14]).map(|_| person));
    guest.set_flags(1, Fdflags::empty()).unwrap();
    assert_eq!(returns("a write to a terminal", move || guest.write(1, &[b"more"])), Ok(4));
    drop(reader.join().unwrap().unwrap());
}

#[test]
fn nor_does_one_wait_that_may_not_open_the_terminal_anew() {
    without_privileges(|| {
        let (program, _person) = terminal();
        lock(&program);
        let guest = Setup { stdout: Some(program), ..Setup::default() }.guest();
        let (_guest, result) =
            returns("a write to a terminal", move || write_slice(guest, 1 << 20));
        assert_eq!(result, Err(CallError::Again));
    });
}

#[test]
fn a_write_to_a_named_pipe_that_nobody_reads_is_made_of_slices() {
    for is_locked in [false, true] {
        without_privileges(|| {
            let files = Guest::new();
            let mut both = fifo(&files, "outside/fifo");
            let stdout = lent(&files, "outside/fifo", true);
            if is_locked {
                lock(&stdout);
            }
            let guest = Setup { stdout: Some(stdout), ..Setup::default() }.guest();
            let (mut guest, result) =
                returns("a write to a pipe", move || write_slice(guest, 1 << 20));
            assert_eq!(result, Err(CallError::Again), "locked: {is_locked}");
            guest.set_flags(1, Fdflags::NONBLOCK).unwrap();
            let full = returns("a write to a pipe", move || (guest.write(1, &[b"x"]), guest));
            assert_eq!(full.0, fails(Errno::Again), "locked: {is_locked}");
            both.read_exact(&mut [0; 8192]).unwrap();
            let mut guest = full.1;
            assert_eq!(guest.write(1, &[b"more"]), Ok(4), "locked: {is_locked}");
        });
    }
}

#[test]
fn whoever_reads_sees_the_end_when_the_host_has_closed() {
    let files = Guest::new();
    // A named pipe: the guest is in the middle of a write when the host closes.
    files.temp.fifo("outside/fifo");
    let mut reader = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(files.temp.path("outside/fifo"))
        .unwrap();
    let writer = lent(&files, "outside/fifo", true);
    // Numbers that no other test's descriptors get.
    let lent = rustix::io::fcntl_dupfd_cloexec(&writer, 910).unwrap();
    drop(writer);
    let guest = guest_of(&lent, 1);
    let (guest, result) = write_slice(guest, 1 << 20);
    assert_eq!(result, Err(CallError::Again));
    drop(lent);
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("the end, and not that there may be more");
    assert!(all.len() >= 4096);
    drop((guest, reader));

    // A terminal.
    let (program, mut person) = terminal();
    let lent = rustix::io::fcntl_dupfd_cloexec(&program, 920).unwrap();
    drop(program);
    let guest = guest_of(&lent, 1);
    let (guest, result) = write_slice(guest, 1 << 20);
    assert_eq!(result, Err(CallError::Again));
    drop(lent);
    let end = returns("a read of a terminal", move || {
        let mut room = [0; 1 << 14];
        loop {
            match person.read(&mut room) {
                Ok(count) if count > 0 => {}
                end => return end.map_err(|error| error.raw_os_error()),
            }
        }
    });
    assert!([Ok(0), Err(Some(libc::EIO))].contains(&end), "{end:?}");
    drop(guest);

    // And whoever writes learns that nobody reads.
    let writer =
        OpenOptions::new().read(true).write(true).open(files.temp.path("outside/fifo")).unwrap();
    let reader = File::from(self::lent(&files, "outside/fifo", false));
    let lent = rustix::io::fcntl_dupfd_cloexec(&reader, 930).unwrap();
    drop(reader);
    let mut writing = File::from(self::lent(&files, "outside/fifo", true));
    drop(writer);
    let mut guest = guest_of(&lent, 0);
    assert!(!read_one(&mut guest));
    drop(lent);
    assert_eq!(
        writing.write(b"x").map_err(|error| error.kind()),
        Err(std::io::ErrorKind::BrokenPipe)
    );
}

/// A guest that has a descriptor as one of its streams, without keeping it open.
fn guest_of(fd: &OwnedFd, number: u32) -> Guest {
    use std::os::fd::AsRawFd;
    use wasi_rs_core::descriptor::{Descriptor, Role};
    let guest = Setup::default().guest();
    guest.ctx.table.remove(number).unwrap();
    let stdio = wasi_rs_core::host::stdio(fd.as_raw_fd()).unwrap();
    let role = if number == 0 { Role::Input } else { Role::Output };
    assert_eq!(guest.ctx.table.insert(Descriptor::standard(stdio, role)), Ok(number));
    guest
}

#[test]
fn what_is_opened_anew_can_do_no_more_than_what_was_lent() {
    let files = Guest::new();
    let mut both = fifo(&files, "outside/fifo");
    both.write_all(b"secret").unwrap();
    let setup = Setup {
        stdin: Some(lent(&files, "outside/fifo", true)),
        stdout: Some(lent(&files, "outside/fifo", false)),
        whole: true,
        ..Setup::default()
    };
    let mut guest = setup.guest();
    assert_eq!(guest.read(0, &[9]), fails(Errno::Badf));
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Badf));
    assert_eq!(guest.read(1, &[9]), Ok(b"secret".to_vec()));
}

#[test]
fn a_pipe_whose_reader_is_gone_breaks() {
    let files = Guest::new();
    let both = fifo(&files, "outside/fifo");
    let stdout = lent(&files, "outside/fifo", true);
    let mut guest = Setup { stdout: Some(stdout), ..Setup::default() }.guest();
    assert_eq!(guest.write(1, &[b"x"]), Ok(1));
    drop(both);
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Pipe));
}

/// For writing, as a C library asks for it.
fn writing() -> Open {
    Open::default().base(Rights::FD_WRITE | Rights::POLL_FD_READWRITE | Rights::FD_FDSTAT_SET_FLAGS)
}

/// The arguments of a `path_open` of `box/pipe` for writing, and where the number goes.
fn open_arguments(guest: &mut Guest, oflags: Oflags) -> [u64; 9] {
    guest.fresh();
    let (path, at) = (guest.put(b"pipe"), guest.room(4));
    [BOX.into(), 1, path, 4, oflags.bits().into(), writing().base.bits(), 0, 0, at]
}

#[test]
fn opening_a_named_pipe_to_write_waits_for_its_reader_in_slices() {
    for (oflags, by_link) in
        [(Oflags::empty(), false), (Oflags::CREAT | Oflags::TRUNC, false), (Oflags::empty(), true)]
    {
        let mut guest = Guest::new();
        if by_link {
            guest.temp.fifo("box/target");
            guest.temp.symlink("target", "box/pipe");
        } else {
            guest.temp.fifo("box/pipe");
        }
        let args = open_arguments(&mut guest, oflags);
        let before = guest.temp.open_descriptors();
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(guest.slice("path_open", &args), Err(CallError::Again));
            assert!((Duration::from_millis(1)..Duration::from_secs(2)).contains(&start.elapsed()));
        }
        assert_eq!(guest.temp.open_descriptors(), before, "nothing is left behind");
        let path = guest.temp.path("box/pipe");
        let reader = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            std::fs::read_to_string(path).unwrap()
        });
        assert_eq!(guest.call("path_open", &args), Ok(()));
        let fd = guest.u32(args[8]);
        assert_eq!(fd, 4, "waiting takes no numbers");
        assert_eq!(guest.write(fd, &[b"line\n"]), Ok(5));
        guest.close(fd).unwrap();
        assert_eq!(reader.join().unwrap(), "line\n");
    }
}

#[test]
fn only_a_named_pipe_has_a_reader_to_wait_for() {
    let mut guest = Guest::new();
    let _listener = std::os::unix::net::UnixListener::bind(guest.temp.path("box/socket")).unwrap();
    assert_eq!(guest.open(BOX, "socket", writing()), fails(Errno::Nxio));
    guest.temp.fifo("box/pipe");
    assert_eq!(guest.open(BOX, "pipe", writing().flags(Fdflags::NONBLOCK)), fails(Errno::Nxio));
    // Who also reads is its own other end, and who reads waits when it does.
    assert!(guest.open(BOX, "pipe", writing().base(Rights::FD_READ | Rights::FD_WRITE)).is_ok());
    assert!(guest.open(BOX, "pipe", Open::reading()).is_ok());
}

#[test]
fn a_pipe_that_does_not_wait_is_used_as_it_is() {
    let files = Guest::new();
    let mut both = fifo(&files, "outside/fifo");
    let stdin: Lent = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(files.temp.path("outside/fifo"))
        .unwrap()
        .into();
    let mut guest = Setup { stdin: Some(stdin), ..Setup::default() }.guest();
    assert!(!read_one(&mut guest));
    both.write_all(b"x").unwrap();
    assert!(read_one(&mut guest));
    assert!(status_flags(guest.lent(0)) & u64::from(OFlags::NONBLOCK.bits()) != 0);
}
