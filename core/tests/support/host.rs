//! The host's side of a test: a temporary directory and looks at it that do not go through the code
//! under test.

#[cfg(unix)]
#[path = "host/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "host/windows.rs"]
mod platform;

pub use platform::*;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A directory that is removed with everything in it.
pub struct TempDir {
    path: PathBuf,
}

/// All that stands below a directory, by its path from the temporary one: the type, the permissions
/// and the contents of each file, and its modification time in nanoseconds.
pub type Tree = BTreeMap<PathBuf, (u32, Vec<u8>, i128)>;

impl TempDir {
    pub fn new() -> Self {
        Self::inside(std::env::temp_dir()).unwrap()
    }

    /// In a directory that may not be there, or not be writable.
    pub fn inside(parent: impl AsRef<Path>) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wasi-rs-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = parent.as_ref().canonicalize().ok()?.join(name);
        fs::create_dir(&path).ok()?;
        Some(Self { path })
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    pub fn create_dir(&self, below: &str) {
        fs::create_dir(self.path(below)).unwrap();
    }

    pub fn write(&self, below: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(below), contents).unwrap();
    }

    pub fn read(&self, below: &str) -> Vec<u8> {
        fs::read(self.path(below)).unwrap()
    }

    pub fn symlink(&self, text: &str, below: &str) {
        symlink(text, &self.path(below));
    }

    #[cfg(unix)]
    pub fn chmod(&self, below: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Not by the program `mkfifo`: until it has started, a child has all descriptors of the tests
    /// that run beside this one, so a pipe whose reader is gone would still have a reader.
    #[cfg(unix)]
    #[allow(unsafe_code, reason = "rustix has no mkfifo for macOS")]
    pub fn fifo(&self, below: &str) {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(self.path(below).as_os_str().as_bytes()).unwrap();
        // SAFETY: `path` ends with a NUL and outlives the call.
        let result = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// The attributes, without following a link.
    pub fn stat(&self, below: &str) -> Metadata {
        metadata(&self.path(below)).unwrap()
    }

    /// Whether anything stands there.
    pub fn there(&self, below: &str) -> bool {
        fs::symlink_metadata(self.path(below)).is_ok()
    }

    pub fn tree(&self, below: &str) -> Tree {
        let mut tree = Tree::new();
        let mut pending = vec![self.path(below)];
        while let Some(path) = pending.pop() {
            let stat = metadata(&path).unwrap();
            let contents = if stat.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if stat.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if stat.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let path = path.strip_prefix(&self.path).unwrap().to_owned();
            tree.insert(
                path,
                (
                    stat.mode(),
                    contents,
                    i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec()),
                ),
            );
        }
        tree
    }

    /// Asserts how many descriptors this process has open on something below. Only Linux is asked;
    /// the tests that count are compiled everywhere.
    #[track_caller]
    pub fn assert_open_descriptors(&self, expected: usize) {
        if cfg!(target_os = "linux") {
            assert_eq!(self.open_descriptors(), expected, "open on {}", self.path.display());
        }
    }

    /// The descriptors that this process has open on something below, which Linux alone says.
    pub fn open_descriptors(&self) -> usize {
        let links = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|target| target.starts_with(&self.path)).count()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    // A test may have taken permissions away.
    for entry in fs::read_dir(path)?.flatten() {
        if entry.file_type()?.is_dir() {
            #[cfg(unix)]
            fs::set_permissions(entry.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            if fs::read_dir(entry.path())?.take(1000).count() < 1000 {
                remove(&entry.path())?;
            } else {
                fs::remove_dir_all(entry.path())?;
            }
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Nanoseconds since 1970 of a time that the host reports.
pub fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    u64::try_from(seconds).unwrap() * 1_000_000_000 + u64::try_from(nanoseconds).unwrap()
}

/// Runs a test in a thread that has no more of a superuser than a normal user: file permissions
/// hold for it.
#[cfg(target_os = "linux")]
pub fn without_privileges(test: impl FnOnce() + Send) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let over = CapabilitySet::DAC_OVERRIDE
                    | CapabilitySet::DAC_READ_SEARCH
                    | CapabilitySet::FOWNER;
                let mut sets = capabilities(None).unwrap();
                sets.effective -= over;
                sets.permitted -= over;
                sets.inheritable -= over;
                set_capabilities(None, sets).unwrap();
                test();
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Says that a test was not run, past the test runner's capture.
pub fn skipped(why: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "{}: skipped: {why}", thread.name().unwrap_or_default());
}
