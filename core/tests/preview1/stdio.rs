//! Stdio, which is borrowed, and pipes, terminals and other streams.

#[cfg(unix)]
use crate::support::BOX;
use crate::support::host::{look_at, open_directory, set_nonblocking, status_flags};
use crate::support::{Guest, Open, Setup, fails};
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Seek, Write, pipe};
use std::thread;
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Fdflags, Rights};
#[cfg(unix)]
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::preview1::CallError;

/// A guest with a pipe as its stdin and one as its stdout, and their other ends.
fn with_pipes() -> (Guest, PipeWriter, PipeReader) {
    let ((stdin, writer), (reader, stdout)) = (pipe().unwrap(), pipe().unwrap());
    let setup = Setup {
        stdin: Some(stdin.into()),
        stdout: Some(stdout.into()),
        preopens: &[("box", "box")],
        ..Setup::default()
    };
    (setup.guest(), writer, reader)
}

#[test]
fn closing_stdio_closes_nothing_of_the_hosts() {
    let (reader, stdout) = pipe().unwrap();
    let mut same = look_at(&stdout);
    let mut guest = Setup { stdout: Some(stdout.into()), ..Setup::default() }.guest();
    for fd in [0, 1, 2] {
        assert_eq!(guest.close(fd), Ok(()));
    }
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Badf));
    guest.ctx.table.close();
    same.write_all(b"alive").unwrap();
    drop(guest);
    assert_eq!(std::io::read_to_string(reader).unwrap(), "alive");
}

#[cfg(unix)]
#[test]
fn renumbering_onto_stdio_closes_nothing_of_the_hosts() {
    let (mut guest, _writer, mut reader) = with_pipes();
    guest.temp.write("box/file", "");
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    let stdout = guest.ctx.table.get_arc(1).unwrap();
    assert_eq!(guest.renumber(fd, 1), Ok(()));
    assert_eq!(guest.write(1, &[b"into the file"]), Ok(13));
    assert_eq!(guest.temp.read("box/file"), b"into the file");
    assert_eq!(guest.fdstat(1).unwrap().filetype, 4);
    // The host's stdout is as open as it was.
    guest
        .ctx
        .table
        .insert(Descriptor::given(
            wasi_rs_core::host::Opened::File(clone_of(&stdout)),
            Fdflags::empty(),
        ))
        .unwrap();
    assert_eq!(guest.write(fd, &[b"into the pipe"]), Ok(13));
    let mut bytes = [0; 13];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"into the pipe");
    // And the other way round.
    assert_eq!(guest.renumber(0, 2), Ok(()));
    assert_eq!(guest.fdstat(0), fails(Errno::Badf));
}

/// A second borrow of what a descriptor borrows.
#[cfg(unix)]
fn clone_of(descriptor: &Descriptor) -> Box<dyn wasi_rs_core::host::File> {
    use std::os::fd::AsRawFd;
    let wasi_rs_core::host::Opened::File(file) = descriptor.object() else { panic!("a file") };
    let wasi_rs_core::host::Source::Host(handle) = file.source() else { panic!("a stream") };
    match wasi_rs_core::host::stdio(handle.as_raw_fd()).unwrap().object {
        wasi_rs_core::host::Opened::File(file) => file,
        wasi_rs_core::host::Opened::Directory(_) => panic!("a file"),
    }
}

#[test]
fn the_flags_of_stdio_are_the_guests_alone() {
    let (reader, stdout) = pipe().unwrap();
    let host = stdout.try_clone().unwrap();
    let mut guest = Setup { stdout: Some(stdout.into()), ..Setup::default() }.guest();
    let before = status_flags(&host);
    for flags in
        [Fdflags::NONBLOCK, Fdflags::APPEND, Fdflags::NONBLOCK | Fdflags::APPEND, Fdflags::empty()]
    {
        let result = guest.set_flags(1, flags);
        if result == Ok(()) {
            assert_eq!(guest.fdstat(1).unwrap().flags, flags.bits());
        } else {
            assert_eq!(result, fails(Errno::Notsup));
        }
        assert_eq!(status_flags(&host), before);
        assert_eq!(guest.write(1, &[b"."]), Ok(1));
    }
    drop((guest, host));
    assert_eq!(std::io::read_to_string(reader).unwrap(), "....");
}

#[test]
fn that_the_hosts_descriptor_does_not_block_is_not_the_guests_affair() {
    let (stdin, _writer) = pipe().unwrap();
    set_nonblocking(&stdin);
    let mut guest = Setup { stdin: Some(stdin.into()), ..Setup::default() }.guest();
    assert_eq!(guest.fdstat(0).unwrap().flags, 0);
    guest.fresh();
    let (list, _) = guest.vectors(&[b"....."]);
    let count = guest.room(4);
    assert_eq!(
        guest.slice("fd_read", &[0, list, 1, count]),
        Err(CallError::Again),
        "it waits all the same"
    );
}

#[test]
fn a_slow_reader_gets_all_of_one_write() {
    for nonblocking in [true, false] {
        let (mut reader, stdout) = pipe().unwrap();
        if nonblocking {
            set_nonblocking(&stdout);
        }
        let mut guest = Setup { stdout: Some(stdout.into()), ..Setup::default() }.guest();
        guest.memory.resize(1024 * 1024, 0);
        let bytes: Vec<u8> = (0..600_000_u32).map(|index| ((index * 31) >> 3) as u8).collect();
        let slow = thread::spawn(move || {
            let mut all: Vec<u8> = Vec::new();
            let mut chunk = vec![0; 30_000];
            loop {
                thread::sleep(Duration::from_millis(5));
                match reader.read(&mut chunk).unwrap() {
                    0 => return all,
                    count => all.extend(&chunk[..count]),
                }
            }
        });
        assert_eq!(
            guest.write(1, &[&bytes[..1], &bytes[1..200_001], b"", &bytes[200_001..]]),
            Ok(600_000)
        );
        drop(guest);
        assert_eq!(
            slow.join().unwrap(),
            bytes,
            "with a host's descriptor that is nonblocking: {nonblocking}"
        );
    }
}

#[test]
fn a_full_pipe_gives_again_where_the_guest_asked_for_it() {
    let (mut guest, _writer, mut reader) = with_pipes();
    guest.memory.resize(512 * 1024, 0);
    assert_eq!(guest.set_flags(1, Fdflags::NONBLOCK), Ok(()));
    let bytes = vec![b'x'; 200_000];
    let mut total = 0;
    let full = loop {
        match guest.write(1, &[&bytes]) {
            Ok(count) => {
                assert!(count > 0 && count < 200_000, "a short write");
                total += count as usize;
            }
            full => break full,
        }
        assert!(total < 10_000_000);
    };
    assert_eq!(full, fails(Errno::Again));
    let mut room = vec![0; total];
    reader.read_exact(&mut room).unwrap();
    assert_eq!(guest.write(1, &[b"more"]), Ok(4));
}

#[test]
fn an_empty_pipe_gives_again_where_the_guest_asked_for_it() {
    let (mut guest, mut writer, _reader) = with_pipes();
    guest.set_flags(0, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.read(0, &[5]), fails(Errno::Again));
    writer.write_all(b"hello").unwrap();
    assert_eq!(guest.read(0, &[3]), Ok(b"hel".to_vec()));
    assert_eq!(guest.read(0, &[3]), Ok(b"lo".to_vec()));
    assert_eq!(guest.read(0, &[3]), fails(Errno::Again));
    drop(writer);
    assert_eq!(guest.read(0, &[3]), Ok(Vec::new()), "the end");
}

#[test]
fn a_read_waits_in_slices_for_data_and_takes_what_there_is() {
    let (mut guest, mut writer, _reader) = with_pipes();
    guest.fresh();
    let (list, buffers) = guest.vectors(&[b".....", b"....."]);
    let count = guest.room(4);
    let args = [0, list, 2, count];
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(guest.slice("fd_read", &args), Err(CallError::Again));
        let waited = start.elapsed();
        assert!(
            waited >= Duration::from_millis(20) && waited < Duration::from_secs(2),
            "{waited:?}"
        );
    }
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        writer.write_all(b"1234567").unwrap();
        writer
    });
    assert_eq!(guest.call("fd_read", &args), Ok(()));
    assert_eq!(
        (guest.u32(count), guest.bytes(buffers[0], 5), guest.bytes(buffers[1], 5)),
        (7, &b"12345"[..], &b"67..."[..])
    );
    drop(late.join().unwrap());
    assert_eq!(guest.read(0, &[5]), Ok(Vec::new()));
}

#[test]
fn an_empty_read_or_write_of_a_stream_does_not_wait() {
    let (mut guest, _writer, _reader) = with_pipes();
    assert_eq!(guest.read(0, &[]), Ok(Vec::new()));
    assert_eq!(guest.read(0, &[0, 0]), Ok(Vec::new()));
    assert_eq!(guest.write(1, &[]), Ok(0));
    assert_eq!(guest.write(1, &[b""]), Ok(0));
}

#[test]
fn a_write_that_nobody_reads_fails_and_kills_nobody() {
    let (mut guest, _writer, reader) = with_pipes();
    drop(reader);
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Pipe));
    guest.set_flags(1, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Pipe));
}

#[test]
fn a_write_whose_reader_goes_away_tells_how_much_was_taken() {
    let (mut guest, _writer, mut reader) = with_pipes();
    guest.memory.resize(512 * 1024, 0);
    let gone = thread::spawn(move || {
        let mut chunk = vec![0; 1000];
        reader.read_exact(&mut chunk).unwrap();
        thread::sleep(Duration::from_millis(80));
    });
    let count = guest.write(1, &[&vec![1; 300_000]]).unwrap();
    assert!((1000..300_000).contains(&count), "{count}");
    gone.join().unwrap();
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Pipe));
}

#[test]
fn a_pipe_cannot_seek_and_has_no_size() {
    let (mut guest, _writer, _reader) = with_pipes();
    for fd in [0, 1] {
        let stat = guest.fdstat(fd).unwrap();
        assert_eq!((stat.filetype, stat.flags), (6, 0));
        assert!(!stat.base.intersects(Rights::FD_SEEK | Rights::FD_TELL));
        assert_eq!(guest.filestat(fd).unwrap().filetype, 6);
        for refused in [
            guest.seek(fd, 0, 0).map(drop),
            guest.tell(fd).map(drop),
            guest.pread(fd, &[1], 0).map(drop),
            guest.pwrite(fd, &[b"x"], 0).map(drop),
            guest.set_size(fd, 0),
            guest.allocate(fd, 0, 1),
            guest.advise(fd, 0, 1, 0),
            guest.sync(fd),
            guest.datasync(fd),
            guest.readdir(fd, 100, 0).map(drop),
            guest.open(fd, "x", Open::default()).map(drop),
        ] {
            assert_eq!(refused, fails(Errno::Notcapable));
        }
    }
}

#[test]
fn a_pipes_ends_are_good_for_one_thing_each() {
    let (mut guest, _writer, _reader) = with_pipes();
    assert_eq!(guest.write(0, &[b"x"]), fails(Errno::Notcapable));
    assert_eq!(guest.read(1, &[1]), fails(Errno::Notcapable));
    // Nor does any right make up for what the host's descriptor cannot do.
    let (reader, writer) = pipe().unwrap();
    let mut guest = Setup {
        stdin: Some(writer.into()),
        stdout: Some(reader.into()),
        whole: true,
        ..Setup::default()
    }
    .guest();
    assert_eq!(guest.read(0, &[1]), fails(Errno::Badf));
    assert_eq!(guest.write(1, &[b"x"]), fails(Errno::Badf));
}

/// The descriptors of the host that a guest may get as a stream, open for both.
#[cfg(unix)]
fn lendable(files: &Guest) -> Vec<(&'static str, std::os::fd::OwnedFd)> {
    files.temp.write("outside/log", "before the guest");
    files.temp.fifo("outside/fifo");
    let both = |path: &str| OpenOptions::new().read(true).write(true).open(path).unwrap().into();
    let below = |path: &str| both(files.temp.path(path).to_str().unwrap());
    let (socket, peer) = crate::support::host::stream_pair();
    // So that it stays connected.
    std::mem::forget(peer);
    let (program, person) = terminal();
    std::mem::forget(person);
    vec![
        ("file", below("outside/log")),
        ("fifo", below("outside/fifo")),
        ("socket", socket.into()),
        ("terminal", program),
        ("device", both("/dev/null")),
    ]
}

/// Whether a call was refused because it is not what the stream is for.
#[cfg(unix)]
#[allow(clippy::needless_pass_by_value, reason = "shorter where it is used")]
fn refused<T>(result: Result<T, CallError>) -> bool {
    matches!(result, Err(CallError::Errno(Errno::Notcapable | Errno::Notsock)))
}

#[cfg(unix)]
#[test]
fn an_output_is_written_and_nothing_else() {
    let files = Guest::new();
    for (kind, fd) in lendable(&files) {
        let stdout = fd.try_clone().unwrap();
        let before = rustix::fs::fstat(&fd).unwrap();
        let mut guest =
            Setup { stdout: Some(stdout), stderr: Some(fd), ..Setup::default() }.guest();
        for fd in [1, 2] {
            let rights = guest.fdstat(fd).unwrap();
            let mut wanted = Rights::FD_WRITE
                | Rights::FD_FILESTAT_GET
                | Rights::POLL_FD_READWRITE
                | Rights::FD_FDSTAT_SET_FLAGS;
            match kind {
                "file" | "device" => {
                    wanted |= Rights::FD_TELL | Rights::FD_SYNC | Rights::FD_DATASYNC;
                }
                _ => {}
            }
            assert_eq!((rights.base, rights.inheriting), (wanted, Rights::empty()), "{kind}");
            assert!(refused(guest.read(fd, &[9])), "{kind}");
            assert!(refused(guest.pread(fd, &[9], 0)), "{kind}");
            assert!(refused(guest.pwrite(fd, &[b"x"], 0)), "{kind}");
            assert!(refused(guest.recv(fd, &[9], 0)), "{kind}");
            assert!(refused(guest.seek(fd, 0, 0)), "{kind}");
            assert!(refused(guest.seek(fd, 1, 1)), "{kind}");
            assert!(refused(guest.seek(fd, 0, 2)), "{kind}");
            assert!(refused(guest.set_size(fd, 0)), "{kind}");
            assert!(refused(guest.allocate(fd, 0, 100)), "{kind}");
            assert!(refused(guest.set_times(fd, 1, 2, 5)), "{kind}");
            assert!(refused(guest.advise(fd, 0, 1, 0)), "{kind}");
            assert!(refused(guest.shutdown(fd, 3)), "{kind}");
            assert!(refused(guest.accept(fd, Fdflags::empty())), "{kind}");
            assert!(refused(guest.open(fd, "file", Open::reading())), "{kind}");
            assert!(refused(guest.readdir(fd, 100, 0)), "{kind}");
            assert!(refused(guest.poll(&[crate::support::Subscribe::Read(fd)])), "{kind}");
            assert!(guest.filestat(fd).is_ok(), "{kind}");
            assert_eq!(
                guest.poll(&[crate::support::Subscribe::Write(fd)]).unwrap().len(),
                1,
                "{kind}"
            );
            assert_eq!(guest.set_flags(fd, Fdflags::NONBLOCK), Ok(()), "{kind}");
            if kind == "file" {
                assert_eq!(guest.tell(fd), Ok(0));
                assert_eq!(guest.seek(fd, 0, 1), Ok(0), "as a C library tells");
                let now = rustix::fs::fstat(guest.lent(fd)).unwrap();
                assert_eq!(
                    (now.st_size, now.st_mtime, now.st_mtime_nsec),
                    (before.st_size, before.st_mtime, before.st_mtime_nsec)
                );
            } else if kind == "device" {
                assert!(guest.tell(fd).is_ok());
            } else {
                assert!(refused(guest.tell(fd)), "{kind}");
            }
        }
        assert_eq!(guest.write(1, &[b"guest "]), Ok(6), "{kind}");
        if kind == "file" {
            assert_eq!(guest.tell(1), Ok(6));
            assert_eq!(guest.sync(1), Ok(()));
        }
    }
    assert_eq!(files.temp.read("outside/log"), b"guest  the guest");
}

#[cfg(unix)]
#[test]
fn an_input_is_read_and_nothing_else() {
    let files = Guest::new();
    for (kind, fd) in lendable(&files) {
        let mut guest = Setup { stdin: Some(fd), ..Setup::default() }.guest();
        let rights = guest.fdstat(0).unwrap();
        let mut wanted = Rights::FD_READ
            | Rights::FD_FILESTAT_GET
            | Rights::POLL_FD_READWRITE
            | Rights::FD_FDSTAT_SET_FLAGS;
        let mut inheriting = Rights::empty();
        match kind {
            "file" | "device" => wanted |= Rights::FD_TELL,
            "socket" => {
                wanted |= Rights::SOCK_SHUTDOWN | Rights::SOCK_ACCEPT;
                inheriting = Rights::all();
            }
            _ => {}
        }
        assert_eq!((rights.base, rights.inheriting), (wanted, inheriting), "{kind}");
        assert!(refused(guest.write(0, &[b"x"])), "{kind}");
        assert!(refused(guest.send(0, &[b"x"], 0)), "{kind}");
        assert!(refused(guest.pread(0, &[9], 0)), "{kind}");
        assert!(refused(guest.pwrite(0, &[b"x"], 0)), "{kind}");
        assert!(refused(guest.seek(0, 0, 0)), "{kind}");
        assert!(refused(guest.seek(0, -1, 2)), "{kind}");
        assert!(refused(guest.set_size(0, 0)), "{kind}");
        assert!(refused(guest.allocate(0, 0, 100)), "{kind}");
        assert!(refused(guest.set_times(0, 1, 2, 5)), "{kind}");
        assert!(refused(guest.sync(0)), "{kind}");
        assert!(refused(guest.datasync(0)), "{kind}");
        assert!(refused(guest.open(0, "file", Open::reading())), "{kind}");
        assert!(refused(guest.poll(&[crate::support::Subscribe::Write(0)])), "{kind}");
        assert!(guest.filestat(0).is_ok(), "{kind}");
        if kind == "file" {
            assert_eq!(guest.read(0, &[6]), Ok(b"before".to_vec()));
            assert_eq!(guest.tell(0), Ok(6));
        }
    }
    assert_eq!(files.temp.read("outside/log"), b"before the guest");
}

#[cfg(unix)]
#[test]
fn a_stream_can_do_no_more_than_the_hosts_descriptor() {
    let files = Guest::new();
    files.temp.write("outside/log", "text");
    let path = files.temp.path("outside/log");
    let read = || Some(File::open(&path).unwrap().into());
    let write = || Some(OpenOptions::new().write(true).open(&path).unwrap().into());
    let mut guest = Setup { stdin: write(), stdout: read(), ..Setup::default() }.guest();
    for fd in [0, 1] {
        assert!(!guest.fdstat(fd).unwrap().base.intersects(Rights::FD_READ | Rights::FD_WRITE));
        assert!(refused(guest.read(fd, &[4])));
        assert!(refused(guest.write(fd, &[b"x"])));
        assert!(guest.tell(fd).is_ok());
    }
    // One that is good for nothing but paths.
    #[cfg(target_os = "linux")]
    {
        let nothing =
            rustix::fs::open(&path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let mut guest = Setup {
            stdin: Some(nothing.try_clone().unwrap()),
            stdout: Some(nothing),
            ..Setup::default()
        }
        .guest();
        assert!(refused(guest.read(0, &[4])));
        assert!(refused(guest.write(1, &[b"x"])));
    }
    assert_eq!(files.temp.read("outside/log"), b"text");
}

#[test]
fn a_socket_as_stdin_accepts_what_reads_and_writes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Setup { stdin: Some(listener.into()), ..Setup::default() }.guest();
    let mut peer = std::net::TcpStream::connect(address).unwrap();
    let fd = guest.accept(0, Fdflags::empty()).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().base, Rights::SOCKET);
    peer.write_all(b"to guest").unwrap();
    assert_eq!(guest.read(fd, &[8]), Ok(b"to guest".to_vec()));
    assert_eq!(guest.send(fd, &[b"to peer"], 0), Ok(7));
    let mut bytes = [0; 7];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"to peer");
    // One that is connected is read and shut down.
    let (socket, mut peer) = crate::support::host::stream_pair();
    let mut guest = Setup { stdin: Some(socket.into()), ..Setup::default() }.guest();
    peer.write_all(b"hello").unwrap();
    assert_eq!(guest.recv(0, &[2], 0), Ok((b"he".to_vec(), 0)));
    assert_eq!(guest.read(0, &[9]), Ok(b"llo".to_vec()));
    assert_eq!(guest.shutdown(0, 3), Ok(()));
    assert_eq!(peer.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn a_regular_file_as_stdio_shares_its_offset_with_the_host() {
    let guest = Guest::new();
    guest.temp.write("outside/input", "0123456789");
    let mut host = OpenOptions::new().read(true).open(guest.temp.path("outside/input")).unwrap();
    let mut guest =
        Setup { stdin: Some(host.try_clone().unwrap().into()), ..Setup::default() }.guest();
    assert_eq!(guest.read(0, &[2, 2]), Ok(b"0123".to_vec()));
    assert_eq!(host.stream_position().unwrap(), 4);
    host.seek(std::io::SeekFrom::Start(7)).unwrap();
    assert_eq!(guest.tell(0), Ok(7));
    assert_eq!(guest.read(0, &[9]), Ok(b"789".to_vec()));
    let mut guest =
        Setup { stdin: Some(host.try_clone().unwrap().into()), whole: true, ..Setup::default() }
            .guest();
    assert_eq!(guest.seek(0, -4, 2), Ok(6));
    assert_eq!(guest.seek(0, -7, 1), fails(Errno::Inval));
    assert_eq!(guest.seek(0, -1, 0), fails(Errno::Inval));
    assert_eq!(guest.pread(0, &[3], 1), Ok(b"123".to_vec()));
    assert_eq!(host.stream_position().unwrap(), 6);
    // The host lent it for reading.
    assert_eq!(guest.write(0, &[b"x"]), fails(Errno::Badf));
    assert_eq!(guest.pwrite(0, &[b"x"], 0), fails(Errno::Badf));
    assert_eq!(guest.set_size(0, 0), fails(Errno::Inval));
}

#[test]
fn a_regular_file_as_stdout_appends_where_the_guest_or_the_host_says_so() {
    let files = Guest::new();
    let path = files.temp.path("outside/output");
    let open = |append: bool| -> File {
        std::fs::write(&path, "0123456789").unwrap();
        let mut options = OpenOptions::new();
        if append {
            options.append(true)
        } else {
            options.write(true)
        };
        options.open(&path).unwrap()
    };
    // The guest says so.
    let fd = open(false);
    let mut host = fd.try_clone().unwrap();
    let before = status_flags(&host);
    let mut guest = Setup { stdout: Some(fd.into()), ..Setup::default() }.guest();
    assert_eq!(guest.write(1, &[b"ab"]), Ok(2));
    assert_eq!(std::fs::read(&path).unwrap(), b"ab23456789");
    if cfg!(any(target_os = "linux", windows)) {
        assert_eq!(guest.set_flags(1, Fdflags::APPEND), Ok(()));
        assert_eq!(guest.write(1, &[b"c", b"d"]), Ok(2));
        assert_eq!(std::fs::read(&path).unwrap(), b"ab23456789cd");
        assert_eq!(guest.tell(1), Ok(12));
        assert_eq!(guest.set_flags(1, Fdflags::empty()), Ok(()));
        host.rewind().unwrap();
        assert_eq!(guest.write(1, &[b"e"]), Ok(1));
        assert_eq!(std::fs::read(&path).unwrap(), b"eb23456789cd");
    }
    assert_eq!(status_flags(&host), before);

    // The host says so: the guest sees it and cannot undo it.
    let mut guest = Setup { stdout: Some(open(true).into()), ..Setup::default() }.guest();
    assert_eq!(guest.fdstat(1).unwrap().flags, 1);
    assert_eq!(guest.write(1, &[b"x"]), Ok(1));
    assert_eq!(guest.set_flags(1, Fdflags::empty()), fails(Errno::Notsup));
    assert_eq!(guest.set_flags(1, Fdflags::APPEND | Fdflags::NONBLOCK), Ok(()));
    assert_eq!(guest.write(1, &[b"y"]), Ok(1));
    assert_eq!(std::fs::read(&path).unwrap(), b"0123456789xy");
}

#[test]
fn a_directory_as_stdin_is_a_directory_and_contains() {
    let files = Guest::new();
    files.temp.write("box/file", "inside");
    let stdin = open_directory(&files.temp.path("box"));
    let mut guest = Setup { stdin: Some(stdin.into()), ..Setup::default() }.guest();
    assert_eq!(guest.fdstat(0).unwrap().filetype, 3);
    assert_eq!(guest.read(0, &[1]), fails(Errno::Isdir));
    assert_eq!(guest.prestat(0), fails(Errno::Badf));
    assert_eq!(guest.open(0, "../outside/secret", Open::reading()), fails(Errno::Notcapable));
    assert!(guest.open(0, "file", Open::reading()).is_ok());
}

#[test]
fn a_directory_as_a_stream_is_read_only() {
    for fd in [0, 1] {
        let files = Guest::new();
        files.temp.write("box/file", "inside");
        let before = files.temp.tree("box");
        let lent = Some(open_directory(&files.temp.path("box")).into());
        let setup = if fd == 0 {
            Setup { stdin: lent, ..Setup::default() }
        } else {
            Setup { stdout: lent, ..Setup::default() }
        };
        let mut guest = setup.guest();
        let reading = guest.open(fd, "file", Open::reading()).unwrap();
        assert_eq!(guest.read(reading, &[9]), Ok(b"inside".to_vec()));
        for refused in [
            guest.open(fd, "file", Open::default().base(Rights::FD_WRITE)).map(drop),
            guest.open(fd, "new", Open::creating()).map(drop),
            guest.mkdir(fd, "new"),
            guest.unlink(fd, "file"),
            guest.rename(fd, "file", fd, "new"),
            guest.symlink("file", fd, "new"),
            guest.path_set_times(fd, "file", false, 1, 2, 5),
        ] {
            assert!(
                [fails(Errno::Notcapable), fails(Errno::Rofs)].contains(&refused),
                "{refused:?}"
            );
        }
        assert_eq!(files.temp.tree("box"), before);
    }
}

#[cfg(unix)]
#[test]
fn what_the_host_has_closed_is_not_open() {
    let (reader, _writer) = pipe().unwrap();
    // A number that no other test's descriptor gets.
    let copy = rustix::io::fcntl_dupfd_cloexec(&reader, 900).unwrap();
    let guest = Setup::default().guest();
    let lent = wasi_rs_core::host::stdio(std::os::fd::AsRawFd::as_raw_fd(&copy)).unwrap();
    let fd = guest.ctx.table.insert(Descriptor::given(lent.object, lent.flags)).unwrap();
    let mut guest = guest;
    assert!(guest.fdstat(fd).is_ok());
    drop(copy);
    assert_eq!(guest.fdstat(fd), fails(Errno::Badf));
    assert_eq!(guest.read(fd, &[1]), fails(Errno::Badf));
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Badf));
    assert_eq!(guest.filestat(fd), fails(Errno::Badf));
    assert_eq!(guest.close(fd), Ok(()), "the guest's number can be closed");
}

#[test]
fn stdio_that_is_not_open_cannot_be_lent() {
    let error = wasi_rs_core::host::stdio(1_000_000).map(drop).unwrap_err();
    assert_eq!(wasi_rs_core::host::from_io(&error), Errno::Badf);
}

/// A new terminal: the end of the program and that of the person.
#[cfg(unix)]
#[allow(unsafe_code, reason = "a call of the C library")]
pub fn terminal() -> (std::os::fd::OwnedFd, File) {
    use std::os::fd::{FromRawFd, OwnedFd};
    let (mut person, mut program) = (-1, -1);
    // SAFETY: the pointers are to locals, or null where that is allowed.
    let result = unsafe {
        libc::openpty(
            &raw mut person,
            &raw mut program,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(result, 0);
    // SAFETY: both were just opened and belong to nobody else.
    unsafe { (OwnedFd::from_raw_fd(program), File::from_raw_fd(person)) }
}

#[cfg(unix)]
#[test]
fn a_terminal_is_one_to_the_guest() {
    let (program, mut person) = terminal();
    let mut guest = Setup {
        stdin: Some(program.try_clone().unwrap()),
        stdout: Some(program),
        ..Setup::default()
    }
    .guest();
    for fd in [0, 1] {
        let stat = guest.fdstat(fd).unwrap();
        assert_eq!(stat.filetype, 2);
        assert!(
            !stat.base.intersects(Rights::FD_SEEK | Rights::FD_TELL),
            "as the C library tells a terminal"
        );
    }
    assert_eq!(guest.write(1, &[b"hello", b"!"]), Ok(6));
    let mut seen = [0; 6];
    person.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"hello!");
    guest.set_flags(0, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.read(0, &[10]), fails(Errno::Again));
    guest.set_flags(0, Fdflags::empty()).unwrap();
    person.write_all(b"a line\n").unwrap();
    assert_eq!(guest.read(0, &[100]), Ok(b"a line\n".to_vec()));
    drop(person);
    assert!([Ok(Vec::new()), fails(Errno::Io)].contains(&guest.read(0, &[10])));
}

#[cfg(unix)]
const READ: Rights =
    Rights::FD_READ.union(Rights::POLL_FD_READWRITE).union(Rights::FD_FDSTAT_SET_FLAGS);
#[cfg(unix)]
const WRITE: Rights =
    Rights::FD_WRITE.union(Rights::POLL_FD_READWRITE).union(Rights::FD_FDSTAT_SET_FLAGS);

#[cfg(unix)]
#[test]
fn opening_a_fifo_that_is_not_to_block_does_not_wait_for_its_other_end() {
    let mut guest = Guest::new();
    guest.temp.fifo("box/fifo");
    let start = Instant::now();
    let nonblocking = Open::default().base(WRITE).flags(Fdflags::NONBLOCK);
    assert_eq!(guest.open(BOX, "fifo", nonblocking), fails(Errno::Nxio), "nobody reads");
    let reader = guest.open(BOX, "fifo", Open::default().base(READ)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(guest.fdstat(reader).unwrap().filetype, 6);
    let writer = guest.open(BOX, "fifo", Open::default().base(WRITE)).unwrap();
    assert_eq!(guest.write(writer, &[b"hello"]), Ok(5));
    assert_eq!(guest.read(reader, &[9]), Ok(b"hello".to_vec()));
    guest.close(writer).unwrap();
    assert_eq!(guest.read(reader, &[9]), Ok(Vec::new()), "the end");
}

#[cfg(unix)]
#[test]
fn a_fifo_waits_for_its_first_writer() {
    let mut guest = Guest::new();
    guest.temp.fifo("box/fifo");
    let reader =
        guest.open(BOX, "fifo", Open::default().base(READ).flags(Fdflags::NONBLOCK)).unwrap();
    assert_eq!(guest.read(reader, &[9]), fails(Errno::Again));
    guest.set_flags(reader, Fdflags::empty()).unwrap();
    let path = guest.temp.path("box/fifo");
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(120));
        std::fs::write(path, "late").unwrap();
    });
    assert_eq!(guest.read(reader, &[9]), Ok(b"late".to_vec()));
    late.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_fifo_opened_for_both_is_its_own_other_end() {
    let mut guest = Guest::new();
    guest.temp.fifo("box/fifo");
    let fd = guest.open(BOX, "fifo", Open::default().base(READ | WRITE)).unwrap();
    guest.memory.resize(512 * 1024, 0);
    guest.set_flags(fd, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.read(fd, &[9]), fails(Errno::Again));
    let count = guest.write(fd, &[&vec![7; 300_000]]).unwrap();
    assert!(count > 0 && count < 300_000);
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Again));
    assert_eq!(guest.read(fd, &[300_000]).map(|bytes| bytes.len()), Ok(count as usize));
}
