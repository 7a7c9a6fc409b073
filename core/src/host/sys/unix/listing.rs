//! Directory entries by the C library's streams, for systems whose cookies are valid only for the
//! stream that gave them.

use super::errno::from_rustix;
use super::{Entry, filetype};
use crate::host::Result;
use rustix::fs::{Dir, DirEntry, Mode, OFlags};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

/// The entries of a directory. A cookie counts the entries before it. A listing that goes on where
/// the last call stopped goes on in the open stream, whatever was removed meanwhile. Any other
/// listing begins anew and skips as many entries.
#[derive(Default)]
pub(super) struct Listing {
    stream: Mutex<Option<Stream>>,
}

/// An open stream.
struct Stream {
    dir: Dir,
    /// How many entries have been taken from it.
    position: u64,
    /// The entry at `position`, if the last call had no room for it.
    pending: Option<DirEntry>,
}

impl Listing {
    /// Gives the entries from `cookie` on to `sink` until it wants no more.
    pub(super) fn entries(
        &self,
        directory: BorrowedFd<'_>,
        cookie: u64,
        _: usize,
        mut sink: impl FnMut(Entry<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // The stream is put back if all goes well: after an error the next call opens it anew.
        let mut stream = match held.take() {
            Some(stream) => stream,
            None => Stream::open(directory)?,
        };
        stream.go_to(cookie)?;
        while let Some(entry) = stream.next()? {
            let next = stream.position.saturating_add(1);
            let given = Entry {
                name: entry.file_name().to_bytes(),
                ino: entry.ino(),
                filetype: filetype(entry.file_type()),
                next,
            };
            if !sink(given)? {
                stream.pending = Some(entry);
                break;
            }
            stream.position = next;
        }
        *held = Some(stream);
        Ok(())
    }
}

impl Stream {
    fn open(directory: BorrowedFd<'_>) -> Result<Self> {
        // An open file description of its own, because the offset is the stream's.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = rustix::fs::openat(directory, c".", flags, Mode::empty()).map_err(from_rustix)?;
        Ok(Self { dir: Dir::new(own).map_err(from_rustix)?, position: 0, pending: None })
    }

    fn next(&mut self) -> Result<Option<DirEntry>> {
        match self.pending.take() {
            Some(entry) => Ok(Some(entry)),
            None => self.dir.read().transpose().map_err(from_rustix),
        }
    }

    fn go_to(&mut self, cookie: u64) -> Result<()> {
        if cookie == 0 || cookie < self.position {
            self.dir.rewind();
            self.position = 0;
            self.pending = None;
        }
        while self.position < cookie && self.next()?.is_some() {
            self.position = self.position.saturating_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Errno;
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::PathBuf;

    struct Temp(PathBuf);

    impl Temp {
        fn new(name: &str, entries: usize) -> Self {
            let path =
                std::env::temp_dir().join(format!("wasi-rs-listing-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            for entry in 0..entries {
                fs::write(path.join(entry.to_string()), "").unwrap();
            }
            Self(path)
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Up to `most` entries from a cookie on, as names and the cookies after them.
    fn list(
        listing: &Listing,
        directory: &fs::File,
        cookie: u64,
        most: usize,
    ) -> Vec<(Vec<u8>, u64)> {
        let mut found = Vec::new();
        let mut sink = |entry: Entry<'_>| {
            if found.len() == most {
                return Ok(false);
            }
            found.push((entry.name.to_vec(), entry.next));
            Ok(true)
        };
        listing.entries(directory.as_fd(), cookie, 0, &mut sink).unwrap();
        found
    }

    #[test]
    fn each_cookie_leads_to_the_rest() {
        let temp = Temp::new("cookies", 20);
        let (directory, listing) = (fs::File::open(&temp.0).unwrap(), Listing::default());
        let all = list(&listing, &directory, 0, usize::MAX);
        let names: BTreeSet<_> = all.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!((all.len(), names.len()), (22, 22));
        assert!(names.contains(&b"."[..]) && names.contains(&b".."[..]));
        // Forwards, backwards, and to where the last call stopped.
        for (at, (_, cookie)) in all.iter().enumerate().chain(all.iter().enumerate().rev()) {
            assert_eq!(list(&listing, &directory, *cookie, usize::MAX), all[at + 1..]);
            assert_eq!(
                list(&listing, &directory, *cookie, 2),
                all[at + 1..(at + 3).min(all.len())]
            );
        }
        for beyond in [23, u64::MAX] {
            assert_eq!(list(&listing, &directory, beyond, usize::MAX), []);
        }
        assert_eq!(list(&listing, &directory, 0, usize::MAX), all);
    }

    #[test]
    fn a_listing_goes_on_while_what_it_gave_is_removed() {
        let temp = Temp::new("removal", 100);
        let (directory, listing) = (fs::File::open(&temp.0).unwrap(), Listing::default());
        let (mut cookie, mut seen) = (0, 0);
        loop {
            let some = list(&listing, &directory, cookie, 7);
            let Some((_, last)) = some.last() else { break };
            cookie = *last;
            for (name, _) in some.iter().filter(|(name, _)| !name.starts_with(b".")) {
                fs::remove_file(temp.0.join(str::from_utf8(name).unwrap())).unwrap();
                seen += 1;
            }
        }
        assert_eq!(seen, 100);
        assert_eq!(list(&listing, &directory, 0, usize::MAX).len(), 2);
    }

    #[test]
    fn the_start_is_a_fresh_look() {
        let temp = Temp::new("fresh", 1);
        let (directory, listing) = (fs::File::open(&temp.0).unwrap(), Listing::default());
        assert_eq!(list(&listing, &directory, 0, usize::MAX).len(), 3);
        fs::write(temp.0.join("new"), "").unwrap();
        assert_eq!(list(&listing, &directory, 0, usize::MAX).len(), 4);
    }

    #[test]
    fn an_error_of_the_sink_ends_the_listing() {
        let temp = Temp::new("error", 3);
        let (directory, listing) = (fs::File::open(&temp.0).unwrap(), Listing::default());
        let mut sink = |_: Entry<'_>| Err(Errno::Nomem);
        assert_eq!(listing.entries(directory.as_fd(), 0, 0, &mut sink), Err(Errno::Nomem));
        assert_eq!(list(&listing, &directory, 2, usize::MAX).len(), 3);
    }
}
