//! Results in the guest's memory: areas with literal offsets, and the lists that they point to.
//!
//! A function that gives a list leaves it here as [`Pending`] and says how much memory it takes.
//! JavaScript calls the guest's `realloc` and then [`place`], which copies a block and asks for the
//! next one; behind the last block the result area is written. The guest is asked for exactly as
//! many bytes as there are.

use super::glue::{Left, Output, Shape, no_word, store};
use super::resources::{OpenFile, Resource};
use super::streams::Input;
use super::{Call, CallError, Result, Trap};
use crate::abi::{Errno, Filestat, Filetype};
use crate::host;
use crate::memory::Region;
use std::rc::Rc;

/// The largest result area: `result<descriptor-stat, error-code>`.
const LARGEST: usize = 104;

/// How many random bytes are made at once: as in preview1.
const RANDOM_SLICE: usize = 4 << 20;

/// A result area before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    bytes: [u8; LARGEST],
    size: usize,
    at: u32,
    /// The form of an error about the bytes that are still to be read.
    errors: Errors,
}

/// How a function says that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errors {
    /// It cannot.
    None,
    /// By an `error-code` at this offset.
    Code(usize),
    /// By a `stream-error` at offset 4 or 8.
    Stream(usize),
}

impl Area {
    fn new(at: u32, size: usize, errors: Errors) -> Self {
        Self { bytes: [0; LARGEST], size, at, errors }
    }

    pub(super) fn put<const N: usize>(&mut self, offset: usize, field: [u8; N]) {
        if let Some(place) = self.bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<N>) {
            *place = field;
        }
    }

    pub(super) fn write(&self, call: &Call<'_>) -> Result<()> {
        let size = u32::try_from(self.size).unwrap_or(u32::MAX);
        call.memory.region(self.at, size)?.write_at(0, self.bytes.get(..self.size).unwrap_or(&[]));
        Ok(())
    }

    /// Leaves what is to be placed, and asks for memory for its first block.
    pub(super) fn ask(self, call: &Call<'_>, mut pending: Pending) -> Result<Left> {
        pending.area = Some(self);
        let left = pending.request();
        *call.state.pending.borrow_mut() = Some(pending);
        Ok(left)
    }

    /// Writes the area of a function that failed after all.
    fn fail(mut self, call: &Call<'_>, error: CallError) -> Result<Left> {
        let bytes = [0; LARGEST];
        self.bytes = bytes;
        let left = match (self.errors, error) {
            (Errors::Code(at), CallError::Errno(errno)) => {
                self.put(0, [1]);
                self.put(at, [Code::of(errno).0]);
                Left::default()
            }
            (Errors::Stream(at), CallError::Closed) => {
                self.put(0, [1]);
                self.put(at, [1]);
                Left::default()
            }
            (Errors::Stream(at), CallError::Errno(errno)) => {
                self.put(0, [1]);
                let rep = call.state.add(Resource::Error(errno))?;
                self.put(at.saturating_add(4), rep.to_le_bytes());
                Left { value: rep.into(), failed: true, ..Left::default() }
            }
            (_, error) => return Err(no_word(error)),
        };
        self.write(call)?;
        Ok(left)
    }
}

/// The step that a payload needs before its area can be written.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once, and a box is allocated")]
pub(super) enum Stored {
    /// Nothing.
    Now(Left),
    /// Memory of the guest.
    Later(Pending),
}

/// The content of a result area.
pub(super) trait Payload: Sized {
    /// In bytes.
    const SIZE: u32;
    /// In bytes.
    const ALIGN: u32;
    /// Where in the payload a handle lies, for which its rep is left.
    const OWN: Option<u32> = None;
    /// Whether there are lists.
    const LISTS: bool = false;
    /// Puts it at an offset.
    fn store(self, call: &Call<'_>, area: &mut Area, at: usize) -> Result<Stored>;
}

macro_rules! plain_payloads {
    ($($type:ty: $size:literal, $align:literal, |$value:ident, $area:ident, $at:ident| $put:expr;)*) => { $(
        impl Payload for $type {
            const SIZE: u32 = $size;
            const ALIGN: u32 = $align;
            #[inline]
            fn store(self, _: &Call<'_>, $area: &mut Area, $at: usize) -> Result<Stored> {
                let $value = self;
                $put;
                Ok(Stored::Now(Left::default()))
            }
        }
    )* };
}

plain_payloads! {
    u8: 1, 1, |value, area, at| area.put(at, [value]);
    u64: 8, 8, |value, area, at| area.put(at, value.to_le_bytes());
    HashValue: 16, 8, |value, area, at| {
        area.put(at, value.lower.to_le_bytes());
        area.put(at.saturating_add(8), value.upper.to_le_bytes());
    };
    Seed: 16, 8, |value, area, at| {
        area.put(at, value.0.to_le_bytes());
        area.put(at.saturating_add(8), value.1.to_le_bytes());
    };
    Datetime: 16, 8, |value, area, at| value.put(area, at);
    Stat: 96, 8, |value, area, at| value.put(area, at);
    OptionCode: 2, 1, |value, area, at| if let Some(code) = value.0 {
        area.put(at, [1]);
        area.put(at.saturating_add(1), [code.0]);
    };
}

/// Nothing.
impl Payload for () {
    const SIZE: u32 = 0;
    const ALIGN: u32 = 1;
    fn store(self, _: &Call<'_>, _: &mut Area, _: usize) -> Result<Stored> {
        Ok(Stored::Now(Left::default()))
    }
}

/// `metadata-hash-value`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HashValue {
    pub(super) lower: u64,
    pub(super) upper: u64,
}

/// `tuple<u64, u64>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(pub(super) u64, pub(super) u64);

/// `datetime`, from nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datetime(pub(super) u64);

impl Datetime {
    fn put(self, area: &mut Area, at: usize) {
        const SECOND: u64 = 1_000_000_000;
        area.put(at, (self.0 / SECOND).to_le_bytes());
        #[allow(clippy::cast_possible_truncation, reason = "below 10^9")]
        area.put(at.saturating_add(8), ((self.0 % SECOND) as u32).to_le_bytes());
    }
}

/// The number of a `descriptor-type`.
pub(super) fn descriptor_type(filetype: Filetype) -> u8 {
    match filetype {
        Filetype::Unknown => 0,
        Filetype::BlockDevice => 1,
        Filetype::CharacterDevice => 2,
        Filetype::Directory => 3,
        // A name in a directory of this type is a named pipe, or else a socket, which nothing
        // opens.
        Filetype::SocketStream => 4,
        Filetype::SymbolicLink => 5,
        Filetype::RegularFile => 6,
        Filetype::SocketDgram => 7,
    }
}

/// `descriptor-stat`
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat(pub(super) Filestat);

impl Stat {
    fn put(self, area: &mut Area, at: usize) {
        area.put(at, [descriptor_type(self.0.filetype)]);
        area.put(at.saturating_add(8), self.0.nlink.to_le_bytes());
        area.put(at.saturating_add(16), self.0.size.to_le_bytes());
        for (offset, time) in [(24, self.0.atim), (48, self.0.mtim), (72, self.0.ctim)] {
            area.put(at.saturating_add(offset), [1]);
            Datetime(time).put(area, at.saturating_add(offset).saturating_add(8));
        }
    }
}

/// An `error-code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u8);

/// The names of `error-code`, in the order of their numbers.
pub const CODES: [&str; 37] = [
    "access",
    "would-block",
    "already",
    "bad-descriptor",
    "busy",
    "deadlock",
    "quota",
    "exist",
    "file-too-large",
    "illegal-byte-sequence",
    "in-progress",
    "interrupted",
    "invalid",
    "io",
    "is-directory",
    "loop",
    "too-many-links",
    "message-size",
    "name-too-long",
    "no-device",
    "no-entry",
    "no-lock",
    "insufficient-memory",
    "insufficient-space",
    "not-directory",
    "not-empty",
    "not-recoverable",
    "unsupported",
    "no-tty",
    "no-such-device",
    "overflow",
    "not-permitted",
    "pipe",
    "read-only",
    "invalid-seek",
    "text-file-busy",
    "cross-device",
];

impl Code {
    /// The word of 0.2 for an errno, or `io` if it has none.
    pub(super) fn of(errno: Errno) -> Self {
        Self(match errno {
            Errno::Acces => 0,
            Errno::Again => 1,
            Errno::Already => 2,
            Errno::Badf => 3,
            Errno::Busy => 4,
            Errno::Deadlk => 5,
            Errno::Dquot => 6,
            Errno::Exist => 7,
            Errno::Fbig => 8,
            Errno::Ilseq => 9,
            Errno::Inprogress => 10,
            Errno::Intr => 11,
            Errno::Inval => 12,
            Errno::Isdir => 14,
            Errno::Loop => 15,
            Errno::Mlink => 16,
            Errno::Msgsize => 17,
            Errno::Nametoolong => 18,
            Errno::Nodev => 19,
            Errno::Noent => 20,
            Errno::Nolck => 21,
            // WASI 0.2 has no code for too many open files. What is short is room in a table.
            Errno::Nomem | Errno::Mfile | Errno::Nfile => 22,
            Errno::Nospc => 23,
            Errno::Notdir => 24,
            Errno::Notempty => 25,
            Errno::Notrecoverable => 26,
            Errno::Notsup | Errno::Nosys => 27,
            Errno::Notty => 28,
            Errno::Nxio => 29,
            Errno::Overflow => 30,
            Errno::Perm | Errno::Notcapable => 31,
            Errno::Pipe => 32,
            Errno::Rofs => 33,
            Errno::Spipe => 34,
            Errno::Txtbsy => 35,
            Errno::Xdev => 36,
            _ => 13,
        })
    }

    pub(super) fn name(self) -> &'static str {
        CODES.get(usize::from(self.0)).copied().unwrap_or("io")
    }
}

/// `option<error-code>`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OptionCode(pub(super) Option<Code>);

/// A resource that becomes the guest's.
pub(super) struct Owned(pub(super) Resource);

impl Payload for Owned {
    const SIZE: u32 = 4;
    const ALIGN: u32 = 4;
    const OWN: Option<u32> = Some(0);
    fn store(self, call: &Call<'_>, area: &mut Area, at: usize) -> Result<Stored> {
        let rep = call.state.add(self.0)?;
        area.put(at, rep.to_le_bytes());
        Ok(Stored::Now(Left::value(rep.into())))
    }
}

/// Without an area, it is the core result.
impl Output for Owned {
    const SHAPE: Shape = Shape { core: "i", own: Some(0), ..Shape::NONE };
    fn leave(result: Result<Self>, call: &Call<'_>, _: u32) -> Result<Left> {
        let rep = call.state.add(result.map_err(no_word)?.0)?;
        Ok(Left::value(rep.into()))
    }
}

/// `option<terminal-input>` or `option<terminal-output>`
pub(super) struct OptionTerminal(pub(super) bool);

impl Output for OptionTerminal {
    const SHAPE: Shape = Shape { area: 8, own: Some(4), ..Shape::NONE };
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
        let mut area = Area::new(at, 8, Errors::None);
        let mut left = Left::default();
        if result.map_err(no_word)?.0 {
            let rep = call.state.add(Resource::Terminal)?;
            area.put(0, [1]);
            area.put(4, rep.to_le_bytes());
            left = Left::value(rep.into());
        }
        area.write(call)?;
        Ok(left)
    }
}

macro_rules! bare_outputs {
    ($($type:ty: $size:literal;)*) => { $(
        impl Output for $type {
            const SHAPE: Shape = Shape { area: $size, ..Shape::NONE };
            fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
                let area = Area::new(at, $size, Errors::None);
                store(result.map_err(no_word)?, call, area, 0)
            }
        }
    )* };
}

bare_outputs! {
    Datetime: 16;
    Seed: 16;
    OptionCode: 2;
}

const fn most(one: u32, other: u32) -> u32 {
    if one > other { one } else { other }
}

const fn rounded(size: u32, align: u32) -> u32 {
    size.div_ceil(align).saturating_mul(align)
}

/// `result<T, error-code>`
pub(super) struct Fallible<T>(pub(super) T);

impl<T: Payload> Fallible<T> {
    const AT: u32 = T::ALIGN;
}

impl<T: Payload> Output for Fallible<T> {
    const SHAPE: Shape = Shape {
        core: "",
        area: rounded(Self::AT.saturating_add(most(T::SIZE, 1)), T::ALIGN),
        own: match T::OWN {
            Some(own) => Some(own.saturating_add(Self::AT)),
            None => None,
        },
        lists: T::LISTS,
        error: None,
    };
    #[inline]
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
        let offset = Self::AT as usize;
        let area = Area::new(at, Self::SHAPE.area as usize, Errors::Code(offset));
        match result {
            Ok(Self(payload)) => store(payload, call, area, offset),
            Err(CallError::Closed) => area.fail(call, Errno::Badf.into()),
            Err(error) => area.fail(call, error),
        }
    }
}

/// `result<T, stream-error>`
pub(super) struct Streamed<T>(pub(super) T);

impl<T: Payload> Streamed<T> {
    const ALIGN: u32 = most(T::ALIGN, 4);
}

impl<T: Payload> Output for Streamed<T> {
    const SHAPE: Shape = Shape {
        core: "",
        area: rounded(Self::ALIGN.saturating_add(most(T::SIZE, 8)), Self::ALIGN),
        own: None,
        lists: T::LISTS,
        error: Some(Self::ALIGN.saturating_add(4)),
    };
    #[inline]
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
        let offset = Self::ALIGN as usize;
        let area = Area::new(at, Self::SHAPE.area as usize, Errors::Stream(offset));
        match result {
            Ok(Self(payload)) => store(payload, call, area, offset),
            Err(error) => area.fail(call, error),
        }
    }
}

// --- Lists ---------------------------------------------------------------------------------------

/// A part of the guest's memory that is to be filled.
pub(super) enum Block {
    /// Bytes that a stream read, from the state's buffer.
    Buffered(usize),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Bytes of a regular file, which are read when their place is known.
    File { file: Rc<OpenFile>, offset: u64, len: usize, stream: Option<Rc<Input>> },
    /// Random bytes.
    Random(usize),
    /// Words of which some are the addresses of earlier blocks: the place of each, and the block.
    Words { align: u32, bytes: Vec<u8>, links: Vec<(usize, usize)> },
    /// Bytes that lie in their place already: those of a file that had become shorter.
    Placed(usize),
}

impl Block {
    fn len(&self) -> usize {
        match self {
            Self::Buffered(len)
            | Self::Random(len)
            | Self::Placed(len)
            | Self::File { len, .. } => *len,
            Self::Bytes(bytes) | Self::Words { bytes, .. } => bytes.len(),
        }
    }

    fn align(&self) -> u32 {
        match self {
            Self::Words { align, .. } => *align,
            _ => 1,
        }
    }
}

/// The blocks of a result. Most results have one, which takes no memory of its own.
enum Blocks {
    One(Block),
    Many(Vec<Block>),
}

impl Blocks {
    fn all(&self) -> &[Block] {
        match self {
            Self::One(block) => std::slice::from_ref(block),
            Self::Many(blocks) => blocks,
        }
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Block> {
        match self {
            Self::One(block) => std::slice::from_mut(block),
            Self::Many(blocks) => blocks,
        }
        .get_mut(index)
    }
}

/// A result that waits for memory of the guest.
pub(super) struct Pending {
    blocks: Blocks,
    /// How many of the blocks lie in the guest's memory.
    placed: usize,
    /// Where those lie that the last block may have the addresses of: all but the last.
    pointers: Vec<u32>,
    /// Where the one lies that was placed last.
    last: u32,
    area: Option<Area>,
    /// Where the area has the address of the last block, and behind it the count.
    pointer_at: usize,
    count: u32,
    /// The last block before it was made shorter.
    old: Option<(u32, u32)>,
    /// Where the area says that a file has come to its end, if it does.
    end_at: Option<usize>,
}

impl Pending {
    /// The arguments of the next call of `realloc`. The guest is asked for nothing, too: adapters
    /// compare the pointer with one of their own.
    fn request(&self) -> Left {
        let Some(block) = self.blocks.all().get(self.placed) else { return Left::default() };
        let len = u32::try_from(block.len()).unwrap_or(u32::MAX);
        let (pointer, size) = self.old.unwrap_or_default();
        Left { realloc: [pointer, size, block.align(), len], ..Left::default() }
    }

    fn is_placed(&self) -> bool {
        self.placed >= self.blocks.all().len()
    }

    /// Writes the area: all blocks lie in the memory.
    fn finish(&self, call: &Call<'_>) -> Result<Left> {
        let Some(mut area) = self.area else { return Err(Trap::Realloc.into()) };
        area.put(self.pointer_at, self.last.to_le_bytes());
        area.put(self.pointer_at.saturating_add(4), self.count.to_le_bytes());
        area.write(call)?;
        Ok(Left::default())
    }
}

/// A payload with lists. `SIZE` is its size in bytes.
pub(super) struct Lists<const SIZE: u32> {
    blocks: Blocks,
    pointer_at: usize,
    count: u32,
    /// A discriminant, and what stands behind it.
    head: Option<(usize, u8)>,
    also: Option<(usize, u8)>,
    end_at: Option<usize>,
}

fn number(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| Trap::TooLong.into())
}

impl Lists<8> {
    /// One list of bytes, or a string.
    pub(super) fn bytes(block: Block) -> Result<Self> {
        let count = number(block.len())?;
        let blocks = Blocks::One(block);
        Ok(Self { blocks, pointer_at: 0, count, head: None, also: None, end_at: None })
    }

    /// A list of numbers.
    pub(super) fn numbers(numbers: &[u32]) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let blocks = Blocks::One(Block::Words { align: 4, bytes, links: Vec::new() });
        let count = number(numbers.len())?;
        Ok(Self { blocks, pointer_at: 0, count, head: None, also: None, end_at: None })
    }

    /// A list of records of `fields` strings each, with `before` words before them.
    pub(super) fn strings<'a>(
        strings: impl Iterator<Item = &'a [u8]>,
        fields: usize,
        before: &[u32],
    ) -> Result<Self> {
        let (mut blocks, mut bytes, mut links) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = before.iter();
        for (index, string) in strings.enumerate() {
            if index.checked_rem(fields) == Some(0)
                && let Some(word) = before.next()
            {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            links.push((bytes.len(), index));
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&number(string.len())?.to_le_bytes());
            blocks.push(Block::Bytes(string.to_vec()));
        }
        let count = number(blocks.len().checked_div(fields).unwrap_or(0))?;
        blocks.push(Block::Words { align: 4, bytes, links });
        let blocks = Blocks::Many(blocks);
        Ok(Self { blocks, pointer_at: 0, count, head: None, also: None, end_at: None })
    }
}

impl Lists<12> {
    /// `tuple<list<u8>, bool>`: what was read, and whether the file has come to its end.
    pub(super) fn read(block: Block, ended: bool) -> Result<Self> {
        let Lists { blocks, count, .. } = Lists::<8>::bytes(block)?;
        let also = Some((8, u8::from(ended)));
        Ok(Self { blocks, pointer_at: 0, count, head: None, also, end_at: Some(8) })
    }

    /// `option<string>`
    pub(super) fn option(text: Option<Box<str>>) -> Result<Self> {
        let Some(text) = text else {
            let blocks = Blocks::Many(Vec::new());
            return Ok(Self {
                blocks,
                pointer_at: 4,
                count: 0,
                head: Some((0, 0)),
                also: None,
                end_at: None,
            });
        };
        let Lists { blocks, count, .. } =
            Lists::<8>::bytes(Block::Bytes(String::from(text).into_bytes()))?;
        let head = Some((0, 1));
        Ok(Self { blocks, pointer_at: 4, count, head, also: None, end_at: None })
    }
}

impl Lists<16> {
    /// `option<directory-entry>`
    pub(super) fn entry(entry: Option<(u8, Box<[u8]>)>) -> Result<Self> {
        let Some((kind, name)) = entry else {
            let blocks = Blocks::Many(Vec::new());
            return Ok(Self {
                blocks,
                pointer_at: 8,
                count: 0,
                head: Some((0, 0)),
                also: None,
                end_at: None,
            });
        };
        let Lists { blocks, count, .. } = Lists::<8>::bytes(Block::Bytes(name.into_vec()))?;
        Ok(Self {
            blocks,
            pointer_at: 8,
            count,
            head: Some((0, 1)),
            also: Some((4, kind)),
            end_at: None,
        })
    }
}

impl<const SIZE: u32> Payload for Lists<SIZE> {
    const SIZE: u32 = SIZE;
    const ALIGN: u32 = 4;
    const LISTS: bool = true;
    fn store(self, _: &Call<'_>, area: &mut Area, at: usize) -> Result<Stored> {
        for (offset, byte) in self.head.into_iter().chain(self.also) {
            area.put(at.saturating_add(offset), [byte]);
        }
        if self.blocks.all().is_empty() {
            return Ok(Stored::Now(Left::default()));
        }
        let pending = Pending {
            placed: 0,
            pointers: Vec::new(),
            last: 1,
            area: None,
            pointer_at: at.saturating_add(self.pointer_at),
            count: self.count,
            old: None,
            end_at: self.end_at.map(|offset| at.saturating_add(offset)),
            blocks: self.blocks,
        };
        Ok(Stored::Later(pending))
    }
}

impl<const SIZE: u32> Output for Lists<SIZE> {
    const SHAPE: Shape = Shape { area: SIZE, lists: true, ..Shape::NONE };
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
        let area = Area::new(at, SIZE as usize, Errors::None);
        store(result.map_err(no_word)?, call, area, 0)
    }
}

/// `list<tuple<descriptor, string>>`: JavaScript makes handles of the reps in the list.
pub(super) struct DirectorySeed(pub(super) Lists<8>);

impl Output for DirectorySeed {
    /// The handles lie in the list, 12 bytes from one to the next.
    const SHAPE: Shape = Shape { area: 8, lists: true, own: Some(12), ..Shape::NONE };
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left> {
        Lists::leave(result.map(|Self(lists)| lists), call, at)
    }
}

/// Fills the memory that the guest gave for the last request, and asks for more, if there is more.
///
/// # Errors
/// - [`CallError::OutOfBounds`]: the guest's pointer lies outside of the memory as it is known.
/// - [`CallError::Again`]: a part is filled.
/// - [`Trap::Realloc`]: the pointer is not aligned, or nothing was asked for.
pub fn place(call: &Call<'_>, pointer: u32) -> Result<Left> {
    let mut waiting = call.state.pending.borrow_mut();
    let Some(pending) = &mut *waiting else { return Err(Trap::Realloc.into()) };
    let placed = place_block(call, pending, pointer);
    if matches!(placed, Err(CallError::OutOfBounds | CallError::Again)) {
        return placed.map(|()| Left::default());
    }
    if placed.is_ok() && !pending.is_placed() {
        return Ok(pending.request());
    }
    let result = match (placed, pending.area) {
        (Ok(()), _) => pending.finish(call),
        (Err(error @ CallError::Trap(_)), _) | (Err(error), None) => Err(error),
        (Err(error), Some(area)) => area.fail(call, error),
    };
    *waiting = None;
    result
}

fn place_block(call: &Call<'_>, pending: &mut Pending, pointer: u32) -> Result<()> {
    let Some(block) = pending.blocks.get_mut(pending.placed) else {
        return Err(Trap::Realloc.into());
    };
    if !pointer.is_multiple_of(block.align()) {
        return Err(Trap::Realloc.into());
    }
    let region =
        call.memory.region(if block.len() == 0 { 0 } else { pointer }, number(block.len())?)?;
    match block {
        Block::Buffered(len) => {
            let buffer = call.state.buffer.borrow();
            region.write_at(0, buffer.get(..*len).unwrap_or_default());
        }
        Block::Bytes(bytes) => {
            region.write_at(0, bytes);
        }
        Block::Words { bytes, links, .. } => {
            for (at, block) in &*links {
                let address = pending.pointers.get(*block).copied().unwrap_or(1);
                if let Some(word) = bytes.get_mut(*at..).and_then(<[u8]>::first_chunk_mut::<4>) {
                    *word = address.to_le_bytes();
                }
            }
            region.write_at(0, bytes);
        }
        Block::Random(_) => fill_random(call, region)?,
        Block::Placed(_) => {}
        Block::File { file, offset, len, stream } => {
            let (count, len) = (read_file(call, file, region, *offset)?, *len);
            if let Some(stream) = stream {
                stream.moved(count as u64);
            }
            if count < len {
                // It has become shorter since it was asked for its size: what is left over goes
                // back.
                pending.count = number(count)?;
                if count == 0 {
                    if pending.end_at.is_none() {
                        return Err(CallError::Closed);
                    }
                    if let (Some(area), Some(at)) = (&mut pending.area, pending.end_at) {
                        area.put(at, [1]);
                    }
                }
                pending.old = Some((pointer, number(len)?));
                *block = Block::Placed(count);
                return Ok(());
            }
        }
    }
    pending.old = None;
    pending.last = pointer;
    pending.placed = pending.placed.saturating_add(1);
    if !pending.is_placed() {
        pending.pointers.push(pointer);
    }
    Ok(())
}

fn read_file(call: &Call<'_>, file: &OpenFile, region: Region<'_>, offset: u64) -> Result<usize> {
    let mut done = 0_usize;
    // A read of the host's may be shorter than the file.
    while done < region.len() {
        let at = offset.saturating_add(done as u64);
        match super::filesystem::pread(call, file, region.from(done), at) {
            Ok(0) => break,
            Ok(count) => done = done.saturating_add(count),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn fill_random(call: &Call<'_>, region: Region<'_>) -> Result<()> {
    let done = usize::try_from(call.resume.get()).unwrap_or(usize::MAX);
    let rest = region.from(done);
    let slice = rest.start(RANDOM_SLICE);
    match &call.ctx.random {
        None => host::fill(slice),
        Some(random) => random.fill(slice),
    }
    if slice.len() < rest.len() {
        call.resume.set(done.saturating_add(slice.len()) as u64);
        return Err(CallError::Again);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_have_the_layout_of_the_canonical_abi() {
        let area = |shape: Shape| (shape.area, shape.own, shape.error);
        assert_eq!(area(Fallible::<()>::SHAPE), (2, None, None));
        assert_eq!(area(Fallible::<u8>::SHAPE), (2, None, None));
        assert_eq!(area(Fallible::<u64>::SHAPE), (16, None, None));
        assert_eq!(area(Fallible::<Owned>::SHAPE), (8, Some(4), None));
        assert_eq!(area(Fallible::<Stat>::SHAPE), (104, None, None));
        assert_eq!(area(Fallible::<HashValue>::SHAPE), (24, None, None));
        assert_eq!(area(Fallible::<Lists<8>>::SHAPE), (12, None, None));
        assert_eq!(area(Fallible::<Lists<12>>::SHAPE), (16, None, None));
        assert_eq!(area(Fallible::<Lists<16>>::SHAPE), (20, None, None));
        assert_eq!(area(Streamed::<()>::SHAPE), (12, None, Some(8)));
        assert_eq!(area(Streamed::<u64>::SHAPE), (16, None, Some(12)));
        assert_eq!(area(Streamed::<Lists<8>>::SHAPE), (12, None, Some(8)));
        assert!(CODES.iter().all(|code| !code.is_empty()));
    }

    #[test]
    fn every_errno_has_a_word() {
        for errno in Errno::ALL {
            assert!(usize::from(Code::of(*errno).0) < CODES.len(), "{}", errno.name());
        }
        for (errno, word) in [
            (Errno::Noent, "no-entry"),
            (Errno::Notcapable, "not-permitted"),
            (Errno::Rofs, "read-only"),
            (Errno::Xdev, "cross-device"),
            (Errno::Isdir, "is-directory"),
            (Errno::Dquot, "quota"),
        ] {
            assert_eq!(Code::of(errno).name(), word);
        }
    }
}
