//! Preopens around a directory: what they keep from it, and what they pass on.

use crate::support::host::MetadataExt;
use crate::support::{BOX, Guest, Open, Setup, fails};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Filetype, Oflags};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{
    Budget, Directory, Opened, PreopenOptions, SingleFile, SortedDirectory, open_preopen,
};
#[cfg(unix)]
use wasi_rs_core::host::{Overlay, TreeOptions};

/// A writable preopen of the host's directory beside it.
const BESIDE: u32 = 4;
const MTIM: u32 = 4;
const TIME: u64 = 7_000_000_000;

/// A guest with a file in a directory, which is wrapped.
fn guest(wrap: impl FnOnce(Box<dyn Directory>) -> Box<dyn Directory>) -> Guest {
    let guest = Setup::default().guest();
    guest.temp.write("box/file", "0123456789");
    let lent = |name| open_preopen(&guest.temp.path(name), PreopenOptions::default()).unwrap();
    let Opened::Directory(inner) = lent("box") else { unreachable!() };
    for object in [Opened::Directory(wrap(inner)), lent("outside")] {
        guest.ctx.table.insert(Descriptor::preopen(object, b"name")).unwrap();
    }
    guest
}

#[test]
fn a_single_file_can_be_written_and_keeps_its_name() {
    let mut guest = guest(|inner| Box::new(SingleFile::new(inner, b"file".to_vec()).unwrap()));
    guest.temp.write("box/other", "");
    let before = guest.temp.tree("");
    let new = Open::creating().oflags(Oflags::CREAT | Oflags::EXCL);
    for (what, errno, result) in [
        ("open EXCL", Errno::Exist, guest.open(BOX, ".", new).map(drop)),
        ("set_times", Errno::Perm, guest.set_times(BOX, 0, TIME, MTIM)),
        ("readdir", Errno::Notdir, guest.readdir(BOX, 1000, 0).map(drop)),
        ("mkdir", Errno::Exist, guest.mkdir(BOX, ".")),
        ("rmdir", Errno::Notdir, guest.rmdir(BOX, ".")),
        ("unlink", Errno::Perm, guest.unlink(BOX, ".")),
        ("symlink", Errno::Exist, guest.symlink("x", BOX, ".")),
        ("readlink", Errno::Inval, guest.readlink(BOX, ".", 10).map(drop)),
        ("rename", Errno::Perm, guest.rename(BOX, ".", BESIDE, "new")),
        ("link", Errno::Perm, guest.link(BOX, ".", false, BESIDE, "new")),
        ("mkdir another", Errno::Noent, guest.mkdir(BOX, "other")),
        ("unlink another", Errno::Noent, guest.unlink(BOX, "other")),
        ("open another", Errno::Noent, guest.open(BOX, "other", Open::creating()).map(drop)),
        ("open outside", Errno::Notcapable, guest.open(BOX, "../x", Open::creating()).map(drop)),
    ] {
        assert_eq!(result, fails(errno), "{what}");
    }
    assert_eq!(guest.temp.tree(""), before);
    assert_eq!(guest.path_set_times(BOX, ".", false, 0, TIME, MTIM), Ok(()));
    assert_eq!(guest.path_filestat(BOX, ".", false).unwrap().mtim, TIME);
    let fd = guest.open(BOX, ".", Open::creating()).unwrap();
    assert_eq!(guest.write(fd, &[b"ab"]), Ok(2));
    assert_eq!(guest.temp.read("box/file"), b"ab23456789");
}

#[test]
fn a_single_file_is_never_another() {
    let mut guest = guest(|inner| Box::new(SingleFile::new(inner, b"file".to_vec()).unwrap()));
    let stat = guest.filestat(BOX).unwrap();
    assert_eq!((stat.filetype, stat.size), (Filetype::Directory as u8, 0));
    assert_eq!(stat.ino, guest.temp.stat("box/file").ino());
    // The host removes it.
    std::fs::remove_file(guest.temp.path("box/file")).unwrap();
    for oflags in [Oflags::empty(), Oflags::CREAT, Oflags::CREAT | Oflags::EXCL] {
        let how = Open::creating().oflags(oflags).follow();
        assert_eq!(guest.open(BOX, ".", how), fails(Errno::Noent), "{oflags:?}");
    }
    assert!(!guest.temp.there("box/file"), "the guest makes no file beside it");
    // The host puts a link there.
    guest.temp.write("box/other", "kept");
    guest.temp.symlink("other", "box/file");
    for oflags in [Oflags::empty(), Oflags::CREAT, Oflags::TRUNC] {
        let how = Open::creating().oflags(oflags).follow();
        assert_eq!(guest.open(BOX, ".", how), fails(Errno::Loop), "{oflags:?}");
    }
    let found = guest.path_filestat(BOX, ".", true).unwrap();
    assert_eq!(found.filetype, Filetype::SymbolicLink as u8);
    let before = guest.temp.stat("box/other").mtime();
    guest.path_set_times(BOX, ".", true, 0, TIME, MTIM).unwrap();
    assert_eq!(guest.temp.stat("box/other").mtime(), before);
    assert_eq!(guest.temp.read("box/other"), b"kept");
}

#[test]
fn a_sorted_directory_does_all_that_its_directory_does() {
    let budget = Arc::new(Budget::new(1 << 20));
    let mut guest = guest(|inner| Box::new(SortedDirectory::new(inner, &budget)));
    assert_eq!(guest.mkdir(BOX, "dir"), Ok(()));
    assert_eq!(guest.mkdir(BOX, "gone"), Ok(()));
    assert_eq!(guest.rmdir(BOX, "gone"), Ok(()));
    assert_eq!(guest.symlink("file", BOX, "link"), Ok(()));
    assert_eq!(guest.readlink(BOX, "link", 10), Ok(b"file".to_vec()));
    assert_eq!(guest.rename(BOX, "file", BOX, "dir/moved"), Ok(()));
    assert_eq!(guest.link(BOX, "dir/moved", false, BOX, "again"), Ok(()));
    assert_eq!(guest.path_set_times(BOX, "again", false, 0, TIME, MTIM), Ok(()));
    assert_eq!(guest.unlink(BOX, "link"), Ok(()));
    assert_eq!(guest.set_times(BOX, 0, TIME, MTIM), Ok(()));
    assert_eq!(guest.filestat(BOX).unwrap().mtim, TIME);
    assert_eq!(guest.sync(BOX), Ok(()));
    let names: Vec<_> = guest.list(BOX, 1000).into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [b".".to_vec(), b"..".to_vec(), b"again".to_vec(), b"dir".to_vec()]);
    let stat = guest.path_filestat(BOX, "dir/moved", false).unwrap();
    assert_eq!((stat.mtim, stat.nlink), (TIME, 2));
    assert_eq!(guest.temp.read("box/again"), b"0123456789");
}

#[cfg(unix)]
#[test]
fn what_is_committed_has_the_permissions_that_it_had() {
    let mut overlay = None;
    let mut guest = guest(|inner| {
        let made = Overlay::new(inner, TreeOptions::new(1 << 20)).unwrap();
        let directory = made.root_directory(false, false);
        overlay = Some(made);
        directory
    });
    for dir in ["box/dir", "box/dir/sub"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/dir/file", "text");
    for (path, mode) in [("dir", 0o750), ("dir/sub", 0o711), ("dir/file", 0o640)] {
        guest.temp.chmod(&format!("box/{path}"), mode);
    }
    guest.rename(BOX, "dir", BOX, "moved").unwrap();
    overlay.unwrap().commit("", &mut { usize::MAX }).unwrap();
    for (path, mode) in [("moved", 0o750), ("moved/sub", 0o711), ("moved/file", 0o640)] {
        assert_eq!(guest.temp.stat(&format!("box/{path}")).mode() & 0o7777, mode, "{path}");
    }
}

/// A process that waits for somebody to read a pipe would go on if it was opened, and what it
/// writes would be lost.
#[cfg(unix)]
#[test]
fn an_overlay_opens_no_pipe_below() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    let mut guest = guest(|inner| {
        Overlay::new(inner, TreeOptions::new(1 << 20)).unwrap().root_directory(false, false)
    });
    guest.temp.create_dir("box/dir");
    guest.temp.fifo("box/dir/pipe");
    let (pipe, went_on) = (guest.temp.path("box/dir/pipe"), Arc::new(AtomicBool::new(false)));
    let (writing, goes_on) = (pipe.clone(), Arc::clone(&went_on));
    let writer = std::thread::spawn(move || {
        let opened = std::fs::OpenOptions::new().write(true).open(writing);
        goes_on.store(true, Relaxed);
        opened.map(drop)
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    for (fd, path) in [(dir, "pipe"), (BOX, "dir/pipe"), (BOX, "dir/../dir/pipe")] {
        for how in [Open::reading(), Open::default(), Open::creating(), Open::reading().follow()] {
            assert_eq!(guest.open(fd, path, how), fails(Errno::Acces), "{path}");
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!went_on.load(Relaxed), "the pipe was opened");
    drop(std::fs::File::open(pipe).unwrap());
    writer.join().unwrap().unwrap();
}

/// A file system gives the serial number of a removed file to the next new file. The guest's
/// changes to the removed file are not changes to the new one.
#[cfg(unix)]
#[test]
fn a_file_with_a_used_serial_number_is_another_file() {
    for is_committed in [false, true] {
        let mut overlay = None;
        let mut guest = guest(|inner| {
            let made = Overlay::new(inner, TreeOptions::new(1 << 20)).unwrap();
            let directory = made.root_directory(false, false);
            overlay = Some(made);
            directory
        });
        let overlay = overlay.unwrap();
        let commit = || overlay.commit("", &mut { usize::MAX }).unwrap();
        let used = guest.temp.stat("box/file").ino();
        let fd = guest.open(BOX, "file", Open::creating()).unwrap();
        assert_eq!(guest.write(fd, &[b"of the guest"]), Ok(12));
        if is_committed {
            // Another file is put in its place.
            commit();
        } else {
            std::fs::remove_file(guest.temp.path("box/file")).unwrap();
        }
        let again = (0..3000).find(|at| {
            guest.temp.write(&format!("box/{at}"), "host");
            guest.temp.stat(&format!("box/{at}")).ino() == used
        });
        let Some(again) = again else {
            crate::support::host::skipped("the file system uses no serial number again");
            return;
        };
        std::fs::rename(guest.temp.path(&format!("box/{again}")), guest.temp.path("box/new"))
            .unwrap();
        assert_eq!(guest.path_filestat(BOX, "new", false).unwrap().size, 4);
        let new = guest.open(BOX, "new", Open::reading()).unwrap();
        assert_eq!(guest.read(new, &[20]), Ok(b"host".to_vec()));
        let new = guest.open(BOX, "new", Open::default()).unwrap();
        assert_eq!(guest.write(new, &[b"G"]), Ok(1));
        assert_eq!(guest.pread(fd, &[20], 0), Ok(b"of the guest".to_vec()));
        commit();
        assert_eq!(guest.temp.read("box/file"), b"of the guest");
        assert_eq!(guest.temp.read("box/new"), b"Gost");
        // Removing the one takes no name of the other.
        guest.unlink(BOX, "new").unwrap();
        assert_eq!(guest.filestat(fd).unwrap().nlink, 1);
    }
}
