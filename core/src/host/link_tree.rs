//! For the tests of resolution: a tree with symbolic links of every kind.

use std::fs;
use std::path::PathBuf;

/// A temporary folder with the tree `top`, beside `outside`.
pub(super) struct LinkTree(pub(super) PathBuf);

/// The names in the tree, and some that are not there, to make paths of.
pub(super) const PARTS: [&str; 28] = [
    "a",
    "b",
    "c",
    "f",
    "da",
    "db",
    "dc",
    "up",
    "here",
    "upper",
    "lf",
    "llf",
    "dangling",
    "slash",
    "slash-file",
    "loop",
    "out",
    "absolute-out",
    "absolute",
    "slash-only",
    "absolute-f",
    "above",
    "missing",
    "new",
    "..",
    "..",
    ".",
    "",
];

impl LinkTree {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(format!("wasi-rs-links-{name}-{}", std::process::id()));
        for directory in ["", "top", "top/a", "top/a/b", "top/c", "outside"] {
            fs::create_dir(path.join(directory)).unwrap();
        }
        for file in ["top/f", "top/a/f", "top/a/b/f", "outside/f"] {
            fs::write(path.join(file), file).unwrap();
        }
        let outside = path.join("outside");
        for (text, link) in [
            ("a", "top/da"),
            ("a/b", "top/db"),
            ("../c", "top/a/dc"),
            ("..", "top/a/up"),
            (".", "top/a/b/here"),
            ("../..", "top/a/b/upper"),
            ("f", "top/lf"),
            ("../f", "top/a/lf"),
            ("da/lf", "top/llf"),
            ("missing", "top/dangling"),
            ("f/", "top/slash-file"),
            ("a/", "top/slash"),
            ("loop", "top/loop"),
            ("a/../../outside", "top/out"),
            (outside.to_str().unwrap(), "top/absolute-out"),
            ("/a/b", "top/absolute"),
            ("/", "top/slash-only"),
            ("//a//../f", "top/a/absolute-f"),
            ("/../../f", "top/c/above"),
        ] {
            std::os::unix::fs::symlink(text, path.join(link)).unwrap();
        }
        Self(path)
    }
}

impl Drop for LinkTree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The next of a row of numbers that look random and are always the same.
pub(super) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
