//! Operations on one name in a directory of an overlay.
//!
//! The names above stand in the table that trees in memory have. What lies below gets a place in
//! it when it is to be changed ("raised"), and then the table does the rest.

use super::super::directory::file;
use super::super::file::Body;
use super::super::names::{DirectoryNode, TOP};
use super::super::names::{Id, Inode, LinkNode, Names as Table, name_charge};
use super::super::volume::{Meta, Volume};
use super::super::{INODE_CHARGE, NAME_LIMIT};
use super::below::{
    Identity, LowerDir, LowerFile, Merged, Origin, identity, may_be_one, open_regular,
};
use super::file::OverlayFile;
use super::{Dir, Inner};
use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use crate::host::directory::{Found, Names};
use crate::host::walk::{Base, Entered, Link, Lookup, Name, Walk};
use crate::host::{OpenOptions, Result, SetTimes};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};

/// Serial numbers of what is made above begin here. No file below that has a greater one, or is on
/// another device than the top, gets the overlay's device number.
pub(super) const FIRST_INO: u64 = 1 << 63;

/// How many directories below are held open that no descriptor of the guest has open.
const HELD: usize = 64;

/// The object that has a name in a directory.
pub(super) enum Met {
    /// Nothing.
    Nothing,
    /// Something that has a place above.
    Above(Id),
    /// Something that lies below.
    Below(Arc<LowerDir>, Filestat),
    /// A name below of a file that has a place above by another of its names.
    Alias(Id),
}

/// A file with several names below that has a place above.
#[derive(Clone, Copy)]
struct Alias {
    id: Id,
    /// When it was made: if the host removes all of its names, another gets its serial number.
    born: Option<Timestamp>,
}

/// All that is behind an overlay's one lock.
pub(super) struct State {
    pub(super) names: Table,
    pub(super) volume: Arc<Volume>,
    /// The device that the top lies on.
    device: u64,
    /// The regular files below that somebody has open or that have a place above.
    bodies: BTreeMap<Identity, Weak<Body>>,
    /// How many of them there may be before those are looked for that are gone.
    bodies_most: usize,
    /// Files with several names below that have a place above.
    aliases: HashMap<Identity, Alias>,
    /// Directories that are held open only for the nodes that stand for them, the oldest first.
    held: VecDeque<Arc<LowerDir>>,
    /// Directories that a commit has written in and that still have places, by their addresses.
    pub(super) settled: BTreeMap<usize, Arc<LowerDir>>,
}

/// The names of an overlay. Whoever has them has the lock, so the state is never borrowed twice.
pub(super) struct Layers {
    state: RefCell<State>,
    inner: Weak<Inner>,
}

impl State {
    pub(super) fn new(top: &Arc<LowerDir>, volume: &Arc<Volume>) -> Result<Self> {
        let stat = top.handle()?.filestat()?;
        let device = stat.dev;
        let meta = Meta::of(&seen(stat, device, volume));
        let merged = Box::new(Merged::new(top, volume));
        let (names, _) =
            Table::with_top(FIRST_INO, |_| DirectoryNode::new(meta, 0, TOP, Some(merged)));
        Ok(Self {
            names,
            volume: Arc::clone(volume),
            device,
            bodies: BTreeMap::new(),
            bodies_most: 64,
            aliases: HashMap::new(),
            held: VecDeque::new(),
            settled: BTreeMap::new(),
        })
    }

    /// The attributes of what lies below, as the guest sees them.
    fn seen(&self, stat: Filestat) -> Filestat {
        seen(stat, self.device, &self.volume)
    }

    /// The node of a directory, if it has one.
    #[allow(clippy::unused_self, reason = "a node is one of this table")]
    pub(super) fn node(&self, dir: &Dir) -> Option<Id> {
        match dir {
            Dir::Node(id) => Some(*id),
            Dir::Below(lower) => lower.node(),
        }
    }

    /// The object that has a name in a directory. The host is not asked if that is known here.
    pub(super) fn meet(&self, dir: &Dir, name: &[u8]) -> Result<Met> {
        let lower = match self.meet_above(dir, name)? {
            Above::Known(met) => return Ok(met),
            Above::Ask(lower) => lower,
        };
        let Some(stat) = lower.stat(name)? else { return Ok(Met::Nothing) };
        Ok(self.met_below(lower, name, stat))
    }

    fn met_below(&self, lower: Arc<LowerDir>, name: &[u8], stat: Filestat) -> Met {
        // A commit may have left one of several names.
        match self.aliases.get(&identity(&stat)) {
            Some(alias) if self.is_alias(*alias, (&lower, name), &stat) => Met::Alias(alias.id),
            _ => Met::Below(lower, stat),
        }
    }

    /// Whether a file below is the one that has a place above and the same serial number.
    fn is_alias(&self, alias: Alias, at: (&Arc<LowerDir>, &[u8]), stat: &Filestat) -> bool {
        self.names.listed(alias.id).is_ok_and(|(_, filetype)| filetype == stat.filetype)
            && may_be_one(alias.born, at.0.born(at.1))
    }

    /// The serial number that a guest sees of what a listing found below: one that was written
    /// while somebody had it open keeps the number that it had.
    pub(super) fn ino_below(
        &self,
        (dir, name): (&Arc<LowerDir>, &[u8]),
        ino: u64,
        filetype: Filetype,
    ) -> u64 {
        if self.aliases.is_empty() {
            return ino;
        }
        let alias = dir.identity().ok().and_then(|(dev, _)| self.aliases.get(&(dev, ino)));
        let seen = alias.and_then(|alias| Some((alias, self.names.listed(alias.id).ok()?)));
        match seen {
            Some((alias, (seen, as_type)))
                if seen != ino && as_type == filetype && may_be_one(alias.born, dir.born(name)) =>
            {
                seen
            }
            _ => ino,
        }
    }

    /// Whether a file below may have a place above by another of its names.
    fn may_be_alias(&self, stat: &Filestat) -> bool {
        stat.filetype != Filetype::Directory
            && (stat.nlink > 1 || self.aliases.contains_key(&identity(stat)))
    }

    /// The object that is known above under a name, or the directory below to ask.
    fn meet_above(&self, dir: &Dir, name: &[u8]) -> Result<Above> {
        if name.len() > NAME_LIMIT {
            return Err(Errno::Nametoolong);
        }
        let id = match (self.node(dir), dir) {
            (Some(id), _) => id,
            (None, Dir::Below(lower)) => return Ok(Above::Ask(Arc::clone(lower))),
            (None, Dir::Node(_)) => return Err(Errno::Io),
        };
        let node = self.names.directory(id)?;
        Ok(match (node.entries.get(name), &node.merged) {
            (Some(id), _) => Above::Known(Met::Above(id)),
            // A directory that was removed stays empty, whatever is put in its place below.
            (None, Some(merged)) if !node.is_removed() && !merged.covers(name) => {
                Above::Ask(Arc::clone(&merged.lower))
            }
            (None, _) => Above::Known(Met::Nothing),
        })
    }

    /// Where a path of several names leads from a directory while there is nothing above: the
    /// directory below with the first name that has no place above, and the path from there.
    /// `None`: this cannot be said without walking.
    fn untouched<'a>(&self, dir: &Dir, path: &'a [u8]) -> Option<(Arc<LowerDir>, &'a [u8])> {
        let is_plain =
            |name: &[u8]| !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_LIMIT;
        if !path.split(|byte| *byte == b'/').all(is_plain) {
            return None;
        }
        let mut rest = path;
        let mut here = dir.clone();
        loop {
            let (name, behind) = match rest.iter().position(|byte| *byte == b'/') {
                Some(slash) => (rest.get(..slash)?, rest.get(slash.saturating_add(1)..)?),
                // The last name alone is found as fast by walking.
                None => return None,
            };
            match self.meet_above(&here, name).ok()? {
                Above::Ask(lower) => return Some((lower, rest)),
                Above::Known(Met::Above(id)) => here = self.directory_at(id).ok()?,
                Above::Known(_) => return None,
            }
            rest = behind;
        }
    }

    fn stat_untouched(&self, dir: &Dir, path: &[u8], follow: bool) -> Option<Result<Filestat>> {
        let (lower, path) = self.untouched(dir, path)?;
        match lower.stat_path(path) {
            // A symbolic link on the way or at the end, or a file with several names.
            Err(Errno::Loop | Errno::Notsup) => None,
            Ok(stat) if follow && stat.filetype == Filetype::SymbolicLink => None,
            Ok(stat) if self.may_be_alias(&stat) => None,
            stat => Some(stat.map(|stat| self.seen_open((&lower, path), stat))),
        }
    }

    fn open_untouched(
        &mut self,
        inner: &Arc<Inner>,
        dir: &Dir,
        path: &[u8],
        options: OpenOptions,
    ) -> Option<Result<Found<Dir>>> {
        if options.create || options.write || options.truncate || options.directory {
            return None;
        }
        let (lower, path) = self.untouched(dir, path)?;
        match lower.open_path(path) {
            // As above; and a directory, which is found by its names.
            Err(Errno::Loop | Errno::Notsup | Errno::Isdir) => None,
            Ok((_, stat)) if self.may_be_alias(&stat) => None,
            Ok((open, stat)) => Some(self.opened(inner, (&lower, path), (open, &stat), options)),
            Err(errno) => Some(Err(errno)),
        }
    }

    /// A file that was opened below to be read.
    fn opened(
        &mut self,
        inner: &Arc<Inner>,
        (dir, path): (&Arc<LowerDir>, &[u8]),
        (open, stat): (Arc<LowerFile>, &Filestat),
        options: OpenOptions,
    ) -> Result<Found<Dir>> {
        let body = self.body(dir, path, stat);
        if !body.is_below() {
            return Ok(file(body, options));
        }
        // One open file serves all who ask.
        let open = body.with_origin(|origin| origin.share(open)).ok_or(Errno::Io)?;
        Ok(OverlayFile::found(inner, &body, open, options))
    }

    /// The body of a regular file below, the same for all that have it open.
    fn body(&mut self, dir: &Arc<LowerDir>, name: &[u8], stat: &Filestat) -> Arc<Body> {
        if let Some(body) = self.known_body((dir, name), stat) {
            return body;
        }
        let identity = identity(stat);
        let origin = Origin::new(identity, dir, name, Weak::new());
        let body = Arc::new(Body::below(&self.volume, &self.seen(*stat), origin));
        self.note(identity, &body);
        body
    }

    /// The body of a file that was found below.
    ///
    /// A serial number is used again, and only a file that is open below keeps its own. So a body
    /// is asked whether it is still that file's: a commit may have written it to another. And a
    /// file that has a place above is not found below, unless it has several names there.
    pub(super) fn known_body(
        &self,
        (dir, name): (&Arc<LowerDir>, &[u8]),
        stat: &Filestat,
    ) -> Option<Arc<Body>> {
        let identity = identity(stat);
        self.bodies.get(&identity).and_then(Weak::upgrade).filter(|body| {
            body.with_origin(|origin| origin.identity) == Some(identity)
                && (!body.is_charged()
                    || stat.nlink > 1
                        && body.with_origin(|origin| origin.is_at(dir, name, stat)) == Some(true))
        })
    }

    pub(super) fn note(&mut self, identity: Identity, body: &Arc<Body>) {
        if self.bodies.len() >= self.bodies_most {
            self.bodies.retain(|_, body| body.strong_count() > 0);
            self.bodies_most = self.bodies.len().saturating_mul(2).max(64);
        }
        self.bodies.insert(identity, Arc::downgrade(body));
    }

    pub(super) fn set_alias(&mut self, identity: Identity, id: Id, born: Option<Timestamp>) {
        self.aliases.insert(identity, Alias { id, born });
    }

    pub(super) fn has_alias(&self, identity: Identity) -> bool {
        self.aliases.contains_key(&identity)
    }

    /// The places of files with several names below.
    pub(super) fn alias_places(&self) -> impl Iterator<Item = Id> {
        self.aliases.values().map(|alias| alias.id)
    }

    /// The files with several names below whose bytes or times were changed.
    pub(super) fn changed_aliases(&self) -> BTreeSet<usize> {
        let is_changed =
            |id: &Id| matches!(self.names.inode(*id), Ok(Inode::File(body)) if body.is_changed());
        self.aliases.values().map(|alias| alias.id).filter(is_changed).map(|id| id.0).collect()
    }

    /// The regular file of several names below that has a place above.
    pub(super) fn alias_body(&self, identity: Identity) -> Option<Arc<Body>> {
        match self.names.inode(self.aliases.get(&identity)?.id) {
            Ok(Inode::File(body)) => Some(Arc::clone(body)),
            _ => None,
        }
    }

    /// How many files with several names below have a place above.
    #[cfg(test)]
    pub(super) fn aliases(&self) -> usize {
        self.aliases.len()
    }

    /// Says whether there was one.
    pub(super) fn forget_alias(&mut self, identity: Identity, id: Id) -> bool {
        self.aliases.get(&identity).is_some_and(|alias| alias.id == id)
            && self.aliases.remove(&identity).is_some()
    }

    /// The same for one that has no name below any more, and its place.
    pub(super) fn forget_lost(&mut self, identity: Identity) -> Option<Id> {
        self.aliases.remove(&identity).map(|alias| alias.id)
    }

    /// The same for a file that has no place any more.
    fn forget_removed(&mut self, identity: Identity) {
        let alias = self.aliases.get(&identity);
        if alias.is_some_and(|alias| self.names.inode(alias.id).is_err()) {
            self.aliases.remove(&identity);
        }
    }

    /// Holds a directory below open for its node, and lets go of the one that was held longest.
    pub(super) fn hold(&mut self, lower: &Arc<LowerDir>) {
        self.held.push_back(Arc::clone(lower));
        if self.held.len() > HELD
            && let Some(oldest) = self.held.pop_front()
        {
            oldest.let_go();
        }
    }

    /// Takes the room for what is raised to a place under a name, with `more` beside it.
    fn reserve(&self, name: &[u8], more: u64) -> Result<()> {
        // The name above, and that it covers the one below.
        let names = name_charge(name).saturating_mul(2);
        self.volume.reserve(names.saturating_add(more))
    }

    pub(super) fn cover(&mut self, id: Id, name: &[u8]) -> Result<()> {
        if let Some(merged) = &mut self.names.directory_mut(id)?.merged {
            merged.cover(name, name_charge(name));
        }
        Ok(())
    }

    /// The place of a directory, which it gets if it has none, and all that it lies in.
    ///
    /// # Errors
    /// - `noent`: it was removed. A file that was in it and is still open knows of it.
    pub(super) fn raise_directory(&mut self, dir: &Dir) -> Result<Id> {
        let mut lower = match dir {
            Dir::Node(id) => return Ok(*id),
            Dir::Below(lower) => lower,
        };
        let mut way = Vec::new();
        let mut parent = loop {
            if let Some(id) = lower.node() {
                break id;
            }
            way.push(Arc::clone(lower));
            // The top has a node.
            lower = lower.parent().ok_or(Errno::Io)?.0;
        };
        while let Some(lower) = way.pop() {
            let (_, name) = lower.parent().ok_or(Errno::Io)?;
            let node = self.names.directory(parent)?;
            let is_covered = node.merged.as_ref().is_none_or(|merged| merged.covers(name));
            if is_covered || node.is_removed() || node.entries.get(name).is_some() {
                return Err(Errno::Noent);
            }
            let stat = lower.handle()?.filestat()?;
            self.reserve(name, INODE_CHARGE)?;
            let merged = Box::new(Merged::new(&lower, &self.volume));
            let meta = Meta::of(&self.seen(stat));
            let opens = lower.opens() as u64;
            let node = DirectoryNode::new(meta, opens, parent, Some(merged));
            let id = self.names.adopt(parent, name, Inode::Directory(node))?;
            self.cover(parent, name)?;
            lower.set_node(Some(id));
            self.hold(&lower);
            parent = id;
        }
        Ok(parent)
    }

    /// The place of what has a name, which it gets if it has none.
    ///
    /// # Errors
    /// - `notsup`: it is neither file nor directory nor link.
    fn raise(&mut self, dir: &Dir, name: &[u8], met: Met) -> Result<Id> {
        let (lower, stat) = match met {
            Met::Nothing => return Err(Errno::Noent),
            Met::Above(id) => return Ok(id),
            Met::Alias(id) => {
                let parent = self.raise_directory(dir)?;
                self.reserve(name, 0)?;
                self.names.alias(parent, name, id)?;
                self.cover(parent, name)?;
                return Ok(id);
            }
            Met::Below(lower, stat) => (lower, stat),
        };
        let (inode, charge) = match stat.filetype {
            Filetype::Directory => return self.raise_directory(&Dir::Below(lower.enter(name)?)),
            Filetype::SymbolicLink => {
                let text = lower.link_text(name)?;
                let charge = INODE_CHARGE.saturating_add(text.len() as u64);
                (Inode::Link(LinkNode { meta: Meta::of(&self.seen(stat)), text }), charge)
            }
            Filetype::RegularFile => {
                let body = self.body(&lower, name, &stat);
                (Inode::File(body), INODE_CHARGE)
            }
            _ => return Err(Errno::Notsup),
        };
        let parent = self.raise_directory(dir)?;
        self.reserve(name, charge)?;
        if let Inode::File(body) = &inode
            && !body.charge()
        {
            self.volume.release(INODE_CHARGE);
        }
        let born = lower.born(name);
        if let Inode::File(body) = &inode {
            body.with_origin(|origin| origin.note_birth(born));
        }
        let id = self.names.adopt(parent, name, inode)?;
        self.cover(parent, name)?;
        if stat.nlink > 1 {
            self.set_alias(identity(&stat), id, born);
        }
        Ok(id)
    }

    /// Gives the file that a descriptor has open a place, if it still lies below: what is set
    /// through the descriptor stays when that is closed.
    pub(super) fn raise_open(&mut self, body: &Body) -> Result<()> {
        if body.is_charged() {
            return Ok(());
        }
        let origin = body.with_origin(|origin| {
            let (dir, name) = origin.place().ok()?;
            Some((dir, Box::<[u8]>::from(name), origin.identity))
        });
        let Some((dir, name, identity)) = origin.flatten() else { return Ok(()) };
        let dir = Dir::Below(dir);
        match self.meet(&dir, &name) {
            Ok(Met::Below(lower, stat)) if super::below::identity(&stat) == identity => {
                match self.raise(&dir, &name, Met::Below(lower, stat)) {
                    // The directory that it lies in below was removed.
                    Err(Errno::Noent) => Ok(()),
                    raised => raised.map(drop),
                }
            }
            // It has lost its name.
            _ => Ok(()),
        }
    }

    /// Whether a directory has a name that is no `.` and `..`.
    fn is_full(&self, id: Id) -> Result<bool> {
        let node = self.names.directory(id)?;
        if !node.entries.is_empty() {
            return Ok(true);
        }
        let Some(merged) = &node.merged else { return Ok(false) };
        let mut full = false;
        merged.lower.list(|name, _| {
            full = !merged.covers(name);
            !full
        })?;
        Ok(full)
    }

    fn stat(&self, dir: &Dir, name: &[u8]) -> Result<Filestat> {
        match self.meet(dir, name)? {
            Met::Nothing => Err(Errno::Noent),
            Met::Above(id) | Met::Alias(id) => self.names.filestat(id),
            Met::Below(lower, stat) => Ok(self.seen_open((&lower, name), stat)),
        }
    }

    /// The attributes of what lies below. What an open descriptor knows of a file counts.
    fn seen_open(&self, at: (&Arc<LowerDir>, &[u8]), stat: Filestat) -> Filestat {
        match self.known_body(at, &stat) {
            Some(body) if stat.filetype == Filetype::RegularFile => body.filestat(),
            _ => self.seen(stat),
        }
    }

    pub(super) fn stat_directory(&self, dir: &Dir) -> Result<Filestat> {
        match (self.node(dir), dir) {
            (Some(id), _) => self.names.filestat(id),
            (None, Dir::Below(lower)) => Ok(self.seen(lower.handle()?.filestat()?)),
            (None, Dir::Node(_)) => Err(Errno::Io),
        }
    }

    /// The directory in a place, as one that may lie below, too.
    pub(super) fn directory_at(&self, id: Id) -> Result<Dir> {
        Ok(match &self.names.directory(id)?.merged {
            Some(merged) => Dir::Below(Arc::clone(&merged.lower)),
            None => Dir::Node(id),
        })
    }

    fn link_at(&self, id: Id) -> Option<Link> {
        match self.names.inode(id) {
            Ok(Inode::Link(link)) => Some(Link { text: Arc::clone(&link.text), has_drive: false }),
            _ => None,
        }
    }

    fn enter(&self, dir: &Dir, name: &[u8]) -> Result<Entered<Dir>> {
        let lower = match self.meet_above(dir, name)? {
            Above::Known(Met::Above(id)) => {
                return match self.link_at(id) {
                    Some(link) => Ok(Entered::Link(link)),
                    None => self.directory_at(id).map(Entered::Directory),
                };
            }
            Above::Known(_) => return Err(Errno::Noent),
            Above::Ask(lower) => lower,
        };
        match lower.enter(name) {
            Ok(below) => Ok(Entered::Directory(Dir::Below(below))),
            Err(Errno::Notdir | Errno::Loop) => match lower.link_text(name) {
                Ok(text) => Ok(Entered::Link(Link { text, has_drive: false })),
                Err(Errno::Inval) => Err(Errno::Notdir),
                Err(errno) => Err(errno),
            },
            Err(errno) => Err(errno),
        }
    }

    fn read_link(&self, dir: &Dir, name: &[u8]) -> Result<Option<Link>> {
        match self.meet(dir, name)? {
            Met::Nothing => Err(Errno::Noent),
            Met::Above(id) | Met::Alias(id) => Ok(self.link_at(id)),
            Met::Below(lower, stat) if stat.filetype == Filetype::SymbolicLink => {
                Ok(Some(Link { text: lower.link_text(name)?, has_drive: false }))
            }
            Met::Below(..) => Ok(None),
        }
    }

    /// Notes another name of a file whose bytes lie below, if it is not found any more by the one
    /// that is known: the host may have removed that.
    fn find_by(&self, id: Id, dir: &Arc<LowerDir>, name: &[u8]) {
        if let Ok(Inode::File(body)) = self.names.inode(id)
            && body.is_below()
            && let Some(Some(origin)) =
                body.with_origin(|origin| (!origin.is_there()).then(|| origin.at(dir, name)))
        {
            body.move_origin(origin);
        }
    }

    /// Opens what has a place.
    fn open_above(&self, inner: &Arc<Inner>, id: Id, options: OpenOptions) -> Result<Found<Dir>> {
        match self.names.inode(id)? {
            _ if options.create && options.exclusive => Err(Errno::Exist),
            Inode::Link(_) => Ok(Found::Link),
            Inode::Directory(_) => open_directory(options, || self.directory_at(id)),
            Inode::File(_) if options.directory => Err(Errno::Notdir),
            Inode::File(body) => {
                if options.truncate {
                    body.set_size(0, false)?;
                } else if options.write && body.is_below() {
                    body.copy_up(&*origin(body)?.0)?;
                }
                if body.is_below() {
                    let lower = origin(body)?;
                    Ok(OverlayFile::found(inner, body, lower, options))
                } else {
                    Ok(file(Arc::clone(body), options))
                }
            }
        }
    }

    fn open(
        &mut self,
        inner: &Arc<Inner>,
        dir: &Dir,
        name: &[u8],
        options: OpenOptions,
    ) -> Result<Found<Dir>> {
        let lower = match self.meet_above(dir, name)? {
            Above::Known(Met::Above(id)) => return self.open_above(inner, id, options),
            Above::Known(_) => return Err(Errno::Noent),
            Above::Ask(lower) => lower,
        };
        if options.directory && !options.create && !options.write && !options.truncate {
            return lower.enter(name).map(|below| Found::Directory(Dir::Below(below)));
        }
        if options.write || options.truncate || options.create {
            return self.open_to_write(inner, dir, (lower, name), options);
        }
        match open_regular(&lower, name) {
            Ok((open, stat)) => {
                if let Met::Alias(id) = self.met_below(Arc::clone(&lower), name, stat) {
                    self.find_by(id, &lower, name);
                    return self.open_above(inner, id, options);
                }
                self.opened(inner, (&lower, name), (open, &stat), options)
            }
            Err(Errno::Isdir) => lower.enter(name).map(|below| Found::Directory(Dir::Below(below))),
            Err(Errno::Loop) => Ok(Found::Link),
            Err(errno) => Err(errno),
        }
    }

    fn open_to_write(
        &mut self,
        inner: &Arc<Inner>,
        dir: &Dir,
        (lower, name): (Arc<LowerDir>, &[u8]),
        options: OpenOptions,
    ) -> Result<Found<Dir>> {
        let Some(stat) = lower.stat(name)? else { return Err(Errno::Noent) };
        let met = self.met_below(Arc::clone(&lower), name, stat);
        if let Met::Alias(id) = met {
            self.find_by(id, &lower, name);
        }
        if let Met::Below(lower, stat) = &met {
            match stat.filetype {
                _ if options.create && options.exclusive => return Err(Errno::Exist),
                Filetype::SymbolicLink => return Ok(Found::Link),
                Filetype::Directory => {
                    return open_directory(options, || lower.enter(name).map(Dir::Below));
                }
                _ if options.directory => return Err(Errno::Notdir),
                Filetype::RegularFile => {}
                _ => return Err(Errno::Acces),
            }
            if !options.write && !options.truncate {
                // It was to be made, and is there: nothing changes.
                return self.open(inner, dir, name, OpenOptions { create: false, ..options });
            }
        }
        let was_below = matches!(met, Met::Below(..));
        let id = self.raise(dir, name, met)?;
        let opened = self.open_above(inner, id, options);
        if opened.is_err() && was_below {
            // There was no room for its bytes, and its place takes some, too.
            self.lower_one(dir, name, id);
        }
        opened
    }

    fn create(
        &mut self,
        inner: &Arc<Inner>,
        dir: &Dir,
        name: &[u8],
        options: OpenOptions,
    ) -> Result<Found<Dir>> {
        match self.open(inner, dir, name, options) {
            Err(Errno::Noent) => {}
            found => return found,
        }
        self.check_vacant(dir, name)?;
        let parent = self.raise_directory(dir)?;
        let volume = Arc::clone(&self.volume);
        Ok(file(self.names.create_file(&volume, parent, name)?, options))
    }

    /// Checks that nothing has a name.
    fn check_vacant(&self, dir: &Dir, name: &[u8]) -> Result<()> {
        match self.meet(dir, name)? {
            Met::Nothing => Ok(()),
            _ => Err(Errno::Exist),
        }
    }

    fn set_times(&mut self, dir: &Dir, name: &[u8], times: SetTimes) -> Result<()> {
        let met = self.meet(dir, name)?;
        let id = self.raise(dir, name, met)?;
        self.names.set_times(id, times, self.volume.now())
    }

    pub(super) fn set_directory_times(&mut self, dir: &Dir, times: SetTimes) -> Result<()> {
        let id = self.raise_directory(dir)?;
        self.names.set_times(id, times, self.volume.now())
    }

    fn create_directory(&mut self, dir: &Dir, name: &[u8]) -> Result<()> {
        self.check_vacant(dir, name)?;
        let parent = self.raise_directory(dir)?;
        let volume = Arc::clone(&self.volume);
        self.names.create_directory(&volume, parent, name).map(drop)
    }

    fn create_link(&mut self, dir: &Dir, name: &[u8], text: &[u8]) -> Result<()> {
        if text.is_empty() {
            return Err(Errno::Noent);
        }
        self.check_vacant(dir, name)?;
        let parent = self.raise_directory(dir)?;
        let volume = Arc::clone(&self.volume);
        self.names.create_link(&volume, parent, name, text)
    }

    fn link_text(&self, dir: &Dir, name: &[u8], room: &mut [u8]) -> Result<usize> {
        let met = self.meet(dir, name)?;
        if let Met::Above(id) | Met::Alias(id) = met
            && let Inode::Link(link) = self.names.inode(id)?
        {
            link.meta.accessed(&self.volume);
        }
        let text = match met {
            Met::Nothing => return Err(Errno::Noent),
            Met::Above(id) | Met::Alias(id) => self.link_at(id).ok_or(Errno::Inval)?.text,
            Met::Below(lower, stat) if stat.filetype == Filetype::SymbolicLink => {
                lower.link_text(name)?
            }
            Met::Below(..) => return Err(Errno::Inval),
        };
        let len = text.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), text.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn remove_directory(&mut self, dir: &Dir, name: &[u8]) -> Result<Option<Inode>> {
        let met = self.meet(dir, name)?;
        match &met {
            Met::Nothing => return Err(Errno::Noent),
            Met::Below(_, stat) if stat.filetype != Filetype::Directory => {
                return Err(Errno::Notdir);
            }
            Met::Alias(_) => return Err(Errno::Notdir),
            Met::Below(lower, _) => {
                // Looked at before it gets a place.
                let mut full = false;
                lower.enter(name)?.list(|_, _| {
                    full = true;
                    false
                })?;
                if full {
                    return Err(Errno::Notempty);
                }
            }
            Met::Above(id) => {
                if self.is_full(*id)? {
                    return Err(Errno::Notempty);
                }
            }
        }
        self.raise(dir, name, met)?;
        let parent = self.raise_directory(dir)?;
        let volume = Arc::clone(&self.volume);
        let removed = self.names.remove_directory(&volume, parent, name)?;
        Ok(self.dispose(removed))
    }

    fn unlink(&mut self, dir: &Dir, name: &[u8]) -> Result<Option<Inode>> {
        let met = self.meet(dir, name)?;
        match &met {
            Met::Below(_, stat) if stat.filetype == Filetype::Directory => {
                return Err(Errno::Isdir);
            }
            Met::Below(lower, stat) if stat.nlink < 2 || !has_place(stat) => {
                // A removed name needs no place, because it counts no more.
                let parent = self.raise_directory(dir)?;
                self.volume.reserve(name_charge(name))?;
                self.cover(parent, name)?;
                let now = self.volume.now();
                self.names.directory_mut(parent)?.meta.modified(now);
                if let Some(body) = self.known_body((lower, name), stat) {
                    body.remove_link(now);
                }
                return Ok(None);
            }
            _ => {}
        }
        self.raise(dir, name, met)?;
        let parent = self.raise_directory(dir)?;
        let volume = Arc::clone(&self.volume);
        let removed = self.names.unlink(&volume, parent, name)?;
        Ok(self.dispose(removed))
    }

    /// Forgets what nobody needs any more.
    pub(super) fn dispose(&mut self, removed: Option<Inode>) -> Option<Inode> {
        match &removed {
            Some(Inode::File(body)) => {
                if let Some(identity) = body.with_origin(|origin| origin.identity) {
                    self.forget_removed(identity);
                }
            }
            Some(Inode::Directory(node)) => {
                if let Some(merged) = &node.merged {
                    merged.let_go();
                }
            }
            Some(Inode::Link(link)) => {
                let Meta { dev, ino, .. } = link.meta;
                let dev = if dev == self.volume.device { self.device } else { dev };
                self.forget_removed((dev, ino));
            }
            None => {}
        }
        removed
    }

    fn rename(
        &mut self,
        (from, old): (&Dir, &[u8]),
        (into, new): (&Dir, &[u8]),
    ) -> Result<Option<Inode>> {
        let source = self.meet(from, old)?;
        if matches!(source, Met::Nothing) {
            return Err(Errno::Noent);
        }
        // Whether the name can be one comes before what becomes of the old one.
        let replaces = !matches!(self.meet(into, new)?, Met::Nothing);
        let mut raised = Vec::new();
        let renamed = self.rename_met((from, old, source), (into, new, replaces), &mut raised);
        // After a rename that did nothing or failed, the guest is to see what the host changes.
        for (dir, name, id) in raised {
            self.lower_one(dir, name, id);
        }
        renamed
    }

    /// Renames a file, link or directory that was met. Whichever of the two gets its first place
    /// above is added to `raised`.
    fn rename_met<'a>(
        &mut self,
        (from, old, source): (&'a Dir, &'a [u8], Met),
        (into, new, replaces): (&'a Dir, &'a [u8], bool),
        raised: &mut Vec<(&'a Dir, &'a [u8], Id)>,
    ) -> Result<Option<Inode>> {
        let was_below = matches!(source, Met::Below(..));
        let id = self.raise(from, old, source)?;
        if was_below {
            raised.push((from, old, id));
        }
        let mut is_full = false;
        if replaces {
            // Looked at again, as it may be another name of the file that has a place now.
            let target = self.meet(into, new)?;
            let was_below = matches!(target, Met::Below(..));
            let target = self.raise(into, new, target)?;
            if was_below {
                raised.push((into, new, target));
            }
            if target != id && self.names.is_directory(id) && self.names.is_directory(target) {
                is_full = self.is_full(target)?;
            }
        }
        let (old_parent, new_parent) = (self.raise_directory(from)?, self.raise_directory(into)?);
        let volume = Arc::clone(&self.volume);
        let removed = self.names.rename(&volume, (old_parent, old), (new_parent, new), is_full)?;
        Ok(self.dispose(removed))
    }

    fn link(&mut self, (from, old): (&Dir, &[u8]), (into, new): (&Dir, &[u8])) -> Result<()> {
        let source = self.meet(from, old)?;
        if matches!(source, Met::Nothing) {
            return Err(Errno::Noent);
        }
        self.check_vacant(into, new)?;
        if self
            .node(into)
            .is_some_and(|id| self.names.directory(id).is_ok_and(DirectoryNode::is_removed))
        {
            return Err(Errno::Noent);
        }
        if matches!(&source, Met::Below(_, stat) if stat.filetype == Filetype::Directory) {
            return Err(Errno::Perm);
        }
        let id = self.raise(from, old, source)?;
        let parent = self.raise_directory(into)?;
        let volume = Arc::clone(&self.volume);
        self.names.link(&volume, id, parent, new)
    }
}

/// The knowledge of a name above.
enum Above {
    Known(Met),
    /// Nothing: this directory below is to be asked.
    Ask(Arc<LowerDir>),
}

/// Whether there are places above for files of this kind.
fn has_place(stat: &Filestat) -> bool {
    matches!(stat.filetype, Filetype::RegularFile | Filetype::SymbolicLink | Filetype::Directory)
}

/// The attributes of what lies below, as the guest sees them: all of it lies on the overlay, unless
/// the host has something else mounted there. File systems differ in a directory's size, so it has
/// none.
fn seen(stat: Filestat, device: u64, volume: &Volume) -> Filestat {
    let is_own = stat.dev == device && stat.ino <= FIRST_INO;
    Filestat {
        dev: if is_own { volume.device } else { stat.dev },
        size: if stat.filetype == Filetype::Directory { 0 } else { stat.size },
        ..stat
    }
}

fn open_directory(options: OpenOptions, dir: impl FnOnce() -> Result<Dir>) -> Result<Found<Dir>> {
    if options.create || options.write || options.truncate {
        Err(Errno::Isdir)
    } else {
        dir().map(Found::Directory)
    }
}

/// The file below that a body's bytes are in.
fn origin(body: &Body) -> Result<Arc<LowerFile>> {
    body.with_origin(Origin::open).ok_or(Errno::Io)?
}

impl Layers {
    pub(super) fn new(state: State, inner: Weak<Inner>) -> Self {
        Self { state: RefCell::new(state), inner }
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    fn inner(&self) -> Result<Arc<Inner>> {
        // Whoever calls has it.
        self.inner.upgrade().ok_or(Errno::Io)
    }
}

impl Lookup for Layers {
    type Dir = Dir;

    fn read_link(&self, dir: &Dir, name: Name<'_>) -> Result<Option<Link>> {
        self.state().read_link(dir, name.as_bytes())
    }

    fn enter(&self, dir: &Dir, name: Name<'_>) -> Result<Entered<Dir>> {
        self.state().enter(dir, name.as_bytes())
    }
}

impl Names for Layers {
    type Removed = Option<Inode>;

    fn stat(&self, dir: &Dir, name: Name<'_>) -> Result<Filestat> {
        self.state().stat(dir, name.as_bytes())
    }

    fn stat_directory(&self, dir: &Dir) -> Result<Filestat> {
        self.state().stat_directory(dir)
    }

    fn open(&self, dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
        self.state().open(&self.inner()?, dir, name.as_bytes(), options)
    }

    fn create(&mut self, dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
        self.state().create(&self.inner()?, dir, name.as_bytes(), options)
    }

    fn reopen(&self, dir: &Dir, _: OpenOptions) -> Result<Dir> {
        Ok(dir.clone())
    }

    fn set_times(&mut self, dir: &Dir, name: Name<'_>, times: SetTimes) -> Result<()> {
        self.state().set_times(dir, name.as_bytes(), times)
    }

    fn set_directory_times(&mut self, dir: &Dir, times: SetTimes) -> Result<()> {
        self.state().set_directory_times(dir, times)
    }

    fn create_directory(&mut self, dir: &Dir, name: Name<'_>) -> Result<()> {
        self.state().create_directory(dir, name.as_bytes())
    }

    fn create_link(&mut self, dir: &Dir, name: Name<'_>, text: &[u8], _: bool) -> Result<()> {
        self.state().create_link(dir, name.as_bytes(), text)
    }

    fn link_text(&self, dir: &Dir, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        self.state().link_text(dir, name.as_bytes(), room)
    }

    fn remove_directory(&mut self, dir: &Dir, name: Name<'_>) -> Result<Self::Removed> {
        self.state().remove_directory(dir, name.as_bytes())
    }

    fn unlink(&mut self, dir: &Dir, name: Name<'_>) -> Result<Self::Removed> {
        self.state().unlink(dir, name.as_bytes())
    }

    fn rename(
        &mut self,
        (from, old): (&Dir, Name<'_>),
        (into, new): (&Walk<'_, Self>, Name<'_>),
    ) -> Result<Self::Removed> {
        self.state().rename((from, old.as_bytes()), (into.dir(), new.as_bytes()))
    }

    fn link(&mut self, (from, old): (&Dir, Name<'_>), (into, new): (&Dir, Name<'_>)) -> Result<()> {
        self.state().link((from, old.as_bytes()), (into, new.as_bytes()))
    }

    fn open_below(
        &self,
        base: Base<'_, Dir>,
        path: &[u8],
        options: OpenOptions,
    ) -> Option<Result<Found<Dir>>> {
        let inner = self.inner.upgrade()?;
        self.state().open_untouched(&inner, base.dir, path, options)
    }

    fn stat_below(
        &self,
        base: Base<'_, Dir>,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Filestat>> {
        self.state().stat_untouched(base.dir, path, follow)
    }
}
