//! What lies beside the guest's directories: it must neither be touched nor read.
//!
//! A secret stands in a file, in a name and in a link's text. It is another one for each input, so
//! that the fuzzer, which collects the values that the code under test compares, cannot know it.

use rustix::fs::{AtFlags, CWD, Stat};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The length of the secret in bytes.
const LEN: usize = 16;

pub struct Outside {
    path: PathBuf,
    dev: u64,
    secret: [u8; LEN],
    file: File,
    seed: u64,
    before: Vec<(PathBuf, Seen)>,
}

/// All that a change would show in.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    ino: u64,
    mode: u32,
    links: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl From<Stat> for Seen {
    fn from(stat: Stat) -> Self {
        Self {
            ino: stat.st_ino,
            mode: stat.st_mode,
            links: stat.st_nlink,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

fn look(path: &Path) -> Seen {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).unwrap().into()
}

impl Outside {
    /// Makes the directory `outside` below `home`.
    pub fn new(home: &Path) -> Self {
        let path = home.join("outside");
        fs::create_dir(&path).unwrap();
        fs::create_dir(path.join("dir")).unwrap();
        let file = File::create(path.join("secret")).unwrap();
        let dev = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).unwrap().st_dev;
        let mut outside = Self {
            path,
            dev,
            secret: [b'-'; LEN],
            file,
            seed: std::process::id().into(),
            before: Vec::new(),
        };
        fs::write(outside.named(), "").unwrap();
        std::os::unix::fs::symlink("-", outside.path.join("link")).unwrap();
        outside
    }

    fn named(&mut self) -> PathBuf {
        self.path.join(str::from_utf8(&self.secret).unwrap())
    }

    /// Plants a new secret.
    pub fn plant(&mut self) {
        let old = self.named();
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        for (index, byte) in self.secret.iter_mut().enumerate() {
            *byte = b'A' + (mixed >> (4 * index) & 15) as u8;
        }
        let new = self.named();
        fs::rename(old, &new).unwrap();
        self.file.write_all_at(&self.secret, 0).unwrap();
        fs::remove_file(self.path.join("link")).unwrap();
        std::os::unix::fs::symlink(str::from_utf8(&self.secret).unwrap(), self.path.join("link"))
            .unwrap();
        self.before.clear();
        for path in [
            self.path.clone(),
            self.path.join("dir"),
            self.path.join("secret"),
            self.path.join("link"),
            new,
        ] {
            let seen = look(&path);
            self.before.push((path, seen));
        }
    }

    /// Whether some bytes hold the secret.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, &self.secret).is_some()
    }

    /// The device that all of it is on.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// Whether a file is one of those outside.
    pub fn has(&self, ino: u64) -> bool {
        self.before.iter().any(|(_, seen)| seen.ino == ino)
    }

    /// Panics if anything has changed.
    pub fn check(&self) {
        for (path, before) in &self.before {
            assert_eq!(&look(path), before, "{} has changed", path.display());
        }
    }
}
