//! Three file systems, one behaviour: the host's through `openat2`, the host's walked component by
//! component, and a tree in memory.
//!
//! An input is a list of operations on paths, many of them through links. Each is done to all
//! three, which start empty: all succeed alike and meet the same file, or all refuse for the same
//! reason. In the end they hold the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use wasi_rs_core::abi::{Errno, Fdflags, Filestat, Filetype};
use wasi_rs_core::host::sys::pretend_openat2;
use wasi_rs_core::host::{
    self, Directory, DirectoryEntry, GuestPath, OpenOptions, Opened, PreopenOptions, SetTime,
    SetTimes, Overlay, Tree, TreeOptions,
};
use wasi_rs_fuzz::input::Input;
use wasi_rs_fuzz::outside::Outside;
use wasi_rs_fuzz::{fence, temp};

/// Operations of one input.
const OPERATIONS: u64 = 40;

/// Directories that are open at a time; the first is the top.
const SLOTS: usize = 4;

/// A file system under one of its resolvers.
struct System {
    name: &'static str,
    /// Whether `openat2` resolves, where that makes a difference.
    kernel: bool,
    open: Vec<Option<Box<dyn Directory>>>,
}

/// What an operation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Refused(Errno),
    Done,
    Text(Vec<u8>),
    Met(Met),
}

/// A file that an operation met, without its serial number: that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Met {
    filetype: Filetype,
    /// Of a directory, file systems count these as they like.
    size_and_links: Option<(u64, u64)>,
    modified: Option<u64>,
}

#[derive(Debug)]
enum Operation {
    CreateDirectory(String),
    Symlink {
        text: String,
        path: String,
    },
    Link {
        old: String,
        follow: bool,
        new: String,
    },
    Rename {
        old: String,
        new: String,
    },
    UnlinkFile(String),
    RemoveDirectory(String),
    Readlink {
        path: String,
        room: usize,
    },
    Filestat {
        path: String,
        follow: bool,
    },
    SetTimes {
        path: String,
        follow: bool,
    },
    Open {
        path: String,
        options: OpenOptions,
        size: u64,
    },
    /// Opens a directory and keeps it in a slot.
    Enter {
        path: String,
        follow: bool,
        slot: usize,
    },
}

static OUTSIDE: Mutex<Option<Outside>> = Mutex::new(None);

fuzz_target!(|bytes: &[u8]| {
    let mut outside = OUTSIDE.lock().unwrap_or_else(|_| std::process::abort());
    let outside = outside.get_or_insert_with(|| {
        fence::raise(temp::home());
        Outside::new(temp::home())
    });
    outside.plant();
    compare(&mut Input::new(bytes));
    outside.check();
});

fn compare(input: &mut Input<'_>) {
    let setup = input.u8();
    let options = PreopenOptions {
        root: setup & 1 != 0,
        no_symlinks: setup & 14 == 14,
        ..PreopenOptions::default()
    };
    // What is done before this operation lies below the overlay.
    let overlaid = u64::from(setup >> 4);
    let mut systems = Vec::new();
    for (name, kernel) in [("openat2", true), ("walk", false), ("overlay", setup & 2 == 0)] {
        let path = temp::home().join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        let Opened::Directory(top) = host::open_preopen(&path, options).unwrap() else {
            unreachable!()
        };
        systems.push(System::new(name, kernel, top));
    }
    if !options.no_symlinks {
        systems.push(System::new("tree", true, Tree::new(1 << 30).root_directory(options.root)));
    }

    let mut files = Files::default();
    let tops: Vec<_> = systems
        .iter()
        .map(|system| system.directory(0).and_then(|top| top.filestat().ok()))
        .collect();
    files.add(&tops);

    for number in 1..=OPERATIONS {
        if input.is_empty() {
            break;
        }
        if number == overlaid + 1 {
            let path = temp::home().join("overlay");
            for system in &mut systems {
                system.open.iter_mut().skip(1).for_each(|slot| *slot = None);
                if system.name == "overlay" {
                    system.open[0] = Some(overlay(&path, options));
                }
            }
        }
        let slots = input.u8();
        let (from, to) = (usize::from(slots & 3), usize::from(slots >> 2 & 3));
        let operation = Operation::decode(input, number);
        let is_new = match &operation {
            Operation::CreateDirectory(_) | Operation::Symlink { .. } => true,
            Operation::Open { path, options, .. } => {
                options.create
                    && systems[0].stat(from, path, options.follow && !options.exclusive).is_none()
            }
            _ => false,
        };
        let (mut outcomes, mut stats) = (Vec::new(), Vec::new());
        for system in &mut systems {
            let (outcome, stat) = system.perform(from, to, &operation, number);
            outcomes.push((system.name, outcome));
            stats.push(stat);
        }
        assert!(
            outcomes.windows(2).all(|pair| pair[0].1 == pair[1].1),
            "{operation:?} from {from} to {to}: {outcomes:?}"
        );
        if is_new {
            files.add(&stats);
        } else {
            assert!(
                files.agree(&stats),
                "not the same file: {operation:?} from {from} to {to}: {outcomes:?}"
            );
        }
    }
    let contents: Vec<_> = systems.iter().map(System::contents).collect();
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]), "{contents:#?}");
}

fn overlay(path: &Path, options: PreopenOptions) -> Box<dyn Directory> {
    let reading = PreopenOptions { no_access_times: true, ..PreopenOptions::default() };
    let Opened::Directory(lower) = host::open_preopen(path, reading).unwrap() else {
        unreachable!()
    };
    let overlay = Overlay::new(lower, TreeOptions::new(1 << 30)).unwrap();
    overlay.root_directory(options.root, options.no_symlinks)
}

/// Which file of one system is which of another: by the serial number in the first, those in the
/// others.
#[derive(Default)]
struct Files(HashMap<u64, Vec<u64>>);

impl Files {
    fn numbers(stats: &[Option<Filestat>]) -> Option<(u64, Vec<u64>)> {
        let mut numbers = stats.iter().map(|stat| stat.map(|stat| stat.ino));
        Some((numbers.next()??, numbers.collect::<Option<_>>()?))
    }

    /// Notes a new file. A number that was another's is so no longer.
    fn add(&mut self, stats: &[Option<Filestat>]) {
        self.0.extend(Self::numbers(stats));
    }

    fn agree(&self, stats: &[Option<Filestat>]) -> bool {
        Self::numbers(stats).is_none_or(|(first, others)| self.0.get(&first) == Some(&others))
    }
}

impl Operation {
    fn decode(input: &mut Input<'_>, number: u64) -> Self {
        let kind = input.u8();
        let flag = |bit: u8| kind >> bit & 1 != 0;
        match kind & 15 {
            0 | 1 => Self::CreateDirectory(path(input)),
            2..=4 => Self::Symlink { text: path(input), path: path(input) },
            5 => Self::Link { old: path(input), follow: flag(4), new: path(input) },
            6 => Self::Rename { old: path(input), new: path(input) },
            7 => Self::UnlinkFile(path(input)),
            8 => Self::RemoveDirectory(path(input)),
            9 => Self::Readlink {
                path: path(input),
                room: if flag(4) { 4096 } else { usize::from(kind >> 5) },
            },
            10 => Self::Filestat { path: path(input), follow: flag(4) },
            11 => Self::SetTimes { path: path(input), follow: flag(4) },
            12 => Self::Enter {
                path: path(input),
                follow: flag(4),
                slot: 1 + usize::from(kind >> 5) % (SLOTS - 1),
            },
            _ => {
                let more = input.u8();
                let directory = more & 1 != 0;
                let options = OpenOptions {
                    // Not with `directory`: `path_open` refuses that itself.
                    create: flag(4) && !directory,
                    exclusive: flag(5),
                    directory,
                    truncate: flag(6),
                    follow: flag(7),
                    read: more & 2 != 0,
                    write: more & 4 != 0,
                    private: false,
                    flags: if more & 8 != 0 { Fdflags::APPEND } else { Fdflags::empty() },
                };
                Self::Open { path: path(input), options, size: number }
            }
        }
    }
}

/// A path of a few components, most of them names that there may be.
fn path(input: &mut Input<'_>) -> String {
    const LONG: &str = match str::from_utf8(&[b'x'; 256]) {
        Ok(long) => long,
        Err(_) => "",
    };
    let shape = input.u8();
    let mut path = String::new();
    if shape & 0xc0 == 0xc0 {
        path.push('/');
    }
    for index in 0..(shape & 7) {
        if index > 0 {
            path.push('/');
        }
        let component = match input.u8() & 31 {
            0..=5 => "a",
            6..=9 => "b",
            10..=12 => "c",
            13 | 14 => "d",
            15..=19 => "..",
            20..=23 => ".",
            24 => "",
            25 => "outside",
            26 => "secret",
            27 => "openat2",
            28 => &LONG[1..],
            29 => LONG,
            30 => "\u{e9}",
            _ => "a b",
        };
        path.push_str(component);
    }
    if shape & 0x38 == 0x38 {
        path.push('/');
    }
    path
}

impl System {
    fn new(name: &'static str, kernel: bool, top: Box<dyn Directory>) -> Self {
        let mut open: Vec<_> = std::iter::repeat_with(|| None).take(SLOTS).collect();
        open[0] = Some(top);
        Self { name, kernel, open }
    }

    /// What a slot holds. The system's own resolver works from here on.
    fn directory(&self, slot: usize) -> Option<&dyn Directory> {
        pretend_openat2(self.kernel);
        self.open[slot].as_deref()
    }

    fn stat(&self, slot: usize, path: &str, follow: bool) -> Option<Filestat> {
        self.directory(slot)?.path_filestat(GuestPath::new(path.as_bytes()).ok()?, follow).ok()
    }

    /// Does it, and says which file was made or met.
    fn perform(
        &mut self,
        from: usize,
        to: usize,
        operation: &Operation,
        number: u64,
    ) -> (Outcome, Option<Filestat>) {
        match self.attempt(from, to, operation, number) {
            Err(errno) => (Outcome::Refused(errno), None),
            Ok((outcome, stat)) => (outcome, stat),
        }
    }

    fn attempt(
        &mut self,
        from: usize,
        to: usize,
        operation: &Operation,
        number: u64,
    ) -> host::Result<(Outcome, Option<Filestat>)> {
        let here = self.directory(from).ok_or(Errno::Badf)?;
        let there = self.directory(to).ok_or(Errno::Badf)?;
        let made = |path: &str| (Outcome::Done, self.stat(from, path, false));
        match operation {
            Operation::CreateDirectory(path) => {
                here.create_directory(GuestPath::new(path.as_bytes())?)?;
                Ok(made(path))
            }
            Operation::Symlink { text, path } => {
                if text.is_empty() {
                    // The guest's text is never.
                    return Err(Errno::Noent);
                }
                here.symlink(text.as_bytes(), GuestPath::new(path.as_bytes())?)?;
                Ok(made(path))
            }
            Operation::Link { old, follow, new } => {
                here.link(
                    GuestPath::new(old.as_bytes())?,
                    *follow,
                    there,
                    GuestPath::new(new.as_bytes())?,
                )?;
                Ok((Outcome::Done, self.stat(to, new, false)))
            }
            Operation::Rename { old, new } => {
                here.rename(
                    GuestPath::new(old.as_bytes())?,
                    there,
                    GuestPath::new(new.as_bytes())?,
                )?;
                Ok((Outcome::Done, self.stat(to, new, false)))
            }
            Operation::UnlinkFile(path) => {
                here.unlink_file(GuestPath::new(path.as_bytes())?).map(|()| (Outcome::Done, None))
            }
            Operation::RemoveDirectory(path) => here
                .remove_directory(GuestPath::new(path.as_bytes())?)
                .map(|()| (Outcome::Done, None)),
            Operation::Readlink { path, room } => {
                let mut text = vec![0; *room];
                let len = here.readlink(GuestPath::new(path.as_bytes())?, &mut text)?;
                Ok((Outcome::Text(text[..len].to_vec()), None))
            }
            Operation::Filestat { path, follow } => {
                let stat = here.path_filestat(GuestPath::new(path.as_bytes())?, *follow)?;
                Ok((Outcome::Met(Met::new(&stat)), Some(stat)))
            }
            Operation::SetTimes { path, follow } => {
                let path = GuestPath::new(path.as_bytes())?;
                here.path_set_times(
                    path,
                    *follow,
                    SetTimes { atim: SetTime::Keep, mtim: SetTime::At(number) },
                )?;
                let stat = here.path_filestat(path, *follow)?;
                Ok((Outcome::Met(Met { modified: Some(stat.mtim), ..Met::new(&stat) }), Some(stat)))
            }
            Operation::Open { path, options, size } => {
                let stat = match here.open(GuestPath::new(path.as_bytes())?, *options)? {
                    Opened::Directory(directory) => directory.filestat()?,
                    Opened::File(file) => {
                        if options.write {
                            file.set_size(*size)?;
                        }
                        file.filestat()?
                    }
                };
                Ok((Outcome::Met(Met::new(&stat)), Some(stat)))
            }
            Operation::Enter { path, follow, slot } => {
                let options = OpenOptions {
                    create: false,
                    exclusive: false,
                    directory: true,
                    truncate: false,
                    follow: *follow,
                    read: true,
                    write: false,
                    private: false,
                    flags: Fdflags::empty(),
                };
                let Opened::Directory(directory) =
                    here.open(GuestPath::new(path.as_bytes())?, options)?
                else {
                    unreachable!()
                };
                let stat = directory.filestat()?;
                self.open[*slot] = Some(directory);
                Ok((Outcome::Met(Met::new(&stat)), Some(stat)))
            }
        }
    }

    /// Everything there is, by its path.
    fn contents(&self) -> BTreeMap<Vec<u8>, Met> {
        let mut contents = BTreeMap::new();
        let mut pending = vec![Vec::new()];
        while let Some(path) = pending.pop() {
            let top = self.directory(0).unwrap();
            let opened;
            let directory: &dyn Directory = if path.is_empty() {
                top
            } else {
                let Ok(path) = GuestPath::new(&path) else { continue };
                let options = OpenOptions {
                    create: false,
                    exclusive: false,
                    directory: true,
                    truncate: false,
                    follow: false,
                    read: true,
                    write: false,
                    private: false,
                    flags: Fdflags::empty(),
                };
                let Opened::Directory(directory) = top.open(path, options).unwrap() else {
                    unreachable!()
                };
                opened = directory;
                &*opened
            };
            let mut names = Vec::new();
            directory
                .entries(0, 4096, &mut |entry: DirectoryEntry<'_>| {
                    names.push((entry.name.to_vec(), entry.filetype));
                    true
                })
                .unwrap();
            names.retain(|(name, _)| name != b"." && name != b"..");
            for (name, filetype) in names {
                let stat = directory.path_filestat(GuestPath::new(&name).unwrap(), false).unwrap();
                assert_eq!(stat.filetype, filetype);
                let path = if path.is_empty() { name } else { [&path[..], b"/", &name].concat() };
                if filetype == Filetype::Directory {
                    pending.push(path.clone());
                }
                contents.insert(path, Met::new(&stat));
            }
        }
        contents
    }
}

impl Met {
    fn new(stat: &Filestat) -> Self {
        let size_and_links =
            (stat.filetype != Filetype::Directory).then_some((stat.size, stat.nlink));
        Self { filetype: stat.filetype, size_and_links, modified: None }
    }
}
