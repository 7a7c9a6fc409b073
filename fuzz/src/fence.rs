//! What a target may do to the machine it runs on, should the sandbox have a hole: nothing but
//! write to its own directory.

use landlock::{
    ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use std::path::{Path, PathBuf};

/// The largest file, in bytes: what a guest stores is on a real disk.
const FILE_LIMIT: u64 = 4 << 20;

/// Confines writes of this thread to `home`, and to where libFuzzer has been told to write.
///
/// It comes with the first input: libFuzzer installs its signal handlers before that.
pub fn raise(home: &Path) {
    let limit = rustix::process::Rlimit { current: Some(FILE_LIMIT), maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    // As Node.js has them, and as every host should: a write says why it failed.
    // SAFETY: to ignore a signal has no preconditions.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }

    let writes = AccessFs::from_write(ABI::V3);
    let mut rules = Ruleset::default().handle_access(writes).unwrap().create().unwrap();
    for path in std::iter::once(home.to_owned()).chain(of_libfuzzer()) {
        if let Ok(fd) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(fd, writes)).unwrap();
        }
    }
    if rules.restrict_self().unwrap().ruleset == RulesetStatus::NotEnforced {
        eprintln!(
            "note: this kernel has no Landlock, so nothing but the sandbox under test holds its guest"
        );
    }
}

/// The directories of corpora, artifacts and logs.
fn of_libfuzzer() -> Vec<PathBuf> {
    let parent = |path: &str| {
        Path::new(path)
            .parent()
            .map(|parent| if parent == Path::new("") { ".".into() } else { parent.to_owned() })
    };
    std::env::args()
        .skip(1)
        .filter_map(|argument| match argument.split_once('=') {
            Some((
                "-artifact_prefix"
                | "-merge_control_file"
                | "-exact_artifact_path"
                | "-features_dir",
                path,
            )) => parent(path),
            _ => Path::new(&argument).is_dir().then(|| argument.into()),
        })
        .collect()
}
