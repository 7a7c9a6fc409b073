//! Commits on a host that fails in the middle of a write, or takes its time.

use super::super::super::{Tree, TreeOptions};
use super::Overlay;
use crate::abi::{Errno, Fdflags, Filesize, Filestat};
use crate::host::{Directory, EntrySink, File, GuestPath, OpenOptions, Opened, Result, SetTimes};
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
}

impl Host {
    fn new(directory: Box<dyn Directory>, failing: Range<usize>) -> Self {
        let (writes, meanwhile) = (Arc::default(), Arc::default());
        Self { directory: Arc::from(directory), writes, failing, meanwhile }
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
            file @ Opened::File(_) => file,
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
        self.directory.rename(old, to, new)
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
