//! `limits.writtenBytes`: what counts beside the bytes of files.

use crate::support::{BOX, Guest, Open, Setup, fails, preopen};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Oflags};
use wasi_rs_core::host::{INODE_CHARGE, NAME_CHARGE, Quota, Tree};

/// A guest that may write so much, in a directory of the host or in memory.
fn writer(host: bool, bytes: u64) -> Guest {
    let mut guest = Setup::default().guest();
    let descriptor = if host {
        preopen("box", &guest.temp.path("box"))
    } else {
        wasi_rs_core::descriptor::Descriptor::preopen(
            wasi_rs_core::host::Opened::Directory(Tree::new(1 << 20).root_directory(false)),
            b"box",
        )
    };
    assert_eq!(guest.ctx.table.insert(descriptor).unwrap(), BOX);
    guest.ctx.quota = Some(Arc::new(Quota::new(Some(bytes), None)));
    guest
}

#[test]
fn names_links_and_directories_are_written_bytes() {
    type Act = fn(&mut Guest) -> Result<(), wasi_rs_core::preview1::CallError>;
    let file = INODE_CHARGE + NAME_CHARGE;
    let acts: [(&str, u64, Act); 6] = [
        ("mkdir", file + 3, |guest| guest.mkdir(BOX, "dir")),
        ("symlink", file + 4 + 7, |guest| guest.symlink("nowhere", BOX, "link")),
        ("open", file + 4, |guest| guest.open(BOX, "file", Open::creating()).map(drop)),
        ("open EXCL", file + 4, |guest| {
            guest.open(BOX, "excl", Open::creating().oflags(Oflags::CREAT | Oflags::EXCL)).map(drop)
        }),
        ("link", NAME_CHARGE + 5, |guest| guest.link(BOX, "old", false, BOX, "other")),
        ("rename", 4, |guest| guest.rename(BOX, "old", BOX, "renamed")),
    ];
    for host in [true, false] {
        for (name, charge, act) in acts {
            let what = format!("{name}, on the host: {host}");
            let mut guest = writer(host, file + 3 + charge + charge - 1);
            guest.open(BOX, "old", Open::creating()).unwrap();
            assert_eq!(act(&mut guest), Ok(()), "{what}");
            // The same again fails and counts nothing; nor does what is there already.
            match name {
                "open" => assert_eq!(act(&mut guest), Ok(()), "{what}"),
                "rename" => assert_eq!(act(&mut guest), fails(Errno::Dquot), "{what}"),
                _ => assert_eq!(act(&mut guest), fails(Errno::Exist), "{what}"),
            }
            assert_eq!(
                guest.open(BOX, "nowhere/f", Open::creating()).map(drop),
                fails(if charge > file { Errno::Noent } else { Errno::Dquot }),
                "{what}"
            );
            let quota = guest.ctx.quota.take().unwrap();
            assert_eq!(quota.store(charge, || Ok(())), Err(Errno::Dquot), "{what}");
            assert_eq!(quota.store(charge - 1, || Ok(())), Ok(()), "{what}");
        }
    }
}

#[test]
fn a_guest_that_may_write_nothing_makes_nothing() {
    for host in [true, false] {
        let mut guest = writer(host, 0);
        let tree = guest.temp.tree("box");
        for refused in [
            guest.mkdir(BOX, "dir"),
            guest.symlink("nowhere", BOX, "link"),
            guest.open(BOX, "file", Open::creating()).map(drop),
            guest
                .open(BOX, "file", Open::creating().oflags(Oflags::CREAT | Oflags::EXCL))
                .map(drop),
        ] {
            assert_eq!(refused, fails(Errno::Dquot));
        }
        assert_eq!(guest.temp.tree("box"), tree);
        assert_eq!(guest.list(BOX, 1000).len(), 2);
        if host {
            // No file is where the link leads, so nothing is there already.
            guest.temp.symlink("nowhere", "box/dangling");
            let followed = guest.open(BOX, "dangling", Open::creating().follow()).map(drop);
            assert_eq!(followed, fails(Errno::Dquot));
            guest.temp.write("box/file", "text");
            assert_eq!(guest.open(BOX, "file", Open::creating()).map(drop), Ok(()));
            assert_eq!(guest.link(BOX, "file", false, BOX, "other"), fails(Errno::Dquot));
            assert_eq!(guest.mkdir(BOX, "file"), fails(Errno::Exist));
            assert_eq!(guest.rename(BOX, "file", BOX, "longer"), fails(Errno::Dquot));
            assert_eq!(guest.rename(BOX, "file", BOX, "f"), Ok(()));
        }
    }
}

#[test]
fn what_is_written_at_a_place_or_allocated_counts_as_what_is_written() {
    let name = INODE_CHARGE + NAME_CHARGE + 4;
    for host in [true, false] {
        let mut guest = writer(host, name + 12);
        let fd = guest.open(BOX, "file", Open::creating()).unwrap();
        assert_eq!(guest.pwrite(fd, &[b"12", b"345"], 0), Ok(5), "on the host: {host}");
        // Up to the limit, bytes that grow the file count, and all that are allocated.
        assert_eq!(guest.set_size(fd, 8), Ok(()));
        assert_eq!(guest.allocate(fd, 0, 5), fails(Errno::Dquot));
        assert_eq!(guest.allocate(fd, 0, 1), Ok(()));
        assert_eq!(guest.pwrite(fd, &[b"ab", b"", b"cde"], 5), Ok(3));
        assert_eq!(guest.pwrite(fd, &[b"x"], 0), fails(Errno::Dquot));
        assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Dquot));
        assert_eq!(guest.pwrite(fd, &[b""], 0), Ok(0));
        assert_eq!(guest.set_size(fd, 9), fails(Errno::Dquot));
        assert_eq!(guest.allocate(fd, 8, 1), fails(Errno::Dquot));
        assert_eq!(guest.pread(fd, &[20], 0), Ok(b"12345abc".to_vec()));
        // What takes no bytes is as it is without a limit.
        assert_eq!(guest.set_size(fd, 2), Ok(()));
        assert_eq!(guest.set_times(fd, 0, 7_000_000_000, 4), Ok(()));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.size, stat.mtim), (2, 7_000_000_000));
    }
}
