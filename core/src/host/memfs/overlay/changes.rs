//! The changes of an overlay: how it differs from the directory below it.
//!
//! Paths are compared, not files: what was renamed is gone at the one and new at the other.

use super::super::names::{DirectoryNode, Id, Inode};
use super::super::{Change, Changed, PATH_CHARGE};
use super::below::{LowerDir, identity};
use super::names::{Met, State};
use super::{Dir, Overlay};
use crate::abi::{Errno, Filestat, Filetype};
use crate::host::{PATH_LIMIT, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A place of the tree where the two differ.
pub(super) struct Step {
    pub(super) changed: Changed,
    /// Whether it is a directory in the place of another: to who compares paths, nothing has
    /// changed but what is in it.
    pub(super) is_replaced: bool,
    /// The path from the top.
    pub(super) path: Vec<u8>,
    pub(super) filetype: Filetype,
    /// The directory below that has the path's last name, or is to have it. `None`: it is to be
    /// made, too.
    pub(super) dir: Option<Arc<LowerDir>>,
    /// The file below.
    pub(super) old: Option<Filestat>,
    /// The present file.
    pub(super) new: Option<New>,
}

/// The file at a path now.
#[derive(Clone)]
pub(super) enum New {
    /// A directory.
    Directory(Dir),
    /// Something that has a place above.
    Above(Id),
    /// A file that lies below, in this directory.
    Below(Arc<LowerDir>, Filestat),
}

impl Step {
    /// The last name of the path.
    pub(super) fn name(&self) -> &[u8] {
        let start = self.path.iter().rposition(|byte| *byte == b'/');
        let start = start.map_or(0, |slash| slash.saturating_add(1));
        self.path.get(start..).unwrap_or_default()
    }
}

/// A directory that is still to be compared: what it is below and now, one of both at least.
struct Pending {
    /// Empty at the top, otherwise with a slash at its end.
    path: Vec<u8>,
    old: Option<Arc<LowerDir>>,
    new: Option<Dir>,
}

/// A walk over all that differs.
struct Comparison<'a> {
    state: &'a State,
    room: &'a mut usize,
    steps: Vec<Step>,
    pending: Vec<Pending>,
}

impl State {
    /// All that differs below `top`, sorted by path; what was removed comes before what has its
    /// path now. `room` is what the paths may take, and then what is left of it.
    ///
    /// # Errors
    /// - `nametoolong`: a path would have more than [`PATH_LIMIT`] bytes.
    /// - `2big`: the paths do not fit `room`.
    /// - those of looking at what lies below.
    pub(super) fn steps(&mut self, top: &Arc<LowerDir>, room: &mut usize) -> Result<Vec<Step>> {
        // A file that was opened to be written, and was not, must not hide the host's changes of it.
        self.lower_files(&BTreeSet::new());
        self.lower_removed();
        self.find_replaced();
        let first = Pending {
            path: Vec::new(),
            old: Some(Arc::clone(top)),
            new: Some(Dir::Below(Arc::clone(top))),
        };
        let mut comparison =
            Comparison { state: self, room, steps: Vec::new(), pending: vec![first] };
        while let Some(pending) = comparison.pending.pop() {
            comparison.compare(&pending)?;
        }
        comparison.find_other_names(top)?;
        let mut steps = comparison.steps;
        steps.sort_by(|one, other| {
            (&one.path, one.changed != Changed::Removed)
                .cmp(&(&other.path, other.changed != Changed::Removed))
        });
        Ok(steps)
    }

    /// The names of a directory of the overlay.
    fn all_names(&self, dir: &Dir) -> Result<BTreeSet<Vec<u8>>> {
        let mut names = BTreeSet::new();
        let node = self.node(dir).map(|id| self.names.directory(id)).transpose()?;
        let merged = node.and_then(|node| node.merged.as_deref());
        let lower = match (node, merged, dir) {
            (_, Some(merged), _) => Some(&merged.lower),
            (None, None, Dir::Below(lower)) => Some(lower),
            _ => None,
        };
        if let Some(lower) = lower {
            lower.list(|name, _| {
                if !merged.is_some_and(|merged| merged.covers(name)) {
                    names.insert(name.to_vec());
                }
                true
            })?;
        }
        if let Some(node) = node {
            names.extend(node.entries.sorted().map(|(name, _)| name.to_vec()));
        }
        Ok(names)
    }

    fn new_at(&self, dir: &Dir, name: &[u8]) -> Result<Option<New>> {
        Ok(match self.meet(dir, name)? {
            Met::Nothing => None,
            Met::Above(id) | Met::Alias(id) => Some(if self.names.is_directory(id) {
                New::Directory(self.directory_at(id)?)
            } else {
                New::Above(id)
            }),
            Met::Below(lower, stat) if stat.filetype == Filetype::Directory => {
                Some(New::Directory(Dir::Below(lower.enter(name)?)))
            }
            Met::Below(lower, stat) => Some(New::Below(lower, stat)),
        })
    }

    /// Whether a directory lies below where it is now.
    fn is_in_place(&self, id: Id, lower: &Arc<LowerDir>, name: &[u8]) -> bool {
        self.names.is_directory(id)
            && matches!(
                self.directory_at(id),
                Ok(Dir::Below(below)) if below.parent().is_some_and(|(parent, at)| {
                    Arc::ptr_eq(parent, lower) && at == name
                })
            )
    }

    fn filetype(&self, new: &New) -> Result<Filetype> {
        Ok(match new {
            New::Directory(_) => Filetype::Directory,
            New::Above(id) => self.names.listed(*id)?.1,
            New::Below(_, stat) => stat.filetype,
        })
    }
}

impl Comparison<'_> {
    fn compare(&mut self, pending: &Pending) -> Result<()> {
        let Pending { old, new, .. } = pending;
        let names = match (old, new) {
            (Some(old), Some(Dir::Below(new))) if Arc::ptr_eq(old, new) => {
                // In its place: only what is above can differ.
                let Some(id) = new.node() else { return Ok(()) };
                let node = self.state.names.directory(id)?;
                names_above(node)
            }
            _ => {
                let mut names = match new {
                    Some(dir) => self.state.all_names(dir)?,
                    None => BTreeSet::new(),
                };
                if let Some(old) = old {
                    old.list(|name, _| {
                        names.insert(name.to_vec());
                        true
                    })?;
                }
                names
            }
        };
        for name in names {
            let was = match old {
                Some(old) => old.stat(&name)?,
                None => None,
            };
            let is = match new {
                Some(dir) => self.state.new_at(dir, &name)?,
                None => None,
            };
            self.compare_one(pending, &name, was, is.as_ref())?;
        }
        Ok(())
    }

    /// Files with several names below that were written under names that they have no more: looks
    /// for the others, which nobody has asked for yet. They lie in directories in their places,
    /// because of all others each name was compared.
    fn find_other_names(&mut self, top: &Arc<LowerDir>) -> Result<()> {
        let mut missing = self.state.changed_aliases();
        for step in &self.steps {
            if let Some(New::Above(id)) = &step.new {
                missing.remove(&id.0);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        // A directory is opened when it is looked at: there may be more of them than descriptors.
        let mut pending = vec![(Vec::new(), Arc::clone(top), None)];
        while let Some((path, parent, name)) = pending.pop() {
            let entered = name.map(|name: Vec<u8>| parent.enter(&name));
            // What cannot be looked at has nothing that the guest finds.
            let Ok(lower) = entered.unwrap_or(Ok(parent)) else { continue };
            let dir = Dir::Below(Arc::clone(&lower));
            for name in self.state.all_names(&dir).unwrap_or_default() {
                match self.state.meet(&dir, &name)? {
                    Met::Below(_, stat) if stat.filetype == Filetype::Directory => {
                        let path = [&*path, &*name, b"/"].concat();
                        pending.push((path, Arc::clone(&lower), Some(name)));
                    }
                    Met::Above(id) if self.state.is_in_place(id, &lower, &name) => {
                        let path = [&*path, &*name, b"/"].concat();
                        pending.push((path, Arc::clone(&lower), Some(name)));
                    }
                    Met::Alias(id) if missing.contains(&id.0) => {
                        let path = self.path(&path, &name)?;
                        self.steps.push(Step {
                            changed: Changed::Modified,
                            is_replaced: false,
                            path,
                            filetype: Filetype::RegularFile,
                            dir: Some(Arc::clone(&lower)),
                            old: lower.stat(&name)?,
                            new: Some(New::Above(id)),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The path of a name in a directory.
    fn path(&mut self, parent: &[u8], name: &[u8]) -> Result<Vec<u8>> {
        let path = [parent, name].concat();
        if path.len() > PATH_LIMIT {
            return Err(Errno::Nametoolong);
        }
        *self.room =
            self.room.checked_sub(path.len().saturating_add(PATH_CHARGE)).ok_or(Errno::TooBig)?;
        Ok(path)
    }

    fn compare_one(
        &mut self,
        parent: &Pending,
        name: &[u8],
        was: Option<Filestat>,
        is: Option<&New>,
    ) -> Result<()> {
        if self.is_untouched(parent, name, is)? || was.is_none() && self.is_bare(parent, name, is) {
            return Ok(());
        }
        let old_type = was.map(|stat| stat.filetype);
        let new_type = is.map(|new| self.state.filetype(new)).transpose()?;
        if old_type == Some(Filetype::Directory) || new_type == Some(Filetype::Directory) {
            let old = match &parent.old {
                Some(dir) if old_type == Some(Filetype::Directory) => Some(dir.enter(name)?),
                _ => None,
            };
            let new = match is {
                Some(New::Directory(dir)) => Some(dir.clone()),
                _ => None,
            };
            let mut path = self.path(&parent.path, name)?;
            path.push(b'/');
            self.pending.push(Pending { path, old, new });
        }
        let mut is_replaced = false;
        let changed = match (&was, is) {
            (None, None) => return Ok(()),
            (None, Some(_)) => [None, Some(Changed::Added)],
            (Some(_), None) => [Some(Changed::Removed), None],
            (Some(_), Some(_)) if old_type != new_type => {
                [Some(Changed::Removed), Some(Changed::Added)]
            }
            (Some(was), Some(is)) => {
                is_replaced = Self::is_replaced(parent, name, is)?;
                let is_same = self.is_same(parent, name, was, is)?;
                [None, (is_replaced || !is_same).then_some(Changed::Modified)]
            }
        };
        for changed in changed.into_iter().flatten() {
            let path = self.path(&parent.path, name)?;
            let (filetype, new) = match changed {
                Changed::Removed => (old_type, None),
                _ => (new_type, is.cloned()),
            };
            self.steps.push(Step {
                changed,
                is_replaced,
                path,
                filetype: filetype.unwrap_or(Filetype::Unknown),
                dir: parent.old.clone(),
                old: was,
                new,
            });
        }
        Ok(())
    }

    /// Whether a file is in its place and as it was, though it was opened to be written, or was
    /// written by an earlier commit. What the host has made of it since is no change of the guest.
    fn is_untouched(&self, parent: &Pending, name: &[u8], is: Option<&New>) -> Result<bool> {
        let (Some(New::Above(id)), Some(old)) = (is, &parent.old) else { return Ok(false) };
        let Inode::File(body) = self.state.names.inode(*id)? else { return Ok(false) };
        Ok(!body.is_changed()
            && body.with_origin(|origin| origin.is_named(old, name)).unwrap_or(false))
    }

    /// Whether a directory is in its place and has no files from above: if the host has removed it,
    /// the guest has not made it.
    fn is_bare(&self, parent: &Pending, name: &[u8], is: Option<&New>) -> bool {
        let (Some(New::Directory(dir)), Some(old)) = (is, &parent.old) else { return false };
        let Some(first) = self.state.node(dir) else { return false };
        if !self.state.is_in_place(first, old, name) {
            return false;
        }
        let mut pending = vec![first];
        while let Some(id) = pending.pop() {
            let Ok(node) = self.state.names.directory(id) else { return false };
            let Some(merged) = &node.merged else { return false };
            for (name, id) in node.entries.sorted() {
                if !self.state.is_in_place(id, &merged.lower, name) {
                    return false;
                }
                pending.push(id);
            }
        }
        true
    }

    /// Whether another directory is in the place of the one below.
    fn is_replaced(parent: &Pending, name: &[u8], is: &New) -> Result<bool> {
        Ok(match (&parent.old, is) {
            (Some(old), New::Directory(Dir::Below(new))) => !Arc::ptr_eq(&old.enter(name)?, new),
            (_, New::Directory(_)) => true,
            _ => false,
        })
    }

    /// Whether two files of one type are the same.
    fn is_same(&self, parent: &Pending, name: &[u8], was: &Filestat, is: &New) -> Result<bool> {
        let id = match is {
            New::Directory(_) => return Ok(true),
            New::Below(_, stat) if identity(stat) == identity(was) => return Ok(true),
            // One that was written below is another with the same text.
            New::Below(lower, stat) if stat.filetype == Filetype::SymbolicLink => {
                return match &parent.old {
                    Some(dir) => Ok(dir.link_text(name)? == lower.link_text(name)?),
                    None => Ok(false),
                };
            }
            New::Below(..) => return Ok(false),
            New::Above(id) => *id,
        };
        match self.state.names.inode(id)? {
            Inode::Directory(_) => Ok(true),
            Inode::Link(link) => match &parent.old {
                Some(dir) => Ok(dir.link_text(name)? == link.text),
                None => Ok(false),
            },
            Inode::File(body) => Ok(!body.is_changed()
                && body.with_origin(|origin| origin.identity) == Some(identity(was))),
        }
    }
}

/// The names of a directory in its place that may differ from those below.
fn names_above(node: &DirectoryNode) -> BTreeSet<Vec<u8>> {
    let covered = node.merged.iter().flat_map(|merged| merged.covered());
    let above = node.entries.sorted().map(|(name, _)| name);
    covered.chain(above).map(<[u8]>::to_vec).collect()
}

impl Overlay {
    /// The differences from the directory below, sorted by path. A removed file comes before the
    /// file that has its path now. Each path stands behind `prefix`. `room` is the number of bytes
    /// that the paths may take, each with 32 more, and afterwards the rest of it.
    ///
    /// A file is modified if it was written, cut, replaced by another or given times; a directory
    /// never is.
    ///
    /// # Errors
    /// - `nametoolong`: a path would have more than [`PATH_LIMIT`] bytes.
    /// - `2big`: the paths do not fit `room`.
    /// - those of looking at what lies below.
    pub fn changes(&self, prefix: &str, room: &mut usize) -> Result<Vec<Change>> {
        let layers = self.inner.layers();
        let steps = layers.state().steps(&self.inner.top, room)?;
        steps
            .iter()
            .filter(|step| !step.is_replaced)
            .map(|step| {
                *room = room.checked_sub(prefix.len()).ok_or(Errno::TooBig)?;
                Ok(step.change(prefix))
            })
            .collect()
    }
}

impl Step {
    pub(super) fn change(&self, prefix: &str) -> Change {
        Change {
            changed: self.changed,
            path: [prefix, &*String::from_utf8_lossy(&self.path)].concat(),
            filetype: self.filetype,
        }
    }
}
