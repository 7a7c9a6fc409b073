//! The rules for a guest's paths that need no file system.

use super::Result;
use crate::abi::Errno;
use crate::memory::Region;
use std::mem::MaybeUninit;

/// The longest path in bytes: the usual `PATH_MAX` without its terminator.
pub const PATH_LIMIT: usize = 4095;

/// Room for a path on the stack.
pub struct PathBuffer {
    bytes: [MaybeUninit<u8>; PATH_LIMIT],
}

impl PathBuffer {
    /// Empty room.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; PATH_LIMIT] }
    }

    /// Copies a path out of the guest's memory, once, and checks it.
    pub fn read(&mut self, region: Region<'_>) -> Result<GuestPath<'_>> {
        GuestPath::new(self.read_text(region)?)
    }

    /// Copies the text of a symbolic link: any string without a NUL that is not empty.
    pub fn read_text(&mut self, region: Region<'_>) -> Result<&[u8]> {
        let room = self.bytes.get_mut(..region.len()).ok_or(Errno::Nametoolong)?;
        let text = region.read_into(room);
        check_text(text)?;
        Ok(text)
    }
}

impl Default for PathBuffer {
    fn default() -> Self {
        Self::new()
    }
}

fn check_text(text: &[u8]) -> Result<()> {
    if text.is_empty() {
        return Err(Errno::Noent);
    }
    // A plain path, as nearly all are: one look at each byte is enough.
    if text.iter().all(|byte| matches!(byte, 1..=0x7f)) {
        return Ok(());
    }
    if text.contains(&0) {
        return Err(Errno::Inval);
    }
    if str::from_utf8(text).is_err() {
        return Err(Errno::Ilseq);
    }
    Ok(())
}

/// Whether a path is one plain name, which cannot lead anywhere else.
pub(super) fn is_plain_name(path: &[u8]) -> bool {
    path != b"." && path != b".." && path.iter().all(|byte| *byte != b'/')
}

/// A guest's path: relative, not empty, without NUL, UTF-8. It may hold any number of `..`: only
/// the walk knows where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestPath<'a>(&'a [u8]);

/// A path as the directory that holds its last component, and that component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<'a> {
    /// The path of the directory, unless it is the one that the path starts from.
    pub parent: Option<GuestPath<'a>>,
    /// The last component, without slashes.
    pub name: &'a [u8],
    /// Whether slashes follow it.
    pub trailing_slash: bool,
}

impl<'a> GuestPath<'a> {
    /// Checks a path.
    ///
    /// # Errors
    /// - `noent`: it is empty.
    /// - `nametoolong`: it has more than [`PATH_LIMIT`] bytes.
    /// - `inval`: it holds a NUL.
    /// - `ilseq`: it is not UTF-8.
    /// - `notcapable`: it is absolute.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > PATH_LIMIT {
            return Err(Errno::Nametoolong);
        }
        check_text(bytes)?;
        if bytes.starts_with(b"/") {
            return Err(Errno::Notcapable);
        }
        Ok(Self(bytes))
    }

    /// A path of components that were checked, or that a file system has: not empty, not absolute,
    /// without NUL. It may be longer than a guest's, and need not be UTF-8.
    pub(super) const fn of_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the path is one plain name, which cannot lead anywhere else.
    #[must_use]
    pub fn is_plain_name(self) -> bool {
        is_plain_name(self.0)
    }

    /// Splits the last component off.
    #[must_use]
    pub fn split(self) -> Split<'a> {
        let mut trimmed = self.0;
        while let [rest @ .., b'/'] = trimmed {
            trimmed = rest;
        }
        let trailing_slash = trimmed.len() != self.0.len();
        match trimmed.iter().rposition(|byte| *byte == b'/') {
            Some(at) => Split {
                parent: trimmed.get(..at).map(GuestPath),
                name: trimmed.get(at.wrapping_add(1)..).unwrap_or_default(),
                trailing_slash,
            },
            None => Split { parent: None, name: trimmed, trailing_slash },
        }
    }
}

impl Split<'_> {
    /// Whether the last component is `.` or `..`, names under which nothing can be created or
    /// removed.
    #[must_use]
    pub fn is_dots(&self) -> bool {
        self.name == b"." || self.name == b".."
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused() {
        for (path, errno) in [
            (&b""[..], Errno::Noent),
            (b"/", Errno::Notcapable),
            (b"/etc/passwd", Errno::Notcapable),
            (b"//x", Errno::Notcapable),
            (b"a\0", Errno::Inval),
            (b"\0", Errno::Inval),
            (b"a\0b", Errno::Inval),
            (b"a\xff", Errno::Ilseq),
            (&[b'a'; PATH_LIMIT + 1], Errno::Nametoolong),
        ] {
            assert_eq!(GuestPath::new(path), Err(errno), "{path:?}");
        }
        assert!(GuestPath::new(&[b'a'; PATH_LIMIT]).is_ok());
    }

    #[test]
    fn a_path_splits_at_its_last_component() {
        for (path, parent, name, slash) in [
            ("a", None, "a", false),
            ("a/", None, "a", true),
            ("a/b", Some("a"), "b", false),
            ("a//b///", Some("a/"), "b", true),
            ("../x", Some(".."), "x", false),
            (".", None, ".", false),
            ("a/..", Some("a"), "..", false),
            ("./", None, ".", true),
        ] {
            let split = GuestPath::new(path.as_bytes()).unwrap().split();
            let got = split.parent.map(|parent| str::from_utf8(parent.as_bytes()).unwrap());
            assert_eq!(
                (got, split.name, split.trailing_slash),
                (parent, name.as_bytes(), slash),
                "{path}"
            );
        }
    }

    #[test]
    fn only_one_component_that_is_not_dots_is_plain() {
        for (path, plain) in [
            ("a", true),
            ("...", true),
            (".a", true),
            (".", false),
            ("..", false),
            ("a/", false),
            ("a/b", false),
        ] {
            assert_eq!(GuestPath::new(path.as_bytes()).unwrap().is_plain_name(), plain, "{path}");
        }
    }
}
