//! The text of symbolic links: as Windows stores it, and as a guest reads and writes it.
//!
//! ```text
//!  0 tag u32 | 4 length u16 | 6 -
//!  8 target's offset u16 | 10 its length u16 | 12 - u16 | 14 - u16
//! 16 flags u32 (of a symbolic link; a mount point has its text here) | 20 text ...
//! ```

use super::names;
use crate::abi::Errno;
use crate::host::Result;

/// The tag of a symbolic link.
pub(super) const SYMLINK: u32 = 0xa000_000c;
/// The tag of a mount point, as directory junctions are.
pub(super) const MOUNT_POINT: u32 = 0xa000_0003;
/// The flag of a symbolic link whose text is relative, to its directory or to the root of its
/// drive.
const RELATIVE: u32 = 1;

/// Whether a file with this tag stands for another file. Other tags are for the file system's
/// filters, and such a file is an ordinary one.
pub(super) fn is_surrogate(tag: u32) -> bool {
    tag & 0x2000_0000 != 0
}

/// The target of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The text, with `/` between names.
    pub(super) text: String,
    /// Whether it leads to another drive, or to a drive by its letter: a place for which no guest
    /// has a name.
    pub(super) has_drive: bool,
}

/// Reads a link out of its reparse point. `None`: it is of another kind, or its text is not
/// Unicode.
pub(super) fn parse(data: &[u8]) -> Option<Link> {
    let u16_at =
        |at: usize| Some(u16::from_le_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let u32_at =
        |at: usize| Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let (start, relative) = match u32_at(0)? {
        SYMLINK => (20_usize, u32_at(16)? & RELATIVE != 0),
        MOUNT_POINT => (16, false),
        _ => return None,
    };
    let from = start.checked_add(u16_at(8)?.into())?;
    let units = data.get(from..from.checked_add(u16_at(10)?.into())?)?;
    let units: Vec<u16> =
        units.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16(&units).ok()?;
    // The object manager's name for what a program calls `C:\`.
    let text = if relative { text.as_str() } else { text.strip_prefix("\\??\\").unwrap_or(&text) };
    Some(Link { text: text.replace('\\', "/"), has_drive: !relative })
}

/// The text of a link that a guest makes, as Windows wants it. It is relative.
///
/// # Errors
/// - `inval`: one of its components is no name on Windows. Such a text could not be told from one
///   that leads elsewhere.
/// - `ilseq`: it is not UTF-8.
pub(super) fn from_guest(text: &[u8]) -> Result<String> {
    let text = str::from_utf8(text).map_err(|_| Errno::Ilseq)?;
    for component in text.split('/').filter(|component| !matches!(*component, "" | "." | "..")) {
        names::check_new(component)?;
    }
    Ok(text.replace('/', "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reparse point as Windows writes it: the text to show stands before the one to follow.
    fn reparse(tag: u32, flags: Option<u32>, shown: &str, followed: &str) -> Vec<u8> {
        let utf_16 =
            |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let (shown, followed) = (utf_16(shown), utf_16(followed));
        let mut data = tag.to_le_bytes().to_vec();
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap();
        let rest = 8 + flags.map_or(0, |_| 4) + length(&shown) + length(&followed);
        for number in [rest, 0, length(&shown), length(&followed), 0, length(&shown)] {
            data.extend(number.to_le_bytes());
        }
        data.extend(flags.into_iter().flat_map(u32::to_le_bytes));
        [data, shown, followed].concat()
    }

    fn link(text: &str, has_drive: bool) -> Link {
        Link { text: text.to_owned(), has_drive }
    }

    #[test]
    fn links_are_read_with_slashes() {
        for (text, seen) in [
            ("a", "a"),
            ("..\\a\\b", "../a/b"),
            ("\\a", "/a"),
            ("a/b", "a/b"),
            ("", ""),
            ("日本\\🦀", "日本/🦀"),
        ] {
            assert_eq!(
                parse(&reparse(SYMLINK, Some(RELATIVE), "shown", text)),
                Some(link(seen, false)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn links_with_a_drive_are_told_apart() {
        let absolute = "\\??\\C:\\Windows";
        assert_eq!(
            parse(&reparse(SYMLINK, Some(0), "C:\\Windows", absolute)),
            Some(link("C:/Windows", true))
        );
        assert_eq!(
            parse(&reparse(MOUNT_POINT, None, "", absolute)),
            Some(link("C:/Windows", true))
        );
        assert_eq!(
            parse(&reparse(MOUNT_POINT, None, "", "\\??\\Volume{0}\\")),
            Some(link("Volume{0}/", true))
        );
        assert_eq!(
            parse(&reparse(SYMLINK, Some(0), "", "\\??\\UNC\\host\\share")),
            Some(link("UNC/host/share", true))
        );
        // A link without a prefix is relative, whatever its text looks like.
        assert_eq!(parse(&reparse(SYMLINK, Some(0), "", "a")), Some(link("a", true)));
    }

    #[test]
    fn what_is_no_link_is_not_read() {
        let whole = reparse(SYMLINK, Some(RELATIVE), "ab", "cd");
        assert!(parse(&whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "cut to {len} bytes");
        }
        assert_eq!(parse(&reparse(0xa000_001d, Some(RELATIVE), "", "a")), None);
        let mut outside = whole.clone();
        outside[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(parse(&outside), None);
        let mut surrogate = whole;
        let end = surrogate.len();
        surrogate[end - 2..].copy_from_slice(&0xd800_u16.to_le_bytes());
        assert_eq!(parse(&surrogate), None);
    }

    #[test]
    fn surrogates_are_links_of_any_kind() {
        for (tag, surrogate) in [
            (SYMLINK, true),
            (MOUNT_POINT, true),
            (0xa000_001d, true),
            (0x8000_0023, false),
            (0x9000_001a, false),
            (0, false),
        ] {
            assert_eq!(is_surrogate(tag), surrogate, "{tag:#x}");
        }
    }

    #[test]
    fn a_guest_makes_relative_links_of_names() {
        for (text, written) in [
            ("a", "a"),
            ("../a/b", "..\\a\\b"),
            ("a//b/", "a\\\\b\\"),
            (".", "."),
            ("..", ".."),
            ("./x", ".\\x"),
        ] {
            assert_eq!(from_guest(text.as_bytes()).as_deref(), Ok(written), "{text:?}");
        }
        for text in [
            "C:",
            "C:/x",
            "C:x",
            "a\\b",
            "\\\\host/share",
            "a:b",
            "NUL",
            "../nul.txt",
            "a/../CON",
            "a./b",
            "a ",
            "x?",
        ] {
            assert_eq!(from_guest(text.as_bytes()), Err(Errno::Inval), "{text:?}");
        }
        assert_eq!(from_guest(b"a\xff"), Err(Errno::Ilseq));
        assert_eq!(from_guest("a".repeat(256).as_bytes()), Err(Errno::Nametoolong));
    }
}
