//! Sockets that the embedder gives: listeners that are made, and duplicates of the host's.

use crate::support::{Guest, Setup, Subscribe, fails};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Fd, Fdflags, Rights};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{self, GivenSocket, Opened, Quota, SocketName, SocketNames};
use wasi_rs_core::preview1::CallError;

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn listening() -> GivenSocket {
    host::listen(LOCAL.into(), 16).unwrap()
}

/// A guest without directories that has sockets from 3 on.
fn guest_with(sockets: impl IntoIterator<Item = GivenSocket>, flags: Fdflags) -> Guest {
    let guest = Setup::default().guest();
    for socket in sockets {
        guest.ctx.table.insert(Descriptor::socket(socket, flags)).unwrap();
    }
    guest
}

fn names(guest: &Guest, fd: Fd) -> SocketNames {
    match guest.ctx.table.get(fd).unwrap().object() {
        Opened::File(file) => file.socket_names().unwrap(),
        Opened::Directory(_) => panic!("a directory"),
    }
}

fn address(guest: &Guest, fd: Fd) -> SocketAddr {
    match names(guest, fd).local {
        Some(SocketName::Ip(address)) => address,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_listener_takes_connections_by_its_rights() {
    let mut guest = guest_with([listening()], Fdflags::NONBLOCK);
    let stat = guest.fdstat(3).unwrap();
    assert_eq!(
        (stat.filetype, stat.flags, stat.base, stat.inheriting),
        (6, Fdflags::NONBLOCK.bits(), Rights::LISTENER, Rights::CONNECTION)
    );
    assert_eq!(guest.prestat(3).map(drop), fails(Errno::Badf), "no directory");
    assert_eq!(guest.accept(3, Fdflags::empty()), fails(Errno::Again));
    for (what, result) in [
        ("write", guest.write(3, &[b"x"]).map(drop)),
        ("send", guest.send(3, &[b"x"], 0).map(drop)),
        ("shutdown", guest.shutdown(3, 3)),
    ] {
        assert_eq!(result, fails(Errno::Notcapable), "{what}");
    }

    let mut peer = TcpStream::connect(address(&guest, 3)).unwrap();
    assert_eq!(guest.poll(&[Subscribe::Read(3)]).unwrap().len(), 1);
    let fd = guest.accept(3, Fdflags::empty()).unwrap();
    assert_eq!(fd, 4);
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.filetype, stat.flags, stat.base), (6, 0, Rights::CONNECTION));
    assert_eq!(guest.accept(fd, Fdflags::empty()), fails(Errno::Notcapable));
    assert_eq!(
        names(&guest, fd),
        SocketNames {
            local: Some(SocketName::Ip(peer.peer_addr().unwrap())),
            peer: Some(SocketName::Ip(peer.local_addr().unwrap())),
        }
    );
    peer.write_all(b"one two").unwrap();
    assert_eq!(guest.recv(fd, &[4], 0), Ok((b"one ".to_vec(), 0)));
    assert_eq!(guest.read(fd, &[9]), Ok(b"two".to_vec()));
    assert_eq!(guest.write(fd, &[b"ans"]), Ok(3));
    assert_eq!(guest.send(fd, &[b"wer"], 0), Ok(3));
    assert_eq!(guest.shutdown(fd, 2), Ok(()));
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
}

#[test]
fn accepting_waits_where_the_guest_has_not_asked_for_the_opposite() {
    let mut guest = guest_with([listening()], Fdflags::empty());
    guest.fresh();
    let at = guest.room(4);
    assert_eq!(guest.slice("sock_accept", &[3, 0, at]), Err(CallError::Again));
    guest.set_flags(3, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.accept(3, Fdflags::empty()), fails(Errno::Again));
}

#[test]
fn all_addresses_of_ipv6_are_those_of_ipv4_too() {
    let Ok(listener) = host::listen((Ipv6Addr::UNSPECIFIED, 0).into(), 16) else {
        return; // This host has no IPv6.
    };
    let mut guest = guest_with([listener], Fdflags::NONBLOCK);
    let port = address(&guest, 3).port();
    for peer in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()]
    {
        if cfg!(windows) && peer.is_ipv4() {
            continue;
        }
        let _peer = TcpStream::connect(peer).unwrap();
        guest.poll(&[Subscribe::Read(3)]).unwrap();
        guest.accept(3, Fdflags::empty()).unwrap();
    }
}

#[test]
fn a_port_is_taken_once_and_given_back() {
    let guest = guest_with([listening()], Fdflags::empty());
    let taken = address(&guest, 3);
    let refused = host::listen(taken, 16).err().unwrap();
    assert_eq!(host::from_io(&refused), Errno::Addrinuse);
    assert_eq!(
        host::from_io(&host::listen(([192, 0, 2, 1], 0).into(), 16).err().unwrap()),
        Errno::Addrnotavail
    );
    guest.ctx.table.close();
    assert!(host::listen(taken, 16).is_ok());
}

#[test]
fn a_connection_that_has_no_number_waits_for_one() {
    let mut guest = guest_with([listening()], Fdflags::empty());
    guest.ctx.table.limit(5);
    let address = address(&guest, 3);
    let peers: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    let first = guest.accept(3, Fdflags::empty()).unwrap();
    assert_eq!(guest.accept(3, Fdflags::empty()), fails(Errno::Mfile));
    assert_eq!(guest.poll(&[Subscribe::Read(3)]).unwrap().len(), 1, "it waits");
    guest.close(first).unwrap();
    let second = guest.accept(3, Fdflags::empty()).unwrap();
    assert_eq!(
        names(&guest, second).peer,
        Some(SocketName::Ip(peers[1].local_addr().unwrap())),
        "nobody was taken and dropped"
    );
}

#[test]
fn what_goes_through_sockets_is_metered() {
    let quota = Arc::new(Quota::new(Some(10), None));
    let mut listener = listening();
    listener.object = quota.meter(listener.object);
    let mut guest = guest_with([listener], Fdflags::empty());
    let mut peer = TcpStream::connect(address(&guest, 3)).unwrap();
    let fd = guest.accept(3, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.send(fd, &[b"123456"], 0), Ok(6));
    assert_eq!(guest.write(fd, &[b"123456"]), Ok(4));
    assert_eq!(guest.send(fd, &[b"x"], 0), fails(Errno::Dquot));
    peer.write_all(b"in").unwrap();
    guest.poll(&[Subscribe::Read(fd)]).unwrap();
    assert_eq!(guest.recv(fd, &[9], 0), Ok((b"in".to_vec(), 0)));
}

#[test]
fn a_guest_hears_that_its_peer_has_gone() {
    let mut guest = guest_with([listening()], Fdflags::empty());
    let peer = TcpStream::connect(address(&guest, 3)).unwrap();
    let fd = guest.accept(3, Fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.recv(fd, &[1], 0), fails(Errno::Again));
    // Nobody reads what is here, so that the close is a reset.
    assert_eq!(guest.send(fd, &[b"unread"], 0), Ok(6));
    peer.peek(&mut [0]).unwrap();
    drop(peer);
    let events = guest.poll(&[Subscribe::Read(fd)]).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(guest.recv(fd, &[1], 0), fails(Errno::Connreset));
    assert_eq!(guest.recv(fd, &[1], 0), Ok((Vec::new(), 0)), "once");
    assert_eq!(guest.send(fd, &[b"x"], 0), fails(Errno::Pipe));
    assert_eq!(guest.close(fd), Ok(()));
    // One that is reset before it is taken.
    let peer = TcpStream::connect(address(&guest, 3)).unwrap();
    let address = address(&guest, 3);
    drop(peer);
    let _next = TcpStream::connect(address).unwrap();
    let first = guest.accept(3, Fdflags::empty()).unwrap();
    assert_eq!(guest.recv(first, &[1], 0), Ok((Vec::new(), 0)));
    guest.accept(3, Fdflags::empty()).unwrap();
}

#[test]
fn many_sockets_are_waited_for_at_once() {
    const MANY: usize = 300;
    let mut guest = guest_with([host::listen(LOCAL.into(), 512).unwrap()], Fdflags::empty());
    let address = address(&guest, 3);
    let mut peers = Vec::new();
    let mut fds = Vec::new();
    for _ in 0..MANY {
        peers.push(TcpStream::connect(address).unwrap());
        fds.push(guest.accept(3, Fdflags::NONBLOCK).unwrap());
    }
    guest.memory.resize(1 << 20, 0);
    peers[MANY - 7].write_all(b"x").unwrap();
    let subscriptions: Vec<Subscribe> = fds.iter().map(|fd| Subscribe::Read(*fd)).collect();
    let events = guest.poll(&subscriptions).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(guest.recv(fds[MANY - 7], &[5], 0), Ok((b"x".to_vec(), 0)));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use crate::support::TempDir;
    use crate::support::host::{null, status_flags, stream_pair};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn the_file_of_a_socket_goes_with_it() {
        let temp = TempDir::new();
        let path = temp.path("socket");
        let mut guest = guest_with([host::listen_at(&path, 16).unwrap()], Fdflags::empty());
        let local = path.as_os_str().as_encoded_bytes().to_vec();
        assert_eq!(
            names(&guest, 3),
            SocketNames { local: Some(SocketName::Path(local.clone())), peer: None }
        );
        let _peer = UnixStream::connect(&path).unwrap();
        let fd = guest.accept(3, Fdflags::empty()).unwrap();
        assert_eq!(
            names(&guest, fd),
            SocketNames {
                local: Some(SocketName::Path(local)),
                peer: Some(SocketName::Path(Vec::new())),
            }
        );
        let refused = host::listen_at(&path, 16).err().unwrap();
        assert_eq!(host::from_io(&refused), Errno::Addrinuse);
        assert!(temp.there("socket"), "who was refused removes nothing");
        // A number that others have, too, is closed with the last of them.
        let kept = guest.ctx.table.get_arc(3).unwrap();
        guest.close(3).unwrap();
        assert!(temp.there("socket"));
        drop(kept);
        assert!(!temp.there("socket"));
        assert_eq!(guest.recv(fd, &[], 0), Ok((Vec::new(), 0)), "connections stay");
    }

    #[test]
    fn the_file_of_another_stays() {
        let temp = TempDir::new();
        let path = temp.path("socket");
        let replaced = host::listen_at(&path, 16).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(replaced);
        assert!(temp.there("socket"));
        std::fs::remove_file(&path).unwrap();
        let replaced = host::listen_at(&path, 16).unwrap();
        std::fs::remove_file(&path).unwrap();
        temp.write("socket", "a file");
        drop(replaced);
        assert_eq!(temp.read("socket"), b"a file");
        // A folder that was moved is still the one.
        temp.create_dir("from");
        let moved = host::listen_at(&temp.path("from/socket"), 16).unwrap();
        std::fs::rename(temp.path("from"), temp.path("to")).unwrap();
        temp.create_dir("from");
        temp.write("from/socket", "a file");
        assert!(temp.there("to/socket"));
        drop(moved);
        assert!(!temp.there("to/socket") && temp.there("from/socket"));
    }

    #[test]
    fn a_path_that_cannot_be_had_is_refused() {
        let temp = TempDir::new();
        temp.write("file", "");
        for (path, errno) in [
            ("missing/socket", Errno::Noent),
            ("file/socket", Errno::Notdir),
            ("file", Errno::Addrinuse),
            ("..", Errno::Inval),
            (&"x".repeat(200)[..], Errno::Nametoolong),
        ] {
            let error = host::listen_at(&temp.path(path), 16).err().unwrap();
            assert_eq!(host::from_io(&error), errno, "{path}");
        }
        temp.assert_open_descriptors(0);
    }

    #[test]
    fn a_socket_of_the_host_is_duplicated() {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let flags = status_flags(&listener);
        let given = host::duplicate_socket(listener.as_raw_fd()).unwrap();
        assert!(given.is_listening);
        let mut guest = guest_with([given], Fdflags::NONBLOCK);
        assert_eq!(guest.accept(3, Fdflags::empty()), fails(Errno::Again), "though the host waits");
        guest.set_flags(3, Fdflags::APPEND | Fdflags::NONBLOCK).unwrap();
        assert_eq!(status_flags(&listener), flags);
        guest.close(3).unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();

        let (socket, mut peer) = stream_pair();
        let given = host::duplicate_socket(socket.as_raw_fd()).unwrap();
        assert!(!given.is_listening);
        let mut guest = guest_with([given], Fdflags::empty());
        drop(socket);
        assert_eq!(guest.fdstat(3).unwrap().base, Rights::CONNECTION);
        assert_eq!(guest.send(3, &[b"still"], 0), Ok(5));
        let mut bytes = [0; 5];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"still");
        assert_eq!(names(&guest, 3).peer, Some(SocketName::Path(Vec::new())));
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        let error = host::duplicate_socket(null().as_raw_fd()).err().unwrap();
        assert_eq!(host::from_io(&error), Errno::Notsock);
        let error = host::duplicate_socket(i32::MAX).err().unwrap();
        assert_eq!(host::from_io(&error), Errno::Badf);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_child_inherits_them() {
        let temp = TempDir::new();
        let taken = TcpListener::bind(LOCAL).unwrap();
        let sockets = [
            listening(),
            host::listen_at(&temp.path("socket"), 1).unwrap(),
            host::duplicate_socket(taken.as_raw_fd()).unwrap(),
        ];
        for socket in &sockets {
            let Opened::File(file) = &socket.object else { panic!() };
            let host::Source::Host(fd) = file.source() else { panic!() };
            assert!(rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
