//! A temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static HOME: OnceLock<PathBuf> = OnceLock::new();

extern "C" fn remove_home() {
    if let Some(home) = HOME.get() {
        let _ = fs::remove_dir_all(home);
    }
}

/// The process's own directory below the host's temporary one. It goes when the process ends in
/// order.
pub fn home() -> &'static Path {
    HOME.get_or_init(|| {
        let home = std::env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(format!("wasi-rs-fuzz-{}", std::process::id()));
        fs::create_dir(&home).unwrap();
        // SAFETY: the function may be called at any time.
        unsafe { libc::atexit(remove_home) };
        home
    })
}

/// How many descriptors the process has open.
pub fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What they are, for a message.
pub fn describe_descriptors() -> String {
    let links = fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .map(|entry| format!("{:?} {:?}", entry.file_name(), fs::read_link(entry.path())));
    links.collect::<Vec<_>>().join("\n")
}
