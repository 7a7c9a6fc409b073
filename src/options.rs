//! The options of an instance, as `index.js` hands them over after its checks.

use crate::error::{Cause, ConstructionError};
use crate::overlay::MountedOverlay;
use crate::pipes;
use crate::served::Serving;
use napi::bindgen_prelude::{BigInt, Either, FunctionCallContext, Uint8Array};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Fd, Fdflags, Filetype};
use wasi_rs_core::ctx::{Ctx, StringArray};
use wasi_rs_core::descriptor::{Descriptor, Role};
use wasi_rs_core::host::stream::{Input, Output, Stream};
use wasi_rs_core::host::{
    self, Access, Directory, GivenSocket, GuestPath, Lazy, Nested, Opened, Preopen, Quota,
    SeededRandom, Served, SingleFile, SortedDirectory, Stdio, SteppingClock, Tree, TreeOptions,
    View, VirtualClocks,
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
    /// Absent for a plain directory without special properties.
    pub extended: Option<ExtendedPreopen>,
}

/// The properties of a preopen that few preopens have.
#[napi_derive::napi(object)]
#[derive(Default)]
pub(crate) struct ExtendedPreopen {
    /// The backend. Default: a directory.
    pub kind: Option<PreopenKind>,
    /// Whether to make the directory, if it does not exist.
    pub create: Option<bool>,
    /// Whether no symbolic link is followed or made.
    pub no_symlinks: Option<bool>,
    /// Whether a directory or a file is opened when the guest first uses it.
    pub lazy: Option<bool>,
    /// Whether the path is to be opened without following any symbolic link on the way: it is what
    /// was checked.
    pub exact: Option<bool>,
    /// The first files of a tree in memory.
    pub entries: Option<Vec<EntryOptions>>,
    /// How many bytes a tree in memory may hold.
    pub max_bytes: Option<f64>,
    /// How many bytes a tree in memory may hold that lies over the directory or the archive and
    /// takes what the guest changes. Default: there is none.
    pub overlay: Option<f64>,
    /// The bytes of an archive. Otherwise it is the file at the path.
    pub archive: Option<Uint8Array>,
}

/// A file of a tree in memory.
#[napi_derive::napi(object)]
pub(crate) struct EntryOptions {
    /// Its path, relative.
    pub name: String,
    /// Its bytes.
    pub bytes: Uint8Array,
}

/// The backend of a preopen.
#[napi_derive::napi(string_enum = "lowercase")]
#[derive(PartialEq, Eq)]
pub enum PreopenKind {
    /// A file, alone in a directory.
    File,
    /// A tree in memory.
    Memory,
    /// An archive, read into memory.
    Tar,
    /// A file system that JavaScript serves.
    Fs,
}

/// The kind of a standard stream that is no descriptor of the host.
#[napi_derive::napi(string_enum = "lowercase")]
#[derive(PartialEq, Eq)]
pub enum StreamKind {
    /// Nothing to read; what is written is thrown away.
    Ignore,
    /// Fixed input.
    Bytes,
    /// Captured output.
    Pipe,
    /// Captured output of a guest that is ended when it writes more than is kept.
    Collected,
    /// A function of JavaScript reads or writes.
    Function,
    /// The guest's end of a pipe of `openPipe`.
    End,
}

/// A standard stream that is no descriptor of the host.
#[napi_derive::napi(object)]
pub(crate) struct StreamOptions {
    /// Which of them.
    pub kind: StreamKind,
    /// The input of a stream of kind `bytes`.
    pub bytes: Option<Uint8Array>,
    /// How many bytes a `pipe`, or what is `collected`, keeps.
    pub cap: Option<f64>,
    /// The number of an `end`.
    pub end: Option<u32>,
    /// Whether the guest is told that an `end` is a terminal.
    pub terminal: Option<bool>,
}

/// A clock that the embedder sets.
#[napi_derive::napi(object)]
pub(crate) struct ClockOptions {
    /// The first time that the clock shows, in nanoseconds.
    pub start: BigInt,
    /// By how much it goes on each time it is read, in nanoseconds.
    pub step: BigInt,
}

/// A socket for the guest: one of `address`, `path` and `fd`.
#[napi_derive::napi(object)]
pub(crate) struct SocketOptions {
    /// The address to listen on, with its port: `127.0.0.1:80`, `[::1]:80`.
    pub address: Option<String>,
    /// The path of a Unix socket to listen on.
    pub path: Option<String>,
    /// A descriptor of the host, which is duplicated.
    pub fd: Option<i32>,
    /// How many connections may wait to be taken.
    pub backlog: i32,
    /// Whether the guest's calls answer instead of waiting.
    pub nonblock: bool,
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

/// The options that few instances have.
#[napi_derive::napi(object)]
#[derive(Default)]
pub(crate) struct ExtendedOptions {
    /// The limits on the guest's calls.
    pub limits: Option<LimitOptions>,
    /// Instead of the host's realtime clock.
    pub realtime: Option<ClockOptions>,
    /// Instead of the host's monotonic clock.
    pub monotonic: Option<ClockOptions>,
    /// 32 bytes that decide all random ones.
    pub random_seed: Option<Uint8Array>,
    /// Whether directories list their entries in the order of their names.
    pub sorted_readdir: Option<bool>,
    /// Sockets, in the order of their descriptors, which are behind those of the preopens.
    pub sockets: Option<Vec<SocketOptions>>,
    /// Whether a descriptor of the host that is a directory may not be a standard stream.
    pub no_directories: Option<bool>,
    /// Whether a call that would have to wait says so.
    pub suspends: Option<bool>,
}

/// The arguments of `createInstance`. They are arguments because Node-API reads arguments faster
/// than properties.
pub(super) struct InstanceOptions {
    /// Arguments, each ending in NUL.
    args: String,
    /// `NAME=value`, each ending in NUL.
    env: String,
    /// The guest's standard streams: descriptors of the host or something else.
    stdio: [Either<i32, StreamOptions>; 3],
    /// Preopens, in the order of their descriptors.
    preopens: Vec<PreopenOptions>,
    extended: ExtendedOptions,
}

/// The streams, trees and file systems that JavaScript shares with a guest.
#[derive(Default)]
pub(super) struct JsStreams {
    /// The input of stream 0, if JavaScript gives it.
    pub(super) input: Option<Arc<Input>>,
    /// Where streams 1 and 2 go, if JavaScript takes them.
    pub(super) outputs: [Option<Arc<Output>>; 2],
    /// The trees in memory, by the preopen's place.
    pub(super) trees: Vec<Option<Tree>>,
    /// A count of the holders of these streams.
    pub(super) held: Arc<()>,
    /// The overlays, by the preopen's place.
    pub(super) overlays: Vec<Option<MountedOverlay>>,
    /// All of these as the guest sees them, if preopens lie in one another.
    pub(super) view: Option<View>,
    /// The file systems that JavaScript serves, by the preopen's place.
    pub(super) serving: Option<Box<Serving>>,
}

/// For another thread, which looks at what the guest has left. Functions of JavaScript belong to
/// the guest's own.
impl Clone for JsStreams {
    fn clone(&self) -> Self {
        Self {
            input: self.input.clone(),
            outputs: self.outputs.clone(),
            trees: self.trees.clone(),
            overlays: self.overlays.clone(),
            view: self.view.clone(),
            held: Arc::clone(&self.held),
            serving: None,
        }
    }
}

/// A number of JavaScript that stands for a count.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and `index.js` has checked the number"
)]
fn count(number: f64) -> u64 {
    number as u64
}

/// Plain preopens: for each the guest's name and the host's path, both terminated by NUL. An object
/// for each would take four reads of properties through Node-API, which take longer than the rest.
fn plain_preopens(text: &str) -> Vec<PreopenOptions> {
    let mut parts = text.split_terminator('\0').map(str::to_owned);
    let mut preopens = Vec::new();
    while let (Some(guest), Some(path)) = (parts.next(), parts.next()) {
        preopens.push(PreopenOptions { guest, path, read_only: false, extended: None });
    }
    preopens
}

/// A standard stream. `packedStream` in lib/instance.js hands most of them over as numbers.
fn stdio(given: Either<f64, StreamOptions>) -> Either<i32, StreamOptions> {
    match given {
        Either::A(number) => stream_of_number(number),
        Either::B(options) => Either::B(options),
    }
}

/// From 0 on: a descriptor of the host. -1: ignored. Below, by even and odd numbers: a `pipe` and
/// what is `collected`, by how much it keeps.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a cast saturates, and JavaScript has checked descriptors"
)]
fn stream_of_number(number: f64) -> Either<i32, StreamOptions> {
    if number >= 0.0 {
        return Either::A(number as i32);
    }
    let below = -2.0 - number;
    let kind = if number > -2.0 {
        StreamKind::Ignore
    } else if below % 2.0 == 0.0 {
        StreamKind::Pipe
    } else {
        StreamKind::Collected
    };
    let cap = Some((below / 2.0).floor());
    Either::B(StreamOptions { kind, cap, bytes: None, end: None, terminal: None })
}

impl InstanceOptions {
    /// `preopens` is a list, or the text of those that are nothing but a name and a path:
    /// `createInstance(args, env, stdin, stdout, stderr, preopens, extended)`
    pub(super) fn of_call(call: &FunctionCallContext<'_>) -> napi::Result<Self> {
        Ok(Self {
            args: call.get(0)?,
            env: call.get(1)?,
            stdio: [stdio(call.get(2)?), stdio(call.get(3)?), stdio(call.get(4)?)],
            preopens: match call.get::<Either<String, _>>(5)? {
                Either::A(text) => plain_preopens(&text),
                Either::B(list) => list,
            },
            extended: call.get::<Option<_>>(6)?.unwrap_or_default(),
        })
    }

    /// Opens everything. If one thing fails, what was opened before it is closed again.
    pub(super) fn into_ctx(self) -> Result<(Ctx, JsStreams), ConstructionError> {
        let mut streams = JsStreams::default();
        let extended = self.extended;
        let limits = extended.limits.as_ref();
        let written = limits.and_then(|limits| limits.written_bytes).map(count);
        let entries = limits.and_then(|limits| limits.readdir_entries).map(count);
        let ctx = Ctx {
            args: Arc::new(StringArray::from_terminated(self.args.into_bytes())),
            environ: Arc::new(StringArray::from_terminated(self.env.into_bytes())),
            quota: (written.is_some() || entries.is_some())
                .then(|| Arc::new(Quota::new(written, entries))),
            clocks: clocks(extended.realtime, extended.monotonic).map(Arc::new),
            random: extended
                .random_seed
                .and_then(|seed| <[u8; 32]>::try_from(&*seed).ok())
                .map(SeededRandom::new)
                .map(Arc::new),
            suspends: extended.suspends == Some(true),
            ..Ctx::default()
        };
        for (number, options) in self.stdio.into_iter().enumerate() {
            let mut lent = match options {
                Either::A(fd) => {
                    let name =
                        ["stdin", "stdout", "stderr"].get(number).copied().unwrap_or_default();
                    let lent = host::stdio(fd).map_err(|source| ConstructionError::Stdio {
                        name,
                        fd,
                        source,
                    })?;
                    if extended.no_directories == Some(true)
                        && matches!(lent.object, Opened::Directory(_))
                    {
                        return Err(ConstructionError::Directory { name, fd });
                    }
                    lent
                }
                Either::B(options) if options.kind == StreamKind::End => {
                    let name =
                        ["stdin", "stdout", "stderr"].get(number).copied().unwrap_or_default();
                    let end = options.end.and_then(pipes::take).ok_or_else(|| {
                        io::Error::other("the pipe is used already, or was given up")
                    });
                    end.and_then(|end| end.into_stdio(options.terminal == Some(true)))
                        .map_err(|source| ConstructionError::Stdio { name, fd: -1, source })?
                }
                Either::B(options) => {
                    let stream = stream(options, number, ctx.suspends, &mut streams);
                    Stdio {
                        object: Opened::File(Box::new(stream)),
                        flags: Fdflags::empty(),
                        access: Access::BOTH,
                    }
                }
            };
            if let Some(quota) = &ctx.quota {
                lent.object = quota.meter(lent.object);
            }
            insert(
                &ctx,
                Descriptor::standard(lent, if number == 0 { Role::Input } else { Role::Output }),
            )?;
        }
        let sorted = extended.sorted_readdir == Some(true);
        add_preopens_to(self.preopens, &ctx, &mut streams, sorted)?;
        for (place, options) in (0..).zip(extended.sockets.into_iter().flatten()) {
            let nonblock = options.nonblock;
            let mut given =
                socket(options).map_err(|source| ConstructionError::Socket { place, source })?;
            if let Some(quota) = &ctx.quota {
                given.object = quota.meter(given.object);
            }
            let flags = if nonblock { Fdflags::NONBLOCK } else { Fdflags::empty() };
            insert(&ctx, Descriptor::socket(given, flags))?;
        }
        if let Some(limit) = limits.and_then(|limits| limits.open_files) {
            ctx.table.limit(usize::try_from(count(limit)).unwrap_or(usize::MAX));
        }
        Ok((ctx, streams))
    }
}

/// Opens preopens and gives them numbers, in their order.
fn add_preopens_to(
    preopens: Vec<PreopenOptions>,
    ctx: &Ctx,
    streams: &mut JsStreams,
    sorted: bool,
) -> Result<Vec<Fd>, ConstructionError> {
    let mut opened = Vec::with_capacity(preopens.len());
    for options in preopens {
        opened.push(preopen(options, ctx, streams)?);
    }
    let mut numbers = Vec::with_capacity(opened.len());
    let (preopens, view) = host::nest(opened, || stand_in(ctx));
    streams.view = view;
    for Nested { name, directory, read_only } in preopens {
        let directory = if sorted {
            Box::new(SortedDirectory::new(directory, &ctx.listings))
        } else {
            directory
        };
        let preopen = Descriptor::preopen(Opened::Directory(directory), name.as_bytes());
        match insert(ctx, if read_only { preopen.read_only() } else { preopen }) {
            Ok(number) => numbers.push(number),
            Err(error) => {
                for number in numbers {
                    let _ = ctx.table.remove(number);
                }
                return Err(error);
            }
        }
    }
    Ok(numbers)
}

/// Opens more preopens for an instance that is there already: all of them, or none. Nobody reads
/// the files of their trees but the guest.
pub(super) fn add_preopens(
    preopens: Vec<PreopenOptions>,
    ctx: &Ctx,
) -> Result<Vec<Fd>, ConstructionError> {
    add_preopens_to(preopens, ctx, &mut JsStreams::default(), false)
}

fn socket(options: SocketOptions) -> io::Result<GivenSocket> {
    if let Some(fd) = options.fd {
        return host::duplicate_socket(fd);
    }
    if let Some(path) = options.path {
        return host::listen_at(Path::new(&path), options.backlog);
    }
    let address = options.address.as_deref().unwrap_or_default();
    let address = address.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    host::listen(address, options.backlog)
}

fn clocks(
    realtime: Option<ClockOptions>,
    monotonic: Option<ClockOptions>,
) -> Option<VirtualClocks> {
    let clock = |options: ClockOptions| {
        SteppingClock::new(options.start.get_u64().1, options.step.get_u64().1)
    };
    (realtime.is_some() || monotonic.is_some())
        .then(|| VirtualClocks { realtime: realtime.map(clock), monotonic: monotonic.map(clock) })
}

fn stream(
    options: StreamOptions,
    number: usize,
    suspends: bool,
    streams: &mut JsStreams,
) -> Stream {
    let output = |streams: &mut JsStreams| {
        let output = Arc::new(Output::default());
        if let Some(place) = streams.outputs.get_mut(number.wrapping_sub(1)) {
            *place = Some(Arc::clone(&output));
        }
        output
    };
    match options.kind {
        StreamKind::Bytes => {
            Stream::bytes(options.bytes.map(|bytes| bytes.to_vec()).unwrap_or_default())
        }
        kind @ (StreamKind::Pipe | StreamKind::Collected) => {
            let cap = options
                .cap
                .map_or(usize::MAX, |cap| usize::try_from(count(cap)).unwrap_or(usize::MAX));
            Stream::Collector { output: output(streams), cap, ends: kind == StreamKind::Collected }
        }
        StreamKind::Function if number == 0 => {
            let input = Arc::new(if suspends { Input::waiting() } else { Input::default() });
            streams.input = Some(Arc::clone(&input));
            Stream::Feed(input)
        }
        StreamKind::Function => Stream::Sink(output(streams)),
        StreamKind::Ignore | StreamKind::End => Stream::Null,
    }
}

fn preopen(
    options: PreopenOptions,
    ctx: &Ctx,
    streams: &mut JsStreams,
) -> Result<Preopen, ConstructionError> {
    let root = options.guest == "/";
    let extended = options.extended.unwrap_or_default();
    let no_symlinks = extended.no_symlinks == Some(true);
    let is_lazy = extended.lazy == Some(true);
    let is_file = extended.kind == Some(PreopenKind::File);
    let place = u32::try_from(streams.trees.len()).unwrap_or(u32::MAX);
    let overlay =
        extended.overlay.map(|max_bytes| (MountedOverlay::new(root, no_symlinks), max_bytes));
    streams.trees.push(None);
    streams.overlays.push(overlay.as_ref().map(|(overlay, _)| overlay.clone()));
    let how = How {
        is_file: is_file || extended.kind == Some(PreopenKind::Tar),
        create: extended.create == Some(true),
        exact: extended.exact == Some(true),
        // An overlay enforces the options itself, and only reads the directory below it.
        options: if overlay.is_some() {
            host::PreopenOptions { no_access_times: true, ..Default::default() }
        } else {
            host::PreopenOptions { root, no_symlinks, ..Default::default() }
        },
    };
    let path = PathBuf::from(options.path);
    let failed = |cause| ConstructionError::Preopen {
        guest: options.guest.clone(),
        host: path.clone(),
        place,
        cause,
    };
    let directory = match extended.kind {
        Some(PreopenKind::Memory) => {
            let tree = tree(&options.guest, &extended, ctx)?;
            let directory = tree.root_directory(root);
            if let Some(place) = streams.trees.last_mut() {
                *place = Some(tree);
            }
            directory
        }
        Some(PreopenKind::Tar) => {
            let options_of_tree = tree_options(extended.max_bytes, ctx.clocks.as_ref());
            let unpacked = if let Some(bytes) = &extended.archive {
                Tree::of_archive(options_of_tree, &**bytes)
            } else {
                let file = how.open(&path).map_err(failed)?;
                Tree::of_archive_file(options_of_tree, &*file)
            };
            let refused = |error| ConstructionError::Archive {
                guest: options.guest.clone(),
                place: extended.archive.is_none().then_some(place),
                error,
            };
            let tree = unpacked.map_err(refused)?;
            if let Some((overlay, max_bytes)) = &overlay {
                let options = tree_options(Some(*max_bytes), ctx.clocks.as_ref());
                let lower = tree.root_directory(false);
                overlay.lay(lower, options).map_err(|errno| failed(errno.into()))?
            } else {
                tree.root_directory(root)
            }
        }
        Some(PreopenKind::Fs) => {
            let serving = streams.serving.get_or_insert_default();
            let directory = Served::new(&serving.exchange, place).root_directory(root);
            // The embedder is asked for all names at once.
            Box::new(SortedDirectory::new(directory, &ctx.listings))
        }
        Some(PreopenKind::File) | None => {
            let clocks = ctx.clocks.clone();
            let from = path.clone();
            let open = move || match &overlay {
                None => how.open(&from),
                Some((overlay, max_bytes)) => {
                    let options = tree_options(Some(*max_bytes), clocks.as_ref());
                    Ok(overlay.lay(how.open(&from)?, options)?)
                }
            };
            if is_lazy {
                Box::new(Lazy::new(move || open().map_err(|cause| cause.errno())))
            } else {
                open().map_err(failed)?
            }
        }
    };
    let (name, read_only) = (options.guest, options.read_only);
    let is_viewed = streams.trees.last().is_some_and(Option::is_some)
        || streams.overlays.last().is_some_and(Option::is_some);
    // Nobody is asked anything while an instance is made.
    let is_lazy = is_lazy || extended.kind == Some(PreopenKind::Fs);
    Ok(Preopen { name, directory, is_file, read_only, no_symlinks, is_lazy, is_viewed })
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

    fn open_directory(
        &self,
        path: &Path,
        options: host::PreopenOptions,
    ) -> Result<Box<dyn Directory>, Cause> {
        let opened = if self.exact {
            host::open_exact(path, options)?
        } else {
            host::open_preopen(path, options)?
        };
        match opened {
            Opened::Directory(directory) => Ok(directory),
            Opened::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens the directory of a file, which is opened when the guest does.
    fn open_file(&self, path: &Path) -> Result<Box<dyn Directory>, Cause> {
        let path = if self.exact { path.to_owned() } else { path.canonicalize()? };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let parent = self.open_directory(parent, host::PreopenOptions::default())?;
        let name = name.as_encoded_bytes();
        if parent.path_filestat(GuestPath::new(name)?, false)?.filetype == Filetype::Directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(SingleFile::new(parent, name.to_vec())?))
    }
}

/// How a tree in memory is made.
fn tree_options(max_bytes: Option<f64>, clocks: Option<&Arc<VirtualClocks>>) -> TreeOptions {
    let mut options = TreeOptions::new(max_bytes.map_or(u64::MAX, count));
    if let Some(clocks) = clocks.filter(|clocks| clocks.realtime.is_some()) {
        // Files get the guest's time, and a device that is the same in the next run.
        let clocks = Arc::clone(clocks);
        options.clock = Box::new(move || clocks.realtime.as_ref().map_or(0, SteppingClock::time));
        options.device = Some(1);
    }
    options
}

/// An empty tree in the place of a missing directory on the way to a preopen.
fn stand_in(ctx: &Ctx) -> Tree {
    Tree::with_options(tree_options(None, ctx.clocks.as_ref()))
}

fn tree(guest: &str, options: &ExtendedPreopen, ctx: &Ctx) -> Result<Tree, ConstructionError> {
    let tree = Tree::with_options(tree_options(options.max_bytes, ctx.clocks.as_ref()));
    for entry in options.entries.iter().flatten() {
        let failed = |errno| ConstructionError::Entry {
            guest: guest.to_owned(),
            name: entry.name.clone(),
            errno,
        };
        tree.seed(&entry.name, &entry.bytes).map_err(failed)?;
    }
    // Paths that are too long were refused above.
    tree.mark().map_err(|errno| ConstructionError::Entry {
        guest: guest.to_owned(),
        name: String::new(),
        errno,
    })?;
    Ok(tree)
}

fn insert(ctx: &Ctx, descriptor: Descriptor) -> Result<Fd, ConstructionError> {
    ctx.table.insert(descriptor).map_err(|errno: Errno| ConstructionError::Table(errno))
}
