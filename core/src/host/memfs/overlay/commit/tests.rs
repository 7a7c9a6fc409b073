//! Commits on a host that fails in the middle of a write, or takes its time.

use super::super::super::{Tree, TreeOptions};
use super::Overlay;
use crate::abi::{Errno, Fdflags, Filesize, Filestat};
use crate::host::{
    Directory, DirectoryEntry, EntrySink, File, GuestPath, OpenOptions, Opened, Result, SetTime,
    SetTimes,
};
use crate::memory::{GuestMemory, Region};
use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// The work of another thread during a commit.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// Counts the writes to files that were there, of which some fail.
#[derive(Clone)]
struct Host {
    directory: Arc<dyn Directory>,
    writes: Arc<AtomicUsize>,
    failing: Range<usize>,
    /// Done once, before a file is renamed.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    /// Done once, after a file was renamed.
    afterwards: Arc<Mutex<Option<Meanwhile>>>,
    /// The permissions that files had when they were made.
    modes: Arc<Mutex<Vec<Option<u32>>>>,
}

impl Host {
    fn new(directory: Box<dyn Directory>, failing: Range<usize>) -> Self {
        Self {
            directory: Arc::from(directory),
            writes: Arc::default(),
            failing,
            meanwhile: Arc::default(),
            afterwards: Arc::default(),
            modes: Arc::default(),
        }
    }
}

struct HostFile {
    inner: Box<dyn File>,
    host: Host,
}

impl File for HostFile {
    forward_reading!();

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        let at = self.host.writes.fetch_add(1, Relaxed);
        if self.host.failing.contains(&at) { Err(Errno::Io) } else { self.inner.write(bufs, flags) }
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.inner.pwrite(bufs, offset)
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        self.inner.set_size(size)
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        self.inner.allocate(offset, len)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner.set_times(times)
    }
}

impl Directory for Host {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        Ok(match self.directory.open(path, options)? {
            Opened::File(inner) if options.write && !options.create => {
                Opened::File(Box::new(HostFile { inner, host: self.clone() }))
            }
            Opened::Directory(directory) => Opened::Directory(Box::new(Self {
                directory: Arc::from(directory),
                ..self.clone()
            })),
            Opened::File(file) => {
                if options.create {
                    self.modes.lock().unwrap().push(file.mode());
                }
                Opened::File(file)
            }
        })
    }

    fn filestat(&self) -> Result<Filestat> {
        self.directory.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        self.directory.path_filestat(path, follow)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.directory.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        self.directory.path_set_times(path, follow, times)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.directory.entries(cookie, capacity, sink)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.directory.create_directory(path)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.directory.remove_directory(path)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.directory.unlink_file(path)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.directory.symlink(target, path)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        self.directory.readlink(path, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        self.directory.rename(old, to, new)?;
        if let Some(afterwards) = self.afterwards.lock().unwrap().take() {
            afterwards();
        }
        Ok(())
    }

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        self.directory.link(old, follow, to, new)
    }

    fn sync(&self) -> Result<()> {
        self.directory.sync()
    }

    fn as_any(&self) -> &dyn Any {
        self.directory.as_any()
    }
}

fn path(text: &str) -> GuestPath<'_> {
    GuestPath::new(text.as_bytes()).unwrap()
}

/// A file's bytes, as many as they are, that tell their places.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at / 7 + seed) % 251).unwrap()).collect()
}

fn open(directory: &dyn Directory, name: &str, truncate: bool) -> Box<dyn File> {
    let options = OpenOptions { write: true, truncate, create: true, ..OpenOptions::READ };
    let Ok(Opened::File(file)) = directory.open(path(name), options) else { panic!("{name}") };
    file
}

fn write(file: &dyn File, bytes: &mut [u8]) {
    let len = u32::try_from(bytes.len()).unwrap();
    let region = GuestMemory::from_slice(bytes).region(0, len).unwrap();
    assert_eq!(file.write(&[region], Fdflags::empty()), Ok(bytes.len()));
}

/// Puts other bytes in the place of all that a file holds.
fn rewrite(directory: &dyn Directory, name: &str, bytes: &mut [u8]) {
    write(&*open(directory, name, true), bytes);
}

#[test]
fn what_a_failed_write_has_taken_is_put_back_or_kept() {
    let old = [("a", bytes(150_000, 1)), ("b", bytes(100_000, 2)), ("c", bytes(10, 3))];
    let (mut put_back, mut kept_all, mut written) = (0, 0, 0);
    for lasts in [false, true] {
        for from in 0..12 {
            let tree = Tree::with_options(TreeOptions::new(10 << 20));
            let top = tree.root_directory(false);
            for (name, bytes) in &old {
                tree.seed(name, bytes).unwrap();
                top.link(path(name), false, &*top, path(&format!("{name}-too"))).unwrap();
            }
            let failing = if lasts { from..usize::MAX } else { from..from + 1 };
            let host = Host::new(top, failing);
            let overlay = Overlay::new(Box::new(host), TreeOptions::new(10 << 20)).unwrap();
            let guest = overlay.root_directory(false, false);
            for (name, len) in [("a", 70_000), ("b", 300_000), ("c", 5)] {
                rewrite(&*guest, name, &mut bytes(len, 9));
            }
            let Err(error) = overlay.commit("", &mut { usize::MAX }) else {
                written += 1;
                assert_eq!(tree.read_file("b-too").unwrap(), bytes(300_000, 9));
                continue;
            };
            assert_eq!((error.errno, error.done.len()), (Errno::Io, 0));
            let names = tree.list_files("", &mut { usize::MAX }).unwrap();
            let copies = names.iter().filter(|name| name.starts_with(".wasi-rs-")).count();
            assert_eq!(copies, error.kept.len(), "{names:?}");
            if error.kept.is_empty() {
                for (name, bytes) in &old {
                    assert!(tree.read_file(name).unwrap() == *bytes, "{name} from {from}");
                }
                put_back += 1;
            } else {
                assert!(lasts);
                // Each is whole where it is, or in a copy.
                for (_, bytes) in &old {
                    let places = names.iter().filter(|name| !name.ends_with("-too"));
                    let mut found = places.map(|name| tree.read_file(name).unwrap());
                    assert!(found.any(|found| found == *bytes), "from {from}: {names:?}");
                }
                kept_all += 1;
            }
            // All of it is still a change.
            assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap().len(), 3);
        }
    }
    assert!(put_back > 5 && kept_all > 3 && written > 2, "{put_back} {kept_all} {written}");
}

#[test]
fn what_is_written_during_a_commit_is_a_change_after_it() {
    let tree = Tree::with_options(TreeOptions::new(1 << 20));
    tree.seed("old", b"old").unwrap();
    let host = Host::new(tree.root_directory(false), 0..0);
    let meanwhile = Arc::clone(&host.meanwhile);
    let overlay = Overlay::new(Box::new(host), TreeOptions::new(1 << 20)).unwrap();
    let guest = overlay.root_directory(false, false);
    let names = ["new", "old"];
    let files = names.map(|name| open(&*guest, name, true));
    for file in &files {
        write(&**file, &mut b"first".to_vec());
    }
    // The descriptors are closed then, too.
    *meanwhile.lock().unwrap() = Some(Box::new(move || {
        for file in files {
            write(&*file, &mut b" second".to_vec());
        }
    }));
    assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 2);
    for name in names {
        assert_eq!(tree.read_file(name).unwrap(), b"first");
        assert_eq!(overlay.read_at(path(name), false, false).unwrap(), b"first second");
    }
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap().len(), 2);
    assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 2);
    for name in names {
        assert_eq!(tree.read_file(name).unwrap(), b"first second");
        assert_eq!(overlay.read_at(path(name), false, false).unwrap(), b"first second");
    }
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap(), []);
}

#[test]
fn what_another_process_takes_away_at_once_was_written() {
    for is_open in [false, true] {
        let tree = Tree::with_options(TreeOptions::new(1 << 20));
        let host = Host::new(tree.root_directory(false), 0..0);
        let afterwards = Arc::clone(&host.afterwards);
        let overlay = Overlay::new(Box::new(host), TreeOptions::new(1 << 20)).unwrap();
        let guest = overlay.root_directory(false, false);
        for name in ["a", "b", "c"] {
            rewrite(&*guest, name, &mut bytes(10, 1));
        }
        let file = is_open.then(|| open(&*guest, "c", false));
        let lower = tree.root_directory(false);
        // The last one is put in its place first.
        *afterwards.lock().unwrap() = Some(Box::new(move || lower.unlink_file(path("c")).unwrap()));
        assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 3);
        assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap(), []);
        assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap(), []);
        drop(file);
        assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap(), []);
        assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["a", "b"]);
        assert_eq!(guest.path_filestat(path("c"), false).err(), Some(Errno::Noent));
        assert_eq!(overlay.used_bytes(), 0);
    }
}

#[test]
fn what_is_removed_on_the_way_stays_for_a_commit_of_its_own() {
    let tree = Tree::with_options(TreeOptions::new(1 << 20));
    for name in ["a/x", "a/y", "b/x", "b/y"] {
        tree.seed(name, b"below").unwrap();
    }
    let overlay = Overlay::new(tree.root_directory(false), TreeOptions::new(1 << 20)).unwrap();
    let guest = overlay.root_directory(false, false);
    for directory in ["a", "b"] {
        for name in ["x", "y"] {
            guest.unlink_file(path(&format!("{directory}/{name}"))).unwrap();
        }
        guest.remove_directory(path(directory)).unwrap();
    }
    rewrite(&*guest, "b", &mut b"a file".to_vec());
    let commit = |within: &str| {
        let done = overlay.commit(within, &mut { usize::MAX }).unwrap();
        done.into_iter().map(|change| change.path).collect::<Vec<_>>()
    };
    assert_eq!(commit("a/x"), ["a/x"]);
    assert_eq!(commit("b/y"), ["b/y"]);
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["a/y", "b/x"]);
    assert_eq!(commit(""), ["a", "a/y", "b", "b", "b/x"]);
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["b"]);
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap(), []);
}

/// An overlay over a tree with files that hold their own names, and the tree.
fn over(files: &[&str]) -> (Overlay, Tree, Host) {
    let tree = Tree::with_options(TreeOptions::new(1 << 20));
    for name in files {
        tree.seed(name, name.as_bytes()).unwrap();
    }
    let host = Host::new(tree.root_directory(false), 0..0);
    let overlay = Overlay::new(Box::new(host.clone()), TreeOptions::new(1 << 20)).unwrap();
    (overlay, tree, host)
}

#[test]
fn what_an_open_copy_was_copied_from_is_not_replaced_alone() {
    let (overlay, tree, _) = over(&["d/x"]);
    let guest = overlay.root_directory(false, false);
    let file = open(&*guest, "d/x", false);
    guest.rename(path("d"), &*guest, path("m")).unwrap();
    guest.create_directory(path("d")).unwrap();
    rewrite(&*guest, "d/x", &mut b"new".to_vec());
    let error = overlay.commit("d/x", &mut { usize::MAX }).unwrap_err();
    assert_eq!((error.errno, error.done.len()), (Errno::Busy, 0));
    drop(file);
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap().len(), 3);
    assert_eq!(overlay.read_at(path("m/x"), false, false).unwrap(), b"d/x");
    assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 3);
    assert_eq!(tree.read_file("m/x").unwrap(), b"d/x");
    assert_eq!(tree.read_file("d/x").unwrap(), b"new");
}

#[test]
fn a_name_that_is_found_in_a_directory_that_was_moved_is_not_removed_alone() {
    let (overlay, tree, _) = over(&["d/x"]);
    let lower = tree.root_directory(false);
    lower.link(path("d/x"), false, &*lower, path("y")).unwrap();
    lower.link(path("d/x"), false, &*lower, path("z")).unwrap();
    let guest = overlay.root_directory(false, false);
    // The file has a place by another of its names.
    rewrite(&*guest, "y", &mut b"new".to_vec());
    guest.rename(path("d"), &*guest, path("m")).unwrap();
    let error = overlay.commit("d/x", &mut { usize::MAX }).unwrap_err();
    assert_eq!((error.errno, error.done.len()), (Errno::Busy, 0));
    assert_eq!(overlay.read_at(path("m/x"), false, false).unwrap(), b"new");
    overlay.commit("", &mut { usize::MAX }).unwrap();
    for name in ["m/x", "y", "z"] {
        assert_eq!(tree.read_file(name).unwrap(), b"new");
    }
}

#[test]
fn what_gets_another_name_is_not_lost_where_another_process_has_taken_that() {
    let (overlay, tree, host) = over(&["f"]);
    let guest = overlay.root_directory(false, false);
    guest.rename(path("f"), &*guest, path("a")).unwrap();
    rewrite(&*guest, "f", &mut b"new".to_vec());
    let lower = tree.root_directory(false);
    *host.meanwhile.lock().unwrap() =
        Some(Box::new(move || lower.create_directory(path("a")).unwrap()));
    let error = overlay.commit("", &mut { usize::MAX }).unwrap_err();
    assert_eq!((error.errno, error.done.len(), error.kept.len()), (Errno::Isdir, 0, 0));
    assert_eq!(overlay.read_at(path("a"), false, false).unwrap(), b"f");
    tree.root_directory(false).remove_directory(path("a")).unwrap();
    assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 2);
    assert_eq!(tree.read_file("a").unwrap(), b"f");
    assert_eq!(tree.read_file("f").unwrap(), b"new");
}

#[test]
fn what_has_no_other_name_is_kept() {
    let (overlay, tree, host) = over(&["f", "g"]);
    let guest = overlay.root_directory(false, false);
    for (old, new) in [("f", "t"), ("g", "f"), ("t", "g")] {
        guest.rename(path(old), &*guest, path(new)).unwrap();
    }
    let lower = tree.root_directory(false);
    *host.afterwards.lock().unwrap() = Some(Box::new(move || {
        lower.unlink_file(path("f")).unwrap();
        lower.create_directory(path("f")).unwrap();
    }));
    let error = overlay.commit("", &mut { usize::MAX }).unwrap_err();
    assert_eq!((error.errno, &*error.path, error.done.len()), (Errno::Isdir, "f", 1));
    assert_eq!(tree.read_file("g").unwrap(), b"f");
    let [kept] = &*error.kept else { panic!("{:?}", error.kept) };
    assert_eq!(tree.read_file(kept).unwrap(), b"g");
}

#[test]
fn times_are_no_change_of_a_file_that_the_host_has_replaced_or_removed() {
    let (overlay, tree, _) = over(&["f", "g"]);
    let guest = overlay.root_directory(false, false);
    let times = SetTimes { atim: SetTime::Keep, mtim: SetTime::At(7) };
    for name in ["f", "g"] {
        guest.path_set_times(path(name), false, times).unwrap();
    }
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap().len(), 2);
    let lower = tree.root_directory(false);
    rewrite(&*lower, "new", &mut b"by the host".to_vec());
    lower.rename(path("new"), &*lower, path("f")).unwrap();
    lower.unlink_file(path("g")).unwrap();
    assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap(), []);
    assert_eq!(overlay.read_at(path("f"), false, false).unwrap(), b"by the host");
    assert_eq!(guest.path_filestat(path("g"), false).err(), Some(Errno::Noent));
    assert_eq!(overlay.used_bytes(), 0);
}

#[cfg(all(unix, not(miri)))]
#[test]
fn nobody_else_opens_a_file_before_it_has_its_permissions() {
    use crate::host::{PreopenOptions, open_preopen};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let folder = std::env::temp_dir().join(format!("wasi-rs-commit-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    for (name, mode) in [("f", 0o640), ("g", 0o604)] {
        fs::write(folder.join(name), "old").unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let Ok(Opened::Directory(top)) = open_preopen(&folder, PreopenOptions::default()) else {
        panic!("no directory")
    };
    let host = Host::new(top, 0..0);
    let overlay = Overlay::new(Box::new(host.clone()), TreeOptions::new(1 << 20)).unwrap();
    let guest = overlay.root_directory(false, false);
    rewrite(&*guest, "f", &mut b"new".to_vec());
    // Another file in its place.
    guest.unlink_file(path("g")).unwrap();
    rewrite(&*guest, "g", &mut b"new".to_vec());
    let committed = overlay.commit("", &mut { usize::MAX });
    let found = ["f", "g"].map(|name| {
        let path = folder.join(name);
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777)
    });
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(committed.unwrap().len(), 2);
    assert_eq!(found, [(b"new".to_vec(), 0o640), (b"new".to_vec(), 0o604)]);
    assert_eq!(*host.modes.lock().unwrap(), [Some(0o600); 2]);
}

/// What is written at a path alone, or the errno.
fn committed(overlay: &Overlay, within: &str) -> std::result::Result<Vec<String>, Errno> {
    match overlay.commit(within, &mut { usize::MAX }) {
        Ok(done) => Ok(done.into_iter().map(|change| change.path).collect()),
        Err(error) => Err(error.errno),
    }
}

/// Two directories of the guest were one below: what was written in the one was found in the other,
/// and what was removed from the one was lost in the other.
#[test]
fn a_directory_that_was_moved_is_not_shared_with_the_one_in_its_place() {
    let (overlay, tree, _) = over(&["d/x", "d/y", "empty/sub/gone"]);
    tree.root_directory(false).unlink_file(path("empty/sub/gone")).unwrap();
    let guest = overlay.root_directory(false, false);
    guest.rename(path("empty/sub"), &*guest, path("sub")).unwrap();
    for (old, new) in [("d", "m"), ("empty", "e")] {
        guest.rename(path(old), &*guest, path(new)).unwrap();
        guest.create_directory(path(old)).unwrap();
        rewrite(&*guest, &format!("{old}/new"), &mut b"new".to_vec());
    }
    guest.create_directory(path("empty/sub")).unwrap();
    rewrite(&*guest, "empty/sub/new", &mut b"new".to_vec());
    // It failed, and the directory below was two from then on.
    assert_eq!(committed(&overlay, "d/x"), Err(Errno::Busy));
    assert_eq!(committed(&overlay, "d/y"), Err(Errno::Busy));
    for within in ["d/new", "d", "empty/new", "empty", "empty/sub/new"] {
        assert_eq!(committed(&overlay, within), Err(Errno::Busy), "{within}");
    }
    assert_eq!(committed(&overlay, "m/x").unwrap(), ["m", "m/x"]);
    assert_eq!(committed(&overlay, "d/y"), Err(Errno::Busy));
    assert_eq!(overlay.read_at(path("m/y"), false, false).unwrap(), b"d/y");
    assert_eq!(committed(&overlay, "m").unwrap(), ["m/y"]);
    assert_eq!(committed(&overlay, "d/new").unwrap(), ["d/new"]);
    assert_eq!(committed(&overlay, "d").unwrap(), ["d/x", "d/y"]);
    assert_eq!(committed(&overlay, "sub").unwrap(), ["sub"]);
    assert_eq!(committed(&overlay, "").unwrap(), ["e", "empty/new", "empty/sub/new"]);
    assert_eq!(
        tree.list_files("", &mut { usize::MAX }).unwrap(),
        ["d/new", "empty/new", "empty/sub/new", "m/x", "m/y"]
    );
    assert_eq!(tree.read_file("m/y").unwrap(), b"d/y");
    for name in ["sub/new", "m/new", "e/new"] {
        assert_eq!(guest.path_filestat(path(name), false).err(), Some(Errno::Noent), "{name}");
    }
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap(), []);
}

/// The same where the host fails before the directory has its new name.
#[test]
fn a_directory_that_could_not_be_moved_is_not_shared_with_the_one_in_its_place() {
    let (overlay, tree, host) = over(&["d/x"]);
    let guest = overlay.root_directory(false, false);
    guest.rename(path("d"), &*guest, path("a")).unwrap();
    guest.create_directory(path("d")).unwrap();
    rewrite(&*guest, "d/new", &mut b"new".to_vec());
    let lower = tree.root_directory(false);
    // The last one is put in its place first.
    *host.afterwards.lock().unwrap() =
        Some(Box::new(move || lower.symlink(b"d", path("a")).unwrap()));
    let error = overlay.commit("", &mut { usize::MAX }).unwrap_err();
    assert_eq!((error.errno, error.done.len()), (Errno::Notdir, 1));
    assert_eq!(tree.read_file("d/new").unwrap(), b"new");
    assert_eq!(guest.path_filestat(path("a/new"), false).err(), Some(Errno::Noent));
    tree.root_directory(false).unlink_file(path("a")).unwrap();
    rewrite(&*guest, "d/more", &mut b"more".to_vec());
    assert_eq!(committed(&overlay, "d/x"), Err(Errno::Busy));
    assert_eq!(overlay.read_at(path("a/x"), false, false).unwrap(), b"d/x");
    assert_eq!(committed(&overlay, "").unwrap(), ["a", "a/x", "d/more", "d/x"]);
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["a/x", "d/more", "d/new"]);
    assert_eq!(overlay.changes("", &mut { usize::MAX }).unwrap(), []);
}

/// It had one name more than it has, and so its place for ever.
#[test]
fn a_file_whose_old_name_is_removed_later_is_counted_anew() {
    for is_alone in [false, true] {
        let (overlay, tree, _) = over(&["d/x"]);
        let guest = overlay.root_directory(false, false);
        guest.rename(path("d"), &*guest, path("m")).unwrap();
        assert_eq!(committed(&overlay, "m/x").unwrap(), ["m", "m/x"]);
        // The host has it twice until all is written.
        rewrite(&*guest, "m/x", &mut b"new".to_vec());
        if is_alone {
            assert_eq!(committed(&overlay, "d").unwrap(), ["d", "d/x"]);
            assert_eq!(committed(&overlay, "").unwrap(), ["m/x"]);
        } else {
            assert_eq!(committed(&overlay, "").unwrap(), ["d", "d/x", "m/x"]);
        }
        assert_eq!(guest.path_filestat(path("m/x"), false).unwrap().nlink, 1);
        tree.seed("m/x", b"the host's").unwrap();
        assert_eq!(overlay.read_at(path("m/x"), false, false).unwrap(), b"the host's");
        assert_eq!(overlay.used_bytes(), 0);
    }
}

/// The same, where the guest has removed what it had under the new name.
#[test]
fn a_file_that_has_lost_all_of_its_names_takes_no_room() {
    let (overlay, tree, _) = over(&["d/x"]);
    let guest = overlay.root_directory(false, false);
    guest.rename(path("d"), &*guest, path("m")).unwrap();
    assert_eq!(committed(&overlay, "m/x").unwrap(), ["m", "m/x"]);
    rewrite(&*guest, "m/x", &mut bytes(1000, 1));
    guest.unlink_file(path("m/x")).unwrap();
    assert_eq!(committed(&overlay, "").unwrap(), ["d", "d/x", "m/x"]);
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), [""; 0]);
    assert_eq!(overlay.used_bytes(), 0);
}

/// What a descriptor wrote after a second commit was lost: the file had no name above, and got
/// another serial number below.
#[test]
fn a_file_that_has_lost_its_own_name_is_written_by_every_commit() {
    let (overlay, tree, _) = over(&["a"]);
    let lower = tree.root_directory(false);
    lower.link(path("a"), false, &*lower, path("c")).unwrap();
    let guest = overlay.root_directory(false, false);
    let file = open(&*guest, "a", false);
    guest.unlink_file(path("a")).unwrap();
    for round in 1..=4 {
        let mut written = bytes(10 * round, 1);
        write(&*file, &mut written[10 * (round - 1)..]);
        assert_eq!(overlay.read_at(path("c"), false, false).unwrap(), written, "{round}");
        assert_eq!(
            committed(&overlay, "").unwrap(),
            if round == 1 { vec!["a", "c"] } else { vec!["c"] }
        );
        assert_eq!(tree.read_file("c").unwrap(), written, "{round}");
        assert_eq!(guest.path_filestat(path("c"), false), file.filestat());
        let mut listed = None;
        guest
            .entries(0, 4096, &mut |entry: DirectoryEntry<'_>| {
                listed = listed.or((entry.name == b"c").then_some(entry.ino));
                true
            })
            .unwrap();
        assert_eq!(listed, file.filestat().ok().map(|stat| stat.ino), "{round}");
    }
    drop(file);
    assert_eq!(committed(&overlay, "").unwrap(), [""; 0]);
    assert_eq!(overlay.used_bytes(), 0);
}
