//! Which of a guest's names are names of files on Windows.
//!
//! A guest's names follow POSIX: every string without `/` and NUL is a name. To Windows some of
//! them mean something else: `\` separates two names, `:` begins a stream or follows a drive,
//! `NUL.txt` is a device, and `name.` is `name`. None of them can be a file of a guest. Looking one
//! up is `noent`, and making one is `inval`, as POSIX has it for names that a file system does not
//! allow. A guest that probes for `node:fs` or `file?raw` learns that there is no such file, as
//! elsewhere.
//!
//! The files are opened relative to a directory's handle, where most of these names have no special
//! meaning. They are refused all the same, because other programs of the host reach the files by
//! paths, where the names have one.

use crate::abi::Errno;
use crate::host::Result;

/// The longest name of NTFS, in units of UTF-16.
const NAME_LIMIT: usize = 255;

/// The characters that Windows accepts as the digit of a serial or parallel port: those of Latin-1.
const PORT_DIGITS: &str = "0123456789\u{b9}\u{b2}\u{b3}";

/// Checks a component of a path that is neither empty nor `.` nor `..`.
///
/// # Errors
/// - `noent`: no file of the guest's can have this name.
/// - `nametoolong`: it has more than 255 units of UTF-16.
pub(super) fn check(name: &str) -> Result<()> {
    if name.encode_utf16().count() > NAME_LIMIT {
        return Err(Errno::Nametoolong);
    }
    if name.contains(is_special) || name.ends_with(['.', ' ']) || is_device(name) {
        return Err(Errno::Noent);
    }
    Ok(())
}

/// [`check`] for the name of a file that is to be made.
pub(super) fn check_new(name: &str) -> Result<()> {
    check(name).map_err(|errno| if errno == Errno::Noent { Errno::Inval } else { errno })
}

/// [`check`], or [`check_new`] for a name that is to be made.
///
/// # Errors
/// Theirs, and `ilseq`: it is not UTF-8.
#[cfg(any(windows, target_os = "linux"))]
pub(in super::super) fn check_bytes(name: &[u8], is_new: bool) -> Result<()> {
    let name = str::from_utf8(name).map_err(|_| Errno::Ilseq)?;
    if is_new { check_new(name) } else { check(name) }
}

/// Whether no name on Windows has this character, because it separates names or is special in a
/// pattern or a redirection.
fn is_special(character: char) -> bool {
    character < ' ' || matches!(character, '\\' | '/' | ':' | '<' | '>' | '"' | '|' | '?' | '*')
}

/// Whether a name is that of a device, which exists in all directories. Case does not matter, nor
/// does the part from the first dot on, nor spaces before the dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim().to_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|port| {
        port.chars().count() == 1 && port.contains(|digit| PORT_DIGITS.contains(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(name: &str) {
        assert_eq!(check(name), Err(Errno::Noent), "{name:?}");
        assert_eq!(check_new(name), Err(Errno::Inval), "{name:?}");
    }

    #[track_caller]
    fn allowed(name: &str) {
        assert_eq!((check(name), check_new(name)), (Ok(()), Ok(())), "{name:?}");
    }

    #[test]
    fn devices_have_no_names_in_any_case_and_with_any_extension() {
        let mut devices: Vec<String> =
            ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(str::to_owned).to_vec();
        for port in ["COM", "LPT"] {
            devices.extend(PORT_DIGITS.chars().map(|digit| format!("{port}{digit}")));
        }
        assert_eq!(devices.len(), 6 + 2 * 13);
        for device in devices {
            let lower = device.to_lowercase();
            let mixed: String = lower
                .chars()
                .enumerate()
                .map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter })
                .collect();
            for name in [&device, &lower, &mixed] {
                for tail in [
                    "", ".", " ", "  ", ".txt", ".tar.gz", " .txt", "  .x", "..", ". ", " .",
                    ".x.", ".x ", "\u{a0}.x",
                ] {
                    refused(&format!("{name}{tail}"));
                }
                refused(&format!(" {name}"));
            }
        }
    }

    #[test]
    fn names_that_resemble_devices_are_names() {
        for name in [
            "CONSOLE",
            "con1",
            "CON_",
            "_CON",
            "xCON",
            "nul-",
            "nulx",
            "null",
            "aux1",
            "prn0",
            "COM",
            "LPT",
            "com10",
            "COM1x",
            "lpt11",
            "comA",
            "COMa.txt",
            "COM\u{2074}",
            "conin",
            "conout",
            "conin$x",
            "a.con",
            ".nul",
            "x.COM1",
            "printer",
            "cоn", // the `о` is Cyrillic
        ] {
            allowed(name);
        }
    }

    #[test]
    fn what_parts_names_or_begins_a_stream_is_refused() {
        for name in [
            "a\\b",
            "\\a",
            "a\\",
            "\\",
            "..\\x",
            "..\\..",
            "C:",
            "c:x",
            "C:\\x",
            "\\\\host\\share",
            "\\\\?\\C:",
            "\\??\\C:",
            "a:b",
            "a:",
            ":a",
            ":",
            "a::$DATA",
            "dir:$I30:$INDEX_ALLOCATION",
            "a/b",
            "/",
        ] {
            refused(name);
        }
    }

    #[test]
    fn characters_of_patterns_and_controls_are_refused() {
        for special in "<>\"|?*".chars().chain((0..0x20).filter_map(char::from_u32)) {
            for name in [
                format!("{special}"),
                format!("a{special}"),
                format!("{special}a"),
                format!("a{special}b"),
            ] {
                refused(&name);
            }
        }
    }

    #[test]
    fn what_windows_would_cut_off_is_refused() {
        for name in [
            "a.", "a..", "a ", "a  ", "a. ", "a .", "...", "....", " ", "  ", ".. ", ". ", ".. .",
            " .",
        ] {
            refused(name);
        }
    }

    #[test]
    fn all_else_is_a_name() {
        for name in [
            "a",
            ".a",
            "..a",
            "...a",
            "a.b",
            "a b",
            " a",
            "a..b",
            "~",
            "PROGRA~1",
            "$MFT",
            "%PATH%",
            "a\u{7f}",
            "\u{e9}",
            "e\u{301}",
            "日本",
            "🦀",
            "\u{fffd}",
            "\u{202e}x",
            "\u{ff0f}",
            "\u{2215}",
            "\u{ff1a}",
            "\u{2024}",
            "\u{2024}\u{2024}",
            "[x]",
            "{x}",
            "a;b",
            "a,b",
            "a=b",
            "a&b",
            "a'b",
            "a`b",
            "a^b",
            "a!b",
            "a#b",
            "a@b",
            "a+b",
            "-",
            "--",
        ] {
            allowed(name);
        }
    }

    #[test]
    fn the_length_counts_in_utf_16() {
        for (letter, most) in [("a", 255), ("\u{e9}", 255), ("日", 255), ("🦀", 127)] {
            allowed(&letter.repeat(most));
            let longer = letter.repeat(most + 1);
            assert_eq!(check(&longer), Err(Errno::Nametoolong));
            assert_eq!(check_new(&longer), Err(Errno::Nametoolong));
        }
    }
}
