//! Sockets.

use crate::support::host::{Lent, Stream, datagram_pair, stream_pair, unconnected};
use crate::support::{ALL, BOX, Guest, Setup, Subscribe, fails};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Fdflags, Rights};
use wasi_rs_core::preview1::CallError;

const PEEK: u32 = 1;
const WAITALL: u32 = 2;
const RD: u32 = 1;
const WR: u32 = 2;

/// A guest that has all rights to a socket, at 0.
fn guest_with(socket: impl Into<Lent>) -> Guest {
    Setup {
        stdin: Some(socket.into()),
        whole: true,
        preopens: &[("box", "box")],
        ..Setup::default()
    }
    .guest()
}

fn pair() -> (Guest, Stream) {
    let (socket, peer) = stream_pair();
    (guest_with(socket), peer)
}

#[test]
fn a_socket_sends_and_receives() {
    let (mut guest, mut peer) = pair();
    assert_eq!(guest.send(0, &[b"to", b"", b" peer"], 0), Ok(7));
    let mut bytes = [0; 7];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"to peer");
    peer.write_all(b"to guest").unwrap();
    assert_eq!(guest.recv(0, &[3, 2], 0), Ok((b"to gu".to_vec(), 0)));
    assert_eq!(guest.recv(0, &[9], 0), Ok((b"est".to_vec(), 0)));
    let stat = guest.fdstat(0).unwrap();
    assert_eq!((stat.filetype, stat.base, stat.inheriting), (6, Rights::SOCKET, ALL));
    drop(peer);
    assert_eq!(guest.recv(0, &[9], 0), Ok((Vec::new(), 0)), "the end");
    if cfg!(unix) {
        // Those of Windows are TCP sockets, of which one learns of it later.
        assert_eq!(guest.send(0, &[b"x"], 0), fails(Errno::Pipe));
        assert_eq!(guest.write(0, &[b"x"]), fails(Errno::Pipe));
    }
}

#[test]
fn reading_and_writing_do_as_well() {
    let (mut guest, mut peer) = pair();
    assert_eq!(guest.write(0, &[b"to", b" peer"]), Ok(7));
    let mut bytes = [0; 7];
    peer.read_exact(&mut bytes).unwrap();
    peer.write_all(b"to guest").unwrap();
    assert_eq!(guest.read(0, &[3, 50]), Ok(b"to guest".to_vec()));
    assert_eq!(guest.read(0, &[]), Ok(Vec::new()));
    assert_eq!(guest.write(0, &[]), Ok(0));
}

#[test]
fn receiving_without_buffers_waits_for_nothing() {
    let (mut guest, mut peer) = pair();
    for flags in [0, PEEK, WAITALL] {
        assert_eq!(guest.recv(0, &[], flags), Ok((Vec::new(), 0)), "{flags}");
    }
    assert_eq!(guest.send(0, &[], 0), Ok(0));
    peer.write_all(b"x").unwrap();
    assert_eq!(guest.recv(0, &[1], 0), Ok((b"x".to_vec(), 0)));
}

#[test]
fn peeking_leaves_what_it_shows() {
    let (mut guest, mut peer) = pair();
    peer.write_all(b"hello").unwrap();
    assert_eq!(guest.recv(0, &[3], PEEK), Ok((b"hel".to_vec(), 0)));
    assert_eq!(guest.recv(0, &[9], PEEK), Ok((b"hello".to_vec(), 0)));
    assert_eq!(guest.recv(0, &[9], 0), Ok((b"hello".to_vec(), 0)));
}

#[test]
fn waiting_for_all_fills_the_buffers_however_the_bytes_arrive() {
    let (mut guest, mut peer) = pair();
    let late = thread::spawn(move || {
        for chunk in [&b"0"[..], b"12", b"345", b"6789", b"the rest"] {
            thread::sleep(Duration::from_millis(70));
            peer.write_all(chunk).unwrap();
        }
        peer
    });
    assert_eq!(guest.recv(0, &[4, 0, 6], WAITALL), Ok((b"0123456789".to_vec(), 0)));
    let peer = late.join().unwrap();
    assert_eq!(guest.recv(0, &[20], 0), Ok((b"the rest".to_vec(), 0)));
    // The end comes first.
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(70));
        (&peer).write_all(b"end").unwrap();
    });
    assert_eq!(guest.recv(0, &[10], WAITALL), Ok((b"end".to_vec(), 0)));
    late.join().unwrap();
}

#[test]
fn a_socket_that_must_not_block_gives_again() {
    let (mut guest, mut peer) = pair();
    guest.memory.resize(4 * 1024 * 1024, 0);
    guest.set_flags(0, Fdflags::NONBLOCK).unwrap();
    for flags in [0, PEEK, WAITALL] {
        assert_eq!(guest.recv(0, &[5], flags), fails(Errno::Again), "{flags}");
    }
    assert_eq!(guest.read(0, &[5]), fails(Errno::Again));
    peer.write_all(b"abc").unwrap();
    assert_eq!(guest.recv(0, &[5], WAITALL), Ok((b"abc".to_vec(), 0)));
    let bytes = vec![1; 3_000_000];
    let count = guest.send(0, &[&bytes], 0).unwrap();
    assert!(count > 0 && count < 3_000_000, "a short one");
    while guest.send(0, &[&bytes], 0).is_ok() {}
    assert_eq!(guest.send(0, &[b"x"], 0), fails(Errno::Again));
    assert_eq!(guest.write(0, &[b"x"]), fails(Errno::Again));
}

#[test]
fn a_slow_receiver_gets_all_of_one_send() {
    for write in [false, true] {
        let (mut guest, mut peer) = pair();
        guest.memory.resize(3 * 1024 * 1024, 0);
        let bytes: Vec<u8> = (0..1_500_000_u32).map(|index| ((index * 13) >> 2) as u8).collect();
        let slow = thread::spawn(move || {
            let mut all: Vec<u8> = Vec::new();
            let mut chunk = vec![0; 100_000];
            loop {
                thread::sleep(Duration::from_millis(3));
                match peer.read(&mut chunk).unwrap() {
                    0 => return all,
                    count => all.extend(&chunk[..count]),
                }
            }
        });
        let buffers = [&bytes[..700_000], &bytes[700_000..]];
        let sent = if write { guest.write(0, &buffers) } else { guest.send(0, &buffers, 0) };
        assert_eq!(sent, Ok(1_500_000));
        drop(guest);
        assert!(slow.join().unwrap() == bytes);
    }
}

#[test]
fn receiving_waits_in_slices() {
    let (mut guest, _peer) = pair();
    guest.fresh();
    let (list, _) = guest.vectors(&[b"....."]);
    let (count, flags) = (guest.room(4), guest.room(2));
    let start = Instant::now();
    assert_eq!(guest.slice("sock_recv", &[0, list, 1, 0, count, flags]), Err(CallError::Again));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn flags_that_do_not_exist_are_refused() {
    let (mut guest, mut peer) = pair();
    peer.write_all(b"hello").unwrap();
    for flags in [4, 8, 0x8000, 0xffff] {
        assert_eq!(guest.recv(0, &[5], flags), fails(Errno::Inval), "{flags}");
    }
    for flags in [1, 2, 0x8000, 0xffff] {
        assert_eq!(guest.send(0, &[b"x"], flags), fails(Errno::Inval), "{flags}");
    }
    for how in [0, 4, 7, 128, 255] {
        assert_eq!(guest.shutdown(0, how), fails(Errno::Inval), "{how}");
    }
    assert_eq!(
        guest.recv(0, &[9], 0),
        Ok((b"hello".to_vec(), 0)),
        "nothing was received or sent meanwhile"
    );
    guest.close(0).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = guest_with(listener);
    for flags in [32, 0xffff] {
        guest.fresh();
        let at = guest.room(4);
        assert_eq!(guest.call("sock_accept", &[0, flags, at]), fails(Errno::Inval), "{flags}");
    }
}

#[test]
fn shutting_down_closes_one_channel_or_both() {
    let (mut guest, mut peer) = pair();
    assert_eq!(guest.shutdown(0, WR), Ok(()));
    assert_eq!(guest.send(0, &[b"x"], 0), fails(Errno::Pipe));
    assert_eq!(peer.read(&mut [0; 4]).unwrap(), 0);
    peer.write_all(b"still").unwrap();
    assert_eq!(guest.recv(0, &[9], 0), Ok((b"still".to_vec(), 0)));
    assert_eq!(guest.shutdown(0, RD), Ok(()));
    assert_eq!(guest.recv(0, &[9], 0), Ok((Vec::new(), 0)));

    let (mut guest, mut peer) = pair();
    assert_eq!(guest.shutdown(0, RD | WR), Ok(()));
    assert_eq!(peer.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(guest.recv(0, &[9], 0), Ok((Vec::new(), 0)));
}

#[test]
fn what_is_not_connected_cannot_be_shut_down() {
    let mut guest = guest_with(unconnected());
    assert_eq!(guest.shutdown(0, WR), fails(Errno::Notconn));
    assert_eq!(guest.recv(0, &[1], 0), fails(Errno::Notconn));
    let result = guest.send(0, &[b"x"], 0);
    assert!([fails(Errno::Notconn), fails(Errno::Pipe)].contains(&result), "{result:?}");
    assert_eq!(guest.accept(0, Fdflags::empty()), fails(Errno::Inval), "it does not listen");
}

#[test]
fn a_message_longer_than_the_buffers_is_cut_and_said_to_be() {
    let (socket, peer) = datagram_pair();
    let mut guest = guest_with(socket);
    assert_eq!(guest.fdstat(0).unwrap().filetype, 5);
    assert_eq!(guest.filestat(0).unwrap().filetype, 5);
    peer.send(b"0123456789").unwrap();
    peer.send(b"next").unwrap();
    assert_eq!(guest.recv(0, &[4], PEEK), Ok((b"0123".to_vec(), 1)));
    assert_eq!(guest.recv(0, &[2, 2], 0), Ok((b"0123".to_vec(), 1)));
    assert_eq!(guest.recv(0, &[9], WAITALL), Ok((b"next".to_vec(), 0)), "one message at a time");
    assert_eq!(guest.send(0, &[b"one ", b"message"], 0), Ok(11));
    let mut room = [0; 50];
    assert_eq!(peer.recv(&mut room).unwrap(), 11);
    assert_eq!(&room[..11], b"one message");
    // An empty message is one too.
    assert_eq!(guest.send(0, &[], 0), Ok(0));
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.recv(&mut room).unwrap(), 0);
}

#[test]
fn udp_sockets_work() {
    let (socket, peer) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    socket.connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    let mut guest = guest_with(socket);
    assert_eq!(guest.send(0, &[b"ping"], 0), Ok(4));
    let mut room = [0; 9];
    assert_eq!(peer.recv(&mut room).unwrap(), 4);
    peer.send(b"pong").unwrap();
    assert_eq!(guest.recv(0, &[9], 0), Ok((b"pong".to_vec(), 0)));
}

#[test]
fn a_listener_accepts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = guest_with(listener);
    let mut peer = TcpStream::connect(address).unwrap();
    assert_eq!(guest.poll(&[Subscribe::Read(0)]).unwrap().len(), 1);
    let fd = guest.accept(0, Fdflags::NONBLOCK).unwrap();
    assert_eq!(fd, 4, "the lowest free number");
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!(
        (stat.filetype, stat.flags, stat.base),
        (6, Fdflags::NONBLOCK.bits(), Rights::SOCKET)
    );
    assert_eq!(guest.recv(fd, &[5], 0), fails(Errno::Again));
    peer.write_all(b"hello").unwrap();
    guest.poll(&[Subscribe::Read(fd)]).unwrap();
    assert_eq!(guest.recv(fd, &[5], 0), Ok((b"hello".to_vec(), 0)));
    assert_eq!(guest.send(fd, &[b"reply"], 0), Ok(5));
    let mut reply = [0; 5];
    peer.read_exact(&mut reply).unwrap();
    assert_eq!(guest.close(fd), Ok(()));
    assert_eq!(peer.read(&mut [0; 4]).unwrap(), 0, "the guest's own socket is closed for good");
}

#[test]
fn accepting_waits_unless_told_not_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = guest_with(listener);
    guest.set_flags(0, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.accept(0, Fdflags::empty()), fails(Errno::Again));
    guest.set_flags(0, Fdflags::empty()).unwrap();
    guest.fresh();
    let at = guest.room(4);
    assert_eq!(guest.slice("sock_accept", &[0, 0, at]), Err(CallError::Again));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        TcpStream::connect(address)
    });
    let fd = guest.accept(0, Fdflags::empty()).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().flags, 0);
    drop(late.join().unwrap());
    assert_eq!(guest.recv(fd, &[5], 0), Ok((Vec::new(), 0)));
}

#[test]
fn an_accepted_socket_has_the_rights_that_the_listener_passes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = guest_with(listener);
    guest.set_rights(0, Rights::SOCK_ACCEPT, Rights::FD_READ).unwrap();
    let _peer = TcpStream::connect(address).unwrap();
    let fd = guest.accept(0, Fdflags::empty()).unwrap();
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.base, stat.inheriting), (Rights::FD_READ, Rights::FD_READ));
    assert_eq!(guest.send(fd, &[b"x"], 0), fails(Errno::Notcapable));
}

#[test]
fn what_is_no_socket_is_said_to_be_none() {
    let (reader, writer) = std::io::pipe().unwrap();
    let setup = Setup {
        stdin: Some(reader.into()),
        stdout: Some(writer.into()),
        preopens: &[("box", "box")],
        ..Setup::default()
    };
    let mut guest = setup.guest();
    guest.temp.write("box/file", "0123456789");
    let file = guest.open(BOX, "file", crate::support::Open::default()).unwrap();
    for fd in [0, 1, 2, BOX, file] {
        assert_eq!(guest.recv(fd, &[1], 0), fails(Errno::Notsock), "{fd}");
        assert_eq!(guest.send(fd, &[b"x"], 0), fails(Errno::Notsock), "{fd}");
        assert_eq!(guest.shutdown(fd, WR), fails(Errno::Notsock), "{fd}");
        let accepted = guest.accept(fd, Fdflags::empty());
        assert!(
            [fails(Errno::Notsock), fails(Errno::Notcapable)].contains(&accepted),
            "{fd}: {accepted:?}"
        );
    }
    for fd in [5, 10, u32::MAX] {
        assert_eq!(guest.recv(fd, &[1], 0), fails(Errno::Badf));
        assert_eq!(guest.send(fd, &[b"x"], 0), fails(Errno::Badf));
        assert_eq!(guest.shutdown(fd, WR), fails(Errno::Badf));
        assert_eq!(guest.accept(fd, Fdflags::empty()), fails(Errno::Badf));
    }
}

#[cfg(unix)]
#[test]
fn a_socket_file_cannot_be_opened() {
    let mut guest = Guest::new();
    let _listener = std::os::unix::net::UnixListener::bind(guest.temp.path("box/socket")).unwrap();
    assert_eq!(guest.open(BOX, "socket", crate::support::Open::reading()), fails(Errno::Nxio));
}
