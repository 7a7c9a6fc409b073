//! Listing directories.

use crate::support::host::MetadataExt;
use crate::support::{BOX, Dirent, Guest, Open, fails};
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Filestat};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{
    Directory, EntrySink, GuestPath, OpenOptions, Opened, Quota, Result, SetTimes, Tree,
};

/// A directory of which the first listings end with an error behind their entries.
struct Failing {
    inner: Box<dyn Directory>,
    errnos: Mutex<Vec<Errno>>,
}

impl Directory for Failing {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        self.inner.open(path, options)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.inner.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        self.inner.path_filestat(path, follow)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        self.inner.path_set_times(path, follow, times)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.inner.entries(cookie, capacity, sink)?;
        self.errnos.lock().unwrap().pop().map_or(Ok(()), Err)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.create_directory(path)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.remove_directory(path)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.unlink_file(path)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.inner.symlink(target, path)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        self.inner.readlink(path, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        self.inner.rename(old, to, new)
    }

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        self.inner.link(old, follow, to, new)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn with_files(count: usize) -> Guest {
    let guest = Guest::new();
    for index in 0..count {
        guest.temp.write(&format!("box/file-{index:06}"), "");
    }
    guest
}

fn names(entries: &[Dirent]) -> BTreeSet<String> {
    let names: BTreeSet<String> =
        entries.iter().map(|entry| String::from_utf8(entry.name.clone()).unwrap()).collect();
    assert_eq!(names.len(), entries.len(), "no entry comes twice");
    names
}

fn expected(count: usize) -> BTreeSet<String> {
    (0..count)
        .map(|index| format!("file-{index:06}"))
        .chain([".".to_owned(), "..".to_owned()])
        .collect()
}

#[test]
fn every_entry_has_its_type_and_serial_number() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "x");
    guest.temp.create_dir("box/dir");
    guest.temp.symlink("nowhere", "box/link");
    let special = ["fifo", "socket"].as_slice();
    #[cfg(unix)]
    guest.temp.fifo("box/fifo");
    #[cfg(unix)]
    let _socket = std::os::unix::net::UnixListener::bind(guest.temp.path("box/socket")).unwrap();
    let special = if cfg!(unix) { special } else { &[] };
    let (entries, end) = guest.readdir(BOX, 4096, 0).unwrap();
    assert!(end);
    let wanted = [".", "..", "dir", "file", "link"].iter().chain(special);
    assert_eq!(names(&entries), wanted.map(|name| (*name).to_owned()).collect());
    for Dirent { name, ino, filetype, .. } in &entries {
        let name = str::from_utf8(name).unwrap();
        let wanted = match name {
            "." | ".." | "dir" => 3,
            "file" => 4,
            "link" => 7,
            "fifo" | "socket" => 6,
            _ => unreachable!(),
        };
        assert_eq!(*filetype, wanted, "{name}");
        // The parent is outside, so `..` is the directory itself, as in the root of a file system.
        let below = if name == ".." { "box".to_owned() } else { format!("box/{name}") };
        assert_eq!(*ino, guest.temp.stat(&below).ino(), "{name}");
    }
    let dot = entries.iter().find(|entry| entry.name == b".").unwrap();
    assert_eq!(dot.ino, guest.filestat(BOX).unwrap().ino);
}

#[test]
fn an_empty_directory_has_two_entries() {
    let mut guest = Guest::new();
    assert_eq!(names(&guest.list(BOX, 4096)), [".", ".."].map(str::to_owned).into());
}

#[test]
fn a_cookie_leads_to_what_is_behind_its_entry() {
    let mut guest = with_files(50);
    let (all, end) = guest.readdir(BOX, 32 * 1024, 0).unwrap();
    assert!(end && all.len() == 52);
    // In any order, as often as one likes.
    for index in [51, 3, 3, 0, 50, 25, 26, 24, 1] {
        let (rest, end) = guest.readdir(BOX, 32 * 1024, all[index].next).unwrap();
        assert!(end);
        assert_eq!(rest, all[index + 1..], "behind entry {index}");
    }
    let cookies: BTreeSet<u64> = all.iter().map(|entry| entry.next).collect();
    assert_eq!(cookies.len(), all.len());
    assert!(!cookies.contains(&0));
}

#[test]
fn a_buffer_of_any_size_is_filled_to_the_byte_or_to_the_end() {
    let mut guest = with_files(20);
    let whole = guest.readdir_bytes(BOX, 8192, 0).unwrap();
    assert!(whole.len() < 8192);
    for len in 0..=whole.len() + 3 {
        let bytes = guest.readdir_bytes(BOX, len, 0).unwrap();
        assert_eq!(bytes, whole[..len.min(whole.len())], "a buffer of {len} bytes");
    }
}

#[test]
fn tiny_buffers_give_all_entries() {
    let mut guest = with_files(200);
    for len in [48, 64, 100, 256, 1000, 1024, 1025, 4096, 40_000] {
        let entries = guest.list(BOX, len);
        assert_eq!(names(&entries), expected(200), "through {len} bytes");
    }
}

#[test]
fn a_buffer_that_ends_where_an_entry_ends_loses_none() {
    let mut guest = with_files(60);
    let (all, _) = guest.readdir(BOX, 32 * 1024, 0).unwrap();
    let mut len = 0;
    for (index, entry) in all.iter().enumerate() {
        len += 24 + entry.name.len();
        let (first, end) = guest.readdir(BOX, len, 0).unwrap();
        assert!(!end && first == all[..=index]);
        let (rest, end) = guest.readdir(BOX, 32 * 1024, entry.next).unwrap();
        assert!(end);
        assert_eq!(rest, all[index + 1..], "behind entry {index}");
    }
}

#[test]
fn a_long_name_fits_a_buffer_made_for_it() {
    let mut guest = Guest::new();
    let long = "n".repeat(255);
    guest.temp.write(&format!("box/{long}"), "");
    assert!(names(&guest.list(BOX, 24 + 256)).contains(&long));
}

#[test]
fn names_of_every_length_arrive_whole() {
    let mut guest = Guest::new();
    let mut wanted: BTreeSet<String> = [".", ".."].map(str::to_owned).into();
    // The longest that a path leaves room for on every system.
    for len in 1..=200 {
        let name = "n".repeat(len);
        guest.temp.write(&format!("box/{name}"), "");
        wanted.insert(name);
    }
    for size in [256, 300, 1000, 4096, 16 * 1024, 32 * 1024] {
        assert_eq!(names(&guest.list(BOX, size)), wanted, "{size}");
    }
}

#[test]
fn cookie_0_looks_again() {
    let mut guest = with_files(3);
    assert_eq!(names(&guest.list(BOX, 4096)), expected(3));
    guest.temp.write("box/file-000003", "");
    assert_eq!(names(&guest.list(BOX, 4096)), expected(4));
    std::fs::remove_file(guest.temp.path("box/file-000003")).unwrap();
    assert_eq!(names(&guest.list(BOX, 4096)), expected(3));
}

#[test]
fn cookies_have_31_bits_and_only_those_given_lead_anywhere() {
    let mut guest = with_files(20);
    assert_eq!(guest.readdir(BOX, 4096, 1), fails(Errno::Inval));
    let all = guest.list(BOX, 4096);
    assert!(all.iter().all(|entry| entry.next < 1 << 31));
    let last = all.last().unwrap().next;
    assert_eq!(guest.readdir(BOX, 4096, last), Ok((Vec::new(), true)));
    let given: BTreeSet<u64> = all.iter().map(|entry| entry.next).collect();
    for cookie in (0..64).map(|bit| 1_u64 << bit).chain([
        12_345,
        u64::MAX >> 1,
        (1 << 62) - 1,
        u64::MAX,
        last + 1,
        last | 1 << 32,
    ]) {
        let result = guest.readdir(BOX, 8192, cookie);
        if given.contains(&cookie) {
            assert!(result.is_ok(), "{cookie:#x}");
        } else {
            assert_eq!(result, fails(Errno::Inval), "{cookie:#x}");
        }
    }
}

#[test]
fn cookies_stay_while_entries_come_and_go() {
    let mut guest = with_files(300);
    let all = guest.list(BOX, 512);
    // Not the first file: where the oldest entry of a directory is removed, tmpfs goes on with the
    // newest one behind the entry before it.
    for index in (1..300).step_by(3) {
        guest.unlink(BOX, format!("file-{index:06}")).unwrap();
    }
    for index in 0..100 {
        guest.temp.write(&format!("box/new-{index}"), "");
    }
    // A look at all in between has numbers for what is new.
    let now: BTreeSet<String> = names(&guest.list(BOX, 700));
    assert_eq!(now.len(), 302);
    for (at, entry) in all.iter().enumerate().rev() {
        let (rest, end) = guest.readdir(BOX, 32 * 1024, entry.next).unwrap();
        assert!(end);
        let rest = names(&rest);
        for behind in &all[at + 1..] {
            let name = String::from_utf8(behind.name.clone()).unwrap();
            assert_eq!(rest.contains(&name), now.contains(&name), "{name} behind entry {at}");
        }
        for before in &all[..=at] {
            assert!(!rest.contains(str::from_utf8(&before.name).unwrap()), "behind entry {at}");
        }
    }
}

#[test]
fn a_listing_beyond_the_memory_for_listings_is_refused() {
    let mut guest = with_files(3000);
    guest.ctx.listings = std::sync::Arc::new(wasi_rs_core::host::Budget::new(8192));
    let other = guest.open(BOX, ".", Open::directory()).unwrap();
    let refused = [BOX, other].map(|fd| {
        let mut cookie = 0;
        for _ in 0..1000 {
            match guest.readdir(fd, 4096, cookie) {
                Ok((entries, true)) => return entries.is_empty(),
                Ok((entries, false)) => cookie = entries.last().unwrap().next,
                result => {
                    assert_eq!(result, fails(Errno::Nomem));
                    return true;
                }
            }
        }
        panic!("the listing does not end");
    });
    // Cookies of a host that counts take no memory, and then nothing is refused.
    let noted = guest.ctx.listings.left() < 8192;
    assert_eq!(refused, [noted, noted]);
    guest.close(other).unwrap();
    guest.close(BOX).unwrap();
    assert_eq!(guest.ctx.listings.left(), 8192);
}

#[test]
fn a_huge_buffer_is_filled_in_slices() {
    let mut guest = with_files(30_000);
    guest.memory.resize(3 << 20, crate::support::PATTERN);
    let (all, end) = guest.readdir(BOX, 2 << 20, 0).unwrap();
    assert!(end);
    assert_eq!(names(&all), expected(30_000));
    let (some, end) = guest.readdir(BOX, (1 << 20) + 1000, 0).unwrap();
    assert!(!end && some == all[..some.len()]);
    let (rest, end) = guest.readdir(BOX, 2 << 20, some.last().unwrap().next).unwrap();
    assert!(end && rest == all[some.len()..]);
}

#[test]
fn the_entry_that_is_too_many_is_refused_and_a_cut_one_is_not_counted() {
    let mut guest = with_files(10);
    let all = guest.list(BOX, 4096);
    guest.ctx.quota = Some(std::sync::Arc::new(wasi_rs_core::host::Quota::new(None, Some(20))));
    let two = 48 + all[0].name.len() + all[1].name.len();
    for _ in 0..3 {
        assert_eq!(guest.readdir(BOX, two + 30, 0).unwrap().0, all[..2], "two whole and one cut");
    }
    assert_eq!(guest.readdir(BOX, 4096, 0).unwrap(), (all.clone(), true), "12 more make 18");
    assert_eq!(
        guest.readdir(BOX, 4096, 0),
        fails(Errno::Dquot),
        "which is not as if there were two entries"
    );
    assert_eq!(
        guest.readdir(BOX, two + 30, 0),
        fails(Errno::Dquot),
        "a piece of a third is one too many"
    );
    assert_eq!(guest.readdir(BOX, two, 0).unwrap().0, all[..2], "what was refused did not count");
    assert_eq!(guest.readdir(BOX, two, 0), fails(Errno::Dquot));
}

#[test]
fn entries_that_the_guest_does_not_get_are_not_counted() {
    let mut guest = with_files(30_000);
    guest.memory.resize(3 << 20, crate::support::PATTERN);
    let limit = |guest: &mut Guest, entries| {
        guest.ctx.quota = Some(Arc::new(Quota::new(None, Some(entries))));
    };
    // The buffer is filled in two slices, and the second is refused.
    limit(&mut guest, 30_001);
    for _ in 0..2 {
        assert_eq!(guest.readdir(BOX, 2 << 20, 0).map(drop), fails(Errno::Dquot));
    }
    let (some, end) = guest.readdir(BOX, 1 << 20, 0).unwrap();
    assert!(!end && some.len() > 15_000);
    // The rest is just what there may be.
    limit(&mut guest, 30_002);
    assert_eq!(names(&guest.readdir(BOX, 2 << 20, 0).unwrap().0), expected(30_000));
    assert_eq!(guest.readdir(BOX, 100, 0).map(drop), fails(Errno::Dquot));

    // A directory that fails, or has to ask the embedder first, behind some entries.
    let tree = Tree::new(1 << 20);
    tree.seed("file", b"").unwrap();
    let inner = tree.root_directory(false);
    let failing = Failing { inner, errnos: Mutex::new(vec![Errno::Io, Errno::Ask, Errno::Ask]) };
    let failing = Descriptor::preopen(Opened::Directory(Box::new(failing)), b"failing");
    let fd = guest.ctx.table.insert(failing).unwrap();
    limit(&mut guest, 3);
    for errno in [Errno::Ask, Errno::Ask, Errno::Io] {
        assert_eq!(guest.readdir(fd, 1000, 0).map(drop), fails(errno));
    }
    assert_eq!(guest.readdir(fd, 1000, 0).unwrap().0.len(), 3);
    assert_eq!(guest.readdir(fd, 1000, 0).map(drop), fails(Errno::Dquot));
}

#[test]
fn deleting_what_was_listed_keeps_the_rest_in_place() {
    for len in [64, 300, 4096] {
        let mut guest = with_files(300);
        let mut seen = BTreeSet::new();
        let mut cookie = 0;
        for _ in 0..1000 {
            let (entries, end) = guest.readdir(BOX, len, cookie).unwrap();
            for entry in &entries {
                let name = String::from_utf8(entry.name.clone()).unwrap();
                if name.starts_with("file") {
                    guest.unlink(BOX, &name).unwrap();
                }
                assert!(seen.insert(name), "no entry comes twice");
                cookie = entry.next;
            }
            if end {
                break;
            }
        }
        assert_eq!(seen, expected(300), "through {len} bytes");
        assert_eq!(std::fs::read_dir(guest.temp.path("box")).unwrap().count(), 0);
    }
}

#[test]
fn creating_meanwhile_loses_no_entry() {
    let mut guest = with_files(300);
    let mut seen = Vec::new();
    let (mut cookie, mut made) = (0, 0);
    loop {
        let (entries, end) = guest.readdir(BOX, 512, cookie).unwrap();
        cookie = entries.last().map_or(cookie, |entry| entry.next);
        seen.extend(entries);
        if end {
            break;
        }
        if made < 200 {
            guest.temp.write(&format!("box/new-{made}"), "");
            made += 1;
        }
        assert!(seen.len() < 1000);
    }
    assert!(names(&seen).is_superset(&expected(300)));
}

#[test]
fn a_subdirectory_can_be_listed_however_it_was_opened() {
    let mut guest = Guest::new();
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/dir/inner", "");
    for how in [Open::directory(), Open::directory().oflags(wasi_rs_core::abi::Oflags::empty())] {
        let fd = guest.open(BOX, "dir", how).unwrap();
        assert_eq!(names(&guest.list(fd, 4096)), [".", "..", "inner"].map(str::to_owned).into());
    }
}

#[test]
fn two_descriptors_of_a_directory_have_two_cursors() {
    let mut guest = with_files(100);
    let other = guest.open(BOX, ".", Open::directory()).unwrap();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for (fd, seen) in [(BOX, &mut one), (other, &mut two)] {
            let cookie = seen.last().map_or(0, |entry: &Dirent| entry.next);
            seen.extend(guest.readdir(fd, 300, cookie).unwrap().0);
        }
    }
    assert_eq!((names(&one), names(&two)), (expected(100), expected(100)));
}

#[test]
fn threads_that_list_one_descriptor_each_see_all() {
    let guest = with_files(500);
    std::thread::scope(|scope| {
        for len in [200, 500, 1024, 4096] {
            let mut thread = guest.thread();
            thread.memory.truncate(8192);
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(names(&thread.list(BOX, len)), expected(500));
                }
            });
        }
    });
}

#[test]
fn a_directory_that_was_removed_has_nothing_left() {
    let mut guest = Guest::new();
    guest.temp.create_dir("box/dir");
    let fd = guest.open(BOX, "dir", Open::directory()).unwrap();
    guest.rmdir(BOX, "dir").unwrap();
    match guest.readdir(fd, 4096, 0) {
        Ok((entries, end)) => assert!(
            end && entries.iter().all(|entry| [&b"."[..], b".."].contains(&entry.name.as_slice()))
        ),
        result => assert_eq!(result, fails(Errno::Noent)),
    }
}

/// 100,000 entries cost about ten times what 10,000 cost, not a hundred times.
#[test]
fn a_listing_takes_time_in_proportion_to_its_entries() {
    let time = |guest: &mut Guest, len: usize, count: usize| {
        // The fastest of a few: the machine has other things to do.
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(guest.list(BOX, len).len(), count + 2);
            best = best.min(start.elapsed());
        }
        best
    };
    let mut few = with_files(10_000);
    let mut many = with_files(100_000);
    for guest in [&mut few, &mut many] {
        guest.memory.truncate(8192);
    }
    let (few, many) = (time(&mut few, 4096, 10_000), time(&mut many, 4096, 100_000));
    assert!(many < few * 40, "10,000 entries took {few:?}, 100,000 took {many:?}");
}
