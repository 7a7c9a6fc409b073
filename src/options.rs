//! The options of an instance, as `index.js` hands them over after its checks.

use crate::error::{Cause, ConstructionError};
use napi::bindgen_prelude::{BigInt, Either, FunctionCallContext, Uint8Array};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Fdflags, Filetype};
use wasi_rs_core::ctx::{Ctx, Strings};
use wasi_rs_core::descriptor::{Descriptor, Role};
use wasi_rs_core::host::stream::{Input, Output, Stream};
use wasi_rs_core::host::{
    self, Access, Directory, GuestPath, Lazy, Opened, Quota, SeededRandom, SingleFile, Sorted, Stdio, SteppingClock, Tree, TreeOptions,
    VirtualClocks,
};

/// Something that the guest gets under a name.
#[napi_derive::napi(object)]
pub(crate) struct PreopenOptions {
    /// The guest's name for it.
    pub guest: String,
    /// The host's path of a directory or a file.
    pub path: String,
    /// Whether the guest is to change nothing below it.
    pub read_only: bool,
    /// Unless it is a directory that the guest may use as any.
    pub special: Option<SpecialPreopen>,
}

/// What is special about a preopen.
#[napi_derive::napi(object)]
#[derive(Default)]
pub(crate) struct SpecialPreopen {
    /// `directory`, the default, `file` or `memory`.
    pub kind: Option<String>,
    /// Whether to make the directory, if it does not exist.
    pub create: Option<bool>,
    /// Whether no symbolic link is followed or made.
    pub no_symlinks: Option<bool>,
    /// Whether a directory or a file is opened when the guest first uses it.
    pub lazy: Option<bool>,
    /// Whether the path is to be opened without following any symbolic link on the way: it is what was checked.
    pub exact: Option<bool>,
    /// What a tree in memory holds first.
    pub entries: Option<Vec<EntryOptions>>,
    /// How many bytes a tree in memory may hold.
    pub max_bytes: Option<f64>,
}

/// A file of a tree in memory.
#[napi_derive::napi(object)]
pub(crate) struct EntryOptions {
    /// Its path, relative.
    pub name: String,
    /// Its bytes.
    pub bytes: Uint8Array,
}

/// A standard stream that is no descriptor of the host.
#[napi_derive::napi(object)]
pub(crate) struct StreamOptions {
    /// `ignore`, `bytes`, `pipe` or `function`.
    pub kind: String,
    /// What to read from `bytes`.
    pub bytes: Option<Uint8Array>,
    /// How many bytes a `pipe` keeps.
    pub cap: Option<f64>,
}

/// A clock that the embedder sets.
#[napi_derive::napi(object)]
pub(crate) struct ClockOptions {
    /// What it shows first, in nanoseconds.
    pub start: BigInt,
    /// By how much it goes on each time it is read, in nanoseconds.
    pub step: BigInt,
}

/// Limits that Rust enforces.
#[napi_derive::napi(object)]
pub(crate) struct LimitOptions {
    /// How many descriptors may be open.
    pub open_files: Option<f64>,
    /// How many bytes may be written.
    pub written_bytes: Option<f64>,
    /// How many entries of directories may be listed.
    pub readdir_entries: Option<f64>,
}

/// What few instances have.
#[napi_derive::napi(object)]
#[derive(Default)]
pub(crate) struct SpecialOptions {
    /// What the guest may do.
    pub limits: Option<LimitOptions>,
    /// Instead of the host's realtime clock.
    pub realtime: Option<ClockOptions>,
    /// Instead of the host's monotonic clock.
    pub monotonic: Option<ClockOptions>,
    /// 32 bytes that decide all random ones.
    pub random_seed: Option<Uint8Array>,
    /// Whether directories list their entries in the order of their names.
    pub sorted_readdir: Option<bool>,
    /// Whether a descriptor of the host that is a directory may not be a standard stream.
    pub no_directories: Option<bool>,
}

/// What an instance is made of: the arguments of `createInstance`, which are read faster than properties.
pub(super) struct InstanceOptions {
    /// Arguments, each ending in NUL.
    args: String,
    /// `NAME=value`, each ending in NUL.
    env: String,
    /// The guest's standard streams: descriptors of the host or something else.
    stdio: [Either<i32, StreamOptions>; 3],
    /// Preopens, in the order of their descriptors.
    preopens: Vec<PreopenOptions>,
    special: SpecialOptions,
}

/// What JavaScript shares with a guest beside descriptors of the host.
#[derive(Default)]
pub(super) struct Extras {
    /// Where streams 1 and 2 go, if JavaScript takes them.
    pub(super) outputs: [Option<Arc<Output>>; 2],
    /// The trees in memory, by the preopen's place.
    pub(super) trees: Vec<Option<Tree>>,
}

/// A number of JavaScript that stands for a count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, and `index.js` has checked the number")]
fn count(number: f64) -> u64 {
    number as u64
}

impl InstanceOptions {
    /// `createInstance(args, env, stdin, stdout, stderr, preopens, special)`
    pub(super) fn of_call(call: &FunctionCallContext<'_>) -> napi::Result<Self> {
        Ok(Self {
            args: call.get(0)?,
            env: call.get(1)?,
            stdio: [call.get(2)?, call.get(3)?, call.get(4)?],
            preopens: call.get(5)?,
            special: call.get::<Option<_>>(6)?.unwrap_or_default(),
        })
    }

    /// Opens everything. If one thing fails, what was opened before it is closed again.
    pub(super) fn into_ctx(self) -> Result<(Ctx, Extras), ConstructionError> {
        let mut extras = Extras::default();
        let special = self.special;
        let limits = special.limits.as_ref();
        let written = limits.and_then(|limits| limits.written_bytes).map(count);
        let entries = limits.and_then(|limits| limits.readdir_entries).map(count);
        let ctx = Ctx {
            args: Arc::new(Strings::from_terminated(self.args.into_bytes())),
            environ: Arc::new(Strings::from_terminated(self.env.into_bytes())),
            quota: (written.is_some() || entries.is_some()).then(|| Arc::new(Quota::new(written, entries))),
            clocks: clocks(special.realtime, special.monotonic).map(Arc::new),
            random: special.random_seed.and_then(|seed| <[u8; 32]>::try_from(&*seed).ok()).map(SeededRandom::new).map(Arc::new),
            ..Ctx::default()
        };
        for (number, options) in self.stdio.into_iter().enumerate() {
            let mut lent = match options {
                Either::A(fd) => {
                    let name = ["stdin", "stdout", "stderr"].get(number).copied().unwrap_or_default();
                    let lent = host::stdio(fd).map_err(|source| ConstructionError::Stdio { name, fd, source })?;
                    if special.no_directories == Some(true) && matches!(lent.object, Opened::Directory(_)) {
                        return Err(ConstructionError::Directory { name, fd });
                    }
                    lent
                }
                Either::B(options) => {
                    let stream = stream(options, number, &mut extras);
                    Stdio { object: Opened::File(Box::new(stream)), flags: Fdflags::empty(), access: Access::BOTH }
                }
            };
            if let Some(quota) = &ctx.quota {
                lent.object = quota.meter(lent.object);
            }
            insert(&ctx, Descriptor::standard(lent, if number == 0 { Role::Input } else { Role::Output }))?;
        }
        let sorted = special.sorted_readdir == Some(true);
        for options in self.preopens {
            let (guest, read_only) = (options.guest.clone(), options.read_only);
            let object = match preopen(options, &ctx, &mut extras)? {
                Opened::Directory(directory) if sorted => Opened::Directory(Box::new(Sorted::new(directory, &ctx.listings))),
                object => object,
            };
            let preopen = Descriptor::preopen(object, guest.as_bytes());
            insert(&ctx, if read_only { preopen.read_only() } else { preopen })?;
        }
        if let Some(limit) = limits.and_then(|limits| limits.open_files) {
            ctx.table.limit(usize::try_from(count(limit)).unwrap_or(usize::MAX));
        }
        Ok((ctx, extras))
    }
}

fn clocks(realtime: Option<ClockOptions>, monotonic: Option<ClockOptions>) -> Option<VirtualClocks> {
    let clock = |options: ClockOptions| SteppingClock::new(options.start.get_u64().1, options.step.get_u64().1);
    (realtime.is_some() || monotonic.is_some()).then(|| VirtualClocks { realtime: realtime.map(clock), monotonic: monotonic.map(clock) })
}

fn stream(options: StreamOptions, number: usize, extras: &mut Extras) -> Stream {
    let output = |extras: &mut Extras| {
        let output = Arc::new(Output::default());
        if let Some(place) = extras.outputs.get_mut(number.wrapping_sub(1)) {
            *place = Some(Arc::clone(&output));
        }
        output
    };
    match options.kind.as_str() {
        "bytes" => Stream::bytes(options.bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()),
        "pipe" => {
            let cap = options.cap.map_or(usize::MAX, |cap| usize::try_from(count(cap)).unwrap_or(usize::MAX));
            Stream::Collector { output: output(extras), cap }
        }
        "function" if number == 0 => Stream::Feed(Arc::new(Input::default())),
        "function" => Stream::Sink(output(extras)),
        _ => Stream::Null,
    }
}

fn preopen(options: PreopenOptions, ctx: &Ctx, extras: &mut Extras) -> Result<Opened, ConstructionError> {
    let root = options.guest == "/";
    let special = options.special.unwrap_or_default();
    let no_symlinks = special.no_symlinks == Some(true);
    extras.trees.push(None);
    if special.kind.as_deref() == Some("memory") {
        let tree = tree(&options.guest, &special, ctx)?;
        let directory = tree.root_directory(root);
        if let Some(place) = extras.trees.last_mut() {
            *place = Some(tree);
        }
        return Ok(Opened::Directory(directory));
    }
    let path = PathBuf::from(options.path);
    let how = How {
        is_file: special.kind.as_deref() == Some("file"),
        create: special.create == Some(true),
        exact: special.exact == Some(true),
        options: host::PreopenOptions { root, no_symlinks },
    };
    if special.lazy == Some(true) {
        return Ok(Opened::Directory(Box::new(Lazy::new(move || how.open(&path).map_err(|cause| cause.errno())))));
    }
    how.open(&path).map(Opened::Directory).map_err(|cause| {
        let place = extras.trees.len().saturating_sub(1);
        ConstructionError::Preopen { guest: options.guest, host: path, place: u32::try_from(place).unwrap_or(u32::MAX), cause }
    })
}

/// How a directory or a file of the host is opened as a preopen.
struct How {
    is_file: bool,
    create: bool,
    exact: bool,
    options: host::PreopenOptions,
}

impl How {
    fn open(&self, path: &Path) -> Result<Box<dyn Directory>, Cause> {
        if self.is_file {
            return self.open_file(path);
        }
        if self.create {
            std::fs::create_dir_all(path)?;
        }
        self.open_directory(path, self.options)
    }

    fn open_directory(&self, path: &Path, options: host::PreopenOptions) -> Result<Box<dyn Directory>, Cause> {
        let opened = if self.exact { host::open_exact(path, options)? } else { host::open_preopen(path, options)? };
        match opened {
            Opened::Directory(directory) => Ok(directory),
            Opened::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens the directory of a file, which is opened when the guest does.
    fn open_file(&self, path: &Path) -> Result<Box<dyn Directory>, Cause> {
        let path = if self.exact { path.to_owned() } else { path.canonicalize()? };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
        let parent = self.open_directory(parent, host::PreopenOptions::default())?;
        let name = name.as_encoded_bytes();
        if parent.path_filestat(GuestPath::new(name)?, false)?.filetype == Filetype::Directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(SingleFile::new(parent, name.to_vec())?))
    }
}

fn tree(guest: &str, options: &SpecialPreopen, ctx: &Ctx) -> Result<Tree, ConstructionError> {
    let max_bytes = options.max_bytes.map_or(u64::MAX, count);
    let mut tree_options = TreeOptions::new(max_bytes);
    if let Some(clocks) = ctx.clocks.as_ref().filter(|clocks| clocks.realtime.is_some()) {
        // Files get the guest's time, and a device that is the same in the next run.
        let clocks = Arc::clone(clocks);
        tree_options.clock = Box::new(move || clocks.realtime.as_ref().map_or(0, SteppingClock::time));
        tree_options.device = Some(1);
    }
    let tree = Tree::with_options(tree_options);
    for entry in options.entries.iter().flatten() {
        let failed = |errno| ConstructionError::Entry { guest: guest.to_owned(), name: entry.name.clone(), errno };
        tree.seed(&entry.name, &entry.bytes).map_err(failed)?;
    }
    Ok(tree)
}

fn insert(ctx: &Ctx, descriptor: Descriptor) -> Result<(), ConstructionError> {
    ctx.table.insert(descriptor).map(drop).map_err(|errno: Errno| ConstructionError::Table(errno))
}
